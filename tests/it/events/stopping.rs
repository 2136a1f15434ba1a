//! What a stop in good order, and an interrupted copy, leave on the disk (#14).

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::json;

use crate::events::{delivery, event};
use crate::process::{Served, hookgate};

const CONFIG: &str = r#"
[auth.test]
scheme = "header"
secrets = [{ file = "secret" }]
[routes.hook]
path = "/hook"
hook = "okta.event"
script = "hook.rhai"
auth = "test"
"#;

fn served() -> Served {
    Served::start(CONFIG, &[("scripts/hook.rhai", "fn on_event(_event) { }")])
}

#[test]
fn a_clean_stop_leaves_one_whole_file() {
    for many in [1, 40] {
        let served = served();
        for number in 0..many {
            let answer =
                served.post("/hook", &delivery(&format!("d{number}"), &[event(&format!("e{number}"), json!({}))]));
            assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
        }
        // People look, too: their connections are closed with the others.
        assert!(served.admin("/api/v1/events").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")));
        let log = served.stop_and(|folder| {
            assert!(!folder.join("data/hookgate.db-wal").exists(), "nothing is left beside it");
            let copy = folder.join("copy.db");
            fs::copy(folder.join("data/hookgate.db"), &copy).unwrap();
            let count = Connection::open(&copy).unwrap().query_row("SELECT count(*) FROM event", [], |row| row.get(0));
            assert_eq!(count, Ok(many));
        });
        assert!(!log.contains("is not folded"), "{log}");
    }
}

#[test]
fn a_copy_that_is_interrupted_never_has_the_name() {
    let served = served();
    let folder = served.folder();
    // Enough for a copy that takes a moment.
    let db = Connection::open(folder.join("data/hookgate.db")).unwrap();
    db.execute_batch("CREATE TABLE ballast (x BLOB)").unwrap();
    db.execute(
        "INSERT INTO ballast WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 120)
         SELECT randomblob(1000000) FROM n",
        [],
    )
    .unwrap();
    for (signal, leaves) in [("-KILL", true), ("-INT", false), ("-TERM", false)] {
        let (copy, part) = (folder.join(format!("copy{signal}.db")), folder.join(format!("copy{signal}.db.part")));
        let name = copy.file_name().unwrap().to_str().unwrap();
        let mut command = hookgate(folder, &["events", "backup", name]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while !part.metadata().is_ok_and(|found| found.len() > 0) {
            assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "it is never written");
        }
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let ended = child.wait_with_output().unwrap();
        assert!(!ended.status.success(), "{signal}");
        assert_eq!((copy.exists(), part.exists()), (false, leaves), "{signal}: {ended:?}");
        assert!(hookgate(folder, &["events", "backup", name]).output().unwrap().status.success(), "{signal}");
        assert_eq!((copy.exists(), part.exists()), (true, false), "{signal}");
    }
}
