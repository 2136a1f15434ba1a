mod bodies;
pub(in crate::auth) mod issuer;

use http::{HeaderName, HeaderValue, Request};
use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use serde_json::json;

use super::*;
use crate::auth::error::SetupError;
use crate::auth::jwt::{Audience, Rules};
use crate::auth::keys::Keys;
use crate::auth::mtls::{PeerCertificates, Pin};
use crate::auth::tests::issuer::Issuer;
use hookgate_model::files::fence::Fence;
use hookgate_model::secret::{Ring, Source};

fn environment(name: &str) -> Option<String> {
    match name {
        "OPAQUE" => Some("s3cr^t*&$ value".to_owned()),
        "BASIC" => Some("Basic dXNlcjpwYXNz".to_owned()),
        "BARE" => Some("bare-token".to_owned()),
        "USER" => Some("user:pass:word".to_owned()),
        "CANARY" => Some("canary:plover".to_owned()),
        "BREAK" => Some("a\nb".to_owned()),
        "BLANK" => Some(" padded".to_owned()),
        _ => None,
    }
}

fn ring(names: &[&str]) -> Arc<Ring> {
    let sources = names.iter().map(|name| Source::Env((*name).to_owned())).collect();
    Arc::new(Ring::load(sources, environment).unwrap())
}

fn header(name: &str, secrets: &[&str]) -> Scheme {
    Scheme::Header(Header::new(name, ring(secrets)).unwrap())
}

fn parts(headers: &[(&str, &[u8])]) -> Parts {
    let mut request = Request::new(());
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        request.headers_mut().append(name, HeaderValue::from_bytes(value).unwrap());
    }
    request.into_parts().0
}

/// What gates check of tokens where nothing else is said.
const BEARER: GateRules = GateRules { token: TokenRules::BEARER, public_url: None };

fn gate_of(ways: Vec<Vec<(String, Arc<Scheme>)>>) -> Option<Gate> {
    Gate::new(ways, TokenRules::BEARER, None)
}

/// What a gate says of a call without a body. For schemes that need none, the head alone says the same.
async fn ask(gate: &Gate, headers: &[(&str, &[u8])]) -> Result<Verified, Denied> {
    let parts = parts(headers);
    let answer = gate.verify(&Evidence::of_head(&parts)).await;
    match (gate.verify_head(&parts).await, &answer) {
        (Ok(HeadVerdict::Verified(verified)), Ok(same)) => assert_eq!(verified, *same),
        (Err(denied), Err(same)) => assert_eq!(denied.to_string(), same.to_string()),
        (verdict, _) => panic!("{verdict:?} for {answer:?}"),
    }
    answer
}

/// `secret OPAQUE` or the reason of the refusal.
async fn outcome(scheme: &Scheme, parts: &Parts) -> String {
    match scheme.verify(&Evidence::of_head(parts), &BEARER).await {
        Ok(verified) => verified.secret().to_owned(),
        Err(error) => error.reason().to_owned(),
    }
}

#[tokio::test]
async fn header_takes_the_very_same_bytes_only() {
    let scheme = header("X-Api-Key", &["OPAQUE", "BASIC", "BARE"]);
    for (value, expected) in [
        (&b"s3cr^t*&$ value"[..], "env OPAQUE"),
        (b"Basic dXNlcjpwYXNz", "env BASIC"),
        (b"bare-token", "env BARE"),
        (b"S3cr^t*&$ value", "unknown_secret"),
        (b"s3cr^t*&$ value ", "unknown_secret"),
        (b"s3cr^t*&$ valu", "unknown_secret"),
        (b"s3cr^t*&$ valuee", "unknown_secret"),
        (b"s3cr^t*&$  value", "unknown_secret"),
        (b"s3cr^t*&$\tvalue", "unknown_secret"),
        (b"\xff\xfe", "unknown_secret"),
        (b"bare-token\xff", "unknown_secret"),
        (b"basic dXNlcjpwYXNz", "unknown_secret"),
        (b"dXNlcjpwYXNz", "scheme_word_missing"),
        (b"dXNlcjpwYXN", "unknown_secret"),
        (b"Bearer dXNlcjpwYXNz", "unknown_secret"),
        (b"Bearer bare-token", "scheme_word_extra"),
        (b"basic  bare-token", "scheme_word_extra"),
        (b"Bearerbare-token", "unknown_secret"),
        (b"Bearer ", "unknown_secret"),
        (b"", "header_empty"),
    ] {
        assert_eq!(outcome(&scheme, &parts(&[("x-api-KEY", value)])).await, expected, "{}", value.escape_ascii());
    }
}

