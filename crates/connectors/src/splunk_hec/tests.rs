//! What the collector gets, and what its answers mean.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::tests::{Server, Then, made, order, response, setup, try_made};
use hookgate_model::command::{Mail, Task};

const SUCCESS: &str = r#"{"text":"Success","code":0}"#;
const JSON: &str = "Content-Type: application/json\r\n";

fn settings(folder: &Path, server: &Server, more: Value) -> Value {
    fs::write(folder.join("token"), "canary-7f3a\n").expect("written");
    let mut settings = json!({ "base_url": server.url(), "token": { "file": "token" } });
    settings.as_object_mut().expect("a table").extend(more.as_object().cloned().unwrap_or_default());
    settings
}

fn collector(folder: &Path, server: &Server, more: Value) -> Box<dyn Connector> {
    made(&KIND, folder, &settings(folder, server, more))
}

fn notify(message: Value) -> Task {
    Task::Notify { message }
}

/// Body of the only request, byte for byte.
fn body(server: &Server) -> String {
    let [seen] = server.seen().try_into().expect("one request");
    seen.split_once("\r\n\r\n").expect("a head").1.to_owned()
}

async fn answered(status: &str, headers: &str, text: &str) -> Result<Done, Trouble> {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying(status, headers, text).await;
    collector(folder.path(), &server, json!({})).perform(&order(Task::Forward)).await
}

#[tokio::test]
async fn a_forwarded_event_keeps_every_byte_and_its_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("200 OK", JSON, SUCCESS).await;
    let more = json!({ "index": "identity", "source": "okta", "sourcetype": "_json", "host": "gate-1" });
    let mut order = order(Task::Forward);
    let event = "{ \"published\": \"2026-03-02T08:30:00.125Z\",\n  \"a\": 12345678901234567890123, \"z\": 1.10 }";
    order.event = event.into();
    let done = collector(folder.path(), &server, more).perform(&order).await.expect("done");
    assert_eq!((done.status, done.note.as_str()), (Some(200), "Success"));
    let expected = format!(
        "{{\"time\":1772440200.125,\"host\":\"gate-1\",\"source\":\"okta\",\"sourcetype\":\"_json\",\"index\":\"identity\",\
         \"event\":{event},\"fields\":{{\"hookgate_key\":\"key-1\"}}}}"
    );
    assert_eq!(body(&server), expected);
    let head = server.only().0;
    assert!(head.starts_with("POST /services/collector/event HTTP/1.1\r\n"), "{head}");
    let head = head.to_lowercase();
    for line in ["authorization: splunk canary-7f3a", "content-type: application/json", "idempotency-key: key-1"] {
        assert!(head.lines().any(|found| found == line), "{line} is missing in\n{head}");
    }
}

