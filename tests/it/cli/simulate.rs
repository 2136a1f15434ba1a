//! `simulate okta.event` against a receiver that answers as it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::{Bundle, Ran};

const EVENTS: &str =
    "[routes.events]\npath = \"/okta/events\"\nhook = \"okta.event\"\nauth = \"okta\"\nscript = \"events.rhai\"\n";

/// What it does with the call of that number, counted from 0.
type Behaviour = fn(usize) -> Answer;

enum Answer {
    Status(u16),
    /// 200 with this content type and body; a third text is a header line more.
    Body(&'static str, String, &'static str),
    /// The beginning of an answer.
    Half,
    /// Closes without a word.
    Nothing,
}

/// A receiver in this process. Its thread waits for calls until the process ends.
struct Receiver {
    port: u16,
    calls: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let kept = calls.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = kept.clone();
                std::thread::spawn(move || while answer(stream.as_ref().unwrap(), &kept, behaviour).is_some() {});
            }
        });
        Self { port, calls }
    }

    fn calls(&self) -> Vec<Value> {
        self.calls.lock().unwrap().clone()
    }

    /// All events in the order in which they came.
    fn events(&self) -> Vec<Value> {
        self.calls().iter().flat_map(|call| call["data"]["events"].as_array().unwrap().clone()).collect()
    }
}

/// Answers one call; nothing when the connection is over.
fn answer(mut stream: &TcpStream, kept: &Mutex<Vec<Value>>, behaviour: Behaviour) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(text) = line.to_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let number = {
        let mut kept = kept.lock().unwrap();
        kept.push(serde_json::from_slice(&body).unwrap());
        kept.len() - 1
    };
    match behaviour(number) {
        Answer::Nothing => None,
        Answer::Half => {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{\"comm")
                .ok()?;
            None
        }
        Answer::Body(content_type, body, header) => {
            let length = body.len();
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n{header}\r\n");
            write!(stream, "{head}{body}").ok()
        }
        Answer::Status(status) => write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n").ok(),
    }
}

fn bundle() -> Bundle {
    let bundle = Bundle::new();
    bundle.write("gateway.toml", &format!("{}\n{EVENTS}", bundle.read("gateway.toml")));
    bundle.write("scripts/events.rhai", "fn on_event(event) { log(event.type); }\n");
    std::fs::create_dir_all(bundle.path().join("secrets")).unwrap();
    bundle.write("secrets/okta", "a-secret");
    bundle
}

fn simulate(receiver: &Receiver, args: &[&str]) -> Ran {
    let url = format!("http://127.0.0.1:{}", receiver.port);
    bundle().run(&[&["simulate", "okta.event", "--url", &url], args].concat())
}

/// With what differs from run to run cut out.
fn steady(ran: &Ran, receiver: &Receiver) -> String {
    let text = ran.out.replace(&receiver.port.to_string(), "PORT");
    regex::Regex::new(r"\b\d+(\.\d+)? (ms|s)\b").unwrap().replace_all(&text, "TIME").into_owned()
}

fn good(_: usize) -> Answer {
    Answer::Status(204)
}

