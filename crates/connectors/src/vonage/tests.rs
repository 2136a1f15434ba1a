//! What Vonage gets, and what its answers mean.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::tests::{Server, message, sends_as_all_do, setup};
use hookgate_model::message::Channel;
use hookgate_model::secret::Secret;

fn vonage(folder: &Path, server: &Server) -> Box<dyn Connector> {
    fs::write(folder.join("secret"), "canary-secret\n").expect("written");
    let settings =
        json!({ "api_key": "abc", "api_secret": { "file": "secret" }, "from": "Example", "api_url": server.url() });
    let mut owned = setup(folder, &settings);
    owned.timeout = Duration::from_millis(400);
    (KIND.make)(&owned.setup()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

#[tokio::test]
async fn a_text_goes_out_in_the_alphabet_it_needs() {
    let folder = tempfile::tempdir().expect("a folder");
    let answer = r#"{"message-count":"1","messages":[{"to":"14155550199","message-id":"0A-1","status":"0"}]}"#;
    for (text, kind, encoded) in
        [("Code {1}€", "text", "Code%20%7B1%7D%E2%82%AC"), ("Код 1", "unicode", "%D0%9A%D0%BE%D0%B4%201")]
    {
        let server = Server::saying("200 OK", "", answer).await;
        let message = Message { text: Secret::new(text.as_bytes()), ..message(Channel::Sms) };
        let sent = vonage(folder.path(), &server).deliver_message(&message).await;
        assert_eq!(sent, Ok(Sent { id: "0A-1".to_owned() }));
        let request = server.seen().concat();
        assert!(request.starts_with("POST /sms/json HTTP/1.1"), "{request}");
        let body = format!(
            "api_key=abc&api_secret=canary-secret&from=Example&to=14155550199&type={kind}&text={encoded}&client-ref=key-1"
        );
        assert!(request.ends_with(&body), "{request}");
    }
}

#[tokio::test]
async fn an_error_in_a_good_answer_is_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let one = |status: &str| format!(r#"{{"messages":[{{"status":"{status}","error-text":"to 14155550199 Bad"}}]}}"#);
    let mixed = r#"{"messages":[{"status":"0","message-id":"1"},{"status":"9"}]}"#.to_owned();
    let again = What::NotDelivered { retry_after: None };
    for (body, what, told) in [
        (one("1"), again, "it answered with status 1 (throttled)"),
        (one("5"), again, "it answered with status 5 (an error of theirs)"),
        (one("3"), What::Refused, "it answered with status 3 (a parameter is invalid, such as the number)"),
        (one("4"), What::Refused, "it answered with status 4 (key or secret are wrong)"),
        (one("9"), What::Refused, "it answered with status 9 (there is no credit left)"),
        (one("77"), What::Refused, "it answered with status 77 (see their list)"),
        (mixed, What::MaybeDelivered, "it answered with status 9 (there is no credit left)"),
        (r#"{"messages":[]}"#.to_owned(), What::MaybeDelivered, "it answered 200, and what it says cannot be read"),
    ] {
        let server = Server::saying("200 OK", "", &body).await;
        let trouble = vonage(folder.path(), &server).deliver_message(&message(Channel::Sms)).await.expect_err(&body);
        assert_eq!((trouble.what, trouble.message.as_str()), (what, told));
    }
    sends_as_all_do(|server| vonage(folder.path(), server)).await;
}

#[tokio::test]
async fn it_makes_no_calls() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("200 OK", "", "{}").await;
    let trouble = vonage(folder.path(), &server).deliver_message(&message(Channel::Voice)).await.expect_err("no calls");
    assert_eq!((trouble.what, trouble.message.as_str()), (What::Refused, "it sends texts and makes no calls"));
    assert!(server.seen().is_empty());
}
