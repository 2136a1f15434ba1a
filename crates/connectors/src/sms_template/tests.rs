//! What a provider gets that the settings describe, and what its answers mean.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::tests::{Server, message, sends_as_all_do, setup, try_made};
use hookgate_model::secret::Secret;

fn made(folder: &Path, settings: &Value) -> Box<dyn Connector> {
    fs::write(folder.join("key"), "canary-key\n").expect("written");
    let mut owned = setup(folder, settings);
    owned.timeout = Duration::from_millis(400);
    (KIND.make)(&owned.setup()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn json_settings(server: &Server) -> Value {
    json!({
        "base_url": server.url(), "path": "/v1/messages?x=1", "auth": { "bearer": { "file": "key" } },
        "headers": { "x-tenant": "7" }, "id": "result.0.id",
        "success": { "field": "result.ok", "equals": true },
        "json": { "to": ["{to}"], "text": "a {text} b", "ref": "{key}", "via": "{channel}", "n": 1, "{to}": { "x": null } },
    })
}

#[tokio::test]
async fn a_body_of_json_cannot_be_broken_out_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("200 OK", "", r#"{"result":[{"id":77}]}"#).await;
    let mut settings = json_settings(&server);
    settings.as_object_mut().expect("a map").remove("success");
    let message = Message { text: Secret::new(*b"\"},{\"a\":\"\\{code} {to}\n"), ..message(Channel::Sms) };
    assert_eq!(made(folder.path(), &settings).deliver_message(&message).await, Ok(Sent { id: "77".to_owned() }));
    let (head, body) = server.only();
    assert!(head.starts_with("POST /v1/messages?x=1 HTTP/1.1") && head.contains("x-tenant: 7"), "{head}");
    assert!(
        head.contains("authorization: Bearer canary-key") && head.contains("content-type: application/json"),
        "{head}"
    );
    // What stands in the text is not replaced again, and names of members are not places.
    let text = "a \"},{\"a\":\"\\{code} {to}\n b";
    let expected = json!({
        "to": ["+14155550199"], "text": text, "ref": "key-1", "via": "sms", "n": 1, "{to}": { "x": null },
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_body_of_a_form_is_encoded() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("200 OK", "", "sent").await;
    let settings = json!({
        "base_url": server.url(), "method": "put", "channels": ["sms", "voice"],
        "form": { "number": "{digits}", "say": "Code {spoken} {x {} & {code}" },
    });
    let sent = made(folder.path(), &settings).deliver_message(&message(Channel::Voice)).await;
    assert_eq!(sent, Ok(Sent { id: "none".to_owned() }));
    let request = server.seen().concat();
    assert!(request.starts_with("PUT / HTTP/1.1"), "{request}");
    let body = "number=14155550199&say=Code%209%2C%200%2C%207%2C%204%2C%204%2C%201%20%7Bx%20%7B%7D%20%26%20907441";
    assert!(request.ends_with(body), "{request}");
}

#[tokio::test]
async fn each_answer_has_its_meaning() {
    let folder = tempfile::tempdir().expect("a folder");
    for (body, what, told) in [
        (r#"{"result":{"ok":false},"e":"907441"}"#, What::Refused, "it answered 200 without `result.ok` being true"),
        (r#"{"e":"907441"}"#, What::Refused, "it answered 200 without `result.ok` being true"),
        (r#"{"result":{"ok":true}}"#, What::MaybeDelivered, "it answered 200, and what it says cannot be read"),
        ("<html>", What::MaybeDelivered, "it answered 200, and what it says cannot be read"),
    ] {
        let server = Server::saying("200 OK", "", body).await;
        let connector = made(folder.path(), &json_settings(&server));
        let trouble = connector.deliver_message(&message(Channel::Sms)).await.expect_err(body);
        assert_eq!((trouble.what, trouble.message.as_str()), (what, told));
        let trouble = connector.deliver_message(&message(Channel::Voice)).await.expect_err("no calls");
        assert_eq!((trouble.what, trouble.message.as_str()), (What::Refused, "its `channels` do not have `voice`"));
    }
    sends_as_all_do(|server| made(folder.path(), &json_settings(server))).await;
}

#[test]
fn templates_that_cannot_work_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for (settings, expected) in [
        (json!({}), "json: one of `json` and `form` says what is sent"),
        (json!({ "json": {}, "form": {} }), "json: one of `json` and `form` says what is sent"),
        (
            json!({ "json": { "text": "{text}" } }),
            "json: does not say to whom: it needs `{to}`, or `{digits}` without the `+`",
        ),
        (
            json!({ "form": { "to": "{to}" } }),
            "form: does not hold the code: it needs `{text}`, `{code}` or `{spoken}`",
        ),
        (
            json!({ "form": { "to": "{to}", "text": "{message}" } }),
            "form: `{message}` is none of {to}, {digits}, {text}, {code}, {spoken}, {channel}, {key}",
        ),
    ] {
        let mut all = json!({ "base_url": "http://127.0.0.1:1" });
        all.as_object_mut().expect("a map").extend(settings.as_object().cloned().unwrap_or_default());
        let problems = try_made(&KIND, folder.path(), &all).err().expect(expected);
        assert_eq!(format!("{}: {}", problems[0].key, problems[0].message), expected);
    }
}
