//! Finds events, newest first, and tells everything about one.
//!
//! A list never reads a body. Where jobs are asked for, an index that holds all that is needed of them leads the way; a
//! list of dead letters touches nothing but dead jobs.

use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::Row;
use rusqlite::params_from_iter;
use rusqlite::types::Value;

use crate::Attempt;
use crate::Dossier;
use crate::EventLine;
use crate::EventRef;
use crate::JobLine;
use crate::JobState;
use crate::MAX_PAGE;
use crate::Page;
use crate::Query;
use crate::sqlite::accept::flags_of;
use crate::sqlite::claim::kind_of;

const DEFAULT_PAGE: usize = 50;

pub(super) fn list(db: &Connection, query: &Query) -> rusqlite::Result<Page> {
    let limit = if query.limit == 0 { DEFAULT_PAGE } else { query.limit.min(MAX_PAGE) };
    let mut ids = ids(db, query, query.after, limit + 1)?;
    let more = ids.len() > limit;
    ids.truncate(limit);
    let events = ids.iter().filter_map(|&id| line(db, id).transpose()).collect::<rusqlite::Result<_>>()?;
    Ok(Page { events, next: ids.last().copied().filter(|_| more) })
}

/// The numbers of the events that a query means, newest first.
pub(super) fn ids(db: &Connection, query: &Query, after: Option<i64>, most: usize) -> rusqlite::Result<Vec<i64>> {
    let wanted = lanes(db, query)?;
    // A rule or a connector that no job was ever for. SQLite refuses the index that leads the way then.
    if wanted.iter().any(Vec::is_empty) {
        return Ok(Vec::new());
    }
    let before = after.unwrap_or(i64::MAX);
    let (filter, values) = filter(query);
    if query.state.is_none() && wanted.is_empty() {
        let sql = format!("SELECT id FROM event WHERE id < {before}{filter} ORDER BY id DESC LIMIT {most}");
        return db.prepare_cached(&sql)?.query_map(params_from_iter(values), |row| row.get(0))?.collect();
    }
    let job = |lanes: &[i64]| format!("{}{}", state_is(query.state), lane_in(lanes));
    let (index, first) = match (query.state, wanted.first()) {
        (Some(JobState::Dead), lanes) => ("job_dead", lanes),
        (_, lanes) => ("job_event", lanes),
    };
    let lead = first.map_or_else(|| state_is(query.state), |lanes| job(lanes));
    let mut check = format!("SELECT 1 FROM event WHERE id = ?{}{filter}", values.len() + 1);
    for lanes in wanted.iter().skip(1) {
        let same = format!("job.event = event.id{}", job(lanes));
        check.push_str(&format!(" AND EXISTS (SELECT 1 FROM job INDEXED BY job_event WHERE {same})"));
    }
    let mut check = db.prepare(&check)?;
    let lead = format!("SELECT event FROM job INDEXED BY {index} WHERE event < ?1{lead} ORDER BY event DESC");
    let mut lead = db.prepare(&lead)?;
    let mut rows = lead.query([before])?;
    let mut found: Vec<i64> = Vec::new();
    let mut last = None;
    while let Some(row) = rows.next()?.filter(|_| found.len() < most) {
        let id: i64 = row.get(0)?;
        if last.replace(id) != Some(id)
            && check.exists(params_from_iter(values.iter().cloned().chain([Value::Integer(id)])))?
        {
            found.push(id);
        }
    }
    Ok(found)
}

fn state_is(state: Option<JobState>) -> String {
    state.map(|state| format!(" AND state = '{}'", state.name())).unwrap_or_default()
}

fn lane_in(lanes: &[i64]) -> String {
    let list: Vec<String> = lanes.iter().map(i64::to_string).collect();
    format!(" AND lane IN ({})", list.join(", "))
}

