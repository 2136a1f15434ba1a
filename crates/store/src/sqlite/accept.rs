//! Keeps what arrives.

use std::time::Duration;

use rusqlite::params;

use crate::Accepted;
use crate::Flags;
use crate::Intake;
use crate::NewEvent;
use crate::NewJob;
use crate::sqlite::fault::Fault;
use crate::sqlite::jobs;
use crate::sqlite::numbers::next;
use crate::sqlite::work::Tx;

pub(super) fn accept(tx: &mut Tx<'_>, intake: &Intake) -> Result<Vec<Accepted>, Fault> {
    let doubtful = intake.until.is_some();
    let answers = intake.events.iter().map(|event| keep(tx, event, doubtful)).collect::<Result<_, _>>()?;
    if let Some((name, value)) = &intake.bookmark {
        let mut put =
            tx.db.prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES ('bookmark ' || ?1, ?2)")?;
        put.execute([name, value])?;
    }
    Ok(answers)
}

/// Takes back events that were new, as if they had never come. They are not there if their transaction failed. None of their
/// jobs was given out: they were not due yet in the transaction that kept them, and this comes first in the next one.
pub(super) fn take_back(tx: &mut Tx<'_>, intake: &Intake, accepted: &[Accepted]) -> Result<(), Fault> {
    for (event, accepted) in intake.events.iter().zip(accepted) {
        let Accepted::New(id) = *accepted else { continue };
        jobs::take_back(tx, id)?;
        let mut end = tx.db.prepare_cached(
            "DELETE FROM once WHERE key = ?1 AND at = (SELECT received FROM event WHERE event.id = ?2)",
        )?;
        for (key, _) in event.jobs.iter().filter_map(|job| job.once.as_ref()) {
            end.execute(params![key, id])?;
        }
        let mut forget = tx.db.prepare_cached("DELETE FROM seen WHERE route = ?1 AND key = ?2 AND event = ?3")?;
        forget.execute(params![&*event.route, seen_as(event), id])?;
        tx.db.prepare_cached("DELETE FROM body WHERE event = ?1")?.execute([id])?;
        tx.db.prepare_cached("DELETE FROM event WHERE id = ?1")?.execute([id])?;
    }
    Ok(())
}

/// `doubtful`: it may be taken back after its commit, so that its jobs must not be due before the next transaction.
fn keep(tx: &mut Tx<'_>, event: &NewEvent, doubtful: bool) -> Result<Accepted, Fault> {
    let id = tx.numbers.event + 1;
    let mut see = tx.db.prepare_cached(
        "INSERT INTO seen (route, key, event, first_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
    )?;
    if see.execute(params![&*event.route, seen_as(event), id, tx.now])? == 0 {
        return Ok(Accepted::Duplicate);
    }
    next(&mut tx.numbers.event);
    let mut insert = tx.db.prepare_cached(
        "INSERT INTO event (id, route, key, type, published, received, flags, problem)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    insert.execute(params![
        id,
        &*event.route,
        event.key,
        event.kind,
        event.published,
        tx.now,
        flags_text(event.flags),
        event.problem,
    ])?;
    let mut insert = tx.db.prepare_cached("INSERT INTO body (event, envelope, body) VALUES (?1, ?2, ?3)")?;
    insert.execute(params![id, &*event.envelope, &*event.body])?;
    drop((see, insert));
    for job in &event.jobs {
        if doubtful {
            let later = NewJob { delay: job.delay.max(Duration::from_millis(1)), ..job.clone() };
            jobs::insert(tx, id, None, &later)?;
        } else {
            jobs::insert(tx, id, None, job)?;
        }
    }
    Ok(Accepted::New(id))
}

fn seen_as(event: &NewEvent) -> &str {
    event.seen_as.as_ref().unwrap_or(&event.key)
}

/// The flags as words, for people who look into the file.
fn flags_text(flags: Flags) -> String {
    let words = [
        (flags.preview, "preview"),
        (flags.clock_skew, "clock_skew"),
        (flags.no_id, "no_id"),
        (flags.missed, "missed"),
        (flags.call, "call"),
        (flags.own, "own"),
    ];
    let set: Vec<&str> = words.into_iter().filter_map(|(on, word)| on.then_some(word)).collect();
    set.join(" ")
}

pub(super) fn flags_of(text: &str) -> Flags {
    let has = |word| text.split(' ').any(|found| found == word);
    Flags {
        preview: has("preview"),
        clock_skew: has("clock_skew"),
        no_id: has("no_id"),
        missed: has("missed"),
        call: has("call"),
        own: has("own"),
    }
}
