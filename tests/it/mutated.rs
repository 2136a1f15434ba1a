//! Five hundred calls that somebody spoilt who knows the contract: kinds of values swapped, members doubled and taken away,
//! encodings broken, texts cut off. None is answered against the declaration of its route, and no event gets lost or unseen.

use std::collections::BTreeMap;

use bytes::Bytes;
use hookgate_hooks::Hook;
use hookgate_script::library::Kind;
use serde_json::{Map, Value, json};

use crate::harness::{TestGateway, without_debug};

/// Calls of inline hooks, and deliveries of events.
const CALLS: usize = 360;
const DELIVERIES: usize = 140;

/// Numbers that only look random: every run of the test is the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).unwrap()
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.roll(of.len())]
    }
}

/// Bytes in the middle of a string that make it none.
const FAULTS: [&[u8]; 7] = [b"\xe9", b"\xf0\x9f", b"\\ud83d", b"\\udead", b"\x02", b"\\q", b"\xff\xfe"];

/// Stands in a text where a fault comes in.
const MARK: &str = "F4ULT";

fn other_kind(dice: &mut Dice) -> Value {
    let kinds = [
        Value::Null,
        json!(true),
        json!(-7),
        json!(1.5e300),
        json!(""),
        json!(format!("text {}", dice.roll(1_000_000_000))),
        json!([]),
        json!([null, {"a": [1]}, "x"]),
        json!({}),
        json!({"id": {"id": 1}, "value": []}),
    ];
    dice.one(&kinds).clone()
}

/// Every place of a value, as a JSON Pointer; the root is none.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        Value::Array(items) => items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        _ => return,
    };
    for (step, value) in children {
        let place = format!("{at}/{step}");
        found.push(place.clone());
        places(value, &place, found);
    }
}

/// Swaps, takes away or marks something; `spare` are places that stay.
fn spoil(value: &mut Value, dice: &mut Dice, spare: &[&str]) {
    let mut found = Vec::new();
    places(value, "", &mut found);
    found.retain(|place| !spare.contains(&place.as_str()));
    if found.is_empty() {
        return;
    }
    let place = dice.one(&found).clone();
    let (parent, step) = place.rsplit_once('/').unwrap();
    match dice.roll(4) {
        0 => {
            let step = step.replace("~1", "/").replace("~0", "~");
            if let Some(Value::Object(members)) = value.pointer_mut(parent) {
                members.shift_remove(&step);
            }
        }
        1 => *value.pointer_mut(&place).unwrap() = json!(format!("a{MARK}b {}", dice.roll(1_000_000_000))),
        _ => *value.pointer_mut(&place).unwrap() = other_kind(dice),
    }
}

/// The value as text, with some members twice.
fn written(value: &Value, dice: &mut Dice, twice_in: usize, text: &mut String) {
    match value {
        Value::Object(members) => {
            text.push('{');
            let mut first = true;
            for (name, value) in members {
                let doubled = dice.roll(twice_in) == 0;
                let values = if doubled { vec![other_kind(dice), value.clone()] } else { vec![value.clone()] };
                for value in values {
                    if !std::mem::take(&mut first) {
                        text.push(',');
                    }
                    text.push_str(&json!(name).to_string());
                    text.push(':');
                    written(&value, dice, twice_in, text);
                }
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                written(item, dice, twice_in, text);
            }
            text.push(']');
        }
        leaf => text.push_str(&leaf.to_string()),
    }
}

