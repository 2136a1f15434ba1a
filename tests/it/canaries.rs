//! Secrets are pushed through everything at the most verbose level, and are found nowhere: not in logs, in the store, in
//! metrics, in the API, on pages, in what the command line prints.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use hookgate_hooks::{HOOKS, Hook};
use serde_json::{Value, json};

use crate::harness::{SECRET, auths, route_of};
use crate::process::{Ran, Served, hookgate, request, sample};

mod verified;
mod walk;

/// What is looked for. Each is pushed where such things come.
const CANARIES: &[&str] = &[
    "CANARY-password",
    "CANARY-otp-482913",
    "CANARY-authorization",
    "CANARY-cookie",
    "CANARY-connector",
    "CANARY-custom",
    "CANARY-query",
    "CANARY-operator-token",
    "CANARY-reader-token",
    "dGVzdDp0ZXN0",
];

/// How the scripts of a hook end.
const ENDS: &[(&str, &str)] = &[
    ("default", "reason(\"nothing_special\"); log(\"ran\", #{ request: request.raw }); print(request.raw)"),
    ("error", "let x = request.raw; x.no_such_thing.at_all"),
    ("timeout", "let x = request.raw; loop { }"),
    ("act", "post(\"dead\", \"/x\", #{ a: 1 })"),
    ("ask", "http(\"dead\").get(\"/x\").status"),
];

fn script(hook: &str, entry: &str, body: &str) -> String {
    let more = match hook {
        "okta.password_import" => "let secret = request.password; log(`secret: ${secret}`);",
        "okta.telephony" => {
            "let secret = request.otp; let message = request.message; log(`secret: ${secret} ${message}`);"
        }
        _ => "",
    };
    format!("fn {entry}(request) {{ {more} {body} }}")
}

/// The route, and below `/` the path, of a hook whose script ends so.
fn route_name(hook: &Hook, end: &str) -> String {
    format!("{}-{end}", hook.name.replace('.', "-"))
}

fn config(port: u16) -> String {
    let mut config = format!(
        "[connectors.dead]\nkind = \"http\"\n\
         base_url = \"http://127.0.0.1:{port}\"\nallow_private = true\ntimeout_ms = 200\nauth = {{ bearer = {{ file = \"secrets/dead\" }} }}\n\
         retry = {{ attempts = 1 }}\n"
    );
    config += &auths(HOOKS.iter());
    for hook in HOOKS.iter().filter(|hook| !hook.is_for_events()) {
        for (end, _) in ENDS {
            config += &route_of(hook, &route_name(hook, end), &format!("{}/{end}.rhai", hook.name));
            config += "capture = true\nlimits = { deadline_ms = 300 }\n";
        }
    }
    config
        + "\n[routes.events]\npath = \"/events\"\nhook = \"okta.event\"\nauth = \"test\"\n\
           [routes.events.rules.letter]\nevents = [\"*\"]\nscript = \"event.rhai\"\nretry = { attempts = 1 }\n"
}

/// A sample with secrets where a call has them, and where a careless operator puts them.
fn poisoned(hook: &str, id: &str) -> String {
    let mut call: Value = serde_json::from_str(sample(hook)).expect("samples are JSON");
    call["eventId"] = json!(id);
    let data = &mut call["data"];
    data["apiToken"] = json!("CANARY-custom");
    for (path, canary) in [
        ("/context/credential/password", "CANARY-password"),
        ("/messageProfile/otpCode", "CANARY-otp-482913"),
        ("/messageProfile/msgTemplate", "Your code is CANARY-otp-482913"),
    ] {
        if let Some(place) = data.pointer_mut(path) {
            *place = json!(canary);
        }
    }
    for path in ["/userProfile", "/context/user/profile", "/appUser/profile", "/user/profile"] {
        if let Some(Value::Object(profile)) = data.pointer_mut(path) {
            profile.insert("vault_password".to_owned(), json!("CANARY-custom"));
            profile.insert("apiToken".to_owned(), json!("CANARY-custom"));
        }
    }
    call.to_string()
}

fn post(served: &Served, path: &str, authorization: &str, body: &str) -> String {
    let lines = [&format!("authorization: {authorization}"), "cookie: sid=CANARY-cookie"];
    served.exchange(&request("POST", &format!("{path}?token=CANARY-query"), &lines, body))
}

/// Where a canary sits in bytes, with what stands around it.
fn found(name: &str, bytes: &[u8]) -> Vec<String> {
    let mut shown = Vec::new();
    for canary in CANARIES {
        let needle = canary.as_bytes();
        for place in
            bytes.windows(needle.len()).enumerate().filter(|(_, window)| *window == needle).map(|(at, _)| at).take(3)
        {
            let around = &bytes[place.saturating_sub(120)..bytes.len().min(place + 60)];
            shown.push(format!("{name}: {canary}: {}", String::from_utf8_lossy(around)));
        }
    }
    shown
}

fn files(folder: &Path, shown: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, shown);
        } else if let Ok(bytes) = fs::read(&path) {
            shown.extend(found(&path.display().to_string(), &bytes));
        }
    }
}

