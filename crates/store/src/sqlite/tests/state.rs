//! The small state of scripts in the file: limits, clocks, sweeps, and files from before there was any.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::KeyChoice;
use crate::contract::state::{get, incr, once, set, within_rate};
use crate::state::MOST_KEYS;

const START: i64 = 1_700_000_000_000;

fn at(folder: &TempDir) -> PathBuf {
    folder.path().join("data/hookgate.db")
}

fn open_at(folder: &TempDir, time: i64) -> Sqlite {
    Sqlite::open(&at(folder), Options { clock: Arc::new(Clock::at(time)), ..Options::default() }).unwrap()
}

fn step(kv: hookgate_model::question::Kv, origin: Option<&str>) -> Step {
    Step { kv, dry: false, origin: origin.map(str::to_owned) }
}

/// Keys, bytes and answers as the triggers counted them, and as they are.
fn totals(file: &Path) -> [(i64, i64, i64); 2] {
    let db = Connection::open(file).unwrap();
    let read = |sql: &str| db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    [
        read("SELECT keys, bytes, answers FROM kv_total"),
        read(
            "SELECT count(*), coalesce(sum(length(CAST(key AS BLOB)) + coalesce(length(CAST(value AS BLOB)),
                 length(earlier))), 0), (SELECT count(*) FROM kv_answer) FROM kv",
        ),
    ]
}

#[tokio::test]
async fn what_there_is_of_it_is_counted_and_swept() {
    let folder = TempDir::new().unwrap();
    let store = open_at(&folder, START);
    for number in 0..1000 {
        store.state(step(once(&format!("key {number}")), Some(&format!("job {number}")))).await.unwrap();
    }
    store.state(step(set("ä", json!("öü")), None)).await.unwrap();
    store.state(step(set("ä", json!([1, 2])), None)).await.unwrap();
    for _ in 0..5 {
        store.state(step(within_rate("rate", 3), None)).await.unwrap();
        store.clock().advance(Duration::from_secs(10));
    }
    let [counted, are] = totals(&at(&folder));
    assert_eq!(counted, are);
    assert_eq!((counted.0, counted.2), (1002, 1000));
    let sweep = || Operation::Sweep { keep: Duration::MAX, remember: Duration::MAX, decisions: 0 };
    store.clock().advance(Duration::from_secs(25));
    assert_eq!(store.operate(sweep()).await, Ok(0), "only events are counted");
    let [counted, are] = totals(&at(&folder));
    assert_eq!((counted, counted.0), (are, 1), "the youngest time of the rate is in its window");
    store.clock().advance(crate::state::REMEMBER);
    store.operate(sweep()).await.unwrap();
    assert_eq!(totals(&at(&folder)), [(0, 0, 0); 2]);
}

#[tokio::test]
async fn too_many_keys_are_refused_until_some_expire() {
    let folder = TempDir::new().unwrap();
    let store = open_at(&folder, START);
    store.state(step(incr("old", 1), None)).await.unwrap();
    let claim = |keys: i64| {
        let db = Connection::open(at(&folder)).unwrap();
        db.execute("UPDATE kv_total SET keys = ?1", [keys]).unwrap();
    };
    claim(MOST_KEYS.cast_signed());
    let refused = store.state(step(once("new"), None)).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "`kv` is full: it has 1000000 keys and 1024 MiB at most. Keep things for a shorter time, or under fewer keys"
    );
    assert_eq!(store.state(step(incr("old", 1), None)).await, Ok(json!(2)), "what is there goes on");
    assert_eq!(store.health().await.unwrap().trouble, None, "and the store is well");
    store.clock().advance(Duration::from_secs(60));
    assert_eq!(store.state(step(once("new"), None)).await, Ok(json!(true)), "room is made before a sweep");
}

