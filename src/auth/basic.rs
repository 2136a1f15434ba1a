//! `Authorization: Basic base64(user:password)` (RFC 7617).
//!
//! Never splits the credentials: `user:password` as a whole is one of our secrets or it is not.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::request::Parts;
use zeroize::Zeroizing;

use crate::auth::Verified;
use crate::auth::error::{AuthError, SetupError};
use crate::auth::header::{after_word, only_value};
use crate::secret::Ring;

pub(super) const NAME: &str = "basic";

const WORD: &str = "Basic";

/// The `user:password` secrets that may call.
#[derive(Debug)]
pub struct Basic {
    ring: Arc<Ring>,
}

impl Basic {
    /// # Errors
    /// Every secret that is not `user:password`.
    pub fn new(ring: Arc<Ring>) -> Result<Self, Vec<SetupError>> {
        let mut errors = Vec::new();
        ring.for_each(|label, secret| {
            if !secret.expose().contains(&b':') {
                errors.push(SetupError::NotUserPassword { label: label.to_owned() });
            }
        });
        if errors.is_empty() { Ok(Self { ring }) } else { Err(errors) }
    }

    /// # Errors
    /// `Authorization` is absent, empty, repeated or not Basic, or the credentials are malformed or unknown.
    pub(super) fn verify(&self, parts: &Parts) -> Result<Verified, AuthError> {
        let value = only_value(&parts.headers, &AUTHORIZATION)?;
        let Some(encoded) = after_word(value, WORD) else {
            return Err(match self.check(value) {
                Ok(_) => AuthError::SchemeWordMissing { word: WORD },
                Err(_) => AuthError::OtherSchemeWord { word: WORD },
            });
        };
        self.check(encoded)
    }

    fn check(&self, encoded: &[u8]) -> Result<Verified, AuthError> {
        // The whole size at once, so that no copy of the password is left in a buffer that was outgrown.
        let mut decoded = Zeroizing::new(vec![0; base64::decoded_len_estimate(encoded.len())]);
        let length = STANDARD.decode_slice(encoded, &mut decoded).map_err(|_| AuthError::NotBase64)?;
        let credentials = &decoded[..length];
        if !credentials.contains(&b':') {
            return Err(AuthError::NotUserPassword);
        }
        let label = self.ring.find(credentials).ok_or(AuthError::UnknownSecret)?;
        Ok(Verified { auth: None, scheme: NAME, secret: Some(label) })
    }
}
