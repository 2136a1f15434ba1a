//! Every page, every answer of the API, as a reader and as an operator, with what callers sent behind all of them (#13).
//!
//! What a caller sent is found nowhere by a reader, and by an operator where it belongs: a walk that looks at nothing would
//! fail, too. Secrets are found by nobody. What is visited comes from the router's own tables: a page that is added and that
//! this walk does not know how to visit fails it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hookgate::admin::{api, viewer};
use hookgate_hooks::{HOOKS, Hook};
use serde_json::{Value, json};

use super::{CANARIES, files, found, poisoned, post};
use crate::harness::{SECRET, auths, route_of};
use crate::process::{Served, exchange, request, sample};

/// Stands for what a caller sent that is no secret: an attribute of a profile, a text of an event.
const BODY: &str = "CANARYbody";

/// Paths of the admin listener that are in no table: numbers and probes, the document, signing in and out.
const OTHERS: &[&str] = &["/metrics", "/livez", "/readyz", "/api/v1/openapi.json", "/login", "/logout"];

/// Where an operator finds what a caller sent. `status` and the list of releases quote it while a release is refused.
const OPERATORS_FIND: &[&str] = &[
    "/api/v1/decisions/{id}",
    "/api/v1/events/{id}",
    "/api/v1/jobs/{id}",
    "/api/v1/dead-letters",
    "/api/v1/releases",
    "/api/v1/releases/{hash}",
    "/api/v1/releases/{hash}/diff",
    "/api/v1/status",
    "/api/v1/live",
    "/decisions/{id}",
    "/events/{id}",
    "/releases",
    "/releases/{hash}",
    "/releases/{hash}/rollback",
];

const TEST: &str = r#"const CALL = "CANARYbody";
fn test_a_call_is_let_through() { assert_eq(run().commands, ["allow"]); }
"#;

/// The route of a hook and the stem of its script. Texts of this walk name those of Okta's without their provider.
fn route_name(hook: &Hook) -> String {
    hook.name.replace("okta.", "").replace('.', "-")
}

fn config(echo: u16) -> String {
    let mut config = format!(
        r#"token = {{ file = "secrets/operator" }}
read_token = {{ file = "secrets/reader" }}
[connectors.echo]
kind = "http"
base_url = "http://127.0.0.1:{echo}"
allow_private = true
timeout_ms = 2000
auth = {{ bearer = {{ file = "secrets/dead" }} }}
retry = {{ attempts = 1 }}
[tables.people]
file = "people.txt"
kind = "lines"
max_shrink_percent = 100
[routes.events]
path = "/events"
hook = "okta.event"
auth = "test"
[routes.events.rules.letter]
events = ["*"]
script = "event.rhai"
retry = {{ attempts = 1 }}
"#
    );
    config += &auths(HOOKS.iter());
    let ends = ["throws", "asks", "acts", "absent"].map(|end| (end.to_owned(), "okta.registration", end.to_owned()));
    let hooks = HOOKS.iter().filter(|hook| !hook.is_for_events());
    let plain = hooks.map(|hook| (route_name(hook), hook.name, route_name(hook)));
    for (name, hook, script) in plain.chain(ends) {
        let hook = hookgate_hooks::find(hook).unwrap();
        config += &route_of(hook, &name, &format!("{script}.rhai"));
        config += "capture = true\n";
    }
    config
}

