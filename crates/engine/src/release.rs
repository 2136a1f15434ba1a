//! Configuration + scripts + tables, compiled, immutable, named by the hash of its content.
//!
//! [`bundle`] reads the files, [`build`] makes a [`Release`] of them or tells everything that is wrong, [`live`] holds
//! the one in force, and [`watch`] notices when files change. A release is built beside the one in force and swapped in
//! whole; a call keeps the one it began with.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use std::time::Duration;

use http::HeaderName;
use tokio::sync::Semaphore;

use crate::auth::Gate;
use crate::config::Config;
pub use crate::config::routes::Capturing;
use crate::outcome::ScriptUse;
use crate::release::bundle::{Content, Named};
use crate::release::wanted::Wanted;
use crate::telemetry::metrics::RouteMetrics;
use hookgate_connectors::log::EventLog;
use hookgate_connectors::{Connected, Connectors, Retry};
use hookgate_hooks::{Declared, Encoded, EventRow, Hook};
use hookgate_model::finding::Finding;
use hookgate_model::secret::Ring;
use hookgate_script::budget::Limits;
use hookgate_script::compile::Compiler;
use hookgate_script::context::{Surroundings, Tables};
use hookgate_script::run::Script;

pub(crate) mod access;
pub mod attempts;
pub mod build;
pub mod bundle;
mod convert;
mod declared;
mod fence;
pub mod gate;
pub(crate) mod git;
pub mod live;
pub mod manifest;
mod operating;
mod outside;
mod panics;
mod params;
pub(crate) mod pattern;
mod routes;
pub mod settle;
mod stamps;
pub mod suite;
pub(crate) mod tables;
mod unused;
pub mod wanted;
pub mod watch;
pub mod witness;

/// One release. Nothing in it changes but secrets, which rotate under it.
pub struct Release {
    /// Tells two releases of one process apart, even of equal content.
    pub(crate) id: u64,
    /// SHA-256 over configuration, scripts and tables, as 64 hex digits.
    pub hash: String,
    pub config: Config,
    /// The configuration that this process started with: `server`, `admin` and `store` are read only then.
    pub started_with: Config,
    pub routes: Vec<Arc<Route>>,
    pub tables: Arc<Tables>,
    pub connectors: Arc<Connectors>,
    pub warnings: Vec<Finding>,
    pub compiler: Arc<Compiler>,
    /// JSON files of tests, by path below the scripts folder.
    pub(crate) fixtures: Arc<Named>,
    /// SHA-256 of the file of each table.
    pub table_hashes: BTreeMap<String, String>,
    pub(crate) accesses: HashMap<String, Arc<access::Access>>,
    /// Secrets among the parameters of routes and rules.
    pub(crate) param_secrets: Vec<Arc<Ring>>,
    /// What it was made of, until it goes live: then whoever keeps past releases takes it.
    pub(crate) content: Option<Content>,
    by_path: HashMap<String, Destination>,
}

/// What a path leads to.
pub(crate) struct Destination {
    pub(crate) route: Arc<Route>,
    /// The path is the route's `preview_path`.
    pub(crate) preview: bool,
}

/// A configured path.
pub struct Route {
    pub name: String,
    /// Its place among the routes of the release.
    pub(crate) number: usize,
    pub path: String,
    /// A second path, on which nothing acts.
    pub(crate) preview_path: Option<String>,
    /// A header that marks a call on which nothing acts.
    pub(crate) preview_header: Option<HeaderName>,
    pub hook: &'static Hook,
    pub(crate) gate: Gate,
    pub limits: Limits,
    pub plan: Plan,
    /// Events that one delivery may have.
    pub(crate) max_events: usize,
    /// Calls that may be in work at once.
    pub permits: Arc<Semaphore>,
    pub metrics: Arc<RouteMetrics>,
    /// Of an event route: whose events reach no rule.
    pub(crate) own_actors: Vec<String>,
    /// Where to look for events that the hook never delivered.
    pub reconcile: Option<Arc<Reconcile>>,
    /// What is kept of a call beside its decision, if anything is.
    pub capture: Option<Arc<Capturing>>,
}

/// How a route finds what its hook never delivered. The same one for as long as its settings stay the same.
pub struct Reconcile {
    pub log: Box<dyn EventLog>,
    /// From one look to the next.
    pub(crate) every: Duration,
    /// How far each look goes back behind the end of the last one.
    pub(crate) overlap: Duration,
    /// How old an event must be.
    pub(crate) lag: Duration,
}

/// What a route does with a call.
pub enum Plan {
    /// Runs its script and replies.
    Inline(InlineScript),
    /// Gives events to its rules.
    Events(EventRules),
}

/// The rules behind a route that takes events.
pub struct EventRules {
    pub(crate) row: &'static EventRow,
    pub rules: Vec<Rule>,
}

