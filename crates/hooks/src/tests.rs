//! What must hold for every row of the table, and the runner that tests of single hooks share.

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
fn wrap(hook: &Hook, expression: &str) -> String {
    let parameter = hook.parameter();
    format!("fn {}({parameter}) {{ {expression} }}", hook.entry)
}

fn answer(hook: &'static Hook, request: &str, script: &str) -> Result<Reply, String> {
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

/// What the contract allows every reply to be, and that it points back at us.
fn assert_valid(hook: &Hook, call: &Value, reply: &Reply) {
    let name = hook.name;
    let judgement = (hook.judge)(call, Some(&reply.as_answer()));
    assert_eq!(judgement.violations, Vec::<String>::new(), "{name}");
    let value = reply.value();
    if let Some(members) = value.as_object().filter(|members| !members.is_empty()) {
        let debug = &members["debugContext"];
        let back = (&debug["decision"], &debug["release"], &debug["script"]);
        assert_eq!(back, (&"d-1".into(), &"r-1".into(), &"s.rhai".into()), "{name}");
    }
}

#[test]
fn names_and_entries_are_unique() {
    let names: BTreeSet<_> = HOOKS.iter().map(|hook| hook.name).collect();
    let entries: BTreeSet<_> = HOOKS.iter().map(|hook| hook.entry).collect();
    assert_eq!((names.len(), entries.len()), (HOOKS.len(), HOOKS.len()));
    for hook in HOOKS.iter() {
        let (provider, kind) = hook.name.split_once('.').unwrap();
        assert!(provider == "okta" && hook.entry == format!("on_{kind}"), "{}", hook.name);
        assert!(std::ptr::eq(find(hook.name).unwrap(), hook));
    }
    assert!(find("okta.tokn").is_none());
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
fn encoded(hook: &'static Hook, expression: &str) -> Result<Encoded, CommandError> {
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
fn actions_change_nothing_of_the_commands_around_them() {
    let token = find("okta.token").unwrap();
    let plain = encoded(token, r#"[id_token.add_claim("a", 1), [id_token.add_claim("b", 2)]]"#).unwrap();
    let mixed = r#"[notify("x", "m"), id_token.add_claim("a", 1), [notify("y", "m"), id_token.add_claim("b", 2)], [notify("z", "m")]]"#;
    let mixed = encoded(token, mixed).unwrap();
    assert_eq!((plain.reply, plain.actions.len()), (mixed.reply, 0));
    assert_eq!(mixed.actions.len(), 3);
    let described = run(
        token,
        &(token.decode)(&token.samples[0].request.to_owned().into()).unwrap(),
        &wrap(token, r#"[notify("x", "m"), refuse("No.")]"#),
    );
    assert_eq!((token.describe)(&described.unwrap()), [serde_json::json!({"refuse": {"text": "No."}})]);
    let error = encoded(token, r#"[notify("x", "m"), [notify("y", "m")], 7]"#).unwrap_err().to_string();
    assert_eq!(error, "the script returned `7` where a command of `okta.token` belongs (item 3 of the array)");
}

#[test]
fn a_run_has_a_hundred_actions_at_most() {
    let many = |count: usize| format!(r#"let all = []; for i in 0..{count} {{ all.push(notify("x", "m")) }} all"#);
    for hook in HOOKS.iter() {
        assert_eq!(encoded(hook, &many(100)).unwrap().actions.len(), 100);
        let error = encoded(hook, &many(101)).unwrap_err();
        assert_eq!(error, CommandError::TooManyActions { count: 101 });
    }
    // However deep the arrays are, looking for actions ends.
    let deep = encoded(find("okta.event").unwrap(), r#"let a = [notify("x", "m")]; for i in 0..60 { a = [a] } a"#);
    assert!(matches!(deep.unwrap_err(), CommandError::NotACommand { .. }));
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
fn a_note_and_the_reason_of_a_fallback_leave_where_a_body_may() {
    let note = "\u{1f4a1} \"directory\" was asked";
    for hook in HOOKS.iter().filter(|hook| !hook.is_for_events()) {
        let mark = Mark { note: Some(note), fallback: Some("deadline"), ..MARK };
        for form in hook.on_failure() {
            let declared = hook.declared(form.word, form.takes_text.then_some("later")).unwrap();
            let debug = declared.reply(&mark).value()["debugContext"].clone();
            // Of a SAML reply that changes nothing, Okta's contract lists the empty one alone.
            if (hook.name, form.word) == ("okta.saml", "unchanged") {
                assert_eq!(debug, Value::Null);
                continue;
            }
            let said = (&debug["note"], &debug["fallback"], &debug["decision"]);
            assert_eq!(said, (&note.into(), &"deadline".into(), &"d-1".into()), "{} {}", hook.name, form.word);
        }
        let request = (hook.decode)(&hook.samples[0].request.into()).unwrap();
        let silent = (hook.encode)(&request, Dynamic::UNIT, &Mark { note: Some(note), ..MARK }).unwrap().reply;
        let said = silent.value()["debugContext"]["note"].clone();
        assert_eq!(said, if hook.name == "okta.saml" { Value::Null } else { note.into() }, "{}", hook.name);
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

fn decode(hook: &Hook, body: impl Into<Bytes>) -> Result<usize, HookError> {
    let body = body.into();
    let single = (hook.decode)(&body);
    let split = hook.requests(&body, usize::MAX);
    if !hook.is_for_events() {
        assert_eq!(single.is_ok(), split.is_ok());
    }
    split.map(|requests| requests.len())
}

#[test]
fn what_is_no_json_object_is_refused() {
    for hook in HOOKS.iter() {
        assert_eq!(decode(hook, ""), Err(HookError::Empty), "{}", hook.name);
        for body in ["{", "not json c4n4ry", "{\"eventId\":c4n4ry}", "{} {}", "[", "{\"data\":{}", " "] {
            let error = decode(hook, body).unwrap_err();
            assert!(matches!(error, HookError::NotJson { .. }), "{} {body}: {error}", hook.name);
            assert!(!error.to_string().contains("c4n4ry"), "{error}");
        }
        for body in
            ["[]", "[{}]", "null", "7", "\"c4n4ry\"", "true", "[null,null,null,null,null,{}]", "\u{feff}{}", "{}"]
        {
            let error = decode(hook, body).unwrap_err();
            assert!(matches!(error, HookError::Shape { .. }), "{} {body}: {error}", hook.name);
            assert!(!error.to_string().contains("c4n4ry"), "{error}");
        }
    }
}

/// The first sample of a hook with one text put before another.
fn with_text(hook: &Hook, before: &str, text: &[u8]) -> Vec<u8> {
    let sample = hook.samples[0].request;
    let at = sample.find(before).unwrap();
    [&sample.as_bytes()[..at], text, &sample.as_bytes()[at..]].concat()
}

/// Faults of a text, as they come in the middle of a string.
const FAULTS: [&[u8]; 6] = [b"\xe9", b"\xc3", b"\\ud83d", b"\\udead", b"\t", b"\\x"];

#[test]
fn a_fault_of_the_text_costs_no_call() {
    for hook in HOOKS.iter() {
        let with_mark = [&b"\xef\xbb\xbf"[..], hook.samples[0].request.as_bytes()].concat();
        let bodies = FAULTS.iter().map(|fault| with_text(hook, ".example", fault)).chain([with_mark]);
        for body in bodies {
            let shown = String::from_utf8_lossy(&body).into_owned();
            let found =
                hook.requests(&body.into(), usize::MAX).unwrap_or_else(|error| panic!("{}: {error}", hook.name));
            assert_eq!(found.len(), 1, "{shown}");
            let (facts, parameter) = (&found[0].facts, hook.parameter());
            // In front of a delivery the mark is in none of its events.
            let notes = usize::from(!(hook.is_for_events() && shown.starts_with('\u{feff}')));
            assert_eq!((facts.problem.as_ref(), facts.notes.len()), (None, notes), "{}: {:?}", hook.name, facts.notes);
            let raw = run(hook, &found[0], &wrap(hook, &format!("type_of({parameter}.raw) == \"map\"")));
            assert!(raw.unwrap().as_bool().unwrap(), "{shown}");
        }
    }
}

#[test]
fn a_call_of_another_hook_names_it() {
    for hook in HOOKS.iter() {
        for other in HOOKS.iter().filter(|other| other.name != hook.name) {
            for sample in other.samples {
                let expected = HookError::OtherHook { expected: hook.name, found: other.name };
                assert_eq!(decode(hook, sample.request), Err(expected), "{} to {}", sample.name, hook.name);
            }
        }
        for found in ["com.okta.tokens.transform", "com.okta.custom.source.delegated.authentication"] {
            let body = format!(r#"{{"eventType":"{found}","data":{{"context":7}}}}"#);
            assert_eq!(decode(hook, body), Err(HookError::Withdrawn { found: found.into() }), "{}", hook.name);
        }
        let error = decode(hook, r#"{"eventType":"com.okta.something","data":{}}"#).unwrap_err();
        assert_eq!(error, HookError::UnknownType { expected: hook.name, found: "com.okta.something".into() });
    }
}

/// The first sample with one member of the envelope replaced, or taken away.
fn with_member(hook: &Hook, member: &str, value: Option<Value>) -> String {
    let mut sample: Value = serde_json::from_str(hook.samples[0].request).unwrap();
    let members = sample.as_object_mut().unwrap();
    match value {
        Some(value) => drop(members.insert(member.into(), value)),
        None => drop(members.shift_remove(member)),
    }
    sample.to_string()
}

#[test]
fn members_of_the_envelope_that_are_no_text_read_as_absent() {
    for hook in HOOKS.iter() {
        for member in ["eventId", "eventTime", "source", "eventType"] {
            for wrong in [serde_json::json!(["c4n4ry"]), serde_json::json!({"c4n4ry": "c4n4ry"})] {
                let sent = with_member(hook, member, Some(wrong));
                let found = hook.requests(&sent.into(), usize::MAX).unwrap_or_else(|error| panic!("{member}: {error}"));
                let notes = found[0].facts.notes.join("\n");
                let told = notes.contains(&format!("`{member}` must be a string, and is an "));
                assert!(told || hook.is_for_events(), "{} {member}: {notes}", hook.name);
                assert!(!notes.contains("c4n4ry"), "{notes}");
            }
            assert!(decode(hook, with_member(hook, member, None)).is_ok(), "{} {member}", hook.name);
            assert!(decode(hook, with_member(hook, member, Some(Value::Null))).is_ok(), "{} {member}", hook.name);
        }
        for member in ["eventId", "eventTime", "source"] {
            assert!(decode(hook, with_member(hook, member, Some(7.into()))).is_ok(), "{} {member}", hook.name);
        }
        for unread in ["eventTypeVersion", "cloudEventVersion", "cloudEventsVersion", "contentType", "later"] {
            for value in [serde_json::json!(1), serde_json::json!({}), Value::Null] {
                assert!(decode(hook, with_member(hook, unread, Some(value))).is_ok(), "{} {unread}", hook.name);
            }
        }
    }
}

/// Every place below `data` of a value, as a JSON Pointer.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            let place = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            found.push(place.clone());
            places(value, &place, found);
        }),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| {
            found.push(format!("{at}/{index}"));
            places(value, &format!("{at}/{index}"), found);
        }),
        _ => {}
    }
}

/// However a member is swapped for another kind of value, the call is read, or refused in the words of JSON.
#[test]
fn members_of_another_kind_are_left_out_or_named() {
    let kinds = [
        serde_json::json!("c4n4ry"),
        serde_json::json!(7),
        serde_json::json!(true),
        serde_json::json!(["c4n4ry", 1]),
        serde_json::json!({"c4n4ry": "c4n4ry"}),
        serde_json::json!([{"c4n4ry": []}]),
    ];
    for hook in HOOKS.iter().filter(|hook| !hook.is_for_events()) {
        let (mut read, mut left_out) = (0, 0);
        for sample in hook.samples {
            let sample: Value = serde_json::from_str(sample.request).unwrap();
            let mut found = Vec::new();
            places(&sample["data"], "/data", &mut found);
            for (place, kind) in found.iter().flat_map(|place| kinds.iter().map(move |kind| (place, kind))) {
                let mut call = sample.clone();
                *call.pointer_mut(place).unwrap() = kind.clone();
                match (hook.decode)(&call.to_string().into()) {
                    Ok(request) => {
                        (read, left_out) = (read + 1, left_out + usize::from(!request.facts.notes.is_empty()));
                        let notes = request.facts.notes.join("\n");
                        assert!(!notes.contains("c4n4ry") && !says_rust(&notes), "{}: {notes}", hook.name);
                    }
                    Err(HookError::Shape { problem, .. }) => {
                        assert!(problem.contains("`data") && !problem.contains("c4n4ry"), "{}: {problem}", hook.name);
                        assert!(!says_rust(&problem), "{}: {problem}", hook.name);
                    }
                    Err(other) => panic!("{} {place} {kind}: {other}", hook.name),
                }
            }
        }
        assert!(read > 20 && left_out > 5, "{}: {read} were read, {left_out} with a note", hook.name);
    }
}

/// Whether a message has a word that only Rust's own messages have.
fn says_rust(message: &str) -> bool {
    ["struct", "sequence", "map", "unit", "u64", "i64", "f64", "bool,", "Option", "elements"]
        .iter()
        .any(|word| message.split(|c: char| !c.is_alphanumeric() && c != ',').any(|found| found == *word))
}

#[test]
fn data_must_be_there_and_an_object() {
    for hook in HOOKS.iter() {
        for absent in [None, Some(Value::Null)] {
            let error = decode(hook, with_member(hook, "data", absent)).unwrap_err().to_string();
            assert!(error.contains("`data` is missing"), "{}: {error}", hook.name);
        }
        for wrong in [serde_json::json!("c4n4ry"), serde_json::json!(7), serde_json::json!([]), serde_json::json!({})] {
            let Err(error) = decode(hook, with_member(hook, "data", Some(wrong.clone()))) else {
                panic!("{} takes {wrong}", hook.name);
            };
            assert!(error.to_string().contains("`data"), "{} {wrong}: {error}", hook.name);
            assert!(!error.to_string().contains("c4n4ry"), "{error}");
        }
    }
}

#[test]
fn values_that_look_like_messages_do_not_leak() {
    for hook in HOOKS.iter() {
        for value in ["x expected c4n4ry", "c4n4ry at line 1 column 1", "x at line 2, expected c4n4ry at line 3"] {
            let error = decode(hook, with_member(hook, "data", Some(value.into()))).unwrap_err().to_string();
            assert!(!error.contains("c4n4ry"), "{error}");
        }
    }
}

#[test]
fn deep_nesting_costs_an_error_at_most() {
    for hook in HOOKS.iter() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let inner = if open == "[" { "" } else { "1" };
            let deep = format!("{}{inner}{}", open.repeat(200), close.repeat(200));
            let _ = decode(hook, deep.clone());
            let sample = hook.samples[0].request.trim_end().strip_suffix('}').unwrap();
            let body: Bytes = format!("{sample}, \"later\": {deep}}}").into();
            let request = (hook.decode)(&body).unwrap_or_else(|error| panic!("{}: {error}", hook.name));
            let parameter = hook.parameter();
            let raw = run(hook, &request, &wrap(hook, &format!("{parameter}.raw")));
            assert!(raw.is_ok(), "{}: {:?}", hook.name, raw.err());
        }
    }
}

/// A sample with a member of its envelope twice: first with this value.
fn with_member_twice(hook: &Hook, member: &str, first: &str) -> String {
    let rest = hook.samples[0].request.trim_start().strip_prefix('{').unwrap();
    format!("{{\"{member}\":{first},{rest}")
}

#[test]
fn a_member_twice_is_taken_when_both_say_the_same() {
    for hook in HOOKS.iter() {
        let sample: Value = serde_json::from_str(hook.samples[0].request).unwrap();
        for member in ["eventId", "eventType", "source"] {
            let body = with_member_twice(hook, member, &sample[member].to_string());
            let found = hook.requests(&body.into(), usize::MAX).unwrap_or_else(|error| panic!("{member}: {error}"));
            assert!(found.len() == 1 && found[0].facts.notes.is_empty(), "{} {member}", hook.name);
        }
    }
}

#[test]
fn a_member_twice_with_two_values_is_left_out_or_refused() {
    for hook in HOOKS.iter().filter(|hook| !hook.is_for_events()) {
        let informs = (hook.decode)(&with_member_twice(hook, "source", "\"c4n4ry\"").into()).unwrap();
        assert_eq!(informs.facts.notes, ["`source` stands twice, with different values"], "{}", hook.name);
        for (member, first) in [("data", "{\"c4n4ry\":1}"), ("eventType", "\"com.okta.c4n4ry\"")] {
            let error = decode(hook, with_member_twice(hook, member, first)).unwrap_err().to_string();
            assert!(error.contains(&format!("`{member}` stands twice")), "{} {member}: {error}", hook.name);
            assert!(!error.contains("c4n4ry"), "{error}");
        }
    }
    let two = r#"{"eventType":"com.okta.user.pre-registration","data":{"userProfile":{"email":"a@b.example","email":"c4n4ry"}}}"#;
    let error = decode(find("okta.registration").unwrap(), two).unwrap_err().to_string();
    assert!(error.contains("`data.userProfile.email` stands twice") && !error.contains("c4n4ry"), "{error}");
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

#[test]
fn numbers_that_a_script_cannot_count_keep_their_digits() {
    let call = r#"{"eventId":"e","eventType":"com.okta.user.pre-registration","data":{"userProfile":{"badge":98765432109876543210}}}"#;
    for script in [
        r#"request.profile.badge == "98765432109876543210""#,
        "request.raw.data.userProfile.badge == request.profile.badge",
    ] {
        assert!(value_of("okta.registration", call, script).as_bool().unwrap_or(false), "{script}");
    }
}
