//! The protocol: messages in, answers and findings out, until the editor says goodbye.
//!
//! Messages are answered in their order on one thread. Looking at a bundle happens on another (`surveyor`), so that typing
//! is never waited for. Nothing that a client sends ends the server: what is malformed is logged in the editor, and a
//! handler that panics answers with an error.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use gen_lsp_types::{Diagnostic, MessageType, PublishDiagnosticsParams, ShowMessageParams, Uri};
use lsp_server::{ErrorCode, Message, Notification, Request, RequestId, Response};
use serde_json::{Value, json};

use crate::editor::completion::Insert;
use crate::editor::diagnostics;
use crate::editor::lens::{Runner, Trial};
use crate::editor::wire;
use crate::editor::wire::Incoming;
use crate::editor::workspace::{Home, Job, Workspace};
use hookgate_engine::release::build::survey::Survey;
use hookgate_script::stack;

mod documents;
mod requests;

/// After a change nothing is looked at for so long: more keys may follow.
const PAUSE: Duration = Duration::from_millis(30);

/// Where the server reads and what it is told.
pub struct Setup {
    /// What a configuration is called: `gateway.toml`.
    pub config_name: String,
    /// How tests of scripts are run.
    pub runner: Runner,
    /// The address of the page that explains the codes of findings, if it is published somewhere.
    pub page: Option<Uri>,
}

/// What the main thread waits for.
enum Event {
    Incoming(Incoming),
    Surveyed(Box<Job>, Arc<Survey>),
    /// Looking at a bundle panicked.
    Lost,
    Tried {
        id: RequestId,
        home: Home,
        file: PathBuf,
        result: Result<Trial, String>,
    },
}

/// How far the conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Before,
    Running,
    ShutDown,
}

struct Server<W> {
    output: W,
    setup: Setup,
    phase: Phase,
    insert: Insert,
    workspace: Workspace,
    /// Bundles to look at again, once it is quiet.
    changed: BTreeSet<Home>,
    due: Option<Instant>,
    surveyor: Sender<Vec<Job>>,
    /// Jobs that the surveyor has not answered.
    pending: usize,
    events: Sender<Event>,
    /// What was last published of each bundle.
    published: BTreeMap<Home, BTreeSet<PathBuf>>,
    /// Failed tests, by the file of tests.
    trials: BTreeMap<PathBuf, BTreeMap<PathBuf, Vec<Diagnostic>>>,
    /// Our own requests to the client are counted.
    asked: i32,
}

/// Serves one client until it leaves. Gives whether it said goodbye first, as the protocol wants.
///
/// # Errors
/// The output is closed.
pub fn serve(input: impl BufRead + Send + 'static, output: impl Write, setup: Setup) -> io::Result<bool> {
    let (events, inbox) = channel();
    let reader = events.clone();
    thread::Builder::new().name("editor-reader".into()).spawn(move || forward(input, &reader))?;
    let (surveyor, jobs) = channel();
    let results = events.clone();
    // The top level of scripts runs here: it may need a deep stack.
    let thread = stack::thread("editor-surveyor");
    thread.spawn(move || survey_all(&jobs, &results))?;
    let workspace = Workspace::new(setup.config_name.clone());
    let mut server = Server {
        output,
        setup,
        phase: Phase::Before,
        insert: Insert::Plain,
        workspace,
        changed: BTreeSet::new(),
        due: None,
        surveyor,
        pending: 0,
        events,
        published: BTreeMap::new(),
        trials: BTreeMap::new(),
        asked: 0,
    };
    server.run(&inbox)
}

fn forward(mut input: impl BufRead, events: &Sender<Event>) {
    loop {
        let incoming = wire::read(&mut input);
        let ended = matches!(incoming, Incoming::End);
        if events.send(Event::Incoming(incoming)).is_err() || ended {
            return;
        }
    }
}

