//! Gates of schemes whose proof is in the body, alone and beside others.

use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::auth::standard_webhooks::StandardWebhooks;
use hookgate_hooks::proof::{Sign, TokenPlace};

/// 24 bytes `A`.
const SECRET: &str = "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB";

fn named(name: &str, scheme: Scheme) -> (String, Arc<Scheme>) {
    (name.to_owned(), Arc::new(scheme))
}

fn key() -> (String, Arc<Scheme>) {
    named("key", header("x-key", &["BARE"]))
}

fn webhooks() -> (String, Arc<Scheme>) {
    let secret = |_: &str| Some(SECRET.to_owned());
    let ring = Ring::load(vec![Source::Env("HOOK".to_owned())], secret).unwrap();
    named("hooks", Scheme::StandardWebhooks(StandardWebhooks::new(Arc::new(ring), 300).unwrap()))
}

/// The headers that sign `body` now.
fn signature(body: &[u8]) -> Vec<(&'static str, String)> {
    let now = seconds_since_epoch().to_string();
    let mac = signer::hmac_sha256(&[b'A'; 24], &[b"msg", b".", now.as_bytes(), b".", body]);
    let mac = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, mac);
    vec![("webhook-id", "msg".to_owned()), ("webhook-timestamp", now), ("webhook-signature", format!("v1,{mac}"))]
}

