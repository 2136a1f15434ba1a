//! `servicenow`: incidents, by the Table API (contract: downstream actions, section 2).
//!
//! The Table API has no key that keeps a second record out. So each record has the action's key as its `correlation_id`, and a try
//! that may be the second one looks for it first.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use http::{HeaderMap, Method};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use crate::client;
use crate::client::{Answer, Client, Outgoing};
use crate::egress;
use crate::redact::Redact;
use crate::setup::{Key, Kind, Problem, Setup};
use crate::wording;
use crate::{Connector, Done, Order, Performing, Probed, Probing, Trouble, What};
use hookgate_model::command::{Action, Task};
use hookgate_model::question;
use hookgate_model::secret::{Ring, SecretSource};

#[cfg(test)]
mod tests;

pub(crate) const KIND: Kind = Kind {
    name: "servicenow",
    about: "A table of ServiceNow that takes incidents, by a `user` and its `password`.",
    guide: include_str!("servicenow/guide.md"),
    settings: Settings::json_schema,
    make: |setup| Ok(Box::new(ServiceNow::new(setup)?)),
    answers: None,
    cache: None,
    sends_codes: false,
    proxied: true,
};

/// More of an answer is not read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// ServiceNow takes no longer short description, in characters.
const MOST_SHORT: usize = 160;

/// Fields that hookgate sets, so that a record is found again.
const OWN: [&str; 2] = ["correlation_id", "correlation_display"];

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Address of the instance: `https://example.service-now.com`.
    #[schemars(length(min = 1))]
    base_url: String,
    /// Who files incidents.
    #[schemars(length(min = 1))]
    user: String,
    /// The password of `user`.
    password: SecretSource,
    /// Name of the table: `incident`, or one that extends `task`.
    #[serde(default = "incident")]
    #[schemars(length(min = 1))]
    table: String,
    /// Fields of records that do not say them, such as `urgency`, `category`, `assignment_group`, `caller_id`.
    #[serde(default)]
    fields: BTreeMap<String, String>,
    /// Whether fields hold what people see, such as the name of a group; if not, they hold the values of the database, such
    /// as its `sys_id`.
    #[serde(default)]
    display_values: bool,
    /// PEM file with authorities that are trusted besides those of the system.
    #[schemars(length(min = 1))]
    ca_file: Option<String>,
}

fn incident() -> String {
    "incident".to_owned()
}

struct ServiceNow {
    client: Client,
    /// Of the table, without a query.
    table: Url,
    user: String,
    password: Key,
    defaults: BTreeMap<String, String>,
    display_values: bool,
}

impl ServiceNow {
    fn new(setup: &Setup<'_>) -> Result<Self, Vec<Problem>> {
        let settings: Settings = setup.read()?;
        let mut problems = Vec::new();
        let authorities = client::authorities(setup, settings.ca_file.as_deref());
        let authorities = authorities.map_err(|found| problems.extend(found)).ok().flatten();
        let client = Client::new(setup, authorities);
        let table = table(&settings, &client).map_err(|problem| problems.push(problem));
        for name in settings.fields.keys() {
            let bad = |text| Problem::bad_value(&format!("fields.{name}"), text);
            problems.extend(check_name(name).map_err(bad).err());
        }
        if settings.user.contains(':') {
            problems
                .push(Problem::bad_value("user", "must not have a `:`, which ends the user in Basic authentication"));
        }
        let password = setup.secret("password", &settings.password).map_err(|found| problems.extend(found));
        match (table, password) {
            (Ok(table), Ok(password)) if problems.is_empty() => {
                let Settings { user, fields: defaults, display_values, .. } = settings;
                Ok(Self { client, table, user, password, defaults, display_values })
            }
            _ => Err(problems),
        }
    }

    async fn send(&self, order: &Order) -> Result<Done, Trouble> {
        let record = self.record(order)?;
        let (headers, redact) = self.proof()?;
        if order.doubt
            && let Some(found) = self.find(order, headers.clone(), &redact).await?
        {
            return Ok(Done { status: None, note: format!("{found}: an earlier try has filed it") });
        }
        let mut url = self.table.clone();
        url.query_pairs_mut().append_pair("sysparm_fields", "number,sys_id");
        if self.display_values {
            url.query_pairs_mut().append_pair("sysparm_input_display_value", "true");
        }
        let body = Value::Object(record).to_string().into();
        let request = Outgoing { method: Method::POST, url, headers, body };
        let answer = self.client.send(order, request).await?;
        filed(&answer, answer.judge(&redact)?)
    }

    /// The fields of the record.
    fn record(&self, order: &Order) -> Result<Map<String, Value>, Trouble> {
        let own = match &order.action.task {
            Task::Notify { .. } if order.gathered_count > 0 => of_text(&wording::digest(order)),
            Task::Notify { message: Value::Object(fields) } => own_fields(fields).map_err(Trouble::refused)?,
            Task::Notify { message } => of_text(&wording::text_of(message)),
            _ => return Err(Trouble::refused("it takes notifications and nothing else")),
        };
        let mut record: Map<String, Value> =
            self.defaults.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        record.extend(own);
        record.insert("correlation_id".to_owned(), json!(order.key));
        record.insert("correlation_display".to_owned(), json!("hookgate"));
        Ok(record)
    }

