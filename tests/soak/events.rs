//! Deliveries of events meanwhile, and the system that their actions go to: each acknowledged event must reach it once.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Fallible;
use crate::bundle::SECRET;

/// Between two deliveries, and before one that was refused is sent again.
const PAUSE: Duration = Duration::from_millis(100);
/// How long the slow system takes.
const SLOW: Duration = Duration::from_millis(150);
/// How long what waits may take at the end.
const LATEST: Duration = Duration::from_secs(120);

/// The slow system: answers questions, and takes actions.
#[derive(Default)]
pub struct SlowSystem {
    /// How often the action of each event came.
    taken: Mutex<HashMap<String, u64>>,
    wrong: Mutex<Vec<String>>,
}

impl SlowSystem {
    /// Listens for as long as this process runs. Its port, too.
    pub fn start() -> (u16, Arc<Self>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        let system = Arc::new(Self::default());
        let shared = system.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let system = shared.clone();
                std::thread::spawn(move || system.serve(stream));
            }
        });
        (port, system)
    }

    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let (mut line, mut length) = (String::new(), 0);
            while line != "\r\n" {
                line.clear();
                if reader.read_line(&mut line).ok()? == 0 {
                    return None;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                    length = value.trim().parse().ok()?;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            if let Ok(action) = serde_json::from_slice(&body) {
                self.take(&action);
            }
            std::thread::sleep(SLOW);
            reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").ok()?;
        }
    }

    /// An action of an event, which says the version of each file that it was made with.
    fn take(&self, action: &Value) {
        let id = action["id"].as_str().unwrap_or_default().to_owned();
        let versions: Vec<u64> =
            action["versions"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
        if versions.len() != 3 || versions.iter().any(|version| *version != versions[0]) {
            self.wrong.lock().unwrap_or_else(PoisonError::into_inner).push(action.to_string());
        }
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default() += 1;
    }
}

/// Delivers one event after the other, each until it is acknowledged.
pub struct Deliveries {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Fallible<Delivered>>,
}

/// What came of the deliveries.
#[derive(Default)]
pub struct Delivered {
    acknowledged: Vec<String>,
    /// How often the gateway said that it cannot keep an event now.
    pub refused: u64,
}

impl Deliveries {
    pub fn start(port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = stop.clone();
        Self { stop, thread: std::thread::spawn(move || deliver(port, &stopping)) }
    }

    /// Ends them.
    ///
    /// # Errors
    /// An answer was neither 204 nor 503.
    pub fn stop(self) -> Fallible<Delivered> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().map_err(|_| "the one who delivers panicked".to_owned())?
    }
}

impl Delivered {
    pub fn count(&self) -> u64 {
        self.acknowledged.len() as u64
    }

    /// Waits until each event has reached the slow system.
    ///
    /// # Errors
    /// One did not, or more than once, or an action was made of files of several versions.
    pub fn check(&self, system: &SlowSystem) -> Fallible {
        let deadline = Instant::now() + LATEST;
        let taken = || system.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = || self.acknowledged.iter().filter(|id| !taken().contains_key(*id)).count();
        while missing() > 0 && Instant::now() < deadline {
            std::thread::sleep(PAUSE);
        }
        let repeated: u64 = taken().values().map(|count| count - 1).sum();
        let wrong = system.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (missing(), repeated, wrong.as_slice()) {
            (0, 0, []) => Ok(()),
            (missing, repeated, wrong) => Err(format!(
                "of {} events {missing} never reached their receiver; {repeated} actions were repeated; {} were mixed: {:?}",
                self.count(),
                wrong.len(),
                wrong.first()
            )),
        }
    }
}

fn deliver(port: u16, stop: &AtomicBool) -> Fallible<Delivered> {
    let mut delivered = Delivered::default();
    while !stop.load(Ordering::SeqCst) {
        let id = format!("event-{}", delivered.acknowledged.len());
        // Also after the stop: of no event it should be unknown what became of it.
        while send(port, &id)? != 204 {
            delivered.refused += 1;
            std::thread::sleep(PAUSE);
        }
        delivered.acknowledged.push(id);
        std::thread::sleep(PAUSE);
    }
    Ok(delivered)
}

/// Delivers an event: 204 or 503.
fn send(port: u16, id: &str) -> Fallible<u16> {
    let failed = |error: std::io::Error| format!("event {id}: no answer: {error}");
    let body = format!(
        r#"{{"eventId":"{id}","eventType":"com.okta.event_hook","data":{{"events":[{{"uuid":"{id}","eventType":"user.session.start","published":"2026-01-01T00:00:00Z"}}]}}}}"#
    );
    let head = format!(
        "POST /events HTTP/1.1\r\nhost: x\r\nauthorization: {SECRET}\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(failed)?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).map_err(failed)?;
    stream.write_all(format!("{head}{body}").as_bytes()).map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    match answer.split(' ').nth(1) {
        Some("204") => Ok(204),
        Some("503") => Ok(503),
        _ => Err(format!("event {id} was answered {answer:?}")),
    }
}
