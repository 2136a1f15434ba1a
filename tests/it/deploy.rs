//! `deploy/`: the dashboard and the alerts name metrics and labels that there are, every alert goes off when it should, and systemd
//! takes the units.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use hookgate_engine::telemetry::metrics::Metrics;
use regex::Regex;
use serde_json::Value;

use crate::harness::skipped;
use crate::process::{Served, sample};

const ALERTS: &str = "deploy/prometheus/alerts.yml";
const DASHBOARD: &str = "deploy/grafana/hookgate.json";

/// Labels that Prometheus itself adds, or that a histogram has.
const GIVEN: [&str; 3] = ["instance", "job", "le"];

fn text(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// Every expression of a file.
fn expressions(file: &str) -> Vec<String> {
    if file.ends_with(".json") {
        let mut found = Vec::new();
        collect(&serde_json::from_str(&text(file)).unwrap(), &mut found);
        return found;
    }
    let lines = text(file);
    lines.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(str::to_owned).collect()
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if ["expr", "query"].contains(&name.as_str()) => found.push(text.clone()),
                    other => collect(other, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

/// Samples by name, with the labels that they have.
type Exported = BTreeMap<String, BTreeSet<String>>;

fn exported(page: &str, all: &mut Exported) {
    let label = Regex::new(r#"(\w+)=""#).unwrap();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap().to_owned();
        let labels = label.captures_iter(line).map(|found| found[1].to_owned());
        all.entry(name).or_default().extend(labels);
    }
}

const CONFIG: &str = "[scripts]\ngate = \"check\"\n[auth.a]\nscheme = \"header\"\nsecrets = [{ file = \"secret\" }]\n\
    [connectors.away]\nkind = \"http\"\nbase_url = \"http://127.0.0.1:1\"\nallow_private = true\n\
    [connectors.chat]\nkind = \"file\"\npath = \"chat.jsonl\"\n\
    [routes.hook]\npath = \"/hook\"\nhook = \"okta.registration\"\nscript = \"hook.rhai\"\nauth = \"a\"\non_failure = \"allow\"\n\
    [routes.events]\npath = \"/events\"\nhook = \"okta.event\"\nauth = \"a\"\n\
    [routes.events.rules.all]\nevents = [\"*\"]\nscript = \"watch.rhai\"\n";
const HOOK: &str = "fn on_registration(request) {\n    http(\"away\").get(\"/\");\n    allow()\n}\n";
const WATCH: &str = "fn on_event(event) {\n    notify(\"chat\", event.type)\n}\n";

/// What a gateway exports after some calls, and what it would after rarer things.
fn everything() -> Exported {
    let served = Served::start(CONFIG, &[("scripts/hook.rhai", HOOK), ("scripts/watch.rhai", WATCH)]);
    assert!(served.post("/hook", sample("okta.registration")).starts_with("HTTP/1.1 200"));
    assert!(served.post("/events", sample("okta.event")).starts_with("HTTP/1.1 204"));
    assert!(served.post("/nowhere", "{}").starts_with("HTTP/1.1 404"));
    let stranger = "POST /hook HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
    assert!(served.exchange(stranger).starts_with("HTTP/1.1 401"));
    fs::write(served.folder().join("scripts/hook.rhai"), "fn on_registration(").unwrap();
    let wanted =
        ["hookgate_action_attempts_total{", "hookgate_reloads_total{result=\"refused\"}", "hookgate_decisions_total{"];
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut all = Exported::new();
    loop {
        let page = served.admin("/metrics").unwrap();
        if wanted.iter().all(|part| page.contains(part)) {
            exported(page.split_once("\r\n\r\n").unwrap().1, &mut all);
            break;
        }
        assert!(Instant::now() < deadline, "{page}");
        std::thread::sleep(Duration::from_millis(20));
    }
    let rare = Metrics::new();
    rare.missed("events");
    rare.set_failed_tests(&[("hook.rhai".to_owned(), 1)]);
    rare.set_certificate_expiry(0);
    rare.set_keys_ages(vec![("issuer".to_owned(), Duration::from_secs(1))]);
    rare.set_quotas(vec![("org".to_owned(), 0.5)]);
    rare.spans.inc("sent");
    exported(&rare.encode(), &mut all);
    all
}

#[test]
fn dashboard_and_alerts_name_what_is_exported() {
    let all = everything();
    let used = Regex::new(r"(hookgate_\w+)(\{[^}]*\})?").unwrap();
    let matched = Regex::new(r"(\w+)\s*(?:=~|!~|!=|=)").unwrap();
    let grouped = Regex::new(r"(?:by|on) \(([^)]*)\)").unwrap();
    let mut wrong = Vec::new();
    let mut names = BTreeSet::new();
    for file in [ALERTS, DASHBOARD] {
        let expressions = expressions(file);
        assert!(expressions.len() >= 10, "{file}: {expressions:?}");
        for expression in expressions {
            let mut known: BTreeSet<String> = GIVEN.iter().map(|label| (*label).to_owned()).collect();
            for found in used.captures_iter(&expression) {
                let name = &found[1];
                names.insert(name.to_owned());
                let Some(labels) = all.get(name) else {
                    wrong.push(format!("{file}: nothing exports `{name}`"));
                    continue;
                };
                let written = found.get(2).map_or("", |part| part.as_str());
                for label in matched.captures_iter(written).map(|found| found[1].to_owned()) {
                    if !labels.contains(&label) && !GIVEN.contains(&label.as_str()) {
                        wrong.push(format!("{file}: `{name}` has no label `{label}`"));
                    }
                }
                known.extend(labels.iter().cloned());
            }
            for group in grouped.captures_iter(&expression) {
                let unknown = group[1].split(',').map(str::trim).filter(|label| !known.contains(*label));
                wrong.extend(unknown.map(|label| format!("{file}: no label `{label}` in {expression}")));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\nexported: {all:#?}", wrong.join("\n"));
    // What nobody looks at is of no use.
    let families: BTreeSet<&str> = all.keys().map(|name| family(name)).collect();
    let seen: BTreeSet<&str> = names.iter().map(|name| family(name)).collect();
    let unseen: Vec<_> = families.difference(&seen).collect();
    assert!(unseen.is_empty(), "on no panel and in no alert: {unseen:?}");
}

fn family(name: &str) -> &str {
    ["_bucket", "_sum", "_count", "_total", "_info"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

#[test]
fn systemd_takes_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let units = ["hookgate.service", "hookgate.socket", "hookgate-admin.socket"];
    for name in units {
        // Only where the program lies is not as on a real machine.
        let unit = text(&format!("deploy/systemd/{name}"));
        let unit = unit
            .replace("ExecStart=/usr/local/bin/hookgate ", concat!("ExecStart=", env!("CARGO_BIN_EXE_hookgate"), " "));
        fs::write(folder.path().join(name), unit).unwrap();
    }
    let run = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(units).current_dir(&folder).output();
    let Ok(output) = run else { return skipped("there is no systemd on this machine") };
    let told = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<&str> = told.lines().filter(|line| line.contains("hookgate")).collect();
    assert!(output.status.success() && ours.is_empty(), "{told}");
    let names = units.map(|name| {
        let unit = text(&format!("deploy/systemd/{name}"));
        unit.lines().find_map(|line| line.strip_prefix("FileDescriptorName=").map(str::to_owned))
    });
    assert_eq!(names, [None, Some("public".to_owned()), Some("admin".to_owned())]);
}

#[test]
fn every_alert_says_what_to_do() {
    let text = text(ALERTS);
    let alerts = text.split("- alert: ").skip(1).collect::<Vec<_>>();
    assert!(alerts.len() >= 10, "{}", alerts.len());
    for alert in alerts {
        for part in ["severity: ", "summary: \"", "description: \""] {
            assert!(alert.contains(part), "{part} is missing in {alert}");
        }
    }
}

#[test]
fn every_alert_goes_off_and_a_healthy_gateway_sets_off_none() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus");
    let run = |args: &[&str]| Command::new("promtool").args(args).current_dir(&folder).output();
    let Ok(checked) = run(&["check", "rules", "alerts.yml"]) else {
        return skipped("there is no promtool on this machine; it is in Debian's package `prometheus`");
    };
    for output in [checked, run(&["test", "rules", "alerts_test.yml"]).unwrap()] {
        let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{told}");
    }
    let tested = fs::read_to_string(folder.join("alerts_test.yml")).unwrap();
    for alert in text(ALERTS).lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let cases = tested.matches(&format!("alertname: {alert}\n")).count();
        assert_eq!(cases, 2, "{alert} is tried where it goes off and where it does not");
    }
}
