//! What goes out with a password, and what every kind of answer means.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::Connector;
use crate::http::KIND;
use crate::tests::{Server, Then, hasty, made, response, setup, try_made};
use hookgate_model::question::{Ask, Question};
use hookgate_model::secret::Secret;

const PATIENT: Duration = Duration::from_secs(20);

fn api(folder: &Path, url: &str, more: Value) -> Arc<dyn Connector> {
    fs::write(folder.join("secret"), "canary-of-ours").expect("written");
    let mut settings = json!({ "base_url": url });
    settings.as_object_mut().expect("a table").extend(more.as_object().cloned().unwrap_or_default());
    hasty(&KIND, folder, &settings, PATIENT)
}

fn question(path: &str, members: Value, secret: (&str, &str)) -> Question {
    let secrets = vec![(secret.0.to_owned(), Secret::new(secret.1.as_bytes()))];
    let asked = Credentials { path: path.to_owned(), members, secrets };
    Question { connector: "test".to_owned(), ask: Ask::Verify(asked) }
}

fn ann() -> Question {
    question("/login", json!({ "username": "ann@x.example", "password": null }), ("/password", "CANARY pä&=\""))
}

async fn verified(status: &str, body: &str, more: Value) -> Result<Value, Trouble> {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying(status, "", body).await;
    let outcome = api(folder.path(), &server.url(), more).look_up(&ann()).await;
    if let Err(trouble) = &outcome {
        assert!(!trouble.message.contains("CANARY") && !trouble.message.contains("canary"), "{trouble}");
    }
    outcome
}

#[tokio::test]
async fn members_go_out_as_the_settings_say() {
    let with_auth = json!({ "header": "X-Api-Key", "value": { "file": "secret" } });
    let grant = json!({ "send": "password_grant", "client_id": "hook gate", "client_secret": { "file": "secret" }, "scope": "a b" });
    let mut in_head = grant.clone();
    in_head["client_auth"] = json!("client_secret_basic");
    let token = "{\"access_token\":\"t\"}";
    for (more, line, parts) in [
        (
            json!({}),
            "POST /v1/login HTTP/1.1",
            vec!["content-type: application/json", "{\"username\":\"ann@x.example\",\"password\":\"CANARY pä&=\\\"\"}"],
        ),
        (
            json!({ "verify": { "send": "form" }, "auth": with_auth, "headers": { "X-Team": "blue" } }),
            "POST /v1/login HTTP/1.1",
            vec![
                "x-api-key: canary-of-ours",
                "x-team: blue",
                "content-type: application/x-www-form-urlencoded",
                "\r\n\r\nusername=ann%40x.example&password=CANARY+p%C3%A4%26%3D%22",
            ],
        ),
        (
            json!({ "verify": { "send": "basic" } }),
            "GET /v1/login HTTP/1.1",
            vec!["authorization: Basic YW5uQHguZXhhbXBsZTpDQU5BUlkgcMOkJj0i"],
        ),
        (
            json!({ "verify": grant }),
            "POST /v1/login HTTP/1.1",
            vec![
                "\r\n\r\ngrant_type=password&scope=a+b&client_id=hook+gate&client_secret=canary-of-ours&\
                 username=ann%40x.example&password=CANARY+p%C3%A4%26%3D%22",
            ],
        ),
        (
            json!({ "verify": in_head }),
            "POST /v1/login HTTP/1.1",
            vec![
                "authorization: Basic aG9vaytnYXRlOmNhbmFyeS1vZi1vdXJz",
                "\r\n\r\ngrant_type=password&scope=a+b&username=",
            ],
        ),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let server = Server::saying("200 OK", "", token).await;
        let api = api(folder.path(), &format!("{}/v1", server.url()), more.clone());
        assert_eq!(api.look_up(&ann()).await, Ok(json!(true)), "{more}");
        let [seen] = server.seen().try_into().expect("one request");
        assert!(seen.starts_with(line), "{more}: {seen}");
        for part in parts {
            assert!(seen.contains(part), "{more}: {part}: {seen}");
        }
        assert!(!seen.lines().next().expect("a line").contains("CANARY"), "never in the address: {seen}");
    }
}

#[tokio::test]
async fn names_and_levels_are_those_of_the_system() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("200 OK", "", "").await;
    let api = api(folder.path(), &server.url(), json!({}));
    let nested = question("/x", json!({ "user": { "name": "ann", "pin": null } }), ("/user/pin", "4711"));
    assert_eq!(api.look_up(&nested).await, Ok(json!(true)));
    assert!(server.seen()[0].ends_with("{\"user\":{\"name\":\"ann\",\"pin\":\"4711\"}}"), "{}", server.seen()[0]);
}

