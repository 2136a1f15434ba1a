//! One call as the gateway makes it: decode, script, check, encode; in a world that the test made.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rhai::Dynamic;
use serde_json::Value;

use crate::connectors::Connectors;
use crate::harness::functions::sending;
use crate::harness::outcome;
use crate::harness::outcome::Parts;
use crate::harness::session::{Fallible, Session};
use crate::harness::subject::Binding;
use crate::hooks::{Decoded, Encoded, HookError, Mark, Reply};
use crate::message::{Outcome, Sending};
use crate::script::compile::Compiler;
use crate::script::context::{Surroundings, World};
use crate::script::diagnose::ScriptError;
use crate::script::diagnose::reasons;
use crate::script::run::Call;

/// What a call is made in.
pub struct Stage {
    pub binding: Binding,
    pub compiler: Arc<Compiler>,
    /// What actions may name; `None` where a test leaves `gateway.toml` out: then every connector takes every action.
    pub connectors: Option<Arc<Connectors>>,
    pub surroundings: Arc<Surroundings>,
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

/// What replies of tests point back at.
const MARK: &str = "test";

impl Stage {
    pub(super) fn of(session: &Session) -> Fallible<Self> {
        let binding = session.bound()?;
        Ok(Self {
            binding: binding.clone(),
            compiler: session.compiler.clone(),
            connectors: (!session.ignores_config).then(|| session.connectors.clone()),
            surroundings: session.surroundings.clone(),
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
        let deadline = Instant::now() + Duration::from_millis(self.binding.limits.deadline_ms);
        let run = script.run(&Call {
            request: request.request.clone(),
            surroundings: self.surroundings.clone(),
            world: self.world.clone(),
            deadline: deadline.min(self.deadline),
        });
        let mark = Mark { note: run.note.as_deref(), ..Mark::new(MARK, MARK, script.file()) };
        let returned = run.result.map_err(|failed| self.compiler.explain(script, *failed));
        let commands = returned.as_ref().map(|returned| (hook.describe)(returned)).unwrap_or_default();
        let encoded = match returned {
            Ok(returned) => {
                self.encode(request, returned, &mark).map_err(|problem| self.compiler.misfit(script, &problem))
            }
            Err(error) => Err(error),
        };
        let (reply, actions, error) = match encoded {
            Ok(Encoded { reply, actions, sending: None, .. }) => (reply, actions, None),
            Ok(Encoded { actions, sending: Some(sending), .. }) => match self.sent(&sending, &mark) {
                (reply, None) => (reply, actions, None),
                (reply, error) => (reply, Vec::new(), error),
            },
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

    /// The reply to a message that no provider gets: the first one takes it whom the test did not let fail. With the error, if
    /// there is none.
    fn sent(&self, sending: &Sending, mark: &Mark) -> (Reply, Option<ScriptError>) {
        let outcome = sending::pretend(sending, &self.sends);
        let Binding { hook, script, on_failure, .. } = &self.binding;
        let settled = (hook.settled)(&outcome, mark);
        let tried = match &outcome {
            Outcome::Failed(tried) => Outcome::reasons(tried),
            _ => String::new(),
        };
        let error = settled.is_none().then(|| ScriptError::not_sent(script.label(), &tried));
        let mut reply = settled.unwrap_or_else(|| {
            let mark = Mark { fallback: Some(reasons::NOT_SENT), ..*mark };
            on_failure.as_ref().map_or(Reply::empty(503), |declared| (hook.failed)(declared, &mark))
        });
        if !tried.is_empty() {
            reply.notes.push(format!("no provider took the message ({tried})"));
        }
        (reply, error)
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
