//! Where a secret comes from, as `gateway.toml` says it. A secret itself is never in that file, so it is never in these
//! types.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::Source;

/// Where a secret comes from: a variable of the environment, or a file that is read again when it changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum SecretSource {
    /// A variable of the environment.
    Env {
        /// Name of the variable.
        #[schemars(length(min = 1))]
        env: String,
    },
    /// A file; spaces and line ends around the secret do not count.
    File {
        /// Path of the file, relative to `gateway.toml`.
        #[schemars(length(min = 1))]
        file: String,
        /// Write a random secret into the file at start if it is not there.
        #[serde(default)]
        create: bool,
    },
}

impl SecretSource {
    /// The file, as written, where the secret is in one.
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Env { .. } => None,
            Self::File { file, .. } => Some(file),
        }
    }

    /// The place itself: paths start at `root`.
    pub fn resolved(&self, root: &Path) -> Source {
        match self {
            Self::Env { env } => Source::Env(env.clone()),
            Self::File { file, create } => Source::File { path: root.join(file), create: *create },
        }
    }
}
