//! What ServiceNow gets, what its answers mean, and that a doubtful try looks first.

use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::tests::{Server, Then, made, order, response, setup, try_made};

const JSON: &str = "Content-Type: application/json\r\n";
const CREATED: &str = "{\"result\":{\"number\":\"INC0010042\",\"sys_id\":\"0a1b\"}}";

fn settings(server: &Server) -> Value {
    json!({
        "base_url": server.url(), "user": "hook", "password": { "file": "password" },
        "fields": { "urgency": "2", "category": "security" },
    })
}

fn desk(folder: &Path, server: &Server) -> Box<dyn Connector> {
    fs::write(folder.join("password"), "canary-7f3a\n").expect("written");
    made(&KIND, folder, &settings(server))
}

fn notify(message: Value) -> Task {
    Task::Notify { message }
}

fn created() -> Then {
    Then::Say(response("201 Created", JSON, CREATED))
}

fn found(records: &Value) -> Then {
    Then::Say(response("200 OK", JSON, &json!({ "result": records }).to_string()))
}

async fn sent(order: &Order) -> (String, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::new([created()]).await;
    let done = desk(folder.path(), &server).perform(order).await.expect("done");
    assert_eq!(done, Done { status: Some(201), note: "INC0010042".to_owned() });
    server.only()
}

