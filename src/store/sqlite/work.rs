//! A piece of work for the writer: what it does inside a transaction, and who hears of it.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::OptionalExtension;
use tokio::sync::oneshot;

use crate::store::Millis;
use crate::store::StoreError;
use crate::store::sqlite::fault::Fault;

/// The transaction that work is done in.
pub(super) struct Tx<'a> {
    pub(super) db: &'a Connection,
    pub(super) now: Millis,
    pub(super) numbers: &'a mut Numbers,
}

/// The next numbers, and those of the lanes. Numbers that a transaction took and did not keep are never given again.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    pub(super) event: i64,
    pub(super) job: i64,
    pub(super) claim: i64,
    pub(super) lanes: HashMap<Arc<str>, i64>,
}

impl Numbers {
    /// Forgets what a transaction that was not kept may have brought in.
    pub(super) fn forget(&mut self) {
        self.lanes.clear();
    }
}

/// The next number of a counter.
pub(super) fn next(counter: &mut i64) -> i64 {
    *counter += 1;
    *counter
}

impl Tx<'_> {
    /// The number of a lane, which is new if nobody named it before.
    pub(super) fn lane(&mut self, name: &Arc<str>) -> Result<i64, Fault> {
        if let Some(&id) = self.numbers.lanes.get(name) {
            return Ok(id);
        }
        let id = match self.known_lane(name)? {
            Some(id) => id,
            None => self.db.prepare_cached("INSERT INTO lane (name) VALUES (?1)")?.insert([&**name])?,
        };
        self.numbers.lanes.insert(Arc::clone(name), id);
        Ok(id)
    }

    /// The number of a lane, if anything was ever put into it.
    pub(super) fn known_lane(&self, name: &Arc<str>) -> Result<Option<i64>, Fault> {
        if let Some(&id) = self.numbers.lanes.get(name) {
            return Ok(Some(id));
        }
        let mut find = self.db.prepare_cached("SELECT id FROM lane WHERE name = ?1")?;
        Ok(find.query_row([&**name], |row| row.get(0)).optional()?)
    }
}

/// What the writer knows of a piece of work.
pub(super) trait Work: Send {
    /// How many bytes of bodies it brings.
    fn bytes(&self) -> usize;

    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;

    /// Tries to find the answer by reading alone. Whether it did.
    fn look(&mut self, tx: &mut Tx<'_>) -> Result<bool, Fault>;

    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault>;

    /// Tells who waits what became of it.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// Answers by reading alone, or not at all.
type Look<T> = Box<dyn FnMut(&mut Tx<'_>) -> Result<Option<T>, Fault> + Send>;
type Run<T> = Box<dyn FnMut(&mut Tx<'_>) -> Result<T, Fault> + Send>;

pub(super) struct Task<T> {
    pub(super) bytes: usize,
    pub(super) look: Option<Look<T>>,
    pub(super) run: Run<T>,
    pub(super) done: Option<T>,
    pub(super) reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send> Work for Task<T> {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn look(&mut self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        if let Some(look) = &mut self.look {
            self.done = look(tx)?;
        }
        Ok(self.done.is_some())
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        self.done = Some((self.run)(tx)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { done, reply, .. } = *self;
        let answer = outcome.and_then(|()| done.ok_or(StoreError::Closed));
        // Who asked may have gone: what was done stays done.
        drop(reply.send(answer));
    }
}
