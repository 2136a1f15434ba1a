//! What an operator, or time, does to many events: found by a reader, changed by the writer, a few at a time. So an
//! operation on a million is not one transaction, but each of its steps is.

use std::sync::Arc;
use std::time::Duration;

use crate::EventRef;
use crate::JobState;
use crate::Millis;
use crate::Query;
use crate::Selection;
use crate::StoreError;
use crate::sqlite::Sqlite;
use crate::sqlite::answers;
use crate::sqlite::decisions;
use crate::sqlite::gaps;
use crate::sqlite::gaps::Gaps;
use crate::sqlite::jobs::millis;
use crate::sqlite::list;
use crate::sqlite::replay;
use crate::sqlite::replay::Lanes;
use crate::sqlite::state;
use crate::sqlite::sweep;

/// How many events are looked for at a time, and how many of them are changed in one transaction.
const PAGE: usize = 500;
const AT_ONCE: usize = 50;

impl Sqlite {
    pub(super) async fn replay(&self, which: Selection, force: bool) -> Result<u64, StoreError> {
        let query = match which {
            Selection::One(event) => {
                let id = self.resolve(event).await?;
                return self.write(move |tx| replay::replay_one(tx, id, force)).await;
            }
            Selection::All(query) => query,
        };
        let mut walk = Walk::new(*query);
        if !force && walk.query.state.is_none() {
            // Nothing else can be replayed.
            walk.query.state = Some(JobState::Dead);
        }
        let mut count = 0;
        while let Some((events, lanes)) = self.step(&mut walk).await? {
            for some in events.chunks(AT_ONCE) {
                let (some, lanes) = (some.to_vec(), Arc::clone(&lanes));
                count += self
                    .write(move |tx| {
                        let each = some.iter().map(|&event| replay::replay(tx, event, &lanes, force));
                        each.sum::<Result<u64, _>>()
                    })
                    .await?;
            }
        }
        Ok(count)
    }

    pub(super) async fn purge(&self, which: Selection) -> Result<u64, StoreError> {
        let query = match which {
            Selection::One(event) => return self.purge_one(event).await,
            Selection::All(query) => query,
        };
        let only_dead = query.state == Some(JobState::Dead);
        let mut walk = Walk::new(*query);
        let mut count = 0;
        while let Some((events, lanes)) = self.step(&mut walk).await? {
            let what = if only_dead { Removal::Dead(lanes) } else { Removal::Ended };
            count += self.remove(events, what).await?.count;
        }
        self.shrink().await?;
        Ok(count)
    }

    async fn purge_one(&self, event: EventRef) -> Result<u64, StoreError> {
        let id = self.resolve(event).await?;
        let open = self.people.read(move |db| sweep::is_open(db, id)).await?;
        let removed = if open { 0 } else { self.remove(vec![id], Removal::Ended).await?.count };
        if removed == 0 {
            return Err(StoreError::Refused(format!("event {id} is still being worked on")));
        }
        Ok(removed)
    }

    async fn remove(&self, events: Vec<i64>, what: Removal) -> Result<Removed, StoreError> {
        let mut removed = Removed::default();
        let mut left = events;
        while !left.is_empty() {
            let what = what.clone();
            let progress = self
                .write(move |tx| match &what {
                    Removal::Ended => sweep::events(tx, &left, None),
                    Removal::Old(age) => sweep::events(tx, &left, Some(*age)),
                    Removal::Dead(lanes) => sweep::dead(tx, &left, lanes),
                })
                .await?;
            removed.add(Removed { count: progress.removed, dead: progress.dead });
            left = progress.left;
        }
        Ok(removed)
    }

    /// Removes events that came, and came to their end, longer ago than `keep`. How many, and how many dead letters went with them.
    /// Then keys first seen longer ago than `remember`; `once` keys, the state of scripts, captures and one-time answers whose time
    /// is over; and decisions from before `keep`, or beyond the newest so many.
    ///
    /// Dead letters, keys and one-time answers grow old only while a gateway runs: see [`gaps`].
    pub(super) async fn sweep(
        &self,
        keep: Duration,
        remember: Duration,
        decisions: u64,
    ) -> Result<Removed, StoreError> {
        let now = self.clock.now();
        let gaps = self.people.read(gaps::load).await?;
        let before = now.saturating_sub(millis(keep));
        let age = sweep::Age { now, before, died_before: gaps.ago(now, millis(keep)) };
        let removed = self.sweep_events(age).await?;
        let before = gaps.ago(now, millis(remember));
        let mut from = (String::new(), String::new());
        loop {
            let after = from.clone();
            let keys = self.people.read(move |db| sweep::old_keys(db, &after, before)).await?;
            let Some(last) = keys.last().cloned() else { break };
            from = last;
            self.write(move |tx| sweep::forget(tx, &keys, before)).await?;
        }
        while self.write(|tx| sweep::forget_once(tx)).await? == sweep::CHUNK {}
        while self.write(|tx| state::forget(tx)).await? == state::CHUNK {}
        while self.write(|tx| state::forget_answers(tx)).await? == state::CHUNK {}
        while self.write(|tx| decisions::forget_captures(tx)).await? == sweep::CHUNK {}
        let before = now.saturating_sub(millis(keep));
        while self.write(move |tx| decisions::forget(tx, before, decisions)).await? == sweep::CHUNK {}
        self.sweep_answers(gaps).await?;
        self.shrink().await?;
        Ok(removed)
    }

