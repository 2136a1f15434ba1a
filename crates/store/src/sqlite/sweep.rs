//! Removes what has ended: on demand, and with age. Never more than a few hundred rows in one transaction, so that nobody
//! who arrives meanwhile waits long.

use rusqlite::Connection;
use rusqlite::Row;
use rusqlite::params;

use crate::Millis;
use crate::sqlite::fault::Fault;
use crate::sqlite::replay::meant;
use crate::sqlite::work::Tx;
use hookgate_model::failpoint;

/// How many rows one transaction removes.
pub(super) const CHUNK: usize = 500;
/// Free pages that stay in the file for what comes next, and how many are given back at a time.
const FREE_PAGES: i64 = 1024;
const PAGES_AT_ONCE: i64 = 512;

/// How far a removal has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Events, or jobs where only those were to go.
    pub(super) removed: u64,
    /// Dead letters among the jobs of these events.
    pub(super) dead: u64,
    /// What the transaction had no room for.
    pub(super) left: Vec<i64>,
}

/// What a sweep takes for old.
#[derive(Clone, Copy, Debug)]
pub(super) struct Age {
    pub(super) now: Millis,
    /// What came, and came to its end, before this.
    pub(super) before: Millis,
    /// What died before this.
    pub(super) died_before: Millis,
}

impl Age {
    /// Whether a job of the event is not done yet, or its end is not long ago.
    fn spares(&self, db: &Connection, event: i64) -> rusqlite::Result<bool> {
        let mut young = db.prepare_cached(
            "SELECT 1 FROM job INDEXED BY job_event
             WHERE event = ?1 AND ended >= CASE state WHEN 'dead' THEN ?3 ELSE ?2 END",
        )?;
        Ok(is_open(db, event)? || young.exists([event, self.before, self.died_before])?)
    }
}

/// Removes events of which everything has ended; with an age, has long ended.
pub(super) fn events(tx: &Tx<'_>, events: &[i64], age: Option<Age>) -> Result<Progress, Fault> {
    let mut progress = Progress::default();
    let mut room = CHUNK;
    for (index, &event) in events.iter().enumerate() {
        if age.map_or_else(|| is_open(tx.db, event), |age| age.spares(tx.db, event))? {
            continue;
        }
        let jobs = some_jobs(tx, event, room)?;
        let gone = remove_jobs(tx, &jobs)?;
        progress.dead += gone.dead;
        room -= gone.rows.min(room);
        if room == 0 {
            progress.left = events[index..].to_vec();
            break;
        }
        tx.db.prepare_cached("DELETE FROM body WHERE event = ?1")?.execute([event])?;
        progress.removed += tx.db.prepare_cached("DELETE FROM event WHERE id = ?1")?.execute([event])? as u64;
        room -= 2.min(room);
    }
    tx.numbers.write(tx.db)?;
    failpoint::reach("store.sweep");
    Ok(progress)
}

