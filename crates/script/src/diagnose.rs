//! Errors that teach: Rhai's parse and run-time errors in the words of somebody who writes scripts.
//!
//! `EvalAltResult` ends here. What comes out is a [`Finding`] with place, excerpt and remedy. Never sent to a caller.

mod brackets;
mod parse;
pub(crate) mod place;
pub mod reasons;
mod runtime;
mod statement;
mod unknown;
mod words;

use std::fmt;

pub use parse::{parse_error, unclosed_comment};
pub use runtime::{Run, runtime};
pub(crate) use unknown::{PARAMS_READ_ONLY, READ_ONLY, foreign_command};

use hookgate_model::finding::Finding;

/// Why a run gave no commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// It used up something that is limited.
    Limit(Limit),
    /// The script itself said `throw`.
    Thrown,
    /// Something in it does not work.
    Failed,
    /// A function of the gateway panicked: a bug of ours, not of the script.
    Panic,
    /// It ended, but not with commands.
    BadReturn,
    /// It ended, and no provider took the message that it sends.
    NotSent,
}

/// What a run may use only so much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    Operations,
    Deadline,
    Memory,
    Levels,
    Depth,
    Size,
}

/// Why a run of a script failed, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    pub kind: ErrorKind,
    pub finding: Finding,
}

impl ScriptError {
    /// A function of the gateway panicked while `file` ran; `text` is the panic's own.
    pub(crate) fn panic(file: &str, text: &str) -> Self {
        let message = format!("a function of the gateway failed: {text}");
        let finding =
            Finding::error("script/panic", file, message).help("this is a bug of the gateway, not of the script");
        Self { kind: ErrorKind::Panic, finding }
    }

    /// No provider took the message of a script; `reasons` says which ones were tried.
    pub fn not_sent(file: &str, reasons: &str) -> Self {
        let message = format!("no provider took the message ({reasons})");
        Self { kind: ErrorKind::NotSent, finding: Finding::error("script/failed", file, message) }
    }

    /// Whether its message may hold something of a call or of an answer: what the script gave to `throw`, what a native
    /// function or a lookup said, a key that was not found. All other messages are made of the script's own text.
    pub fn quotes(&self) -> bool {
        match self.finding.code {
            "script/thrown" | "script/failed" => true,
            // A native function said so, and what it says begins with its name.
            "script/not-set" => self.finding.message.contains(" failed: "),
            _ => self.kind == ErrorKind::Thrown,
        }
    }

    /// The label in metrics, logs and tests, one of [`reasons::FAILURE_REASONS`].
    pub fn reason(&self) -> &'static str {
        match self.kind {
            ErrorKind::Limit(Limit::Deadline) => reasons::TIMEOUT,
            ErrorKind::Limit(_) => reasons::LIMIT,
            ErrorKind::Panic => reasons::PANIC,
            ErrorKind::BadReturn => reasons::BAD_COMMAND,
            ErrorKind::NotSent => reasons::NOT_SENT,
            ErrorKind::Thrown | ErrorKind::Failed => reasons::SCRIPT_ERROR,
        }
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.finding.one_line().replace('\n', " "))
    }
}

impl std::error::Error for ScriptError {}

/// The word scripts use for a type that Rhai names in Rust's way.
fn type_word(rust: &str) -> &str {
    match rust.trim() {
        "&str | ImmutableString | String" | "String" | "ImmutableString" | "&str" => "string",
        "i64" | "INT" => "integer",
        "f64" | "FLOAT" => "float",
        "()" => "nothing",
        "Fn" | "FnPtr" => "function",
        "Array" => "array",
        "Map" => "map",
        "char" => "character",
        other => other.rsplit("::").next().unwrap_or(other),
    }
}

/// `an integer`, `nothing`
fn described(word: &str) -> String {
    if word == "nothing" {
        return "nothing (`()`)".to_owned();
    }
    let vowel = word.to_lowercase().starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {word}", if vowel { "an" } else { "a" })
}

#[cfg(test)]
mod tests;
