//! A restart and another program fail no call: sockets that systemd holds, and a process that becomes the next program (#14).
//!
//! Calls are sent all the while, over connections that are kept and over new ones, none of them twice; each must be answered.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::harness::{SECRET, skipped, write};
use crate::process::{exchange, free_port, sample};

const ROUNDS: usize = 4;

const CONFIG: &str = "[scripts]\ngate = \"check\"\n[auth.a]\nscheme = \"header\"\nsecrets = [{ file = \"secret\" }]\n\
    [connectors.chat]\nkind = \"file\"\npath = \"chat.jsonl\"\n\
    [routes.hook]\npath = \"/hook\"\nhook = \"okta.registration\"\nscript = \"hook.rhai\"\nauth = \"a\"\n\
    on_failure = { deny = \"Declared.\" }\n";
const HOOK: &str = "fn on_registration(_request) { [deny(\"Decided.\"), notify(\"chat\", \"called\")] }\n";

/// A gateway that is restarted.
struct Site {
    folder: tempfile::TempDir,
    port: u16,
    admin: u16,
    printed: tempfile::NamedTempFile,
}

impl Site {
    fn new() -> Self {
        let (port, admin) = (free_port(), free_port());
        let site = Self {
            folder: tempfile::tempdir().unwrap(),
            port,
            admin,
            printed: tempfile::NamedTempFile::new().unwrap(),
        };
        let listen = format!("[server]\nlisten = \"127.0.0.1:{port}\"\n[admin]\nlisten = \"127.0.0.1:{admin}\"\n");
        site.write("gateway.toml", &format!("{listen}{CONFIG}"));
        site.write("secret", SECRET);
        site.write("scripts/hook.rhai", HOOK);
        site
    }

    fn write(&self, path: &str, text: &str) {
        write(self.folder.path(), path, text);
    }

