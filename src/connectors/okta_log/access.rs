//! What is presented to the org: an API token, or an access token that a service app gets with its private key.
//!
//! An access token is kept until 80 % of its life are over; no proof of possession (DPoP) is made.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::connectors::client;
use crate::connectors::client::{Answer, Client, Outgoing};
use crate::connectors::okta_log::{Settings, share};
use crate::connectors::redact::Redact;
use crate::connectors::setup::{Key, Problem, Setup};
use crate::connectors::{Trouble, What};
use crate::secret::{Ring, Secret};

/// All that is asked for.
const SCOPE: &str = "okta.logs.read";

/// How long the app's own statement is good.
const ASSERTION_S: i64 = 300;

/// If the org does not say how long a token lives.
const USUAL_LIFE_S: u64 = 3_600;

const MAX_TOKEN_ANSWER: usize = 64 * 1024;

pub(super) enum Access {
    Token(Key),
    App(App),
}

pub(super) struct App {
    client_id: String,
    key_id: Option<String>,
    key: Key,
    address: Url,
    token: Mutex<Option<Token>>,
}

struct Token {
    secret: Arc<Secret>,
    until: Instant,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<u64>,
    token_type: Option<String>,
}

impl Access {
    pub(super) fn new(setup: &Setup<'_>, settings: &Settings<'_>, org: &Url) -> Result<Self, Vec<Problem>> {
        match (settings.token, settings.client_id, settings.private_key) {
            (Some(token), _, _) => Ok(Self::Token(setup.secret("token", token)?)),
            (None, Some(client_id), Some(private_key)) => {
                let key = setup.secret("private_key", private_key)?;
                let current = key.current();
                if !current.expose().is_empty() && signer(&current).is_none() {
                    let message = "is no private key in PEM form (RSA, or EC on P-256)";
                    return Err(vec![Problem { code: "config/secret", ..Problem::bad_value("private_key", message) }]);
                }
                let mut address = org.clone();
                address.set_path("/oauth2/v1/token");
                let (client_id, key_id) = (client_id.to_owned(), settings.key_id.map(str::to_owned));
                Ok(Self::App(App { client_id, key_id, key, address, token: Mutex::default() }))
            }
            _ => Err(vec![Problem::missing("token", "`token` is missing, or `client_id` and `private_key`")]),
        }
    }

    /// The value of `Authorization`.
    pub(super) async fn proof(&self, client: &Client) -> Result<HeaderValue, Trouble> {
        match self {
            Self::Token(key) => client::secret_value(&[b"SSWS ", key.current().expose()].concat()),
            Self::App(app) => {
                let token = match app.kept() {
                    Some(token) => token,
                    None => app.fetch(client).await?,
                };
                client::secret_value(&[b"Bearer ", token.expose()].concat())
            }
        }
    }

    /// Drops a token that was refused. Whether asking with another one makes sense.
    pub(super) fn forget(&self) -> bool {
        match self {
            Self::Token(_) => false,
            Self::App(app) => app.keep(None).is_some(),
        }
    }

    pub(super) fn redact(&self) -> Redact {
        match self {
            Self::Token(key) => Redact::default().and(&key.current()),
            Self::App(app) => app.kept().map_or_else(Redact::default, |token| Redact::default().and(&token)),
        }
    }

    /// What to do about a 401.
    pub(super) fn mend(&self) -> &'static str {
        match self {
            Self::Token(_) => {
                "the API token is wrong, expired or revoked; make a new one and put it where `token` says"
            }
            Self::App(_) => "it does not take the access token that it gave the app; is the app active?",
        }
    }

    /// What to do about a 403.
    pub(super) fn permit(&self) -> &'static str {
        match self {
            Self::Token(_) => {
                "the token may not read the System Log; make it as an administrator with the role \"Read Only\""
            }
            Self::App(_) => "the app may not read the System Log; grant it `okta.logs.read` and an administrator role",
        }
    }

    pub(super) fn secrets(&self) -> Vec<Arc<Ring>> {
        match self {
            Self::Token(key) => key.rings(),
            Self::App(app) => app.key.rings(),
        }
    }
}

