//! What Okta's envelope may be: its members, their kinds, and members that stand twice.

use serde_json::Value;

use super::okta_hooks;
use crate::tests::decode;
use crate::{Hook, HookError, find};

#[test]
fn what_is_no_json_object_is_refused() {
    for hook in okta_hooks() {
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

#[test]
fn a_call_of_another_hook_names_it() {
    for hook in okta_hooks() {
        for other in okta_hooks().filter(|other| other.name != hook.name) {
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
    for hook in okta_hooks() {
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

#[test]
fn data_must_be_there_and_an_object() {
    for hook in okta_hooks() {
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
    for hook in okta_hooks() {
        for value in ["x expected c4n4ry", "c4n4ry at line 1 column 1", "x at line 2, expected c4n4ry at line 3"] {
            let error = decode(hook, with_member(hook, "data", Some(value.into()))).unwrap_err().to_string();
            assert!(!error.contains("c4n4ry"), "{error}");
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
    for hook in okta_hooks().filter(|hook| !hook.is_for_events()) {
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

/// A sample with a member of its envelope twice: first with this value.
fn with_member_twice(hook: &Hook, member: &str, first: &str) -> String {
    let rest = hook.samples[0].request.trim_start().strip_prefix('{').unwrap();
    format!("{{\"{member}\":{first},{rest}")
}

#[test]
fn a_member_twice_is_taken_when_both_say_the_same() {
    for hook in okta_hooks() {
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
    for hook in okta_hooks().filter(|hook| !hook.is_for_events()) {
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
