//! A store with a million decisions: what keeping them costs, and how long each list takes.
//!
//! `cargo bench --bench decisions [-- COUNT]`. The goal is 50 ms for any list.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use std::time::{Duration, Instant};

use hookgate_model::decision::{FileLines, Kept, Query, Record, Subject};
use hookgate_store::Store;
use hookgate_store::sqlite::{Options, Sqlite};

const BATCH: usize = 256;

/// Decisions of a day: many users, few routes, a denial in twenty, a failure in a thousand.
fn kept(number: usize, at: i64) -> Kept {
    let user = number * 7919 % 50_000;
    let outcome = match number {
        _ if number.is_multiple_of(1_000) => "failed",
        _ if number.is_multiple_of(20) => "denied",
        _ => "allowed",
    };
    let login = format!("user{user}@mail.example");
    let id = format!("{number:032x}");
    let (event, request) = (format!("event-{number}"), format!("request-{number}"));
    let record = Record {
        id,
        at,
        // One route that hardly anybody calls.
        route: if number.is_multiple_of(100_000) { "rare".to_owned() } else { format!("route-{}", number % 4) },
        hook: "okta.registration".to_owned(),
        outcome: outcome.to_owned(),
        reason: Some("because".to_owned()),
        effect: Some("Okta lets the registration pass, unchanged".to_owned()),
        event_id: Some(event.clone()),
        request_id: Some(request.clone()),
        subject: Subject { id: Some(format!("00u{user}")), login: Some(login.clone()) },
        release: "0123456789ab".to_owned(),
        script: Some("registration.rhai".to_owned()),
        script_hash: Some("0".repeat(64)),
        status: Some(200),
        commands: Some(vec![serde_json::json!("allow")]),
        lines: Some(vec![FileLines { file: "scripts/registration.rhai".to_owned(), lines: (3..20).collect() }]),
        ..Record::default()
    };
    Kept { record, capture: None, handles: vec![event, request, login, format!("00u{user}")] }
}

fn main() {
    let count = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(1_000_000_usize);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hookgate.db");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let store = Sqlite::open(&file, Options::default()).unwrap();
    let begin = store.now() - i64::try_from(count).unwrap();
    let started = Instant::now();
    for first in (0..count).step_by(BATCH) {
        let batch: Vec<Kept> =
            (first..count.min(first + BATCH)).map(|number| kept(number, begin + number as i64)).collect();
        runtime.block_on(store.record(batch)).unwrap();
    }
    let each = started.elapsed() / u32::try_from(count).unwrap();
    let size = std::fs::metadata(&file).unwrap().len() / count as u64;
    println!("{count} decisions kept in batches of {BATCH}: {each:?} and {size} bytes each");
    let text = |text: &str| Some(text.to_owned());
    let all = Query::default();
    let middle = begin + count as i64 / 2;
    let lists = [
        ("newest", all.clone()),
        ("500 of them", Query { limit: 500, ..all.clone() }),
        ("a route", Query { route: text("route-1"), ..all.clone() }),
        ("a rare route", Query { route: text("rare"), ..all.clone() }),
        ("an outcome", Query { outcome: text("failed"), ..all.clone() }),
        ("route and outcome that never meet", Query { route: text("route-1"), outcome: text("failed"), ..all.clone() }),
        ("a user", Query { handle: text("user777@mail.example"), ..all.clone() }),
        ("a user and a route", Query { handle: text("00u777"), route: text("rare"), ..all.clone() }),
        ("an event", Query { handle: text("event-4242"), ..all.clone() }),
        ("nobody", Query { handle: text("nobody"), ..all.clone() }),
        ("an hour ago", Query { since: Some(middle), until: Some(middle + 60_000), ..all.clone() }),
        (
            "a minute's failures",
            Query { since: Some(middle), until: Some(middle + 60_000), outcome: text("failed"), ..all.clone() },
        ),
        ("long before all", Query { until: Some(begin), ..all.clone() }),
        ("before all, of a route", Query { until: Some(begin), route: text("route-1"), ..all.clone() }),
        ("deep pages", Query { after: Some(count as i64 / 3), outcome: text("denied"), ..all }),
    ];
    let mut worst = Duration::ZERO;
    for (name, query) in lists {
        let mut times: Vec<Duration> = (0..20)
            .map(|_| {
                let started = Instant::now();
                runtime.block_on(store.decisions(query.clone())).unwrap();
                started.elapsed()
            })
            .collect();
        times.sort_unstable();
        worst = worst.max(times[19]);
        let found = runtime.block_on(store.decisions(query)).unwrap().records.len();
        println!("{name:<36} {:>10.2?} (worst of 20: {:.2?}), {found} found", times[10], times[19]);
    }
    println!("worst of all: {worst:.2?}");
}
