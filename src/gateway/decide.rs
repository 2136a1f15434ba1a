//! One decision: the script runs, its commands become the reply; or the route's declared answer is given.

use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::hooks::{Decoded, Mark, Reply};
use crate::release::{Plan, Release, Route};
use crate::script::context::{LogLine, World};
use crate::script::diagnose::ScriptError;
use crate::script::lanes::Lanes;
use crate::script::run::{Call, Cause};

/// What a script decided, or why it could not.
pub struct Decision {
    /// Sortable by time; also in the reply's `debugContext`.
    pub id: String,
    pub reply: Reply,
    pub failure: Option<Failure>,
    pub logs: Vec<LogLine>,
    /// In the script alone.
    pub took: Duration,
}

/// Why the declared answer was given.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0} calls of this route are in work already, as many as `limits.concurrent` allows")]
    Busy(usize),
    #[error("no thread was free for this script before its deadline")]
    NoThread,
    #[error("{0}")]
    Script(Box<ScriptError>),
}

impl Failure {
    /// The label in metrics and logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Busy(_) | Self::NoThread => "busy",
            Self::Script(error) => error.reason(),
        }
    }
}

/// Runs the route's script on the request. Never fails: a failure has its declared answer.
pub async fn decide(lanes: &Lanes, release: &Release, route: &Route, request: &Decoded, deadline: Instant) -> Decision {
    let Plan::Reply { script, surroundings, on_failure } = &route.plan else {
        unreachable!("the gateway sends events to their rules");
    };
    let id = Uuid::now_v7().simple().to_string();
    let mark = Mark { decision: &id, release: release.label(), script: script.file() };
    let mut decision =
        Decision { id: String::new(), reply: Reply::empty(204), failure: None, logs: Vec::new(), took: Duration::ZERO };
    let outcome = match route.permits.try_acquire() {
        Err(_) => Err(Failure::Busy(route.limits.concurrent)),
        Ok(_permit) => {
            let call = Call {
                request: request.request.clone(),
                surroundings: surroundings.clone(),
                world: World::Real,
                deadline,
            };
            let run = lanes.run(script, call).await;
            decision.logs = run.logs;
            decision.took = run.took;
            match run.result {
                Ok(returned) => (route.hook.encode)(request, returned, &mark)
                    .map_err(|error| Failure::Script(Box::new(release.compiler.misfit(script, &error.to_string())))),
                Err(failed) if matches!(failed.cause, Cause::Busy) => Err(Failure::NoThread),
                Err(failed) => Err(Failure::Script(Box::new(release.compiler.explain(script, *failed)))),
            }
        }
    };
    match outcome {
        Ok(reply) => decision.reply = reply,
        Err(failure) => {
            decision.reply = (route.hook.failed)(on_failure, &mark);
            decision.failure = Some(failure);
        }
    }
    decision.id = id;
    decision
}

#[cfg(test)]
impl Decision {
    pub fn for_tests(reply: Reply) -> Self {
        Self { id: String::new(), reply, failure: None, logs: Vec::new(), took: Duration::ZERO }
    }
}