#[tokio::test]
async fn what_is_not_set_is_not_sent_and_time_is_when_it_came() {
    let folder = tempfile::tempdir().expect("a folder");
    for (task, event) in [
        (Task::Forward, r#"{"eventId":"event-1"}"#),
        (notify(json!("Ann was added")), r#"{"message":"Ann was added"}"#),
        (notify(json!({ "z": 1, "a": "b" })), r#"{"z":1,"a":"b"}"#),
    ] {
        let server = Server::saying("200 OK", JSON, SUCCESS).await;
        collector(folder.path(), &server, json!({})).perform(&order(task)).await.expect("done");
        let expected = format!(r#"{{"time":1767323045.000,"event":{event},"fields":{{"hookgate_key":"key-1"}}}}"#);
        assert_eq!(body(&server), expected);
    }
}

#[tokio::test]
async fn hostile_text_stays_inside_its_event() {
    let folder = tempfile::tempdir().expect("a folder");
    let hostile = "a\"}\n{\"event\":\"forged\"}\r\n\u{0}\u{1b}[31m\u{202e}\u{2028}";
    let server = Server::saying("200 OK", JSON, SUCCESS).await;
    collector(folder.path(), &server, json!({})).perform(&order(notify(json!(hostile)))).await.expect("done");
    let sent = body(&server);
    assert!(!sent.contains(['\n', '\r', '\0', '\u{1b}']), "{sent}");
    let sent: Value = serde_json::from_str(&sent).expect("one object");
    assert_eq!(sent["event"]["message"], hostile);
}

#[tokio::test]
async fn each_code_has_its_meaning() {
    let not = What::NotDelivered { retry_after: None };
    for (status, code, text, what) in [
        ("403 Forbidden", 1, "Token disabled", What::Refused),
        ("401 Unauthorized", 2, "Token is required", What::Refused),
        ("401 Unauthorized", 3, "Invalid authorization", What::Refused),
        ("403 Forbidden", 4, "Invalid token", What::Refused),
        ("400 Bad Request", 5, "No data", What::Refused),
        ("400 Bad Request", 6, "Invalid data format", What::Refused),
        ("400 Bad Request", 7, "Incorrect index", What::Refused),
        ("400 Bad Request", 10, "Data channel is missing", What::Refused),
        ("400 Bad Request", 12, "Event field is required", What::Refused),
        ("500 Internal Server Error", 8, "Internal server error", not),
        ("503 Service Unavailable", 9, "Server is busy", not),
        ("503 Service Unavailable", 23, "Server is shutting down", not),
        ("503 Service Unavailable", 99, "Something new", not),
        ("429 Too Many Requests", 99, "Something new", not),
        ("429 Too Many Requests", 26, "HEC queue is at capacity", not),
        ("200 OK", 26, "HEC queue is at capacity", not),
        ("200 OK", 9, "Server is busy", not),
        ("200 OK", 7, "Incorrect index", What::Refused),
        ("200 OK", 99, "Something new", What::Refused),
    ] {
        let trouble = answered(status, JSON, &json!({ "text": text, "code": code }).to_string()).await;
        let trouble = trouble.expect_err("it was not taken");
        assert_eq!(trouble.what, what, "{status} {code}");
        assert_eq!(trouble.status, status.split(' ').next().and_then(|number| number.parse().ok()));
        let number = trouble.status.unwrap_or_default();
        let begin = format!("it answered {number} with code {code} ({text})");
        assert!(trouble.message.starts_with(&begin), "{}", trouble.message);
    }
    let full_soon = r#"{"text":"HEC queue is approaching its capacity limit","code":24}"#;
    let done = answered("200 OK", JSON, full_soon).await.expect("done");
    assert_eq!(done.note, "HEC queue is approaching its capacity limit");
    assert_eq!(answered("400 Bad Request", JSON, full_soon).await.expect_err("no").what, What::Refused);
    let unknown = answered("403 Forbidden", JSON, r#"{"text":"Invalid token","code":4}"#).await.expect_err("refused");
    let message = "it answered 403 with code 4 (Invalid token): Splunk does not know the token";
    assert_eq!(unknown.message, message);
}

#[tokio::test]
async fn the_collector_says_when_to_come_again() {
    let headers = format!("{JSON}Retry-After: 30\r\n");
    let wait = What::NotDelivered { retry_after: Some(Duration::from_secs(30)) };
    for (status, body) in
        [("503 Busy", r#"{"text":"Server is busy","code":9}"#), ("503 Busy", "<html>"), ("429 Slow", "")]
    {
        assert_eq!(answered(status, &headers, body).await.expect_err("busy").what, wait, "{status} {body}");
    }
}

#[tokio::test]
async fn without_a_code_the_status_decides_and_200_says_nothing() {
    for body in ["", "garbage", "<html>", "{}", "[0]", r#"{"code":"0"}"#, "\u{feff}{}"] {
        let trouble = answered("200 OK", "", body).await.expect_err("no code");
        assert_eq!((trouble.what, trouble.status), (What::MaybeDelivered, Some(200)), "{body}");
    }
    for (status, what) in [
        ("502 Bad Gateway", What::NotDelivered { retry_after: None }),
        ("413 Too Large", What::Refused),
        ("404 Not Found", What::Refused),
        ("302 Found", What::Refused),
    ] {
        assert_eq!(answered(status, "", "garbage").await.expect_err(status).what, what, "{status}");
    }
    let odd = answered("403 Forbidden", JSON, SUCCESS).await.expect_err("a proxy says no");
    assert_eq!(odd.what, What::Refused);
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_does_not_come_is_maybe_delivered() {
    let folder = tempfile::tempdir().expect("a folder");
    let half = response("200 OK", JSON, SUCCESS).replace("\"code\":0}", "");
    for then in [Then::Close, Then::Say(half), Then::Say("HTTP/1.1 2".to_owned()), Then::Silence] {
        let server = Server::new([then]).await;
        let mut owned = setup(folder.path(), &settings(folder.path(), &server, json!({})));
        owned.timeout = Duration::from_secs(2);
        let collector = (KIND.make)(&owned.setup()).expect("good settings");
        let trouble = collector.perform(&order(Task::Forward)).await.expect_err("nobody knows");
        assert_eq!(trouble.what, What::MaybeDelivered, "{}", trouble.message);
    }
    let server = Server::new([Then::Silence]).await;
    let mut gone = settings(folder.path(), &server, json!({}));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    gone["base_url"] = json!(format!("http://{closed}"));
    let trouble = made(&KIND, folder.path(), &gone).perform(&order(Task::Forward)).await.expect_err("nobody is there");
    assert_eq!(trouble.what, What::NotDelivered { retry_after: None });
}

#[tokio::test]
async fn the_token_rotates_and_is_never_told() {
    let folder = tempfile::tempdir().expect("a folder");
    for body in [r#"{"text":"no canary-7f3a","code":4}"#, "no canary-7f3a (Y2FuYXJ5LTdmM2E=)"] {
        let server = Server::saying("403 Forbidden", JSON, body).await;
        let collector = collector(folder.path(), &server, json!({}));
        let trouble = collector.perform(&order(Task::Forward)).await.expect_err("refused");
        assert!(trouble.message.contains("***") && !trouble.message.contains("canary"), "{}", trouble.message);
        assert!(!trouble.message.contains("Y2Fu"), "{}", trouble.message);
        fs::write(folder.path().join("token"), "another-one\n").expect("written");
        collector.secrets().iter().for_each(|ring| assert_eq!(ring.reload().changed.len(), 1));
        let _ = collector.perform(&order(Task::Forward)).await;
        let last = server.seen().pop().expect("a request").to_lowercase();
        assert!(last.contains("authorization: splunk another-one\r\n"), "{last}");
    }
}

#[tokio::test]
async fn what_the_collector_cannot_do_is_said_before_anything_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("200 OK", JSON, SUCCESS).await;
    let collector = collector(folder.path(), &server, json!({}));
    let check = |task| collector.check(&Action::new("siem", task));
    let mail = Mail { to: vec![], subject: "s".into(), text: "t".into(), html: None, cc: vec![], reply_to: None };
    let problem = check(Task::Email(mail)).expect_err("no mail");
    assert_eq!(problem, "a connector of kind `splunk_hec` takes `notify` and `forward`, not `email`");
    assert!(check(notify(json!(""))).is_err() && check(notify(json!({}))).is_err());
    assert!(check(notify(json!("x"))).is_ok() && check(Task::Forward).is_ok());
}

#[test]
fn wrong_settings_are_said_with_their_key() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("token"), "t").expect("written");
    fs::write(folder.path().join("no.pem"), "nothing").expect("written");
    let token = json!({ "file": "token" });
    let keys = |settings: Value| match try_made(&KIND, folder.path(), &settings) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(|problem| problem.key).collect::<Vec<_>>(),
    };
    for url in ["splunk", "ftp://x", "https://x/?token=1", "https://x/services/collector/event", "https://u:p@x"] {
        assert_eq!(keys(json!({ "base_url": url, "token": token })), ["base_url"], "{url}");
    }
    let many = json!({ "base_url": "x", "token": { "file": "missing" }, "ca_file": "no.pem" });
    assert_eq!(keys(many), ["ca_file", "token", "base_url"]);
    assert_eq!(keys(json!({ "base_url": "https://x.example:8088/", "token": token })), [""; 0]);
    let mut public = setup(folder.path(), &json!({ "base_url": "http://x.example", "token": token }));
    public.allow_private = false;
    let problems = (KIND.make)(&public.setup()).map(|_| ()).expect_err("in the clear");
    assert!(problems[0].message.contains("in the clear"), "{problems:?}");
}
