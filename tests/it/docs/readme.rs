//! What the README tells a reader to type, typed: every `hookgate …` and `curl …` line of its `sh` blocks, in order, in a
//! copy of the bundle, beside a running gateway.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{blocks, root};
use crate::process::get;

/// The lines that are run, continuation lines joined.
fn commands() -> Vec<String> {
    let readme = fs::read_to_string(root().join("README.md")).unwrap().replace("\\\n", " ");
    let lines = blocks(&readme, "sh").join("");
    let lines = lines.lines().map(|line| line.replace("cargo run --release --", "hookgate"));
    lines.filter(|line| line.starts_with("hookgate ") || line.starts_with("curl ")).collect()
}

struct Running {
    folder: TempDir,
    gateway: Child,
    listen: String,
    admin: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.gateway.kill();
        let _ = self.gateway.wait();
    }
}

impl Running {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        bundle(folder.path());
        let config = folder.path().join("gateway.toml");
        let mut text = fs::read_to_string(&config).unwrap();
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let (listen, admin) = (free(), free());
        for (old, new) in [("127.0.0.1:8080", &listen), ("127.0.0.1:8081", &admin)] {
            assert!(text.contains(old), "gateway.toml does not listen on {old}, as the README says");
            text = text.replace(old, new);
        }
        fs::write(&config, text).unwrap();
        let mut serve = shell(folder.path(), "exec hookgate serve");
        let gateway = serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut running = Self { folder, gateway, listen, admin };
        let deadline = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(&running.listen).is_err() {
            assert!(Instant::now() < deadline, "the gateway does not listen");
            assert!(running.gateway.try_wait().unwrap().is_none(), "the gateway ended");
            std::thread::yield_now();
        }
        running
    }

    /// Adds the line of the README to the smallest rule, and waits until it is live.
    fn add_the_line(&self) {
        let readme = fs::read_to_string(root().join("README.md")).unwrap();
        let before = self.release();
        let line = blocks(&readme, "rhai").into_iter().find(|block| block.contains("notify(")).expect("it adds a line");
        let path = self.folder.path().join("scripts/group_joined.rhai");
        let script = fs::read_to_string(&path).unwrap();
        let end = script.rfind('}').expect("it has a function");
        fs::write(&path, format!("{}{line}{}", &script[..end], &script[end..])).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.release() == before {
            assert!(Instant::now() < deadline, "the script with the README's line does not go live");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The release in force.
    fn release(&self) -> String {
        let port = self.admin.rsplit(':').next().and_then(|port| port.parse().ok()).expect("an address has a port");
        let answer = get(port, "/api/v1/status").expect("the admin listener answers");
        let body = answer.split_once("\r\n\r\n").expect("an answer has a body").1;
        let status: serde_json::Value = serde_json::from_str(body).expect("status is JSON");
        status["release"]["running"].as_str().expect("a release is live").to_owned()
    }

    /// Waits until a file of the bundle has this text.
    fn reads(&self, path: &str, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !fs::read_to_string(self.folder.path().join(path)).is_ok_and(|content| content.contains(text)) {
            assert!(Instant::now() < deadline, "`{text}` does not come into {path}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn run(&self, command: &str) -> Output {
        let command = command.replace("127.0.0.1:8080", &self.listen);
        shell(self.folder.path(), &command).stdin(Stdio::null()).output().unwrap()
    }
}

/// The bundle of the repository, or while it has none, that of `init`.
fn bundle(folder: &Path) {
    if !root().join("gateway.toml").exists() {
        assert!(shell(folder, "hookgate init").output().unwrap().status.success());
        return;
    }
    fs::copy(root().join("gateway.toml"), folder.join("gateway.toml")).unwrap();
    for part in ["scripts", "tables"] {
        copy(&root().join(part), &folder.join(part));
    }
}

fn copy(from: &Path, to: &Path) {
    let Ok(entries) = fs::read_dir(from) else { return };
    fs::create_dir_all(to).unwrap();
    for entry in entries {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// A line of a shell in which `hookgate` is this program.
pub(super) fn shell(folder: &Path, line: &str) -> Command {
    let binary = Path::new(env!("CARGO_BIN_EXE_hookgate")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(folder).env("PATH", format!("{}:{path}", binary.display()));
    for variable in ["HOOKGATE_CONFIG", "HOOKGATE_LOG", "HOOKGATE_WORKER_THREADS"] {
        command.env_remove(variable);
    }
    command
}

#[test]
fn what_the_readme_says_to_type_works() {
    let has_curl = Command::new("curl").arg("--version").output().is_ok_and(|output| output.status.success());
    let commands = commands();
    for wanted in ["hookgate simulate okta.registration", "curl "] {
        assert!(commands.iter().any(|line| line.starts_with(wanted)), "no `{wanted}` in {commands:#?}");
    }
    let running = Running::start();
    running.add_the_line();
    for command in commands {
        if command.starts_with("curl") && !has_curl {
            crate::harness::skipped(&format!("curl is not installed: {command}"));
            continue;
        }
        let output = running.run(&command);
        let told = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}\n{told}{error}");
        let denied = command.contains("mailinator.com");
        assert_eq!(told.contains("\"DENY\""), denied, "{command}\n{told}");
    }
    // What the simulated event led to.
    running.reads("data/alerts.jsonl", "Ada Admin added Dora Example to Payroll");
}
