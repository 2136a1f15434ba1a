//! One decision: the script runs, its commands become the reply; or the route's declared answer is given.

use std::time::{Duration, Instant};

use rhai::ImmutableString;
use uuid::Uuid;

use crate::command::Action;
use crate::hooks::{Decoded, Encoded, HookError, Mark, Reply};
use crate::lookup::Lookups;
use crate::message::{Outcome, Sending, Tried};
use crate::release::{Plan, Release, Route};
use crate::script::context::{LogLine, World};
use crate::script::diagnose::ScriptError;
use crate::script::diagnose::reasons;
use crate::script::journal::Journal;
use crate::script::lanes::Lanes;
use crate::script::run::{Call, Cause};
use crate::store::StoreError;
use crate::telemetry::trace;
use crate::telemetry::trace::Parent;

/// What a script decided, or why it could not.
pub struct Decision {
    /// Sortable by time; also in the reply's `debugContext`.
    pub id: String,
    pub reply: Reply,
    /// What has to be sent before the reply leaves: it is the one for when the first connector takes it.
    pub sending: Option<Sending>,
    /// What the gateway is to do besides; its connectors can do each of them.
    pub actions: Vec<Action>,
    pub failure: Option<Failure>,
    pub logs: Vec<LogLine>,
    /// What the script said with `reason(…)`.
    pub reason: Option<ImmutableString>,
    /// What the script wants the reply to say with `note(…)`.
    pub note: Option<ImmutableString>,
    /// Whether somebody is kept from what they came for.
    pub denied: bool,
    /// Whether the script ran at all.
    pub begun: bool,
    /// What the script read of the world, lookups among it.
    pub journal: Journal,
    /// In the script alone.
    pub took: Duration,
}

/// Why the declared answer was given.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
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
    #[error("no provider took the message ({})", Outcome::reasons(.0))]
    NotSent(Vec<Tried>),
    #[error("the actions of the script could not be kept: {0}")]
    Store(StoreError),
}

impl Failure {
    /// The label in metrics and logs, one of [`reasons::FAILURE_REASONS`].
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Busy(_) | Self::NoThread => reasons::BUSY,
            Self::Overload => reasons::OVERLOAD,
            Self::Crashed => reasons::CRASHED,
            Self::Unread(HookError::UnknownType { .. }) => reasons::OTHER_HOOK,
            Self::Unread(_) => reasons::BAD_BODY,
            Self::Script(error) => error.reason(),
            Self::NotSent(_) => reasons::NOT_SENT,
            Self::Store(_) => reasons::STORE,
        }
    }
}

/// What a call brings besides its request.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// When it must be answered.
    pub deadline: Instant,
    /// The trace that it is in.
    pub parent: Option<&'a Parent>,
}

/// Runs the route's script on the request. Never fails: a failure has its declared answer.
pub async fn decide(
    lanes: &Lanes,
    lookups: &Lookups,
    release: &Release,
    route: &Route,
    request: &Decoded,
    call: Asked<'_>,
) -> Decision {
    let Plan::Reply { script, surroundings, on_failure } = &route.plan else {
        unreachable!("the gateway sends events to their rules");
    };
    let id = Uuid::now_v7().simple().to_string();
    let mark = Mark::new(&id, release.label(), script.file());
    let mut decision = Decision::of(Reply::empty(204));
    let outcome = match route.permits.try_acquire() {
        Err(_) => Err(Failure::Busy(route.limits.concurrent)),
        Ok(_permit) => {
            let run = Call {
                request: request.request.clone(),
                surroundings: surroundings.clone(),
                world: World::Real,
                deadline: call.deadline,
            };
            let outside = lookups.of(&release.connectors, None, request.facts.preview);
            let outside = outside.traced(trace::Run::of(&id, call.parent));
            let run = lanes.run(script, run, &outside).await;
            decision.logs = run.logs;
            (decision.reason, decision.note) = (run.reason, run.note);
            decision.begun = !run.result.as_ref().is_err_and(|failed| failed.cause.is_refusal());
            decision.journal = run.journal;
            decision.took = run.took;
            match run.result {
                Ok(returned) => release
                    .encode(route, request, returned, &Mark { note: decision.note.as_deref(), ..mark })
                    .map_err(|problem| Failure::Script(Box::new(release.compiler.misfit(script, &problem)))),
                Err(failed) => Err(match failed.cause {
                    Cause::Busy => Failure::NoThread,
                    Cause::Crowded => Failure::Overload,
                    Cause::Crashed => Failure::Crashed,
                    _ => Failure::Script(Box::new(release.compiler.explain(script, *failed))),
                }),
            }
        }
    };
    match outcome {
        Ok(Encoded { reply, sending, actions, denied }) => {
            (decision.reply, decision.sending, decision.actions) = (reply, sending, actions);
            decision.denied = denied;
        }
        Err(failure) => {
            let mark = Mark { note: decision.note.as_deref(), fallback: Some(failure.reason()), ..mark };
            decision.reply = (route.hook.failed)(on_failure, &mark);
            decision.failure = Some(failure);
        }
    }
    decision.id = id;
    decision
}

