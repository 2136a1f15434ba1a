//! What goes out, with which proof, and which settings are refused.

use std::fs;
use std::path::Path;

use super::*;
use crate::What;
use crate::tests::{Server, Then, made, order, response, try_made};
use hookgate_model::command::{Mail, Method};

fn api(folder: &Path, server: &Server, more: Value) -> Box<dyn Connector> {
    let mut settings = json!({ "base_url": format!("{}/v1", server.url()) });
    settings.as_object_mut().expect("a table").extend(more.as_object().cloned().unwrap_or_default());
    made(&KIND, folder, &settings)
}

fn request(method: Method, path: &str, body: Value) -> Task {
    Task::Request { method, path: path.to_owned(), body }
}

fn notify(message: Value) -> Task {
    Task::Notify { message }
}

async fn sent(task: Task) -> (String, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("200 OK", "", "").await;
    api(folder.path(), &server, json!({})).perform(&order(task)).await.expect("done");
    server.only()
}

#[tokio::test]
async fn every_task_is_one_request() {
    for (task, line, body) in [
        (
            request(Method::Post, "/people/7?x=1", json!({ "a": 1 })),
            "POST /v1/people/7?x=1 HTTP/1.1",
            json!({ "a": 1 }),
        ),
        (request(Method::Put, "/x", json!([1])), "PUT /v1/x HTTP/1.1", json!([1])),
        (request(Method::Patch, "/x", json!("t")), "PATCH /v1/x HTTP/1.1", json!("t")),
        (request(Method::Delete, "/x", Value::Null), "DELETE /v1/x HTTP/1.1", Value::Null),
        (notify(json!("hi")), "POST /v1 HTTP/1.1", json!({ "text": "hi" })),
        (notify(json!({ "title": "hi" })), "POST /v1 HTTP/1.1", json!({ "title": "hi" })),
        (Task::Forward, "POST /v1 HTTP/1.1", json!({ "eventId": "event-1" })),
    ] {
        let (head, found) = sent(task).await;
        assert_eq!((head.lines().next(), found), (Some(line), body));
    }
}

#[tokio::test]
async fn a_forwarded_event_is_not_changed_by_one_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("202 Accepted", "", "").await;
    let mut order = order(Task::Forward);
    order.event = Bytes::from_static(b"{ \"z\": 1.10,\n  \"a\": 12345678901234567890123 }");
    let done = api(folder.path(), &server, json!({})).perform(&order).await.expect("done");
    assert_eq!(done.status, Some(202));
    let [seen] = server.seen().try_into().expect("one request");
    assert!(seen.ends_with("\r\n\r\n{ \"z\": 1.10,\n  \"a\": 12345678901234567890123 }"), "{seen}");
}

#[tokio::test]
async fn a_digest_is_one_request_that_says_how_many() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("200 OK", "", "").await;
    let api = api(folder.path(), &server, json!({}));
    let mut bodies = order(request(Method::Post, "/x", json!({ "n": 0 })));
    bodies.gathered = (1..200).map(|n| Action::new("x", request(Method::Post, "/x", json!({ "n": n })))).collect();
    bodies.gathered_count = 250;
    api.perform(&bodies).await.expect("done");
    let (_, body) = server.only();
    assert_eq!((&body["count"], body["items"].as_array().map(Vec::len)), (&json!(251), Some(100)));
    assert_eq!(body["items"][1], json!({ "n": 1 }));
    let mut words = order(notify(json!("first")));
    words.gathered = vec![Action::new("x", notify(json!("second")))];
    words.gathered_count = 1;
    api.perform(&words).await.expect("done");
    let last = server.seen().pop().expect("a request");
    assert!(last.ends_with("{\"text\":\"2 notifications:\\n- first\\n- second\"}"), "{last}");
}

