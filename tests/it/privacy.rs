//! What callers entrust to the gateway is nowhere to be found in what operators see.

use serde_json::{Value, json};

use crate::harness::SECRET;
use crate::process::{Served, sample};

/// Hook, entry and declared answer.
const HOOKS: &[(&str, &str, &str)] = &[
    ("okta.registration", "on_registration", "\"allow\""),
    ("okta.password_import", "on_password_import", "\"unverified\""),
    ("okta.token", "on_token", "\"unchanged\""),
    ("okta.saml", "on_saml", "\"unchanged\""),
    ("okta.user_import", "on_user_import", "\"unchanged\""),
    ("okta.telephony", "on_telephony", "\"let_okta_send\""),
];

/// How a script ends, and its body.
const ENDS: &[(&str, &str)] = &[
    ("default", ""),
    ("error", "let email = request.raw.data; email.no_such_thing.at_all"),
    ("index", "[1][request.raw.to_json().len]"),
    ("type", "request.raw.to_json() - 1"),
    ("timeout", "loop { }"),
    ("command", "request.raw"),
    ("text", "request.raw.to_json()"),
    ("parse", "parse_json(request.raw.to_json() + \"}\")"),
    ("number", "parse_int(request.raw.to_json())"),
];

fn config() -> String {
    let mut config = "[auth.test]\nscheme = \"header\"\nsecrets = [{ file = \"secret\" }]\n".to_owned();
    for (hook, _, on_failure) in HOOKS {
        for (end, _) in ENDS {
            let name = format!("{}-{end}", hook.replace("okta.", ""));
            config += &format!(
                "\n[routes.{name}]\npath = \"/{hook}/{end}\"\nhook = \"{hook}\"\nscript = \"{hook}/{end}.rhai\"\n\
                 auth = \"test\"\non_failure = {on_failure}\nlimits = {{ deadline_ms = 100 }}\n"
            );
        }
    }
    config + "\n[routes.events]\npath = \"/events\"\nhook = \"okta.event\"\nscript = \"event.rhai\"\nauth = \"test\"\n"
}

/// The sample with a canary in every text that is not an identifier or a kind of the provider's.
fn poisoned(hook: &str, id: &str) -> Value {
    let mut call: Value = serde_json::from_str(sample(hook)).unwrap();
    poison(&mut call, "");
    call["eventId"] = json!(id);
    call
}

fn poison(value: &mut Value, name: &str) {
    const KEPT: &[&str] = &[
        "eventId",
        "eventType",
        "requestType",
        "eventTypeVersion",
        "contentType",
        "cloudEventVersion",
        "id",
        "op",
        "uuid",
    ];
    match value {
        Value::Object(members) => members.iter_mut().for_each(|(name, value)| poison(value, name)),
        Value::Array(items) => items.iter_mut().for_each(|item| poison(item, name)),
        Value::String(text) if !KEPT.contains(&name) => *text = canary(name, text),
        _ => {}
    }
}

fn canary(name: &str, text: &str) -> String {
    if name.to_lowercase().contains("ip") {
        // Addresses must look like some to be read.
        return "203.0.113.77".to_owned();
    }
    if text.contains('@') { "CANARY@mail.example".to_owned() } else { format!("CANARY-{text}") }
}

#[test]
fn nothing_that_callers_send_is_shown() {
    let mut files = vec![("scripts/event.rhai".to_owned(), "fn on_event(event) { }".to_owned())];
    for (hook, entry, _) in HOOKS {
        for (end, body) in ENDS {
            files.push((format!("scripts/{hook}/{end}.rhai"), format!("fn {entry}(request) {{ {body} }}")));
        }
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let served = Served::start(&config(), &files);
    for (hook, _, _) in HOOKS {
        for (end, _) in ENDS {
            let path = format!("/{hook}/{end}");
            let call = poisoned(hook, &format!("{hook}-{end}")).to_string();
            let answer = served.post(&path, &call);
            assert!(answer.starts_with("HTTP/1.1 20"), "{path}: {answer}");
        }
        let path = format!("/{hook}/default");
        let call = poisoned(hook, "bad").to_string();
        let half = &call[..call.len() - 3];
        let retyped = call.replace("\"data\":{", "\"data\":[\"CANARY\"],\"x\":{");
        for body in [half, &retyped, "CANARY", "\"CANARY\"", "{\"CANARY\": 1}", "{\"data\":\"CANARY\"}"] {
            let answer = served.post(&path, body);
            assert!(answer.starts_with("HTTP/1.1 20"), "{path} {body}: {answer}");
        }
        let answer = served.post(&format!("/CANARY/{hook}?email=CANARY@mail.example"), &call);
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        let answer = served.exchange(&format!(
            "POST {path} HTTP/1.1\r\nhost: CANARY\r\nauthorization: Basic CANARY\r\nx-forwarded-for: 203.0.113.77\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{call}",
            call.len()
        ));
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
    served.post("/events", &poisoned("okta.event", "e").to_string());
    served.post("/events", "{\"data\": {\"events\": \"CANARY\"}}");
    let status = served.admin("/api/v1/status").unwrap();
    let metrics = served.admin("/metrics").unwrap();
    let log = served.stop();
    assert!(log.matches("call answered").count() >= HOOKS.len() * ENDS.len(), "{log}");
    for (name, text) in [("status", status), ("metrics", metrics), ("log", log)] {
        let shown: Vec<&str> = text
            .lines()
            .filter(|line| ["CANARY", "203.0.113.77", SECRET, "dGVzdDp0ZXN0"].iter().any(|one| line.contains(one)))
            .map(|line| &line[..line.floor_char_boundary(700)])
            .collect();
        assert!(shown.is_empty(), "{name} shows: {shown:#?}");
    }
}
