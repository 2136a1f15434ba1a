//! Texts that users made up, through every rule that ships: none takes an alert down, whichever connector it goes to.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hookgate_engine::lookup::Lookups;
use hookgate_engine::release::Release;
use hookgate_engine::release::build;
use hookgate_engine::release::build::Secrets;
use hookgate_engine::release::bundle::Place;
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_engine::trial::{Bench, Order};
use hookgate_script::lanes::Lanes;
use serde_json::{Value, json};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// One of each kind that tells people something or keeps it, and one that takes requests.
const CONNECTORS: &str = r#"
[connectors.mail]
kind = "smtp"
host = "localhost"
tls = "none"
from = "a@b.example"
to = ["ops@b.example"]
[connectors.chat]
kind = "slack"
url = { file = "secrets/url" }
[connectors.teams]
kind = "teams"
url = { file = "secrets/url" }
[connectors.pager]
kind = "pagerduty"
routing_key = { file = "secrets/key" }
[connectors.tickets]
kind = "jira"
base_url = "https://jira.example"
token = { file = "secrets/key" }
project = "SEC"
[connectors.desk]
kind = "servicenow"
base_url = "https://desk.example"
user = "u"
password = { file = "secrets/key" }
[connectors.siem]
kind = "syslog"
host = "localhost"
[connectors.index]
kind = "elastic"
base_url = "https://elastic.example"
index = "logs"
[connectors.api]
kind = "http"
base_url = "https://api.example"
[auth.test]
scheme = "none"
[routes.events]
path = "/events"
hook = "okta.event"
auth = "test"
"#;

/// Name of the rule, type of the event, and the parameters that name a connector `TO`.
const RULES: [(&str, &str, &str); 6] = [
    ("group_joined", "group.user_membership.add", ""),
    ("group_watch", "group.user_membership.add", "channel = \"TO\"\npage = \"TO\""),
    (
        "suspicious_activity",
        "user.account.report_suspicious_activity_by_enduser",
        "channels = [\"TO\"]\npage = \"TO\"\nticket = { connector = \"api\", path = \"/tickets\" }",
    ),
    (
        "password_changed",
        "user.account.update_password",
        "targets = [{ connector = \"api\", path = \"/users/{id}/revoke\" }]",
    ),
    ("session_watch", "user.session.start", ""),
    (
        "siem_forward",
        "user.session.start",
        "sinks = [{ connector = \"siem\" }, { connector = \"index\", format = \"ecs\" }, { connector = \"index\", format = \"ocsf\" }]",
    ),
];

const CHANNELS: [&str; 8] = ["mail", "chat", "teams", "pager", "tickets", "desk", "siem", "index"];

fn texts() -> Vec<String> {
    let texts = [
        "Eve\tX",
        "Eve\u{0}X\u{1b}[2J\u{7f}",
        "Eve\u{85}X\u{2028}Y\u{2029}Z",
        "Eve\r\nBcc: x@y.example\r\n\r\n.",
        "\u{202e}evE\u{202c}\u{200b}\u{feff}",
        "=?utf-8?B?RXZlDQpCY2M6?=",
        "<!channel> [x](https://evil.example) {code} |x| \\n \"",
        "ann@b\u{fc}cher.example",
        " ",
        "",
    ];
    let long = ["x", "\u{1f600}", "\n"].map(|letter| letter.repeat(5_000));
    texts.into_iter().map(str::to_owned).chain(long).collect()
}

fn release(folder: &Path, channel: &str) -> Release {
    let mut config = CONNECTORS.to_owned();
    for (name, kind, params) in RULES {
        config += &format!("[routes.events.rules.{name}]\nevents = [\"{kind}\"]\nscript = \"{name}.rhai\"\n");
        if !params.is_empty() {
            config += &format!("[routes.events.rules.{name}.params]\n{}\n", params.replace("TO", channel));
        }
    }
    if channel == "mail" {
        // Its script names it.
        config = config
            .replace("[connectors.api]", "[connectors.alerts]\nkind = \"file\"\npath = \"a.jsonl\"\n[connectors.api]");
    } else {
        config += "[connectors.alerts]\nkind = \"file\"\npath = \"a.jsonl\"\n";
    }
    fs::write(folder.join("gateway.toml"), config).unwrap();
    build::check(&Place::of(&folder.join("gateway.toml")), Secrets::Skip, &Metrics::new())
        .unwrap_or_else(|findings| panic!("{findings:#?}"))
}

fn body(kind: &str, text: &str) -> Bytes {
    let user = json!({ "id": "00u7h1kXq2ZbT0aYw5d7", "type": "User", "alternateId": text, "displayName": text });
    let group = json!({ "id": "00g8h1kXq2ZbT0aYw5d7", "type": "UserGroup", "alternateId": text, "displayName": text });
    let event = json!({
        "uuid": "u1", "published": "2026-03-02T08:30:00.125Z", "eventType": kind, "severity": "INFO", "displayMessage": text,
        "client": { "ipAddress": text, "userAgent": { "rawUserAgent": text, "os": text, "browser": text },
            "geographicalContext": { "city": text, "country": text, "state": text } },
        "actor": user, "outcome": { "result": "SUCCESS", "reason": text }, "target": [user, group],
        "debugContext": { "debugData": { "suspiciousActivityEventType": text, "privilegeGranted": text, "requestUri": text } },
        "transaction": { "id": text, "type": "WEB", "detail": {} },
    });
    let delivery = json!({
        "eventType": "com.okta.event_hook", "eventTypeVersion": "1.0", "cloudEventsVersion": "0.1", "source": "x",
        "eventId": "e1", "data": { "events": [event] },
    });
    delivery.to_string().into()
}

