//! The program itself as a child process.

use std::fs;
use std::io;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::{NamedTempFile, TempDir};

use crate::harness::{SECRET, SECRET_FILES};

/// The program in a folder, with nothing of the environment that it reads.
pub fn hookgate(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookgate"));
    command.args(args).current_dir(folder);
    for variable in ["HOOKGATE_CONFIG", "HOOKGATE_LOG", "HOOKGATE_WORKER_THREADS"] {
        command.env_remove(variable);
    }
    command
}

pub struct Ran {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        Self {
            status: output.status.code().expect("it ended by itself"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The first sample call of a hook.
pub fn sample(hook: &str) -> &'static str {
    hookgate_hooks::find(hook).expect("a hook of that name").samples[0].request
}

/// A gateway in a process of its own, logging JSON at the level `trace`. Killed at the end whatever happens.
pub struct Served {
    folder: TempDir,
    pub port: u16,
    pub admin: u16,
    printed: NamedTempFile,
    child: Child,
}

impl Served {
    /// Serves a configuration without `server` and `admin`, and waits until it is ready.
    pub fn start(config: &str, files: &[(&str, &str)]) -> Self {
        Self::start_with(config, files, &[])
    }

    /// The same, with variables of the environment.
    pub fn start_with(config: &str, files: &[(&str, &str)], variables: &[(&str, &str)]) -> Self {
        Self::start_as(config, files, |folder| {
            let mut command = hookgate(folder, &["serve", "--log", "json"]);
            command.envs(variables.iter().copied());
            command
        })
    }

    /// The same, where the system allows this many open files.
    pub fn start_within(open_files: u32, config: &str, files: &[(&str, &str)]) -> Self {
        Self::start_as(config, files, |folder| {
            let program = env!("CARGO_BIN_EXE_hookgate");
            let mut command = Command::new("sh");
            let script = format!("ulimit -n {open_files} && exec \"$0\" serve --log json");
            command.args(["-c", &script, program]).current_dir(folder);
            command
        })
    }

    fn start_as(config: &str, files: &[(&str, &str)], command: impl Fn(&Path) -> Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, admin) = (free_port(), free_port());
        let listen = format!("[server]\nlisten = \"127.0.0.1:{port}\"\n[admin]\nlisten = \"127.0.0.1:{admin}\"\n");
        let files = files.iter().copied().chain(SECRET_FILES);
        for (path, text) in files.chain([("gateway.toml", format!("{listen}{config}").as_str())]) {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        // Not in the folder: each line would be a change of the bundle to look at, and told in another line.
        let printed = NamedTempFile::new().unwrap();
        let log = printed.reopen().unwrap();
        let child = command(folder.path())
            .env("HOOKGATE_LOG", "trace")
            .stdin(Stdio::null())
            .stderr(log.try_clone().unwrap())
            .stdout(log)
            .spawn()
            .unwrap();
        let mut served = Self { folder, port, admin, printed, child };
        served.wait_until_ready();
        served
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.admin("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            assert!(Instant::now() < deadline, "the gateway does not become ready");
            assert!(self.child.try_wait().unwrap().is_none(), "the gateway ended:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, such as `-STOP`.
    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.id().to_string()]).status().unwrap().success());
    }

    /// The memory that the process holds of the machine, in KiB.
    #[cfg(target_os = "linux")]
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// A GET at the admin listener, head included.
    pub fn admin(&self, path: &str) -> Option<String> {
        get(self.admin, path)
    }

    /// Sends text to the public listener and reads until it closes.
    pub fn exchange(&self, call: &str) -> String {
        exchange(self.port, call).unwrap()
    }

    /// An authenticated POST.
    pub fn post(&self, path: &str, body: &str) -> String {
        self.exchange(&request("POST", path, &[&format!("authorization: {SECRET}")], body))
    }

    /// Stops it as an operator would; everything that it printed.
    pub fn stop(self) -> String {
        self.stop_and(|_| {})
    }

    /// The same with a look at the files that it leaves.
    pub fn stop_and(mut self, look: impl FnOnce(&Path)) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{}", self.log());
        look(self.folder.path());
        self.log()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.printed.path()).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The text of a request that ends its connection, to `localhost` and as one of JSON; with these lines in its head.
pub fn request(method: &str, path: &str, lines: &[&str], body: &str) -> String {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{lines}content-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// What a GET at a port of this machine is answered, head included; nothing while nobody listens.
pub fn get(port: u16, path: &str) -> Option<String> {
    exchange(port, &request("GET", path, &[], "")).ok()
}

/// Sends text to a port of this machine and reads until it closes.
pub fn exchange(port: u16, call: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(call.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
