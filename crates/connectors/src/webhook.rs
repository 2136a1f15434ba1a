//! `webhook`: what a receiver of webhooks can trust, signed by Standard Webhooks 1.0.0 (symmetric: HMAC-SHA256).
//!
//! What is signed are the bytes that go out. Every secret signs, so that one can be replaced without an outage. The id is the same
//! over all tries, the time is that of the try.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;
use url::Url;
use zeroize::Zeroizing;

use crate::client;
use crate::client::{Client, Outgoing};
use crate::egress;
use crate::predicate;
use crate::predicate::Predicate;
use crate::redact::Redact;
use crate::setup::{Key, Kind, Problem, Setup};
use crate::wording;
use crate::{Connector, Done, Order, Performing, Probing, Trouble};
use hookgate_model::command::{Action, Method, Task};
use hookgate_model::secret::{Ring, Secret, SecretSource};

#[cfg(test)]
mod tests;

pub(crate) const KIND: Kind = Kind {
    name: "webhook",
    about: "A receiver of webhooks that are signed by Standard Webhooks.",
    guide: include_str!("webhook/guide.md"),
    settings: Settings::json_schema,
    make: |setup| Ok(Box::new(Webhook::new(setup)?)),
    answers: None,
    cache: None,
    sends_codes: false,
    proxied: true,
};

/// The bytes of a secret (Standard Webhooks, "Signature scheme").
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where everything goes; the path that a script gives is added to it.
    #[schemars(length(min = 1))]
    base_url: String,
    /// Each is `whsec_` and the base64 of 24 to 64 random bytes. Each signs, so that one can be replaced without an outage.
    #[schemars(length(min = 1))]
    secrets: Vec<SecretSource>,
    /// What an answer must hold to count as a good one, for a receiver that answers 200 to errors, too.
    success: Option<Predicate>,
    /// What an answer holds, whatever its status, if nothing was done and a later try may succeed: a rate limit that is told in the
    /// body of a 200.
    retry_if: Option<Predicate>,
    /// PEM file with authorities that are trusted besides those of the system.
    #[schemars(length(min = 1))]
    ca_file: Option<String>,
}

struct Webhook {
    client: Client,
    base: Url,
    secrets: Vec<Key>,
    success: Option<Predicate>,
    retry_if: Option<Predicate>,
}

impl Webhook {
    fn new(setup: &Setup<'_>) -> Result<Self, Vec<Problem>> {
        let settings: Settings = setup.read()?;
        let mut problems = Vec::new();
        let authorities = client::authorities(setup, settings.ca_file.as_deref());
        let authorities = authorities.map_err(|found| problems.extend(found)).ok().flatten();
        let client = Client::new(setup, authorities);
        let base = client::base(&settings.base_url, &client).map_err(|problem| problems.push(problem));
        let mut secrets = Vec::new();
        for (index, written) in settings.secrets.iter().enumerate() {
            match secret(setup, &format!("secrets[{index}]"), written) {
                Ok(key) => secrets.push(key),
                Err(found) => problems.extend(found),
            }
        }
        match base {
            Ok(base) if problems.is_empty() => {
                let Settings { success, retry_if, .. } = settings;
                Ok(Self { client, base, secrets, success, retry_if })
            }
            _ => Err(problems),
        }
    }

    async fn send(&self, order: &Order) -> Result<Done, Trouble> {
        let (path, body) = body(order)?;
        let url = egress::join(&self.base, path).map_err(Trouble::refused)?;
        let secrets: Vec<_> = self.secrets.iter().map(Key::current).collect();
        let mut redact = Redact::default();
        let mut keys = Vec::new();
        for secret in &secrets {
            redact = redact.and(secret);
            let key = key(secret).map_err(|problem| Trouble::refused(format!("one of its `secrets` {problem}")))?;
            // Without its prefix, too.
            redact = redact.and(&Secret::new(key.as_slice()));
            keys.push(key);
        }
        let mut headers = if body.is_empty() { HeaderMap::new() } else { client::json() };
        headers.extend(proof(&keys, &order.key, Timestamp::now().as_second(), &body)?);
        let request = Outgoing { method: http::Method::POST, url, headers, body };
        let answer = self.client.send(order, request).await?;
        let judged = predicate::judge(&answer, &redact, self.success.as_ref(), self.retry_if.as_ref());
        judged.map_err(|trouble| match answer.status {
            410 => Trouble { message: format!("{}; it wants no more webhooks", trouble.message), ..trouble },
            _ => trouble,
        })
    }
}

