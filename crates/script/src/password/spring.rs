//! What Spring Security's DelegatingPasswordEncoder writes behind the name of an encoder: `{pbkdf2}hex`, `{MD5}{salt}hex`.
//!
//! Its names are those of its source, in their case. Where what follows is not as Spring writes it, the name is LDAP's.
//! Encoders with a secret of their own cannot be followed: the secret is not in the hash.

use crate::password::digest::{Algorithm, Digest};
use crate::password::expression::Expression;
use crate::password::pbkdf2::{Pbkdf2, Prf};
use crate::password::scrypt::Scrypt;
use crate::password::{Form, Options, Problem, Reason, recognise};

/// `None` if it is not Spring's.
pub(super) fn read(scheme: &str, rest: &str, options: Options) -> Result<Option<Form>, Problem> {
    let is_hex = !rest.is_empty() && rest.bytes().all(|letter| letter.is_ascii_hexdigit());
    match scheme {
        "ldap" | "argon2@SpringSecurity_v5_8" | "bcrypt@SpringSecurity_v5_8" => {
            recognise::read(rest, options).map(Some)
        }
        "pbkdf2" if is_hex => Pbkdf2::spring(Prf::Sha1, 185_000, 8, rest).map(Form::Pbkdf2).map(Some),
        "pbkdf2@SpringSecurity_v5_8" => Pbkdf2::spring(Prf::Sha256, 310_000, 16, rest).map(Form::Pbkdf2).map(Some),
        "scrypt" | "scrypt@SpringSecurity_v5_8" => Scrypt::spring(rest).map(Form::Scrypt).map(Some),
        "sha256" if is_hex => standard(rest).map(Some),
        "MD5" => message_digest(Algorithm::Md5, rest, options),
        "SHA-1" => message_digest(Algorithm::Sha1, rest, options),
        "SHA-256" => message_digest(Algorithm::Sha256, rest, options),
        _ => Ok(None),
    }
}

/// StandardPasswordEncoder: 8 bytes of salt, then 1024 rounds of SHA-256 over salt and password.
fn standard(rest: &str) -> Result<Form, Problem> {
    if rest.len() != 80 {
        let has = rest.len();
        let text = format!(
            "`{{sha256}}` is Spring's StandardPasswordEncoder, whose hashes have 80 hex digits (a salt of 8 bytes, then SHA-256); \
             this one has {has}"
        );
        return Err(Problem::malformed(text));
    }
    let mut salt = hex::decode(rest).map_err(|_| Problem::malformed("the hash is not hex"))?;
    let hash = salt.split_off(8);
    let first = Expression::digest(Algorithm::Sha256, vec![Expression::Salt, Expression::Password]);
    let again = Expression::digest(Algorithm::Sha256, vec![Expression::Previous]);
    Ok(Form::Digest(Digest::new(first, salt, hash)?.repeated(again, 1_024)))
}

/// MessageDigestPasswordEncoder: hex of the digest of the password and `{salt}`, which stands before it. Old ones have none.
fn message_digest(algorithm: Algorithm, rest: &str, options: Options) -> Result<Option<Form>, Problem> {
    let (salt, hash) = match rest.strip_prefix('{').and_then(|rest| rest.rsplit_once('}')) {
        Some((salt, hash)) => (format!("{{{salt}}}"), hash),
        None => (String::new(), rest),
    };
    let Ok(hash) = hex::decode(hash) else { return Ok(None) };
    if hash.len() != algorithm.bytes() {
        return Ok(None);
    }
    if salt.is_empty() && !options.allow_weak {
        let name = algorithm.name();
        let text = format!("this is one round of {name} without a salt: it is verified only with `allow_weak: true`");
        return Err(Problem::new(Reason::Weak, text));
    }
    let expression = Expression::digest(algorithm, vec![Expression::Password, Expression::Salt]);
    Digest::new(expression, salt.into_bytes(), hash).map(|digest| Some(Form::Digest(digest)))
}
