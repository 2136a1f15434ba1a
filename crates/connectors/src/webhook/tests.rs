//! What a receiver gets, whether it can verify it, and what its answers mean.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::What;
use crate::tests::{Server, Then, made, order, response, setup, try_made};
use hookgate_model::command::Mail;

/// Of the specification's own example.
const FIRST: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SECOND: &str = "whsec_Y2FuYXJ5N2YzYWNhbmFyeTdmM2FjYW5hcnk3ZjNh";

fn hook(folder: &Path, server: &Server) -> Box<dyn Connector> {
    fs::write(folder.join("first"), format!("{FIRST}\n")).expect("written");
    made(&KIND, folder, &json!({ "base_url": format!("{}/in", server.url()), "secrets": [{ "file": "first" }] }))
}

fn notify(message: Value) -> Task {
    Task::Notify { message }
}

fn post(path: &str, body: Value) -> Task {
    Task::Request { method: Method::Post, path: path.to_owned(), body }
}

fn header(head: &str, name: &str) -> String {
    let named =
        |line: &str| Some(line.split_once(": ").filter(|(found, _)| found.eq_ignore_ascii_case(name))?.1.to_owned());
    head.lines().find_map(named).unwrap_or_else(|| panic!("no {name} in {head}"))
}

/// What a receiver does: the signature over what came, and the time within five minutes.
fn verify(request: &str, secret: &str) -> bool {
    let (head, body) = request.split_once("\r\n\r\n").expect("a head");
    let (id, time) = (header(head, "webhook-id"), header(head, "webhook-timestamp"));
    let seconds: i64 = time.parse().expect("seconds");
    assert!((Timestamp::now().as_second() - seconds).abs() < 300, "{seconds}");
    let key = STANDARD.decode(secret.trim_start_matches("whsec_")).expect("base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
    mac.update(format!("{id}.{time}.{body}").as_bytes());
    let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    header(head, "webhook-signature").split(' ').any(|signature| signature == wanted)
}

#[test]
fn the_example_of_the_specification_is_signed_as_there() {
    let key = key(&Secret::new(FIRST.as_bytes())).expect("a secret");
    let headers = proof(&[key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
    let headers = headers.expect("headers");
    let value = |name: &str| headers[name].to_str().expect("text").to_owned();
    assert_eq!(value("webhook-id"), "msg_p5jXN8AQM9LWM0D4loKWxJek");
    assert_eq!(value("webhook-timestamp"), "1614265330");
    assert_eq!(value("webhook-signature"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[tokio::test]
async fn every_task_is_one_signed_post() {
    let folder = tempfile::tempdir().expect("a folder");
    for (task, line, body) in [
        (notify(json!("hi \"\u{e4}\"\n")), "POST /in HTTP/1.1", "{\"text\":\"hi \\\"\u{e4}\\\"\\n\"}"),
        (notify(json!({ "b": 1, "a": 2 })), "POST /in HTTP/1.1", "{\"b\":1,\"a\":2}"),
        (post("/x?y=1", json!([1.5, null])), "POST /in/x?y=1 HTTP/1.1", "[1.5,null]"),
        (post("", Value::Null), "POST /in HTTP/1.1", ""),
        (Task::Forward, "POST /in HTTP/1.1", "{ \"z\": 1.10,\n  \"a\": 12345678901234567890123 }"),
    ] {
        let server = Server::saying("204 No Content", "", "").await;
        let mut order = order(task);
        order.event = Bytes::from_static(b"{ \"z\": 1.10,\n  \"a\": 12345678901234567890123 }");
        let done = hook(folder.path(), &server).perform(&order).await.expect("done");
        assert_eq!(done, Done { status: Some(204), note: String::new() });
        let [seen] = server.seen().try_into().expect("one request");
        let (head, found) = seen.split_once("\r\n\r\n").expect("a head");
        assert_eq!((head.lines().next(), found), (Some(line), body));
        assert_eq!(header(head, "webhook-id"), "key-1");
        assert_eq!(head.to_lowercase().contains("content-type: application/json"), !body.is_empty(), "{head}");
        assert!(verify(&seen, FIRST) && !verify(&seen, SECOND), "{seen}");
    }
}

#[tokio::test]
async fn every_try_has_the_same_id_and_is_signed_when_it_goes_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::new([Then::Close, Then::Say(response("200 OK", "", ""))]).await;
    let hook = hook(folder.path(), &server);
    let order = order(Task::Forward);
    let trouble = hook.perform(&order).await.expect_err("no answer");
    assert_eq!(trouble.what, What::MaybeDelivered);
    hook.perform(&order).await.expect("done");
    let seen = server.seen();
    let of = |name| seen.iter().map(|request| header(request, name)).collect::<Vec<_>>();
    assert_eq!(of("webhook-id"), ["key-1", "key-1"]);
    assert_eq!(of("idempotency-key"), ["key-1", "key-1"]);
    assert!(seen.iter().all(|request| verify(request, FIRST)), "{seen:?}");
}

#[tokio::test]
async fn each_secret_signs_and_rotates_with_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("200 OK", "", "").await;
    fs::write(folder.path().join("first"), FIRST).expect("written");
    fs::write(folder.path().join("second"), FIRST).expect("written");
    let secrets = json!([{ "file": "first" }, { "file": "second" }]);
    let hook = made(&KIND, folder.path(), &json!({ "base_url": server.url(), "secrets": secrets }));
    // A secret without its prefix is the same secret.
    fs::write(folder.path().join("second"), SECOND.trim_start_matches("whsec_")).expect("written");
    let changed: usize = hook.secrets().iter().map(|ring| ring.reload().changed.len()).sum();
    assert_eq!(changed, 1);
    hook.perform(&order(Task::Forward)).await.expect("done");
    let [seen] = server.seen().try_into().expect("one request");
    assert!(verify(&seen, FIRST) && verify(&seen, SECOND), "{seen}");
    assert_eq!(header(&seen, "webhook-signature").split(' ').count(), 2);
    fs::write(folder.path().join("second"), "canary-that-is-no-secret").expect("written");
    let kept: Vec<_> = hook.secrets().iter().flat_map(|ring| ring.reload().kept).collect();
    assert!(kept.len() == 1 && !kept[0].to_string().contains("canary-that"), "{kept:?}");
    hook.perform(&order(Task::Forward)).await.expect("what is no secret replaces none");
    assert!(verify(&server.seen()[1], FIRST) && verify(&server.seen()[1], SECOND));
}

#[tokio::test]
async fn a_digest_is_one_post_that_says_how_many() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("200 OK", "", "").await;
    let hook = hook(folder.path(), &server);
    let mut bodies = order(post("/x", json!({ "n": 0 })));
    bodies.gathered = (1..200).map(|n| Action::new("x", post("/x", json!({ "n": n })))).collect();
    bodies.gathered_count = 250;
    hook.perform(&bodies).await.expect("done");
    let (_, body) = server.only();
    assert_eq!((&body["count"], body["items"].as_array().map(Vec::len)), (&json!(251), Some(100)));
    assert_eq!(body["items"][1], json!({ "n": 1 }));
    let mut words = order(notify(json!("first")));
    words.gathered = vec![Action::new("x", notify(json!("second")))];
    words.gathered_count = 1;
    hook.perform(&words).await.expect("done");
    let last = server.seen().pop().expect("a request");
    assert!(last.ends_with("{\"text\":\"2 notifications:\\n- first\\n- second\"}") && verify(&last, FIRST), "{last}");
}

#[tokio::test]
async fn each_answer_has_its_meaning() {
    let folder = tempfile::tempdir().expect("a folder");
    let again = What::NotDelivered { retry_after: None };
    let later = What::NotDelivered { retry_after: Some(Duration::from_secs(30)) };
    for (status, headers, what) in [
        ("301 Moved", "Location: https://elsewhere.example\r\n", What::Refused),
        ("400 Bad Request", "", What::Refused),
        ("401 Unauthorized", "", What::Refused),
        ("404 Not Found", "", What::Refused),
        ("410 Gone", "", What::Refused),
        ("429 Too Many Requests", "Retry-After: 30\r\n", later),
        ("500 Oops", "", again),
        ("502 Bad Gateway", "", again),
        ("503 Busy", "Retry-After: 30\r\n", later),
        ("504 Late", "", again),
    ] {
        let server = Server::saying(status, headers, "").await;
        let trouble = hook(folder.path(), &server).perform(&order(Task::Forward)).await.expect_err(status);
        assert_eq!((trouble.what, trouble.status), (what, status[..3].parse().ok()), "{}", trouble.message);
        assert_eq!(trouble.message.contains("wants no more"), status.starts_with("410"), "{}", trouble.message);
    }
    let server = Server::saying("200 OK", "", "garbage").await;
    assert!(hook(folder.path(), &server).perform(&order(Task::Forward)).await.is_ok());
    let server = Server::new([Then::Silence]).await;
    let settings = json!({ "base_url": server.url(), "secrets": [{ "file": "first" }] });
    let mut owned = setup(folder.path(), &settings);
    owned.timeout = Duration::from_secs(2);
    let silent = (KIND.make)(&owned.setup()).expect("good settings");
    assert_eq!(silent.perform(&order(Task::Forward)).await.expect_err("late").what, What::MaybeDelivered);
}

/// A receiver that answers 200 to errors (#15, B10).
#[tokio::test]
async fn a_body_says_whether_it_was_done_or_is_tried_again() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("first"), FIRST).expect("written");
    let again = What::NotDelivered { retry_after: None };
    for (status, body, what) in [
        ("200 OK", r#"{"ok":true}"#, None),
        ("200 OK", r#"{"ok":false,"error":{"code":"busy"}}"#, Some(again)),
        ("200 OK", r#"{"ok":false,"error":{"code":"unknown_event"}}"#, Some(What::Refused)),
        ("422 No", r#"{"error":{"code":"busy"}}"#, Some(again)),
        ("422 No", r#"{"error":{"code":"unknown_event"}}"#, Some(What::Refused)),
        ("200 OK", "garbage", Some(What::Refused)),
    ] {
        let server = Server::saying(status, "", body).await;
        let settings = json!({
            "base_url": server.url(), "secrets": [{ "file": "first" }],
            "success": { "field": "ok", "equals": true }, "retry_if": { "field": "error.code", "equals": ["busy"] },
        });
        let outcome = made(&KIND, folder.path(), &settings).perform(&order(Task::Forward)).await;
        assert_eq!(outcome.as_ref().err().map(|trouble| trouble.what), what, "{status} {body}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_secret_that_comes_back_is_not_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let bare = SECOND.trim_start_matches("whsec_");
    let server =
        Server::saying("401 Unauthorized", "", &format!("tried {SECOND} and {bare}, canary7f3acanary7f3acanary7f3a"))
            .await;
    fs::write(folder.path().join("second"), SECOND).expect("written");
    let hook = made(&KIND, folder.path(), &json!({ "base_url": server.url(), "secrets": [{ "file": "second" }] }));
    let trouble = hook.perform(&order(Task::Forward)).await.expect_err("refused");
    assert_eq!(trouble.message, "it answered 401: tried *** and ***, ***");
}

#[tokio::test]
async fn what_it_cannot_do_is_said_before_anything_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("200 OK", "", "").await;
    let hook = hook(folder.path(), &server);
    let check = |task| hook.check(&Action::new("partner", task));
    for path in ["//evil.example", "/../admin", "https://evil.example", "users"] {
        assert!(check(post(path, json!(1))).is_err(), "{path}");
    }
    for method in [Method::Put, Method::Patch, Method::Delete] {
        let problem = check(Task::Request { method, path: String::new(), body: json!(1) }).expect_err("no method");
        assert!(problem.contains(method.name()) && problem.contains("kind `http`"), "{problem}");
    }
    let mail = Mail { to: vec![], subject: "s".into(), text: "t".into(), html: None, cc: vec![], reply_to: None };
    assert!(check(Task::Email(mail)).is_err());
    assert!(
        check(post("/a", Value::Null)).is_ok() && check(Task::Forward).is_ok() && check(notify(json!("x"))).is_ok()
    );
}

#[test]
fn wrong_settings_are_said_with_their_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    write("good", FIRST);
    write("longest", &format!("whsec_{}", STANDARD.encode([7; 64])));
    write("short", &format!("whsec_{}", STANDARD.encode([7; 23])));
    write("long", &format!("whsec_{}", STANDARD.encode([7; 65])));
    write("raw", "canary-canary-canary-canary-canary");
    write("url_safe", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La-_Sw");
    let keys = |settings: Value| match try_made(&KIND, folder.path(), &settings) {
        Ok(_) => Vec::new(),
        Err(problems) => {
            assert!(problems.iter().all(|problem| !problem.message.contains("canary")), "{problems:?}");
            problems.into_iter().map(|problem| problem.key).collect::<Vec<_>>()
        }
    };
    let secrets = |files: &[&str]| {
        let files: Vec<Value> = files.iter().map(|file| json!({ "file": file })).collect();
        json!({ "base_url": "https://a.example/in", "secrets": files })
    };
    assert!(keys(secrets(&["good", "longest"])).is_empty());
    let bad = ["good", "short", "long", "raw", "url_safe", "missing"];
    assert_eq!(keys(secrets(&bad)), ["secrets[1]", "secrets[2]", "secrets[3]", "secrets[4]", "secrets[5]"]);
    let random = json!({ "base_url": "https://a.example", "secrets": [{ "file": "new", "create": true }] });
    assert_eq!(keys(random), ["secrets[0]"]);
    assert!(!folder.path().join("new").exists());
    assert_eq!(keys(json!({ "base_url": "https://a.example/?k=1", "secrets": [{ "file": "good" }] })), ["base_url"]);
    fs::write(folder.path().join("no.pem"), "nothing").expect("written");
    let two = json!({ "base_url": "a", "secrets": [{ "file": "good" }], "ca_file": "no.pem" });
    assert_eq!(keys(two), ["ca_file", "base_url"]);
}
