//! `splunk_hec`: Splunk's HTTP Event Collector.
//!
//! An entry counts as taken once the collector answers `code` 0: it is then in a queue of Splunk's, not yet in an index. The
//! indexers are not asked (`useACK`).

use http::header::AUTHORIZATION;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use url::Url;

use crate::client;
use crate::client::{Answer, Client, Outgoing};
use crate::egress;
use crate::entry;
use crate::entry::Entry;
use crate::redact::Redact;
use crate::setup::{Key, Kind, Problem, Setup};
use crate::{Connector, Done, Order, Performing, Probed, Probing, Trouble, What};
use hookgate_model::command::Action;
use hookgate_model::question;
use hookgate_model::secret::{Ring, SecretSource};

#[cfg(test)]
mod tests;

pub(crate) const KIND: Kind = Kind {
    name: "splunk_hec",
    about: "Splunk, by its HTTP Event Collector.",
    guide: include_str!("splunk_hec/guide.md"),
    settings: Settings::json_schema,
    make: |setup| Ok(Box::new(Collector::new(setup)?)),
    answers: None,
    cache: None,
    sends_codes: false,
    proxied: true,
};

const PATH: &str = "/services/collector/event";

/// Of a good answer, what means that it was taken: success, and that its queues will be full soon.
const TAKEN: [i64; 3] = [0, 24, 25];

/// What the collector says for a while only: an error inside, full queues, a stop.
const PASSING: [i64; 8] = [8, 9, 18, 19, 20, 23, 26, 27];

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where the collector is, with its port and without `/services/collector`.
    #[schemars(length(min = 1))]
    base_url: String,
    /// The token of the collector.
    pub token: SecretSource,
    /// The index; that of the token if absent.
    #[schemars(length(min = 1))]
    index: Option<String>,
    /// Where events come from, as Splunk shows it; that of the token if absent.
    #[schemars(length(min = 1))]
    source: Option<String>,
    /// How Splunk reads an event; that of the token if absent.
    #[schemars(length(min = 1))]
    sourcetype: Option<String>,
    /// The machine, as Splunk shows it; what Splunk sees if absent.
    #[schemars(length(min = 1))]
    host: Option<String>,
    /// PEM file with authorities that are trusted besides those of the system.
    #[schemars(length(min = 1))]
    ca_file: Option<String>,
}

struct Collector {
    client: Client,
    url: Url,
    token: Key,
    settings: Settings,
}

/// An event as the collector takes it.
#[derive(Serialize)]
struct Envelope<'a> {
    time: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sourcetype: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<&'a str>,
    event: &'a RawValue,
    fields: Fields<'a>,
}

/// Fields that are indexed beside the event.
#[derive(Serialize)]
struct Fields<'a> {
    /// The same over all tries, so that a search can leave out repeats.
    hookgate_key: &'a str,
}

/// What the collector says.
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    text: String,
    code: i64,
}

impl Collector {
    fn new(setup: &Setup<'_>) -> Result<Self, Vec<Problem>> {
        let settings: Settings = setup.read()?;
        let mut problems = Vec::new();
        let mut keep = |found: Vec<Problem>| problems.extend(found);
        let authorities = client::authorities(setup, settings.ca_file.as_deref()).map_err(&mut keep);
        let token = setup.secret("token", &settings.token).map_err(&mut keep);
        let client = Client::new(setup, authorities.ok().flatten());
        let url = address(&settings.base_url, &client).map_err(|problem| keep(vec![problem]));
        match (url, token) {
            (Ok(url), Ok(token)) if problems.is_empty() => Ok(Self { client, url, token, settings }),
            _ => Err(problems),
        }
    }

