//! `[routes.NAME]`: a path, its hook, its authentication and what runs there. Holds settings only.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::Config;
use crate::config::limits::LimitOverrides;
use crate::config::reconcile::Reconcile;
use crate::config::retry::Retry;
use hookgate_model::secret::SecretSource;
use hookgate_model::secret::literal::{Certainty, names_secret};

/// How `preview` names a header.
pub(crate) const PREVIEW_BY_HEADER: &str = "header:";

/// A path that a provider calls: its hook, its authentication and what runs there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The path of the URL, such as `/okta/registration`. A slash at the end does not count.
    pub path: String,
    /// A second path for trying: its calls are answered as those of `path`, but nothing acts. Actions are recorded and not
    /// done, no code is sent, and `kv` stays as it is.
    #[schemars(length(min = 1))]
    pub(crate) preview_path: Option<String>,
    /// A header that marks a call as one for trying, as in `"header:x-hookgate-preview"`. Whatever its value, the call is
    /// treated as one of `preview_path`.
    pub(crate) preview: Option<String>,
    /// The kind of call that arrives here, such as `okta.registration`.
    pub hook: String,
    /// The script to run, relative to the folder of scripts. An event route has this or `rules`.
    #[schemars(length(min = 1))]
    pub script: Option<String>,
    /// The `[auth.…]` section that callers must satisfy, or a list of them, any of which is good. `{ all = ["a", "b"] }` wants
    /// each of those, and may stand in the list, too.
    pub auth: RouteAuth,
    /// What the provider hears when the script fails. Must be stated, except on event routes, where events are retried.
    pub on_failure: Option<OnFailure>,
    /// Values that the script reads as `params.NAME`: whatever you like. Dates arrive as text. What is named like a secret
    /// (`api_key`) is `{ env = … }` or `{ file = … }`, and the script gets a Secret.
    #[serde(default)]
    pub params: Map<String, Value>,
    /// Limits that differ from `[limits]`.
    #[serde(default)]
    pub limits: LimitOverrides,
    /// The scripts of an event route, by name.
    #[serde(default)]
    pub rules: BTreeMap<String, Rule>,
    /// Ids of actors, OAuth clients and API tokens by which this gateway, or what it calls, changes things at the provider.
    /// Events of their making reach no rule, so that no rule answers itself.
    #[serde(default)]
    pub(crate) own_actors: Vec<String>,
    /// Where to look for events that the hook never delivered.
    pub reconcile: Option<Reconcile>,
    /// Whether calls are kept with their decision, without what is secret: `true`, or a table.
    #[serde(default)]
    pub capture: Capture,
}

/// Who may call a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RouteAuth {
    /// One section.
    One(String),
    /// All of several sections at once.
    All(AllOf),
    /// Any of them.
    Any(Vec<AuthChoice>),
}

/// One of several ways to call a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AuthChoice {
    /// One section.
    One(String),
    /// All of several sections at once.
    All(AllOf),
}

/// Sections that a caller must satisfy all at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AllOf {
    /// Their names.
    #[schemars(length(min = 1))]
    pub(crate) all: Vec<String>,
}

impl RouteAuth {
    /// The ways into the route, any of which is good; each is the names of the sections that it needs.
    pub fn ways(&self) -> Vec<&[String]> {
        match self {
            Self::One(name) => vec![std::slice::from_ref(name)],
            Self::All(several) => vec![several.all.as_slice()],
            Self::Any(choices) => choices.iter().map(AuthChoice::names).collect(),
        }
    }

    /// The ways as people read them: `okta`, `okta and gateway`.
    pub fn shown(&self) -> Vec<String> {
        self.ways().iter().map(|way| way.join(" and ")).collect()
    }
}

impl AuthChoice {
    fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::All(several) => &several.all,
        }
    }
}

/// Whether the request and reply of a call are kept beside its decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum Capture {
    /// All of them, for a week, or none.
    Switch(bool),
    /// All of them.
    With {
        /// Members that are not kept, besides those that are secret anyway: `data.userProfile.ssn`.
        #[serde(default)]
        redact: Vec<String>,
        /// Days after which they are removed.
        #[serde(default = "a_week")]
        #[schemars(range(min = 1, max = 365))]
        keep_days: u32,
        /// Larger calls are not kept.
        #[serde(default = "quarter_mebibyte")]
        #[schemars(range(min = 1, max = 4_194_304))]
        max_bytes: usize,
    },
}

/// What is captured, if anything is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capturing {
    /// Paths of members that are not kept.
    pub(crate) redact: Vec<Vec<String>>,
    pub(crate) keep_days: u32,
    pub(crate) max_bytes: usize,
}