#[tokio::test]
async fn header_must_be_there_exactly_once() {
    let scheme = header("Authorization", &["BARE"]);
    let good = ("authorization", &b"bare-token"[..]);
    assert_eq!(outcome(&scheme, &parts(&[])).await, "header_absent");
    assert_eq!(outcome(&scheme, &parts(&[("x-authorization", b"bare-token")])).await, "header_absent");
    assert_eq!(outcome(&scheme, &parts(&[good, good])).await, "header_repeated");
    assert_eq!(outcome(&scheme, &parts(&[good, ("Authorization", b"other")])).await, "header_repeated");
    assert_eq!(outcome(&scheme, &parts(&[("AUTHORIZATION", b"bare-token")])).await, "env BARE");
}

#[tokio::test]
async fn secret_file_with_a_line_ending_matches_what_is_sent() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("okta");
    std::fs::write(&path, "from-file\r\n").unwrap();
    let ring = Ring::load(vec![Source::File { path: path.clone(), create: false }], environment).unwrap();
    let scheme = Scheme::Header(Header::new("authorization", Arc::new(ring)).unwrap());
    let expected = format!("file {}", path.display());
    assert_eq!(outcome(&scheme, &parts(&[("authorization", b"from-file")])).await, expected);
}

#[test]
fn secrets_that_could_never_match_are_refused_at_once() {
    let errors = Header::new("x key", ring(&["BREAK", "BARE", "BLANK"])).unwrap_err();
    let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "secret `env BREAK` holds a line break or another character that no header can carry",
            "secret `env BLANK` begins or ends with a blank, which HTTP strips, so it could never match",
            "`x key` is not a header name",
        ]
    );
    let errors = Basic::new(ring(&["USER", "BARE"])).unwrap_err();
    assert!(
        matches!(&errors[..], [SetupError::Secret { label, why }] if label == "env BARE" && why.contains("user:password"))
    );
}

#[tokio::test]
async fn basic_takes_known_credentials_only() {
    let scheme = Scheme::Basic(Basic::new(ring(&["CANARY", "USER"])).unwrap());
    for (value, expected) in [
        ("Basic dXNlcjpwYXNzOndvcmQ=", "env USER"),
        ("bAsIc dXNlcjpwYXNzOndvcmQ=", "env USER"),
        ("Basic  dXNlcjpwYXNzOndvcmQ=", "env USER"),
        ("Basic dXNlcjpwYXNzOndvcmQ= ", "not_base64"),
        ("Basic dXNlcjpwYXNzOndvcmQ", "not_base64"),
        ("Basic dXNlcjpwYXNzOndvcm", "not_base64"),
        ("Basic dXNlcjpwYXNzOndv", "unknown_secret"),
        ("Basic dXNlcjpwYXNzOndvcmRk", "unknown_secret"),
        ("Basic VXNlcjpwYXNzOndvcmQ=", "unknown_secret"),
        ("Basic dXNlcjpwYXNzOndvcmQK", "unknown_secret"),
        ("Basic dXNlcnBhc3N3b3Jk", "not_user_password"),
        ("Basic Og==", "unknown_secret"),
        ("Basic ", "not_user_password"),
        ("Basic !!!", "not_base64"),
        ("Basic", "other_scheme_word"),
        ("dXNlcjpwYXNzOndvcmQ=", "scheme_word_missing"),
        ("user:pass:word", "other_scheme_word"),
        ("Bearer dXNlcjpwYXNzOndvcmQ=", "other_scheme_word"),
        ("BasicdXNlcjpwYXNzOndvcmQ=", "other_scheme_word"),
        ("", "header_empty"),
    ] {
        assert_eq!(outcome(&scheme, &parts(&[("authorization", value.as_bytes())])).await, expected, "{value:?}");
    }
    let good = ("authorization", &b"Basic dXNlcjpwYXNzOndvcmQ="[..]);
    assert_eq!(outcome(&scheme, &parts(&[good, good])).await, "header_repeated");
    assert_eq!(outcome(&scheme, &parts(&[])).await, "header_absent");
    assert_eq!(outcome(&scheme, &parts(&[("authorization", b"Basic \xff")])).await, "not_base64");
}