    fn body(&self, order: &Order) -> Result<Vec<u8>, Trouble> {
        let entry = Entry::of_order(order)?;
        let Settings { index, source, sourcetype, host, .. } = &self.settings;
        let bad = |error: serde_json::Error| Trouble::refused(format!("it cannot be written as JSON: {error}"));
        // Seconds and milliseconds, as digits: a binary fraction is not exact.
        let milliseconds = entry.time.as_millisecond();
        let time = format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000);
        let envelope = Envelope {
            time: &RawValue::from_string(time).map_err(bad)?,
            host: host.as_deref(),
            source: source.as_deref(),
            sourcetype: sourcetype.as_deref(),
            index: index.as_deref(),
            event: &entry.json,
            fields: Fields { hookgate_key: &order.key },
        };
        serde_json::to_vec(&envelope).map_err(bad)
    }

    async fn send(&self, order: &Order) -> Result<Done, Trouble> {
        let body = self.body(order)?.into();
        let token = self.token.current();
        let mut headers = client::json();
        headers.insert(AUTHORIZATION, client::secret_value(&[b"Splunk ", token.expose()].concat())?);
        let request = Outgoing { method: http::Method::POST, url: self.url.clone(), headers, body };
        let answer = self.client.send(order, request).await?;
        judge(&answer, &Redact::default().and(&token))
    }
}

impl Collector {
    /// The collector tells its health to everybody.
    async fn probed(&self) -> Result<Probed, question::Trouble> {
        let health = self.url.join("health").map_err(|error| Trouble::refused(error.to_string()))?;
        self.client
            .ask_who_we_are(health, http::HeaderMap::new(), &Redact::default().and(&self.token.current()))
            .await?;
        Ok(Probed::new("the collector is healthy; the token is tried at the first entry", &["a token for the index"]))
    }
}

impl Connector for Collector {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn check(&self, action: &Action) -> Result<(), String> {
        entry::check(KIND.name, action)
    }

    fn perform<'a>(&'a self, order: &'a Order) -> Performing<'a> {
        Box::pin(self.send(order))
    }

    fn probe(&self) -> Option<Probing<'_>> {
        Some(Box::pin(self.probed()))
    }

    fn secrets(&self) -> Vec<std::sync::Arc<Ring>> {
        self.token.rings()
    }
}

fn address(written: &str, client: &Client) -> Result<Url, Problem> {
    let base = client::base_of_secret(written, client)?;
    if base.path().contains("/services/collector") {
        let problem =
            Problem::bad_value("base_url", format!("must not have a path of the collector: `{PATH}` is added"));
        return Err(problem.help("write only the scheme, the host and the port"));
    }
    egress::join(&base, PATH).map_err(|text| Problem::bad_value("base_url", text))
}

/// The code in the body decides; only where there is none, the status does.
fn judge(answer: &Answer, redact: &Redact) -> Result<Done, Trouble> {
    let status = Some(answer.status);
    let good = (200..=299).contains(&answer.status);
    let said: Option<Said> = serde_json::from_slice(&answer.body).ok();
    let trouble = |what, said: Said| {
        let text = redact.excerpt(&said.text);
        let message = format!("it answered {} with code {} ({text}){}", answer.status, said.code, meaning(said.code));
        Err(Trouble { what, status, message })
    };
    match said {
        Some(Said { text, code }) if good && TAKEN.contains(&code) => Ok(Done { status, note: redact.excerpt(&text) }),
        Some(said) if PASSING.contains(&said.code) => {
            trouble(What::NotDelivered { retry_after: answer.retry_after }, said)
        }
        Some(said) if good => trouble(What::Refused, said),
        None if good => {
            let message =
                "its answer broke off or is not of a collector, so nobody knows whether it was taken".to_owned();
            Err(Trouble { what: What::MaybeDelivered, status, message })
        }
        said => match (answer.judge(redact), said) {
            (Err(judged), Some(said)) if said.code != 0 => trouble(judged.what, said),
            (judged, _) => judged,
        },
    }
}

/// What to do about a code.
fn meaning(code: i64) -> &'static str {
    match code {
        1 => ": the token is switched off in Splunk",
        2..=4 => ": Splunk does not know the token",
        7 => ": there is no such index, or the token may not write to it",
        10 | 11 => ": the token asks for indexer acknowledgement, which must be off",
        _ => "",
    }
}
