//! `[routes.NAME.reconcile]`: where to look for events that the hook never delivered. Holds settings only; `delivery` looks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use hookgate_model::secret::SecretSource;

/// Reads the provider's own log and takes from it what the hook never delivered. Needs `token`, or `client_id` and
/// `private_key`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reconcile {
    /// The address of the org and nothing more, such as `https://example.okta.com`.
    #[schemars(length(min = 1))]
    pub(crate) org_url: String,
    /// An API token of an administrator who may read the log and nothing else.
    pub(crate) token: Option<SecretSource>,
    /// A service app with the scope `okta.logs.read`, instead of a token. What it does at the provider reaches no rule.
    #[schemars(length(min = 1))]
    pub(crate) client_id: Option<String>,
    /// The private key of the app, in PEM form.
    pub(crate) private_key: Option<SecretSource>,
    /// Which of the app's keys it is, where there are several.
    #[schemars(length(min = 1))]
    pub(crate) key_id: Option<String>,
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
    /// Whether the org may be at an address that only this network or machine knows.
    #[serde(default)]
    pub(crate) allow_private: bool,
    /// Time for one page of the log.
    #[serde(default = "ten_seconds")]
    #[schemars(range(min = 1))]
    pub(crate) timeout_ms: u64,
}

impl Reconcile {
    /// Where its secrets come from.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &SecretSource> {
        self.token.iter().chain(&self.private_key)
    }
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
