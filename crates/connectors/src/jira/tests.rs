//! What Jira gets, what its answers mean, and that a doubtful try looks first.

use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::What;
use crate::tests::{Server, Then, made, order, response, setup, try_made};

const JSON: &str = "Content-Type: application/json\r\n";
const CREATED: &str = "{\"id\":\"10042\",\"key\":\"SEC-42\",\"self\":\"https://example/rest/api/3/issue/10042\"}";

fn cloud(folder: &Path, server: &Server) -> Box<dyn Connector> {
    fs::write(folder.join("token"), "canary-7f3a\n").expect("written");
    let settings = json!({
        "base_url": server.url(), "email": "gw@example.com", "api_token": { "file": "token" },
        "project": "SEC", "labels": ["okta"], "priority": "High",
    });
    made(&KIND, folder, &settings)
}

fn on_premises(folder: &Path, server: &Server) -> Box<dyn Connector> {
    fs::write(folder.join("token"), "canary-7f3a").expect("written");
    let base = format!("{}/jira", server.url());
    made(
        &KIND,
        folder,
        &json!({ "base_url": base, "token": { "file": "token" }, "project": "IAM", "issue_type": "Bug" }),
    )
}

fn notify(message: Value) -> Task {
    Task::Notify { message }
}

fn paragraph(text: &str) -> Value {
    json!({ "type": "paragraph", "content": [{ "type": "text", "text": text }] })
}

fn created() -> Then {
    Then::Say(response("201 Created", JSON, CREATED))
}

fn found(issues: &Value) -> Then {
    Then::Say(response("200 OK", JSON, &json!({ "issues": issues, "isLast": true }).to_string()))
}

async fn sent(order: &Order, make: fn(&Path, &Server) -> Box<dyn Connector>) -> (String, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::new([created()]).await;
    let done = make(folder.path(), &server).perform(order).await.expect("done");
    assert_eq!(done, Done { status: Some(201), note: "SEC-42".to_owned() });
    server.only()
}

/// Starts of requests, and their bodies.
fn asked(server: &Server) -> Vec<(String, Value)> {
    let split = |request: &String| {
        let (head, body) = request.split_once("\r\n\r\n").expect("a head");
        (head.lines().next().unwrap_or_default().to_owned(), serde_json::from_str(body).unwrap_or_default())
    };
    server.seen().iter().map(split).collect()
}

#[tokio::test]
async fn a_text_becomes_an_issue_of_the_cloud() {
    let hostile = "\n New <b>admin</b>\t[~ann]\u{0} \nmailto [x|https://evil.example] {html}\n\n@ann h1. *x*";
    let (head, body) = sent(&order(notify(json!(hostile))), cloud).await;
    assert!(head.starts_with("POST /rest/api/3/issue HTTP/1.1"), "{head}");
    let basic = STANDARD.encode("gw@example.com:canary-7f3a");
    assert!(head.contains(&format!("authorization: Basic {basic}")), "{head}");
    let content = [
        paragraph("New <b>admin</b>\t[~ann] "),
        paragraph("mailto [x|https://evil.example] {html}"),
        json!({ "type": "paragraph" }),
        paragraph("@ann h1. *x*"),
    ];
    let fields = json!({
        "project": { "key": "SEC" },
        "issuetype": { "name": "Task" },
        "labels": ["okta", "hook-key-1"],
        "priority": { "name": "High" },
        "summary": "New <b>admin</b> [~ann]",
        "description": { "type": "doc", "version": 1, "content": content },
    });
    assert_eq!(body, json!({ "fields": fields }));
}

#[tokio::test]
async fn a_text_becomes_an_issue_of_a_server() {
    let (head, body) = sent(&order(notify(json!("Ann\\|x\n[~ann] [a|https://evil] {html}!pic!"))), on_premises).await;
    assert!(head.starts_with("POST /jira/rest/api/2/issue HTTP/1.1"), "{head}");
    assert!(head.contains("authorization: Bearer canary-7f3a"), "{head}");
    let fields = json!({
        "project": { "key": "IAM" },
        "issuetype": { "name": "Bug" },
        "labels": ["hook-key-1"],
        "summary": "Ann\\|x",
        "description": "Ann&#92;\\|x\n\\[~ann\\] \\[a\\|https://evil\\] \\{html\\}\\!pic\\!",
    });
    assert_eq!(body, json!({ "fields": fields }));
}

