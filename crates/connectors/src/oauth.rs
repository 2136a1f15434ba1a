//! Access tokens by OAuth2 client credentials (RFC 6749 4.4): who we are is shown by a secret or signed with a private key
//! (RFC 7523), and the token is kept until 80 % of its life are over.
//!
//! However many want a token, one request is made; all of them get what came of it. A token that was got with a secret that
//! has been replaced since is not used again. No proof of possession (DPoP) is made, and nothing is tried twice.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use url::Url;
use url::form_urlencoded;

use crate::Trouble;
use crate::client;
use crate::client::{Client, Outgoing};
use crate::oauth::assertion::Statement;
use crate::redact::Redact;
use crate::setup::Key;
use crate::unsent::Unsent;
use hookgate_model::question::Reason;
use hookgate_model::secret::{Ring, Secret};

pub(crate) mod assertion;
pub(crate) mod refusal;
pub(crate) mod settings;
#[cfg(test)]
mod tests;

/// If nobody says how long a token lives.
const USUAL_LIFE_S: u64 = 3_600;

/// No token is used longer than a day, whatever is said.
const LONGEST_LIFE_S: u64 = 86_400;

const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// What is asked for, and where.
pub(crate) struct Grant {
    pub(crate) token_url: Url,
    pub(crate) client_id: String,
    pub(crate) proof: Proof,
    pub(crate) scope: Option<String>,
    pub(crate) audience: Option<String>,
    /// Who gives tokens, in the words of messages: `Okta`.
    pub(crate) giver: &'static str,
}

/// How we show who we are.
pub(crate) enum Proof {
    /// In the body of the request (`client_secret_post`).
    Secret(Key),
    /// In its head (`client_secret_basic`).
    BasicSecret(Key),
    /// A statement that is signed (`private_key_jwt`).
    Statement(Statement),
}

/// The token of a grant.
pub(crate) struct Tokens {
    grant: Grant,
    state: Mutex<State>,
    /// Held by the one who asks.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    kept: Option<Kept>,
    /// How many requests have ended, and how the last of them did.
    ended: u64,
    last: Option<Result<Arc<Secret>, Unsent>>,
}

struct Kept {
    secret: Arc<Secret>,
    until: Instant,
    /// What it was got with.
    by: Arc<Secret>,
}

/// A token to present.
#[derive(Clone, Debug)]
pub(crate) struct Presented {
    pub(crate) secret: Arc<Secret>,
    /// It was got earlier, so that another one may be taken where this one is not.
    pub(crate) cached: bool,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<u64>,
    token_type: Option<String>,
}

