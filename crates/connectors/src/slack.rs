//! `slack`: messages to a channel of Slack, by an incoming webhook or by a bot.
//!
//! The address of a webhook is a secret: it is never told. A text is shown as it is, whatever a user put into it; a map is
//! Slack's own JSON, of which only texts change: to what Slack takes.

use http::header::AUTHORIZATION;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use crate::client;
use crate::client::{Answer, Client, Outgoing};
use crate::egress;
use crate::egress::Egress;
use crate::redact::Redact;
use crate::setup::{Key, Kind, Problem, Setup};
use crate::wording;
use crate::{Connector, Done, Order, Performing, Probed, Probing, Trouble, What};
use hookgate_model::command::{Action, Task};
use hookgate_model::question;
use hookgate_model::secret::{Ring, Secret, SecretSource};

#[cfg(test)]
mod tests;

pub(crate) const KIND: Kind = Kind {
    name: "slack",
    about: "A channel of Slack: by the `url` of an incoming webhook, or by a bot's `token` and its `channel`.",
    guide: include_str!("slack/guide.md"),
    settings: Settings::json_schema,
    make: |setup| Ok(Box::new(Slack::new(setup)?)),
    answers: None,
    cache: None,
    sends_codes: false,
    proxied: true,
};

/// Slack shows no more of a text, in characters.
const MOST_TEXT: usize = 3000;
const MOST_BLOCKS: usize = 50;

/// The texts of blocks that may be less long, in characters: by the `type` of the object around them.
const MOST_IN_BLOCKS: [(&str, usize); 2] = [("header", 150), ("button", 75)];

/// A text among the `fields` of a section.
const MOST_FIELD: usize = 2000;

/// The `text` beside blocks, which Slack cuts itself beyond this.
const MOST_BESIDE: usize = 40_000;

/// What the Web API says for a while only.
const PASSING: [&str; 7] = [
    "rate_limited",
    "ratelimited",
    "fatal_error",
    "internal_error",
    "request_timeout",
    "service_unavailable",
    "team_added_to_org",
];

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Address of an incoming webhook. Whoever knows it can post, so it is a secret.
    url: Option<SecretSource>,
    /// Token of a bot that may post (`xoxb-…`), with `channel`.
    pub token: Option<SecretSource>,
    /// Where the bot posts: the id of a channel.
    #[schemars(length(min = 1))]
    channel: Option<String>,
    /// Where Slack's Web API is.
    #[serde(default = "slack")]
    #[schemars(length(min = 1))]
    api_url: String,
}

fn slack() -> String {
    "https://slack.com/api".to_owned()
}

struct Slack {
    client: Client,
    way: Way,
}

enum Way {
    Webhook { url: Key },
    Bot { api: Url, token: Key, channel: String },
}

impl Slack {
    fn new(setup: &Setup<'_>) -> Result<Self, Vec<Problem>> {
        let settings: Settings = setup.read()?;
        let client = Client::new(setup, None);
        let way = match (&settings.url, &settings.token, settings.channel) {
            (Some(url), None, None) => {
                let url = setup.secret("url", url)?;
                let egress = client.egress().clone();
                let is_address = move |secret: &Secret| webhook(secret, &egress).map(drop);
                url.demand(is_address).map_err(|text| vec![Problem::bad_value("url", text)])?;
                Way::Webhook { url }
            }
            (None, Some(token), Some(channel)) => {
                let bad = |text| vec![Problem::bad_value("api_url", text)];
                let api = egress::target(&settings.api_url, client.egress()).map_err(bad)?;
                let token = setup.secret("token", token)?;
                Way::Bot { api, token, channel }
            }
            (None, Some(_), None) => {
                return Err(vec![Problem::missing("channel", "`channel` is missing: where the bot posts")]);
            }
            (None, None, _) => {
                let problem = Problem::missing("url", "`url` is missing: the address of an incoming webhook");
                return Err(vec![problem.help("or `token` and `channel`, for a bot")]);
            }
            (Some(_), Some(_), _) => {
                let problem = Problem::bad_value("token", "`url` and `token` exclude each other");
                return Err(vec![problem.help("a webhook needs only its `url`, a bot `token` and `channel`")]);
            }
            (Some(_), None, Some(_)) => {
                let problem = Problem::bad_value("channel", "a webhook posts to the channel that it was made for");
                return Err(vec![problem.help("remove `channel`, or use the `token` of a bot")]);
            }
        };
        Ok(Self { client, way })
    }

    async fn send(&self, order: &Order) -> Result<Done, Trouble> {
        let mut message = message(order)?;
        match &self.way {
            Way::Webhook { url } => {
                let secret = url.current();
                let redact = Redact::default().and(&secret);
                let url = webhook(&secret, self.client.egress())
                    .map_err(|text| Trouble::refused(format!("its `url` {text}")))?;
                self.post(order, url, client::json(), &message).await?.judge(&redact)
            }
            Way::Bot { api, token, channel } => {
                let secret = token.current();
                let redact = Redact::default().and(&secret);
                message["channel"] = json!(channel);
                let mut headers = client::json();
                headers.insert(AUTHORIZATION, client::secret_value(&[b"Bearer ", secret.expose()].concat())?);
                let url = egress::join(api, "/chat.postMessage").map_err(Trouble::refused)?;
                let answer = self.post(order, url, headers, &message).await?;
                let done = answer.judge(&redact)?;
                judge_bot(&answer, done)
            }
        }
    }

