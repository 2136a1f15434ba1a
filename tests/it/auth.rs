//! Who is let in: each cause of a refusal told apart for the operator, and nothing told to the caller.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};

use crate::harness::{SECRET, TestGateway, with_id};
use crate::process::Served;

const CONFIG: &str = r#"
[auth.header]
scheme = "header"
secrets = [{ file = "secret" }, { file = "next" }]

[auth.basic]
scheme = "basic"
secrets = [{ file = "user" }]

[auth.token]
scheme = "jwt"
issuer = "https://issuer.example"
audience = "hookgate"
jwks_file = "keys.json"
algorithms = ["ES256"]

[routes.header]
path = "/header"
hook = "okta.registration"
script = "hook.rhai"
auth = "header"
on_failure = "allow"

[routes.basic]
path = "/basic"
hook = "okta.registration"
script = "hook.rhai"
auth = "basic"
on_failure = "allow"

[routes.token]
path = "/token"
hook = "okta.registration"
script = "hook.rhai"
auth = "token"
on_failure = "allow"

[routes.either]
path = "/either"
hook = "okta.registration"
script = "hook.rhai"
auth = ["header", "token"]
on_failure = "allow"

[routes.events]
path = "/events"
hook = "okta.event"
script = "events.rhai"
auth = "header"
"#;

const NEXT: &str = "opaque-next-secret";

/// In every wrong value.
const CANARY: &str = "CANARY";

/// An issuer of tokens with a P-256 key.
struct Issuer(rcgen::KeyPair);

impl Issuer {
    fn new() -> Self {
        Self(rcgen::KeyPair::generate().unwrap())
    }

