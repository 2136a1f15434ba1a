//! One run of a script, made sense of: the reply and the actions, or why there are none.
//!
//! Calls, rules, trials and tests of scripts bring a run that is over, so a script means the same to all of them. Whoever
//! records or shows a run gets its [`RunOutcome`] as it is. Nothing here runs a script, waits, or writes a log.

use std::time::Duration;

use rhai::{Dynamic, ImmutableString};

use hookgate_hooks::{Declared, Decoded, Encoded, Hook, HookError, Mark, Reply};
use hookgate_model::command::Action;
use hookgate_model::message;
use hookgate_model::message::{Sending, Tried};
use hookgate_script::compile::Compiler;
use hookgate_script::context::LogLine;
use hookgate_script::diagnose::ScriptError;
use hookgate_script::diagnose::reasons;
use hookgate_script::journal::Journal;
use hookgate_script::run::{Cause, Failed, Run, Script};
use hookgate_store::StoreError;

/// What came of a run: what the script decided, or why it could not.
#[derive(Debug)]
pub struct RunOutcome {
    /// The id of the decision. Sortable by time; also in the reply's `debugContext`.
    pub(crate) id: String,
    /// If the script gave none, the declared one.
    pub(crate) reply: Reply,
    /// What has to be sent before the reply leaves: it is the one for when the first connector takes it.
    pub(crate) sending: Option<Sending>,
    /// What the gateway is to do besides; its connectors can do each of them.
    pub(crate) actions: Vec<Action>,
    pub failure: Option<RunFailure>,
    pub(crate) logs: Vec<LogLine>,
    /// What the script said with `reason(…)`.
    pub(crate) reason: Option<ImmutableString>,
    /// What the script wants the reply to say with `note(…)`.
    pub(crate) note: Option<ImmutableString>,
    /// Whether somebody is kept from what they came for.
    pub(crate) denied: bool,
    /// Whether the script ran at all.
    pub(crate) begun: bool,
    /// What the script read of the world, lookups among it.
    pub(crate) journal: Journal,
    pub(crate) operations: u64,
    /// In the script alone.
    pub(crate) took: Duration,
}

/// Why there is no answer of the script, or why it was not given. A call gets the declared answer then; a rule is tried again.
#[derive(Debug, thiserror::Error)]
pub enum RunFailure {
    #[error("{0} calls of this route are in work already, as many as `limits.concurrent` allows")]
    Busy(usize),
    #[error("more calls come than can be answered in time, so this one was refused at once and its script did not run")]
    Overload,
    #[error("no thread was free for this script before its deadline")]
    NoThread,
    #[error("the process died while this script ran, more than once, so its calls are refused for a while")]
    Crashed,
    #[error("the call cannot be used, so its script did not run: {0}")]
    Unread(HookError),
    #[error("{0}")]
    Script(Box<ScriptError>),
    #[error("no provider took the message ({})", message::Outcome::reasons(.0))]
    NotSent(Vec<Tried>),
    #[error("it is not known whether this call was answered before, so its script did not run: {0}")]
    OnceUnknown(StoreError),
    #[error("the actions of the script could not be kept: {0}")]
    Store(StoreError),
}

impl RunFailure {
    /// The label in metrics and logs, one of [`reasons::FAILURE_REASONS`].
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Busy(_) | Self::NoThread => reasons::BUSY,
            Self::Overload => reasons::OVERLOAD,
            Self::Crashed => reasons::CRASHED,
            Self::Unread(HookError::UnknownType { .. }) => reasons::OTHER_HOOK,
            Self::Unread(_) => reasons::BAD_BODY,
            Self::Script(error) => error.reason(),
            Self::NotSent(_) => reasons::NOT_SENT,
            Self::OnceUnknown(_) | Self::Store(_) => reasons::STORE,
        }
    }

    /// The error, if it is the script's own.
    pub(crate) fn script_error(&self) -> Option<&ScriptError> {
        match self {
            Self::Script(error) => Some(error),
            _ => None,
        }
    }

    /// Whether its text may hold something of the call, or of an answer to a lookup.
    pub(crate) fn quotes(&self) -> bool {
        match self {
            Self::Script(error) => error.quotes(),
            Self::Unread(problem) => problem.quotes(),
            _ => false,
        }
    }
}

/// A script where it is used: by a route, by a rule, by a test.
#[derive(Clone, Copy)]
pub(crate) struct ScriptUse<'a> {
    pub(crate) hook: &'static Hook,
    pub(crate) script: &'a Script,
    pub(crate) compiler: &'a Compiler,
    /// The name of the release that replies point back at.
    pub(crate) release: &'a str,
    /// What a caller hears without an answer of the script; rules have no caller.
    pub(crate) on_failure: Option<&'a Declared>,
}

