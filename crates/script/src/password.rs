//! Passwords against what other systems stored of them: which format that is, what verifying costs, whether it is right.
//!
//! Knows no script and no provider, does no I/O, logs nothing. A password is bytes: nothing of it is trimmed, cased or
//! normalised here. A [`Problem`] never repeats a hash or a password. What verifying costs is known from the hash alone, before
//! it is spent ([`Cost`]), and all verifications of the process go through a [`gate`].

mod argon2;
mod aspnet;
mod bcrypt;
mod crypt;
pub(crate) mod described;
mod digest;
mod expression;
mod firebase;
pub(crate) mod gate;
mod parts;
mod pbkdf2;
mod phpass;
mod plain;
mod recognise;
mod scrypt;
mod spring;
mod unknown;
mod yescrypt;

use std::time::Duration;

use subtle::ConstantTimeEq;

use crate::password::argon2::Argon2;
use crate::password::bcrypt::Bcrypt;
use crate::password::crypt::{Md5Crypt, ShaCrypt};
use crate::password::digest::Digest;
use crate::password::firebase::Firebase;
use crate::password::pbkdf2::Pbkdf2;
use crate::password::phpass::Phpass;
use crate::password::plain::Plain;
use crate::password::scrypt::Scrypt;
use crate::password::yescrypt::Yescrypt;

pub use crate::password::firebase::Project;

/// Bytes of a password that are verified at most. Django and Okta take less; SHA-crypt's cost grows with it.
pub(crate) const MAX_PASSWORD_BYTES: usize = 4_096;
/// Bytes of a stored hash. The longest format in use, Argon2 in LDAP, has some 200.
pub(crate) const MAX_HASH_BYTES: usize = 1_024;

/// What one verification may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ceilings {
    /// By the estimate of [`Stored::cost`].
    pub(crate) time: Duration,
    /// There are as many verifications at once as [`gate::at_once`] says.
    pub(crate) memory_bytes: u64,
}

/// Callers wait three seconds and `deadline_ms` is 2500 unless set: a look-up before, and a machine half as fast as the one of
/// the estimates, still fit into what is left beside 1.5 seconds. That is above every default of a library: bcrypt up to cost 14,
/// PBKDF2-SHA256 up to about 3,000,000 rounds. The memory is that of scrypt with N = 2^17 and r = 8, which OWASP recommends.
impl Default for Ceilings {
    fn default() -> Self {
        Self { time: Duration::from_millis(1_500), memory_bytes: 128 * 1024 * 1024 }
    }
}

impl Ceilings {
    /// Where it is not known which ones hold.
    pub(crate) const NONE: Self = Self { time: Duration::MAX, memory_bytes: u64::MAX };
}

/// What whoever asks says of a hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Plain text, and digests that a graphics card guesses by the billion, are read, too.
    pub(crate) allow_weak: bool,
    /// A column of fixed width has put blanks behind it.
    pub(crate) padded: bool,
}

/// Why a password could not be verified; in scripts the `kind` of the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// No format that is known.
    Unknown,
    /// A known format with something wrong in it.
    Malformed,
    /// Over the [`Ceilings`].
    TooCostly,
    /// Plain text or a quick digest without a salt, and nobody allowed that.
    Weak,
    /// A bare digest without a salt, and nobody said that this is meant.
    Unsalted,
    /// A password over [`MAX_PASSWORD_BYTES`].
    TooLong,
    /// No turn came in time: too many verifications at once.
    Busy,
}

impl Reason {
    /// Its name in scripts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Malformed => "malformed",
            Self::TooCostly => "too_costly",
            Self::Weak => "weak",
            Self::Unsalted => "unsalted",
            Self::TooLong => "too_long",
            Self::Busy => "busy",
        }
    }
}

/// Why a password could not be verified, for whoever reads the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Problem {
    pub(crate) reason: Reason,
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
pub(crate) struct Cost {
    /// In nanoseconds: the CPU time measured on one core of a server (AMD EPYC), but for SHA-1 and SHA-256, which are taken
    /// three to four times as expensive as where the processor has instructions for them. An estimate, good to a factor of two.
    pub(crate) nanos: u64,
    pub(crate) memory_bytes: u64,
}

impl Cost {
    fn of_rounds(rounds: u64, nanos_each: u64) -> Self {
        Self { nanos: rounds.saturating_mul(nanos_each), memory_bytes: 0 }
    }

