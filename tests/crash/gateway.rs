//! The gateway as a child process, on a bundle whose one rule asks for one action per event.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Fallible;

pub const SECRET: &str = "crash-driver-secret-0123456789";

/// Actions in work at once: as many may be repeated per death.
pub const CONCURRENT: u64 = 8;

/// A folder with everything that the gateway needs.
pub struct Bundle {
    folder: TempDir,
    pub port: u16,
    admin: u16,
    store: PathBuf,
}

impl Bundle {
    /// With the store in the bundle's own folder.
    pub fn new(sink: u16) -> Self {
        Self::with_store(sink, None)
    }

    pub fn with_store(sink: u16, store: Option<&Path>) -> Self {
        Self::with_rule(sink, store, "", "fn on_event(event) { post(\"sink\", \"/take\", #{ id: event.id }) }\n")
    }

    /// With more keys for its rule, and its script.
    pub fn with_rule(sink: u16, store: Option<&Path>, keys: &str, script: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let (port, admin) = (free_port(), free_port());
        let store = store.map_or_else(|| folder.path().join("data/hookgate.db"), Path::to_owned);
        let config = format!(
            r#"
[server]
listen = "127.0.0.1:{port}"
stop_grace_ms = 3000
[admin]
listen = "127.0.0.1:{admin}"
[store]
url = "sqlite:{}"
[auth.okta]
scheme = "header"
secrets = [{{ file = "secret" }}]
[connectors.sink]
kind = "http"
base_url = "http://127.0.0.1:{sink}"
allow_private = true
concurrent = {CONCURRENT}
retry = {{ attempts = 1000, first_ms = 20, most_ms = 200 }}
[routes.events]
path = "/okta/events"
hook = "okta.event"
auth = "okta"
[routes.events.rules.all]
events = ["*"]
script = "rule.rhai"
retry = {{ attempts = 1000, first_ms = 20, most_ms = 200 }}
{keys}
"#,
            store.display()
        );
        let write = |path: &str, text: &str| fs::write(folder.path().join(path), text).expect("a file can be written");
        write("gateway.toml", &config);
        write("secret", SECRET);
        fs::create_dir(folder.path().join("scripts")).expect("a folder can be made");
        write("scripts/rule.rhai", script);
        Self { folder, port, admin, store }
    }

    pub fn store(&self) -> PathBuf {
        self.store.clone()
    }

    /// A copy of the program in the bundle's folder.
    pub fn own_program(&self) -> Fallible<PathBuf> {
        let program = self.folder.path().join("hookgate");
        self.replace_program(&program)?;
        Ok(program)
    }

    /// Puts another copy in its place, as an installer does: the file of the program that runs stays as it is.
    pub fn replace_program(&self, program: &Path) -> Fallible {
        let next = self.folder.path().join("hookgate.next");
        let copied = fs::copy(PROGRAM, &next).and_then(|_| fs::rename(&next, program));
        copied.map_err(|error| format!("the program cannot be replaced: {error}"))
    }
}

/// The program that is tested.
const PROGRAM: &str = env!("CARGO_BIN_EXE_hookgate");

pub struct Gateway {
    child: Child,
    admin: u16,
    log: PathBuf,
}

impl Gateway {
    /// Starts it; it may end before it is ready.
    pub fn spawn(bundle: &Bundle, failpoint: Option<&str>) -> Self {
        Self::spawn_program(Path::new(PROGRAM), bundle, failpoint)
    }

    fn spawn_program(program: &Path, bundle: &Bundle, failpoint: Option<&str>) -> Self {
        let log = bundle.folder.path().join("log");
        let file = fs::File::create(&log).expect("a log can be written");
        let mut command = Command::new(program);
        command.args(["serve", "--log", "json"]).current_dir(bundle.folder.path()).env("HOOKGATE_LOG", "warn");
        command.env_remove("HOOKGATE_CONFIG").stdin(Stdio::null());
        command.stdout(file.try_clone().expect("a handle can be doubled")).stderr(file);
        match failpoint {
            Some(name) => command.env("HOOKGATE_FAILPOINT", name),
            None => command.env_remove("HOOKGATE_FAILPOINT"),
        };
        Self { child: command.spawn().expect("the gateway can be started"), admin: bundle.admin, log }
    }

    /// Starts it and waits until it is ready.
    pub fn start(bundle: &Bundle, failpoint: Option<&str>) -> Self {
        Self::spawn(bundle, failpoint).ready()
    }

    /// Starts this program and waits until it is ready.
    pub fn start_program(program: &Path, bundle: &Bundle) -> Self {
        Self::spawn_program(program, bundle, None).ready()
    }

    fn ready(mut self) -> Self {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.get("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            let ended = self.child.try_wait().expect("a child can be asked");
            assert!(ended.is_none() && Instant::now() < deadline, "the gateway is not ready:\n{}", self.printed());
            std::thread::sleep(Duration::from_millis(5));
        }
        self
    }

    /// Has it become the program on disk, which was replaced, and waits until that one runs.
    pub fn hand_over(&self) -> Fallible {
        let told = Command::new("kill").args(["-USR2", &self.child.id().to_string()]).status();
        assert!(told.is_ok_and(|status| status.success()), "the gateway can be told to hand over");
        let deadline = Instant::now() + Duration::from_secs(60);
        // Until then the system says that the file of the program was deleted.
        let runs = || fs::read_link(format!("/proc/{}/exe", self.child.id()));
        while runs().is_ok_and(|program| program.to_string_lossy().ends_with("(deleted)")) {
            if Instant::now() > deadline {
                return Err(format!("it did not hand over within a minute:\n{}", self.printed()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        if self.get("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            return Ok(());
        }
        Err(format!("the new program is not ready:\n{}", self.printed()))
    }

    /// Sends it a signal, such as `-STOP`.
    pub fn signal(&self, name: &str) -> Fallible {
        match Command::new("kill").args([name, &self.child.id().to_string()]).status() {
            Ok(status) if status.success() => Ok(()),
            other => Err(format!("it cannot be sent `{name}`: {other:?}")),
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child ends");
    }

    /// Stops it as an operator would.
    pub fn stop(mut self) {
        let stopped = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(stopped.is_ok_and(|status| status.success()), "the gateway can be told to stop");
        let status = self.child.wait().expect("a child ends");
        assert!(status.success(), "the gateway ended with {status}:\n{}", self.printed());
    }

    pub fn ended_within(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            if self.has_ended() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        false
    }

    /// Waits until nothing waits or runs any more.
    pub fn drain(&self) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(120);
        while Instant::now() < deadline {
            if self.is_idle() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(format!("jobs still wait after two minutes: {}\n{}", self.queue(), self.printed()))
    }

    /// Whether it says that nothing waits or runs.
    pub fn is_idle(&self) -> bool {
        let queue = self.queue();
        queue["waiting"] == 0 && queue["running"] == 0
    }

    fn queue(&self) -> serde_json::Value {
        let answer = self.get("/api/v1/status").unwrap_or_default();
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let status: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        status["queue"].clone()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked").is_some()
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.admin)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").as_bytes())
            .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    pub fn printed(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}
