//! What is said of formats that are weak, padded, costly or not verified.

use super::*;

fn said(text: &str, options: Options) -> Problem {
    match recognise(text, options) {
        Ok(_) => panic!("{text} is recognised"),
        Err(problem) => problem,
    }
}

#[test]
fn weak_hashes_are_verified_where_that_is_allowed() {
    for Vector { password, hash, .. } in vectors().filter(|vector| vector.kind == "weak") {
        let problem = said(hash, Options::default());
        assert_eq!(problem.reason, Reason::Weak, "{hash}");
        assert!(problem.to_string().contains("allow_weak") && !problem.to_string().contains(&password), "{problem}");
    }
    let empty = recognised("{noop}").expect("allowed");
    assert!(!empty.verify(b""), "nothing is no password");
    let shown = format!("{:?}", recognised("{noop}canary").expect("allowed"));
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn blanks_behind_a_hash_are_cut_off_or_named() {
    let padded = Options { allow_weak: false, padded: true };
    for Vector { password, hash, .. } in
        vectors().filter(|vector| vector.password == "correct horse" && vector.kind != "weak")
    {
        for blanks in ["    ", "\n", "\r\n", "\t "] {
            let text = format!("{hash}{blanks}");
            let problem = said(&text, Options::default());
            assert!(problem.to_string().contains("blanks at the end"), "{problem}");
            let stored = recognise(&text, padded).unwrap_or_else(|problem| panic!("{text:?}: {problem}"));
            assert!(
                hash.starts_with("$argon2")
                    || stored.cost(0).time() > Duration::from_millis(20)
                    || stored.verify(password.as_bytes()),
                "{text:?}"
            );
        }
        assert!(said(&format!(" {hash}"), padded).to_string().contains("blanks before"), "{hash}");
    }
    // There they belong to the password.
    let plain = recognised("{noop}correct horse ").expect("allowed");
    assert!(plain.verify(b"correct horse ") && !plain.verify(b"correct horse"));
}

#[test]
fn what_is_not_verified_is_named() {
    for (text, part) in [
        ("$gy$j9T$abc$def", "gost-yescrypt"),
        ("$3$$8846f7eaee8fb117ad06bdd830b7586c", "NT hash"),
        ("{NTLM}8846f7eaee8fb117ad06bdd830b7586c", "NT hash"),
        ("$sha1$40000$jtNX3nZ2$hBNaIXkt4wBI2o5rsi8KejSjNqIq", "NetBSD"),
        ("{MD4}x", "MD4"),
        ("{sasl}ann@EXAMPLE.COM", "another system"),
        ("SCRAM-SHA-256$4096:c2FsdA==$a:b", "SCRAM"),
        ("$SHA$salt$hash", "sha256(sha256(password)+salt)"),
        ("ab.cdefghijkl", "DES"),
        ("daaa2c63e728079c39796205f017dd0e", "md5(md5(password)+salt)"),
        ("DAAA2C63E728079C39796205F017DD0EDAAA2C63", "look like sha1"),
        ("5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8", "look like sha256"),
        ("what is this", "known are bcrypt"),
        ("{x}y", "known are bcrypt"),
    ] {
        let problem = said(text, Options { allow_weak: true, padded: false });
        assert_eq!(problem.reason, Reason::Unknown, "{text}");
        assert!(problem.to_string().contains(part) && !problem.to_string().contains(text), "{text}: {problem}");
    }
    let spring = said("{sha256}f057053d95bd8a32abaeb10fe12a569a46bee033c7ea873715eae88059d7be5e", Options::default());
    assert!(
        spring.to_string().contains("StandardPasswordEncoder") && spring.to_string().contains("80 hex digits"),
        "{spring}"
    );
    let elsewhere = [
        "$wp$2y$04$short",
        "$wp$P$x",
        "$S$Dshort",
        "U$x",
        "U$S$short",
        "$y$j9T$abc$def",
        "$y$!!$abc$def",
        "$y$j953/2$abc$def",
        "$7$short",
        "$7$CU..../....abcdefgh$short",
        "$fbscrypt$v=2,n=14,r=8,p=1,ss=Bw==,sk=AAAA$AAAA$AAAA",
        "$fbscrypt$v=1$AAAA$AAAA",
        "$firescrypt$ln=14,r=8,p=1$AAAA$AAAA$AAAA$AAAA",
        "$pbkdf2-sha256$i=1000,x=3$AAAA$AAAA",
        "$pbkdf2-sha256$l=32$AAAA$AAAA",
        "$pbkdf2-sha256$i=1,i=2$AAAA$AAAA",
        "$p5k2$zz$AAAA$AAAA",
        "{PKCS5S2}AAAA",
        "grub.pbkdf2.sha512.1000.00",
        "$bcrypt-sha256$v=3,t=2b,r=4$x$y",
        "{scrypt}$e0801$AAAA$AAAA",
        "{scrypt}x",
        "{pbkdf2}00",
        "{sha256}00",
    ];
    for text in elsewhere {
        assert_eq!(said(text, Options::default()).reason, Reason::Malformed, "{text}");
    }
}

#[test]
fn ceilings_are_what_the_caller_says() {
    let bcrypt = "$2b$15$abcdefghijklmnopqrstuuyx2n0Zzopyr9QuYTMCfOJJOj526QVoC";
    let scrypt = "$scrypt$ln=18,r=8,p=1$AAAA$dWGtMWLqZsHZtIGE7WCTCCt22P8sfovb32FhwZ/ISUg";
    let usual = Ceilings::default();
    let long = Ceilings { time: Duration::from_secs(3), ..usual };
    let wide = Ceilings { memory_bytes: 512 << 20, ..usual };
    let found = |text: &str, ceilings| {
        let stored = recognise(text, Options::default()).expect("it is read");
        stored.affordable(ceilings).map(drop).map_err(|problem| problem.to_string())
    };
    assert!(found(bcrypt, usual).expect_err("too long").contains("limits.password_ms"));
    assert_eq!(found(bcrypt, long), Ok(()));
    assert!(found(scrypt, usual).expect_err("too wide").contains("limits.password_memory_bytes"));
    assert_eq!(found(scrypt, wide), Ok(()));
    let yescrypt = "$y$jFT$abcdefgh$AgpruTgceoqvoDiVgWvj8ct4oKDJ5.py4/Iu4nuJoi6";
    assert!(found(yescrypt, usual).expect_err("too wide").contains("costs too much"));
    let short = Ceilings { time: Duration::from_millis(1), ..usual };
    assert!(found("$2b$12$abcdefghijklmnopqrstuuyx2n0Zzopyr9QuYTMCfOJJOj526QVoC", short).is_err());
}
