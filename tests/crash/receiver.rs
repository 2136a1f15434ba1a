//! The outside system: takes actions and remembers under which keys it saw which events.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often each key was seen for each event.
pub type Seen = HashMap<String, HashMap<String, u64>>;

/// A request that was taken.
#[derive(Clone)]
pub struct Taken {
    pub key: String,
    pub body: serde_json::Value,
}

pub struct Receiver {
    port: u16,
    taken: Arc<Mutex<Vec<Taken>>>,
}

impl Receiver {
    /// Listens for as long as this process runs.
    pub fn start() -> Self {
        Self::taking(Duration::from_micros(500))
    }

    /// The same, and takes so long for each answer.
    pub fn taking(time: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        let taken: Arc<Mutex<Vec<Taken>>> = Arc::default();
        let shared = taken.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let taken = shared.clone();
                std::thread::spawn(move || serve(stream, &taken, time));
            }
        });
        Self { port, taken }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn seen(&self) -> Seen {
        let mut seen = Seen::new();
        for Taken { key, body } in self.taken() {
            let id = body["id"].as_str().unwrap_or_default().to_owned();
            *seen.entry(id).or_default().entry(key).or_default() += 1;
        }
        seen
    }

    /// All requests, in the order in which they came.
    pub fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(stream: TcpStream, taken: &Mutex<Vec<Taken>>, time: Duration) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = request(&mut reader) {
        // Counted before it is answered, as a system does that dies in between.
        taken.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        std::thread::sleep(time);
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        if reader.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<Taken> {
    let (mut key, mut length) = (String::new(), 0);
    let mut first = true;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() && !first {
            break;
        }
        first = false;
        if let Some(value) = line.strip_prefix("idempotency-key: ") {
            key = value.to_owned();
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Taken { key, body: serde_json::from_slice(&body).ok()? })
}