    /// The number of the record that an earlier try has filed.
    async fn find(&self, order: &Order, headers: HeaderMap, redact: &Redact) -> Result<Option<String>, Trouble> {
        let mut url = self.table.clone();
        url.query_pairs_mut()
            .append_pair("sysparm_query", &format!("correlation_id={}", order.key))
            .append_pair("sysparm_fields", "number,sys_id,correlation_id")
            .append_pair("sysparm_limit", "1");
        let request = Outgoing { method: Method::GET, url, headers, body: Bytes::new() };
        let answer = self.client.ask(request, MAX_ANSWER_BYTES).await.map_err(Trouble::while_looking)?;
        answer.judge(redact).map_err(Trouble::while_looking)?;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let Some(records) = body["result"].as_array() else {
            let message = "its answer is not that of the Table API";
            return Err(Trouble { status: Some(answer.status), ..Trouble::not_delivered(message) }.while_looking());
        };
        // ServiceNow drops a condition that it does not understand, and then every record fits.
        let ours = |record: &&Value| record["correlation_id"] == order.key.as_str();
        Ok(records.iter().find(ours).map(|record| record["number"].as_str().unwrap_or("a record").to_owned()))
    }

    async fn probed(&self) -> Result<Probed, question::Trouble> {
        let (headers, redact) = self.proof()?;
        let mut url = self.table.clone();
        url.query_pairs_mut().append_pair("sysparm_limit", "1").append_pair("sysparm_fields", "sys_id");
        self.client.ask_who_we_are(url, headers, &redact).await?;
        Ok(Probed::new("the table can be read", &["a role that reads and creates records of the table"]))
    }

    /// The headers of a request, and what must not be told of its answer.
    fn proof(&self) -> Result<(HeaderMap, Redact), Trouble> {
        let (value, redact) = client::basic(&self.user, &self.password.current())?;
        let mut headers = client::json();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(AUTHORIZATION, value);
        Ok((headers, redact))
    }
}

impl Connector for ServiceNow {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn check(&self, action: &Action) -> Result<(), String> {
        match &action.task {
            Task::Notify { message: Value::String(text) } if wording::headline(text, MOST_SHORT).is_empty() => {
                Err("the text is empty".to_owned())
            }
            Task::Notify { message: Value::String(_) } => Ok(()),
            Task::Notify { message: Value::Object(fields) } => own_fields(fields).map(|_| ()),
            Task::Notify { .. } => Err("a message is a text or a map".to_owned()),
            _ => Err(format!("a `servicenow` connector takes `notify`, which files a record, not `{}`", action.name())),
        }
    }

    fn perform<'a>(&'a self, order: &'a Order) -> Performing<'a> {
        Box::pin(self.send(order))
    }

    fn probe(&self) -> Option<Probing<'_>> {
        Some(Box::pin(self.probed()))
    }

    fn secrets(&self) -> Vec<std::sync::Arc<Ring>> {
        self.password.rings()
    }
}

fn of_text(text: &str) -> Map<String, Value> {
    let short = json!(wording::headline(text, MOST_SHORT));
    let whole = json!(wording::printable(text).trim());
    Map::from_iter([("short_description".to_owned(), short), ("description".to_owned(), whole)])
}

fn own_fields(written: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    let written = &wording::printable_fields(written);
    let mut fields = Map::new();
    for (name, value) in written {
        check_name(name)?;
        let value = match value {
            Value::String(text) if name == "short_description" => json!(wording::headline(text, MOST_SHORT)),
            Value::String(_) | Value::Number(_) | Value::Bool(_) => value.clone(),
            _ => return Err(format!("`{name}` is a text, a number, `true` or `false`")),
        };
        fields.insert(name.clone(), value);
    }
    match fields.get("short_description").map(|short| short.as_str().unwrap_or_default()) {
        None => Err("`short_description` is missing: what is it about?".to_owned()),
        Some("") => Err("`short_description` is a text, and not an empty one".to_owned()),
        Some(_) => Ok(fields),
    }
}

/// Whether a field may be set.
fn check_name(name: &str) -> Result<(), String> {
    if OWN.contains(&name) {
        return Err(format!("`{name}` is set by hookgate itself: by it a record is found again"));
    }
    match !name.is_empty() && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')) {
        true => Ok(()),
        false => Err("the name of a field is made of small letters, digits and `_`".to_owned()),
    }
}

/// A record has an id. Scripts of an instance may answer 200 to errors. A 2xx with neither is the page of something else, such
/// as a login or an instance that sleeps; only a look at the table can tell.
fn filed(answer: &Answer, done: Done) -> Result<Done, Trouble> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let status = Some(answer.status);
    if body.get("error").is_some_and(|error| !error.is_null()) {
        let message = format!("it answered {} with an error: {}", answer.status, done.note);
        return Err(Trouble { what: What::Refused, status, message });
    }
    let named = ["number", "sys_id"].iter().find_map(|name| body["result"].get(*name)?.as_str());
    match named.filter(|name| !name.is_empty()) {
        Some(name) => Ok(Done { note: name.to_owned(), ..done }),
        None if answer.status == 201 => Ok(done),
        None => {
            let message = format!("it answered {} and named no record: {}", answer.status, done.note);
            Err(Trouble { status, ..Trouble::maybe_delivered(message) })
        }
    }
}

/// The address of the table.
fn table(settings: &Settings, client: &Client) -> Result<Url, Problem> {
    let bad = |text: &str| Problem::bad_value("base_url", text);
    check_name(&settings.table)
        .map_err(|_| Problem::bad_value("table", "the name of a table is made of small letters, digits and `_`"))?;
    let url = egress::target_of_secret(&settings.base_url, client.egress()).map_err(|text| bad(&text))?;
    match (url.query(), url.path().contains("/api/")) {
        (Some(_), _) => Err(bad("must not have a `?`")),
        (None, true) => Err(bad("is the address of the instance: what begins with `/api/` is added to it")),
        (None, false) => egress::join(&url, &format!("/api/now/table/{}", settings.table)).map_err(|text| bad(&text)),
    }
}