impl ScriptUse<'_> {
    /// Makes sense of a run that is over. `check` says of what the script asked for whether connectors can do it.
    ///
    /// Never fails: a failure has its declared reply.
    pub(crate) fn outcome(
        &self,
        id: String,
        request: &Decoded,
        run: Run,
        check: impl FnOnce(&mut Encoded) -> Result<(), String>,
    ) -> RunOutcome {
        let Run { result, logs, reason, note, journal, operations, took } = run;
        let begun = !result.as_ref().is_err_and(|failed| failed.cause.is_refusal());
        let encoded = match result {
            Ok(returned) => self.encoded(request, returned, &self.mark(&id, note.as_deref()), check),
            Err(failed) => Err(self.failure(*failed)),
        };
        let (Encoded { reply, sending, actions, denied }, failure) = match encoded {
            Ok(encoded) => (encoded, None),
            Err(failure) => {
                let reply = self.declared(&id, note.as_deref(), &failure);
                (Encoded { reply, sending: None, actions: Vec::new(), denied: false }, Some(failure))
            }
        };
        RunOutcome {
            id,
            reply,
            sending,
            actions,
            failure,
            logs,
            reason,
            note,
            denied,
            begun,
            journal,
            operations,
            took,
        }
    }

    /// The declared answer to a call whose script was not run.
    pub(crate) fn not_run(&self, id: String, failure: RunFailure) -> RunOutcome {
        let reply = self.declared(&id, None, &failure);
        RunOutcome { id, failure: Some(failure), ..RunOutcome::of(reply) }
    }

    /// The same run with the declared reply, because of a failure after its script was done.
    #[must_use]
    pub(crate) fn failed(&self, outcome: RunOutcome, failure: RunFailure) -> RunOutcome {
        let reply = self.declared(&outcome.id, outcome.note.as_deref(), &failure);
        RunOutcome { reply, sending: None, failure: Some(failure), ..outcome }
    }

    /// The same run once its message was sent, or was not.
    #[must_use]
    pub(crate) fn settled(&self, outcome: RunOutcome, sent: message::Outcome) -> RunOutcome {
        let mark = self.mark(&outcome.id, outcome.note.as_deref());
        match (self.hook.as_inline().and_then(|row| (row.settled)(&sent, &mark)), sent) {
            (Some(reply), _) => RunOutcome { reply, sending: None, ..outcome },
            (None, message::Outcome::Failed(tried)) => self.failed(outcome, RunFailure::NotSent(tried)),
            (None, _) => self.failed(outcome, RunFailure::NotSent(Vec::new())),
        }
    }

    fn encoded(
        &self,
        request: &Decoded,
        returned: Dynamic,
        mark: &Mark<'_>,
        check: impl FnOnce(&mut Encoded) -> Result<(), String>,
    ) -> Result<Encoded, RunFailure> {
        let misfit = |problem: &str| RunFailure::Script(Box::new(self.compiler.misfit(self.script, problem)));
        let encoded = (self.hook.encode)(request, returned, mark);
        let mut encoded = encoded.map_err(|error| misfit(&error.to_string()))?;
        check(&mut encoded).map_err(|problem| misfit(&problem))?;
        Ok(encoded)
    }

    fn failure(&self, failed: Failed) -> RunFailure {
        match failed.cause {
            Cause::Busy => RunFailure::NoThread,
            Cause::Crowded => RunFailure::Overload,
            Cause::Crashed => RunFailure::Crashed,
            _ => RunFailure::Script(Box::new(self.compiler.explain(self.script, failed))),
        }
    }

    fn mark<'m>(&'m self, id: &'m str, note: Option<&'m str>) -> Mark<'m> {
        Mark { note, ..Mark::new(id, self.release, self.script.file()) }
    }

    /// The reply that the route declares for a failure; where none is declared, one that nobody hears.
    fn declared(&self, id: &str, note: Option<&str>, failure: &RunFailure) -> Reply {
        let mark = Mark { fallback: Some(failure.reason()), ..self.mark(id, note) };
        self.on_failure.map_or(Reply::empty(503), |declared| declared.reply(&mark))
    }
}

impl RunOutcome {
    /// Of nothing but a reply.
    pub(crate) fn of(reply: Reply) -> Self {
        Self {
            id: String::new(),
            reply,
            sending: None,
            actions: Vec::new(),
            failure: None,
            logs: Vec::new(),
            reason: None,
            note: None,
            denied: false,
            begun: false,
            journal: Journal::default(),
            operations: 0,
            took: Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookgate_model::finding::Finding;
    use hookgate_script::diagnose::{ErrorKind, Limit};

    #[test]
    fn every_reason_of_a_failure_is_in_the_table() {
        let script = |kind| {
            let finding = Finding::error("script/failed", "a.rhai", "it failed");
            RunFailure::Script(Box::new(ScriptError { kind, finding }))
        };
        let failures = [
            RunFailure::Busy(1),
            RunFailure::Overload,
            RunFailure::NoThread,
            RunFailure::Crashed,
            RunFailure::Unread(HookError::Empty),
            RunFailure::Unread(HookError::UnknownType { expected: "a", found: "b".to_owned() }),
            RunFailure::NotSent(Vec::new()),
            RunFailure::OnceUnknown(StoreError::Late),
            RunFailure::Store(StoreError::Busy),
            script(ErrorKind::Limit(Limit::Deadline)),
            script(ErrorKind::Limit(Limit::Memory)),
            script(ErrorKind::Thrown),
            script(ErrorKind::Failed),
            script(ErrorKind::Panic),
            script(ErrorKind::BadReturn),
            script(ErrorKind::NotSent),
        ];
        let mut told: Vec<&str> = failures.iter().map(RunFailure::reason).collect();
        told.sort_unstable();
        told.dedup();
        let mut rows: Vec<&str> = reasons::FAILURE_REASONS.iter().map(|reason| reason.word).collect();
        rows.sort_unstable();
        assert_eq!(told, rows);
    }
}
