//! The small state of scripts: a row for each key. Everything about a key is read, changed and written back by the one
//! writer, so a step is exact however many ask at once; what each step means is [`Kept::step`].

use std::collections::VecDeque;

use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::Row;
use rusqlite::params;
use rusqlite::types::{ToSqlOutput, ValueRef};
use serde_json::Value;

use crate::Millis;
use crate::StoreError;
use crate::sqlite::Sqlite;
use crate::sqlite::fault::Fault;
use crate::sqlite::jobs::millis;
use crate::sqlite::work::Tx;
use crate::state;
use crate::state::{KeyChoice, KeyRange, StateEntry, StatePage, StateQuery, Step};
use hookgate_model::question::Kv;
use hookgate_model::question::state::Kept;

/// How many rows one transaction of a sweep removes: each may be some pages long.
pub(super) const CHUNK: u64 = 200;

/// A step that may change something, and how its asker is answered again.
#[derive(Debug)]
pub(super) struct Change {
    kv: Kv,
    /// Who asks, and what tells this step from others.
    origin: Option<(String, Vec<u8>)>,
}

impl Change {
    pub(super) fn new(step: Step) -> Self {
        let fingerprint = step.fingerprint();
        Self { kv: step.kv, origin: step.origin.map(|origin| (origin, fingerprint)) }
    }
}

/// What the answer is, or would be, without a change.
pub(super) fn tell(db: &Connection, kv: &Kv, now: Millis) -> rusqlite::Result<Value> {
    Ok(Kept::step(load(db, kv.key())?, kv, now).1)
}

/// The answer, if nothing has to be written for it.
pub(super) fn look(tx: &Tx<'_>, change: &Change) -> Result<Option<Value>, Fault> {
    if change.origin.is_some() {
        return remembered(tx, change);
    }
    let before = load(tx.db, change.kv.key())?;
    let (after, answer) = Kept::step(before.clone(), &change.kv, tx.now);
    Ok((before == after).then_some(answer))
}

pub(super) fn take(tx: &Tx<'_>, change: &Change) -> Result<Value, Fault> {
    if let Some(answer) = remembered(tx, change)? {
        return Ok(answer);
    }
    let key = change.kv.key();
    let before = load(tx.db, key)?;
    let (after, answer) = Kept::step(before.clone(), &change.kv, tx.now);
    match &after {
        _ if before == after => {}
        Some(kept) => keep(tx, key, kept, before.is_none())?,
        None => {
            tx.db.prepare_cached("DELETE FROM kv WHERE key = ?1")?.execute([key])?;
        }
    }
    remember(tx, change, &answer)?;
    Ok(answer)
}

/// The range is `?1` to `?2` but for `?3` to `?4`; the time is `?5`, and so many rows are `?6`. Texts are compared by bytes.
pub(super) const IN_RANGE: &str =
    "key >= ?1 AND key < ?2 AND NOT (key >= ?3 AND key < ?4) AND until > ?5 ORDER BY key LIMIT ?6";

/// The end of a range, such that the index is read up to it and no further. Every text is smaller than a blob.
fn bound(end: Option<&str>) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(end.map_or(ValueRef::Blob(&[]), |end| ValueRef::Text(end.as_bytes())))
}

/// A page of keys with what is kept under them.
pub(super) fn entries(db: &Connection, query: &StateQuery, now: Millis) -> rusqlite::Result<StatePage> {
    let mut range = KeyRange::of(&query.keys);
    query.after.iter().for_each(|after| range.skip_to(after));
    let KeyRange { from, end, gap } = range;
    let (end, limit) = (bound(end.as_deref()), query.limit());
    let mut read = db.prepare_cached(&format!("SELECT until, value, newest, earlier, key FROM kv WHERE {IN_RANGE}"))?;
    let entry = |row: &Row<'_>| Ok(StateEntry { key: row.get(4)?, kept: kept(row)? });
    let rows = read.query_map(params![from, end, gap.0, gap.1, now, limit as i64 + 1], entry)?;
    let mut entries = rows.collect::<rusqlite::Result<Vec<StateEntry>>>()?;
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().map(|entry| entry.key.clone()).filter(|_| more);
    Ok(StatePage { entries, next })
}

