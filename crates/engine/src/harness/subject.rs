//! What is tested: one script with its tests and cases, and the routes and rules that run it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use hookgate_hooks::{Declared, Decoded, Hook};
use hookgate_model::finding::{Finding, nearest};
use hookgate_script::budget::Limits;
use hookgate_script::compile::testing::Function;
use hookgate_script::context::Surroundings;
use hookgate_script::run::Script;
use hookgate_script::table::Kind;

/// One script with its tests.
pub struct Subject {
    /// The script's path below the scripts folder: `registration.rhai`.
    pub script: String,
    /// The same below the bundle, as findings call it.
    pub(crate) label: String,
    /// The tests, or why they cannot be run; `None` when there is no file of tests.
    pub tests: Option<Result<Tests, Vec<Finding>>>,
    /// Path of the file of tests below the bundle.
    pub test_label: String,
    /// The routes and rules that run the script, in the order of the configuration. Empty for a file that others import.
    pub(crate) bindings: Vec<Binding>,
    /// How the script runs in tests that leave `gateway.toml` out. None for a file that others import.
    pub(crate) unconfigured: Option<Binding>,
    /// The script's golden cases by name.
    pub cases: BTreeMap<String, Case>,
    /// JSON files that tests may load, by path below the scripts folder.
    pub(crate) fixtures: Arc<BTreeMap<String, Arc<str>>>,
    /// Kinds and keys of the configured tables, for tables that tests make.
    pub(crate) tables: Arc<BTreeMap<String, TableShape>>,
    /// Equal for two subjects when nothing changed that their tests could notice.
    pub fingerprint: String,
}

/// A file of tests, compiled.
pub struct Tests {
    pub(crate) script: Arc<Script>,
    /// The functions that are tests, in the order of the text.
    pub functions: Vec<Function>,
    /// Every function of the file.
    pub(crate) all: Vec<Function>,
    /// Names of functions that the file may call in what it imports.
    pub(crate) imported: BTreeSet<String>,
    /// What is wrong with the file but keeps no test from running.
    pub(crate) warnings: Vec<Finding>,
}

impl Tests {
    /// Tests that can fail by no assertion: neither they nor what they call in their file makes one.
    pub(crate) fn without_assertions(&self) -> impl Iterator<Item = &Function> {
        self.functions.iter().filter(|function| !self.asserts(function))
    }

    fn asserts(&self, function: &Function) -> bool {
        let (mut todo, mut seen) = (vec![function], BTreeSet::new());
        while let Some(function) = todo.pop() {
            // A helper of another file may assert.
            if function.calls.iter().any(|name| name.starts_with("assert") || name == "skip" || !self.knows(name)) {
                return true;
            }
            let called = self.all.iter().filter(|other| function.calls.contains(&other.name));
            todo.extend(called.filter(|other| seen.insert(other.name.as_str())));
        }
        false
    }

    /// Whether it is a function of this file, or one that everybody has.
    fn knows(&self, name: &str) -> bool {
        !self.imported.contains(name)
    }
}

/// A case file.
#[derive(Clone, Debug)]
pub struct Case {
    /// Path below the bundle.
    pub label: String,
    pub(crate) text: Arc<str>,
}

/// How a table is looked up: `kind` and `key` of its section in `gateway.toml`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableShape {
    pub(crate) kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
}

/// Which events a rule wants.
#[derive(Clone)]
pub(crate) struct Wants {
    pub(crate) check: Arc<dyn Fn(&Decoded) -> bool + Send + Sync>,
    /// The same as text: different for rules that want different events.
    pub(crate) text: String,
}

/// A route, or a rule of one, that runs the script.
#[derive(Clone)]
pub(crate) struct Binding {
    /// `signup`, `events.group-watch`; the script's own name when no route uses it.
    pub(crate) name: String,
    pub(crate) hook: &'static Hook,
    pub(crate) script: Arc<Script>,
    pub(crate) surroundings: Arc<Surroundings>,
    pub(crate) limits: Limits,
    /// What the caller hears when the script fails; events have nothing.
    pub(crate) on_failure: Option<Declared>,
    /// Of a rule: which events it wants.
    pub(crate) wants: Option<Wants>,
}

impl fmt::Debug for Binding {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter
            .debug_struct("Binding")
            .field("name", &self.name)
            .field("hook", &self.hook.name)
            .finish_non_exhaustive()
    }
}

impl Subject {
    /// The place of the route or rule of that name among those that run the script.
    ///
    /// # Errors
    /// None of that name runs it.
    pub(crate) fn place_of(&self, route: &str) -> Result<usize, String> {
        let names = || self.bindings.iter().map(|binding| binding.name.as_str());
        names().position(|name| name == route).ok_or_else(|| {
            let known = names().collect::<Vec<_>>().join(", ");
            let hint = nearest(route, names()).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
            format!("no route or rule `{route}` runs this script: {hint}there is: {known}")
        })
    }

    /// The name without its ending: what cases are filed under.
    pub fn stem(&self) -> &str {
        stem(&self.script)
    }
}

/// `registration.rhai` → `registration`
pub(crate) fn stem(script: &str) -> &str {
    script.strip_suffix(".rhai").unwrap_or(script)
}