#[tokio::test]
async fn nothing_is_kept_longer_because_the_clock_was_set_back() {
    let folder = TempDir::new().unwrap();
    let store = open_at(&folder, START);
    store.state(step(once("once"), Some("job 1"))).await.unwrap();
    assert_eq!(store.state(step(within_rate("rate", 1), None)).await, Ok(json!(true)));
    drop(store);
    let store = open_at(&folder, START - 7_200_000);
    assert_eq!(store.state(step(once("once"), None)).await, Ok(json!(false)));
    assert_eq!(store.state(step(within_rate("rate", 1), None)).await, Ok(json!(false)));
    store.clock().advance(Duration::from_secs(60));
    assert_eq!(store.state(step(once("once"), None)).await, Ok(json!(true)));
    assert_eq!(store.state(step(within_rate("rate", 1), None)).await, Ok(json!(true)));
    assert_eq!(store.state(step(once("once"), Some("job 1"))).await, Ok(json!(true)), "and what was answered");
}

#[tokio::test]
async fn beside_the_gateway_it_can_be_looked_at_and_cleared() {
    let folder = TempDir::new().unwrap();
    let gateway = open(&folder);
    gateway.state(step(set("k", json!(7)), None)).await.unwrap();
    let beside = Sqlite::attach(&at(&folder)).unwrap();
    assert_eq!(beside.state(step(get("k"), None)).await, Ok(json!(7)));
    assert!(matches!(beside.state(step(once("k"), None)).await, Err(StoreError::Refused(_))));
    assert_eq!(gateway.state(step(once("k"), None)).await, Ok(json!(false)));
    assert_eq!(beside.operate(Operation::Clear { keys: KeyChoice::One("k".to_owned()) }).await, Ok(1));
    assert_eq!(gateway.state(step(once("k"), None)).await, Ok(json!(true)), "the gateway sees it at once");
    assert_eq!(gateway.state(step(within_rate("rate", 1), None)).await, Ok(json!(true)));
    assert_eq!(gateway.state(step(within_rate("rate", 1), None)).await, Ok(json!(false)));
    assert_eq!(beside.operate(Operation::Clear { keys: KeyChoice::Beginning(String::new()) }).await, Ok(2));
    assert_eq!(gateway.state(step(within_rate("rate", 1), None)).await, Ok(json!(true)));
    let [counted, are] = totals(&at(&folder));
    assert_eq!((counted, counted.0), (are, 1), "what is cleared makes room");
}

#[test]
fn keys_of_a_range_are_found_by_the_index_from_its_begin_to_its_end() {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(include_str!("../state.sql")).unwrap();
    let sql = format!("EXPLAIN QUERY PLAN SELECT key FROM kv WHERE {}", super::super::state::IN_RANGE);
    let plan: String = db.query_row(&sql, ["a", "b", "", "", "0", "1"], |row| row.get(3)).unwrap();
    assert!(plan.contains("INDEX") && plan.contains("(key>? AND key<?)"), "{plan}");
}

#[tokio::test]
async fn a_file_from_before_there_was_state_is_brought_up_to_date() {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    let db = Connection::open(at(&folder)).unwrap();
    db.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;").unwrap();
    db.execute_batch(include_str!("../schema.sql")).unwrap();
    db.execute_batch(
        "INSERT INTO event (id, route, key, type, received, flags) VALUES (1, 'events', 'a', 't', 5, '');
         INSERT INTO body (event, envelope, body) VALUES (1, '{}', x'7b7d');
         INSERT INTO seen (route, key, event, first_at) VALUES ('events', 'a', 1, 5);
         PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(db);
    let refused = Sqlite::attach(&at(&folder)).err().unwrap().to_string();
    assert!(refused.ends_with("was written by an older version: start the gateway once, which brings it up to date"));
    let store = open(&folder);
    assert_eq!(store.accept(intake("a")).await.unwrap(), [Accepted::Duplicate]);
    assert_eq!(store.state(step(once("k"), None)).await, Ok(json!(true)));
}
