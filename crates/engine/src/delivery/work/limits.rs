//! How many jobs of which lane may be in work: what the release in force says, and what else has jobs.

use std::sync::Arc;

use crate::delivery::Delivery;
use crate::delivery::outbox;
use crate::release::{EventRules, Plan, Release, Rule};
use hookgate_connectors::breaker::Breaker;

/// Jobs of a lane that nobody runs any more (its rule or connector is gone) that are looked at at a time.
const ORPHANS: usize = 16;

/// The lanes of a release and how many jobs each may have in work.
#[derive(Default)]
pub(super) struct Limits {
    release: u64,
    pub(super) lanes: Vec<Lane>,
}

pub(super) struct Lane {
    pub(super) name: Arc<str>,
    pub(super) most: usize,
    /// Of a connector.
    pub(super) breaker: Option<Arc<Breaker>>,
}

impl Limits {
    pub(super) fn refresh(&mut self, delivery: &Delivery, release: &Release) {
        let orphans = delivery.health().lanes.iter().any(|(lane, _)| !self.has(lane));
        if self.release == release.id && !orphans {
            return;
        }
        self.release = release.id;
        self.lanes.clear();
        for route in &release.routes {
            if let Plan::Events(EventRules { rules, .. }) = &route.plan {
                let lane = |rule: &Rule| Lane { name: rule.lane.clone(), most: rule.concurrent, breaker: None };
                self.lanes.extend(rules.iter().map(lane));
            }
        }
        for connected in release.connectors.iter() {
            let breaker = Some(connected.breaker.clone());
            self.lanes.push(Lane { name: outbox::lane(&connected.name), most: connected.concurrent, breaker });
        }
        for (lane, _) in &delivery.health().lanes {
            if !self.has(lane) {
                self.lanes.push(Lane { name: lane.as_str().into(), most: ORPHANS, breaker: None });
            }
        }
    }

    fn has(&self, lane: &str) -> bool {
        self.lanes.iter().any(|known| *known.name == *lane)
    }
}
