//! Passwords against what other systems stored of them: which format that is, what verifying costs, whether it is right.
//!
//! Knows no script and no provider, does no I/O, logs nothing. A password is bytes: nothing of it is trimmed, cased or
//! normalised. A [`Problem`] never repeats a hash or a password. What verifying costs is known from the hash alone, before
//! it is spent ([`Cost`]), and all verifications of the process go through a [`gate`].

mod argon2;
mod aspnet;
mod bcrypt;
mod crypt;
pub mod described;
mod digest;
pub mod gate;
mod parts;
mod pbkdf2;
mod phpass;
mod scrypt;

use std::time::Duration;

use subtle::ConstantTimeEq;

use crate::password::argon2::Argon2;
use crate::password::bcrypt::Bcrypt;
use crate::password::crypt::{Md5Crypt, ShaCrypt};
use crate::password::digest::Digest;
use crate::password::pbkdf2::Pbkdf2;
use crate::password::phpass::Phpass;
use crate::password::scrypt::Scrypt;

/// Bytes of a password that are verified at most. Django and Okta take less; SHA-crypt's cost grows with it.
pub const MAX_PASSWORD_BYTES: usize = 4_096;
/// Bytes of a stored hash. The longest format in use, Argon2 in LDAP, has some 200.
pub const MAX_HASH_BYTES: usize = 1_024;

/// What one verification may take, by the estimate of [`Stored::cost`]. Callers wait three seconds and `deadline_ms` is 2500
/// unless set: a look-up before, and a machine half as fast as the one of the estimates, still fit. It leaves room above
/// every default of a library: bcrypt up to cost 14, PBKDF2-SHA256 up to about 3,000,000 rounds.
pub const MAX_TIME: Duration = Duration::from_millis(1_500);
/// Memory that one verification may fill: scrypt with N = 2^17 and r = 8, which OWASP recommends. There are as many at once
/// as [`gate::at_once`] says.
pub const MAX_MEMORY_BYTES: u64 = 128 * 1024 * 1024;

/// Why a password could not be verified; in scripts the `kind` of the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No format that is known.
    Unknown,
    /// A known format with something wrong in it.
    Malformed,
    /// Over [`MAX_TIME`] or [`MAX_MEMORY_BYTES`].
    TooCostly,
    /// A bare digest without a salt, and nobody said that this is meant.
    Unsalted,
    /// A password over [`MAX_PASSWORD_BYTES`].
    TooLong,
    /// No turn came in time: too many verifications at once.
    Busy,
}

impl Reason {
    /// Its name in scripts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Malformed => "malformed",
            Self::TooCostly => "too_costly",
            Self::Unsalted => "unsalted",
            Self::TooLong => "too_long",
            Self::Busy => "busy",
        }
    }
}

/// Why a password could not be verified, for whoever reads the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Problem {
    pub reason: Reason,
    text: String,
}

impl Problem {
    pub(crate) fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }

    pub(crate) fn malformed(text: impl Into<String>) -> Self {
        Self::new(Reason::Malformed, text)
    }
}

/// What a verification takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// In nanoseconds: the CPU time measured on one core of a server (AMD EPYC), but for SHA-1 and SHA-256, which are taken
    /// three to four times as dear as where the processor has instructions for them. An estimate, good to a factor of two.
    pub nanos: u64,
    pub memory_bytes: u64,
}

impl Cost {
    fn of_rounds(rounds: u64, nanos_each: u64) -> Self {
        Self { nanos: rounds.saturating_mul(nanos_each), memory_bytes: 0 }
    }