fn bundle() -> Vec<(String, String)> {
    let event = r#"fn on_event(event) {
        if event.raw.displayMessage.starts_with("throws ") { throw event.raw.displayMessage }
        post("echo", "/x", #{ said: event.raw.displayMessage })
    }"#;
    let mut files = vec![
        ("scripts/event.rhai".to_owned(), event.to_owned()),
        ("scripts/registration_test.rhai".to_owned(), TEST.to_owned()),
        ("scripts/calls/one.json".to_owned(), json!({ "nickName": BODY }).to_string()),
        ("people.txt".to_owned(), format!("{BODY}\n")),
        ("secrets/dead".to_owned(), "CANARY-connector".to_owned()),
        ("secrets/operator".to_owned(), "CANARY-operator-token".to_owned()),
        ("secrets/reader".to_owned(), "CANARY-reader-token".to_owned()),
    ];
    let nick = "request.profile.nickName";
    for (end, body) in [
        ("throws", format!("throw {nick}")),
        ("asks", format!("if http(\"echo\").get(`/${{{nick}}}`).json.team == 7 {{ return deny(\"no\") }} allow()")),
        ("acts", format!("[allow(), post(\"echo\", \"/x\", #{{ nick: {nick} }})]")),
        ("absent", format!("let known = #{{ }}; known[{nick}].x.y")),
    ] {
        files.push((format!("scripts/{end}.rhai"), format!("fn on_registration(request) {{ {body} }}\n")));
    }
    for hook in HOOKS.iter().filter(|hook| !hook.is_for_events()) {
        let body = if hook.name == "okta.registration" { "allow()" } else { "" };
        let name = route_name(hook);
        files.push((format!("scripts/{name}.rhai"), format!("fn {}(request) {{ {body} }}\n", hook.entry)));
    }
    files
}

/// A call with secrets, and with a text in its profile that is none.
fn call(hook: &str, id: &str) -> String {
    let mut call: Value = serde_json::from_str(&poisoned(hook, id)).unwrap();
    for path in ["/userProfile", "/context/user/profile", "/appUser/profile", "/user/profile"] {
        if let Some(Value::Object(profile)) = call["data"].pointer_mut(path) {
            profile.insert("nickName".to_owned(), json!(BODY));
        }
    }
    call.to_string()
}

fn events() -> String {
    let mut delivery: Value = serde_json::from_str(sample("okta.event")).unwrap();
    let event = delivery["data"]["events"][0].clone();
    let event = |id: &str, said: &str| {
        let mut event = event.clone();
        (event["uuid"], event["displayMessage"]) = (json!(id), json!(said));
        event
    };
    delivery["data"]["events"] = json!([event("acts", BODY), event("throws", &format!("throws {BODY}"))]);
    delivery.to_string()
}

/// A server that refuses whatever it is asked, and says so in the words of the request.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut buffer = [0_u8; 16 * 1024];
            let mut request = String::new();
            while !whole(&request) {
                match stream.read(&mut buffer) {
                    Ok(read @ 1..) => request.push_str(&String::from_utf8_lossy(&buffer[..read])),
                    _ => break,
                }
            }
            let answer = format!("no {}", request.replace("CANARY-connector", ""));
            let head = format!("HTTP/1.1 422 No\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", answer.len());
            let _ = stream.write_all(format!("{head}{answer}").as_bytes());
        }
    });
    port
}

fn whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.to_ascii_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

/// Somebody who asks the admin listener.
#[derive(Clone)]
struct Who {
    name: &'static str,
    header: String,
}

struct Answer {
    status: u16,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        let body = self.text.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

fn send(port: u16, who: &Who, method: &str, path: &str, body: &str) -> Answer {
    let text = exchange(port, &request(method, path, &[&who.header, "sec-fetch-site: same-origin"], body));
    let text = text.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer { status: status.unwrap_or_else(|| panic!("{method} {path}: {text}")), text }
}

fn token(name: &'static str, token: &str) -> Who {
    Who { name, header: format!("authorization: Bearer {token}") }
}

/// The same person with a browser.
fn session(port: u16, name: &'static str, token: &str) -> Who {
    let nobody = Who { name: "nobody", header: "accept: */*".to_owned() };
    let answer = send(port, &nobody, "POST", "/api/v1/session", &json!({ "token": token }).to_string());
    assert_eq!(answer.status, 201, "{}", answer.text);
    let cookie = answer.text.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
    Who { name, header: format!("cookie: {}", cookie.split(';').next().unwrap()) }
}

/// Reads the live stream of somebody until the gateway stops.
fn watch(port: u16, who: &Who) -> Arc<Mutex<Vec<u8>>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head = format!("GET /api/v1/live HTTP/1.1\r\nhost: localhost\r\n{}\r\n\r\n", who.header);
    stream.write_all(head.as_bytes()).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (kept, mut buffer) = (seen.clone(), [0_u8; 4096]);
    let read = stream.read(&mut buffer).unwrap();
    kept.lock().unwrap().extend_from_slice(&buffer[..read]);
    std::thread::spawn(move || {
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            kept.lock().unwrap().extend_from_slice(&buffer[..read]);
        }
    });
    seen
}

