//! Ids and traces of callers: taken over, given back, told to systems that a script asks, and sent to a collector.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness;
use crate::harness::{SECRET, TestGateway};
use crate::process::{Served, request, sample};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const CANARY: &str = "c4n4ry-value";

/// Keeps what it is sent, and answers `200` with `{"team":"payroll"}`.
struct Keeper {
    port: u16,
    got: Arc<Mutex<Vec<u8>>>,
}

impl Keeper {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let got: Arc<Mutex<Vec<u8>>> = Arc::default();
        let kept = got.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let kept = kept.clone();
                tokio::spawn(async move {
                    let (mut request, mut part) = (Vec::new(), vec![0; 8192]);
                    while let Ok(count @ 1..) = stream.read(&mut part).await {
                        request.extend_from_slice(&part[..count]);
                        kept.lock().unwrap().extend_from_slice(&part[..count]);
                        if whole(&request) {
                            request.clear();
                            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\n{\"team\":\"payroll\"}";
                            stream.write_all(answer.as_bytes()).await.unwrap();
                        }
                    }
                });
            }
        });
        Self { port, got }
    }

    fn bytes(&self) -> Vec<u8> {
        self.got.lock().unwrap().clone()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// The values of the headers of that name, in the order in which they came.
    fn headers(&self, name: &str) -> Vec<String> {
        let start = format!("{name}: ");
        self.text().lines().filter_map(|line| line.strip_prefix(&start).map(str::to_owned)).collect()
    }

    /// The value of the header of that name that came last.
    fn header(&self, name: &str) -> Option<String> {
        self.headers(name).pop()
    }

    /// Waits until it was sent this.
    async fn gets(&self, part: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.text().contains(part) {
            assert!(Instant::now() < deadline, "`{part}` did not come: {}", self.text());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn whole(request: &[u8]) -> bool {
    let Some(head) = request.windows(4).position(|part| part == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0_usize);
    request.len() >= head + 4 + length
}

const SCRIPT: &str = "fn on_registration(request) {
    let found = http(\"hr\").get(\"/people\", #{ email: request.email.text });
    set_profile(\"team\", found.json.team)
}";

fn config(hr: u16) -> String {
    format!(
        "[auth.test]\nscheme = \"header\"\nsecrets = [{{ file = \"secret\" }}]\n\
         [connectors.hr]\nkind = \"http\"\nbase_url = \"http://127.0.0.1:{hr}\"\nallow_private = true\n\
         [routes.hook]\npath = \"/hook\"\nhook = \"okta.registration\"\nscript = \"hook.rhai\"\nauth = \"test\"\n\
         on_failure = {{ deny = \"Later.\" }}\n"
    )
}

fn body(id: &str) -> String {
    let mut call: Value = serde_json::from_str(sample("okta.registration")).unwrap();
    call["eventId"] = json!(id);
    call["data"]["userProfile"]["nickName"] = json!(CANARY);
    call.to_string()
}

/// The id of the answer, and the decision that it points back at.
async fn answered(gateway: &TestGateway, path: &str, headers: &[(&str, &str)], id: &str) -> (Option<String>, Value) {
    let mut request = Request::builder().method(Method::POST).uri(path).header("authorization", SECRET);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer =
        harness::answered(&gateway.gateway, request.body(Bytes::from(body(id))).unwrap(), Instant::now()).await;
    let id = answer.headers().get("x-request-id").map(|id| id.to_str().unwrap().to_owned());
    (id, serde_json::from_slice(answer.body()).unwrap_or_default())
}

#[tokio::test]
async fn an_answer_has_the_callers_id_or_that_of_its_decision() {
    let hr = Keeper::start().await;
    let gateway = TestGateway::bundle(&config(hr.port), &[("scripts/hook.rhai", SCRIPT)]);
    let (id, _) = answered(&gateway, "/hook", &[("x-request-id", "req-7")], "one").await;
    assert_eq!(id.as_deref(), Some("req-7"));
    let (id, reply) = answered(&gateway, "/hook", &[("x-request-id", "two words")], "two").await;
    assert_eq!(id.as_deref(), reply["debugContext"]["decision"].as_str(), "{reply}");
    let (id, _) = answered(&gateway, "/nowhere", &[("x-request-id", "req-8")], "three").await;
    assert_eq!(id.as_deref(), Some("req-8"), "a refusal as well");
    let (id, _) = answered(&gateway, "/nowhere", &[], "four").await;
    assert!(id.is_some_and(|id| id.len() == 32), "it has an id of its own");
}

#[tokio::test]
async fn a_system_that_is_asked_is_told_of_the_callers_trace() {
    let hr = Keeper::start().await;
    let gateway = TestGateway::bundle(&config(hr.port), &[("scripts/hook.rhai", SCRIPT)]);
    answered(&gateway, "/hook", &[("traceparent", PARENT)], "one").await;
    let told = hr.header("traceparent").expect("it is told");
    assert!(told.starts_with(&format!("00-{TRACE}-")) && told.ends_with("-01") && told != PARENT, "{told}");
    let unsampled = PARENT.replace("-01", "-00");
    answered(&gateway, "/hook", &[("traceparent", &unsampled)], "two").await;
    assert!(hr.header("traceparent").is_some_and(|told| told.ends_with("-00")));
    hr.got.lock().unwrap().clear();
    answered(&gateway, "/hook", &[("traceparent", &PARENT.to_uppercase())], "three").await;
    answered(&gateway, "/hook", &[("traceparent", PARENT), ("traceparent", PARENT)], "four").await;
    assert_eq!(hr.header("traceparent"), None, "what is no trace is told to nobody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_gets_the_spans_that_systems_were_told_of() {
    let (hr, collector) = (Keeper::start().await, Keeper::start().await);
    let telemetry = format!(
        "[telemetry]\notlp_endpoint = \"http://127.0.0.1:{}\"\nheaders = {{ x-key = {{ file = \"key\" }} }}\nservice_name = \"edge\"\n",
        collector.port
    );
    let config = format!("{telemetry}{}", config(hr.port));
    let script = SCRIPT.replace("found.json.team)", "found.json.team), post(\"hr\", \"/done\", #{})]");
    let script = script.replace("    set_profile", "    [set_profile");
    let served = tokio::task::spawn_blocking(move || {
        let served = Served::start(&config, &[("scripts/hook.rhai", &script), ("key", "k3y\n")]);
        let lines = [format!("authorization: {SECRET}"), format!("traceparent: {PARENT}")];
        let answer = served.exchange(&request("POST", "/hook", &lines.each_ref().map(String::as_str), &body("one")));
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("payroll"), "{answer}");
        served
    });
    let served = served.await.unwrap();
    collector.gets("lookup hr").await;
    hr.gets("POST /done").await;
    let all = hr.headers("traceparent");
    let [told, action] = all.as_slice() else { panic!("a lookup and an action are told: {all:?}") };
    assert!(action.ends_with("-01") && !action.contains(TRACE), "an action is in a trace of its own: {action}");
    let span = hex::decode(told.split('-').nth(2).unwrap()).unwrap();
    let (sent, text) = (collector.bytes(), collector.text());
    assert!(sent.windows(8).any(|part| part == span), "the span of the lookup is among them");
    assert!(sent.windows(16).any(|part| part == hex::decode(TRACE).unwrap()), "{text}");
    for part in ["POST /v1/traces", "x-key: k3y", "edge", "script hook.rhai", "decode", "encode"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    let log = tokio::task::spawn_blocking(move || served.stop()).await.unwrap();
    assert!(log.contains(&format!("\"trace.id\":\"{TRACE}\"")), "{log}");
    for secret in [CANARY, "payroll"] {
        assert!(!collector.text().contains(secret), "{}", collector.text());
    }
    assert!(!log.contains("k3y"), "{log}");
}