/// For the rule and for the connector of a query: the lanes that its jobs are in.
pub(super) fn lanes(db: &Connection, query: &Query) -> rusqlite::Result<Vec<Vec<i64>>> {
    let mut wanted = Vec::new();
    if let Some(rule) = &query.rule {
        let mut find = db.prepare_cached(
            "SELECT id FROM lane
             WHERE name LIKE 'rule %' AND substr(name, -1 - length(?1)) IN ('/' || ?1, ' ' || ?1)",
        )?;
        wanted.push(find.query_map([rule], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?);
    }
    if let Some(connector) = &query.connector {
        let mut find = db.prepare_cached("SELECT id FROM lane WHERE name = 'connector ' || ?1")?;
        wanted.push(find.query_map([connector], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?);
    }
    Ok(wanted)
}

/// What a query asks of the event itself.
fn filter(query: &Query) -> (String, Vec<Value>) {
    let mut sql = String::new();
    let mut values = Vec::new();
    let mut and = |condition: &str, value: Value| {
        values.push(value);
        sql.push_str(&format!(" AND {condition} ?{}", values.len()));
    };
    if let Some(route) = &query.route {
        and("route =", route.clone().into());
    }
    match query.kind.as_deref().map(|kind| (kind, kind.strip_suffix('*').filter(|family| family.ends_with('.')))) {
        Some((_, Some(family))) => {
            and("type >=", family.to_owned().into());
            // The character after the dot: everything that begins with the family comes before it.
            and("type <", format!("{}/", family.trim_end_matches('.')).into());
        }
        Some((kind, None)) => and("type =", kind.to_owned().into()),
        None => {}
    }
    if let Some(since) = query.since {
        and("received >=", since.into());
    }
    if let Some(until) = query.until {
        and("received <", until.into());
    }
    (sql, values)
}

fn line(db: &Connection, id: i64) -> rusqlite::Result<Option<EventLine>> {
    let mut read =
        db.prepare_cached("SELECT id, route, key, type, published, received, flags, problem FROM event WHERE id = ?1")?;
    let Some(mut event) = read.query_row([id], event_line).optional()? else { return Ok(None) };
    let mut count =
        db.prepare_cached("SELECT state, count(*) FROM job INDEXED BY job_event WHERE event = ?1 GROUP BY state")?;
    let counts = count.query_map([id], |row| Ok((state_of(row.get_ref(0)?.as_str()?), row.get::<_, i64>(1)?)))?;
    for found in counts {
        let (state, number) = found?;
        event.jobs.insert(state, number.unsigned_abs());
    }
    Ok(Some(event))
}

fn event_line(row: &Row<'_>) -> rusqlite::Result<EventLine> {
    Ok(EventLine {
        id: row.get(0)?,
        route: row.get(1)?,
        key: row.get(2)?,
        kind: row.get(3)?,
        published: row.get(4)?,
        received: row.get(5)?,
        flags: flags_of(row.get_ref(6)?.as_str()?),
        problem: row.get(7)?,
        jobs: std::collections::BTreeMap::new(),
    })
}

pub(super) fn state_of(name: &str) -> JobState {
    JobState::ALL.into_iter().find(|state| state.name() == name).unwrap_or(JobState::Suppressed)
}

/// The number of the event that is meant. A key is looked up among what was seen, route by route; only if its key was
/// forgotten since are all events looked through.
pub(super) fn resolve(db: &Connection, event: &EventRef) -> rusqlite::Result<Option<i64>> {
    let key = match event {
        EventRef::Id(id) => {
            return db
                .prepare_cached("SELECT id FROM event WHERE id = ?1")?
                .query_row([id], |row| row.get(0))
                .optional();
        }
        EventRef::Job(job) => {
            return db
                .prepare_cached("SELECT event FROM job WHERE id = ?1")?
                .query_row([job], |row| row.get(0))
                .optional();
        }
        EventRef::Key(key) => key,
    };
    let mut find = db.prepare_cached(
        "WITH RECURSIVE routes (route) AS (
             SELECT min(route) FROM seen
             UNION ALL SELECT (SELECT min(route) FROM seen WHERE seen.route > routes.route) FROM routes
             WHERE routes.route IS NOT NULL)
         SELECT max(event.id) FROM routes JOIN seen ON seen.route = routes.route AND seen.key = ?1
             JOIN event ON event.id = seen.event",
    )?;
    if let Some(id) = find.query_row([key], |row| row.get(0))? {
        return Ok(Some(id));
    }
    db.query_row("SELECT max(id) FROM event WHERE key = ?1", [key], |row| row.get(0))
}

pub(super) fn show(db: &Connection, event: &EventRef) -> rusqlite::Result<Option<Dossier>> {
    let Some(id) = resolve(db, event)? else { return Ok(None) };
    let Some(event) = line(db, id)? else { return Ok(None) };
    let (envelope, body) = db
        .prepare_cached("SELECT envelope, body FROM body WHERE event = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)))?;
    let mut read = db.prepare_cached(
        "SELECT job.id, kind, parent, lane.name, job.name, key, state, due, attempts, replay, doubt, created, note, body
         FROM job JOIN lane ON lane.id = job.lane WHERE event = ?1 ORDER BY job.id",
    )?;
    let mut jobs = read.query_map([id], job_line)?.collect::<rusqlite::Result<Vec<_>>>()?;
    for job in &mut jobs {
        job.tries = tries(db, job.id)?;
    }
    Ok(Some(Dossier { event, envelope, body: body.into(), jobs }))
}

fn job_line(row: &Row<'_>) -> rusqlite::Result<JobLine> {
    let state = state_of(row.get_ref(6)?.as_str()?);
    Ok(JobLine {
        id: row.get(0)?,
        kind: kind_of(row.get_ref(1)?.as_str()?),
        parent: row.get(2)?,
        lane: row.get(3)?,
        name: row.get(4)?,
        key: row.get(5)?,
        state,
        due: row.get::<_, Option<i64>>(7)?.filter(|_| state == JobState::Waiting),
        attempts: row.get(8)?,
        replay: row.get(9)?,
        doubt: row.get(10)?,
        created: row.get(11)?,
        note: row.get(12)?,
        body: row.get::<_, Vec<u8>>(13)?.into(),
        tries: Vec::new(),
    })
}

fn tries(db: &Connection, job: i64) -> rusqlite::Result<Vec<Attempt>> {
    let mut read = db
        .prepare_cached("SELECT started, took_ms, result, status, detail FROM attempt WHERE job = ?1 ORDER BY claim")?;
    let tries = read.query_map([job], |row| {
        Ok(Attempt {
            started: row.get(0)?,
            took_ms: row.get::<_, i64>(1)?.unsigned_abs(),
            result: row.get(2)?,
            status: row.get(3)?,
            detail: row.get(4)?,
        })
    })?;
    tries.collect()
}
