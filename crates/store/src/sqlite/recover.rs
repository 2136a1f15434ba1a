//! What is put right when a gateway opens its store: the tries that the last process did not end, and a clock that was set
//! back since.

use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::params;

use crate::Millis;
use crate::rest_after;
use crate::sqlite::gaps;
use crate::sqlite::jobs;
use crate::sqlite::work::Numbers;

/// A clock this far behind was set back; less is the spread of clocks.
const SET_BACK: Millis = 60_000;
/// Claims of different processes never have the same number: each gets a range.
const CLAIMS: i64 = 1 << 32;

/// In one transaction. Gives back where the numbers go on.
///
/// - Leases of an earlier process are void: nobody else can hold one, because the file is locked. Its jobs wait. Each lost try
///   is recorded, and an action is in doubt: what it wanted may have happened. One of these jobs may be why the process died,
///   so that each is a suspect now, and waits longer the more often this has happened ([`rest_after`]).
/// - If the clock was set back by more than a minute, what waits is due as much earlier: nothing waits because of the clock.
///   The state of scripts and captures are kept no longer for it, either.
/// - A time in which no gateway ran is remembered ([`gaps`]).
pub(super) fn recover(db: &mut Connection, now: Millis) -> rusqlite::Result<Numbers> {
    let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    // Events that came after the time was kept last were written later still.
    let latest = "SELECT coalesce(max(received), 0) FROM event WHERE id > ?1";
    let newest = number(&tx, "time")?.max(tx.query_row(latest, [number(&tx, "last event")?], |row| row.get(0))?);
    let mut gaps = gaps::load(&tx)?;
    gaps.note(newest, now);
    gaps.save(&tx)?;
    let back = newest - now;
    if back > SET_BACK {
        tx.execute("UPDATE job SET due = due - ?1, digest_until = digest_until - ?1 WHERE state = 'waiting'", [back])?;
        tx.execute("UPDATE once SET at = at - ?1, until = until - ?1", [back])?;
        tx.execute("UPDATE kv SET until = until - ?1, newest = newest - ?1", [back])?;
        tx.execute("UPDATE kv_answer SET until = until - ?1", [back])?;
        tx.execute("UPDATE capture SET until = until - ?1", [back])?;
    }
    for lost in [
        "SELECT id FROM job INDEXED BY job_due WHERE state IN ('waiting', 'running') AND behind = 0 AND deaths = 0
             AND state = 'running'",
        "SELECT id FROM job INDEXED BY job_suspect WHERE state IN ('waiting', 'running') AND behind = 0 AND deaths > 0
             AND state = 'running'",
        "SELECT id FROM job INDEXED BY job_line
         WHERE state IN ('waiting', 'running') AND order_key IS NOT NULL AND behind = 1 AND state = 'running'",
    ] {
        let ids = tx.prepare(lost)?.query_map([], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
        for id in ids {
            give_back(&tx, id, now)?;
        }
    }
    let numbers = Numbers {
        event: number(&tx, "last event")?.max(largest(&tx, "event")?),
        job: number(&tx, "last job")?.max(largest(&tx, "job")?),
        claim: (number(&tx, "starts")? + 1) * CLAIMS,
        ..Numbers::default()
    };
    let kept =
        [("starts", numbers.claim / CLAIMS), ("time", now), ("last event", numbers.event), ("last job", numbers.job)];
    for (name, value) in kept {
        tx.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)", params![name, value.to_string()])?;
    }
    tx.commit()?;
    Ok(numbers)
}

fn give_back(tx: &Connection, id: i64, now: Millis) -> rusqlite::Result<()> {
    jobs::lose(tx, id, "the gateway ended before the try did")?;
    let mut deaths = tx.prepare_cached("UPDATE job SET deaths = deaths + 1 WHERE id = ?1 RETURNING deaths")?;
    let deaths: u32 = deaths.query_row([id], |row| row.get(0))?;
    let due = now.saturating_add(jobs::millis(rest_after(deaths)));
    let mut update =
        tx.prepare_cached("UPDATE job SET state = 'waiting', due = ?2 WHERE id = ?1 RETURNING lane, order_key")?;
    let line = update.query_row(params![id, due], |row| Ok((row.get(0)?, row.get::<_, Option<String>>(1)?)))?;
    match line {
        (lane, Some(key)) => jobs::line_up(tx, lane, &key),
        (_, None) => Ok(()),
    }
}

fn number(tx: &Connection, name: &str) -> rusqlite::Result<i64> {
    let value: Option<String> =
        tx.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0)).optional()?;
    Ok(value.and_then(|text| text.parse().ok()).unwrap_or(0))
}

fn largest(tx: &Connection, table: &str) -> rusqlite::Result<i64> {
    tx.query_row(&format!("SELECT coalesce(max(id), 0) FROM {table}"), [], |row| row.get(0))
}