#[tokio::test]
async fn a_map_holds_fields_over_the_defaults() {
    let message = json!({
        "summary": "x\ny", "description": "a\nb", "priority": "Low", "issuetype": "Bug", "project": { "id": "7" },
        "labels": ["a", "b"], "customfield_1": [1], "environment": "prod",
    });
    let (_, body) = sent(&order(notify(message.clone())), cloud).await;
    let expected = json!({
        "project": { "id": "7" }, "issuetype": { "name": "Bug" }, "labels": ["a", "b", "hook-key-1"],
        "priority": { "name": "Low" }, "summary": "x",
        "description": { "type": "doc", "version": 1, "content": [paragraph("a"), paragraph("b")] },
        "customfield_1": [1], "environment": "prod",
    });
    assert_eq!(body["fields"], expected);
    let (_, body) = sent(&order(notify(message)), on_premises).await;
    assert_eq!(
        (&body["fields"]["description"], &body["fields"]["labels"]),
        (&json!("a\nb"), &json!(["a", "b", "hook-key-1"]))
    );
    let document = json!({ "type": "doc", "version": 1, "content": [] });
    let (_, body) = sent(&order(notify(json!({ "summary": "x", "description": document }))), cloud).await;
    assert_eq!(body["fields"]["description"], document);
}

#[tokio::test]
async fn a_long_text_is_cut_and_a_digest_says_how_many() {
    let (_, body) = sent(&order(notify(json!("\u{1f600}".repeat(30_000)))), cloud).await;
    let length = |value: &Value| value.as_str().map(|text| text.chars().count());
    assert_eq!(length(&body["fields"]["summary"]), Some(255));
    assert_eq!(length(&body["fields"]["description"]["content"][0]["content"][0]["text"]), Some(20_000));
    let mut many = order(notify(json!({ "summary": "first" })));
    many.gathered = vec![Action::new("x", notify(json!("second")))];
    many.gathered_count = 1;
    let (_, body) = sent(&many, on_premises).await;
    assert_eq!(body["fields"]["summary"], "2 notifications:");
    assert_eq!(body["fields"]["description"], "2 notifications:\n- first\n- second");
}

#[tokio::test]
async fn a_doubtful_try_looks_first_and_files_only_what_is_not_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut order = order(notify(json!("x")));
    order.doubt = true;
    let search = json!({ "jql": "labels = \"hook-key-1\"", "fields": ["key"], "maxResults": 1 });
    for (make, path) in [
        (cloud as fn(&Path, &Server) -> Box<dyn Connector>, "POST /rest/api/3/search/jql HTTP/1.1"),
        (on_premises, "POST /jira/rest/api/2/search HTTP/1.1"),
    ] {
        let server = Server::new([found(&json!([{ "id": "1", "key": "SEC-7" }]))]).await;
        let done = make(folder.path(), &server).perform(&order).await.expect("done");
        assert_eq!(done.note, "SEC-7: an earlier try has filed it");
        assert_eq!(asked(&server), [(path.to_owned(), search.clone())]);
        let server = Server::new([found(&json!([])), created()]).await;
        let done = make(folder.path(), &server).perform(&order).await.expect("done");
        assert_eq!(done.note, "SEC-42");
        let asked = asked(&server);
        assert_eq!((asked.len(), &asked[0].1, &asked[1].1["fields"]["summary"]), (2, &search, &json!("x")));
    }
}

