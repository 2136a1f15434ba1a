//! `elastic`: an index or data stream of Elasticsearch or OpenSearch.
//!
//! Every entry has an id that is the same over all tries, and is only ever created: one that is there already is done. The
//! answer of `_bulk` is 200 to errors, too, so what it says of the entry decides.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use url::Url;

use crate::client;
use crate::client::{Answer, Client, Outgoing};
use crate::egress;
use crate::entry;
use crate::entry::Entry;
use crate::redact::Redact;
use crate::setup::{Key, Kind, Problem, Setup};
use crate::{Connector, Done, Order, Performing, Probed, Probing, Trouble, What};
use hookgate_model::command::{Action, Task};
use hookgate_model::question;
use hookgate_model::secret::{Ring, Secret, SecretSource};

#[cfg(test)]
mod tests;

pub(crate) const KIND: Kind = Kind {
    name: "elastic",
    about: "An index or data stream of Elasticsearch or OpenSearch.",
    guide: include_str!("elastic/guide.md"),
    settings: Settings::json_schema,
    make: |setup| Ok(Box::new(Index::new(setup)?)),
    answers: None,
    cache: None,
    sends_codes: false,
    proxied: true,
};

/// Members that belong to the index itself: it refuses a document that has one.
const OWN_MEMBERS: [&str; 8] =
    ["_id", "_index", "_source", "_routing", "_type", "_seq_no", "_primary_term", "_version"];

/// Where the reason of an error begins to quote the document.
const QUOTES: [&str; 2] = ["Preview of field's value", "[Source"];

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where the cluster is, with its port.
    #[schemars(length(min = 1))]
    base_url: String,
    /// Name of the index or data stream.
    #[schemars(length(min = 1, max = 255))]
    index: String,
    /// An API key: as Kibana shows it (`encoded`), or `id:key`.
    api_key: Option<SecretSource>,
    /// It holds `user:password`.
    basic: Option<SecretSource>,
    /// PEM file with authorities that are trusted besides those of the system.
    #[schemars(length(min = 1))]
    ca_file: Option<String>,
}

struct Index {
    client: Client,
    url: Url,
    proof: Proof,
}

enum Proof {
    Nothing,
    ApiKey(Key),
    Basic(Key),
}

impl Index {
    fn new(setup: &Setup<'_>) -> Result<Self, Vec<Problem>> {
        let settings: Settings = setup.read()?;
        let mut problems = Vec::new();
        let mut keep = |found: Vec<Problem>| problems.extend(found);
        let authorities = client::authorities(setup, settings.ca_file.as_deref()).map_err(&mut keep);
        let proof = Proof::new(setup, &settings).map_err(&mut keep);
        let client = Client::new(setup, authorities.ok().flatten());
        let url = address(&settings, &client).map_err(|problem| keep(vec![problem]));
        match (url, proof) {
            (Ok(url), Ok(proof)) if problems.is_empty() => Ok(Self { client, url, proof }),
            _ => Err(problems),
        }
    }

    async fn send(&self, order: &Order) -> Result<Done, Trouble> {
        let body = body(order)?.into();
        let (mut headers, redact) = self.proven()?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        let request = Outgoing { method: http::Method::POST, url: self.url.clone(), headers, body };
        let answer = self.client.send(order, request).await?;
        judge(&answer, &redact)
    }
}

impl Index {
    /// The header that says who we are, and what must not be told of an answer.
    fn proven(&self) -> Result<(HeaderMap, Redact), Trouble> {
        let (mut headers, mut redact) = (HeaderMap::new(), Redact::default());
        if let Some((key, value)) = self.proof.value() {
            redact = redact.and(&key).and(&Secret::new(value.clone()));
            redact = STANDARD.decode(key.expose()).into_iter().fold(redact, |all, inner| all.and(&Secret::new(inner)));
            headers.insert(AUTHORIZATION, client::secret_value(&[self.proof.scheme(), &value].concat())?);
        }
        Ok((headers, redact))
    }

    async fn probed(&self) -> Result<Probed, question::Trouble> {
        let (headers, redact) = self.proven()?;
        if headers.is_empty() {
            return self.client.probe(&self.url).await;
        }
        let url = self.url.join("../_security/_authenticate").map_err(|error| Trouble::refused(error.to_string()))?;
        self.client.ask_who_we_are(url, headers, &redact).await?;
        Ok(Probed::new("Elasticsearch knows the key", &["`create_doc` and `auto_configure` on the index"]))
    }
}

impl Connector for Index {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn check(&self, action: &Action) -> Result<(), String> {
        entry::check(KIND.name, action)?;
        let own = |name: &&&str| match &action.task {
            Task::Notify { message } => message.get(**name).is_some(),
            _ => false,
        };
        match OWN_MEMBERS.iter().find(own) {
            Some(name) => Err(format!("`{name}` belongs to the index itself: call it something else")),
            None => Ok(()),
        }
    }

    fn perform<'a>(&'a self, order: &'a Order) -> Performing<'a> {
        Box::pin(self.send(order))
    }

