//! A password that goes out to be verified (`http(…).verify`) is on the wire and nowhere else: not in what is logged, recorded,
//! traced, printed, saved as a test or told of an answer, even where the other side repeats it.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{everything, files, found, poisoned, post};
use crate::harness::SECRET;
use crate::process::{Ran, Served, hookgate};

/// Ways to send it, and what the login endpoint answers.
const WAYS: &[(&str, &str)] = &[
    ("json", "{ send = \"json\" }"),
    ("form", "{ send = \"form\" }"),
    ("basic", "{ send = \"basic\" }"),
    ("grant", "{ send = \"password_grant\" }"),
    ("body", "{ success = { field = \"valid\" } }"),
];

const SCRIPT: &str = r#"fn on_password_import(request) {
    let right = http(params.connector).verify(params.path, #{ username: request.username, password: request.password });
    log("asked", #{ right: right, password: request.password });
    if right { verified() } else { unverified() }
}"#;

/// User name and password of the call, as basic authentication has them.
fn in_base64(call: &str) -> String {
    let call: Value = serde_json::from_str(call).expect("JSON");
    let username = call["data"]["context"]["credential"]["username"].as_str().expect("a user name");
    STANDARD.encode(format!("{username}:CANARY-password"))
}

/// A login endpoint that answers with the status that its path ends with, and repeats all that it got.
fn echo() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = seen.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream, &noted);
        }
    });
    (port, seen)
}

fn answer(mut stream: TcpStream, noted: &Mutex<Vec<String>>) {
    let mut text = String::new();
    let mut buffer = [0; 8192];
    loop {
        let read = stream.read(&mut buffer).unwrap_or(0);
        text += &String::from_utf8_lossy(&buffer[..read]);
        let length = text.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let body = text.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
        if read == 0 || (text.contains("\r\n\r\n") && body >= length.unwrap_or(0)) {
            break;
        }
    }
    let status = text.split_whitespace().nth(1).and_then(|path| path.rsplit('/').next()).unwrap_or("200").to_owned();
    let body = format!("{{\"error\": {}}}", serde_json::json!(text));
    let length = body.len();
    let head = "Content-Type: application/json\r\nConnection: close\r\nX-Echo: CANARY-password";
    let _ = write!(stream, "HTTP/1.1 {status} X\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}");
    noted.lock().expect("no panic").push(text);
}

fn config(port: u16) -> String {
    let mut config = "[auth.test]\nscheme = \"header\"\nsecrets = [{ file = \"secret\" }]\n".to_owned();
    for (way, verify) in WAYS {
        config += &format!(
            "\n[connectors.{way}]\nkind = \"http\"\nbase_url = \"http://127.0.0.1:{port}\"\nallow_private = true\n\
             cache = {{ ttl_s = 60 }}\nverify = {verify}\n"
        );
        for status in [200, 401, 404, 500] {
            config += &format!(
                "\n[routes.{way}-{status}]\npath = \"/{way}/{status}\"\nhook = \"okta.password_import\"\nscript = \"login.rhai\"\n\
                 auth = \"test\"\non_failure = \"unverified\"\ncapture = true\n\
                 params = {{ connector = \"{way}\", path = \"/login/{status}\" }}\n"
            );
        }
    }
    config
}

#[test]
fn a_password_that_is_verified_elsewhere_is_found_nowhere_here() {
    let (port, seen) = echo();
    let served = Served::start(&config(port), &[("scripts/login.rhai", SCRIPT)]);
    let call = poisoned("okta.password_import", "verified");
    let base64 = in_base64(&call);
    let mut answers = Vec::new();
    for (way, _) in WAYS {
        for status in [200, 401, 404, 500] {
            let path = format!("/{way}/{status}");
            let body = call.replace("\"verified\"", &format!("\"{way}-{status}\""));
            let answer = post(&served, &path, SECRET, &body);
            assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
            answers.push((path, answer));
        }
    }
    let yes: Vec<&str> =
        answers.iter().filter(|(_, answer)| answer.contains("\"VERIFIED\"")).map(|(path, _)| path.as_str()).collect();
    assert_eq!(yes, ["/json/200", "/form/200", "/basic/200"], "the other two want a field that is not there");
    let sent = seen.lock().expect("no panic").clone();
    assert_eq!(sent.len(), WAYS.len() * 4, "each was asked, and nothing was kept");
    for text in &sent {
        assert!(text.contains("CANARY-password") || text.contains(&base64), "it goes out: {text}");
        assert!(!text.lines().next().unwrap_or_default().contains("CANARY"), "never in the address: {text}");
    }
    let mut shown: Vec<String> = answers.iter().flat_map(|(path, answer)| found(path, answer.as_bytes())).collect();
    for (path, answer) in everything(&served) {
        shown.extend(found(&path, answer.as_bytes()));
    }
    let folder = served.folder().to_owned();
    fs::write(folder.join("call.json"), &call).expect("written");
    for arguments in [
        vec!["call", "json-200", "call.json", "--trace"],
        vec!["call", "basic-500", "call.json", "--trace", "--json"],
        vec!["call", "form-401", "call.json", "--save-case", "saved"],
        vec!["explain", "--event-id", "json-404", "--json"],
        vec!["explain", "--event-id", "grant-500"],
    ] {
        let ran = Ran::of(hookgate(&folder, &arguments).output().expect("it runs"));
        assert!(!ran.out.is_empty(), "{arguments:?}: {}", ran.err);
        shown.extend(found(&arguments.join(" "), format!("{}{}", ran.out, ran.err).as_bytes()));
    }
    let mut cases = Vec::new();
    files(&folder.join("scripts"), &mut cases);
    shown.extend(cases);
    files(&folder.join("data"), &mut shown);
    let saved = fs::read_dir(folder.join("scripts/cases/login")).expect("a case").flatten().next().expect("one").path();
    let saved: Value = serde_json::from_slice(&fs::read(saved).expect("read")).expect("JSON");
    assert!(saved.to_string().contains("verify /login/401"), "{saved}");
    let log = served.stop();
    assert!(log.contains("call answered") && log.contains("lookup failed"), "{log}");
    shown.extend(found("log", log.as_bytes()));
    assert!(!log.contains(&base64), "in base64");
    assert!(shown.is_empty(), "{shown:#?}");
}