    /// A webhook would post whatever it is sent, so nothing is.
    async fn probed(&self) -> Result<Probed, question::Trouble> {
        match &self.way {
            Way::Webhook { url } => {
                let url = webhook(&url.current(), self.client.egress());
                let url = url.map_err(|text| Trouble::refused(format!("its `url` {text}")))?;
                self.client.probe(&url).await
            }
            Way::Bot { api, token, .. } => {
                let secret = token.current();
                let redact = Redact::default().and(&secret);
                let mut headers = client::json();
                headers.insert(AUTHORIZATION, client::secret_value(&[b"Bearer ", secret.expose()].concat())?);
                let url = egress::join(api, "/auth.test").map_err(Trouble::refused)?;
                let answer = self.client.ask_who_we_are(url, headers, &redact).await?;
                judge_bot(&answer, answer.judge(&redact)?)?;
                Ok(Probed::new("Slack knows the bot", &["scope `chat:write`, and the bot invited to the channel"]))
            }
        }
    }

    async fn post(
        &self,
        order: &Order,
        url: Url,
        headers: http::HeaderMap,
        message: &Value,
    ) -> Result<Answer, Trouble> {
        let body = message.to_string().into();
        self.client.send(order, Outgoing { method: http::Method::POST, url, headers, body }).await
    }
}

impl Connector for Slack {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn check(&self, action: &Action) -> Result<(), String> {
        let Some(fields) = wording::message(action, KIND.name)? else { return Ok(()) };
        let blocks = fields.get("blocks").and_then(Value::as_array).map_or(0, Vec::len);
        if blocks > MOST_BLOCKS {
            return Err(format!("Slack takes {MOST_BLOCKS} blocks, not {blocks}"));
        }
        match ["text", "blocks", "attachments"].iter().any(|name| fields.contains_key(*name)) {
            true => Ok(()),
            false => Err("a message has `text` or `blocks`".to_owned()),
        }
    }

    fn perform<'a>(&'a self, order: &'a Order) -> Performing<'a> {
        Box::pin(self.send(order))
    }

    fn probe(&self) -> Option<Probing<'_>> {
        Some(Box::pin(self.probed()))
    }

    fn secrets(&self) -> Vec<std::sync::Arc<Ring>> {
        match &self.way {
            Way::Webhook { url } => url.rings(),
            Way::Bot { token, .. } => token.rings(),
        }
    }
}

fn message(order: &Order) -> Result<Value, Trouble> {
    match &order.action.task {
        Task::Notify { .. } if order.gathered_count > 0 => Ok(json!({ "text": shown(&wording::digest(order)) })),
        Task::Notify { message: Value::Object(fields) } => Ok(own_form(fields)),
        Task::Notify { message } => Ok(json!({ "text": shown(&wording::text_of(message)) })),
        _ => Err(Trouble::refused("it takes notifications and nothing else")),
    }
}

/// A map as it is sent, with texts that Slack takes (docs.slack.dev, "Block Kit", the reference of each block).
fn own_form(fields: &Map<String, Value>) -> Value {
    let mut message = wording::printable_fields(fields);
    if let Some(Value::String(text)) = message.get_mut("text") {
        *text = wording::cut(text, MOST_BESIDE);
    }
    if let Some(blocks) = message.get_mut("blocks") {
        shorten(blocks, MOST_TEXT);
    }
    Value::Object(message)
}

/// Cuts the texts in blocks. `most` is what the object around may have.
fn shorten(value: &mut Value, most: usize) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| shorten(item, most)),
        Value::Object(fields) => {
            let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
            let own = MOST_IN_BLOCKS.iter().find(|(name, _)| *name == kind).map_or(most, |(_, own)| *own);
            for (name, value) in fields.iter_mut() {
                match value {
                    Value::String(text) if name == "text" => *text = wording::cut(text, own),
                    Value::String(_) => {}
                    value => shorten(value, if name == "fields" { MOST_FIELD } else { own }),
                }
            }
        }
        _ => {}
    }
}

/// A text as Slack shows it: nothing in it is a link, a mention or a command. Cut so that no escape is cut.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    let mut count = 0;
    for c in wording::printable(text).chars() {
        let piece = match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            other => other.to_string(),
        };
        count += piece.chars().count();
        if count >= MOST_TEXT {
            shown.push('…');
            break;
        }
        shown.push_str(&piece);
    }
    shown
}

/// The address of a webhook, checked anew: its file may have changed.
fn webhook(secret: &Secret, egress: &Egress) -> Result<Url, String> {
    let text = std::str::from_utf8(secret.expose()).map_err(|_| "is not an address".to_owned())?;
    egress::target(text, egress)
}

/// Slack answers 200 to errors, too, and says in the body what it means.
fn judge_bot(answer: &Answer, done: Done) -> Result<Done, Trouble> {
    let status = Some(answer.status);
    let body: Value = match serde_json::from_slice(&answer.body) {
        Ok(body) if answer.complete => body,
        _ => {
            let message = "its answer broke off or is no JSON, so nobody knows whether it was posted".to_owned();
            return Err(Trouble { what: What::MaybeDelivered, status, message });
        }
    };
    if body["ok"] == true {
        return Ok(Done { status, note: "ok".to_owned() });
    }
    let error = body["error"].as_str().unwrap_or_default();
    let what = match error {
        error if PASSING.contains(&error) => What::NotDelivered { retry_after: answer.retry_after },
        _ => What::Refused,
    };
    Err(Trouble { what, status, message: format!("it answered {} with an error: {}", answer.status, done.note) })
}