#[tokio::test]
async fn a_text_becomes_an_incident() {
    let hostile = "New [code]<script>\u{0}\n^ORactive=true\r\n\"end\"";
    let (head, body) = sent(&order(notify(json!(hostile)))).await;
    let line = "POST /api/now/table/incident?sysparm_fields=number%2Csys_id HTTP/1.1";
    assert_eq!(head.lines().next(), Some(line));
    let basic = STANDARD.encode("hook:canary-7f3a");
    assert!(head.contains(&format!("authorization: Basic {basic}")), "{head}");
    assert!(head.contains("accept: application/json"), "{head}");
    let expected = json!({
        "urgency": "2",
        "category": "security",
        "short_description": "New [code]<script>",
        "description": "New [code]<script>\n^ORactive=true\n\"end\"",
        "correlation_id": "key-1",
        "correlation_display": "hookgate",
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_map_holds_fields_over_the_defaults() {
    let long = format!("\n{}\nmore", "\u{1f600}".repeat(200));
    let message = json!({ "short_description": long, "urgency": 1, "u_vip": true, "caller_id": "ann" });
    let (_, body) = sent(&order(notify(message))).await;
    let expected = json!({
        "urgency": 1, "category": "security", "u_vip": true, "caller_id": "ann",
        "short_description": format!("{}…", "\u{1f600}".repeat(159)),
        "correlation_id": "key-1", "correlation_display": "hookgate",
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_digest_says_how_many() {
    let mut many = order(notify(json!("first\nline")));
    many.gathered = vec![Action::new("x", notify(json!({ "short_description": "second", "urgency": 1 })))];
    many.gathered_count = 1;
    let (_, body) = sent(&many).await;
    assert_eq!(body["short_description"], "2 notifications:");
    assert_eq!(body["description"], "2 notifications:\n- first line\n- second");
}

#[tokio::test]
async fn another_table_and_names_for_people_are_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("password"), "canary-7f3a").expect("written");
    let server = Server::new([created()]).await;
    let mut settings = settings(&server);
    settings["table"] = json!("sn_si_incident");
    settings["display_values"] = json!(true);
    made(&KIND, folder.path(), &settings).perform(&order(notify(json!("x")))).await.expect("done");
    let line =
        "POST /api/now/table/sn_si_incident?sysparm_fields=number%2Csys_id&sysparm_input_display_value=true HTTP/1.1";
    assert_eq!(server.only().0.lines().next(), Some(line));
}

#[tokio::test]
async fn a_doubtful_try_looks_first_and_files_only_what_is_not_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut order = order(notify(json!("x")));
    order.doubt = true;
    let ours = json!([{ "number": "INC7", "sys_id": "1", "correlation_id": "key-1" }]);
    let server = Server::new([found(&ours)]).await;
    let done = desk(folder.path(), &server).perform(&order).await.expect("done");
    assert_eq!(done.note, "INC7: an earlier try has filed it");
    let (head, _) = server.only();
    let line = "GET /api/now/table/incident?sysparm_query=correlation_id%3Dkey-1\
        &sysparm_fields=number%2Csys_id%2Ccorrelation_id&sysparm_limit=1 HTTP/1.1";
    assert_eq!(head.lines().next(), Some(line));
    // The second is what an instance answers that has dropped the condition: any record.
    for others in [json!([]), json!([{ "number": "INC1", "sys_id": "9", "correlation_id": "" }])] {
        let server = Server::new([found(&others), created()]).await;
        let done = desk(folder.path(), &server).perform(&order).await.expect("done");
        assert_eq!((done.note.as_str(), server.seen().len()), ("INC0010042", 2), "{others}");
    }
}

#[tokio::test]
async fn a_look_that_fails_files_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let again = What::NotDelivered { retry_after: None };
    let later = What::NotDelivered { retry_after: Some(Duration::from_secs(9)) };
    for (then, what) in [
        (Then::Say(response("429 Too Many", "Retry-After: 9\r\n", "")), later),
        (Then::Say(response("502 Bad", "", "")), again),
        (Then::Say(response("401 Unauthorized", JSON, "{\"error\":{\"message\":\"not canary-7f3a\"}}")), What::Refused),
        (Then::Say(response("200 OK", "", "<html>Your instance is hibernating</html>")), again),
        (Then::Say(response("200 OK", JSON, "{\"result\":{}}")), again),
        (Then::Close, again),
    ] {
        let server = Server::new([then]).await;
        let mut order = order(notify(json!("x")));
        order.doubt = true;
        let trouble = desk(folder.path(), &server).perform(&order).await.expect_err("no look");
        assert_eq!(trouble.what, what, "{}", trouble.message);
        assert!(
            trouble.message.starts_with("whether an earlier try has filed it cannot be seen: "),
            "{}",
            trouble.message
        );
        assert!(!trouble.message.contains("canary") && server.seen().len() == 1, "{}", trouble.message);
    }
}

#[tokio::test]
async fn each_answer_has_its_meaning() {
    let folder = tempfile::tempdir().expect("a folder");
    let failure = "{\"error\":{\"message\":\"Operation Failed\",\"detail\":\"ACL\"},\"status\":\"failure\"}";
    let again = What::NotDelivered { retry_after: None };
    let later = What::NotDelivered { retry_after: Some(Duration::from_secs(30)) };
    for (status, headers, body, what) in [
        ("400 Bad Request", JSON, failure, What::Refused),
        ("401 Unauthorized", JSON, failure, What::Refused),
        ("403 Forbidden", JSON, failure, What::Refused),
        ("404 Not Found", JSON, failure, What::Refused),
        ("302 Found", "Location: https://sso.example\r\n", "", What::Refused),
        ("200 OK", JSON, failure, What::Refused),
        ("201 Created", JSON, failure, What::Refused),
        ("429 Too Many Requests", "Retry-After: 30\r\n", "", later),
        ("500 Oops", "", "", again),
        ("503 Busy", "", "<html>", again),
        ("200 OK", "Content-Type: text/html\r\n", "<html>Your instance is hibernating</html>", What::MaybeDelivered),
        ("200 OK", JSON, "{\"result\":{\"number\":\"\"}}", What::MaybeDelivered),
    ] {
        let server = Server::saying(status, headers, body).await;
        let trouble = desk(folder.path(), &server).perform(&order(notify(json!("x")))).await.expect_err(status);
        assert_eq!((trouble.what, trouble.status), (what, status[..3].parse().ok()), "{}", trouble.message);
        assert!(body != failure || trouble.message.contains("Operation Failed"), "{}", trouble.message);
    }
    let server = Server::saying("201 Created", "", "garbage").await;
    assert!(desk(folder.path(), &server).perform(&order(notify(json!("x")))).await.is_ok());
}

#[tokio::test]
async fn without_an_answer_nobody_knows() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("password"), "canary-7f3a").expect("written");
    for then in [Then::Silence, Then::Close] {
        let server = Server::new([then]).await;
        let mut owned = setup(folder.path(), &settings(&server));
        owned.timeout = Duration::from_secs(2);
        let desk = (KIND.make)(&owned.setup()).expect("good settings");
        let trouble = desk.perform(&order(notify(json!("x")))).await.expect_err("no answer");
        assert_eq!(trouble.what, What::MaybeDelivered);
    }
}

