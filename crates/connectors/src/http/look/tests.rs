//! What every kind of answer to a question, and every way of not getting one, means.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::http::KIND;
use crate::tests::{Server, Then, hasty, response, setup, tls};
use crate::{Connector, setup::Setup};

const PATIENT: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(700);

fn api(folder: &Path, url: &str, more: Value, time: Duration) -> Arc<dyn Connector> {
    let mut settings = json!({ "base_url": url });
    settings.as_object_mut().expect("a table").extend(more.as_object().cloned().unwrap_or_default());
    hasty(&KIND, folder, &settings, time)
}

fn question(path: &str, body: Option<Value>) -> Question {
    Question { connector: "test".to_owned(), ask: Ask::Http { path: path.to_owned(), body } }
}

async fn looked(then: Then, more: Value, time: Duration) -> Result<Value, Trouble> {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("secret"), "canary").expect("written");
    let server = Server::new([then]).await;
    api(folder.path(), &server.url(), more, time).look_up(&question("/x", None)).await
}

fn with_auth() -> Value {
    json!({ "auth": { "bearer": { "file": "secret" } } })
}

#[tokio::test]
async fn a_question_is_a_get_or_a_post_below_the_address() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("secret"), "canary").expect("written");
    let server = Server::saying("200 OK", "", "Grüße").await;
    let more =
        json!({ "auth": { "bearer": { "file": "secret" } }, "headers": { "X-Team": "blue", "Accept": "text/csv" } });
    let api = api(folder.path(), &format!("{}/v1", server.url()), more, PATIENT);
    let answer = api.look_up(&question("/people/7?x=1", None)).await.expect("an answer");
    assert_eq!(answer, json!({ "status": 200, "text": "Grüße" }));
    api.look_up(&question("/search", Some(json!({ "q": "ann" })))).await.expect("an answer");
    let seen = server.seen();
    assert!(
        seen[0].starts_with("GET /v1/people/7?x=1 HTTP/1.1\r\n") && !seen[0].contains("content-type"),
        "{}",
        seen[0]
    );
    assert!(seen[1].starts_with("POST /v1/search HTTP/1.1\r\n") && seen[1].ends_with("{\"q\":\"ann\"}"), "{}", seen[1]);
    assert!(seen[1].contains("content-type: application/json"), "{}", seen[1]);
    for head in &seen {
        assert!(head.contains("authorization: Bearer canary") && head.contains("x-team: blue"), "{head}");
        assert!(head.contains("accept: text/csv") && !head.contains("*/*"), "{head}");
    }
    assert_eq!(super::super::KIND.answers, Some("http"));
}

#[tokio::test]
async fn a_path_that_leads_elsewhere_is_never_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("200 OK", "", "").await;
    let api = api(folder.path(), &format!("{}/v1", server.url()), json!({}), PATIENT);
    for path in ["//evil.example", "/../admin", "/%2e%2e/admin", "https://evil.example", "x", "/a b", "/a#b"] {
        let trouble = api.look_up(&question(path, None)).await.expect_err(path);
        assert_eq!(trouble.reason, Reason::Rejected, "{path}: {trouble}");
    }
    let ask = Ask::Search { base: String::new(), filter: "(a=b)".to_owned(), attributes: vec![] };
    let other = Question { connector: "test".to_owned(), ask };
    assert_eq!(api.look_up(&other).await.expect_err("no ldap").reason, Reason::Rejected);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn every_status_is_an_answer_but_those_about_us() {
    for status in [200, 201, 204, 400, 401, 403, 404, 409, 410, 418, 422, 500, 501, 505] {
        let say = Then::Say(response(&format!("{status} X"), "", ""));
        let answer = looked(say, json!({}), PATIENT).await.expect("an answer");
        assert_eq!(answer, json!({ "status": status, "text": "" }));
    }
    for (status, reason) in [
        (401, Reason::Denied),
        (403, Reason::Denied),
        (407, Reason::Denied),
        (429, Reason::Limited),
        (502, Reason::Unreachable),
        (503, Reason::Unreachable),
        (504, Reason::Unreachable),
        (301, Reason::Rejected),
        (302, Reason::Rejected),
        (307, Reason::Rejected),
        (308, Reason::Rejected),
    ] {
        let head = "Location: http://127.0.0.1:1/\r\nRetry-After: 17\r\n";
        let say = Then::Say(response(&format!("{status} X"), head, "canary"));
        let trouble = looked(say, with_auth(), PATIENT).await.expect_err("no answer");
        assert_eq!(trouble.reason, reason, "{status}: {trouble}");
        assert!(trouble.message.contains(&status.to_string()) && !trouble.message.contains("canary"), "{trouble}");
        let waits = trouble.message.ends_with(", for 17 s");
        assert_eq!(waits, reason != Reason::Rejected, "{trouble}");
        assert_eq!(trouble.message.contains("none is followed"), reason == Reason::Rejected, "{trouble}");
    }
}