fn certificate(names: &[&str], alternative: Vec<SanType>) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (index, name) in names.iter().enumerate() {
        // A second common name under another key, because a distinguished name of rcgen is a map.
        let key = if index == 0 { DnType::CommonName } else { DnType::CustomDnType(vec![2, 5, 4, 3]) };
        params.distinguished_name.push(key, *name);
    }
    params.subject_alt_names = alternative;
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

async fn presented(pin: Pin, chain: &[&[u8]]) -> String {
    let scheme = Scheme::Mtls(Mtls::new(vec![Pin::Dns("another.example".into()), pin]).unwrap());
    let mut parts = parts(&[]);
    parts.extensions.insert(PeerCertificates(chain.iter().map(|der| der.to_vec()).collect()));
    outcome(&scheme, &parts).await
}

#[tokio::test]
async fn listed_certificates_only() {
    let text = |text: &str| text.try_into().unwrap();
    let names = vec![
        SanType::DnsName(text("hooks.example.com")),
        SanType::Rfc822Name(text("Ops@example.com")),
        SanType::URI(text("spiffe://example/hooks")),
    ];
    let der = certificate(&["hooks"], names);
    let fingerprint = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&der));
    let short = format!("sha256 {}", &fingerprint[..8]);
    let refused = "certificate_not_listed";
    let last = if fingerprint.ends_with('0') { '1' } else { '0' };
    let other = format!("{}{last}", &fingerprint[..63]);
    for (pin, expected) in [
        (Pin::CommonName("hooks".into()), "cn hooks"),
        (Pin::CommonName("Hooks".into()), refused),
        (Pin::CommonName("hook".into()), refused),
        (Pin::CommonName("hooks.example.com".into()), refused),
        (Pin::Dns("HOOKS.example.com".into()), "dns HOOKS.example.com"),
        (Pin::Dns("hooks".into()), refused),
        (Pin::Dns("*.example.com".into()), refused),
        (Pin::Dns("a.hooks.example.com".into()), refused),
        (Pin::Dns("hooks.example.com.".into()), refused),
        (Pin::Email("Ops@EXAMPLE.com".into()), "email Ops@EXAMPLE.com"),
        (Pin::Email("ops@example.com".into()), refused),
        (Pin::Email("example.com".into()), refused),
        (Pin::Uri("spiffe://example/hooks".into()), "uri spiffe://example/hooks"),
        (Pin::Uri("spiffe://example/hooks/".into()), refused),
        (Pin::Uri("spiffe://Example/hooks".into()), refused),
        (Pin::sha256(&fingerprint.to_uppercase()).unwrap(), &short),
        (Pin::sha256(&other).unwrap(), refused),
    ] {
        assert_eq!(presented(pin.clone(), &[&der]).await, expected, "{pin:?}");
    }
}

#[tokio::test]
async fn only_the_callers_own_certificate_counts() {
    let (ours, stranger) = (certificate(&["hooks"], vec![]), certificate(&["stranger"], vec![]));
    let pin = || Pin::CommonName("hooks".into());
    assert_eq!(presented(pin(), &[&ours, &stranger]).await, "cn hooks");
    assert_eq!(presented(pin(), &[&stranger, &ours]).await, "certificate_not_listed");
    assert_eq!(presented(pin(), &[]).await, "no_client_certificate");
    assert_eq!(presented(pin(), &[&ours[..ours.len() - 1]]).await, "certificate_not_listed");
    assert_eq!(presented(pin(), &[&[&ours[..], b"x"].concat()]).await, "certificate_not_listed");
    assert_eq!(presented(pin(), &[b""]).await, "certificate_not_listed");
    let two = certificate(&["hooks", "stranger"], vec![]);
    assert_eq!(presented(pin(), &[&two]).await, "certificate_not_listed");
    let scheme = Scheme::Mtls(Mtls::new(vec![pin()]).unwrap());
    assert_eq!(outcome(&scheme, &parts(&[])).await, "no_client_certificate");
}

