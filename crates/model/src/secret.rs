//! Bytes that never print and compare in constant time, and where such bytes come from.
//!
//! Nothing here logs. What a [`Source`] says about itself (its [`Source::label`]) names the variable or file, never the value.

pub mod literal;
mod named;
mod ring;
mod source;
#[cfg(test)]
mod tests;
mod written;

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

pub use named::looks_secret;
pub use ring::{Demand, Reloaded, Ring};
pub use source::{Environment, Found, MAX_SECRET_BYTES, SecretError, Source};
pub use written::SecretSource;

/// Bytes that print as `***`, cannot be serialised and are overwritten when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Box<[u8]>>);

impl Secret {
    /// Takes the bytes over. Give a buffer that was never grown: what a `Vec` leaves behind when it grows is not overwritten.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// Whether `given` is this secret. The time it takes depends on the two lengths and on nothing else.
    pub fn matches(&self, given: &[u8]) -> bool {
        self.0.ct_eq(given).into()
    }

    /// The bytes themselves, for whoever must send or hash them. Never for a log, a record or an error.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}
