//! Answers to calls that count once, each kept with the events and jobs that the call brought.
//!
//! Somebody else may ask for an answer in the transaction that keeps it, and whoever brought it may give up before the commit
//! ends: then it is taken back in the next transaction. So whoever found it hears of it only if it stays, and asks again
//! otherwise. Another process that reads the file in between does not know of this; the lock of the file keeps it out.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::params;
use tokio::sync::oneshot;

use crate::Accepted;
use crate::Intake;
use crate::Millis;
use crate::StoreError;
use crate::answer::OneTimeAnswer;
use crate::sqlite::Sqlite;
use crate::sqlite::accept;
use crate::sqlite::fault::Fault;
use crate::sqlite::gaps::Gaps;
use crate::sqlite::queue::Line;
use crate::sqlite::sweep::CHUNK;
use crate::sqlite::wait::Forgo;
use crate::sqlite::wait::wait;
use crate::sqlite::work::Look;
use crate::sqlite::work::Task;
use crate::sqlite::work::Tx;
use crate::sqlite::work::Undo;
use crate::sqlite::work::Wanted;

/// An answer that is there.
struct Found {
    answer: Bytes,
    /// Of whom the same transaction keeps it for, where they may still give up.
    first: Option<Arc<Wanted>>,
}

impl Found {
    /// Whether it stays. Who brought it was told what became of it before this is asked.
    fn stays(&self) -> bool {
        self.first.as_ref().is_none_or(|first| first.is_kept())
    }
}

/// What became of an answer that was brought.
enum Outcome {
    Kept { at: Millis, accepted: Vec<Accepted> },
    Known(Found),
}

impl Sqlite {
    pub(super) async fn find_answer(&self, route: &str, key: &str) -> Result<Option<Bytes>, StoreError> {
        let name: Arc<(String, String)> = Arc::new((route.to_owned(), key.to_owned()));
        loop {
            let (reply, answer) = oneshot::channel();
            let (asked, wanted) = (Arc::clone(&name), Arc::new(Wanted::default()));
            let (look_for, find_it) = (Arc::clone(&name), move |tx: &mut Tx<'_>| find(tx, &asked.0, &asked.1));
            let look: Look<_> = Box::new(move |tx| find(tx, &look_for.0, &look_for.1).map(Some));
            let wants = Some(Arc::clone(&wanted));
            let task = Task {
                bytes: 0,
                look: Some(look),
                run: Box::new(find_it),
                done: None,
                wanted: wants,
                undo: None,
                reply,
            };
            self.shared.queue.push(Line::Arrival, Box::new(task))?;
            match wait(answer, Forgo(wanted), None).await? {
                Some(found) if !found.stays() => {}
                found => return Ok(found.map(|found| found.answer)),
            }
        }
    }

    pub(super) async fn keep_one_time(&self, intake: Intake, new: OneTimeAnswer) -> Result<Option<Bytes>, StoreError> {
        new.check(self.clock.now())?;
        let (until, brought) = (intake.until, Arc::new((intake, new)));
        loop {
            let (reply, answer) = oneshot::channel();
            let wanted = Arc::new(Wanted::default());
            let task = keep_task(&brought, &wanted, reply);
            self.shared.queue.push(Line::Arrival, Box::new(task))?;
            match wait(answer, Forgo(wanted), until).await? {
                Outcome::Kept { .. } => return Ok(None),
                Outcome::Known(found) if found.stays() => return Ok(Some(found.answer)),
                // Who was first gave up, so that nothing is kept: now this one is the first.
                Outcome::Known(_) => {}
            }
        }
    }
}

fn keep_task(
    brought: &Arc<(Intake, OneTimeAnswer)>,
    wanted: &Arc<Wanted>,
    reply: oneshot::Sender<Result<Outcome, StoreError>>,
) -> Task<Outcome> {
    let (kept, taken_back, whose) = (Arc::clone(brought), Arc::clone(brought), Arc::clone(wanted));
    let (intake, new) = &**brought;
    let bodies: usize = intake.events.iter().map(|event| event.body.len() + event.envelope.len()).sum();
    Task {
        bytes: bodies + new.answer.len(),
        look: None,
        run: Box::new(move |tx| keep(tx, &kept.0, &kept.1, &whose)),
        done: None,
        wanted: Some(Arc::clone(wanted)),
        undo: intake.until.map(|_| -> Undo<Outcome> {
            Box::new(move |tx, outcome| take_back(tx, &taken_back.0, &taken_back.1, outcome))
        }),
        reply,
    }
}

fn find(tx: &mut Tx<'_>, route: &str, key: &str) -> Result<Option<Found>, Fault> {
    let mut find =
        tx.db.prepare_cached("SELECT id, answer FROM answer WHERE route = ?1 AND key = ?2 AND until > ?3")?;
    let found = find.query_row(params![route, key, tx.now], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)));
    let found: Option<(i64, Vec<u8>)> = found.optional()?;
    Ok(found.map(|(id, answer)| Found { answer: answer.into(), first: tx.doubtful.get(&id).cloned() }))
}