fn survey_all(jobs: &Receiver<Vec<Job>>, results: &Sender<Event>) {
    let mut before: BTreeMap<Home, Arc<Survey>> = BTreeMap::new();
    for job in jobs.iter().flatten() {
        let known = before.get(&job.home).cloned();
        let made = catch_unwind(AssertUnwindSafe(|| Arc::new(job.run(known.as_deref()))));
        let event = match made {
            Ok(survey) => {
                before.insert(job.home.clone(), survey.clone());
                Event::Surveyed(Box::new(job), survey)
            }
            Err(_) => Event::Lost,
        };
        if results.send(event).is_err() {
            return;
        }
    }
}

impl<W: Write> Server<W> {
    fn run(&mut self, inbox: &Receiver<Event>) -> io::Result<bool> {
        loop {
            let event = match self.due.filter(|_| self.pending == 0) {
                Some(due) => inbox.recv_timeout(due.saturating_duration_since(Instant::now())),
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match event {
                Ok(Event::Incoming(Incoming::End)) | Err(RecvTimeoutError::Disconnected) => return Ok(false),
                Ok(Event::Incoming(Incoming::Message(Message::Notification(note)))) if note.method == "exit" => {
                    return Ok(self.phase == Phase::ShutDown);
                }
                Ok(Event::Incoming(Incoming::Message(message))) => self.message(message)?,
                Ok(Event::Incoming(Incoming::Malformed(problem))) => self.log(&format!("skipped {problem}"))?,
                Ok(Event::Surveyed(job, survey)) => self.surveyed(&job, survey)?,
                Ok(Event::Lost) => {
                    self.pending -= 1;
                    self.log("looking at the bundle failed inside hookgate; this is a mistake of hookgate")?;
                }
                Ok(Event::Tried { id, home, file, result }) => self.tried(id, &home, file, result)?,
                Err(RecvTimeoutError::Timeout) => self.look(),
            }
        }
    }

    fn message(&mut self, message: Message) -> io::Result<()> {
        match message {
            Message::Request(request) => self.request(request),
            Message::Notification(note) => {
                let method = note.method.clone();
                match catch_unwind(AssertUnwindSafe(|| self.notification(note))) {
                    Ok(done) => done,
                    Err(_) => self.log(&format!("`{method}` failed inside hookgate; this is a mistake of hookgate")),
                }
            }
            // Answers to what we asked: nothing depends on them.
            Message::Response(_) => Ok(()),
        }
    }

    fn request(&mut self, request: Request) -> io::Result<()> {
        let id = request.id.clone();
        let refuse = |code: ErrorCode, text: &str| Response::new_err(id.clone(), code as i32, text.to_owned());
        let response = match (self.phase, request.method.as_str()) {
            (Phase::Before, "initialize") => self.initialize(&request),
            (Phase::Before, _) => refuse(ErrorCode::ServerNotInitialized, "`initialize` comes first"),
            (Phase::Running, "shutdown") => {
                self.phase = Phase::ShutDown;
                Response::new_ok(id, Value::Null)
            }
            (Phase::Running, "initialize") => refuse(ErrorCode::InvalidRequest, "`initialize` comes once"),
            (Phase::ShutDown, _) => refuse(ErrorCode::InvalidRequest, "the server is shutting down"),
            (Phase::Running, _) => match catch_unwind(AssertUnwindSafe(|| self.answer(request))) {
                // A run of tests answers when it ends.
                Ok(None) => return Ok(()),
                Ok(Some(response)) => response,
                Err(_) => refuse(ErrorCode::InternalError, "hookgate failed inside; this is a mistake of hookgate"),
            },
        };
        self.send(response)
    }

    fn initialize(&mut self, request: &Request) -> Response {
        self.phase = Phase::Running;
        let params = &request.params;
        let snippets = params.pointer("/capabilities/textDocument/completion/completionItem/snippetSupport");
        if snippets == Some(&Value::Bool(true)) {
            self.insert = Insert::Snippets;
        }
        let folders = params["workspaceFolders"].as_array().into_iter().flatten().map(|folder| &folder["uri"]);
        for folder in folders.chain([&params["rootUri"]]).filter_map(Value::as_str) {
            let path = Uri::parse(folder).ok().and_then(|uri| uri.to_file_path().ok());
            let home = path.and_then(|path| self.workspace.bundle_above(&path));
            home.into_iter().for_each(|home| self.mark(home));
        }
        let watches = params.pointer("/capabilities/workspace/didChangeWatchedFiles/dynamicRegistration");
        if watches == Some(&Value::Bool(true)) {
            self.asked = 1;
        }
        Response::new_ok(request.id.clone(), requests::capabilities())
    }

    /// A bundle that is to be looked at again once it is quiet.
    fn mark(&mut self, home: Home) {
        self.changed.insert(home);
        self.due = Some(Instant::now() + PAUSE);
    }

    fn look(&mut self) {
        self.due = None;
        let jobs: Vec<Job> = std::mem::take(&mut self.changed).iter().map(|home| self.workspace.job(home)).collect();
        self.pending += jobs.len();
        if self.surveyor.send(jobs).is_err() {
            self.pending = 0;
        }
    }

    fn surveyed(&mut self, job: &Job, survey: Arc<Survey>) -> io::Result<()> {
        self.pending = self.pending.saturating_sub(1);
        self.workspace.keep(job.home.clone(), survey);
        self.publish(&job.home, &job.versions)
    }

    /// Sends what is wrong with each file, and nothing for those that are mended.
    fn publish(&mut self, home: &Home, versions: &BTreeMap<PathBuf, i32>) -> io::Result<()> {
        let survey = self.workspace.survey(home);
        let mut files =
            diagnostics::by_file(&survey.findings, &home.root, &self.workspace.open, self.setup.page.as_ref());
        for (path, failed) in self.trials.values().flatten().filter(|(path, _)| path.starts_with(&home.root)) {
            files.entry(path.clone()).or_default().extend(failed.iter().cloned());
        }
        let now: BTreeSet<PathBuf> = files.keys().cloned().collect();
        let open = self.workspace.open.keys().filter(|path| versions.contains_key(*path)).cloned();
        let open: Vec<PathBuf> = open.filter(|path| !files.contains_key(path)).collect();
        let own: Vec<PathBuf> = open.into_iter().filter(|path| self.workspace.home(path) == *home).collect();
        let before = self.published.insert(home.clone(), now).unwrap_or_default();
        for mended in before.into_iter().chain(own) {
            files.entry(mended).or_default();
        }
        for (path, diagnostics) in files {
            let uri = match self.workspace.open.get(&path) {
                Some(open) => open.uri.clone(),
                None => match Uri::from_file_path(&path) {
                    Ok(uri) => uri,
                    Err(()) => continue,
                },
            };
            let version = versions.get(&path).copied();
            self.notify("textDocument/publishDiagnostics", PublishDiagnosticsParams { uri, version, diagnostics })?;
        }
        Ok(())
    }

    fn tried(&mut self, id: RequestId, home: &Home, file: PathBuf, result: Result<Trial, String>) -> io::Result<()> {
        let (kind, text, findings) = match result {
            Ok(trial) if trial.passed => (MessageType::Info, trial.summary, Vec::new()),
            Ok(trial) => (MessageType::Error, trial.summary, trial.findings),
            Err(problem) => (MessageType::Warning, problem, Vec::new()),
        };
        let failed = diagnostics::by_file(&findings, &home.root, &self.workspace.open, self.setup.page.as_ref());
        self.trials.insert(file, failed);
        self.publish(home, &BTreeMap::new())?;
        self.notify("window/showMessage", ShowMessageParams { kind, message: text.clone() })?;
        self.send(Response::new_ok(id, json!({ "passed": kind == MessageType::Info, "message": text })))
    }

    fn log(&mut self, text: &str) -> io::Result<()> {
        self.notify("window/logMessage", json!({ "type": 2, "message": format!("hookgate: {text}") }))
    }

    fn notify(&mut self, method: &str, params: impl serde::Serialize) -> io::Result<()> {
        self.send(Notification::new(method.to_owned(), params))
    }

    fn send(&mut self, message: impl Into<Message>) -> io::Result<()> {
        message.into().write(&mut self.output)
    }
}
