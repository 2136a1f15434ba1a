//! That `simulate` knows no provider: it calls as a made-up one does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::json;

use super::*;
use crate::cli::simulate::report::Kind;
use crate::cli::simulate::tally::Tally;
use hookgate_hooks::{
    Answer, Caller, CommandError, Commands, Contract, Declared, Facts, FailureForm, HOOKS, HookError, InlineHook,
    Judgement, Mark, Provider, Reply, Retry, Sample, VerificationRequest,
};
use hookgate_script::library::Library;

const ACME: Caller =
    Caller { provider: "Acme", agent: "Acme/1", headers: &[("x-acme", "yes")], max_reply_bytes: 10, ..Caller::INLINE };

/// A hook of a provider that does not exist.
struct AcmeHook;

impl Contract for AcmeHook {
    const NAME: &'static str = "acme.call";
    const ENTRY: &'static str = "on_call";
    const REQUEST: &'static str = "AcmeCall";
    const ABOUT: &'static str = "Acme asks.";
    const SILENCE: &'static str = "Acme goes on";
    const SAMPLES: &'static [Sample] = &[Sample { name: "call", request: r#"{"id": "1"}"#, script: "", reply: "" }];
    const PROVIDER: Provider = Provider { fails: "open", user_sees: "Nothing.", limits: &[], checked: "never" };
    const CALLER: Caller = ACME;
    type Request = ();

    fn register(_: &mut Library) {}

    fn decode(_: &Bytes) -> Result<(), HookError> {
        Ok(())
    }

    fn as_preview((): ()) {}

    fn facts((): &()) -> Facts {
        Facts::default()
    }

    fn judge(_: &Value, answer: Option<&Answer<'_>>) -> Judgement {
        let is_good = answer.is_some_and(|answer| answer.status == 200);
        let violations = if is_good { Vec::new() } else { vec!["Acme wants 200".to_owned()] };
        Judgement { violations, effect: "Acme goes on".to_owned() }
    }
}

impl InlineHook for AcmeHook {
    const ON_FAILURE: &'static [FailureForm] = &[];
    type Command = ();

    fn reply((): &(), _: Commands<()>, _: &Mark) -> Result<Reply, CommandError> {
        Ok(Reply::empty(200))
    }

    fn failed(_: &Declared, _: &Mark) -> Reply {
        Reply::empty(200)
    }
}

/// Its row, as a provider that calls so would have it.
fn hook_of(caller: Caller) -> &'static Hook {
    let mut hook = Hook::inline::<AcmeHook>();
    hook.caller = caller;
    Box::leak(Box::new(hook))
}

pub(super) fn args(line: &[&str]) -> Args {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }
    <Line as clap::Parser>::parse_from([&["simulate", "HOOK"], line].concat()).args
}

/// A server that gives one answer to every call, and tells what came, head and body. Without an answer it keeps silent.
fn server(answer: Option<String>) -> (Url, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let stream = stream.expect("a connection");
            tell.send(received(&stream)).expect("the test listens");
            match &answer {
                Some(answer) => write!(&stream, "{answer}").expect("the client listens"),
                None => open.push(stream),
            }
        }
    });
    (Url::parse(&url).expect("a URL"), told)
}

fn received(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let start = text.len();
        reader.read_line(&mut text).expect("a head");
        let line = text[start..].to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    text + std::str::from_utf8(&body).expect("a text")
}

fn answering(status: &str, headers: &str, body: &str) -> (Url, mpsc::Receiver<String>) {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n");
    server(Some(head + body))
}

fn client(url: Url, caller: &Caller) -> Client {
    Client::new(url, caller, HeaderMap::new(), false).expect("a client")
}

async fn answers(url: Url, hook: &'static Hook) -> Vec<(Kind, client::Answer)> {
    let args = args(&[]);
    let call = Maker::new(hook, &args, Sealer::new(hook, None, None)).expect("a maker").call(0).expect("a call");
    let manner = Manner { hook, slow: false, again: false, retry: true };
    deliveries::one(&client(url, &hook.caller), &call, manner).await.expect("somebody answers")
}

#[tokio::test]
async fn a_call_has_what_its_provider_sends() {
    let (url, told) = answering("200 OK", "", "");
    let renew = |call: &mut Value, _| call["acme_id"] = json!("fresh");
    answers(url, hook_of(Caller { renew, ..ACME })).await;
    let told = told.try_recv().expect("one call");
    let (head, body) = told.split_once("\r\n\r\n").expect("a head");
    let head = head.to_lowercase();
    for line in ["post /hook http/1.1", "user-agent: acme/1", "x-acme: yes", "content-type: application/json"] {
        assert!(head.lines().any(|found| found == line), "{line} in\n{head}");
    }
    assert!(!head.contains("accept: application/json"), "the provider sends none:\n{head}");
    let body: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["acme_id"], "fresh");
}

#[tokio::test]
async fn a_given_header_takes_the_place_of_the_providers() {
    let (url, told) = answering("200 OK", "", "");
    let given = proof::header("User-Agent: Other/2").expect("a header");
    let client = Client::new(url, &ACME, HeaderMap::from_iter([given]), false).expect("a client");
    client.verify(&VerificationRequest::default()).await.expect("an answer");
    let head = told.try_recv().expect("one call").to_lowercase();
    assert!(head.contains("user-agent: other/2") && !head.contains("acme/1"), "{head}");
}

