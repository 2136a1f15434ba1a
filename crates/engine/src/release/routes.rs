//! Ties routes together from the parts of a release that is being built.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use crate::auth::Gate;
use crate::config;
use crate::config::Config;
use crate::release::access::Access;
use crate::release::convert::{declared, limits_of, own_limits, retry_of};
use crate::release::params::ParamSecrets;
use crate::release::wanted::Wanted;
use crate::release::{Destination, EventRules, InlineScript, Order, Plan, Reconcile, Route, Rule};
use crate::telemetry::metrics::Metrics;
use hookgate_connectors::Connectors;
use hookgate_connectors::Retry;
use hookgate_connectors::log::EventLog;
use hookgate_hooks::{EventRow, Hook};
use hookgate_script::budget::Limits;
use hookgate_script::context::{Surroundings, Tables};
use hookgate_script::parameters::Around;
use hookgate_script::run::Script;

/// Compiled scripts by file, hook and limits; `None` for those with errors (reported elsewhere).
pub(super) type Scripts = HashMap<(String, &'static str, Limits), Option<Arc<Script>>>;

/// Schemes by the name of their section.
pub(super) type Accesses = HashMap<String, Arc<Access>>;

/// Where routes look for missing events, by the name of the route.
pub(super) type Logs = HashMap<String, Arc<Reconcile>>;

/// What routes are made of.
pub(super) struct Parts<'a> {
    pub(super) config: &'a Config,
    pub(super) scripts: &'a Scripts,
    pub(super) accesses: &'a Accesses,
    pub(super) logs: &'a Logs,
    pub(super) connectors: &'a Connectors,
    pub(super) tables: &'a Arc<Tables>,
    pub(super) secrets: &'a ParamSecrets,
    pub(super) metrics: &'a Metrics,
}

impl Parts<'_> {
    /// `None` where a part is missing; that was reported when the part was made.
    pub(super) fn route(&self, number: usize, name: &str, route: &config::routes::Route) -> Option<Route> {
        let hook = hookgate_hooks::find(&route.hook)?;
        let limits = own_limits(&limits_of(self.config, hook, route));
        // A route for events has its own number for its rules, not for those who bring the events.
        let calls = if hook.is_for_events() { own_limits(&self.config.limits).concurrent } else { limits.concurrent };
        let plan = self.plan(name, hook, (route, &limits))?;
        let named = |auth: &String| Some((auth.clone(), self.accesses.get(auth)?.scheme.clone()));
        let way = |names: &[String]| names.iter().map(named).collect::<Option<Vec<_>>>();
        let ways = route.auth.ways().into_iter().map(way).collect::<Option<Vec<_>>>()?;
        Some(Route {
            name: name.to_owned(),
            number,
            path: without_slash(&route.path),
            preview_path: route.preview_path.as_deref().map(without_slash),
            preview_header: route.preview_header().and_then(|name| name.parse().ok()),
            hook,
            gate: Gate::new(ways, hook.token, self.config.server.public_url.as_deref())?,
            permits: Arc::new(Semaphore::new(calls)),
            max_events: self.config.limits.max_events as usize,
            limits,
            plan,
            metrics: self.metrics.route(name),
            own_actors: own_actors(route, self.logs.get(name).map(|reconcile| &*reconcile.log), self.connectors),
            reconcile: self.logs.get(name).cloned(),
            capture: route.capture.wanted().map(Arc::new),
        })
    }

    fn plan(
        &self,
        name: &str,
        hook: &'static Hook,
        (route, limits): (&config::routes::Route, &Limits),
    ) -> Option<Plan> {
        if let Some(row) = hook.as_events() {
            return Some(Plan::Events(EventRules { row, rules: self.rules(name, (hook, row), route)? }));
        }
        let script = self.script(route.script.as_ref()?, hook, limits)?;
        Some(Plan::Inline(InlineScript {
            surroundings: self.surroundings(&script, &route.params),
            script,
            on_failure: declared(hook, route.on_failure.as_ref()?)?,
        }))
    }

    /// A route's own script is a rule for every event; a rule's parameters come on top of the route's.
    fn rules(
        &self,
        name: &str,
        (hook, row): (&Hook, &'static EventRow),
        route: &config::routes::Route,
    ) -> Option<Vec<Rule>> {
        let given = limits_of(self.config, hook, route);
        let mut rules = Vec::new();
        if let Some(script) = &route.script {
            let script = self.script(script, hook, &own_limits(&given))?;
            rules.push(Rule {
                name: name.to_owned(),
                wanted: Wanted::everything(row),
                surroundings: self.surroundings(&script, &route.params),
                script,
                lane: lane(name, name),
                concurrent: own_limits(&given).concurrent,
                order: None,
                retry: Retry::default(),
            });
        }
        for (rule_name, rule) in &route.rules {
            let mut params = route.params.clone();
            params.extend(rule.params.clone());
            let limits = own_limits(&given.with(&rule.limits));
            let script = self.script(&rule.script, hook, &limits)?;
            rules.push(Rule {
                name: rule_name.clone(),
                wanted: Wanted::of(row, rule),
                surroundings: self.surroundings(&script, &params),
                script,
                lane: lane(name, rule_name),
                concurrent: limits.concurrent,
                order: rule.order_by.clone().map(|by| Order { by, hold: Duration::from_millis(rule.hold_ms) }),
                retry: retry_of(&rule.retry),
            });
        }
        Some(rules)
    }

    fn script(&self, script: &str, hook: &Hook, limits: &Limits) -> Option<Arc<Script>> {
        self.scripts.get(&(script.to_owned(), hook.name, limits.clone())).cloned().flatten()
    }

    /// What does not fit the declaration of the script was reported elsewhere.
    fn surroundings(&self, script: &Script, params: &Map<String, Value>) -> Arc<Surroundings> {
        let given = self.secrets.map(params);
        let params = match script.declaration() {
            Some(declaration) => declaration.complete(given, &Around::ANY).0,
            None => given,
        };
        Arc::new(Surroundings { params: Arc::new(params), tables: self.tables.clone() })
    }
}

/// What the paths of a route lead to.
pub(super) fn destinations(route: &Arc<Route>) -> impl Iterator<Item = (String, Destination)> {
    let to = |preview| Destination { route: route.clone(), preview };
    let usual = (route.path.clone(), to(false));
    std::iter::once(usual).chain(route.preview_path.clone().map(|path| (path, to(true))))
}

/// A slash at the end makes no difference, but for the root.
fn without_slash(path: &str) -> String {
    path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path).to_owned()
}

/// Who acts for us: those that are named, who reads the log, and connectors that change things at a provider.
fn own_actors(route: &config::routes::Route, log: Option<&dyn EventLog>, connectors: &Connectors) -> Vec<String> {
    let readers = log.into_iter().flat_map(EventLog::own_actors);
    let acting = connectors.iter().flat_map(|connected| connected.connector.own_actors());
    route.own_actors.iter().cloned().chain(readers).chain(acting).collect()
}

fn lane(route: &str, rule: &str) -> Arc<str> {
    format!("rule {route}/{rule}").into()
}