impl Tokens {
    pub(crate) fn new(grant: Grant) -> Self {
        Self { grant, state: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    /// The token that is kept, or a new one.
    ///
    /// # Errors
    /// There is none, and why. Nothing was done with any.
    pub(crate) async fn current(&self, client: &Client) -> Result<Presented, Unsent> {
        let before = {
            let state = self.state();
            if let Some(secret) = self.kept(&state) {
                return Ok(Presented { secret, cached: true });
            }
            state.ended
        };
        let _turn = self.turn.lock().await;
        {
            let state = self.state();
            if let Some(secret) = self.kept(&state) {
                return Ok(Presented { secret, cached: true });
            }
            // Somebody asked while this one waited: what came of that holds for both.
            if let Some(last) = state.last.as_ref().filter(|_| state.ended > before) {
                return last.clone().map(|secret| Presented { secret, cached: false });
            }
        }
        let fetched = self.fetch(client).await;
        let mut state = self.state();
        state.ended += 1;
        state.last = Some(fetched.as_ref().map(|kept| kept.secret.clone()).map_err(Clone::clone));
        let kept = fetched?;
        let secret = kept.secret.clone();
        state.kept = Some(kept);
        Ok(Presented { secret, cached: false })
    }

    /// Drops a token that was refused. Whether trying once more with another one makes sense: this one was not new.
    pub(crate) fn forget(&self, refused: &Presented) -> bool {
        let mut state = self.state();
        if state.kept.as_ref().is_some_and(|kept| Arc::ptr_eq(&kept.secret, &refused.secret)) {
            state.kept = None;
        }
        refused.cached
    }

    /// What must not be told of an answer.
    pub(crate) fn redact(&self) -> Redact {
        let redact = match &self.grant.proof {
            Proof::Secret(key) | Proof::BasicSecret(key) => Redact::default().and(&key.current()),
            Proof::Statement(_) => Redact::default(),
        };
        match &self.state().kept {
            Some(kept) => redact.and(&kept.secret),
            None => redact,
        }
    }

    /// What is to be read again when files change.
    pub(crate) fn rings(&self) -> Vec<Arc<Ring>> {
        let certificate = match &self.grant.proof {
            Proof::Statement(statement) => statement.certificate.as_ref(),
            Proof::Secret(_) | Proof::BasicSecret(_) => None,
        };
        self.grant.proof.key().rings().into_iter().chain(certificate.into_iter().flat_map(Key::rings)).collect()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self, state: &State) -> Option<Arc<Secret>> {
        let current = self.grant.proof.key().current();
        let good = |kept: &&Kept| Instant::now() < kept.until && kept.by.expose() == current.expose();
        state.kept.as_ref().filter(good).map(|kept| kept.secret.clone())
    }

    async fn fetch(&self, client: &Client) -> Result<Kept, Unsent> {
        let grant = &self.grant;
        let by = grant.proof.key().current();
        let asked = Instant::now();
        let answer = client.look(grant.request(&by)?, MAX_ANSWER_BYTES).await.map_err(|trouble| Unsent {
            message: format!("{} gave no token: {}", grant.giver, trouble.message),
            ..Unsent::new(trouble.reason, "")
        })?;
        if answer.status != 200 {
            return Err(refusal::of(grant, &answer, &self.redact()));
        }
        let granted: Granted = serde_json::from_slice(&answer.body).map_err(|_| {
            Unsent::new(
                Reason::BadAnswer,
                format!("{} answered 200 without a token: is it the right address?", grant.giver),
            )
        })?;
        match granted.token_type.as_deref() {
            None => {}
            Some(kind) if kind.eq_ignore_ascii_case("bearer") => {}
            Some(kind) if kind.eq_ignore_ascii_case("dpop") => {
                return Err(Unsent::new(Reason::Denied, refusal::NO_DPOP));
            }
            Some(_) => {
                let text = format!("{} gave a token that is not of the type \"Bearer\"", grant.giver);
                return Err(Unsent::new(Reason::Denied, text));
            }
        }
        if granted.access_token.is_empty() {
            return Err(Unsent::new(Reason::BadAnswer, format!("{} gave an empty token", grant.giver)));
        }
        let life = Duration::from_secs(granted.expires_in.unwrap_or(USUAL_LIFE_S).min(LONGEST_LIFE_S)).mul_f64(0.8);
        Ok(Kept { secret: Arc::new(Secret::new(granted.access_token.into_bytes())), until: asked + life, by })
    }
}

impl Presented {
    /// The value of `Authorization`.
    ///
    /// # Errors
    /// The token has characters that no header can hold.
    pub(crate) fn bearer(&self) -> Result<HeaderValue, Trouble> {
        client::secret_value(&[b"Bearer ", self.secret.expose()].concat())
    }
}

impl Proof {
    fn key(&self) -> &Key {
        match self {
            Self::Secret(key) | Self::BasicSecret(key) => key,
            Self::Statement(statement) => &statement.key,
        }
    }
}

impl Grant {
    fn request(&self, by: &Secret) -> Result<Outgoing, Unsent> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        for (name, value) in [("scope", &self.scope), ("audience", &self.audience)] {
            if let Some(value) = value {
                form.append_pair(name, value);
            }
        }
        let mut headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
            (ACCEPT, HeaderValue::from_static("application/json")),
        ]);
        match &self.proof {
            Proof::Secret(_) => {
                form.append_pair("client_id", &self.client_id);
                form.append_pair("client_secret", &String::from_utf8_lossy(by.expose()));
            }
            Proof::BasicSecret(_) => {
                // Each part in the form of a form before they are put together (RFC 6749 2.3.1).
                let coded = |bytes: &[u8]| form_urlencoded::byte_serialize(bytes).collect::<String>();
                let both = format!("{}:{}", coded(self.client_id.as_bytes()), coded(by.expose()));
                let value = client::secret_value(format!("Basic {}", STANDARD.encode(both)).as_bytes());
                headers.insert(AUTHORIZATION, value.map_err(|trouble| Unsent::new(Reason::Denied, trouble.message))?);
            }
            Proof::Statement(statement) => {
                let signed = statement.sign(&self.client_id, &self.token_url, by);
                form.append_pair("client_id", &self.client_id);
                form.append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
                form.append_pair("client_assertion", &signed.map_err(|text| Unsent::new(Reason::Denied, text))?);
            }
        }
        Ok(Outgoing { method: Method::POST, url: self.token_url.clone(), headers, body: form.finish().into() })
    }
}

/// A number, or a number as a text: both are sent.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates, which is what is wanted")]
    let number = |number: f64| number as u64;
    Ok(value.as_f64().map(number).or_else(|| value.as_str().and_then(|text| text.trim().parse().ok())))
}
