//! Runs scripts against a hook in the tests of this folder: decode, script, check, encode.

use rhai::{Dynamic, Scope};
use serde_json::Value;

use crate::{Commands, Contract, InlineHook, Mark, Reply, Sample};
use hookgate_script::budget::Limits;
use hookgate_script::engine;
use hookgate_script::engine::Dialect;
use hookgate_script::library::Finished;
use hookgate_script::modules::Modules;
use hookgate_script::prelude;

/// What replies of tests point back at.
pub(super) const MARK: Mark = Mark::new("d", "r", "s.rhai");

/// The reply to `request`, or the text of what is wrong with the script.
pub(super) fn reply<C: InlineHook>(library: &'static Finished, request: &str, script: &str) -> Result<Reply, String> {
    let (request, returned) = run::<C>(library, request, script)?;
    let (commands, _) =
        Commands::collect(returned, &|| format!("a command of `{}`", C::NAME)).map_err(|error| error.to_string())?;
    C::reply(&request, commands, &MARK).map_err(|error| error.to_string())
}

/// What a script returns to `request`.
pub(super) fn run<C: Contract>(
    library: &'static Finished,
    request: &str,
    script: &str,
) -> Result<(C::Request, Dynamic), String> {
    let request = C::decode(&request.as_bytes().to_vec().into()).map_err(|error| error.to_string())?;
    let engine = engine::sandbox(
        &[prelude::library(), library],
        &Limits::default(),
        Modules::new(Default::default()),
        Dialect::Script,
    );
    let ast = engine.compile(script).map_err(|error| error.to_string())?;
    let returned = engine.call_fn::<Dynamic>(&mut Scope::new(), &ast, C::ENTRY, (request.clone(),));
    Ok((request, returned.map_err(|error| error.to_string())?))
}

/// The value of a Rhai expression over `request`.
pub(super) fn value<C: Contract>(library: &'static Finished, request: &str, expression: &str) -> Dynamic {
    let script = format!("fn {}(request) {{ {expression} }}", C::ENTRY);
    run::<C>(library, request, &script).unwrap_or_else(|error| panic!("{expression}: {error}")).1
}

/// What Okta does on a reply to some call.
pub(super) fn effect<C: Contract>(reply: &Reply) -> String {
    C::judge(&Value::Null, Some(&reply.as_answer())).effect
}

/// What keeps Okta from taking a reply to this call.
pub(super) fn violations<C: Contract>(call: &Value, reply: &Reply) -> Vec<String> {
    C::judge(call, Some(&reply.as_answer())).violations
}

/// The JSON of a reply without what points back at us.
pub(super) fn body(reply: &Reply) -> Value {
    let mut value = reply.value();
    if let Some(members) = value.as_object_mut() {
        members.shift_remove("debugContext");
    }
    value
}

/// Fails unless every sample gives its reply, member for member in order.
pub(super) fn samples<C: InlineHook>(library: &'static Finished) {
    for Sample { name, request, script, reply: expected } in C::SAMPLES {
        let reply = reply::<C>(library, request, script).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected = if expected.is_empty() { Value::Null } else { serde_json::from_str(expected).unwrap() };
        assert_eq!(body(&reply).to_string(), expected.to_string(), "{name}");
    }
}