    pub fn time(self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

    fn check(self) -> Result<Self, Problem> {
        if self.time() > MAX_TIME {
            let text = format!(
                "this hash costs too much: about {:.1} seconds, {:.1} are allowed",
                self.time().as_secs_f64(),
                MAX_TIME.as_secs_f64()
            );
            return Err(Problem::new(Reason::TooCostly, text));
        }
        if self.memory_bytes > MAX_MEMORY_BYTES {
            let mebibytes = |bytes: u64| bytes.div_ceil(1024 * 1024);
            let text = format!(
                "this hash costs too much: {} MiB of memory, {} are allowed",
                mebibytes(self.memory_bytes),
                mebibytes(MAX_MEMORY_BYTES)
            );
            return Err(Problem::new(Reason::TooCostly, text));
        }
        Ok(self)
    }
}

/// A stored hash, read and affordable for passwords of usual length.
#[derive(Clone, Debug)]
pub struct Stored(Form);

#[derive(Clone, Debug)]
enum Form {
    Argon2(Argon2),
    Bcrypt(Bcrypt),
    Digest(Digest),
    Md5Crypt(Md5Crypt),
    Pbkdf2(Pbkdf2),
    Phpass(Phpass),
    Scrypt(Scrypt),
    ShaCrypt(ShaCrypt),
}

/// Reads a hash that says of itself what it is.
///
/// # Errors
/// The format is unknown, something in it is wrong, or verifying would cost too much.
pub fn recognise(text: &str) -> Result<Stored, Problem> {
    if text.len() > MAX_HASH_BYTES {
        return Err(Problem::malformed(format!("a hash has at most {MAX_HASH_BYTES} bytes")));
    }
    Stored(labelled(text)?).affordable()
}

/// `{SCHEME}rest`, as LDAP (RFC 2307) and Spring write it; or anything else.
fn labelled(text: &str) -> Result<Form, Problem> {
    let Some((scheme, rest)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
        return bare(text);
    };
    match scheme.to_ascii_uppercase().as_str() {
        "CRYPT" | "BCRYPT" | "ARGON2" => bare(rest),
        "PBKDF2" | "PBKDF2-SHA1" => Pbkdf2::passlib(pbkdf2::Prf::Sha1, rest).map(Form::Pbkdf2),
        "PBKDF2-SHA256" => Pbkdf2::passlib(pbkdf2::Prf::Sha256, rest).map(Form::Pbkdf2),
        "PBKDF2-SHA512" => Pbkdf2::passlib(pbkdf2::Prf::Sha512, rest).map(Form::Pbkdf2),
        scheme => Digest::ldap(scheme, rest)?.map(Form::Digest).ok_or_else(unknown),
    }
}

fn bare(text: &str) -> Result<Form, Problem> {
    if let Some((id, rest)) = text.strip_prefix('$').and_then(|text| text.split_once('$')) {
        return modular(id, rest);
    }
    match text.split_once('$') {
        Some((id, rest)) => of_a_framework(id, rest),
        None => Ok(Form::Pbkdf2(aspnet::read(text)?.ok_or_else(unknown)?)),
    }
}

/// `$id$…`: crypt(3) and what followed its example.
fn modular(id: &str, rest: &str) -> Result<Form, Problem> {
    match id {
        "2a" | "2b" | "2x" | "2y" => Bcrypt::read(id, rest).map(Form::Bcrypt),
        "1" | "apr1" => Md5Crypt::read(id, rest).map(Form::Md5Crypt),
        "5" | "6" => ShaCrypt::read(id, rest).map(Form::ShaCrypt),
        "P" | "H" => Phpass::read(rest).map(Form::Phpass),
        "argon2d" | "argon2i" | "argon2id" => Argon2::read(id, rest).map(Form::Argon2),
        "scrypt" => Scrypt::passlib(rest).map(Form::Scrypt),
        "pbkdf2" => Pbkdf2::passlib(pbkdf2::Prf::Sha1, rest).map(Form::Pbkdf2),
        "pbkdf2-sha256" => Pbkdf2::passlib(pbkdf2::Prf::Sha256, rest).map(Form::Pbkdf2),
        "pbkdf2-sha512" => Pbkdf2::passlib(pbkdf2::Prf::Sha512, rest).map(Form::Pbkdf2),
        _ => Err(unknown()),
    }
}

/// `id$…`: Django, and Werkzeug with its colons.
fn of_a_framework(id: &str, rest: &str) -> Result<Form, Problem> {
    match id {
        "pbkdf2_sha1" => Pbkdf2::django(pbkdf2::Prf::Sha1, rest).map(Form::Pbkdf2),
        "pbkdf2_sha256" => Pbkdf2::django(pbkdf2::Prf::Sha256, rest).map(Form::Pbkdf2),
        "scrypt" => Scrypt::django(rest).map(Form::Scrypt),
        "argon2" => bare(&format!("${rest}")),
        "bcrypt" => bare(rest),
        "bcrypt_sha256" => Bcrypt::of_sha256(rest).map(Form::Bcrypt),
        "md5" => Digest::django(digest::Algorithm::Md5, rest).map(Form::Digest),
        "sha1" => Digest::django(digest::Algorithm::Sha1, rest).map(Form::Digest),
        _ => match id.split(':').collect::<Vec<_>>()[..] {
            ["pbkdf2", prf, rounds] => Pbkdf2::werkzeug(prf, rounds, rest).map(Form::Pbkdf2),
            ["scrypt", n, r, p] => Scrypt::werkzeug([n, r, p], rest).map(Form::Scrypt),
            _ => Err(unknown()),
        },
    }
}

fn unknown() -> Problem {
    Problem::new(Reason::Unknown, "this is no hash of a known format")
}

impl Stored {
    /// What verifying a password of this many bytes takes.
    pub fn cost(&self, password_bytes: usize) -> Cost {
        match &self.0 {
            Form::Argon2(hash) => hash.cost(),
            Form::Bcrypt(hash) => hash.cost(),
            Form::Digest(hash) => hash.cost(),
            Form::Md5Crypt(hash) => hash.cost(password_bytes),
            Form::Pbkdf2(hash) => hash.cost(),
            Form::Phpass(hash) => hash.cost(password_bytes),
            Form::Scrypt(hash) => hash.cost(),
            Form::ShaCrypt(hash) => hash.cost(password_bytes),
        }
    }

    /// Whether this is the password. Takes the time of [`Stored::cost`] whatever comes out, on this thread: go through the
    /// [`gate`] instead.
    ///
    /// A password with a NUL is never right. bcrypt repeats its key with a NUL between and HMAC fills its key up with them,
    /// so `a` and `a\0`, or `a\0a`, are one to them; others cut the password there or refuse it when it is set.
    pub fn verify(&self, password: &[u8]) -> bool {
        let right = match &self.0 {
            Form::Argon2(hash) => hash.verify(password),
            Form::Bcrypt(hash) => hash.verify(password),
            Form::Digest(hash) => hash.verify(password),
            Form::Md5Crypt(hash) => hash.verify(password),
            Form::Pbkdf2(hash) => hash.verify(password),
            Form::Phpass(hash) => hash.verify(password),
            Form::Scrypt(hash) => hash.verify(password),
            Form::ShaCrypt(hash) => hash.verify(password),
        };
        right && !password.contains(&0)
    }

    fn affordable(self) -> Result<Self, Problem> {
        self.cost(0).check().map(|_| self)
    }
}

/// Whether both are the same; the time depends on their lengths alone.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

#[cfg(test)]
mod tests;
