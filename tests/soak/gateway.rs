//! The gateway as a child process, and the orders to its admin listener.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::NamedTempFile;

use crate::Fallible;
use crate::bundle::Bundle;

/// How long a reload may take on a busy machine.
const LATEST: Duration = Duration::from_secs(60);

pub struct Gateway {
    child: Child,
    admin: u16,
    log: NamedTempFile,
}

impl Gateway {
    /// Starts it and waits until it is ready.
    pub fn start(bundle: &Bundle) -> Fallible<Self> {
        let log = NamedTempFile::new().map_err(|error| error.to_string())?;
        let out = log.reopen().map_err(|error| error.to_string())?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_hookgate"));
        command.args(["serve", "--log", "json"]).current_dir(bundle.root()).env("HOOKGATE_LOG", "error");
        command.env_remove("HOOKGATE_CONFIG").stdin(Stdio::null());
        command.stderr(out.try_clone().map_err(|error| error.to_string())?).stdout(out);
        let child = command.spawn().map_err(|error| error.to_string())?;
        let mut gateway = Self { child, admin: bundle.admin, log };
        let deadline = Instant::now() + LATEST;
        while gateway.is_well().is_err() {
            let ended = gateway.child.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || Instant::now() > deadline {
                return Err(format!("the gateway is not ready:\n{}", gateway.printed()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(gateway)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it is ready.
    pub fn is_well(&self) -> Fallible {
        match ask(self.admin, "GET", "/readyz") {
            Some((200, _)) => Ok(()),
            other => Err(format!("`/readyz` says {other:?}")),
        }
    }

    /// Orders a reload until what is on disk is in force; the watcher may have been quicker.
    pub fn takes(&self) -> Fallible {
        self.until("current")
    }

    /// Orders a reload until what is on disk is refused.
    pub fn refuses(&self) -> Fallible {
        self.until("refused")
    }

    fn until(&self, state: &str) -> Fallible {
        let deadline = Instant::now() + LATEST;
        loop {
            let answer = ask(self.admin, "POST", "/api/v1/reload");
            let body =
                answer.map(|(_, body)| body).ok_or_else(|| format!("the gateway is gone:\n{}", self.printed()))?;
            let status = ask(self.admin, "GET", "/api/v1/status").map(|(_, body)| body).unwrap_or_default();
            let status: Value = serde_json::from_str(&status).unwrap_or_default();
            if status["release"]["state"] == state {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("not {state}: {body} {status:#}"));
            }
        }
    }

    pub fn stop(mut self) -> Fallible {
        let stopped = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let ended = self.child.wait().map_err(|error| error.to_string())?;
        let log = self.printed();
        if !stopped.is_ok_and(|status| status.success()) || !ended.success() || log.contains("panicked") {
            return Err(format!("it ended with {ended}:\n{log}"));
        }
        Ok(())
    }

    /// The last of what it printed.
    pub fn printed(&self) -> String {
        let text = fs::read_to_string(self.log.path()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Status and body of an answer of the admin listener.
fn ask(port: u16, method: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(LATEST)).ok()?;
    let body = if method == "POST" { "{}" } else { "" };
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}
