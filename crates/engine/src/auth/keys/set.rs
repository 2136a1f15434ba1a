//! A JSON Web Key Set: the keys in it that can check a signature.
//!
//! Never takes a symmetric key, and one key that is not understood does not spoil the others.

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use crate::auth::jwt::algorithm;
use crate::auth::keys::Lookup;
use hookgate_model::files::fence::{Fence, Purpose};

/// The largest set that is read, in bytes.
pub(super) const MAX_SET_BYTES: usize = 1024 * 1024;

/// Keys that are kept of a set: a token without key id makes us try all of them.
const MAX_KEYS: usize = 64;

const RSA: [Algorithm; 6] =
    [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];

/// At least one key.
pub(super) struct KeySet(Vec<Key>);

struct Key {
    id: Option<String>,
    /// What the key is for, by its kind, curve and `alg`.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Written {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct WrittenKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a file of at most [`MAX_SET_BYTES`]. The error is for the operator.
    pub(super) fn read(file: &str, fence: &Fence) -> Result<Self, String> {
        let bytes = fence.read(file, Purpose::Certificate, MAX_SET_BYTES as u64);
        Self::parse(&bytes.map_err(|error| match error.help() {
            Some(help) => format!("{error}, {help}"),
            None => error.to_string(),
        })?)
    }

    /// Of the keys that fit. The error is for the operator and repeats nothing of the text.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let Ok(written) = serde_json::from_slice::<Written>(json) else {
            return Err("it is not a JSON Web Key Set, an object with a list `keys`".to_owned());
        };
        let keys: Vec<Key> = written.keys.into_iter().filter_map(Key::new).take(MAX_KEYS).collect();
        if keys.is_empty() {
            return Err("it holds no RSA, P-256, P-384 or Ed25519 key for signatures".to_owned());
        }
        Ok(Self(keys))
    }

    pub(super) fn lookup(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        verify: impl Fn(&DecodingKey) -> bool,
    ) -> Lookup {
        let mut found = Lookup::UnknownKey;
        for key in &self.0 {
            let named = id.is_none() || key.id.as_deref() == id;
            if named && key.algorithms.contains(&algorithm) {
                if verify(&key.key) {
                    return Lookup::Verified;
                }
                found = Lookup::Refused;
            }
        }
        found
    }
}

impl Key {
    fn new(written: serde_json::Value) -> Option<Self> {
        let written: WrittenKey = serde_json::from_value(written).ok()?;
        if written.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let (x, y) = (written.x.as_deref(), written.y.as_deref());
        let (mut algorithms, key) = match (written.kty.as_str(), written.crv.as_deref()) {
            ("RSA", _) => {
                (RSA.to_vec(), DecodingKey::from_rsa_components(written.n.as_deref()?, written.e.as_deref()?))
            }
            ("EC", Some("P-256")) => (vec![Algorithm::ES256], DecodingKey::from_ec_components(x?, y?)),
            ("EC", Some("P-384")) => (vec![Algorithm::ES384], DecodingKey::from_ec_components(x?, y?)),
            ("OKP", Some("Ed25519")) => (vec![Algorithm::EdDSA], DecodingKey::from_ed_components(x?)),
            _ => return None,
        };
        if let Some(only) = written.alg {
            algorithms.retain(|one| algorithm(&only) == Some(*one));
        }
        let key = key.ok().filter(|_| !algorithms.is_empty())?;
        Some(Self { id: written.kid, algorithms, key })
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeySet({})", self.0.len())
    }
}
