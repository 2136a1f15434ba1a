//! `sms_template`: codes through any provider with an HTTP API, by a body that the settings write.

use std::collections::BTreeMap;

use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use crate::client;
use crate::client::{Answer, Client, Outgoing};
use crate::egress;
use crate::http::auth::{Auth, Proof};
use crate::predicate::Predicate;
use crate::setting::{Headers, Setting};
use crate::setup::{Kind, Problem, Setup};
use crate::sms;
use crate::sms::template;
use crate::{Connector, Delivering, Probing, Trouble, What};
use hookgate_model::message::{Channel, Message, Sent};
use hookgate_model::secret::Ring;

#[cfg(test)]
mod tests;

pub(crate) const KIND: Kind = Kind {
    name: "sms_template",
    about: "Codes through any provider that takes them over HTTP.",
    guide: include_str!("sms_template/guide.md"),
    settings: Settings::json_schema,
    make: |setup| Ok(Box::new(Template::new(setup)?)),
    answers: None,
    cache: None,
    sends_codes: true,
    proxied: true,
};

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where the API is.
    #[schemars(length(min = 1))]
    base_url: String,
    /// What is added to it.
    #[serde(default)]
    path: String,
    /// How it is called.
    #[serde(default)]
    method: Verb,
    /// What is presented there; nothing if absent.
    auth: Option<Auth>,
    /// More headers; a secret one is `{ env = … }` or `{ file = … }`.
    #[serde(default)]
    pub headers: BTreeMap<String, Setting>,
    /// The body as JSON: in its texts `{to}`, `{digits}`, `{text}`, `{code}`, `{spoken}`, `{channel}` and `{key}` are replaced.
    json: Option<Value>,
    /// The body as a form, with the same in its values.
    form: Option<BTreeMap<String, String>>,
    /// Where the answer has the provider's id of the message; dots lead into inner objects, numbers into lists.
    #[schemars(length(min = 1))]
    id: Option<String>,
    /// What an answer must hold to count as a good one, for an API that answers 200 to errors, too.
    success: Option<Predicate>,
    /// How it sends.
    #[serde(default = "channels")]
    #[schemars(length(min = 1))]
    channels: Vec<Sends>,
    /// PEM file with authorities that are trusted besides those of the system.
    #[schemars(length(min = 1))]
    ca_file: Option<String>,
}

fn channels() -> Vec<Sends> {
    vec![Sends::Sms]
}

/// How a code gets to its person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Sends {
    /// As a text.
    Sms,
    /// As a call.
    Voice,
}

/// The method of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Verb {
    #[default]
    Post,
    Put,
}

struct Template {
    client: Client,
    url: Url,
    proof: Proof,
    headers: Headers,
    body: Body,
    id: Option<String>,
    success: Option<Predicate>,
    channels: Vec<Sends>,
    method: Method,
}

/// What is sent, with places.
enum Body {
    Json(Value),
    Form(BTreeMap<String, String>),
}

impl Template {
    fn new(setup: &Setup<'_>) -> Result<Self, Vec<Problem>> {
        let settings: Settings = setup.read()?;
        let authorities = client::authorities(setup, settings.ca_file.as_deref())?;
        let headers = Headers::new(setup, &settings.headers)?;
        let client = Client::for_messages_with(setup, authorities);
        let proof = Proof::new(setup, settings.auth.as_ref(), &client)?;
        // The message itself is a secret.
        let base = client::base_of_secret(&settings.base_url, &client).map_err(|problem| vec![problem])?;
        let bad = |key: &str, text: String| vec![Problem::bad_value(key, text)];
        let url = egress::join(&base, &settings.path).map_err(|text| bad("path", text))?;
        let (key, body) = match (settings.json, settings.form) {
            (Some(json), None) => ("json", Body::Json(json)),
            (None, Some(form)) => ("form", Body::Form(form)),
            _ => return Err(vec![Problem::missing("json", "one of `json` and `form` says what is sent")]),
        };
        let places = body.places().map_err(|text| bad(key, text))?;
        let has = |names: &[&str]| places.iter().any(|place| names.contains(place));
        if !has(&["to", "digits"]) {
            return Err(bad(key, "does not say to whom: it needs `{to}`, or `{digits}` without the `+`".to_owned()));
        }
        if !has(&["text", "code", "spoken"]) {
            return Err(bad(key, "does not hold the code: it needs `{text}`, `{code}` or `{spoken}`".to_owned()));
        }
        let method = match settings.method {
            Verb::Post => Method::POST,
            Verb::Put => Method::PUT,
        };
        let Settings { id, success, channels, .. } = settings;
        Ok(Self { client, url, proof, headers, body, id, success, channels, method })
    }

