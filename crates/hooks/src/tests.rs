//! What must hold for every row of the table, whoever its provider is, and the runner that tests of single hooks share.

use std::collections::{BTreeMap, BTreeSet};

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use rhai::{Dynamic, Scope};
use serde_json::Value;

use super::*;
use hookgate_script::budget::Limits;
use hookgate_script::context;
use hookgate_script::context::{Context, World};
use hookgate_script::engine;
use hookgate_script::engine::Dialect;
use hookgate_script::library::{Effect, Entry, Kind, registered};
use hookgate_script::modules::Modules;
use hookgate_script::prelude;

/// What replies of tests point back at.
pub(crate) const MARK: Mark = Mark::new("d-1", "r-1", "s.rhai");

/// What a script returns, or the text of its error.
pub(crate) fn run(hook: &'static Hook, request: &Decoded, script: &str) -> Result<Dynamic, String> {
    let libraries = [prelude::library(), hook.library()];
    let engine = engine::sandbox(&libraries, &Limits::default(), Modules::new(BTreeMap::default()), Dialect::Script);
    let ast = engine.compile(script).map_err(|error| error.to_string())?;
    let context = Context::new(Arc::default(), World::Real, Instant::now() + Duration::from_secs(20));
    let call = || engine.call_fn(&mut Scope::new(), &ast, hook.entry, (request.request.clone(),));
    let (returned, _) = context::enter(context, call);
    returned.map_err(|error| error.to_string())
}

/// The parameter's name in the short scripts of tests, as in PRODUCT's signatures.
pub(crate) fn wrap(hook: &Hook, expression: &str) -> String {
    let parameter = hook.parameter();
    format!("fn {}({parameter}) {{ {expression} }}", hook.entry)
}

pub(crate) fn answer(hook: &'static Hook, request: &str, script: &str) -> Result<Reply, String> {
    let request = (hook.decode)(&request.to_owned().into()).map_err(|error| error.to_string())?;
    let returned = run(hook, &request, script)?;
    (hook.encode)(&request, returned, &MARK).map(|encoded| encoded.reply).map_err(|error| error.to_string())
}

/// The value of an expression over a request.
pub(crate) fn value_of(hook: &str, request: &str, expression: &str) -> Dynamic {
    let hook = find(hook).unwrap();
    let request = (hook.decode)(&request.to_owned().into()).unwrap();
    run(hook, &request, &wrap(hook, expression)).unwrap_or_else(|error| panic!("{expression}: {error}"))
}

/// The reply when a script returns this expression.
pub(crate) fn reply_to(hook: &str, request: &str, expression: &str) -> Reply {
    let hook = find(hook).unwrap();
    answer(hook, request, &wrap(hook, expression)).unwrap_or_else(|error| panic!("{expression}: {error}"))
}

/// The text that a script's author reads when returning this expression.
pub(crate) fn refusal(hook: &str, request: &str, expression: &str) -> String {
    let hook = find(hook).unwrap();
    match answer(hook, request, &wrap(hook, expression)) {
        Err(text) => text,
        Ok(reply) => panic!("{expression} was answered with {:?}", reply.value()),
    }
}

/// The JSON of a reply without what points back at us.
pub(crate) fn body(reply: &Reply) -> Value {
    let mut value = reply.value();
    if let Some(members) = value.as_object_mut() {
        members.shift_remove("debugContext");
    }
    value
}

/// Fails unless the provider takes this reply to this call.
fn assert_valid(hook: &Hook, call: &Value, reply: &Reply) {
    let judgement = (hook.judge)(call, Some(&reply.as_answer()));
    assert_eq!(judgement.violations, Vec::<String>::new(), "{}", hook.name);
}

#[test]
fn names_are_unique_and_entries_within_a_provider() {
    let names: BTreeSet<_> = HOOKS.iter().map(|hook| hook.name).collect();
    let provider = |hook: &Hook| hook.name.split_once('.').expect("a name is `provider.kind`").0;
    let entries: BTreeSet<_> = HOOKS.iter().map(|hook| (provider(hook), hook.entry)).collect();
    assert_eq!((names.len(), entries.len()), (HOOKS.len(), HOOKS.len()));
    for hook in HOOKS.iter() {
        assert!(std::ptr::eq(find(hook.name).unwrap(), hook), "{}", hook.name);
        let misspelt = &hook.name[..hook.name.len() - 1];
        assert!(find(misspelt).is_none(), "{misspelt} is found");
    }
}

/// Whether the example of an entry is what its page says, for this call: something true or, of a command, something that a
/// script may return.
fn shows(hook: &'static Hook, request: &str, entry: &Entry) -> Result<(), String> {
    let script = wrap(hook, entry.doc.example);
    if entry.effect == Effect::Command {
        return answer(hook, request, &script).map(|_| ());
    }
    let request = (hook.decode)(&request.to_owned().into()).map_err(|error| error.to_string())?;
    match run(hook, &request, &script)?.as_bool() {
        Ok(true) => Ok(()),
        other => Err(format!("it is {other:?}")),
    }
}

