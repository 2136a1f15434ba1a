//! A signed token (RFC 7519, RFC 8725): in `Authorization: Bearer`, as Okta's `OAUTH` channel sends it, or in the body, where
//! the hook says so.
//!
//! Never accepts `none` or a shared-secret algorithm, and never lets the token choose: a key names the algorithms it is for.

mod claims;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::request::Parts;
use jsonwebtoken::Algorithm;

use crate::auth::error::{AuthError, SetupError};
use crate::auth::header::{after_word, only_value};
use crate::auth::jwt::claims::Claims;
use crate::auth::jwt::token::Token;
use crate::auth::keys::{Keys, Lookup};
use crate::auth::{Evidence, GateRules, TokenContent, Verified, seconds_since_epoch};
use hookgate_hooks::proof::TokenPlace;

pub(super) const NAME: &str = "jwt";

const WORD: &str = "Bearer";

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
    pub(crate) audience: Audience,
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
            audience: Audience::Listed(Vec::new()),
            clients: Vec::new(),
            scopes: Vec::new(),
            algorithms: Vec::new(),
            leeway_s: 60,
        }
    }
}

/// Whom a token is for.
#[derive(Clone, Debug)]
pub(crate) enum Audience {
    /// `aud` holds one of them, byte for byte.
    Listed(Vec<String>),
    /// `aud` holds the address that was called: `server.public_url` and the path. A query is no part of it, and a slash at
    /// the end makes no difference.
    CalledAddress,
}

impl Audience {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Listed(audiences) if audiences.iter().all(String::is_empty))
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
        if rules.audience.is_empty() {
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
    /// There is no token, or it is not one that our rules and those of the gate allow.
    pub(super) async fn verify(&self, evidence: &Evidence<'_>, gate: &GateRules) -> Result<Verified, AuthError> {
        let path = evidence.head.uri.path();
        match gate.token.place {
            TokenPlace::Authorization => self.verify_bearer(evidence.head, gate).await,
            TokenPlace::Body => match (evidence.token, evidence.body) {
                (Some(token), _) => self.check(token.as_bytes(), gate, path).await,
                (None, Some(_)) => Err(AuthError::NoToken),
                (None, None) => Err(AuthError::BodyNotRead),
            },
        }
    }

    /// # Errors
    /// `Authorization` is absent, empty, repeated or not Bearer, or the token is not one that the rules allow.
    async fn verify_bearer(&self, head: &Parts, gate: &GateRules) -> Result<Verified, AuthError> {
        let value = only_value(&head.headers, &AUTHORIZATION)?;
        let path = head.uri.path();
        let Some(token) = after_word(value, WORD) else {
            return Err(match self.check(value, gate, path).await {
                Ok(_) => AuthError::SchemeWordMissing { word: WORD },
                Err(_) => AuthError::OtherSchemeWord { word: WORD },
            });
        };
        self.check(token, gate, path).await
    }

    async fn check(&self, token: &[u8], gate: &GateRules, path: &str) -> Result<Verified, AuthError> {
        let token = Token::split(token)?;
        let algorithm = algorithm(&token.header.alg).ok_or(AuthError::AlgorithmNotAllowed)?;
        if !self.algorithms.contains(&algorithm) {
            return Err(AuthError::AlgorithmNotAllowed);
        }
        if !token.header.has_type(gate.token.types) {
            return Err(AuthError::WrongType { expected: gate.token.types.join("` or `") });
        }
        let (claims, json) = token.claims()?;
        if claims.lacks_expiry(gate.token.expiry) {
            return Err(AuthError::TokenMalformed { part: "its claims have no `exp`" });
        }
        // Not believed yet, but whoever names another issuer is refused without asking ours for keys.
        self.check_issuer(&claims)?;
        self.check_signature(&token, algorithm).await?;
        // Only now: what an unsigned token says is nobody's word.
        let label = self.check_claims(&claims, gate, path, seconds_since_epoch())?;
        let content = TokenContent { claims: json, key_id: token.header.kid };
        Ok(Verified { token: Some(Box::new(content)), ..Verified::new(NAME, label) })
    }

    async fn check_signature(&self, token: &Token<'_>, algorithm: Algorithm) -> Result<(), AuthError> {
        let verify = |key: &_| jsonwebtoken::crypto::verify(token.signature, token.message, key, algorithm) == Ok(true);
        match self.keys.lookup(token.header.kid.as_deref(), algorithm, verify).await {
            Lookup::Verified => Ok(()),
            Lookup::Refused => Err(AuthError::BadSignature),
            Lookup::UnknownKey => Err(AuthError::UnknownKey { keys: self.keys.label().to_owned() }),
            Lookup::Unavailable => Err(AuthError::KeysUnavailable { keys: self.keys.label().to_owned() }),
        }
    }

    /// The label of the client; `now` in seconds since 1970.
    fn check_claims(
        &self,
        claims: &Claims,
        gate: &GateRules,
        path: &str,
        now: u64,
    ) -> Result<Option<Arc<str>>, AuthError> {
        claims.check_times(gate.token.expiry, self.rules.leeway_s, now)?;
        self.check_audience(claims, gate, path)?;
        let label = self.check_client(claims)?;
        match self.rules.scopes.iter().find(|scope| !claims.has_scope(scope)) {
            Some(scope) => Err(AuthError::MissingScope { scope: scope.clone() }),
            None => Ok(label),
        }
    }

    fn check_issuer(&self, claims: &Claims) -> Result<(), AuthError> {
        if claims.iss.as_ref() != Some(&self.rules.issuer) {
            return Err(AuthError::WrongIssuer { expected: self.rules.issuer.clone() });
        }
        Ok(())
    }

    fn check_audience(&self, claims: &Claims, gate: &GateRules, path: &str) -> Result<(), AuthError> {
        match &self.rules.audience {
            Audience::Listed(listed) => {
                if claims.has_audience(|given| listed.iter().any(|audience| audience == given)) {
                    return Ok(());
                }
                Err(AuthError::WrongAudience { expected: listed.join("` or `") })
            }
            Audience::CalledAddress => {
                // `check` refuses such a configuration without `public_url`; nobody is let in if one comes here.
                let public_url = gate.public_url.as_deref();
                if public_url.is_some_and(|url| claims.has_audience(|given| is_address(given, url, path))) {
                    return Ok(());
                }
                Err(AuthError::OtherAddress { public_url: public_url.unwrap_or_default().to_owned() })
            }
        }
    }

    fn check_client(&self, claims: &Claims) -> Result<Option<Arc<str>>, AuthError> {
        if self.rules.clients.is_empty() {
            return Ok(None);
        }
        let client = claims.client();
        let position = client.and_then(|client| self.rules.clients.iter().position(|listed| listed == client));
        match position {
            Some(position) => Ok(self.labels.get(position).cloned()),
            None => Err(AuthError::WrongClient { expected: self.rules.clients.join("` or `") }),
        }
    }
}

/// Whether `given` is `url` and then `path`, each with or without a slash at its end.
fn is_address(given: &str, url: &str, path: &str) -> bool {
    let without_slash = |text: &str| -> usize { text.strip_suffix('/').unwrap_or(text).len() };
    given.strip_prefix(url).is_some_and(|rest| rest[..without_slash(rest)] == path[..without_slash(path)])
}

/// The asymmetric algorithm of this name, in exactly this case (RFC 7515, section 4.1.1).
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    ALGORITHMS.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
}

/// For messages: "RS256, RS384, …".
pub(super) fn algorithm_names() -> String {
    ALGORITHMS.map(|(name, _)| name).join(", ")
}
