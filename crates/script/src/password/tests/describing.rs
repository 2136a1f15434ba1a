//! Hashes that a description explains.

use super::super::described::{Description, Encoding};
use super::*;

fn bare(format: &str) -> Description {
    Description {
        format: Some(format.to_owned()),
        encoding: Encoding::Hex,
        salt: None,
        salt_encoding: Encoding::Text,
        iterations: None,
        length: None,
        pattern: None,
        again: None,
        unsalted: false,
        project: None,
        options: Options::default(),
    }
}

fn right(hash: &str, description: &Description, password: &str) -> Result<bool, Reason> {
    described::read(hash, description)
        .and_then(|stored| stored.affordable(Ceilings::default()))
        .map(|stored| stored.verify(password.as_bytes()))
        .map_err(|problem| problem.reason)
}

/// Hashes by Python 3.11's hashlib, except RFC 6070's.
#[test]
fn what_does_not_say_what_it_is_can_be_described() {
    let salted = |format: &str, pattern: &str| Description {
        salt: Some("pepper".to_owned()),
        pattern: Some(pattern.to_owned()),
        ..bare(format)
    };
    let md5 = "f62d2a1f86ae4a1c0c9cbb5e6c7e5f00";
    let hash = |format: &str, pattern: &str| {
        let row = DESCRIBED.iter().find(|(name, order, _)| (*name, *order) == (format, pattern));
        row.map(|(_, _, hash)| *hash).expect("a row")
    };
    for (format, pattern, hash) in DESCRIBED.iter().filter(|(_, pattern, _)| *pattern != "password") {
        let description = salted(format, pattern);
        assert_eq!(right(hash, &description, "correct horse"), Ok(true), "{format} {pattern}");
        assert_eq!(right(&hash.to_uppercase(), &description, "correct horse"), Ok(true), "{format} {pattern}");
        assert_eq!(right(hash, &description, "Correct horse"), Ok(false), "{format} {pattern}");
    }
    assert_eq!(right(md5, &salted("md5", "salt+password"), "correct horse"), Ok(false));
    assert_eq!(right(hash("md5", "salt+password"), &salted("md5", "password+salt"), "correct horse"), Ok(false));
    let plain = Description { unsalted: true, ..bare("sha256") };
    assert_eq!(right(hash("sha256", "password"), &plain, "correct horse"), Ok(true));
    assert_eq!(right(hash("sha256", "password"), &bare("sha256"), "correct horse"), Err(Reason::Unsalted));
    let odd = [
        Description { unsalted: true, ..salted("sha256", "salt+password") },
        Description { pattern: None, ..salted("sha256", "") },
        Description { salt: None, ..salted("sha256", "salt+password") },
        Description { salt: Some(String::new()), ..salted("sha256", "salt+password") },
        salted("sha256", "salt"),
        salted("sha256", "password"),
        salted("sha256", "salt+pass"),
        salted("md5", "salt+password"),
        Description { length: Some(20), ..salted("sha256", "salt+password") },
        Description { encoding: Encoding::Base64, ..salted("sha256", "salt+password") },
        bare("pbkdf2-sha256"),
    ];
    for description in odd {
        let found = right(hash("sha256", "salt+password"), &description, "correct horse");
        assert_eq!(found, Err(Reason::Malformed), "{description:?}");
    }
    assert_eq!(right("00", &bare("crc32"), "x"), Err(Reason::Unknown));
    assert_eq!(right("00", &bare("pbkdf2-md5"), "x"), Err(Reason::Unknown));
}

#[test]
fn pbkdf2_can_be_described() {
    // RFC 6070, the case with 4096 iterations and 25 bytes.
    let rfc = Description {
        salt: Some("saltSALTsaltSALTsaltSALTsaltSALTsalt".to_owned()),
        iterations: Some(4_096),
        length: Some(25),
        ..bare("pbkdf2-sha1")
    };
    let hash = "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038";
    assert_eq!(right(hash, &rfc, "passwordPASSWORDpassword"), Ok(true));
    assert_eq!(right(hash, &rfc, "passwordPASSWORDpasswor"), Ok(false));
    let binary = Description {
        salt: Some("AP+A".to_owned()),
        salt_encoding: Encoding::Base64,
        encoding: Encoding::Base64,
        iterations: Some(1_000),
        ..bare("pbkdf2-sha512")
    };
    let hash = PBKDF2_BASE64;
    assert_eq!(right(hash, &binary, "correct horse"), Ok(true));
    assert_eq!(
        right(hash, &Description { salt_encoding: Encoding::Text, ..binary.clone() }, "correct horse"),
        Ok(false)
    );
    let costly = Description { iterations: Some(10_000_000), ..binary };
    assert_eq!(right(hash, &costly, "correct horse"), Err(Reason::TooCostly));
}

