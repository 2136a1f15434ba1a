//! What Teams gets, and what its answers mean.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::tests::{Server, Then, made, order, setup, try_made};

const PATH: &str = "/workflows/0a1b2c3d/triggers/manual/paths/invoke";
const QUERY: &str = "api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=canary7f3a%2Bxyz";

fn teams(folder: &Path, server: &Server) -> Box<dyn Connector> {
    fs::write(folder.join("url"), format!("{}{PATH}?{QUERY}\n", server.url())).expect("written");
    made(&KIND, folder, &json!({ "url": { "file": "url" } }))
}

fn notify(message: Value) -> Task {
    Task::Notify { message }
}

fn run(text: &str) -> Value {
    json!({ "type": "RichTextBlock", "inlines": [{ "type": "TextRun", "text": text }] })
}

fn next(text: &str) -> Value {
    json!({ "type": "RichTextBlock", "inlines": [{ "type": "TextRun", "text": text }], "spacing": "None" })
}

/// The blocks of the card in a message.
fn blocks(message: &Value) -> Vec<Value> {
    message["attachments"][0]["content"]["body"].as_array().cloned().unwrap_or_default()
}

async fn sent(order: &Order) -> (String, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("202 Accepted", "", "").await;
    let done = teams(folder.path(), &server).perform(order).await.expect("done");
    assert_eq!(done, Done { status: Some(202), note: String::new() });
    server.only()
}

#[tokio::test]
async fn a_text_becomes_a_card_in_which_nothing_is_markup() {
    let hostile =
        "**Ann** [click](https://evil.example)\n<at>Everyone</at> & [a]: https://evil.example\n\n# x\u{7} {{DATE(1)}}";
    let (head, body) = sent(&order(notify(json!(hostile)))).await;
    assert!(head.starts_with(&format!("POST {PATH}?{QUERY} HTTP/1.1")), "{head}");
    assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
    let expected = json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": [
                    run("**Ann** [click](https://evil.example)"),
                    next("<at>Everyone</at> & [a]: https://evil.example"),
                    run("# x {{DATE(1)}}"),
                ],
            },
        }],
    });
    assert_eq!(body, expected, "mentions need `msteams.entities`, Markdown a `TextBlock`: there is neither");
}

#[tokio::test]
async fn a_map_is_a_message_or_a_card() {
    let card = json!({ "type": "AdaptiveCard", "version": "1.5", "body": [{ "type": "TextBlock", "text": "*hi*" }] });
    let (_, wrapped) = sent(&order(notify(card.clone()))).await;
    let kind = "application/vnd.microsoft.card.adaptive";
    let attachment = json!({ "contentType": kind, "contentUrl": null, "content": card });
    assert_eq!(wrapped, json!({ "type": "message", "attachments": [attachment] }));
    let message =
        json!({ "type": "message", "summary": "s", "attachments": [{ "contentType": kind, "content": card }] });
    assert_eq!(sent(&order(notify(message.clone()))).await.1, message);
}

#[tokio::test]
async fn a_digest_says_how_many() {
    let mut order = order(notify(json!("first")));
    order.gathered = vec![Action::new("x", notify(json!({ "type": "AdaptiveCard", "title": "[b](https://evil)" })))];
    order.gathered_count = 1;
    let (_, body) = sent(&order).await;
    assert_eq!(blocks(&body), [run("2 notifications:"), next("- first"), next("- [b](https://evil)")]);
}

#[test]
fn no_text_makes_a_message_that_teams_refuses() {
    for text in
        ["\u{1f600}".repeat(20_000), "\u{1f600}\n".repeat(20_000), "\"\\".repeat(20_000), "\u{1}a".repeat(20_000)]
    {
        let body = enveloped(&card(&text));
        assert!(body.len() < MOST_BYTES, "{}", body.len());
    }
    let body: Value = serde_json::from_slice(&enveloped(&card(&"x\n".repeat(99)))).expect("JSON");
    assert_eq!((blocks(&body).len(), blocks(&body).pop()), (MOST_LINES, Some(next("…"))));
    let body: Value = serde_json::from_slice(&enveloped(&card(&"x".repeat(9_999)))).expect("JSON");
    assert_eq!(blocks(&body), [run(&format!("{}…", "x".repeat(MOST_TEXT - 1)))]);
}