/// Removes the first keys of a range, at most [`CHUNK`]. How many, and the last of them.
fn clear(tx: &Tx<'_>, range: &KeyRange) -> Result<(u64, Option<String>), Fault> {
    let KeyRange { from, end, gap } = range;
    let end = bound(end.as_deref());
    let mut delete = tx
        .db
        .prepare_cached(&format!("DELETE FROM kv WHERE key IN (SELECT key FROM kv WHERE {IN_RANGE}) RETURNING key"))?;
    let rows = delete.query_map(params![from, end, gap.0, gap.1, tx.now, CHUNK as i64], |row| row.get(0))?;
    let keys = rows.collect::<rusqlite::Result<Vec<String>>>()?;
    Ok((keys.len() as u64, keys.into_iter().max()))
}

impl Sqlite {
    /// Removes keys, in many short transactions; how many. A key that comes while this goes on may stay.
    pub(super) async fn clear(&self, keys: &KeyChoice) -> Result<u64, StoreError> {
        let (mut range, mut count) = (KeyRange::of(keys), 0);
        loop {
            let part = range.clone();
            let (removed, last) = self.write(move |tx| clear(tx, &part)).await?;
            count += removed;
            match last {
                Some(last) if removed == CHUNK => range.skip_to(&last),
                _ => return Ok(count),
            }
        }
    }
}

fn load(db: &Connection, key: &str) -> rusqlite::Result<Option<Kept>> {
    db.prepare_cached("SELECT until, value, newest, earlier FROM kv WHERE key = ?1")?.query_row([key], kept).optional()
}

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    let until = row.get(0)?;
    if let Some(newest) = row.get(2)? {
        let times = times(newest, row.get_ref(3)?.as_blob()?);
        return Ok(Kept::Times { times, until });
    }
    Ok(Kept::Value { value: json(row, 1)?, until })
}

fn json(row: &Row<'_>, column: usize) -> rusqlite::Result<Value> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

fn keep(tx: &Tx<'_>, key: &str, kept: &Kept, is_new: bool) -> Result<(), Fault> {
    let mut put = tx.db.prepare_cached(
        "INSERT INTO kv (key, until, value, newest, earlier) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET until = ?2, value = ?3, newest = ?4, earlier = ?5",
    )?;
    let (value, newest, earlier) = match kept {
        Kept::Value { value, .. } => (Some(value.to_string()), None, None),
        Kept::Times { times, .. } => (None, times.back().copied(), Some(earlier(times))),
    };
    let bytes = value.as_ref().map_or(0, String::len) + earlier.as_ref().map_or(0, Vec::len);
    make_room(tx, is_new, bytes as u64)?;
    put.execute(params![key, kept.until(), value, newest, earlier])?;
    Ok(())
}

/// Refuses what there is no room for, after a look at what has expired and was not swept yet.
fn make_room(tx: &Tx<'_>, is_new: bool, bytes: u64) -> Result<(), Fault> {
    let has_room = |tx: &Tx<'_>| -> Result<bool, Fault> {
        let total = total(tx)?;
        Ok((!is_new || total.keys < state::MOST_KEYS) && total.bytes + bytes <= state::MOST_BYTES)
    };
    if has_room(tx)? || (forget(tx)? > 0 && has_room(tx)?) {
        return Ok(());
    }
    Err(Fault::Refused(StoreError::Refused(format!(
        "`kv` is full: it has {} keys and {} MiB at most. Keep things for a shorter time, or under fewer keys",
        state::MOST_KEYS,
        state::MOST_BYTES >> 20
    ))))
}

struct Total {
    keys: u64,
    bytes: u64,
    answers: u64,
}

fn total(tx: &Tx<'_>) -> Result<Total, Fault> {
    let mut read = tx.db.prepare_cached("SELECT keys, bytes, answers FROM kv_total")?;
    let number = |row: &Row<'_>, column| row.get::<_, i64>(column).map(i64::unsigned_abs);
    Ok(read
        .query_row([], |row| Ok(Total { keys: number(row, 0)?, bytes: number(row, 1)?, answers: number(row, 2)? }))?)
}

