use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::password::gate::Gate;

mod describing;
mod formats;

/// Kind, password, hash: made by the libraries that the comments name. `4KiB` stands for 4096 bytes.
const VECTORS: &str = include_str!("vectors.tsv");

struct Vector {
    kind: &'static str,
    password: String,
    hash: &'static str,
}

fn vectors() -> impl Iterator<Item = Vector> {
    VECTORS.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let [kind, password, hash] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let password =
            if password == "4KiB" { "a4K!".repeat(1024) } else { serde_json::from_str(password).expect("a text") };
        Vector { kind, password, hash }
    })
}

/// Reads what libraries and OWASP recommend, weak hashes among it.
fn recognised(text: &str) -> Result<Stored, Problem> {
    let options = Options { allow_weak: true, padded: false };
    recognise(text, options).and_then(|stored| stored.affordable(Ceilings::default()))
}

fn reason(text: &str) -> Reason {
    match recognise(text, Options::default()).and_then(|stored| stored.affordable(Ceilings::default())) {
        Ok(_) => panic!("{text} is recognised"),
        Err(problem) => problem.reason,
    }
}

/// bcrypt without Django's SHA-256 before it does not see what follows the 72nd byte.
fn is_cut(vector: &Vector) -> bool {
    let digested = ["bcrypt_sha256", "$wp$"].iter().any(|begins| vector.hash.starts_with(begins));
    vector.kind == "bcrypt" && vector.password.len() >= 72 && !digested
}

#[test]
fn what_libraries_made_is_verified() {
    let mut count = 0;
    for Vector { kind, password, hash } in vectors() {
        let stored = recognised(hash).unwrap_or_else(|problem| panic!("{kind} {hash}: {problem}"));
        assert!(stored.verify(password.as_bytes()), "{kind} {hash} is not of {password:?}");
        count += 1;
    }
    assert!(count > 200, "{count} vectors");
}

#[test]
fn what_only_looks_like_the_password_is_not_verified() {
    for vector in vectors() {
        let Vector { kind, password, hash } = &vector;
        let stored = recognised(hash).expect("a vector");
        let mut near = vec![format!("x{password}"), password.to_uppercase() + "X", format!("\0{password}")];
        near.push(format!("{password} "));
        // Whoever cuts at a NUL takes the first of these for the password, whoever repeats a key the second.
        near.push(format!("{password}\0"));
        near.push(format!("{password}\0{password}"));
        if !password.is_empty() {
            near.push(password[password.chars().next().map_or(0, char::len_utf8)..].to_owned());
            near.push(String::new());
        }
        if password.ends_with('\u{301}') {
            near.push("caf\u{e9}".to_owned());
        }
        let counts = if is_cut(&vector) { 72 } else { usize::MAX };
        let head = |text: &str| text.as_bytes()[..text.len().min(counts)].to_vec();
        for wrong in near.into_iter().filter(|wrong| wrong.contains('\0') || head(wrong) != head(password)) {
            assert!(!stored.verify(wrong.as_bytes()), "{kind} {hash} is of {password:?}, and of {wrong:?}");
        }
    }
}

#[test]
fn a_hash_that_is_cut_off_is_no_other_hash() {
    for Vector { kind, password, hash } in vectors().filter(|vector| vector.password == "correct horse") {
        // Without its padding base64 says the same.
        let whole = hash.trim_end_matches('=').len();
        for end in 1..whole {
            // Cutting makes nothing dearer: no vector is.
            let passes = recognised(&hash[..end]).is_ok_and(|stored| stored.verify(password.as_bytes()));
            assert!(!passes, "{kind} {hash} up to {end}");
        }
        for text in
            [format!("{hash} "), format!(" {hash}"), format!("{hash}\n"), format!("{hash}$"), format!("${hash}")]
        {
            let passes = recognised(&text).is_ok_and(|stored| stored.verify(password.as_bytes()));
            assert!(!passes, "{kind} {text:?}");
        }
    }
}

