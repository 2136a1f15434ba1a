//! Records of decisions: many at once in one transaction, found again by what they are about.
//!
//! A list follows one index and reads the rows it shows; times become bounds of numbers, because both rise together but for
//! calls that took long.

use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::params;
use rusqlite::params_from_iter;
use rusqlite::types::Value;

use crate::StoreError;
use crate::sqlite::fault::Fault;
use crate::sqlite::sweep::CHUNK;
use crate::sqlite::work::Tx;
use hookgate_model::decision::Capture;
use hookgate_model::decision::Kept;
use hookgate_model::decision::LOOK_AT_MOST;
use hookgate_model::decision::MAX_PAGE;
use hookgate_model::decision::Millis;
use hookgate_model::decision::Page;
use hookgate_model::decision::Query;
use hookgate_model::decision::Record;

const DEFAULT_PAGE: usize = 50;

/// Records are numbered when they are kept; by then a call may have taken this long.
const SLACK: Millis = 120_000;

/// A record as it is written.
pub(super) struct Row {
    at: Millis,
    route: String,
    outcome: String,
    record: String,
    handles: String,
    capture: Option<(Millis, String)>,
}

impl Row {
    /// # Errors
    /// A value that is no JSON, which nothing of ours makes.
    pub(super) fn of(kept: Kept) -> Result<Self, StoreError> {
        let text = |error: serde_json::Error| StoreError::Refused(format!("a decision cannot be written: {error}"));
        let Kept { record, capture, mut handles } = kept;
        handles.push(record.id.clone());
        handles.retain(|handle| !handle.is_empty() && !handle.contains('\n'));
        handles.sort_unstable();
        handles.dedup();
        let capture = capture.map(|capture| Ok((capture.until, serde_json::to_string(&capture).map_err(text)?)));
        Ok(Self {
            record: serde_json::to_string(&record).map_err(text)?,
            at: record.at,
            route: record.route,
            outcome: record.outcome,
            handles: handles.join("\n"),
            capture: capture.transpose()?,
        })
    }
}

pub(super) fn keep(tx: &Tx<'_>, rows: &[Row]) -> Result<usize, Fault> {
    for row in rows {
        let mut insert = tx
            .db
            .prepare_cached("INSERT INTO decision (at, route, outcome, record, handles) VALUES (?1, ?2, ?3, ?4, ?5)")?;
        let id = insert.insert(params![row.at, row.route, row.outcome, row.record, row.handles])?;
        for handle in row.handles.lines() {
            let mut insert =
                tx.db.prepare_cached("INSERT OR IGNORE INTO decision_handle (handle, decision) VALUES (?1, ?2)")?;
            insert.execute(params![handle, id])?;
        }
        if let Some((until, body)) = &row.capture {
            let mut insert = tx.db.prepare_cached("INSERT INTO capture (decision, until, body) VALUES (?1, ?2, ?3)")?;
            insert.execute(params![id, until, body])?;
        }
    }
    Ok(rows.len())
}

/// A page of records. Of a search for a part of a name, pages may have fewer than are asked for: [`LOOK_AT_MOST`] are read for each.
pub(super) fn list(db: &Connection, query: &Query) -> rusqlite::Result<Page> {
    let Some(part) = &query.part else { return listed(db, query) };
    let limit = if query.limit == 0 { DEFAULT_PAGE } else { query.limit.min(MAX_PAGE) };
    let mut found = Page::default();
    let mut query = Query { limit: MAX_PAGE, ..query.clone() };
    for _ in 0..LOOK_AT_MOST / MAX_PAGE {
        let page = numbered(db, &query)?;
        for (id, record) in page.records {
            if !record.search_text().contains(part.as_str()) {
                continue;
            }
            found.records.push(record);
            if found.records.len() == limit {
                found.next = Some(id);
                return Ok(found);
            }
        }
        found.next = page.next;
        if page.next.is_none() {
            break;
        }
        query.after = page.next;
    }
    Ok(found)
}

fn listed(db: &Connection, query: &Query) -> rusqlite::Result<Page> {
    let Numbered { records, next } = numbered(db, query)?;
    Ok(Page { records: records.into_iter().map(|(_, record)| record).collect(), next })
}

/// Records with their numbers, newest first.
struct Numbered {
    records: Vec<(i64, Record)>,
    next: Option<i64>,
}

