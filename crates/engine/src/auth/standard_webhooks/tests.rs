use bytes::Bytes;
use http::{HeaderValue, Request};
use serde_json::json;

use super::*;
use hookgate_hooks::proof::Sign;
use hookgate_model::secret::Source;

/// The test of the specification's own libraries (`libraries/javascript/src/index.test.ts` of its repository), and of Svix.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const SENT: u64 = 1_614_265_330;
const BODY: &str = r#"{"test": 2432232314}"#;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

/// The shortest one that is allowed: 24 bytes.
const NEXT: &str = "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB";

fn environment(name: &str) -> Option<String> {
    let text = match name {
        "SECRET" => SECRET,
        "NEXT" => NEXT,
        "BARE" => "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "OTHER_CASE" => "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "VERSION" => "v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "PUBLIC" => "whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "SHORT" => "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=",
        "URL_SAFE" => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La-_Sw",
        "NOTHING" => "whsec_",
        _ => return None,
    };
    Some(text.to_owned())
}

fn ring(names: &[&str]) -> Arc<Ring> {
    let sources = names.iter().map(|name| Source::Env((*name).to_owned())).collect();
    Arc::new(Ring::load(sources, environment).unwrap())
}

fn webhooks(names: &[&str]) -> StandardWebhooks {
    StandardWebhooks::new(ring(names), 300).unwrap()
}

/// The label of the secret, or why not; at [`SENT`].
fn outcome(webhooks: &StandardWebhooks, headers: &[(&str, &str)], body: Option<&str>) -> String {
    outcome_at(webhooks, headers, body, SENT)
}

fn outcome_at(webhooks: &StandardWebhooks, headers: &[(&str, &str)], body: Option<&str>, now: u64) -> String {
    let mut request = Request::new(());
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
    }
    let (head, ()) = request.into_parts();
    let body = body.map(|body| Bytes::from(body.to_owned()));
    let evidence = Evidence { head: &head, body: body.as_ref(), token: None };
    match webhooks.verify_at(&evidence, now) {
        Ok(verified) => verified.secret().to_owned(),
        Err(error) => error.reason().to_owned(),
    }
}

