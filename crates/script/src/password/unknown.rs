//! What is said of a text that is no hash of a format which is verified: its name, where it has one, and what helps.

use crate::password::digest::Algorithm;
use crate::password::{Problem, Reason, parts};

/// How formats begin that have a name and are not verified.
const NAMED: &[(&str, &str)] = &[
    ("$gy$", "gost-yescrypt"),
    ("$sha1$", "sha1-crypt of NetBSD"),
    ("$md5$", "MD5-crypt of Solaris"),
    ("$md5,", "MD5-crypt of Solaris"),
    ("$3$", "the NT hash, which is MD4"),
    ("$NT$", "the NT hash, which is MD4"),
    ("$generic$", "WordPress's hash of application passwords, which are no passwords of users"),
    ("$SHA$", "the hash of AuthMe: describe it with `pattern: \"sha256(sha256(password)+salt)\"`"),
    ("$BLAKE2$", "BLAKE2"),
    (":B:", "the hash of MediaWiki: describe it with `pattern: \"md5(salt+'-'+md5(password))\"`"),
    ("$argon2", "a variant of argon2 that does not exist"),
    ("$bcrypt", "a variant of bcrypt"),
    ("$pbkdf2", "PBKDF2 with a digest other than SHA-1 and SHA-2"),
    ("{FSHP", "FSHP"),
    ("{MD4}", "MD4"),
    ("{SMD4}", "MD4"),
    ("{LANMAN}", "the LAN Manager hash"),
    ("{NT}", "the NT hash, which is MD4"),
    ("{NTLM}", "the NT hash, which is MD4"),
    ("{SCRAM-SHA-", "SCRAM"),
    ("SCRAM-SHA-256$", "SCRAM of PostgreSQL"),
    ("{CRAM-MD5}", "CRAM-MD5"),
    ("{SASL}", "a pointer to another system that has the password"),
    ("{vault}", "Ansible's vault, which is no hash"),
    ("0x0100", "Microsoft SQL Server's hash of logins"),
    ("0x0200", "Microsoft SQL Server's hash of logins"),
];

/// What is verified, for whoever has something else.
const KNOWN: &str = "known are bcrypt (with WordPress 6.8, Django, passlib), argon2, scrypt (with $7$ and Firebase), yescrypt, PBKDF2, \
                     crypt(3) with MD5 and SHA, phpass and Drupal 7, LDAP's and Spring's {…}, ASP.NET Identity, MySQL 4.1; others are \
                     described (`hookgate docs verifies`)";

/// Never repeats the text.
pub(super) fn problem(text: &str) -> Problem {
    let said = if let Some((_, name)) = NAMED.iter().find(|(begins, _)| text.starts_with(begins)) {
        format!("this is {name}, and is not verified")
    } else if let Some(algorithm) = bare_digest(text) {
        let (name, digits) = (algorithm.name(), text.len());
        format!(
            "{digits} hex digits look like {name}, and do not say how it was made: describe it, with `format: \"{name}\"` and a salt, \
             or `pattern: \"{name}({name}(password)+salt)\"` (`hookgate docs verifies`)"
        )
    } else if is_des(text) {
        "this looks like crypt(3) with DES, which is not verified: it takes 8 letters of a password and no more"
            .to_owned()
    } else {
        format!("this is no hash of a known format: {KNOWN}")
    };
    Problem::new(Reason::Unknown, said)
}

fn bare_digest(text: &str) -> Option<Algorithm> {
    let is_hex = text.bytes().all(|letter| letter.is_ascii_hexdigit());
    if is_hex && text.len().is_multiple_of(2) { Algorithm::of_bytes(text.len() / 2) } else { None }
}

/// Of old Unix, and of BSDi.
fn is_des(text: &str) -> bool {
    parts::is_crypt_text(text, 13) || text.strip_prefix('_').is_some_and(|rest| parts::is_crypt_text(rest, 19))
}