#[tokio::test]
async fn the_proof_is_presented_and_rotates_with_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    for (auth, expected) in [
        (json!({ "bearer": { "file": "secret" } }), "authorization: bearer one:two"),
        (json!({ "basic": { "file": "secret" } }), "authorization: basic b25lonr3bw=="),
        (json!({ "header": "X-Api-Key", "value": { "file": "secret" } }), "x-api-key: one:two"),
    ] {
        fs::write(folder.path().join("secret"), "one:two\n").expect("written");
        let server = Server::saying("200 OK", "", "").await;
        let api = api(folder.path(), &server, json!({ "auth": auth, "headers": { "X-Team": "blue" } }));
        api.perform(&order(Task::Forward)).await.expect("done");
        let head = server.only().0.to_lowercase();
        assert!(head.contains(expected) && head.contains("x-team: blue"), "{head}");
        fs::write(folder.path().join("secret"), "three:four\n").expect("written");
        for ring in api.secrets() {
            assert_eq!(ring.reload().changed.len(), 1);
        }
        api.perform(&order(Task::Forward)).await.expect("done");
        let last = server.seen().pop().expect("a request").to_lowercase();
        assert!(!last.contains(expected) && last.contains("x-hook-event-id"), "{last}");
    }
}

#[tokio::test]
async fn a_secret_that_comes_back_is_not_told() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("secret"), "canary-7f3a").expect("written");
    let server = Server::saying("403 Forbidden", "", "bad token canary-7f3a (Y2FuYXJ5LTdmM2E=)").await;
    let api = api(folder.path(), &server, json!({ "auth": { "bearer": { "file": "secret" } } }));
    let trouble = api.perform(&order(Task::Forward)).await.expect_err("refused");
    assert_eq!(trouble.message, "it answered 403: bad token *** (***)");
}

#[tokio::test]
async fn an_api_that_answers_200_to_errors_is_asked_what_it_means() {
    let folder = tempfile::tempdir().expect("a folder");
    let success = json!({ "success": { "field": "result.ok", "equals": true } });
    for (body, good) in [
        ("{\"result\":{\"ok\":true}}", true),
        ("{\"result\":{\"ok\":\"true\"}}", false),
        ("{\"result\":{\"ok\":false}}", false),
        ("{}", false),
        ("garbage", false),
    ] {
        let server = Server::saying("200 OK", "", body).await;
        let outcome = api(folder.path(), &server, success.clone()).perform(&order(Task::Forward)).await;
        assert_eq!(outcome.is_ok(), good, "{body}: {outcome:?}");
        assert!(outcome.is_ok() || outcome.is_err_and(|trouble| trouble.what == What::Refused));
    }
    let cut = response("200 OK", "", "{\"result\":{\"ok\":true}}").replace("Content-Length: 22", "Content-Length: 99");
    let server = Server::new([Then::Say(cut)]).await;
    let outcome = api(folder.path(), &server, success).perform(&order(Task::Forward)).await;
    assert_eq!(outcome.expect_err("nobody knows").what, What::MaybeDelivered);
    let server = Server::saying("200 OK", "", "garbage").await;
    assert!(api(folder.path(), &server, json!({})).perform(&order(Task::Forward)).await.is_ok());
}

