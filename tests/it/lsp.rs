//! `hookgate lsp`, driven as an editor drives it: the built program, JSON-RPC over its standard input and output.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

mod answers;
mod findings;
mod neovim;
mod robust;
mod trials;

/// Nothing takes so long, not even on a slow machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// An editor with a folder open in it.
struct Editor {
    folder: TempDir,
    program: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    /// Messages that came while another one was waited for.
    kept: Vec<Value>,
    next: i64,
}

impl Editor {
    /// With the example bundle of the repository.
    fn example() -> Self {
        let editor = Self::unopened();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        fs::copy(root.join("gateway.toml"), editor.path("gateway.toml")).unwrap();
        for folder in ["scripts", "tables"] {
            copy(&root.join(folder), &editor.path(folder));
        }
        editor.greeted()
    }

    /// With these files.
    fn with(files: &[(&str, &str)]) -> Self {
        let editor = Self::unopened();
        for (name, text) in files {
            editor.write(name, text);
        }
        editor.greeted()
    }

    fn unopened() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_hookgate"))
            .args(["lsp", "--code-page", "https://docs.example/lint.html"])
            .current_dir(folder.path())
            .env_remove("HOOKGATE_CONFIG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (program.stdin.take().unwrap(), program.stdout.take().unwrap());
        let (sender, messages) = channel();
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            while let Some(message) = receive(&mut output) {
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Self { folder, program, input, messages, kept: Vec::new(), next: 0 }
    }

    fn greeted(mut self) -> Self {
        let snippets = json!({ "textDocument": { "completion": { "completionItem": { "snippetSupport": true } } } });
        let params = json!({ "processId": null, "rootUri": self.uri(""), "capabilities": snippets });
        let answer = self.ask("initialize", params);
        assert_eq!(answer["serverInfo"]["name"], "hookgate", "{answer}");
        self.tell("initialized", json!({}));
        self
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    fn uri(&self, file: &str) -> String {
        Url::from_file_path(self.path(file)).unwrap().to_string()
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        self.send_raw(&format!("Content-Length: {}\r\n\r\n{text}", text.len()));
    }

    fn send_raw(&mut self, text: &str) {
        self.input.write_all(text.as_bytes()).unwrap();
        self.input.flush().unwrap();
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// The whole answer, error or not.
    fn response(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        self.wait(|message| message["id"] == id && message.get("method").is_none())
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        let mut response = self.response(method, params);
        assert!(response.get("error").is_none(), "{method} gave {response}");
        response["result"].take()
    }

    fn wait(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(index) = self.kept.iter().position(&wanted) {
            return self.kept.remove(index);
        }
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let message = self.messages.recv_timeout(left).expect("the server sends what is waited for");
            if wanted(&message) {
                return message;
            }
            self.kept.push(message);
        }
    }

    fn open(&mut self, file: &str, text: &str) {
        let document = json!({ "uri": self.uri(file), "languageId": "rhai", "version": 1, "text": text });
        self.tell("textDocument/didOpen", json!({ "textDocument": document }));
    }

    /// Opens a file as it is on disk.
    fn show(&mut self, file: &str) {
        let text = self.read(file);
        self.open(file, &text);
    }

    fn change(&mut self, file: &str, version: i32, changes: Value) {
        let document = json!({ "uri": self.uri(file), "version": version });
        self.tell("textDocument/didChange", json!({ "textDocument": document, "contentChanges": changes }));
    }

    /// The next findings of a file that fulfil a condition.
    fn findings_when(&mut self, file: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let uri = self.uri(file);
        let message = self.wait(|message| {
            message["method"] == "textDocument/publishDiagnostics"
                && message["params"]["uri"] == uri
                && wanted(message["params"]["diagnostics"].as_array().unwrap())
        });
        message["params"]["diagnostics"].as_array().unwrap().clone()
    }

    /// The next findings of a file that are of this code.
    fn findings(&mut self, file: &str, code: &str) -> Vec<Value> {
        let has = |found: &[Value]| found.iter().any(|one| one["code"] == code);
        self.findings_when(file, has).into_iter().filter(|one| one["code"] == code).collect()
    }

    /// Opens `text` with a `|` in it, and asks about that place.
    fn ask_at(&mut self, method: &str, file: &str, text: &str) -> Value {
        let (before, after) = text.split_once('|').expect("the place is marked");
        self.open(file, &format!("{before}{after}"));
        let line = before.matches('\n').count();
        let character = before.rsplit('\n').next().unwrap().encode_utf16().count();
        let place = json!({ "line": line, "character": character });
        self.ask(method, json!({ "textDocument": { "uri": self.uri(file) }, "position": place }))
    }

    /// The labels of what is offered at a place.
    fn offered(&mut self, file: &str, text: &str) -> Vec<String> {
        let items = self.ask_at("textDocument/completion", file, text);
        items.as_array().unwrap().iter().map(|item| item["label"].as_str().unwrap().to_owned()).collect()
    }

    /// Says goodbye, and gives the status the program ends with.
    fn leave(mut self) -> i32 {
        self.ask("shutdown", Value::Null);
        self.tell("exit", Value::Null);
        self.program.wait().unwrap().code().unwrap()
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn receive(output: &mut impl BufRead) -> Option<Value> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim().strip_prefix("Content-Length: ") {
            Some(number) => length = number.parse().ok(),
            None if line == "\r\n" => break,
            None => panic!("the server wrote `{line}`"),
        }
    }
    let mut body = vec![0; length.expect("every message has a length")];
    output.read_exact(&mut body).ok()?;
    Some(serde_json::from_slice(&body).expect("the server writes JSON"))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn an_editor_comes_and_goes() {
    let mut editor = Editor::example();
    editor.show("scripts/registration.rhai");
    editor.findings_when("scripts/registration.rhai", <[Value]>::is_empty);
    assert_eq!(editor.leave(), 0);

    let mut rude = Editor::example();
    rude.tell("exit", Value::Null);
    assert_eq!(rude.program.wait().unwrap().code(), Some(1), "without `shutdown`");
}
