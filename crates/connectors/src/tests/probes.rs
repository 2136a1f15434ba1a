//! What `check --online` learns of each kind, and that nothing is done there.

use serde_json::json;

use super::*;
use hookgate_model::question::Reason;

/// Kind, settings, the request that is made (nothing where only a connection is), and a good answer.
fn kinds(url: &str) -> Vec<(&'static str, Value, &'static str, &'static str)> {
    let secret = json!({ "file": "secret" });
    vec![
        ("slack", json!({ "token": secret, "channel": "C1", "api_url": url }), "GET /auth.test ", r#"{"ok":true}"#),
        ("slack", json!({ "url": { "file": "url" } }), "", ""),
        ("teams", json!({ "url": { "file": "url" } }), "", ""),
        ("pagerduty", json!({ "routing_key": { "file": "key" }, "api_url": url }), "", ""),
        ("webhook", json!({ "base_url": url, "secrets": [{ "file": "signing" }] }), "", ""),
        (
            "jira",
            json!({ "base_url": url, "token": secret, "project": "IT" }),
            "GET /rest/api/2/myself ",
            r#"{"name":"bot"}"#,
        ),
        (
            "servicenow",
            json!({ "base_url": url, "user": "bot", "password": secret }),
            "GET /api/now/table/incident?sysparm_limit=1&sysparm_fields=sys_id ",
            r#"{"result":[]}"#,
        ),
        (
            "splunk_hec",
            json!({ "base_url": url, "token": secret }),
            "GET /services/collector/health ",
            r#"{"text":"HEC is healthy","code":17}"#,
        ),
        (
            "elastic",
            json!({ "base_url": url, "index": "events", "api_key": secret }),
            "GET /_security/_authenticate ",
            r#"{"username":"bot"}"#,
        ),
        ("http", json!({ "base_url": url }), "", ""),
        ("http", json!({ "base_url": url, "auth": { "bearer": secret }, "probe": "/health" }), "GET /health ", "{}"),
        ("vonage", json!({ "api_key": "a1b2c3d4", "api_secret": secret, "from": "Example", "api_url": url }), "", ""),
        ("sms_template", json!({ "base_url": url, "json": { "to": "{to}", "text": "{text}" } }), "", ""),
        ("file", json!({ "path": "out/log.jsonl" }), "", ""),
    ]
}

struct Bench {
    folder: tempfile::TempDir,
    server: Server,
}

impl Bench {
    async fn new(status: &str, body: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let server = Server::saying(status, "Content-Type: application/json\r\n", body).await;
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
        write("secret", "canary-7f3a");
        write("url", &server.url());
        write("key", "0123456789abcdef0123456789abcdef");
        write("signing", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        Self { folder, server }
    }

    async fn probe(&self, name: &str, settings: &Value) -> Result<Probed, question::Trouble> {
        let connector = made(kind(name).expect("a kind"), self.folder.path(), settings);
        connector.probe().expect("it can be asked").await
    }
}

#[tokio::test]
async fn a_system_that_is_there_is_reached_and_nothing_is_done_there() {
    let number = kinds("http://127.0.0.1").len();
    for index in 0..number {
        let (_, _, _, body) = kinds("http://127.0.0.1").remove(index);
        let bench = Bench::new("200 OK", body).await;
        let (name, settings, request, _) = kinds(&bench.server.url()).remove(index);
        let probed = bench.probe(name, &settings).await.unwrap_or_else(|trouble| panic!("{name}: {trouble}"));
        assert!(!probed.found.is_empty());
        let seen = bench.server.seen();
        match request {
            "" => assert!(seen.iter().all(String::is_empty), "{name} asked {seen:?}"),
            request => assert!(seen.len() == 1 && seen[0].starts_with(request), "{name}: {seen:?}"),
        }
    }
    assert_eq!(std::fs::read_dir(Bench::new("200 OK", "").await.folder.path()).expect("a folder").count(), 4);
}

#[tokio::test]
async fn a_system_that_does_not_let_us_in_is_named_without_the_secret() {
    for index in 0..kinds("http://127.0.0.1").len() {
        let bench = Bench::new("401 Unauthorized", r#"{"error":"token canary-7f3a is bad"}"#).await;
        let (name, settings, request, _) = kinds(&bench.server.url()).remove(index);
        let probed = bench.probe(name, &settings).await;
        if request.is_empty() {
            assert!(probed.is_ok(), "{name}");
            continue;
        }
        let trouble = probed.expect_err(name);
        assert_eq!(trouble.reason, Reason::Denied, "{name}: {trouble}");
        assert!(!trouble.message.contains("canary"), "{name}: {trouble}");
    }
}

#[tokio::test]
async fn a_system_that_is_not_there_is_told() {
    let nowhere = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        format!("http://{}/", listener.local_addr().expect("an address"))
    };
    let bench = Bench::new("200 OK", "").await;
    std::fs::write(bench.folder.path().join("url"), &nowhere).expect("a file");
    for (name, settings, ..) in kinds(&nowhere).into_iter().filter(|(name, ..)| *name != "file") {
        let trouble = bench.probe(name, &settings).await.expect_err(name);
        assert_eq!(trouble.reason, Reason::Unreachable, "{name}: {trouble}");
    }
    std::fs::write(bench.folder.path().join("out"), "a file").expect("a file");
    let trouble = bench.probe("file", &json!({ "path": "out/log.jsonl" })).await.expect_err("no folder");
    assert!(trouble.message.contains("is no folder"), "{trouble}");
}
