//! What the index gets, and what its answers mean.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::tests::{Server, Then, made, order, response, setup, try_made};
use hookgate_model::command::Method;

const JSON: &str = "Content-Type: application/json\r\n";
const CREATED: &str =
    r#"{"took":3,"errors":false,"items":[{"create":{"_index":".ds-logs-1","_id":"key-1","status":201}}]}"#;

fn settings(server: &Server, more: Value) -> Value {
    let mut settings = json!({ "base_url": server.url(), "index": "logs-okta-default" });
    settings.as_object_mut().expect("a table").extend(more.as_object().cloned().unwrap_or_default());
    settings
}

fn index(folder: &Path, server: &Server, more: Value) -> Box<dyn Connector> {
    made(&KIND, folder, &settings(server, more))
}

fn notify(message: Value) -> Task {
    Task::Notify { message }
}

async fn answered(status: &str, headers: &str, text: &str) -> Result<Done, Trouble> {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying(status, headers, text).await;
    index(folder.path(), &server, json!({})).perform(&order(Task::Forward)).await
}

/// The body of what goes out for an order.
async fn sent(order: &Order) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("200 OK", JSON, CREATED).await;
    let done = index(folder.path(), &server, json!({})).perform(order).await.expect("done");
    assert_eq!((done.status, done.note.as_str()), (Some(201), "created"));
    let [seen] = server.seen().try_into().expect("one request");
    let (head, body) = seen.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("POST /logs-okta-default/_bulk HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("\r\ncontent-type: application/x-ndjson\r\n"), "{head}");
    assert!(!head.to_lowercase().contains("authorization"), "{head}");
    body.to_owned()
}