    pub(crate) fn time(self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

    fn check(self, ceilings: Ceilings) -> Result<Self, Problem> {
        if self.time() > ceilings.time {
            let text = format!(
                "this hash costs too much: about {:.1} seconds, {:.1} are allowed (`limits.password_ms`)",
                self.time().as_secs_f64(),
                ceilings.time.as_secs_f64()
            );
            return Err(Problem::new(Reason::TooCostly, text));
        }
        if self.memory_bytes > ceilings.memory_bytes {
            let mebibytes = |bytes: u64| bytes.div_ceil(1024 * 1024);
            let text = format!(
                "this hash costs too much: {} MiB of memory, {} are allowed (`limits.password_memory_bytes`)",
                mebibytes(self.memory_bytes),
                mebibytes(ceilings.memory_bytes)
            );
            return Err(Problem::new(Reason::TooCostly, text));
        }
        Ok(self)
    }
}

/// A stored hash that was read.
#[derive(Clone, Debug)]
pub(crate) struct Stored(Form);

#[derive(Clone, Debug)]
enum Form {
    Argon2(Argon2),
    Bcrypt(Bcrypt),
    Digest(Digest),
    Firebase(Firebase),
    Md5Crypt(Md5Crypt),
    Pbkdf2(Pbkdf2),
    Phpass(Phpass),
    Plain(Plain),
    Scrypt(Scrypt),
    ShaCrypt(ShaCrypt),
    Yescrypt(Yescrypt),
}

/// Reads a hash that says of itself what it is.
///
/// # Errors
/// The format is unknown, something in it is wrong, or `options` do not allow it.
pub(crate) fn recognise(text: &str, options: Options) -> Result<Stored, Problem> {
    recognise::read(bounded(text, options)?, options).map(Stored)
}

/// The text of a hash, without blanks behind it where a column of fixed width has put some.
fn bounded(text: &str, options: Options) -> Result<&str, Problem> {
    let text = if options.padded { text.trim_ascii_end() } else { text };
    if text.len() > MAX_HASH_BYTES {
        return Err(Problem::malformed(format!("a hash has at most {MAX_HASH_BYTES} bytes")));
    }
    if text.ends_with([' ', '\t', '\r', '\n']) && !is_plain(text) {
        let text = "there are blanks at the end of the hash, as a column of fixed width has them: `padded: true` cuts them off";
        return Err(Problem::malformed(text));
    }
    if text.starts_with([' ', '\t', '\r', '\n']) {
        return Err(Problem::malformed("there are blanks before the hash"));
    }
    Ok(text)
}

/// Whether blanks at its end belong to the password itself.
fn is_plain(text: &str) -> bool {
    ["{noop}", "{plain}", "{clear}", "{cleartext}"]
        .iter()
        .any(|scheme| text.get(..scheme.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(scheme)))
}

impl Stored {
    /// What verifying a password of this many bytes takes.
    pub(crate) fn cost(&self, password_bytes: usize) -> Cost {
        match &self.0 {
            Form::Argon2(hash) => hash.cost(),
            Form::Bcrypt(hash) => hash.cost(),
            Form::Digest(hash) => hash.cost(password_bytes),
            Form::Firebase(hash) => hash.cost(),
            Form::Md5Crypt(hash) => hash.cost(password_bytes),
            Form::Pbkdf2(hash) => hash.cost(),
            Form::Phpass(hash) => hash.cost(password_bytes),
            Form::Plain(_) => Cost::default(),
            Form::Scrypt(hash) => hash.cost(),
            Form::ShaCrypt(hash) => hash.cost(password_bytes),
            Form::Yescrypt(hash) => hash.cost(),
        }
    }

    /// Whether this is the password. Takes the time of [`Stored::cost`] whatever comes out, on this thread: go through the
    /// [`gate`] instead.
    ///
    /// A password with a NUL is never right. bcrypt repeats its key with a NUL between and HMAC fills its key up with them,
    /// so `a` and `a\0`, or `a\0a`, are one to them; others cut the password there or refuse it when it is set.
    pub(crate) fn verify(&self, password: &[u8]) -> bool {
        let right = match &self.0 {
            Form::Argon2(hash) => hash.verify(password),
            Form::Bcrypt(hash) => hash.verify(password),
            Form::Digest(hash) => hash.verify(password),
            Form::Firebase(hash) => hash.verify(password),
            Form::Md5Crypt(hash) => hash.verify(password),
            Form::Pbkdf2(hash) => hash.verify(password),
            Form::Phpass(hash) => hash.verify(password),
            Form::Plain(stored) => stored.verify(password),
            Form::Scrypt(hash) => hash.verify(password),
            Form::ShaCrypt(hash) => hash.verify(password),
            Form::Yescrypt(hash) => hash.verify(password),
        };
        right && !password.contains(&0)
    }

    /// The same, if verifying a password of usual length is within the ceilings.
    ///
    /// # Errors
    /// It would cost too much.
    pub(crate) fn affordable(self, ceilings: Ceilings) -> Result<Self, Problem> {
        self.cost(0).check(ceilings).map(|_| self)
    }
}

/// Whether both are the same; the time depends on their lengths alone.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

#[cfg(test)]
mod tests;
