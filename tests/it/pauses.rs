//! A gateway that stands still for longer than any time limit: what was answered meanwhile is done, and not done again (#14).
//!
//! It is stopped with a signal. Its receivers have taken the actions before, and answer while it stands still. A pause longer
//! than a lease of jobs is tried with a clock that is set, in `events::stuck`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::events::{delivery, event};
use crate::process::Served;

/// Actions of each connector.
const MANY: usize = 6;
const TIME_LIMIT: Duration = Duration::from_millis(1_000);

/// How many actions came, and whether they are answered.
#[derive(Default)]
struct Gate {
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Gate {
    /// One more came: waits until it may be answered.
    fn pass(&self) {
        self.state.lock().unwrap().0 += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(self.state.lock().unwrap(), |(_, open)| !*open).unwrap());
    }

    fn wait_for(&self, count: usize) {
        let state = self.state.lock().unwrap();
        let patience = Duration::from_secs(60);
        let (state, late) = self.changed.wait_timeout_while(state, patience, |(came, _)| *came < count).unwrap();
        assert!(!late.timed_out(), "only {} of {count} actions came", state.0);
    }

    fn open(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }

    fn count(&self) -> usize {
        self.state.lock().unwrap().0
    }
}

/// Listens, and talks with each connection on a thread of its own.
fn server(gate: &Arc<Gate>, talk: fn(TcpStream, &Gate) -> Option<()>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let gate = gate.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let gate = gate.clone();
            std::thread::spawn(move || talk(stream, &gate));
        }
    });
    port
}

/// Takes a request, and answers it in two parts when it may.
fn http(stream: TcpStream, gate: &Gate) -> Option<()> {
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
        reader.read_exact(&mut vec![0; length]).ok()?;
        gate.pass();
        reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n").ok()?;
        reader.get_mut().write_all(b"taken").ok()?;
    }
}

/// Takes a mail, and says so when it may.
fn smtp(stream: TcpStream, gate: &Gate) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let say = |reader: &mut BufReader<TcpStream>, text: &str| reader.get_mut().write_all(text.as_bytes()).ok();
    say(&mut reader, "220 relay\r\n")?;
    let mut in_text = false;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if in_text && line != "." {
            continue;
        }
        in_text = line == "DATA";
        match line {
            "DATA" => say(&mut reader, "354 go on\r\n")?,
            "." => {
                gate.pass();
                say(&mut reader, "250 queued\r\n")?;
            }
            _ => say(&mut reader, "250 fine\r\n")?,
        }
    }
}

fn config(web: u16, relay: u16) -> String {
    let limit = format!("allow_private = true\ntimeout_ms = {}\nconcurrent = {MANY}\n", TIME_LIMIT.as_millis());
    format!(
        "[auth.a]\nscheme = \"header\"\nsecrets = [{{ file = \"secret\" }}]\n\
         [connectors.web]\nkind = \"http\"\nbase_url = \"http://127.0.0.1:{web}\"\n{limit}\
         [connectors.relay]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {relay}\ntls = \"none\"\n\
         from = \"gateway@example.com\"\nto = [\"operations@example.com\"]\n{limit}\
         [routes.hook]\npath = \"/hook\"\nhook = \"okta.event\"\nauth = \"a\"\nscript = \"hook.rhai\"\n"
    )
}

const SCRIPT: &str =
    "fn on_event(event) { [post(\"web\", \"/take\", #{ id: event.id }), notify(\"relay\", `seen ${event.id}`)] }\n";

/// The results of all tries of actions, and how many actions are done.
fn tries(gateway: &Served) -> (Vec<String>, usize) {
    let store = rusqlite::Connection::open(gateway.folder().join("data/hookgate.db")).unwrap();
    let mut find = store
        .prepare("SELECT result FROM attempt JOIN job ON job.id = attempt.job WHERE kind = 'action' ORDER BY result")
        .unwrap();
    let results = find.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let done = "SELECT count(*) FROM job WHERE kind = 'action' AND state = 'done'";
    (results, store.query_row(done, [], |row| row.get::<_, i64>(0)).unwrap() as usize)
}

#[cfg(target_os = "linux")]
#[test]
fn what_was_answered_while_the_gateway_stood_still_is_not_done_again() {
    let gates: [Arc<Gate>; 2] = Default::default();
    let (web, relay) = (server(&gates[0], http), server(&gates[1], smtp));
    let gateway = Served::start(&config(web, relay), &[("scripts/hook.rhai", SCRIPT)]);
    let events: Vec<_> = (0..MANY).map(|number| event(&format!("e{number}"), serde_json::json!({}))).collect();
    let answer = gateway.post("/hook", &delivery("d1", &events));
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    gates.iter().for_each(|gate| gate.wait_for(MANY));

    gateway.signal("-STOP");
    let state = || fs::read_to_string(format!("/proc/{}/stat", gateway.id())).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !state().contains(") T ") {
        assert!(Instant::now() < deadline, "it does not stop: {}", state());
        std::thread::sleep(Duration::from_millis(1));
    }
    gates.iter().for_each(|gate| gate.open());
    // The clock of another process cannot be set.
    std::thread::sleep(TIME_LIMIT * 2);
    gateway.signal("-CONT");

    let deadline = Instant::now() + Duration::from_secs(60);
    while tries(&gateway).1 < 2 * MANY {
        assert!(Instant::now() < deadline, "the actions do not end: {:?}", tries(&gateway));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(tries(&gateway).0, vec!["done"; 2 * MANY]);
    assert_eq!(gates.map(|gate| gate.count()), [MANY; 2], "each was sent once");
    gateway.stop();
}
