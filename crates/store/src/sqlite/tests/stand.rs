//! The contract, kept by the embedded store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::Store;
use crate::claimant::Claimant;
use crate::clock::Clock;
use crate::contract::FIRST;
use crate::contract::Stand;
use crate::contract::sequences;
use crate::contract::state;
use crate::sqlite::Options;
use crate::sqlite::Sqlite;
use crate::sqlite::connect;

const START: i64 = 1_700_000_000_000;

pub(super) struct Embedded {
    folder: TempDir,
    clock: Arc<Clock>,
    store: Sqlite,
}

impl Embedded {
    pub(super) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let clock = Arc::new(Clock::at(START));
        let store = open(folder.path(), &clock);
        Self { folder, clock, store }
    }
}

fn open(folder: &Path, clock: &Arc<Clock>) -> Sqlite {
    Sqlite::open(&folder.join("hookgate.db"), options(clock, FIRST)).unwrap()
}

fn options(clock: &Arc<Clock>, instance: &str) -> Options {
    Options { clock: Arc::clone(clock), claimant: Claimant::of_instance(instance) }
}

/// Copies what a process that ends now leaves behind.
pub(super) fn leave(from: &Path, to: &Path) {
    for name in ["hookgate.db", "hookgate.db-wal"] {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

#[async_trait]
impl Stand for Embedded {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    fn hold(&self) -> Box<dyn Send> {
        let other = connect::writer(&self.folder.path().join("hookgate.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        Box::new(other)
    }

    async fn crash(&mut self) {
        let left = TempDir::new().unwrap();
        leave(self.folder.path(), left.path());
        self.store = open(left.path(), &self.clock);
        self.folder = left;
    }

    async fn open_again(&mut self, instance: &str) -> Arc<dyn Store> {
        let file = self.folder.path().join("hookgate.db");
        Arc::new(Sqlite::open_beside(&file, &options(&self.clock, instance)).unwrap())
    }
}

mod rules {
    use super::Embedded;

    crate::contract::rules::rules!(Embedded::new());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_the_model_does(steps in vec(sequences::step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        runtime.block_on(async {
            let mut stand = Embedded::new();
            sequences::agree(&mut stand, START, steps).await;
        });
    }

    #[test]
    fn its_state_is_what_it_would_be_in_memory(moves in vec(state::step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        runtime.block_on(async {
            let mut stand = Embedded::new();
            state::agree(&mut stand, START, moves).await;
        });
    }
}
