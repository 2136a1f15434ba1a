//! One call as the gateway makes it: decode, script, check, encode; in a world that the test made.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rhai::Dynamic;
use serde_json::Value;

use crate::connectors::Connectors;
use crate::harness::outcome::{Outcome, Parts};
use crate::harness::session::{Fallible, Session};
use crate::harness::subject::Binding;
use crate::hooks::{Decoded, Encoded, HookError, Mark, Reply};
use crate::script::compile::Compiler;
use crate::script::context::{Surroundings, World};
use crate::script::run::Call;

/// What a call is made in.
pub struct Stage {
    pub binding: Binding,
    pub compiler: Arc<Compiler>,
    /// What actions may name.
    pub connectors: Arc<Connectors>,
    pub surroundings: Arc<Surroundings>,
    pub world: World,
    /// The script has its own deadline, but no later than this.
    pub deadline: Instant,
}

/// What replies of tests point back at.
const MARK: &str = "test";

impl Stage {
    pub(super) fn of(session: &Session) -> Fallible<Self> {
        let binding = session.bound()?;
        Ok(Self {
            binding: binding.clone(),
            compiler: session.compiler.clone(),
            connectors: session.connectors.clone(),
            surroundings: session.surroundings.clone(),
            world: session.world(binding),
            deadline: session.deadline,
        })
    }

    /// Runs the script: once for a call, once for each event of a batch.
    ///
    /// # Errors
    /// The body is no call of the hook: the gateway would run no script.
    pub fn perform(&self, body: &Value) -> Result<Vec<Outcome>, HookError> {
        let body = Bytes::from(body.to_string());
        let hook = self.binding.hook;
        let requests = if hook.events { (hook.split)(&body)? } else { vec![(hook.decode)(&body)?] };
        Ok(requests.iter().map(|request| self.answer(request)).collect())
    }

    fn answer(&self, request: &Decoded) -> Outcome {
        let Binding { hook, script, on_failure, wants, .. } = &self.binding;
        let mark = Mark { decision: MARK, release: MARK, script: script.file() };
        let deadline = Instant::now() + Duration::from_millis(self.binding.limits.deadline_ms);
        let run = script.run(&Call {
            request: request.request.clone(),
            surroundings: self.surroundings.clone(),
            world: self.world.clone(),
            deadline: deadline.min(self.deadline),
        });
        let returned = run.result.map_err(|failed| self.compiler.explain(script, *failed));
        let commands = returned.as_ref().map(|returned| (hook.describe)(returned)).unwrap_or_default();
        let encoded = match returned {
            Ok(returned) => {
                self.encode(request, returned, &mark).map_err(|problem| self.compiler.misfit(script, &problem))
            }
            Err(error) => Err(error),
        };
        let (reply, actions, error) = match encoded {
            Ok(Encoded { reply, actions }) => (reply, actions, None),
            Err(error) => {
                let declared = on_failure.as_ref().map(|declared| (hook.failed)(declared, &mark));
                (declared.unwrap_or(Reply::empty(503)), Vec::new(), Some(error))
            }
        };
        let wanted = wants.as_ref().is_none_or(|wants| (wants.check)(request));
        let effect = (hook.effect)(&reply);
        let (logs, operations, took) = (run.logs, run.operations, run.took);
        let lookups = run.journal.lookups().cloned().collect();
        Outcome::new(Parts { reply, commands, actions, lookups, logs, error, effect, wanted, operations, took })
    }

    /// As the gateway does: the hook takes it, and the connectors do.
    fn encode(&self, request: &Decoded, returned: Dynamic, mark: &Mark) -> Result<Encoded, String> {
        let encoded = (self.binding.hook.encode)(request, returned, mark).map_err(|error| error.to_string())?;
        encoded.actions.iter().try_for_each(|action| self.connectors.check(action))?;
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
