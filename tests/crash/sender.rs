//! The provider: sends events until each is acknowledged, through every death of the gateway.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::gateway::SECRET;

/// What was sent.
#[derive(Default)]
pub struct Sent {
    /// Ids of events that the gateway said it keeps.
    pub acknowledged: Vec<String>,
    /// Ids of events of which nobody knows.
    pub in_doubt: Vec<String>,
}

pub struct Senders {
    stop: Arc<AtomicBool>,
    sent: Arc<Mutex<Sent>>,
    threads: Vec<JoinHandle<()>>,
}

impl Senders {
    pub fn start(port: u16, count: usize) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Sent::default())));
        let threads = (0..count).map(|_| {
            let (stop, sent) = (stop.clone(), sent.clone());
            std::thread::spawn(move || send(port, &stop, &sent))
        });
        let threads = threads.collect();
        Self { stop, sent, threads }
    }

    /// What was acknowledged until now.
    pub fn acknowledged(&self) -> Vec<String> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).acknowledged.clone()
    }

    /// Lets each finish what it is about.
    pub fn stop(self) -> Sent {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a sender does not panic");
        }
        std::mem::take(&mut self.sent.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn send(port: u16, stop: &AtomicBool, sent: &Mutex<Sent>) {
    let mut connection = None;
    while !stop.load(Ordering::Relaxed) {
        let ids: Vec<String> = (0..fastrand::usize(1..4)).map(|_| uuid::Uuid::new_v4().to_string()).collect();
        let body = delivery(&ids);
        let mut acknowledged = false;
        // A little longer after the end, so that few stay in doubt.
        for _ in 0..2_000 {
            match post(&mut connection, port, &body) {
                Some(204) => {
                    acknowledged = true;
                    break;
                }
                Some(503) | None => {}
                Some(other) => panic!("the gateway answered {other}"),
            }
            connection = None;
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
        if acknowledged { sent.acknowledged.extend(ids) } else { sent.in_doubt.extend(ids) }
    }
}

/// Sends one delivery of these events, which is acknowledged.
pub fn send_once(port: u16, ids: &[String]) -> Result<(), String> {
    match post(&mut None, port, &delivery(ids)) {
        Some(204) => Ok(()),
        other => Err(format!("the gateway answered {other:?}")),
    }
}

/// Sends events of one user, each when the last one is acknowledged, until `stop`. How many were.
pub fn send_in_turn(port: u16, user: &str, stop: &AtomicBool) -> u32 {
    let (mut connection, mut number) = (None, 0);
    while !stop.load(Ordering::Relaxed) {
        let published =
            format!("2026-03-02T08:{:02}:{:02}.{:03}Z", number / 60_000, number / 1_000 % 60, number % 1_000);
        let body = envelope(&event(&format!("{user}/{number}"), &published, user));
        let mut patience = 2_000;
        while post(&mut connection, port, &body) != Some(204) {
            connection = None;
            std::thread::sleep(Duration::from_millis(10));
            patience -= 1;
            if patience == 0 {
                return number;
            }
        }
        number += 1;
    }
    number
}

fn delivery(ids: &[String]) -> String {
    let events = ids.iter().map(|id| event(id, "2026-03-02T08:30:00.125Z", "00u1"));
    envelope(&events.collect::<Vec<_>>().join(","))
}

/// About two kilobytes.
fn event(id: &str, published: &str, user: &str) -> String {
    let filler = "x".repeat(1_500);
    format!(
        r#"{{"uuid":"{id}","published":"{published}","eventType":"user.session.start","outcome":{{"result":"SUCCESS"}},"actor":{{"id":"{user}","type":"User"}},"debugContext":{{"debugData":{{"filler":"{filler}"}}}}}}"#
    )
}

fn envelope(events: &str) -> String {
    let envelope = uuid::Uuid::new_v4();
    format!(
        r#"{{"eventType":"com.okta.event_hook","eventId":"{envelope}","source":"https://example.okta.com/api/v1/eventHooks/who1","data":{{"events":[{events}]}}}}"#
    )
}

/// The status of the answer, if there was one.
fn post(connection: &mut Option<BufReader<TcpStream>>, port: u16, body: &str) -> Option<u16> {
    if connection.is_none() {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        *connection = Some(BufReader::new(stream));
    }
    let reader = connection.as_mut()?;
    let head = format!(
        "POST /okta/events HTTP/1.1\r\nhost: x\r\nauthorization: {SECRET}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    reader.get_mut().write_all((head + body).as_bytes()).ok()?;
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let status = line.split(' ').nth(1)?.parse().ok()?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).ok()? == 0 {
            return None;
        }
        let header = header.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        }
    }
    let mut rest = vec![0; length];
    reader.read_exact(&mut rest).ok()?;
    Some(status)
}
