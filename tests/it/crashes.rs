//! A crash or panic while a release is built is remembered and told (#13). What jobs do that end the process is tried in
//! `tests/crash`.

use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

use hookgate::release::attempts;
use serde_json::Value;

use crate::process::{Ran, free_port, get, hookgate};

const GOOD: &str = "fn on_registration(request) { allow() }\n";
const ROUTE: &str = "[auth.test]\nscheme = \"header\"\nsecrets = [{ file = \"secret\" }]\n[routes.hook]\npath = \"/hook\"\n\
    hook = \"okta.registration\"\nscript = \"hook.rhai\"\nauth = \"test\"\non_failure = { deny = \"Later.\" }\n";

/// A bundle of one route that is started again and again.
struct Bundle {
    folder: tempfile::TempDir,
    admin: u16,
    /// Not in the folder: each line would be a change to look at.
    printed: tempfile::NamedTempFile,
}

impl Bundle {
    fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, admin) = (free_port(), free_port());
        let listen = format!("[server]\nlisten = \"127.0.0.1:{port}\"\n[admin]\nlisten = \"127.0.0.1:{admin}\"\n");
        let bundle = Self { folder, admin, printed: tempfile::NamedTempFile::new().unwrap() };
        bundle.write("gateway.toml", &format!("{listen}{ROUTE}{more}"));
        bundle.write("secret", crate::harness::SECRET);
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
        let mut serving = Serving { child, admin: self.admin };
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
}

struct Serving {
    child: Child,
    admin: u16,
}

impl Serving {
    fn get(&self, path: &str) -> Option<String> {
        get(self.admin, path)
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
        assert!(bundle.log().contains("release/panicked"), "{}", bundle.log());
        let metrics = serving.get("/metrics").unwrap();
        assert!(metrics.contains("hookgate_reloads_total{result=\"refused\"}"), "{metrics}");
    }
}
