//! Events as Okta would make them, for those who play Okta: fresh, of a given type, or as its console previews them.
//!
//! They are made from a sample. Nothing here is used when Okta itself calls.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

/// An event of its own: it happened at `time`, and has an id of the form that Okta gives (a UUID of version 1).
pub(super) fn freshen(event: &mut Value, time: Timestamp) {
    event["uuid"] = json!(time_id(time).to_string());
    event["published"] = json!(format!("{time:.3}"));
}

/// The same event as one of another type: with the targets that such events usually have. What the type says nothing of
/// stays as it is.
pub(super) fn retype(event: &mut Value, kind: &str) {
    if event["eventType"].as_str() == Some(kind) {
        return;
    }
    event["eventType"] = json!(kind);
    event["displayMessage"] = json!(message(kind));
    event["legacyEventType"] = Value::Null;
    let targets = targets(kind).iter().map(|target| party(event, target)).collect::<Vec<_>>();
    if !targets.is_empty() {
        event["target"] = Value::Array(targets);
    }
}

/// A call as the preview in Okta's console makes it (contract: event hooks, section 8): almost nothing is in it, its ids are
/// random and its times have six digits.
pub(in crate::okta) fn preview(call: &mut Value, now: Timestamp) {
    call["eventTime"] = json!(format!("{now:.6}"));
    let events = call.pointer_mut("/data/events").and_then(Value::as_array_mut);
    events.into_iter().flatten().filter(|event| event.is_object()).for_each(preview_event);
}

fn preview_event(event: &mut Value) {
    for member in ["actor", "target", "debugContext", "securityContext"] {
        event[member] = Value::Null;
    }
    event["outcome"] = json!({ "result": "Success", "reason": null });
    event["transaction"] = json!({ "type": null, "id": Uuid::new_v4().to_string(), "detail": {} });
    event["uuid"] = json!(Uuid::new_v4().to_string());
    let published = event["published"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    event["published"] = json!(published.map(|time| format!("{time:.6}")));
}

/// Types of targets by how the type of an event begins, the special before the general (contract: event hooks, 9.1).
const TARGETS: &[(&str, &[&str])] = &[
    ("group.user_membership.", &["User", "UserGroup"]),
    ("group.application_assignment.", &["UserGroup", "AppInstance"]),
    ("group.", &["UserGroup"]),
    ("application.user_membership.", &["AppUser", "AppInstance", "User"]),
    ("application.provision.", &["AppUser", "AppInstance", "User"]),
    ("application.", &["AppInstance"]),
    ("user.account.privilege.", &["User", "ROLE"]),
    ("user.authentication.universal_logout", &["AppInstance", "User"]),
    ("user.authentication.sso", &["AppInstance", "AppUser"]),
    ("user.authentication.", &["AuthenticatorEnrollment", "User"]),
    ("user.mfa.", &["User", "AuthenticatorEnrollment"]),
    ("user.", &["User"]),
    ("policy.rule.", &["PolicyRule", "PolicyEntity"]),
    ("policy.auth_reevaluate.", &["User", "AppInstance"]),
    ("policy.", &["PolicyEntity"]),
    ("device.user.", &["Device", "User"]),
    ("device.enrollment.", &["Device", "User"]),
    ("device.", &["Device"]),
    ("system.api_token.", &["Token"]),
    ("system.import.", &["AppInstance"]),
];

fn targets(kind: &str) -> &'static [&'static str] {
    TARGETS.iter().find(|(start, _)| kind.starts_with(start)).map_or(&[], |(_, targets)| targets)
}