fn keep(tx: &mut Tx<'_>, intake: &Intake, new: &OneTimeAnswer, whose: &Arc<Wanted>) -> Result<Outcome, Fault> {
    if let Some(found) = find(tx, &new.route, &new.key)? {
        return Ok(Outcome::Known(found));
    }
    let accepted = accept::accept(tx, intake)?;
    let mut put = tx
        .db
        .prepare_cached("INSERT OR REPLACE INTO answer (route, key, answer, at, until) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let id = put.insert(params![&*new.route, new.key, &*new.answer, tx.now, new.until])?;
    if intake.until.is_some() {
        tx.doubtful.insert(id, Arc::clone(whose));
    }
    Ok(Outcome::Kept { at: tx.now, accepted })
}

/// Takes back what was kept, as if it had never come. It is not there if its transaction failed.
fn take_back(tx: &mut Tx<'_>, intake: &Intake, new: &OneTimeAnswer, outcome: &Outcome) -> Result<(), Fault> {
    let Outcome::Kept { at, accepted } = outcome else { return Ok(()) };
    accept::take_back(tx, intake, accepted)?;
    let mut forget =
        tx.db.prepare_cached("DELETE FROM answer WHERE route = ?1 AND key = ?2 AND at = ?3 AND until = ?4")?;
    forget.execute(params![&*new.route, new.key, at, new.until])?;
    Ok(())
}

/// What a clock that is right now finds of one that was ahead: what was kept then is kept no longer than it was meant to be.
pub(super) fn set_back(db: &Connection, now: Millis) -> rusqlite::Result<()> {
    db.execute("UPDATE answer SET until = until - (at - ?1), at = ?1 WHERE at > ?1", [now]).map(drop)
}

/// Where a sweep has come to: the end and the number of the last answer that it looked at.
pub(super) type Mark = (Millis, i64);

/// The next answers whose time is over, also by the time in which a gateway ran: a clock that was ahead for a while makes no
/// call count twice. And where to go on; nothing at the end.
pub(super) fn ended(
    db: &Connection,
    gaps: &Gaps,
    now: Millis,
    from: Mark,
) -> rusqlite::Result<(Vec<i64>, Option<Mark>)> {
    let mut read = db.prepare_cached(
        "SELECT until, id, at FROM answer INDEXED BY answer_until
         WHERE (until, id) > (?1, ?2) AND until <= ?3 ORDER BY until, id LIMIT ?4",
    )?;
    let page = read.query_map(params![from.0, from.1, now, CHUNK as i64], |row| {
        Ok(((row.get(0)?, row.get(1)?), row.get::<_, Millis>(2)?))
    })?;
    let page: Vec<(Mark, Millis)> = page.collect::<rusqlite::Result<_>>()?;
    let next = page.last().filter(|_| page.len() == CHUNK).map(|&(mark, _)| mark);
    let is_old = |&&((until, _), at): &&(Mark, Millis)| gaps.ago(now, until.saturating_sub(at)) >= at;
    Ok((page.iter().filter(is_old).map(|&((_, id), _)| id).collect(), next))
}

pub(super) fn forget(tx: &Tx<'_>, ids: &[i64]) -> Result<(), Fault> {
    let mut delete = tx.db.prepare_cached("DELETE FROM answer WHERE id = ?1 AND until <= ?2")?;
    for id in ids {
        delete.execute([*id, tx.now])?;
    }
    Ok(())
}
