//! The file: who may use it, what it is, and copies of it.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::JobState;
use crate::Selection;
use crate::clock::Clock;
use crate::sqlite::tests::stand::leave;

fn at(folder: &TempDir) -> PathBuf {
    folder.path().join("data/hookgate.db")
}

async fn count(store: &Sqlite) -> usize {
    store.list(Query { limit: 1000, ..Query::default() }).await.unwrap().events.len()
}

#[tokio::test]
async fn folder_and_file_are_for_nobody_else() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    store.accept(intake("a")).await.unwrap();
    let mode = |name: &str| folder.path().join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("data"), 0o700);
    for name in ["data/hookgate.db", "data/hookgate.db-wal", "data/hookgate.db.lock"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_second_gateway_is_refused() {
    let folder = TempDir::new().unwrap();
    let first = open(&folder);
    let Err(error) = Sqlite::open(&at(&folder), Options::default()) else { panic!("it is in use") };
    assert!(matches!(error, OpenError::Locked { .. }));
    assert!(error.to_string().contains("data/hookgate.db"), "{error}");
    drop(first);
    open(&folder);
}

#[tokio::test]
async fn a_file_of_a_newer_version_or_another_program_is_refused() {
    let folder = TempDir::new().unwrap();
    drop(open(&folder));
    let change = |sql: &str| rusqlite::Connection::open(at(&folder)).unwrap().execute_batch(sql).unwrap();
    change("PRAGMA user_version = 99");
    let refused = Sqlite::open(&at(&folder), Options::default()).err().unwrap();
    assert!(matches!(refused, OpenError::Newer { found: 99, .. }), "{refused}");
    change("PRAGMA user_version = 0");
    let refused = Sqlite::open(&at(&folder), Options::default()).err().unwrap();
    assert!(matches!(refused, OpenError::Foreign(_)), "{refused}");
    assert!(matches!(Sqlite::attach(&at(&folder)), Err(OpenError::Foreign(_))));
}

#[tokio::test]
async fn a_file_without_a_setting_is_refused() {
    let folder = TempDir::new().unwrap();
    drop(open(&folder));
    let change = |sql: &str| rusqlite::Connection::open(at(&folder)).unwrap().execute_batch(sql).unwrap();
    change("PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM");
    let refused = Sqlite::open(&at(&folder), Options::default()).err().unwrap();
    assert!(matches!(refused, OpenError::Setting { setting: "auto_vacuum", .. }), "{refused}");
}

#[tokio::test]
async fn a_file_of_another_program_is_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("other.db");
    // Other programs number their tables, too, and may have one that is called like one of ours.
    for version in [0, 1, 3, 7, 99, -1] {
        let _ = std::fs::remove_file(&file);
        let made = rusqlite::Connection::open(&file).unwrap();
        made.execute_batch(&format!("CREATE TABLE event (y); PRAGMA user_version = {version}")).unwrap();
        drop(made);
        let before = std::fs::read(&file).unwrap();
        let refused = Sqlite::open(&file, Options::default()).err().unwrap();
        assert!(matches!(refused, OpenError::Foreign(_)), "{version}: {refused}");
        assert!(matches!(Sqlite::attach(&file), Err(OpenError::Foreign(_))), "{version}");
        assert!(std::fs::read(&file).unwrap() == before, "{version}: it was changed");
    }
}

#[tokio::test]
async fn a_number_of_the_tables_that_is_wrong_is_said_in_words() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    store.accept(intake("a")).await.unwrap();
    store.close().await.unwrap();
    let database = || rusqlite::Connection::open(at(&folder)).unwrap();
    let number =
        |db: &rusqlite::Connection| db.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).unwrap();
    let right = number(&database());
    for wrong in 1..right {
        database().execute_batch(&format!("PRAGMA user_version = {wrong}")).unwrap();
        let refused = Sqlite::open(&at(&folder), Options::default()).err().unwrap();
        assert!(matches!(&refused, OpenError::Tables { found, .. } if *found == wrong), "{refused}");
        let text = refused.to_string();
        assert!(
            text.contains("put a backup in its place") && !text.contains("CREATE") && !text.contains('\n'),
            "{text}"
        );
        assert_eq!(number(&database()), wrong, "nothing was changed");
    }
    database().execute_batch(&format!("PRAGMA user_version = {right}")).unwrap();
    assert_eq!(count(&open(&folder)).await, 1);
}

#[tokio::test]
async fn leases_in_a_file_of_the_version_before_are_void() {
    let folder = TempDir::new().unwrap();
    let share = || vec![Share { lane: "rule events/all".into(), most: 5 }];
    let store = open(&folder);
    store.accept(intake("a")).await.unwrap();
    store.claim(share(), Vec::new(), Duration::from_secs(600)).await.unwrap();
    store.close().await.unwrap();
    rusqlite::Connection::open(at(&folder))
        .unwrap()
        .execute_batch("DROP TABLE answer; DROP TABLE claimant; PRAGMA user_version = 7")
        .unwrap();
    assert!(matches!(Sqlite::attach(&at(&folder)), Err(OpenError::Older(_))));
    // Whatever the gateway of the version before was called.
    let clock = Arc::new(Clock::start());
    let options = Options { clock: Arc::clone(&clock), claimant: Claimant::of_instance("another") };
    let store = Sqlite::open(&at(&folder), options).unwrap();
    clock.advance(crate::AFTER_DEATH[0]);
    let lanes = vec!["rule events/all".into()];
    let job = store.claim_suspect(lanes, Duration::from_secs(30)).await.unwrap().expect("it waits");
    assert_eq!((job.key.as_str(), job.deaths, job.token.attempt), ("a/all", 1, 2));
}

