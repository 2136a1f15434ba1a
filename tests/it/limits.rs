//! Scripts that use up what is limited: the declared answer in time, counted by reason, and nobody else waits.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{SECRET, TestGateway, answered, with_id, without_debug};
use crate::process::Served;

const DEADLINE_MS: u64 = 300;

/// The stated 50 ms, and what a debug build on a busy machine may add.
const LATEST: Duration = Duration::from_millis(DEADLINE_MS + 50 + 250);

const DECLARED: &str = "Please try again.";

fn config(more: &str) -> String {
    format!(
        "[auth.test]\nscheme = \"header\"\nsecrets = [{{ file = \"secret\" }}]\n\n\
         [routes.bad]\npath = \"/bad\"\nhook = \"okta.registration\"\nscript = \"bad.rhai\"\nauth = \"test\"\n\
         on_failure = {{ deny = \"{DECLARED}\" }}\nlimits = {{ deadline_ms = {DEADLINE_MS}{more} }}\n\n\
         [routes.good]\npath = \"/good\"\nhook = \"okta.registration\"\nscript = \"good.rhai\"\nauth = \"test\"\n\
         on_failure = \"allow\"\n"
    )
}

const GOOD: &str = "fn on_registration(request) { set_profile(\"seen\", request.email.domain) }";

fn gateway(body: &str, more: &str) -> TestGateway {
    TestGateway::bundle(&config(more), &[("scripts/bad.rhai", &script(body)), ("scripts/good.rhai", GOOD)])
}

fn script(body: &str) -> String {
    if body.contains("fn on_registration") {
        body.to_owned()
    } else {
        format!("fn on_registration(request) {{\n{body}\n}}")
    }
}

fn declared() -> Value {
    json!({
        "commands": [{ "type": "com.okta.action.update", "value": { "registration": "DENY" } }],
        "error": { "errorSummary": DECLARED },
    })
}

async fn post(gateway: &TestGateway, path: &str, id: impl std::fmt::Display) -> (u16, Value, Duration) {
    let started = Instant::now();
    let (status, reply) =
        gateway.call(Method::POST, path, &[("authorization", SECRET)], with_id("okta.registration", id)).await;
    (status, without_debug(reply), started.elapsed())
}

fn fallbacks(gateway: &TestGateway) -> Vec<(&'static str, u64)> {
    gateway.metrics.route("bad").fallback.read().into_iter().filter(|(_, count)| *count > 0).collect()
}

