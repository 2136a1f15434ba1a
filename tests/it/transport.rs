//! Calls that are not what a route expects: what the caller hears, whole, and that the gateway goes on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::harness::{SECRET, TWO_ROUTES, TestGateway, json as body_of, with_id, without_debug};
use crate::process::{Served, sample};

const CHALLENGE: &str = "x-okta-verification-challenge";

fn gateway() -> TestGateway {
    TestGateway::bundle(
        TWO_ROUTES,
        &[
            ("scripts/signup.rhai", "fn on_registration(request) { deny(`${request.id}`) }"),
            ("scripts/events.rhai", "fn on_event(event) { }"),
        ],
    )
}

/// A call that is good, and its whole answer.
async fn still_answers(gateway: &TestGateway, after: &str) {
    let (status, reply) =
        gateway.call(Method::POST, "/signup", &[("authorization", SECRET)], with_id("okta.registration", after)).await;
    let denied = json!({
        "commands": [{ "type": "com.okta.action.update", "value": { "registration": "DENY" } }],
        "error": { "errorSummary": after, "errorCauses": [
            { "errorSummary": after, "reason": "INVALID_VALUE", "locationType": "body", "location": "data.userProfile", "domain": "end-user" }
        ] },
    });
    assert_eq!(status, 200, "after {after}");
    let mut reply = without_debug(reply);
    // Which of the forms of a denial it is, is the hook's own matter.
    reply["error"]["errorCauses"] = denied["error"]["errorCauses"].clone();
    assert_eq!(reply, denied, "after {after}");
}

fn error(text: &str) -> Value {
    json!({ "error": text })
}

/// Method, path, headers beside the secret, body, status, body of the answer.
type Row<'a> = (&'a str, Method, &'a str, Vec<(&'a str, &'a str)>, Bytes, u16, Value);

fn assert_answer(name: &str, response: &Response<Bytes>, status: u16, body: &Value) {
    assert_eq!((response.status().as_u16(), &body_of(response.body())), (status, body), "{name}");
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap());
    assert_eq!(kind, (!body.is_null()).then_some("application/json"), "{name}");
}

async fn walk(rows: Vec<Row<'_>>) {
    let gateway = gateway();
    for (name, method, path, mut headers, body, status, answer) in rows {
        headers.push(("authorization", SECRET));
        let response = gateway.respond(method, path, &headers, body).await;
        assert_answer(name, &response, status, &answer);
        let allowed = response.headers().get("allow").map(|value| value.to_str().unwrap());
        assert_eq!(allowed.is_some(), status == 405, "{name}: {allowed:?}");
        still_answers(&gateway, name).await;
    }
}

/// What `on_failure = "allow"` of the route says.
fn declared() -> Value {
    json!({ "commands": [{ "type": "com.okta.action.update", "value": { "registration": "ALLOW" } }] })
}

#[tokio::test]
async fn bodies_that_are_no_call_are_answered_as_the_route_declares() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let gateway = gateway();
    let rows: Vec<(&str, Bytes)> = vec![
        ("empty", Bytes::new()),
        ("blank", Bytes::from("  \n")),
        ("not json", Bytes::from("hello")),
        ("half", Bytes::from("{\"eventId\": \"1\", \"da")),
        ("two values", Bytes::from(format!("{0}{0}", sample("okta.registration")))),
        ("not utf-8", Bytes::from(&b"{\"eventId\": \"\xff\"}"[..])),
        ("deep", Bytes::from(deep)),
        ("array", Bytes::from("[]")),
        ("null", Bytes::from("null")),
        ("text", Bytes::from("\"x\"")),
        ("no fields", Bytes::from("{}")),
        ("data is null", Bytes::from("{\"data\": null}")),
        ("data is text", Bytes::from("{\"data\": \"x\"}")),
        ("no profile", Bytes::from("{\"data\": {}}")),
        ("profile is a list", Bytes::from("{\"data\": {\"userProfile\": [1]}}")),
        ("unknown type", Bytes::from("{\"eventType\": \"com.okta.new\", \"data\": {}}")),
    ];
    for (name, body) in rows {
        let response = gateway.respond(Method::POST, "/signup", &[("authorization", SECRET)], body).await;
        assert_eq!(
            (response.status(), without_debug(body_of(response.body()))),
            (StatusCode::OK, declared()),
            "{name}"
        );
        still_answers(&gateway, name).await;
    }
}

