//! The connectors of a release by name, each with the rules that delivery and lookups keep for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::breaker::Breaker;
use crate::cache::Cache;
use crate::guard::Guard;
use crate::redact::Redact;
use crate::{Connector, no_codes, sends_codes};
use hookgate_model::command::Action;
use hookgate_model::finding::nearest;
use hookgate_model::secret::Ring;

/// The connectors of a release, by name.
#[derive(Default)]
pub struct Connectors {
    by_name: BTreeMap<String, Arc<Connected>>,
}

/// A connector under its name, with the rules that delivery keeps for it.
pub struct Connected {
    pub name: String,
    pub connector: Box<dyn Connector>,
    pub retry: Retry,
    /// Actions in work at once.
    pub concurrent: usize,
    /// For one question.
    pub timeout: Duration,
    /// One for each question that may be out at once.
    pub lookups: Semaphore,
    /// Answers that are kept, where the settings say so.
    pub cache: Option<Cache>,
    /// Of actions and lookups alike.
    pub breaker: Arc<Breaker>,
    /// What may not go out, where the settings say so.
    pub guard: Option<Guard>,
    /// Secrets of what every kind has, which are read again when their files change.
    pub rings: Vec<Arc<Ring>>,
}

/// How often, and for how long, something is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    pub attempts: u32,
    /// The longest wait before the second try; it doubles with each. The real wait is chance below it (full jitter).
    pub first: Duration,
    pub most: Duration,
    /// After this long since it was asked for it is given up.
    pub give_up: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 20,
            first: Duration::from_secs(1),
            most: Duration::from_mins(15),
            give_up: Duration::from_hours(24),
        }
    }
}

impl Connected {
    /// With the rules that hold where the configuration says nothing.
    pub fn new(name: impl Into<String>, connector: Box<dyn Connector>) -> Self {
        Self {
            name: name.into(),
            connector,
            retry: Retry::default(),
            concurrent: 8,
            timeout: Duration::from_secs(5),
            lookups: Semaphore::new(64),
            cache: None,
            breaker: Arc::default(),
            guard: None,
            rings: Vec::new(),
        }
    }

    /// Whether its connector can do this at all.
    ///
    /// # Errors
    /// Why not, for the author of the script.
    pub fn check(&self, action: &Action) -> Result<(), String> {
        match action.problem() {
            Some(problem) => Err(problem.to_owned()),
            None => self.connector.check(action),
        }
    }

    /// Its secrets, which are read again when their files change.
    pub fn secrets(&self) -> impl Iterator<Item = Arc<Ring>> {
        self.connector.secrets().into_iter().chain(self.rings.iter().cloned())
    }

    /// What must not be told of an answer.
    pub fn redact(&self) -> Redact {
        self.rings.iter().fold(self.connector.redact(), |redact, ring| redact.and_all(ring))
    }
}

impl Connectors {
    pub fn new(all: impl IntoIterator<Item = Arc<Connected>>) -> Self {
        Self { by_name: all.into_iter().map(|one| (one.name.clone(), one)).collect() }
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Connected>> {
        self.by_name.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Connected>> {
        self.by_name.values()
    }

    /// Whether a script may ask for this.
    ///
    /// # Errors
    /// There is no such connector, or it cannot do that; for the author of the script.
    pub fn check(&self, action: &Action) -> Result<(), String> {
        if let Some(state) = &action.only_while
            && !self.by_name.contains_key(&state.connector)
        {
            return Err(self.unknown(&state.connector));
        }
        match self.by_name.get(&action.connector) {
            Some(found) => found.check(action).map_err(|problem| format!("`{}`: {problem}", action.connector)),
            None => Err(self.unknown(&action.connector)),
        }
    }

    /// Marks an action that cannot be done as refused. The others of its run are not affected.
    ///
    /// # Errors
    /// A connector that it names is not there, which another `gateway.toml` mends; for the author of the script.
    pub fn judge(&self, action: &mut Action) -> Result<(), String> {
        let of_state = action.only_while.as_ref().map(|state| &state.connector);
        if let Some(name) = of_state.into_iter().chain([&action.connector]).find(|name| self.get(name).is_none()) {
            return Err(self.unknown(name));
        }
        if let Err(problem) = self.check(action) {
            action.refuse(problem);
        }
        Ok(())
    }

    /// Whether a script may send a message through this.
    ///
    /// # Errors
    /// There is no such connector, or it sends none; for the author of the script.
    pub fn check_way(&self, name: &str) -> Result<(), String> {
        let found = self.by_name.get(name).ok_or_else(|| self.unknown(name))?;
        let kind = found.connector.kind();
        if sends_codes(kind) { Ok(()) } else { Err(format!("`{name}`: {}", no_codes(kind))) }
    }

    /// What is said of a name that no connector has.
    pub fn unknown(&self, name: &str) -> String {
        let names: Vec<&str> = self.by_name.keys().map(String::as_str).collect();
        let hint = match (nearest(name, names.iter().copied()), names.is_empty()) {
            (_, true) => "gateway.toml has no [connectors]".to_owned(),
            (Some(near), _) => format!("did you mean `{near}`? There are: {}", names.join(", ")),
            (None, _) => format!("there are: {}", names.join(", ")),
        };
        format!("there is no connector `{name}`: {hint}")
    }
}