/// Marketo answers 200 to everything, with a code in the body (#15, B10).
#[tokio::test]
async fn a_rate_limit_in_a_body_is_tried_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = json!({
        "success": { "field": "success", "equals": true },
        "retry_if": { "field": "errors[*].code", "equals": [602, 606, 607, 611, 615] },
    });
    let again = What::NotDelivered { retry_after: Some(std::time::Duration::from_secs(20)) };
    for (status, body, what) in [
        ("200 OK", r#"{"success":true,"result":[]}"#, None),
        ("200 OK", r#"{"success":false,"errors":[{"code":"606","message":"Max rate limit"}]}"#, Some(again)),
        ("200 OK", r#"{"success":false,"errors":[{"code":"1003"},{"code":"615"}]}"#, Some(again)),
        ("200 OK", r#"{"success":true,"errors":[{"code":"606"}]}"#, Some(again)),
        ("200 OK", r#"{"success":false,"errors":[{"code":"1003"}]}"#, Some(What::Refused)),
        ("400 Bad Request", r#"{"errors":[{"code":606}]}"#, Some(again)),
        ("400 Bad Request", r#"{"errors":[{"code":1003}]}"#, Some(What::Refused)),
        ("400 Bad Request", "garbage", Some(What::Refused)),
        ("503 Service Unavailable", "", Some(again)),
    ] {
        let server = Server::saying(status, "Retry-After: 20\r\n", body).await;
        let outcome = api(folder.path(), &server, settings.clone()).perform(&order(Task::Forward)).await;
        assert_eq!(outcome.as_ref().err().map(|trouble| trouble.what), what, "{status} {body}: {outcome:?}");
    }
    let only = json!({ "retry_if": { "field": "error", "equals": "busy" } });
    for (body, good) in
        [("{\"error\":\"busy\"}", false), ("{\"error\":\"wrong\"}", true), ("garbage", true), ("", true)]
    {
        let server = Server::saying("200 OK", "", body).await;
        let outcome = api(folder.path(), &server, only.clone()).perform(&order(Task::Forward)).await;
        assert_eq!(outcome.is_ok(), good, "{body}: {outcome:?}");
    }
}

#[tokio::test]
async fn what_is_gone_already_counts_as_deleted_where_the_settings_say_so() {
    let folder = tempfile::tempdir().expect("a folder");
    for (status, settings, good) in [
        ("404 Not Found", json!({ "also_done": [404, 410] }), true),
        ("410 Gone", json!({ "also_done": [404, 410] }), true),
        ("403 Forbidden", json!({ "also_done": [404, 410] }), false),
        ("404 Not Found", json!({}), false),
    ] {
        let server = Server::saying(status, "", "{}").await;
        let outcome = api(folder.path(), &server, settings).perform(&order(Task::Forward)).await;
        assert_eq!(outcome.is_ok(), good, "{status}: {outcome:?}");
    }
}

#[tokio::test]
async fn what_it_cannot_do_is_said_before_anything_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("200 OK", "", "").await;
    let api = api(folder.path(), &server, json!({}));
    let check = |task| api.check(&Action::new("hr", task));
    for path in ["//evil.example", "/../admin", "https://evil.example", "users"] {
        assert!(check(request(Method::Post, path, json!(1))).is_err(), "{path}");
    }
    let mail = Mail { to: vec![], subject: "s".into(), text: "t".into(), html: None, cc: vec![], reply_to: None };
    assert!(check(Task::Email(mail)).is_err());
    assert!(check(request(Method::Post, "/users/a@b.example", json!(1))).is_ok());
    assert!(check(Task::Forward).is_ok() && check(notify(json!("x"))).is_ok());
}

#[test]
fn wrong_settings_are_said_with_their_key() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("no.pem"), "nothing").expect("written");
    let keys = |settings: Value| match try_made(&KIND, folder.path(), &settings) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(|problem| problem.key).collect::<Vec<_>>(),
    };
    assert_eq!(keys(json!({ "base_url": "api.example" })), ["base_url"]);
    assert_eq!(keys(json!({ "base_url": "https://api.example/?key=1" })), ["base_url"]);
    let many = json!({
        "base_url": "ftp://x", "ca_file": "no.pem", "headers": { "Cookie": "a", "Host": "b", "X Y": "c" },
        "auth": { "bearer": { "file": "missing" } },
    });
    assert_eq!(keys(many), ["ca_file", "auth.bearer", "headers.Cookie", "headers.Host", "headers.X Y", "base_url"]);
    let odd = json!({ "base_url": "https://x", "auth": { "header": "a b", "value": { "file": "no.pem" } } });
    assert_eq!(keys(odd), ["auth.header"]);
}
