//! What is put right when a gateway opens its store: the tries that its last process did not end, and a clock that was set
//! back since.

use rusqlite::Connection;
use rusqlite::params;

use crate::Millis;
use crate::claimant::Claimant;
use crate::rest_after;
use crate::sqlite::answers;
use crate::sqlite::gaps;
use crate::sqlite::jobs;
use crate::sqlite::numbers;
use crate::sqlite::numbers::Numbers;
use crate::sqlite::numbers::kept;

/// A clock this far behind was set back; less is the spread of clocks.
const SET_BACK: Millis = 60_000;

/// In one transaction. Gives back where the numbers go on.
///
/// - Leases of an earlier start of this gateway are void, and so are those of nobody that is known. Those of other gateways
///   are not touched: they end with their time. The jobs of void leases wait. Each lost try is recorded, and an action is in doubt: what it wanted may have happened. One of these jobs may be why the process died,
///   so that each is a suspect now, and waits longer the more often this has happened ([`rest_after`]).
/// - If the clock was set back by more than a minute, what waits is due as much earlier: nothing waits because of the clock.
///   The state of scripts, captures and one-time answers are kept no longer for it, either.
/// - A time in which no gateway ran is remembered ([`gaps`]).
pub(super) fn recover(db: &mut Connection, claimant: &Claimant, now: Millis) -> rusqlite::Result<Numbers> {
    let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    // Events that came after the time was kept last were written later still.
    let latest = "SELECT coalesce(max(received), 0) FROM event WHERE id > ?1";
    let newest = kept(&tx, "time")?.max(tx.query_row(latest, [kept(&tx, "last event")?], |row| row.get(0))?);
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
        answers::set_back(&tx, now)?;
    }
    for lost in [
        "SELECT id FROM job INDEXED BY job_due WHERE state IN ('waiting', 'running') AND behind = 0 AND deaths = 0
             AND state = 'running'",
        "SELECT id FROM job INDEXED BY job_suspect WHERE state IN ('waiting', 'running') AND behind = 0 AND deaths > 0
             AND state = 'running'",
        "SELECT id FROM job INDEXED BY job_line
         WHERE state IN ('waiting', 'running') AND order_key IS NOT NULL AND behind = 1 AND state = 'running'",
    ] {
        let own = format!("{lost} AND claim >> 32 NOT IN (SELECT start FROM claimant WHERE instance <> ?1)");
        let ids =
            tx.prepare(&own)?.query_map([claimant.instance()], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
        for id in ids {
            give_back(&tx, id, now)?;
        }
    }
    let numbers = Numbers::start(&tx, claimant, now)?;
    numbers::keep(&tx, "time", now)?;
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
