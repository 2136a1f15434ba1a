//! Calls and deliveries beside eight people who list and search a store of a million events: p50 and p99 of intake, of calls whose
//! actions are kept before a deadline of 500 ms, and of `kv.get`, with people and without them, in turns of one run.
//!
//! `cargo bench --bench people [-- EVENTS SECONDS]`. Prints ratios, since machines differ; ends with 1 when a goal is missed.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a bench")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hookgate_model::decision::{Kept, Record};
use hookgate_store::sqlite::{Options, Sqlite};
use hookgate_store::{Intake, NewEvent, NewJob, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SECRET: &str = "bench-secret-0123456789abcdef";
const PEOPLE: usize = 8;
/// Turns with people, and as many without.
const ROUNDS: usize = 5;
const DECISIONS: usize = 100_000;
const BATCH: usize = 500;

/// What people look at, again and again: newest first, searches that find much, little and nothing, and the pages of the viewer.
const LOOKS: &[&str] = &[
    "/api/v1/events?limit=500",
    "/api/v1/events?type=user.kind-7.*&limit=500",
    "/api/v1/events?type=user.nobody.*",
    "/api/v1/events?state=dead",
    "/api/v1/events?state=suppressed&limit=500",
    "/api/v1/events?rule=rare",
    "/api/v1/events?connector=nowhere",
    "/api/v1/events?rule=all&type=user.kind-3.sub-1&since=1h",
    "/api/v1/events?until=10s&limit=500",
    "/api/v1/dead-letters",
    "/api/v1/status",
    "/api/v1/decisions?limit=500",
    "/api/v1/decisions?find=user77",
    "/api/v1/decisions?find=is-nowhere",
    "/events",
    "/dead-letters",
];

/// A kind of call: its name, its path, how long a caller waits between two, and what its answer must have.
struct Calls {
    name: &'static str,
    path: &'static str,
    pause: Duration,
    good: &'static str,
}

const CALLS: [Calls; 3] = [
    Calls { name: "intake", path: "/okta/events", pause: Duration::from_millis(15), good: "HTTP/1.1 204" },
    Calls { name: "call with an action", path: "/act", pause: Duration::from_millis(30), good: "DECIDED" },
    Calls { name: "kv.get", path: "/kv", pause: Duration::from_millis(15), good: "DECIDED" },
];
/// Callers of each kind.
const CALLERS: usize = 3;

/// What came of one kind of calls.
#[derive(Default)]
struct Measured {
    times: Vec<Duration>,
    bad: usize,
}

fn main() {
    let mut numbers = std::env::args().filter_map(|text| text.parse().ok());
    let (events, seconds) = (numbers.next().unwrap_or(1_000_000_usize), numbers.next().unwrap_or(8));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let missed = runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("hookgate.db");
        let filling = Instant::now();
        fill(&store, events).await;
        println!(
            "{events} events and {DECISIONS} decisions, {} MiB, made in {:.0} s",
            fs::metadata(&store).unwrap().len() >> 20,
            filling.elapsed().as_secs_f64()
        );
        let gateway = Gateway::start(folder.path(), sink().await);
        compare(&gateway, Duration::from_secs(seconds as u64)).await
    });
    std::process::exit(i32::from(missed));
}

