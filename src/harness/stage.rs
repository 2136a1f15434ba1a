//! One call as the gateway makes it: decode, script, check, encode; in a world that the test made.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rhai::{Dynamic, ImmutableString};
use serde_json::Value;

use crate::connectors;
use crate::connectors::Connectors;
use crate::finding::Finding;
use crate::harness::functions::sending;
use crate::harness::outcome;
use crate::harness::outcome::Parts;
use crate::harness::session::{Fallible, Session};
use crate::harness::subject::Binding;
use crate::hooks::{Decoded, Encoded, HookError, Mark, Reply};
use crate::message::{Outcome, Sending};
use crate::script::compile::Compiler;
use crate::script::context::{LogLine, Surroundings, World};
use crate::script::diagnose::{ErrorKind, ScriptError};
use crate::script::journal::Journal;
use crate::script::parameters::{Around, Misfit};
use crate::script::run::Call;

/// What a call is made in.
pub struct Stage {
    pub binding: Binding,
    pub compiler: Arc<Compiler>,
    /// What actions may name; `None` where a test leaves `gateway.toml` out: then every connector takes every action.
    pub connectors: Option<Arc<Connectors>>,
    /// Or what of the parameters does not fit what the script declares: then nothing runs, as such a release does not go live.
    pub surroundings: Result<Arc<Surroundings>, String>,
    pub world: World,
    /// How connectors take a message that they are to send, if they fail: the others take it.
    pub sends: BTreeMap<String, Option<Fails>>,
    /// The script has its own deadline, but no later than this.
    pub deadline: Instant,
}

/// How a connector fails to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fails {
    /// The request went out and no answer came.
    Timeout,
    /// The provider says no.
    Refused,
    /// It cannot be reached, or is in trouble.
    NotDelivered,
}

/// How a run ended, or that there was none.
struct StageRun {
    result: Result<Dynamic, ScriptError>,
    logs: Vec<LogLine>,
    reason: Option<ImmutableString>,
    note: Option<ImmutableString>,
    journal: Journal,
    operations: u64,
    took: Duration,
}

/// What replies of tests point back at.
const MARK: &str = "test";

/// Mistakes in parameters that one message tells.
const MOST_MISFITS: usize = 10;

/// The word of the gateway for a message that no provider took.
const NOT_SENT: &str = "not_sent";

impl Stage {
    pub(super) fn of(session: &Session) -> Fallible<Self> {
        let binding = session.bound()?;
        let connectors = (!session.ignores_config).then(|| session.connectors.clone());
        Ok(Self {
            binding: binding.clone(),
            compiler: session.compiler.clone(),
            surroundings: completed(binding, &session.surroundings, connectors.as_deref()),
            connectors,
            world: session.world(binding),
            sends: session.sends.clone(),
            deadline: session.deadline,
        })
    }

    /// Runs the script: once for a call, once for each event of a batch.
    ///
    /// # Errors
    /// The body is no call of the hook: the gateway would run no script.
    pub fn perform(&self, body: &Value) -> Result<Vec<outcome::Outcome>, HookError> {
        let body = Bytes::from(body.to_string());
        let hook = self.binding.hook;
        let requests = if hook.events { (hook.split)(&body, usize::MAX)? } else { vec![(hook.decode)(&body)?] };
        Ok(requests.iter().map(|request| self.answer(request)).collect())
    }

    fn answer(&self, request: &Decoded) -> outcome::Outcome {
        let Binding { hook, script, on_failure, wants, .. } = &self.binding;
        let run = match &self.surroundings {
            Ok(surroundings) => self.run(request, surroundings),
            Err(problem) => self.not_run(problem),
        };
        let mark = Mark { note: run.note.as_deref(), ..Mark::new(MARK, MARK, script.file()) };
        let returned = run.result;
        let commands = returned.as_ref().map(|returned| (hook.describe)(returned)).unwrap_or_default();
        let encoded = match returned {
            Ok(returned) => {
                self.encode(request, returned, &mark).map_err(|problem| self.compiler.misfit(script, &problem))
            }
            Err(error) => Err(error),
        };
        let (reply, actions, error) = match encoded {
            Ok(Encoded { reply, actions, sending: None, .. }) => (reply, actions, None),
            Ok(Encoded { actions, sending: Some(sending), .. }) => (self.sent(&sending, &mark), actions, None),
            Err(error) => {
                let mark = Mark { fallback: Some(error.reason()), ..mark };
                let declared = on_failure.as_ref().map(|declared| (hook.failed)(declared, &mark));
                (declared.unwrap_or(Reply::empty(503)), Vec::new(), Some(error))
            }
        };
        let wanted = wants.as_ref().is_none_or(|wants| (wants.check)(request));
        let effect = (hook.effect)(&reply);
        let (logs, reason, operations, took) = (run.logs, run.reason, run.operations, run.took);
        let lookups = run.journal.lookups().cloned().collect();
        outcome::Outcome::new(Parts {
            reply,
            commands,
            actions,
            lookups,
            logs,
            reason,
            error,
            effect,
            wanted,
            operations,
            took,
        })
    }