/// The target of that type: the sample's own, or a made one.
fn party(event: &Value, kind: &str) -> Value {
    let of_sample = event["target"].as_array().into_iter().flatten().find(|target| target["type"] == kind);
    if let Some(target) = of_sample {
        return target.clone();
    }
    let (id, login, name) = match kind {
        "User" => ("00u8h1kXq2ZbT0aYw5d7", "dora@corp.example", "Dora Example"),
        "UserGroup" => ("00g8h1kXq2ZbT0aYw5d7", "unknown", "Payroll"),
        "AppInstance" => ("0oa8h1kXq2ZbT0aYw5d7", "Expenses", "Expenses"),
        "AppUser" => ("0ua8h1kXq2ZbT0aYw5d7", "dora@corp.example", "Dora Example"),
        "ROLE" => ("rol8h1kXq2ZbT0aYw5d7", "unknown", "Group administrator"),
        "AuthenticatorEnrollment" => ("aut8h1kXq2ZbT0aYw5d7", "unknown", "Password"),
        "PolicyEntity" => ("00p8h1kXq2ZbT0aYw5d7", "unknown", "Default Policy"),
        "PolicyRule" => ("0pr8h1kXq2ZbT0aYw5d7", "unknown", "Default Rule"),
        "Device" => ("guo8h1kXq2ZbT0aYw5d7", "unknown", "Dora's laptop"),
        "Token" => ("00T8h1kXq2ZbT0aYw5d7", "unknown", "automation"),
        _ => ("unknown", "unknown", "unknown"),
    };
    json!({ "id": id, "type": kind, "alternateId": login, "displayName": name, "detailEntry": null })
}

/// What such an event might say of itself: its type in words.
fn message(kind: &str) -> String {
    let mut words = kind.replace(['.', '_'], " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

/// A UUID of version 1: the time in steps of 100 ns since 15 October 1582 (RFC 9562, 5.1), and the rest at random, marked
/// as no address of a network card.
fn time_id(time: Timestamp) -> Uuid {
    const GREGORIAN: i128 = 0x01b2_1dd2_1381_4000;
    // Two events of one moment still differ: the random part has 61 bits.
    let ticks = u64::try_from(time.as_nanosecond() / 100 + GREGORIAN).unwrap_or_default();
    let random = Uuid::new_v4().into_bytes();
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&ticks.to_be_bytes()[4..]);
    bytes[4..6].copy_from_slice(&ticks.to_be_bytes()[2..4]);
    bytes[6..8].copy_from_slice(&ticks.to_be_bytes()[..2]);
    bytes[6] = (bytes[6] & 0x0f) | 0x10;
    bytes[8..].copy_from_slice(&random[8..]);
    bytes[10] |= 1;
    Uuid::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn sample() -> Value {
        let call: Value = serde_json::from_str(super::super::MEMBER).unwrap();
        call["data"]["events"][0].clone()
    }

    fn types(event: &Value) -> Vec<&str> {
        event["target"].as_array().unwrap().iter().map(|target| target["type"].as_str().unwrap()).collect()
    }

    #[test]
    fn an_event_of_another_type_has_the_targets_of_that_type() {
        for (kind, wanted) in [
            ("group.user_membership.remove", &["User", "UserGroup"][..]),
            ("group.lifecycle.create", &["UserGroup"]),
            ("user.lifecycle.suspend", &["User"]),
            ("user.account.privilege.grant", &["User", "ROLE"]),
            ("application.user_membership.add", &["AppUser", "AppInstance", "User"]),
            ("application.lifecycle.update", &["AppInstance"]),
        ] {
            let mut event = sample();
            retype(&mut event, kind);
            assert_eq!((event["eventType"].as_str(), types(&event).as_slice()), (Some(kind), wanted));
            assert!(event["target"][0]["id"].is_string(), "{kind}");
        }
        let mut same = sample();
        retype(&mut same, "group.user_membership.add");
        assert_eq!(same, sample());
        let mut unknown = sample();
        retype(&mut unknown, "flower.garden.water");
        assert_eq!(unknown["target"], sample()["target"]);
        assert_eq!(unknown["displayMessage"], "Flower garden water");
    }

    #[test]
    fn ids_have_the_form_of_oktas_and_never_repeat() {
        let time: Timestamp = "2026-03-02T08:30:00.125Z".parse().unwrap();
        let mut seen = BTreeSet::new();
        for _ in 0..1_000 {
            let mut event = sample();
            freshen(&mut event, time);
            let id = event["uuid"].as_str().unwrap().to_owned();
            // As in the sample of the same hour, which Okta's own form was taken from.
            assert!(id[8..].starts_with("-1612-11f1-"), "{id}");
            assert_eq!(Uuid::parse_str(&id).unwrap().get_version_num(), 1);
            assert_eq!(event["published"], "2026-03-02T08:30:00.125Z");
            seen.insert(id);
        }
        assert_eq!(seen.len(), 1_000);
    }
}
