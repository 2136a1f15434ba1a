//! What the SIEM script writes, held against the schemas: ECS by its allowed values, OCSF by its classes as data, for all types
//! that Okta's hooks can send, and for real events. No leaf of an event may disappear, whatever its type.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::events::delivery;
use crate::harness::{TestGateway, skipped};

/// The types that event hooks may subscribe to, and some that stand in the System Log only.
fn types() -> impl Iterator<Item = &'static str> {
    let lines = CATALOGUE.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.trim_start_matches('+').trim())
}

const CATALOGUE: &str = include_str!("../../../crates/hooks/src/okta/catalogue.txt");

const SCHEMA: &str = include_str!("ocsf-1.5.0.json");

/// The types that ECS 8.17 expects with each category that is written (field reference, `event.category`).
const ALLOWED: &[(&str, &[&str])] = &[
    ("authentication", &["start", "end", "info"]),
    ("configuration", &["access", "change", "creation", "deletion", "info"]),
    ("email", &["info"]),
    ("iam", &["admin", "change", "creation", "deletion", "group", "info", "user"]),
    ("network", &["access", "allowed", "connection", "denied", "end", "info", "protocol", "start"]),
    ("session", &["start", "end", "info"]),
    ("threat", &["indicator"]),
];

fn gateway() -> TestGateway {
    let config = r#"
[auth.test]
scheme = "header"
secrets = [{ file = "secret" }]
[connectors.ecs]
kind = "file"
path = "ecs.jsonl"
[connectors.ocsf]
kind = "file"
path = "ocsf.jsonl"
[routes.hook]
path = "/hook"
hook = "okta.event"
auth = "test"
[routes.hook.rules.all]
events = ["*", "inline_hook.executed"]
script = "siem_forward.rhai"
[routes.hook.rules.all.params]
sinks = [{ connector = "ecs", format = "ecs" }, { connector = "ocsf", format = "ocsf" }]
"#;
    TestGateway::bundle(config, crate::events::siem::SCRIPTS)
}

/// Each event with its two documents: ECS, OCSF.
async fn documents(events: Vec<Value>) -> Vec<(Value, Value, Value)> {
    let gateway = gateway();
    for (number, batch) in events.chunks(100).enumerate() {
        assert_eq!(gateway.post(delivery(&format!("d{number}"), batch)).await.0, 204);
    }
    gateway.work().await;
    let lines = |name: &str| -> Vec<Value> {
        let text = fs::read_to_string(gateway.place.root.join(name)).unwrap();
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["message"].take()).collect()
    };
    let (ecs, ocsf) = (lines("ecs.jsonl"), lines("ocsf.jsonl"));
    assert_eq!((ecs.len(), ocsf.len()), (events.len(), events.len()));
    let of = |documents: &[Value], path: &str, id: &Value| {
        documents
            .iter()
            .find(|document| document.pointer(path) == Some(id))
            .unwrap_or_else(|| panic!("{id} is lost"))
            .clone()
    };
    let documents = events.into_iter().map(|event| {
        let id = event["uuid"].clone();
        (event, of(&ecs, "/okta/uuid", &id), of(&ocsf, "/metadata/uid", &id))
    });
    documents.collect()
}

