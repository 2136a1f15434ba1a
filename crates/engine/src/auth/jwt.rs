//! `Authorization: Bearer` with a signed token (RFC 7519, RFC 8725), as Okta's `OAUTH` channel sends it.
//!
//! Never accepts `none` or a shared-secret algorithm, and never lets the token choose: a key names the algorithms it is for.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use http::request::Parts;
use jsonwebtoken::Algorithm;
use serde::Deserialize;

use crate::auth::Verified;
use crate::auth::error::{AuthError, SetupError};
use crate::auth::header::{after_word, only_value};
use crate::auth::keys::{Keys, Lookup};

pub(super) const NAME: &str = "jwt";

const WORD: &str = "Bearer";

/// Longer than any real access token; nothing longer is decoded.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// All are asymmetric: with a shared secret, whoever can check a token could also make one.
const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// What a token must say.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// `iss`, byte for byte.
    pub(crate) issuer: String,
    /// `aud` holds one of them.
    pub(crate) audiences: Vec<String>,
    /// The client is one of them: the first of `cid`, `client_id`, `azp`, `sub` that the token has. Empty: any client.
    pub(crate) clients: Vec<String>,
    /// `scp` or `scope` holds all of them.
    pub(crate) scopes: Vec<String>,
    /// `RS256`, `ES256`, …; empty: every asymmetric one.
    pub(crate) algorithms: Vec<String>,
    /// How many seconds the clocks of issuer and gateway may differ.
    pub(crate) leeway_s: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audiences: Vec::new(),
            clients: Vec::new(),
            scopes: Vec::new(),
            algorithms: Vec::new(),
            leeway_s: 60,
        }
    }
}

