//! `http`: an API that takes JSON, and webhooks; what it answers to questions.
//!
//! Never leaves `base_url`: the path that a script gives is joined to it. Never reads a body to decide, unless `success`
//! or `retry_if` says what it holds. To a question every status is an answer, but for those that are about us (`look`).

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::HeaderMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::client;
use crate::client::identity::Identity;
use crate::client::{Client, Outgoing};
use crate::egress;
use crate::egress::path::check_path;
use crate::http::auth::{Auth, Proof};
use crate::http::verify::Verification;
use crate::predicate;
use crate::predicate::Predicate;
use crate::redact::Redact;
use crate::setting::{Base, Headers, Setting, Traffic};
use crate::setup::{Key, Kind, Problem, Setup};
use crate::wording;
use crate::{Connector, Done, LookingUp, Order, Performing, Probing, Trouble};
use hookgate_model::command::{Action, Task};
use hookgate_model::question::Question;
use hookgate_model::secret::Ring;

pub(super) mod auth;
mod look;
#[cfg(test)]
mod tests;
mod verify;

pub(crate) const KIND: Kind = Kind {
    name: "http",
    about: "An API that takes JSON over HTTP, or a webhook.",
    guide: include_str!("http/guide.md"),
    settings: Settings::json_schema,
    make: |setup| Ok(Box::new(Api::new(setup)?)),
    answers: Some("http"),
    cache: None,
    sends_codes: false,
    proxied: true,
};

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where everything goes; the path that a script gives is added to it. `{ env = … }` or `{ file = … }` where whoever knows
    /// the address may post.
    base_url: Setting,
    /// What is presented there; nothing if absent.
    auth: Option<Auth>,
    /// More headers; a secret one is `{ env = … }` or `{ file = … }`.
    #[serde(default)]
    pub headers: BTreeMap<String, Setting>,
    /// What an answer must hold to count as a good one, for an API that answers 200 to errors, too.
    success: Option<Predicate>,
    /// What an answer holds, whatever its status, if nothing was done and a later try may succeed: a rate limit that is told in the
    /// body of a 200.
    retry_if: Option<Predicate>,
    /// Statuses that count as done besides 2xx: `[404, 410]` where what is to be deleted may be gone already.
    #[serde(default)]
    #[schemars(inner(range(min = 400, max = 499)))]
    also_done: Vec<u16>,
    /// What `http(…).verify` sends, and which answers mean yes and no.
    verify: Option<verify::Settings>,
    /// PEM file with authorities that are trusted besides those of the system.
    #[schemars(length(min = 1))]
    ca_file: Option<String>,
    /// PEM file with the certificate that we show (mutual TLS), and those between it and its authority.
    #[schemars(length(min = 1))]
    client_cert_file: Option<String>,
    /// PEM file with the key of that certificate, not encrypted.
    #[schemars(length(min = 1))]
    client_key_file: Option<String>,
    /// The longest answer to a question; a longer one is none.
    #[serde(default = "one_mebibyte")]
    #[schemars(range(min = 1, max = 16_777_216))]
    max_answer_bytes: usize,
    /// Path below `base_url` that `hookgate check --online` gets, to see that we are let in; without it only a connection is
    /// opened.
    #[schemars(length(min = 1))]
    probe: Option<String>,
}

fn one_mebibyte() -> usize {
    1024 * 1024
}

struct Api {
    client: Client,
    base: Base,
    proof: Proof,
    headers: Headers,
    success: Option<Predicate>,
    retry_if: Option<Predicate>,
    also_done: Vec<u16>,
    verification: Verification,
    max_answer_bytes: usize,
    probe: Option<String>,
}