#[tokio::test]
async fn a_document_is_two_lines_and_keeps_every_digit() {
    for (event, document) in [
        (
            "{ \"published\": \"2026-03-02T08:30:00.125Z\",\r\n  \"a\": 12345678901234567890123, \"z\": 1.10 }",
            "{\"@timestamp\":\"2026-03-02T08:30:00.125Z\", \"published\": \"2026-03-02T08:30:00.125Z\",    \
             \"a\": 12345678901234567890123, \"z\": 1.10 }",
        ),
        (r#"{"eventId":"event-1"}"#, r#"{"@timestamp":"2026-01-02T03:04:05Z","eventId":"event-1"}"#),
        (r#"{"a":1,"@timestamp":"2026-03-01"}"#, r#"{"a":1,"@timestamp":"2026-03-01"}"#),
        (r#"{"a":"@timestamp"}"#, r#"{"@timestamp":"2026-01-02T03:04:05Z","a":"@timestamp"}"#),
        ("{ }", r#"{"@timestamp":"2026-01-02T03:04:05Z" }"#),
        ("no json\n", r#"{"@timestamp":"2026-01-02T03:04:05Z","message":"no json\n"}"#),
    ] {
        let mut order = order(Task::Forward);
        order.event = event.into();
        assert_eq!(sent(&order).await, format!("{{\"create\":{{\"_id\":\"key-1\"}}}}\n{document}\n"));
    }
}

#[tokio::test]
async fn a_message_is_a_document() {
    let begin = "{\"create\":{\"_id\":\"key-1\"}}\n{\"@timestamp\":\"2026-01-02T03:04:05Z\",";
    for (message, rest) in [(json!("hi"), r#""message":"hi"}"#), (json!({ "z": 1, "a": "b" }), r#""z":1,"a":"b"}"#)] {
        assert_eq!(sent(&order(notify(message))).await, format!("{begin}{rest}\n"));
    }
    let mut many = order(notify(json!("one")));
    many.gathered = vec![Action::new("siem", notify(json!("two")))];
    many.gathered_count = 1;
    let rest = r#""message":"2 notifications:\n- one\n- two","count":2}"#;
    assert_eq!(sent(&many).await, format!("{begin}{rest}\n"));
}

#[tokio::test]
async fn hostile_text_stays_inside_its_document() {
    let hostile = "a\"}\n{\"delete\":{\"_id\":\"1\"}}\r\n\u{0}\u{1b}[31m\u{202e}\u{2028}";
    let sent = sent(&order(notify(json!({ "text": hostile, "x\n\"": 1 })))).await;
    let lines: Vec<Value> = sent.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 2, "{sent}");
    assert_eq!((&lines[1]["text"], &lines[1]["x\n\""]), (&json!(hostile), &json!(1)));
    assert!(!sent.contains(['\r', '\0', '\u{1b}']), "{sent}");
}

#[tokio::test]
async fn what_is_said_of_the_document_decides() {
    let item = |status: u16, more: Value| {
        let mut item = json!({ "_id": "key-1", "status": status });
        item.as_object_mut().expect("a map").extend(more.as_object().cloned().unwrap_or_default());
        json!({ "took": 1, "errors": status > 299, "items": [{ "create": item }] }).to_string()
    };
    let conflict = json!({ "error": { "type": "version_conflict_engine_exception", "reason": "it exists" } });
    for (status, more, note) in [
        (201, json!({}), "created"),
        (200, json!({ "failure_store": "not_applicable_or_unknown" }), "created"),
        (201, json!({ "failure_store": "used" }), "it does not fit its data stream and is in the failure store"),
        (409, conflict, "it was there already"),
    ] {
        let done = answered("200 OK", JSON, &item(status, more)).await.expect("done");
        assert_eq!((done.status, done.note.as_str()), (Some(status), note));
    }
    let wait = |seconds| What::NotDelivered { retry_after: Some(Duration::from_secs(seconds)) };
    let headers = format!("{JSON}Retry-After: 7\r\n");
    for (status, kind, what) in [
        (429, "es_rejected_execution_exception", wait(7)),
        (503, "unavailable_shards_exception", wait(7)),
        (500, "node_closed_exception", wait(7)),
        (400, "document_parsing_exception", What::Refused),
        (403, "security_exception", What::Refused),
        (404, "index_not_found_exception", What::Refused),
    ] {
        let error = json!({ "error": { "type": kind, "reason": "so it is" } });
        let trouble = answered("200 OK", &headers, &item(status, error)).await.expect_err(kind);
        assert_eq!((trouble.what, trouble.status), (what, Some(status)));
        assert_eq!(trouble.message, format!("it answered {status} for the entry, {kind}: so it is"));
    }
    let odd = answered("200 OK", JSON, &item(400, json!({ "error": "a text" }))).await.expect_err("refused");
    assert_eq!(odd.what, What::Refused);
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_not_told() {
    for (reason, told) in [
        (
            "failed to parse field [ip] of type [ip] in document with id 'key-1'. Preview of field's value: 'ann@x.example'",
            "failed to parse field [ip] of type [ip] in document with id 'key-1'.",
        ),
        ("[1:9] bad escape at [Source: (byte[])\"ann@x.example\"; line: 1]", "[1:9] bad escape at"),
    ] {
        let error = json!({ "type": "some_exception", "reason": reason, "caused_by": { "reason": "ann@x.example" } });
        let body = json!({ "errors": true, "items": [{ "create": { "status": 400, "error": error } }] }).to_string();
        let trouble = answered("200 OK", JSON, &body).await.expect_err("refused");
        assert_eq!(trouble.message, format!("it answered 400 for the entry, some_exception: {told}"));
    }
}

#[tokio::test]
async fn a_status_decides_where_it_is_an_error() {
    for (status, what) in [
        ("429 Too Many Requests", What::NotDelivered { retry_after: None }),
        ("503 Service Unavailable", What::NotDelivered { retry_after: None }),
        ("400 Bad Request", What::Refused),
        ("401 Unauthorized", What::Refused),
        ("403 Forbidden", What::Refused),
        ("404 Not Found", What::Refused),
        ("413 Too Large", What::Refused),
        ("302 Found", What::Refused),
    ] {
        // Even if the body pretends otherwise.
        assert_eq!(answered(status, JSON, CREATED).await.expect_err(status).what, what, "{status}");
    }
}

#[tokio::test]
async fn an_answer_that_says_nothing_of_the_document_is_maybe_delivered() {
    for body in [
        "",
        "garbage",
        "<html>",
        "{}",
        r#"{"items":[]}"#,
        r#"{"items":[{}]}"#,
        r#"{"items":[{"create":{"status":"201"}}]}"#,
    ] {
        let trouble = answered("200 OK", "", body).await.expect_err("nothing");
        assert_eq!((trouble.what, trouble.status), (What::MaybeDelivered, Some(200)), "{body}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let half = response("200 OK", JSON, CREATED).replace("201}}]}", "201}");
    for then in [Then::Close, Then::Say(half), Then::Say("HTTP/1.1 2".to_owned()), Then::Silence] {
        let server = Server::new([then]).await;
        let mut owned = setup(folder.path(), &settings(&server, json!({})));
        owned.timeout = Duration::from_secs(2);
        let index = (KIND.make)(&owned.setup()).expect("good settings");
        let trouble = index.perform(&order(Task::Forward)).await.expect_err("nobody knows");
        assert_eq!(trouble.what, What::MaybeDelivered, "{}", trouble.message);
    }
}

#[tokio::test]
async fn the_proof_is_presented_rotates_and_is_never_told() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, secret, sent) in [
        ("api_key", "Y2FuYXJ5OjdmM2E=", "ApiKey Y2FuYXJ5OjdmM2E="),
        ("api_key", "canary:7f3a", "ApiKey Y2FuYXJ5OjdmM2E="),
        ("basic", "canary:7f3a", "Basic Y2FuYXJ5OjdmM2E="),
    ] {
        fs::write(folder.path().join("secret"), format!("{secret}\n")).expect("written");
        let server = Server::saying("403 Forbidden", "", "no canary:7f3a nor Y2FuYXJ5OjdmM2E=").await;
        let mut more = json!({});
        more[name] = json!({ "file": "secret" });
        let index = index(folder.path(), &server, more);
        let trouble = index.perform(&order(Task::Forward)).await.expect_err("refused");
        assert!(!trouble.message.contains("Y2Fu") && trouble.message.contains("***"), "{}", trouble.message);
        assert!(!trouble.message.contains("7f3a"), "{}", trouble.message);
        let first = server.seen().pop().expect("a request");
        assert!(first.contains(&format!(": {sent}\r\n")), "{first}");
        fs::write(folder.path().join("secret"), "b3RoZXI=").expect("written");
        index.secrets().iter().for_each(|ring| assert_eq!(ring.reload().changed.len(), 1));
        let _ = index.perform(&order(Task::Forward)).await;
        let last = server.seen().pop().expect("a request");
        assert!(!last.contains("Y2Fu") && last.to_lowercase().contains("\r\nauthorization: "), "{last}");
    }
}

#[tokio::test]
async fn what_an_index_cannot_take_is_said_before_anything_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("200 OK", JSON, CREATED).await;
    let index = index(folder.path(), &server, json!({}));
    let check = |task| index.check(&Action::new("siem", task));
    let problem = check(notify(json!({ "_id": 1 }))).expect_err("its own");
    assert_eq!(problem, "`_id` belongs to the index itself: call it something else");
    assert!(check(notify(json!(""))).is_err() && check(notify(json!(7))).is_err());
    let request = Task::Request { method: Method::Post, path: String::new(), body: json!(1) };
    assert!(check(request).is_err());
    assert!(check(notify(json!({ "id": 1 }))).is_ok() && check(Task::Forward).is_ok());
}