/// Puts a fault in every place that is marked.
fn with_faults(text: &str, dice: &mut Dice) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, part) in text.split(MARK).enumerate() {
        if index > 0 {
            let fault: &[u8] = FAULTS[dice.roll(FAULTS.len())];
            bytes.extend_from_slice(fault);
        }
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

/// A script that reads everything a request has and then says this.
fn reads_all(hook: &Hook, command: &str) -> String {
    let entries = hook.library().entries.iter();
    let names = entries.filter(|entry| entry.kind == Kind::Property && entry.receiver() == Some(hook.request));
    let reads: String = names.map(|entry| format!("    seen.push(request.{});\n", entry.name())).collect();
    format!("fn {}(request) {{\n    let seen = [];\n{reads}    {command}\n}}", hook.entry)
}

/// What the script says of each hook, and what its route declares instead.
const ANSWERS: [(&str, &str, &str); 6] = [
    ("okta.token", "refuse(\"by script\")", "{ refuse = \"by route\" }"),
    ("okta.saml", "refuse(\"by script\")", "{ refuse = \"by route\" }"),
    ("okta.registration", "deny(\"by script\")", "{ deny = \"by route\" }"),
    ("okta.password_import", "verified()", "\"unverified\""),
    ("okta.user_import", "fail(\"by script\")", "\"unchanged\""),
    ("okta.telephony", "sent(\"acme\", \"tx\")", "\"swallow\""),
];

/// A sample of the hook, spoilt.
fn spoilt_call(hook: &Hook, dice: &mut Dice) -> Vec<u8> {
    let mut call: Value = serde_json::from_str(dice.one(hook.samples).request).unwrap();
    for _ in 0..=dice.roll(3) {
        spoil(&mut call, dice, &[]);
    }
    let mut text = String::new();
    let twice_in = *dice.one(&[8, 30, 1_000_000]);
    written(&call, dice, twice_in, &mut text);
    let mut bytes = with_faults(&text, dice);
    match dice.roll(12) {
        0 => bytes.truncate(dice.roll(bytes.len() + 1)),
        1 => {
            let at = dice.roll(bytes.len());
            bytes[at] = dice.roll(256) as u8;
        }
        2 => drop(bytes.splice(0..0, *b"\xef\xbb\xbf")),
        _ => {}
    }
    bytes
}

#[tokio::test]
async fn no_spoilt_call_is_answered_against_its_route() {
    let mut dice = Dice(15);
    let mut answered: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for (name, command, on_failure) in ANSWERS {
        let hook = hookgate_hooks::find(name).unwrap();
        let gateway = TestGateway::of(name, on_failure, &reads_all(hook, command));
        let by_script = without_debug(gateway.post(hook.samples[0].request).await.1);
        let by_route = without_debug(gateway.post("no JSON").await.1);
        assert_ne!(by_script, by_route, "{name}");
        for _ in 0..CALLS / ANSWERS.len() {
            let body = spoilt_call(hook, &mut dice);
            let (status, reply) = gateway.post(Bytes::from(body.clone())).await;
            let (reply, shown) = (without_debug(reply), String::from_utf8_lossy(&body).into_owned());
            let of = [&by_script, &by_route].iter().position(|known| **known == reply);
            let of = of.unwrap_or_else(|| panic!("{name} {status} {reply}: {shown}"));
            assert!(status == 200 || (status == 204 && reply.is_null()), "{name} {status}: {shown}");
            answered.entry(name).or_default()[of] += 1;
        }
        // Whatever could be read could be read by its script, too: none of its members breaks a script that reads it.
        let reasons: Vec<&str> = gateway
            .metrics
            .route("hook")
            .fallback
            .read()
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(reason, _)| reason)
            .collect();
        assert!(reasons.iter().all(|reason| ["bad_body", "other_hook"].contains(reason)), "{name}: {reasons:?}");
    }
    assert!(answered.values().all(|[by_script, by_route]| *by_script > 10 && *by_route > 3), "{answered:?}");
}

const EVENTS: &str = r#"
[auth.test]
scheme = "header"
secrets = [{ file = "secret" }]
[connectors.out]
kind = "file"
path = "out.jsonl"
[routes.hook]
path = "/hook"
hook = "okta.event"
auth = "test"
[routes.hook.rules.all]
events = ["*"]
script = "hook.rhai"
"#;

/// Three events, of which the second is spoilt; or what stands around them is.
fn spoilt_delivery(number: usize, dice: &mut Dice) -> Vec<u8> {
    let hook = hookgate_hooks::find("okta.event").unwrap();
    let sample: Value = serde_json::from_str(hook.samples[0].request).unwrap();
    let event = |name: &str| {
        let mut event = sample["data"]["events"][0].clone();
        event["uuid"] = json!(format!("{name}-{number}"));
        event
    };
    let (first, mut second, third) = (event("first"), event("second"), event("third"));
    let mut envelope: Map<String, Value> = sample.as_object().unwrap().clone();
    envelope.shift_remove("data");
    envelope["eventId"] = json!(format!("delivery-{number}"));
    let mut envelope = Value::Object(envelope);
    if number.is_multiple_of(3) {
        spoil(&mut envelope, dice, &["/eventId"]);
    } else {
        for _ in 0..=dice.roll(3) {
            spoil(&mut second, dice, &[]);
        }
    }
    let mut middle = String::new();
    let twice_in = *dice.one(&[6, 40]);
    written(&second, dice, twice_in, &mut middle);
    let around = envelope.to_string();
    let text = format!("{},\"data\":{{\"events\":[{first},{middle},{third}]}}}}", around.strip_suffix('}').unwrap());
    with_faults(&text, dice)
}

#[tokio::test]
async fn no_event_of_a_spoilt_delivery_gets_lost_or_unseen() {
    let mut dice = Dice(2026);
    let script = r#"fn on_event(event) { notify("out", `${event.id}`) }"#;
    let gateway = TestGateway::bundle(EVENTS, &[("scripts/hook.rhai", script)]);
    for number in 0..DELIVERIES {
        let body = spoilt_delivery(number, &mut dice);
        let shown = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(gateway.post(Bytes::from(body)).await.0, 204, "{shown}");
        for name in ["first", "third"] {
            let kept = gateway.event(&format!("{name}-{number}")).await;
            assert!(kept.event.problem.is_none(), "{shown}");
        }
    }
    gateway.work().await;
    // A rule for every type saw each, the spoilt ones included; two of one delivery are never one.
    let metrics = gateway.metrics.encode();
    let line = |rule: &str, state: &str| {
        format!("hookgate_events_total{{route=\"hook\",rule=\"{rule}\",state=\"{state}\"}} {}", 3 * DELIVERIES)
    };
    assert!(metrics.contains(&line("", "received")) && metrics.contains(&line("all", "done")), "{metrics}");
}
