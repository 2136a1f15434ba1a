//! A client says who it is, signed with its private key (RFC 7523 2.2).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;
use sha2::{Digest, Sha256};
use url::Url;

use crate::setup::{Key, Problem};
use hookgate_model::secret::Secret;

/// How long a statement is good.
const LIFE_S: i64 = 300;

/// The key that signs, and how its other half is found.
pub(crate) struct Statement {
    pub(crate) key: Key,
    pub(crate) key_id: Option<String>,
    /// The certificate that the key belongs to, where the key is found by it (Entra ID): asks for PS256 in place of RS256.
    pub(crate) certificate: Option<Key>,
}

impl Statement {
    /// A token of who we are, for one request to `audience`.
    ///
    /// # Errors
    /// The key is none any more; for people.
    pub(crate) fn sign(&self, client_id: &str, audience: &Url, key: &Secret) -> Result<String, String> {
        let (algorithm, key) = signer(key).ok_or("`private_key` is no longer a private key in PEM form")?;
        let found_by = self.certificate.as_ref().map(|certificate| thumbprint(certificate.current().expose()));
        let (algorithm, x5t_s256) = match (algorithm, found_by) {
            (algorithm, None) => (algorithm, None),
            (_, Some(None)) => return Err("`certificate_file` no longer holds a certificate in PEM form".to_owned()),
            (Algorithm::RS256, Some(thumbprint)) => (Algorithm::PS256, thumbprint),
            (algorithm, Some(thumbprint)) => (algorithm, thumbprint),
        };
        let now = Timestamp::now().as_second();
        let claims = json!({
            "iss": client_id, "sub": client_id, "aud": audience.as_str(),
            "iat": now, "exp": now + LIFE_S, "jti": uuid::Uuid::new_v4().to_string(),
        });
        let header = Header { kid: self.key_id.clone(), x5t_s256, ..Header::new(algorithm) };
        jsonwebtoken::encode(&header, &claims, &key)
            .map_err(|_| "`private_key` cannot sign: is it a whole RSA or P-256 key?".to_owned())
    }
}

/// Whether a private key can sign; an empty one is a secret that was not looked for.
///
/// # Errors
/// It is none, under the key of the settings that names it.
pub(crate) fn check(name: &str, key: &Key) -> Result<(), Vec<Problem>> {
    let can_sign = |secret: &Secret| match signer(secret) {
        Some(_) => Ok(()),
        None if is_encrypted(secret) => {
            Err("is encrypted: write the key into the file as it is, for example with `openssl pkey -in old -out new`"
                .to_owned())
        }
        None => Err("is no private key in PEM form (RSA, or EC on P-256)".to_owned()),
    };
    let problem = |message| vec![Problem { code: "config/secret", ..Problem::bad_value(name, message) }];
    key.demand(can_sign).map_err(problem)
}

/// Whether a key in PEM form needs a password, which nobody is there to give.
pub(crate) fn is_encrypted(pem: &Secret) -> bool {
    let text = String::from_utf8_lossy(pem.expose());
    text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
}

/// What a certificate is found by: the SHA-256 of it in base64url (RFC 7515 4.1.8). Of several in a file, the first.
pub(crate) fn thumbprint(pem: &[u8]) -> Option<String> {
    let certificate = CertificateDer::pem_slice_iter(pem).next()?.ok()?;
    Some(URL_SAFE_NO_PAD.encode(Sha256::digest(&certificate)))
}

fn signer(key: &Secret) -> Option<(Algorithm, EncodingKey)> {
    let rsa = EncodingKey::from_rsa_pem(key.expose()).map(|key| (Algorithm::RS256, key));
    rsa.or_else(|_| EncodingKey::from_ec_pem(key.expose()).map(|key| (Algorithm::ES256, key))).ok()
}
