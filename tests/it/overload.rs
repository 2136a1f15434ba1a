//! More than can be done (#13): what does not fit is refused at once with what the route declares, nothing of it is read, and when
//! less comes all are served again. The lines are made by the tests, so that no machine is too fast or too slow for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{SECRET, TestGateway, with_id, without_debug};
use crate::process::sample;

const DECLARED: &str = "Please try again.";

/// So long a refused call may take on a busy machine with a debug build. A deadline is four times that.
const AT_ONCE: Duration = Duration::from_millis(2_500);

/// A script that holds a slow thread for long, and one that holds none.
fn inline() -> Arc<TestGateway> {
    let config = format!(
        "[auth.test]\nscheme = \"header\"\nsecrets = [{{ file = \"secret\" }}]\n\n\
         [routes.slow]\npath = \"/slow\"\nhook = \"okta.registration\"\nscript = \"slow.rhai\"\nauth = \"test\"\n\
         on_failure = {{ deny = \"{DECLARED}\" }}\n\
         limits = {{ deadline_ms = 10000, operations = 1_000_000_000_000, concurrent = 10000 }}\n\n\
         [routes.quick]\npath = \"/quick\"\nhook = \"okta.registration\"\nscript = \"quick.rhai\"\nauth = \"test\"\n\
         on_failure = {{ deny = \"{DECLARED}\" }}\n"
    );
    let slow = "fn on_registration(request) {
        let x = 0;
        for i in 0..30_000 { x += i; }
        if x < 0 { deny(\"no\") } else { allow() }
    }";
    let quick = "fn on_registration(request) { allow() }";
    Arc::new(TestGateway::bundle(&config, &[("scripts/slow.rhai", slow), ("scripts/quick.rhai", quick)]))
}

fn is_declared(reply: &Value) -> bool {
    without_debug(reply.clone())["error"]["errorSummary"] == json!(DECLARED)
}

async fn call(gateway: &TestGateway, path: &str, body: impl Into<bytes::Bytes>) -> (u16, Value, Duration) {
    let started = Instant::now();
    let (status, reply) = gateway.call(Method::POST, path, &[("authorization", SECRET)], body).await;
    (status, reply, started.elapsed())
}

fn counted(gateway: &TestGateway, route: &str, reason: &str) -> u64 {
    let counts = gateway.metrics.route(route).fallback.read();
    counts.iter().find(|(known, _)| *known == reason).map_or(0, |(_, count)| *count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_would_wait_too_long_get_the_declared_answer_at_once() {
    let gateway = inline();
    let mut calls = JoinSet::new();
    let spawn = |calls: &mut JoinSet<_>, id: usize| {
        let gateway = gateway.clone();
        calls.spawn(async move { call(&gateway, "/slow", with_id("okta.registration", id)).await });
    };
    // A burst is let in, though its line is long: as far as it can be served before the deadline.
    for id in 0..150 {
        spawn(&mut calls, id);
    }
    // And then they go on coming, faster than they can be served: the line is not allowed to grow.
    for id in 150..1_200 {
        spawn(&mut calls, id);
        if id % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let (mut served, mut refused) = (0, 0);
    let mut slowest = Duration::ZERO;
    while let Some(done) = calls.join_next().await {
        let (status, reply, took) = done.unwrap();
        assert_eq!(status, 200, "{reply}");
        if is_declared(&reply) {
            refused += 1;
            slowest = slowest.max(took);
        } else {
            served += 1;
        }
    }
    assert!(refused > 800, "{refused} of 1200 calls were refused");
    assert!(served > 8, "{served} of 1200 calls were served");
    assert!(slowest < AT_ONCE, "a refused call took {slowest:?}");
    assert_eq!(
        counted(&gateway, "slow", "overload"),
        refused,
        "each is counted with its reason, and none waited in vain"
    );
    // What is refused is not read: what would be no call at all gets the declared answer, too, once that is decided. And
    // another route is not touched by any of this.
    let (_, reply, _) = call(&gateway, "/quick", with_id("okta.registration", 1)).await;
    assert!(!is_declared(&reply), "{reply}");
    // It is over.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let (_, reply, _) = call(&gateway, "/slow", with_id("okta.registration", 5_000)).await;
    assert!(!is_declared(&reply), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_learn_nothing_of_an_overload() {
    let gateway = inline();
    let mut calls = JoinSet::new();
    for id in 0..400 {
        let gateway = gateway.clone();
        calls.spawn(async move { call(&gateway, "/slow", with_id("okta.registration", id)).await });
        if id % 10 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let (status, reply) =
        gateway.call(Method::POST, "/slow", &[("authorization", "wrong")], with_id("okta.registration", 1)).await;
    assert_eq!((status, reply), (401, json!({ "error": "not authenticated" })));
    calls.shutdown().await;
}

fn events() -> Arc<TestGateway> {
    let config = "[auth.test]\nscheme = \"header\"\nsecrets = [{ file = \"secret\" }]\n\n\
         [routes.hook]\npath = \"/hook\"\nhook = \"okta.event\"\nauth = \"test\"\n\n\
         [routes.hook.rules.all]\nevents = [\"*\"]\nscript = \"hook.rhai\"\n";
    Arc::new(TestGateway::bundle(config, &[("scripts/hook.rhai", "fn on_event(event) { }")]))
}

fn delivery(id: usize) -> String {
    let mut call: Value = serde_json::from_str(sample("okta.event")).unwrap();
    call["data"]["events"][0]["uuid"] = json!(format!("event-{id}"));
    call.to_string()
}

/// As long as this lives, the store cannot write: its disk is busy with somebody else.
struct Busy(Connection);

impl Busy {
    fn hold(gateway: &TestGateway) -> Self {
        let database = Connection::open(gateway.place.root.join("data/hookgate.db")).unwrap();
        database.execute_batch("BEGIN IMMEDIATE").unwrap();
        Self(database)
    }

    fn release(self) {
        self.0.execute_batch("ROLLBACK").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_cannot_be_kept_in_time_are_refused_before_they_are_read() {
    let gateway = events();
    let busy = Busy::hold(&gateway);
    let mut waiting = JoinSet::new();
    for id in 0..200 {
        let gateway = gateway.clone();
        waiting.spawn(async move { call(&gateway, "/hook", delivery(id)).await });
    }
    // The line stays as long as it is: that is noticed by those who come after a while.
    let end = Instant::now() + Duration::from_secs(20);
    let refused = loop {
        tokio::time::sleep(Duration::from_millis(25)).await;
        // What is no delivery at all would get a 400, if it were read.
        let (status, reply, took) = call(&gateway, "/hook", "no JSON").await;
        if status == 503 {
            break (reply, took);
        }
        assert_eq!(status, 400, "{reply}");
        assert!(Instant::now() < end, "never refused");
        let gateway = gateway.clone();
        waiting.spawn(async move { call(&gateway, "/hook", delivery(900)).await });
    };
    assert_eq!(refused.0, json!({ "error": "not available, please try again" }));
    assert!(refused.1 < AT_ONCE, "{:?}", refused.1);
    let counted = gateway.metrics.refusals.read();
    // Those that still came while it was noticed are refused, too.
    assert!(counted.iter().any(|(reason, count)| *reason == "overload" && *count > 0), "{counted:?}");
    busy.release();
    // Who waited is kept, or was told to come again because it took too long.
    while let Some(done) = waiting.join_next().await {
        let (status, reply, _) = done.unwrap();
        assert!(status == 204 || status == 503, "{status} {reply}");
    }
    // And now there is room again: the line is short, so the next one is kept.
    let (status, reply, _) = call(&gateway, "/hook", delivery(1_000)).await;
    assert_eq!(status, 204, "{reply}");
}
