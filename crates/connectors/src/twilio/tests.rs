//! What Twilio gets, and what its answers mean.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::tests::{Server, made, message, order, sends_as_all_do, setup, try_made};

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const QUEUED: &str = r#"{"sid":"SM0123","status":"queued","error_code":null,"to":"+14155550199"}"#;

fn settings(server: &Server) -> Value {
    json!({ "account_sid": ACCOUNT, "auth_token": { "file": "token" }, "from": "+15005550006", "api_url": server.url() })
}

fn twilio(folder: &Path, settings: &Value) -> Box<dyn Connector> {
    fs::write(folder.join("token"), "canary-token\n").expect("written");
    made(&KIND, folder, settings)
}

async fn sent(settings: impl Fn(&Server) -> Value, channel: Channel) -> (Result<Sent, Trouble>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("201 Created", "", QUEUED).await;
    let result = twilio(folder.path(), &settings(&server)).deliver_message(&message(channel)).await;
    (result, server.seen().concat())
}

#[tokio::test]
async fn a_text_goes_out_as_a_form() {
    let (result, request) = sent(settings, Channel::Sms).await;
    assert_eq!(result, Ok(Sent { id: "SM0123".to_owned() }));
    let (head, body) = request.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with(&format!("POST /2010-04-01/Accounts/{ACCOUNT}/Messages.json HTTP/1.1")), "{head}");
    let proof = "authorization: Basic QUMwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjpjYW5hcnktdG9rZW4=";
    assert!(head.contains(proof) && head.contains("application/x-www-form-urlencoded"), "{head}");
    assert_eq!(body, "To=%2B14155550199&From=%2B15005550006&Body=Your%20code%20is%20907%20441%20%26%20more");
}

#[tokio::test]
async fn a_service_or_a_key_of_the_api_can_stand_for_number_and_account() {
    let service = "MG0123456789abcdef0123456789abcdef";
    let (_, request) = sent(
        |server| {
            let mut all = settings(server);
            all.as_object_mut().expect("a map").remove("from");
            all["messaging_service_sid"] = json!(service);
            all["api_key"] = json!("SK0123456789abcdef0123456789abcdef");
            all
        },
        Channel::Sms,
    )
    .await;
    assert!(request.contains(&format!("&MessagingServiceSid={service}&")) && !request.contains("From="), "{request}");
    assert!(request.contains("authorization: Basic U0swMTIz"), "{request}");
}

#[tokio::test]
async fn a_call_says_the_code_twice() {
    let (result, request) = sent(settings, Channel::Voice).await;
    let trouble = result.expect_err("no number to call from");
    assert_eq!((trouble.what, trouble.message.as_str()), (What::Refused, "it makes no calls: `voice_from` is not set"));
    assert_eq!(request, "");
    let with_voice = |server: &Server| {
        let mut all = settings(server);
        all["voice_from"] = json!("+15005550006");
        all["voice_text"] = json!("Code & <so>: {spoken}");
        all["voice_language"] = json!("de-DE");
        all
    };
    let (result, request) = sent(with_voice, Channel::Voice).await;
    assert!(
        result.is_ok() && request.starts_with(&format!("POST /2010-04-01/Accounts/{ACCOUNT}/Calls.json")),
        "{request}"
    );
    let body = request.split_once("\r\n\r\n").expect("a head").1;
    let fields: Vec<_> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let said = "<Say language=\"de-DE\">Code &amp; &lt;so&gt;: 9, 0, 7, 4, 4, 1</Say>";
    assert_eq!(fields[2], ("Twiml".to_owned(), format!("<Response>{said}<Pause length=\"1\"/>{said}</Response>")));
}

#[tokio::test]
async fn each_answer_has_its_meaning() {
    let folder = tempfile::tempdir().expect("a folder");
    for (status, body, told) in [
        (
            "400 Bad Request",
            r#"{"code":21211,"message":"The 'To' number +14155550199 is not valid"}"#,
            "it answered 400 (21211)",
        ),
        ("403 Forbidden", r#"{"code":"<21408>"}"#, "it answered 403"),
        (
            "201 Created",
            r#"{"sid":"SM1","status":"failed","error_code":30007}"#,
            "it took it and gave it up at once (30007)",
        ),
    ] {
        let server = Server::saying(status, "", body).await;
        let trouble = twilio(folder.path(), &settings(&server)).deliver_message(&message(Channel::Sms)).await;
        let trouble = trouble.expect_err(body);
        assert_eq!((trouble.what, trouble.message.as_str()), (What::Refused, told));
    }
    sends_as_all_do(|server| {
        fs::write(folder.path().join("token"), "canary-token").expect("written");
        let settings = settings(server);
        let mut owned = setup(folder.path(), &settings);
        owned.timeout = Duration::from_millis(400);
        (KIND.make)(&owned.setup()).unwrap_or_else(|problems| panic!("{problems:?}"))
    })
    .await;
}

#[tokio::test]
async fn wrong_settings_and_other_wishes_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("201 Created", "", QUEUED).await;
    let good = twilio(folder.path(), &settings(&server));
    let problem = |change: fn(&mut Value)| {
        let mut all = settings(&server);
        change(&mut all);
        let problems = try_made(&KIND, folder.path(), &all).err().expect("refused");
        format!("{}: {}", problems[0].key, problems[0].message)
    };
    assert_eq!(
        problem(|all| all["voice_text"] = json!("no code")),
        "voice_text: does not say the code: it needs `{spoken}`"
    );
    assert!(problem(|all| all["voice_text"] = json!("{cod}")).contains("`{cod}` is none of {to}"));
    assert!(problem(|all| drop(all.as_object_mut().map(|all| all.remove("from")))).contains("one of `from`"));
    let task = hookgate_model::command::Task::Forward;
    let refused = good.check(&order(task.clone()).action).expect_err("no action");
    assert_eq!(
        refused,
        "a connector of kind `twilio` sends codes, with `via(…)` in `okta.telephony`, and takes no `forward`"
    );
    assert_eq!(good.perform(&order(task)).await.expect_err("nothing").what, What::Refused);
    assert!(server.seen().is_empty() && good.secrets().len() == 1);
}