/// What is stored by systems that people come from. Made with Python 3.11 hashlib and PHP 8.2.36 from what each system's source says.
#[test]
fn digests_are_put_together_as_systems_do() {
    let row = |pattern: &str, salt: &str| Description {
        format: None,
        pattern: Some(pattern.to_owned()),
        salt: (!salt.is_empty()).then(|| salt.to_owned()),
        ..bare("")
    };
    let symfony = |encoding| Description {
        encoding,
        again: Some("sha512(digest+password+'{'+salt+'}')".to_owned()),
        iterations: Some(5_000),
        ..row("sha512(password+\"{\"+salt+\"}\")", "s4lt")
    };
    for (name, description, hash) in [
        ("vBulletin, IPB", row("md5(md5(password)+salt)", "pepper"), VBULLETIN),
        (
            "the same with a format",
            Description { format: Some("md5".into()), ..row("md5(p)+salt", "pepper") },
            VBULLETIN,
        ),
        (
            "format and all of it",
            Description { format: Some("md5".into()), ..row("md5( md5(p) + salt )", "pepper") },
            VBULLETIN,
        ),
        ("MyBB", row("md5(md5(salt)+md5(password))", "pepper"), MYBB),
        ("SMF", row("sha1(lower(salt)+password)", "Ann"), SMF),
        ("AuthMe", row("sha256(sha256(password)+salt)", "pepper"), AUTHME),
        ("Symfony", symfony(Encoding::Base64), SYMFONY),
        (
            "ASP.NET membership",
            Description {
                encoding: Encoding::Base64,
                salt_encoding: Encoding::Base64,
                ..row("sha1_raw(salt+utf16le(password))", "cGVwcGVy")
            },
            MEMBERSHIP,
        ),
        ("HMAC", row("hmac_sha256(salt, password)", "pepper"), HMAC),
        ("said to have no salt", Description { unsalted: true, ..row("sha1(sha1_raw(password))", "") }, MYSQL),
    ] {
        assert_eq!(right(hash, &description, "correct horse"), Ok(true), "{name}");
        assert_eq!(right(hash, &description, "correct Horse"), Ok(false), "{name}");
    }
    let hasty = Description { iterations: Some(4_999), ..symfony(Encoding::Base64) };
    assert_eq!(right(SYMFONY, &hasty, "correct horse"), Ok(false));
    let costly = Description { iterations: Some(100_000_000), ..symfony(Encoding::Base64) };
    assert_eq!(right(SYMFONY, &costly, "correct horse"), Err(Reason::TooCostly));
}

#[test]
fn a_pattern_that_says_nothing_is_an_error() {
    let row = |pattern: &str| Description { pattern: Some(pattern.to_owned()), salt: Some("s".into()), ..bare("md5") };
    for pattern in [
        "md5(salt)",
        "md5(md5(password)+salt",
        "md5(password+salt))",
        "crc(password)+salt",
        "md5(password,salt)",
        "hmac_md5(salt)+password",
        "password+salt+",
        "+password",
        "password salt",
        "'x+password+salt",
        "digest+password+salt",
        "user+password+salt",
        "sha1(password+salt)",
        "",
        "md5()",
        &format!("{}password+salt{}", "md5(".repeat(20), ")".repeat(20)),
        &"password+salt+".repeat(60),
    ] {
        assert_eq!(right(VBULLETIN, &row(pattern), "correct horse"), Err(Reason::Malformed), "{pattern}");
    }
    let unnamed = Description { format: None, ..row("password+salt") };
    assert_eq!(right(VBULLETIN, &unnamed, "correct horse"), Err(Reason::Malformed), "no digest");
    for odd in [
        Description { iterations: Some(2), ..row("md5(password)+salt") },
        Description { again: Some("md5(digest)".into()), ..row("md5(password)+salt") },
        Description { again: Some("md5(password)".into()), iterations: Some(2), ..row("md5(password)+salt") },
        Description { again: Some("digest".into()), iterations: Some(2), ..row("md5(password)+salt") },
    ] {
        assert_eq!(right(VBULLETIN, &odd, "correct horse"), Err(Reason::Malformed), "{odd:?}");
    }
}

