//! What the store holds at the end, held against what was sent and what the receiver saw.

use std::collections::HashMap;
use std::path::Path;

use hookgate_store::sqlite::Sqlite;
use hookgate_store::{EventLine, EventRef, JobState, Operation, Query, Selection, Store, StoreError};

use crate::gateway::CONCURRENT;
use crate::receiver::Receiver;
use crate::sender::Sent;

/// Every event that is kept.
pub struct Ledger {
    events: Vec<EventLine>,
}

/// Replays dead letters as an operator would, beside the gateway. How many jobs that were. Any that is dead for another reason
/// than crashes is a problem.
pub fn replay_crashed(store: &Path) -> Result<u64, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let store = Sqlite::attach(store).expect("the store can be opened");
    let dead = Query { state: Some(JobState::Dead), limit: 1_000, ..Query::default() };
    let work = async {
        for event in store.list(dead.clone()).await?.events {
            let shown = store.show(EventRef::Id(event.id)).await?.into_iter().flat_map(|shown| shown.jobs);
            let dead = shown.filter(|job| job.state == JobState::Dead);
            for job in dead {
                let last = job.tries.last().map(|attempt| attempt.result.clone());
                if last.as_deref() != Some("crashed") {
                    return Err(StoreError::Refused(format!("a job is dead after {last:?}")));
                }
            }
        }
        store.operate(Operation::Replay { which: Selection::All(Box::new(dead)), force: false }).await
    };
    runtime.block_on(work).map_err(|error| error.to_string())
}

impl Ledger {
    pub fn read(store: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let store = Sqlite::attach(store).expect("the store can be opened");
        let mut events = Vec::new();
        let mut after = None;
        loop {
            let query = Query { after, limit: 1_000, ..Query::default() };
            let page = runtime.block_on(store.list(query)).expect("the store can be read");
            events.extend(page.events);
            after = page.next;
            if after.is_none() {
                return Self { events };
            }
        }
    }

    /// Holds everything against everything. `deaths` is how often the gateway died; `None` where its memory of done
    /// actions was cut off, so that any number may be repeated.
    pub fn check(&self, sent: &Sent, receiver: &Receiver, deaths: Option<u64>) -> Result<(), String> {
        let mut problems = Vec::new();
        let kept: HashMap<&str, &EventLine> = self.events.iter().map(|event| (event.key.as_str(), event)).collect();
        if kept.len() != self.events.len() {
            problems.push(format!("{} events are kept twice", self.events.len() - kept.len()));
        }
        if sent.acknowledged.is_empty() {
            problems.push("no event was acknowledged: nothing was tested".to_owned());
        }
        let lost = sent.acknowledged.iter().filter(|id| !kept.contains_key(id.as_str())).count();
        if lost > 0 {
            problems.push(format!("{lost} of {} events were acknowledged and lost", sent.acknowledged.len()));
        }
        let unknown = kept.keys().filter(|key| !sent.knows(key)).count();
        if unknown > 0 {
            problems.push(format!("{unknown} events are kept that nobody sent"));
        }
        problems.extend(self.ends());
        let (seen, mut repeated, mut unseen, mut keys) = (receiver.seen(), 0, 0, 0);
        for key in kept.keys() {
            let Some(by_key) = seen.get(*key) else {
                unseen += 1;
                continue;
            };
            keys += usize::from(by_key.len() != 1);
            repeated += by_key.values().map(|count| count - 1).sum::<u64>();
        }
        if unseen > 0 {
            problems.push(format!("{unseen} actions never reached the receiver"));
        }
        if keys > 0 {
            problems.push(format!("{keys} actions were seen under more than one key"));
        }
        let allowed = deaths.map(|deaths| deaths * CONCURRENT);
        if let Some(allowed) = allowed.filter(|&allowed| repeated > allowed) {
            problems.push(format!("{repeated} actions were repeated; {allowed} were in work at most when it died"));
        }
        println!(
            "        {} events acknowledged, {} in doubt, {} kept, {repeated} actions repeated, {} at most",
            sent.acknowledged.len(),
            sent.in_doubt.len(),
            kept.len(),
            allowed.map_or_else(|| "any number".to_owned(), |allowed| allowed.to_string())
        );
        if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
    }

    /// Exactly one end for the rule, and one for its action.
    fn ends(&self) -> Option<String> {
        let ended = |event: &&EventLine| event.jobs.get(&JobState::Done) == Some(&2) && event.jobs.len() == 1;
        let without: Vec<&EventLine> = self.events.iter().filter(|event| !ended(event)).collect();
        let first = without.first()?;
        Some(format!("{} events did not end as they should, such as {:?}", without.len(), first.jobs))
    }
}

impl Sent {
    fn knows(&self, id: &str) -> bool {
        self.acknowledged.iter().chain(&self.in_doubt).any(|sent| sent == id)
    }
}
