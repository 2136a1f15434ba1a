//! The numbers of events, jobs and claims: none is given twice, also when two gateways write to one file.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::params;

use crate::Millis;
use crate::Token;
use crate::claimant::Claimant;

/// Claims of different starts never have the same number: each start gets a range.
const CLAIMS: i64 = 1 << 32;

/// The numbers that were given last, and the numbers of lanes. What a transaction took and did not keep is never given again.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    pub(super) event: i64,
    pub(super) job: i64,
    claim: i64,
    pub(super) lanes: HashMap<Arc<str>, i64>,
    /// Changes whenever another connection wrote to the file. Nothing: it was not looked at yet.
    version: Option<i64>,
}

impl Numbers {
    /// Those of a gateway that starts now. Its claims have a range of their own, and `claimant` says whose they are.
    pub(super) fn start(tx: &Connection, claimant: &Claimant, now: Millis) -> rusqlite::Result<Self> {
        let start = kept(tx, "starts")? + 1;
        keep(tx, "starts", start)?;
        let mut put = tx.prepare("INSERT OR REPLACE INTO claimant (instance, start, at) VALUES (?1, ?2, ?3)")?;
        put.execute(params![claimant.instance(), start, now])?;
        let mut numbers = Self { claim: start * CLAIMS, ..Self::default() };
        numbers.read(tx)?;
        numbers.write(tx)?;
        Ok(numbers)
    }

    /// Goes on behind what others wrote. To be called in each transaction that writes, before anything else.
    pub(super) fn catch_up(&mut self, tx: &Connection) -> rusqlite::Result<()> {
        let version: i64 = tx.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if self.version != Some(version) {
            self.read(tx)?;
            self.version = Some(version);
        }
        Ok(())
    }

    fn read(&mut self, tx: &Connection) -> rusqlite::Result<()> {
        self.event = self.event.max(kept(tx, "last event")?).max(largest(tx, "event")?);
        self.job = self.job.max(kept(tx, "last job")?).max(largest(tx, "job")?);
        Ok(())
    }

    /// Keeps how far they have come: what is removed does not free its number.
    pub(super) fn write(&self, tx: &Connection) -> rusqlite::Result<()> {
        keep(tx, "last event", self.event)?;
        keep(tx, "last job", self.job)
    }

    pub(super) fn next_claim(&mut self) -> i64 {
        next(&mut self.claim)
    }

    /// Whether this start of this gateway claimed it.
    pub(super) fn is_own(&self, token: &Token) -> bool {
        token.claim / CLAIMS == self.claim / CLAIMS
    }

    /// Forgets what a transaction that was not kept may have brought in.
    pub(super) fn forget(&mut self) {
        self.lanes.clear();
        self.version = None;
    }
}

/// The next number of a counter.
pub(super) fn next(counter: &mut i64) -> i64 {
    *counter += 1;
    *counter
}

/// A number of `meta`; 0 where it is not there.
pub(super) fn kept(tx: &Connection, name: &str) -> rusqlite::Result<i64> {
    let mut find = tx.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    let value: Option<String> = find.query_row([name], |row| row.get(0)).optional()?;
    Ok(value.and_then(|text| text.parse().ok()).unwrap_or(0))
}

pub(super) fn keep(tx: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    let mut put = tx.prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")?;
    put.execute((name, value.to_string())).map(drop)
}

fn largest(tx: &Connection, table: &str) -> rusqlite::Result<i64> {
    tx.prepare_cached(&format!("SELECT coalesce(max(id), 0) FROM {table}"))?.query_row([], |row| row.get(0))
}
