//! Gives out jobs that are due.
//!
//! Per lane at most as many as asked for, those first that have been due for longest. A job that is given out runs: its
//! tries are one more, its claim has a new number, and it is due again when the lease ends. So a lease that ran out needs
//! nobody to notice it: the job is simply due, and whoever takes it, this gateway or another one, finds the lost try on
//! record and, for an action, that it is in doubt. Who asks says what it still works on: that is not given out, because a store that cannot be written for
//! longer than a lease says nothing about the work. A job with an order is due only when it is the first of its line.
//!
//! A job that was in work when a process died is a suspect. Suspects are given out one by one, and never with others.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::OptionalExtension;
use rusqlite::Row;
use rusqlite::params;

use crate::Claimed;
use crate::EventOf;
use crate::JobKind;
use crate::Leased;
use crate::MAX_GATHERED;
use crate::Millis;
use crate::Share;
use crate::Token;
use crate::sqlite::accept::flags_of;
use crate::sqlite::fault::Fault;
use crate::sqlite::jobs;
use crate::sqlite::settle;
use crate::sqlite::work::Tx;

/// The answer, if there is nothing to give out: an idle look must not cost a write.
pub(super) fn look(tx: &Tx<'_>, shares: &[Share]) -> Result<Option<Claimed>, Fault> {
    let next_due = next_due(tx, shares)?;
    if next_due.is_some_and(|due| due <= tx.now) && any_due(tx, shares)? {
        return Ok(None);
    }
    Ok(Some(Claimed { jobs: Vec::new(), next_due, next_suspect: next_suspect(tx, shares)? }))
}

