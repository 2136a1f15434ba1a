//! What Slack gets, and what its answers mean.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::tests::{Server, made, order, try_made};

const PATH: &str = "/services/T0123/B0123/canary7f3a";

fn webhook_of(folder: &Path, server: &Server) -> Box<dyn Connector> {
    fs::write(folder.join("url"), format!("{}{PATH}\n", server.url())).expect("written");
    made(&KIND, folder, &json!({ "url": { "file": "url" } }))
}

fn bot(folder: &Path, server: &Server) -> Box<dyn Connector> {
    fs::write(folder.join("token"), "xoxb-canary7f3a").expect("written");
    let api = format!("{}/api", server.url());
    made(&KIND, folder, &json!({ "token": { "file": "token" }, "channel": "C042", "api_url": api }))
}

fn notify(message: Value) -> Task {
    Task::Notify { message }
}

#[tokio::test]
async fn a_text_is_shown_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("200 OK", "Content-Type: text/plain\r\n", "ok").await;
    let slack = webhook_of(folder.path(), &server);
    let done = slack.perform(&order(notify(json!("<!channel> & <https://evil|x>")))).await.expect("done");
    let (head, body) = server.only();
    assert!(head.starts_with(&format!("POST {PATH} HTTP/1.1")), "{head}");
    assert_eq!(body, json!({ "text": "&lt;!channel&gt; &amp; &lt;https://evil|x&gt;" }));
    assert_eq!((done.status, done.note.as_str()), (Some(200), "ok"));
}

#[tokio::test]
async fn a_map_is_slacks_own_form() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("200 OK", "", "ok").await;
    let message = json!({ "text": "a <b>", "blocks": [{ "type": "divider" }] });
    webhook_of(folder.path(), &server).perform(&order(notify(message.clone()))).await.expect("done");
    assert_eq!(server.only().1, message);
}

#[test]
fn a_long_text_is_cut_between_escapes() {
    let text = shown(&"&".repeat(5000));
    assert!(text.chars().count() <= MOST_TEXT && text.ends_with("&amp;…"), "{}", text.len());
    assert_eq!(shown(&"x".repeat(2999)), "x".repeat(2999));
}

#[tokio::test]
async fn each_error_of_a_webhook_has_its_meaning() {
    let folder = tempfile::tempdir().expect("a folder");
    for (status, body) in [
        ("400 Bad Request", "invalid_payload"),
        ("400 Bad Request", "invalid_blocks"),
        ("403 Forbidden", "action_prohibited"),
        ("404 Not Found", "no_service"),
        ("410 Gone", "channel_is_archived"),
        ("302 Found", "elsewhere"),
    ] {
        let server = Server::saying(status, "Content-Type: text/plain\r\n", body).await;
        let trouble = webhook_of(folder.path(), &server).perform(&order(notify(json!("x")))).await.expect_err(body);
        assert_eq!(trouble.what, What::Refused, "{body}");
        assert!(trouble.message.contains(body) || status.starts_with("302"), "{}", trouble.message);
    }
    let server = Server::saying("429 Too Many Requests", "Retry-After: 30\r\n", "").await;
    let trouble = webhook_of(folder.path(), &server).perform(&order(notify(json!("x")))).await.expect_err("too many");
    assert_eq!(trouble.what, What::NotDelivered { retry_after: Some(Duration::from_secs(30)) });
    let server = Server::saying("500 Oops", "", "").await;
    let trouble = webhook_of(folder.path(), &server).perform(&order(notify(json!("x")))).await.expect_err("broken");
    assert_eq!(trouble.what, What::NotDelivered { retry_after: None });
}

