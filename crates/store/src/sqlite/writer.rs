//! The one thread that writes. What waits together is committed together: one sync of the disk for up to 256 requests.
//!
//! Nobody hears that something is kept before it is: after the commit, and after a look at whether the file that was
//! written is still the one behind the path.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::Millis;
use crate::StoreError;
use crate::clock::Clock;
use crate::open::OpenError;
use crate::sqlite::connect;
use crate::sqlite::fault;
use crate::sqlite::fault::Fault;
use crate::sqlite::fault::Remedy;
use crate::sqlite::header;
use crate::sqlite::log;
use crate::sqlite::log::LogWatch;
use crate::sqlite::numbers;
use crate::sqlite::numbers::Numbers;
use crate::sqlite::pace::Pace;
use crate::sqlite::place;
use crate::sqlite::place::Place;
use crate::sqlite::queue::Next;
use crate::sqlite::queue::Queue;
use crate::sqlite::work::TakeBack;
use crate::sqlite::work::Tx;
use crate::sqlite::work::Work;
use hookgate_model::failpoint;

/// How often the time is kept, so that a clock which was set back is noticed at the next start.
const TIME_KEPT_EVERY: Millis = 10_000;
/// How often a store that failed is tried again.
const MEND_EVERY: Duration = Duration::from_secs(1);

/// What the writer shares with those who ask it.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) queue: Queue,
    pub(super) pace: Pace,
    trouble: Mutex<Option<StoreError>>,
}

impl Shared {
    pub(super) fn trouble(&self) -> Option<StoreError> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_trouble(&self, trouble: Option<StoreError>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Arc<Clock>,
    pub(super) place: Place,
    /// What is seen of the log of the connection, and of the file.
    pub(super) watch: LogWatch,
    pub(super) numbers: Numbers,
    pub(super) state: State,
    /// When the time was kept last. An attached writer does not keep it.
    pub(super) time_kept: Option<Millis>,
    /// What was committed for those who had given up by then. It goes first in the next transaction, before anybody is given a
    /// job of it.
    pub(super) unwanted: Vec<TakeBack>,
}

pub(super) enum State {
    Open(Connection),
    /// It failed, and is opened again after this.
    Closed(StoreError, Instant),
    /// The file is another one: only a restart helps.
    Lost(StoreError),
}

type Outcome = Result<(), StoreError>;

impl Writer {
    /// Works until the queue is closed and empty; then closes the file.
    ///
    /// # Errors
    /// The log could not be folded into the file.
    pub(super) fn run(mut self) -> Result<(), StoreError> {
        // Whatever ends this thread, nobody waits for it in vain.
        let _abandon = Abandon(Arc::clone(&self.shared));
        loop {
            let restless = self.shared.trouble().is_some() || !self.unwanted.is_empty();
            let patience = if restless { MEND_EVERY } else { Duration::from_secs(3600) };
            match self.shared.queue.next(patience) {
                Next::Batch(batch) => self.process(batch),
                Next::Idle => self.process(Vec::new()),
                Next::Closed => break,
            }
        }
        let is_gateway = self.time_kept.is_some();
        self.time_kept = self.time_kept.map(|_| 0);
        self.process(Vec::new());
        match &self.state {
            State::Open(db) if is_gateway => fold(db, &self.place),
            State::Open(_) => Ok(()),
            State::Closed(error, _) | State::Lost(error) => Err(error.clone()),
        }
    }

    fn process(&mut self, mut batch: Vec<Box<dyn Work>>) {
        if let Err(error) = self.mend() {
            return self.refuse(batch, &error);
        }
        let outcomes = match self.transact(&mut batch) {
            Ok(outcomes) => outcomes,
            Err(error) => {
                let told = self.failed(&error);
                return self.refuse(batch, &told);
            }
        };
        if let Some(text) = self.place.trouble().or_else(|| self.watch.damage()) {
            let error = self.give_up(text);
            return self.refuse(batch, &error);
        }
        self.unwanted.clear();
        for (work, outcome) in batch.into_iter().zip(outcomes) {
            self.unwanted.extend(work.answer(outcome));
        }
        if !self.unwanted.is_empty() {
            // Nothing of a batch without work is ever unwanted.
            self.process(Vec::new());
        }
    }