#[test]
fn what_is_wrong_with_a_hash_has_a_reason() {
    let long = "x".repeat(MAX_HASH_BYTES + 1);
    let unknown = [
        "",
        "x",
        "$",
        "{",
        "{}",
        "{X}y",
        "$9$x",
        "$2$04$x",
        "plain text",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "*",
        "!",
    ];
    for text in unknown {
        assert_eq!(reason(text), Reason::Unknown, "{text}");
    }
    let malformed = [
        long.as_str(),
        "$2b$12$short",
        "$2b$3$abcdefghijklmnopqrstuuyx2n0Zzopyr9QuYTMCfOJJOj526QVoC",
        "$2b$03$abcdefghijklmnopqrstuuyx2n0Zzopyr9QuYTMCfOJJOj526QVoC",
        "$2b$32$abcdefghijklmnopqrstuuyx2n0Zzopyr9QuYTMCfOJJOj526QVoC",
        "$2b$+4$abcdefghijklmnopqrstuuyx2n0Zzopyr9QuYTMCfOJJOj526QVoC",
        "$2b$04$abcdefghijklmnopqrstuuyx2n0Zzopyr9QuYTMCfOJJOj526QV!C",
        "$2b$04$äbcdefghijklmnopqrstuyx2n0Zzopyr9QuYTMCfOJJOj526QVoC",
        "bcrypt_sha256$$2x$04$abcdefghijklmnopqrstuuyx2n0Zzopyr9QuYTMCfOJJOj526QVoC",
        // Rounds of phpass out of range: `.` is 0, `T` is 31.
        "$P$.fAFmVBhRRAh/iwo7l5kmjzRPeOXot.",
        "$P$TfAFmVBhRRAh/iwo7l5kmjzRPeOXot.",
        "$P$5fAFmVBhRRAh/iwo7l5kmjzRPeOXot",
        "$1$toolongasalt$fEHXkCuz.DA6mCQSOhl2Q1",
        "$5$rounds=999$abc$JQ8Zdc9mzuZlmuhnBPjGoWbKWzp40ZOBNh7xy8VZld7",
        "$5$rounds=x$abc$JQ8Zdc9mzuZlmuhnBPjGoWbKWzp40ZOBNh7xy8VZld7",
        "$5$abc$JQ8Zdc9mzuZlmuhnBPjGoWbKWzp40ZOBNh7xy8VZld",
        "pbkdf2_sha256$0$salt$K7PqMj0hXNrJvGgUz3Gq1cG8L1iA7pQb1k5lS5fXo2k=",
        "pbkdf2_sha256$99999999999$salt$K7PqMj0hXNrJvGgUz3Gq1cG8L1iA7pQb1k5lS5fXo2k=",
        "pbkdf2_sha256$1000$salt$K7PqMj0h",
        "pbkdf2_sha256$1000$salt",
        "pbkdf2:md5:1000$salt$00",
        "scrypt$33$salt$8$5$AAAA",
        "$scrypt$ln=4,r=0,p=1$AAAA$AAAA",
        "$scrypt$ln=4,p=1$AAAA$AAAA",
        "$argon2id$v=18$m=64,t=2,p=2$z7rrU0IHGkjLLb1XSrKRUg$dWGtMWLqZsHZtIGE7WCTCCt22P8sfovb32FhwZ/ISUg",
        "$argon2id$v=19$m=7,t=2,p=2$z7rrU0IHGkjLLb1XSrKRUg$dWGtMWLqZsHZtIGE7WCTCCt22P8sfovb32FhwZ/ISUg",
        "$argon2id$v=19$m=64,t=2,p=2$c2hvcnQ$dWGtMWLqZsHZtIGE7WCTCCt22P8sfovb32FhwZ/ISUg",
        "{SSHA}L55TUjtiq8FBorTWAZ0jy6g129A=",
        "{SSHA}short",
        "{SSHA}not base64!",
        "{SHA}XEEEjPyHyq1x+0lEVwKNJFzeRJfoHaP0",
        "sha1$$fde4fc9bc5c4ab8fe18099b2f39448559fb63a64",
        "sha1$salt$zz",
        // ASP.NET: version 2 a byte short, version 3 cut in its salt, with PRF 3, with a key of 16 bytes.
        "APte/bGFUZFtdv9UOCn7NafEQs1FNvUDr4FqH8KW96AoB0n0qIbuU0Q3YHDTAL7Z",
        "AQAAAAAAAAPoAAAAELYwzcos",
        "AQAAAAMAAAPoAAAAELYwzcos2Ay+aZuG21fCd+t0bIT7NRLXLotgXbW/pHp/G5L4uzLZ6LEsO+bxAC74uw==",
        "AQAAAAAAAAPoAAAAELYwzcos2Ay+aZuG21fCd+t0bIT7NRLXLotgXbW/pHp/",
        "AQAAAAAAAAPo/////7YwzcosuMkvT2bW",
        "AQ==",
    ];
    for text in malformed {
        assert_eq!(reason(text), Reason::Malformed, "{text}");
        let said = recognised(text).expect_err("malformed").to_string();
        assert!(!said.contains(text) && !said.is_empty(), "{said}");
    }
}