#[tokio::test]
async fn the_password_is_never_told_and_rotates_with_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let basic = STANDARD.encode("hook:canary-7f3a");
    let server = Server::saying("401 Unauthorized", "", &format!("not {basic}, canary-7f3a")).await;
    let desk = desk(folder.path(), &server);
    let trouble = desk.perform(&order(notify(json!("x")))).await.expect_err("refused");
    assert_eq!(trouble.message, "it answered 401: not ***, ***");
    fs::write(folder.path().join("password"), "fresh").expect("written");
    desk.secrets().iter().for_each(|ring| assert_eq!(ring.reload().changed.len(), 1));
    desk.perform(&order(notify(json!("x")))).await.expect_err("refused");
    let last = server.seen().pop().expect("a request");
    assert!(last.contains(&STANDARD.encode("hook:fresh")) && !last.contains(&basic), "{last}");
}

#[tokio::test]
async fn what_servicenow_cannot_do_is_said_before_anything_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::new([created()]).await;
    let desk = desk(folder.path(), &server);
    let check = |task| desk.check(&Action::new("tickets", task));
    for (message, told) in [
        (json!(" "), "the text is empty"),
        (json!(7), "a message is a text or a map"),
        (json!({}), "`short_description` is missing"),
        (json!({ "short_description": "\n" }), "not an empty one"),
        (json!({ "short_description": 7 }), "`short_description` is a text"),
        (json!({ "short_description": "x", "correlation_id": "y" }), "`correlation_id` is set by hookgate itself"),
        (json!({ "short_description": "x", "caller_id": { "value": "y" } }), "`caller_id` is a text, a number"),
        (json!({ "short_description": "x", "urgency": null }), "`urgency` is a text, a number"),
        (json!({ "short_description": "x", "Urgency": 1 }), "small letters"),
    ] {
        let problem = check(notify(message)).expect_err(told);
        assert!(problem.contains(told), "{problem}");
    }
    assert!(check(Task::Forward).expect_err("no events").contains("takes `notify`"));
    assert!(check(notify(json!("x"))).is_ok());
}

#[test]
fn wrong_settings_are_said_with_their_key() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("s"), "canary").expect("written");
    let of = |base: &str, more: Value| {
        let mut settings = json!({ "base_url": base, "user": "u", "password": { "file": "s" } });
        settings.as_object_mut().expect("a table").extend(more.as_object().cloned().unwrap_or_default());
        settings
    };
    let good = "https://example.service-now.com";
    for (settings, keys) in [
        (of("https://example.service-now.com/api/now", json!({})), vec!["base_url"]),
        (of("https://example.service-now.com?a=b", json!({})), vec!["base_url"]),
        (of(good, json!({ "table": "a/../b" })), vec!["table"]),
        (of(good, json!({ "user": "a:b" })), vec!["user"]),
        (
            of(good, json!({ "fields": { "correlation_id": "x", "Bad": "y" } })),
            vec!["fields.Bad", "fields.correlation_id"],
        ),
        (of("desk", json!({ "password": { "file": "missing" } })), vec!["base_url", "password"]),
    ] {
        let problems = try_made(&KIND, folder.path(), &settings).map(|_| ()).expect_err("wrong settings");
        assert_eq!(problems.iter().map(|problem| problem.key.as_str()).collect::<Vec<_>>(), keys, "{settings}");
    }
    let mut owned = setup(folder.path(), &of("http://desk.example", json!({})));
    owned.allow_private = false;
    assert!((KIND.make)(&owned.setup()).map(|_| ()).expect_err("in the clear")[0].message.contains("in the clear"));
}
