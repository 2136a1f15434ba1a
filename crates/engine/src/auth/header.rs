//! A header that holds one of our secrets, as Okta's `HTTP` channel sends it: byte for byte, with no scheme word added.
//!
//! Never parses the value. On success nothing is allocated.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::auth::Verified;
use crate::auth::error::{AuthError, SetupError};
use crate::auth::signer::Signer;
use hookgate_model::secret::{Ring, Secret};

pub(super) const NAME: &str = "header";

/// Words that people forget to write before a secret, or write once too often.
const WORDS: [&str; 2] = ["Basic", "Bearer"];

/// The header and the secrets that it may hold.
#[derive(Debug)]
pub(crate) struct Header {
    name: HeaderName,
    ring: Arc<Ring>,
}

impl Header {
    /// Any header name, in any case.
    ///
    /// # Errors
    /// A name that no header can have, or secrets that no header can carry: every mistake, not only the first.
    pub(crate) fn new(name: &str, ring: Arc<Ring>) -> Result<Self, Vec<SetupError>> {
        let wrong = ring.demand(Box::new(fits_a_header)).err().unwrap_or_default();
        let mut errors: Vec<_> = wrong.into_iter().map(|(label, why)| SetupError::Secret { label, why }).collect();
        match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) if errors.is_empty() => return Ok(Self { name, ring }),
            Ok(_) => {}
            Err(_) => errors.push(SetupError::HeaderName { name: name.to_owned() }),
        }
        Err(errors)
    }

    /// # Errors
    /// The header is absent, empty or repeated, or its value is none of the secrets.
    pub(super) fn verify(&self, parts: &Parts) -> Result<Verified, AuthError> {
        let given = only_value(&parts.headers, &self.name)?;
        match self.ring.find(given) {
            Some(label) => Ok(Verified::new(NAME, Some(label))),
            None => Err(self.explain(given)),
        }
    }

    /// What signs with the secret of that label, byte for byte; nothing if there is none any more.
    pub(super) fn signer(&self, label: &str) -> Option<Signer> {
        self.ring.labelled(label).map(|secret| Signer::new(Secret::clone(&secret)))
    }

    fn explain(&self, given: &[u8]) -> AuthError {
        let mut error = AuthError::UnknownSecret;
        self.ring.for_each(|_, secret| {
            for word in WORDS {
                if after_word(secret.expose(), word).is_some_and(|rest| equal(rest, given)) {
                    error = AuthError::SchemeWordMissing { word };
                } else if after_word(given, word).is_some_and(|rest| secret.matches(rest)) {
                    error = AuthError::SchemeWordExtra { word };
                }
            }
        });
        error
    }
}

/// What a secret must be that callers present as the whole value of a header.
fn fits_a_header(secret: &Secret) -> Result<(), String> {
    let bytes = secret.expose();
    if HeaderValue::from_bytes(bytes).is_err() {
        return Err("holds a line break or another character that no header can carry".to_owned());
    }
    if bytes.trim_ascii().len() != bytes.len() {
        return Err("begins or ends with a blank, which HTTP strips, so it could never match".to_owned());
    }
    Ok(())
}

fn equal(secret: &[u8], given: &[u8]) -> bool {
    subtle::ConstantTimeEq::ct_eq(secret, given).into()
}

/// The value of a header that must be there exactly once: of two values, a proxy might have checked the other one.
pub(super) fn only_value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a [u8], AuthError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(AuthError::HeaderAbsent { header: name.to_string() }),
        (Some(_), Some(_)) => Err(AuthError::HeaderRepeated { header: name.to_string() }),
        (Some(value), None) if value.is_empty() => Err(AuthError::HeaderEmpty { header: name.to_string() }),
        (Some(value), None) => Ok(value.as_bytes()),
    }
}

/// What follows `word` and its blanks; the word in any case (RFC 9110, section 11.1).
pub(super) fn after_word<'a>(value: &'a [u8], word: &str) -> Option<&'a [u8]> {
    let (first, rest) = value.split_at_checked(word.len())?;
    let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
    (first.eq_ignore_ascii_case(word.as_bytes()) && blanks > 0).then(|| &rest[blanks..])
}