/// Removes the dead jobs of events, and nothing else of them.
pub(super) fn dead(tx: &Tx<'_>, events: &[i64], lanes: &[Vec<i64>]) -> Result<Progress, Fault> {
    let mut progress = Progress::default();
    let mut room = CHUNK;
    for (index, &event) in events.iter().enumerate() {
        let mut find =
            tx.db.prepare_cached("SELECT lane, id FROM job INDEXED BY job_dead WHERE event = ?1 AND state = 'dead'")?;
        let found = find.query_map([event], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<Vec<_>, _>>()?;
        let mut jobs: Vec<i64> = found.into_iter().filter(|&(lane, _)| meant(lanes, lane)).map(|(_, id)| id).collect();
        let whole = jobs.len() < room;
        jobs.truncate(room);
        progress.removed += jobs.len() as u64;
        room -= remove_jobs(tx, &jobs)?.rows.min(room);
        if room == 0 || !whole {
            progress.left = events[index..].to_vec();
            break;
        }
    }
    tx.numbers.write(tx.db)?;
    Ok(progress)
}

pub(super) fn is_open(db: &Connection, event: i64) -> rusqlite::Result<bool> {
    db.prepare_cached(
        "SELECT 1 FROM job INDEXED BY job_event WHERE event = ?1 AND state IN ('waiting', 'running', 'gathered')",
    )?
    .exists([event])
}

fn some_jobs(tx: &Tx<'_>, event: i64, most: usize) -> Result<Vec<i64>, Fault> {
    let mut find = tx.db.prepare_cached("SELECT id FROM job INDEXED BY job_event WHERE event = ?1 LIMIT ?2")?;
    let found = find.query_map(params![event, most as i64], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// What a removal of jobs took with it.
#[derive(Default)]
struct RemovedJobs {
    /// Jobs and their tries.
    rows: usize,
    /// Jobs that were dead.
    dead: u64,
}

/// Removes jobs with their tries.
fn remove_jobs(tx: &Tx<'_>, jobs: &[i64]) -> Result<RemovedJobs, Fault> {
    let mut removed = RemovedJobs::default();
    for job in jobs {
        removed.rows += tx.db.prepare_cached("DELETE FROM attempt WHERE job = ?1")?.execute([job])?;
        let mut delete = tx.db.prepare_cached("DELETE FROM job WHERE id = ?1 RETURNING state = 'dead'")?;
        for dead in delete.query_map([job], |row| row.get::<_, bool>(0))? {
            removed.rows += 1;
            removed.dead += u64::from(dead?);
        }
    }
    Ok(removed)
}

/// Where a sweep of events has come to: the time and number of the last one it looked at.
pub(super) type Mark = (Millis, i64);

/// The next events that are old, and where to go on: nothing at the end.
pub(super) fn old_events(db: &Connection, age: Age, from: Mark) -> rusqlite::Result<(Vec<i64>, Option<Mark>)> {
    let mut read = db.prepare_cached(
        "SELECT received, id FROM event INDEXED BY event_received
         WHERE (received, id) > (?1, ?2) AND received < ?3 ORDER BY received, id LIMIT ?4",
    )?;
    page(db, age, read.query_map(params![from.0, from.1, age.before, CHUNK as i64], mark)?)
}

/// The newest event that is old, if there are events whose time has not come yet, because a clock was wrong.
pub(super) fn newest_old(db: &Connection, age: Age) -> rusqlite::Result<Option<i64>> {
    let newest = "SELECT max(id) FROM event INDEXED BY event_received
         WHERE received < ?1 AND EXISTS (SELECT 1 FROM event INDEXED BY event_received WHERE received > ?2)";
    db.query_row(newest, [age.before, age.now], |row| row.get(0))
}

/// Events whose time has not come yet, and which came before one that is old: so they are, too.
pub(super) fn old_events_to_come(
    db: &Connection,
    age: Age,
    newest: i64,
    from: Mark,
) -> rusqlite::Result<(Vec<i64>, Option<Mark>)> {
    let from = from.max((age.now, i64::MAX));
    let mut read = db.prepare_cached(
        "SELECT received, id FROM event INDEXED BY event_received
         WHERE (received, id) > (?1, ?2) AND id < ?3 ORDER BY received, id LIMIT ?4",
    )?;
    page(db, age, read.query_map(params![from.0, from.1, newest, CHUNK as i64], mark)?)
}

fn mark(row: &Row<'_>) -> rusqlite::Result<Mark> {
    Ok((row.get(0)?, row.get(1)?))
}

fn page(
    db: &Connection,
    age: Age,
    found: impl Iterator<Item = rusqlite::Result<Mark>>,
) -> rusqlite::Result<(Vec<i64>, Option<Mark>)> {
    let page: Vec<Mark> = found.collect::<rusqlite::Result<_>>()?;
    let next = page.last().filter(|_| page.len() == CHUNK).copied();
    let mut old = Vec::new();
    for (_, id) in page {
        if !age.spares(db, id)? {
            old.push(id);
        }
    }
    Ok((old, next))
}

/// Keys that were first seen before a time, from one on.
pub(super) type Key = (String, String);

pub(super) fn old_keys(db: &Connection, from: &Key, before: Millis) -> rusqlite::Result<Vec<Key>> {
    let mut read = db.prepare_cached(
        "SELECT route, key FROM seen WHERE (route, key) > (?1, ?2) AND first_at < ?3 ORDER BY route, key LIMIT ?4",
    )?;
    let page = read.query_map(params![from.0, from.1, before, CHUNK as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
    page.collect()
}

pub(super) fn forget(tx: &Tx<'_>, keys: &[Key], before: Millis) -> Result<(), Fault> {
    let mut delete = tx.db.prepare_cached("DELETE FROM seen WHERE route = ?1 AND key = ?2 AND first_at < ?3")?;
    for (route, key) in keys {
        delete.execute(params![route, key, before])?;
    }
    failpoint::reach("store.sweep");
    Ok(())
}

/// Removes `once` keys whose time is over; how many, at most a transaction's worth.
pub(super) fn forget_once(tx: &Tx<'_>) -> Result<usize, Fault> {
    let mut delete =
        tx.db.prepare_cached("DELETE FROM once WHERE key IN (SELECT key FROM once WHERE until <= ?1 LIMIT ?2)")?;
    Ok(delete.execute(params![tx.now, CHUNK as i64])?)
}

/// Gives some free pages back to the file system. Whether there are more to give.
pub(super) fn shrink(tx: &Tx<'_>) -> Result<bool, Fault> {
    let free = |tx: &Tx<'_>| tx.db.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0));
    let before = free(tx)?;
    if before <= FREE_PAGES {
        return Ok(false);
    }
    let many = PAGES_AT_ONCE.min(before - FREE_PAGES);
    let mut vacuum = tx.db.prepare(&format!("PRAGMA incremental_vacuum({many})"))?;
    let mut rows = vacuum.query([])?;
    while rows.next()?.is_some() {}
    drop(rows);
    let after = free(tx)?;
    Ok(after > FREE_PAGES && after < before)
}