#[tokio::test]
async fn an_answer_is_read_whole_or_not_at_all() {
    let say = |body: &str| Then::Say(response("200 OK", "", body));
    let most = json!({ "max_answer_bytes": 10 });
    let whole = looked(say("0123456789"), most.clone(), PATIENT).await.expect("an answer");
    assert_eq!(whole["text"], "0123456789");
    let reason = |outcome: Result<Value, Trouble>| outcome.expect_err("no answer").reason;
    assert_eq!(reason(looked(say("0123456789a"), most.clone(), PATIENT).await), Reason::TooLarge);
    let endless = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_owned();
    assert_eq!(reason(looked(Then::Drip(endless.clone()), most, PATIENT).await), Reason::TooLarge);
    assert_eq!(reason(looked(say(&"x".repeat(1024 * 1024 + 1)), json!({}), PATIENT).await), Reason::TooLarge);
    assert!(looked(say(&"x".repeat(1024 * 1024)), json!({}), PATIENT).await.is_ok());
    assert_eq!(reason(looked(Then::Drip(endless), json!({}), SHORT).await), Reason::Timeout);
    let cut = response("200 OK", "", "abc").replace("Content-Length: 3", "Content-Length: 99");
    assert_eq!(reason(looked(Then::Say(cut), json!({}), PATIENT).await), Reason::BadAnswer);
}

#[tokio::test]
async fn an_answer_that_is_no_text_is_none() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a caller");
        let mut buffer = [0; 4096];
        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut buffer).await;
        let bytes = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\na\xff\xfe";
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, bytes).await;
    });
    let folder = tempfile::tempdir().expect("a folder");
    let api = api(folder.path(), &format!("http://{address}"), json!({}), PATIENT);
    assert_eq!(api.look_up(&question("", None)).await.expect_err("no text").reason, Reason::BadAnswer);
    serving.await.expect("no panic");
}

#[tokio::test]
async fn no_answer_says_why() {
    let reason = |outcome: Result<Value, Trouble>| outcome.expect_err("no answer").reason;
    assert_eq!(reason(looked(Then::Silence, json!({}), SHORT).await), Reason::Timeout);
    assert_eq!(reason(looked(Then::Close, json!({}), PATIENT).await), Reason::Unreachable);
    assert_eq!(reason(looked(Then::Say("garbage\r\n\r\n".into()), json!({}), PATIENT).await), Reason::Unreachable);
    let folder = tempfile::tempdir().expect("a folder");
    let nobody = api(folder.path(), "http://127.0.0.1:1", json!({}), PATIENT);
    assert_eq!(reason(nobody.look_up(&question("", None)).await), Reason::Unreachable);
    let (acceptor, _) = tls();
    let stranger = Server::with([Then::Say(response("200 OK", "", ""))], Some(acceptor)).await;
    let untrusted = api(folder.path(), &format!("https://localhost:{}", stranger.address.port()), json!({}), PATIENT);
    assert_eq!(reason(untrusted.look_up(&question("", None)).await), Reason::Forbidden);
    assert_eq!(untrusted.probe().expect("one").await.expect_err("untrusted").reason, Reason::Forbidden);
    let settings = json!({ "base_url": "http://localhost:1" });
    let owned = setup(folder.path(), &settings);
    let closed = Setup { allow_private: false, ..owned.setup() };
    let closed = (KIND.make)(&closed).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(reason(closed.look_up(&question("", None)).await), Reason::Forbidden);
    assert_eq!(closed.probe().expect("one").await.expect_err("private").reason, Reason::Forbidden);
}