    fn keys(&self) -> String {
        let point = self.0.public_key_raw();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]));
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "k", "use": "sig", "x": x, "y": y }] }).to_string()
    }

    /// A token whose claims are the good ones with these in place.
    fn token(&self, claims: &Value) -> String {
        let mut all = json!({ "iss": "https://issuer.example", "aud": "hookgate", "exp": now() + 600, "sub": CANARY });
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        let head = URL_SAFE_NO_PAD.encode(json!({ "alg": "ES256", "kid": "k" }).to_string());
        let message = format!("{head}.{}", URL_SAFE_NO_PAD.encode(all.to_string()));
        let key = EncodingKey::from_ec_der(self.0.serialized_der());
        format!("Bearer {message}.{}", crypto::sign(message.as_bytes(), &key, Algorithm::ES256).unwrap())
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn files(keys: &str) -> [(&str, &str); 5] {
    [
        ("scripts/hook.rhai", "fn on_registration(request) { }"),
        ("scripts/events.rhai", "fn on_event(event) { }"),
        ("next", NEXT),
        ("user", "okta:pass:word\n"),
        ("keys.json", keys),
    ]
}

fn basic(text: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
}

/// Path, name of the scheme, value of the header if any, reason.
fn refused(issuer: &Issuer) -> Vec<(&'static str, &'static str, Option<String>, &'static str)> {
    let stranger = Issuer::new();
    let token = |claims: Value| Some(issuer.token(&claims));
    let text = |text: &str| Some(text.to_owned());
    vec![
        ("/header", "header", None, "header_absent"),
        ("/header", "header", text(""), "header_empty"),
        ("/header", "header", text("dGVzdDp0ZXN0"), "scheme_word_missing"),
        ("/header", "header", Some(format!("Bearer {NEXT}")), "scheme_word_extra"),
        ("/header", "header", Some(format!("Basic {CANARY}")), "unknown_secret"),
        ("/header", "header", Some(SECRET.to_lowercase()), "unknown_secret"),
        ("/header", "header", Some(SECRET[..SECRET.len() - 1].to_owned()), "unknown_secret"),
        ("/header", "header", Some(format!("{SECRET}0")), "unknown_secret"),
        ("/basic", "basic", None, "header_absent"),
        ("/basic", "basic", Some(basic(&format!("okta:{CANARY}"))), "unknown_secret"),
        ("/basic", "basic", Some(basic("okta:pass")), "unknown_secret"),
        ("/basic", "basic", Some(basic("okta:pass:word\n")), "unknown_secret"),
        ("/basic", "basic", text("Basic %%CANARY%%"), "not_base64"),
        ("/basic", "basic", Some(basic(CANARY)), "not_user_password"),
        ("/basic", "basic", text("Bearer CANARY"), "other_scheme_word"),
        ("/token", "token", None, "header_absent"),
        ("/token", "token", text("Bearer CANARY"), "token_malformed"),
        ("/token", "token", token(json!({ "exp": now() - 61 })), "expired"),
        ("/token", "token", token(json!({ "aud": "CANARY-audience" })), "wrong_audience"),
        ("/token", "token", token(json!({ "iss": "https://CANARY.example" })), "wrong_issuer"),
        ("/token", "token", token(json!({ "nbf": now() + 300 })), "not_yet_valid"),
        ("/token", "token", Some(stranger.token(&json!({}))), "bad_signature"),
        ("/token", "token", Some(issuer.token(&json!({})).replacen("Bearer ", "", 1)), "scheme_word_missing"),
        ("/either", "token", token(json!({ "exp": now() - 61 })), "expired"),
        ("/either", "header", text("dGVzdDp0ZXN0"), "scheme_word_missing"),
    ]
}

fn result_count(gateway: &TestGateway, auth: &str, result: &'static str) -> u64 {
    gateway.metrics.auth(auth, result, "none").get()
}

async fn status(gateway: &TestGateway, path: &str, value: &str) -> u16 {
    gateway.call(Method::POST, path, &[("authorization", value)], with_id("okta.registration", value)).await.0
}

#[tokio::test]
async fn each_cause_is_counted_apart_and_the_caller_learns_nothing() {
    let issuer = Issuer::new();
    let gateway = TestGateway::bundle(CONFIG, &files(&issuer.keys()));
    let mut wrong = Vec::new();
    for (path, auth, value, reason) in refused(&issuer) {
        let before = result_count(&gateway, auth, reason);
        let headers: Vec<_> = value.iter().map(|value| ("authorization", value.as_str())).collect();
        let response = gateway.respond(Method::POST, path, &headers, with_id("okta.registration", "x")).await;
        assert_eq!(response.status(), 401, "{path} {value:?}");
        assert_eq!(response.body(), "{\"error\":\"not authenticated\"}", "{path} {value:?}");
        // An id of our own, by which the log and the record are found: the same shape whatever was wrong.
        let names: Vec<&str> = response.headers().keys().map(|name| name.as_str()).collect();
        assert_eq!(names, ["content-type", "x-request-id"]);
        let id = response.headers()["x-request-id"].as_bytes();
        assert!(id.len() == 32 && id.iter().all(u8::is_ascii_hexdigit), "{:?}", response.headers());
        if result_count(&gateway, auth, reason) != before + 1 {
            wrong.push(format!("{path} {value:?} is not {reason}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", gateway.metrics.encode());
    assert!(!gateway.metrics.encode().contains(CANARY));
}

#[tokio::test]
async fn what_is_right_is_let_in() {
    let issuer = Issuer::new();
    let gateway = TestGateway::bundle(CONFIG, &files(&issuer.keys()));
    for (path, value) in [
        ("/header", SECRET.to_owned()),
        ("/header", NEXT.to_owned()),
        ("/basic", basic("okta:pass:word")),
        ("/token", issuer.token(&json!({}))),
        ("/token", issuer.token(&json!({ "exp": now() - 30 }))),
        ("/token", issuer.token(&json!({ "aud": ["other", "hookgate"] }))),
        ("/either", NEXT.to_owned()),
        ("/either", issuer.token(&json!({}))),
    ] {
        assert_eq!(status(&gateway, path, &value).await, 204, "{path} {value}");
    }
    // The right secret of another scheme is wrong here.
    assert_eq!(status(&gateway, "/header", &issuer.token(&json!({}))).await, 401);
    assert_eq!(status(&gateway, "/token", SECRET).await, 401);
}

#[tokio::test]
async fn verification_wants_the_secret_too() {
    let gateway = TestGateway::bundle(CONFIG, &files(&Issuer::new().keys()));
    let challenge = ("x-okta-verification-challenge", "abc");
    let answer = gateway.call(Method::GET, "/events", &[challenge, ("authorization", "wrong")], "").await;
    assert_eq!(answer, (401, json!({ "error": "not authenticated" })));
    assert_eq!(gateway.metrics.refusals.read().iter().find(|(reason, _)| *reason == "challenge"), None);
    let answer = gateway.call(Method::GET, "/events", &[challenge, ("authorization", SECRET)], "").await;
    assert_eq!(answer, (200, json!({ "verification": "abc" })));
}

#[tokio::test]
async fn secrets_rotate_by_their_files() {
    let gateway = TestGateway::bundle(CONFIG, &files(&Issuer::new().keys()));
    gateway.write("secret", "rotated\r\n");
    gateway.reload();
    assert_eq!(status(&gateway, "/header", SECRET).await, 401);
    assert_eq!(status(&gateway, "/header", "rotated").await, 204);
    assert_eq!(status(&gateway, "/header", NEXT).await, 204, "the other secret stays");
    // What somebody is still writing keeps the one before.
    for half in ["", "\n", "   "] {
        gateway.write("secret", half);
        gateway.reload();
        assert_eq!(status(&gateway, "/header", "rotated").await, 204, "{half:?}");
    }
    std::fs::remove_file(gateway.place.root.join("secret")).unwrap();
    gateway.reload();
    assert_eq!(status(&gateway, "/header", "rotated").await, 204);
}

#[tokio::test]
async fn which_secret_was_used_is_counted() {
    let gateway = TestGateway::bundle(CONFIG, &files(&Issuer::new().keys()));
    status(&gateway, "/header", NEXT).await;
    status(&gateway, "/header", NEXT).await;
    status(&gateway, "/header", SECRET).await;
    let metrics = gateway.metrics.encode();
    let counts: Vec<_> =
        metrics.lines().filter(|line| line.starts_with("hookgate_auth_total") && line.contains("\"ok\"")).collect();
    let count = |file: &str| {
        let line = counts.iter().find(|line| line.contains(&format!("{file}\"")));
        line.and_then(|line| line.rsplit(' ').next()).unwrap_or("none").to_owned()
    };
    assert_eq!((count("/next"), count("/secret")), ("2".into(), "1".into()), "{counts:#?}");
    assert!(!metrics.contains(NEXT) && !metrics.contains("dGVzdDp0ZXN0"));
}

#[tokio::test]
async fn a_secret_twice_in_one_call_is_none() {
    let gateway = TestGateway::bundle(CONFIG, &files(&Issuer::new().keys()));
    let twice = [("authorization", SECRET), ("Authorization", SECRET)];
    assert_eq!(gateway.call(Method::POST, "/header", &twice, with_id("okta.registration", "x")).await.0, 401);
}

#[test]
fn the_log_says_which_part_was_wrong_and_never_the_value() {
    let issuer = Issuer::new();
    let served = Served::start(CONFIG, &files(&issuer.keys()));
    let rows = refused(&issuer);
    for (path, _, value, _) in &rows {
        let header = value.as_ref().map(|value| format!("authorization: {value}\r\n")).unwrap_or_default();
        let answer = served.exchange(&format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\n{header}content-length: 2\r\nconnection: close\r\n\r\n{{}}"
        ));
        assert!(
            answer.starts_with("HTTP/1.1 401 ") && answer.ends_with("{\"error\":\"not authenticated\"}"),
            "{answer}"
        );
    }
    let log = served.stop();
    let refusals: Vec<&str> = log.lines().filter(|line| line.contains("not authenticated")).collect();
    assert_eq!(refusals.len(), rows.iter().filter(|(_, _, value, _)| value.as_deref() != Some("\n")).count(), "{log}");
    for (line, words) in [
        (0, "is absent"),
        (2, "write `Basic ` before it"),
        (4, "none of our secrets"),
        (17, "expired"),
        (18, "another audience"),
    ] {
        assert!(refusals[line].contains(words), "{words} is not in {}", refusals[line]);
    }
    for (_, _, value, _) in &rows {
        let value = value.as_deref().unwrap_or_default().trim_start_matches("Bearer ").trim_start_matches("Basic ");
        assert!(value.is_empty() || !log.contains(value), "{value} is in the log");
    }
    assert!(!log.contains(CANARY), "{log}");
}

const SEVERAL: &str = r#"
[auth.key]
scheme = "header"
header = "x-key"
secrets = [{ file = "secret" }]

[auth.next]
scheme = "header"
header = "x-next"
secrets = [{ file = "next" }]

[routes.both]
path = "/both"
hook = "okta.registration"
script = "hook.rhai"
auth = { all = ["key", "next"] }
on_failure = "allow"
"#;

/// Two secrets in two headers at once (#13).
#[tokio::test]
async fn a_route_may_want_two_headers_at_once() {
    let gateway = TestGateway::bundle(SEVERAL, &files("")[..3]);
    let both = [("x-key", SECRET), ("x-next", NEXT)];
    let call = async |headers: &[(&str, &str)], id: &str| {
        gateway.call(Method::POST, "/both", headers, with_id("okta.registration", id)).await.0
    };
    assert_eq!(call(&both, "both").await, 204);
    assert_eq!(call(&both[..1], "key").await, 401);
    assert_eq!(call(&both[1..], "next").await, 401);
    assert_eq!(call(&[], "none").await, 401);
    assert_eq!(call(&[("x-key", NEXT), ("x-next", SECRET)], "swapped").await, 401);
    assert_eq!(call(&[("x-key", SECRET), ("x-next", CANARY)], "wrong").await, 401);
    let counted = gateway.metrics.encode();
    for auth in ["key", "next"] {
        let line = counted.lines().find(|line| line.contains(&format!("auth=\"{auth}\",result=\"ok\"")));
        assert!(line.is_some_and(|line| line.ends_with(" 1")), "{auth}: {line:?}");
    }
    assert_eq!(result_count(&gateway, "next", "header_absent"), 1, "the first was right");
    assert_eq!(result_count(&gateway, "next", "unknown_secret"), 1);
}

/// What a start would refuse is no new secret (#13).
#[tokio::test]
async fn a_secret_that_could_not_be_used_replaces_none_and_the_status_says_so() {
    let gateway = TestGateway::bundle(CONFIG, &files(&Issuer::new().keys()));
    assert_eq!(status(&gateway, "/header", NEXT).await, 204);
    assert_eq!(status(&gateway, "/basic", &basic("okta:pass:word")).await, 204);
    for (file, text) in [
        ("next", ""),
        ("next", "a\nb\n"),
        ("next", " lead\n"),
        ("next", "a\0b"),
        ("user", "nocolon"),
        ("user", "okta:pass\nother:word\n"),
        ("keys.json", "{}"),
    ] {
        gateway.write(file, text);
        gateway.reload();
        assert_eq!(status(&gateway, "/header", NEXT).await, 204, "{file}: {text:?}");
        assert_eq!(status(&gateway, "/basic", &basic("okta:pass:word")).await, 204, "{file}: {text:?}");
        let told = gateway.live.status().refused_secrets;
        assert!(told.iter().any(|line| line.contains(file)), "{file}: {text:?}: {told:?}");
    }
    assert!(gateway.metrics.encode().contains("hookgate_refused_secrets 3"), "one of each file");
    gateway.write("next", "fresh-secret\n");
    gateway.write("user", "okta:new\n");
    gateway.write("keys.json", &Issuer::new().keys());
    gateway.reload();
    assert_eq!(gateway.live.status().refused_secrets, Vec::<String>::new());
    assert_eq!(status(&gateway, "/header", "fresh-secret").await, 204);
    assert_eq!(status(&gateway, "/basic", &basic("okta:new")).await, 204);
}

/// A parameter may be a secret: it compares, prints as `***`, and rotates (#13).
#[tokio::test]
async fn a_parameter_that_is_a_secret_is_one_in_the_script() {
    let config = CONFIG.replacen(
        "on_failure = \"allow\"",
        "on_failure = \"allow\"\n[routes.header.params]\napi_key = { file = \"key\" }",
        1,
    );
    let script = "fn on_registration(request) { if params.api_key == \"first\" { deny(`one ${params.api_key}`) } else { deny(\"other\") } }";
    let keys = Issuer::new().keys();
    let mut files = files(&keys).to_vec();
    files[0].1 = script;
    files.push(("key", "first\n"));
    let gateway = TestGateway::bundle(&config, &files);
    let said = async |id: &str| {
        let (status, answer) =
            gateway.call(Method::POST, "/header", &[("authorization", SECRET)], with_id("okta.registration", id)).await;
        assert_eq!(status, 200, "{answer}");
        answer.to_string()
    };
    let first = said("1").await;
    assert!(first.contains("one ***") && !first.contains("first"), "{first}");
    gateway.write("key", "second\n");
    gateway.reload();
    assert!(said("2").await.contains("other"), "the new value is in use");
    gateway.write("key", "");
    gateway.reload();
    assert!(said("3").await.contains("other"), "an empty file changes nothing");
}
