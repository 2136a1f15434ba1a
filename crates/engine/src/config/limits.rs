//! `[limits]`: what one run of a script may use. Holds numbers only; `script` enforces them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one run of a script may use. Every route and rule may override each of them but `max_events`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Time for the whole call, lookups included.
    #[schemars(range(min = 1))]
    pub deadline_ms: u64,
    /// Operations of the script engine.
    #[schemars(range(min = 1))]
    pub operations: u64,
    /// Longest text a script may build.
    #[schemars(range(min = 1))]
    pub max_string_bytes: u64,
    /// Longest array a script may build. Large arrays are slow; big lists belong in a table.
    #[schemars(range(min = 1))]
    pub max_array_items: u64,
    /// Largest map a script may build.
    #[schemars(range(min = 1))]
    pub max_map_items: u64,
    /// Memory of one run. At most 256 MiB, because the stack of a run is made for what its memory can hold.
    #[schemars(range(min = 1, max = 268_435_456))]
    pub memory_bytes: u64,
    /// How deep script functions may call each other.
    #[schemars(range(min = 1, max = 1000))]
    pub call_depth: u32,
    /// Calls that one route runs at the same time; beyond it callers get the declared answer at once, and deliveries of
    /// events a 503. For rules, how many of their jobs run at the same time; the others wait.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub concurrent: u32,
    /// Time that verifying one password may take by the estimate of its hash, on one core.
    #[schemars(range(min = 1, max = 60_000))]
    pub password_ms: u64,
    /// Memory that verifying one password may fill. As many are verified at once as there are cores.
    #[schemars(range(min = 1_048_576, max = 4_294_967_296_u64))]
    pub password_memory_bytes: u64,
    /// Events of one delivery. A delivery with more is refused with 413 before any of them is read.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_events: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline_ms: 2500,
            operations: 10_000_000,
            max_string_bytes: 1_048_576,
            max_array_items: 10_000,
            max_map_items: 10_000,
            memory_bytes: 67_108_864,
            call_depth: 32,
            concurrent: 256,
            password_ms: 1_500,
            password_memory_bytes: 134_217_728,
            max_events: 10_000,
        }
    }
}

impl Limits {
    /// These limits with those of a route or rule in their place.
    #[must_use]
    pub(crate) fn with(self, overrides: &LimitOverrides) -> Self {
        Self {
            deadline_ms: overrides.deadline_ms.unwrap_or(self.deadline_ms),
            operations: overrides.operations.unwrap_or(self.operations),
            max_string_bytes: overrides.max_string_bytes.unwrap_or(self.max_string_bytes),
            max_array_items: overrides.max_array_items.unwrap_or(self.max_array_items),
            max_map_items: overrides.max_map_items.unwrap_or(self.max_map_items),
            memory_bytes: overrides.memory_bytes.unwrap_or(self.memory_bytes),
            call_depth: overrides.call_depth.unwrap_or(self.call_depth),
            concurrent: overrides.concurrent.unwrap_or(self.concurrent),
            password_ms: overrides.password_ms.unwrap_or(self.password_ms),
            password_memory_bytes: overrides.password_memory_bytes.unwrap_or(self.password_memory_bytes),
            max_events: self.max_events,
        }
    }
}

/// Limits of one route or rule; what is absent is taken from `[limits]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitOverrides {
    /// Time for the whole call, lookups included.
    #[schemars(range(min = 1))]
    pub(crate) deadline_ms: Option<u64>,
    /// Operations of the script engine.
    #[schemars(range(min = 1))]
    pub(crate) operations: Option<u64>,
    /// Longest text a script may build.
    #[schemars(range(min = 1))]
    pub(crate) max_string_bytes: Option<u64>,
    /// Longest array a script may build.
    #[schemars(range(min = 1))]
    pub(crate) max_array_items: Option<u64>,
    /// Largest map a script may build.
    #[schemars(range(min = 1))]
    pub(crate) max_map_items: Option<u64>,
    /// Memory of one run. At most 256 MiB, because the stack of a run is made for what its memory can hold.
    #[schemars(range(min = 1, max = 268_435_456))]
    pub(crate) memory_bytes: Option<u64>,
    /// How deep script functions may call each other.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) call_depth: Option<u32>,
    /// Calls that run at the same time; beyond it callers get the declared answer at once. For events: jobs of one rule
    /// that run at the same time; the others wait.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) concurrent: Option<u32>,
    /// Time that verifying one password may take by the estimate of its hash, on one core.
    #[schemars(range(min = 1, max = 60_000))]
    pub(crate) password_ms: Option<u64>,
    /// Memory that verifying one password may fill. As many are verified at once as there are cores.
    #[schemars(range(min = 1_048_576, max = 4_294_967_296_u64))]
    pub(crate) password_memory_bytes: Option<u64>,
}
