//! What ends the process while a release is built or a call is answered is remembered and told, and so is a panic (#13). What jobs
//! do that end the process is tried in `tests/crash`.

use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use hookgate_engine::release::attempts;
use hookgate_model::suspects;
use serde_json::Value;

use crate::harness::SECRET;
use crate::process::{Ran, exchange, free_port, get, hookgate, sample};

const GOOD: &str = "fn on_registration(request) { allow() }\n";
const ROUTE: &str = "[auth.test]\nscheme = \"header\"\nsecrets = [{ file = \"secret\" }]\n[routes.hook]\npath = \"/hook\"\n\
    hook = \"okta.registration\"\nscript = \"hook.rhai\"\nauth = \"test\"\non_failure = { deny = \"Later.\" }\n";

/// A bundle of one route that is started again and again.
struct Bundle {
    folder: tempfile::TempDir,
    port: u16,
    admin: u16,
    /// Not in the folder: each line would be a change to look at.
    printed: tempfile::NamedTempFile,
}

impl Bundle {
    fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, admin) = (free_port(), free_port());
        let listen = format!("[server]\nlisten = \"127.0.0.1:{port}\"\n[admin]\nlisten = \"127.0.0.1:{admin}\"\n");
        let bundle = Self { folder, port, admin, printed: tempfile::NamedTempFile::new().unwrap() };
        bundle.write("gateway.toml", &format!("{listen}{ROUTE}{more}"));
        bundle.write("secret", SECRET);
        bundle.write("scripts/hook.rhai", GOOD);
        bundle
    }

    fn write(&self, path: &str, text: &str) {
        crate::harness::write(self.folder.path(), path, text);
    }

    /// Starts the gateway, which ends by itself.
    fn ends(&self, failpoint: &str) -> Ran {
        let mut command = hookgate(self.folder.path(), &["serve", "--log", "json"]);
        let output = command.env("HOOKGATE_FAILPOINT", failpoint).output().unwrap();
        let status = output.status.code().unwrap_or(-1);
        Ran { status, out: String::from_utf8(output.stdout).unwrap(), err: String::from_utf8(output.stderr).unwrap() }
    }

    fn serves(&self, failpoint: &str) -> Serving {
        let mut command = hookgate(self.folder.path(), &["serve", "--log", "json"]);
        let log = self.printed.reopen().unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.env("HOOKGATE_FAILPOINT", failpoint).spawn().unwrap();
        let mut serving = Serving { child, port: self.port, admin: self.admin };
        let deadline = Instant::now() + Duration::from_secs(30);
        while !serving.get("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            assert!(serving.child.try_wait().unwrap().is_none(), "{}", self.log());
            assert!(Instant::now() < deadline, "{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        serving
    }

    fn log(&self) -> String {
        fs::read_to_string(self.printed.path()).unwrap_or_default()
    }

    /// Waits until a line of the log has this: lines are written a moment later.
    fn line_with(&self, part: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| line.contains(part)) {
                return line.to_owned();
            }
            assert!(Instant::now() < deadline, "no line with `{part}`:\n{log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

struct Serving {
    child: Child,
    port: u16,
    admin: u16,
}

impl Serving {
    fn get(&self, path: &str) -> Option<String> {
        get(self.admin, path)
    }

    /// The answer to a call of a route; nothing if there was none.
    fn call(&self, path: &str) -> Option<String> {
        let body = sample("okta.registration");
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: {SECRET}\r\nconnection: close");
        let answer = exchange(self.port, &format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
        answer.ok().filter(|answer| !answer.is_empty())
    }

    /// Stops it in good order.
    fn stop(mut self) {
        assert!(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }

    fn release(&self) -> Value {
        let answer = self.get("/api/v1/status").unwrap_or_default();
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str::<Value>(body).unwrap_or_default()["release"].clone()
    }

    /// Waits until the release on disk is refused.
    fn refused(&self) -> Value {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let release = self.release();
            if release["state"] == "refused" {
                return release;
            }
            assert!(Instant::now() < deadline, "{release}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_release_that_ended_the_process_three_times_is_refused() {
    let bundle = Bundle::new("");
    for _ in 0..attempts::MOST_DEATHS {
        assert_eq!(bundle.ends("release.building").status, -1, "it is ended by a signal");
    }
    let refused = bundle.ends("");
    assert_eq!(refused.status, 2, "{}{}", refused.out, refused.err);
    let said = format!("{}{}", refused.out, refused.err);
    assert!(said.contains("the process died 3 times while it built or tested this release"), "{said}");
    // A check builds, too, and is not kept from it.
    let checked = Ran::of(hookgate(bundle.folder.path(), &["check"]).output().unwrap());
    assert_eq!(checked.status, 0, "{}{}", checked.out, checked.err);
    bundle.write("scripts/hook.rhai", "fn on_registration(_request) { allow() }\n");
    drop(bundle.serves(""));
}

#[test]
fn a_release_that_ends_the_process_at_a_reload_is_known_at_the_next_start() {
    let bundle = Bundle::new("");
    let mut serving = bundle.serves("release.reloading");
    bundle.write("scripts/hook.rhai", "fn on_registration(_request) { allow() }\n");
    assert!(serving.child.wait().unwrap().code().is_none(), "it is ended by a signal");
    drop(serving);
    let kept = fs::read_to_string(bundle.folder.path().join("data").join(attempts::FILE)).unwrap();
    assert!(kept.contains("\"building\":[\""), "{kept}");
    drop(bundle.serves(""));
    assert!(!bundle.folder.path().join("data").join(attempts::FILE).exists(), "it went live, so it is no suspect");
}

/// A script that ends the process when it logs a word, and another one beside it.
fn deadly() -> Bundle {
    let other = "[routes.other]\npath = \"/other\"\nhook = \"okta.registration\"\nscript = \"other.rhai\"\nauth = \"test\"\n\
        on_failure = { deny = \"Later.\" }\n";
    let bundle = Bundle::new(other);
    bundle.write("scripts/hook.rhai", "fn on_registration(_request) { log(\"poison\"); allow() }\n");
    bundle.write("scripts/other.rhai", GOOD);
    bundle
}

const DEADLY: &str = "script.log=poison";

fn is_allowed(answer: Option<&String>) -> bool {
    answer.is_some_and(|answer| answer.starts_with("HTTP/1.1 200") && !answer.contains("Later."))
}

#[test]
fn a_call_that_ended_the_process_three_times_gets_the_declared_answer() {
    let bundle = deadly();
    let data = bundle.folder.path().join("data");
    for _ in 0..=suspects::MOST_DEATHS {
        let mut serving = bundle.serves(DEADLY);
        assert!(is_allowed(serving.call("/other").as_ref()), "the route next to it answers");
        assert_eq!(serving.call("/hook"), None, "it dies");
        assert!(serving.child.wait().unwrap().code().is_none(), "it is ended by a signal");
    }
    let serving = bundle.serves(DEADLY);
    let answer = serving.call("/hook").expect("it lives");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("Later."), "{answer}");
    assert!(is_allowed(serving.call("/other").as_ref()), "the route next to it answers");
    let told = bundle.line_with("\"deaths\":2");
    assert!(
        told.contains("\"level\":\"error\"") && told.contains("scripts/hook.rhai") && told.contains("60 s"),
        "{told}"
    );
    bundle.line_with("\"reason\":\"crashed\"");
    let metrics = serving.get("/metrics").unwrap();
    assert!(metrics.contains("hookgate_fallback_total{route=\"hook\",reason=\"crashed\"} 1"), "{metrics}");

    bundle.write("scripts/hook.rhai", GOOD);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_allowed(serving.call("/hook").as_ref()) {
        assert!(Instant::now() < deadline, "a changed script is free: {}", bundle.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(data.join(suspects::SUSPECTS).exists() && data.join(suspects::FILE).exists());
    serving.stop();
    assert!(
        !data.join(suspects::SUSPECTS).exists() && !data.join(suspects::FILE).exists(),
        "a clean stop leaves nothing"
    );
}

#[test]
fn who_is_killed_is_not_refused_and_without_a_death_nothing_is_written_for_calls() {
    let bundle = deadly();
    let noted = bundle.folder.path().join("data").join(suspects::FILE);
    let serving = bundle.serves("");
    assert!(is_allowed(serving.call("/hook").as_ref()));
    assert_eq!(noted.metadata().unwrap().len(), 0, "nothing is watched");
    // Dropping one kills it: nothing runs just then.
    drop(serving);
    for _ in 0..3 {
        let serving = bundle.serves("");
        assert!(is_allowed(serving.call("/hook").as_ref()));
        assert!(noted.metadata().unwrap().len() > 0, "runs are noted");
    }
    let serving = bundle.serves("");
    assert!(is_allowed(serving.call("/hook").as_ref()));
    serving.stop();
    assert!(!noted.exists());
}

#[test]
fn a_panic_while_building_is_a_refusal_in_check_status_and_log() {
    for point in ["release.panics", "release.script_panics"] {
        let bundle = Bundle::new("");
        let mut check = hookgate(bundle.folder.path(), &["check"]);
        let checked = Ran::of(check.env("HOOKGATE_FAILPOINT", point).output().unwrap());
        assert_eq!(checked.status, 1, "{}{}", checked.out, checked.err);
        assert!(
            checked.out.contains("release/panicked") && checked.out.contains("please report it"),
            "{}",
            checked.out
        );
        let started = bundle.ends(point);
        assert_eq!(started.status, 2, "{}{}", started.out, started.err);
        let serving = bundle.serves(&format!("{point}:2"));
        bundle.write("scripts/hook.rhai", "fn on_registration(_request) { allow() }\n");
        let release = serving.refused();
        assert_eq!(release["error"][0]["code"], "release/panicked", "{release}");
        let file = if point == "release.panics" { "gateway.toml" } else { "scripts/hook.rhai" };
        assert_eq!(release["error"][0]["file"], file, "{release}");
        bundle.line_with("release/panicked");
        let metrics = serving.get("/metrics").unwrap();
        assert!(metrics.contains("hookgate_reloads_total{result=\"refused\"}"), "{metrics}");
    }
}