    /// The file or its log is not what it was: only a restart helps.
    fn give_up(&mut self, text: String) -> StoreError {
        let error = StoreError::Broken(text);
        if self.watch.is_overwritten() {
            self.put_log_aside();
        }
        if let State::Open(db) = &self.state {
            if self.watch.damage().is_some() {
                // Or else the hole in the log would go into the database when the last connection is closed.
                let _ = db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            } else if self.place.lacks_log() {
                // What was removed is still open here: all that was acknowledged goes into the database before that ends.
                if let Err(problem) = fold(db, &self.place) {
                    tracing::error!(error = %problem, "what the log held could not be put into the store's file");
                }
            }
        }
        self.shared.set_trouble(Some(error.clone()));
        self.state = State::Lost(error.clone());
        error
    }

    /// Or else the next start would put the log into a file that it does not belong to.
    fn put_log_aside(&self) {
        if let Err(problem) = place::put_log_aside(&self.place.file) {
            tracing::error!(error = %problem, "the log of a store that was overwritten could not be put aside");
        }
    }

    /// Nobody knows whether a transaction that failed is there after all, once the log is read again.
    fn refuse(&mut self, batch: Vec<Box<dyn Work>>, error: &StoreError) {
        self.unwanted.extend(batch.into_iter().filter_map(|work| work.answer(Err(error.clone()))));
    }

    /// Does a batch in one transaction. An error is one of all.
    fn transact(&mut self, batch: &mut [Box<dyn Work>]) -> Result<Vec<Outcome>, rusqlite::Error> {
        let State::Open(db) = &self.state else { return Ok(Vec::new()) };
        let mut tx = Tx { db, now: self.clock.now(), numbers: &mut self.numbers, doubtful: HashMap::new() };
        if !batch.is_empty() && self.unwanted.is_empty() && look(&mut tx, batch)? {
            return Ok(vec![Ok(()); batch.len()]);
        }
        self.shared.pace.wait();
        db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        self.shared.pace.write();
        tx.numbers.catch_up(db)?;
        for take_back in &mut self.unwanted {
            if let Err(error) = in_savepoint(&mut tx, take_back)? {
                tracing::error!(%error, "actions of a call that was answered without them were not taken back");
            }
        }
        let mut outcomes = Vec::with_capacity(batch.len());
        for work in batch.iter_mut() {
            // From here on nobody else holds up this transaction: who has waited until now may be told that it was kept.
            let outcome = if work.begin() { in_savepoint(&mut tx, |tx| work.run(tx))? } else { Err(StoreError::Late) };
            outcomes.push(outcome);
        }
        // In trouble something is written each time: only that shows whether it can be.
        let trouble = self.shared.trouble().is_some();
        if self.time_kept.is_some_and(|kept| trouble || tx.now - kept > TIME_KEPT_EVERY) {
            keep_time(&tx)?;
            self.time_kept = Some(tx.now);
        }
        if self.watch.take_checkpoint() {
            header::count_checkpoint(db)?;
        }
        failpoint::reach("store.before_commit");
        db.prepare_cached("COMMIT")?.execute([])?;
        self.shared.pace.done();
        failpoint::reach("store.after_commit");
        checkpoint_on_trial(db)?;
        if trouble {
            self.shared.set_trouble(None);
        }
        Ok(outcomes)
    }

    /// Decides what to do after an error of all, and what to say.
    fn failed(&mut self, error: &rusqlite::Error) -> StoreError {
        let told = fault::told(error, &self.place.file);
        self.numbers.forget();
        let State::Open(db) = &self.state else { return told };
        let rolled_back = db.is_autocommit() || db.execute_batch("ROLLBACK").is_ok();
        match fault::remedy(error) {
            Remedy::Never => self.state = State::Lost(told.clone()),
            Remedy::Alone | Remedy::Later if rolled_back => {}
            _ => self.state = State::Closed(told.clone(), Instant::now()),
        }
        if told != StoreError::Busy {
            self.shared.set_trouble(Some(told.clone()));
        }
        told
    }