#[tokio::test]
async fn each_answer_has_its_meaning() {
    let folder = tempfile::tempdir().expect("a folder");
    let old = |code: u16| {
        format!(
            "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error {code} with ContextId tcid=0"
        )
    };
    let again = What::NotDelivered { retry_after: None };
    let later = What::NotDelivered { retry_after: Some(Duration::from_secs(17)) };
    for (status, headers, body, what) in [
        ("400 Bad Request", "", "{\"error\":{\"code\":\"InvalidRequestContent\"}}".to_owned(), What::Refused),
        ("401 Unauthorized", "", "{\"error\":{\"code\":\"DirectApiAuthorizationRequired\"}}".to_owned(), What::Refused),
        ("404 Not Found", "", "{\"error\":{\"code\":\"WorkflowNotFound\"}}".to_owned(), What::Refused),
        ("413 Payload Too Large", "", String::new(), What::Refused),
        ("302 Found", "Location: https://elsewhere.example\r\n", String::new(), What::Refused),
        ("429 Too Many Requests", "Retry-After: 17\r\n", String::new(), later),
        ("500 Oops", "", String::new(), again),
        ("502 Bad Gateway", "", "<html>".to_owned(), again),
        ("503 Busy", "", String::new(), again),
        ("504 Late", "", String::new(), again),
        ("200 OK", "", old(429), again),
        ("200 OK", "", old(503), again),
        ("200 OK", "", old(413), What::Refused),
        ("200 OK", "", "endpoint returned HTTP error \u{e4}\u{e4}".to_owned(), What::Refused),
    ] {
        let server = Server::saying(status, headers, &body).await;
        let trouble = teams(folder.path(), &server).perform(&order(notify(json!("x")))).await.expect_err(status);
        assert_eq!(trouble.what, what, "{status} {body}: {}", trouble.message);
        assert_eq!(trouble.status, status[..3].parse().ok());
    }
    for body in ["1", "garbage"] {
        let server = Server::saying("200 OK", "", body).await;
        assert!(teams(folder.path(), &server).perform(&order(notify(json!("x")))).await.is_ok(), "{body}");
    }
}

#[tokio::test]
async fn without_an_answer_nobody_knows() {
    let folder = tempfile::tempdir().expect("a folder");
    for then in [Then::Close, Then::Silence] {
        let server = Server::new([then]).await;
        fs::write(folder.path().join("url"), format!("{}{PATH}?{QUERY}", server.url())).expect("written");
        let mut owned = setup(folder.path(), &json!({ "url": { "file": "url" } }));
        owned.timeout = Duration::from_secs(2);
        let teams = (KIND.make)(&owned.setup()).expect("good settings");
        let trouble = teams.perform(&order(notify(json!("x")))).await.expect_err("no answer");
        assert_eq!(trouble.what, What::MaybeDelivered, "{}", trouble.message);
    }
}

