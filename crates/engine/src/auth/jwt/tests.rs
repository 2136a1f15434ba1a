use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use hookgate_hooks::proof::{Expiry, TokenRules};
use http::Request;
use serde_json::{Value, json};

use super::*;
use crate::auth::jwt::token::MAX_TOKEN_BYTES;
use crate::auth::tests::issuer::{Issuer, unsigned};
use hookgate_model::files::fence::Fence;

const NOW: u64 = 1_800_000_000;

const BEARER: GateRules = GateRules { token: TokenRules::BEARER, public_url: None };

fn rules() -> Rules {
    Rules {
        issuer: "https://id.example.com".into(),
        audience: Audience::Listed(vec!["api://hooks".into(), "api://other".into()]),
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
    match jwt.verify(&Evidence::of_head(&parts), &BEARER).await {
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
        (json!({"iat": none}), "client 0oa2"),
        (json!({"iat": seconds_since_epoch() + 3_600}), "issued_in_future"),
        (json!({"iat": "1"}), "token_malformed"),
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
        let mut claims = with(changes);
        claims["iat"] = json!(NOW);
        let claims = serde_json::from_value(claims).unwrap();
        jwt.check_claims(&claims, &BEARER, "/", NOW)
            .map(|label| label.unwrap().to_string())
            .map_err(|error| error.to_string())
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
    let claims = serde_json::from_value(with(json!({"exp": NOW - 1, "nbf": 0, "iat": 0}))).unwrap();
    let denied = strict.check_claims(&claims, &BEARER, "/", NOW).unwrap_err();
    assert_eq!(denied.reason(), "expired", "the configured leeway counts");
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

/// A gate whose hook says this of its tokens.
fn gate(token: TokenRules) -> GateRules {
    GateRules { token, public_url: Some("https://hooks.example.com".to_owned()) }
}

#[tokio::test]
async fn the_type_of_a_token_is_a_media_type() {
    let issuer = Issuer::new("one");
    let jwt = jwt_with(rules(), &issuer.jwks());
    let logout = gate(TokenRules { types: &["logout+jwt", "application/secevent+jwt"], ..TokenRules::BEARER });
    let refused = "wrong_type";
    for (given, expected) in [
        (json!("logout+jwt"), "client 0oa2"),
        (json!("LOGOUT+JWT"), "client 0oa2"),
        (json!("application/logout+jwt"), "client 0oa2"),
        (json!("Application/Logout+jwt"), "client 0oa2"),
        (json!("secevent+jwt"), "client 0oa2"),
        (json!("application/secevent+jwt"), "client 0oa2"),
        (json!("JWT"), refused),
        (json!("at+jwt"), refused),
        (json!("logout+jwt "), refused),
        (json!("logout"), refused),
        (json!("text/logout+jwt"), refused),
        (json!("application/application/logout+jwt"), refused),
        (json!("applicatioé/logout+jwt"), refused),
        (json!(""), refused),
        (Value::Null, refused),
        (json!(1), "token_malformed"),
    ] {
        let token = issuer.sign(&json!({"alg": "ES256", "kid": "one", "typ": given}), &claims());
        let (parts, ()) =
            Request::builder().header("authorization", format!("Bearer {token}")).body(()).unwrap().into_parts();
        let evidence = Evidence::of_head(&parts);
        let outcome = jwt.verify(&evidence, &logout).await;
        let outcome = outcome.map_or_else(|error| error.reason().to_owned(), |proof| proof.secret().to_owned());
        assert_eq!(outcome, expected, "{given}");
        if expected == refused {
            assert!(jwt.verify(&evidence, &BEARER).await.is_ok(), "{given}: no type is asked for");
        }
    }
}

#[test]
fn a_token_without_expiry_is_good_for_a_while_where_the_hook_says_so() {
    let jwt = jwt_with(rules(), &Issuer::new("one").jwks());
    let optional = gate(TokenRules { expiry: Expiry::Optional { max_age_s: 120 }, ..TokenRules::BEARER });
    let check = |changes: Value, gate: &GateRules| {
        let claims = serde_json::from_value(with(changes)).unwrap();
        jwt.check_claims(&claims, gate, "/", NOW).map(drop).map_err(|error| error.to_string())
    };
    let undated = "the token has neither `exp` nor `iat`, so nothing says how old it is";
    for (exp, iat, expected) in [
        (None, Some(NOW), Ok(())),
        (None, Some(NOW - 180), Ok(())),
        (
            None,
            Some(NOW - 181),
            Err("the token has no `exp`, and its `iat` is 181 s ago, longer than such tokens are good"),
        ),
        (None, Some(NOW + 60), Ok(())),
        (None, Some(NOW + 61), Err("the token was issued 61 s from now, as its `iat` says")),
        (None, None, Err(undated)),
        // An expiry counts as always, however old the token is.
        (Some(NOW + 1), Some(NOW - 9_000), Ok(())),
        (Some(NOW + 1), None, Ok(())),
        (Some(NOW - 61), Some(NOW), Err("the token expired 61 s ago")),
        (Some(NOW + 99), Some(NOW + 61), Err("the token was issued 61 s from now, as its `iat` says")),
    ] {
        let changes = json!({"exp": exp, "iat": iat, "nbf": null});
        assert_eq!(check(changes.clone(), &optional), expected.map_err(str::to_owned), "{changes}");
        let outcome = check(changes.clone(), &BEARER);
        assert_eq!(outcome.is_ok(), exp.is_some() && expected.is_ok(), "{changes}: {outcome:?}");
    }
    for odd in [json!(-1.5), json!(1e300), json!(-1e300)] {
        assert!(check(json!({"exp": null, "iat": odd, "nbf": null}), &optional).is_err(), "{odd}");
    }
    let half = json!(NOW as f64 + 60.5);
    assert!(check(json!({"exp": null, "iat": half, "nbf": null}), &optional).is_err(), "half a second too late");
}

/// Claims of a token for that audience.
fn meant_for(audience: Value) -> Value {
    with(json!({ "aud": audience }))
}

async fn called(jwt: &Jwt, gate: &GateRules, address: &str, token: &str) -> Result<Verified, AuthError> {
    let request = Request::builder().uri(address).header("authorization", format!("Bearer {token}"));
    let (parts, ()) = request.body(()).unwrap().into_parts();
    jwt.verify(&Evidence::of_head(&parts), gate).await
}

#[tokio::test]
async fn without_an_audience_the_token_is_for_the_address_that_was_called() {
    let issuer = Issuer::new("one");
    let jwt = jwt_with(Rules { audience: Audience::CalledAddress, ..rules() }, &issuer.jwks());
    let gate = gate(TokenRules::BEARER);
    for (address, audience, is_ours) in [
        ("/okta/logout", json!("https://hooks.example.com/okta/logout"), true),
        ("/okta/logout/", json!("https://hooks.example.com/okta/logout"), true),
        ("/okta/logout", json!("https://hooks.example.com/okta/logout/"), true),
        ("/okta/logout?a=/b", json!("https://hooks.example.com/okta/logout"), true),
        ("https://inside:8080/okta/logout", json!(["x", "https://hooks.example.com/okta/logout"]), true),
        ("/", json!("https://hooks.example.com"), true),
        ("/", json!("https://hooks.example.com/"), true),
        ("/okta/logout", json!("https://hooks.example.com"), false),
        ("/okta/logout", json!("https://hooks.example.com/okta"), false),
        ("/okta/logout", json!("https://hooks.example.com/okta/logout2"), false),
        ("/okta/logout", json!("https://hooks.example.com/okta/logout//"), false),
        ("/okta/logout", json!("https://hooks.example.com/Okta/logout"), false),
        ("/okta/logout", json!("https://hooks.example.com.evil.example/okta/logout"), false),
        ("/okta/logout", json!("http://hooks.example.com/okta/logout"), false),
        ("/okta/logout?a=b", json!("https://hooks.example.com/okta/logout?a=b"), false),
        ("/okta/logout", json!("/okta/logout"), false),
        ("/okta/logout", json!([]), false),
        ("/okta/logout", Value::Null, false),
    ] {
        let outcome = called(&jwt, &gate, address, &issuer.token(&meant_for(audience.clone()))).await;
        let reason = outcome.map_or_else(|error| error.reason(), |_| "ours");
        assert_eq!(reason, if is_ours { "ours" } else { "wrong_audience" }, "{address} {audience}");
    }
    let denied = called(&jwt, &gate, "/okta/x", &issuer.token(&meant_for(json!("x")))).await.unwrap_err();
    assert_eq!(
        denied.to_string(),
        "the token is for another audience than `https://hooks.example.com` followed by the path of this route"
    );
    // The configuration check refuses this; if it came here all the same, nobody would be let in.
    for audience in ["", "/okta/x", "null"] {
        let token = issuer.token(&meant_for(json!(audience)));
        assert!(called(&jwt, &BEARER, "/okta/x", &token).await.is_err(), "{audience:?}");
    }
}

#[tokio::test]
async fn what_a_token_says_goes_with_the_proof() {
    let issuer = Issuer::new("one");
    let jwt = jwt_with(rules(), &issuer.jwks());
    let claims = with(json!({"events": {"a": {}}, "jti": "7"}));
    let verified = called(&jwt, &BEARER, "/", &issuer.token(&claims)).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(verified.claims().unwrap()).unwrap(), claims);
    assert_eq!(verified.key_id(), Some("one"));
    let without_id = issuer.sign(&json!({"alg": "ES256"}), &claims);
    let verified = called(&jwt, &BEARER, "/", &without_id).await.unwrap();
    assert_eq!(verified.key_id(), None);
    assert!(!format!("{verified:?}").contains("events"), "claims are not printed: {verified:?}");
}

#[tokio::test]
async fn a_token_in_the_body_is_the_only_one_that_counts() {
    let issuer = Issuer::new("one");
    let jwt = jwt_with(rules(), &issuer.jwks());
    let in_body = gate(TokenRules { place: TokenPlace::Body, ..TokenRules::BEARER });
    let token = issuer.token(&claims());
    let (head, ()) =
        Request::builder().header("authorization", format!("Bearer {token}")).body(()).unwrap().into_parts();
    let body = Bytes::from(format!("logout_token={token}"));
    let verify = async |body: Option<&Bytes>, token: Option<&str>| {
        let evidence = Evidence { head: &head, body, token };
        jwt.verify(&evidence, &in_body).await.map(|proof| proof.secret().to_owned()).map_err(|error| error.reason())
    };
    assert_eq!(verify(Some(&body), Some(&token)).await, Ok("client 0oa2".to_owned()));
    assert_eq!(verify(None, None).await, Err("body_not_read"));
    assert_eq!(verify(Some(&body), None).await, Err("no_token"), "the one in the header does not count");
    assert_eq!(verify(Some(&body), Some("")).await, Err("token_malformed"));
    assert_eq!(verify(Some(&body), Some(&token[..token.len() - 2])).await, Err("bad_signature"));
    assert_eq!(verify(Some(&body), Some(&format!("Bearer {token}"))).await, Err("token_malformed"));
    // And the other way round: a token in the body does not help where the header is meant.
    let (bare, ()) = Request::new(()).into_parts();
    let evidence = Evidence { head: &bare, body: Some(&body), token: Some(&token) };
    assert_eq!(jwt.verify(&evidence, &BEARER).await.unwrap_err().reason(), "header_absent");
}
