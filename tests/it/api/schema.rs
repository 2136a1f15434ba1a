//! The document against a gateway that runs: schemathesis makes requests of it, good and bad, and checks every answer.

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use super::{CONFIG, SIGNUP, WATCH};
use crate::harness::skipped;
use crate::process::{Served, exchange, request, sample};

const SESSION: &str = "/api/v1/session";

/// Where it was installed, or on the path.
fn schemathesis() -> Option<PathBuf> {
    let named = std::env::var_os("HOOKGATE_SCHEMATHESIS").map(PathBuf::from);
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).map(|folder| folder.join("schemathesis"));
    named.into_iter().chain(found).find(|file| file.is_file())
}

#[test]
fn the_document_tells_the_truth() {
    let Some(schemathesis) = schemathesis() else {
        return skipped("schemathesis is not installed (HOOKGATE_SCHEMATHESIS names it)");
    };
    let config = format!("token = {{ file = \"admin-token\" }}\n{CONFIG}");
    let files = [
        ("scripts/signup.rhai", SIGNUP),
        ("scripts/watch.rhai", WATCH),
        ("partners.txt", "corp.example\n"),
        ("admin-token", "t0ken"),
    ];
    let served = Served::start(&config, &files);
    // So that lists have rows.
    assert!(served.post("/signup", sample("okta.registration")).starts_with("HTTP/1.1 200"));
    let events = json!({ "eventType": "com.okta.event_hook", "eventId": "d1", "source": "https://org.example/hook",
        "data": { "events": [{ "uuid": "one", "eventType": "user.a" }, { "uuid": "bad", "eventType": "user.b" }] } });
    assert!(served.post("/events", &events.to_string()).starts_with("HTTP/1.1 204"));
    let cookie = format!("Cookie: {}", session(served.admin));
    // A stream has no end. Wrong tokens make right ones wait: where they are tried, a session is used.
    let most = ["--header", "Authorization: Bearer t0ken", "--exclude-path", "/api/v1/live", "--exclude-path", SESSION];
    let session = ["--header", &cookie, "--header", "Sec-Fetch-Site: same-origin", "--include-path", SESSION];
    for which in [&most[..], &session[..]] {
        let mut command = Command::new(&schemathesis);
        command.args(["--config-file", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/api/schemathesis.toml"), "run"]);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json"));
        command.args(["--url", &format!("http://127.0.0.1:{}", served.admin), "--seed", "7", "--max-examples", "10"]);
        // What strangers get is what access.rs tries of every operation; wrong tokens would make right ones wait.
        command.args(["--checks", "all", "--exclude-checks", "ignored_auth", "--no-color"]).args(which);
        let ran = command.current_dir(served.folder()).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success(), "{out}\n{err}");
    }
}

fn session(port: u16) -> String {
    let answer = exchange(port, &request("POST", "/api/v1/session", &[], r#"{"token":"t0ken"}"#)).unwrap();
    let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
    cookie.split(';').next().unwrap().to_owned()
}