#[tokio::test]
async fn the_address_is_never_told_and_rotates_with_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let echo = format!("no flow at {PATH}?{QUERY}: canary7f3a%2Bxyz, canary7f3a+xyz, 0a1b2c3d");
    let server = Server::saying("404 Not Found", "", &echo).await;
    let teams = teams(folder.path(), &server);
    let secret = |text: &str| text.contains("canary") || text.contains("0a1b2c3d");
    let trouble = teams.perform(&order(notify(json!("x")))).await.expect_err("gone");
    assert!(!secret(&trouble.message), "{}", trouble.message);
    let renew = |text: &str| {
        fs::write(folder.path().join("url"), text).expect("written");
        teams.secrets().iter().for_each(|ring| assert_eq!(ring.reload().changed.len(), 1));
    };
    let other = Server::saying("202 Accepted", "", "").await;
    renew(&format!("{}/new?sig=canary", other.url()));
    teams.perform(&order(notify(json!("x")))).await.expect("done");
    assert!(other.only().0.starts_with("POST /new?sig=canary "));
    fs::write(folder.path().join("url"), "canary-no-address").expect("written");
    let kept: Vec<_> = teams.secrets().iter().flat_map(|ring| ring.reload().kept).collect();
    assert!(kept.len() == 1 && !secret(&kept[0].to_string()), "{kept:?}");
    teams.perform(&order(notify(json!("x")))).await.expect("what is no address replaces none");
    assert_eq!(other.seen().len(), 2);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    renew(&format!("http://{closed}/canary?sig=canary7f3a"));
    let trouble = teams.perform(&order(notify(json!("x")))).await.expect_err("nobody is there");
    assert!(!secret(&trouble.message), "{}", trouble.message);
    assert_eq!(trouble.what, What::NotDelivered { retry_after: None });
}

#[tokio::test]
async fn what_teams_cannot_do_is_said_before_anything_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("202 Accepted", "", "").await;
    let teams = teams(folder.path(), &server);
    let check = |task| teams.check(&Action::new("chat", task));
    let words =
        |count: usize| json!({ "type": "AdaptiveCard", "version": "1.4", "body": vec!["x".repeat(200); count] });
    for (message, told) in [
        (json!(" \n"), "the text is empty"),
        (json!(7), "a message is a text or a map"),
        (json!({}), "a map is a card"),
        (json!({ "text": "hi" }), "without a map"),
        (json!({ "@type": "MessageCard", "text": "hi" }), "older cards"),
        (json!({ "type": "message", "text": "hi" }), "`attachments`"),
        (json!({ "type": "message", "attachments": [] }), "`attachments`"),
        (json!({ "type": "message", "attachments": [{ "content": { "type": "AdaptiveCard" } }] }), "`version`"),
        (json!({ "type": "AdaptiveCard", "body": [] }), "`version`"),
        (words(200), "takes 28672 bytes, and this message has"),
    ] {
        let problem = check(notify(message.clone())).expect_err(told);
        assert!(problem.contains(told), "{problem}");
    }
    assert!(check(Task::Forward).expect_err("no events").contains("takes `notify`, not `forward`"));
    assert!(check(notify(json!("x"))).is_ok() && check(notify(words(100))).is_ok());
    let long = json!({ "type": "AdaptiveCard", "version": "1.4", "body": [{ "type": "TextBlock", "text": "\u{e4}".repeat(90_000) }] });
    assert!(check(notify(long.clone())).is_ok(), "a long text is cut");
    teams.perform(&order(notify(long))).await.expect("sent");
    let (_, body) = server.only();
    let text = body["attachments"][0]["content"]["body"][0]["text"].as_str().expect("a text");
    assert!(text.ends_with('…') && body.to_string().len() <= MOST_BYTES, "{}", text.len());
}

#[test]
fn the_address_is_one_that_only_its_reader_sees() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("bad"), "canary").expect("written");
    fs::write(folder.path().join("clear"), "http://flow.example/canary").expect("written");
    fs::write(folder.path().join("good"), "https://flow.example/canary?sig=x").expect("written");
    for file in ["bad", "missing"] {
        let problems = try_made(&KIND, folder.path(), &json!({ "url": { "file": file } })).map(|_| ());
        let problems = problems.expect_err("a wrong address");
        assert!(problems[0].key == "url" && !problems[0].message.contains("canary"), "{problems:?}");
    }
    let public = |file: &str| {
        let mut owned = setup(folder.path(), &json!({ "url": { "file": file } }));
        owned.allow_private = false;
        (KIND.make)(&owned.setup()).map(|_| ())
    };
    assert!(public("good").is_ok());
    assert!(public("clear").expect_err("not in the clear")[0].message.contains("in the clear"));
}
