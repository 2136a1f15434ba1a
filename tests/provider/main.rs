//! A provider that this program does not have is added to it, and used as its people would: checked, tested, documented,
//! served, simulated and recorded. It holds the seams of `hookgate_hooks` to what ARCHITECTURE.md promises of them.
//!
//! The program with that provider is this test itself, called with [`AS_PROGRAM`].

#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::unwrap_used, unreachable_pub, reason = "tests")]

mod lamp;
mod program;

use std::process::ExitCode;

use clap::Parser;
use hookgate::cli::CommandLine;
use serde_json::{Value, json};

use crate::program::{Issuer, Program};

/// The argument with which this test is the program.
const AS_PROGRAM: &str = "--as-hookgate";

/// The secret of `[auth.signed]`.
const SECRET: &str = "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB";

/// The first farewell is taken, all later ones are not; and what loops is not answered.
const FAREWELL: &str = r#"
fn on_farewell(request) {
    if request.subject == "ann" && kv.incr("farewells", "1h") == 1 { gone() } else { unknown() }
}
"#;
const FAREWELL_TEST: &str = r#"
fn test_the_first_is_gone() {
    assert_eq(run(#{ sub: "ann" }).status, 200);
    assert_eq(run(#{ sub: "bob" }).status, 404);
}
"#;
const VERDICT: &str = r#"
fn on_verdict(request) {
    while request.what == "loop" {}
    if request.what == "light" { yes() }
}
"#;

fn main() -> ExitCode {
    hookgate_hooks::install(lamp::hooks);
    let mut args = std::env::args();
    if args.nth(1).as_deref() == Some(AS_PROGRAM) {
        return CommandLine::parse_from(std::iter::once("hookgate".to_owned()).chain(args)).run();
    }
    let tests: [(&str, fn()); 6] = [
        ("a bundle of its hooks is checked, tested and documented", checked_tested_and_documented),
        ("a route on which anybody could forge its calls is refused", forgeable_routes_are_refused),
        ("it is simulated like any other", simulated),
        ("its handshake, its methods and its dialect", handshakes_and_refusals),
        ("a call that counts once gets one answer, also after a restart", one_answer),
        ("its replies are signed, declared ones and late ones too", signed_replies),
    ];
    for (name, test) in tests {
        test();
        println!("ok  {name}");
    }
    ExitCode::SUCCESS
}

fn config(auth: &str) -> String {
    format!(
        r#"
[auth.tokens]
scheme = "jwt"
issuer = "https://lamp.example"
audience = "hookgate"
jwks_file = "keys.json"
algorithms = ["ES256"]

[auth.signed]
scheme = "standard_webhooks"
secrets = [{{ file = "secret" }}]

[auth.open]
scheme = "none"

[routes.farewell]
path = "/farewell"
hook = "lamp.farewell"
script = "farewell.rhai"
auth = "{auth}"
on_failure = "later"

[routes.verdict]
path = "/verdict"
hook = "lamp.verdict"
script = "verdict.rhai"
auth = "signed"
on_failure = {{ challenge = "Are you sure?" }}
"#
    )
}

fn bundle(auth: &str) -> (Program, Issuer) {
    let issuer = Issuer::new();
    let program = Program::new(
        &config(auth),
        &[
            ("scripts/farewell.rhai", FAREWELL),
            ("scripts/farewell_test.rhai", FAREWELL_TEST),
            ("scripts/verdict.rhai", VERDICT),
            ("secret", SECRET),
            ("keys.json", &issuer.jwks()),
            ("key.pem", &issuer.pem()),
        ],
    );
    (program, issuer)
}

fn checked_tested_and_documented() {
    let (program, _) = bundle("tokens");
    for args in [&["check"][..], &["test"], &["docs", "lamp.farewell"], &["docs", "lamp.verdict", "--json"]] {
        let ran = program.run(args);
        assert_eq!(ran.status, 0, "{args:?}: {}{}", ran.out, ran.err);
    }
    let page = program.run(&["docs", "lamp.verdict"]).out;
    assert!(page.contains("challenge") && page.contains("VerdictRequest"), "{page}");
}

fn forgeable_routes_are_refused() {
    for auth in ["open", "signed"] {
        let (program, _) = bundle(auth);
        let ran = program.run(&["check"]);
        assert_eq!(ran.status, 1, "{auth}: {}", ran.out);
        assert!(format!("{}{}", ran.out, ran.err).contains("config/forgeable"), "{auth}");
    }
}

fn simulated() {
    let (program, _) = bundle("tokens");
    let served = program.serve();
    let ran = program.run(&["simulate", "lamp.farewell", "--key", "key.pem", "--key-id", "k1", "--set", "sub=ann"]);
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("Lamp does what it heard"), "{}", ran.out);
    let ran = program.run(&["simulate", "lamp.verdict"]);
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    let without_key = program.run(&["simulate", "lamp.farewell"]);
    assert!(without_key.status != 0 && without_key.err.contains("--key"), "{}", without_key.err);
    // The record has the claims' person and no token.
    let records = served.admin("/api/v1/decisions");
    assert!(records.contains("lamp.farewell") && records.contains("lamp.verdict"), "{records}");
    assert!(!records.contains("eyJ") && !served.log().contains("eyJ"));
}

fn handshakes_and_refusals() {
    let (program, issuer) = bundle("tokens");
    let served = program.serve();
    let answer = served.call("OPTIONS", "/farewell", &[("webhook-request-origin", "lamp.example")], "");
    assert_eq!((answer.status, answer.header("webhook-allowed-origin")), (200, Some("lamp.example")));
    let answer = served.call("PUT", "/farewell", &[], "");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("OPTIONS, POST")));
    assert_eq!(answer.json()["error"], "method", "in its dialect");
    assert_eq!(served.call("PUT", "/verdict", &[], "").header("allow"), Some("POST"));

    let good = issuer.token(&claims("j-1"));
    let forged = format!("{}A{}", &good[..good.len() - 8], &good[good.len() - 7..]);
    let other_type = issuer.token_of("JWT", &claims("j-2"));
    for (body, error) in [
        (format!("farewell_token={forged}"), "bad_signature"),
        (format!("farewell_token={other_type}"), "wrong_type"),
        (format!("farewell_token={good}&farewell_token={good}"), "bad_body"),
        ("nothing=here".to_owned(), "bad_body"),
    ] {
        let answer = served.form("/farewell", &body);
        assert_eq!((answer.status, answer.header("cache-control")), (400, Some("no-store")), "{error}");
        assert_eq!(answer.json()["error"], error, "{}", answer.body);
        assert!(answer.json()["error_description"].is_string());
    }
    let answer = served.call("POST", "/verdict", &[("webhook-id", "a")], "{}");
    assert_eq!((answer.status, answer.json()["error"].as_str()), (401, Some("not authenticated")), "in our own words");
}

fn one_answer() {
    let (program, issuer) = bundle("tokens");
    let body = |id: &str| format!("farewell_token={}", issuer.token(&claims(id)));
    let (first, second) = (body("j-1"), body("j-2"));
    let served = program.serve();
    let answer = served.form("/farewell", &first);
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{}", served.log());
    assert_eq!(served.form("/farewell", &second).status, 404, "the script saw it before");
    assert_eq!(served.form("/farewell", &first).status, 200);
    drop(served);
    let served = program.serve();
    // The same id under another signature is the same call.
    for again in [&first, &body("j-1")] {
        let answer = served.form("/farewell", again);
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "after a restart");
    }
    assert_eq!(served.form("/farewell", &second).status, 404);
}

fn signed_replies() {
    let (program, _) = bundle("tokens");
    let served = program.serve();
    for (what, verdict) in [("light", "yes"), ("dark", "no"), ("loop", "challenge")] {
        let started = std::time::Instant::now();
        let answer = served.signed("/verdict", what, SECRET, &json!({ "what": what }).to_string());
        assert_eq!(answer.status, 200, "{what}: {}", served.log());
        assert_eq!(answer.json()["verdict"], verdict);
        assert_eq!(answer.header(lamp::SIGNED), Some(program::hmac(SECRET, &answer.body).as_str()), "{what}");
        assert!(started.elapsed() < std::time::Duration::from_secs(2), "the hook's own deadline");
    }
    let other = "whsec_QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJC";
    assert_eq!(served.signed("/verdict", "x", other, "{}").status, 401);
}

fn claims(id: &str) -> Value {
    let now = jiff::Timestamp::now().as_second();
    json!({ "iss": "https://lamp.example", "aud": "hookgate", "sub": "ann", "jti": id, "iat": now })
}