#[tokio::test]
async fn a_bot_posts_to_its_channel_and_reads_the_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("200 OK", "Content-Type: application/json\r\n", "{\"ok\":true}").await;
    bot(folder.path(), &server).perform(&order(notify(json!("hi")))).await.expect("done");
    let (head, body) = server.only();
    assert!(head.starts_with("POST /api/chat.postMessage HTTP/1.1"), "{head}");
    assert!(head.to_lowercase().contains("authorization: bearer xoxb-canary7f3a"), "{head}");
    assert_eq!(body, json!({ "text": "hi", "channel": "C042" }));
    for (answer, what) in [
        ("{\"ok\":false,\"error\":\"channel_not_found\"}", What::Refused),
        ("{\"ok\":false,\"error\":\"invalid_auth\"}", What::Refused),
        ("{\"ok\":false,\"error\":\"fatal_error\"}", What::NotDelivered { retry_after: None }),
        ("{\"ok\":false,\"error\":\"rate_limited\"}", What::NotDelivered { retry_after: None }),
        ("{}", What::Refused),
        ("garbage", What::MaybeDelivered),
    ] {
        let server = Server::saying("200 OK", "Content-Type: application/json\r\n", answer).await;
        let trouble = bot(folder.path(), &server).perform(&order(notify(json!("hi")))).await.expect_err(answer);
        assert_eq!(trouble.what, what, "{answer}: {}", trouble.message);
    }
}

#[tokio::test]
async fn the_address_is_never_told_and_rotates_with_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let echo = format!("no_service at {PATH} (canary7f3a)");
    let server = Server::saying("404 Not Found", "", &echo).await;
    let slack = webhook_of(folder.path(), &server);
    let trouble = slack.perform(&order(notify(json!("x")))).await.expect_err("gone");
    assert!(!trouble.message.contains("canary") && !trouble.message.contains("T0123"), "{}", trouble.message);
    let next = Server::saying("200 OK", "", "ok").await;
    fs::write(folder.path().join("url"), format!("{}/new", next.url())).expect("written");
    slack.secrets().iter().for_each(|ring| drop(ring.reload()));
    slack.perform(&order(notify(json!("x")))).await.expect("done");
    assert!(next.only().0.starts_with("POST /new "));
    fs::write(folder.path().join("url"), "canary-no-address").expect("written");
    let kept: Vec<_> = slack.secrets().iter().flat_map(|ring| ring.reload().kept).collect();
    assert!(kept.len() == 1 && !kept[0].to_string().contains("canary-no"), "{kept:?}");
    slack.perform(&order(notify(json!("x")))).await.expect("what is no address replaces none");
    assert_eq!(next.seen().len(), 2);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    fs::write(folder.path().join("url"), format!("http://{closed}/canary7f3a")).expect("written");
    slack.secrets().iter().for_each(|ring| drop(ring.reload()));
    let trouble = slack.perform(&order(notify(json!("x")))).await.expect_err("nobody is there");
    assert!(!trouble.message.contains("canary"), "{}", trouble.message);
}

#[tokio::test]
async fn what_slack_cannot_do_is_said_before_anything_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("200 OK", "", "ok").await;
    let slack = webhook_of(folder.path(), &server);
    let check = |task| slack.check(&Action::new("chat", task));
    for message in [json!(" "), json!({}), json!(7), json!({ "blocks": vec![1; 51] })] {
        assert!(check(notify(message.clone())).is_err(), "{message}");
    }
    assert!(check(Task::Forward).is_err());
    assert!(check(notify(json!("x"))).is_ok() && check(notify(json!({ "blocks": [] }))).is_ok());
}

#[test]
fn settings_are_a_webhook_or_a_bot() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("s"), "https://hooks.slack.example/x").expect("written");
    fs::write(folder.path().join("bad"), "canary").expect("written");
    let secret = json!({ "file": "s" });
    for (settings, key) in [
        (json!({}), "url"),
        (json!({ "channel": "C1" }), "url"),
        (json!({ "token": secret }), "channel"),
        (json!({ "url": secret, "token": secret }), "token"),
        (json!({ "url": secret, "channel": "C1" }), "channel"),
        (json!({ "url": { "file": "bad" } }), "url"),
        (json!({ "url": { "file": "missing" } }), "url"),
        (json!({ "token": secret, "channel": "C1", "api_url": "x" }), "api_url"),
    ] {
        let problems = try_made(&KIND, folder.path(), &settings).map(|_| ()).expect_err("wrong settings");
        assert_eq!(problems[0].key, key, "{settings}");
        assert!(!problems[0].message.contains("canary"));
    }
}