    async fn deliver(&self, message: &Message) -> Result<Sent, Trouble> {
        let channel = match message.channel {
            Channel::Sms => Sends::Sms,
            Channel::Voice => Sends::Voice,
        };
        if !self.channels.contains(&channel) {
            return Err(Trouble::refused(format!("its `channels` do not have `{}`", message.channel.name())));
        }
        let mut headers = match self.body {
            Body::Json(_) => client::json(),
            Body::Form(_) => sms::form_headers(),
        };
        self.headers.add_to(&mut headers)?;
        let body = sms::body(self.body.filled(message));
        let request = Outgoing { method: self.method.clone(), url: self.url.clone(), headers, body };
        let mut shown = self.proof.show(&self.client).await?;
        let mut answer = self.client.ask(shown.on(&request), client::MAX_ANSWER_BYTES).await?;
        // A 401 says that nothing was sent.
        if answer.status == 401 && self.proof.forget(&shown) {
            shown = self.proof.show(&self.client).await?;
            answer = self.client.ask(shown.on(&request), client::MAX_ANSWER_BYTES).await?;
        }
        self.judge(&answer)
    }

    fn judge(&self, answer: &Answer) -> Result<Sent, Trouble> {
        sms::judge(answer, None)?;
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if let Some(success) = &self.success {
            if said.is_null() {
                return Err(sms::unreadable(answer));
            }
            if !success.is_in(&said) {
                let message = format!("it answered {} without {}", answer.status, success.wanted());
                return Err(Trouble { what: What::Refused, status: Some(answer.status), message });
            }
        }
        // Whoever names no id gets the answer to "was it sent" and nothing to look for.
        let Some(path) = &self.id else { return Ok(Sent { id: "none".to_owned() }) };
        let id = sms::plain_member(at(&said, path)).ok_or_else(|| sms::unreadable(answer))?;
        Ok(Sent { id })
    }
}

impl Body {
    fn places(&self) -> Result<Vec<&'static str>, String> {
        match self {
            Self::Json(json) => {
                let mut found = Vec::new();
                visit(json, &mut |text| template::places(text).map(|places| found.extend(places)))?;
                Ok(found)
            }
            Self::Form(form) => {
                let places = form.values().map(|value| template::places(value)).collect::<Result<Vec<_>, _>>()?;
                Ok(places.concat())
            }
        }
    }

    fn filled(&self, message: &Message) -> Zeroizing<String> {
        match self {
            Self::Json(json) => {
                let mut text = Zeroizing::new(String::with_capacity(32 * 1024));
                write(&mut text, json, message);
                text
            }
            Self::Form(form) => {
                let values: Vec<_> =
                    form.iter().map(|(name, value)| (name.as_str(), template::filled(value, message))).collect();
                sms::form(values.iter().map(|(name, value)| (*name, value.as_str())))
            }
        }
    }
}

/// Shows every text of a value.
fn visit(json: &Value, see: &mut impl FnMut(&str) -> Result<(), String>) -> Result<(), String> {
    match json {
        Value::String(text) => see(text),
        Value::Array(items) => items.iter().try_for_each(|item| visit(item, see)),
        Value::Object(members) => members.values().try_for_each(|member| visit(member, see)),
        _ => Ok(()),
    }
}

/// Writes JSON with its texts filled, straight into the buffer: no copy of the code is left elsewhere.
fn write(into: &mut String, json: &Value, message: &Message) {
    match json {
        Value::String(text) => quote(into, &template::filled(text, message)),
        Value::Array(items) => list(into, '[', ']', items.iter(), |into, item| write(into, item, message)),
        Value::Object(members) => list(into, '{', '}', members.iter(), |into, (name, member)| {
            quote(into, name);
            into.push(':');
            write(into, member, message);
        }),
        other => into.push_str(&other.to_string()),
    }
}

fn list<T>(into: &mut String, open: char, close: char, items: impl Iterator<Item = T>, each: impl Fn(&mut String, T)) {
    into.push(open);
    for (index, item) in items.enumerate() {
        if index > 0 {
            into.push(',');
        }
        each(into, item);
    }
    into.push(close);
}

fn quote(into: &mut String, text: &str) {
    let quoted = Zeroizing::new(serde_json::to_string(text).unwrap_or_default());
    into.push_str(&quoted);
}

/// A member by its path; lists by number.
fn at<'a>(json: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(json, |value, name| match (value, name.parse::<usize>()) {
        (Value::Array(items), Ok(index)) => items.get(index).unwrap_or(&Value::Null),
        _ => &value[name],
    })
}

impl Connector for Template {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn probe(&self) -> Option<Probing<'_>> {
        Some(Box::pin(self.client.probe(&self.url)))
    }

    fn deliver_message<'a>(&'a self, message: &'a Message) -> Delivering<'a> {
        Box::pin(self.deliver(message))
    }

    fn secrets(&self) -> Vec<std::sync::Arc<Ring>> {
        self.proof.rings().into_iter().chain(self.headers.rings()).collect()
    }
}