/// Every path with the methods that it answers, its parameters in braces.
fn everything() -> BTreeSet<(String, String)> {
    let document = serde_json::to_value(api::document()).unwrap();
    let mut all = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let methods = item.as_object().unwrap().keys().map(|method| method.to_uppercase());
        all.extend(methods.filter(|method| method != "PARAMETERS").map(|method| (method, path.clone())));
    }
    for path in viewer::paths().into_iter().chain(OTHERS.iter().copied()) {
        // A page may answer a form, too: what is asked with the wrong method says so.
        all.extend(["GET", "POST"].map(|method| (method.to_owned(), path.to_owned())));
    }
    all
}

/// What the parameters of paths stand for, from what an operator sees in lists.
struct Known {
    decisions: Vec<String>,
    events: Vec<String>,
    jobs: Vec<String>,
    releases: Vec<String>,
    routes: Vec<String>,
    tables: Vec<String>,
}

impl Known {
    fn of(port: u16, operator: &Who) -> Self {
        let list = |path: &str, list: &str, member: &str| -> Vec<String> {
            let answer = send(port, operator, "GET", path, "").json();
            let rows = answer[list].as_array().unwrap_or_else(|| panic!("{path}: {answer}"));
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let found: Vec<String> = rows.iter().map(|row| text(&row[member])).collect();
            assert!(!found.is_empty(), "{path} lists nothing");
            found
        };
        let events = list("/api/v1/events?limit=200", "events", "id");
        let mut jobs = Vec::new();
        for event in &events {
            let event = send(port, operator, "GET", &format!("/api/v1/events/{event}"), "").json();
            jobs.extend(event["work"].as_array().unwrap().iter().map(|job| job["id"].to_string()));
        }
        let mut releases = list("/api/v1/releases", "releases", "hash");
        releases.extend(["running", "on_disk"].map(str::to_owned));
        Self {
            decisions: list("/api/v1/decisions?limit=200", "decisions", "id"),
            events,
            jobs,
            releases,
            routes: list("/api/v1/routes", "routes", "name"),
            tables: list("/api/v1/tables", "tables", "name"),
        }
    }

    /// Of what a release has no part in, one of each.
    fn few(mut self) -> Self {
        for ids in [&mut self.decisions, &mut self.events, &mut self.jobs, &mut self.routes] {
            ids.truncate(1);
        }
        self
    }

