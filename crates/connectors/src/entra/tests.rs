//! How users are written, what Graph's answers mean, and what is told of them.

use std::fs;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::tests::{Server, Then, hasty, made, order, response, try_made};
use hookgate_model::question::Reason;

/// An RSA key in PKCS#1 that protects nothing; it is a file because ring cannot make RSA keys.
const RSA: &[u8] = include_bytes!("../../../../tests/fixtures/rsa.der");

const PATIENT: Duration = Duration::from_secs(20);

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("secret"), "canary-7f3a").expect("written");
    folder
}

fn token(name: &str) -> Then {
    let body = json!({ "access_token": name, "token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599 });
    Then::Say(response("200 OK", "", &body.to_string()))
}

fn error(status: &str, code: &str) -> Then {
    let body = json!({ "error": { "code": code, "message": "Because of canary-7f3a.", "innerError": {} } });
    Then::Say(response(status, "Retry-After: 9\r\n", &body.to_string()))
}

fn tenant(folder: &TempDir, login: &Server, graph: &Server) -> Arc<dyn Connector> {
    let settings = json!({
        "tenant": "contoso.com", "client_id": "app-1", "client_secret": { "file": "secret" },
        "login_url": login.url(), "graph_url": graph.url(),
    });
    hasty(&KIND, folder.path(), &settings, PATIENT)
}

fn revoke(user: &str) -> Task {
    let verb = Verb::RevokeSignInSessions;
    Task::Account(Account { verb, user: user.to_owned(), group: None })
}

async fn outcome(thens: Vec<Then>) -> (Result<Done, Trouble>, Server) {
    let (folder, login) = (folder(), Server::new([token("t1")]).await);
    let graph = Server::new(thens).await;
    (tenant(&folder, &login, &graph).perform(&order(revoke("ann@contoso.com"))).await, graph)
}

#[tokio::test]
async fn a_user_is_written_as_graph_wants_it() {
    let (folder, login) = (folder(), Server::new([token("t1")]).await);
    for (user, path) in [
        ("ann@contoso.com", "/ann%40contoso.com"),
        ("ANN@Contoso.com", "/ANN%40Contoso.com"),
        ("ann_okta.com#EXT#@contoso.com", "/ann_okta.com%23EXT%23%40contoso.com"),
        ("o'neil@contoso.com", "/o%27neil%40contoso.com"),
        ("$x@contoso.com", "('%24x%40contoso.com')"),
        ("$o'x@contoso.com", "('%24o%27%27x%40contoso.com')"),
        ("6f0b52d4-9d3c-4c39-a1f5-2f0e6b1d7c84", "/6f0b52d4-9d3c-4c39-a1f5-2f0e6b1d7c84"),
    ] {
        let graph = Server::saying("200 OK", "", "{\"value\":true}").await;
        let done = tenant(&folder, &login, &graph).perform(&order(revoke(user))).await.expect("done");
        assert_eq!(done, Done { status: Some(200), note: "revocation requested".to_owned() });
        let seen = graph.seen().remove(0);
        assert!(seen.starts_with(&format!("POST /v1.0/users{path}/revokeSignInSessions HTTP/1.1\r\n")), "{seen}");
        let head = seen.to_lowercase();
        assert!(head.contains("content-length: 0") && head.contains("authorization: bearer t1"), "{seen}");
    }
}

#[test]
fn a_user_that_is_none_is_refused_before_anything_is_kept() {
    let folder = folder();
    let settings = json!({ "tenant": "t", "client_id": "app-1", "client_secret": { "file": "secret" } });
    let tenant = made(&KIND, folder.path(), &settings);
    for (user, part) in [
        ("müller@contoso.com", "`ü`"),
        ("ann", "an object id or a user principal name"),
        ("00u7abc", "an object id or a user principal name"),
        ("", "an object id or a user principal name"),
        ("@contoso.com", "no user principal name"),
        ("ann@", "no user principal name"),
        ("../x@contoso.com", "no user principal name"),
        ("a/b@contoso.com", "no user principal name"),
        ("a b@contoso.com", "no user principal name"),
        ("a\n@contoso.com", "no user principal name"),
    ] {
        let problem = tenant.check(&Action::new("m365", revoke(user))).expect_err(user);
        assert!(problem.contains(part), "{user}: {problem}");
    }
    let clear = Task::Account(Account { verb: Verb::ClearSessions, user: "ann@contoso.com".into(), group: None });
    assert!(tenant.check(&Action::new("m365", clear)).expect_err("Okta's").contains("not `clear_sessions`"));
    assert!(tenant.check(&Action::new("m365", Task::Forward)).is_err());
}

#[tokio::test]
async fn every_answer_means_something() {
    let (done, _) = outcome(vec![Then::Say(response("204 No Content", "", ""))]).await;
    assert_eq!(done.expect("done").note, "revocation requested");
    let (done, _) = outcome(vec![error("404 Not Found", "Request_ResourceNotFound")]).await;
    assert_eq!(done.expect("done").note, "there is no such user in the tenant: nothing to revoke");
    for (then, part) in [
        (error("404 Not Found", ""), "is `graph_url` right?"),
        (error("403 Forbidden", "Authorization_RequestDenied"), "User.RevokeSessions.All"),
        (error("400 Bad Request", "BadRequest"), "BadRequest"),
        (error("302 Found", ""), "none is followed"),
    ] {
        let trouble = outcome(vec![then]).await.0.expect_err("refused");
        assert_eq!(trouble.what, What::Refused);
        assert!(trouble.message.contains(part), "{}", trouble.message);
        assert!(!trouble.message.contains("canary") && !trouble.message.contains("ended"), "{}", trouble.message);
    }
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let trouble = outcome(vec![error(status, "TooManyRequests")]).await.0.expect_err("later");
        assert_eq!(trouble.what, What::NotDelivered { retry_after: Some(Duration::from_secs(9)) });
    }
    assert_eq!(outcome(vec![Then::Close]).await.0.expect_err("who knows").what, What::MaybeDelivered);
}

#[tokio::test]
async fn a_token_that_runs_out_is_replaced_once() {
    let (folder, login) = (folder(), Server::new([token("t1"), token("t2"), token("t3")]).await);
    let expired = || error("401 Unauthorized", "InvalidAuthenticationToken");
    let fine = || Then::Say(response("200 OK", "", ""));
    let graph = Server::new([fine(), expired(), fine(), expired(), expired()]).await;
    let tenant = tenant(&folder, &login, &graph);
    for _ in 0..2 {
        tenant.perform(&order(revoke("ann@contoso.com"))).await.expect("done");
    }
    assert_eq!((graph.seen().len(), login.seen().len()), (3, 2));
    let trouble = tenant.perform(&order(revoke("ann@contoso.com"))).await.expect_err("refused");
    assert_eq!((trouble.what, trouble.status, login.seen().len()), (What::Refused, Some(401), 3));
    let asked = login.seen().remove(0);
    assert!(asked.starts_with("POST /contoso.com/oauth2/v2.0/token "), "{asked}");
    let scope: String = url::form_urlencoded::byte_serialize(format!("{}/.default", graph.url()).as_bytes()).collect();
    assert!(asked.contains(&format!("scope={scope}&")) && asked.contains("client_secret=canary-7f3a"), "{asked}");
}

#[tokio::test]
async fn no_token_says_what_entra_said() {
    let folder = folder();
    let body =
        json!({ "error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret canary-7f3a." });
    let login = Server::saying("401 Unauthorized", "", &body.to_string()).await;
    let graph = Server::saying("200 OK", "", "").await;
    let tenant = tenant(&folder, &login, &graph);
    let trouble = tenant.perform(&order(revoke("ann@contoso.com"))).await.expect_err("no token");
    assert_eq!(trouble.what, What::Refused);
    assert!(trouble.message.contains("AADSTS7000215") && !trouble.message.contains("canary"), "{}", trouble.message);
    assert_eq!(tenant.probe().expect("one").await.expect_err("no token").reason, Reason::Denied);
    assert!(graph.seen().is_empty());
}

#[tokio::test]
async fn a_certificate_signs() {
    let (folder, login) = (folder(), Server::new([token("t1")]).await);
    let pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(RSA)
    });
    fs::write(folder.path().join("app.key"), pem).expect("written");
    let certificate = rcgen::generate_simple_self_signed(["app".to_owned()]).expect("a certificate").cert;
    fs::write(folder.path().join("app.pem"), certificate.pem()).expect("written");
    let graph = Server::saying("200 OK", "", "").await;
    let settings = json!({
        "tenant": "contoso.com", "client_id": "app-1", "private_key": { "file": "app.key" },
        "certificate_file": "app.pem", "login_url": login.url(), "graph_url": graph.url(),
    });
    let tenant = hasty(&KIND, folder.path(), &settings, PATIENT);
    tenant.perform(&order(revoke("ann@contoso.com"))).await.expect("done");
    let seen = login.seen().remove(0);
    let (_, body) = seen.split_once("\r\n\r\n").expect("a body");
    let form = url::form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == "client_assertion");
    let header = jsonwebtoken::decode_header(&form.expect("it says who it is").1).expect("a token");
    assert_eq!(header.alg, jsonwebtoken::Algorithm::PS256);
    assert_eq!(header.x5t_s256, assertion::thumbprint(certificate.pem().as_bytes()));
    assert_eq!(tenant.secrets().len(), 2, "both files are read again");
}

#[test]
fn wrong_settings_are_said_with_their_key() {
    let folder = folder();
    for (more, key) in [
        (json!({}), "client_secret"),
        (json!({ "private_key": { "file": "secret" } }), "certificate_file"),
        (json!({ "certificate_file": "secret" }), "private_key"),
        (json!({ "private_key": { "file": "secret" }, "certificate_file": "secret" }), "private_key"),
        (json!({ "client_secret": { "file": "secret" }, "certificate_file": "secret" }), "client_secret"),
        (json!({ "client_secret": { "file": "secret" }, "tenant": "a/../b" }), "tenant"),
        (
            json!({ "client_secret": { "file": "secret" }, "graph_url": "https://graph.microsoft.com/v1.0" }),
            "graph_url",
        ),
        (json!({ "client_secret": { "file": "secret" }, "login_url": "ftp://x" }), "login_url"),
    ] {
        let mut settings = json!({ "tenant": "contoso.com", "client_id": "app-1" });
        settings.as_object_mut().expect("a table").extend(more.as_object().cloned().unwrap_or_default());
        let problems = try_made(&KIND, folder.path(), &settings).err().expect("a problem");
        assert_eq!(problems[0].key, key, "{more}");
    }
}