#[test]
fn every_entry_has_an_example_that_a_sample_bears_out() {
    let (mut without, mut wrong) = (Vec::new(), Vec::new());
    for hook in HOOKS.iter() {
        for entry in hook.library().entries.iter().filter(|entry| entry.kind != Kind::Value) {
            if entry.doc.example.is_empty() {
                without.push(entry.name());
                continue;
            }
            let tried: Vec<_> = hook.samples.iter().map(|sample| shows(hook, sample.request, entry)).collect();
            if !tried.iter().any(Result::is_ok) {
                wrong.push(format!("{} {}: {}\n    {tried:?}", hook.name, entry.signature, entry.doc.example));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(without.is_empty(), "without an example: {without:?}");
}

/// What a script returns, taken apart.
pub(crate) fn encoded(hook: &'static Hook, expression: &str) -> Result<Encoded, CommandError> {
    let request = (hook.decode)(&hook.samples[0].request.to_owned().into()).unwrap();
    let returned = run(hook, &request, &wrap(hook, expression)).unwrap_or_else(|error| panic!("{expression}: {error}"));
    (hook.encode)(&request, returned, &MARK)
}

#[test]
fn every_hook_takes_actions_beside_its_commands() {
    for hook in HOOKS.iter() {
        for entry in prelude::library().entries.iter().filter(|entry| entry.effect == Effect::Command) {
            // Only events can be forwarded.
            if !hook.is_for_events() && entry.doc.example.starts_with("forward(") {
                let error = encoded(hook, entry.doc.example).unwrap_err();
                assert_eq!(error, CommandError::NothingToForward { hook: hook.name });
                continue;
            }
            let encoded = encoded(hook, entry.doc.example).unwrap_or_else(|error| panic!("{}: {error}", hook.name));
            assert_eq!(encoded.actions.len(), 1, "{}: {}", hook.name, entry.doc.example);
        }
        // Each hook defines whether it has an answer when nothing is returned.
        let nothing = encoded(hook, "()");
        let names = |expression| -> Vec<String> {
            let encoded = encoded(hook, expression).unwrap_or_else(|error| panic!("{}: {error}", hook.name));
            assert_eq!(encoded.reply, nothing.as_ref().unwrap().reply, "{}: {expression}", hook.name);
            encoded.actions.into_iter().map(|action| action.connector).collect()
        };
        assert_eq!(
            names(r#"[notify("a", "m"), [notify("b", "m"), [notify("c", "m")]], [[[notify("d", "m")]]]]"#),
            ["a", "b", "c", "d"]
        );
        assert_eq!(names(r#"notify("a", "m")"#), ["a"]);
        assert!(names("[]").is_empty());
    }
}

#[test]
fn a_run_has_a_hundred_actions_at_most() {
    let many = |count: usize| format!(r#"let all = []; for i in 0..{count} {{ all.push(notify("x", "m")) }} all"#);
    for hook in HOOKS.iter() {
        assert_eq!(encoded(hook, &many(100)).unwrap().actions.len(), 100);
        let error = encoded(hook, &many(101)).unwrap_err();
        assert_eq!(error, CommandError::TooManyActions { count: 101 });
        // However deep the arrays are, looking for actions ends.
        let deep = encoded(hook, r#"let a = [notify("x", "m")]; for i in 0..60 { a = [a] } a"#);
        assert!(matches!(deep.unwrap_err(), CommandError::NotACommand { .. }), "{}", hook.name);
    }
}

#[test]
fn every_row_says_what_silence_and_failure_mean() {
    for hook in HOOKS.iter() {
        assert!(!hook.about.is_empty() && !hook.silence.is_empty() && !hook.request.is_empty(), "{}", hook.name);
        assert_eq!(hook.is_for_events(), hook.on_failure().is_empty(), "{}", hook.name);
        for form in hook.on_failure() {
            assert!(!form.about.is_empty(), "{}", hook.name);
            let long = "ä\"\u{0}".repeat(200_000);
            let text = form.takes_text.then_some(long.as_str());
            let reply = hook.declared(form.word, text).unwrap().reply(&MARK);
            assert_valid(hook, &Value::Null, &reply);
            assert!(!(hook.effect)(&reply).is_empty());
            assert!(hook.declared(form.word, if form.takes_text { None } else { Some("x") }).is_none());
        }
        assert!(hook.declared("nonsense", None).is_none());
    }
}

#[test]
fn every_sample_gives_its_reply() {
    for hook in HOOKS.iter() {
        assert!(!hook.samples.is_empty(), "{}", hook.name);
        for sample in hook.samples {
            let name = format!("{}/{}", hook.name, sample.name);
            let reply = answer(hook, sample.request, sample.script).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_valid(hook, &serde_json::from_str(sample.request).unwrap(), &reply);
            let expected =
                if sample.reply.is_empty() { Value::Null } else { serde_json::from_str(sample.reply).unwrap() };
            // As text: the order of members counts.
            assert_eq!(body(&reply).to_string(), expected.to_string(), "{name}");
            assert!(!(hook.effect)(&reply).is_empty(), "{name}");
        }
    }
}

#[test]
fn every_registration_is_documented_once() {
    for hook in HOOKS.iter() {
        let mut seen = BTreeSet::new();
        for entry in &hook.library().entries {
            let name = format!("{}: {}", hook.name, entry.signature);
            assert!(!entry.doc.about.is_empty(), "{name}");
            assert!(
                seen.insert((entry.receiver(), entry.name(), entry.signature.params().len())),
                "{name} stands twice"
            );
            assert!(entry.kind != Kind::Property || entry.signature.to_string().contains(": "), "{name} has no type");
        }
        assert!(seen.contains(&(None, hook.request, 0)), "{} does not register {}", hook.name, hook.request);
    }
}

#[test]
fn every_signature_says_what_its_function_takes_and_gives() {
    for hook in HOOKS.iter() {
        let wrong = registered::disagreements(hook.library(), &[prelude::library()]);
        assert!(wrong.is_empty(), "{}:\n{}", hook.name, wrong.join("\n"));
    }
}

#[test]
fn every_property_of_the_request_can_be_read() {
    for hook in HOOKS.iter() {
        let properties = hook
            .library()
            .entries
            .iter()
            .filter(|entry| entry.kind == Kind::Property && entry.receiver() == Some(hook.request));
        for sample in hook.samples {
            let request = (hook.decode)(&sample.request.into()).unwrap();
            for property in properties.clone() {
                let parameter = hook.parameter();
                let script = wrap(hook, &format!("{parameter}.{}", property.name()));
                let read = run(hook, &request, &script);
                assert!(read.is_ok(), "{} {}: {:?}", hook.name, property.name(), read.err());
                let write = wrap(hook, &format!("{parameter}.{} = 1", property.name()));
                assert!(run(hook, &request, &write).is_err(), "{}.{} can be written", hook.request, property.name());
            }
        }
    }
}

pub(crate) fn decode(hook: &Hook, body: impl Into<Bytes>) -> Result<usize, HookError> {
    let body = body.into();
    let single = (hook.decode)(&body);
    let split = hook.requests(&body, usize::MAX);
    if !hook.is_for_events() {
        assert_eq!(single.is_ok(), split.is_ok());
    }
    split.map(|requests| requests.len())
}

#[test]
fn deep_nesting_ends_no_process() {
    for hook in HOOKS.iter() {
        for body in [format!("{}{}", "[".repeat(200), "]".repeat(200)), "{\"a\":".repeat(100_000)] {
            assert!(decode(hook, body).is_err(), "{}", hook.name);
        }
    }
}

/// A JSON text with one place changed.
fn mutated(sample: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let length = sample.len();
    (0..length, 0..64_usize, proptest::collection::vec(any::<u8>(), 0..8)).prop_map(move |(at, take, put)| {
        let mut bytes = sample.as_bytes().to_vec();
        bytes.splice(at..(at + take).min(length), put);
        bytes
    })
}

/// A sample with one of its values replaced by another that is JSON.
fn revalued(sample: &'static str) -> impl Strategy<Value = Vec<u8>> {
    const VALUES: [&str; 10] =
        ["null", "7", "-1.5e300", "true", "\"\"", "\"\\ud800\"", "[]", "{}", "[null,{}]", "\"c4n4ry\""];
    let starts: Vec<usize> = sample.match_indices(": ").map(|(at, _)| at + 2).collect();
    (proptest::sample::select(starts), proptest::sample::select(&VALUES[..])).prop_map(move |(at, value)| {
        let mut values = serde_json::Deserializer::from_str(&sample[at..]).into_iter::<serde::de::IgnoredAny>();
        let _ = values.next();
        let end = at + values.byte_offset();
        format!("{}{value}{}", &sample[..at], &sample[end..]).into_bytes()
    })
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let samples: Vec<&'static str> = HOOKS.iter().flat_map(|hook| hook.samples).map(|sample| sample.request).collect();
    let sample = || proptest::sample::select(samples.clone());
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        sample().prop_flat_map(mutated),
        sample().prop_flat_map(revalued),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn no_body_makes_decoding_panic(bytes in any_body()) {
        for hook in HOOKS.iter() {
            if let Err(error) = decode(hook, bytes.clone()) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}
