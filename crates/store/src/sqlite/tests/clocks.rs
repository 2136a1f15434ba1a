//! What is old, and clocks that are wrong for a while (#14).

use super::*;
use crate::JobState;
use crate::clock::Clock;
use crate::sqlite::operate::Removed;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const START: i64 = 1_700_000_000_000;

/// The store in a folder, opened at one time after the other.
struct Times {
    folder: TempDir,
    clock: Arc<Clock>,
    store: Sqlite,
}

impl Times {
    fn start(time: i64) -> Self {
        let folder = TempDir::new().unwrap();
        let (clock, store) = Self::open(&folder, time);
        Self { folder, clock, store }
    }

    fn open(folder: &TempDir, time: i64) -> (Arc<Clock>, Sqlite) {
        let clock = Arc::new(Clock::at(time));
        let options = Options { clock: Arc::clone(&clock), ..Options::default() };
        (clock, Sqlite::open(&folder.path().join("data/hookgate.db"), options).unwrap())
    }

    /// A stop in good order, and a start at this time.
    async fn restart(self, time: i64) -> Self {
        self.store.close().await.unwrap();
        let Self { folder, store, .. } = self;
        drop(store);
        let (clock, store) = Self::open(&folder, time);
        Self { folder, clock, store }
    }

    fn wait(&self, time: i64) {
        self.clock.advance(Duration::from_millis(time.unsigned_abs()));
    }

    /// An event whose job ends so.
    async fn event(&self, key: &str, end: End) {
        self.store.accept(intake(key)).await.unwrap();
        self.end(end).await;
    }

    async fn end(&self, end: End) {
        let share = vec![Share { lane: "rule events/all".into(), most: 1 }];
        let job = self.store.claim(share, Vec::new(), Duration::from_secs(30)).await.unwrap().jobs.remove(0);
        let settled = self.store.settle(job.token, Attempt::default(), end).await;
        assert_eq!(settled, Ok(Settled::Applied));
    }

    async fn sweep(&self, days: u64) -> Removed {
        let keep = Duration::from_hours(24 * days);
        self.store.sweep(keep, keep.max(Duration::from_hours(168)), 1_000).await.unwrap()
    }

    async fn there(&self) -> Vec<String> {
        let page = self.store.list(Query { limit: 1000, ..Query::default() }).await.unwrap();
        page.events.into_iter().map(|event| event.key).rev().collect()
    }

    async fn is_known(&self, key: &str) -> bool {
        self.store.accept(intake(key)).await.unwrap() == [Accepted::Duplicate]
    }
}

#[tokio::test]
async fn a_dead_letter_stays_from_its_death() {
    let times = Times::start(START);
    let mut later = intake("late");
    later.events[0].jobs[0].delay = Duration::from_hours(7 * 24);
    times.store.accept(later).await.unwrap();
    times.event("soon", End::Dead).await;
    times.event("done", End::Done(Vec::new())).await;
    times.wait(7 * DAY + HOUR);
    times.end(End::Dead).await;
    assert_eq!(times.sweep(7).await, Removed { count: 2, dead: 1 }, "of which one was dead");
    assert_eq!(times.there().await, ["late"], "what died then is kept from then on");
    times.wait(7 * DAY - HOUR);
    times.sweep(7).await;
    assert_eq!(times.there().await, ["late"]);
    let which = crate::Selection::One(EventRef::Key("late".to_owned()));
    times.store.operate(Operation::Replay { which, force: false }).await.unwrap();
    times.wait(2 * HOUR);
    times.sweep(7).await;
    times.end(End::Done(Vec::new())).await;
    times.sweep(7).await;
    assert_eq!(times.there().await, ["late"], "what is done late is kept from then on, too");
    times.wait(7 * DAY + 1);
    times.sweep(7).await;
    assert_eq!(times.there().await, Vec::<String>::new());
}

#[tokio::test]
async fn events_of_a_clock_that_was_ahead_stop_no_sweep() {
    let times = Times::start(START + 400 * DAY);
    // More than are looked at together.
    for number in 0..600 {
        let mut plain = intake(&format!("ahead {number}"));
        plain.events[0].jobs.clear();
        times.store.accept(plain).await.unwrap();
    }
    let times = times.restart(START).await;
    for key in ["a", "b"] {
        times.event(key, End::Done(Vec::new())).await;
    }
    times.sweep(1).await;
    assert_eq!(times.there().await.len(), 602, "nothing is old yet");
    times.wait(DAY + HOUR);
    times.event("new", End::Done(Vec::new())).await;
    times.sweep(1).await;
    assert_eq!(times.there().await, ["new"], "what came before something old is old, whatever its clock said");
}

#[tokio::test]
async fn a_clock_that_was_far_behind_loses_neither_dead_letters_nor_keys() {
    let times = Times::start(START - 40 * DAY);
    times.event("dead", End::Dead).await;
    times.event("done", End::Done(Vec::new())).await;
    let times = times.restart(START).await;
    times.sweep(1).await;
    assert_eq!(times.there().await, ["dead"]);
    assert!(times.is_known("done").await && times.is_known("dead").await);
    // They grow old from now on.
    times.wait(DAY + HOUR);
    times.sweep(1).await;
    assert_eq!(times.there().await, Vec::<String>::new());
    assert!(times.is_known("done").await);
    times.wait(7 * DAY);
    times.sweep(1).await;
    assert!(!times.is_known("done").await);
}