    /// Addresses of a path, one for each thing that it can be about.
    fn addresses(&self, path: &str) -> Vec<String> {
        let fill = |name: &str, values: &[String]| -> Vec<String> {
            values.iter().map(|value| path.replace(name, value)).collect()
        };
        match path {
            "/api/v1/decisions" => {
                with_queries(path, &["limit=1", "outcome=failed", "user=ann@mail.example", "since=1h"])
            }
            "/" => with_queries(path, &["outcome=failed", "find=ann@mail.example", "since=nonsense"]),
            "/api/v1/events" => with_queries(path, &["limit=1", "state=dead", "type=user.*"]),
            "/events" => with_queries(path, &["state=dead", "since=nonsense"]),
            // Without a choice they do nothing.
            "/dead-letters/replay" | "/dead-letters/purge" => vec![format!("{path}?all=1")],
            "/api/v1/changes" => with_queries(path, &["limit=1", "what=release%20refused"]),
            "/api/v1/releases/{hash}/diff" => {
                let pairs = self.releases.iter().flat_map(|from| self.releases.iter().map(move |to| (from, to)));
                pairs.map(|(from, to)| format!("/api/v1/releases/{from}/diff?against={to}")).collect()
            }
            "/api/v1/decisions/{id}" | "/decisions/{id}" | "/decisions/{id}/run" | "/decisions/{id}/case" => {
                fill("{id}", &self.decisions)
            }
            "/api/v1/events/{id}" | "/events/{id}" => fill("{id}", &self.events),
            "/api/v1/jobs/{id}" => fill("{id}", &self.jobs),
            "/api/v1/releases/{hash}"
            | "/releases/{hash}"
            | "/api/v1/releases/{hash}/rollback"
            | "/releases/{hash}/rollback" => fill("{hash}", &self.releases),
            "/api/v1/routes/{name}" => fill("{name}", &self.routes),
            "/api/v1/tables/{name}" => fill("{name}", &self.tables),
            _ => {
                assert!(
                    !path.contains('{'),
                    "the walk does not know what to ask {path} for: tell it in `Known::addresses`"
                );
                vec![path.to_owned()]
            }
        }
    }
}

fn with_queries(path: &str, queries: &[&str]) -> Vec<String> {
    std::iter::once(path.to_owned()).chain(queries.iter().map(|query| format!("{path}?{query}"))).collect()
}

/// What a walk found.
#[derive(Default)]
struct Walked {
    asked: usize,
    /// Paths where what a caller sent was seen.
    bodies: BTreeSet<String>,
    /// What nobody may see, and what this one may not.
    wrong: Vec<String>,
}

/// Asks for everything as somebody. Only a reader sends what changes something: all of it must be refused.
fn walk(port: u16, who: &Who, known: &Known, reads_only: bool) -> Walked {
    let mut walked = Walked::default();
    for (method, path) in everything() {
        // It has no end, and is watched all the time.
        let own_session = method != "GET" && ["/api/v1/session", "/login", "/logout"].contains(&path.as_str());
        if path == "/api/v1/live" || own_session || (method != "GET" && !reads_only) {
            continue;
        }
        for address in known.addresses(&path) {
            let answer = send(port, who, &method, &address, if method == "GET" { "" } else { "{}" });
            walked.asked += 1;
            let head = &answer.text[..answer.text.floor_char_boundary(400)];
            if method == "GET" {
                let asks = path.contains("/replay") || path.contains("/purge") || path.ends_with("/rollback");
                // A page that only answers a form, or that asks an operator; what was refused cannot always be read.
                let expected = [200, 404, 405, 409].contains(&answer.status) || (asks && answer.status == 403);
                assert!(expected, "{} {address}: {head}", who.name);
                assert!(!asks || !reads_only || [403, 405].contains(&answer.status), "{} {address}: {head}", who.name);
            } else {
                assert!([403, 405].contains(&answer.status), "{} {method} {address}: {head}", who.name);
            }
            if answer.text.contains(BODY) {
                walked.bodies.insert(path.clone());
                if reads_only {
                    let at = answer.text.find(BODY).unwrap();
                    let from = answer.text.floor_char_boundary(at.saturating_sub(200));
                    walked.wrong.push(format!(
                        "{} {method} {address}: {}",
                        who.name,
                        &answer.text[from..at + BODY.len()]
                    ));
                }
            }
            walked.wrong.extend(found(&format!("{} {method} {address}", who.name), answer.text.as_bytes()));
        }
    }
    walked
}

/// Everybody walks. Gives where operators saw what a caller sent.
fn everybody(port: u16, people: &People, phase: &str, all: bool) -> BTreeSet<String> {
    let known = Known::of(port, &people.operator);
    let known = if all { known } else { known.few() };
    let mut seen = BTreeSet::new();
    for (who, reads_only) in [(&people.reader, true), (&people.reader_page, true), (&people.operator, false)] {
        let walked = walk(port, who, &known, reads_only);
        assert!(walked.wrong.is_empty(), "{phase}: {:#?}", walked.wrong);
        println!("{phase}: {} asked {} times", who.name, walked.asked);
        seen.extend(walked.bodies);
    }
    seen
}

