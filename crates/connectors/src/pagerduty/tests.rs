//! What PagerDuty gets, and what its answers mean.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::tests::{Server, Then, made, order, setup, try_made};
use hookgate_model::command::Window;

const ROUTING_KEY: &str = "canary7f3acanary7f3acanary7f3a00";
const PROCESSED: &str = "{\"status\":\"success\",\"message\":\"Event processed\",\"dedup_key\":\"key-1\"}";
const JSON: &str = "Content-Type: application/json\r\n";

fn settings(server: &Server) -> Value {
    json!({ "routing_key": { "file": "key" }, "api_url": server.url(), "component": "sign-in" })
}

fn pager(folder: &Path, server: &Server) -> Box<dyn Connector> {
    fs::write(folder.join("key"), format!("{ROUTING_KEY}\n")).expect("written");
    made(&KIND, folder, &settings(server))
}

fn notify(message: Value) -> Task {
    Task::Notify { message }
}

async fn sent(order: &Order) -> (String, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("202 Accepted", JSON, PROCESSED).await;
    let done = pager(folder.path(), &server).perform(order).await.expect("done");
    assert_eq!((done.status, done.note.as_str()), (Some(202), PROCESSED));
    server.only()
}

#[tokio::test]
async fn a_text_opens_an_alert() {
    let (head, body) = sent(&order(notify(json!("Ann is an administrator")))).await;
    assert!(head.starts_with("POST /v2/enqueue HTTP/1.1"), "{head}");
    assert!(!head.to_lowercase().contains("authorization") && !head.contains("canary"), "{head}");
    let payload = json!({
        "summary": "Ann is an administrator",
        "severity": "error",
        "source": "hookgate",
        "component": "sign-in",
        "timestamp": "2026-01-02T03:04:05Z",
    });
    let expected = json!({
        "event_action": "trigger",
        "dedup_key": "key-1",
        "payload": payload,
        "routing_key": ROUTING_KEY,
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_long_text_is_whole_in_the_details() {
    let text = format!("first\u{0}\r\n  second {}", "\u{1f600}".repeat(2000));
    let (_, body) = sent(&order(notify(json!(text)))).await;
    let summary = body["payload"]["summary"].as_str().expect("a text");
    assert_eq!(summary.chars().count(), 1024);
    assert!(summary.starts_with("first second \u{1f600}") && summary.ends_with('…'), "{summary}");
    let shown = text.replace("\u{0}\r\n", "\n");
    assert_eq!(body["payload"]["custom_details"], json!({ "text": shown }));
}

#[tokio::test]
async fn a_map_says_what_it_is() {
    let (_, body) = sent(&order(notify(json!({
        "summary": "down\n<b>", "severity": "info", "source": "s", "component": "c", "group": "g", "class": "k",
        "timestamp": "2026-05-01T00:00:00Z", "custom_details": { "n": 1 }, "dedup_key": "user/1",
        "links": [{ "href": "https://a.example", "text": "A" }], "images": [{ "src": "https://a.example/i.png" }],
        "client": "Okta", "client_url": "https://okta.example",
    }))))
    .await;
    let expected = json!({
        "event_action": "trigger", "dedup_key": "user/1",
        "payload": {
            "summary": "down <b>", "severity": "info", "source": "s", "component": "c", "group": "g", "class": "k",
            "timestamp": "2026-05-01T00:00:00Z", "custom_details": { "n": 1 },
        },
        "links": [{ "href": "https://a.example", "text": "A" }], "images": [{ "src": "https://a.example/i.png" }],
        "client": "Okta", "client_url": "https://okta.example",
        "routing_key": ROUTING_KEY,
    });
    assert_eq!(body, expected);
    let (_, body) = sent(&order(notify(json!({ "event_action": "resolve", "dedup_key": "user/1" })))).await;
    let expected = json!({ "event_action": "resolve", "dedup_key": "user/1", "routing_key": ROUTING_KEY });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_digest_is_one_alert_as_severe_as_the_worst() {
    let mut order = order(notify(json!({ "summary": "first", "severity": "info", "dedup_key": "user/1" })));
    let severe = json!({ "summary": "second", "severity": "critical" });
    order.gathered = vec![Action::new("x", notify(json!("third"))), Action::new("x", notify(severe))];
    order.gathered_count = 2;
    let (_, body) = sent(&order).await;
    assert_eq!((&body["dedup_key"], &body["payload"]["severity"]), (&json!("key-1"), &json!("critical")));
    assert_eq!(body["payload"]["summary"], "3 notifications: - first - third - second");
    assert_eq!(body["payload"]["custom_details"]["text"], "3 notifications:\n- first\n- third\n- second");
    order.gathered = vec![Action::new("x", notify(json!("third")))];
    order.gathered_count = 1;
    assert_eq!(sent(&order).await.1["payload"]["severity"], "error");
}

#[tokio::test]
async fn each_answer_has_its_meaning() {
    let folder = tempfile::tempdir().expect("a folder");
    let again = What::NotDelivered { retry_after: None };
    let invalid = "{\"status\":\"invalid event\",\"message\":\"Event object is invalid\",\"errors\":[\"Length of 'routing_key' is incorrect\"]}";
    for (status, headers, body, what) in [
        ("400 Bad Request", JSON, invalid, What::Refused),
        ("403 Forbidden", "", "", What::Refused),
        ("404 Not Found", "", "", What::Refused),
        ("301 Moved", "", "", What::Refused),
        ("429 Too Many Requests", "", "", again),
        (
            "429 Too Many Requests",
            "Retry-After: 90\r\n",
            "",
            What::NotDelivered { retry_after: Some(Duration::from_secs(90)) },
        ),
        ("500 Oops", JSON, "{\"status\":\"Internal Server Error\"}", again),
        ("502 Bad Gateway", "", "<html>", again),
        ("507 Full", "", "", again),
        ("599 Odd", "Retry-After: 9\r\n", "", What::NotDelivered { retry_after: Some(Duration::from_secs(9)) }),
    ] {
        let server = Server::saying(status, headers, body).await;
        let trouble = pager(folder.path(), &server).perform(&order(notify(json!("x")))).await.expect_err(status);
        assert_eq!((trouble.what, trouble.status), (what, status[..3].parse().ok()), "{}", trouble.message);
        assert!(body != invalid || trouble.message.contains("Event object is invalid"), "{}", trouble.message);
    }
    let server = Server::saying("202 Accepted", "", "garbage").await;
    assert!(pager(folder.path(), &server).perform(&order(notify(json!("x")))).await.is_ok());
}

#[tokio::test]
async fn without_an_answer_nobody_knows_and_the_next_try_has_the_same_key() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("key"), ROUTING_KEY).expect("written");
    let late = [Then::Silence, Then::Close, Then::Say(crate::tests::response("202 Accepted", "", ""))];
    let server = Server::new(late).await;
    let mut owned = setup(folder.path(), &settings(&server));
    owned.timeout = Duration::from_secs(2);
    let pager = (KIND.make)(&owned.setup()).expect("good settings");
    let order = order(notify(json!("x")));
    for _ in 0..2 {
        assert_eq!(pager.perform(&order).await.expect_err("no answer").what, What::MaybeDelivered);
    }
    pager.perform(&order).await.expect("done");
    let seen = server.seen();
    let bodies: Vec<&str> = seen.iter().filter_map(|text| Some(text.split_once("\r\n\r\n")?.1)).collect();
    assert!(bodies.len() == 3 && bodies.iter().all(|body| body.contains("\"dedup_key\":\"key-1\"")), "{bodies:?}");
}

#[tokio::test]
async fn the_key_is_never_told_and_rotates_with_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("400 Bad Request", JSON, &format!("{{\"message\":\"no {ROUTING_KEY}\"}}")).await;
    let pager = pager(folder.path(), &server);
    let trouble = pager.perform(&order(notify(json!("x")))).await.expect_err("refused");
    assert!(!trouble.message.contains("canary") && trouble.message.contains("no ***"), "{}", trouble.message);
    let renew = |text: &str| {
        fs::write(folder.path().join("key"), text).expect("written");
        pager.secrets().iter().for_each(|ring| assert_eq!(ring.reload().changed.len(), 1));
    };
    renew(&"b".repeat(32));
    pager.perform(&order(notify(json!("x")))).await.expect_err("refused");
    let last = server.seen().pop().expect("a request");
    assert!(last.contains(&"b".repeat(32)) && !last.contains("canary"), "{last}");
    renew("canary");
    let trouble = pager.perform(&order(notify(json!("x")))).await.expect_err("no key");
    assert!(trouble.what == What::Refused && !trouble.message.contains("canary"), "{}", trouble.message);
}

#[tokio::test]
async fn wrong_words_are_said_before_anything_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("202 Accepted", "", "").await;
    let pager = pager(folder.path(), &server);
    let check = |task| pager.check(&Action::new("on_call", task));
    for (message, told) in [
        (json!(" "), "the text is empty"),
        (json!(7), "a message is a text or a map"),
        (json!({}), "`summary` is missing"),
        (json!({ "summary": " " }), "`summary` is a text, and not an empty one"),
        (json!({ "sumary": "x" }), "there is no `sumary`, did you mean `summary`?"),
        (
            json!({ "summary": "x", "user": 1 }),
            "there is no `user`; what belongs to nothing else goes into `custom_details`",
        ),
        (json!({ "routing_key": "x" }), "`routing_key` is a secret of the connector"),
        (json!({ "payload": { "summary": "x" } }), "write what is in `payload` without it"),
        (
            json!({ "summary": "x", "event_action": "close" }),
            "`event_action` is one of `trigger`, `acknowledge`, `resolve`",
        ),
        (json!({ "summary": "x", "event_action": "Resolved", "dedup_key": "k" }), "did you mean `resolve`?"),
        (json!({ "event_action": "resolve" }), "`resolve` needs the `dedup_key`"),
        (json!({ "event_action": "acknowledge", "dedup_key": "k", "severity": "info" }), "`summary` is missing"),
        (json!({ "summary": "x", "severity": "CRITICAL" }), "did you mean `critical`?"),
        (json!({ "summary": "x", "severity": 1 }), "`severity` is one of `critical`, `error`, `warning`, `info`"),
        (json!({ "summary": "x", "dedup_key": 7 }), "`dedup_key` is a text"),
        (json!({ "summary": "x", "custom_details": "y" }), "`custom_details` is a map"),
        (json!({ "summary": "x", "source": 1 }), "`source` is a text"),
        (json!({ "summary": "x", "links": [{ "url": "y" }] }), "`links` is a list of maps, each with a `href`"),
        (json!({ "summary": "x", "images": "y" }), "`images` is a list of maps, each with a `src`"),
        (json!({ "summary": "x", "client": {} }), "`client` is a text"),
    ] {
        let problem = check(notify(message)).expect_err(told);
        assert!(problem.contains(told), "{problem}");
    }
    assert!(!check(notify(json!({ "summary": "x", "severity": "ann@example.com" }))).expect_err("no").contains("ann"));
    assert!(check(Task::Forward).expect_err("no events").contains("takes `notify`, not `forward`"));
    let mut many = Action::new("on_call", notify(json!({ "event_action": "resolve", "dedup_key": "k" })));
    assert!(pager.check(&many).is_ok());
    many.digest = Some(Window { key: "d".to_owned(), ms: 1 });
    assert!(pager.check(&many).expect_err("opens none").contains("`.digest`"));
}

