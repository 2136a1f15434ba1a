//! `teams`: messages to a channel or chat of Microsoft Teams, by a workflow that waits for a webhook.
//!
//! The address of the workflow is a secret: it is never told. A text is shown as it is, whatever a user put into it; a map is
//! Teams' own JSON, of which only texts change: to what Teams takes.

use bytes::Bytes;
use http::Method;
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
    name: "teams",
    about: "A channel or chat of Microsoft Teams, by the `url` of a workflow that waits for a webhook.",
    guide: include_str!("teams/guide.md"),
    settings: Settings::json_schema,
    make: |setup| Ok(Box::new(Teams::new(setup)?)),
    answers: None,
    cache: None,
    sends_codes: false,
    proxied: true,
};

/// Teams takes no longer message (contract: downstream actions, section 1).
const MOST_BYTES: usize = 28 * 1024;

/// Of a text as many characters and lines are shown. Whatever they are, their card is shorter than [`MOST_BYTES`]: a character
/// takes four bytes at most, and the card 90 more for each line.
const MOST_TEXT: usize = 5000;
const MOST_LINES: usize = 50;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Address of the workflow. Whoever knows it can post, so it is a secret.
    url: SecretSource,
}

struct Teams {
    client: Client,
    url: Key,
}

impl Teams {
    fn new(setup: &Setup<'_>) -> Result<Self, Vec<Problem>> {
        let settings: Settings = setup.read()?;
        let client = Client::new(setup, None);
        let url = setup.secret("url", &settings.url)?;
        let egress = client.egress().clone();
        let is_address = move |secret: &Secret| workflow(secret, &egress).map(drop);
        url.demand(is_address).map_err(|text| vec![Problem::bad_value("url", text)])?;
        Ok(Self { client, url })
    }

    async fn send(&self, order: &Order) -> Result<Done, Trouble> {
        let body = message(order)?;
        let secret = self.url.current();
        let url =
            workflow(&secret, self.client.egress()).map_err(|text| Trouble::refused(format!("its `url` {text}")))?;
        let request = Outgoing { method: Method::POST, url, headers: client::json(), body };
        judge(&self.client.send(order, request).await?, &Redact::default().and(&secret))
    }
}

impl Teams {
    async fn probed(&self) -> Result<Probed, question::Trouble> {
        let url = workflow(&self.url.current(), self.client.egress());
        self.client.probe(&url.map_err(|text| Trouble::refused(format!("its `url` {text}")))?).await
    }
}

impl Connector for Teams {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn check(&self, action: &Action) -> Result<(), String> {
        wording::message(action, KIND.name)?.map_or(Ok(()), |fields| own_form(fields).map(|_| ()))
    }

    fn perform<'a>(&'a self, order: &'a Order) -> Performing<'a> {
        Box::pin(self.send(order))
    }

    fn probe(&self) -> Option<Probing<'_>> {
        Some(Box::pin(self.probed()))
    }

    fn secrets(&self) -> Vec<std::sync::Arc<Ring>> {
        self.url.rings()
    }
}

fn message(order: &Order) -> Result<Bytes, Trouble> {
    match &order.action.task {
        Task::Notify { .. } if order.gathered_count > 0 => Ok(enveloped(&card(&wording::digest(order)))),
        Task::Notify { message: Value::Object(fields) } => own_form(fields).map_err(Trouble::refused),
        Task::Notify { message } => Ok(enveloped(&card(&wording::text_of(message)))),
        _ => Err(Trouble::refused("it takes notifications and nothing else")),
    }
}

