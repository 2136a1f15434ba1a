//! What every store must do, whatever keeps it: named rules, and sequences of steps compared with a model that is obviously
//! right. A store passes when `rules!`, [`sequences::agree`] and [`state::agree`] do. It knows no store but through the trait.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::Attempt;
use crate::Claimed;
use crate::Dossier;
use crate::End;
use crate::EventRef;
use crate::Intake;
use crate::Leased;
use crate::NewEvent;
use crate::NewJob;
use crate::Operation;
use crate::Query;
use crate::Selection;
use crate::Settled;
use crate::Share;
use crate::Store;
use crate::Token;

pub(crate) mod answers;
pub(crate) mod archive;
pub(crate) mod claimants;
pub(crate) mod deadlines;
pub(crate) mod decisions;
pub(crate) mod model;
pub(crate) mod rules;
pub(crate) mod sequences;
pub(crate) mod state;

/// A store on trial: its clock stands still until it is set forward, and it can lose its process.
#[async_trait]
pub(crate) trait Stand: Send {
    fn store(&self) -> &dyn Store;

    fn advance(&self, by: Duration);

    /// Keeps the store from writing, as another process might, until this is dropped.
    fn hold(&self) -> Box<dyn Send>;

    /// Ends the process as `kill -9` does, and starts another one.
    async fn crash(&mut self);

    /// Opens the same database once more beside those that have it open: for another gateway, or for the next start of one
    /// whose process ended. [`FIRST`] is the gateway of [`Stand::store`].
    async fn open_again(&mut self, instance: &str) -> Arc<dyn Store>;
}

/// The gateway that a stand begins with.
pub(crate) const FIRST: &str = "the first gateway";

pub(crate) const LEASE: Duration = Duration::from_secs(30);

pub(crate) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn event(key: &str, jobs: Vec<NewJob>) -> NewEvent {
    NewEvent {
        route: "events".into(),
        key: key.to_owned(),
        kind: "user.session.start".to_owned(),
        envelope: r#"{"eventId":"e"}"#.into(),
        body: format!("the body of {key}").into(),
        jobs,
        ..NewEvent::default()
    }
}

pub(crate) fn rule(key: &str) -> NewJob {
    NewJob { lane: "rule events/watch".into(), name: "watch".to_owned(), key: key.to_owned(), ..NewJob::default() }
}

pub(crate) fn action(key: &str) -> NewJob {
    NewJob {
        kind: crate::JobKind::Action,
        lane: "connector chat".into(),
        name: "notify".to_owned(),
        key: key.to_owned(),
        body: format!("do {key}").into(),
        ..NewJob::default()
    }
}

pub(crate) fn attempt(result: &str) -> Attempt {
    Attempt { started: 7, took_ms: 3, result: result.to_owned(), status: Some(200), detail: "told".to_owned() }
}

/// The steps of the rules, short.
impl dyn Stand + '_ {
    pub(crate) async fn accept(&self, event: NewEvent) -> crate::Accepted {
        let intake = Intake { events: vec![event], ..Intake::default() };
        self.store().accept(intake).await.expect("the event is accepted")[0]
    }

    pub(crate) async fn claim(&self, lanes: &[&str], most: usize) -> Claimed {
        self.claim_beside(lanes, most, Vec::new()).await
    }

    /// The same by somebody who still works on these.
    pub(crate) async fn claim_beside(&self, lanes: &[&str], most: usize, held: Vec<Token>) -> Claimed {
        let shares = lanes.iter().map(|&lane| Share { lane: lane.into(), most }).collect();
        self.store().claim(shares, held, LEASE).await.expect("jobs can be claimed")
    }

    /// The keys of what is due, which runs from now on.
    pub(crate) async fn claim_all(&self) -> Vec<Leased> {
        self.claim(&["rule events/watch", "connector chat"], 100).await.jobs
    }

    pub(crate) async fn claim_suspect(&self, lanes: &[&str]) -> Option<Leased> {
        let lanes = lanes.iter().map(|&lane| lane.into()).collect();
        self.store().claim_suspect(lanes, LEASE).await.expect("a suspect can be claimed")
    }

    pub(crate) async fn settle(&self, job: &Leased, end: End) -> Settled {
        let result = if matches!(end, End::Done(_)) { "done" } else { "failed" };
        self.store().settle(job.token.clone(), attempt(result), end).await.expect("a try can be ended")
    }

    pub(crate) async fn show(&self, key: &str) -> Dossier {
        let found = self.store().show(EventRef::Key(key.to_owned())).await.expect("an event can be shown");
        found.expect("the event is there")
    }

    /// `key state` of each job of an event, in the order in which they were made.
    pub(crate) async fn states(&self, key: &str) -> Vec<String> {
        self.show(key).await.jobs.iter().map(|job| format!("{} {}", job.key, job.state.name())).collect()
    }

    pub(crate) async fn replay(&self, key: &str, force: bool) -> Result<u64, crate::StoreError> {
        let which = Selection::One(EventRef::Key(key.to_owned()));
        self.store().operate(Operation::Replay { which, force }).await
    }

    pub(crate) async fn purge_all(&self, query: Query) -> u64 {
        let which = Selection::All(Box::new(query));
        self.store().operate(Operation::Purge { which }).await.expect("events can be purged")
    }
}

pub(crate) fn keys(jobs: &[Leased]) -> Vec<&str> {
    jobs.iter().map(|job| job.key.as_str()).collect()
}
