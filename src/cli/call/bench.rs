//! Where a call from the command line runs: lookups reach their systems, and nothing is kept or changed.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::gateway::decide;
use crate::gateway::decide::Decision;
use crate::hooks::Decoded;
use crate::lookup::Lookups;
use crate::release::{Release, Route};
use crate::script::journal::Lookup;
use crate::script::lanes::Lanes;
use crate::script::run::{Call, Run, Script};
use crate::telemetry::metrics::Metrics;

pub(super) struct Bench {
    runtime: tokio::runtime::Runtime,
    lanes: Lanes,
    lookups: Lookups,
    /// What all runs have asked.
    asked: RefCell<Vec<Lookup>>,
}

impl Bench {
    /// # Errors
    /// The system refuses threads.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            lanes: Lanes::start().context("no thread for scripts")?,
            lookups: Lookups::on_trial(Metrics::new()),
            asked: RefCell::default(),
        })
    }

    pub(super) fn decide(&self, release: &Release, route: &Route, request: &Decoded, deadline: Instant) -> Decision {
        let deciding = decide::decide(&self.lanes, &self.lookups, release, route, request, deadline);
        let decision = self.runtime.block_on(deciding);
        self.asked.borrow_mut().extend(decision.journal.lookups().cloned());
        decision
    }

    pub(super) fn run(&self, release: &Release, script: &Arc<Script>, call: Call) -> Run {
        let outside = self.lookups.of(&release.connectors, None, true);
        let run = self.runtime.block_on(self.lanes.run(script, call, &outside));
        self.asked.borrow_mut().extend(run.journal.lookups().cloned());
        run
    }

    /// The lookups of all runs so far, and what came of them.
    pub(super) fn asked(&self) -> Vec<Lookup> {
        self.asked.borrow().clone()
    }
}