fn copied(folder: &Path) {
    fs::create_dir_all(folder.join("scripts/lib")).unwrap();
    for below in ["scripts", "scripts/lib"] {
        for entry in fs::read_dir(Path::new(ROOT).join(below)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.ends_with(".rhai") && !name.ends_with("_test.rhai") {
                fs::copy(&path, folder.join(below).join(name)).unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_text_takes_an_alert_of_a_rule_that_ships_down() {
    let folder = tempfile::tempdir().unwrap();
    copied(folder.path());
    for channel in CHANNELS {
        let release = Arc::new(release(folder.path(), channel));
        let bench = Bench::new(Lanes::start().unwrap(), Lookups::on_trial(Metrics::new()));
        for text in texts() {
            for (rule, kind, params) in RULES {
                let order =
                    Order { route: "events".into(), rule: Some(rule.into()), body: body(kind, &text), trace: false };
                let tried = bench.run(&release, &order).await.unwrap();
                let tried: Value = serde_json::to_value(&tried).unwrap();
                let begin: String = text.chars().take(30).collect();
                let ran = find(&tried, "actions").unwrap_or_else(|| panic!("{rule}: {tried}"));
                assert_eq!(ran["failure"], Value::Null, "{rule} to {channel}: {begin:?}");
                let actions = ran["actions"].as_array().unwrap();
                assert!(params.is_empty() || !actions.is_empty(), "{rule} to {channel}: {begin:?}");
                for action in actions {
                    assert_eq!(action.get("refused"), None, "{rule} to {channel}: {begin:?}: {action}");
                }
            }
        }
    }
}

/// The object in which this member stands.
fn find<'v>(value: &'v Value, member: &str) -> Option<&'v Value> {
    match value {
        Value::Object(fields) if fields.contains_key(member) => Some(value),
        Value::Object(fields) => fields.values().find_map(|inner| find(inner, member)),
        Value::Array(items) => items.iter().find_map(|inner| find(inner, member)),
        _ => None,
    }
}

/// What an answer holds may be more than a script may: it can catch that, and read the rest.
#[test]
fn an_attribute_that_is_too_long_is_an_error_to_catch() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "gateway.toml",
        "[auth.test]\nscheme = \"none\"\n[limits]\nmax_string_bytes = 4096\n[connectors.corp]\nkind = \"ldap\"\n\
         url = \"ldaps://dc.example\"\n[connectors.hr]\nkind = \"http\"\nbase_url = \"https://hr.example\"\n\
         [connectors.legacy]\nkind = \"sql\"\nurl = \"sqlite:legacy.db\"\n[routes.hook]\npath = \"/hook\"\n\
         hook = \"okta.registration\"\nscript = \"hook.rhai\"\nauth = \"test\"\non_failure = \"allow\"\n",
    );
    write(
        "scripts/hook.rhai",
        r#"fn kind_of(read) { try { read.call(); return "none"; } catch (error) { return error.kind; } }
fn on_registration(request) {
    let entry = ldap("corp").search("(uid=ann)")[0];
    let page = http("hr").get("/people/7");
    log("kinds", #{
        get: kind_of(|| entry.get("photo")), note: kind_of(|| entry.get("note")), all: kind_of(|| entry.all("photo")), mail: entry.get("mail"),
        text: kind_of(|| page.text), json: kind_of(|| page.json), status: page.status,
        sql: kind_of(|| sql("legacy").rows("select 1")),
    });
    allow()
}
"#,
    );
    write(
        "scripts/hook_test.rhai",
        r##"fn test_too_large() {
    let long = []; for number in 0..200 { long.push("0123456789012345678901234567890123456789"); }
    let note = "x"; note.pad(5000, "x");
    mock_ldap("corp", "search (uid=ann)", [#{ dn: "uid=ann", photo: long, note: note, mail: "a@b.example" }]);
    mock_http("hr", "GET /people/7", #{ rows: long });
    mock_sql("legacy", "select 1", long.map(|text| #{ text: text }));
    let fields = run(#{}).logs[0].fields;
    assert_eq(fields.get, "none");
    assert_eq(fields.mail, "a@b.example");
    for name in ["note", "all", "text", "json", "sql"] { assert_eq(fields[name], "too_large"); }
}
"##,
    );
    let release = build::check(&Place::of(&folder.path().join("gateway.toml")), Secrets::Skip, &Metrics::new())
        .unwrap_or_else(|findings| panic!("{findings:#?}"));
    let report = hookgate_engine::harness::run::run(
        &hookgate_engine::release::suite::suite(&release),
        &hookgate_engine::harness::run::Options::default(),
        &|_| {},
    );
    let failed: Vec<_> = report.trials.iter().filter(|trial| trial.failed()).map(|trial| &trial.complaints).collect();
    assert!(report.trials.len() == 1 && failed.is_empty(), "{failed:#?}");
}