/// The answers of every GET of the API and every page, found from the API's own description and the links on pages.
fn everything(served: &Served) -> Vec<(String, String)> {
    let mut seen: Vec<(String, String)> = Vec::new();
    let get = |path: &str| served.admin(path).unwrap_or_default();
    let described = get("/api/v1/openapi.json");
    let described: Value = described
        .split_once("\r\n\r\n")
        .and_then(|(_, body)| serde_json::from_str(body).ok())
        .expect("the API describes itself");
    let paths = described["paths"].as_object().expect("paths");
    let mut wanted: Vec<String> = paths
        .iter()
        .filter(|(path, item)| item.get("get").is_some() && !path.contains('{') && !path.ends_with("/live"))
        .map(|(path, _)| path.clone())
        .collect();
    assert!(wanted.len() > 8, "{wanted:?}");
    wanted.extend(
        ["/", "/events", "/dead-letters", "/releases", "/changes", "/health", "/routes", "/tables", "/metrics"]
            .map(str::to_owned),
    );
    // What lists lead to.
    for list in ["/api/v1/decisions?limit=200", "/api/v1/events?limit=200"] {
        let answer = get(list);
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{list}: {error}: {answer}"));
        let (key, pages) = if list.contains("decisions") { ("decisions", "/decisions") } else { ("events", "/events") };
        for item in body[key].as_array().unwrap_or_else(|| panic!("{list}: {body}")) {
            let id = item["id"].as_str().map_or_else(|| item["id"].to_string(), str::to_owned);
            wanted.push(format!("/api/v1/{key}/{id}"));
            wanted.push(format!("{pages}/{id}"));
        }
        wanted.push(list.to_owned());
    }
    for path in wanted {
        let answer = get(&path);
        let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
        assert!(status == "200", "{path}: {}", &answer[..answer.floor_char_boundary(600)]);
        seen.push((path, answer));
    }
    seen
}

#[test]
fn no_secret_is_found_anywhere() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    // Nobody listens there any more.
    drop(silent);
    let event = "fn on_event(event) { log(\"ran\"); [forward(\"dead\"), post(\"dead\", \"/x\", #{ a: 1 })] }";
    let mut given = vec![
        ("scripts/event.rhai".to_owned(), event.to_owned()),
        ("secrets/dead".to_owned(), "CANARY-connector".to_owned()),
    ];
    for hook in HOOKS.iter().filter(|hook| !hook.is_for_events()) {
        for (end, body) in ENDS {
            given.push((format!("scripts/{}/{end}.rhai", hook.name), script(hook.name, hook.entry, body)));
        }
    }
    let given: Vec<(&str, &str)> = given.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let served = Served::start(&config(port), &given);
    for hook in HOOKS.iter().filter(|hook| !hook.is_for_events()) {
        for (end, _) in ENDS {
            let path = format!("/{}", route_name(hook, end));
            let answer = post(&served, &path, SECRET, &poisoned(hook.name, &format!("{}-{end}", hook.name)));
            assert!(answer.starts_with("HTTP/1.1 20"), "{path}: {answer}");
        }
        post(
            &served,
            &format!("/{}", route_name(hook, "default")),
            "CANARY-authorization",
            &poisoned(hook.name, "refused"),
        );
        post(&served, &format!("/{}", route_name(hook, "default")), SECRET, "{\"CANARY-custom\": \"CANARY-password");
    }
    let mut event: Value = serde_json::from_str(sample("okta.event")).expect("a sample");
    event["data"]["events"][0]["debugContext"]["debugData"]["x"] = json!("plain");
    post(&served, "/events", SECRET, &event.to_string());
    // A release that is refused, with an excerpt of its script.
    fs::write(served.folder().join("scripts/event.rhai"), "fn on_event(event) { event.nothing.like_it( }")
        .expect("written");
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let letters = served.admin("/api/v1/dead-letters").unwrap_or_default();
        let status = served.admin("/api/v1/status").unwrap_or_default();
        if letters.contains("\"id\"") && status.contains("refused") {
            break;
        }
        assert!(Instant::now() < deadline, "no dead letter, or no refused release:\n{letters}\n{status}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut shown = Vec::new();
    for (path, answer) in everything(&served) {
        shown.extend(found(&path, answer.as_bytes()));
    }
    let folder = served.folder().to_owned();
    for arguments in [
        vec!["explain", "--user", "ann@mail.example"],
        vec!["explain", "--event-id", "okta.telephony-default", "--json"],
        vec!["events", "list", "--json"],
    ] {
        let ran = Ran::of(hookgate(&folder, &arguments).output().expect("it runs"));
        shown.extend(found(&arguments.join(" "), format!("{}{}", ran.out, ran.err).as_bytes()));
    }
    files(&folder.join("data"), &mut shown);
    let log = served.stop();
    assert!(log.contains("call answered") && log.contains("script log"), "{log}");
    shown.extend(found("log", log.as_bytes()));
    assert!(shown.is_empty(), "{shown:#?}");
}

#[test]
fn a_panic_shows_no_secret() {
    let script = "fn on_password_import(request) { verified() }";
    let config = "[auth.test]\nscheme = \"header\"\nsecrets = [{ file = \"secret\" }]\n[routes.hook]\npath = \"/hook\"\n\
        hook = \"okta.password_import\"\nscript = \"hook.rhai\"\nauth = \"test\"\non_failure = \"unverified\"\ncapture = true\n";
    let served = Served::start_with(
        config,
        &[("scripts/hook.rhai", script)],
        &[("HOOKGATE_FAILPOINT", "gateway.decoded"), ("RUST_BACKTRACE", "full")],
    );
    let answer = post(&served, "/hook", SECRET, &poisoned("okta.password_import", "panics"));
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    let mut shown = found("answer", answer.as_bytes());
    files(&served.folder().join("data"), &mut shown);
    let log = served.stop();
    assert!(log.contains("a panic ended one piece of work"), "the panic is told: {log}");
    shown.extend(found("log", log.as_bytes()));
    assert!(shown.is_empty(), "{shown:#?}");
}
