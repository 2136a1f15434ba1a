//! Signing with the secret that let a caller in, without showing it to whoever wants the signature.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use hookgate_hooks::proof::Sign;
use hookgate_model::secret::Secret;

/// Signs with one secret of a route's auth. [`Gate::signer`](crate::auth::Gate::signer) makes it.
#[derive(Debug)]
pub(crate) struct Signer {
    key: Secret,
}

impl Signer {
    pub(super) fn new(key: Secret) -> Self {
        Self { key }
    }
}

impl Sign for Signer {
    fn hmac_sha256(&self, message: &[u8]) -> [u8; 32] {
        hmac_sha256(self.key.expose(), &[message])
    }
}

/// HMAC-SHA256 (RFC 2104) of the parts, one after the other.
pub(super) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
