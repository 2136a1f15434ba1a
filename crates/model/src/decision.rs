//! The record of a decision: what is kept of one script run, and shown to whoever asks why it came out so.
//!
//! Everything here was chosen to be kept: names of the configuration, ids of the provider, words of this program, and what
//! a script said for others to read. Values of a request, of a claim or of an answer are not among it: see [`redact`]. What a
//! route captures besides is in a [`Capture`], which is kept apart and for a shorter time.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

pub mod redact;

/// Milliseconds since 1970.
pub type Millis = i64;

/// The most records that a [`Page`] has.
pub const MAX_PAGE: usize = 500;

/// Records that are read for one page of a search for a part of a name.
pub const LOOK_AT_MOST: usize = 10_000;

/// Words for how a decision ended that are the same for every hook.
pub mod outcome {
    /// The script gave no answer, so the declared one was given; or a rule is tried again.
    pub const FAILED: &str = "failed";
    /// The call reached no script.
    pub const REFUSED: &str = "refused";
    /// A rule asked for actions.
    pub const ACTED: &str = "acted";
    /// A rule asked for nothing.
    pub const NOTHING: &str = "nothing";
}

/// One run of a script, or a call that was refused before one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Record {
    /// Sortable by time; also in the reply's `debugContext`.
    pub id: String,
    /// When the call arrived, or the run of a rule began: milliseconds since 1970.
    pub at: Millis,
    /// Empty for a call to a path that no route has.
    pub route: String,
    pub rule: Option<String>,
    pub hook: String,
    /// How it ended, in one word: `failed`, `refused`, or a word of the hook, such as `allowed`, `denied`, `unchanged`.
    pub outcome: String,
    /// What the script said with `reason("…")`.
    pub reason: Option<String>,
    /// What the provider does to its user, in one sentence.
    pub effect: Option<String>,
    /// The provider's id of the call (`eventId`), or of the event (`uuid`).
    pub event_id: Option<String>,
    /// The provider's id of the request that caused it.
    pub request_id: Option<String>,
    /// Of an event: its type.
    pub event_type: Option<String>,
    /// Of an event: our number of it.
    pub event: Option<i64>,
    /// Of a rule: which try it was.
    pub attempt: Option<u32>,
    /// W3C trace id, 32 hexadecimal digits.
    pub trace_id: Option<String>,
    /// The caller's span in that trace, 16 hexadecimal digits.
    pub parent_span: Option<String>,
    /// Nobody records that trace. Known only while the call is told of, and not kept.
    #[serde(skip)]
    pub unsampled: bool,
    pub subject: Subject,
    /// The first twelve digits of the release's hash.
    pub release: String,
    /// Path below the scripts folder.
    pub script: Option<String>,
    /// SHA-256 of the script and all it imports, 64 hexadecimal digits.
    pub script_hash: Option<String>,
    /// A try-out: actions were recorded, not done.
    pub preview: bool,
    /// HTTP status of the reply.
    pub status: Option<u16>,
    /// What the script returned for the hook, in order, without values: see [`redact`]. Nothing if it is not known.
    #[schema(value_type = Option<Vec<Object>>)]
    pub commands: Option<Vec<Value>>,
    pub actions: Vec<ActionLine>,
    pub lookups: Vec<LookupLine>,
    /// What of the call could not be read as it was sent; and commands that were left out, and why.
    pub notes: Vec<String>,
    /// The lines that ran. Nothing if they are not known: the run took too long to be repeated.
    pub lines: Option<Vec<FileLines>>,
    pub failure: Option<Failure>,
    pub times: Times,
    /// Whether the request was captured, and is still there.
    pub captured: bool,
}

/// Whom a decision was about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Subject {
    /// The provider's id of the user.
    pub id: Option<String>,
    /// Login or e-mail address. With `store.hash_subjects`, `~` and 24 hexadecimal digits.
    pub login: Option<String>,
}

/// An action that was asked for, without what it carries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActionLine {
    /// `notify`, `post`, `suspend_user`, ….
    pub name: String,
    pub connector: String,
}

/// A lookup, without what was asked and answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LookupLine {
    pub connector: String,
    /// `http`, `sql`, `ldap`, `okta`, `kv`.
    pub family: String,
    /// `ok`, `stale`, or why there was no answer.
    pub outcome: String,
    pub took_us: u64,
}

/// Lines of one file, each once, in the order of the file, from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileLines {
    pub file: String,
    pub lines: Vec<u32>,
}

/// Why there is no answer of the script, or no script.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Failure {
    /// The label in metrics and logs: `timeout`, `script`, `auth`, ….
    pub reason: String,
    /// For operators.
    pub text: String,
    pub file: Option<String>,
    pub line: Option<u32>,
    /// Whether `text` may hold something of the call or of an answer: what the script gave to `throw`, what a lookup said.
    /// Records of earlier versions do not tell, so theirs may.
    #[serde(default = "may_quote")]
    pub quotes: bool,
}