impl Api {
    fn new(setup: &Setup<'_>) -> Result<Self, Vec<Problem>> {
        let settings: Settings = setup.read()?;
        let mut problems = Vec::new();
        let mut keep = |found: Vec<Problem>| problems.extend(found);
        let authorities = client::authorities(setup, settings.ca_file.as_deref()).map_err(&mut keep);
        let (certificate, key) = (settings.client_cert_file.as_deref(), settings.client_key_file.as_deref());
        let identity = Identity::new(setup, certificate, key).map_err(&mut keep).ok().flatten();
        let client = Client::new(setup, authorities.ok().flatten()).showing(identity);
        let proof = Proof::new(setup, settings.auth.as_ref(), &client).map_err(&mut keep);
        let headers = Headers::new(setup, &settings.headers).map_err(&mut keep);
        let has_secret = settings.headers.values().any(|value| matches!(value, Setting::Secret(_)));
        let written = settings.verify.clone().unwrap_or_default();
        let verification = Verification::new(setup, &written, settings.auth.as_ref()).map_err(&mut keep);
        let sends_secrets = settings.auth.is_some() || settings.verify.is_some() || has_secret;
        let traffic = if sends_secrets { Traffic::Secret } else { Traffic::Plain };
        let base = Base::new(setup, &settings.base_url, &client, traffic).map_err(&mut keep);
        let probe = settings.probe.as_deref().map_or(Ok(()), check_path);
        let probe = probe.map_err(|text| keep(vec![Problem::bad_value("probe", text)]));
        match (base, proof, headers, verification, probe) {
            (Ok(base), Ok(proof), Ok(headers), Ok(verification), Ok(())) if problems.is_empty() => {
                let Settings { success, retry_if, also_done, max_answer_bytes, probe, .. } = settings;
                Ok(Self {
                    client,
                    base,
                    proof,
                    headers,
                    success,
                    retry_if,
                    also_done,
                    verification,
                    max_answer_bytes,
                    probe,
                })
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
            Task::Account(_) => return Err(Trouble::refused("it knows no accounts")),
            Task::Impossible { problem, .. } => return Err(Trouble::refused(problem.as_str())),
        };
        let url = self.url(path).map_err(Trouble::refused)?;
        let mut headers = if body.is_empty() { HeaderMap::new() } else { client::json() };
        self.headers.add_to(&mut headers)?;
        Ok(Outgoing { method, url, headers, body })
    }

    fn url(&self, path: &str) -> Result<Url, String> {
        egress::join(&self.base.current(&self.client)?, path)
    }

    async fn send(&self, order: &Order) -> Result<Done, Trouble> {
        let request = self.request(order)?;
        let mut shown = self.proof.show(&self.client).await?;
        let mut answer = self.client.send(order, shown.on(&request)).await?;
        // A 401 says that nothing was done.
        if answer.status == 401 && self.proof.forget(&shown) {
            shown = self.proof.show(&self.client).await?;
            answer = self.client.send(order, shown.on(&request)).await?;
        }
        if self.also_done.contains(&answer.status) {
            let note = format!("it answered {}, which counts as done", answer.status);
            return Ok(Done { status: Some(answer.status), note });
        }
        predicate::judge(&answer, &self.redact(), self.success.as_ref(), self.retry_if.as_ref())
    }
}

impl Connector for Api {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn check(&self, action: &Action) -> Result<(), String> {
        match &action.task {
            Task::Email(_) => Err("an `http` connector sends no mail: `email` needs one of kind `smtp`".to_owned()),
            Task::Request { path, .. } => check_path(path),
            Task::Account(account) => Err(wording::no_accounts(KIND.name, account.verb)),
            Task::Notify { .. } | Task::Forward => Ok(()),
            Task::Impossible { problem, .. } => Err(problem.clone()),
        }
    }

    fn perform<'a>(&'a self, order: &'a Order) -> Performing<'a> {
        Box::pin(self.send(order))
    }

    fn look_up<'a>(&'a self, question: &'a Question) -> LookingUp<'a> {
        Box::pin(self.answer(question))
    }

    fn probe(&self) -> Option<Probing<'_>> {
        Some(Box::pin(self.probed()))
    }

    fn secrets(&self) -> Vec<std::sync::Arc<Ring>> {
        let own = self.proof.rings().into_iter().chain(self.headers.rings()).chain(self.base.rings());
        own.chain(self.verification.key().into_iter().flat_map(Key::rings)).chain(self.client.rings()).collect()
    }

    fn redact(&self) -> Redact {
        self.base.redact(self.headers.redact(self.verification.redact(self.proof.redact())))
    }
}

/// Nothing is sent for nothing.
fn encoded(body: &Value) -> Bytes {
    if body.is_null() { Bytes::new() } else { body.to_string().into() }
}