#[tokio::test]
async fn calls_of_another_hook_are_refused_with_a_hint() {
    let gateway = gateway();
    let rows = [
        ("other hook", sample("okta.token").to_owned(), "a `okta.token` call came to a route for `okta.registration`"),
        ("withdrawn", "{\"eventType\": \"com.okta.tokens.transform\", \"data\": {}}".to_owned(), "`com.okta.tokens"),
    ];
    for (name, body, wanted) in rows {
        let response = gateway.respond(Method::POST, "/signup", &[("authorization", SECRET)], body).await;
        let answer = body_of(response.body());
        let text = answer["error"].as_str().unwrap_or_default();
        assert!(text.starts_with(wanted), "{name}: {answer}");
        assert!(text.len() < 300 && !text.contains('\n'), "{name}: one line, not {text}");
        assert_answer(name, &response, 400, &error(text));
        still_answers(&gateway, name).await;
    }
}

#[tokio::test]
async fn unusual_but_good_bodies_are_answered() {
    let gateway = gateway();
    let good = sample("okta.registration");
    let deep = format!("{}1{}", "[".repeat(2_000), "]".repeat(2_000));
    let rows = [
        ("unknown member", good.replacen('{', "{\"new\": {\"a\": [1]},", 1)),
        ("deep unknown member", good.replacen('{', &format!("{{\"new\": {deep},"), 1)),
        ("member twice", good.replacen('{', "{\"unknown\": 1, \"unknown\": 2,", 1)),
        ("known member twice", good.replacen('{', "{\"source\": \"twice\",", 1)),
        ("byte order mark", format!("\u{feff}{good}")),
        ("id is a number", r#"{"eventId": 17, "data": {"userProfile": {"email": 5}}}"#.to_owned()),
    ];
    for (name, body) in rows {
        let (status, reply) = gateway.call(Method::POST, "/signup", &[("authorization", SECRET)], body).await;
        assert_eq!(status, 200, "{name}: {reply}");
        assert!(reply["error"]["errorSummary"].is_string(), "{name}: {reply}");
        still_answers(&gateway, name).await;
    }
}

#[tokio::test]
async fn verification_answers_the_challenge_on_event_routes() {
    let quotes = "a\"b\\c<d> e";
    let challenge = |text: &'static str| vec![(CHALLENGE, text)];
    let longest: &'static str = "x".repeat(4096).leak();
    let too_long: &'static str = "x".repeat(4097).leak();
    let none = || Bytes::new();
    walk(vec![
        ("plain", Method::GET, "/events", challenge("abc"), none(), 200, json!({ "verification": "abc" })),
        ("slash", Method::GET, "/events/", challenge("abc"), none(), 200, json!({ "verification": "abc" })),
        ("escapes", Method::GET, "/events", challenge(quotes), none(), 200, json!({ "verification": quotes })),
        (
            "letter case",
            Method::GET,
            "/events",
            vec![("X-OKTA-Verification-CHALLENGE", "abc")],
            none(),
            200,
            json!({ "verification": "abc" }),
        ),
        ("query", Method::GET, "/events?a=b", challenge("abc"), none(), 200, json!({ "verification": "abc" })),
        ("4 KiB", Method::GET, "/events", challenge(longest), none(), 200, json!({ "verification": longest })),
        (
            "over 4 KiB",
            Method::GET,
            "/events",
            challenge(too_long),
            none(),
            400,
            error("the verification challenge is longer than 4096 bytes"),
        ),
        (
            "no challenge",
            Method::GET,
            "/events",
            vec![],
            none(),
            400,
            error("the verification challenge is missing: a GET here needs the header X-Okta-Verification-Challenge"),
        ),
        ("inline", Method::GET, "/signup", challenge("abc"), none(), 404, error("not found")),
        ("inline, plain GET", Method::GET, "/signup", vec![], none(), 405, error("method not allowed")),
    ])
    .await;
}

#[tokio::test]
async fn paths_and_methods_that_are_none_are_refused() {
    let call = || Bytes::from(with_id("okta.registration", "x"));
    let none = || Bytes::new();
    let not_found = || error("not found");
    let method = || error("method not allowed");
    walk(vec![
        ("unknown path", Method::POST, "/nothing", vec![], call(), 404, not_found()),
        ("root", Method::POST, "/", vec![], call(), 404, not_found()),
        ("letter case of the path", Method::POST, "/Signup", vec![], call(), 404, not_found()),
        ("two slashes", Method::POST, "/signup//", vec![], call(), 404, not_found()),
        ("below", Method::POST, "/signup/more", vec![], call(), 404, not_found()),
        ("unknown path with a challenge", Method::GET, "/nothing", vec![(CHALLENGE, "x")], none(), 404, not_found()),
        ("head", Method::HEAD, "/signup", vec![], none(), 405, method()),
        ("put", Method::PUT, "/signup", vec![], call(), 405, method()),
        ("delete", Method::DELETE, "/events", vec![], none(), 405, method()),
        ("options", Method::OPTIONS, "/signup", vec![], none(), 405, method()),
    ])
    .await;
}

#[tokio::test]
async fn a_refused_method_names_those_that_the_path_takes() {
    let gateway = gateway();
    for (method, path, allowed) in [
        (Method::PUT, "/events", "GET, HEAD, POST"),
        (Method::OPTIONS, "/events/", "GET, HEAD, POST"),
        (Method::HEAD, "/signup", "POST"),
        (Method::PUT, "/nothing", "POST"),
    ] {
        let response = gateway.respond(method.clone(), path, &[], Bytes::new()).await;
        let allow = response.headers()["allow"].to_str().unwrap();
        assert_eq!((response.status().as_u16(), allow), (405, allowed), "{method} {path}");
    }
}

#[tokio::test]
async fn head_is_taken_wherever_get_is() {
    let gateway = gateway();
    for (headers, status) in [
        (vec![("authorization", SECRET), ("x-okta-verification-challenge", "x")], 200),
        (vec![("authorization", SECRET)], 400),
        (vec![("x-okta-verification-challenge", "x")], 401),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let response = gateway.respond(method.clone(), "/events", &headers, Bytes::new()).await;
            assert_eq!(response.status().as_u16(), status, "{method} {headers:?}");
        }
    }
}

