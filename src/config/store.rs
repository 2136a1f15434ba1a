//! `[store]`: where decisions, events and jobs are kept. Holds settings only; nothing here connects.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where decisions, events and jobs are kept. A change needs a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// `sqlite:FILE` on one machine, `postgres://…` for several; `{ env = … }` where it holds a password.
    pub url: StoreUrl,
    /// Days after which records are removed.
    #[schemars(range(min = 1))]
    pub keep_days: u32,
}

impl Default for Store {
    fn default() -> Self {
        Self { url: StoreUrl::Text("sqlite:data/hookgate.db".to_owned()), keep_days: 30 }
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
