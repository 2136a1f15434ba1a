use http::Request;
use serde_json::{Value, json};

use super::*;
use crate::auth::tests::issuer::{Issuer, unsigned};
use hookgate_model::files::fence::Fence;

const NOW: u64 = 1_800_000_000;

fn rules() -> Rules {
    Rules {
        issuer: "https://id.example.com".into(),
        audiences: vec!["api://hooks".into(), "api://other".into()],
        clients: vec!["0oa1".into(), "0oa2".into()],
        scopes: vec!["hooks.call".into()],
        algorithms: vec![],
        leeway_s: 60,
    }
}

fn claims() -> Value {
    json!({
        "iss": "https://id.example.com", "aud": "api://hooks", "cid": "0oa2", "sub": "0oa2", "scp": ["hooks.call", "x"],
        "exp": seconds_since_epoch() + 300, "nbf": seconds_since_epoch() - 5, "iat": seconds_since_epoch(),
    })
}

fn with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn jwt_with(rules: Rules, jwks: &str) -> Jwt {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    std::fs::write(&path, jwks).unwrap();
    Jwt::new(rules, Keys::file("jwks.json", Arc::new(Fence::new(directory.path()))).unwrap()).unwrap()
}

async fn outcome(jwt: &Jwt, value: &str) -> String {
    let (parts, ()) = Request::builder().header("authorization", value).body(()).unwrap().into_parts();
    match jwt.verify(&parts).await {
        Ok(verified) => verified.secret().to_owned(),
        Err(error) => error.reason().to_owned(),
    }
}

#[tokio::test]
async fn every_asymmetric_algorithm_is_good() {
    let issuer = Issuer::new("one");
    let jwt = jwt_with(rules(), &issuer.jwks());
    for algorithm in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        let token = issuer.sign(&json!({"alg": algorithm, "kid": "rsa"}), &claims());
        assert_eq!(outcome(&jwt, &format!("Bearer {token}")).await, "client 0oa2", "{algorithm}");
    }
    assert_eq!(outcome(&jwt, &format!("bearer {}", issuer.token(&claims()))).await, "client 0oa2");
    let without_id = issuer.sign(&json!({"alg": "ES256"}), &claims());
    assert_eq!(outcome(&jwt, &format!("Bearer {without_id}")).await, "client 0oa2");
}

#[tokio::test]
async fn token_cannot_choose_how_it_is_checked() {
    let (issuer, stranger) = (Issuer::new("one"), Issuer::new("one"));
    let jwt = jwt_with(rules(), &issuer.jwks());
    let signed = |header: Value| issuer.sign(&header, &claims());
    let unsigned = |algorithm: &str| unsigned(&json!({"alg": algorithm, "kid": "one"}), &claims());
    let good = issuer.token(&claims());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let rsa = signed(json!({"alg": "RS256", "kid": "rsa"}));
    for (name, token, expected) in [
        ("none", format!("{}.", unsigned("none")), "algorithm_not_allowed"),
        ("None", format!("{}.", unsigned("None")), "algorithm_not_allowed"),
        ("empty", format!("{}.", unsigned("")), "algorithm_not_allowed"),
        ("lower case", format!("{}.{signature}", unsigned("es256")), "algorithm_not_allowed"),
        ("public key as secret", signed(json!({"alg": "HS256", "kid": "rsa"})), "algorithm_not_allowed"),
        ("other kind of key", format!("{}.{signature}", unsigned("RS256")), "unknown_key"),
        ("other curve", format!("{}.{signature}", unsigned("ES384")), "unknown_key"),
        ("unknown key", signed(json!({"alg": "ES256", "kid": "two"})), "unknown_key"),
        ("key id in other case", signed(json!({"alg": "ES256", "kid": "One"})), "unknown_key"),
        ("stranger's key", stranger.token(&claims()), "bad_signature"),
        ("stranger's key, no id", stranger.sign(&json!({"alg": "ES256"}), &claims()), "bad_signature"),
        ("no signature", format!("{message}."), "bad_signature"),
        ("signature of another", format!("{message}.{}", rsa.rsplit_once('.').unwrap().1), "bad_signature"),
        ("truncated", good[..good.len() - 1].to_owned(), "bad_signature"),
        ("one longer", format!("{good}A"), "bad_signature"),
        ("trailing blank", format!("{good} "), "bad_signature"),
        ("claims changed", swap_claims(&good, &with(json!({"cid": "0oa1"}))), "bad_signature"),
        ("critical", signed(json!({"alg": "ES256", "kid": "one", "crit": ["exp"]})), "token_malformed"),
        ("four parts", format!("{good}.x"), "token_malformed"),
        ("two parts", message.to_owned(), "token_malformed"),
        ("not base64", format!("!{good}"), "token_malformed"),
        ("not an object", format!("W10.{}", &good[3..]), "token_malformed"),
        ("nothing", String::new(), "token_malformed"),
        ("too long", format!("{good}{}", "A".repeat(MAX_TOKEN_BYTES)), "token_malformed"),
    ] {
        assert_eq!(outcome(&jwt, &format!("Bearer {token}")).await, expected, "{name}");
    }
    assert_eq!(outcome(&jwt, &good).await, "scheme_word_missing");
    assert_eq!(outcome(&jwt, &format!("Basic {good}")).await, "other_scheme_word");
    assert_eq!(outcome(&jwt, "").await, "header_empty");
}

fn swap_claims(token: &str, claims: &Value) -> String {
    let parts: Vec<_> = token.split('.').collect();
    format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2])
}

