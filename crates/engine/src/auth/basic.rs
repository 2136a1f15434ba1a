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
use hookgate_model::secret::{Ring, Secret};

pub(super) const NAME: &str = "basic";

const WORD: &str = "Basic";

/// The `user:password` secrets that may call.
#[derive(Debug)]
pub(crate) struct Basic {
    ring: Arc<Ring>,
}

impl Basic {
    /// # Errors
    /// Every secret that is not `user:password`, without control characters.
    pub(crate) fn new(ring: Arc<Ring>) -> Result<Self, Vec<SetupError>> {
        match ring.demand(Box::new(is_login)) {
            Ok(()) => Ok(Self { ring }),
            Err(wrong) => Err(wrong.into_iter().map(|(label, why)| SetupError::Secret { label, why }).collect()),
        }
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
        Ok(Verified::new(NAME, Some(label)))
    }
}

fn is_login(secret: &Secret) -> Result<(), String> {
    let bytes = secret.expose();
    if !bytes.contains(&b':') {
        return Err("must be `user:password`".to_owned());
    }
    // RFC 7617, section 2: neither may hold one, so no caller can send it.
    if bytes.iter().any(u8::is_ascii_control) {
        return Err("holds a line break or another control character, which no user or password may have".to_owned());
    }
    Ok(())
}