fn good<'a>(id: &'a str, timestamp: &'a str, signature: &'a str) -> [(&'a str, &'a str); 3] {
    [("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signature)]
}

fn signed(secret: &str, id: &str, timestamp: &str, body: &str) -> String {
    let key = STANDARD.decode(&secret[6..]).unwrap();
    let message = format!("{id}.{timestamp}.{body}");
    format!("v1,{}", STANDARD.encode(hmac_sha256(&key, &[message.as_bytes()])))
}

#[test]
fn the_published_vector_is_good_and_near_misses_are_not() {
    let sent = SENT.to_string();
    let webhooks = webhooks(&["SECRET"]);
    let flipped = SIGNATURE.replace("g0hM", "g0hN");
    let refused = "wrong_signature";
    for (name, id, timestamp, signature, body, expected) in [
        ("as published", ID, &*sent, SIGNATURE, BODY, "env SECRET"),
        ("other body", ID, &sent, SIGNATURE, r#"{"test": 2432232315}"#, refused),
        ("one blank less", ID, &sent, SIGNATURE, r#"{"test":2432232314}"#, refused),
        ("line end", ID, &sent, SIGNATURE, "{\"test\": 2432232314}\n", refused),
        ("no body", ID, &sent, SIGNATURE, "", refused),
        ("other id", "msg_p5jXN8AQM9LWM0D4loKWxJel", &sent, SIGNATURE, BODY, refused),
        ("other time", ID, "1614265331", SIGNATURE, BODY, refused),
        ("time with a zero", ID, "01614265330", SIGNATURE, BODY, refused),
        ("one bit", ID, &sent, &flipped, BODY, refused),
        ("other version", ID, &sent, &SIGNATURE.replace("v1,", "v1a,"), BODY, "no_signature"),
        ("later version", ID, &sent, &SIGNATURE.replace("v1,", "v2,"), BODY, "no_signature"),
        ("no version", ID, &sent, &SIGNATURE[3..], BODY, "no_signature"),
        ("version in upper case", ID, &sent, &SIGNATURE.replace('v', "V"), BODY, "no_signature"),
        ("another separator", ID, &sent, &SIGNATURE.replace(',', "="), BODY, "no_signature"),
        ("blank", ID, &sent, " ", BODY, "no_signature"),
        ("nothing after the version", ID, &sent, "v1,", BODY, "signature_malformed"),
        ("cut", ID, &sent, &SIGNATURE[..SIGNATURE.len() - 2], BODY, "signature_malformed"),
        ("not padded", ID, &sent, SIGNATURE.trim_end_matches('='), BODY, "signature_malformed"),
        ("one more", ID, &sent, &format!("{SIGNATURE}A"), BODY, "signature_malformed"),
        ("url-safe", ID, &sent, &SIGNATURE.replace('+', "-").replace('/', "_"), BODY, "signature_malformed"),
        ("hexadecimal", ID, &sent, &format!("v1,{}", "ab".repeat(32)), BODY, "signature_malformed"),
        ("no id", "", &sent, SIGNATURE, BODY, "header_empty"),
        ("dot in the id", "msg.p5jXN8AQM9LWM0D4loKWxJek", &sent, SIGNATURE, BODY, "dot_in_id"),
        ("no time", ID, "", SIGNATURE, BODY, "header_empty"),
        ("time with a sign", ID, "+1614265330", SIGNATURE, BODY, "timestamp_malformed"),
        ("negative time", ID, "-1", SIGNATURE, BODY, "timestamp_malformed"),
        ("time with a fraction", ID, "1614265330.0", SIGNATURE, BODY, "timestamp_malformed"),
        ("milliseconds", ID, "1614265330000", SIGNATURE, BODY, "sent_in_future"),
        ("a date", ID, "2021-02-25T15:02:10Z", SIGNATURE, BODY, "timestamp_malformed"),
        ("a time that is too large", ID, "18446744073709551616", SIGNATURE, BODY, "timestamp_malformed"),
        ("no signature", ID, &sent, "", BODY, "header_empty"),
    ] {
        assert_eq!(outcome(&webhooks, &good(id, timestamp, signature), Some(body)), expected, "{name}");
    }
}

#[test]
fn each_header_is_there_once() {
    let sent = SENT.to_string();
    let webhooks = webhooks(&["SECRET"]);
    let good = good(ID, &sent, SIGNATURE);
    for (at, (name, value)) in good.iter().enumerate() {
        let without: Vec<_> = good.iter().enumerate().filter(|(of, _)| *of != at).map(|(_, header)| *header).collect();
        assert_eq!(outcome(&webhooks, &without, Some(BODY)), "header_absent", "{name}");
        let twice: Vec<_> = good.iter().copied().chain([(*name, *value)]).collect();
        assert_eq!(outcome(&webhooks, &twice, Some(BODY)), "header_repeated", "{name}");
    }
    assert_eq!(outcome(&webhooks, &[], Some(BODY)), "header_absent");
}

#[test]
fn the_head_alone_is_refused_where_it_can_be() {
    let sent = SENT.to_string();
    let webhooks = webhooks(&["SECRET"]);
    assert_eq!(outcome(&webhooks, &good(ID, &sent, SIGNATURE), None), "body_not_read");
    assert_eq!(outcome(&webhooks, &good(ID, &sent, "v2,x"), None), "no_signature");
    assert_eq!(outcome(&webhooks, &good(ID, "now", SIGNATURE), None), "timestamp_malformed");
    assert_eq!(outcome(&webhooks, &good(ID, "0", SIGNATURE), None), "sent_too_long_ago");
    assert_eq!(outcome(&webhooks, &[], None), "header_absent");
}

#[test]
fn clocks_may_differ_by_the_tolerance_and_no_second_more() {
    let sent = SENT.to_string();
    let webhooks = webhooks(&["SECRET"]);
    let headers = good(ID, &sent, SIGNATURE);
    for (now, expected) in [
        (SENT + 300, "env SECRET"),
        (SENT + 301, "sent_too_long_ago"),
        (SENT - 300, "env SECRET"),
        (SENT - 301, "sent_in_future"),
        (0, "sent_in_future"),
        (u64::MAX, "sent_too_long_ago"),
    ] {
        assert_eq!(outcome_at(&webhooks, &headers, Some(BODY), now), expected, "{now}");
    }
    let strict = StandardWebhooks::new(ring(&["SECRET"]), 1).unwrap();
    assert_eq!(outcome_at(&strict, &headers, Some(BODY), SENT + 1), "env SECRET");
    assert_eq!(outcome_at(&strict, &headers, Some(BODY), SENT + 2), "sent_too_long_ago");
}

#[test]
fn any_signature_of_any_secret_is_good() {
    let sent = SENT.to_string();
    let other = signed(NEXT, ID, &sent, BODY);
    let both = webhooks(&["SECRET", "NEXT"]);
    let wrong = signed(NEXT, ID, &sent, "");
    for (signatures, expected) in [
        (SIGNATURE.to_owned(), "env SECRET"),
        (other.clone(), "env NEXT"),
        (format!("{SIGNATURE} {other}"), "env SECRET"),
        (format!("{other} {SIGNATURE}"), "env SECRET"),
        (format!("{wrong} {other}"), "env NEXT"),
        (format!("v1a,AAAA v9 v1, {other}  "), "env NEXT"),
        (format!("{wrong}, {other},"), "env NEXT"),
        (format!("{wrong},{other}"), "signature_malformed"),
        (format!("{wrong} {wrong}"), "wrong_signature"),
    ] {
        assert_eq!(outcome(&both, &good(ID, &sent, &signatures), Some(BODY)), expected, "{signatures}");
    }
    let headers = good(ID, &sent, &other);
    assert_eq!(outcome(&webhooks(&["SECRET"]), &headers, Some(BODY)), "wrong_signature", "a secret that is not ours");
    let empty = signed(SECRET, "a", &sent, "");
    assert_eq!(outcome(&both, &good("a", &sent, &empty), Some("")), "env SECRET", "an empty body can be signed");
}

#[test]
fn a_secret_that_is_none_is_refused_with_what_is_expected() {
    let names = ["SECRET", "BARE", "OTHER_CASE", "VERSION", "PUBLIC", "SHORT", "URL_SAFE", "NOTHING"];
    let errors = StandardWebhooks::new(ring(&names), 300).unwrap_err();
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "secret `env BARE` does not begin with `whsec_`: write it as the sender shows it",
            "secret `env OTHER_CASE` does not begin with `whsec_`: write it as the sender shows it",
            "secret `env VERSION` does not begin with `whsec_`: write it as the sender shows it",
            "secret `env PUBLIC` does not begin with `whsec_`: write it as the sender shows it",
            "secret `env SHORT` has 23 bytes after `whsec_`, and 24 are the least",
            "secret `env URL_SAFE` is not base64 after `whsec_`: write it as the sender shows it",
            "secret `env NOTHING` has 0 bytes after `whsec_`, and 24 are the least",
        ]
    );
}

#[test]
fn a_signer_has_the_key_of_the_secret_that_matched() {
    let webhooks = webhooks(&["SECRET", "NEXT"]);
    let message = format!("{ID}.{SENT}.{BODY}");
    let sign = |label: &str| webhooks.signer(label).map(|signer| signer.hmac_sha256(message.as_bytes()));
    assert_eq!(sign("env SECRET").map(|mac| STANDARD.encode(mac)).as_deref(), Some(&SIGNATURE[3..]));
    assert_eq!(sign("env NEXT"), Some(hmac_sha256(&[b'A'; 24], &[message.as_bytes()])));
    assert_eq!(sign("env OTHER"), None);
    let signer = webhooks.signer("env NEXT").unwrap();
    assert!(!format!("{signer:?} {webhooks:?}").contains("AAAA"), "{signer:?} {webhooks:?}");
}

/// RFC 4231, section 4.3.
#[test]
fn the_mac_is_that_of_the_rfc() {
    let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(hex::encode(hmac_sha256(b"Jefe", &[b"what do ya want ", b"for nothing?"])), expected);
}

#[test]
fn no_value_of_a_call_is_ever_printed() {
    let webhooks = webhooks(&["SECRET"]);
    let sent = SENT.to_string();
    for (id, timestamp, signature) in [
        ("canary", &*sent, "v1,canary"),
        ("canary.x", &sent, SIGNATURE),
        ("canary", "canary", SIGNATURE),
        ("canary", &sent, SIGNATURE),
        ("canary", &sent, "canary"),
    ] {
        let mut request = Request::new(());
        for (name, value) in good(id, timestamp, signature) {
            request.headers_mut().insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let (head, ()) = request.into_parts();
        let body = Bytes::from(json!({ "canary": 1 }).to_string());
        let error = webhooks.verify_at(&Evidence { head: &head, body: Some(&body), token: None }, SENT).unwrap_err();
        let printed = format!("{error} {error:?} {}", error.reason());
        assert!(!printed.contains("canary") && !printed.contains(&SECRET[6..]), "{printed}");
    }
}