#[tokio::test]
async fn claims_must_be_those_of_the_rules() {
    let issuer = Issuer::new("one");
    let jwt = jwt_with(rules(), &issuer.jwks());
    let none = Value::Null;
    for (changes, expected) in [
        (json!({}), "client 0oa2"),
        (json!({"aud": ["x", "api://other"]}), "client 0oa2"),
        (json!({"scp": none, "scope": "x hooks.call"}), "client 0oa2"),
        (json!({"scp": "hooks.call x"}), "client 0oa2"),
        (json!({"nbf": none}), "client 0oa2"),
        (json!({"exp": 9_999_999_999.5_f64}), "client 0oa2"),
        (json!({"cid": none, "client_id": "0oa1"}), "client 0oa1"),
        (json!({"cid": none, "azp": "0oa1", "sub": "0oa1@clients"}), "client 0oa1"),
        (json!({"cid": none}), "client 0oa2"),
        (json!({"exp": 1_000}), "expired"),
        (json!({"exp": -1}), "expired"),
        (json!({"nbf": seconds_since_epoch() + 3_600}), "not_yet_valid"),
        (json!({"exp": none}), "token_malformed"),
        (json!({"exp": "9999999999"}), "token_malformed"),
        (json!({"iss": "https://id.example.com/"}), "wrong_issuer"),
        (json!({"iss": "https://ID.example.com"}), "wrong_issuer"),
        (json!({"iss": none}), "wrong_issuer"),
        (json!({"aud": "api://hook"}), "wrong_audience"),
        (json!({"aud": "api://hooks "}), "wrong_audience"),
        (json!({"aud": "api://hooks api://other"}), "wrong_audience"),
        (json!({"aud": []}), "wrong_audience"),
        (json!({"aud": none}), "wrong_audience"),
        (json!({"cid": "0oa3"}), "wrong_client"),
        (json!({"cid": "0OA2"}), "wrong_client"),
        (json!({"cid": "stranger", "sub": "0oa2"}), "wrong_client"),
        (json!({"cid": none, "sub": none}), "wrong_client"),
        (json!({"scp": ["hooks.calls"]}), "missing_scope"),
        (json!({"scp": ["Hooks.call"]}), "missing_scope"),
        (json!({"scp": ["x hooks.call"]}), "missing_scope"),
        (json!({"scp": []}), "missing_scope"),
        (json!({"scp": none}), "missing_scope"),
    ] {
        let token = issuer.token(&with(changes.clone()));
        assert_eq!(outcome(&jwt, &format!("Bearer {token}")).await, expected, "{changes}");
    }
}

#[test]
fn clocks_may_differ_by_the_leeway_and_no_second_more() {
    let jwt = jwt_with(rules(), &Issuer::new("one").jwks());
    let check = |changes: Value| {
        let claims = serde_json::from_value(with(changes)).unwrap();
        jwt.check_claims(&claims, NOW).map(|label| label.unwrap().to_string()).map_err(|error| error.to_string())
    };
    let good = || Ok("client 0oa2".to_owned());
    assert_eq!(check(json!({"exp": NOW - 60, "nbf": 0})), good());
    assert_eq!(check(json!({"exp": NOW - 61, "nbf": 0})), Err("the token expired 61 s ago".to_owned()));
    assert_eq!(check(json!({"exp": NOW + 1, "nbf": NOW + 60})), good());
    assert_eq!(
        check(json!({"exp": NOW + 99, "nbf": NOW + 61})),
        Err("the token is not valid before 61 s from now".to_owned())
    );
    assert_eq!(check(json!({"exp": 1e300, "nbf": -1e300})), good());

    let strict = jwt_with(Rules { leeway_s: 0, ..rules() }, &Issuer::new("one").jwks());
    let claims = serde_json::from_value(with(json!({"exp": NOW - 1, "nbf": 0}))).unwrap();
    assert!(strict.check_claims(&claims, NOW).is_err(), "the configured leeway counts");
}

#[tokio::test]
async fn without_clients_and_scopes_any_will_do() {
    let issuer = Issuer::new("one");
    let jwt = jwt_with(Rules { clients: vec![], scopes: vec![], ..rules() }, &issuer.jwks());
    let token = issuer.token(&with(json!({"cid": "anybody", "scp": null})));
    assert_eq!(outcome(&jwt, &format!("Bearer {token}")).await, "none");
}

#[tokio::test]
async fn algorithms_can_be_narrowed() {
    let issuer = Issuer::new("one");
    let jwt = jwt_with(Rules { algorithms: vec!["RS256".into()], ..rules() }, &issuer.jwks());
    let token = issuer.sign(&json!({"alg": "RS256", "kid": "rsa"}), &claims());
    assert_eq!(outcome(&jwt, &format!("Bearer {token}")).await, "client 0oa2");
    assert_eq!(outcome(&jwt, &format!("Bearer {}", issuer.token(&claims()))).await, "algorithm_not_allowed");
}

#[test]
fn rules_report_every_mistake() {
    let keys = Keys::url("https://id.example.com/keys").unwrap();
    let algorithms = ["HS256", "none", "rs256", "ES256"].map(str::to_owned).to_vec();
    let errors = Jwt::new(Rules { algorithms, ..Rules::default() }, keys).unwrap_err();
    let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 5, "{texts:?}");
    assert_eq!(
        texts[2],
        "algorithm `HS256` is not allowed, allowed are RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA"
    );
}
