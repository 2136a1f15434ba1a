//! `/api/v1/routes`: configured paths, as the release in force has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::admin::api::answers;
use crate::admin::api::ask::{Asked, Named, Nothing};
use crate::admin::desk::Desk;
use crate::admin::desk::inventory::InForce;
use crate::admin::problem::Problem;
use hookgate_engine::release::{Plan, Route};

/// A configured path.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RouteLine {
    pub name: String,
    pub path: String,
    /// The kind of call, `provider.kind`.
    pub hook: &'static str,
    /// Names of the sections that say who may call; any of them is good.
    pub auth: Vec<String>,
    /// The script that answers; absent where events go to rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// Who gets the events; absent where calls are answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<RuleLine>>,
}

/// One of the scripts behind an event route.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RuleLine {
    pub name: String,
    pub script: String,
    /// Types of events, and families such as `user.*`.
    pub events: Vec<String>,
}

/// A route with its settings and its numbers.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RouteDetail {
    #[serde(flatten)]
    pub line: RouteLine,
    /// What the provider hears when the script fails; `null` for events, which are tried again.
    #[schema(value_type = serde_json::Value)]
    pub on_failure: Value,
    /// What the script reads as `params`, as it is written.
    #[schema(value_type = std::collections::HashMap<String, serde_json::Value>)]
    pub params: Map<String, Value>,
    /// What one run may use.
    pub limits: RouteLimits,
    /// Whether calls are kept with their decision.
    pub capture: bool,
    /// Whether events are looked for that the hook never delivered.
    pub reconcile: bool,
    /// Calls since the start, by outcome.
    pub calls: BTreeMap<String, u64>,
    /// Answers by `on_failure` since the start, by reason.
    pub fallbacks: BTreeMap<String, u64>,
}

/// What one run may use.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct RouteLimits {
    /// From the first byte of the call.
    pub deadline_ms: u64,
    pub operations: u64,
    pub memory_bytes: usize,
    /// Runs at once.
    pub concurrent: usize,
}

/// Routes in the order of the configuration.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Routes {
    pub routes: Vec<RouteLine>,
}

/// The routes of the release in force.
pub fn all(desk: &Desk) -> Vec<RouteLine> {
    let release = desk.in_force();
    release.iter().flat_map(|release| release.routes().iter().map(|route| line(release, route))).collect()
}

fn line(release: &InForce, route: &Route) -> RouteLine {
    let written = release.written(&route.name);
    let (script, rules) = match &route.plan {
        Plan::Inline(inline) => (Some(inline.script.file().to_owned()), None),
        Plan::Events(events) => {
            let rules = events.rules.iter().map(|rule| RuleLine {
                name: rule.name.clone(),
                script: rule.script.file().to_owned(),
                events: rule.wanted.types(),
            });
            (None, Some(rules.collect()))
        }
    };
    RouteLine {
        name: route.name.clone(),
        path: route.path.clone(),
        hook: route.hook.name,
        auth: written.map(|route| route.auth.shown()).unwrap_or_default(),
        script,
        rules,
    }
}

/// One route of the release in force.
pub fn detail(desk: &Desk, name: &str) -> Option<RouteDetail> {
    let release = desk.in_force()?;
    let route = release.routes().iter().find(|route| route.name == name)?;
    let written = release.written(name)?;
    let counts = |counts: Vec<(&'static str, u64)>| {
        counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect::<BTreeMap<_, _>>()
    };
    Some(RouteDetail {
        line: line(&release, route),
        on_failure: json!(written.on_failure),
        params: written.params.clone(),
        limits: RouteLimits {
            deadline_ms: route.limits.deadline_ms,
            operations: route.limits.operations,
            memory_bytes: route.limits.memory_bytes,
            concurrent: route.limits.concurrent,
        },
        capture: written.capture.wanted().is_some(),
        reconcile: route.reconcile.is_some(),
        calls: counts(route.metrics.calls.read()),
        fallbacks: counts(route.metrics.fallback.read()),
    })
}

/// All routes of the release in force.
#[utoipa::path(
    get,
    path = "/api/v1/routes",
    tag = "gateway",
    responses((status = 200, description = "In the order of the configuration.", body = Routes), answers::Looking)
)]
pub(super) async fn routes(State(desk): State<Arc<Desk>>, Asked(Nothing {}): Asked<Nothing>) -> Json<Routes> {
    Json(Routes { routes: all(&desk) })
}

/// One route, with its settings and its numbers.
#[utoipa::path(
    get,
    path = "/api/v1/routes/{name}",
    tag = "gateway",
    params(("name" = String, Path, description = "The name of the route in the configuration.")),
    responses((status = 200, description = "The route.", body = RouteDetail), answers::Finding)
)]
pub(super) async fn route(
    State(desk): State<Arc<Desk>>,
    Named(name): Named,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<RouteDetail>, Problem> {
    let found =
        detail(&desk, &name).ok_or_else(|| Problem::not_found("the release in force has no route of this name"));
    found.map(Json)
}