#[test]
fn wrong_settings_are_said_with_their_key() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("good"), ROUTING_KEY).expect("written");
    fs::write(folder.path().join("short"), "canary").expect("written");
    for (settings, key) in [
        (json!({ "routing_key": { "file": "short" } }), "routing_key"),
        (json!({ "routing_key": { "file": "missing" } }), "routing_key"),
        (json!({ "routing_key": { "file": "good" }, "api_url": "pagerduty" }), "api_url"),
    ] {
        let problems = try_made(&KIND, folder.path(), &settings).map(|_| ()).expect_err("wrong settings");
        assert!(problems[0].key == key && !problems[0].message.contains("canary"), "{problems:?}");
    }
    let mut clear = setup(folder.path(), &json!({ "routing_key": { "file": "good" }, "api_url": "http://a.example" }));
    clear.allow_private = false;
    assert!((KIND.make)(&clear.setup()).map(|_| ()).expect_err("in the clear")[0].message.contains("in the clear"));
    assert_eq!(severities(), ["critical", "error", "warning", "info"], "the words that messages name");
}

fn severities() -> Vec<Value> {
    [Severity::Critical, Severity::Error, Severity::Warning, Severity::Info].map(|word| json!(word)).to_vec()
}

#[test]
fn each_region_has_its_address() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("key"), ROUTING_KEY).expect("written");
    for (region, host) in [("us", "events.pagerduty.com"), ("eu", "events.eu.pagerduty.com")] {
        let owned = setup(folder.path(), &json!({ "routing_key": { "file": "key" }, "region": region }));
        let made = PagerDuty::new(&owned.setup()).unwrap_or_else(|problems| panic!("{problems:?}"));
        assert_eq!(made.api.as_str(), format!("https://{host}/"));
    }
}
