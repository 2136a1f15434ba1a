//! Runs again what is dead, and on demand what is done.

use std::sync::Arc;

use rusqlite::OptionalExtension;
use rusqlite::params;

use crate::JobKind;
use crate::JobState;
use crate::StoreError;
use crate::sqlite::accept::flags_of;
use crate::sqlite::claim::kind_of;
use crate::sqlite::fault::Fault;
use crate::sqlite::jobs;
use crate::sqlite::list::state_of;
use crate::sqlite::work::Tx;

/// Which jobs of the events an operation is about: all, or those of these lanes.
pub(super) type Lanes = Arc<[Vec<i64>]>;

pub(super) fn meant(lanes: &[Vec<i64>], lane: i64) -> bool {
    lanes.is_empty() || lanes.iter().any(|set| set.contains(&lane))
}

struct Found {
    id: i64,
    kind: JobKind,
    state: JobState,
    lane: i64,
    leader: Option<i64>,
    key: String,
    generation: u32,
}

/// Dead jobs wait again, from their first try; those that went out together go out together again. With `force`, and if
/// nothing of the event is dead or still to be done, done rules run again as a new generation; an answered call has no rules, so its
/// done actions get new keys. How many jobs wait now.
pub(super) fn replay(tx: &mut Tx<'_>, event: i64, lanes: &[Vec<i64>], force: bool) -> Result<u64, Fault> {
    let all = jobs_of(tx, event)?;
    // What is dead goes first: a rule that ran anew beside its dead action would have it done under two keys.
    let open = all.iter().any(|job| !job.state.is_end() || job.state == JobState::Dead);
    let call = force && is_call(tx, event)?;
    let mut count = 0;
    for job in all.iter().filter(|job| meant(lanes, job.lane)) {
        match (job.state, job.kind) {
            (JobState::Dead, _) => count += revive(tx, job)?,
            (JobState::Done, JobKind::Rule) if force && !open => count += anew(tx, job, &job.key)?,
            (JobState::Done, JobKind::Action) if call && !open => count += anew(tx, job, &new_key(job))?,
            _ => {}
        }
    }
    Ok(count)
}

/// The same for one event that somebody named: nothing to do is an answer of its own.
pub(super) fn replay_one(tx: &mut Tx<'_>, event: i64, force: bool) -> Result<u64, Fault> {
    let count = replay(tx, event, &[], force)?;
    if count > 0 {
        return Ok(count);
    }
    let open = jobs_of(tx, event)?.iter().any(|job| !job.state.is_end());
    let why = if open {
        format!("event {event} is still being worked on, and nothing of it is dead")
    } else if force {
        format!("event {event} has no job that could be done again")
    } else {
        format!("nothing of event {event} is dead, so there is nothing to replay; with force, what is done is repeated")
    };
    Err(Fault::Refused(StoreError::Refused(why)))
}

fn jobs_of(tx: &Tx<'_>, event: i64) -> Result<Vec<Found>, Fault> {
    let mut read = tx.db.prepare_cached(
        "SELECT id, kind, state, lane, leader, key, generation FROM job WHERE event = ?1 ORDER BY id",
    )?;
    let found = read.query_map([event], |row| {
        Ok(Found {
            id: row.get(0)?,
            kind: kind_of(row.get_ref(1)?.as_str()?),
            state: state_of(row.get_ref(2)?.as_str()?),
            lane: row.get(3)?,
            leader: row.get(4)?,
            key: row.get(5)?,
            generation: row.get(6)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn is_call(tx: &Tx<'_>, event: i64) -> Result<bool, Fault> {
    let mut read = tx.db.prepare_cached("SELECT flags FROM event WHERE id = ?1")?;
    let flags: Option<String> = read.query_row([event], |row| row.get(0)).optional()?;
    Ok(flags.is_some_and(|flags| flags_of(&flags).call))
}

/// A dead job waits again; one that went out with another goes with it again, if that one is still there and dead.
fn revive(tx: &mut Tx<'_>, job: &Found) -> Result<u64, Fault> {
    if state(tx, job.id)? != Some(JobState::Dead) {
        // Its leader took it along a moment ago.
        return Ok(0);
    }
    let leader = match job.leader {
        Some(leader) if state(tx, leader)? == Some(JobState::Dead) => leader,
        _ => job.id,
    };
    jobs::wake(tx, leader, tx.now)
}

fn state(tx: &Tx<'_>, job: i64) -> Result<Option<JobState>, Fault> {
    let mut read = tx.db.prepare_cached("SELECT state FROM job WHERE id = ?1")?;
    Ok(read.query_row([job], |row| Ok(state_of(row.get_ref(0)?.as_str()?))).optional()?)
}

/// A done job runs again, as a new generation.
fn anew(tx: &mut Tx<'_>, job: &Found, key: &str) -> Result<u64, Fault> {
    if state(tx, job.id)? != Some(JobState::Done) {
        // The one that it went out with took it along a moment ago.
        return Ok(0);
    }
    let mut update = tx.db.prepare_cached("UPDATE job SET generation = generation + 1, key = ?2 WHERE id = ?1")?;
    update.execute(params![job.id, key])?;
    drop(update);
    jobs::wake(tx, job.id, tx.now)
}

fn new_key(job: &Found) -> String {
    let base = match job.key.rsplit_once('#') {
        Some((base, _)) if job.generation > 0 => base,
        _ => &job.key,
    };
    format!("{base}#{}", job.generation + 1)
}
