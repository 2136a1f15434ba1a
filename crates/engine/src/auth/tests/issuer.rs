//! A token issuer for tests: it has keys, shows its key set and signs what it is given.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};

/// An RSA key in PKCS#1 that protects nothing; it is a file because ring cannot make RSA keys.
const RSA: &[u8] = include_bytes!("../../../../../tests/fixtures/rsa.der");

pub(in crate::auth) struct Issuer {
    id: &'static str,
    elliptic: rcgen::KeyPair,
}

impl Issuer {
    pub(in crate::auth) fn new(id: &'static str) -> Self {
        Self { id, elliptic: rcgen::KeyPair::generate().unwrap() }
    }

    /// The P-256 key under the issuer's id.
    pub(in crate::auth) fn elliptic_key(&self) -> Value {
        let point = self.elliptic.public_key_raw();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]));
        json!({"kty": "EC", "crv": "P-256", "kid": self.id, "use": "sig", "x": x, "y": y})
    }

    /// The RSA key under `rsa`.
    pub(in crate::auth) fn rsa_key() -> Value {
        json!({"kty": "RSA", "kid": "rsa", "n": URL_SAFE_NO_PAD.encode(Self::modulus()), "e": "AQAB"})
    }

    /// Where PKCS#1 puts the 256 bytes in a key of 2048 bits.
    pub(in crate::auth) fn modulus() -> &'static [u8] {
        &RSA[12..268]
    }

    pub(in crate::auth) fn jwks(&self) -> String {
        json!({"keys": [self.elliptic_key(), Self::rsa_key()]}).to_string()
    }

    /// A token with the P-256 key and the issuer's id.
    pub(in crate::auth) fn token(&self, claims: &Value) -> String {
        self.sign(&json!({"alg": "ES256", "kid": self.id}), claims)
    }

    /// A token signed as `header.alg` says.
    pub(in crate::auth) fn sign(&self, header: &Value, claims: &Value) -> String {
        let algorithm: Algorithm = header["alg"].as_str().unwrap().parse().unwrap();
        let key = match algorithm {
            Algorithm::ES256 => EncodingKey::from_ec_der(self.elliptic.serialized_der()),
            Algorithm::HS256 => EncodingKey::from_secret(Self::modulus()),
            _ => EncodingKey::from_rsa_der(RSA),
        };
        let message = unsigned(header, claims);
        let signature = crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
        format!("{message}.{signature}")
    }
}

/// Header and claims, joined by a dot.
pub(in crate::auth) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
}
