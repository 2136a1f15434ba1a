//! Acknowledged events per second through HTTP, beside what the store alone commits in the same run: 2 KB events, each with a
//! job. `cargo bench --bench events [-- SECONDS]`. Prints ratios, since machines differ; ends with 1 when a goal is missed.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a bench")]

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hookgate_store::sqlite::{Options, Sqlite};
use hookgate_store::{Intake, JobKind, NewEvent, NewJob, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SECRET: &str = "bench-secret-0123456789abcdef";

/// What came of a number of callers.
struct Measured {
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

fn main() {
    let seconds = std::env::args().filter_map(|text| text.parse().ok()).next().unwrap_or(5.0);
    let time = Duration::from_secs_f64(seconds);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut failed = false;
    let mut goal = |name: &str, good: bool| {
        println!("{} {name}", if good { "met   " } else { "MISSED" });
        failed |= !good;
    };
    runtime.block_on(async {
        print("disk alone, 8 KiB and a sync at a time", &disk_alone(time));
        let alone = store_alone(128, time).await;
        print("store alone, 128 callers", &alone);
        let idle = Gateway::start("user.never.*", hanging().await);
        let through = intake(idle.port, 128, time).await;
        print("HTTP, 128 callers, no rule wants them", &through);
        let one = intake(idle.port, 1, time).await;
        print("HTTP, 1 caller", &one);
        drop(idle);
        let busy = Gateway::start("*", hanging().await);
        let loaded = intake(busy.port, 128, time).await;
        print("HTTP, 128 callers, a rule runs on each and its receiver never answers", &loaded);
        drop(busy);
        let again = store_alone(128, time).await;
        print("store alone, once more", &again);
        let reference = f64::midpoint(alone.per_second, again.per_second);
        println!(
            "ratio: {:.2} without rules, {:.2} with",
            through.per_second / reference,
            loaded.per_second / reference
        );
        goal("128 callers: at least 60 % of the store alone", through.per_second >= 0.6 * reference);
        goal("128 callers: p99 under 50 ms", through.p99 < Duration::from_millis(50));
        goal("1 caller: p99 under 5 ms", one.p99 < Duration::from_millis(5));
        goal("128 callers while receivers hang: p99 under 50 ms", loaded.p99 < Duration::from_millis(50));
    });
    std::process::exit(i32::from(failed));
}

fn print(name: &str, measured: &Measured) {
    let Measured { per_second, p50, p99 } = measured;
    println!("{name}: {per_second:.0}/s, p50 {:.2} ms, p99 {:.2} ms", ms(*p50), ms(*p99));
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn summed(mut all: Vec<Duration>, took: Duration) -> Measured {
    all.sort_unstable();
    let at = |share: f64| all[((all.len() - 1) as f64 * share) as usize];
    Measured { per_second: all.len() as f64 / took.as_secs_f64(), p50: at(0.5), p99: at(0.99) }
}

fn event(id: &str) -> String {
    let filler = "x".repeat(1_700);
    format!(
        r#"{{"uuid":"{id}","published":"2026-03-02T08:30:00.125Z","eventType":"user.session.start","outcome":{{"result":"SUCCESS"}},"actor":{{"id":"00u1","type":"User"}},"debugContext":{{"debugData":{{"filler":"{filler}"}}}}}}"#
    )
}

fn delivery(id: &str) -> String {
    let event = event(id);
    format!(
        r#"{{"eventType":"com.okta.event_hook","eventId":"{id}","source":"https://example.okta.com/api/v1/eventHooks/who1","data":{{"events":[{event}]}}}}"#
    )
}

/// What no store can be faster than: a file that grows, synced each time.
fn disk_alone(time: Duration) -> Measured {
    let mut file = tempfile::tempfile().unwrap();
    let (block, started, mut all) = ([0x5a; 8_192], Instant::now(), Vec::new());
    while started.elapsed() < time {
        let asked = Instant::now();
        file.write_all(&block).unwrap();
        file.sync_data().unwrap();
        all.push(asked.elapsed());
    }
    summed(all, started.elapsed())
}

async fn store_alone(callers: usize, time: Duration) -> Measured {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Sqlite::open(&folder.path().join("hookgate.db"), Options::default()).unwrap());
    let started = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut all = Vec::new();
                while started.elapsed() < time {
                    let id = uuid::Uuid::new_v4().to_string();
                    let job = NewJob {
                        kind: JobKind::Rule,
                        lane: "rule events/all".into(),
                        name: "all".to_owned(),
                        key: uuid::Uuid::new_v4().to_string(),
                        ..NewJob::default()
                    };
                    let body = event(&id).into();
                    let kept =
                        NewEvent { route: "events".into(), key: id, body, jobs: vec![job], ..NewEvent::default() };
                    let asked = Instant::now();
                    store.accept(Intake { events: vec![kept], ..Intake::default() }).await.unwrap();
                    all.push(asked.elapsed());
                }
                all
            })
        })
        .collect();
    gathered(tasks, started).await
}

async fn intake(port: u16, callers: usize, time: Duration) -> Measured {
    let started = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (mut all, mut answer) = (Vec::new(), vec![0; 4_096]);
                while started.elapsed() < time {
                    let body = delivery(&uuid::Uuid::new_v4().to_string());
                    let call = format!(
                        "POST /okta/events HTTP/1.1\r\nhost: x\r\nauthorization: {SECRET}\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    let asked = Instant::now();
                    stream.write_all(call.as_bytes()).await.unwrap();
                    let read = stream.read(&mut answer).await.unwrap();
                    all.push(asked.elapsed());
                    assert!(answer[..read].starts_with(b"HTTP/1.1 204"), "{}", String::from_utf8_lossy(&answer[..read]));
                }
                all
            })
        })
        .collect();
    gathered(tasks, started).await
}

async fn gathered(tasks: Vec<tokio::task::JoinHandle<Vec<Duration>>>, started: Instant) -> Measured {
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    summed(all, started.elapsed())
}

/// A receiver that takes requests and never answers.
async fn hanging() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    port
}

struct Gateway {
    port: u16,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Gateway {
    fn start(types: &str, sink: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (port, admin) = (free(), free());
        let config = format!(
            r#"
[server]
listen = "127.0.0.1:{port}"
[admin]
listen = "127.0.0.1:{admin}"
[auth.okta]
scheme = "header"
secrets = [{{ file = "secret" }}]
[connectors.sink]
kind = "http"
base_url = "http://127.0.0.1:{sink}"
allow_private = true
timeout_ms = 10_000
[routes.events]
path = "/okta/events"
hook = "okta.event"
auth = "okta"
[routes.events.rules.all]
events = ["{types}"]
script = "rule.rhai"
"#
        );
        fs::write(folder.path().join("gateway.toml"), config).unwrap();
        fs::write(folder.path().join("secret"), SECRET).unwrap();
        fs::create_dir(folder.path().join("scripts")).unwrap();
        let script = "fn on_event(event) { post(\"sink\", \"/x\", #{ id: event.id }) }\n";
        fs::write(folder.path().join("scripts/rule.rhai"), script).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_hookgate"))
            .args(["serve", "--log", "json"])
            .current_dir(folder.path())
            .env("HOOKGATE_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let gateway = Self { port, child, _folder: folder };
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(300));
        gateway
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
