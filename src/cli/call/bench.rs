//! Where a call from the command line runs: lookups reach their systems, and nothing is kept or changed.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::gateway::decide;
use crate::gateway::decide::Decision;
use crate::hooks::Decoded;
use crate::lookup::Lookups;
use crate::release::{Release, Route};
use crate::script::lanes::Lanes;
use crate::script::run::{Call, Run, Script};
use crate::telemetry::metrics::Metrics;

pub(super) struct Bench {
    runtime: tokio::runtime::Runtime,
    lanes: Lanes,
    lookups: Lookups,
}

impl Bench {
    /// # Errors
    /// The system refuses threads.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            lanes: Lanes::start().context("no thread for scripts")?,
            lookups: Lookups::on_trial(Metrics::new()),
        })
    }

    pub(super) fn decide(&self, release: &Release, route: &Route, request: &Decoded, deadline: Instant) -> Decision {
        self.runtime.block_on(decide::decide(&self.lanes, &self.lookups, release, route, request, deadline))
    }

    pub(super) fn run(&self, release: &Release, script: &Arc<Script>, call: Call) -> Run {
        let outside = self.lookups.of(&release.connectors, None, true);
        self.runtime.block_on(self.lanes.run(script, call, &outside))
    }
}
