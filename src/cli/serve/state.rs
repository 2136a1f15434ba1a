//! What the admin listener shows of the running gateway: names and numbers, never a call.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::sync::watch::Receiver;

use crate::admin;
use crate::delivery::Delivery;
use crate::release::live::Live;
use crate::release::{Plan, Release, Route};
use crate::telemetry::metrics::Metrics;

pub(super) struct State {
    live: Arc<Live>,
    delivery: Arc<Delivery>,
    metrics: Arc<Metrics>,
    stopping: Receiver<bool>,
    started: Instant,
}

impl State {
    pub(super) fn new(
        live: Arc<Live>,
        delivery: Arc<Delivery>,
        metrics: Arc<Metrics>,
        stopping: Receiver<bool>,
        started: Instant,
    ) -> Self {
        Self { live, delivery, metrics, stopping, started }
    }
}

impl admin::State for State {
    fn ready(&self) -> Result<(), String> {
        if *self.stopping.borrow() {
            return Err("the gateway is stopping".to_owned());
        }
        self.live.current().map(drop).ok_or_else(|| "no release is live yet".to_owned())?;
        self.delivery.ready().map_err(|problem| problem.to_string())
    }

    fn status(&self) -> Value {
        let release = self.live.current();
        let routes = release.iter().flat_map(|release| release.routes.iter().map(|route| shown(release, route)));
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_s": self.started.elapsed().as_secs(),
            "release": self.live.status(),
            "routes": routes.collect::<Vec<_>>(),
            "queue": *self.delivery.health(),
        })
    }

    fn metrics(&self) -> String {
        self.metrics.encode()
    }
}

fn shown(release: &Release, route: &Route) -> Value {
    let auth = release.config.routes.get(&route.name).map(|route| route.auth.as_slice());
    let mut shown = json!({ "name": route.name, "path": route.path, "hook": route.hook.name, "auth": auth });
    match &route.plan {
        Plan::Reply { script, .. } => shown["script"] = json!(script.file()),
        Plan::Rules(rules) => {
            let rule = |rule: &crate::release::Rule| json!({ "name": rule.name, "script": rule.script.file(), "events": rule.wanted.types() });
            shown["rules"] = rules.iter().map(rule).collect();
        }
    }
    shown
}
