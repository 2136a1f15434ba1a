//! Who is at the gateway meanwhile: callers of both routes, watchers of the live stream, and a disk that is full.

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::Fallible;
use crate::bundle::{Bundle, SECRET};

const CALLERS: usize = 3;
const SLOW_CALLERS: usize = 3;
const WATCHERS: usize = 4;

/// Everybody, until they are stopped.
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    answers: AtomicU64,
    seen: AtomicU64,
    /// Versions that an answer may be of: from the one that is surely in force to the one that may go live.
    least: AtomicU64,
    most: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

/// What was counted.
pub struct Counted {
    answers: u64,
    seen: u64,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answers, {} bytes of the live stream", self.answers, self.seen)
    }
}

impl Load {
    pub fn start(bundle: &Bundle) -> Self {
        let shared = Arc::new(Shared::default());
        shared.least.store(1, Ordering::SeqCst);
        shared.most.store(1, Ordering::SeqCst);
        let mut threads = Vec::new();
        for number in 0..CALLERS + SLOW_CALLERS {
            let (shared, port) = (shared.clone(), bundle.port);
            let path = if number < CALLERS { "/main" } else { "/slow" };
            threads.push(std::thread::spawn(move || keep_calling(&shared, port, path, number)));
        }
        for _ in 0..WATCHERS {
            let (shared, port) = (shared.clone(), bundle.admin);
            threads.push(std::thread::spawn(move || watch(&shared, port)));
        }
        Self { shared, threads }
    }

    /// From now on answers may be of this version.
    pub fn expect(&self, version: u64) {
        self.shared.most.store(version, Ordering::SeqCst);
    }

    /// From now on calls that begin are answered by this version.
    pub fn confirm(&self, version: u64) {
        self.shared.least.store(version, Ordering::SeqCst);
    }

    /// # Errors
    /// Answers that were of no version in force.
    pub fn check(&self) -> Fallible {
        let wrong = self.shared.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(format!("{} wrong answers: {:#?}", wrong.len(), &wrong[..wrong.len().min(5)]))
        }
    }

    /// Stops everybody.
    ///
    /// # Errors
    /// As [`Load::check`]; or hardly anybody was answered.
    pub fn stop(self) -> Fallible<Counted> {
        self.shared.stop.store(true, Ordering::SeqCst);
        let (answers, seen) = (self.shared.answers.load(Ordering::SeqCst), self.shared.seen.load(Ordering::SeqCst));
        self.check()?;
        for thread in self.threads {
            thread.join().map_err(|_| "a caller panicked".to_owned())?;
        }
        if answers < 100 || seen == 0 {
            return Err(format!("only {answers} answers and {seen} bytes of the live stream"));
        }
        Ok(Counted { answers, seen })
    }
}

fn keep_calling(shared: &Shared, port: u16, path: &str, caller: usize) {
    let mut connection: Option<BufReader<TcpStream>> = None;
    for number in 0.. {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let least = shared.least.load(Ordering::SeqCst);
        let answer = call(&mut connection, port, path, &format!("{caller}-{number}"));
        let most = shared.most.load(Ordering::SeqCst);
        let told = answer.and_then(|text| version_of(&text));
        match told {
            Ok(version) if (least..=most).contains(&version) => {
                shared.answers.fetch_add(1, Ordering::SeqCst);
            }
            other => {
                let text = format!("{path}: {other:?}, and {least} to {most} may answer");
                shared.wrong.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                return;
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The one version of an answer.
fn version_of(body: &str) -> Result<u64, String> {
    let reply: Value = serde_json::from_str(body).map_err(|_| body.to_owned())?;
    let text = reply["error"]["errorSummary"].as_str().ok_or_else(|| body.to_owned())?;
    let numbers: Vec<u64> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
    match numbers.as_slice() {
        [first, rest @ ..] if rest.len() == 3 && rest.iter().all(|one| one == first) => Ok(*first),
        _ => Err(text.to_owned()),
    }
}

/// One call over a connection that is kept open.
fn call(connection: &mut Option<BufReader<TcpStream>>, port: u16, path: &str, id: &str) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("no answer: {error}");
    if connection.is_none() {
        let stream = TcpStream::connect(("127.0.0.1", port)).map_err(failed)?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).map_err(failed)?;
        *connection = Some(BufReader::new(stream));
    }
    let stream = connection.as_mut().expect("it was just made");
    let body = format!(
        r#"{{"eventId":"{id}","eventType":"com.okta.user.pre-registration","data":{{"userProfile":{{"email":"a@b.example","login":"a@b.example"}},"action":"ALLOW"}}}}"#
    );
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: {SECRET}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.get_mut().write_all(format!("{head}{body}").as_bytes()).map_err(failed)?;
    let (mut length, mut line) = (0, String::new());
    loop {
        line.clear();
        if stream.read_line(&mut line).map_err(failed)? == 0 {
            return Err("the connection was closed".to_owned());
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).map_err(failed)?;
    String::from_utf8(answer).map_err(|error| error.to_string())
}

/// Reads the live stream, and begins anew when it ends.
fn watch(shared: &Shared, port: u16) {
    let mut buffer = [0_u8; 16 << 10];
    while !shared.stop.load(Ordering::SeqCst) {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return };
        let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
        let _ = stream.write_all(b"GET /api/v1/live HTTP/1.1\r\nhost: localhost\r\n\r\n");
        // For some seconds: watchers come and go.
        for _ in 0..fastrand::u32(10..50) {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => drop(shared.seen.fetch_add(read as u64, Ordering::SeqCst)),
                Err(_) => {}
            }
            if shared.stop.load(Ordering::SeqCst) {
                return;
            }
        }
    }
}

/// A file system of its own for the store, which can be filled.
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Nothing where this machine does not let us mount.
    ///
    /// # Errors
    /// So, where nothing may be skipped.
    pub fn new() -> Fallible<Option<Self>> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=512m", "none"]).arg(folder.path()).stderr(Stdio::null());
        if mount.status().is_ok_and(|status| status.success()) {
            return Ok(Some(Self { folder }));
        }
        if std::env::var_os("HOOKGATE_REQUIRE_SERVICES").is_some() {
            return Err("no file system can be mounted here, and nothing may be skipped".to_owned());
        }
        println!("SKIPPED no disk is full: no file system can be mounted here (it takes root)");
        Ok(None)
    }

    pub fn store(&self) -> PathBuf {
        self.folder.path().join("hookgate.db")
    }

    /// Fills it to the last byte, or makes room again.
    pub fn fill(&self, full: bool) -> Fallible {
        let ballast = self.folder.path().join("ballast");
        if !full {
            let _ = fs::remove_file(ballast);
            return Ok(());
        }
        let mut file =
            fs::File::options().create(true).append(true).open(ballast).map_err(|error| error.to_string())?;
        let block = vec![0_u8; 1 << 20];
        for size in [block.len(), 4 << 10, 1] {
            while file.write_all(&block[..size]).is_ok() {}
        }
        Ok(())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}