/// Name, body of the script, more limits, reason.
type Row = (&'static str, &'static str, &'static str, &'static [&'static str]);

const ROWS: &[Row] = &[
    ("loop", "loop { }", "", &["timeout", "limit"]),
    ("loop until the deadline", "loop { }", ", operations = 1_000_000_000_000", &["timeout"]),
    ("operations", "loop { }", ", operations = 1000", &["limit"]),
    (
        "loop in a callback",
        "let list = [1, 2, 3]; list.map(|x| { loop { } })",
        ", operations = 1_000_000_000_000",
        &["timeout"],
    ),
    ("catch in a loop", "loop { try { loop { } } catch { } }", ", operations = 1_000_000_000_000", &["timeout"]),
    ("recursion", "fn on_registration(request) { down(1) }\nfn down(n) { down(n + 1) }", "", &["limit"]),
    ("mutual recursion", "fn on_registration(request) { a(1) }\nfn a(n) { b(n) }\nfn b(n) { a(n) }", "", &["limit"]),
    (
        "recursion that is caught",
        "fn on_registration(request) { down(1) }\nfn down(n) { try { down(n + 1) } catch { down(n + 1) } }",
        "",
        &["limit", "timeout"],
    ),
    ("string doubled", "let s = \"x\"; loop { s += s; }", "", &["limit"]),
    ("string interpolated", "let s = \"x\"; loop { s = `${s}${s}`; }", "", &["limit"]),
    ("string padded", "let s = \"x\"; s.pad(1_000_000_000, \"y\"); s", "", &["limit", "script_error"]),
    ("array pushed", "let a = []; loop { a.push(0); }", "", &["limit", "timeout"]),
    ("array doubled", "let a = [0]; loop { a += a; }", "", &["limit"]),
    ("array padded", "let a = []; a.pad(1_000_000_000, 0); a", "", &["limit", "script_error"]),
    ("arrays in arrays", "let a = [0]; loop { a = [a, a]; }", "", &["limit", "timeout"]),
    ("map grown", "let m = #{}; let i = 0; loop { m[`k${i}`] = i; i += 1; }", "", &["limit", "timeout"]),
    (
        "maps of large strings",
        "let s = \"x\"; while s.len < 500_000 { s += s; }\nlet all = #{}; let i = 0;\nloop { all[`k${i}`] = s + `${i}`; i += 1; }",
        // Little, so that a busy machine fills it before the deadline.
        ", memory_bytes = 4_000_000",
        &["limit"],
    ),
    (
        "lists in a map in a list",
        "let l = []; let i = 0; while i < 9_000 { l.push(i); i += 1; }\nlet m = #{}; let n = 0;\nloop { let copy = l + []; m[`k${n}`] = #{ l: copy }; n += 1; }",
        "",
        &["limit", "timeout"],
    ),
    (
        "closures in closures",
        "let f = |x| x; loop { let g = f; f = |x| g.call(g.call(x)); }",
        "",
        &["limit", "timeout", "script_error"],
    ),
    (
        "split into millions",
        "let s = \"a,\"; while s.len < 600_000 { s += s; }\ns.split(\",\")",
        "",
        &["limit", "script_error"],
    ),
    (
        "regular expression",
        "let s = \"a\"; while s.len < 500_000 { s += s; }\nloop { matches(s, \"(a*)*b\"); }",
        "",
        &["limit", "timeout"],
    ),
    ("range", "let n = 0; for i in 0..9_000_000_000 { n += i; }", ", operations = 1_000_000_000_000", &["timeout"]),
    ("division by zero", "let x = 0; 1 / x", "", &["script_error"]),
    ("overflow", "let x = 9223372036854775807; x + 1", "", &["script_error"]),
    ("throw", "throw \"no\"", "", &["script_error"]),
    ("index", "let a = [1]; a[7]", "", &["script_error"]),
    ("a property of nothing", "request.raw.nothing.at_all", "", &["script_error"]),
    ("no command", "42", "", &["bad_command"]),
    ("too large", "let s = \"x\"; while s.len < 300_000 { s += s; }\nset_profile(\"text\", s)", "", &["bad_command"]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_script_uses_up_gets_the_declared_answer_in_time() {
    let mut wrong = Vec::new();
    for (name, body, more, reasons) in ROWS {
        let gateway = gateway(body, more);
        let (status, reply, took) = post(&gateway, "/bad", name).await;
        if (status, &reply) != (200, &declared()) {
            wrong.push(format!("{name}: {status} {}", reply.to_string().chars().take(200).collect::<String>()));
        }
        if took > LATEST {
            wrong.push(format!("{name}: after {took:?}"));
        }
        match fallbacks(&gateway).as_slice() {
            [(reason, 1)] if reasons.contains(reason) => {}
            other => wrong.push(format!("{name}: counted as {other:?}")),
        }
        let (status, reply, _) = post(&gateway, "/good", name).await;
        if (status, &reply["commands"][0]["value"]["seen"]) != (200, &json!("mail.example")) {
            wrong.push(format!("{name}: the other route answers {status} {reply}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The longest of the 99 quickest in a hundred.
async fn p99(gateway: &TestGateway, calls: usize, prefix: &str) -> Duration {
    let mut times = Vec::new();
    for number in 0..calls {
        let (status, _, took) = post(gateway, "/good", format!("{prefix}-{number}")).await;
        assert_eq!(status, 200);
        times.push(took);
    }
    times.sort_unstable();
    times[calls * 99 / 100 - 1]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_that_spins_does_not_slow_another() {
    let gateway = std::sync::Arc::new(gateway("loop { }", ", operations = 1_000_000_000_000"));
    let before = p99(&gateway, 300, "before").await;
    let spinning: Vec<_> = (0..8)
        .map(|number| {
            let gateway = gateway.clone();
            tokio::spawn(async move { post(&gateway, "/bad", number).await })
        })
        .collect();
    let meanwhile = p99(&gateway, 300, "meanwhile").await;
    assert!(meanwhile < before * 10 + Duration::from_millis(100), "{before:?} before, {meanwhile:?} meanwhile");
    for call in spinning {
        let (status, reply, took) = call.await.unwrap();
        assert_eq!((status, reply), (200, declared()));
        assert!(took < LATEST, "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_than_allowed_at_once_are_answered_at_once() {
    let gateway = std::sync::Arc::new(gateway("loop { }", ", concurrent = 2, operations = 1_000_000_000_000"));
    let first: Vec<_> = (0..2)
        .map(|number| {
            let gateway = gateway.clone();
            tokio::spawn(async move { post(&gateway, "/bad", number).await })
        })
        .collect();
    let release = gateway.live.current().unwrap();
    let route = release.route("/bad").unwrap();
    while route.permits.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let (status, reply, took) = post(&gateway, "/bad", "third").await;
    assert_eq!((status, reply), (200, declared()));
    assert!(took < Duration::from_millis(DEADLINE_MS / 2), "not at once: {took:?}");
    assert_eq!(fallbacks(&gateway), [("busy", 1)]);
    for call in first {
        call.await.unwrap();
    }
    let mut counted = fallbacks(&gateway);
    counted.sort_unstable();
    assert_eq!(counted, [("busy", 1), ("timeout", 2)]);
    assert_eq!(route.permits.available_permits(), 2, "permits come back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_that_spin_are_all_answered_in_time() {
    let gateway = std::sync::Arc::new(gateway("loop { }", ", operations = 1_000_000_000_000"));
    let calls: Vec<_> = (0..60)
        .map(|number| {
            let gateway = gateway.clone();
            tokio::spawn(async move { post(&gateway, "/bad", number).await })
        })
        .collect();
    for call in calls {
        let (status, reply, took) = call.await.unwrap();
        assert_eq!((status, reply), (200, declared()));
        assert!(took < LATEST + Duration::from_millis(200), "{took:?}");
    }
    assert_eq!(fallbacks(&gateway).iter().map(|(_, count)| count).sum::<u64>(), 60);
}

#[tokio::test]
async fn a_call_that_arrives_late_has_less_time() {
    let gateway = gateway("loop { }", ", operations = 1_000_000_000_000");
    let call = http::Request::post("/bad")
        .header("authorization", SECRET)
        .body(with_id("okta.registration", "late").into())
        .unwrap();
    let started = Instant::now();
    let received = started.checked_sub(Duration::from_millis(250)).unwrap();
    let response = answered(&gateway.gateway, call, received).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(started.elapsed() < Duration::from_millis(50 + 50 + 250), "{:?}", started.elapsed());
}

#[test]
fn the_log_and_the_metrics_say_where_and_why() {
    let served = Served::start(
        &config(", operations = 100_000_000"),
        &[
            (
                "scripts/bad.rhai",
                "fn on_registration(request) {\n    if request.id != \"index\" {\n        loop { }\n    }\n    let list = [1];\n    list[3]\n}\n",
            ),
            ("scripts/good.rhai", GOOD),
        ],
    );
    // Where a run was is said if that is known soon after its deadline, so on a busy machine not of each one.
    const SPINS: usize = 8;
    let spins: Vec<String> = (0..SPINS).map(|number| format!("spin{number}")).collect();
    for id in spins.iter().map(String::as_str).chain(["index"]) {
        let answer = served.post("/bad", &with_id("okta.registration", id));
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(DECLARED), "{answer}");
    }
    let metrics = served.admin("/metrics").unwrap();
    for (reason, count) in [("timeout", SPINS), ("script_error", 1)] {
        let line = format!("hookgate_fallback_total{{route=\"bad\",reason=\"{reason}\"}} {count}");
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
    let log = served.stop();
    let place = |reason: &str, place: &str| {
        let told = log.lines().any(|line| line.contains(&format!("\"reason\":\"{reason}\"")) && line.contains(place));
        assert!(told, "{reason} at {place} is not in\n{log}");
    };
    place("script_error", "scripts/bad.rhai:6:");
    place("timeout", "scripts/bad.rhai:3:");
}