#[test]
fn wrong_settings_are_said_with_their_key() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("s"), "a:b").expect("written");
    fs::write(folder.path().join("no.pem"), "nothing").expect("written");
    let keys = |settings: Value| match try_made(&KIND, folder.path(), &settings) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(|problem| problem.key).collect::<Vec<_>>(),
    };
    let url = "https://x.example:9200";
    for name in
        ["Logs", "a b", "a/b", "a/../_all", "*", "a,b", "_all", "-a", "..", "<logs-{now/d}>", "a%2fb", "a?b", "a:b"]
    {
        assert_eq!(keys(json!({ "base_url": url, "index": name })), ["index"], "{name}");
    }
    for name in ["logs-okta.events-default", "a", ".own", "gr\u{fc}n"] {
        assert_eq!(keys(json!({ "base_url": url, "index": name })), [""; 0], "{name}");
    }
    let secret = json!({ "file": "s" });
    let both = json!({ "base_url": url, "index": "a", "api_key": secret, "basic": secret });
    assert_eq!(keys(both), ["basic"]);
    let many = json!({ "base_url": "x", "index": "a", "basic": { "file": "missing" }, "ca_file": "no.pem" });
    assert_eq!(keys(many), ["ca_file", "basic", "base_url"]);
    let mut public = setup(folder.path(), &json!({ "base_url": "http://x.example", "index": "a", "basic": secret }));
    public.allow_private = false;
    let problems = (KIND.make)(&public.setup()).map(|_| ()).expect_err("in the clear");
    assert!(problems[0].message.contains("in the clear"), "{problems:?}");
}
