//! `test --watch`: the program runs, files are saved, and its output is read.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::super::Bundle;
use super::{TESTS, bundle};

struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Watching {
    fn start(bundle: &Bundle, args: &[&str]) -> Self {
        let mut command = bundle.command(&[&["test", "--watch"], args].concat());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        Self { child, lines }
    }

    /// Everything up to the first line that has this in it.
    fn until(&self, wanted: &str) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(40);
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => seen.push(line),
                Err(error) => panic!("`{wanted}` does not come ({error}) after {seen:#?}"),
            }
            if seen.last().unwrap().contains(wanted) {
                return seen;
            }
        }
    }

    fn interrupt(mut self) -> i32 {
        let id = self.child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().expect("it ends by itself");
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::yield_now();
        }
    }
}

const SECOND: &str = "fn twice(n) { n * 2 }\n";
const SECOND_TEST: &str = "import \"second\" as second;\nfn test_twice() { assert_eq(second::twice(2), 4); }\n";

#[test]
fn a_saved_file_is_tested_again() {
    let bundle = bundle("fn test_plain() { assert_eq(run().commands, [\"allow\"]); }\n");
    bundle.write("scripts/second.rhai", SECOND);
    bundle.write("scripts/second_test.rhai", SECOND_TEST);
    let watching = Watching::start(&bundle, &[]);
    watching.until("2 passed of 2 scripts");

    // Only what the change touches is run; the rest is still in the count.
    bundle.write("scripts/second.rhai", "fn twice(n) { n * 3 }\n");
    let seen = watching.until("1 failed, 1 passed of 2 scripts");
    assert!(seen.contains(&"run again: second.rhai".to_owned()), "{seen:#?}");
    assert!(seen.iter().any(|line| line.contains("expected 4")), "{seen:#?}");
    assert!(!seen.iter().any(|line| line.contains('\u{1b}')), "nothing is cleared where no terminal is: {seen:#?}");

    // A bundle that is broken shows why, and is watched on.
    bundle.write("scripts/second.rhai", "fn twice(n) { n * }\n");
    let seen = watching.until("nothing was tested");
    assert!(seen.iter().any(|line| line.contains("scripts/second.rhai:1")), "{seen:#?}");

    // Replaced as editors do it.
    std::fs::write(bundle.path().join("scripts/.second.swp"), SECOND).unwrap();
    std::fs::rename(bundle.path().join("scripts/.second.swp"), bundle.path().join("scripts/second.rhai")).unwrap();
    let seen = watching.until("2 passed of 2 scripts");
    assert!(seen.contains(&"run again: second.rhai".to_owned()), "{seen:#?}");

    // A table that the tests of one script read.
    bundle.write("tables/disposable.txt", "mailinator.com\nother.example\n");
    let seen = watching.until("2 passed of 2 scripts");
    assert!(seen.contains(&"run again: registration.rhai".to_owned()), "{seen:#?}");

    // Nothing that any test could notice.
    bundle.replace("gateway.toml", "127.0.0.1:8080", "127.0.0.1:8099");
    let seen = watching.until("2 passed of 2 scripts");
    assert!(seen.contains(&"no test is touched by what changed".to_owned()), "{seen:#?}");

    // Timed last: soon after its start the program looks again by itself.
    let saved = Instant::now();
    bundle.write("scripts/second.rhai", "fn twice(n) { n * 5 }\n");
    watching.until("1 failed, 1 passed of 2 scripts");
    let took = saved.elapsed();
    println!("a save was answered after {took:?}");
    assert!(cfg!(debug_assertions) || took < Duration::from_millis(300), "{took:?}");
    assert_eq!(watching.interrupt(), 0);
}

#[test]
fn a_touched_file_is_not_tested_again() {
    let bundle = bundle(TESTS);
    let watching = Watching::start(&bundle, &["--json"]);
    let first = watching.until("\"passed\":false");
    assert_eq!(first.len(), 1, "a document is a line: {first:#?}");
    bundle.write("scripts/registration_test.rhai", TESTS);
    bundle.write("scripts/notes.txt", "nothing of the bundle");
    let more = watching.lines.recv_timeout(Duration::from_secs(1));
    assert_eq!(more, Err(RecvTimeoutError::Timeout));
    assert_eq!(watching.interrupt(), 0);
}

#[test]
fn a_test_in_work_does_not_keep_it_from_ending() {
    let bundle = bundle("fn test_slow() { loop {} }\n");
    let watching = Watching::start(&bundle, &[]);
    std::thread::sleep(Duration::from_millis(700));
    let started = Instant::now();
    assert_eq!(watching.interrupt(), 0);
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}