/// The declared answer for a call of which nothing but its head was looked at, because more come than can be answered.
pub fn shed(release: &Release, route: &Route) -> Decision {
    let decision = Decision { id: Uuid::now_v7().simple().to_string(), ..Decision::of(Reply::empty(503)) };
    decision.failed(release, route, Failure::Overload)
}

/// The declared answer for a call of which nothing can be used.
pub fn unread(release: &Release, route: &Route, problem: HookError) -> Decision {
    let decision = Decision { id: Uuid::now_v7().simple().to_string(), ..Decision::of(Reply::empty(503)) };
    decision.failed(release, route, Failure::Unread(problem))
}

impl Decision {
    /// The same call with the declared answer, because of a failure after its script was done.
    #[must_use]
    pub fn failed(mut self, release: &Release, route: &Route, failure: Failure) -> Self {
        if let Plan::Reply { script, on_failure, .. } = &route.plan {
            let mark = Mark::new(&self.id, release.label(), script.file());
            let mark = Mark { note: self.note.as_deref(), fallback: Some(failure.reason()), ..mark };
            self.reply = (route.hook.failed)(on_failure, &mark);
        }
        self.actions.clear();
        self.sending = None;
        self.failure = Some(failure);
        self
    }

    /// The same call once its message was sent, or was not.
    #[must_use]
    pub fn settled(mut self, release: &Release, route: &Route, outcome: Outcome) -> Self {
        let script = match &route.plan {
            Plan::Reply { script, .. } => script.file(),
            Plan::Rules(_) => "",
        };
        let mark = Mark { note: self.note.as_deref(), ..Mark::new(&self.id, release.label(), script) };
        match ((route.hook.settled)(&outcome, &mark), outcome) {
            (Some(reply), _) => {
                self.reply = reply;
                self
            }
            (None, Outcome::Failed(tried)) => self.failed(release, route, Failure::NotSent(tried)),
            (None, _) => self.failed(release, route, Failure::NotSent(Vec::new())),
        }
    }
}

impl Decision {
    fn of(reply: Reply) -> Self {
        let (sending, actions, logs, reason, note, denied, begun, journal) = Default::default();
        let (id, failure, took) = (String::new(), None, Duration::ZERO);
        Self { id, reply, sending, actions, failure, logs, reason, note, denied, begun, journal, took }
    }

    #[cfg(test)]
    pub fn for_tests(reply: Reply) -> Self {
        Self::of(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Finding;
    use crate::script::diagnose::{ErrorKind, Limit};

    #[test]
    fn every_reason_of_a_failure_is_in_the_table() {
        let script = |kind| {
            let finding = Finding::error("script/failed", "a.rhai", "it failed");
            Failure::Script(Box::new(ScriptError { kind, finding }))
        };
        let failures = [
            Failure::Busy(1),
            Failure::Overload,
            Failure::NoThread,
            Failure::Crashed,
            Failure::Unread(HookError::PostOnly),
            Failure::Unread(HookError::UnknownType { expected: "a", found: "b".to_owned() }),
            Failure::NotSent(Vec::new()),
            Failure::Store(StoreError::Busy),
            script(ErrorKind::Limit(Limit::Deadline)),
            script(ErrorKind::Limit(Limit::Memory)),
            script(ErrorKind::Thrown),
            script(ErrorKind::Failed),
            script(ErrorKind::Panic),
            script(ErrorKind::BadReturn),
            script(ErrorKind::NotSent),
        ];
        let mut told: Vec<&str> = failures.iter().map(Failure::reason).collect();
        told.sort_unstable();
        told.dedup();
        let mut rows: Vec<&str> = reasons::FAILURE_REASONS.iter().map(|reason| reason.word).collect();
        rows.sort_unstable();
        assert_eq!(told, rows);
    }
}
