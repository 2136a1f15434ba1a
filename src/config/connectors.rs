//! `[connectors.NAME]`: outside systems that scripts may ask for something. Holds what every kind has; the settings of each
//! kind are told by the caller ([`ConnectorFacts`](crate::config::ConnectorFacts)) and kept as they are written.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::retry::Retry;

/// An outside system that scripts may ask for something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connector {
    /// Which kind of system it is.
    pub kind: String,
    #[serde(flatten)]
    pub common: Common,
    /// The settings of this kind, held against its schema.
    #[serde(flatten)]
    pub settings: Map<String, Value>,
}

/// What every kind of connector has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Common {
    /// Time for one try, from connecting to the end of the answer.
    #[schemars(range(min = 1))]
    pub timeout_ms: u64,
    /// Actions in work at once; others wait.
    #[schemars(range(min = 1))]
    pub concurrent: u32,
    /// Whether the target may be an address that only this network or machine knows. Without it such addresses are refused,
    /// whatever name leads to them.
    pub allow_private: bool,
    /// How often, and for how long, an action that failed is tried again.
    pub retry: Retry,
}

impl Default for Common {
    fn default() -> Self {
        Self { timeout_ms: 5000, concurrent: 8, allow_private: false, retry: Retry::default() }
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