/// An event of a type: what it is done to, and what is missing, goes round.
fn event_of(kind: &str, number: usize) -> Value {
    let user = json!({"id": "00uT", "type": "User", "alternateId": "dora@corp.example", "displayName": "Dora", "detailEntry": null});
    let group = json!({"id": "00gT", "type": "UserGroup", "alternateId": "unknown", "displayName": "Payroll"});
    let app = json!({"id": "0oaT", "type": "AppInstance", "alternateId": "App", "displayName": "App one", "detailEntry": {"mode": "SAML"}});
    let rule = json!({"id": "0prT", "type": "PolicyRule", "alternateId": "0prT", "displayName": "Rule one",
        "changeDetails": {"from": {"a": 1, "b": {"c": [2, 3]}}, "to": "text"}});
    let role = json!({"id": "r1", "type": "ROLE", "alternateId": "unknown", "displayName": "Help desk"});
    let targets = [
        json!([user, group, app, rule, role]),
        json!([user]),
        json!([rule, app]),
        json!([group, role]),
        json!([]),
        Value::Null,
    ];
    let mut event = json!({
        "uuid": format!("u{number}"), "published": "2026-03-02T08:30:00.125Z", "eventType": kind, "version": "0", "severity": "WARN",
        "displayMessage": format!("about {kind}"), "legacyEventType": "core.old", "insertionTimestamp": "2026-03-02T08:30:01Z",
        "actor": {"id": "00uA", "type": "User", "alternateId": "ada@corp.example", "displayName": "Ada", "detailEntry": {"x": "entry of Ada"}},
        "outcome": {"result": "CHALLENGE", "reason": "because"},
        "target": targets[number % targets.len()],
        "transaction": {"id": "t1", "type": "WEB", "detail": {"requestApiTokenId": "00T1", "rootApiTokenId": "00T2"}},
        "client": {"id": "c1", "ipAddress": "192.0.2.20", "device": "Computer", "zone": "null", "userAgent": {"rawUserAgent": "M/5", "os": "Linux", "browser": "FIREFOX"},
            "geographicalContext": {"city": "Bern", "state": "BE", "country": "Switzerland", "postalCode": 3011, "geolocation": {"lat": 46.9, "lon": 7.4}},
            "ipChain": [{"ip": "192.0.2.21", "version": "V4", "geographicalContext": {"city": "Chur"}}]},
        "device": {"id": "guo1", "name": "Laptop", "os_platform": "OSX", "os_version": "14.1", "managed": true, "jailbreak": "perhaps"},
        "securityContext": {"asNumber": 64496, "asOrg": "org of AS", "isp": "isp one", "domain": "example.net", "isProxy": true,
            "risk": {"level": "HIGH", "reasons": ["Anomalous Device"]}, "ipDetails": {"asNumber": 64497, "more": [{"operator": "VPN"}]}},
        "authenticationContext": {"authenticationStep": 3, "externalSessionId": "102s", "rootSessionId": "103s", "credentialType": "OTP", "issuer": {"id": "iss", "type": "ORG"}},
        "debugContext": {"debugData": {"requestId": "req1", "risk": "{reasons=x, level=LOW}", "tunnels": [{"type": "TOR"}], "number": 4711}},
        "request": {"ipChain": [{"ip": "192.0.2.22"}]},
        "shiny": {"new": [{"member": "deep"}], "flag": false, "size": 1.5},
    });
    // Members that Okta leaves out, or that are of other types than it documents.
    let odd: &[(&str, Value)] = match number % 7 {
        0 => &[],
        1 => &[("client", Value::Null), ("actor", Value::Null), ("outcome", Value::Null)],
        2 => {
            &[("client", json!("a text")), ("securityContext", json!([1, "two"])), ("debugContext", json!("odd debug"))]
        }
        3 => &[("actor", json!(["an actor"])), ("transaction", json!(9)), ("authenticationContext", json!(true))],
        4 => &[(
            "client",
            json!({"ipAddress": "null", "geographicalContext": {"city": ["a city"], "geolocation": {"lat": 400, "lon": "east"}}}),
        )],
        5 => &[
            ("published", json!("yesterday")),
            ("severity", json!(["bad"])),
            ("outcome", json!({"result": 7, "reason": {"a": "why"}})),
        ],
        _ => &[
            ("device", json!("a device")),
            ("version", json!(1)),
            ("displayMessage", json!({"en": "a map"})),
            ("request", json!("odd request")),
        ],
    };
    for (name, value) in odd {
        event[*name] = value.clone();
    }
    event
}

fn all_types() -> Vec<Value> {
    types().enumerate().map(|(number, kind)| event_of(kind, number)).collect()
}

/// The texts of all leaves that say something.
fn leaves(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::Object(members) => members.values().for_each(|member| leaves(member, found)),
        Value::Array(items) => items.iter().for_each(|item| leaves(item, found)),
        Value::String(text) if text.is_empty() => {}
        Value::String(text) => found.push(text.clone()),
        other => found.push(other.to_string()),
    }
}

fn lost(event: &Value, document: &Value) -> Vec<String> {
    let (mut wanted, mut there) = (Vec::new(), Vec::new());
    leaves(event, &mut wanted);
    leaves(document, &mut there);
    // A text may hold what is nested as JSON.
    let nested: Vec<String> = there.iter().filter(|text| text.starts_with(['{', '['])).cloned().collect();
    let in_json = |leaf: &str| {
        let quoted = Value::from(leaf).to_string();
        nested.iter().any(|text| text.contains(quoted.trim_matches('"')))
    };
    wanted.retain(|leaf| !there.contains(leaf) && !in_json(leaf));
    wanted
}

