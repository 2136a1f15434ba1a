//! What a connector is made from: its row in the table, its settings as written, and its secrets.
//!
//! A secret is asked for at every action ([`Key::current`]), because its file may have changed since.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use schemars::{Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::Connector;
use crate::cache::Rules;
use crate::proxy::Proxy;
use hookgate_model::files::FileError;
use hookgate_model::files::fence::Fence;
use hookgate_model::secret::{Environment, Ring, Secret, SecretSource, Source};

/// A connector, or everything that is wrong with its section.
pub(crate) type Made = Result<Box<dyn Connector>, Vec<Problem>>;

/// A row of the table: one kind of outside system.
pub struct Kind {
    /// The word in `kind`.
    pub name: &'static str,
    /// What it is, as one sentence.
    pub about: &'static str,
    /// For its page: an example, what it does, how it fails. Markdown.
    pub guide: &'static str,
    /// The schema of its own settings.
    pub settings: fn(&mut SchemaGenerator) -> Schema,
    pub make: fn(&Setup<'_>) -> Made,
    /// The function by which scripts ask it something ([`Question::family`](hookgate_model::question::Question::family)); none if it
    /// answers no questions.
    pub answers: Option<&'static str>,
    /// Whether it sends the codes of `via(…)`.
    pub(crate) sends_codes: bool,
    /// Whether it speaks HTTP, so that a proxy can be between.
    pub proxied: bool,
    /// How long answers are kept unless the section says otherwise.
    pub cache: Option<Rules>,
}

/// Whether secrets are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// Read, and made where `create = true`.
    Load,
    /// Read; what would be made is not.
    Check,
    /// Not looked for: such a connector is for checking scripts, never for use.
    Skip,
}

/// A `[connectors.NAME]` section.
pub struct Setup<'a> {
    pub name: &'a str,
    /// What the kind itself defines; the schema has been checked.
    pub settings: &'a Map<String, Value>,
    /// For one try, from connecting to the end of the answer.
    pub timeout: Duration,
    pub allow_private: bool,
    /// What requests over HTTP go through.
    pub proxy: Option<Proxy>,
    /// Where relative paths of secrets start.
    pub root: &'a Path,
    /// Where other files may lie.
    pub fence: &'a Arc<Fence>,
    pub secrets: Secrets,
    pub environment: Environment,
}

/// What is wrong with a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub code: &'static str,
    /// Below the section, such as `base_url` or `auth.bearer`; empty for the section itself.
    pub key: String,
    pub message: String,
    pub help: Option<String>,
}

/// A secret that may change while it is in use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Key(Option<Arc<Ring>>);

impl Setup<'_> {
    /// The settings in the kind's own type.
    ///
    /// # Errors
    /// They are not as the schema says.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Vec<Problem>> {
        let settings = Value::Object(self.settings.clone());
        serde_json::from_value(settings).map_err(|error| vec![Problem::bad_value("", error.to_string())])
    }

    /// The secret of a key.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    pub(crate) fn secret(&self, key: &str, written: &SecretSource) -> Result<Key, Vec<Problem>> {
        let Some(source) = wanted(self.secrets, written.resolved(self.root)) else { return Ok(Key(None)) };
        let problem = |text: String| Problem { code: "config/secret", key: key.to_owned(), message: text, help: None };
        match Ring::load(vec![source], self.environment) {
            Ok(ring) => Ok(Key(Some(Arc::new(ring)))),
            Err(errors) => Err(errors.iter().map(|error| problem(error.to_string())).collect()),
        }
    }
}

/// The source that is to be read, if any is.
pub fn wanted(secrets: Secrets, source: Source) -> Option<Source> {
    match (secrets, source) {
        (Secrets::Skip, _) => None,
        // What the first start would make is no mistake.
        (Secrets::Check, Source::File { path, create: true }) if !path.exists() && !path.is_symlink() => None,
        (Secrets::Check, Source::File { path, .. }) => Some(Source::File { path, create: false }),
        (_, source) => Some(source),
    }
}

impl Problem {
    pub fn bad_value(key: &str, message: impl Into<String>) -> Self {
        Self { code: "config/bad-value", key: key.to_owned(), message: message.into(), help: None }
    }

    pub(crate) fn missing(key: &str, message: impl Into<String>) -> Self {
        Self { code: "config/missing-key", ..Self::bad_value(key, message) }
    }

    /// A file that may not be used.
    pub(crate) fn file(key: &str, written: &str, error: &FileError) -> Self {
        let problem = Self::bad_value(key, format!("`{written}` cannot be used: {error}"));
        Self { help: error.help().map(str::to_owned), ..problem }
    }

    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

impl Key {
    /// The secret as it is now; empty where secrets were not looked for.
    pub(crate) fn current(&self) -> Arc<Secret> {
        self.0.as_ref().map_or_else(|| Arc::new(Secret::new(Box::<[u8]>::default())), |ring| ring.first())
    }

    /// Says what the secret must be, now and whenever it is read again. Nothing is asked of one that was not looked for.
    ///
    /// # Errors
    /// Why it is not, as a clause about it.
    pub(crate) fn demand(
        &self,
        demand: impl Fn(&Secret) -> Result<(), String> + Send + Sync + 'static,
    ) -> Result<(), String> {
        let Some(ring) = &self.0 else { return Ok(()) };
        ring.demand(Box::new(demand))
            .map_err(|wrong| wrong.into_iter().map(|(_, why)| why).collect::<Vec<_>>().join("; "))
    }

    /// What is to be read again when files change.
    pub(crate) fn rings(&self) -> Vec<Arc<Ring>> {
        self.0.iter().cloned().collect()
    }
}
