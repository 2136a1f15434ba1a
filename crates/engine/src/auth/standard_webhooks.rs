//! A signature over the body, by Standard Webhooks 1.0.0 (`spec/standard-webhooks.md` of the repository of that name): the
//! symmetric version `v1`, HMAC-SHA256 over `{id}.{timestamp}.{body}`.
//!
//! Never reads the body as anything but bytes. Signatures of other versions are skipped. What the headers alone show to be
//! wrong is refused before a body is read.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::auth::error::{AuthError, SetupError};
use crate::auth::header::only_value;
use crate::auth::signer::{Signer, hmac_sha256};
use crate::auth::{Evidence, Verified, seconds_since_epoch};
use hookgate_model::secret::{Ring, Secret};

pub(super) const NAME: &str = "standard_webhooks";

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// How a secret begins when it is shown to people.
const SECRET_PREFIX: &[u8] = b"whsec_";

/// A shorter secret may be guessed, and the specification allows none.
const SHORTEST_KEY_BYTES: usize = 24;

/// 32 bytes in base64.
const SIGNATURE_CHARS: usize = 44;

/// The secrets that sign, and how far the clocks may differ.
#[derive(Debug)]
pub(crate) struct StandardWebhooks {
    ring: Arc<Ring>,
    tolerance_s: u64,
}

/// What the headers of one call say.
struct SignedHead<'a> {
    id: &'a [u8],
    timestamp: &'a [u8],
    signatures: &'a [u8],
}

impl StandardWebhooks {
    /// `tolerance_s` is how many seconds the time of a call may be from ours, in both directions.
    ///
    /// # Errors
    /// Every secret that is not `whsec_` and the base64 of 24 bytes or more.
    pub(crate) fn new(ring: Arc<Ring>, tolerance_s: u64) -> Result<Self, Vec<SetupError>> {
        match ring.demand(Box::new(is_key)) {
            Ok(()) => Ok(Self { ring, tolerance_s }),
            Err(wrong) => Err(wrong.into_iter().map(|(label, why)| SetupError::Secret { label, why }).collect()),
        }
    }

    /// # Errors
    /// A header is absent, repeated or malformed, the time is too far from ours, or no signature is that of a secret.
    pub(super) fn verify(&self, evidence: &Evidence<'_>) -> Result<Verified, AuthError> {
        self.verify_at(evidence, seconds_since_epoch())
    }

    /// `now` in seconds since 1970.
    fn verify_at(&self, evidence: &Evidence<'_>, now: u64) -> Result<Verified, AuthError> {
        let head = SignedHead::of(&evidence.head.headers)?;
        self.check_time(head.timestamp, now)?;
        let body = evidence.body.ok_or(AuthError::BodyNotRead)?;
        let label = self.ring.find_by(|secret| is_signed(&head, body, secret)).ok_or(AuthError::WrongSignature)?;
        Ok(Verified::new(NAME, Some(label)))
    }

    fn check_time(&self, timestamp: &[u8], now: u64) -> Result<(), AuthError> {
        let is_number = !timestamp.is_empty() && timestamp.iter().all(u8::is_ascii_digit);
        let sent = std::str::from_utf8(timestamp).ok().filter(|_| is_number).and_then(|text| text.parse::<u64>().ok());
        let sent = sent.ok_or_else(|| AuthError::TimestampMalformed { header: TIMESTAMP.to_string() })?;
        if now.saturating_sub(sent) > self.tolerance_s {
            return Err(AuthError::SentTooLongAgo { seconds: now - sent });
        }
        if sent.saturating_sub(now) > self.tolerance_s {
            return Err(AuthError::SentInTheFuture { seconds: sent - now });
        }
        Ok(())
    }

    /// What signs with the secret of that label; nothing if there is none any more.
    pub(super) fn signer(&self, label: &str) -> Option<Signer> {
        let key = decoded(self.ring.labelled(label)?.expose()).ok()?;
        Some(Signer::new(Secret::new(key.as_slice())))
    }
}

impl<'a> SignedHead<'a> {
    fn of(headers: &'a HeaderMap) -> Result<Self, AuthError> {
        let id = only_value(headers, &ID)?;
        let timestamp = only_value(headers, &TIMESTAMP)?;
        let signatures = only_value(headers, &SIGNATURE)?;
        // A dot would let a part of the id be taken for the time, or a part of the body for the id ("Webhook metadata").
        if id.contains(&b'.') {
            return Err(AuthError::DotInId { header: ID.to_string() });
        }
        let head = Self { id, timestamp, signatures };
        if head.entries().next().is_none() {
            return Err(AuthError::NoSignature { header: SIGNATURE.to_string() });
        }
        if head.signatures().next().is_none() {
            return Err(AuthError::SignatureMalformed);
        }
        Ok(head)
    }

    /// What stands after `v1,` in each entry of that version. A comma at the end of an entry does not count: there are
    /// senders that separate entries with a comma and a blank.
    fn entries(&self) -> impl Iterator<Item = &'a [u8]> {
        let entries = self.signatures.split(|byte| *byte == b' ');
        entries.filter_map(|entry| entry.strip_prefix(b"v1,")).map(|entry| entry.strip_suffix(b",").unwrap_or(entry))
    }

    fn signatures(&self) -> impl Iterator<Item = [u8; 32]> {
        self.entries().filter(|encoded| encoded.len() == SIGNATURE_CHARS).filter_map(|encoded| {
            let mut bytes = [0; 33];
            match STANDARD.decode_slice(encoded, &mut bytes) {
                Ok(32) => bytes[..32].try_into().ok(),
                _ => None,
            }
        })
    }
}

/// The headers of a call that this secret signs, for who plays the sender: id, time in seconds since 1970, signature.
///
/// # Errors
/// The secret is not `whsec_` and the base64 of 24 bytes or more.
pub fn sign(secret: &Secret, id: &str, seconds: i64, body: &[u8]) -> Result<[(HeaderName, String); 3], String> {
    let key = decoded(secret.expose())?;
    let time = seconds.to_string();
    let code = hmac_sha256(&key, &[id.as_bytes(), b".", time.as_bytes(), b".", body]);
    Ok([(ID, id.to_owned()), (TIMESTAMP, time), (SIGNATURE, format!("v1,{}", STANDARD.encode(code)))])
}

/// Whether one of the signatures is that of the secret over head and body.
fn is_signed(head: &SignedHead<'_>, body: &[u8], secret: &Secret) -> bool {
    let Ok(key) = decoded(secret.expose()) else { return false };
    let expected = hmac_sha256(&key, &[head.id, b".", head.timestamp, b".", body]);
    head.signatures().any(|given| given.ct_eq(&expected).into())
}

/// What a secret must be.
fn is_key(secret: &Secret) -> Result<(), String> {
    decoded(secret.expose()).map(drop)
}

/// The key in a secret, or why it is none.
fn decoded(secret: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
    let encoded =
        secret.strip_prefix(SECRET_PREFIX).ok_or("does not begin with `whsec_`: write it as the sender shows it")?;
    // The whole size at once, so that no copy of the key is left in a buffer that was outgrown.
    let mut key = Zeroizing::new(vec![0; base64::decoded_len_estimate(encoded.len())]);
    let length = STANDARD.decode_slice(encoded, &mut key);
    let length = length.map_err(|_| "is not base64 after `whsec_`: write it as the sender shows it")?;
    key.truncate(length);
    if length < SHORTEST_KEY_BYTES {
        return Err(format!("has {length} bytes after `whsec_`, and {SHORTEST_KEY_BYTES} are the least"));
    }
    Ok(key)
}

#[cfg(test)]
mod tests;
