//! Calls through the scripts of the repository: `tests/cases/HOOK/TOPIC.json` says what each must answer.
//!
//! A file names a script and a call (a sample of the hook, as `hookgate simulate` has them), and lists rows. A row is
//! that call with `set` merged over it, run with `params` (over those of the file) and `tables` (texts of files).
//! `UPDATE=1 cargo test` writes what came out as `expect`; read the difference before you keep it. Of an event that is what
//! its rule logs and asks for, of any other call the reply and what Okta does then.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hookgate_engine::release::{EventRules, Plan};
use hookgate_hooks::{Hook, Mark, Reply};
use hookgate_script::context::{Mocked, World};
use hookgate_script::run::Call;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::harness::{SECRET, TestGateway, json, without_debug};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    about: String,
    script: String,
    #[serde(default)]
    on_failure: Value,
    sample: String,
    #[serde(default)]
    params: Map<String, Value>,
    #[serde(default)]
    tables: BTreeMap<String, String>,
    rows: Vec<Row>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    set: Value,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    params: Map<String, Value>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tables: BTreeMap<String, String>,
    #[serde(default)]
    expect: Value,
}

#[tokio::test]
async fn the_scripts_answer_as_their_cases_say() {
    let update = std::env::var_os("UPDATE").is_some_and(|value| value == "1");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for path in files() {
        let text = fs::read_to_string(&path).expect("cases can be read");
        let mut cases: Cases =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let folder = path.parent().and_then(Path::file_name).expect("cases are in a folder").to_string_lossy();
        let hook =
            hookgate_hooks::find(&folder).unwrap_or_else(|| panic!("{}: no hook is called `{folder}`", path.display()));
        for index in 0..cases.rows.len() {
            let got = outcome(hook, &cases, &cases.rows[index]).await;
            let row = &mut cases.rows[index];
            if row.expect != got {
                wrong.push(format!("{}, {}:\n  expected {}\n  got      {got}", path.display(), row.name, row.expect));
            }
            row.expect = got;
            seen += 1;
        }
        if update {
            fs::write(&path, written(&text, &cases.rows)).expect("cases can be written");
        }
    }
    assert!(seen > 0, "there are no cases");
    assert!(update || wrong.is_empty(), "{}\n\nIf this is meant: UPDATE=1 cargo test", wrong.join("\n"));
}

fn files() -> Vec<PathBuf> {
    let below = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).expect("a folder of cases can be read");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    };
    let folders = below(&Path::new(ROOT).join("tests/cases"));
    let mut files: Vec<PathBuf> =
        folders.iter().filter(|path| path.is_dir()).flat_map(|folder| below(folder)).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files
}

/// What one row gives, without what differs from call to call.
async fn outcome(hook: &Hook, cases: &Cases, row: &Row) -> Value {
    let sample = hook.samples.iter().find(|sample| sample.name == cases.sample);
    let sample = sample.unwrap_or_else(|| panic!("{} has no sample `{}` ({})", hook.name, cases.sample, cases.about));
    let mut call: Value = serde_json::from_str(sample.request).expect("samples are JSON");
    // An event is the inner part of its delivery.
    let target = if hook.is_for_events() { call.pointer_mut("/data/events/0") } else { Some(&mut call) };
    merge(target.expect("a delivery has an event"), &row.set);
    let gateway = gateway(hook, cases, row);
    if hook.is_for_events() {
        return ruled(&gateway, hook, &call.to_string().into());
    }
    let headers = [("authorization", SECRET)];
    let response = gateway.respond(Method::POST, "/hook", &headers, call.to_string()).await;
    let reply = Reply { body: response.body().clone(), ..Reply::empty(response.status().as_u16()) };
    json!({"status": reply.status, "effect": (hook.effect)(&reply), "reply": without_debug(json(&reply.body))})
}

/// What the rule logs of the delivery's event, and what it asks for. Run without the gateway, which refuses events while it
/// cannot keep them.
fn ruled(gateway: &TestGateway, hook: &Hook, delivery: &Bytes) -> Value {
    let release = gateway.live.current().expect("a release is live");
    let route = &release.routes[0];
    let Plan::Events(EventRules { rules, .. }) = &route.plan else { panic!("an event route has rules") };
    let rule = &rules[0];
    let event = hook.requests(delivery, usize::MAX).expect("the delivery is one").remove(0);
    let run = rule.script.run(&Call {
        request: event.request.clone(),
        surroundings: rule.surroundings.clone(),
        world: World::Mocked(Arc::new(Mocked::at(jiff::Timestamp::now(), 10_000))),
        deadline: Instant::now() + Duration::from_secs(10),
    });
    let returned = run.result.unwrap_or_else(|error| panic!("the rule failed: {error:?}"));
    let mark = Mark::new("d", "r", "s");
    let mut encoded = (hook.encode)(&event, returned, &mark).expect("the rule returns commands of its hook");
    release.check(&mut encoded).expect("the rule asks for what can be done");
    let lines: Vec<Value> = run.logs.iter().map(|line| json!({"text": line.text, "fields": line.fields})).collect();
    json!({ "logs": lines, "actions": encoded.actions })
}

