//! What the embedded store takes in by itself: events of 2 KB with one job each, from 1, 16 and 128 callers, each waiting for
//! its answer; steps in the state of scripts; then how fast lists and counts are over what was kept. `cargo bench --bench store`
#![allow(clippy::unwrap_used, clippy::print_stdout, unreachable_pub, reason = "a benchmark prints its numbers")]

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use hookgate_model::question::Kv;
use hookgate_store::End;
use hookgate_store::Intake;
use hookgate_store::JobState;
use hookgate_store::NewEvent;
use hookgate_store::NewJob;
use hookgate_store::Query;
use hookgate_store::Share;
use hookgate_store::Step;
use hookgate_store::Store;
use hookgate_store::sqlite::Options;
use hookgate_store::sqlite::Sqlite;

const RUN: Duration = Duration::from_secs(3);
const LANE: &str = "rule events/all";

fn intake(number: u64) -> Intake {
    // Spread like real ids, which do not come in order.
    let key = format!("{:016x}-{number}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let job = NewJob { lane: LANE.into(), name: "all".to_owned(), key: format!("{key}/all"), ..NewJob::default() };
    let event = NewEvent {
        route: "events".into(),
        key,
        kind: "user.session.start".to_owned(),
        envelope: "{}".into(),
        body: vec![b'x'; 2048].into(),
        jobs: vec![job],
        ..NewEvent::default()
    };
    Intake { events: vec![event], ..Intake::default() }
}

async fn accept(store: &Arc<Sqlite>, numbers: &Arc<AtomicU64>, callers: usize) {
    let until = Instant::now() + RUN;
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (store, numbers) = (Arc::clone(store), Arc::clone(numbers));
            tokio::spawn(async move {
                let mut took = Vec::new();
                while Instant::now() < until {
                    let started = Instant::now();
                    store.accept(intake(numbers.fetch_add(1, Ordering::Relaxed))).await.unwrap();
                    took.push(started.elapsed());
                }
                took
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    all.sort_unstable();
    let rate = all.len() as f64 / RUN.as_secs_f64();
    println!("{callers:>4} callers: {rate:>8.0} events/s, p99 {:?}", all[all.len() * 99 / 100]);
}

async fn work_off(store: &Sqlite, most: usize) {
    let started = Instant::now();
    let mut count = 0;
    while started.elapsed() < RUN && count < most {
        let share = vec![Share { lane: LANE.into(), most: 128 }];
        let jobs = store.claim(share, Vec::new(), Duration::from_secs(60)).await.unwrap().jobs;
        count += jobs.len();
        let ends = jobs.into_iter().map(|job| store.settle(job.token, Default::default(), End::Done(Vec::new())));
        for settled in futures(ends).await {
            settled.unwrap();
        }
    }
    println!("claimed and done, 128 at a time: {:.0} jobs/s", count as f64 / started.elapsed().as_secs_f64());
}

/// Steps in the state of scripts, from 64 callers.
async fn steps(store: &Arc<Sqlite>, what: &'static str, kv: fn(String) -> Kv, named: bool) {
    let until = Instant::now() + RUN;
    let tasks: Vec<_> = (0..64)
        .map(|caller| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                let mut took = Vec::new();
                while Instant::now() < until {
                    let number = took.len();
                    let kv = kv(format!("{what} {caller} {}", number % 100));
                    let origin = named.then(|| format!("job {caller} #{number}"));
                    let started = Instant::now();
                    store.state(Step { kv, dry: false, origin }).await.unwrap();
                    took.push(started.elapsed());
                }
                took
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    all.sort_unstable();
    let rate = all.len() as f64 / RUN.as_secs_f64();
    println!("{what}: {rate:.0} steps/s, p50 {:?}, p99 {:?}", all[all.len() / 2], all[all.len() * 99 / 100]);
}

const MINUTE: Duration = Duration::from_mins(1);

fn rate(key: String, most: u32) -> Kv {
    Kv::WithinRate { key, most, window: MINUTE }
}

async fn state(store: &Arc<Sqlite>) {
    steps(store, "get", |key| Kv::Get { key }, false).await;
    steps(store, "incr of a call", |key| Kv::Incr { key, by: 1, keep: MINUTE }, false).await;
    steps(store, "incr of a rule", |key| Kv::Incr { key, by: 1, keep: MINUTE }, true).await;
    steps(store, "within_rate 100, many keys", |key| rate(key, 100), false).await;
    steps(store, "within_rate 10,000, one key", |_| rate("busy".to_owned(), 10_000), false).await;
}

/// Awaits all of them at once.
async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in waiting.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let std::task::Poll::Ready(value) = future.as_mut().poll(context) {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

async fn look(store: &Sqlite) {
    let started = Instant::now();
    let health = store.health().await.unwrap();
    println!("health with {} waiting: {:?}, {} MB", health.waiting, started.elapsed(), health.bytes >> 20);
    let none = Some("none".to_owned());
    for (name, query) in [
        ("newest 50", Query::default()),
        ("dead", Query { state: Some(JobState::Dead), ..Query::default() }),
        ("running", Query { state: Some(JobState::Running), ..Query::default() }),
        ("of a rule that has none", Query { rule: none.clone(), ..Query::default() }),
        ("of a route that has none", Query { route: none, ..Query::default() }),
    ] {
        let started = Instant::now();
        store.list(query).await.unwrap();
        println!("list, {name}: {:?}", started.elapsed());
    }
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hookgate.db");
    let store = Arc::new(Sqlite::open(&file, Options::default()).unwrap());
    let numbers = Arc::new(AtomicU64::new(0));
    for callers in [1, 16, 128] {
        accept(&store, &numbers, callers).await;
    }
    state(&store).await;
    // As many more as asked for, to look at a large store: `cargo bench --bench store -- 1000000`
    let wanted = std::env::args().filter_map(|text| text.parse().ok()).next().unwrap_or(0);
    while numbers.load(Ordering::Relaxed) < wanted {
        let first = numbers.fetch_add(1000, Ordering::Relaxed);
        let events = (first..first + 1000).flat_map(|number| intake(number).events).collect();
        store.accept(Intake { events, ..Intake::default() }).await.unwrap();
    }
    look(&store).await;
    work_off(&store, 100_000).await;
    let started = Instant::now();
    drop(Arc::into_inner(store));
    drop(Sqlite::open(&file, Options::default()).unwrap());
    println!("closed and opened again: {:?}", started.elapsed());
}