    fn command(&self, program: &Path) -> Command {
        let log = self.printed.reopen().unwrap();
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).stdin(Stdio::null()).stderr(log.try_clone().unwrap()).stdout(log);
        for variable in ["HOOKGATE_CONFIG", "HOOKGATE_LOG", "HOOKGATE_WORKER_THREADS"] {
            command.env_remove(variable);
        }
        command
    }

    /// As systemd starts it: with both sockets, and their names.
    fn activated(&self, sockets: &[TcpListener; 2]) -> Running {
        let socket = |index: usize| Stdio::from(OwnedFd::from(sockets[index].try_clone().unwrap()));
        let log = self.printed.path().display();
        let script = format!("exec 3<&0 4<&1 0</dev/null 1>>{log}; export LISTEN_PID=$$; exec \"$0\" serve --log json");
        let mut command = self.command(Path::new("sh"));
        command.args(["-c", &script, env!("CARGO_BIN_EXE_hookgate")]).stdin(socket(0)).stdout(socket(1));
        Running(command.envs([("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "public:admin")]).spawn().unwrap())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.printed.path()).unwrap()
    }

    /// Waits until so many lines of the log have a message.
    fn until(&self, message: &str, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let wanted = format!("\"message\":\"{message}\"");
        while self.log().matches(&wanted).count() < count {
            assert!(Instant::now() < deadline, "no `{message}`:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// How many actions the store has taken from calls.
    fn actions(&self) -> usize {
        let store = rusqlite::Connection::open(self.folder.path().join("data/hookgate.db")).unwrap();
        store.query_row("SELECT count(*) FROM job", [], |row| row.get::<_, i64>(0)).unwrap() as usize
    }
}

struct Running(Child);

impl Running {
    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.0.id().to_string()]).status().unwrap().success());
    }

    fn stop(mut self) {
        self.signal("-TERM");
        assert_eq!(self.0.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Callers that call again and again.
struct Callers {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<Vec<String>>>,
}

/// How a caller calls.
#[derive(Clone, Copy)]
struct Manner {
    /// Between two calls.
    pause: Duration,
    keeps: bool,
}

impl Callers {
    fn start(port: u16) -> Self {
        let (stop, answered) = <(Arc<AtomicBool>, Arc<AtomicUsize>)>::default();
        let manner = |number: u64| match number % 3 {
            0 => Manner { pause: Duration::from_millis(5), keeps: false },
            1 => Manner { pause: Duration::from_millis(5), keeps: true },
            // Longer than a connection may be silent at the stop.
            _ => Manner { pause: Duration::from_millis(350 + 10 * number), keeps: true },
        };
        let threads = (0..12u64).map(|number| {
            let (stop, answered) = (stop.clone(), answered.clone());
            std::thread::spawn(move || call_on(port, number, manner(number), &stop, &answered))
        });
        let threads = threads.collect();
        Self { stop, answered, threads }
    }

    /// Waits for so many more answers, so that each restart happens under load.
    fn some(&self, count: usize) {
        let wanted = self.answered.load(Ordering::Relaxed) + count;
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.answered.load(Ordering::Relaxed) < wanted && self.threads.iter().any(|thread| !thread.is_finished())
        {
            assert!(Instant::now() < deadline, "calls are not answered");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// How many calls were answered, if all were.
    fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let failed: Vec<String> = self.threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert!(failed.is_empty(), "{} calls failed: {failed:#?}", failed.len());
        self.answered.load(Ordering::Relaxed)
    }
}

/// Calls until it is to stop, or one call fails: why.
fn call_on(port: u16, caller: u64, manner: Manner, stop: &AtomicBool, answered: &AtomicUsize) -> Vec<String> {
    let mut kept: Option<TcpStream> = None;
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        // As proxies do: a connection that was closed is not used.
        let stream = kept.take().filter(is_open);
        let stream = stream.map_or_else(|| TcpStream::connect(("127.0.0.1", port)), Ok);
        match stream.and_then(|mut stream| call(&mut stream, caller, number, manner).map(|answer| (stream, answer))) {
            Ok((stream, answer)) if answer.contains("Decided.") => {
                answered.fetch_add(1, Ordering::Relaxed);
                kept = (manner.keeps && !answer.contains("onnection: close")).then_some(stream);
            }
            Ok((_, answer)) => return vec![format!("caller {caller}: {answer:?}")],
            Err(error) => return vec![format!("caller {caller}: {error}")],
        }
        std::thread::sleep(manner.pause);
    }
    Vec::new()
}

fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let seen = stream.peek(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    seen.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// One call, and its answer as a whole.
fn call(stream: &mut TcpStream, caller: u64, number: u64, manner: Manner) -> std::io::Result<String> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut body: serde_json::Value = serde_json::from_str(sample("okta.registration")).unwrap();
    body["eventId"] = format!("{} {caller} {number}", stream.peer_addr()?.port()).into();
    let (body, connection) = (body.to_string(), if manner.keeps { "keep-alive" } else { "close" });
    let head = format!("POST /hook HTTP/1.1\r\nhost: x\r\nauthorization: {SECRET}\r\nconnection: {connection}");
    stream.write_all(format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes())?;
    let mut text = Vec::new();
    loop {
        let mut buffer = [0; 8192];
        let size = stream.read(&mut buffer)?;
        text.extend_from_slice(&buffer[..size]);
        let answer = String::from_utf8_lossy(&text);
        if size == 0 || is_whole(&answer) {
            return Ok(answer.into_owned());
        }
    }
}

fn is_whole(answer: &str) -> bool {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    length.is_some_and(|length: usize| body.len() >= length)
}

/// nginx in front of a gateway, without a second try. Nothing where it is not installed.
struct Proxy {
    _folder: tempfile::TempDir,
    child: Child,
    port: u16,
}

impl Proxy {
    fn start(to: u16) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let (port, path) = (free_port(), folder.path().display());
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {path}/{name};\n"))
            .concat();
        let text = format!(
            "daemon off;\nmaster_process off;\npid {path}/pid;\nerror_log {path}/error.log;\n\
             events {{ worker_connections 512; }}\nhttp {{\naccess_log off;\n{temporary}\
             upstream gateway {{ server 127.0.0.1:{to} max_fails=0; keepalive 16; }}\n\
             server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://gateway; proxy_http_version 1.1;\n\
             proxy_set_header Connection \"\"; proxy_next_upstream off; }} }}\n}}\n"
        );
        fs::write(folder.path().join("nginx.conf"), text).unwrap();
        let mut nginx = Command::new("/usr/sbin/nginx");
        nginx.arg("-p").arg(folder.path()).arg("-c").arg(folder.path().join("nginx.conf"));
        let Ok(child) = nginx.stdin(Stdio::null()).stderr(Stdio::null()).spawn() else {
            skipped("there is no nginx on this machine; it is in Debian's package `nginx`");
            return None;
        };
        let proxy = Self { _folder: folder, child, port };
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "nginx does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(proxy)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Restarts it under load: directly, and behind a proxy.
fn under_load(site: &Site, mut restart: impl FnMut(usize)) {
    let proxy = Proxy::start(site.port);
    let ports = [Some(site.port), proxy.as_ref().map(|proxy| proxy.port)];
    let (mut answered, mut rounds) = (0, 0);
    for port in ports.into_iter().flatten() {
        let callers = Callers::start(port);
        for _ in 0..ROUNDS {
            callers.some(30);
            rounds += 1;
            restart(rounds);
            callers.some(30);
        }
        answered += callers.end();
    }
    assert_eq!(site.actions(), answered, "each answered call has kept its action, once");
}

#[test]
fn a_restart_behind_sockets_of_systemd_fails_no_call() {
    let site = Site::new();
    let sockets = [site.port, site.admin].map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap());
    let mut running = Some(site.activated(&sockets));
    site.until("ready", 1);
    under_load(&site, |round| {
        running.take().unwrap().stop();
        running = Some(site.activated(&sockets));
        site.until("ready", round + 1);
    });
    let status = exchange(site.admin, "GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    assert!(status.starts_with("HTTP/1.1 200"), "{status}");
    running.take().unwrap().stop();
}

#[test]
fn the_next_program_takes_over_and_no_call_fails() {
    let site = Site::new();
    // Reached by a link, as packages and people place it.
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("hookgate");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_hookgate"), &program).unwrap();
    let running = Running(site.command(&program).args(["serve", "--log", "json"]).spawn().unwrap());
    site.until("ready", 1);
    // The next program says that it ran.
    let marks = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "#!/bin/sh\necho \"$1\" >> {}\nexec {} \"$@\"\n",
        marks.path().display(),
        env!("CARGO_BIN_EXE_hookgate")
    );
    fs::remove_file(&program).unwrap();
    fs::write(&program, text).unwrap();
    let executable = Command::new("chmod").arg("755").arg(&program).status().unwrap();
    assert!(executable.success());
    let mut rounds = 0;
    under_load(&site, |round| {
        running.signal("-USR2");
        site.until("ready", round + 1);
        rounds = round;
    });
    // The process that the link led to first has become the next one; from then on it is the program itself that goes on.
    let marks = fs::read_to_string(marks.path()).unwrap();
    assert!(marks.starts_with("check\nserve\n"), "{marks:?}");
    assert!(site.log().contains("handing over"), "{}", site.log());
    running.stop();
    assert_eq!(site.log().matches("\"message\":\"stopped\"").count(), rounds + 1);
}

#[test]
fn a_program_that_would_not_start_does_not_take_over() {
    let site = Site::new();
    let running = Running(
        site.command(Path::new(env!("CARGO_BIN_EXE_hookgate"))).args(["serve", "--log", "json"]).spawn().unwrap(),
    );
    site.until("ready", 1);
    site.write("scripts/hook.rhai", "fn on_registration(");
    running.signal("-USR2");
    site.until("not handed over, this process goes on", 1);
    let mut stream = TcpStream::connect(("127.0.0.1", site.port)).unwrap();
    let once = Manner { pause: Duration::ZERO, keeps: false };
    assert!(call(&mut stream, 0, 0, once).unwrap().contains("Decided."));
    site.write("scripts/hook.rhai", HOOK);
    running.signal("-USR2");
    site.until("ready", 2);
    let mut stream = TcpStream::connect(("127.0.0.1", site.port)).unwrap();
    assert!(call(&mut stream, 0, 1, once).unwrap().contains("Decided."));
    running.stop();
}

/// Starts it with one socket of a name; how it ended, and what it said.
fn started_with(address: &str, name: &str) -> (Option<i32>, String) {
    let site = Site::new();
    let socket = TcpListener::bind(address).unwrap();
    let log = site.printed.path().display();
    let script = format!("exec 3<&0 0</dev/null; export LISTEN_PID=$$; exec \"$0\" serve >>{log} 2>&1");
    let mut command = site.command(Path::new("sh"));
    command.args(["-c", &script, env!("CARGO_BIN_EXE_hookgate")]).stdin(OwnedFd::from(socket));
    let status = command.envs([("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", name)]).status().unwrap();
    (status.code(), site.log())
}

#[test]
fn sockets_that_cannot_be_used_are_refused_with_what_to_do() {
    let (status, said) = started_with("127.0.0.1:0", "hookgate.socket");
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("`hookgate.socket`") && said.contains("FileDescriptorName="), "{said}");
    let (status, said) = started_with("0.0.0.0:0", "admin");
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("`admin.token` is missing"), "{said}");
}