/// The repository's scripts and tables behind one route.
fn gateway(hook: &Hook, cases: &Cases, row: &Row) -> TestGateway {
    let own = fs::read_to_string(Path::new(ROOT).join("gateway.toml")).expect("the configuration can be read");
    let own: toml::Table = toml::from_str(&own).expect("the configuration is TOML");
    let mut tables = own["tables"].clone();
    let given: BTreeMap<&String, &String> = cases.tables.iter().chain(&row.tables).collect();
    for name in given.keys() {
        tables[name.as_str()]["min_rows"] = 1.into();
    }
    let mut params = cases.params.clone();
    params.extend(row.params.clone());
    let mut route = json!({"path": "/hook", "hook": hook.name, "auth": "test"});
    if hook.is_for_events() {
        route["rules"] = json!({"rule": {"events": ["*"], "script": cases.script, "params": params}});
    } else {
        merge(&mut route, &json!({"script": cases.script, "on_failure": cases.on_failure, "params": params}));
    }
    let config = toml::Table::from_iter([
        ("tables".to_owned(), tables.clone()),
        ("connectors".to_owned(), own["connectors"].clone()),
        ("auth".to_owned(), toml(&json!({"test": {"scheme": "header", "secrets": [{"file": "secret"}]}}))),
        ("routes".to_owned(), toml(&json!({ "hook": route }))),
    ]);
    let mut files = files_of_bundle();
    for (name, text) in given {
        let file = tables[name.as_str()]["file"].as_str().expect("a table has a file");
        files.push((file.to_owned(), text.clone()));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    TestGateway::bundle(&toml::to_string(&config).expect("the configuration can be written"), &files)
}

/// Path and text of every script and table of the repository. Without the scripts' own tests, which ask for the parameters
/// of the repository's routes.
pub fn files_of_bundle() -> Vec<(String, String)> {
    let mut scripts = texts_below("scripts", ".rhai");
    scripts.retain(|(path, _)| !path.ends_with("_test.rhai"));
    [scripts, texts_below("tables", "")].concat()
}

fn toml(value: &Value) -> toml::Value {
    toml::Value::try_from(value).expect("parameters fit into TOML")
}

fn texts_below(folder: &str, ending: &str) -> Vec<(String, String)> {
    let entries = fs::read_dir(Path::new(ROOT).join(folder)).expect("the folder can be read");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names
        .map(|name| format!("{folder}/{name}"))
        .flat_map(|path| match Path::new(ROOT).join(&path) {
            file if file.is_dir() => texts_below(&path, ending),
            file if path.ends_with(ending) => vec![(path, fs::read_to_string(file).expect("the file can be read"))],
            _ => Vec::new(),
        })
        .collect()
}

/// Objects are merged, everything else is replaced; `null` is a value like others. `{"remove": [names]}` in an object
/// takes members away.
fn merge(target: &mut Value, change: &Value) {
    match (target, change) {
        (_, Value::Null) => {}
        (Value::Object(target), Value::Object(change)) => {
            for (name, value) in change {
                match (name.as_str(), value, target.get_mut(name)) {
                    ("remove", Value::Array(names), None) => {
                        for name in names.iter().filter_map(Value::as_str) {
                            target.shift_remove(name);
                        }
                    }
                    (_, Value::Object(_), Some(there)) if there.is_object() => merge(there, value),
                    _ => drop(target.insert(name.clone(), value.clone())),
                }
            }
        }
        (target, change) => *target = change.clone(),
    }
}

/// The file as it was, with these rows: a member per line, so that differences can be read.
fn written(before: &str, rows: &[Row]) -> String {
    let mut head: Value = serde_json::from_str(before).expect("it was read before");
    head.as_object_mut().expect("an object").shift_remove("rows");
    let rows = rows.iter().map(|row| {
        let mut row = serde_json::to_value(row).expect("rows are JSON");
        let expect = row["expect"].take();
        row.as_object_mut().expect("an object").shift_remove("expect");
        format!(
            "    {{\n{},\n      \"expect\": {{\n{}\n      }}\n    }}",
            lines(&row, "      "),
            lines(&expect, "        ")
        )
    });
    format!("{{\n{},\n  \"rows\": [\n{}\n  ]\n}}\n", lines(&head, "  "), rows.collect::<Vec<_>>().join(",\n"))
}

fn lines(value: &Value, indent: &str) -> String {
    let members = value.as_object().expect("an object").iter();
    let members = members.map(|(name, value)| format!("{indent}{}: {value}", Value::from(name.as_str())));
    members.collect::<Vec<_>>().join(",\n")
}
