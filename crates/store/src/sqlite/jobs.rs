//! How jobs come into the store, and the line that some of them stand in.

use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::params;

use crate::JobKind;
use crate::JobState;
use crate::Millis;
use crate::NewJob;
use crate::sqlite::fault::Fault;
use crate::sqlite::numbers::next;
use crate::sqlite::work::Tx;

const INSERT: &str = "
    INSERT INTO job (id, event, parent, kind, lane, name, key, state, due, behind, attempts, claim, claimed, replay,
        generation, doubt, created, order_key, order_number, digest_key, digest_until, leader, note, body, ended)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, 0, 0, 0, 0, 0, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)";

/// What a new job is at first.
struct Place {
    state: JobState,
    due: Millis,
    digest_until: Option<Millis>,
    leader: Option<i64>,
    note: Option<String>,
}

/// Keeps a job.
///
/// - Its key is there already: if that job is dead, it waits again from its first try, as it is asked for now (a rule that
///   was replayed asks again); otherwise nothing changes.
/// - `suppressed`: it is kept with the reason, and never done.
/// - `once`: another one of the key was kept within its time, so this one is suppressed; otherwise the time begins.
/// - `digest`: if one of the same lane and key waits, was never tried and is still open for others, this one is gathered
///   under it. Otherwise it leads a new digest, and is due when the window is over.
pub(super) fn insert(tx: &mut Tx<'_>, event: i64, parent: Option<i64>, job: &NewJob) -> Result<(), Fault> {
    if let Some((id, state)) = of_key(tx, &job.key)? {
        return if state == JobState::Dead.name() { ask_again(tx, id, job) } else { Ok(()) };
    }
    let lane = tx.lane(&job.lane)?;
    let place = place(tx, lane, job)?;
    let behind = job.order.is_some() && place.state == JobState::Waiting;
    let id = next(&mut tx.numbers.job);
    tx.db.prepare_cached(INSERT)?.execute(params![
        id,
        event,
        parent,
        kind_name(job.kind),
        lane,
        job.name,
        job.key,
        place.state.name(),
        place.due,
        behind,
        tx.now,
        job.order.as_ref().map(|(key, _)| key),
        job.order.as_ref().map(|(_, number)| number),
        job.digest.as_ref().map(|(key, _)| key),
        place.digest_until,
        place.leader,
        place.note,
        &*job.body,
        place.state.is_end().then_some(tx.now),
    ])?;
    match &job.order {
        Some((key, _)) if behind => Ok(line_up(tx.db, lane, key)?),
        _ => Ok(()),
    }
}

pub(super) fn kind_name(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Rule => "rule",
        JobKind::Action => "action",
    }
}

/// Removes the jobs of an event that was taken back. None of them was ever given out.
pub(super) fn take_back(tx: &Tx<'_>, event: i64) -> Result<(), Fault> {
    let mut find = tx.db.prepare_cached(
        "SELECT id, lane, order_key, due, digest_until FROM job INDEXED BY job_event WHERE event = ?1",
    )?;
    type Found = (i64, i64, Option<String>, Millis, Option<Millis>);
    let found = find.query_map([event], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))?;
    for (id, lane, order, due, digest_until) in found.collect::<Result<Vec<Found>, _>>()? {
        // Another one leads the digest that it led.
        let heir = "SELECT min(id) FROM job WHERE leader = ?1";
        let heir: Option<i64> = tx.db.prepare_cached(heir)?.query_row([id], |row| row.get(0))?;
        if let Some(heir) = heir {
            let lead = "UPDATE job SET state = 'waiting', leader = NULL, due = ?2, digest_until = ?3 WHERE id = ?1";
            tx.db.prepare_cached(lead)?.execute(params![heir, due, digest_until])?;
            tx.db.prepare_cached("UPDATE job SET leader = ?2 WHERE leader = ?1")?.execute([id, heir])?;
        }
        tx.db.prepare_cached("DELETE FROM job WHERE id = ?1")?.execute([id])?;
        if let Some(order) = order {
            line_up(tx.db, lane, &order)?;
        }
    }
    Ok(())
}

