//! Lookups of scripts through a whole gateway: what is asked, what comes back, and what a slow or dead system costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::{SECRET, TestGateway};
use crate::process::sample;

/// An API that answers every path after a while.
struct Api {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Api {
    async fn new(takes: Duration, status: &'static str, body: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<AtomicUsize> = Arc::default();
        let counter = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let counter = counter.clone();
                tokio::spawn(async move {
                    let mut buffer = vec![0; 8192];
                    while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {
                        counter.fetch_add(1, Ordering::SeqCst);
                        tokio::time::sleep(takes).await;
                        let length = body.len();
                        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The connector `hr` for this API.
    fn connector(&self, more: &str) -> String {
        let port = self.port;
        format!(
            "[connectors.hr]\nkind = \"http\"\nbase_url = \"http://127.0.0.1:{port}\"\nallow_private = true\n{more}\n"
        )
    }
}

/// A gateway of one registration route with this script, and connectors.
fn gateway(script: &str, connectors: &str, more: &str) -> Arc<TestGateway> {
    let config = format!(
        "[auth.test]\nscheme = \"header\"\nsecrets = [{{ file = \"secret\" }}]\n\n{connectors}\n\
         [routes.hook]\npath = \"/hook\"\nhook = \"okta.registration\"\nscript = \"hook.rhai\"\nauth = \"test\"\n\
         on_failure = {{ deny = \"Later.\" }}\n{more}\n"
    );
    Arc::new(TestGateway::bundle(&config, &[("scripts/hook.rhai", script)]))
}

fn call(id: &str) -> String {
    let mut call: Value = serde_json::from_str(sample("okta.registration")).unwrap();
    call["eventId"] = json!(id);
    call.to_string()
}

/// The reply, and how long it took.
async fn ask(gateway: &TestGateway, id: &str) -> (Value, Duration) {
    let started = Instant::now();
    let (status, reply) = gateway.call(Method::POST, "/hook", &[("authorization", SECRET)], call(id)).await;
    assert_eq!(status, 200, "{reply}");
    (reply, started.elapsed())
}

const BY_HR: &str = "fn on_registration(request) {
    let found = http(\"hr\").get(\"/people\", #{ email: request.email.text });
    if found.status == 200 { set_profile(\"team\", found.json.team) } else { deny_field(\"email\", \"You are not known.\") }
}";

#[tokio::test]
async fn a_script_decides_by_what_an_api_says() {
    let api = Api::new(Duration::ZERO, "200 OK", "{\"team\":\"payroll\"}").await;
    let gateway = gateway(BY_HR, &api.connector(""), "");
    let (reply, _) = ask(&gateway, "one").await;
    assert_eq!(reply["commands"][0]["value"]["team"], "payroll", "{reply}");
    assert_eq!(api.asked(), 1);
    let (again, _) = ask(&gateway, "one").await;
    assert_eq!((again, api.asked()), (reply, 1), "a repeated call asks nobody");
    let metrics = gateway.metrics.encode();
    assert!(metrics.contains("hookgate_lookups_total{connector=\"hr\",result=\"ok\"} 1"), "{metrics}");
}

#[tokio::test]
async fn a_status_is_an_answer_and_a_dead_api_is_not() {
    let api = Api::new(Duration::ZERO, "404 Not Found", "").await;
    let (reply, _) = ask(&gateway(BY_HR, &api.connector(""), ""), "one").await;
    assert!(reply.to_string().contains("You are not known."), "{reply}");
    let away = "[connectors.hr]\nkind = \"http\"\nbase_url = \"http://127.0.0.1:1\"\nallow_private = true\n";
    let gateway = gateway(BY_HR, away, "");
    let (reply, _) = ask(&gateway, "one").await;
    assert!(reply.to_string().contains("Later."), "the declared answer: {reply}");
    assert_eq!(gateway.metrics.route("hook").fallback.read(), [("script_error", 1)]);
}

#[tokio::test]
async fn an_api_that_hangs_costs_no_more_than_the_deadline_and_the_script_has_the_last_word() {
    let api = Api::new(Duration::from_secs(60), "200 OK", "").await;
    let caught = BY_HR
        .replace("let found = http", "let found = #{ status: 0 };\n try { found = http")
        .replace("text });", "text }); } catch (error) { return deny_field(\"email\", `Try again: ${error.kind}.`); }");
    let gateway = gateway(&caught, &api.connector("timeout_ms = 60_000"), "limits = { deadline_ms = 600 }");
    let (reply, took) = ask(&gateway, "one").await;
    assert!(reply.to_string().contains("Try again: timeout."), "{reply}");
    assert!(took < Duration::from_millis(650), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_who_register_at_once_make_one_call() {
    let api = Api::new(Duration::from_millis(300), "200 OK", "{\"team\":\"payroll\"}").await;
    let gateway = gateway(BY_HR, &api.connector("cache = { ttl_s = 60 }"), "limits = { concurrent = 500 }");
    let asking: Vec<_> = (0..200)
        .map(|number| {
            let gateway = gateway.clone();
            tokio::spawn(async move { ask(&gateway, &format!("call-{number}")).await })
        })
        .collect();
    for one in asking {
        let (reply, _) = one.await.unwrap();
        assert_eq!(reply["commands"][0]["value"]["team"], "payroll", "{reply}");
    }
    assert_eq!(api.asked(), 1);
}

#[tokio::test]
async fn a_database_in_a_file_is_asked_like_any_other() {
    let script = "fn on_registration(request) {
        let row = sql(\"legacy\").row(\"select team from people where email = ?\", [request.email.text]);
        if row == () { deny_field(\"email\", \"You are not known.\") } else { set_profile(\"team\", row.team) }
    }";
    let gateway = gateway(script, "[connectors.legacy]\nkind = \"sql\"\nurl = \"sqlite:people.db\"\n", "");
    let people = rusqlite::Connection::open(gateway.place.root.join("people.db")).unwrap();
    people.execute_batch("create table people (email text, team text);").unwrap();
    let (reply, _) = ask(&gateway, "one").await;
    assert!(reply.to_string().contains("You are not known."), "{reply}");
    let email = serde_json::from_str::<Value>(&call("x")).unwrap()["data"]["userProfile"]["email"].clone();
    people.execute("insert into people values (?1, 'payroll')", [email.as_str().unwrap()]).unwrap();
    let (reply, _) = ask(&gateway, "two").await;
    assert_eq!(reply["commands"][0]["value"]["team"], "payroll", "{reply}");
}

const COUNTED: &str = "fn on_registration(request) {
    set_profile(\"number\", kv.incr(\"calls\", \"1h\"))
}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_state_is_exact_under_load_and_outlives_a_restart() {
    let gateway = gateway(COUNTED, "", "");
    let asking: Vec<_> = (0..50)
        .map(|number| {
            let gateway = gateway.clone();
            tokio::spawn(async move { ask(&gateway, &format!("call-{number}")).await })
        })
        .collect();
    let mut numbers = Vec::new();
    for one in asking {
        numbers.push(one.await.unwrap().0["commands"][0]["value"]["number"].as_i64().unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=50).collect::<Vec<_>>());
    let gateway = Arc::into_inner(gateway).expect("nobody else has it").restarted().await;
    assert_eq!(ask(&gateway, "after").await.0["commands"][0]["value"]["number"], 51);
}

/// A rule fails after it has asked; its second try gets the same answers, or it would never tell anybody.
#[tokio::test]
async fn a_rule_that_is_tried_again_gets_the_answers_of_its_first_try() {
    let rule = "fn on_event(event) {
        let first = kv.once(\"told\", \"1h\");
        if kv.incr(\"tries\", \"1h\") == 1 && !table(\"ready\").has(\"yes\") { throw \"not yet\"; }
        if first { notify(\"out\", \"told\") }
    }";
    let config = "[auth.test]\nscheme = \"header\"\nsecrets = [{ file = \"secret\" }]\n\n\
         [connectors.out]\nkind = \"file\"\npath = \"out.jsonl\"\n\
         [tables.ready]\nfile = \"ready.txt\"\nkind = \"lines\"\n\
         [routes.hook]\npath = \"/hook\"\nhook = \"okta.event\"\nauth = \"test\"\n\
         [routes.hook.rules.one]\nevents = [\"*\"]\nscript = \"rule.rhai\"\nretry = { first_ms = 400 }\n";
    let gateway = TestGateway::bundle(config, &[("scripts/rule.rhai", rule), ("ready.txt", "no\n")]);
    let body = sample("okta.event").to_owned();
    let (status, _) = gateway.call(Method::POST, "/hook", &[("authorization", SECRET)], body).await;
    assert_eq!(status, 204);
    let ready = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        gateway.write("ready.txt", "yes\n");
        gateway.reload();
    };
    tokio::join!(gateway.work(), ready);
    let told = std::fs::read_to_string(gateway.place.root.join("out.jsonl")).expect("somebody was told");
    assert_eq!(told.lines().count(), 1, "{told}");
}