impl Connector for Webhook {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn check(&self, action: &Action) -> Result<(), String> {
        match &action.task {
            Task::Notify { .. } | Task::Forward => Ok(()),
            Task::Request { method: Method::Post, path, .. } => egress::join(&self.base, path).map(|_| ()),
            Task::Request { .. } => Err(format!(
                "a webhook is a `post`, not a `{}`: other methods need a connector of kind `http`",
                action.name()
            )),
            Task::Account(account) => Err(wording::no_accounts(KIND.name, account.verb)),
            Task::Email(_) => Err("a `webhook` connector sends no mail: `email` needs one of kind `smtp`".to_owned()),
            Task::Impossible { problem, .. } => Err(problem.clone()),
        }
    }

    fn perform<'a>(&'a self, order: &'a Order) -> Performing<'a> {
        Box::pin(self.send(order))
    }

    fn probe(&self) -> Option<Probing<'_>> {
        Some(Box::pin(self.client.probe(&self.base)))
    }

    fn secrets(&self) -> Vec<std::sync::Arc<Ring>> {
        self.secrets.iter().flat_map(Key::rings).collect()
    }
}

/// Where below the address, and what.
fn body(order: &Order) -> Result<(&str, Bytes), Trouble> {
    let digest = order.gathered_count > 0;
    match &order.action.task {
        Task::Notify { .. } if digest => Ok(("", json!({ "text": wording::digest(order) }).to_string().into())),
        Task::Notify { message: message @ Value::Object(_) } => Ok(("", message.to_string().into())),
        Task::Notify { message } => Ok(("", json!({ "text": wording::text_of(message) }).to_string().into())),
        Task::Forward => Ok(("", order.event.clone())),
        Task::Request { method: Method::Post, path, .. } if digest => {
            Ok((path, wording::bodies(order).to_string().into()))
        }
        Task::Request { method: Method::Post, path, body: Value::Null } => Ok((path, Bytes::new())),
        Task::Request { method: Method::Post, path, body } => Ok((path, body.to_string().into())),
        Task::Request { .. } | Task::Email(_) | Task::Account(_) | Task::Impossible { .. } => {
            Err(Trouble::refused("it takes `notify`, `post` and `forward`"))
        }
    }
}

type Bare = Zeroizing<Vec<u8>>;

/// The headers that say who sends this, and when.
fn proof(keys: &[Bare], id: &str, seconds: i64, body: &[u8]) -> Result<HeaderMap, Trouble> {
    let signatures: Vec<String> = keys.iter().map(|key| signature(key, id, seconds, body)).collect();
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", signatures.join(" ")),
    ] {
        let value = HeaderValue::try_from(value);
        let value = value.map_err(|_| Trouble::refused(format!("`{name}` cannot be a header")))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(headers)
}

fn signature(key: &[u8], id: &str, seconds: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(format!("{id}.{seconds}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// The bytes of a secret. The libraries of receivers read the same form and no other.
fn key(secret: &Secret) -> Result<Bare, String> {
    let text = secret.expose().trim_ascii();
    let bare = text.strip_prefix(b"whsec_").unwrap_or(text);
    match STANDARD.decode(bare).map(Zeroizing::new) {
        Ok(key) if SECRET_BYTES.contains(&key.len()) => Ok(key),
        _ => Err("is not `whsec_` and the base64 of 24 to 64 bytes".to_owned()),
    }
}

fn secret(setup: &Setup<'_>, key_of: &str, written: &SecretSource) -> Result<Key, Vec<Problem>> {
    let made = "`echo \"whsec_$(openssl rand -base64 32)\"` makes one";
    if let SecretSource::File { create: true, .. } = written {
        let problem = Problem::bad_value(key_of, "`create = true` makes no secret of Standard Webhooks");
        return Err(vec![problem.help(format!("{made}; the receiver needs it, too"))]);
    }
    let found = setup.secret(key_of, written)?;
    let is_key = |secret: &Secret| key(secret).map(drop);
    found.demand(is_key).map_err(|problem| vec![Problem::bad_value(key_of, problem).help(made)])?;
    Ok(found)
}