#[test]
fn what_costs_too_much_is_refused_before_it_is_spent() {
    let bcrypt = "abcdefghijklmnopqrstuuyx2n0Zzopyr9QuYTMCfOJJOj526QVoC";
    let sha = "JQ8Zdc9mzuZlmuhnBPjGoWbKWzp40ZOBNh7xy8VZld7";
    let argon = "z7rrU0IHGkjLLb1XSrKRUg$dWGtMWLqZsHZtIGE7WCTCCt22P8sfovb32FhwZ/ISUg";
    let key = "dWGtMWLqZsHZtIGE7WCTCCt22P8sfovb32FhwZ/ISUg";
    let long_key = "q2YQgRJqPyssiX0WQ+HTiuaBWyOb9saSmpF1c62zeGgYaDQc3Kv/SaGY1++BD1+d196oQLPK3dGoFR+mVBCFiQ==";
    let started = Instant::now();
    let costly = [
        format!("$2b$15${bcrypt}"),
        format!("$2b$20${bcrypt}"),
        format!("$2y$31${bcrypt}"),
        format!("bcrypt_sha256$$2b$20${bcrypt}"),
        format!("pbkdf2_sha256$10000000$salt${key}="),
        format!("pbkdf2_sha256$4294967295$salt${key}="),
        format!("$scrypt$ln=20,r=8,p=1$AAAA${key}"),
        format!("$scrypt$ln=10,r=8,p=100000$AAAA${key}"),
        format!("$scrypt$ln=30,r=8,p=1$AAAA${key}"),
        format!("scrypt$1048576$salt$8$5${long_key}"),
        format!("$argon2id$v=19$m=2097152,t=1,p=4${argon}"),
        format!("$argon2id$v=19$m=65536,t=100,p=4${argon}"),
        format!("$argon2id$v=19$m=4194304,t=4294967295,p=4${argon}"),
        format!("$5$rounds=999999999$abc${sha}"),
        // 2^30 rounds.
        "$P$SfAFmVBhRRAh/iwo7l5kmjzRPeOXot.".to_owned(),
        // ASP.NET with ten million rounds.
        "AQAAAAEAmJaAAAAAELYwzcos2Ay+aZuG21fCd+t0bIT7NRLXLotgXbW/pHp/G5L4uzLZ6LEsO+bxAC74uw==".to_owned(),
    ];
    for text in &costly {
        assert_eq!(reason(text), Reason::TooCostly, "{text}");
    }
    assert!(started.elapsed() < Duration::from_millis(200), "{:?} to refuse", started.elapsed());
    // What libraries and OWASP recommend is allowed.
    let fair = [
        format!("$2b$14${bcrypt}"),
        format!("pbkdf2_sha256$1800000$salt${key}="),
        format!("$scrypt$ln=16,r=8,p=1$AAAA${key}"),
        format!("scrypt$16384$salt$8$5${long_key}"),
        format!("$argon2id$v=19$m=65536,t=4,p=4${argon}"),
        format!("$argon2id$v=19$m=19456,t=2,p=1${argon}"),
        format!("$5$rounds=535000$abc${sha}"),
        "$P$DfAFmVBhRRAh/iwo7l5kmjzRPeOXot.".to_owned(),
    ];
    for text in &fair {
        assert!(recognised(text).is_ok(), "{text}: {:?}", recognised(text).err());
    }
}

