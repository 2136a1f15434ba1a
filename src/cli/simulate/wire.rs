//! How a call's JSON becomes an HTTP request: the only place that does it.

use std::path::Path;

use anyhow::{Context, Result, bail};
use http::{HeaderValue, header::HeaderName};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::Value;
use uuid::Uuid;

use hookgate_engine::auth::standard_webhooks;
use hookgate_hooks::Hook;
use hookgate_hooks::envelope::SealedCall;
use hookgate_model::secret::Secret;

/// The header by which Standard Webhooks names a call.
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");

/// Makes requests of calls, and signs in them what their provider would sign.
pub(super) struct Sealer {
    hook: &'static Hook,
    /// Signs the tokens of calls.
    key: Option<TokenKey>,
    /// Signs their bodies.
    webhook: Option<Secret>,
}

/// A private key of our own, in the provider's place.
pub(super) struct TokenKey {
    algorithm: Algorithm,
    key: EncodingKey,
    id: Option<String>,
}

impl Sealer {
    pub(super) fn new(hook: &'static Hook, key: Option<TokenKey>, webhook: Option<Secret>) -> Self {
        Self { hook, key, webhook }
    }

    /// What is posted for a call, beside the headers that every call of the provider has.
    ///
    /// # Errors
    /// The call cannot stand in such a request, or what it needs signed cannot be signed.
    pub(super) fn seal(&self, call: &Value) -> Result<SealedCall> {
        let sealed = self.hook.envelope.seal(call, &|claims| self.token(claims));
        let mut sealed = sealed.map_err(|problem| anyhow::anyhow!("{problem}"))?;
        let Some(secret) = &self.webhook else { return Ok(sealed) };
        let id = sealed.headers.get(&WEBHOOK_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
        let id = id.unwrap_or_else(|| format!("msg_{}", Uuid::new_v4().simple()));
        let signed = standard_webhooks::sign(secret, &id, Timestamp::now().as_second(), &sealed.body);
        for (name, value) in signed.map_err(|problem| anyhow::anyhow!("the secret of its auth {problem}"))? {
            sealed.headers.insert(name, HeaderValue::try_from(value)?);
        }
        Ok(sealed)
    }

    fn token(&self, claims: &Value) -> Result<String, String> {
        let missing = "the call carries a signed token: give the private key of its issuer with --key FILE";
        let TokenKey { algorithm, key, id } = self.key.as_ref().ok_or(missing)?;
        let typ = self.hook.token.types.first().map_or("JWT", |typ| typ).to_owned();
        let header = Header { typ: Some(typ), kid: id.clone(), ..Header::new(*algorithm) };
        jsonwebtoken::encode(&header, claims, key).map_err(|error| format!("the token cannot be signed: {error}"))
    }
}

impl TokenKey {
    /// The private key in a file: PEM, of RSA, of EC on P-256, or of Ed25519.
    ///
    /// # Errors
    /// It cannot be read, or is none of these.
    pub(super) fn read(file: &Path, id: Option<String>) -> Result<Self> {
        let pem = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
        let rsa = EncodingKey::from_rsa_pem(&pem).map(|key| (Algorithm::RS256, key));
        let key = rsa.or_else(|_| EncodingKey::from_ec_pem(&pem).map(|key| (Algorithm::ES256, key)));
        let Ok((algorithm, key)) = key.or_else(|_| EncodingKey::from_ed_pem(&pem).map(|key| (Algorithm::EdDSA, key)))
        else {
            bail!("{} holds no private key in PEM form of RSA, of EC on P-256, or of Ed25519", file.display());
        };
        Ok(Self { algorithm, key, id })
    }
}
