//! Hashes that say of themselves what they are, by how they begin.

use crate::password::argon2::Argon2;
use crate::password::bcrypt::Bcrypt;
use crate::password::crypt::{Md5Crypt, ShaCrypt};
use crate::password::digest::Digest;
use crate::password::firebase::Firebase;
use crate::password::pbkdf2::{Pbkdf2, Prf};
use crate::password::phpass::Phpass;
use crate::password::plain::Plain;
use crate::password::scrypt::Scrypt;
use crate::password::yescrypt::Yescrypt;
use crate::password::{Form, Options, Problem, Reason, aspnet, digest, spring, unknown};

/// Reads a hash without blanks around it.
///
/// # Errors
/// The format is unknown, something in it is wrong, or it is weak and `options` do not allow that.
pub(super) fn read(text: &str, options: Options) -> Result<Form, Problem> {
    let weak = |name: &str| {
        let text = format!("{name}: it is verified only with `allow_weak: true`");
        if options.allow_weak { Ok(()) } else { Err(Problem::new(Reason::Weak, text)) }
    };
    if let Some((scheme, rest)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        return labelled(scheme, rest, options, &weak);
    }
    if let Some(rest) = text.strip_prefix('*').filter(|rest| rest.len() == 40) {
        weak("this is MySQL's PASSWORD(), two rounds of SHA-1 without a salt")?;
        return Digest::mysql(rest).map(Form::Digest);
    }
    bare(text)
}

/// `{SCHEME}rest`, as LDAP (RFC 2307) and Spring write it.
fn labelled(
    scheme: &str,
    rest: &str,
    options: Options,
    weak: &dyn Fn(&str) -> Result<(), Problem>,
) -> Result<Form, Problem> {
    // Spring's names have these cases and no others; LDAP's have any.
    if let Some(read) = spring::read(scheme, rest, options)? {
        return Ok(read);
    }
    let upper = scheme.to_ascii_uppercase();
    match upper.as_str() {
        "CRYPT" | "BCRYPT" | "BLF-CRYPT" | "ARGON2" | "ARGON2I" | "ARGON2ID" | "SHA256-CRYPT" | "SHA512-CRYPT"
        | "MD5-CRYPT" => bare(rest),
        "PBKDF2" | "PBKDF2-SHA1" => Pbkdf2::passlib(Prf::Sha1, rest).map(Form::Pbkdf2),
        "PBKDF2-SHA256" => Pbkdf2::passlib(Prf::Sha256, rest).map(Form::Pbkdf2),
        "PBKDF2-SHA512" => Pbkdf2::passlib(Prf::Sha512, rest).map(Form::Pbkdf2),
        "PKCS5S2" => Pbkdf2::atlassian(rest).map(Form::Pbkdf2),
        "NOOP" | "PLAIN" | "CLEAR" | "CLEARTEXT" => {
            weak(&format!("`{{{scheme}}}` is the password itself"))?;
            Ok(Form::Plain(Plain::new(rest)))
        }
        "MD5" | "PLAIN-MD5" | "LDAP-MD5" => {
            weak(&format!("`{{{scheme}}}` is one round of MD5 without a salt"))?;
            Digest::unsalted_md5(rest).map(Form::Digest)
        }
        upper => {
            Digest::ldap(upper, rest)?.map(Form::Digest).ok_or_else(|| unknown::problem(&format!("{{{upper}}}{rest}")))
        }
    }
}

fn bare(text: &str) -> Result<Form, Problem> {
    if let Some((id, rest)) = text.strip_prefix('$').and_then(|text| text.split_once('$')) {
        return modular(id, rest).unwrap_or_else(|| Err(unknown::problem(text)));
    }
    if let Some(rest) = text.strip_prefix("U$") {
        return Phpass::raised(rest).map(Form::Phpass);
    }
    if let Some(rest) = text.strip_prefix("grub.pbkdf2.sha512.") {
        return Pbkdf2::grub(rest).map(Form::Pbkdf2);
    }
    match text.split_once('$') {
        Some((id, rest)) => of_a_framework(id, rest).unwrap_or_else(|| Err(unknown::problem(text))),
        None => Ok(Form::Pbkdf2(aspnet::read(text)?.ok_or_else(|| unknown::problem(text))?)),
    }
}

/// `$id$…`: crypt(3) and what followed its example.
fn modular(id: &str, rest: &str) -> Option<Result<Form, Problem>> {
    Some(match id {
        "2a" | "2b" | "2x" | "2y" => Bcrypt::read(id, rest).map(Form::Bcrypt),
        "wp" => Bcrypt::of_wordpress(rest).map(Form::Bcrypt),
        "bcrypt-sha256" => Bcrypt::of_passlib(rest).map(Form::Bcrypt),
        "1" | "apr1" => Md5Crypt::read(id, rest).map(Form::Md5Crypt),
        "5" | "6" => ShaCrypt::read(id, rest).map(Form::ShaCrypt),
        "7" => Scrypt::crypt(rest).map(Form::Scrypt),
        "y" => Yescrypt::read(rest).map(Form::Yescrypt),
        "P" | "H" | "S" => Phpass::read(id, rest).map(Form::Phpass),
        "argon2d" | "argon2i" | "argon2id" => Argon2::read(id, rest).map(Form::Argon2),
        "scrypt" => Scrypt::passlib(rest).map(Form::Scrypt),
        "fbscrypt" => Firebase::of_supabase(rest).map(Form::Firebase),
        "firescrypt" => Firebase::of_kratos(rest).map(Form::Firebase),
        "pbkdf2" | "pbkdf2-sha1" => Pbkdf2::modular(Prf::Sha1, rest).map(Form::Pbkdf2),
        "pbkdf2-sha224" => Pbkdf2::modular(Prf::Sha224, rest).map(Form::Pbkdf2),
        "pbkdf2-sha256" => Pbkdf2::modular(Prf::Sha256, rest).map(Form::Pbkdf2),
        "pbkdf2-sha384" => Pbkdf2::modular(Prf::Sha384, rest).map(Form::Pbkdf2),
        "pbkdf2-sha512" => Pbkdf2::modular(Prf::Sha512, rest).map(Form::Pbkdf2),
        "p5k2" => Pbkdf2::p5k2(rest).map(Form::Pbkdf2),
        _ => return None,
    })
}

/// `id$…`: Django, and Werkzeug with its colons.
fn of_a_framework(id: &str, rest: &str) -> Option<Result<Form, Problem>> {
    Some(match id {
        "pbkdf2_sha1" => Pbkdf2::django(Prf::Sha1, rest).map(Form::Pbkdf2),
        "pbkdf2_sha256" => Pbkdf2::django(Prf::Sha256, rest).map(Form::Pbkdf2),
        "scrypt" => Scrypt::django(rest).map(Form::Scrypt),
        "argon2" => bare(&format!("${rest}")),
        "bcrypt" => bare(rest),
        "bcrypt_sha256" => Bcrypt::of_django(rest).map(Form::Bcrypt),
        "md5" => Digest::django(digest::Algorithm::Md5, rest).map(Form::Digest),
        "sha1" => Digest::django(digest::Algorithm::Sha1, rest).map(Form::Digest),
        _ => match id.split(':').collect::<Vec<_>>()[..] {
            ["pbkdf2", prf, rounds] => Pbkdf2::werkzeug(prf, rounds, rest).map(Form::Pbkdf2),
            ["scrypt", n, r, p] => Scrypt::werkzeug([n, r, p], rest).map(Form::Scrypt),
            _ => return None,
        },
    })
}