#[tokio::test]
async fn it_waits_as_long_as_its_provider_and_calls_once_where_that_does() {
    let (url, told) = server(None);
    let answers = answers(url, hook_of(Caller { patience_ms: 100, ..ACME })).await;
    let [(Kind::First, answer)] = answers.as_slice() else { panic!("{} answers", answers.len()) };
    assert_eq!((answer.status(), answer.problem.as_deref()), (None, Some("no answer came in time")));
    assert_eq!(told.try_iter().count(), 1);
}

#[tokio::test]
async fn a_call_is_made_again_as_often_as_its_provider_does() {
    let retry = Some(Retry { most: 3, follows: |status| status == Some(429) });
    for (status, calls, line) in [
        ("429 Too Many Requests", 4, "1 refused, 1 tried more than once"),
        ("503 Service Unavailable", 1, "1 refused; "),
    ] {
        let (url, told) = answering(status, "", "");
        let hook = hook_of(Caller { retry, ..ACME });
        let answers = answers(url, hook).await;
        assert_eq!((answers.len(), told.try_iter().count()), (calls, calls), "{status}");
        assert!(answers[1..].iter().all(|(kind, _)| *kind == Kind::Retry));
        let tally = Tally::of(hook, &answers);
        assert!(tally.line(1).contains(line), "{}", tally.line(1));
        let name = if calls == 4 { "429 4 times" } else { "503" };
        assert_eq!(tally.json(1)["answers"][0]["answer"], name);
    }
}

#[tokio::test]
async fn of_a_long_body_no_more_is_read_than_tells_that_it_is_too_long() {
    let (url, _told) = answering("200 OK", "", &"x".repeat(1_000_000));
    let answers = answers(url, hook_of(ACME)).await;
    let length = answers[0].1.reply.as_ref().map(|reply| reply.body.len()).expect("a reply");
    assert!(length > ACME.max_reply_bytes && length < 1_000_000, "{length}");
}

#[tokio::test]
async fn an_address_is_verified_as_its_provider_does() {
    let verification = Verification {
        request: |word| VerificationRequest {
            method: Method::OPTIONS,
            query: vec![("token", format!("{word} &"))],
            headers: vec![("x-origin", "acme.example".to_owned())],
        },
        is_right: |word, reply| reply.headers.get("x-allowed").is_some_and(|value| value == word),
        verified: "Acme is content",
        refused: "Acme goes away",
    };
    for (allowed, is_right) in [("word", true), ("other", false)] {
        let (url, told) = answering("204 No Content", &format!("x-allowed: {allowed}\r\n"), "");
        let answer = client(url, &ACME).verify(&(verification.request)("word")).await.expect("an answer");
        let head = told.try_recv().expect("one call").to_lowercase();
        assert!(head.starts_with("options /hook?token=word+%26 http/1.1"), "{head}");
        assert!(head.contains("x-origin: acme.example") && head.contains("user-agent: acme/1"), "{head}");
        let reply = answer.reply.expect("a reply");
        assert_eq!((verification.is_right)("word", &reply.as_verification()), is_right);
    }
}

#[test]
fn what_a_provider_does_not_do_is_told_in_its_name() {
    let hook = hook_of(ACME);
    assert_eq!(not_verified(hook), format!("Acme does not verify the address of `{}`", hook.name));
    let args = args(&["--preview"]);
    let maker = Maker::new(hook, &args, Sealer::new(hook, None, None)).expect("a maker");
    let start = format!("Acme does not mark previews of `{}`: ", hook.name);
    assert!(maker.warnings()[0].starts_with(&start), "{:?}", maker.warnings());
    let preview = Some((|call: &mut Value, _| call["is_preview"] = json!(true)) as fn(&mut Value, jiff::Timestamp));
    let hook = hook_of(Caller { preview, ..ACME });
    let maker = Maker::new(hook, &args, Sealer::new(hook, None, None)).expect("a maker");
    assert_eq!(maker.warnings(), [""; 0]);
    assert_eq!(maker.call(0).expect("a call").value["is_preview"], true);
}

#[test]
fn inline_hooks_are_not_verified_where_event_hooks_are() {
    let verifies = |hook: &&Hook| hook.caller.verification.is_some();
    let provider = HOOKS.iter().find(verifies).expect("a provider that verifies").caller.provider;
    let hook = hook_of(Caller { provider, ..ACME });
    let expected = format!("{provider} verifies event hooks only; `{}` is an inline hook", hook.name);
    assert_eq!(not_verified(hook), expected);
}

#[test]
fn a_gateway_on_all_addresses_is_called_on_this_machine() {
    let mut config = Config::default();
    config.server.listen = SocketAddr::from(([0, 0, 0, 0], 8080));
    let route: Route =
        serde_json::from_value(json!({ "path": "/a/b", "hook": "any.hook", "auth": "a" })).expect("a route");
    let url = address(&config, &route, None).expect("an address");
    assert_eq!(url.as_str(), "http://127.0.0.1:8080/a/b");
    let given = Url::parse("https://hooks.example.com").expect("a URL");
    let url = address(&config, &route, Some(&given)).expect("an address");
    assert_eq!(url.as_str(), "https://hooks.example.com/a/b");
}

#[test]
fn a_call_is_posted_as_json() {
    let sealed = Sealer::new(hook_of(ACME), None, None).seal(&json!({ "a": 1 })).expect("JSON");
    assert_eq!(sealed.headers["content-type"], "application/json");
    assert_eq!(sealed.body, Bytes::from_static(b"{\"a\":1}"));
}