    async fn sweep_answers(&self, gaps: Gaps) -> Result<(), StoreError> {
        let (now, gaps) = (self.clock.now(), Arc::new(gaps));
        let mut from = Some(answers::Mark::default());
        while let Some(mark) = from {
            let gaps = Arc::clone(&gaps);
            let (ended, next) = self.people.read(move |db| answers::ended(db, &gaps, now, mark)).await?;
            if !ended.is_empty() {
                self.write(move |tx| answers::forget(tx, &ended)).await?;
            }
            from = next;
        }
        Ok(())
    }

    /// Removes decisions beyond the newest `most`, and writes nothing where there are none.
    pub(super) async fn trim_decisions(&self, most: u64) -> Result<u64, StoreError> {
        let mut count = 0;
        while self.people.read(move |db| decisions::are_more_than(db, most)).await? {
            let removed = self.write(move |tx| decisions::forget(tx, Millis::MIN, most)).await?;
            if removed == 0 {
                break;
            }
            count += removed as u64;
        }
        Ok(count)
    }

    async fn sweep_events(&self, age: sweep::Age) -> Result<Removed, StoreError> {
        let newest = self.people.read(move |db| sweep::newest_old(db, age)).await?;
        let mut removed = Removed::default();
        let mut from = Some(sweep::Mark::default());
        while let Some(mark) = from {
            let (old, next) = self.people.read(move |db| sweep::old_events(db, age, mark)).await?;
            removed.add(self.remove(old, Removal::Old(age)).await?);
            from = next;
        }
        from = newest.map(|_| sweep::Mark::default());
        while let Some((mark, newest)) = from.zip(newest) {
            let (old, next) = self.people.read(move |db| sweep::old_events_to_come(db, age, newest, mark)).await?;
            removed.add(self.remove(old, Removal::Old(age)).await?);
            from = next;
        }
        Ok(removed)
    }

    async fn shrink(&self) -> Result<(), StoreError> {
        while self.write(|tx| sweep::shrink(tx)).await? {}
        Ok(())
    }

    async fn resolve(&self, event: EventRef) -> Result<i64, StoreError> {
        let name = match &event {
            EventRef::Id(id) => format!("number {id}"),
            EventRef::Key(key) => format!("id `{key}`"),
            EventRef::Job(job) => format!("job {job}"),
        };
        let found = self.people.read(move |db| list::resolve(db, &event)).await?;
        found.ok_or_else(|| StoreError::Refused(format!("there is no event with the {name}")))
    }

    /// The next events that an operation is about.
    async fn step(&self, walk: &mut Walk) -> Result<Option<(Vec<i64>, Lanes)>, StoreError> {
        if walk.ended {
            return Ok(None);
        }
        let (query, after) = (walk.query.clone(), walk.after);
        let read = move |db: &rusqlite::Connection| {
            Ok((list::ids(db, &query, after, PAGE)?, Lanes::from(list::lanes(db, &query)?)))
        };
        let (events, lanes) = self.people.read(read).await?;
        walk.ended = events.len() < PAGE;
        walk.after = events.last().copied().or(walk.after);
        Ok(Some((events, lanes)))
    }
}

/// What a removal took with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Removed {
    /// Events, or jobs where only those were to go.
    pub(super) count: u64,
    /// Dead letters among the jobs of these events.
    pub(super) dead: u64,
}

impl Removed {
    fn add(&mut self, more: Self) {
        self.count += more.count;
        self.dead += more.dead;
    }
}

/// What is removed of events.
#[derive(Clone)]
enum Removal {
    /// Those of which everything has ended.
    Ended,
    /// Those of which everything has ended that long ago.
    Old(sweep::Age),
    /// Their dead jobs in these lanes.
    Dead(Lanes),
}

/// How far an operation on many events has come.
struct Walk {
    query: Query,
    after: Option<i64>,
    ended: bool,
}

impl Walk {
    fn new(query: Query) -> Self {
        let after = query.after;
        Self { query, after, ended: false }
    }
}
