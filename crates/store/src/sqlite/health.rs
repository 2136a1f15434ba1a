//! How much waits, and for how long. All of it comes from small indexes of what is not done yet.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use rusqlite::Connection;

use crate::Health;
use crate::Millis;
use crate::StoreError;
use crate::sqlite::Sqlite;

/// A count of this many jobs is not made again for every question: not before this, nor before so many times what it took.
const MANY: u64 = 50_000;
const COUNT_FOR: Duration = Duration::from_secs(2);
const COUNT_REST: u32 = 50;

impl Sqlite {
    /// Counts what there is to do. A large count is kept for a while: it costs time for each job that waits.
    pub(super) async fn count(&self) -> Result<Health, StoreError> {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, health)) = counted.filter(|(until, _)| Instant::now() < *until) {
            return Ok(health);
        }
        let (now, started) = (self.clock.now(), Instant::now());
        let health = self.calls.read(move |db| health(db, now)).await?;
        let many = health.waiting + health.running + health.dead > MANY;
        *self.counted.lock().unwrap_or_else(PoisonError::into_inner) = many.then(|| {
            let rest = COUNT_FOR.max(started.elapsed() * COUNT_REST);
            (Instant::now() + rest, health.clone())
        });
        Ok(health)
    }
}

/// Counts what waits, runs and is dead. Costs time only for what waits and is dead: about a quarter of a
/// second for a million jobs.
pub(super) fn health(db: &Connection, now: Millis) -> rusqlite::Result<Health> {
    let mut health = Health::default();
    let mut lanes: BTreeMap<i64, u64> = BTreeMap::new();
    // Those at the head of a line, or in none; the suspects among them; then those behind them. Grouped in the order of the index: grouping by
    // state, too, would sort a copy of them all.
    for sql in [
        "SELECT lane, count(*), sum(state = 'running') FROM job INDEXED BY job_due
         WHERE state IN ('waiting', 'running') AND behind = 0 AND deaths = 0 GROUP BY lane",
        "SELECT lane, count(*), sum(state = 'running') FROM job INDEXED BY job_suspect
         WHERE state IN ('waiting', 'running') AND behind = 0 AND deaths > 0 GROUP BY lane",
        "SELECT lane, count(*), sum(state = 'running') FROM job INDEXED BY job_line
         WHERE state IN ('waiting', 'running') AND order_key IS NOT NULL AND behind = 1 GROUP BY lane",
    ] {
        let mut read = db.prepare_cached(sql)?;
        let mut rows = read.query([])?;
        while let Some(row) = rows.next()? {
            let number = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
            let (count, running) = (number(1)?, number(2)?);
            health.running += running;
            health.waiting += count - running;
            *lanes.entry(row.get(0)?).or_default() += count;
        }
    }
    health.dead = db
        .prepare_cached("SELECT count(*) FROM job INDEXED BY job_dead WHERE state = 'dead'")?
        .query_row([], |row| row.get::<_, i64>(0))?
        .unsigned_abs();
    let mut name = db.prepare_cached("SELECT name FROM lane WHERE id = ?1")?;
    let mut first = db.prepare_cached(
        "SELECT min(due) FROM (
             SELECT min(due) AS due FROM job INDEXED BY job_due
             WHERE lane = ?1 AND state IN ('waiting', 'running') AND behind = 0 AND deaths = 0
             UNION ALL SELECT min(due) FROM job INDEXED BY job_suspect
             WHERE lane = ?1 AND state IN ('waiting', 'running') AND behind = 0 AND deaths > 0)",
    )?;
    let mut oldest = now;
    for (lane, count) in lanes {
        let due: Option<Millis> = first.query_row([lane], |row| row.get(0))?;
        oldest = oldest.min(due.unwrap_or(now));
        health.lanes.push((name.query_row([lane], |row| row.get(0))?, count));
    }
    health.lanes.sort();
    health.queue_age_ms = (now - oldest).unsigned_abs();
    Ok(health)
}