impl Default for Capture {
    fn default() -> Self {
        Self::Switch(false)
    }
}

impl Capture {
    pub fn wanted(&self) -> Option<Capturing> {
        match self {
            Self::Switch(false) => None,
            Self::Switch(true) => {
                Some(Capturing { redact: Vec::new(), keep_days: a_week(), max_bytes: quarter_mebibyte() })
            }
            Self::With { redact, keep_days, max_bytes } => {
                let path = |path: &String| path.split('.').map(str::to_owned).collect();
                let redact = redact.iter().map(path).collect();
                Some(Capturing { redact, keep_days: *keep_days, max_bytes: *max_bytes })
            }
        }
    }
}

fn a_week() -> u32 {
    7
}

fn quarter_mebibyte() -> usize {
    256 * 1024
}

/// One of several scripts behind an event route, with the event types it wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Event types: exact (`user.lifecycle.create`), a family (`user.lifecycle.*`), or all (`*`).
    #[schemars(length(min = 1))]
    pub(crate) events: Vec<String>,
    /// The script to run, relative to the folder of scripts.
    #[schemars(length(min = 1))]
    pub script: String,
    /// Values that the script reads as `params.NAME`: whatever you like. Dates arrive as text. What is named like a secret
    /// (`api_key`) is `{ env = … }` or `{ file = … }`, and the script gets a Secret.
    #[serde(default)]
    pub params: Map<String, Value>,
    /// Limits that differ from those of the route.
    #[serde(default)]
    pub(crate) limits: LimitOverrides,
    /// Only events that ended so: `SUCCESS`, `FAILURE`, ….
    #[serde(default)]
    pub(crate) outcome: Vec<String>,
    /// Only events with a target of one of these types: `User`, `UserGroup`, ….
    #[serde(default)]
    pub(crate) target_type: Vec<String>,
    /// Only events with one of these targets, by id.
    #[serde(default)]
    pub(crate) target_id: Vec<String>,
    /// Only events by an actor of one of these types: `User`, `SystemPrincipal`, ….
    #[serde(default)]
    pub(crate) actor_type: Vec<String>,
    /// What must stay in order: events that have the same here, such as `target.User.id` or `actor.id`, run one after the
    /// other as they were published, and what they ask of one connector is done one after the other. Others do not wait for
    /// them.
    #[schemars(length(min = 1))]
    pub(crate) order_by: Option<String>,
    /// How long an ordered event waits for earlier ones that arrive after it.
    #[serde(default = "two_seconds")]
    #[schemars(range(max = 600_000))]
    pub(crate) hold_ms: u64,
    /// What happens when the script fails.
    #[serde(default)]
    pub(crate) retry: Retry,
}

fn two_seconds() -> u64 {
    2_000
}

/// What the provider hears when the script fails. Every hook has its own forms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OnFailure {
    /// A word of the hook, such as `allow` or `unchanged`.
    Word(String),
    /// A word with a text, such as `{ deny = "…" }` for the person who waits, or `{ refuse = "…" }` for the provider's log.
    WithText(BTreeMap<String, String>),
}

impl Route {
    /// The name of the header that marks a call as one for trying.
    pub(crate) fn preview_header(&self) -> Option<&str> {
        self.preview.as_deref()?.strip_prefix(PREVIEW_BY_HEADER)
    }
}

impl Config {
    /// The parameters that are secrets, each with its key path and the table that says where it is. One is a secret if its name
    /// says so (`api_key`) and its value is `{ env = … }` or `{ file = … }`.
    pub(crate) fn secret_params(&self) -> Vec<(String, &Value)> {
        let mut found = Vec::new();
        for (name, route) in &self.routes {
            let path = format!("routes.{name}");
            secrets_in(&format!("{path}.params"), &route.params, &mut found);
            for (name, rule) in &route.rules {
                secrets_in(&format!("{path}.rules.{name}.params"), &rule.params, &mut found);
            }
        }
        found
    }
}

fn secrets_in<'c>(path: &str, params: &'c Map<String, Value>, found: &mut Vec<(String, &'c Value)>) {
    for (name, value) in params {
        let path = format!("{path}.{name}");
        if secret_param(name, value).is_some() {
            found.push((path, value));
        } else if let Value::Object(inner) = value {
            secrets_in(&path, inner, found);
        }
    }
}

/// Where a parameter is, if it is a secret.
pub(crate) fn secret_param(name: &str, value: &Value) -> Option<SecretSource> {
    if names_secret(name) == Certainty::No || !value.is_object() {
        return None;
    }
    SecretSource::deserialize(value).ok()
}
