//! `send([via(…), …])`: what callers, providers, the log and the store see of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use hookgate_engine::harness::run;
use hookgate_engine::harness::run::Options;
use hookgate_engine::harness::trial::Trial;
use hookgate_engine::release::suite;
use hookgate_model::decision::{ActionLine, Query};
use http::StatusCode;
use serde_json::{Value, json};

use crate::harness::{TestGateway, without_debug};
use crate::process::{Ran, Served, hookgate, sample};

/// A provider on this machine, until it is dropped.
struct Provider {
    url: String,
    /// Status, body, and how long it thinks.
    says: Arc<Mutex<(u16, &'static str, Duration)>>,
    got: Arc<Mutex<Vec<String>>>,
    begun: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Provider {
    async fn new(status: u16, body: &'static str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let says = Arc::new(Mutex::new((status, body, Duration::ZERO)));
        let (got, begun): (Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>) = Default::default();
        let (spoken, noted, counted) = (says.clone(), got.clone(), begun.clone());
        let answer = move |request: Request| {
            let (spoken, noted, counted) = (spoken.clone(), noted.clone(), counted.clone());
            async move {
                let body = to_bytes(request.into_body(), 1 << 16).await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let (status, text, wait) = *spoken.lock().unwrap();
                tokio::time::sleep(wait).await;
                noted.lock().unwrap().push(String::from_utf8(body.to_vec()).unwrap());
                (StatusCode::from_u16(status).unwrap(), text)
            }
        };
        let router = Router::new().fallback(answer);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, says, got, begun, task }
    }

    fn say(&self, status: u16, body: &'static str, wait: Duration) {
        *self.says.lock().unwrap() = (status, body, wait);
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const GOOD: &str = r#"{"id":"m-1"}"#;

fn config(one: &str, two: &str) -> String {
    let connector = |name: &str, url: &str| {
        format!(
            "[connectors.{name}]\nkind = \"sms_template\"\nbase_url = \"{url}\"\nallow_private = true\nid = \"id\"\n\
             json = {{ to = \"{{to}}\", text = \"{{text}}\", code = \"{{code}}\", key = \"{{key}}\" }}\n\n"
        )
    };
    format!(
        "{}{}[connectors.chat]\nkind = \"file\"\npath = \"chat.jsonl\"\n\n\
         [auth.test]\nscheme = \"header\"\nsecrets = [{{ file = \"secret\" }}]\n\n[scripts]\ngate = \"check\"\n\n\
         [routes.hook]\npath = \"/hook\"\nhook = \"okta.telephony\"\nscript = \"hook.rhai\"\nauth = \"test\"\n\
         on_failure = \"swallow\"\n",
        connector("one", one),
        connector("two", two)
    )
}

const SCRIPT: &str = "fn on_telephony(request) { send([via(\"one\"), via(\"two\")]) }";

fn gateway(one: &Provider, two: &Provider) -> TestGateway {
    TestGateway::bundle(&config(&one.url, &two.url), &[("scripts/hook.rhai", SCRIPT)])
}

fn call(id: &str) -> String {
    let mut call: Value = serde_json::from_str(sample("okta.telephony")).unwrap();
    call["eventId"] = json!(id);
    call.to_string()
}

/// The only element of the only command.
fn action(reply: &Value) -> Value {
    assert_eq!(reply["commands"][0]["type"], "com.okta.telephony.action", "{reply}");
    reply["commands"][0]["value"][0].clone()
}

fn delivered(provider: &str) -> Value {
    json!({ "status": "SUCCESSFUL", "provider": provider, "transactionId": "m-1" })
}

const SWALLOWED: &str = "not sent: the script gave no answer";

#[tokio::test]
async fn the_first_that_takes_it_is_told_to_okta() {
    let (one, two) = (Provider::new(200, GOOD).await, Provider::new(200, GOOD).await);
    let gateway = gateway(&one, &two);
    let (status, reply) = gateway.post(call("a")).await;
    assert_eq!((status, action(&reply)), (200, delivered("one")));
    let got: Value = serde_json::from_str(&one.got.lock().unwrap()[0]).unwrap();
    assert_eq!((&got["to"], &got["code"]), (&json!("+447400123456"), &json!("004711")));
    assert_eq!(got["text"], "Your code is 004711");
    assert_eq!(got["key"].as_str().map(str::len), Some(36), "a key of its own, made of route and call");
    assert_eq!(two.begun(), 0);
    // The same call again, of the same process and of the next one, has the same answer, and sends nothing.
    assert_eq!(without_debug(gateway.post(call("a")).await.1), without_debug(reply.clone()));
    let gateway = gateway.restarted().await;
    assert_eq!(action(&gateway.post(call("a")).await.1), delivered("one"));
    assert_eq!(one.begun(), 1);
    gateway.post(call("b")).await;
    assert_eq!(one.begun(), 2);
    let metrics = gateway.metrics.encode();
    assert!(metrics.contains(r#"hookgate_action_attempts_total{connector="one",result="done"} 1"#), "{metrics}");
}

#[tokio::test]
async fn who_did_not_send_is_followed_by_the_next() {
    let (one, two) = (Provider::new(500, "{}").await, Provider::new(200, GOOD).await);
    let gateway = gateway(&one, &two);
    for (id, (status, result)) in
        [(500, "not_delivered"), (429, "not_delivered"), (400, "refused")].into_iter().enumerate()
    {
        one.say(status, "{}", Duration::ZERO);
        let (_, reply) = gateway.post(call(&format!("a{id}"))).await;
        assert_eq!(action(&reply), delivered("two"), "after {status}");
        let metrics = gateway.metrics.encode();
        assert!(metrics.contains(&format!("{{connector=\"one\",result=\"{result}\"}}")), "{metrics}");
    }
    assert_eq!((one.begun(), two.begun()), (3, 3));
}

#[tokio::test]
async fn the_record_of_a_message_that_nobody_took_has_the_actions_that_were_kept() {
    let (one, two) = (Provider::new(503, "").await, Provider::new(400, "").await);
    let script = "fn on_telephony(request) { [send([via(\"one\"), via(\"two\")]), notify(\"chat\", \"a code\")] }";
    let gateway = TestGateway::bundle(&config(&one.url, &two.url), &[("scripts/hook.rhai", script)]);
    gateway.post(call("a")).await;
    gateway.delivery.records().flush().await;
    let kept = gateway.delivery.store().decisions(Query::default()).await.unwrap().records;
    let [record] = kept.as_slice() else { panic!("{kept:?}") };
    assert_eq!(record.failure.as_ref().map(|failure| failure.reason.as_str()), Some("not_sent"));
    assert_eq!(record.actions, [ActionLine { name: "notify".to_owned(), connector: "chat".to_owned() }]);
}

#[tokio::test]
async fn when_nobody_takes_it_the_declared_answer_is_given() {
    let (one, two) = (Provider::new(503, "").await, Provider::new(400, "").await);
    let gateway = gateway(&one, &two);
    let (status, reply) = gateway.post(call("a")).await;
    assert_eq!((status, action(&reply)["transactionMetadata"].as_str()), (200, Some(SWALLOWED)));
    assert!(gateway.metrics.encode().contains(r#"hookgate_fallback_total{route="hook",reason="not_sent"} 1"#));
    // Okta may have sent it by now: it is not tried again, also not by another process.
    let gateway = gateway.restarted().await;
    assert_eq!(action(&gateway.post(call("a")).await.1)["transactionMetadata"], SWALLOWED);
    assert_eq!((one.begun(), two.begun()), (1, 1));
    // Nobody listens any more.
    drop((one, two));
    let started = Instant::now();
    let (_, reply) = gateway.post(call("b")).await;
    assert_eq!(action(&reply)["transactionMetadata"], SWALLOWED);
    assert!(started.elapsed() < Duration::from_millis(2500));
}

#[tokio::test]
async fn who_does_not_answer_may_have_sent_it() {
    let (one, two) = (Provider::new(200, GOOD).await, Provider::new(200, GOOD).await);
    let gateway = gateway(&one, &two);
    one.say(200, GOOD, Duration::from_secs(60));
    let started = Instant::now();
    let (_, reply) = gateway.post(call("a")).await;
    assert!(started.elapsed() < Duration::from_millis(2700), "{:?}", started.elapsed());
    let unknown = json!({ "status": "PENDING", "provider": "one", "transactionMetadata": "no answer in time" });
    assert_eq!(action(&reply), unknown);
    assert_eq!((one.begun(), two.begun()), (1, 0), "a second message would be worse than a late one");
    let gateway = gateway.restarted().await;
    assert_eq!(action(&gateway.post(call("a")).await.1), unknown);
    assert_eq!((one.begun(), two.begun()), (1, 0));
}

#[tokio::test]
async fn a_slow_no_leaves_time_for_the_next_and_none_for_a_third() {
    let (one, two) = (Provider::new(500, "").await, Provider::new(500, "").await);
    one.say(500, "", Duration::from_millis(1200));
    two.say(500, "", Duration::from_millis(700));
    let config = config(&one.url, &two.url);
    let third = config.replace("[connectors.chat]", "[connectors.three]\nkind = \"sms_template\"\nbase_url = \"http://127.0.0.1:9\"\nallow_private = true\nform = { to = \"{to}\", text = \"{text}\" }\n\n[connectors.chat]");
    let script = SCRIPT.replace("via(\"two\")", "via(\"two\"), via(\"three\")");
    let gateway = TestGateway::bundle(&third, &[("scripts/hook.rhai", &script)]);
    let started = Instant::now();
    let (_, reply) = gateway.post(call("a")).await;
    assert_eq!(action(&reply)["transactionMetadata"], SWALLOWED);
    assert!(started.elapsed() < Duration::from_millis(2600), "{:?}", started.elapsed());
    assert_eq!((one.begun(), two.begun()), (1, 1));
    assert!(!gateway.metrics.encode().contains("connector=\"three\""), "there was no time for it");
}

#[tokio::test]
async fn a_call_that_comes_twice_at_once_or_after_its_caller_went_is_one_message() {
    let (one, two) = (Provider::new(200, GOOD).await, Provider::new(200, GOOD).await);
    one.say(200, GOOD, Duration::from_millis(300));
    let gateway = gateway(&one, &two);
    let (first, second) = tokio::join!(gateway.post(call("a")), gateway.post(call("a")));
    assert_eq!((action(&first.1), action(&second.1)), (delivered("one"), delivered("one")));
    assert_eq!(one.begun(), 1);
    // The caller hangs up while the provider thinks: it is sent all the same, and once.
    let gone = tokio::time::timeout(Duration::from_millis(150), gateway.post(call("b"))).await;
    assert!(gone.is_err());
    let (_, reply) = gateway.post(call("b")).await;
    assert_eq!(action(&reply)["status"], "PENDING", "begun, and not at its end");
    tokio::time::sleep(Duration::from_millis(400)).await;
    let gateway = gateway.restarted().await;
    assert_eq!(action(&gateway.post(call("b")).await.1), delivered("one"));
    assert_eq!((one.begun(), two.begun()), (2, 0));
    // A new release answers anew, and does not send anew.
    gateway.write("scripts/hook.rhai", &format!("{SCRIPT} // changed"));
    gateway.reload();
    assert_eq!(action(&gateway.post(call("b")).await.1), delivered("one"));
    assert_eq!((one.begun(), two.begun()), (2, 0));
}

#[tokio::test]
async fn who_fails_again_and_again_is_given_a_rest() {
    let (one, two) = (Provider::new(500, "").await, Provider::new(200, GOOD).await);
    let gateway = gateway(&one, &two);
    for number in 0..8 {
        assert_eq!(action(&gateway.post(call(&format!("a{number}"))).await.1), delivered("two"));
    }
    assert_eq!((one.begun(), two.begun()), (5, 8));
}

#[tokio::test]
async fn of_a_preview_nothing_is_sent() {
    let (one, two) = (Provider::new(200, GOOD).await, Provider::new(200, GOOD).await);
    let gateway = gateway(&one, &two);
    let preview = "/api/internal/v1/inlineHooks/com.okta.telephony.provider/generatePreview";
    let (status, reply) = gateway.post(call("a").replace("/idp/idx/challenge", preview)).await;
    let expected = json!({ "status": "SUCCESSFUL", "provider": "one", "transactionId": "not-sent" });
    assert_eq!((status, action(&reply)), (200, expected));
    assert_eq!((one.begun(), two.begun()), (0, 0));
}

#[tokio::test]
async fn a_way_that_is_none_is_found_when_loaded_or_when_called() {
    let (one, two) = (Provider::new(200, GOOD).await, Provider::new(200, GOOD).await);
    let gateway = gateway(&one, &two);
    let refused = |script: &str| {
        gateway.write("scripts/hook.rhai", script);
        gateway.reload();
        let error = gateway.live.status().error.clone();
        let ours =
            error.iter().filter(|finding| finding.code.ends_with("-connector") || finding.code.ends_with("-codes"));
        let ours = ours.filter(|finding| finding.code.starts_with("script/"));
        ours.map(|finding| format!("{} {}", finding.code, finding.message)).collect::<Vec<_>>()
    };
    let literal = |name: &str| format!("fn on_telephony(request) {{ send([via(\"{name}\")]) }}");
    assert_eq!(refused(&literal("chat")), ["script/sends-no-codes `chat` sends no codes"]);
    assert_eq!(refused(&literal("onne")), ["script/unknown-connector there is no connector `onne`"]);
    assert_eq!(refused("fn on_telephony(request) { let name = \"chat\"; send([via(name)]) }"), Vec::<String>::new());
    let (_, reply) = gateway.post(call("a")).await;
    assert_eq!(action(&reply)["transactionMetadata"], SWALLOWED);
}

fn tested(gateway: &TestGateway) -> Vec<Trial> {
    let release = gateway.live.current().expect("a release is live");
    run::run(&suite::suite(&release), &Options::default(), &|_| {}).trials
}

#[tokio::test]
async fn tests_of_scripts_send_nothing_and_choose_who_fails() {
    let tests = r#"
/// the first takes it
fn test_sent() {
    let outcome = run();
    assert_eq(outcome.commands, [#{ send: #{ ways: ["one", "two"] } }]);
    assert_eq(outcome.reply.commands[0].value[0].provider, "one");
}

/// the next takes it, whatever the first says
fn test_failover() {
    for how in ["refused", "not_delivered"] {
        mock_send("one", how);
        assert_eq(run().reply.commands[0].value[0].provider, "two");
    }
}

/// nobody else is tried
fn test_timeout() {
    mock_send("one", "timeout");
    assert_eq(run().reply.commands[0].value[0].status, "PENDING");
}

/// the declared answer
fn test_nobody() {
    mock_send("one", "refused");
    mock_send("two", "not_delivered");
    let outcome = run();
    assert(outcome.effect.contains("Nobody sends the code"));
    assert_eq(outcome.notes, ["no provider took the message (one: refused; two: not delivered)"]);
}

/// what is not configured may be said to be outside
fn test_outside() {
    mock_send("elsewhere", "taken");
    set_params(#{ ways: ["elsewhere", "one"] });
    assert_eq(run().reply.commands[0].value[0].provider, "elsewhere");
    set_params(#{ ways: ["nowhere"] });
    assert_fails(run(), "there is no connector `nowhere`");
}

/// words and names are checked
fn test_words() {
    let table = [
        ["one", "slow", "`mock_send` knows \"taken\", \"timeout\", \"refused\", \"not_delivered\""],
        ["chat", "refused", "sends no codes"],
    ];
    for row in table {
        let told = "";
        try { mock_send(row[0], row[1]); } catch (error) { told = `${error}`; }
        assert_contains(told, row[2]);
    }
}
"#;
    let (one, two) = (Provider::new(200, GOOD).await, Provider::new(200, GOOD).await);
    let script = "fn on_telephony(request) { send((params.ways ?? [\"one\", \"two\"]).map(|way| via(way))) }";
    let files = [("scripts/hook.rhai", script), ("scripts/hook_test.rhai", tests)];
    let gateway = TestGateway::bundle(&config(&one.url, &two.url), &files);
    let trials = tokio::task::spawn_blocking(move || tested(&gateway)).await.unwrap();
    assert_eq!(trials.len(), 6);
    let failed: Vec<_> = trials.iter().filter(|trial| trial.failed()).map(|trial| &trial.complaints).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!((one.begun(), two.begun()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_code_nor_number_is_shown_or_kept() {
    const ECHO: &str = r#"{"error":"+447400778899 got: Your code is CANARY-778899, 778899"}"#;
    let (one, two) = (Provider::new(400, ECHO).await, Provider::new(200, GOOD).await);
    let config = config(&one.url, &two.url);
    let served =
        tokio::task::spawn_blocking(move || Served::start(&config, &[("scripts/hook.rhai", SCRIPT)])).await.unwrap();
    let canary = |id: &str| {
        let call = call(id).replace("+447400123456", "+447400778899");
        call.replace("Your code is 004711", "Your code is CANARY-778899").replace("004711", "778899")
    };
    let (served, answers) = tokio::task::spawn_blocking(move || {
        let answers = [served.post("/hook", &canary("a")), served.post("/hook", &canary("a"))];
        (served, answers)
    })
    .await
    .unwrap();
    assert!(answers.iter().all(|answer| answer.contains("\"provider\":\"two\"")), "{answers:?}");
    two.say(500, ECHO, Duration::ZERO);
    tokio::task::spawn_blocking(move || {
        let failed = served.post("/hook", &canary("b"));
        assert!(failed.contains(SWALLOWED), "{failed}");
        let metrics = served.admin("/metrics").unwrap();
        let kept: Vec<u8> = ["hookgate.db", "hookgate.db-wal"]
            .iter()
            .flat_map(|name| std::fs::read(served.folder().join("data").join(name)).unwrap())
            .collect();
        let log = served.stop();
        assert!(
            log.contains("message not sent") && log.contains("it answered 400") && log.contains("message sent"),
            "{log}"
        );
        let kept = String::from_utf8_lossy(&kept).into_owned();
        assert!(kept.contains("hookgate sends "), "it is known that it was sent");
        for (name, text) in [("metrics", metrics), ("log", log), ("store", kept)] {
            assert!(!text.contains("CANARY") && !text.contains("778899"), "{name} shows it");
        }
    })
    .await
    .unwrap();
    assert_eq!(two.got.lock().unwrap().len(), 2);
    assert!(one.got.lock().unwrap()[0].contains("CANARY-778899"), "it was in what the provider got");
}

#[tokio::test]
async fn the_command_line_says_what_would_be_sent() {
    let (one, two) = (Provider::new(200, GOOD).await, Provider::new(200, GOOD).await);
    let folder = tempfile::tempdir().unwrap();
    let files = [("gateway.toml", config(&one.url, &two.url)), ("scripts/hook.rhai", SCRIPT.to_owned())];
    for (path, text) in files.into_iter().chain([("secret", "s".repeat(32)), ("call.json", call("a"))]) {
        crate::harness::write(folder.path(), path, &text);
    }
    let ran = tokio::task::spawn_blocking(move || {
        let told = hookgate(folder.path(), &["call", "hook", "call.json"]).output().unwrap();
        Ran::of(told)
    });
    let ran = ran.await.unwrap();
    assert!(ran.out.contains("send through one, then two; nothing is sent here"), "{}{}", ran.out, ran.err);
    assert!(!ran.out.contains("4711") && !ran.out.contains("7400123"), "{}", ran.out);
    assert_eq!((one.begun(), two.begun()), (0, 0));
}
