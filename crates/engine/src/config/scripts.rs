//! `[scripts]`: where scripts are, and what a release must pass. Holds settings only.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where scripts are, and what must hold before they go live.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Scripts {
    /// Folder of the scripts, relative to `gateway.toml`.
    #[schemars(length(min = 1))]
    pub dir: String,
    /// Folders outside the folder of `gateway.toml` in which tables, scripts, databases and certificates may lie, too.
    /// Without them everything that a release is made of stays below the folder of `gateway.toml`, links included.
    #[schemars(inner(length(min = 1)))]
    pub(crate) roots: Vec<String>,
    /// What a release must pass before it goes live.
    pub gate: Gate,
    /// A release whose tests take longer does not go live.
    #[schemars(range(min = 1))]
    pub(crate) gate_timeout_ms: u64,
    /// How long no file of the bundle may have changed before it is read; it must be longer than the pauses between the files of
    /// one deployment. Files that have been changing for longer must be quiet for half of that time, for up to two seconds.
    #[schemars(range(min = 20, max = 60_000))]
    pub(crate) settle_ms: u64,
    /// File with the SHA-256 of `gateway.toml`, every script and fixture, and every table, as `sha256sum` writes it. Nothing goes
    /// live unless all of them match.
    #[schemars(length(min = 1))]
    pub(crate) manifest: Option<String>,
}

impl Default for Scripts {
    fn default() -> Self {
        Self {
            dir: "scripts".to_owned(),
            roots: Vec::new(),
            gate: Gate::Tests,
            gate_timeout_ms: 30_000,
            settle_ms: 150,
            manifest: None,
        }
    }
}

impl Scripts {
    /// How long no file may have changed before the bundle is read.
    pub(crate) fn settle(&self) -> Duration {
        Duration::from_millis(self.settle_ms)
    }
}

/// What a release must pass before it goes live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Gate {
    /// It compiles, lints and its own tests pass.
    Tests,
    /// It compiles and lints.
    Check,
}