#[test]
fn fingerprint_has_64_digits() {
    let digits = "ab".repeat(32);
    let colons = vec!["AB"; 32].join(":");
    assert_eq!(Pin::sha256(&digits).unwrap(), Pin::sha256(&colons).unwrap());
    for wrong in ["", "ab", &digits[1..], &format!("{digits}a"), &digits.replace("ab", "xy")] {
        assert!(Pin::sha256(wrong).is_err(), "{wrong:?}");
    }
    assert!(matches!(Mtls::new(vec![]), Err(SetupError::NoPin)));
}

#[tokio::test]
async fn none_lets_everybody_in_and_says_so() {
    let verified = Scheme::None.verify(&Evidence::of_head(&parts(&[])), &BEARER).await.unwrap();
    assert_eq!((verified.auth(), verified.scheme(), verified.secret()), ("none", "none", "none"));
}

#[tokio::test]
async fn any_scheme_of_a_gate_lets_in() {
    let basic = Scheme::Basic(Basic::new(ring(&["USER"])).unwrap());
    let gate = gate_of(vec![
        vec![("key".to_owned(), Arc::new(header("x-api-key", &["BARE"])))],
        vec![("people".to_owned(), Arc::new(basic))],
    ])
    .unwrap();
    let verified = ask(&gate, &[("authorization", b"Basic dXNlcjpwYXNzOndvcmQ=")]).await.unwrap();
    assert_eq!((verified.auth(), verified.scheme(), verified.secret()), ("people", "basic", "env USER"));
    let verified = ask(&gate, &[("x-api-key", b"bare-token")]).await.unwrap();
    assert_eq!((verified.auth(), verified.scheme(), verified.secret()), ("key", "header", "env BARE"));
    assert!(gate_of(vec![]).is_none(), "no scheme at all is not the scheme `none`");
}

#[tokio::test]
async fn gate_reports_the_scheme_that_came_furthest() {
    let directory = tempfile::tempdir().unwrap();
    let issuer = Issuer::new("one");
    let path = directory.path().join("jwks.json");
    std::fs::write(&path, issuer.jwks()).unwrap();
    let rules =
        Rules { issuer: "https://issuer".into(), audience: Audience::Listed(vec!["hooks".into()]), ..Rules::default() };
    let jwt =
        Scheme::Jwt(Jwt::new(rules, Keys::file("jwks.json", Arc::new(Fence::new(directory.path()))).unwrap()).unwrap());
    let gate = gate_of(vec![
        vec![("key".to_owned(), Arc::new(header("authorization", &["BASIC"])))],
        vec![("okta".to_owned(), Arc::new(jwt))],
    ])
    .unwrap();
    let expired = issuer.token(&json!({"iss": "https://issuer", "aud": "hooks", "exp": 1_000}));
    for (value, auth, reason) in [
        (format!("Bearer {expired}"), "okta", "expired"),
        ("Bearer nonsense".to_owned(), "okta", "token_malformed"),
        ("hunter2".to_owned(), "key", "unknown_secret"),
        ("dXNlcjpwYXNz".to_owned(), "key", "scheme_word_missing"),
    ] {
        let denied = ask(&gate, &[("authorization", value.as_bytes())]).await.unwrap_err();
        assert_eq!((&*denied.auth, denied.error.reason()), (auth, reason), "{denied}");
    }
    let denied = ask(&gate, &[]).await.unwrap_err();
    assert_eq!(denied.to_string(), "auth `key`: header `authorization` is absent");
}