#[tokio::test]
async fn a_trailing_slash_makes_no_difference() {
    let gateway = gateway();
    for (path, id) in [("/signup", "one"), ("/signup/", "two"), ("/signup/?q=1", "three")] {
        let body = with_id("okta.registration", id);
        let (status, reply) = gateway.call(Method::POST, path, &[("authorization", SECRET)], body).await;
        assert_eq!((status, &reply["error"]["errorSummary"]), (200, &json!(id)), "{path}");
    }
}

fn post(port: u16, body: &[u8], length: Option<usize>) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let length = length.unwrap_or(body.len());
    let head = format!(
        "POST /signup HTTP/1.1\r\nhost: x\r\nauthorization: {SECRET}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The gateway may have answered and closed before all was written.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[test]
fn sizes_and_methods_hold_at_the_socket() {
    let served = Served::start(
        TWO_ROUTES,
        &[
            ("scripts/signup.rhai", "fn on_registration(request) { }"),
            ("scripts/events.rhai", "fn on_event(event) { }"),
        ],
    );
    let large = vec![b' '; 5 * 1024 * 1024];
    for (name, body, length, status, text) in [
        ("5 MiB", &large[..], None, "413", "{\"error\":\"the body is too large\"}"),
        ("5 MiB announced", &[][..], Some(5 * 1024 * 1024), "413", "{\"error\":\"the body is too large\"}"),
        ("good", sample("okta.registration").as_bytes(), None, "204", ""),
    ] {
        let answer = post(served.port, body, length);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {answer}");
        assert_eq!(answer.split_once("\r\n\r\n").unwrap().1, text, "{name}");
    }
    let head = served.exchange("HEAD /signup HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 405 ") && head.ends_with("\r\n\r\n"), "{head}");
    let log = served.stop();
    assert!(log.contains("\"reason\":\"too_large\""), "{log}");
}

#[test]
fn a_challenge_on_an_inline_route_is_named_in_the_log() {
    let served = Served::start(
        TWO_ROUTES,
        &[
            ("scripts/signup.rhai", "fn on_registration(request) { }"),
            ("scripts/events.rhai", "fn on_event(event) { }"),
        ],
    );
    let ask = |path: &str, secret: &str| {
        let challenge = "x-Okta-VERIFICATION-challenge: CANARY-challenge\r\n";
        served.exchange(&format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: {secret}\r\n{challenge}connection: close\r\n\r\n"
        ))
    };
    assert!(ask("/signup", SECRET).starts_with("HTTP/1.1 404 "));
    assert!(ask("/events", SECRET).ends_with("{\"verification\":\"CANARY-challenge\"}"));
    assert!(ask("/events", "wrong").starts_with("HTTP/1.1 401 "));
    let log = served.stop();
    assert!(log.contains("was this address registered as an event hook?"), "{log}");
    assert!(log.lines().any(|line| line.contains("\"auth\"") && line.contains("401")), "{log}");
    assert!(!log.contains("CANARY"), "{log}");
}
