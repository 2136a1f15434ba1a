//! One call as the gateway makes it: decode, script, check, encode; in a world that the test made.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::harness::functions::sending;
use crate::harness::outcome;
use crate::harness::session::{Fallible, Session};
use crate::harness::subject::Binding;
use crate::outcome::{RunFailure, RunOutcome, ScriptUse};
use bytes::Bytes;
use hookgate_connectors::Connectors;
use hookgate_hooks::{Decoded, Encoded, HookError};
use hookgate_model::finding::Finding;
use hookgate_model::message;
use hookgate_script::compile::Compiler;
use hookgate_script::context::{Surroundings, World};
use hookgate_script::diagnose::{ErrorKind, ScriptError};
use hookgate_script::parameters::{Around, Misfit};
use hookgate_script::run::{Call, Script};
use serde_json::Value;

/// What a call is made in.
pub(crate) struct TestCall {
    pub(crate) binding: Binding,
    pub(crate) compiler: Arc<Compiler>,
    /// What actions may name; `None` where a test leaves `gateway.toml` out: then every connector takes every action.
    pub(crate) connectors: Option<Arc<Connectors>>,
    /// Or what of the parameters does not fit what the script declares: then nothing runs, as such a release does not go live.
    pub(crate) surroundings: Result<Arc<Surroundings>, String>,
    pub(crate) world: World,
    /// How connectors take a message that they are to send, if they fail: the others take it.
    pub(crate) sends: BTreeMap<String, Option<Fails>>,
    /// The script has its own deadline, but no later than this.
    pub(crate) deadline: Instant,
}

/// How a connector fails to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fails {
    /// The request went out and no answer came.
    Timeout,
    /// The provider says no.
    Refused,
    /// It cannot be reached, or is in trouble.
    NotDelivered,
}

/// What replies of tests point back at.
const MARK: &str = "test";

/// Mistakes in parameters that one message tells.
const MOST_MISFITS: usize = 10;

impl TestCall {
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
    pub(crate) fn perform(&self, body: &Value) -> Result<Vec<outcome::Outcome>, HookError> {
        let body = Bytes::from(body.to_string());
        let hook = self.binding.hook;
        let requests = hook.requests(&body, usize::MAX)?;
        Ok(requests.iter().map(|request| self.answer(request)).collect())
    }

    fn answer(&self, request: &Decoded) -> outcome::Outcome {
        let Binding { hook, script, on_failure, wants, .. } = &self.binding;
        let place =
            ScriptUse { hook, script, compiler: &self.compiler, release: MARK, on_failure: on_failure.as_ref() };
        let (run, commands) = match &self.surroundings {
            Ok(surroundings) => self.run(place, request, surroundings),
            Err(problem) => (place.not_run(MARK.to_owned(), misfit(script, problem)), Vec::new()),
        };
        let wanted = wants.as_ref().is_none_or(|wants| (wants.check)(request));
        let effect = (hook.effect)(&run.reply);
        outcome::Outcome::new(run, commands, effect, wanted)
    }

    /// What came of the run, and the commands that the script returned.
    fn run(
        &self,
        place: ScriptUse<'_>,
        request: &Decoded,
        surroundings: &Arc<Surroundings>,
    ) -> (RunOutcome, Vec<Value>) {
        let deadline = Instant::now() + Duration::from_millis(self.binding.limits.deadline_ms);
        let run = place.script.run(&Call {
            request: request.request.clone(),
            surroundings: surroundings.clone(),
            world: self.world.clone(),
            deadline: deadline.min(self.deadline),
        });
        let commands = run.result.as_ref().map(place.hook.describe).unwrap_or_default();
        let run = place.outcome(MARK.to_owned(), request, run, |encoded| self.check(encoded));
        (self.sent(place, run), commands)
    }

    /// The same with the reply to a message that no provider gets: the first one takes it whom the test did not let fail.
    fn sent(&self, place: ScriptUse<'_>, mut run: RunOutcome) -> RunOutcome {
        let Some(sending) = run.sending.take() else { return run };
        let mut run = place.settled(run, sending::pretend(&sending, &self.sends));
        if let Some(failure @ RunFailure::NotSent(tried)) = &run.failure {
            run.reply.notes.push(failure.to_string());
            let error = ScriptError::not_sent(place.script.label(), &message::Outcome::reasons(tried));
            run.failure = Some(RunFailure::Script(Box::new(error)));
        }
        run
    }

    /// As the gateway does: the connectors can do it. They need not be able to send what the test says that they do.
    fn check(&self, encoded: &mut Encoded) -> Result<(), String> {
        let Some(connectors) = &self.connectors else {
            for action in &mut encoded.actions {
                if let Some(problem) = action.problem().map(str::to_owned) {
                    action.refuse(problem);
                }
            }
            return Ok(());
        };
        encoded.actions.iter_mut().try_for_each(|action| connectors.judge(action))?;
        let ways = encoded.sending.iter().flat_map(|sending| &sending.ways);
        let mut ways = ways.filter(|way| !self.sends.contains_key(*way));
        ways.try_for_each(|way| connectors.check_way(way))
    }
}

/// The surroundings with the parameters as the script gets them: held against what it declares, and with what is absent filled in.
///
/// # Errors
/// Everything that does not fit, as a release would be refused for it.
pub(crate) fn completed(
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
        problem: &|name, function| hookgate_connectors::unfit(kind(name)?, function),
    };
    let (params, misfits) = declaration.complete((*surroundings.params).clone(), &around);
    if misfits.is_empty() {
        let tables = surroundings.tables.clone();
        return Ok(Arc::new(Surroundings { params: Arc::new(params), tables }));
    }
    let told: Vec<String> = misfits.iter().take(MOST_MISFITS).map(Misfit::one_line).collect();
    Err(told.join("; "))
}

/// Why a script does not run whose parameters do not fit what it declares.
fn misfit(script: &Script, problem: &str) -> RunFailure {
    let finding = Finding::error(Misfit::WRONG, script.label(), problem);
    RunFailure::Script(Box::new(ScriptError { kind: ErrorKind::Failed, finding }))
}

/// Lays `overrides` over `base`: maps member by member, everything else replaces.
pub(crate) fn merge(base: &mut Value, overrides: Value) {
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
