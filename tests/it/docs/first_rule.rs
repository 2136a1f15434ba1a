//! `docs/first-rule.md`, typed: a newcomer's path with the program itself, in a temporary folder. Each `console` block is
//! run and its output compared, each `diff` block is applied, each `rhai` block must stand in a file, each `text` block
//! is what the log of `serve` says next, each `json` block a part of the status. `UPDATE=1` writes the outputs anew.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use regex::{Captures, Regex};
use serde_json::Value;
use tempfile::{NamedTempFile, TempDir};

use super::readme::shell;
use super::root;
use crate::process::{free_port, get};

/// How long the log of `serve` may take to say something: its gate runs tests on a machine that may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody who does what the page says.
struct Newcomer {
    home: TempDir,
    /// Where the shell is.
    folder: PathBuf,
    ports: [(u16, &'static str); 2],
    serve: Option<Served>,
    seen: Vec<String>,
}

struct Served {
    child: Child,
    log: NamedTempFile,
    /// Lines of the log that the page has shown.
    told: usize,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Newcomer {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().to_owned();
        Self { home, folder, ports: [(free_port(), "8080"), (free_port(), "8081")], serve: None, seen: Vec::new() }
    }

    /// What takes the place of a block.
    fn follow(&mut self, language: &str, block: &str) -> String {
        match language {
            "console" => self.type_in(block),
            "diff" => self.edit(block),
            "rhai" => self.look(block),
            "text" => return self.read_log(block),
            "json" => self.ask_status(block),
            other => panic!("what is to be done with a `{other}` block?"),
        }
        .unwrap_or_else(|| block.to_owned())
    }

    fn type_in(&mut self, block: &str) -> Option<String> {
        let mut screen = String::new();
        for command in block.lines().filter_map(|line| line.strip_prefix("$ ")) {
            screen += &format!("$ {command}\n");
            match command.split_once(' ') {
                Some(("cd", folder)) => self.folder.push(folder),
                _ if command == "hookgate serve" => screen += &self.start(),
                _ => screen += &self.run(command),
            }
        }
        Some(screen)
    }

    fn run(&mut self, command: &str) -> String {
        let output = shell(&self.folder, command).stdin(Stdio::null()).output().unwrap();
        if command.starts_with("hookgate init") {
            let folder = self.home.path().join(command.rsplit(' ').next().unwrap());
            let config = folder.join("gateway.toml");
            let mut text = fs::read_to_string(&config).unwrap();
            for (port, documented) in self.ports {
                assert!(text.contains(documented), "{text}");
                text = text.replace(documented, &port.to_string());
            }
            fs::write(config, text).unwrap();
        }
        let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        self.normal(&told)
    }

    fn start(&mut self) -> String {
        let log = NamedTempFile::new_in(self.home.path()).unwrap();
        let mut command = shell(&self.folder, "exec hookgate serve");
        command.stdin(Stdio::null()).stdout(log.reopen().unwrap()).stderr(log.reopen().unwrap());
        self.serve = Some(Served { child: command.spawn().unwrap(), log, told: 0 });
        self.next_lines(|lines| lines.iter().any(|line| line.contains(" ready ")))
    }

    /// The file as the diff says; what it takes away must be there once.
    fn edit(&mut self, diff: &str) -> Option<String> {
        let (file, lines) = diff.strip_prefix("--- ").and_then(|rest| rest.split_once('\n')).expect("a file to change");
        let side = |gone: char| -> String {
            let kept = lines.lines().filter(|line| !line.starts_with(gone));
            kept.map(|line| format!("{}\n", line.get(1..).unwrap_or_default())).collect()
        };
        let (old, new) = (side('+'), side('-'));
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(&old).count(), 1, "in {file}:\n{text}\nthe page changes:\n{old}");
        // As editors save: whole or not at all.
        let beside = self.home.path().join("edited");
        fs::write(&beside, text.replace(&old, &new)).unwrap();
        fs::rename(beside, path).unwrap();
        None
    }

    fn look(&self, block: &str) -> Option<String> {
        let mut scripts = Vec::new();
        super::files(&self.folder.join("scripts"), ".rhai", &mut scripts);
        let found = scripts.iter().any(|path| fs::read_to_string(path).unwrap().contains(block));
        assert!(found, "no file of the bundle has these lines:\n{block}");
        None
    }

    fn read_log(&mut self, expected: &str) -> String {
        let wanted = expected.lines().count().max(1);
        self.next_lines(|lines| lines.len() >= wanted)
    }

    /// What the log says that the page has not shown yet, as soon as it is enough. Calls are not of interest.
    fn next_lines(&mut self, enough: impl Fn(&[&str]) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let serve = self.serve.as_mut().expect("the page serves before it reads the log");
            let text = fs::read_to_string(serve.log.path()).unwrap();
            let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
            let lines: Vec<&str> = whole.lines().filter(|line| !line.contains(" call answered ")).collect();
            if enough(&lines[serve.told..]) {
                let new = lines[serve.told..].join("\n") + "\n";
                serve.told = lines.len();
                return self.normal(&new);
            }
            assert!(Instant::now() < deadline, "the log says no more than:\n{text}");
            assert!(serve.child.try_wait().unwrap().is_none(), "the gateway ended:\n{text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn ask_status(&self, block: &str) -> Option<String> {
        let answer = get(self.ports[1].0, "/api/v1/status").unwrap();
        let status: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_part(&status, &serde_json::from_str(block).unwrap());
        None
    }

    /// The text without what differs from run to run.
    fn normal(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (port, documented) in self.ports {
            text = text.replace(&format!(":{port}"), &format!(":{documented}"));
        }
        for (pattern, instead) in [
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "2026-01-15T12:00:00.000Z"),
            (r"\bin \d+(\.\d+)? m?s\b", "in 12 ms"),
            (r"(?m)^(\d{3}) \d+ ms$", "$1 3 ms"),
            (r"startup_ms=\d+", "startup_ms=40"),
            // A machine that is busy.
            (r"(?m)^slow .*\n", ""),
        ] {
            text = Regex::new(pattern).unwrap().replace_all(&text, instead).into_owned();
        }
        let ids = Regex::new(r"\b([0-9a-f]{32}|[0-9a-f]{12})\b").unwrap();
        ids.replace_all(&text, |found: &Captures| self.stand_in(&found[0])).into_owned()
    }

    /// The same for the same id, and as long.
    fn stand_in(&mut self, id: &str) -> String {
        let place = self.seen.iter().position(|known| known == id).unwrap_or_else(|| {
            self.seen.push(id.to_owned());
            self.seen.len() - 1
        });
        // Digits that look like those of a hash: they come from the golden ratio.
        let digits = (place as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{digits:016x}").repeat(2)[..id.len()].to_owned()
    }
}

fn assert_part(whole: &Value, part: &Value) {
    match part.as_object() {
        Some(members) => members.iter().for_each(|(name, part)| assert_part(&whole[name], part)),
        None => assert_eq!(whole, part),
    }
}

/// The page with each block as it turns out.
fn followed(page: &str) -> String {
    let mut newcomer = Newcomer::new();
    let mut parts = page.split("\n```");
    let mut text = parts.next().unwrap_or_default().to_owned();
    while let (Some(opened), Some(after)) = (parts.next(), parts.next()) {
        let (language, block) = opened.split_once('\n').unwrap_or((opened, ""));
        let block = if block.is_empty() { String::new() } else { format!("{block}\n") };
        text += &format!("\n```{language}\n{}```{after}", newcomer.follow(language, &block));
    }
    text
}

#[test]
fn the_path_of_a_newcomer_is_as_the_page_says() {
    let path = root().join("docs/first-rule.md");
    let page = fs::read_to_string(&path).unwrap();
    let found = followed(&page);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, &found).unwrap();
        return;
    }
    assert!(found == page, "{}", similar::TextDiff::from_lines(&page, &found).unified_diff().context_radius(2));
}