#[tokio::test]
async fn a_probe_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("secret"), "canary").expect("written");
    let silent = Server::new([Then::Silence]).await;
    let connected = api(folder.path(), &silent.url(), json!({}), PATIENT).probe().expect("one").await;
    assert_eq!(connected.expect("it is there").found, "it accepts connections");
    let (acceptor, pem) = tls();
    fs::write(folder.path().join("ca.pem"), pem).expect("written");
    let server = Server::with([Then::Silence], Some(acceptor)).await;
    let url = format!("https://localhost:{}", server.address.port());
    let connected = api(folder.path(), &url, json!({ "ca_file": "ca.pem" }), PATIENT).probe().expect("one").await;
    assert_eq!(connected.expect("it is there").found, "it accepts connections with TLS");
    let nobody = api(folder.path(), "http://127.0.0.1:1", json!({}), PATIENT).probe().expect("one").await;
    assert_eq!(nobody.expect_err("nobody").reason, Reason::Unreachable);
    let mut more = with_auth();
    more["probe"] = json!("/health");
    for (status, reason) in
        [(204, None), (401, Some(Reason::Denied)), (404, Some(Reason::Rejected)), (500, Some(Reason::Unreachable))]
    {
        let server = Server::saying(&format!("{status} X"), "", "").await;
        let probed = api(folder.path(), &server.url(), more.clone(), PATIENT).probe().expect("one").await;
        assert_eq!(probed.err().map(|trouble| trouble.reason), reason, "{status}");
        assert!(server.only().0.starts_with("GET /health HTTP/1.1"));
    }
}

#[tokio::test]
async fn headers_and_the_address_itself_may_be_secrets() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("200 OK", "", "").await;
    fs::write(folder.path().join("vendor"), "canary-vendor\n").expect("written");
    fs::write(folder.path().join("address"), format!("{}/hooks/canary-address\n", server.url())).expect("written");
    let settings = json!({
        "base_url": { "file": "address" }, "headers": { "X-Vendor-Key": { "file": "vendor" }, "X-Team": "blue" },
    });
    let api = hasty(&KIND, folder.path(), &settings, PATIENT);
    api.look_up(&question("/x", None)).await.expect("an answer");
    let seen = server.seen();
    assert!(seen[0].starts_with("GET /hooks/canary-address/x HTTP/1.1\r\n"), "{}", seen[0]);
    assert!(seen[0].contains("x-vendor-key: canary-vendor") && seen[0].contains("x-team: blue"), "{}", seen[0]);
    // Both are read again, and both are hidden in answers.
    assert_eq!(api.secrets().len(), 2);
    let mut answer = json!({ "text": format!("canary-vendor {}/hooks/canary-address", server.url()) });
    assert!(api.redact().clean(&mut answer));
    assert!(!answer.to_string().contains("canary"), "{answer}");
    fs::write(folder.path().join("vendor"), "two\nlines\n").expect("written");
    fs::write(folder.path().join("address"), "no address").expect("written");
    for ring in api.secrets() {
        assert_eq!(ring.reload().kept.len(), 1, "what cannot be used replaces nothing");
    }
    api.look_up(&question("/y", None)).await.expect("an answer");
    assert!(server.seen()[1].starts_with("GET /hooks/canary-address/y HTTP/1.1\r\n"));
}