#[tokio::test]
async fn the_command_line_works_beside_the_gateway() {
    let folder = TempDir::new().unwrap();
    assert!(matches!(Sqlite::attach(&at(&folder)), Err(OpenError::Missing(_))));
    let gateway = open(&folder);
    gateway.accept(intake("a")).await.unwrap();
    let share = || vec![Share { lane: "rule events/all".into(), most: 5 }];
    let job = gateway.claim(share(), Vec::new(), Duration::from_secs(30)).await.unwrap().jobs.remove(0);

    let beside = Sqlite::attach(&at(&folder)).unwrap();
    assert_eq!(beside.health().await.unwrap().running, 1, "its leases are not void");
    assert!(matches!(beside.accept(intake("b")).await, Err(StoreError::Refused(_))));
    assert!(matches!(beside.claim(share(), Vec::new(), Duration::from_secs(30)).await, Err(StoreError::Refused(_))));
    gateway.settle(job.token, Attempt::default(), End::Dead).await.unwrap();
    let which = Selection::All(Box::new(Query { state: Some(JobState::Dead), ..Query::default() }));
    assert_eq!(beside.operate(Operation::Replay { which, force: false }).await, Ok(1));
    // Each of the two has a clock of its own, and they may be a millisecond apart.
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(gateway.claim(share(), Vec::new(), Duration::from_secs(30)).await.unwrap().jobs.len(), 1);
}

#[tokio::test]
async fn a_copy_can_be_made_while_work_goes_on_and_put_back() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    for number in 0..20 {
        store.accept(intake(&number.to_string())).await.unwrap();
    }
    let copy = folder.path().join("copy.db");
    let (made, later) = tokio::join!(store.copy_to(copy.clone()), store.accept(intake("later")));
    made.unwrap();
    later.unwrap();
    assert!(matches!(store.copy_to(copy.clone()).await, Err(StoreError::Refused(_))), "it is there already");
    assert!(!folder.path().join("copy.db.part").exists());
    let restored = Sqlite::open(&copy, Options::default()).unwrap();
    assert!(count(&restored).await >= 20);
    assert_eq!(restored.accept(intake("0")).await.unwrap(), [Accepted::Duplicate]);
}

#[tokio::test]
async fn people_read_dates_in_the_views() {
    let folder = TempDir::new().unwrap();
    let clock = Arc::new(Clock::at(1_700_000_000_123));
    let store = Sqlite::open(&at(&folder), Options { clock, ..Options::default() }).unwrap();
    store.accept(intake("a")).await.unwrap();
    let db = connect::reader(&at(&folder)).unwrap();
    let read = |sql: &str| db.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(read("SELECT received || ' ' || type FROM events"), "2023-11-14T22:13:20.123Z user.session.start");
    assert_eq!(read("SELECT lane || ' ' || state || ' ' || due FROM jobs"), {
        "rule events/all waiting 2023-11-14T22:13:20.123Z"
    });
}

#[tokio::test]
async fn nothing_waits_because_the_clock_was_set_back() {
    let folder = TempDir::new().unwrap();
    let (late, early) = (1_700_007_200_000, 1_700_000_000_000);
    let open_at =
        |time| Sqlite::open(&at(&folder), Options { clock: Arc::new(Clock::at(time)), ..Options::default() }).unwrap();
    let store = open_at(late);
    let mut delayed = intake("a");
    delayed.events[0].jobs[0].delay = Duration::from_secs(10);
    store.accept(delayed).await.unwrap();
    drop(store);
    let store = open_at(early);
    let claimed =
        store.claim(vec![Share { lane: "rule events/all".into(), most: 5 }], Vec::new(), Duration::ZERO).await.unwrap();
    assert_eq!(claimed.next_due, Some(early + 10_000));
    drop(store);
    let store = open_at(early - 30_000);
    let claimed =
        store.claim(vec![Share { lane: "rule events/all".into(), most: 5 }], Vec::new(), Duration::ZERO).await.unwrap();
    assert_eq!(claimed.next_due, Some(early + 10_000), "half a minute is the spread of clocks");
}

#[tokio::test]
async fn numbers_never_come_twice() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    let mut newest = intake("a");
    newest.events[0].jobs.clear();
    assert_eq!(store.accept(newest).await.unwrap(), [Accepted::New(1)]);
    let which = Selection::One(EventRef::Id(1));
    assert_eq!(store.operate(Operation::Purge { which }).await, Ok(1));
    drop(store);
    assert_eq!(open(&folder).accept(intake("b")).await.unwrap(), [Accepted::New(2)]);
}

#[tokio::test]
async fn a_log_cut_anywhere_keeps_what_was_synced_before_the_cut() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    let data = folder.path().join("data");
    let log = data.join("hookgate.db-wal");
    let mut ends = Vec::new();
    for number in 0..30 {
        store.accept(intake(&number.to_string())).await.unwrap();
        ends.push(log.metadata().unwrap().len());
    }
    let whole = *ends.last().unwrap();
    for cut in (0..=30).map(|part| whole - whole * part / 43 - u64::from(part % 2 == 1)) {
        let torn = TempDir::new().unwrap();
        leave(&data, torn.path());
        let file = std::fs::OpenOptions::new().write(true).open(torn.path().join("hookgate.db-wal")).unwrap();
        file.set_len(cut).unwrap();
        let kept = ends.iter().filter(|end| **end <= cut).count();
        let reopened = Sqlite::open(&torn.path().join("hookgate.db"), Options::default()).unwrap();
        assert_eq!(count(&reopened).await, kept, "cut at {cut} of {whole}");
    }
}
