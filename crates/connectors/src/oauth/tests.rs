//! Tokens as the `http` connector gets them: how often, with what, and what is said when there is none.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::*;
use crate::setup::Problem;
use crate::tests::{Server, Then, hasty, order, response, setup, try_made};
use crate::{Connector, What, http};
use hookgate_model::command::Task;
use hookgate_model::question::{Ask, Question, Reason, Trouble};

const PATIENT: Duration = Duration::from_secs(20);

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("secret"), "canary-1").expect("written");
    folder
}

fn granted(token: &str) -> Then {
    let body = json!({ "access_token": token, "token_type": "bearer", "expires_in": "3599" });
    Then::Say(response("200 OK", "Content-Type: application/json\r\n", &body.to_string()))
}

fn says(status: &str, body: &str) -> Then {
    Then::Say(response(status, "Content-Type: application/json\r\n", body))
}

fn settings(tokens: &Server, api: &Server, more: Value) -> Value {
    let mut oauth2 = json!({
        "token_url": format!("{}/token", tokens.url()), "client_id": "gate way", "client_secret": { "file": "secret" },
        "scope": "read write",
    });
    let object = oauth2.as_object_mut().expect("a table");
    object.extend(more.as_object().cloned().unwrap_or_default());
    object.retain(|_, value| !value.is_null());
    json!({ "base_url": api.url(), "auth": { "oauth2": oauth2 } })
}

fn connector(folder: &Path, tokens: &Server, api: &Server) -> Arc<dyn Connector> {
    hasty(&http::KIND, folder, &settings(tokens, api, json!({})), PATIENT)
}

async fn ask(connector: &dyn Connector) -> Result<Value, Trouble> {
    let ask = Ask::Http { path: "/x".to_owned(), body: None };
    connector.look_up(&Question { connector: "test".to_owned(), ask }).await
}

/// The bearer tokens that were presented, in turn.
fn presented(api: &Server) -> Vec<String> {
    let of = |request: &String| {
        let line = request.lines().find_map(|line| line.strip_prefix("authorization: Bearer "));
        line.unwrap_or_default().to_owned()
    };
    api.seen().iter().map(of).collect()
}