    fn probe(&self) -> Option<Probing<'_>> {
        Some(Box::pin(self.probed()))
    }

    fn secrets(&self) -> Vec<std::sync::Arc<Ring>> {
        match &self.proof {
            Proof::Nothing => Vec::new(),
            Proof::ApiKey(key) | Proof::Basic(key) => key.rings(),
        }
    }
}

impl Proof {
    fn new(setup: &Setup<'_>, settings: &Settings) -> Result<Self, Vec<Problem>> {
        match (&settings.api_key, &settings.basic) {
            (None, None) => Ok(Self::Nothing),
            (Some(key), None) => Ok(Self::ApiKey(setup.secret("api_key", key)?)),
            (None, Some(login)) => Ok(Self::Basic(setup.secret("basic", login)?)),
            (Some(_), Some(_)) => Err(vec![Problem::bad_value("basic", "`api_key` and `basic` exclude each other")]),
        }
    }

    fn scheme(&self) -> &'static [u8] {
        match self {
            Self::Nothing => b"",
            Self::ApiKey(_) => b"ApiKey ",
            Self::Basic(_) => b"Basic ",
        }
    }

    /// The secret, and how it is sent.
    fn value(&self) -> Option<(std::sync::Arc<Secret>, Vec<u8>)> {
        let key = match self {
            Self::Nothing => return None,
            Self::ApiKey(key) | Self::Basic(key) => key.current(),
        };
        // Base64 has no colon.
        let encoded = matches!(self, Self::ApiKey(_)) && !key.expose().contains(&b':');
        let value = if encoded { key.expose().to_vec() } else { STANDARD.encode(key.expose()).into_bytes() };
        Some((key, value))
    }
}

/// Two lines: what to do, and the document. The end of the last line belongs to it.
fn body(order: &Order) -> Result<Vec<u8>, Trouble> {
    let entry = Entry::of_order(order)?;
    let action = json!({ "create": { "_id": order.key } });
    Ok(format!("{action}\n{}\n", document(&entry)).into_bytes())
}

/// The entry, with `@timestamp` as its first member if it has none.
fn document(entry: &Entry) -> String {
    let line = entry.line();
    let members: HashMap<String, &RawValue> = serde_json::from_str(&line).unwrap_or_default();
    match (members.contains_key("@timestamp"), line.strip_prefix('{')) {
        (false, Some(rest)) => {
            let comma = if members.is_empty() { "" } else { "," };
            format!("{{\"@timestamp\":\"{}\"{comma}{rest}", entry.time)
        }
        _ => line,
    }
}

fn address(settings: &Settings, client: &Client) -> Result<Url, Problem> {
    let proven = settings.api_key.is_some() || settings.basic.is_some();
    let base = if proven {
        client::base_of_secret(&settings.base_url, client)
    } else {
        client::base(&settings.base_url, client)
    }?;
    check_index(&settings.index).map_err(|text| Problem::bad_value("index", text))?;
    egress::join(&base, &format!("/{}/_bulk", settings.index)).map_err(|text| Problem::bad_value("index", text))
}

/// The rules of Elasticsearch ("Create index", path parameters).
fn check_index(name: &str) -> Result<(), String> {
    let odd = |c: char| c.is_uppercase() || c.is_whitespace() || c.is_control() || r#"\/*?"<>|,#:%"#.contains(c);
    if let Some(c) = name.chars().find(|c| odd(*c)) {
        return Err(format!("has {c:?}, which the name of an index cannot have"));
    }
    match name.starts_with(['-', '_', '+']) || name == "." || name == ".." {
        true => Err("is not the name of an index: it must not begin with `-`, `_` or `+`".to_owned()),
        false => Ok(()),
    }
}

/// Of a good answer, what it says of the entry decides.
fn judge(answer: &Answer, redact: &Redact) -> Result<Done, Trouble> {
    let done = answer.judge(redact)?;
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    // Under the word of what was asked for.
    let item = said.pointer("/items/0").and_then(Value::as_object).and_then(|item| item.values().next());
    let number = item.and_then(|item| u16::try_from(item["status"].as_u64()?).ok());
    let (Some(item), Some(number)) = (item, number) else {
        let message = format!("its answer does not say whether it was taken: {}", done.note);
        return Err(Trouble { what: What::MaybeDelivered, status: done.status, message });
    };
    let status = Some(number);
    let note = match number {
        200..=299 if item["failure_store"] == "used" => "it does not fit its data stream and is in the failure store",
        200..=299 => "created",
        409 => "it was there already",
        _ => {
            let what = match number {
                408 | 429 | 500..=599 => What::NotDelivered { retry_after: answer.retry_after },
                _ => What::Refused,
            };
            return Err(Trouble { what, status, message: refusal(number, &item["error"], redact) });
        }
    };
    Ok(Done { status, note: note.to_owned() })
}

/// Type and reason of an error, without what was wrong: it is a part of the event.
fn refusal(status: u16, error: &Value, redact: &Redact) -> String {
    let text = |name: &str| error[name].as_str().unwrap_or_default();
    let reason = text("reason");
    let end = QUOTES.iter().filter_map(|begin| reason.find(begin)).min().unwrap_or(reason.len());
    let told = redact.excerpt(&format!("{}: {}", text("type"), &reason[..end]));
    format!("it answered {status} for the entry, {told}")
}
