//! Ends tries, and extends leases.
//!
//! Only who holds a job may end its try: the job runs, the number of the try and of the claim are those that were given out,
//! and this start of this gateway was given them. Whoever comes late, or with the token of another one, changes nothing.

use rusqlite::OptionalExtension;
use rusqlite::params;

use crate::Attempt;
use crate::End;
use crate::Millis;
use crate::Settled;
use crate::Token;
use crate::sqlite::fault::Fault;
use crate::sqlite::jobs;
use crate::sqlite::work::Tx;

/// How much of what was answered is kept.
const MOST_DETAIL: usize = 2048;

/// - `Done`: its children are kept, then it is done, and so are those that went out with it.
/// - `Retry`: it waits. Its try came to an end, so it is no suspect any more.
/// - `Postpone`: it waits, and the try did not count; nothing is recorded.
/// - `Dead`: it is dead, and so are those that went out with it.
pub(super) fn settle(tx: &mut Tx<'_>, token: &Token, attempt: &Attempt, end: &End) -> Result<Settled, Fault> {
    let Some(held) = held(tx, token)? else { return Ok(Settled::LostLease) };
    if !matches!(end, End::Postpone(_)) {
        record(tx, token, attempt)?;
    }
    match end {
        End::Done(children) => {
            for child in children {
                jobs::insert(tx, held.event, Some(token.job), child)?;
            }
            finish(tx, token.job, "done")?;
        }
        End::Dead => finish(tx, token.job, "dead")?,
        End::Retry(after) => {
            wait(tx, token.job, jobs::millis(*after), 0)?;
            tx.db.prepare_cached("UPDATE job SET deaths = 0 WHERE id = ?1 AND deaths > 0")?.execute([token.job])?;
        }
        End::Postpone(after) => wait(tx, token.job, jobs::millis(*after), 1)?,
    }
    held.leave(tx)?;
    Ok(Settled::Applied)
}

struct Held {
    event: i64,
    lane: i64,
    order_key: Option<String>,
}

impl Held {
    /// Its try is over: the next one of its line may go ahead.
    fn leave(&self, tx: &Tx<'_>) -> Result<(), Fault> {
        match &self.order_key {
            Some(key) => Ok(jobs::line_up(tx.db, self.lane, key)?),
            None => Ok(()),
        }
    }
}

fn held(tx: &Tx<'_>, token: &Token) -> Result<Option<Held>, Fault> {
    if !tx.numbers.is_own(token) {
        return Ok(None);
    }
    let mut find = tx.db.prepare_cached(
        "SELECT event, lane, order_key FROM job
         WHERE id = ?1 AND state = 'running' AND attempts = ?2 AND claim = ?3",
    )?;
    let found = find.query_row(params![token.job, token.attempt, token.claim], |row| {
        Ok(Held { event: row.get(0)?, lane: row.get(1)?, order_key: row.get(2)? })
    });
    Ok(found.optional()?)
}

fn record(tx: &Tx<'_>, token: &Token, attempt: &Attempt) -> Result<(), Fault> {
    let mut insert = tx.db.prepare_cached(
        "INSERT OR REPLACE INTO attempt (job, claim, number, started, took_ms, result, status, detail)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    insert.execute(params![
        token.job,
        token.claim,
        token.attempt,
        attempt.started,
        i64::try_from(attempt.took_ms).unwrap_or(i64::MAX),
        attempt.result,
        attempt.status,
        &attempt.detail[..attempt.detail.floor_char_boundary(MOST_DETAIL)],
    ])?;
    Ok(())
}

fn finish(tx: &Tx<'_>, job: i64, state: &str) -> Result<(), Fault> {
    let mut end = tx.db.prepare_cached("UPDATE job SET state = ?2, ended = ?3 WHERE id = ?1")?;
    end.execute(params![job, state, tx.now])?;
    let mut members =
        tx.db.prepare_cached("UPDATE job SET state = ?2, ended = ?3 WHERE leader = ?1 AND state = 'gathered'")?;
    members.execute(params![job, state, tx.now])?;
    Ok(())
}

fn wait(tx: &Tx<'_>, job: i64, after: Millis, uncounted: u32) -> Result<(), Fault> {
    let mut update =
        tx.db.prepare_cached("UPDATE job SET state = 'waiting', due = ?2, attempts = attempts - ?3 WHERE id = ?1")?;
    update.execute(params![job, tx.now.saturating_add(after), uncounted])?;
    Ok(())
}

/// Puts back what is still held, each try as lost.
pub(super) fn abandon(tx: &Tx<'_>, tokens: &[Token]) -> Result<(), Fault> {
    for token in tokens {
        if let Some(held) = held(tx, token)? {
            jobs::lose(tx.db, token.job, "the gateway stopped before the try ended")?;
            wait(tx, token.job, 0, 0)?;
            held.leave(tx)?;
        }
    }
    Ok(())
}

/// Extends the leases that are still held, and gives them back.
pub(super) fn renew(tx: &Tx<'_>, tokens: &[Token], lease: Millis) -> Result<Vec<Token>, Fault> {
    let mut update = tx.db.prepare_cached(
        "UPDATE job SET due = ?4 WHERE id = ?1 AND state = 'running' AND attempts = ?2 AND claim = ?3",
    )?;
    let until = tx.now.saturating_add(lease);
    let mut held = Vec::new();
    for token in tokens.iter().filter(|token| tx.numbers.is_own(token)) {
        if update.execute(params![token.job, token.attempt, token.claim, until])? > 0 {
            held.push(token.clone());
        }
    }
    Ok(held)
}