#[tokio::test]
async fn no_value_is_ever_printed() {
    let canary = "canaryplover";
    let secret = "canary:plover";
    let directory = tempfile::tempdir().unwrap();
    let issuer = Issuer::new("one");
    let path = directory.path().join("jwks.json");
    std::fs::write(&path, issuer.jwks()).unwrap();
    let rules = Rules {
        issuer: "https://issuer".into(),
        audience: Audience::Listed(vec!["hooks".into()]),
        clients: vec!["okta".into()],
        scopes: vec!["call".into()],
        ..Rules::default()
    };
    let schemes = [
        header("authorization", &["CANARY"]),
        Scheme::Basic(Basic::new(ring(&["CANARY"])).unwrap()),
        Scheme::Jwt(Jwt::new(rules, Keys::file("jwks.json", Arc::new(Fence::new(directory.path()))).unwrap()).unwrap()),
        Scheme::Mtls(Mtls::new(vec![Pin::CommonName("hooks".into())]).unwrap()),
    ];
    let mut claims = json!({"iss": canary, "aud": canary, "cid": canary, "scp": [canary], "exp": 9_999_999_999_u64});
    let mut values = vec![
        secret.to_owned(),
        format!("Basic {canary}"),
        format!("Bearer {canary}"),
        "Basic Y2FuYXJ5OnBsb3Zlcg==".to_owned(),
    ];
    let header = json!({"alg": "ES256", "kid": canary});
    values.push(format!("Bearer {}", issuer.sign(&header, &claims)));
    values.push(format!("Bearer {}", issuer::unsigned(&json!({"alg": canary}), &claims) + ".e30"));
    for (claim, good) in [("iss", json!("https://issuer")), ("aud", json!("hooks")), ("cid", json!("okta"))] {
        claims[claim] = good;
        values.push(format!("Bearer {}", issuer.sign(&header, &claims)));
        values.push(format!("Bearer {}", issuer.token(&claims)));
    }
    let mut printed = format!("{schemes:?} {schemes:#?}");
    for value in &values {
        let mut parts = parts(&[("authorization", value.as_bytes())]);
        parts.extensions.insert(PeerCertificates(vec![certificate(&[canary], vec![])]));
        for scheme in &schemes {
            match scheme.verify(&Evidence::of_head(&parts), &BEARER).await {
                Ok(verified) => printed.push_str(&format!("{verified:?}")),
                Err(error) => printed.push_str(&format!("{error} {error:?} {error:#?} {}", error.reason())),
            }
        }
    }
    assert!(
        printed.contains("missing_scope") && printed.contains("env CANARY"),
        "the ways through are walked: {printed}"
    );
    let bytes = format!("{:?}", secret.as_bytes());
    for leak in ["canary", "plover", "Y2FuYXJ5", bytes.trim_matches(['[', ']'])] {
        assert!(!printed.contains(leak), "{leak} in {printed}");
    }
}

#[tokio::test]
async fn a_way_of_several_schemes_needs_each_of_them() {
    let key = || Arc::new(header("x-key", &["BARE"]));
    let other = || Arc::new(header("x-other", &["BASIC"]));
    let people = || Arc::new(Scheme::Basic(Basic::new(ring(&["USER"])).unwrap()));
    let named = |name: &str, scheme: Arc<Scheme>| (name.to_owned(), scheme);
    let gate = gate_of(vec![
        vec![named("key", key()), named("other", other())],
        vec![named("people", people()), named("key", key())],
    ])
    .unwrap();
    let (bare, basic) = (environment("BARE").unwrap(), environment("BASIC").unwrap());
    let login: &[u8] = b"Basic dXNlcjpwYXNzOndvcmQ=";
    let all = [("x-key", bare.as_bytes()), ("x-other", basic.as_bytes()), ("authorization", login)];
    let names = |verified: &Verified| verified.each().map(|proof| proof.auth().to_owned()).collect::<Vec<_>>();
    // Every set of proofs; those that are a whole way let in.
    for set in 0..8_u8 {
        let given: Vec<_> = (0..3).filter(|bit| set & (1 << bit) != 0).map(|bit| all[bit]).collect();
        let verified = ask(&gate, &given).await;
        match set {
            0b011 | 0b111 => assert_eq!(names(&verified.unwrap()), ["other", "key"]),
            0b101 => assert_eq!(names(&verified.unwrap()), ["key", "people"]),
            _ => assert!(verified.is_err(), "{set:03b}"),
        }
    }
    // One wrong proof beside a right one; the log says which, and the right one counts.
    let denied = ask(&gate, &[("x-key", bare.as_bytes()), ("x-other", b"wrong")]).await.unwrap_err();
    assert_eq!(denied.to_string(), "auth `other`: the value is none of our secrets");
    let denied = ask(&gate, &[("x-key", bare.as_bytes())]).await.unwrap_err();
    assert_eq!(denied.to_string(), "auth `other`: header `x-other` is absent");
    assert!(ask(&gate, &[("x-key", basic.as_bytes()), ("x-other", bare.as_bytes())]).await.is_err());
    assert!(gate_of(vec![vec![]]).is_none(), "a way without a scheme would let everybody in");
}
