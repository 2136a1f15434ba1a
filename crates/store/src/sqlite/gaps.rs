//! Times in which no gateway ran on the store, as far as its clock told.
//!
//! A clock that was far behind at one start and right at the next looks just like a long stop, and so does one that was right
//! and is far ahead. Nobody can tell these apart. So what must not be lost by a wrong clock, dead letters and known keys, grows
//! old only in the time between: after a long stop they stay so much longer.

use rusqlite::Connection;
use rusqlite::OptionalExtension;

use crate::Millis;

/// Shorter ones are restarts.
const LEAST: Millis = 3_600_000;
/// How many are remembered; of what is before them, age is what the clock says.
const MOST: usize = 200;

const NAME: &str = "gaps";

/// From when to when, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gaps(Vec<(Millis, Millis)>);

pub(super) fn load(db: &Connection) -> rusqlite::Result<Gaps> {
    let mut find = db.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    let text: Option<String> = find.query_row([NAME], |row| row.get(0)).optional()?;
    let gap = |part: &str| {
        let (from, to) = part.split_once(' ')?;
        Some((from.parse().ok()?, to.parse().ok()?))
    };
    Ok(Gaps(text.iter().flat_map(|text| text.lines()).filter_map(gap).collect()))
}

impl Gaps {
    /// A gateway starts now; the last time that is known of one before is `newest`.
    pub(super) fn note(&mut self, newest: Millis, now: Millis) {
        // What lies ahead was told by a clock that was wrong.
        for gap in &mut self.0 {
            gap.1 = gap.1.min(now);
        }
        self.0.push((newest, now));
        self.0.retain(|(from, to)| *from > 0 && to - from >= LEAST);
        let surplus = self.0.len().saturating_sub(MOST);
        self.0.drain(..surplus);
    }

    pub(super) fn save(&self, db: &Connection) -> rusqlite::Result<()> {
        let lines: Vec<String> = self.0.iter().map(|(from, to)| format!("{from} {to}")).collect();
        let mut put = db.prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")?;
        put.execute((NAME, lines.join("\n")))?;
        Ok(())
    }

    /// The time at which what is `age` old by now was new.
    pub(super) fn ago(&self, now: Millis, age: Millis) -> Millis {
        let (mut time, mut left) = (now, age);
        for &(from, to) in self.0.iter().rev() {
            let ran = time.saturating_sub(to);
            if ran >= left {
                break;
            }
            left -= ran.max(0);
            time = from.min(time);
        }
        time.saturating_sub(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Millis = 3_600_000;

    fn gaps(list: &[(Millis, Millis)]) -> Gaps {
        Gaps(list.iter().map(|(from, to)| (from * HOUR, to * HOUR)).collect())
    }

    #[test]
    fn nothing_grows_old_in_a_gap() {
        let gaps = gaps(&[(100, 200), (210, 300)]);
        for (age, time) in [(0, 310), (10, 300), (11, 209), (20, 200), (21, 99), (50, 70)] {
            assert_eq!(gaps.ago(310 * HOUR, age * HOUR), time * HOUR, "{age}");
        }
        assert_eq!(Gaps::default().ago(310 * HOUR, HOUR), 309 * HOUR);
    }

    #[test]
    fn a_restart_and_a_new_store_are_none() {
        let mut none = Gaps::default();
        none.note(0, 500 * HOUR);
        none.note(500 * HOUR, 500 * HOUR + LEAST - 1);
        assert_eq!(none, Gaps::default());
        none.note(501 * HOUR, 502 * HOUR);
        assert_eq!(none, gaps(&[(501, 502)]));
    }

    #[test]
    fn a_clock_that_was_ahead_leaves_no_gap_that_lies_ahead() {
        let mut all = gaps(&[(10, 20)]);
        all.note(100 * HOUR, 9_000 * HOUR);
        assert_eq!(all, gaps(&[(10, 20), (100, 9_000)]));
        // Right again, half an hour later.
        let now = 100 * HOUR + HOUR / 2;
        all.note(9_000 * HOUR + HOUR / 2, now);
        assert_eq!(all, gaps(&[(10, 20)]));
        assert_eq!(all.ago(now, HOUR), now - HOUR);
    }

    #[test]
    fn only_so_many_are_remembered_and_they_come_back() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT)").unwrap();
        assert_eq!(load(&db).unwrap(), Gaps::default());
        let mut all = Gaps::default();
        (1..500).for_each(|day| all.note(day * 24 * HOUR, (day * 24 + 8) * HOUR));
        assert_eq!(all.0.len(), MOST);
        all.save(&db).unwrap();
        assert_eq!(load(&db).unwrap(), all);
    }
}
