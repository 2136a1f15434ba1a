//! A call's deadline holds while another process holds the store's lock, and what was answered without its actions is not done
//! later (#14).

use std::fs;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;

use crate::process::{Served, sample};

const DEADLINE: Duration = Duration::from_millis(500);

const CONFIG: &str = r#"
[connectors.chat]
kind = "file"
path = "chat.jsonl"
[auth.test]
scheme = "header"
secrets = [{ file = "secret" }]
[limits]
deadline_ms = 500
[routes.acts]
path = "/acts"
hook = "okta.registration"
script = "acts.rhai"
auth = "test"
on_failure = { deny = "Declared." }
[routes.counts]
path = "/counts"
hook = "okta.registration"
script = "counts.rhai"
auth = "test"
on_failure = { deny = "Declared." }
"#;
const ACTS: &str = "fn on_registration(_request) { [deny(\"Decided.\"), notify(\"chat\", \"done\")] }\n";
const COUNTS: &str = "fn on_registration(_request) { deny(`count ${kv.incr(\"calls\", \"1d\")}.`) }\n";

/// A call that was not there before.
fn call(served: &Served, path: &str, number: usize) -> (String, Duration) {
    let mut body: Value = serde_json::from_str(sample("okta.registration")).unwrap();
    body["eventId"] = format!("call {number}").into();
    let started = Instant::now();
    (served.post(path, &body.to_string()), started.elapsed())
}

/// Calls while the lock is held, and gives the quickest answer's time: others may have waited for the machine.
fn under_lock(served: &Served, path: &str) -> Duration {
    let other = Connection::open(served.folder().join("data/hookgate.db")).unwrap();
    other.execute_batch("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE").unwrap();
    let mut quickest = Duration::MAX;
    for number in 0..4 {
        let (answer, took) = call(served, path, number);
        assert!(answer.contains("Declared."), "{answer}");
        quickest = quickest.min(took);
    }
    quickest
}

/// Calls until the store works again: the answer of the first call that was not answered with the declared one.
fn answered(served: &Served, path: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    for number in 100.. {
        let (answer, _) = call(served, path, number);
        if !answer.contains("Declared.") {
            return answer;
        }
        assert!(Instant::now() < deadline, "the store does not work again");
    }
    unreachable!("the numbers do not end")
}

#[test]
fn a_locked_store_costs_no_call_its_deadline_and_nothing_acts_afterwards() {
    let served = Served::start(CONFIG, &[("scripts/acts.rhai", ACTS), ("scripts/counts.rhai", COUNTS)]);
    for path in ["/acts", "/counts"] {
        let quickest = under_lock(&served, path);
        assert!(quickest < DEADLINE + Duration::from_millis(50), "{path} took {quickest:?}");
    }
    let answer = answered(&served, "/counts");
    assert!(answer.contains("count 1."), "no step of those before was taken: {answer}");
    answered(&served, "/acts");
    let file = served.folder().join("chat.jsonl");
    let deadline = Instant::now() + Duration::from_secs(20);
    while fs::read_to_string(&file).unwrap_or_default().is_empty() {
        assert!(Instant::now() < deadline, "the last action is done");
        std::thread::sleep(Duration::from_millis(10));
    }
    // What was kept earlier would have been done earlier, or stand in the store.
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 1);
    let store = Connection::open(served.folder().join("data/hookgate.db")).unwrap();
    let jobs: i64 = store.query_row("SELECT count(*) FROM job", [], |row| row.get(0)).unwrap();
    assert_eq!(jobs, 1, "one action was kept, of the call that was answered with its decision");
    let log = served.stop();
    assert!(log.contains("the store did not answer in time"), "{log}");
}
