//! The log of changes: a chain of rows that is only appended to, and the pin that is set or ended with one.

use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::Row;
use rusqlite::params;
use rusqlite::params_from_iter;
use rusqlite::types::Value;

use crate::archive::{
    Change, ChangePage, ChangeQuery, Follower, MOST_CHANGE_PAGE, MOST_CHANGES, NewChange, Pin, Repin, Verified,
};
use crate::sqlite::fault::Fault;
use crate::sqlite::work::Tx;

const DEFAULT_PAGE: usize = 50;
const COLUMNS: &str = "number, at, who, what, subject, detail, was, became, previous, hash";
const BEGIN: &str = "changes begin";
const END: &str = "changes end";
const PIN: &str = "pin";

pub(super) fn append(tx: &Tx<'_>, new: &NewChange) -> Result<Change, Fault> {
    let (last, previous) = mark(tx.db, END)?;
    let mut change = Change {
        number: last + 1,
        at: new.at,
        who: new.who.clone(),
        what: new.what.clone(),
        subject: new.subject.clone(),
        detail: new.detail.clone(),
        before: new.before.clone(),
        after: new.after.clone(),
        previous,
        hash: String::new(),
    };
    change.hash = change.seal();
    let mut insert = tx
        .db
        .prepare_cached(&format!("INSERT INTO change ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"))?;
    insert.execute(params![
        change.number,
        change.at,
        change.who,
        change.what,
        change.subject,
        change.detail,
        change.before,
        change.after,
        change.previous,
        change.hash
    ])?;
    set(tx, END, &format!("{} {}", change.number, change.hash))?;
    forget(tx, change.number - MOST_CHANGES)?;
    match &new.pin {
        Repin::Leave => {}
        Repin::Set(pin) => set(tx, PIN, &serde_json::to_string(pin).unwrap_or_default())?,
        Repin::End => drop(tx.db.prepare_cached("DELETE FROM meta WHERE name = ?1")?.execute([PIN])?),
    }
    Ok(change)
}

/// Removes the rows up to a number; where the chain begins from then on is kept.
fn forget(tx: &Tx<'_>, up_to: i64) -> Result<(), Fault> {
    let mut find = tx.db.prepare_cached("SELECT hash FROM change WHERE number = ?1")?;
    let Some(hash) = find.query_row([up_to], |row| row.get::<_, String>(0)).optional()? else { return Ok(()) };
    set(tx, BEGIN, &format!("{up_to} {hash}"))?;
    tx.db.prepare_cached("DELETE FROM change WHERE number <= ?1")?.execute([up_to])?;
    Ok(())
}

fn set(tx: &Tx<'_>, name: &str, value: &str) -> Result<(), Fault> {
    tx.db.prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")?.execute((name, value))?;
    Ok(())
}

fn meta(db: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    db.prepare_cached("SELECT value FROM meta WHERE name = ?1")?.query_row([name], |row| row.get(0)).optional()
}

/// The number and hash of a row, as noted beside the log; 0 and nothing where none is.
fn mark(db: &Connection, name: &str) -> rusqlite::Result<(i64, String)> {
    let noted = meta(db, name)?;
    let parts = noted.as_deref().and_then(|noted| noted.split_once(' '));
    Ok(parts.and_then(|(number, hash)| Some((number.parse().ok()?, hash.to_owned()))).unwrap_or_default())
}

pub(super) fn pin(db: &Connection) -> rusqlite::Result<Option<Pin>> {
    let kept = meta(db, PIN)?;
    let read = |text: String| {
        serde_json::from_str(&text)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error)))
    };
    kept.map(read).transpose()
}

pub(super) fn list(db: &Connection, query: &ChangeQuery) -> rusqlite::Result<ChangePage> {
    let limit = if query.limit == 0 { DEFAULT_PAGE } else { query.limit.min(MOST_CHANGE_PAGE) };
    let mut sql = format!("SELECT {COLUMNS} FROM change WHERE number < ?1");
    let mut values = vec![Value::Integer(query.after.unwrap_or(i64::MAX))];
    let mut and = |condition: &str, value: Option<Value>| {
        if let Some(value) = value {
            values.push(value);
            sql.push_str(&format!(" AND {condition} ?{}", values.len()));
        }
    };
    and("who =", query.who.clone().map(Value::Text));
    and("what =", query.what.clone().map(Value::Text));
    and("at >=", query.since.map(Value::Integer));
    and("at <", query.until.map(Value::Integer));
    sql.push_str(&format!(" ORDER BY number DESC LIMIT {}", limit + 1));
    let mut read = db.prepare_cached(&sql)?;
    let mut changes = read.query_map(params_from_iter(values), change)?.collect::<rusqlite::Result<Vec<Change>>>()?;
    let more = changes.len() > limit;
    changes.truncate(limit);
    let next = changes.last().map(|change| change.number).filter(|_| more);
    Ok(ChangePage { changes, next })
}

fn change(row: &Row<'_>) -> rusqlite::Result<Change> {
    Ok(Change {
        number: row.get(0)?,
        at: row.get(1)?,
        who: row.get(2)?,
        what: row.get(3)?,
        subject: row.get(4)?,
        detail: row.get(5)?,
        before: row.get(6)?,
        after: row.get(7)?,
        previous: row.get(8)?,
        hash: row.get(9)?,
    })
}

pub(super) fn verify(db: &Connection) -> rusqlite::Result<Verified> {
    let (removed, hash) = mark(db, BEGIN)?;
    let mut follower = Follower::new(removed, &hash);
    let mut read = db.prepare(&format!("SELECT {COLUMNS} FROM change ORDER BY number"))?;
    let mut rows = read.query([])?;
    while let Some(row) = rows.next()? {
        if !follower.follow(&change(row)?) {
            break;
        }
    }
    let (written, hash) = mark(db, END)?;
    Ok(follower.end(written, &hash))
}