struct People {
    operator: Who,
    reader: Who,
    reader_page: Who,
}

/// Waits until an answer has a text.
fn wait(port: u16, who: &Who, path: &str, text: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = send(port, who, "GET", path, "");
        if answer.text.contains(text) {
            return;
        }
        assert!(Instant::now() < deadline, "{path} does not say {text}: {}", answer.text);
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn readers_see_nothing_of_a_body_and_nobody_sees_a_secret() {
    let files_of_it = bundle();
    let given: Vec<(&str, &str)> = files_of_it.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let served = Served::start(&config(echo()), &given);
    let port = served.admin;
    let people = People {
        operator: token("operator", "CANARY-operator-token"),
        reader: token("reader", "CANARY-reader-token"),
        reader_page: session(port, "reader with a session", "CANARY-reader-token"),
    };
    let operator = &people.operator;
    let streams = [watch(port, &people.reader), watch(port, operator)];
    calls(&served);
    save_cases(port, operator);
    let running = || send(port, operator, "GET", "/api/v1/status", "").json()["release"]["running"].to_string();
    let mut seen = BTreeSet::new();

    // In force: golden cases made of calls, and a fixture, a test and a table with what callers sent.
    let reloaded = send(port, operator, "POST", "/api/v1/reload", "{}");
    assert_eq!(reloaded.status, 200, "{}", reloaded.text);
    let first = running();
    for (path, text) in [
        ("scripts/calls/one.json", format!("{{ \"nickName\": \"{BODY}\", \"more\": 1 }}")),
        ("scripts/registration_test.rhai", format!("{TEST}// {BODY}\n")),
        ("people.txt", format!("{BODY}\n{BODY} again\n")),
    ] {
        write(served.folder(), path, &text);
    }
    assert_eq!(send(port, operator, "POST", "/api/v1/reload", "{}").status, 200);
    assert_ne!(running(), first, "there are two releases to compare");
    wait(port, operator, "/api/v1/dead-letters", "\"kind\":\"action\"");
    seen.extend(everybody(port, &people, "in force", true));

    // Refused: a case that does not come out as it says, a test that fails, a table that cannot be read.
    let case = served.folder().join("scripts/cases/registration/saved.json");
    let good = fs::read_to_string(&case).unwrap();
    let bad = good.replace(
        "\"expected\": [",
        &format!("\"expected\": [{{\"status\": 200, \"reply\": \"{BODY}\", \"actions\": []}},"),
    );
    assert_ne!(good, bad);
    for (path, text, code) in [
        ("scripts/cases/registration/saved.json", bad.as_str(), "test/case"),
        ("scripts/cases/registration/saved.json", "{ \"CANARYbody\": 1 }", "test/case"),
        (
            "scripts/registration_test.rhai",
            "fn test_bad() { assert_eq(\"CANARYbody\", \"CANARYbody, and more\"); }\n",
            "test/assertion",
        ),
        ("people.txt", "", "table/"),
    ] {
        let before = fs::read_to_string(served.folder().join(path)).unwrap();
        write(served.folder(), path, text);
        let refused = send(port, operator, "POST", "/api/v1/reload", "{}");
        assert_eq!(refused.status, 409, "{path}: {}", refused.text);
        assert!(refused.text.contains(code), "{path}: {}", refused.text);
        seen.extend(everybody(port, &people, path, false));
        write(served.folder(), path, &before);
    }

    let body = |stream: &Arc<Mutex<Vec<u8>>>| String::from_utf8_lossy(&stream.lock().unwrap()).contains(BODY);
    assert!(streams.iter().all(|stream| stream.lock().unwrap().len() > 1_000), "both streams have told of calls");
    seen.extend(body(&streams[1]).then(|| "/api/v1/live".to_owned()));
    assert!(!body(&streams[0]), "the reader's stream tells what a script threw");
    let missing: Vec<_> = OPERATORS_FIND.iter().filter(|path| !seen.contains(**path)).collect();
    assert!(missing.is_empty(), "an operator saw nothing at {missing:?}: the walk would find no leak there");
    let mut shown = Vec::new();
    for stream in &streams {
        shown.extend(found("live", &stream.lock().unwrap()));
    }
    nothing_left_behind(served, shown);
}

/// Calls through every hook, failing scripts, events of which one ends as a dead letter by its script and one by its action.
fn calls(served: &Served) {
    let hooks = HOOKS.iter().filter(|hook| !hook.is_for_events()).map(|hook| (route_name(hook), hook.name));
    let ends = ["throws", "asks", "acts", "absent"].map(|end| (end.to_owned(), "okta.registration"));
    for (route, hook) in hooks.chain(ends) {
        let answer = post(served, &format!("/{route}"), SECRET, &call(hook, &route));
        assert!(answer.starts_with("HTTP/1.1 20"), "{route}: {answer}");
    }
    let answer = post(served, "/events", SECRET, &events());
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
}

/// A golden case of a call of each hook, as it was sent: with all secrets.
fn save_cases(port: u16, operator: &Who) {
    for hook in HOOKS.iter() {
        let name = route_name(hook);
        let (route, rule, request) = match hook.is_for_events() {
            true => ("events", Some("letter"), events()),
            false => (name.as_str(), None, call(hook.name, "saved")),
        };
        let request: Value = serde_json::from_str(&request).unwrap();
        let wanted = json!({ "name": "saved", "route": route, "rule": rule, "request": request, "write": true });
        let made = send(port, operator, "POST", "/api/v1/cases", &wanted.to_string());
        assert_eq!(made.status, 201, "{}: {}", hook.name, made.text);
        let redacted = made.json()["redacted"].as_array().unwrap().len();
        assert!(redacted > 0 || !request.to_string().contains("CANARY-"), "{}: {}", hook.name, made.text);
        let made = found(hook.name, made.text.as_bytes());
        assert!(made.is_empty(), "a saved case has secrets in it: {made:#?}");
    }
}

/// Secrets are in no file of the store and in no line of the log; and of bodies, the log has what a script threw.
fn nothing_left_behind(served: Served, mut shown: Vec<String>) {
    for folder in ["data", "scripts"] {
        files(&served.folder().join(folder), &mut shown);
    }
    let log = served.stop();
    shown.extend(found("log", log.as_bytes()));
    assert!(shown.is_empty(), "{shown:#?}");
    let refused: Vec<&str> =
        log.lines().filter(|line| line.contains("release refused") && line.contains(BODY)).collect();
    assert!(refused.is_empty(), "the log has values of a test: {refused:#?}");
    assert!(log.contains("test `registration::case/saved` failed"), "{log}");
    assert!(CANARIES.iter().all(|canary| !canary.contains(BODY)));
}

/// Routes that are in no table are in [`OTHERS`].
#[test]
fn the_walk_knows_every_path() {
    fn sources(folder: &Path, all: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, all);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                all.push(fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut all = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    all.push(fs::read_to_string(root.join("admin.rs")).unwrap());
    sources(&root.join("admin"), &mut all);
    let known: BTreeSet<String> = everything().into_iter().map(|(_, path)| path).collect();
    let mut routed = 0;
    for source in &all {
        let source = source.split("#[cfg(test)]").next().unwrap();
        for route in source.split(".route(").skip(1) {
            let named = route.split(',').next().unwrap().trim();
            routed += 1;
            // `PAGE` is the form to sign in at; `path` is that of a table.
            let path = match named {
                "PAGE" => "/login",
                "path" => continue,
                literal => literal.trim_matches('"'),
            };
            assert!(known.contains(path), "{path} is routed, and the walk does not visit it");
        }
    }
    assert!(routed >= 6, "routes are added in another way than this test reads");
}
