//! The store cannot be written for longer than a lease: what was done meanwhile is recorded, and not done again (#14).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hookgate_engine::delivery::work;
use hookgate_store::{JobKind, JobState};
use rusqlite::Connection;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::events::ends::posting;
use crate::events::{delivery, event, jobs};

/// Takes every request, and answers it when it is let. Gives its port, what lets it, and how many requests came.
async fn receiver() -> (u16, Arc<Semaphore>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (may, count) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (let_go, counter) = (may.clone(), count.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (let_go, counter) = (let_go.clone(), counter.clone());
            tokio::spawn(async move {
                let mut buffer = vec![0; 65_536];
                if stream.read(&mut buffer).await.unwrap_or(0) > 0 {
                    counter.fetch_add(1, Ordering::SeqCst);
                    let_go.acquire().await.unwrap().forget();
                    let _ = stream.write_all(b"HTTP/1.1 204 Done\r\nconnection: close\r\n\r\n").await;
                }
            });
        }
    });
    (port, may, count)
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_while_the_store_cannot_be_written_is_not_done_again() {
    const MANY: usize = 8;
    let (port, may, count) = receiver().await;
    let gateway = posting(port, "timeout_ms = 60000");
    let events: Vec<_> = (0..MANY).map(|number| event(&format!("e{number}"), json!({}))).collect();
    assert_eq!(gateway.post(delivery("d1", &events)).await.0, 204);
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let working = tokio::spawn(work::run(gateway.delivery.clone(), stopping, Duration::from_secs(5)));
    until("all are in work", || count.load(Ordering::SeqCst) == MANY).await;

    let busy = Connection::open(gateway.place.root.join("data/hookgate.db")).unwrap();
    busy.execute_batch("BEGIN IMMEDIATE").unwrap();
    may.add_permits(MANY);
    until("it is not ready", || gateway.delivery.ready().is_err()).await;
    let why = gateway.delivery.ready().unwrap_err();
    assert!(why.contains("another program holds the lock"), "{why}");
    // Longer than any lease, and again.
    for _ in 0..2 {
        gateway.clock.advance(Duration::from_hours(1));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    busy.execute_batch("ROLLBACK").unwrap();
    may.add_permits(MANY);
    loop {
        gateway.delivery.look().await;
        let health = gateway.delivery.health();
        if health.waiting + health.running == 0 && health.trouble.is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.send(true).unwrap();
    working.await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), MANY, "nothing was sent again");
    for number in 0..MANY {
        let kept = gateway.event(&format!("e{number}")).await;
        assert_eq!(jobs(&kept, JobKind::Action), [(JobState::Done, vec!["done"])], "e{number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_work_is_not_begun_again_when_its_lease_ran_out_during_a_pause() {
    const MANY: usize = 8;
    let (port, may, count) = receiver().await;
    let gateway = posting(port, "timeout_ms = 60000");
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let working = tokio::spawn(work::run(gateway.delivery.clone(), stopping, Duration::from_secs(5)));
    let post = async |name: &str, count: usize| {
        let events: Vec<_> = (0..count).map(|number| event(&format!("{name}{number}"), json!({}))).collect();
        assert_eq!(gateway.post(delivery(name, &events)).await.0, 204);
    };
    // One place is left, so that jobs are asked for while the others are in work.
    post("e", MANY - 1).await;
    until("all are in work", || count.load(Ordering::SeqCst) == MANY - 1).await;
    // Much longer than a lease. What comes now is claimed when theirs are over.
    gateway.clock.advance(Duration::from_hours(1));
    post("late", 1).await;
    until("jobs were claimed after the pause", || count.load(Ordering::SeqCst) >= MANY).await;
    may.add_permits(2 * MANY);
    loop {
        gateway.delivery.look().await;
        let health = gateway.delivery.health();
        if health.waiting + health.running == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.send(true).unwrap();
    working.await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), MANY, "nothing was sent again");
    for key in (0..MANY - 1).map(|number| format!("e{number}")).chain(["late0".to_owned()]) {
        let kept = gateway.event(&key).await;
        assert_eq!(jobs(&kept, JobKind::Action), [(JobState::Done, vec!["done"])], "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_refuses_deliveries_for_long_is_not_ready_and_says_why() {
    let gateway = crate::events::gateway("fn on_event(_event) { }");
    let busy = Connection::open(gateway.place.root.join("data/hookgate.db")).unwrap();
    busy.execute_batch("BEGIN IMMEDIATE").unwrap();
    let started = Instant::now();
    let mut refused = 0;
    while gateway.delivery.ready().is_ok() {
        assert!(started.elapsed() < Duration::from_secs(30), "it is ready all the time");
        let (status, _) = gateway.post(delivery(&format!("d{refused}"), &[event("e1", json!({}))])).await;
        assert_eq!(status, 503);
        refused += 1;
    }
    assert!(refused > 1, "one refusal is no outage");
    let why = gateway.delivery.ready().unwrap_err();
    assert!(why.contains("deliveries have been refused for") && why.contains("holds the lock"), "{why}");
    busy.execute_batch("ROLLBACK").unwrap();
    // Nobody delivers anything to who is not ready: it finds out by itself.
    let keep = Duration::from_hours(24);
    let upkeep = tokio::spawn(hookgate_engine::delivery::upkeep::run(gateway.delivery.clone(), keep, 100));
    until("it is ready again", || gateway.delivery.ready().is_ok()).await;
    upkeep.abort();
    assert_eq!(gateway.post(delivery("again", &[event("e1", json!({}))])).await.0, 204);
}
