//! `jira`: issues in Jira Cloud (REST API v3) or Jira Data Center and Server (v2) (contract: downstream actions, section 2).
//!
//! Jira has no key that keeps a second issue out. So each issue has a label made of the action's key, and a try that may be the
//! second one looks for it first.

use http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use http::{HeaderMap, Method};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use crate::client;
use crate::client::{Answer, Client, Outgoing};
use crate::egress;
use crate::jira::issue::{Defaults, Edition};
use crate::redact::Redact;
use crate::setup::{Key, Kind, Problem, Setup};
use crate::{Connector, Done, Order, Performing, Probed, Probing, Trouble};
use hookgate_model::command::{Action, Task};
use hookgate_model::question;
use hookgate_model::secret::{Ring, SecretSource};

mod issue;
#[cfg(test)]
mod tests;

pub(crate) const KIND: Kind = Kind {
    name: "jira",
    about: "A project of Jira: in the cloud by `email` and `api_token`, on a server by a personal access `token`.",
    guide: include_str!("jira/guide.md"),
    settings: Settings::json_schema,
    make: |setup| Ok(Box::new(Jira::new(setup)?)),
    answers: None,
    cache: None,
    sends_codes: false,
    proxied: true,
};

/// More of an answer is not read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Address of the site: `https://example.atlassian.net`, or that of the server.
    #[schemars(length(min = 1))]
    base_url: String,
    /// Who files issues in Jira Cloud, with `api_token`.
    #[schemars(length(min = 1))]
    email: Option<String>,
    /// The API token of `email`.
    api_token: Option<SecretSource>,
    /// A personal access token of Jira Data Center or Server.
    pub token: Option<SecretSource>,
    /// Key of the project that issues are filed in.
    #[schemars(length(min = 1))]
    project: String,
    /// Name of the type of issues that do not say another.
    #[serde(default = "task")]
    #[schemars(length(min = 1))]
    issue_type: String,
    /// Labels of issues that do not say others.
    #[serde(default)]
    labels: Vec<String>,
    /// Name of the priority of issues that do not say another; the project's own if absent.
    #[schemars(length(min = 1))]
    priority: Option<String>,
    /// PEM file with authorities that are trusted besides those of the system.
    #[schemars(length(min = 1))]
    ca_file: Option<String>,
}

fn task() -> String {
    "Task".to_owned()
}

struct Jira {
    client: Client,
    base: Url,
    access: Access,
    defaults: Defaults,
}

enum Access {
    Cloud { email: String, token: Key },
    Server { token: Key },
}

impl Jira {
    fn new(setup: &Setup<'_>) -> Result<Self, Vec<Problem>> {
        let settings: Settings = setup.read()?;
        let mut problems = Vec::new();
        let authorities = client::authorities(setup, settings.ca_file.as_deref());
        let authorities = authorities.map_err(|found| problems.extend(found)).ok().flatten();
        let client = Client::new(setup, authorities);
        let base = base(&settings.base_url, &client).map_err(|problem| problems.push(problem));
        for (index, label) in settings.labels.iter().enumerate() {
            let bad = |text| Problem::bad_value(&format!("labels[{index}]"), text);
            problems.extend(issue::check_label(label).map_err(bad).err());
        }
        let access = access(setup, &settings).map_err(|found| problems.extend(found));
        match (base, access) {
            (Ok(base), Ok(access)) if problems.is_empty() => {
                let Settings { project, issue_type, labels, priority, .. } = settings;
                Ok(Self { client, base, access, defaults: Defaults { project, issue_type, labels, priority } })
            }
            _ => Err(problems),
        }
    }

    fn edition(&self) -> Edition {
        match self.access {
            Access::Cloud { .. } => Edition::Cloud,
            Access::Server { .. } => Edition::Server,
        }
    }

    async fn send(&self, order: &Order) -> Result<Done, Trouble> {
        let fields = issue::fields(order, &self.defaults, self.edition())?;
        let (headers, redact) = self.proof()?;
        if order.doubt
            && let Some(found) = self.find(order, &headers, &redact).await?
        {
            return Ok(Done { status: None, note: format!("{found}: an earlier try has filed it") });
        }
        let path = match self.edition() {
            Edition::Cloud => "/rest/api/3/issue",
            Edition::Server => "/rest/api/2/issue",
        };
        let request = self.request(path, headers, &json!({ "fields": fields }))?;
        let answer = self.client.send(order, request).await?;
        filed(&answer, answer.judge(&redact)?)
    }

