//! `http`: an API that takes JSON, and webhooks.
//!
//! Never leaves `base_url`: the path that a script gives is joined to it. Never reads a body to decide, unless `success`
//! says what a good one holds.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use crate::command::{Action, Task};
use crate::connectors::client;
use crate::connectors::client::{Answer, Client, Outgoing};
use crate::connectors::egress;
use crate::connectors::redact::Redact;
use crate::connectors::setup::{Key, Kind, Problem, Setup};
use crate::connectors::wording;
use crate::connectors::{Connector, Done, Order, Performing, Trouble, What};
use crate::secret::{Ring, SecretSource};

#[cfg(test)]
mod tests;

pub const KIND: Kind = Kind {
    name: "http",
    about: "An API that takes JSON over HTTP, or a webhook.",
    guide: include_str!("http/guide.md"),
    settings: Settings::json_schema,
    make: |setup| Ok(Box::new(Api::new(setup)?)),
    answers: Some("http"),
    cache: None,
};

/// Headers that belong to the request itself, or hold secrets.
const OWN_HEADERS: [&str; 8] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "idempotency-key",
    "x-hook-event-id",
    "user-agent",
];
const SECRET_HEADERS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where everything goes; the path that a script gives is added to it.
    #[schemars(length(min = 1))]
    base_url: String,
    /// What is presented there; nothing if absent.
    auth: Option<Auth>,
    /// More headers, none of them secret.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// What an answer must hold to count as a good one, for an API that answers 200 to errors, too.
    success: Option<Success>,
    /// PEM file with authorities that are trusted besides those of the system.
    #[schemars(length(min = 1))]
    ca_file: Option<String>,
}

/// What is presented to the API.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
enum Auth {
    /// `Authorization: Bearer …`
    Bearer {
        /// The token.
        bearer: SecretSource,
    },
    /// `Authorization: Basic …`
    Basic {
        /// It holds `user:password`.
        basic: SecretSource,
    },
    /// A header of its own.
    Header {
        /// Name of the header.
        #[schemars(length(min = 1))]
        header: String,
        /// Its whole value.
        value: SecretSource,
    },
}

/// A field that a good answer has.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Success {
    /// Name of the field; dots lead into inner objects.
    #[schemars(length(min = 1))]
    field: String,
    /// What it must be.
    equals: Expected,
}

/// A text, a number, `true` or `false`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Expected {
    Truth(bool),
    Number(i64),
    Text(String),
}

struct Api {
    client: Client,
    base: Url,
    proof: Option<(HeaderName, Scheme, Key)>,
    headers: HeaderMap,
    success: Option<Success>,
}

#[derive(Clone, Copy)]
enum Scheme {
    Bearer,
    Basic,
    Plain,
}

impl Api {
    fn new(setup: &Setup<'_>) -> Result<Self, Vec<Problem>> {
        let settings: Settings = setup.read()?;
        let mut problems = Vec::new();
        let mut keep = |found: Vec<Problem>| problems.extend(found);
        let authorities = client::authorities(setup, settings.ca_file.as_deref()).map_err(&mut keep);
        let proof = settings.auth.as_ref().map(|auth| proof(setup, auth)).transpose().map_err(&mut keep);
        let headers = static_headers(&settings.headers).map_err(&mut keep);
        let client = Client::new(setup, authorities.ok().flatten());
        let base = match settings.auth {
            Some(_) => client::base_of_secret(&settings.base_url, &client),
            None => client::base(&settings.base_url, &client),
        };
        let base = base.map_err(|problem| keep(vec![problem]));
        match (base, proof, headers) {
            (Ok(base), Ok(proof), Ok(headers)) if problems.is_empty() => {
                Ok(Self { client, base, proof, headers, success: settings.success })
            }
            _ => Err(problems),
        }
    }

    /// What goes out, but for the proof.
    fn request(&self, order: &Order) -> Result<Outgoing, Trouble> {
        let post = |body: Value| (http::Method::POST, "", encoded(&body));
        let digest = order.gathered_count > 0;
        let (method, path, body) = match &order.action.task {
            Task::Notify { .. } if digest => post(json!({ "text": wording::digest(order) })),
            Task::Notify { message: message @ Value::Object(_) } => post(message.clone()),
            Task::Notify { message } => post(json!({ "text": wording::text_of(message) })),
            Task::Forward => (http::Method::POST, "", order.event.clone()),
            Task::Request { method, path, body } => {
                let body = if digest { encoded(&wording::bodies(order)) } else { encoded(body) };
                (client::method(*method), path.as_str(), body)
            }
            Task::Email(_) => return Err(Trouble::refused("it sends no mail")),
        };
        let url = egress::join(&self.base, path).map_err(Trouble::refused)?;
        let mut headers = if body.is_empty() { HeaderMap::new() } else { client::json() };
        headers.extend(self.headers.clone());
        Ok(Outgoing { method, url, headers, body })
    }

