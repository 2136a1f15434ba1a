//! `[routes.NAME.reconcile]`: where to look for events that the hook never delivered. Holds settings only; `delivery` looks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Reads the provider's own log and takes from it what the hook never delivered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reconcile {
    /// Seconds from one look to the next.
    #[serde(default = "five_minutes")]
    #[schemars(range(min = 1, max = 86_400))]
    pub(crate) every_s: u64,
    /// How far each look goes back behind the end of the last one: events may appear in the log late.
    #[serde(default = "ten_minutes")]
    #[schemars(range(max = 86_400))]
    pub(crate) overlap_s: u64,
    /// Only events at least this old are looked at, so that a slow hook is not called a missing one.
    #[serde(default)]
    #[schemars(range(max = 86_400))]
    pub(crate) lag_s: u64,
    /// How much of the provider's rate limit may be used; others need the rest.
    #[serde(default = "a_quarter")]
    #[schemars(range(max = 1))]
    pub(crate) rate_share: f64,
    /// Whether the log may be at an address that only this network or machine knows.
    #[serde(default)]
    pub(crate) allow_private: bool,
    /// Time for one page of the log.
    #[serde(default = "ten_seconds")]
    #[schemars(range(min = 1))]
    pub(crate) timeout_ms: u64,
    /// The settings of the kind of log that the hook has, held against the schema of the kind.
    #[serde(flatten)]
    #[schemars(skip)]
    pub(crate) settings: Map<String, Value>,
}

fn five_minutes() -> u64 {
    300
}

fn ten_minutes() -> u64 {
    600
}

fn a_quarter() -> f64 {
    0.25
}

fn ten_seconds() -> u64 {
    10_000
}