fn of_key(tx: &Tx<'_>, key: &str) -> Result<Option<(i64, String)>, Fault> {
    let mut find = tx.db.prepare_cached("SELECT id, state FROM job WHERE key = ?1")?;
    Ok(find.query_row([key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// A dead job waits again, with what it is asked to do now.
fn ask_again(tx: &mut Tx<'_>, id: i64, job: &NewJob) -> Result<(), Fault> {
    let mut change = tx.db.prepare_cached("UPDATE job SET name = ?2, body = ?3 WHERE id = ?1")?;
    change.execute(params![id, job.name, &*job.body])?;
    drop(change);
    wake(tx, id, tx.now + millis(job.delay)).map(|_| ())
}

fn place(tx: &Tx<'_>, lane: i64, job: &NewJob) -> Result<Place, Fault> {
    let due = tx.now.saturating_add(millis(job.delay));
    let suppressed = match (&job.suppressed, &job.once) {
        (Some(reason), _) => Some(reason.clone()),
        (None, Some((key, window))) => once(tx, key, *window)?,
        (None, None) => None,
    };
    let mut place = Place { state: JobState::Waiting, due, digest_until: None, leader: None, note: suppressed };
    if place.note.is_some() {
        place.state = JobState::Suppressed;
    } else if let Some((key, window)) = &job.digest {
        place.leader = open_digest(tx, lane, key)?;
        if place.leader.is_some() {
            place.state = JobState::Gathered;
        } else {
            place.due = due.max(tx.now.saturating_add(millis(*window)));
            place.digest_until = Some(place.due);
        }
    }
    Ok(place)
}

/// Why not, if another one of this key was kept within its time. Otherwise the time begins now.
fn once(tx: &Tx<'_>, key: &str, window: std::time::Duration) -> Result<Option<String>, Fault> {
    let mut find = tx.db.prepare_cached("SELECT at FROM once WHERE key = ?1 AND until > ?2")?;
    let at: Option<Millis> = find.query_row(params![key, tx.now], |row| row.get(0)).optional()?;
    if let Some(at) = at {
        let when = tx
            .db
            .prepare_cached("SELECT strftime('%Y-%m-%dT%H:%M:%SZ', ?1 / 1000, 'unixepoch')")?
            .query_row([at], |row| row.get::<_, String>(0))?;
        return Ok(Some(format!("another one of the same `once` key was kept at {when}")));
    }
    let mut begin = tx.db.prepare_cached("INSERT OR REPLACE INTO once (key, at, until) VALUES (?1, ?2, ?3)")?;
    begin.execute(params![key, tx.now, tx.now.saturating_add(millis(window))])?;
    Ok(None)
}

fn open_digest(tx: &Tx<'_>, lane: i64, key: &str) -> Result<Option<i64>, Fault> {
    let mut find = tx.db.prepare_cached(
        "SELECT id FROM job INDEXED BY job_digest
         WHERE lane = ?1 AND digest_key = ?2 AND state = 'waiting' AND digest_until IS NOT NULL
             AND attempts = 0 AND digest_until > ?3
         ORDER BY id LIMIT 1",
    )?;
    Ok(find.query_row(params![lane, key, tx.now], |row| row.get(0)).optional()?)
}

/// A job that had ended waits again from its first try. Those that went out with it, and ended as it did, go out with it
/// again. How many wait now.
pub(super) fn wake(tx: &mut Tx<'_>, id: i64, due: Millis) -> Result<u64, Fault> {
    let mut members = tx.db.prepare_cached(
        "UPDATE job SET state = 'gathered', attempts = 0, replay = replay + 1, ended = NULL
         WHERE leader = ?1 AND state = (SELECT state FROM job WHERE id = ?1)",
    )?;
    let gathered = members.execute([id])?;
    let mut wake = tx.db.prepare_cached(
        "UPDATE job SET state = 'waiting', attempts = 0, deaths = 0, replay = replay + 1, due = ?2, leader = NULL, note = NULL,
             ended = NULL, behind = order_key IS NOT NULL
         WHERE id = ?1 RETURNING lane, order_key",
    )?;
    let line = wake.query_row(params![id, due], |row| Ok((row.get(0)?, row.get::<_, Option<String>>(1)?)))?;
    drop((members, wake));
    if let (lane, Some(key)) = line {
        line_up(tx.db, lane, &key)?;
    }
    Ok(gathered as u64 + 1)
}

/// Records that the end of the try that runs now is not known, and why. An action is in doubt from now on.
pub(super) fn lose(db: &Connection, id: i64, why: &str) -> rusqlite::Result<()> {
    let mut record = db.prepare_cached(
        "INSERT OR IGNORE INTO attempt (job, claim, number, started, took_ms, result, status, detail)
         SELECT id, claim, attempts, claimed, 0, 'lost', NULL, ?2 FROM job WHERE id = ?1",
    )?;
    record.execute(params![id, why])?;
    let mut doubt = db.prepare_cached("UPDATE job SET doubt = 1 WHERE id = ?1 AND kind = 'action'")?;
    doubt.execute([id])?;
    Ok(())
}

/// Lets the first of a line go ahead, and only the first; nobody while one of it runs. To be called whenever one joins, leaves,
/// or ends a try.
pub(super) fn line_up(db: &Connection, lane: i64, key: &str) -> rusqlite::Result<()> {
    let mut find = db.prepare_cached(
        "SELECT id, state = 'running' FROM job INDEXED BY job_ahead
         WHERE lane = ?1 AND order_key = ?2 AND state IN ('waiting', 'running') AND order_key IS NOT NULL AND behind = 0",
    )?;
    let ahead = find.query_map(params![lane, key], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let ahead: Vec<(i64, bool)> = ahead.collect::<Result<_, _>>()?;
    let first = if ahead.iter().any(|(_, running)| *running) { None } else { first_of(db, lane, key)? };
    let mut set = db.prepare_cached("UPDATE job SET behind = ?2 WHERE id = ?1")?;
    for (id, running) in &ahead {
        if !running && first != Some(*id) {
            set.execute(params![id, true])?;
        }
    }
    if let Some(first) = first.filter(|first| ahead.iter().all(|(id, _)| id != first)) {
        set.execute(params![first, false])?;
    }
    Ok(())
}

fn first_of(db: &Connection, lane: i64, key: &str) -> rusqlite::Result<Option<i64>> {
    let mut first = db.prepare_cached(
        "SELECT id FROM job INDEXED BY job_line
         WHERE lane = ?1 AND order_key = ?2 AND state IN ('waiting', 'running') AND order_key IS NOT NULL
         ORDER BY order_number, id LIMIT 1",
    )?;
    first.query_row(params![lane, key], |row| row.get(0)).optional()
}

pub(super) fn millis(duration: std::time::Duration) -> Millis {
    // A century is as good as for ever, and sums with it stay numbers.
    const LONGEST: Millis = 100 * 366 * 86_400_000;
    Millis::try_from(duration.as_millis()).unwrap_or(LONGEST).min(LONGEST)
}