/// Made with firebase-scrypt 2.2.0 (npm), as vectors.tsv has it.
#[test]
fn what_firebase_exports_is_described() {
    let project = Project {
        signer_key: "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=="
            .to_owned(),
        salt_separator: "Bw==".to_owned(),
        rounds: 8,
        mem_cost: 10,
    };
    let whole = Description {
        salt: Some("42xEC+ixf3L2lw==".into()),
        project: Some(project.clone()),
        ..bare("firebase-scrypt")
    };
    let hash = vectors().find(|vector| vector.kind == "firebase").expect("a vector").hash;
    let hash = hash.rsplit('$').next().expect("the last part");
    assert_eq!(right(hash, &whole, "correct horse"), Ok(true));
    assert_eq!(
        right(&hash.replace('+', "-").replace('/', "_"), &whole, "correct horse"),
        Ok(true),
        "as the export writes it"
    );
    assert_eq!(right(hash, &whole, "correct Horse"), Ok(false));
    let other = Description { project: Some(Project { mem_cost: 11, ..project.clone() }), ..whole.clone() };
    assert_eq!(right(hash, &other, "correct horse"), Ok(false));
    for odd in [Description { salt: None, ..whole.clone() }, Description { project: None, ..whole.clone() }] {
        assert_eq!(right(hash, &odd, "correct horse"), Err(Reason::Malformed));
    }
    let costly = Description { project: Some(Project { mem_cost: 20, ..project }), ..whole };
    assert_eq!(right(hash, &costly, "correct horse"), Err(Reason::TooCostly));
}

/// Format, what was hashed, hash of "correct horse" with the salt "pepper".
const DESCRIBED: &[(&str, &str, &str)] = &[
    ("md5", "salt+password", "52f36768c11844771e5f7ff576e2dba2"),
    ("md5", "password+salt", "edf3863f78323b0ef4b0a008412eab5e"),
    ("md5", "salt+password+salt", "5c5e9390585b2e3050d3c7002e30cc09"),
    ("md5", "password", "3cb4e732631f47e6eb961f34554b7cde"),
    ("sha1", "salt+password", "d11dc5896bf42fb4320130682b5909d363bf770b"),
    ("sha1", "password+salt", "6233b19e59f0f25213a6a8c6dedf9757d8d5ee8b"),
    ("sha1", "salt+password+salt", "a613463cdb69c326d3e2080cf66ab10bf66c17d1"),
    ("sha1", "password", "2f9e53523b62abc141a2b4d6019d23cba835dbd0"),
    ("sha256", "salt+password", "869a1fa0609a1d15a5c3eb891428b7a6c8395b2ee10c4762e97ffca0ebe8c0b5"),
    ("sha256", "password+salt", "8a20677826351fcddb2a88d0c11867b9791797798e648b89ac09630c1802cb90"),
    ("sha256", "salt+password+salt", "a00755e83926465d05c0f43be45d15fbfb713402704e722751cf62ce916edf0d"),
    ("sha256", "password", "4104d36f8da2c254349f85836793ebe029e0c957063a34c91c2e9203187b5631"),
    (
        "sha512",
        "salt+password",
        "f95919efa0cefe2d53743cad99b75b01f4523396310290535290357040a29d287fa2747e0c742cf21fd535908025f8f8c869b0c9a9da4ac9d24314a49ceee3df",
    ),
    (
        "sha512",
        "password+salt",
        "8ca3736463a9655f9dd796fdc283d4bbf1e502f593d8de354aea57a042ba708a5ef241846da80530feb6cea6c4965ca0b838627bba9c4af6f462d59199c7eb11",
    ),
    (
        "sha512",
        "salt+password+salt",
        "a975cf2eec3c19a45e765b5e62e661a3cc00f9072ed55b9d5e2e79122234ba6a001a62a597faebc58a72428bd7e530fc2009cfac7b071754a4fee98d237aff8b",
    ),
    (
        "sha512",
        "password",
        "56b698defedb5a435b634afe3320bbaf3fdcd920b6c503a446fc7b7a776b298d479d1ba6a8b617808eb0bf579ce9a95d668347bcab7149085ac93cb27995197b",
    ),
];

const PBKDF2_BASE64: &str = "uCQz7uNeL4amL49lHa09mmyQBrGsVORbdxD0+9dtcniGR9Piv2Lar2Ac0Wh5213ek4s5VI3AemqW/cVRMTa6Kw==";

const VBULLETIN: &str = "156013b3727fbef752c91b7896d30339";
const MYBB: &str = "e0adda14f4a1cba71c944ad6dd33f549";
const SMF: &str = "3b7b15d0c593348c4ae9ac01db6356bc3209552d";
const AUTHME: &str = "6b38ebef42236649cf7c066055f1d1a8e013366e81f4d7d388c58c95761dfcc4";
const SYMFONY: &str = "tL15poUb6NDi5dO6Nfs4hzDyo8CNvDsvUDCJOLYp3jQMW6z/0uodlzpkYiKHRHPz2XEunPRW3dylHr0NBiRaOw==";
const MEMBERSHIP: &str = "KeMaQqt0OFqmqznwDYq0jeuQ1Ww=";
const HMAC: &str = "98b1e7756cc4c4f2d80624bf36ca29f73068a0963ec6527358499239f8b6f8d9";
const MYSQL: &str = "0e8f21e4240f5ad5a07d088f9c93890d13d78a4e";
