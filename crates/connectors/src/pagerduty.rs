//! `pagerduty`: alerts for people on call, by the Events API v2 (contract: downstream actions, section 1).
//!
//! The routing key is a secret that travels in the body; an action never holds it. Each action has a `dedup_key` of its own that
//! stays the same over all tries, so a repeated try pages nobody twice.

use http::Method;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use crate::client;
use crate::client::{Answer, Client, Outgoing};
use crate::egress;
use crate::pagerduty::alert::Alert;
use crate::redact::Redact;
use crate::setup::{Key, Kind, Problem, Setup};
use crate::wording;
use crate::{Connector, Done, Order, Performing, Probing, Trouble, What};
use hookgate_model::command::{Action, Task};
use hookgate_model::secret::{Ring, Secret, SecretSource};

mod alert;
#[cfg(test)]
mod tests;

pub(crate) const KIND: Kind = Kind {
    name: "pagerduty",
    about: "A service of PagerDuty, by the routing key of its Events API v2 integration.",
    guide: include_str!("pagerduty/guide.md"),
    settings: Settings::json_schema,
    make: |setup| Ok(Box::new(PagerDuty::new(setup)?)),
    answers: None,
    cache: None,
    sends_codes: false,
    proxied: true,
};

/// The letters and digits of a routing key.
const KEY_LENGTH: usize = 32;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The integration key of the service (Events API v2), 32 letters and digits. Whoever knows it can page.
    routing_key: SecretSource,
    /// Where the account is.
    #[serde(default)]
    region: Region,
    /// How severe an alert is that does not say so.
    #[serde(default)]
    severity: Severity,
    /// What an alert is about that does not say so.
    #[serde(default = "source")]
    #[schemars(length(min = 1))]
    source: String,
    /// The part of the source that an alert is about that does not say so.
    #[schemars(length(min = 1))]
    component: Option<String>,
    /// Where the Events API is, if not where the region has it.
    #[schemars(length(min = 1))]
    api_url: Option<String>,
}

fn source() -> String {
    "hookgate".to_owned()
}

/// Where the account is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Region {
    /// The United States.
    #[default]
    Us,
    /// Europe.
    Eu,
}

/// How severe something is, in PagerDuty's words; the most severe first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Critical,
    #[default]
    Error,
    Warning,
    Info,
}

struct PagerDuty {
    client: Client,
    api: Url,
    key: Key,
    severity: Severity,
    source: String,
    component: Option<String>,
}

impl PagerDuty {
    fn new(setup: &Setup<'_>) -> Result<Self, Vec<Problem>> {
        let settings: Settings = setup.read()?;
        let client = Client::new(setup, None);
        let api = settings.api_url.as_deref().unwrap_or(match settings.region {
            Region::Us => "https://events.pagerduty.com",
            Region::Eu => "https://events.eu.pagerduty.com",
        });
        let api = egress::target_of_secret(api, client.egress());
        let api = api.map_err(|text| vec![Problem::bad_value("api_url", text)])?;
        let key = setup.secret("routing_key", &settings.routing_key)?;
        let secret = key.current();
        if !secret.expose().is_empty() {
            routing_key(&secret).map_err(|text| vec![Problem::bad_value("routing_key", text)])?;
        }
        let Settings { severity, source, component, .. } = settings;
        Ok(Self { client, api, key, severity, source, component })
    }

    async fn send(&self, order: &Order) -> Result<Done, Trouble> {
        let secret = self.key.current();
        let key = routing_key(&secret).map_err(|text| Trouble::refused(format!("its `routing_key` {text}")))?;
        let mut event = self.event(order)?;
        event["routing_key"] = json!(key);
        let url = egress::join(&self.api, "/v2/enqueue").map_err(Trouble::refused)?;
        let request = Outgoing { method: Method::POST, url, headers: client::json(), body: event.to_string().into() };
        judge(&self.client.send(order, request).await?, &Redact::default().and(&secret))
    }

    /// What goes out, but for the routing key. At most 512 KB are taken, and an action is never that long.
    fn event(&self, order: &Order) -> Result<Value, Trouble> {
        let Task::Notify { message } = &order.action.task else {
            return Err(Trouble::refused("it takes notifications and nothing else"));
        };
        let alert = match message {
            _ if order.gathered_count > 0 => self.digest(order),
            Value::Object(fields) => Alert::read(fields).map_err(Trouble::refused)?,
            other => Alert::of_text(&wording::text_of(other)),
        };
        let mut event = json!({ "event_action": alert.action.name() });
        event["dedup_key"] = json!(alert.dedup_key.as_deref().unwrap_or(&order.key));
        if alert.has_payload() {
            event["payload"] = alert.payload;
            let payload = event["payload"].as_object_mut().into_iter();
            payload.for_each(|payload| self.complete(payload, order));
        }
        event.as_object_mut().into_iter().for_each(|event| event.extend(alert.beside.clone()));
        Ok(event)
    }

    /// Adds what an alert must have and did not say.
    fn complete(&self, payload: &mut serde_json::Map<String, Value>, order: &Order) {
        let mut default = |name: &str, value: Option<Value>| {
            if let (false, Some(value)) = (payload.contains_key(name), value) {
                payload.insert(name.to_owned(), value);
            }
        };
        default("severity", Some(json!(self.severity)));
        default("source", Some(json!(self.source)));
        default("component", self.component.as_ref().map(|component| json!(component)));
        let received = Timestamp::from_millisecond(order.received).ok();
        default("timestamp", received.map(|time| json!(time.to_string())));
    }

    /// Many alerts as one, as severe as the most severe of them.
    fn digest(&self, order: &Order) -> Alert {
        let mut alert = Alert::of_text(&wording::digest(order));
        let severity = |task: &Task| match task {
            Task::Notify { message } => Severity::deserialize(message.get("severity")?).ok(),
            _ => None,
        };
        let worst = order.tasks(usize::MAX).map(|task| severity(task).unwrap_or(self.severity)).min();
        alert.payload["severity"] = json!(worst.unwrap_or(self.severity));
        alert
    }
}

impl Connector for PagerDuty {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn check(&self, action: &Action) -> Result<(), String> {
        let Some(fields) = wording::message(action, KIND.name)? else { return Ok(()) };
        match Alert::read(fields)?.action {
            alert::Action::Trigger => Ok(()),
            other if action.digest.is_some() => {
                Err(format!("`.digest` would make an alert of many, and `{}` opens none", other.name()))
            }
            _ => Ok(()),
        }
    }

    fn perform<'a>(&'a self, order: &'a Order) -> Performing<'a> {
        Box::pin(self.send(order))
    }

    fn probe(&self) -> Option<Probing<'_>> {
        Some(Box::pin(self.client.probe(&self.api)))
    }

    fn secrets(&self) -> Vec<std::sync::Arc<Ring>> {
        self.key.rings()
    }
}

/// A routing key, checked anew: its file may have changed.
fn routing_key(secret: &Secret) -> Result<&str, String> {
    let text = std::str::from_utf8(secret.expose()).unwrap_or_default().trim();
    match text.len() == KEY_LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        true => Ok(text),
        false => Err(format!("is not {KEY_LENGTH} letters and digits: it is that of an integration of Events API v2")),
    }
}

/// PagerDuty asks to try again after every 5xx, not only after those that other services mean for a while.
fn judge(answer: &Answer, redact: &Redact) -> Result<Done, Trouble> {
    answer.judge(redact).map_err(|trouble| match answer.status {
        500..=599 => Trouble { what: What::NotDelivered { retry_after: answer.retry_after }, ..trouble },
        _ => trouble,
    })
}