    /// The issue that an earlier try has filed.
    async fn find(&self, order: &Order, headers: &HeaderMap, redact: &Redact) -> Result<Option<String>, Trouble> {
        let path = match self.edition() {
            Edition::Cloud => "/rest/api/3/search/jql",
            Edition::Server => "/rest/api/2/search",
        };
        // The label has no quotation mark in it.
        let jql = format!("labels = \"{}\"", issue::label(&order.key));
        let wanted = json!({ "jql": jql, "fields": ["key"], "maxResults": 1 });
        let request = self.request(path, headers.clone(), &wanted)?;
        let answer = self.client.ask(request, MAX_ANSWER_BYTES).await.map_err(Trouble::while_looking)?;
        answer.judge(redact).map_err(Trouble::while_looking)?;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let Some(issues) = body["issues"].as_array() else {
            let message = "its answer is not that of a search";
            return Err(Trouble { status: Some(answer.status), ..Trouble::not_delivered(message) }.while_looking());
        };
        Ok(issues.first().map(|issue| issue["key"].as_str().unwrap_or("an issue").to_owned()))
    }

    fn request(&self, path: &str, headers: HeaderMap, body: &Value) -> Result<Outgoing, Trouble> {
        let url = egress::join(&self.base, path).map_err(Trouble::refused)?;
        Ok(Outgoing { method: Method::POST, url, headers, body: body.to_string().into() })
    }

    async fn probed(&self) -> Result<Probed, question::Trouble> {
        let (headers, redact) = self.proof()?;
        let path = match self.edition() {
            Edition::Cloud => "/rest/api/3/myself",
            Edition::Server => "/rest/api/2/myself",
        };
        let url = egress::join(&self.base, path).map_err(Trouble::refused)?;
        self.client.ask_who_we_are(url, headers, &redact).await?;
        let project = &self.defaults.project;
        let needs = format!("Browse Projects and Create Issues in `{project}`");
        Ok(Probed::new("Jira knows the account", &[&needs]))
    }

    /// The headers of a request, and what must not be told of its answer.
    fn proof(&self) -> Result<(HeaderMap, Redact), Trouble> {
        let (value, redact) = match &self.access {
            Access::Cloud { email, token } => client::basic(email, &token.current())?,
            Access::Server { token } => {
                let secret = token.current();
                let value = client::secret_value(&[b"Bearer ", secret.expose()].concat())?;
                (value, Redact::default().and(&secret))
            }
        };
        let mut headers = client::json();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(AUTHORIZATION, value);
        Ok((headers, redact))
    }
}

impl Connector for Jira {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn check(&self, action: &Action) -> Result<(), String> {
        match &action.task {
            Task::Notify { message } => issue::check(message, self.edition()),
            _ => Err(format!("a `jira` connector takes `notify`, which files an issue, not `{}`", action.name())),
        }
    }

    fn perform<'a>(&'a self, order: &'a Order) -> Performing<'a> {
        Box::pin(self.send(order))
    }

    fn probe(&self) -> Option<Probing<'_>> {
        Some(Box::pin(self.probed()))
    }

    fn secrets(&self) -> Vec<std::sync::Arc<Ring>> {
        match &self.access {
            Access::Cloud { token, .. } | Access::Server { token } => token.rings(),
        }
    }
}

/// An issue has a key. A 2xx without one is the page of something before Jira, such as a login; only a search can tell.
fn filed(answer: &Answer, done: Done) -> Result<Done, Trouble> {
    let body: Map<String, Value> = serde_json::from_slice(&answer.body).unwrap_or_default();
    match body.get("key").and_then(Value::as_str) {
        Some(key) => Ok(Done { note: key.to_owned(), ..done }),
        None if answer.status == 201 => Ok(done),
        None => {
            let message = format!("it answered {} and named no issue: {}", answer.status, done.note);
            Err(Trouble { status: done.status, ..Trouble::maybe_delivered(message) })
        }
    }
}

fn base(written: &str, client: &Client) -> Result<Url, Problem> {
    let bad = |text: &str| Problem::bad_value("base_url", text);
    let url = egress::target_of_secret(written, client.egress()).map_err(|text| bad(&text))?;
    match (url.query(), url.path().contains("/rest/")) {
        (Some(_), _) => Err(bad("must not have a `?`")),
        (None, true) => Err(bad("is the address of the site: what begins with `/rest/` is added to it")),
        (None, false) => Ok(url),
    }
}

fn access(setup: &Setup<'_>, settings: &Settings) -> Result<Access, Vec<Problem>> {
    match (&settings.email, &settings.api_token, &settings.token) {
        (Some(email), Some(token), None) => {
            Ok(Access::Cloud { email: email.clone(), token: setup.secret("api_token", token)? })
        }
        (None, None, Some(token)) => Ok(Access::Server { token: setup.secret("token", token)? }),
        (Some(_), None, _) => {
            Err(vec![Problem::missing("api_token", "`api_token` is missing: `email` files issues with one")])
        }
        (None, Some(_), _) => Err(vec![Problem::missing("email", "`email` is missing: whose `api_token` is it?")]),
        (Some(_), Some(_), Some(_)) => {
            let problem = Problem::bad_value("token", "`api_token` and `token` exclude each other");
            Err(vec![problem.help("Jira Cloud takes `email` and `api_token`, a server a personal access `token`")])
        }
        (None, None, None) => {
            let problem = Problem::missing("api_token", "`email` and `api_token` are missing");
            Err(vec![problem.help("or a personal access `token`, for Jira Data Center and Server")])
        }
    }
}