fn form(request: &str) -> BTreeMap<String, String> {
    let (_, body) = request.split_once("\r\n\r\n").expect("a body");
    form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

#[tokio::test]
async fn two_hundred_callers_make_one_request_for_a_token() {
    let (folder, tokens) = (folder(), Server::new([granted("t1")]).await);
    let api = Server::saying("200 OK", "", "{}").await;
    let connector = connector(folder.path(), &tokens, &api);
    let mut callers = JoinSet::new();
    for _ in 0..200 {
        let connector = connector.clone();
        callers.spawn(async move { ask(&*connector).await });
    }
    while let Some(answer) = callers.join_next().await {
        assert_eq!(answer.expect("no panic").expect("an answer")["status"], json!(200));
    }
    assert_eq!((tokens.seen().len(), api.seen().len()), (1, 200));
    assert!(presented(&api).iter().all(|token| token == "t1"));
    let asked = form(&tokens.seen()[0]);
    let expected = [("client_id", "gate way"), ("client_secret", "canary-1"), ("grant_type", "client_credentials")];
    assert!(expected.iter().all(|(name, value)| asked[*name] == *value), "{asked:?}");
    assert_eq!((asked["scope"].as_str(), asked.get("audience")), ("read write", None));
}

#[tokio::test]
async fn those_who_wait_for_a_token_share_its_failure() {
    let (folder, tokens) = (folder(), Server::new([says("503 Service Unavailable", "")]).await);
    let api = Server::saying("200 OK", "", "{}").await;
    let connector = connector(folder.path(), &tokens, &api);
    let mut callers = JoinSet::new();
    for _ in 0..200 {
        let connector = connector.clone();
        callers.spawn(async move { ask(&*connector).await });
    }
    while let Some(answer) = callers.join_next().await {
        assert_eq!(answer.expect("no panic").expect_err("no token").reason, Reason::Unreachable);
    }
    // Who comes after the first failure asks anew.
    assert!(tokens.seen().len() < 20 && api.seen().is_empty(), "{}", tokens.seen().len());
}

#[tokio::test]
async fn one_who_leaves_takes_no_token_away_from_the_next() {
    let (folder, tokens) = (folder(), Server::new([Then::Silence, granted("t1")]).await);
    let api = Server::saying("200 OK", "", "{}").await;
    let connector = connector(folder.path(), &tokens, &api);
    let left = tokio::time::timeout(Duration::from_millis(300), ask(&*connector)).await;
    assert!(left.is_err());
    assert!(ask(&*connector).await.is_ok());
    assert_eq!(presented(&api), ["t1"]);
}

#[tokio::test]
async fn a_kept_token_that_is_refused_is_replaced_once() {
    let (folder, tokens) = (folder(), Server::new([granted("t1"), granted("t2"), granted("t3")]).await);
    let api = Server::new([says("200 OK", "{}"), says("401 Unauthorized", ""), says("201 Created", "{}")]).await;
    let connector = connector(folder.path(), &tokens, &api);
    assert!(ask(&*connector).await.is_ok());
    let post =
        Task::Request { method: hookgate_model::command::Method::Post, path: "/x".to_owned(), body: json!({ "a": 1 }) };
    let done = connector.perform(&order(post)).await.expect("done");
    assert_eq!((done.status, presented(&api)), (Some(201), ["t1", "t1", "t2"].map(str::to_owned).to_vec()));
    assert!(api.seen().iter().skip(1).all(|request| request.ends_with("{\"a\":1}")));
}

#[tokio::test]
async fn a_new_token_that_is_refused_is_not_replaced() {
    let (folder, tokens) = (folder(), Server::new([granted("t1"), granted("t2"), granted("t3")]).await);
    let api = Server::new([says("401 Unauthorized", "no t1")]).await;
    let connector = connector(folder.path(), &tokens, &api);
    assert_eq!(ask(&*connector).await.expect_err("denied").reason, Reason::Denied);
    assert_eq!((tokens.seen().len(), api.seen().len()), (1, 1));
    // The next one drops it, and asks for one more and no further.
    assert_eq!(ask(&*connector).await.expect_err("denied").reason, Reason::Denied);
    assert!(tokens.seen().len() <= 2, "{}", tokens.seen().len());
    let trouble = connector.perform(&order(Task::Forward)).await.expect_err("refused");
    assert_eq!((trouble.what, trouble.status), (What::Refused, Some(401)));
    assert!(tokens.seen().len() <= 3, "{}", tokens.seen().len());
}

#[tokio::test]
async fn a_secret_that_rotates_drops_the_token() {
    let (folder, tokens) = (folder(), Server::new([granted("t1"), granted("t2")]).await);
    let api = Server::saying("200 OK", "", "{}").await;
    let connector = connector(folder.path(), &tokens, &api);
    ask(&*connector).await.expect("an answer");
    fs::write(folder.path().join("secret"), "canary-2").expect("written");
    connector.secrets().iter().for_each(|ring| drop(ring.reload()));
    ask(&*connector).await.expect("an answer");
    ask(&*connector).await.expect("an answer");
    assert_eq!(presented(&api), ["t1", "t2", "t2"]);
    let secrets: Vec<String> = tokens.seen().iter().map(|asked| form(asked)["client_secret"].clone()).collect();
    assert_eq!(secrets, ["canary-1", "canary-2"]);
}

#[tokio::test]
async fn a_token_is_used_for_its_life() {
    for (life, requests) in [(json!(0), 2), (json!(3600), 1), (json!("3600"), 1), (json!(1e30), 1), (Value::Null, 1)] {
        let body = json!({ "access_token": "t", "token_type": "Bearer", "expires_in": life });
        let (folder, tokens) = (folder(), Server::new([says("200 OK", &body.to_string())]).await);
        let api = Server::saying("200 OK", "", "{}").await;
        let connector = connector(folder.path(), &tokens, &api);
        for _ in 0..2 {
            ask(&*connector).await.expect("an answer");
        }
        assert_eq!(tokens.seen().len(), requests, "{life}");
    }
}

#[tokio::test]
async fn refusals_are_told_with_what_to_do() {
    let error = |code: &str| json!({ "error": code, "error_description": "Because of canary-1." }).to_string();
    for (status, body, reason, part) in [
        ("401 Unauthorized", error("invalid_client"), Reason::Denied, "`client_secret` must be those of the client"),
        ("400 Bad Request", error("invalid_scope"), Reason::Denied, "grant the client the scope `read write`"),
        ("400 Bad Request", error("unauthorized_client"), Reason::Denied, "\"client credentials\""),
        ("400 Bad Request", error("unsupported_grant_type"), Reason::Denied, "\"client credentials\""),
        ("400 Bad Request", error("invalid_grant"), Reason::Denied, "the clock of this machine"),
        ("400 Bad Request", error("invalid_request"), Reason::Denied, "something that it wants is missing"),
        ("400 Bad Request", error("invalid_target"), Reason::Denied, "`audience`"),
        ("400 Bad Request", error("use_dpop_nonce"), Reason::Denied, "Demonstrating Proof of Possession"),
        ("400 Bad Request", error("temporarily_unavailable"), Reason::Unreachable, "trouble of its own"),
        ("500 Oops", String::new(), Reason::Unreachable, "trouble of its own"),
        ("429 Too Many Requests", String::new(), Reason::Limited, "rate limit"),
        ("404 Not Found", "<html>".to_owned(), Reason::Rejected, "is it the right address?"),
        ("302 Found", String::new(), Reason::Rejected, "none is followed"),
        ("200 OK", "garbage".to_owned(), Reason::BadAnswer, "without a token"),
        ("200 OK", json!({ "access_token": "" }).to_string(), Reason::BadAnswer, "empty"),
        ("200 OK", json!({ "access_token": "a", "token_type": "DPoP" }).to_string(), Reason::Denied, "DPoP"),
        ("200 OK", json!({ "access_token": "a", "token_type": "mac" }).to_string(), Reason::Denied, "Bearer"),
        ("200 OK", json!({ "access_token": "a\nb" }).to_string(), Reason::Denied, "no header can hold"),
    ] {
        let (folder, tokens) = (folder(), Server::new([says(status, &body)]).await);
        let api = Server::saying("200 OK", "", "{}").await;
        let connector = connector(folder.path(), &tokens, &api);
        let trouble = ask(&*connector).await.expect_err(&body);
        assert_eq!(trouble.reason, reason, "{body}: {trouble}");
        assert!(trouble.message.contains(part) && !trouble.message.contains("canary"), "{trouble}");
        let trouble = connector.perform(&order(Task::Forward)).await.expect_err(&body);
        let refused = matches!(reason, Reason::Denied | Reason::Rejected);
        assert_eq!(trouble.what == What::Refused, refused, "{trouble:?}");
        assert!(refused || matches!(trouble.what, What::NotDelivered { .. }), "nothing went out: {trouble:?}");
        assert!(api.seen().is_empty(), "{body}");
    }
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_no_delivery() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{\"access_token\":\"";
    for (then, reason) in [
        (Then::Close, Reason::Unreachable),
        (Then::Silence, Reason::Timeout),
        (Then::Drip(head.to_owned()), Reason::BadAnswer),
        (Then::Say(format!("{head}abc")), Reason::BadAnswer),
        (Then::Say("nonsense".to_owned()), Reason::Unreachable),
    ] {
        let (folder, tokens) = (folder(), Server::new([then]).await);
        let api = Server::saying("200 OK", "", "{}").await;
        let connector =
            hasty(&http::KIND, folder.path(), &settings(&tokens, &api, json!({})), Duration::from_millis(700));
        assert_eq!(ask(&*connector).await.expect_err("no token").reason, reason);
        let trouble = connector.perform(&order(Task::Forward)).await.expect_err("no token");
        assert!(matches!(trouble.what, What::NotDelivered { .. }), "{trouble:?}");
        assert!(api.seen().is_empty());
    }
}

#[tokio::test]
async fn a_secret_may_go_in_the_head() {
    let (folder, tokens) = (folder(), Server::new([granted("t1")]).await);
    fs::write(folder.path().join("secret"), "a:b c%").expect("written");
    let api = Server::saying("200 OK", "", "{}").await;
    let more = json!({ "client_auth": "client_secret_basic", "audience": "https://api" });
    let connector = hasty(&http::KIND, folder.path(), &settings(&tokens, &api, more), PATIENT);
    ask(&*connector).await.expect("an answer");
    let seen = tokens.seen().remove(0);
    let basic = STANDARD.encode("gate+way:a%3Ab+c%25");
    assert!(seen.contains(&format!("authorization: Basic {basic}")), "{seen}");
    let asked = form(&seen);
    assert_eq!((asked.get("client_secret"), asked["audience"].as_str()), (None, "https://api"));
}

#[tokio::test]
async fn a_key_signs_who_we_are() {
    let (folder, tokens) = (folder(), Server::new([granted("t1")]).await);
    let key = rcgen::KeyPair::generate().expect("a key");
    fs::write(folder.path().join("key.pem"), key.serialize_pem()).expect("written");
    let api = Server::saying("200 OK", "", "{}").await;
    let more = json!({ "client_secret": null, "private_key": { "file": "key.pem" }, "key_id": "k7" });
    let connector = hasty(&http::KIND, folder.path(), &settings(&tokens, &api, more), PATIENT);
    ask(&*connector).await.expect("an answer");
    let assertion = form(&tokens.seen().remove(0))["client_assertion"].clone();
    let header = jsonwebtoken::decode_header(&assertion).expect("a token");
    assert_eq!((header.alg, header.kid.as_deref()), (jsonwebtoken::Algorithm::ES256, Some("k7")));
    let claims = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1).expect("claims")).expect("base64");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("gate way"), &json!("gate way")));
    assert_eq!(claims["aud"], json!(format!("{}/token", tokens.url())));
    let life = claims["exp"].as_i64().unwrap_or(0) - claims["iat"].as_i64().unwrap_or(0);
    assert_eq!((life, claims["jti"].is_string()), (300, true));
}