/// Whether a goal was missed.
async fn compare(gateway: &Gateway, time: Duration) -> bool {
    let (mut alone, mut beside) = (CALLS.map(|_| Measured::default()), CALLS.map(|_| Measured::default()));
    let (mut looks, mut slowest) = (0, Duration::ZERO);
    for _ in 0..ROUNDS {
        measure(gateway, time, &mut alone).await;
        let people = People::start(gateway.admin);
        measure(gateway, time, &mut beside).await;
        let (count, longest) = people.stop().await;
        looks += count;
        slowest = slowest.max(longest);
    }
    println!(
        "{PEOPLE} people looked {looks} times, {:.0} a second, at the slowest in {:.0} ms",
        looks as f64 / (time.as_secs_f64() * ROUNDS as f64),
        ms(slowest)
    );
    let mut missed = false;
    for ((calls, alone), beside) in CALLS.iter().zip(&mut alone).zip(&mut beside) {
        let (a, b) = (alone.summed(), beside.summed());
        println!(
            "{:<20} alone {:>6} calls, p50 {:>6.2} p99 {:>7.2} max {:>7.2} ms; beside people {:>6} calls, p50 {:>6.2} p99 {:>7.2} \
             max {:>7.2} ms; p99 x {:.2}; not as wanted {} and {}",
            calls.name,
            a.count,
            a.p50,
            a.p99,
            a.most,
            b.count,
            b.p50,
            b.p99,
            b.most,
            b.p99 / a.p99,
            alone.bad,
            beside.bad
        );
        for (goal, good) in [
            (
                "p99 beside people at most three times that without, or 20 ms more",
                b.p99 <= (3.0 * a.p99).max(a.p99 + 20.0),
            ),
            ("every call as wanted", alone.bad + beside.bad == 0),
        ] {
            println!("{} {}: {goal}", if good { "met   " } else { "MISSED" }, calls.name);
            missed |= !good;
        }
    }
    missed
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

struct Summed {
    count: usize,
    p50: f64,
    p99: f64,
    most: f64,
}

impl Measured {
    fn summed(&mut self) -> Summed {
        self.times.sort_unstable();
        let at = |share: f64| ms(self.times[((self.times.len() - 1) as f64 * share) as usize]);
        Summed { count: self.times.len(), p50: at(0.5), p99: at(0.99), most: at(1.0) }
    }
}

/// Calls of every kind at once, for a time.
async fn measure(gateway: &Gateway, time: Duration, measured: &mut [Measured; 3]) {
    let mut tasks = Vec::new();
    for (kind, calls) in CALLS.iter().enumerate() {
        for _ in 0..CALLERS {
            tasks.push((kind, tokio::spawn(call(gateway.port, calls, time))));
        }
    }
    for (kind, task) in tasks {
        let Measured { times, bad } = task.await.unwrap();
        measured[kind].times.extend(times);
        measured[kind].bad += bad;
    }
}

/// One caller, over one connection.
async fn call(port: u16, calls: &'static Calls, time: Duration) -> Measured {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut measured, mut answer, started) = (Measured::default(), vec![0; 8_192], Instant::now());
    while started.elapsed() < time {
        let body = body(calls.path, &uuid::Uuid::new_v4().to_string());
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: {SECRET}\r\ncontent-length: {}\r\n\r\n",
            calls.path,
            body.len()
        );
        let asked = Instant::now();
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let read = stream.read(&mut answer).await.unwrap();
        measured.times.push(asked.elapsed());
        measured.bad += usize::from(!String::from_utf8_lossy(&answer[..read]).contains(calls.good));
        tokio::time::sleep(calls.pause.mul_f64(0.5 + fastrand::f64())).await;
    }
    measured
}

fn body(path: &str, id: &str) -> String {
    if path == "/okta/events" {
        let event = event(id, "user.session.start");
        return format!(
            r#"{{"eventType":"com.okta.event_hook","eventId":"{id}","source":"https://example.okta.com/api/v1/eventHooks/who1","data":{{"events":[{event}]}}}}"#
        );
    }
    format!(
        r#"{{"eventId":"{id}","eventType":"com.okta.user.pre-registration","data":{{"userProfile":{{"email":"a@b.example","login":"a@b.example"}},"action":"ALLOW"}}}}"#
    )
}

fn event(id: &str, kind: &str) -> String {
    format!(
        r#"{{"uuid":"{id}","published":"2026-03-02T08:30:00.125Z","eventType":"{kind}","outcome":{{"result":"SUCCESS"}},"actor":{{"id":"00u1","type":"User"}}}}"#
    )
}

/// People who look at one thing after the other.
struct People {
    stop: Arc<AtomicBool>,
    looks: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<Duration>>,
}

impl People {
    fn start(admin: u16) -> Self {
        let (stop, looks) = <(Arc<AtomicBool>, Arc<AtomicU64>)>::default();
        let person = |number: usize| {
            let (stop, looks) = (stop.clone(), looks.clone());
            tokio::spawn(async move {
                let mut longest = Duration::ZERO;
                for look in number * 2.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let (path, asked) = (LOOKS[look % LOOKS.len()], Instant::now());
                    let status = get(admin, path).await;
                    assert!(status.starts_with("HTTP/1.1 200"), "{path}: {status}");
                    longest = longest.max(asked.elapsed());
                    looks.fetch_add(1, Ordering::Relaxed);
                }
                longest
            })
        };
        let tasks = (0..PEOPLE).map(person).collect();
        Self { stop, looks, tasks }
    }

    /// How often they looked, and how long the slowest look took.
    async fn stop(self) -> (u64, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        let mut longest = Duration::ZERO;
        for task in self.tasks {
            longest = longest.max(task.await.unwrap());
        }
        (self.looks.load(Ordering::Relaxed), longest)
    }
}

