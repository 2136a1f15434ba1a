//! Ties routes together from the parts of a release that is being built.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use crate::auth::Gate;
use crate::config;
use crate::config::Config;
use crate::hooks;
use crate::hooks::Hook;
use crate::release::access::Access;
use crate::release::convert::{declared, own_limits, params_of};
use crate::release::pattern::Pattern;
use crate::release::{Plan, Route, Rule};
use crate::script::budget::Limits;
use crate::script::context::{Surroundings, Tables};
use crate::script::run::Script;
use crate::telemetry::metrics::Metrics;

/// Compiled scripts by file, hook and limits; `None` for those with errors (reported elsewhere).
pub(super) type Scripts = HashMap<(String, &'static str, Limits), Option<Arc<Script>>>;

/// Schemes by the name of their section.
pub(super) type Accesses = HashMap<String, Arc<Access>>;

/// What routes are made of.
pub(super) struct Parts<'a> {
    pub(super) config: &'a Config,
    pub(super) scripts: &'a Scripts,
    pub(super) accesses: &'a Accesses,
    pub(super) tables: &'a Arc<Tables>,
    pub(super) metrics: &'a Metrics,
}

impl Parts<'_> {
    /// `None` where a part is missing; that was reported when the part was made.
    pub(super) fn route(&self, number: usize, name: &str, route: &config::routes::Route) -> Option<Route> {
        let hook = hooks::find(&route.hook)?;
        let limits = own_limits(&self.config.limits.with(&route.limits));
        let plan = if hook.events {
            Plan::Rules(self.rules(name, hook, route)?)
        } else {
            Plan::Reply {
                script: self.script(route.script.as_ref()?, hook, &limits)?,
                surroundings: self.surroundings(&route.params),
                on_failure: declared(hook, route.on_failure.as_ref()?)?,
            }
        };
        let named = |auth: &String| Some((auth.clone(), self.accesses.get(auth)?.scheme.clone()));
        let schemes = route.auth.as_slice().iter().map(named).collect::<Option<Vec<_>>>()?;
        Some(Route {
            name: name.to_owned(),
            number,
            path: route.path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(&route.path).to_owned(),
            hook,
            gate: Gate::new(schemes)?,
            permits: Arc::new(Semaphore::new(limits.concurrent)),
            limits,
            plan,
            metrics: self.metrics.route(name),
        })
    }

    /// A route's own script is a rule for every event; a rule's parameters come on top of the route's.
    fn rules(&self, name: &str, hook: &Hook, route: &config::routes::Route) -> Option<Vec<Rule>> {
        let given = self.config.limits.with(&route.limits);
        let mut rules = Vec::new();
        if let Some(script) = &route.script {
            rules.push(Rule {
                name: name.to_owned(),
                events: vec![Pattern::Any],
                script: self.script(script, hook, &own_limits(&given))?,
                surroundings: self.surroundings(&route.params),
            });
        }
        for (rule_name, rule) in &route.rules {
            let mut params = route.params.clone();
            params.extend(rule.params.clone());
            rules.push(Rule {
                name: rule_name.clone(),
                events: rule.events.iter().map(|pattern| Pattern::new(pattern)).collect(),
                script: self.script(&rule.script, hook, &own_limits(&given.with(&rule.limits)))?,
                surroundings: self.surroundings(&params),
            });
        }
        Some(rules)
    }

    fn script(&self, script: &str, hook: &Hook, limits: &Limits) -> Option<Arc<Script>> {
        self.scripts.get(&(script.to_owned(), hook.name, limits.clone())).cloned().flatten()
    }

    fn surroundings(&self, params: &Map<String, Value>) -> Arc<Surroundings> {
        Arc::new(Surroundings { params: Arc::new(params_of(params)), tables: self.tables.clone() })
    }
}
