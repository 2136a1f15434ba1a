//! What docs/api.md tells a reader to type, typed; and that it names every path and every problem.

use std::fs;
use std::process::Command;

use hookgate::admin::api;

use super::{blocks, root};
use crate::harness::TWO_ROUTES;
use crate::process::Served;

fn page() -> String {
    fs::read_to_string(root().join("docs/api.md")).unwrap()
}

#[test]
fn the_examples_work() {
    let files = [
        ("scripts/signup.rhai", "fn on_registration(request) { allow() }"),
        ("scripts/events.rhai", "fn on_event(event) { }"),
        ("admin-token", "t0ken"),
    ];
    let served = Served::start(&format!("token = {{ file = \"admin-token\" }}\n{TWO_ROUTES}"), &files);
    let script = blocks(&page(), "sh").concat().replace("127.0.0.1:8081", &format!("127.0.0.1:{}", served.admin));
    let curls = script.matches("curl ").count();
    assert!(curls > 8, "{script}");
    let ran = Command::new("sh").args(["-euxc", &script]).env("TOKEN", "t0ken").output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{out}\n{err}");
    assert_eq!(err.matches("+ curl ").count(), curls, "{err}");
    assert!(out.contains(r#""role":"operator""#) && out.contains(r#""forecast""#), "{out}");
    let ran = Command::new("sh").args(["-euc", &script]).env("TOKEN", "wrong").output().unwrap();
    assert!(!ran.status.success(), "and not for everybody");
}

#[test]
fn every_path_and_every_problem_is_named() {
    let page = page();
    let document = serde_json::to_value(api::document()).unwrap();
    for path in document["paths"].as_object().unwrap().keys() {
        let path = path.strip_prefix("/api/v1/").unwrap();
        let path = path.replace("{hash}", "HASH").replace("{id}", "ID").replace("{name}", "NAME");
        let named = page.contains(&format!("`{path}`"))
            || page.contains(&format!("`POST {path}`"))
            || page.contains(&format!("`{path}?"));
        assert!(named, "`{path}` is not in docs/api.md");
    }
    let mut sources = Vec::new();
    super::files(&root().join("src/admin"), ".rs", &mut sources);
    let name = regex::Regex::new(r#"(?:bad_request|conflict|StatusCode::[A-Z_]+,)\s*\(?\s*"([a-z-]+)""#).unwrap();
    let mut names = 0;
    for source in sources.iter().filter(|source| !source.to_string_lossy().contains("/viewer")) {
        for found in name.captures_iter(&fs::read_to_string(source).unwrap()) {
            names += 1;
            assert!(page.contains(&format!("`{}`", &found[1])), "`{}` is not in docs/api.md", &found[1]);
        }
    }
    assert!(names > 20, "only {names} problems were found");
}
