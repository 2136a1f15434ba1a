//! What is asked of an org, and that nobody else is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;
use crate::tests::{Server, setup};

/// An RSA key in PKCS#1 that protects nothing; it is a file because ring cannot make RSA keys.
const RSA: &[u8] = include_bytes!("../../../../tests/fixtures/rsa.der");

fn file(name: &str) -> SecretSource {
    SecretSource::File { file: name.to_owned(), create: false }
}

fn app(org: &str, key: SecretSource) -> Settings {
    Settings {
        org_url: org.to_owned(),
        token: None,
        client_id: Some("0oaReader".to_owned()),
        private_key: Some(key),
        key_id: None,
    }
}

fn log(setup: &Setup<'_>, settings: Settings) -> Result<SystemLog, Vec<Problem>> {
    SystemLog::new(setup, settings, 0.25, &[])
}

#[test]
fn the_next_link_is_found_among_others() {
    let links = r#"<https://a.example/api/v1/logs?q=x,y&limit=1>; rel="self", <https://a.example/api/v1/logs?after=1,2>; title=x; Rel=next"#;
    let next: Vec<&str> = links_of(links).filter(|(_, parameters)| is_next(parameters)).map(|(link, _)| link).collect();
    assert_eq!(next, ["https://a.example/api/v1/logs?after=1,2"]);
    for other in ["", "<", "<x", "<x>", "<x>; rel", "<x>; rel=\"prev\"", "x; rel=next"] {
        assert!(!links_of(other).any(|(_, parameters)| is_next(parameters)), "{other}");
    }
}

#[test]
fn only_links_into_the_log_of_the_org_are_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("token"), "ssws-1").expect("a file");
    let owned = setup(folder.path(), &json!({}));
    let org_url = "https://a.example".to_owned();
    let settings = Settings { org_url, token: Some(file("token")), client_id: None, private_key: None, key_id: None };
    let log = log(&owned.setup(), settings).expect("good settings");
    assert_eq!(log.own_actors(), [""; 0]);
    assert!(log.within("https://a.example/api/v1/logs?after=1").is_ok());
    for link in [
        "https://b.example/api/v1/logs?after=1",
        "http://a.example/api/v1/logs?after=1",
        "https://a.example:8443/api/v1/logs",
        "https://a.example@b.example/api/v1/logs",
        "https://user@a.example/api/v1/logs",
        "https://a.example/api/v1/users",
        "https://a.example/api/v1/logs/../users",
        "/api/v1/logs?after=1",
        "",
    ] {
        assert!(log.within(link).is_err(), "{link}");
    }
}

#[tokio::test]
async fn an_rsa_key_signs_and_proof_of_possession_is_named() {
    let body = r#"{"error":"invalid_dpop_proof","error_description":"The DPoP proof JWT header is missing."}"#;
    let org = Server::saying("400 Bad Request", "Content-Type: application/json\r\n", body).await;
    let folder = tempfile::tempdir().expect("a folder");
    let pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", STANDARD.encode(RSA));
    std::fs::write(folder.path().join("app.pem"), pem).expect("a file");
    let owned = setup(folder.path(), &json!({}));
    let log = log(&owned.setup(), app(&org.url(), file("app.pem"))).expect("good settings");
    assert_eq!(log.own_actors(), ["0oaReader"], "what the app does reaches no rule");
    let trouble = log.read(&From::Window { since: 0, until: 1 }).await.expect_err("no token");
    assert_eq!(trouble.what, What::Refused);
    assert!(trouble.message.contains("Demonstrating Proof of Possession"), "{}", trouble.message);
    let (head, _) = org.only();
    assert!(head.starts_with("POST /oauth2/v1/token "), "{head}");
    let seen = org.seen().remove(0);
    let (_, body) = seen.split_once("\r\n\r\n").expect("a body");
    let assertion = url::form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == "client_assertion");
    let header = jsonwebtoken::decode_header(&assertion.expect("it says who it is").1).expect("a token");
    assert_eq!((header.alg, header.kid), (jsonwebtoken::Algorithm::RS256, None));
}

#[test]
fn a_key_that_is_none_is_found_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("app.pem"), "hunter-4242").expect("a file");
    let owned = setup(folder.path(), &json!({}));
    let problems = log(&owned.setup(), app("https://a.example", file("app.pem"))).err().expect("a problem");
    assert_eq!((problems[0].code, problems[0].key.as_str()), ("config/secret", "private_key"));
    assert!(!problems[0].message.contains("4242"));
}

#[test]
fn a_private_address_is_refused_unless_it_is_allowed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut owned = setup(folder.path(), &json!({}));
    owned.allow_private = false;
    let problems = log(&owned.setup(), app("https://10.1.2.3", file("app.pem"))).err().expect("a problem");
    assert_eq!(problems[0].key, "org_url");
    assert!(problems[0].message.contains("allow_private"), "{}", problems[0].message);
}