#[tokio::test]
async fn an_empty_password_is_never_right_and_not_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::saying("200 OK", "", "").await;
    let api = api(folder.path(), &server.url(), json!({}));
    let empty = question("/login", json!({ "username": "ann", "password": null }), ("/password", ""));
    assert_eq!(api.look_up(&empty).await, Ok(json!(false)));
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_status_means_yes_or_no_or_trouble() {
    let auth = json!({ "bearer": { "file": "secret" } });
    for (status, more, meaning) in [
        (200, json!({}), Ok(true)),
        (204, json!({}), Ok(true)),
        (401, json!({}), Ok(false)),
        (403, json!({}), Ok(false)),
        (400, json!({}), Err(Reason::Rejected)),
        (404, json!({}), Err(Reason::Rejected)),
        (422, json!({}), Err(Reason::Rejected)),
        (302, json!({}), Err(Reason::Rejected)),
        (407, json!({}), Err(Reason::Denied)),
        (408, json!({}), Err(Reason::Unreachable)),
        (429, json!({}), Err(Reason::Limited)),
        (500, json!({}), Err(Reason::Unreachable)),
        (503, json!({}), Err(Reason::Unreachable)),
        // With credentials of ours, a 401 may be about them.
        (401, json!({ "auth": auth }), Err(Reason::Denied)),
        (401, json!({ "auth": auth, "verify": { "no": [401, 404] } }), Ok(false)),
        (403, json!({ "auth": auth, "verify": { "no": [401, 404] } }), Err(Reason::Denied)),
        (404, json!({ "verify": { "no": [401, 404] } }), Ok(false)),
        (403, json!({ "verify": { "no": [401, 404] } }), Err(Reason::Rejected)),
        (500, json!({ "verify": { "no": [500] } }), Ok(false)),
        // An old page that sends on whoever is let in, and shows its form again to everybody else.
        (302, json!({ "verify": { "send": "form", "yes": [302], "no": [200] } }), Ok(true)),
        (200, json!({ "verify": { "send": "form", "yes": [302], "no": [200] } }), Ok(false)),
        (201, json!({ "verify": { "yes": [200] } }), Err(Reason::Rejected)),
    ] {
        let body = "wrong password CANARY, token canary-of-ours";
        let outcome = verified(&format!("{status} X"), body, more.clone()).await;
        let found = outcome.map(|value| value == json!(true)).map_err(|trouble| trouble.reason);
        assert_eq!(found, meaning, "{status} {more}");
    }
}

#[tokio::test]
async fn a_body_means_yes_or_no_or_trouble() {
    let valid = json!({ "verify": { "success": { "field": "valid", "equals": true } } });
    let named = json!({ "verify": {
        "success": { "field": "token" }, "failure": { "field": "error.code", "equals": ["bad_password", "no_user"] },
    } });
    let failing = json!({ "verify": { "failure": { "field": "error" } } });
    let grant = json!({ "verify": { "send": "password_grant" } });
    for (status, body, more, meaning) in [
        (200, "{\"valid\":true}", &valid, Ok(true)),
        (200, "{\"valid\":false}", &valid, Ok(false)),
        (200, "{}", &valid, Err(Reason::BadAnswer)),
        (200, "<html>", &valid, Err(Reason::BadAnswer)),
        (200, "", &valid, Err(Reason::BadAnswer)),
        (200, "{\"token\":\"t\"}", &named, Ok(true)),
        (200, "{\"error\":{\"code\":\"bad_password\"}}", &named, Ok(false)),
        (200, "{\"error\":{\"code\":\"overloaded\"}}", &named, Err(Reason::BadAnswer)),
        (422, "{\"error\":{\"code\":\"no_user\"}}", &named, Ok(false)),
        (422, "{\"error\":{\"code\":\"missing_field\"}}", &named, Err(Reason::Rejected)),
        (429, "{\"error\":{\"code\":\"no_user\"}}", &named, Err(Reason::Limited)),
        (500, "{\"error\":{\"code\":\"no_user\"}}", &named, Err(Reason::Unreachable)),
        (200, "{\"error\":\"wrong\"}", &failing, Ok(false)),
        (200, "{\"name\":\"Ann\"}", &failing, Ok(true)),
        (200, "{\"access_token\":\"t\"}", &grant, Ok(true)),
        (200, "{}", &grant, Err(Reason::BadAnswer)),
        (400, "{\"error\":\"invalid_grant\"}", &grant, Ok(false)),
        (401, "{\"error\":\"invalid_grant\"}", &grant, Ok(false)),
        (400, "{\"error\":\"invalid_client\"}", &grant, Err(Reason::Rejected)),
        (401, "{\"error\":\"invalid_client\"}", &grant, Err(Reason::Rejected)),
    ] {
        let outcome = verified(&format!("{status} X"), body, more.clone()).await;
        let found = outcome.map(|value| value == json!(true)).map_err(|trouble| trouble.reason);
        assert_eq!(found, meaning, "{status} {body} {more}");
    }
    let long = format!("{{\"valid\":true,\"x\":\"{}\"}}", "x".repeat(100));
    let mut short = valid.clone();
    short["max_answer_bytes"] = json!(50);
    assert_eq!(verified("200 OK", &long, short).await.expect_err("too long").reason, Reason::TooLarge);
}

