//! The embedded store: one SQLite file, which an operator can open with `sqlite3 'file:hookgate.db?mode=ro'`.
//!
//! One thread writes, with a sync of the disk for each batch of what waits (`writer`); a few connections read. SQLite's
//! settings are read back, because a store without them does not keep what it promises (`connect`). Only one gateway may
//! use a file (`place`); the command line works beside it ([`Sqlite::attach`]).
//!
//! It never weakens a sync, and answers nothing as kept that is not: see `writer` for a full disk, a file system that can
//! only be read, a file that was replaced, and a disk that fails.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::Accepted;
use crate::Attempt;
use crate::Claimed;
use crate::Dossier;
use crate::End;
use crate::EventRef;
use crate::Health;
use crate::Intake;
use crate::Leased;
use crate::Millis;
use crate::Operation;
use crate::Page;
use crate::Query;
use crate::Settled;
use crate::Share;
use crate::StatePage;
use crate::StateQuery;
use crate::Step;
use crate::Store;
use crate::StoreError;
use crate::Token;
use crate::answer::OneTimeAnswer;
use crate::archive::Archive;
use crate::backups::Backups;
use crate::clock::Clock;
use crate::sqlite::fault::Fault;
use crate::sqlite::place::Lock;
use crate::sqlite::queue::Line;
use crate::sqlite::readers::Readers;
use crate::sqlite::wait::Forgo;
use crate::sqlite::wait::wait;
use crate::sqlite::work::Task;
use crate::sqlite::work::Tx;
use crate::sqlite::work::Undo;
use crate::sqlite::work::Wanted;
use crate::sqlite::writer::Shared;
use hookgate_model::decision;
use hookgate_model::decision::Capture;
use hookgate_model::decision::Kept;
use hookgate_model::decision::Record;
use hookgate_model::failpoint;

mod accept;
mod answers;
mod archive;
mod backup;
mod changes;
mod claim;
mod connect;
mod decisions;
mod ending;
mod fault;
mod gaps;
mod header;
mod health;
mod jobs;
mod list;
mod log;
mod numbers;
mod opening;
mod operate;
mod pace;
mod place;
mod queue;
mod readers;
mod recover;
mod releases;
mod replay;
mod settle;
mod state;
mod sweep;
mod wait;
mod work;
mod writer;

pub use crate::sqlite::opening::Options;

/// The embedded store. Dropping it ends what waits, and closes the file.
pub struct Sqlite {
    file: PathBuf,
    clock: Arc<Clock>,
    shared: Arc<Shared>,
    /// For lists and searches.
    people: Arc<Readers>,
    /// For what somebody outside waits for.
    calls: Arc<Readers>,
    writer: Mutex<Option<JoinHandle<Result<(), StoreError>>>>,
    /// Whether this is the gateway of the file, and not somebody beside one.
    is_gateway: bool,
    /// Held by the gateway until the file is closed.
    lock: Mutex<Option<Lock>>,
    /// A large count, and how long it may be given.
    counted: Mutex<Option<(Instant, Health)>>,
}

impl Sqlite {
    /// The time of the store, which a test may set forward.
    pub fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    async fn write<T: Send + 'static>(
        &self,
        run: impl FnMut(&mut Tx<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let task = Task { bytes: 0, look: None, run: Box::new(run), done: None, wanted: None, undo: None, reply };
        self.shared.queue.push(Line::Other, Box::new(task))?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Refuses what only a gateway may do.
    fn as_gateway(&self) -> Result<(), StoreError> {
        if self.is_gateway {
            return Ok(());
        }
        Err(StoreError::Refused(
            "only the gateway itself takes events and jobs, and changes the state of scripts".to_owned(),
        ))
    }
}

#[async_trait]
impl Store for Sqlite {
    fn archive(&self) -> &dyn Archive {
        self
    }

    fn now(&self) -> Millis {
        self.clock.now()
    }