/// A map as it is sent: a message, or a card in a message.
fn own_form(fields: &Map<String, Value>) -> Result<Bytes, String> {
    let fields = &wording::printable_fields(fields);
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
    let body = match (kind, fields.get("attachments").and_then(Value::as_array)) {
        ("message", Some(attachments)) if !attachments.is_empty() => {
            attachments.iter().filter_map(|attachment| attachment.get("content")).try_for_each(check_card)?;
            Value::Object(fields.clone())
        }
        ("message", _) => return Err("a message has `attachments`, and a card in each of them".to_owned()),
        ("AdaptiveCard", _) => {
            let card = Value::Object(fields.clone());
            check_card(&card)?;
            envelope(&card)
        }
        _ => return Err(unknown_form(fields)),
    };
    let fitted = wording::fitted(&body, MOST_BYTES).map(|body| body.to_string().into());
    fitted.ok_or_else(|| format!("Teams takes {MOST_BYTES} bytes, and this message has {}", body.to_string().len()))
}

/// What a workflow would refuse without telling us: it has accepted the message by then.
fn check_card(card: &Value) -> Result<(), String> {
    if card["type"] == "AdaptiveCard" && !card["version"].is_string() {
        return Err("a card has a `version`, such as `\"1.4\"`".to_owned());
    }
    Ok(())
}

fn unknown_form(fields: &Map<String, Value>) -> String {
    let forms = "a map is a card (`type: \"AdaptiveCard\"`) or a message (`type: \"message\"` with `attachments`)";
    if fields.contains_key("@type") {
        return format!("{forms}; workflows do not show the older cards with `@type`");
    }
    if fields.contains_key("text") {
        return format!("{forms}; for a text alone give the text, without a map");
    }
    forms.to_owned()
}

/// A text as a card, each line a block of its own. Not a `TextBlock`: that is read as Markdown, in which a name could be a link,
/// and the parser of Adaptive Cards for native apps (`MarkDownBlockParser.cpp`) knows no escape for `[`. A `TextRun` is never
/// Markdown (learn.microsoft.com, Adaptive Cards, "Text features").
fn card(text: &str) -> Value {
    let text = wording::cut(wording::printable(text).trim(), MOST_TEXT);
    let mut blocks: Vec<Value> = Vec::new();
    let mut gap = true;
    for line in text.lines() {
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        if line.trim().is_empty() {
            gap = true;
            continue;
        }
        let full = blocks.len() + 1 == MOST_LINES;
        let shown = if full { "…" } else { &line };
        let mut block = json!({ "type": "RichTextBlock", "inlines": [{ "type": "TextRun", "text": shown }] });
        if !gap {
            block["spacing"] = json!("None");
        }
        blocks.push(block);
        gap = false;
        if full {
            break;
        }
    }
    json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": blocks,
    })
}

/// A card in a message.
fn envelope(card: &Value) -> Value {
    let kind = "application/vnd.microsoft.card.adaptive";
    let attachment = json!({ "contentType": kind, "contentUrl": null, "content": card });
    json!({ "type": "message", "attachments": [attachment] })
}

/// The same as bytes.
fn enveloped(card: &Value) -> Bytes {
    envelope(card).to_string().into()
}

/// The address of a workflow, checked anew: its file may have changed.
fn workflow(secret: &Secret, egress: &Egress) -> Result<Url, String> {
    let text = std::str::from_utf8(secret.expose()).map_err(|_| "is not an address".to_owned())?;
    egress::target_of_secret(text, egress)
}

/// A workflow answers 202. The connectors that came before workflows answer 200 to errors, too, and say in the text which
/// status Teams itself gave.
fn judge(answer: &Answer, redact: &Redact) -> Result<Done, Trouble> {
    let done = answer.judge(redact)?;
    let text = String::from_utf8_lossy(&answer.body);
    let Some((_, rest)) = text.split_once("endpoint returned HTTP error ") else { return Ok(done) };
    let what = match rest.get(..3).and_then(|digits| digits.parse().ok()) {
        Some(408 | 425 | 429 | 500..=599) => What::NotDelivered { retry_after: answer.retry_after },
        _ => What::Refused,
    };
    let message = format!("it answered {} with an error: {}", answer.status, done.note);
    Err(Trouble { what, status: Some(answer.status), message })
}