fn check_ecs(document: &Value) -> Vec<String> {
    let words = |path: &str| -> Vec<String> {
        let list = document.pointer(path).and_then(Value::as_array).cloned().unwrap_or_default();
        list.iter().map(|word| word.as_str().unwrap_or_default().to_owned()).collect()
    };
    let (categories, types) = (words("/event/category"), words("/event/type"));
    let mut wrong = Vec::new();
    if categories.is_empty() || types.is_empty() {
        wrong.push("no category or no type".to_owned());
    }
    for category in &categories {
        match ALLOWED.iter().find(|(name, _)| name == category) {
            None => wrong.push(format!("no such category: {category}")),
            Some((_, allowed)) if !types.iter().all(|kind| allowed.contains(&kind.as_str())) => {
                wrong.push(format!("{category} does not go with {types:?}"));
            }
            Some(_) => {}
        }
    }
    if let Some(ip) = document.pointer("/source/ip")
        && ip.as_str().is_none_or(|ip| ip.parse::<std::net::IpAddr>().is_err())
    {
        wrong.push(format!("source.ip is no address: {ip}"));
    }
    if document["@timestamp"].as_str().is_none_or(|time| time.parse::<jiff::Timestamp>().is_err()) {
        wrong.push(format!("@timestamp is no time: {}", document["@timestamp"]));
    }
    wrong
}

/// Holds an object against its part of the schema.
fn check_object(
    part: &Value,
    object: &Map<String, Value>,
    schema: &Value,
    profiles: &Value,
    path: &str,
    wrong: &mut Vec<String>,
) {
    let attributes = part["attributes"].as_object().unwrap();
    let in_profile = |row: &str| {
        let profile = row.split(' ').find_map(|word| word.strip_prefix("profile="));
        profile.is_none_or(|profile| profiles.as_array().is_some_and(|list| list.contains(&json!(profile))))
    };
    for (name, row) in attributes {
        let row = row.as_str().unwrap();
        if row.split(' ').any(|word| word == "required") && in_profile(row) && !object.contains_key(name) {
            wrong.push(format!("{path}: required {name} is not there"));
        }
    }
    for (name, value) in object {
        let path = format!("{path}.{name}");
        let Some(row) = attributes.get(name).and_then(Value::as_str).filter(|row| in_profile(row)) else {
            wrong.push(format!("{path}: there is no such attribute"));
            continue;
        };
        let kind = row.split(' ').next().unwrap();
        let items = if kind.ends_with("[]") { value.as_array().cloned() } else { Some(vec![value.clone()]) };
        let Some(items) = items else {
            wrong.push(format!("{path}: it is no list"));
            continue;
        };
        for item in &items {
            check_value(kind.trim_end_matches("[]"), row, item, schema, profiles, &path, wrong);
        }
    }
    let constraints = part["constraints"]["at_least_one"].as_array().cloned().unwrap_or_default();
    if !constraints.is_empty() && !constraints.iter().any(|name| object.contains_key(name.as_str().unwrap())) {
        wrong.push(format!("{path}: it needs one of {constraints:?}"));
    }
}

fn check_value(
    kind: &str,
    row: &str,
    value: &Value,
    schema: &Value,
    profiles: &Value,
    path: &str,
    wrong: &mut Vec<String>,
) {
    let fits = match kind {
        "any" => true,
        "text" => value.is_string(),
        "int" => value.is_i64() || value.is_u64(),
        "float" => value.is_number(),
        "bool" => value.is_boolean(),
        _ => value.is_object(),
    };
    let values = row.split(' ').find_map(|word| word.strip_prefix("enum="));
    if !fits
        || values.is_some_and(|values| !values.split(',').any(|known| known == value.to_string().trim_matches('"')))
    {
        wrong.push(format!("{path}: {value} is no {row}"));
    } else if let (Some(object), Value::Object(part)) = (value.as_object(), &schema["objects"][kind]) {
        check_object(&Value::Object(part.clone()), object, schema, profiles, path, wrong);
    }
}

fn check_ocsf(document: &Value, schema: &Value) -> Vec<String> {
    let class = &schema["classes"][document["class_uid"].to_string()];
    let mut wrong = Vec::new();
    if class.is_null() {
        return vec![format!("there is no class {}", document["class_uid"])];
    }
    check_object(class, document.as_object().unwrap(), schema, &document["metadata"]["profiles"], "", &mut wrong);
    let activity = document["activity_id"].as_i64().unwrap();
    if document["type_uid"] != json!(document["class_uid"].as_i64().unwrap() * 100 + activity) {
        wrong.push(format!("type_uid {}", document["type_uid"]));
    }
    let name = &class["activities"][activity.to_string()];
    if name.is_null() || (activity != 99 && *name != document["activity_name"]) {
        wrong.push(format!("activity {activity} is {name}, not {}", document["activity_name"]));
    }
    if class["caption"] != document["class_name"] {
        wrong.push(format!("the class is {}", class["caption"]));
    }
    wrong
}