#[tokio::test]
async fn a_search_that_fails_files_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let again = What::NotDelivered { retry_after: None };
    let later = What::NotDelivered { retry_after: Some(Duration::from_secs(9)) };
    for (then, what) in [
        (Then::Say(response("429 Too Many", "Retry-After: 9\r\n", "")), later),
        (Then::Say(response("503 Busy", "", "")), again),
        (Then::Say(response("400 Bad Request", JSON, "{\"errorMessages\":[\"no canary-7f3a\"]}")), What::Refused),
        (Then::Say(response("403 Forbidden", "", "")), What::Refused),
        (Then::Say(response("200 OK", "", "<html>login</html>")), again),
        (Then::Say(response("200 OK", JSON, "{\"issues\":7}")), again),
        (Then::Close, again),
    ] {
        let server = Server::new([then]).await;
        let mut order = order(notify(json!("x")));
        order.doubt = true;
        let trouble = cloud(folder.path(), &server).perform(&order).await.expect_err("no search");
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
    let field = "{\"errorMessages\":[],\"errors\":{\"labels\":\"Field 'labels' cannot be set.\"}}";
    let again = What::NotDelivered { retry_after: None };
    let later = What::NotDelivered { retry_after: Some(Duration::from_secs(30)) };
    for (status, headers, body, what) in [
        ("400 Bad Request", JSON, field, What::Refused),
        ("401 Unauthorized", "", "", What::Refused),
        ("403 Forbidden", "", "", What::Refused),
        ("404 Not Found", JSON, "{\"errorMessages\":[\"No project\"]}", What::Refused),
        ("302 Found", "Location: https://id.example/login\r\n", "", What::Refused),
        ("429 Too Many Requests", "Retry-After: 30\r\n", "", later),
        ("500 Oops", "", "", again),
        ("503 Busy", "", "<html>", again),
        ("200 OK", "Content-Type: text/html\r\n", "<html>Log in</html>", What::MaybeDelivered),
        ("200 OK", JSON, "{}", What::MaybeDelivered),
        ("204 No Content", "", "", What::MaybeDelivered),
    ] {
        let server = Server::saying(status, headers, body).await;
        let trouble = cloud(folder.path(), &server).perform(&order(notify(json!("x")))).await.expect_err(status);
        assert_eq!((trouble.what, trouble.status), (what, status[..3].parse().ok()), "{}", trouble.message);
        assert!(body != field || trouble.message.contains("Field 'labels' cannot be set."), "{}", trouble.message);
    }
    let server = Server::saying("201 Created", "", "garbage").await;
    assert!(cloud(folder.path(), &server).perform(&order(notify(json!("x")))).await.is_ok());
    let server = Server::saying("200 OK", JSON, CREATED).await;
    let done = cloud(folder.path(), &server).perform(&order(notify(json!("x")))).await.expect("done");
    assert_eq!(done.note, "SEC-42");
}

#[tokio::test]
async fn without_an_answer_nobody_knows() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("token"), "canary-7f3a").expect("written");
    for then in [Then::Silence, Then::Close] {
        let server = Server::new([then]).await;
        let settings = json!({ "base_url": server.url(), "token": { "file": "token" }, "project": "X" });
        let mut owned = setup(folder.path(), &settings);
        owned.timeout = Duration::from_secs(2);
        let jira = (KIND.make)(&owned.setup()).expect("good settings");
        let trouble = jira.perform(&order(notify(json!("x")))).await.expect_err("no answer");
        assert_eq!(trouble.what, What::MaybeDelivered);
    }
}

#[tokio::test]
async fn the_token_is_never_told_and_rotates_with_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let basic = STANDARD.encode("gw@example.com:canary-7f3a");
    let server = Server::saying("401 Unauthorized", "", &format!("not {basic}, canary-7f3a")).await;
    let jira = cloud(folder.path(), &server);
    let trouble = jira.perform(&order(notify(json!("x")))).await.expect_err("refused");
    assert_eq!(trouble.message, "it answered 401: not ***, ***");
    fs::write(folder.path().join("token"), "fresh").expect("written");
    jira.secrets().iter().for_each(|ring| assert_eq!(ring.reload().changed.len(), 1));
    jira.perform(&order(notify(json!("x")))).await.expect_err("refused");
    let last = server.seen().pop().expect("a request");
    assert!(last.contains(&STANDARD.encode("gw@example.com:fresh")) && !last.contains(&basic), "{last}");
    fs::write(folder.path().join("token"), "canary\nline").expect("written");
    let server = on_premises(folder.path(), &server);
    fs::write(folder.path().join("token"), "canary\nline").expect("written");
    server.secrets().iter().for_each(|ring| drop(ring.reload()));
    let trouble = server.perform(&order(notify(json!("x")))).await.expect_err("no header");
    assert!(trouble.what == What::Refused && !trouble.message.contains("canary"), "{}", trouble.message);
}