/// Tokens of one issuer.
#[derive(Debug)]
pub(crate) struct Jwt {
    rules: Rules,
    algorithms: Vec<Algorithm>,
    /// Of each client in `rules`, for metrics.
    labels: Vec<Arc<str>>,
    keys: Arc<Keys>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Claims {
    exp: f64,
    nbf: Option<f64>,
    iss: Option<String>,
    aud: Option<Texts>,
    cid: Option<String>,
    client_id: Option<String>,
    azp: Option<String>,
    sub: Option<String>,
    scp: Option<Texts>,
    scope: Option<Texts>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Texts {
    fn has(&self, text: &str) -> bool {
        match self {
            Self::One(one) => one == text,
            Self::Many(many) => many.iter().any(|one| one == text),
        }
    }

    /// A text is a list separated by blanks (RFC 6749, section 3.3).
    fn has_word(&self, word: &str) -> bool {
        match self {
            Self::One(one) => one.split(' ').any(|one| one == word),
            Self::Many(_) => self.has(word),
        }
    }
}

impl Jwt {
    /// No network: `keys` fetch themselves when the first token comes, or at [`Keys::start`].
    ///
    /// # Errors
    /// No issuer, no audience, or an algorithm that is not asymmetric: every mistake, not only the first.
    pub(crate) fn new(rules: Rules, keys: Arc<Keys>) -> Result<Self, Vec<SetupError>> {
        let mut errors = Vec::new();
        if rules.issuer.is_empty() {
            errors.push(SetupError::NoIssuer);
        }
        if rules.audiences.iter().all(String::is_empty) {
            errors.push(SetupError::NoAudience);
        }
        let mut algorithms = Vec::new();
        for name in &rules.algorithms {
            match algorithm(name) {
                Some(algorithm) => algorithms.push(algorithm),
                None => errors.push(SetupError::Algorithm { name: name.clone() }),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        if algorithms.is_empty() {
            algorithms = ALGORITHMS.map(|(_, algorithm)| algorithm).to_vec();
        }
        let labels = rules.clients.iter().map(|client| format!("client {client}").into()).collect();
        Ok(Self { rules, algorithms, labels, keys })
    }

    /// # Errors
    /// `Authorization` is absent, empty, repeated or not Bearer, or the token is not one that the rules allow.
    pub(super) async fn verify(&self, parts: &Parts) -> Result<Verified, AuthError> {
        let value = only_value(&parts.headers, &AUTHORIZATION)?;
        let Some(token) = after_word(value, WORD) else {
            return Err(match self.check(value).await {
                Ok(_) => AuthError::SchemeWordMissing { word: WORD },
                Err(_) => AuthError::OtherSchemeWord { word: WORD },
            });
        };
        self.check(token).await
    }

    async fn check(&self, token: &[u8]) -> Result<Verified, AuthError> {
        let token = Token::split(token)?;
        let algorithm = algorithm(&token.header.alg).ok_or(AuthError::AlgorithmNotAllowed)?;
        if !self.algorithms.contains(&algorithm) {
            return Err(AuthError::AlgorithmNotAllowed);
        }
        let claims = token.claims()?;
        // Not believed yet, but whoever names another issuer is refused without asking ours for keys.
        self.check_issuer(&claims)?;
        let verify = |key: &_| jsonwebtoken::crypto::verify(token.signature, token.message, key, algorithm) == Ok(true);
        match self.keys.lookup(token.header.kid.as_deref(), algorithm, verify).await {
            Lookup::Verified => {}
            Lookup::Refused => return Err(AuthError::BadSignature),
            Lookup::UnknownKey => return Err(AuthError::UnknownKey { keys: self.keys.label().to_owned() }),
            Lookup::Unavailable => return Err(AuthError::KeysUnavailable { keys: self.keys.label().to_owned() }),
        }
        // Only now: what an unsigned token says is nobody's word.
        let label = self.check_claims(&claims, seconds_since_epoch())?;
        Ok(Verified { auth: None, scheme: NAME, secret: label, before: None })
    }

    /// The label of the client; `now` in seconds since 1970.
    fn check_claims(&self, claims: &Claims, now: u64) -> Result<Option<Arc<str>>, AuthError> {
        // A float becomes the nearest whole number that there is, so no date can overflow.
        let (expires, begins) = (claims.exp as u64, claims.nbf.unwrap_or(0.0).ceil() as u64);
        if now > expires.saturating_add(self.rules.leeway_s) {
            return Err(AuthError::Expired { seconds: now - expires });
        }
        if begins > now.saturating_add(self.rules.leeway_s) {
            return Err(AuthError::NotYetValid { seconds: begins - now });
        }
        let is_ours = |audience: &String| claims.aud.as_ref().is_some_and(|given| given.has(audience));
        if !self.rules.audiences.iter().any(is_ours) {
            return Err(AuthError::WrongAudience { expected: self.rules.audiences.join("` or `") });
        }
        let label = self.check_client(claims)?;
        for scope in &self.rules.scopes {
            if ![&claims.scp, &claims.scope].into_iter().flatten().any(|given| given.has_word(scope)) {
                return Err(AuthError::MissingScope { scope: scope.clone() });
            }
        }
        Ok(label)
    }

    fn check_issuer(&self, claims: &Claims) -> Result<(), AuthError> {
        if claims.iss.as_ref() != Some(&self.rules.issuer) {
            return Err(AuthError::WrongIssuer { expected: self.rules.issuer.clone() });
        }
        Ok(())
    }

    fn check_client(&self, claims: &Claims) -> Result<Option<Arc<str>>, AuthError> {
        if self.rules.clients.is_empty() {
            return Ok(None);
        }
        // The first one that is there decides: a `sub` beside a `cid` is a user, whatever its name.
        let client = [&claims.cid, &claims.client_id, &claims.azp, &claims.sub].into_iter().flatten().next();
        let position = client.and_then(|client| self.rules.clients.iter().position(|listed| listed == client));
        match position {
            Some(position) => Ok(self.labels.get(position).cloned()),
            None => Err(AuthError::WrongClient { expected: self.rules.clients.join("` or `") }),
        }
    }
}

/// A token taken apart, nothing of it believed yet.
struct Token<'a> {
    header: Header,
    payload: &'a str,
    /// What the signature is over.
    message: &'a [u8],
    signature: &'a str,
}

impl<'a> Token<'a> {
    fn split(token: &'a [u8]) -> Result<Self, AuthError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::TokenMalformed { part: "it is longer than 16 KiB" });
        }
        let not_three = AuthError::TokenMalformed { part: "it is not three parts joined by dots" };
        let token = std::str::from_utf8(token).map_err(|_| not_three.clone())?;
        let parts: Vec<&str> = token.split('.').collect();
        let &[header, payload, signature] = parts.as_slice() else { return Err(not_three) };
        let header: Header = part(header, "its header is not base64url of a JSON object with `alg`")?;
        if header.crit.is_some() {
            // RFC 7515, section 4.1.11: what is critical and not understood must be refused, and we understand none.
            return Err(AuthError::TokenMalformed { part: "its header has `crit`" });
        }
        let message = &token.as_bytes()[..token.len() - signature.len() - 1];
        Ok(Self { header, payload, message, signature })
    }

    fn claims(&self) -> Result<Claims, AuthError> {
        part(self.payload, "its claims are not base64url of a JSON object with `exp` and the usual types")
    }
}

fn part<T: serde::de::DeserializeOwned>(encoded: &str, wrong: &'static str) -> Result<T, AuthError> {
    let malformed = AuthError::TokenMalformed { part: wrong };
    let json = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| malformed.clone())?;
    serde_json::from_slice(&json).map_err(|_| malformed)
}

/// The asymmetric algorithm of this name, in exactly this case (RFC 7515, section 4.1.1).
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    ALGORITHMS.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
}

/// For messages: "RS256, RS384, …".
pub(super) fn algorithm_names() -> String {
    ALGORITHMS.map(|(name, _)| name).join(", ")
}

fn seconds_since_epoch() -> u64 {
    // A clock before 1970 makes every token look unexpired, so it counts as the end of time instead.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |passed| passed.as_secs())
}

#[cfg(test)]
mod tests;