impl App {
    fn kept(&self) -> Option<Arc<Secret>> {
        let kept = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|token| Instant::now() < token.until).map(|token| token.secret.clone())
    }

    /// What was kept before.
    fn keep(&self, token: Option<Token>) -> Option<Token> {
        std::mem::replace(&mut *self.token.lock().unwrap_or_else(PoisonError::into_inner), token)
    }

    async fn fetch(&self, client: &Client) -> Result<Arc<Secret>, Trouble> {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("scope", SCOPE)
            .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
            .append_pair("client_assertion", &self.assertion()?)
            .finish();
        let headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
            (ACCEPT, HeaderValue::from_static("application/json")),
        ]);
        let request = Outgoing { method: Method::POST, url: self.address.clone(), headers, body: form.into() };
        let answer = client.ask(request, MAX_TOKEN_ANSWER).await?;
        if answer.status != 200 {
            return Err(no_token(&answer));
        }
        let granted: Granted = serde_json::from_slice(&answer.body)
            .map_err(|_| Trouble::refused("Okta answered 200 to the app without a token: is `org_url` an org?"))?;
        if granted.token_type.as_deref().is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err(Trouble::refused(NO_DPOP));
        }
        let secret = Arc::new(Secret::new(granted.access_token.into_bytes()));
        let life = Duration::from_secs(granted.expires_in.unwrap_or(USUAL_LIFE_S).min(86_400)).mul_f64(0.8);
        self.keep(Some(Token { secret: secret.clone(), until: Instant::now() + life }));
        Ok(secret)
    }

    /// The app says who it is, signed with its key.
    fn assertion(&self) -> Result<String, Trouble> {
        let current = self.key.current();
        let (algorithm, key) =
            signer(&current).ok_or_else(|| Trouble::refused("`private_key` is no longer a private key in PEM form"))?;
        let now = Timestamp::now().as_second();
        let claims = json!({
            "iss": self.client_id, "sub": self.client_id, "aud": self.address.as_str(),
            "iat": now, "exp": now + ASSERTION_S, "jti": uuid::Uuid::new_v4().to_string(),
        });
        let header = Header { kid: self.key_id.clone(), ..Header::new(algorithm) };
        jsonwebtoken::encode(&header, &claims, &key)
            .map_err(|_| Trouble::refused("`private_key` cannot sign: is it a whole RSA or P-256 key?"))
    }
}

const NO_DPOP: &str = "the app must prove possession of its tokens (DPoP), which the gateway does not: turn off \"Require \
                       Demonstrating Proof of Possession\" in the app";

fn signer(key: &Secret) -> Option<(Algorithm, EncodingKey)> {
    let rsa = EncodingKey::from_rsa_pem(key.expose()).map(|key| (Algorithm::RS256, key));
    rsa.or_else(|_| EncodingKey::from_ec_pem(key.expose()).map(|key| (Algorithm::ES256, key))).ok()
}

/// Why the app got no token, and what to do.
fn no_token(answer: &Answer) -> Trouble {
    let said = answer.said(&Redact::default());
    let status = answer.status;
    let (what, advice) = match status {
        429 => {
            let wait = share::until_reset(&answer.headers).or(answer.retry_after).unwrap_or(share::UNKNOWN_RESET);
            (What::NotDelivered { retry_after: Some(wait) }, "the org's rate limit is used up")
        }
        500.. => (What::NotDelivered { retry_after: answer.retry_after }, "no token"),
        _ if said.contains("dpop") => (What::Refused, NO_DPOP),
        _ if said.contains("invalid_scope") => (What::Refused, "grant the app the scope `okta.logs.read`"),
        _ => (What::Refused, "`client_id`, `private_key` and `key_id` must be those of the app"),
    };
    let message = format!("Okta answered {status} when the app asked for a token: {advice} (it said: {said})");
    Trouble { what, status: Some(status), message }
}