/// The first line of what the admin listener answers.
async fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

/// Events that have come to their end, of many types, and decisions of many users.
async fn fill(file: &Path, count: usize) {
    let store = Sqlite::open(file, Options::default()).unwrap();
    for first in (0..count).step_by(BATCH) {
        let events = (first..count.min(first + BATCH)).map(old_event).collect();
        store.accept(Intake { events, ..Intake::default() }).await.unwrap();
    }
    for first in (0..DECISIONS).step_by(BATCH) {
        let decisions = (first..first + BATCH).map(|number| old_decision(number, store.now())).collect();
        store.record(decisions).await.unwrap();
    }
}

fn old_event(number: usize) -> NewEvent {
    // Spread like real ids, which do not come in order.
    let key = format!("{:016x}-{number}", (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let kind = format!("user.kind-{}.sub-{}", number % 40, number % 7);
    let rule = if number.is_multiple_of(100_000) { "rare" } else { "all" };
    let job = NewJob {
        lane: format!("rule events/{rule}").into(),
        name: rule.to_owned(),
        key: format!("{key}/{rule}"),
        suppressed: Some("made for a bench".to_owned()),
        ..NewJob::default()
    };
    NewEvent {
        route: "events".into(),
        body: event(&key, &kind).into(),
        key,
        kind,
        envelope: "{}".into(),
        jobs: vec![job],
        ..NewEvent::default()
    }
}

fn old_decision(number: usize, at: i64) -> Kept {
    let login = format!("user{}@mail.example", number * 7919 % 50_000);
    let record = Record {
        id: format!("{number:032x}"),
        at,
        route: format!("route-{}", number % 4),
        hook: "okta.registration".to_owned(),
        outcome: if number.is_multiple_of(20) { "denied" } else { "allowed" }.to_owned(),
        ..Record::default()
    };
    Kept { record, capture: None, handles: vec![login] }
}

/// A receiver that takes everything at once.
async fn sink() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = vec![0; 16_384];
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

struct Gateway {
    port: u16,
    admin: u16,
    child: Child,
}

impl Gateway {
    /// On the store that lies in a folder.
    fn start(folder: &Path, sink: u16) -> Self {
        let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (port, admin) = (free(), free());
        let route = |name: &str, more: &str| {
            format!(
                "[routes.{name}]\npath = \"/{name}\"\nhook = \"okta.registration\"\nscript = \"{name}.rhai\"\nauth = \"okta\"\n\
                 on_failure = {{ deny = \"DECLARED\" }}\n{more}\n"
            )
        };
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\n[admin]\nlisten = \"127.0.0.1:{admin}\"\n\
             [store]\nurl = \"sqlite:hookgate.db\"\n\
             [auth.okta]\nscheme = \"header\"\nsecrets = [{{ file = \"secret\" }}]\n\
             [connectors.sink]\nkind = \"http\"\nbase_url = \"http://127.0.0.1:{sink}\"\nallow_private = true\n\
             [routes.events]\npath = \"/okta/events\"\nhook = \"okta.event\"\nauth = \"okta\"\n\
             [routes.events.rules.all]\nevents = [\"*\"]\nscript = \"rule.rhai\"\n{}{}",
            route("act", "limits = { deadline_ms = 500 }"),
            route("kv", "")
        );
        let write = |path: &str, text: &str| fs::write(folder.join(path), text).unwrap();
        fs::create_dir(folder.join("scripts")).unwrap();
        write("gateway.toml", &config);
        write("secret", SECRET);
        write("scripts/rule.rhai", "fn on_event(_event) { }\n");
        write(
            "scripts/act.rhai",
            "fn on_registration(_request) { [deny(\"DECIDED\"), post(\"sink\", \"/x\", #{ a: 1 })] }\n",
        );
        write("scripts/kv.rhai", "fn on_registration(_request) { let _seen = kv.get(\"a\"); deny(\"DECIDED\") }\n");
        let log = folder.join("log");
        let child = Command::new(program())
            .args(["serve", "--log", "json"])
            .current_dir(folder)
            .env("HOOKGATE_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(fs::File::create(&log).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut gateway = Self { port, admin, child };
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = gateway.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {}", fs::read_to_string(&log).unwrap());
            std::thread::sleep(Duration::from_millis(10));
        }
        gateway
    }
}

/// The program of this build, or the one that `HOOKGATE_PROGRAM` names: to compare two of them.
fn program() -> PathBuf {
    std::env::var_os("HOOKGATE_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_hookgate").into(), PathBuf::from)
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