#[test]
fn a_password_can_make_a_hash_too_costly() {
    let hash = "$6$rounds=656000$jVN0oloOkWf5zXiE$BSlrjn6H/C3/iOvydPTbII.KoaWfVcjour0xVhxQ68h5HMkkpDGobQ3qqdYUBqIcNJVDlxmQx4VdAx9GopJCT.";
    let stored = recognised(hash).expect("it is read");
    let gate = Gate::new(1, 1);
    let verified = |bytes: usize| {
        gate.verify(&stored, &vec![b'a'; bytes], Ceilings::default(), Instant::now() + Duration::from_secs(9))
    };
    assert_eq!(verified(4_096).expect_err("too costly").reason, Reason::TooCostly);
    let cheap = recognised("{SHA}bqG4J2MYvucNgov1VmmtSsU6Eyk=").expect("it is read");
    let verified = |bytes: usize| gate.verify(&cheap, &vec![b'a'; bytes], Ceilings::default(), Instant::now());
    assert_eq!(verified(MAX_PASSWORD_BYTES), Ok(false));
    assert_eq!(verified(MAX_PASSWORD_BYTES + 1).expect_err("too long").reason, Reason::TooLong);
}

#[test]
fn a_full_gate_says_so_in_time() {
    let gate = Gate::new(1, 1);
    let turn = gate.turn(Instant::now()).expect("the first has a place, however late");
    let started = Instant::now();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| gate.turn(started + Duration::from_millis(300)).map(drop));
        // Until the other waits, one can wait oneself, for no time.
        while gate.turn(started).is_err_and(|problem| problem.to_string().contains("too little time")) {
            std::thread::yield_now();
        }
        let problem = gate.turn(started + Duration::from_secs(60)).map(drop).expect_err("nobody else may wait");
        assert_eq!(problem.reason, Reason::Busy);
        assert!(started.elapsed() < Duration::from_millis(250), "refused after {:?}", started.elapsed());
        assert_eq!(waiting.join().expect("no panic").expect_err("no place was free").reason, Reason::Busy);
    });
    assert!(started.elapsed() >= Duration::from_millis(300));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| gate.turn(Instant::now() + Duration::from_secs(60)).map(drop));
        std::thread::sleep(Duration::from_millis(5));
        drop(turn);
        assert!(waiting.join().expect("no panic").is_ok());
    });
    assert!(gate.turn(Instant::now()).is_ok(), "the place is free again");
}

#[test]
fn settings_of_scrypt_whose_product_is_too_large_are_refused() {
    // `z` is 63: r and p of 30 bits each.
    let hash = format!("$7$C{}{}salt${}", "z".repeat(5), "z".repeat(5), "z".repeat(43));
    assert!(recognised(&hash).is_err());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,80}", head in "(\\$(2[abxy]|1|5|6|7|y|P|H|S|wp|argon2id|scrypt|pbkdf2-sha256|p5k2|fbscrypt|firescrypt|bcrypt-sha256)\\$|U\\$S\\$|\\{[A-Za-z0-9-]{0,9}\\}|(scrypt|pbkdf2_sha256|md5|argon2|bcrypt_sha256)\\$|[*]|grub\\.pbkdf2\\.sha512\\.)?") {
        let _ = recognised(&format!("{head}{text}"));
    }

    #[test]
    fn no_change_of_a_hash_makes_it_panic(pick in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), by in "[ -~]{0,3}") {
        let all: Vec<Vector> = vectors().collect();
        let hash = all[pick.index(all.len())].hash;
        let at = hash.floor_char_boundary(place.index(hash.len()));
        let changed = format!("{}{by}{}", &hash[..at], &hash[hash.ceil_char_boundary(at + 1)..]);
        if let Ok(stored) = recognised(&changed) {
            prop_assert!(stored.cost(0).time() <= Ceilings::default().time);
            if stored.cost(1).time() < Duration::from_millis(3) {
                prop_assert!(!stored.verify(b"another password"));
            }
        }
    }
}