#[test]
fn one_delivery_is_told_with_what_okta_does() {
    let receiver = Receiver::start(good);
    let ran = simulate(&receiver, &["group.user_membership.add"]);
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    insta::assert_snapshot!(steady(&ran, &receiver), @r"
    → Okta is done with these events
    POST http://127.0.0.1:PORT/okta/events (route events)
    204 TIME
    1 call with 1 event: 1 acknowledged, 0 refused; p50 TIME, p99 TIME
    ");
    let events = receiver.events();
    assert_eq!(events[0]["eventType"], "group.user_membership.add");
    assert_eq!(events[0]["target"][1]["type"], "UserGroup");
}

#[test]
fn events_of_a_type_have_its_targets() {
    for (kind, wanted) in [
        ("user.lifecycle.create", &["User"][..]),
        ("group.application_assignment.add", &["UserGroup", "AppInstance"]),
        ("application.user_membership.remove", &["AppUser", "AppInstance", "User"]),
    ] {
        let receiver = Receiver::start(good);
        assert_eq!(simulate(&receiver, &[kind]).status, 0);
        let event = receiver.events().remove(0);
        let targets: Vec<_> = event["target"].as_array().unwrap().iter().map(|t| t["type"].as_str().unwrap()).collect();
        assert_eq!((event["eventType"].as_str(), targets.as_slice()), (Some(kind), wanted));
    }
}

#[test]
fn a_batch_is_one_call_with_many_events() {
    let receiver = Receiver::start(good);
    let ran = simulate(&receiver, &["--batch", "250", "--json"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert_eq!(receiver.calls().len(), 1);
    let ids: BTreeSet<String> = receiver.events().iter().map(|event| event["uuid"].to_string()).collect();
    assert_eq!(ids.len(), 250);
    assert_eq!(ran.json()["tally"]["events_per_call"], 250);
}

#[test]
fn duplicates_come_in_the_same_envelope_and_in_a_new_one() {
    let receiver = Receiver::start(good);
    let ran = simulate(&receiver, &["--dup", "--batch", "2"]);
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    insta::assert_snapshot!(steady(&ran, &receiver), @r"
    → Okta is done with these events
    POST http://127.0.0.1:PORT/okta/events (route events)
    204 TIME
    the same call again: 204 TIME
    the answer is the first one, byte for byte
    the same events in a new envelope: 204 TIME
    3 calls with 2 events each: 3 acknowledged, 0 refused; p50 TIME, p99 TIME
    ");
    let calls = receiver.calls();
    assert_eq!(calls[0], calls[1]);
    assert_eq!(calls[0]["data"], calls[2]["data"]);
    assert_ne!(calls[0]["eventId"], calls[2]["eventId"]);
}

#[test]
fn what_happened_later_comes_first() {
    for args in [&["--out-of-order"][..], &["--out-of-order", "--batch", "5"], &["--out-of-order", "--count", "4"]] {
        let receiver = Receiver::start(good);
        assert_eq!(simulate(&receiver, args).status, 0);
        let events = receiver.events();
        let times: Vec<&str> = events.iter().map(|event| event["published"].as_str().unwrap()).collect();
        assert!(times.len() > 1 && times.is_sorted_by(|first, second| first > second), "{args:?}: {times:?}");
    }
}

#[test]
fn okta_tries_once_more_after_a_5xx_or_silence_and_never_after_a_4xx() {
    let receiver = Receiver::start(|number| Answer::Status(if number == 0 { 503 } else { 204 }));
    let ran = simulate(&receiver, &["--retry"]);
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    insta::assert_snapshot!(steady(&ran, &receiver), @r"
    → Okta is done with these events
    POST http://127.0.0.1:PORT/okta/events (route events)
    503 TIME
    the gateway did not keep the events; its log says why
    Okta tries once more: 204 TIME
    1 call with 1 event: 1 acknowledged, 0 refused, 1 tried twice; p50 TIME, p99 TIME
    ");
    assert_eq!(receiver.calls()[0], receiver.calls()[1], "the retry is the same call");

    let receiver = Receiver::start(|number| if number == 0 { Answer::Nothing } else { Answer::Status(204) });
    assert_eq!(simulate(&receiver, &["--retry"]).status, 0);

    let receiver = Receiver::start(|_| Answer::Status(503));
    let ran = simulate(&receiver, &["--retry"]);
    assert_eq!((ran.status, receiver.calls().len()), (1, 2));
    assert!(ran.out.contains("then drops the event"), "there is no third try: {}", ran.out);

    let receiver = Receiver::start(|_| Answer::Status(401));
    let ran = simulate(&receiver, &["--retry"]);
    assert_eq!((ran.status, receiver.calls().len()), (1, 1), "{}", ran.out);
    assert!(ran.out.contains("Okta drops the events"), "{}", ran.out);
}

#[test]
fn a_preview_looks_like_oktas() {
    let receiver = Receiver::start(good);
    assert_eq!(simulate(&receiver, &["--preview", "user.lifecycle.create"]).status, 0);
    let event = receiver.events().remove(0);
    for member in ["actor", "target", "debugContext", "securityContext"] {
        assert_eq!(event[member], Value::Null, "{member}");
    }
    assert_eq!(event["outcome"]["result"], "Success");
    assert_eq!(event["transaction"]["type"], Value::Null);
    assert_eq!(uuid::Uuid::parse_str(event["uuid"].as_str().unwrap()).unwrap().get_version_num(), 4);
    let published = event["published"].as_str().unwrap();
    assert!(published.len() == "2026-03-02T08:31:00.125123Z".len(), "six digits: {published}");
}

#[test]
fn a_pace_is_kept_and_all_answers_are_counted() {
    // Every fifth call is refused.
    let receiver = Receiver::start(|number| Answer::Status(if number % 5 == 4 { 503 } else { 204 }));
    let ran = simulate(&receiver, &["--rate", "100", "--for", "200ms", "--batch", "3", "--json"]);
    assert_eq!(ran.status, 1, "{}{}", ran.out, ran.err);
    let told = ran.json();
    let tally = &told["tally"];
    assert_eq!(
        (tally["calls"].as_u64(), tally["acknowledged"].as_u64(), tally["refused"].as_u64()),
        (Some(20), Some(16), Some(4))
    );
    assert!(told["seconds"].as_f64().unwrap() >= 0.15, "20 calls at 100 a second take a while: {told}");
    assert!(tally["p50_ms"].as_f64().unwrap() <= tally["p99_ms"].as_f64().unwrap());
    let answers: BTreeMap<&str, u64> = tally["answers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| (answer["answer"].as_str().unwrap(), answer["count"].as_u64().unwrap()))
        .collect();
    assert_eq!(answers, BTreeMap::from([("204", 16), ("503", 4)]));
    let ids: BTreeSet<String> = receiver.events().iter().map(|event| event["uuid"].to_string()).collect();
    assert_eq!(ids.len(), 60);

    let receiver = Receiver::start(|number| Answer::Status(if number == 2 { 503 } else { 204 }));
    let ran = simulate(&receiver, &["--count", "4"]);
    insta::assert_snapshot!(steady(&ran, &receiver), @r"
    POST http://127.0.0.1:PORT/okta/events (route events), 4 times in TIME
    3 × 204 → Okta is done with these events
    1 × 503 → Okta sends the events once more, because the reply was HTTP 503
    4 calls with 1 event each: 3 acknowledged, 1 refused; p50 TIME, p99 TIME
    ");
}

#[test]
fn a_receiver_that_never_answers_is_told_as_that() {
    let receiver = Receiver::start(|_| {
        // Longer than Okta waits; the thread ends with the process.
        std::thread::sleep(Duration::from_secs(60));
        Answer::Nothing
    });
    let ran = simulate(&receiver, &[]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains("no answer came in time") && ran.out.contains("1 not answered"), "{}", ran.out);
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_sent() {
    let receiver = Receiver::start(good);
    for args in [&["--rate", "5"][..], &["--for", "5s"], &["--batch", "0"], &["--verify", "--batch", "2"]] {
        assert_eq!(simulate(&receiver, args).status, 2, "{args:?}");
    }
    let url = format!("http://127.0.0.1:{}", receiver.port);
    let ran = bundle().run(&["simulate", "okta.registration", "--url", &url, "--batch", "2"]);
    assert!(ran.status == 2 && ran.err.contains("for event hooks"), "{}", ran.err);
    assert!(receiver.calls().is_empty());
}

/// `simulate` of an inline hook against a receiver that answers like this.
fn inline(hook: &str, behaviour: Behaviour, args: &[&str]) -> Ran {
    let bundle = bundle();
    let script = "[routes.tokens]\npath = \"/t\"\nhook = \"okta.token\"\nauth = \"okta\"\nscript = \"t.rhai\"\non_failure = \"unchanged\"\n";
    bundle.write("gateway.toml", &format!("{}\n{script}", bundle.read("gateway.toml")));
    let receiver = Receiver::start(behaviour);
    let url = format!("http://127.0.0.1:{}", receiver.port);
    bundle.run(&[&["simulate", hook, "--url", &url], args].concat())
}

fn json(body: &str) -> Answer {
    Answer::Body("application/json", body.to_owned(), "")
}

#[test]
fn an_answer_that_okta_does_not_take_is_a_failed_hook() {
    let table: [(&str, Behaviour, &str, &str); 13] = [
        (
            "okta.registration",
            |_| Answer::Body("text/html", "<html>login</html>".into(), ""),
            "the content type is `text/html`",
            "creating your account",
        ),
        (
            "okta.registration",
            |_| Answer::Body("application/json", String::new(), ""),
            "the body is empty",
            "creating your account",
        ),
        (
            "okta.registration",
            |_| json(r#"{"commands":[{"type":"com.okta.acton.update","value":{"registration":"DENY"}}]}"#),
            "unknown type `com.okta.acton.update`",
            "creating your account",
        ),
        (
            "okta.registration",
            |_| json(&format!(r#"{{"debugContext":{{"x":"{}"}}}}"#, "y".repeat(300_000))),
            "Okta takes less than 262144",
            "creating your account",
        ),
        ("okta.registration", |_| Answer::Status(202), "HTTP 202 is not an answer", "creating your account"),
        ("okta.registration", |_| Answer::Status(302), "follows no redirect", "creating your account"),
        ("okta.registration", |_| Answer::Half, "", "creating your account"),
        (
            "okta.registration",
            |_| json(r#"{"commands":[{"type":"com.okta.user.profile.update","value":{"password":"x"}}]}"#),
            "cannot set the password",
            "creating your account",
        ),
        (
            "okta.token",
            |_| {
                json(
                    r#"{"commands":[{"type":"com.okta.access.patch","value":[{"op":"add","path":"/claims/groups","value":1}]}]}"#,
                )
            },
            "the claim `groups` belongs to Okta",
            "Okta issues the tokens unchanged",
        ),
        (
            "okta.token",
            |_| {
                json(
                    r#"{"commands":[{"type":"com.okta.access.patch","value":[{"op":"replace","path":"/claims/absent","value":1}]}]}"#,
                )
            },
            "the token has nothing there",
            "Okta issues the tokens unchanged",
        ),
        (
            "okta.token",
            |_| json(r#"{"commands":{}}"#),
            "`commands` must be an array",
            "Okta issues the tokens unchanged",
        ),
        ("okta.token", |_| json("not json"), "the body is not JSON", "Okta issues the tokens unchanged"),
        ("okta.token", |_| Answer::Status(500), "HTTP 500 is not an answer", "Okta issues the tokens unchanged"),
    ];
    for (hook, behaviour, problem, effect) in table {
        let ran = inline(hook, behaviour, &[]);
        assert_eq!(ran.status, 1, "{problem}: {}{}", ran.out, ran.err);
        let first = ran.out.lines().next().unwrap();
        assert!(first.starts_with("→ ") && first.contains(effect), "{problem}: {}", ran.out);
        assert!(ran.out.contains(problem) && ran.out.contains("no valid reply:"), "{problem}: {}", ran.out);
        let told = inline(hook, behaviour, &["--json"]).json();
        assert_eq!(
            (&told["valid"], told["violations"].as_array().map(Vec::is_empty)),
            (&false.into(), Some(false)),
            "{told}"
        );
    }
    for good in
        ["{}", r#"{"commands":[{"type":"com.okta.access.patch","value":[{"op":"add","path":"/claims/a","value":1}]}]}"#]
    {
        let ran = inline(
            "okta.token",
            if good == "{}" {
                |_| json("{}")
            } else {
                |_| {
                    json(
                        r#"{"commands":[{"type":"com.okta.access.patch","value":[{"op":"add","path":"/claims/a","value":1}]}]}"#,
                    )
                }
            },
            &[],
        );
        assert_eq!(ran.status, 0, "{good}: {}{}", ran.out, ran.err);
        assert!(ran.out.starts_with("→ Okta issues the tokens"), "{}", ran.out);
    }
}

#[test]
fn progressive_calls_have_their_own_texts() {
    for (behaviour, status, text) in [
        (
            (|_| Answer::Body("text/html", "<html>".into(), "")) as Behaviour,
            1,
            "There was an error updating your profile.",
        ),
        (
            |_| json(r#"{"commands":[{"type":"com.okta.action.update","value":{"registration":"DENY"}}]}"#),
            0,
            "\"Profile update denied.\"",
        ),
        (|_| json(r#"{"error":{"errorSummary":"no"}}"#), 0, "Please review the form and make corrections."),
        (
            |_| json(r#"{"commands":[{"type":"com.okta.user.profile.update","value":{"a":1}}]}"#),
            1,
            "com.okta.user.progressive.profile.update",
        ),
    ] {
        let ran = inline("okta.registration", behaviour, &["--sample", "progressive"]);
        assert!(ran.status == status && ran.out.contains(text), "{text}: {}{}", ran.out, ran.err);
    }
}

#[test]
fn the_declared_answer_is_told_as_that() {
    let behaviour: Behaviour = |_| Answer::Body("application/json", "{}".into(), "x-hookgate-fallback: deadline\r\n");
    let ran = inline("okta.token", behaviour, &[]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.out.contains("this is the route's `on_failure`, not what its script says: deadline"), "{}", ran.out);
    assert_eq!(inline("okta.token", behaviour, &["--json"]).json()["on_failure"], "deadline");
    assert_eq!(inline("okta.token", |_| json("{}"), &["--json"]).json()["on_failure"], Value::Null);
}

#[test]
fn a_member_that_the_sample_lacks_is_warned_of() {
    let ran = inline("okta.registration", |_| Answer::Status(204), &["--set", "data.userProfile.emial=x@a.example"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let warning =
        "warning: the call has no `data.userProfile.emial`, so it was added; did you mean `data.userProfile.email`?";
    assert!(ran.err.contains(warning), "{}", ran.err);
    let ran = inline("okta.registration", |_| Answer::Status(204), &["--set", "data.userProfile.email=x@a.example"]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    let ran = inline("okta.registration", |_| Answer::Status(204), &["--preview"]);
    assert!(ran.err.contains("Okta does not mark previews of `okta.registration`"), "{}", ran.err);
}
