//! What the README tells a reader to type, typed: each command of its `sh` blocks, in order, in a copy of the bundle and in
//! that of `init`, beside a running gateway. `cargo` and `export` are left out: the program is built and found.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{blocks, root};
use crate::process::get;

/// The commands of a part of the README, continuation lines and here-documents joined.
fn commands(text: &str) -> Vec<String> {
    let text = blocks(&text.replace("\\\n", " "), "sh").join("");
    let mut lines = text.lines();
    let mut commands = Vec::new();
    while let Some(line) = lines.next() {
        let mut command = line.to_owned();
        if let Some((_, end)) = line.split_once("<<") {
            let end = end.trim_matches('\'');
            for line in lines.by_ref() {
                command = format!("{command}\n{line}");
                if line == end {
                    break;
                }
            }
        }
        commands.push(command);
    }
    commands.retain(|command| !command.starts_with("cargo ") && !command.starts_with("export "));
    commands
}

/// The README, and of it what is about the first minute.
fn readme() -> (String, String) {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let minute = text.split("\n## ").find(|part| part.starts_with("Sixty seconds\n")).expect("it has a first minute");
    let minute = minute.to_owned();
    (text, minute)
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
    fn start(make: fn(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path());
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
        self.goes_live(&before, "the README's line");
    }

    /// Waits until another release than this one is in force.
    fn goes_live(&self, before: &str, change: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.release() == before {
            assert!(Instant::now() < deadline, "no release goes live after: {change}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Does each command, and waits for the release where it changes a file of the bundle.
    fn paste(&self, commands: &[String]) {
        let has_curl = Command::new("curl").arg("--version").output().is_ok_and(|output| output.status.success());
        for command in commands {
            if command.starts_with("curl") && !has_curl {
                crate::harness::skipped(&format!("curl is not installed: {command}"));
                continue;
            }
            let before = self.release();
            let output = self.run(command);
            let told = String::from_utf8_lossy(&output.stdout);
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{command}\n{told}{error}");
            let denied = command.contains("mailinator.com");
            assert_eq!(told.contains("\"DENY\""), denied, "{command}\n{told}");
            if command.starts_with("cat ") || command.starts_with("sed ") {
                self.goes_live(&before, command);
            }
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

/// The bundle of `init`.
fn first_bundle(folder: &Path) {
    assert!(shell(folder, "hookgate init").output().unwrap().status.success());
}

/// The bundle of the repository.
fn clone(folder: &Path) {
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
fn what_the_readme_says_to_type_works_in_a_clone() {
    let (readme, minute) = readme();
    let minute = commands(&minute);
    for wanted in ["hookgate simulate okta.registration", "curl ", "cat > scripts/", "sed "] {
        assert!(minute.iter().any(|line| line.starts_with(wanted)), "no `{wanted}` in {minute:#?}");
    }
    let running = Running::start(clone);
    running.paste(&minute);
    // The whole script of the README answers.
    let output = running.run(minute.last().expect("there are commands"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("No throw-away addresses, please."));
    running.add_the_line();
    let all = commands(&readme);
    let rest = all.iter().skip_while(|command| !command.contains("okta.event")).cloned().collect::<Vec<_>>();
    assert!(!rest.is_empty(), "no event is simulated in {all:#?}");
    running.paste(&rest);
    // What the simulated event led to.
    running.reads("data/alerts.jsonl", "Ada Admin added Dora Example to Payroll");
    for command in ["hookgate check", "hookgate test"] {
        let output = running.run(command);
        assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// The bundle of the repository, of which its user has deleted every route and rule but two, their scripts with tests and cases,
/// the rows of examples, and the connectors that nothing names any more.
fn without_examples(folder: &Path) {
    clone(folder);
    let config = folder.join("gateway.toml");
    let mut toml: toml::Table = fs::read_to_string(&config).unwrap().parse().unwrap();
    let routes = toml["routes"].as_table_mut().unwrap();
    routes.retain(|name, _| ["signup", "events"].contains(&name));
    routes["events"]["rules"].as_table_mut().unwrap().retain(|name, _| name == "group-joined");
    toml["tables"].as_table_mut().unwrap().retain(|name, _| name == "disposable");
    toml.remove("connectors");
    fs::write(&config, toml::to_string(&toml).unwrap()).unwrap();
    let kept = ["registration", "group_joined"];
    for entry in fs::read_dir(folder.join("scripts")).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().trim_end_matches("_test").to_owned();
        if path.is_file() && !kept.contains(&stem.as_str()) {
            fs::remove_file(path).unwrap();
        }
    }
    for cases in ["group_watch", "saml"] {
        fs::remove_dir_all(folder.join("scripts/cases").join(cases)).unwrap();
    }
    for table in ["legacy_users.csv", "siem_types.csv"] {
        fs::remove_file(folder.join("tables").join(table)).unwrap();
    }
}

#[test]
fn a_clone_without_its_examples_checks_tests_and_serves() {
    let running = Running::start(without_examples);
    for command in ["hookgate check", "hookgate test", "hookgate simulate okta.registration"] {
        let output = running.run(command);
        assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn the_first_minute_of_the_readme_works_after_init() {
    let running = Running::start(first_bundle);
    running.paste(&commands(&readme().1));
    for command in ["hookgate check", "hookgate test"] {
        let output = running.run(command);
        assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stdout));
    }
}