    /// Opens a store again that failed, at most once a second.
    ///
    /// A sync that failed is never asked for again over the same log. The kernel reports such a failure once and may take
    /// the pages for clean from then on: a second sync would succeed without having written them, and what is committed
    /// after them would stand behind frames that are not on the disk, where no recovery finds it. So before anything is
    /// served, all that the log holds goes into the database itself, freshly written and synced, and the log begins anew.
    fn mend(&mut self) -> Result<(), StoreError> {
        let (error, since) = match &self.state {
            State::Open(_) => return Ok(()),
            State::Lost(error) => return Err(error.clone()),
            State::Closed(error, since) => (error.clone(), *since),
        };
        if since.elapsed() < MEND_EVERY {
            return Err(error);
        }
        if let Some(text) = self.lost() {
            return Err(self.give_up(text));
        }
        match self.reopen() {
            Ok(db) => self.state = State::Open(db),
            Err(error) => {
                self.shared.set_trouble(Some(error.clone()));
                self.state = State::Closed(error.clone(), Instant::now());
                return Err(error);
            }
        }
        Ok(())
    }

    /// What is wrong that opening the file again would make worse.
    fn lost(&self) -> Option<String> {
        self.watch.damage().or_else(|| self.watch.is_overwritten().then(|| place::overwritten(&self.place.file)))
    }

    fn reopen(&mut self) -> Result<Connection, StoreError> {
        let broken = |error: &dyn std::fmt::Display| StoreError::Broken(error.to_string());
        if let Some(text) = self.place.trouble().filter(|_| !self.place.file.exists()) {
            return Err(StoreError::Broken(text));
        }
        let mut db = connect::writer(&self.place.file).map_err(|error| match &error {
            OpenError::Database { error: cause, file } => {
                cause.downcast_ref().map_or_else(|| broken(&error), |cause| fault::told(cause, file))
            }
            other => broken(other),
        })?;
        fold(&db, &self.place)?;
        self.watch =
            log::watch(&mut db, &self.place.file, self.watch.header.clone()).map_err(|error| broken(&error))?;
        self.place.note_again().map_err(|error| broken(&error))?;
        Ok(db)
    }
}

/// Puts all that the log holds into the file, synced, and empties the log.
fn fold(db: &Connection, place: &Place) -> Result<(), StoreError> {
    let busy = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    match busy.map_err(|error| fault::told(&error, &place.file))? {
        0 => Ok(()),
        _ => Err(StoreError::Busy),
    }
}

/// Closes the queue when the writer ends, also by a panic.
struct Abandon(Arc<Shared>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.queue.abandon();
    }
}

/// Whether all of a batch found its answer by reading alone, so that nothing needs to be written.
fn look(tx: &mut Tx<'_>, batch: &mut [Box<dyn Work>]) -> Result<bool, rusqlite::Error> {
    for work in batch {
        match work.look(tx) {
            Ok(true) => {}
            Ok(false) | Err(Fault::Refused(_)) => return Ok(false),
            Err(Fault::Sql(error)) => return Err(error),
        }
    }
    Ok(true)
}

/// Does one piece of work, so that what it did can be taken back alone.
fn in_savepoint(
    tx: &mut Tx<'_>,
    work: impl FnOnce(&mut Tx<'_>) -> Result<(), Fault>,
) -> Result<Outcome, rusqlite::Error> {
    tx.db.prepare_cached("SAVEPOINT work")?.execute([])?;
    let outcome = match work(tx) {
        Ok(()) => Ok(()),
        Err(Fault::Refused(error)) => Err(error),
        Err(Fault::Sql(error)) if fault::remedy(&error) == Remedy::Alone => Err(StoreError::Broken(error.to_string())),
        Err(Fault::Sql(error)) => return Err(error),
    };
    if outcome.is_err() {
        tx.numbers.forget();
        tx.db.prepare_cached("ROLLBACK TO work")?.execute([])?;
    }
    tx.db.prepare_cached("RELEASE work")?.execute([])?;
    Ok(outcome)
}

/// Keeps the time, and how far the numbers have come.
pub(super) fn keep_time(tx: &Tx<'_>) -> rusqlite::Result<()> {
    numbers::keep(tx.db, "time", tx.now)?;
    tx.numbers.write(tx.db)
}

/// Checkpoints are made as a part of commits, where nobody can end the process just then; so a process that is armed for it
/// does its own.
fn checkpoint_on_trial(db: &Connection) -> rusqlite::Result<()> {
    const POINT: &str = "store.checkpoint";
    if failpoint::is_armed(POINT) {
        failpoint::reach(POINT);
        db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        failpoint::reach(POINT);
    }
    Ok(())
}