fn numbered(db: &Connection, query: &Query) -> rusqlite::Result<Numbered> {
    let limit = if query.limit == 0 { DEFAULT_PAGE } else { query.limit.min(MAX_PAGE) };
    let mut values: Vec<Value> = Vec::new();
    let mut filter = String::new();
    let mut and = |condition: &str, value: Value| {
        values.push(value);
        filter.push_str(&format!(" AND {condition} ?{}", values.len()));
    };
    if let Some(route) = &query.route {
        and("decision.route =", route.clone().into());
    }
    if let Some(outcome) = &query.outcome {
        and("decision.outcome =", outcome.clone().into());
    }
    if let Some(since) = query.since {
        and("decision.at >=", since.into());
        and("decision.id >=", first_at(db, since.saturating_sub(SLACK))?.unwrap_or(i64::MAX).into());
    }
    if let Some(until) = query.until {
        and("decision.at <", until.into());
        if let Some(first) = first_at(db, until.saturating_add(SLACK))? {
            and("decision.id <", first.into());
        }
    }
    and("decision.id <", query.after.unwrap_or(i64::MAX).into());
    let sql = match &query.handle {
        Some(handle) => {
            and("handle.handle =", handle.clone().into());
            and("handle.decision <", query.after.unwrap_or(i64::MAX).into());
            format!(
                "SELECT decision.id, record FROM decision_handle AS handle
                 CROSS JOIN decision ON decision.id = handle.decision
                 WHERE TRUE{filter} ORDER BY handle.decision DESC LIMIT {}",
                limit + 1
            )
        }
        None => {
            // Said, because the planner cannot know which of several indexes gives the order, too.
            let index = match (&query.route, &query.outcome) {
                (Some(_), Some(_)) => " INDEXED BY decision_both",
                (Some(_), None) => " INDEXED BY decision_route",
                (None, Some(_)) => " INDEXED BY decision_outcome",
                (None, None) => " INDEXED BY decision_any",
            };
            // The index alone says which they are; only their rows are read.
            let most = limit + 1;
            let found = format!("SELECT id FROM decision{index} WHERE TRUE{filter} ORDER BY id DESC LIMIT {most}");
            format!("SELECT id, record FROM decision WHERE id IN ({found}) ORDER BY id DESC")
        }
    };
    let mut read = db.prepare_cached(&sql)?;
    let rows = read.query_map(params_from_iter(values), |row| Ok((row.get::<_, i64>(0)?, record(row.get_ref(1)?)?)))?;
    let mut rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().map(|(id, _)| *id).filter(|_| more);
    Ok(Numbered { records: rows, next })
}

/// The number of the first record at a time or later.
fn first_at(db: &Connection, at: Millis) -> rusqlite::Result<Option<i64>> {
    let mut find = db.prepare_cached("SELECT id FROM decision WHERE at >= ?1 ORDER BY at LIMIT 1")?;
    find.query_row([at], |row| row.get(0)).optional()
}

fn record(text: rusqlite::types::ValueRef<'_>) -> rusqlite::Result<Record> {
    serde_json::from_str(text.as_str()?)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error)))
}

pub(super) fn show(db: &Connection, id: &str) -> rusqlite::Result<Option<(Record, Option<Capture>)>> {
    let mut find = db.prepare_cached(
        "SELECT record, capture.body FROM decision_handle AS handle
         CROSS JOIN decision ON decision.id = handle.decision LEFT JOIN capture ON capture.decision = decision.id
         WHERE handle.handle = ?1 ORDER BY handle.decision DESC",
    )?;
    let mut rows = find.query([id])?;
    while let Some(row) = rows.next()? {
        let mut found = record(row.get_ref(0)?)?;
        if found.id != id {
            continue;
        }
        let body: Option<String> = row.get(1)?;
        // What an older version captured and this one cannot read is as if it were gone.
        let capture: Option<Capture> = body.and_then(|body| serde_json::from_str(&body).ok());
        found.captured = capture.is_some();
        return Ok(Some((found, capture)));
    }
    Ok(None)
}

/// Removes the oldest records: those from before a time, and all but the newest `most`. How many, at most a transaction's worth.
pub(super) fn forget(tx: &Tx<'_>, before: Millis, most: u64) -> Result<usize, Fault> {
    let newest: Option<i64> = tx.db.query_row("SELECT max(id) FROM decision", [], |row| row.get(0))?;
    let Some(newest) = newest else { return Ok(0) };
    let last = newest.saturating_sub(i64::try_from(most).unwrap_or(i64::MAX));
    // By number and by time, each with its index: a clock that was wrong puts them out of step.
    let mut find = tx.db.prepare_cached(
        "SELECT id, handles FROM decision WHERE id IN (
             SELECT id FROM (SELECT id FROM decision WHERE id <= ?1 ORDER BY id LIMIT ?3)
             UNION SELECT id FROM (SELECT id FROM decision INDEXED BY decision_at WHERE at < ?2 ORDER BY at LIMIT ?3))
         LIMIT ?3",
    )?;
    let rows = find.query_map(params![last, before, CHUNK as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let old = rows.collect::<rusqlite::Result<Vec<(i64, String)>>>()?;
    let mut count = 0;
    for (id, handles) in old {
        tx.db.prepare_cached("DELETE FROM capture WHERE decision = ?1")?.execute([id])?;
        for handle in handles.lines() {
            let mut delete = tx.db.prepare_cached("DELETE FROM decision_handle WHERE handle = ?1 AND decision = ?2")?;
            delete.execute(params![handle, id])?;
        }
        tx.db.prepare_cached("DELETE FROM decision WHERE id = ?1")?.execute([id])?;
        count += 1;
    }
    Ok(count)
}

/// Whether there are more than so many: numbers are given one after the other.
pub(super) fn are_more_than(db: &Connection, most: u64) -> rusqlite::Result<bool> {
    let bound = |sql: &str| db.query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
    let (oldest, newest) = (bound("SELECT min(id) FROM decision")?, bound("SELECT max(id) FROM decision")?);
    Ok(oldest.zip(newest).is_some_and(|(oldest, newest)| newest.abs_diff(oldest) >= most))
}

/// Removes captures whose time is over; how many, at most a transaction's worth.
pub(super) fn forget_captures(tx: &Tx<'_>) -> Result<usize, Fault> {
    let mut delete = tx.db.prepare_cached(
        "DELETE FROM capture WHERE decision IN (SELECT decision FROM capture WHERE until <= ?1 LIMIT ?2)",
    )?;
    Ok(delete.execute(params![tx.now, CHUNK as i64])?)
}