/// Everything that is wrong with the documents of these events.
async fn complaints(events: Vec<Value>) -> Vec<String> {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut wrong = Vec::new();
    for (event, ecs, ocsf) in documents(events).await {
        let kind = format!("{} {}", event["uuid"], event["eventType"]);
        wrong.extend(check_ecs(&ecs).into_iter().map(|what| format!("{kind}: ecs: {what}")));
        wrong.extend(check_ocsf(&ocsf, &schema).into_iter().map(|what| format!("{kind}: ocsf: {what}")));
        for (format, document) in [("ecs", &ecs), ("ocsf", &ocsf)] {
            wrong.extend(lost(&event, document).into_iter().map(|leaf| format!("{kind}: {format} lost {leaf}")));
            if document.pointer("/problem").is_some() {
                wrong.push(format!("{kind}: {format} was not written"));
            }
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_event_fits_both_schemas_and_loses_nothing() {
    assert_eq!(types().count(), 320);
    let wrong = complaints(all_types()).await;
    assert!(wrong.is_empty(), "{} complaints\n{:#?}", wrong.len(), &wrong[..wrong.len().min(40)]);
}

/// The events of the real deliveries that lie beside the repository; visibly skipped elsewhere.
fn real_events() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/payloads/okta");
    let Ok(entries) = fs::read_dir(&folder) else {
        skipped("the real deliveries are not beside the repository");
        return Vec::new();
    };
    let mut events = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        let is_delivery = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("event-"));
        let body: Value = serde_json::from_slice(&fs::read(&path).unwrap_or_default()).unwrap_or_default();
        if is_delivery && let Some(list) = body.pointer("/data/events").and_then(Value::as_array) {
            events.extend(list.iter().cloned());
        }
    }
    // Nothing is done for a try-out from the Console.
    events.retain(|event| event.pointer("/outcome/result") != Some(&json!("Success")));
    for (number, event) in events.iter_mut().enumerate() {
        event["uuid"] = json!(format!("real-{number}"));
    }
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn no_leaf_of_a_real_event_disappears() {
    let events = real_events();
    if events.is_empty() {
        return;
    }
    let wrong = complaints(events).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_check_sees_what_is_wrong() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let good = json!({"class_uid": 3006, "class_name": "Group Management", "category_uid": 3, "activity_id": 3, "activity_name": "Add User",
        "type_uid": 300_603, "severity_id": 1, "time": 1, "group": {"uid": "g"}, "metadata": {"version": "1.5.0", "product": {"name": "Log", "vendor_name": "Okta"}}});
    assert_eq!(check_ocsf(&good, &schema), Vec::<String>::new());
    for (name, value) in [
        ("group", Value::Null),
        ("time", json!("now")),
        ("severity_id", json!(17)),
        ("activity_id", json!(17)),
        ("shiny", json!(1)),
        ("privileges", json!("one")),
        ("user", json!({"full_name": "Ann"})),
        ("actor", json!({"user": {"uid": 7}})),
        ("activity_name", json!("Remove User")),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        if bad[name].is_null() {
            bad.as_object_mut().unwrap().remove(name);
        }
        assert!(!check_ocsf(&bad, &schema).is_empty(), "{name}");
    }
    let ecs = |category: &str, kind: &str| json!({"@timestamp": "2026-03-02T08:30:00Z", "event": {"category": [category], "type": [kind]}});
    assert_eq!(check_ecs(&ecs("iam", "user")), Vec::<String>::new());
    for (category, kind) in [("iam", "start"), ("threat", "info"), ("identity", "info"), ("session", "creation")] {
        assert!(!check_ecs(&ecs(category, kind)).is_empty(), "{category} {kind}");
    }
    assert_eq!(
        lost(&json!({"a": "x", "b": {"c": [1, "y\"z"]}}), &json!({"m": "x", "n": "{\"c\":[1,\"y\\\"z\"]}"})),
        Vec::<String>::new()
    );
    assert_eq!(lost(&json!({"a": "x", "b": 7}), &json!({"m": "xx"})), ["x", "7"]);
}