fn head(signed: &[(&'static str, String)], others: &[(&str, &str)]) -> Parts {
    let all: Vec<(&str, &[u8])> = signed
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .chain(others.iter().map(|(name, value)| (*name, value.as_bytes())))
        .collect();
    parts(&all)
}

/// `verified`, `needs body` or the reason of the refusal, with the name of the section.
async fn of_head(gate: &Gate, head: &Parts) -> String {
    match gate.verify_head(head).await {
        Ok(HeadVerdict::Verified(verified)) => format!("verified {}", verified.auth()),
        Ok(HeadVerdict::NeedsBody) => "needs body".to_owned(),
        Err(denied) => format!("{} {}", denied.auth, denied.error.reason()),
    }
}

async fn of_all(gate: &Gate, head: &Parts, body: &Bytes) -> String {
    let evidence = Evidence { head, body: Some(body), token: None };
    match gate.verify(&evidence).await {
        Ok(verified) => verified.each().map(Verified::auth).collect::<Vec<_>>().join(" "),
        Err(denied) => format!("{} {}", denied.auth, denied.error.reason()),
    }
}

#[tokio::test]
async fn a_signature_over_the_body_needs_the_body() {
    let gate = gate_of(vec![vec![webhooks()]]).unwrap();
    let body = Bytes::from_static(b"{}");
    let signed = head(&signature(&body), &[]);
    assert_eq!(of_head(&gate, &signed).await, "needs body");
    assert_eq!(of_all(&gate, &signed, &body).await, "hooks");
    assert_eq!(of_all(&gate, &signed, &Bytes::from_static(b"[]")).await, "hooks wrong_signature");
    assert_eq!(of_head(&gate, &parts(&[])).await, "hooks header_absent", "refused before any of the body is read");
    let denied = gate.verify(&Evidence::of_head(&signed)).await.unwrap_err();
    assert_eq!(denied.to_string(), "auth `hooks`: the proof is in the body, and the body was not read");
}

#[tokio::test]
async fn a_scheme_of_the_head_refuses_before_the_body_is_read() {
    let body = Bytes::from_static(b"{}");
    let right = [("x-key", "bare-token")];
    let wrong = [("x-key", "another")];
    for way in [vec![key(), webhooks()], vec![webhooks(), key()]] {
        let gate = gate_of(vec![way]).unwrap();
        assert_eq!(of_head(&gate, &head(&signature(&body), &wrong)).await, "key unknown_secret");
        assert_eq!(of_head(&gate, &head(&signature(&body), &[])).await, "key header_absent");
        assert_eq!(of_head(&gate, &head(&[], &right)).await, "hooks header_absent");
        let both = head(&signature(&body), &right);
        assert_eq!(of_head(&gate, &both).await, "needs body");
        let names = of_all(&gate, &both, &body).await;
        assert!(names == "hooks key" || names == "key hooks", "{names}");
        assert_eq!(of_all(&gate, &both, &Bytes::new()).await, "hooks wrong_signature");
    }
}

#[tokio::test]
async fn a_way_without_a_body_lets_in_without_one() {
    let body = Bytes::from_static(b"{}");
    let right = [("x-key", "bare-token")];
    for ways in [vec![vec![key()], vec![webhooks()]], vec![vec![webhooks()], vec![key()]]] {
        let gate = gate_of(ways).unwrap();
        assert_eq!(of_head(&gate, &head(&[], &right)).await, "verified key");
        assert_eq!(of_head(&gate, &head(&signature(&body), &right)).await, "verified key");
        assert_eq!(of_head(&gate, &head(&signature(&body), &[])).await, "needs body");
        assert_eq!(of_head(&gate, &head(&signature(&body), &[("x-key", "another")])).await, "needs body");
        assert_eq!(of_head(&gate, &head(&[], &[("x-key", "another")])).await, "key unknown_secret");
        assert_eq!(of_all(&gate, &head(&signature(&body), &[]), &body).await, "hooks");
        let other = head(&signature(&body), &[("x-key", "another")]);
        assert_eq!(of_all(&gate, &other, &Bytes::new()).await, "hooks wrong_signature", "it came furthest");
    }
}

#[tokio::test]
async fn a_way_that_only_lacks_the_body_is_never_hidden_by_one_that_came_far() {
    let far = vec![key(), named("other", header("x-other", &["BASIC"]))];
    for ways in [vec![far.clone(), vec![webhooks()]], vec![vec![webhooks()], far]] {
        let gate = gate_of(ways).unwrap();
        let head = head(&signature(b""), &[("x-key", "bare-token")]);
        assert_eq!(of_head(&gate, &head).await, "needs body");
    }
}

#[tokio::test]
async fn a_token_in_the_body_is_proof_that_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let issuer = Issuer::new("one");
    std::fs::write(directory.path().join("jwks.json"), issuer.jwks()).unwrap();
    let keys = Keys::file("jwks.json", Arc::new(Fence::new(directory.path()))).unwrap();
    let rules =
        Rules { issuer: "https://issuer".into(), audience: Audience::Listed(vec!["hooks".into()]), ..Rules::default() };
    let jwt = named("token", Scheme::Jwt(Jwt::new(rules, keys).unwrap()));
    let in_body = TokenRules { place: TokenPlace::Body, ..TokenRules::BEARER };
    let gate = Gate::new(vec![vec![jwt, key()]], in_body, None).unwrap();
    let claims = json!({"iss": "https://issuer", "aud": "hooks", "exp": 9_999_999_999_u64, "sub": "u"});
    let token = issuer.token(&claims);
    let body = Bytes::from(format!("logout_token={token}"));
    let head = parts(&[("x-key", b"bare-token")]);
    assert_eq!(of_head(&gate, &head).await, "needs body");
    assert_eq!(of_head(&gate, &parts(&[])).await, "key header_absent");
    let verified = gate.verify(&Evidence { head: &head, body: Some(&body), token: Some(&token) }).await.unwrap();
    let read: serde_json::Value = serde_json::from_slice(verified.claims().unwrap()).unwrap();
    assert_eq!((read, verified.key_id(), verified.auth()), (claims, Some("one"), "key"), "also behind another proof");
    let denied = gate.verify(&Evidence { head: &head, body: Some(&body), token: None }).await.unwrap_err();
    assert_eq!(denied.to_string(), "auth `token`: the call has no token in its body");
}

#[tokio::test]
async fn a_reply_is_signed_with_the_secret_that_let_the_caller_in() {
    let body = Bytes::from_static(b"{}");
    let people = named("people", Scheme::Basic(Basic::new(ring(&["USER"])).unwrap()));
    let gate =
        gate_of(vec![vec![webhooks(), key()], vec![named("key", header("x-key", &["BASIC", "BARE"]))], vec![people]])
            .unwrap();
    let mac = |key: &[u8]| Some(signer::hmac_sha256(key, &[b"reply"]));
    let sign = |verified: &Verified| gate.signer(verified).map(|signer| signer.hmac_sha256(b"reply"));
    let both = head(&signature(&body), &[("x-key", "bare-token")]);
    let verified = gate.verify(&Evidence { head: &both, body: Some(&body), token: None }).await.unwrap();
    assert_eq!(sign(&verified), mac(&[b'A'; 24]), "the first that the route names");
    let HeadVerdict::Verified(verified) = gate.verify_head(&parts(&[("x-key", b"bare-token")])).await.unwrap() else {
        panic!("a header needs no body");
    };
    assert_eq!(sign(&verified), mac(b"bare-token"));
    let login: &[u8] = b"Basic dXNlcjpwYXNzOndvcmQ=";
    let verified = gate.verify(&Evidence::of_head(&parts(&[("authorization", login)]))).await.unwrap();
    assert!(gate.signer(&verified).is_none(), "a password is not for signing");
}
