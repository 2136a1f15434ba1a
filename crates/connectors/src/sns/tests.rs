//! What Amazon SNS gets, and what its answers mean.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::tests::{Server, message, sends_as_all_do, setup};
use hookgate_model::message::Channel;

fn settings(server: &Server) -> Value {
    json!({
        "region": "eu-west-1", "access_key_id": "AKIDEXAMPLE", "secret_access_key": { "file": "key" },
        "sender_id": "Example", "api_url": server.url(),
    })
}

fn sns(folder: &Path, settings: &Value) -> Box<dyn Connector> {
    fs::write(folder.join("key"), "canary-key\n").expect("written");
    fs::write(folder.join("session"), "canary-session\n").expect("written");
    let mut owned = setup(folder, settings);
    owned.timeout = Duration::from_millis(400);
    (KIND.make)(&owned.setup()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

#[tokio::test]
async fn a_text_goes_out_signed() {
    let folder = tempfile::tempdir().expect("a folder");
    let answer =
        "<PublishResponse><PublishResult><MessageId>94f20ce6-13c5</MessageId></PublishResult></PublishResponse>";
    let server = Server::saying("200 OK", "Content-Type: text/xml\r\n", answer).await;
    let mut settings = settings(&server);
    settings["session_token"] = json!({ "file": "session" });
    let connector = sns(folder.path(), &settings);
    assert_eq!(connector.deliver_message(&message(Channel::Sms)).await, Ok(Sent { id: "94f20ce6-13c5".to_owned() }));
    assert_eq!(connector.secrets().len(), 2);
    let request = server.seen().concat();
    let (head, body) = request.split_once("\r\n\r\n").expect("a head");
    let signed = "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=";
    assert!(head.starts_with("POST / HTTP/1.1") && head.contains(signed), "{head}");
    assert!(head.contains("/eu-west-1/sns/aws4_request") && !head.contains("canary-key"), "{head}");
    let fields: Vec<_> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let value = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    assert_eq!(value("Action"), Some("Publish"));
    assert_eq!(value("PhoneNumber"), Some("+14155550199"));
    assert_eq!(value("Message"), Some("Your code is 907 441 & more"));
    assert_eq!(value("MessageAttributes.entry.1.Value.StringValue"), Some("Transactional"));
    assert_eq!(value("MessageAttributes.entry.2.Value.StringValue"), Some("Example"));

    // The same signature from what was sent: the headers that are signed are those that go out.
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}: ")));
        line.expect(name)[name.len() + 2..].to_owned()
    };
    let names = ["content-type", "host", "x-amz-date", "x-amz-security-token"];
    let values: Vec<String> = names.iter().map(|name| header(name)).collect();
    let headers: Vec<(&str, &str)> = names.iter().copied().zip(values.iter().map(String::as_str)).collect();
    let scope = Scope { region: "eu-west-1", service: "sns", date: &values[2] };
    let signed = Signed { method: "POST", path: "/", headers: &headers, body: body.as_bytes() };
    assert_eq!(header("authorization"), signature::authorization("AKIDEXAMPLE", "canary-key", &scope, &signed));
}

#[tokio::test]
async fn each_answer_has_its_meaning() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = |code: &str| {
        format!("<ErrorResponse><Error><Code>{code}</Code><Message>+14155550199</Message></Error></ErrorResponse>")
    };
    for (status, code, what, told) in [
        ("400 Bad Request", "Throttling", What::NotDelivered { retry_after: None }, "it answered 400 (Throttling)"),
        ("400 Bad Request", "InvalidParameter", What::Refused, "it answered 400 (InvalidParameter)"),
        ("403 Forbidden", "SignatureDoesNotMatch", What::Refused, "it answered 403 (SignatureDoesNotMatch)"),
        ("500 Oops", "InternalError", What::NotDelivered { retry_after: None }, "it answered 500 (InternalError)"),
    ] {
        let server = Server::saying(status, "", &error(code)).await;
        let trouble = sns(folder.path(), &settings(&server)).deliver_message(&message(Channel::Sms)).await;
        let trouble = trouble.expect_err(code);
        assert_eq!((trouble.what, trouble.message.as_str()), (what, told));
    }
    let server = Server::saying("200 OK", "", "").await;
    let trouble = sns(folder.path(), &settings(&server)).deliver_message(&message(Channel::Voice)).await;
    assert_eq!(trouble.expect_err("no calls").what, What::Refused);
    sends_as_all_do(|server| sns(folder.path(), &settings(server))).await;
}

#[test]
fn each_region_has_its_address() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("key"), "canary-key").expect("written");
    for (region, host) in
        [("eu-west-1", "sns.eu-west-1.amazonaws.com"), ("cn-north-1", "sns.cn-north-1.amazonaws.com.cn")]
    {
        let settings = json!({ "region": region, "access_key_id": "A", "secret_access_key": { "file": "key" } });
        let made = Sns::new(&setup(folder.path(), &settings).setup()).unwrap_or_else(|problems| panic!("{problems:?}"));
        assert_eq!(made.api.host_str(), Some(host));
    }
}
