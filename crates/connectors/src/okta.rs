//! `okta`: what an org knows of users and groups, and changes to their accounts (contract: downstream actions, section 5).
//!
//! Never leaves the org: ids become one segment of a path each, and links to further pages are followed within it only. Never
//! uses more of the rate limit than its share. What a change finds as it should be counts as done.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::cache::Rules;
use crate::client;
use crate::client::Client;
use crate::egress;
use crate::okta::org::{Family, Org};
use crate::okta_log::access::{Access, Written};
use crate::redact::Redact;
use crate::setup::{Kind, Problem, Setup};
use crate::{Connector, LookingUp, Naming, Order, Performing, Probed, Probing};
use hookgate_model::command::{Action, Task, Verb};
use hookgate_model::question::{Question, Trouble};
use hookgate_model::secret::{Ring, SecretSource};

mod account;
mod directory;
mod org;
#[cfg(test)]
mod tests;

pub(crate) const KIND: Kind = Kind {
    name: "okta",
    about: "An org of Okta: its users and groups, by an API `token` or a service app.",
    guide: include_str!("okta/guide.md"),
    settings: Settings::json_schema,
    make: |setup| Ok(Box::new(Okta::new(setup)?)),
    answers: Some("okta"),
    cache: Some(CACHE),
    sends_codes: false,
    proxied: true,
};

/// How long answers are kept unless the section says otherwise.
const CACHE: Rules = Rules {
    ttl: Duration::from_mins(1),
    negative: Duration::from_secs(10),
    stale: Duration::from_mins(10),
    entries: 10_000,
};

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The address of the org and nothing more, such as `https://example.okta.com`.
    #[schemars(length(min = 1))]
    pub org_url: String,
    /// An API token; it may do what the administrator who made it may do.
    pub token: Option<SecretSource>,
    /// A service app, instead of a token. What it does reaches no rule: its id counts among `own_actors`.
    #[schemars(length(min = 1))]
    pub client_id: Option<String>,
    /// The private key of the app, in PEM form.
    pub private_key: Option<SecretSource>,
    /// Which of the app's keys it is, where there are several.
    #[schemars(length(min = 1))]
    pub key_id: Option<String>,
    /// What an app asks for. Okta gives no token if one of them is not granted.
    #[serde(default = "reading")]
    #[schemars(length(min = 1))]
    scopes: Vec<String>,
    /// How much of the org's rate limit may be used; others need the rest.
    #[serde(default = "three_tenths")]
    #[schemars(range(max = 1))]
    pub rate_share: f64,
    /// Ids under which this connector acts, such as that of the administrator who made `token`: events of their making reach
    /// no rule of any route.
    #[serde(default)]
    own_actors: Vec<String>,
    /// PEM file with authorities that are trusted besides those of the system.
    #[schemars(length(min = 1))]
    ca_file: Option<String>,
}

fn reading() -> Vec<String> {
    ["okta.users.read", "okta.groups.read"].map(str::to_owned).to_vec()
}

fn three_tenths() -> f64 {
    0.3
}

struct Okta {
    org: Org,
    scopes: Vec<String>,
    own_actors: Vec<String>,
}

impl Okta {
    fn new(setup: &Setup<'_>) -> Result<Self, Vec<Problem>> {
        let settings: Settings = setup.read()?;
        let mut problems = Vec::new();
        let authorities = client::authorities(setup, settings.ca_file.as_deref());
        let authorities = authorities.map_err(|found| problems.extend(found)).ok().flatten();
        let client = Client::new(setup, authorities);
        if settings.rate_share <= 0.0 {
            problems.push(Problem::bad_value("rate_share", "must be more than 0"));
        }
        let url = org_url(&settings.org_url, &client).map_err(|problem| problems.push(problem));
        let Ok(url) = url else { return Err(problems) };
        let access = access(setup, &settings, &url).map_err(|found| problems.extend(found));
        match access {
            Ok(access) if problems.is_empty() => {
                let Settings { scopes, client_id, mut own_actors, rate_share, .. } = settings;
                own_actors.extend(client_id);
                Ok(Self { org: Org::new(client, url, access, rate_share), scopes, own_actors })
            }
            _ => Err(problems),
        }
    }

    async fn probed(&self) -> Result<Probed, Trouble> {
        let answer = self.org.look("/api/v1/users?limit=1", Family::Users).await?;
        match answer.status {
            200 => Ok(Probed { found: "the org lets us read its users".to_owned(), needs: self.scopes.clone() }),
            _ => Err(self.org.refusal(&answer, "read users", "okta.users.read", directory::ROLE)),
        }
    }
}

impl Connector for Okta {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn check(&self, action: &Action) -> Result<(), String> {
        match &action.task {
            Task::Account(account) if account.verb == Verb::RevokeSignInSessions => {
                Err("`revoke_sign_in_sessions` needs a connector of kind `entra`: at Okta it is `clear_sessions`"
                    .to_owned())
            }
            Task::Account(account) => account::check(account),
            _ => Err(format!(
                "an `okta` connector changes accounts (`clear_sessions`, `suspend_user`, `add_to_group` …), and takes no `{}`",
                action.name()
            )),
        }
    }

    fn perform<'a>(&'a self, order: &'a Order) -> Performing<'a> {
        Box::pin(account::perform(&self.org, order))
    }

    fn look_up<'a>(&'a self, question: &'a Question) -> LookingUp<'a> {
        Box::pin(directory::answer(&self.org, question))
    }

    fn quota_used(&self) -> Option<f64> {
        self.org.quota_used()
    }

    fn probe(&self) -> Option<Probing<'_>> {
        Some(Box::pin(self.probed()))
    }

    fn names_of<'a>(&'a self, action: &'a Action) -> Naming<'a> {
        Box::pin(account::names(&self.org, action))
    }

    fn own_actors(&self) -> Vec<String> {
        self.own_actors.clone()
    }

    fn secrets(&self) -> Vec<Arc<Ring>> {
        self.org.secrets()
    }

    fn redact(&self) -> Redact {
        self.org.redact()
    }
}

fn org_url(written: &str, client: &Client) -> Result<Url, Problem> {
    let bad = |text: String| Problem::bad_value("org_url", text);
    let url = egress::target_of_secret(written, client.egress()).map_err(bad)?;
    match matches!(url.path(), "" | "/") && url.query().is_none() {
        true => Ok(url),
        false => Err(bad("must be the address of the org and nothing more".to_owned())),
    }
}

fn access(setup: &Setup<'_>, settings: &Settings, org: &Url) -> Result<Access, Vec<Problem>> {
    let app = [
        ("client_id", settings.client_id.is_some()),
        ("private_key", settings.private_key.is_some()),
        ("key_id", settings.key_id.is_some()),
    ];
    if let (Some(_), Some((key, _))) = (&settings.token, app.iter().find(|(_, given)| *given)) {
        let problem =
            Problem::bad_value(key, format!("it has `token` or an app, not both: here are `token` and `{key}`"));
        return Err(vec![problem.help("remove one of them")]);
    }
    let written = Written {
        token: settings.token.as_ref(),
        client_id: settings.client_id.as_deref(),
        private_key: settings.private_key.as_ref(),
        key_id: settings.key_id.as_deref(),
        scope: settings.scopes.join(" "),
    };
    Access::new(setup, written, org)
}