#[tokio::test]
async fn what_jira_cannot_do_is_said_before_anything_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::new([created()]).await;
    let jira = cloud(folder.path(), &server);
    let check = |task| jira.check(&Action::new("tickets", task));
    for (message, told) in [
        (json!("\n \u{0}"), "the text is empty"),
        (json!([]), "a message is a text or a map"),
        (json!({}), "`summary` is missing"),
        (json!({ "summary": "\n" }), "`summary` is a text, and not an empty one"),
        (json!({ "summary": 7 }), "`summary` is a text"),
        (json!({ "fields": { "summary": "x" } }), "without `fields` around them"),
        (json!({ "summary": "x", "issue_type": "Bug" }), "is `issuetype`"),
        (json!({ "summary": "x", "labels": "a" }), "`labels` is a list"),
        (json!({ "summary": "x", "labels": [7] }), "`labels` is a list"),
        (json!({ "summary": "x", "description": 7 }), "`description` is a text, or a document"),
        (json!({ "summary": "x", "description": { "type": "paragraph" } }), "or a document"),
    ] {
        let problem = check(notify(message)).expect_err(told);
        assert!(problem.contains(told), "{problem}");
    }
    let document = notify(json!({ "summary": "x", "description": { "type": "doc" } }));
    assert!(check(document.clone()).is_ok());
    let server = on_premises(folder.path(), &server);
    assert!(server.check(&Action::new("tickets", document)).expect_err("no documents").contains("is a text"));
    assert!(check(Task::Forward).expect_err("no events").contains("takes `notify`"));
}

#[test]
fn wrong_settings_are_said_with_their_key() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("s"), "canary").expect("written");
    let secret = json!({ "file": "s" });
    let base = "https://jira.example";
    for (settings, keys) in [
        (json!({ "base_url": base, "project": "X" }), vec!["api_token"]),
        (json!({ "base_url": base, "project": "X", "email": "a@b.example" }), vec!["api_token"]),
        (json!({ "base_url": base, "project": "X", "email": "a@b.example", "token": secret }), vec!["api_token"]),
        (json!({ "base_url": base, "project": "X", "api_token": secret }), vec!["email"]),
        (
            json!({ "base_url": base, "project": "X", "email": "a@b.example", "api_token": secret, "token": secret }),
            vec!["token"],
        ),
        (json!({ "base_url": "https://jira.example/rest/api/3", "project": "X", "token": secret }), vec!["base_url"]),
        (json!({ "base_url": "https://jira.example?a=b", "project": "X", "token": secret }), vec!["base_url"]),
        (
            json!({ "base_url": "jira", "project": "X", "labels": ["a", "b c"], "token": { "file": "missing" } }),
            vec!["base_url", "labels[1]", "token"],
        ),
    ] {
        let problems = try_made(&KIND, folder.path(), &settings).map(|_| ()).expect_err("wrong settings");
        assert_eq!(problems.iter().map(|problem| problem.key.as_str()).collect::<Vec<_>>(), keys, "{settings}");
    }
    let clear = json!({ "base_url": "http://jira.example", "project": "X", "token": secret });
    let mut owned = setup(folder.path(), &clear);
    owned.allow_private = false;
    assert!((KIND.make)(&owned.setup()).map(|_| ()).expect_err("in the clear")[0].message.contains("in the clear"));
}