#[test]
fn wrong_settings_are_said_with_their_key() {
    let folder = folder();
    fs::write(folder.path().join("locked.pem"), "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END")
        .expect("written");
    let problems = |oauth2: Value| {
        let settings = json!({ "base_url": "https://api.example", "auth": { "oauth2": oauth2 } });
        try_made(&http::KIND, folder.path(), &settings).err().expect("a problem")
    };
    let keys = |found: Vec<Problem>| found.into_iter().map(|problem| problem.key).collect::<Vec<_>>();
    let url = "https://login.example/token";
    assert_eq!(keys(problems(json!({ "token_url": url, "client_id": "a" }))), ["auth.oauth2.client_secret"]);
    let both = json!({
        "token_url": "ftp://x", "client_id": "a", "client_secret": { "file": "secret" }, "private_key": { "file": "secret" },
    });
    assert_eq!(keys(problems(both)), ["auth.oauth2.token_url", "auth.oauth2.private_key"]);
    let locked = json!({ "token_url": url, "client_id": "a", "private_key": { "file": "locked.pem" } });
    let locked = problems(locked).remove(0);
    assert_eq!(locked.key, "auth.oauth2.private_key");
    assert!(locked.message.contains("encrypted"), "{}", locked.message);
    let mut owned = setup(
        folder.path(),
        &json!({
            "base_url": "https://api.example",
            "auth": { "oauth2": { "token_url": "http://169.254.169.254/t", "client_id": "a", "client_secret": { "file": "secret" } } },
        }),
    );
    owned.allow_private = false;
    let private = (http::KIND.make)(&owned.setup()).err().expect("a problem").remove(0);
    assert_eq!(private.key, "auth.oauth2.token_url");
    assert!(private.message.contains("allow_private"), "{}", private.message);
}