#[tokio::test]
async fn no_answer_is_trouble_and_leads_nowhere_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::new([Then::Close]).await;
    let api = api(folder.path(), &server.url(), json!({}));
    assert_eq!(api.look_up(&ann()).await.expect_err("closed").reason, Reason::Unreachable);
    let elsewhere = question("//evil.example", json!({ "password": null }), ("/password", "x"));
    assert_eq!(api.look_up(&elsewhere).await.expect_err("elsewhere").reason, Reason::Rejected);
    for (send, members) in
        [("basic", json!({ "password": null })), ("basic", json!({ "username": "a:b", "password": null }))]
    {
        let api = super::tests::api(folder.path(), &server.url(), json!({ "verify": { "send": send } }));
        let trouble = api.look_up(&question("/x", members, ("/password", "x"))).await.expect_err("nothing to send");
        assert_eq!(trouble.reason, Reason::Rejected, "{trouble}");
    }
    let api = super::tests::api(folder.path(), &server.url(), json!({ "verify": { "send": "form" } }));
    let nested = question("/x", json!({ "a": { "b": null } }), ("/a/b", "x"));
    assert_eq!(api.look_up(&nested).await.expect_err("no form").reason, Reason::Rejected);
    assert_eq!(server.seen().len(), 1, "only the first was sent");
}

#[tokio::test]
async fn a_password_does_not_go_out_in_the_clear() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = json!({ "base_url": "http://shop.example" });
    let owned = setup(folder.path(), &settings);
    let open = Setup { allow_private: false, ..owned.setup() };
    let open = (KIND.make)(&open).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(open.look_up(&ann()).await.expect_err("in the clear").reason, Reason::Forbidden);
    // Where the settings say that there are passwords, that is found when they are read.
    let settings = json!({ "base_url": "http://shop.example", "verify": {} });
    let owned = setup(folder.path(), &settings);
    let problems = (KIND.make)(&Setup { allow_private: false, ..owned.setup() }).err().expect("in the clear");
    assert_eq!(problems[0].key, "base_url");
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("secret"), "canary-of-ours").expect("written");
    let token = response("200 OK", "", "{\"access_token\":\"t\",\"expires_in\":3600}");
    let [yes, refused] = [response("200 OK", "", ""), response("401 Unauthorized", "", "")];
    let said = [token.clone(), yes.clone(), refused, token, yes].map(Then::Say);
    let server = Server::new(said).await;
    let oauth2 = json!({ "token_url": format!("{}/token", server.url()), "client_id": "c", "client_secret": { "file": "secret" } });
    let settings = json!({ "base_url": server.url(), "auth": { "oauth2": oauth2 } });
    let api = made(&KIND, folder.path(), &settings);
    assert_eq!(api.look_up(&ann()).await, Ok(json!(true)));
    assert_eq!(api.look_up(&ann()).await, Ok(json!(true)));
    assert_eq!(server.seen().len(), 5);
}

#[test]
fn settings_that_contradict_one_another_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("secret"), "canary-of-ours").expect("written");
    for (more, key) in [
        (json!({ "verify": { "yes": [302], "no": [302, 200] } }), "verify.no"),
        (json!({ "verify": { "no": [204] } }), "verify.no"),
        (json!({ "verify": { "scope": "x" } }), "verify.scope"),
        (json!({ "verify": { "client_id": "x" } }), "verify.client_id"),
        (json!({ "verify": { "send": "password_grant", "client_secret": { "file": "secret" } } }), "verify.client_id"),
        (
            json!({ "verify": { "send": "password_grant", "client_id": "x", "client_secret": { "file": "none" } } }),
            "verify.client_secret",
        ),
        (json!({ "verify": { "send": "basic" }, "auth": { "bearer": { "file": "secret" } } }), "verify.send"),
    ] {
        let mut settings = json!({ "base_url": "https://x.example" });
        settings.as_object_mut().expect("a table").extend(more.as_object().cloned().unwrap_or_default());
        let problems = try_made(&KIND, folder.path(), &settings).err().unwrap_or_else(|| panic!("{more} is taken"));
        assert_eq!(problems.iter().map(|problem| problem.key.as_str()).collect::<Vec<_>>(), [key], "{more}");
    }
}
