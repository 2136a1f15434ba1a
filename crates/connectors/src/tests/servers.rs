//! Real servers for tests: programs of this machine, started with a folder and a port of their own and stopped by their own
//! number. Where a program is missing a test says that it was skipped, or fails with `HOOKGATE_REQUIRE_SERVICES=1`.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use hookgate_model::environment;

pub(crate) mod mariadb;
pub(crate) mod postgres;
pub(crate) mod slapd;

/// A program that runs until this is dropped.
pub(crate) struct Running {
    child: Option<Child>,
    stop: Signal,
}

/// Whoever programs run as: not root, which most servers refuse to be.
#[derive(Clone, Copy)]
pub(crate) struct User {
    uid: u32,
    gid: u32,
}

/// A server that tests which run at the same time share; the last one to end stops it.
pub(super) struct Shared<T>(pub(super) Mutex<Weak<T>>);

impl<T> Shared<T> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Weak::new()))
    }

    pub(super) fn get(&self, start: impl FnOnce() -> Option<T>) -> Option<Arc<T>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = kept.upgrade() {
            return Some(running);
        }
        let started = Arc::new(start()?);
        *kept = Arc::downgrade(&started);
        Some(started)
    }
}

impl Running {
    /// Starts a program and waits until it listens.
    pub(super) fn start(command: &mut Command, log: &Path, port: u16, stop: Signal) -> Self {
        let out = fs::File::create(log).expect("a log");
        command.stdin(Stdio::null()).stdout(out.try_clone().expect("a log")).stderr(out);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut running = Self { child: Some(child), stop };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = running.child.as_mut().expect("a program").try_wait().expect("its state");
            let late = started.elapsed() > Duration::from_secs(60);
            assert!(ended.is_none() && !late, "it does not listen: {}", fs::read_to_string(log).unwrap_or_default());
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }

    pub(super) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, self.stop);
        }
        drop(child.wait());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

impl User {
    /// This name if we are root, else nobody: ourselves.
    pub(crate) fn named(name: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let passwd = fs::read_to_string("/etc/passwd").expect("the users");
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name)).expect(name);
        let fields: Vec<&str> = line.split(':').collect();
        Some(Self { uid: fields[2].parse().expect("a number"), gid: fields[3].parse().expect("a number") })
    }
}

/// The same program as another user.
pub(super) fn run_as(user: Option<User>, program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command
}

/// A folder of this user.
pub(super) fn folder_of(user: Option<User>) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    own(user, folder.path());
    folder
}

pub(super) fn own(user: Option<User>, path: &Path) {
    if let Some(user) = user {
        chown(path, Some(user.uid), Some(user.gid)).expect("an owner");
    }
}

/// The first of these programs that is here.
pub(super) fn program(places: &[&str]) -> Option<PathBuf> {
    let found = places.iter().map(PathBuf::from).find(|path| path.exists());
    if found.is_none() {
        missing(places[0]);
    }
    found
}

#[allow(clippy::print_stderr, reason = "a test that did nothing must say so")]
pub(super) fn missing(what: &str) {
    let required = environment::variable("HOOKGATE_REQUIRE_SERVICES").is_some_and(|value| value == "1");
    assert!(!required, "{what} is not installed");
    eprintln!("SKIPPED: {what} is not installed");
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

/// Runs a program to its end, which must be good.
pub(super) fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Writes a certificate for `localhost` and its key; the certificate is its own authority.
pub(super) fn certificate(folder: &Path, user: Option<User>) {
    certificate_for(folder, user, "localhost", 2099);
}

/// The same for a name, good until a year.
pub(crate) fn certificate_for(folder: &Path, user: Option<User>, name: &str, until: i32) {
    let mut parameters = rcgen::CertificateParams::new([name.to_owned()]).expect("a name");
    parameters.not_before = rcgen::date_time_ymd(2001, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(until, 1, 1);
    let key = rcgen::KeyPair::generate().expect("a key");
    let made = parameters.self_signed(&key).expect("a certificate");
    for (file, text) in [("cert.pem", made.pem()), ("key.pem", key.serialize_pem())] {
        let path = folder.join(file);
        fs::write(&path, text).expect(file);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("rights");
        own(user, &path);
    }
}