fn any_due(tx: &Tx<'_>, shares: &[Share]) -> Result<bool, Fault> {
    for share in shares.iter().filter(|share| share.most > 0) {
        let due = next_due(tx, std::slice::from_ref(share))?;
        if due.is_some_and(|due| due <= tx.now) {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn claim(tx: &mut Tx<'_>, shares: &[Share], held: &[Token], lease: Millis) -> Result<Claimed, Fault> {
    let held: HashMap<i64, &Token> = held.iter().map(|token| (token.job, token)).collect();
    let mut jobs = Vec::new();
    for share in shares.iter().filter(|share| share.most > 0) {
        let Some(lane) = tx.known_lane(&share.lane)? else { continue };
        for (id, running) in due_and_free(tx, lane, share.most, &held, lease)? {
            jobs.push(take(tx, id, running, &share.lane, lease)?);
        }
    }
    Ok(Claimed { jobs, next_due: next_due(tx, shares)?, next_suspect: next_suspect(tx, shares)? })
}

/// The suspect of these lanes that has been due for longest.
pub(super) fn claim_suspect(tx: &mut Tx<'_>, lanes: &[Arc<str>], lease: Millis) -> Result<Option<Leased>, Fault> {
    let mut found: Option<((Millis, i64), bool, &Arc<str>)> = None;
    for lane in lanes {
        let Some(id) = tx.known_lane(lane)? else { continue };
        let mut find = tx.db.prepare_cached(
            "SELECT due, id, state = 'running' FROM job INDEXED BY job_suspect
             WHERE lane = ?1 AND state IN ('waiting', 'running') AND behind = 0 AND deaths > 0 AND due <= ?2
             ORDER BY due, id LIMIT 1",
        )?;
        let first = find.query_row(params![id, tx.now], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)));
        if let Some((place, running)) = first.optional()?
            && found.is_none_or(|(earlier, ..)| place < earlier)
        {
            found = Some((place, running, lane));
        }
    }
    let Some(((_, id), running, lane)) = found else { return Ok(None) };
    take(tx, id, running, lane, lease).map(Some)
}

/// The same without those that the asker still works on: their leases are extended.
fn due_and_free(
    tx: &Tx<'_>,
    lane: i64,
    most: usize,
    held: &HashMap<i64, &Token>,
    lease: Millis,
) -> Result<Vec<(i64, bool)>, Fault> {
    loop {
        let found = due(tx, lane, most)?;
        let own = found.iter().filter(|(_, running)| *running).filter_map(|(id, _)| held.get(id));
        let own: Vec<Token> = own.copied().cloned().collect();
        // What is extended is not found again; a token that is out of date extends nothing.
        if own.is_empty() || settle::renew(tx, &own, lease.max(1))?.is_empty() {
            return Ok(found);
        }
    }
}

/// The jobs of a lane that are due, and whether they still run with a lease that is over.
fn due(tx: &Tx<'_>, lane: i64, most: usize) -> Result<Vec<(i64, bool)>, Fault> {
    let mut find = tx.db.prepare_cached(
        "SELECT id, state = 'running' FROM job INDEXED BY job_due
         WHERE lane = ?1 AND state IN ('waiting', 'running') AND behind = 0 AND deaths = 0 AND due <= ?2
         ORDER BY due, id LIMIT ?3",
    )?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let found = find.query_map(params![lane, tx.now, most], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn next_due(tx: &Tx<'_>, shares: &[Share]) -> Result<Option<Millis>, Fault> {
    let find = "SELECT min(due) FROM job INDEXED BY job_due
         WHERE lane = ?1 AND state IN ('waiting', 'running') AND behind = 0 AND deaths = 0";
    least_due(tx, shares, find)
}

fn next_suspect(tx: &Tx<'_>, shares: &[Share]) -> Result<Option<Millis>, Fault> {
    let mut any = tx.db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM job INDEXED BY job_suspect
             WHERE state IN ('waiting', 'running') AND behind = 0 AND deaths > 0)",
    )?;
    if !any.query_row([], |row| row.get::<_, bool>(0))? {
        return Ok(None);
    }
    let find = "SELECT min(due) FROM job INDEXED BY job_suspect
         WHERE lane = ?1 AND state IN ('waiting', 'running') AND behind = 0 AND deaths > 0";
    least_due(tx, shares, find)
}

/// The earliest that `find` gives for one of these lanes.
fn least_due(tx: &Tx<'_>, shares: &[Share], find: &str) -> Result<Option<Millis>, Fault> {
    let mut find = tx.db.prepare_cached(find)?;
    let mut least = None;
    for share in shares {
        let Some(lane) = tx.known_lane(&share.lane)? else { continue };
        let due: Option<Millis> = find.query_row([lane], |row| row.get(0))?;
        least = least.into_iter().chain(due).min();
    }
    Ok(least)
}

fn take(tx: &mut Tx<'_>, id: i64, running: bool, lane: &Arc<str>, lease: Millis) -> Result<Leased, Fault> {
    if running {
        jobs::lose(tx.db, id, "the lease ran out before the try ended")?;
    }
    let claim = tx.numbers.next_claim();
    let mut update = tx.db.prepare_cached(
        "UPDATE job SET state = 'running', attempts = attempts + 1, claim = ?2, claimed = ?3, due = ?4 WHERE id = ?1",
    )?;
    update.execute(params![id, claim, tx.now, tx.now.saturating_add(lease)])?;
    let mut read = tx.db.prepare_cached(
        "SELECT job.id, attempts, claim, kind, name, job.key, job.body, created, replay, generation, doubt,
             event.id, route, event.key, type, received, flags, envelope, body.body, digest_key IS NOT NULL, deaths,
             order_key, order_number
         FROM job JOIN event ON event.id = job.event JOIN body ON body.event = event.id WHERE job.id = ?1",
    )?;
    let (mut job, leads) = read.query_row([id], |row| Ok((leased(row, lane)?, row.get::<_, bool>(19)?)))?;
    if leads {
        (job.gathered, job.gathered_count) = gathered(tx, id)?;
    }
    Ok(job)
}

fn leased(row: &Row<'_>, lane: &Arc<str>) -> rusqlite::Result<Leased> {
    Ok(Leased {
        token: Token { job: row.get(0)?, attempt: row.get(1)?, claim: row.get(2)? },
        kind: kind_of(row.get_ref(3)?.as_str()?),
        lane: Arc::clone(lane),
        name: row.get(4)?,
        key: row.get(5)?,
        body: row.get::<_, Vec<u8>>(6)?.into(),
        created: row.get(7)?,
        replay: row.get(8)?,
        generation: row.get(9)?,
        doubt: row.get(10)?,
        deaths: row.get(20)?,
        order: row.get::<_, Option<String>>(21)?.zip(row.get(22)?),
        event: EventOf {
            id: row.get(11)?,
            route: row.get(12)?,
            key: row.get(13)?,
            kind: row.get(14)?,
            received: row.get(15)?,
            flags: flags_of(row.get_ref(16)?.as_str()?),
            envelope: row.get(17)?,
            body: row.get::<_, Vec<u8>>(18)?.into(),
        },
        gathered: Vec::new(),
        gathered_count: 0,
    })
}

pub(super) fn kind_of(name: &str) -> JobKind {
    if name == "action" { JobKind::Action } else { JobKind::Rule }
}

fn gathered(tx: &Tx<'_>, leader: i64) -> Result<(Vec<bytes::Bytes>, u64), Fault> {
    let mut count = tx.db.prepare_cached("SELECT count(*) FROM job WHERE leader = ?1 AND state = 'gathered'")?;
    let all: i64 = count.query_row([leader], |row| row.get(0))?;
    let mut read =
        tx.db.prepare_cached("SELECT body FROM job WHERE leader = ?1 AND state = 'gathered' ORDER BY id LIMIT ?2")?;
    let bodies = read.query_map(params![leader, MAX_GATHERED as i64], |row| row.get::<_, Vec<u8>>(0))?;
    let bodies = bodies.map(|body| body.map(Into::into)).collect::<Result<_, _>>()?;
    Ok((bodies, all.unsigned_abs()))
}
