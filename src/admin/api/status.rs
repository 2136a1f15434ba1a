//! `GET /api/v1/status`: the release in force, its routes, and what waits.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::admin::desk::Desk;
use crate::release::live;
use crate::release::{Plan, Release, Route};
use crate::store::Health;

/// How the gateway is.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub version: &'static str,
    pub uptime_s: u64,
    pub release: live::Status,
    pub routes: Vec<RouteLine>,
    /// What the store holds, as last seen.
    pub queue: Health,
}

/// A configured path.
#[derive(Clone, Debug, Serialize)]
pub struct RouteLine {
    pub name: String,
    pub path: String,
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
#[derive(Clone, Debug, Serialize)]
pub struct RuleLine {
    pub name: String,
    pub script: String,
    /// Types of events, and families such as `user.*`.
    pub events: Vec<String>,
}

impl Status {
    /// As it is now.
    pub fn of(desk: &Desk) -> Self {
        let release = desk.live.current();
        let routes = release.iter().flat_map(|release| release.routes.iter().map(|route| line(release, route)));
        Self {
            version: env!("CARGO_PKG_VERSION"),
            uptime_s: desk.started.elapsed().as_secs(),
            release: desk.live.status(),
            routes: routes.collect(),
            queue: (*desk.delivery.health()).clone(),
        }
    }
}

/// A route of a release, as lists show it.
pub fn line(release: &Release, route: &Route) -> RouteLine {
    let written = release.config.routes.get(&route.name);
    let (script, rules) = match &route.plan {
        Plan::Reply { script, .. } => (Some(script.file().to_owned()), None),
        Plan::Rules(rules) => {
            let rules = rules.iter().map(|rule| RuleLine {
                name: rule.name.clone(),
                script: rule.script.file().to_owned(),
                events: rule.wanted.types().to_vec(),
            });
            (None, Some(rules.collect()))
        }
    };
    RouteLine {
        name: route.name.clone(),
        path: route.path.clone(),
        hook: route.hook.name,
        auth: written.map(|route| route.auth.as_slice().to_vec()).unwrap_or_default(),
        script,
        rules,
    }
}

pub(super) async fn status(State(desk): State<Arc<Desk>>) -> Json<Status> {
    Json(Status::of(&desk))
}
