//! A piece of work for the writer: what it does inside a transaction, and who hears of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering;

use rusqlite::Connection;
use rusqlite::OptionalExtension;
use tokio::sync::oneshot;

use crate::Millis;
use crate::StoreError;
use crate::sqlite::fault::Fault;
use crate::sqlite::numbers::Numbers;

/// The transaction that work is done in.
pub(super) struct Tx<'a> {
    pub(super) db: &'a Connection,
    pub(super) now: Millis,
    pub(super) numbers: &'a mut Numbers,
    /// One-time answers of this transaction, by their number, which may be taken back after its commit.
    pub(super) doubtful: HashMap<i64, Arc<Wanted>>,
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

/// Whether a piece of work is wanted: whoever comes first, who asked or the writer, decides it for both.
#[derive(Debug, Default)]
pub(super) struct Wanted(AtomicU8);

mod wanted {
    pub(super) const YES: u8 = 0;
    /// The writer does it, in a transaction that nothing keeps from its commit.
    pub(super) const BEGUN: u8 = 1;
    /// Who asked gave up: it must not stay.
    pub(super) const GIVEN_UP: u8 = 2;
    /// It is committed, and who asked is about to hear so.
    pub(super) const KEPT: u8 = 3;
}

impl Wanted {
    fn turn(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// For the writer: whether to do it. From then on it is begun.
    fn begin(&self) -> bool {
        self.turn(wanted::YES, wanted::BEGUN)
    }

    /// For the writer, after the commit: whether it stays.
    fn keep(&self) -> bool {
        self.turn(wanted::BEGUN, wanted::KEPT)
    }

    /// Whether it was committed and stays. Nothing changes that any more.
    pub(super) fn is_kept(&self) -> bool {
        self.0.load(Ordering::Acquire) == wanted::KEPT
    }

    /// For who asked: whether it is certain that the writer never begins it.
    pub(super) fn forgo(&self) -> bool {
        self.turn(wanted::YES, wanted::GIVEN_UP)
    }

    /// For who asked and does not wait for the commit any longer: whether the writer takes it back. If not, it is kept.
    pub(super) fn regret(&self) -> bool {
        self.turn(wanted::BEGUN, wanted::GIVEN_UP)
    }
}

/// Takes back what was committed and is not wanted any more.
pub(super) type TakeBack = Box<dyn FnMut(&mut Tx<'_>) -> Result<(), Fault> + Send>;

/// What the writer knows of a piece of work.
pub(super) trait Work: Send {
    /// How many bytes of bodies it brings.
    fn bytes(&self) -> usize;

    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;

    /// Tries to find the answer by reading alone. Whether it did.
    fn look(&mut self, tx: &mut Tx<'_>) -> Result<bool, Fault>;

    /// Whether it is still wanted, now that the transaction has the store to itself. From then on it counts as begun.
    fn begin(&self) -> bool;

    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault>;

    /// Tells who waits what became of it. Where they gave up meanwhile, or nobody knows what a failure left: what takes it back,
    /// as far as it is there.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) -> Option<TakeBack>;
}

/// Answers by reading alone, or not at all.
pub(super) type Look<T> = Box<dyn FnMut(&mut Tx<'_>) -> Result<Option<T>, Fault> + Send>;
type Run<T> = Box<dyn FnMut(&mut Tx<'_>) -> Result<T, Fault> + Send>;
pub(super) type Undo<T> = Box<dyn FnMut(&mut Tx<'_>, &T) -> Result<(), Fault> + Send>;

pub(super) struct Task<T> {
    pub(super) bytes: usize,
    pub(super) look: Option<Look<T>>,
    pub(super) run: Run<T>,
    pub(super) done: Option<T>,
    /// Nothing: it is done even if nobody waits any more.
    pub(super) wanted: Option<Arc<Wanted>>,
    /// Takes it back, where who asked may give up while it is committed.
    pub(super) undo: Option<Undo<T>>,
    pub(super) reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send + 'static> Work for Task<T> {
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

    fn begin(&self) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.begin())
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        self.done = Some((self.run)(tx)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) -> Option<TakeBack> {
        let Self { done, reply, wanted, undo, .. } = *self;
        let stays = outcome.is_ok() && wanted.is_none_or(|wanted| wanted.keep());
        match (done, undo) {
            (Some(done), Some(mut undo)) if !stays => {
                drop(reply.send(Err(outcome.err().unwrap_or(StoreError::Late))));
                Some(Box::new(move |tx| undo(tx, &done)))
            }
            // Who asked may have gone: what was done stays done.
            (done, _) => {
                drop(reply.send(outcome.and_then(|()| done.ok_or(StoreError::Closed))));
                None
            }
        }
    }
}