/// The script that answers the calls of a route.
pub struct InlineScript {
    pub script: Arc<Script>,
    pub surroundings: Arc<Surroundings>,
    /// What a caller hears without an answer of the script.
    pub(crate) on_failure: Declared,
}

/// One of several scripts behind an event route.
pub struct Rule {
    pub name: String,
    pub wanted: Wanted,
    pub script: Arc<Script>,
    pub surroundings: Arc<Surroundings>,
    /// What its jobs are filed under: `rule ROUTE/RULE`.
    pub(crate) lane: Arc<str>,
    /// Runs in work at once.
    pub(crate) concurrent: usize,
    pub(crate) order: Option<Order>,
    pub(crate) retry: Retry,
}

/// What a rule keeps in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// Where events have the key: `target.User.id`.
    pub(crate) by: String,
    /// How long an event waits for earlier ones.
    pub(crate) hold: Duration,
}

/// The JSON schema of `gateway.toml`.
pub fn schema() -> &'static serde_json::Value {
    convert::known().schema()
}

impl Release {
    /// The route of a path; a trailing slash makes no difference.
    pub fn route(&self, path: &str) -> Option<&Arc<Route>> {
        self.destination(path).map(|found| &found.route)
    }

    /// The same, and whether the path is for trying only.
    pub(crate) fn destination(&self, path: &str) -> Option<&Destination> {
        self.by_path.get(path).or_else(|| self.by_path.get(path.strip_suffix('/')?))
    }

    /// A script of this release in its place: what its runs are made sense of with.
    pub(crate) fn script_use<'a>(
        &'a self,
        hook: &'static Hook,
        script: &'a Script,
        on_failure: Option<&'a Declared>,
    ) -> ScriptUse<'a> {
        ScriptUse { hook, script, compiler: &self.compiler, release: self.label(), on_failure }
    }

    /// Whether the connectors of this release can do what a script asked for.
    ///
    /// # Errors
    /// What of it cannot be, for the author of the script.
    pub fn check(&self, encoded: &mut Encoded) -> Result<(), String> {
        encoded.actions.iter_mut().try_for_each(|action| self.connectors.judge(action))?;
        let mut ways = encoded.sending.iter().flat_map(|sending| &sending.ways);
        ways.try_for_each(|way| self.connectors.check_way(way))
    }

    /// Reads the files again that hold secrets and keys. They rotate whether or not the rest of the bundle is good. Whether a
    /// secret has changed that scripts hold, so that the release must be built again.
    pub(crate) fn rotate_secrets(&self) -> bool {
        for (name, access) in &self.accesses {
            access.rotate(name);
        }
        self.connectors.iter().for_each(outside::rotate);
        for route in &self.routes {
            route.reconcile.iter().for_each(|reconcile| outside::rotate_log(&route.name, reconcile));
        }
        outside::rotate_params(&self.param_secrets)
    }

    /// Why the newest content of files of secrets is not in use; each names its file.
    pub(crate) fn refused_secrets(&self) -> Vec<String> {
        let mut refused: Vec<String> = self.accesses.values().flat_map(|access| access.refused()).collect();
        let logs = self.routes.iter().filter_map(|route| route.reconcile.as_ref());
        let rings = self.connectors.iter().flat_map(|connected| connected.secrets());
        let rings = rings.chain(logs.flat_map(|reconcile| reconcile.log.secrets())).chain(self.param_secrets.clone());
        refused.extend(rings.flat_map(|ring| ring.refused()));
        refused.sort();
        refused.dedup();
        refused
    }

    /// Begins what runs beside calls: fetching keys of token issuers.
    pub(crate) fn start(&self) {
        for access in self.accesses.values() {
            access.start();
        }
    }

    /// How old the keys of token issuers are, by the name of the scheme.
    pub(crate) fn keys_ages(&self) -> Vec<(String, Duration)> {
        let ages = self.accesses.iter().filter_map(|(name, access)| Some((name.clone(), access.keys_age()?)));
        ages.collect()
    }

    /// How much connectors have used of what they may ask, by name.
    pub(crate) fn quotas(&self) -> Vec<(String, f64)> {
        let used = |connected: &Arc<Connected>| Some((connected.name.clone(), connected.connector.quota_used()?));
        self.connectors.iter().filter_map(used).collect()
    }

    /// Secret files that were made because they were missing.
    pub fn created_secrets(&self) -> Vec<std::path::PathBuf> {
        let created = self.accesses.values().flat_map(|access| access.created());
        created.map(std::path::Path::to_owned).chain(self.connectors.iter().flat_map(outside::created)).collect()
    }

    /// The first twelve digits of the hash: what people compare.
    pub fn label(&self) -> &str {
        &self.hash[..12]
    }
}
