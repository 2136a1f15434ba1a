//! `[connectors.NAME]`: outside systems that scripts may ask for something. Holds what every kind has; the settings of each
//! kind are told by the caller ([`ConnectorFacts`](crate::config::ConnectorFacts)) and kept as they are written.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::retry::Retry;
use hookgate_model::secret::SecretSource;

/// An outside system that scripts may ask for something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connector {
    /// Which kind of system it is.
    pub(crate) kind: String,
    #[serde(flatten)]
    pub(crate) common: Common,
    /// The settings of this kind, held against its schema.
    #[serde(flatten)]
    pub(crate) settings: Map<String, Value>,
}

/// What every kind of connector has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Common {
    /// Time for one try, from connecting to the end of the answer.
    #[schemars(range(min = 1))]
    pub(crate) timeout_ms: u64,
    /// Actions in work at once; others wait.
    #[schemars(range(min = 1))]
    pub(crate) concurrent: u32,
    /// Lookups in work at once; others wait, as long as their scripts do.
    #[schemars(range(min = 1, max = 10000))]
    pub(crate) lookups: u32,
    /// How long answers to lookups are kept. Without it, `okta` keeps them for a minute, and all others keep none.
    pub(crate) cache: Option<Cache>,
    /// Whether the target may be an address that only this network or machine knows. Without it such addresses are refused,
    /// whatever name leads to them.
    pub(crate) allow_private: bool,
    /// What requests go through, for kinds that speak HTTP. Proxies of the environment are never used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) proxy: Option<Proxy>,
    /// What keeps a mistake small: for actions that take something away, which are `delete` and what changes accounts, but for
    /// `add_to_group` and `unsuspend_user`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) guard: Option<Guard>,
    /// How often, and for how long, an action that failed is tried again.
    pub(crate) retry: Retry,
}

/// How long answers to lookups are kept. Of those who ask the same at once, one is sent. What a password was tried on is
/// never kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Cache {
    /// Seconds for which an answer is given without asking again.
    #[schemars(range(min = 1))]
    pub(crate) ttl_s: u64,
    /// The same for the answer that there is nothing.
    pub(crate) negative_s: u64,
    /// Seconds after that for which the old answer is still given (`.stale`), while a new one is fetched behind it.
    pub(crate) stale_s: u64,
    /// Answers that are kept; the least used ones go first.
    #[schemars(range(min = 1, max = 1000000))]
    pub(crate) entries: u32,
}

impl Default for Cache {
    fn default() -> Self {
        Self { ttl_s: 60, negative_s: 10, stale_s: 600, entries: 10_000 }
    }
}

/// What is never done through a connector, and how much of it in an hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Guard {
    /// Ids and logins of accounts that are never touched, such as those for emergencies. Best name both of each.
    pub(crate) protect: Vec<String>,
    /// How many such actions may go out within an hour; the others are dead letters.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_per_hour: u32,
    /// Name of the connector that is notified, once an hour, when there were more.
    #[schemars(length(min = 1))]
    pub alert: Option<String>,
}

impl Default for Guard {
    fn default() -> Self {
        Self { protect: Vec::new(), max_per_hour: 25, alert: None }
    }
}

/// A proxy: its address, or a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub(crate) enum Proxy {
    /// Its address: `http://proxy.example.com:3128`.
    Address(String),
    /// A proxy with more to say.
    Table {
        /// Its address: `http://proxy.example.com:3128`.
        #[schemars(length(min = 1))]
        url: String,
        /// Who we are there: it holds `user:password`.
        auth: Option<SecretSource>,
        /// Whether the proxy may be at an address that only this network or machine knows.
        #[serde(default)]
        allow_private: bool,
    },
}

impl Proxy {
    /// Where its secret comes from.
    pub(crate) fn auth(&self) -> Option<&SecretSource> {
        match self {
            Self::Address(_) => None,
            Self::Table { auth, .. } => auth.as_ref(),
        }
    }
}

impl Default for Common {
    fn default() -> Self {
        Self {
            timeout_ms: 5000,
            concurrent: 8,
            lookups: 64,
            cache: None,
            allow_private: false,
            proxy: None,
            guard: None,
            retry: Retry::default(),
        }
    }
}

/// A place in the schema that [`Known`](crate::config::Known) fills in.
impl JsonSchema for Connector {
    fn schema_name() -> Cow<'static, str> {
        "Connector".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({})
    }
}