    async fn send(&self, order: &Order) -> Result<Done, Trouble> {
        let mut request = self.request(order)?;
        let mut redact = Redact::default();
        if let Some((name, scheme, key)) = &self.proof {
            let secret = key.current();
            redact = redact.and(&secret);
            let value = match scheme {
                Scheme::Bearer => [b"Bearer ", secret.expose()].concat(),
                Scheme::Basic => format!("Basic {}", STANDARD.encode(secret.expose())).into_bytes(),
                Scheme::Plain => secret.expose().to_vec(),
            };
            request.headers.insert(name.clone(), client::secret_value(&value)?);
        }
        let answer = self.client.send(order, request).await?;
        let done = answer.judge(&redact)?;
        match &self.success {
            Some(success) => success.judge(&answer, done),
            None => Ok(done),
        }
    }
}

impl Connector for Api {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn check(&self, action: &Action) -> Result<(), String> {
        match &action.task {
            Task::Email(_) => Err("an `http` connector sends no mail: `email` needs one of kind `smtp`".to_owned()),
            Task::Request { path, .. } => egress::join(&self.base, path).map(|_| ()),
            _ => Ok(()),
        }
    }

    fn perform<'a>(&'a self, order: &'a Order) -> Performing<'a> {
        Box::pin(self.send(order))
    }

    fn secrets(&self) -> Vec<std::sync::Arc<Ring>> {
        self.proof.iter().flat_map(|(_, _, key)| key.rings()).collect()
    }
}

impl Success {
    fn judge(&self, answer: &Answer, done: Done) -> Result<Done, Trouble> {
        let status = Some(answer.status);
        if !answer.complete {
            let message = "its answer broke off before it said whether it was done".to_owned();
            return Err(Trouble { what: What::MaybeDelivered, status, message });
        }
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let found = self.field.split('.').try_fold(&body, |value, name| value.get(name));
        if found == Some(&json!(self.equals)) {
            return Ok(done);
        }
        let message = format!(
            "it answered {} without `{}` being {}: {}",
            answer.status,
            self.field,
            json!(self.equals),
            done.note
        );
        Err(Trouble { what: What::Refused, status, message })
    }
}

/// Nothing is sent for nothing.
fn encoded(body: &Value) -> Bytes {
    if body.is_null() { Bytes::new() } else { body.to_string().into() }
}

fn proof(setup: &Setup<'_>, auth: &Auth) -> Result<(HeaderName, Scheme, Key), Vec<Problem>> {
    match auth {
        Auth::Bearer { bearer } => Ok((AUTHORIZATION, Scheme::Bearer, setup.secret("auth.bearer", bearer)?)),
        Auth::Basic { basic } => Ok((AUTHORIZATION, Scheme::Basic, setup.secret("auth.basic", basic)?)),
        Auth::Header { header, value } => {
            let name = HeaderName::from_bytes(header.as_bytes());
            let bad = |_| vec![Problem::bad_value("auth.header", "is not the name of an HTTP header")];
            Ok((name.map_err(bad)?, Scheme::Plain, setup.secret("auth.value", value)?))
        }
    }
}

fn static_headers(written: &BTreeMap<String, String>) -> Result<HeaderMap, Vec<Problem>> {
    let mut headers = HeaderMap::new();
    let mut problems = Vec::new();
    for (name, value) in written {
        let key = format!("headers.{name}");
        let lower = name.to_ascii_lowercase();
        if SECRET_HEADERS.contains(&lower.as_str()) {
            let problem = Problem::bad_value(
                &key,
                format!("`{name}` holds a secret, and a secret is never written into the file"),
            );
            problems.push(problem.help("use `auth`"));
        } else if OWN_HEADERS.contains(&lower.as_str()) {
            problems.push(Problem::bad_value(&key, format!("`{name}` is set by hookgate itself")));
        } else if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        } else {
            problems.push(Problem::bad_value(&key, "is not an HTTP header"));
        }
    }
    if problems.is_empty() { Ok(headers) } else { Err(problems) }
}