#[tokio::test]
async fn a_clock_that_was_far_ahead_loses_neither_dead_letters_nor_keys() {
    let times = Times::start(START);
    times.event("dead", End::Dead).await;
    times.event("done", End::Done(Vec::new())).await;
    times.wait(HOUR);
    let times = times.restart(START + 400 * DAY).await;
    times.event("dead ahead", End::Dead).await;
    times.sweep(1).await;
    assert_eq!(times.there().await, ["dead", "dead ahead"]);
    let times = times.restart(START + 2 * HOUR).await;
    times.event("new", End::Done(Vec::new())).await;
    times.sweep(1).await;
    assert_eq!(times.there().await, ["dead", "dead ahead", "new"]);
    for key in ["dead", "done", "dead ahead", "new"] {
        assert!(times.is_known(key).await, "{key}");
    }
    times.wait(DAY);
    times.sweep(1).await;
    assert!(!times.there().await.contains(&"dead".to_owned()), "it is old by the clock that is right");
}

#[tokio::test]
async fn decisions_of_a_clock_that_was_ahead_stop_no_sweep() {
    let times = Times::start(START);
    let record = |id: &str, at| decision::Record { id: id.to_owned(), at, ..decision::Record::default() };
    let kept = [record("ahead", START + 400 * DAY), record("old", START), record("new", START + 3 * DAY)];
    let kept = kept.into_iter().map(|record| Kept { record, capture: None, handles: Vec::new() }).collect();
    times.store.record(kept).await.unwrap();
    times.wait(3 * DAY);
    times.sweep(1).await;
    let left = times.store.decisions(decision::Query::default()).await.unwrap().records;
    let left: Vec<&str> = left.iter().map(|record| record.id.as_str()).collect();
    assert_eq!(left, ["new", "ahead"]);
}

fn answer(key: &str, until: i64) -> OneTimeAnswer {
    OneTimeAnswer { route: "logout".into(), key: key.to_owned(), answer: "told".into(), until }
}

#[tokio::test]
async fn a_clock_that_was_ahead_makes_no_call_count_twice() {
    let times = Times::start(START);
    let keep = async |times: &Times, key: &str| {
        let told = times.store.keep_answer(Intake::default(), answer(key, times.store.now() + HOUR)).await;
        assert_eq!(told, Ok(None), "{key}");
    };
    let knows = async |times: &Times, key: &str| times.store.answer("logout", key).await.unwrap().is_some();
    keep(&times, "before").await;
    let times = times.restart(START + 400 * DAY).await;
    assert!(!knows(&times, "before").await, "its time is over, as far as the clock says");
    keep(&times, "ahead").await;
    times.sweep(1).await;
    // Right again, half an hour after the start.
    let times = times.restart(START + HOUR / 2).await;
    assert!(knows(&times, "before").await, "no sweep took it");
    assert!(knows(&times, "ahead").await);
    times.wait(HOUR / 2);
    assert!(!knows(&times, "before").await, "it is kept no longer than it was meant to be");
    times.wait(HOUR / 2);
    assert!(!knows(&times, "ahead").await);
    times.sweep(1).await;
    let db = connect::reader(&times.folder.path().join("data/hookgate.db")).unwrap();
    let left: i64 = db.query_row("SELECT count(*) FROM answer", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0, "and then it is swept");
}

#[tokio::test]
async fn a_clock_that_was_set_back_keeps_no_answer_for_longer() {
    let times = Times::start(START);
    times.store.keep_answer(Intake::default(), answer("a", START + HOUR)).await.unwrap();
    let times = times.restart(START - 40 * DAY).await;
    assert_eq!(times.store.answer("logout", "a").await, Ok(Some("told".into())));
    times.wait(HOUR - 1);
    assert_eq!(times.store.answer("logout", "a").await, Ok(Some("told".into())));
    times.wait(1);
    assert_eq!(times.store.answer("logout", "a").await, Ok(None));
}

#[tokio::test]
async fn many_answers_are_swept() {
    let times = Times::start(START);
    for number in 0..1_100 {
        let until = START + if number % 2 == 0 { HOUR } else { 3 * HOUR };
        times.store.keep_answer(Intake::default(), answer(&number.to_string(), until)).await.unwrap();
    }
    times.wait(2 * HOUR);
    times.sweep(1).await;
    let db = connect::reader(&times.folder.path().join("data/hookgate.db")).unwrap();
    let left: i64 = db.query_row("SELECT count(*) FROM answer", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 550);
}

#[tokio::test]
async fn a_store_of_an_earlier_version_keeps_its_dead_letters() {
    let times = Times::start(START);
    times.event("dead", End::Dead).await;
    times.event("done", End::Done(Vec::new())).await;
    times.store.close().await.unwrap();
    let file = times.folder.path().join("data/hookgate.db");
    let db = rusqlite::Connection::open(&file).unwrap();
    // As the version before left it.
    db.execute_batch(
        "DROP TABLE answer; DROP TABLE claimant; DROP INDEX event_received; DROP INDEX job_ahead; ALTER TABLE job DROP COLUMN ended; PRAGMA user_version = 5;
         UPDATE attempt SET started = 1700000000000, took_ms = 500;",
    )
    .unwrap();
    drop(db);
    let times = times.restart_closed(START + 2 * DAY);
    times.sweep(3).await;
    let ends: Vec<(String, Option<i64>)> = {
        let db = connect::reader(&file).unwrap();
        let mut read = db.prepare("SELECT state, ended FROM job ORDER BY id").unwrap();
        read.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<Result<_, _>>().unwrap()
    };
    assert_eq!(ends, [(JobState::Dead.name().to_owned(), Some(START + 500)), ("done".to_owned(), None)]);
    assert_eq!(times.there().await, ["dead", "done"]);
}

impl Times {
    fn restart_closed(self, time: i64) -> Self {
        let Self { folder, store, .. } = self;
        drop(store);
        let (clock, store) = Self::open(&folder, time);
        Self { folder, clock, store }
    }
}