    fn run(&self, request: &Decoded, surroundings: &Arc<Surroundings>) -> StageRun {
        let deadline = Instant::now() + Duration::from_millis(self.binding.limits.deadline_ms);
        let script = &self.binding.script;
        let run = script.run(&Call {
            request: request.request.clone(),
            surroundings: surroundings.clone(),
            world: self.world.clone(),
            deadline: deadline.min(self.deadline),
        });
        StageRun {
            result: run.result.map_err(|failed| self.compiler.explain(script, *failed)),
            logs: run.logs,
            reason: run.reason,
            note: run.note,
            journal: run.journal,
            operations: run.operations,
            took: run.took,
        }
    }

    fn not_run(&self, problem: &str) -> StageRun {
        let finding = Finding::error(Misfit::WRONG, self.binding.script.label(), problem);
        StageRun {
            result: Err(ScriptError { kind: ErrorKind::Failed, finding }),
            logs: Vec::new(),
            reason: None,
            note: None,
            journal: Journal::default(),
            operations: 0,
            took: Duration::ZERO,
        }
    }

    /// The reply to a message that no provider gets: the first one takes it whom the test did not let fail.
    fn sent(&self, sending: &Sending, mark: &Mark) -> Reply {
        let outcome = sending::pretend(sending, &self.sends);
        let mut reply = (self.binding.hook.settled)(&outcome, mark).unwrap_or_else(|| {
            let declared = self.binding.on_failure.as_ref();
            let mark = Mark { fallback: Some(NOT_SENT), ..*mark };
            declared.map_or(Reply::empty(503), |declared| (self.binding.hook.failed)(declared, &mark))
        });
        if let Outcome::Failed(tried) = &outcome {
            reply.notes.push(format!("no provider took the message ({})", Outcome::reasons(tried)));
        }
        reply
    }

    /// As the gateway does: the hook takes it, and the connectors do.
    fn encode(&self, request: &Decoded, returned: Dynamic, mark: &Mark) -> Result<Encoded, String> {
        let mut encoded = (self.binding.hook.encode)(request, returned, mark).map_err(|error| error.to_string())?;
        let Some(connectors) = &self.connectors else {
            for action in &mut encoded.actions {
                if let Some(problem) = action.problem().map(str::to_owned) {
                    action.refuse(problem);
                }
            }
            return Ok(encoded);
        };
        encoded.actions.iter_mut().try_for_each(|action| connectors.judge(action))?;
        let ways = encoded.sending.iter().flat_map(|sending| &sending.ways);
        let mut ways = ways.filter(|way| !self.sends.contains_key(*way));
        ways.try_for_each(|way| connectors.check_way(way))?;
        Ok(encoded)
    }
}

/// The surroundings with the parameters as the script gets them: held against what it declares, and with what is absent filled in.
///
/// # Errors
/// Everything that does not fit, as a release would be refused for it.
pub fn completed(
    binding: &Binding,
    surroundings: &Arc<Surroundings>,
    connectors: Option<&Connectors>,
) -> Result<Arc<Surroundings>, String> {
    let Some(declaration) = binding.script.declaration() else { return Ok(surroundings.clone()) };
    let kind = |name: &str| Some(connectors?.get(name)?.connector.kind());
    let around = Around {
        // A test without the configuration may make its tables later.
        tables: connectors.map(|_| surroundings.tables.keys().map(String::as_str).collect()),
        connectors: connectors.map(|all| all.iter().map(|connected| connected.name.as_str()).collect()),
        problem: &|name, function| connectors::unfit(kind(name)?, function),
    };
    let (params, misfits) = declaration.complete((*surroundings.params).clone(), &around);
    if misfits.is_empty() {
        let tables = surroundings.tables.clone();
        return Ok(Arc::new(Surroundings { params: Arc::new(params), tables }));
    }
    let told: Vec<String> = misfits.iter().take(MOST_MISFITS).map(Misfit::one_line).collect();
    Err(told.join("; "))
}

/// Lays `overrides` over `base`: maps member by member, everything else replaces.
pub fn merge(base: &mut Value, overrides: Value) {
    match (base, overrides) {
        (Value::Object(members), Value::Object(overrides)) => {
            for (name, value) in overrides {
                merge(members.entry(name).or_insert(Value::Null), value);
            }
        }
        (base, value) => *base = value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn maps_are_merged_and_everything_else_replaces() {
        let mut base = json!({ "a": { "b": 1, "c": [1, 2] }, "d": "x" });
        merge(&mut base, json!({ "a": { "c": [3], "e": { "f": null } }, "d": { "g": 1 } }));
        assert_eq!(base, json!({ "a": { "b": 1, "c": [3], "e": { "f": null } }, "d": { "g": 1 } }));
    }
}
