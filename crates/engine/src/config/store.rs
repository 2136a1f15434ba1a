//! `[store]`: where decisions, events and jobs are kept. Holds settings only; nothing here connects.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use hookgate_model::environment;

/// Where decisions, events and jobs are kept. A change needs a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// `sqlite:FILE`, on a local disk; `{ env = … }` where a variable holds it.
    pub url: StoreUrl,
    /// Days after which records are removed: events counted from the end of the last of their jobs.
    #[schemars(range(min = 1))]
    pub keep_days: u32,
    /// How many records of decisions are written a second. Failures, refusals and denials go first; what is over is
    /// counted and not kept. 0 keeps none.
    #[schemars(range(max = 100_000))]
    pub decisions_per_second: u32,
    /// How many records of decisions are kept at most, the newest ones.
    pub keep_decisions: u64,
    /// Logins in records of decisions are replaced by a hash: equal ones look equal, and `hookgate explain --user` finds them.
    pub hash_subjects: bool,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            url: StoreUrl::Text("sqlite:data/hookgate.db".to_owned()),
            keep_days: 30,
            decisions_per_second: 1_000,
            keep_decisions: 1_000_000,
            hash_subjects: false,
        }
    }
}

/// The address of the store, or the variable that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum StoreUrl {
    /// The address itself, without a password.
    Text(String),
    /// A variable of the environment that holds the address.
    Env {
        /// Name of the variable.
        #[schemars(length(min = 1))]
        env: String,
    },
}

impl StoreUrl {
    /// The address.
    ///
    /// # Errors
    /// The name of the variable, which is not set.
    pub fn text(&self) -> Result<String, &str> {
        match self {
            Self::Text(url) => Ok(url.clone()),
            Self::Env { env } => environment::variable(env).ok_or(env),
        }
    }
}