/// What the same asker was answered when it asked for the same.
fn remembered(tx: &Tx<'_>, change: &Change) -> Result<Option<Value>, Fault> {
    let Some((origin, step)) = &change.origin else { return Ok(None) };
    let mut find =
        tx.db.prepare_cached("SELECT answer FROM kv_answer WHERE origin = ?1 AND step = ?2 AND until > ?3")?;
    Ok(find.query_row(params![origin, step, tx.now], |row| json(row, 0)).optional()?)
}

fn remember(tx: &Tx<'_>, change: &Change, answer: &Value) -> Result<(), Fault> {
    let Some((origin, step)) = &change.origin else { return Ok(()) };
    if total(tx)?.answers >= state::MOST_ANSWERS && forget_answers(tx)? == 0 {
        return Err(Fault::Refused(StoreError::Refused(format!(
            "`kv` is asked more often than it can remember: {} answers of the last {} hours are kept",
            state::MOST_ANSWERS,
            state::REMEMBER.as_secs() / 3600
        ))));
    }
    let mut put = tx.db.prepare_cached(
        "INSERT INTO kv_answer (origin, step, answer, until) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET step = ?2, answer = ?3, until = ?4",
    )?;
    put.execute(params![origin, step, answer.to_string(), tx.now.saturating_add(millis(state::REMEMBER))])?;
    Ok(())
}

/// Removes keys whose time is over; how many, at most [`CHUNK`].
pub(super) fn forget(tx: &Tx<'_>) -> Result<u64, Fault> {
    forget_from(tx, "DELETE FROM kv WHERE key IN (SELECT key FROM kv WHERE until <= ?1 ORDER BY until LIMIT ?2)")
}

/// The same with answers that nobody will ask for again.
pub(super) fn forget_answers(tx: &Tx<'_>) -> Result<u64, Fault> {
    forget_from(
        tx,
        "DELETE FROM kv_answer WHERE origin IN
             (SELECT origin FROM kv_answer WHERE until <= ?1 ORDER BY until LIMIT ?2)",
    )
}

fn forget_from(tx: &Tx<'_>, sql: &str) -> Result<u64, Fault> {
    Ok(tx.db.prepare_cached(sql)?.execute(params![tx.now, CHUNK as i64])? as u64)
}

/// The steps back from the newest time to the oldest. A clock that was set back a little makes one negative; it is kept as 0.
fn earlier(times: &VecDeque<Millis>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (later, earlier) in times.iter().rev().zip(times.iter().rev().skip(1)) {
        let mut left = (later - earlier).max(0).unsigned_abs();
        while left >= 0x80 {
            bytes.push(left as u8 | 0x80);
            left >>= 7;
        }
        bytes.push(left as u8);
    }
    bytes
}

fn times(newest: Millis, earlier: &[u8]) -> VecDeque<Millis> {
    let mut times = VecDeque::from([newest]);
    let (mut time, mut step, mut shift) = (newest, 0u64, 0u32);
    for byte in earlier {
        step |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        shift += 7;
        if byte & 0x80 == 0 {
            time = time.saturating_sub_unsigned(step);
            times.push_front(time);
            (step, shift) = (0, 0);
        }
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_kept_in_few_bytes_and_come_back() {
        for list in [vec![5], vec![1, 1, 1], vec![0, 127, 128, 20_000, 1_700_000_000_000], vec![-9, 4]] {
            let list = VecDeque::from(list);
            assert_eq!(times(*list.back().unwrap(), &earlier(&list)), list);
        }
        let busy: VecDeque<Millis> = (0..10_000).map(|number| 1_700_000_000_000 + number * 100).collect();
        assert_eq!(earlier(&busy).len(), 9_999);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_time_wrong_by_more() {
        let list = VecDeque::from([1_000, 1_500, 1_400]);
        assert_eq!(times(1_400, &earlier(&list)), [900, 1_400, 1_400]);
    }
}