    async fn accept(&self, intake: Intake) -> Result<Vec<Accepted>, StoreError> {
        self.as_gateway()?;
        let bytes = intake.events.iter().map(|event| event.body.len() + event.envelope.len()).sum();
        let (reply, answer) = oneshot::channel();
        let (wanted, until, intake) = (Arc::new(Wanted::default()), intake.until, Arc::new(intake));
        let kept = Arc::clone(&intake);
        let task = Task {
            bytes,
            look: None,
            run: Box::new(move |tx: &mut Tx<'_>| accept::accept(tx, &intake)),
            done: None,
            wanted: Some(Arc::clone(&wanted)),
            undo: until.map(|_| -> Undo<Vec<Accepted>> {
                Box::new(move |tx, accepted| accept::take_back(tx, &kept, accepted))
            }),
            reply,
        };
        self.shared.queue.push(Line::Arrival, Box::new(task))?;
        wait(answer, Forgo(wanted), until).await
    }

    async fn answer(&self, route: &str, key: &str) -> Result<Option<Bytes>, StoreError> {
        self.as_gateway()?;
        self.find_answer(route, key).await
    }

    async fn keep_answer(&self, intake: Intake, answer: OneTimeAnswer) -> Result<Option<Bytes>, StoreError> {
        self.as_gateway()?;
        self.keep_one_time(intake, answer).await
    }

    fn is_crowded(&self) -> bool {
        self.shared.queue.is_crowded()
    }

    fn hindrance(&self) -> Option<String> {
        self.shared.pace.hindrance()
    }

    async fn claim(&self, shares: Vec<Share>, held: Vec<Token>, lease: Duration) -> Result<Claimed, StoreError> {
        self.as_gateway()?;
        let (reply, answer) = oneshot::channel();
        let shares: Arc<[Share]> = shares.into();
        let asked = Arc::clone(&shares);
        let task = Task {
            bytes: 0,
            look: Some(Box::new(move |tx: &mut Tx<'_>| claim::look(tx, &asked))),
            run: Box::new(move |tx: &mut Tx<'_>| claim::claim(tx, &shares, &held, jobs::millis(lease))),
            done: None,
            wanted: None,
            undo: None,
            reply,
        };
        self.shared.queue.push(Line::Other, Box::new(task))?;
        let claimed: Claimed = answer.await.unwrap_or(Err(StoreError::Closed))?;
        if !claimed.jobs.is_empty() {
            failpoint::reach("store.claimed");
        }
        Ok(claimed)
    }

    async fn claim_suspect(&self, lanes: Vec<Arc<str>>, lease: Duration) -> Result<Option<Leased>, StoreError> {
        self.as_gateway()?;
        let claimed = self.write(move |tx| claim::claim_suspect(tx, &lanes, jobs::millis(lease))).await?;
        if claimed.is_some() {
            failpoint::reach("store.claimed");
        }
        Ok(claimed)
    }

    async fn abandon(&self, held: Vec<Token>) -> Result<(), StoreError> {
        self.as_gateway()?;
        self.write(move |tx| settle::abandon(tx, &held)).await
    }

    async fn renew(&self, held: Vec<Token>, lease: Duration) -> Result<Vec<Token>, StoreError> {
        self.as_gateway()?;
        self.write(move |tx| settle::renew(tx, &held, jobs::millis(lease))).await
    }

    async fn settle(&self, token: Token, attempt: Attempt, end: End) -> Result<Settled, StoreError> {
        self.as_gateway()?;
        self.write(move |tx| {
            let settled = settle::settle(tx, &token, &attempt, &end);
            failpoint::reach("store.settle");
            settled.map_err(Fault::alone)
        })
        .await
    }

    async fn state(&self, step: Step) -> Result<Value, StoreError> {
        step.check()?;
        if step.is_look() {
            let now = self.clock.now();
            return self.calls.read(move |db| state::tell(db, &step.kv, now)).await;
        }
        self.as_gateway()?;
        // Somebody outside waits for the answer to a call; a rule has no one, and is named.
        let line = if step.origin.is_none() { Line::Arrival } else { Line::Other };
        let (change, wanted) = (Arc::new(state::Change::new(step)), Arc::new(Wanted::default()));
        let (reply, answer) = oneshot::channel();
        let asked = Arc::clone(&change);
        let task = Task {
            bytes: 0,
            look: Some(Box::new(move |tx: &mut Tx<'_>| state::look(tx, &asked))),
            run: Box::new(move |tx: &mut Tx<'_>| state::take(tx, &change)),
            done: None,
            wanted: (line == Line::Arrival).then(|| Arc::clone(&wanted)),
            undo: None,
            reply,
        };
        self.shared.queue.push(line, Box::new(task))?;
        wait(answer, Forgo(wanted), None).await
    }

    async fn entries(&self, query: StateQuery) -> Result<StatePage, StoreError> {
        let now = self.clock.now();
        self.people.read(move |db| state::entries(db, &query, now)).await
    }

    async fn record(&self, decisions: Vec<Kept>) -> Result<usize, StoreError> {
        self.as_gateway()?;
        let rows = decisions.into_iter().map(decisions::Row::of).collect::<Result<Vec<_>, _>>()?;
        self.write(move |tx| decisions::keep(tx, &rows)).await
    }

    async fn decisions(&self, query: decision::Query) -> Result<decision::Page, StoreError> {
        self.people.read(move |db| decisions::list(db, &query)).await
    }

    async fn decision(&self, id: &str) -> Result<Option<(Record, Option<Capture>)>, StoreError> {
        let id = id.to_owned();
        self.people.read(move |db| decisions::show(db, &id)).await
    }

    async fn bookmark(&self, name: &str) -> Result<Option<String>, StoreError> {
        let name = format!("bookmark {name}");
        let read = move |db: &rusqlite::Connection| {
            use rusqlite::OptionalExtension;
            let mut find = db.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
            find.query_row([name], |row| row.get(0)).optional()
        };
        self.calls.read(read).await
    }

    async fn list(&self, query: Query) -> Result<Page, StoreError> {
        self.people.read(move |db| list::list(db, &query)).await
    }

    async fn show(&self, event: EventRef) -> Result<Option<Dossier>, StoreError> {
        // All of it as of one moment.
        let read = move |db: &rusqlite::Connection| {
            let moment = db.unchecked_transaction()?;
            list::show(&moment, &event)
        };
        self.people.read(read).await
    }

    async fn operate(&self, operation: Operation) -> Result<u64, StoreError> {
        match operation {
            Operation::Replay { which, force } => self.replay(which, force).await,
            Operation::Purge { which } => self.purge(which).await,
            Operation::Clear { keys } => self.clear(&keys).await,
            Operation::Sweep { keep, remember, decisions } => {
                let removed = self.sweep(keep, remember, decisions).await?;
                if removed.dead > 0 {
                    tracing::warn!(
                        jobs.count = removed.dead,
                        "dead letters were removed: `keep_days` have passed since they died"
                    );
                }
                Ok(removed.count)
            }
            Operation::TrimDecisions { most } => self.trim_decisions(most).await,
        }
    }

    async fn health(&self) -> Result<Health, StoreError> {
        let read = self.count().await;
        // Asked how it is, a store that cannot be read answers just that.
        let unread = read.as_ref().err().map(ToString::to_string);
        let mut health = read.unwrap_or_default();
        health.trouble = self.shared.trouble().map(|error| error.to_string()).or(unread);
        health.bytes = place::bytes(&self.file);
        Ok(health)
    }

    fn backups(&self) -> Option<&dyn Backups> {
        Some(self)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.end().await
    }
}

#[cfg(test)]
mod tests;
