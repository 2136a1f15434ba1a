//! `retry`: how often and for how long something is tried again. Holds numbers only; `delivery` waits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How often and for how long something is tried again. The wait before a try is chance below a limit that doubles with
/// each, so that what failed together does not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Retry {
    /// Tries in all, the first included. After the last it is a dead letter.
    #[schemars(range(min = 1, max = 1000))]
    pub attempts: u32,
    /// The longest wait before the second try, in milliseconds.
    #[schemars(range(min = 1))]
    pub(crate) first_ms: u64,
    /// The longest wait there is, in milliseconds.
    #[schemars(range(min = 1))]
    pub(crate) most_ms: u64,
    /// Seconds after which it is a dead letter, however many tries are left.
    #[schemars(range(min = 1))]
    pub(crate) give_up_s: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 20, first_ms: 1_000, most_ms: 900_000, give_up_s: 86_400 }
    }
}