fn may_quote() -> bool {
    true
}

/// Where the time went, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Times {
    /// From the first byte of the call to its decoded request.
    pub decode_us: u64,
    /// In the script alone.
    pub script_us: u64,
    /// Waiting for answers to lookups.
    pub lookups_us: u64,
    /// From the first byte of the call to its answer.
    pub total_us: u64,
}

/// What a route with `capture` keeps of a call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Capture {
    /// The body of the call, without what is secret.
    #[schema(value_type = Object)]
    pub request: Value,
    /// The body of the reply.
    #[schema(value_type = Object)]
    pub reply: Value,
    /// It was larger than may be captured: then there is neither.
    pub too_large: bool,
    /// Members that were replaced, as JSON Pointers.
    pub redacted: Vec<String>,
    /// When it is removed.
    pub until: Millis,
}

/// What the recorder gives to the store.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    pub record: Record,
    pub capture: Option<Capture>,
    /// What it can be found by besides its id: ids of the provider, user id, login.
    pub handles: Vec<String>,
}

/// Which records are wanted. All conditions hold together.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub route: Option<String>,
    pub outcome: Option<String>,
    /// A handle: id of the decision, of the provider's call or request, of an event, of a user; a login or e-mail address.
    pub handle: Option<String>,
    /// That arrived at this time or later, and before.
    pub since: Option<Millis>,
    pub until: Option<Millis>,
    /// A part of what a record can be found by ([`Record::search_text`]), in small letters. Of the newest
    /// [`LOOK_AT_MOST`] records that the other conditions allow.
    pub part: Option<String>,
    /// Where the last page ended.
    pub after: Option<i64>,
    /// At most [`MAX_PAGE`]; 0 means the default of 50.
    pub limit: usize,
}

/// Records, newest first.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub records: Vec<Record>,
    /// For [`Query::after`]; nothing on the last page.
    pub next: Option<i64>,
}

/// The reason or the text of a command, for whoever reads the provider's log.
fn said(command: &Value) -> Option<&str> {
    let (_, arguments) = command.as_object()?.iter().next().filter(|(name, _)| !redact::is_map(name))?;
    ["text", "reason"].into_iter().find_map(|name| arguments.get(name)?.as_str().filter(|text| !text.is_empty()))
}

impl Record {
    /// What a list says of it, in one line: why it failed or was denied, else what comes of it.
    pub fn headline(&self) -> String {
        if self.failure.is_some() {
            return self.why();
        }
        let cause = self.cause().or(self.effect.as_deref().filter(|effect| !effect.is_empty()));
        cause.or(self.event_type.as_deref()).unwrap_or(&self.outcome).to_owned()
    }

    /// What the script said of its decision: with `reason("…")`, else in the text of a command.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.reason.as_deref().or_else(|| self.commands.iter().flatten().find_map(said))
    }

    /// What a search for a part of it looks at, in small letters: names of the configuration, ids, the user, the headline.
    pub fn search_text(&self) -> String {
        let ids = [&self.event_id, &self.request_id, &self.trace_id, &self.subject.id, &self.subject.login];
        let names = [&self.rule, &self.event_type, &self.script];
        let parts = ids.into_iter().chain(names).flatten().map(String::as_str);
        let parts: Vec<&str> = [&*self.id, &*self.route, &*self.outcome].into_iter().chain(parts).collect();
        format!("{}\n{}", parts.join("\n"), self.headline()).to_lowercase()
    }

    /// Why it came out so, in one sentence without a full stop.
    pub fn why(&self) -> String {
        let script = self.script.as_deref().unwrap_or("no script");
        if let Some(failure) = &self.failure {
            let place = match (&failure.file, failure.line) {
                (Some(file), Some(line)) => format!(" at {file}:{line}"),
                _ => String::new(),
            };
            return match self.outcome.as_str() {
                outcome::REFUSED if self.effect.is_some() => {
                    format!("no script ran, so the declared answer was given: {}", failure.text)
                }
                outcome::REFUSED => format!("the call was refused before any script: {}", failure.text),
                _ if self.rule.is_some() => format!("{script} failed{place}: {}", failure.text),
                _ => format!("{script} failed{place}, so the declared answer was given: {}", failure.text),
            };
        }
        let said = self.cause().map(|cause| format!(", because of `{cause}`")).unwrap_or_default();
        let last = self.lines.iter().flatten().find(|file| file.file.ends_with(script));
        let line = last.and_then(|file| file.lines.last()).map(|line| format!(" (last line that ran: {line})"));
        format!("{script} decided `{}`{said}{}", self.outcome, line.unwrap_or_default())
    }
}
