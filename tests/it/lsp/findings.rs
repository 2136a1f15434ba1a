//! Findings as somebody types.

use std::fs;

use hookgate::cli::docs::codes;
use serde_json::{Value, json};

use super::Editor;
use crate::docs::has_heading;

const CONFIG: &str = r#"
[auth.test]
scheme = "header"
secrets = [{ env = "SECRET_THAT_IS_NOT_SET" }]

[routes.one]
path = "/one"
hook = "okta.registration"
script = "one.rhai"
auth = "test"
on_failure = "allow"
"#;

#[test]
fn a_mistake_is_shown_while_it_is_typed_and_goes_when_it_is_mended() {
    let mut editor = Editor::example();
    let file = "scripts/registration.rhai";
    editor.show(file);
    editor.findings_when(file, <[Value]>::is_empty);
    let text = editor.read(file);
    let line = text.lines().position(|line| line.contains("let email = request.email;")).unwrap();
    let column = text.lines().nth(line).unwrap().find("email;").unwrap();
    let place = |from: usize, to: usize| json!({ "start": { "line": line, "character": from }, "end": { "line": line, "character": to } });
    editor.change(file, 2, json!([{ "range": place(column, column + 5), "text": "emial" }]));
    let found = editor.findings(file, "script/unknown-property");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["range"], place(column, column + 5));
    assert_eq!((&found[0]["severity"], &found[0]["source"]), (&json!(1), &json!("hookgate")));
    assert!(found[0]["message"].as_str().unwrap().contains("help: did you mean `email`?"), "{found:?}");
    assert_eq!(found[0]["codeDescription"]["href"], "https://docs.example/lint.html#scriptunknown-property");
    editor.change(file, 3, json!([{ "range": place(column, column + 5), "text": "email" }]));
    editor.findings_when(file, <[Value]>::is_empty);
}

#[test]
fn a_broken_file_does_not_hide_what_is_wrong_with_others() {
    let one = "import \"lib/a\" as a;\nfn on_registration(request) { request.emial; a::f() }";
    let files = [
        ("gateway.toml", CONFIG),
        ("scripts/one.rhai", one),
        ("scripts/lib/a.rhai", "fn f( {"),
        ("scripts/two.rhai", "fn ("),
    ];
    let mut editor = Editor::with(&files);
    editor.show("scripts/one.rhai");
    assert_eq!(editor.findings("scripts/one.rhai", "script/unknown-property").len(), 1);
    for broken in ["scripts/lib/a.rhai", "scripts/two.rhai"] {
        let found = editor.findings_when(broken, |found| !found.is_empty());
        assert!(found[0]["code"].as_str().unwrap().starts_with("script/"), "{found:?}");
    }
    // Mended in the buffer only: what imports it is right, too.
    editor.open("scripts/lib/a.rhai", "fn f(x) { x }");
    let found = editor.findings("scripts/one.rhai", "script/wrong-arity");
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn a_broken_configuration_does_not_hide_what_is_wrong_with_scripts() {
    let mut editor = Editor::with(&[("gateway.toml", CONFIG), ("scripts/one.rhai", "fn on_registration(request) { }")]);
    editor.show("scripts/one.rhai");
    editor.findings_when("scripts/one.rhai", |found| !found.iter().any(|one| one["severity"] == 1));
    editor.open("gateway.toml", &CONFIG.replace("on_failure = \"allow\"", "on_failure = \"allow\"\nlimit = 3"));
    let found = editor.findings("gateway.toml", "config/unknown-key");
    assert_eq!(found[0]["range"]["start"], json!({ "line": 11, "character": 0 }), "{found:?}");
    assert_eq!(found[0].get("codeDescription"), None, "no page explains it");
    editor.change("scripts/one.rhai", 2, json!([{ "text": "fn on_registration(request) { request.emial }" }]));
    editor.findings("scripts/one.rhai", "script/unknown-property");
}

#[test]
fn links_of_codes_lead_to_their_headings() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/lint.md");
    let page = fs::read_to_string(page).unwrap();
    for code in codes::all() {
        assert!(has_heading(&page, &code.anchor()), "{}", code.code);
    }
}

#[test]
fn secrets_are_not_looked_for() {
    let mut editor = Editor::with(&[("gateway.toml", CONFIG), ("scripts/one.rhai", "fn on_registration(request) { }")]);
    editor.show("gateway.toml");
    editor.findings_when("gateway.toml", <[Value]>::is_empty);
}

#[test]
fn columns_are_those_of_utf_16() {
    let mut editor = Editor::with(&[("gateway.toml", CONFIG), ("scripts/one.rhai", "")]);
    editor.open("scripts/one.rhai", "fn on_registration(request) {\n    log(\"😀é\"); request.emial\n}\n");
    let found = editor.findings("scripts/one.rhai", "script/unknown-property");
    let place = json!({ "start": { "line": 1, "character": 24 }, "end": { "line": 1, "character": 29 } });
    assert_eq!(found[0]["range"], place, "{found:?}");
}

#[test]
fn a_file_that_no_route_uses_is_checked_by_its_entry_function() {
    let mut editor = Editor::with(&[("gateway.toml", CONFIG), ("scripts/one.rhai", "fn on_registration(request) { }")]);
    editor.open("scripts/new.rhai", "fn on_token(request) { deny(\"no\") }");
    let found = editor.findings_when("scripts/new.rhai", |found| !found.is_empty());
    let codes: Vec<&Value> = found.iter().map(|one| &one["code"]).collect();
    assert!(codes.contains(&&json!("script/unused-file")), "{found:?}");
    let foreign = found.iter().any(|one| one["message"].as_str().unwrap().contains("a command of `okta.registration`"));
    assert!(foreign, "{found:?}");
}

#[test]
fn without_a_configuration_scripts_are_checked_by_themselves() {
    let lib = "fn f(x) { x }";
    let mut editor = Editor::with(&[("scripts/lib/a.rhai", lib)]);
    editor.open(
        "scripts/one.rhai",
        "import \"lib/a\" as a;\nfn on_registration(request) { a::f(request.emial) + a::g() }",
    );
    assert_eq!(editor.findings("scripts/one.rhai", "script/unknown-property").len(), 1);
    editor.open("elsewhere.rhai", "fn on_token(request) {");
    assert_eq!(editor.findings_when("elsewhere.rhai", |found| !found.is_empty()).len(), 1);
}

#[test]
fn a_file_beside_the_scripts_folder_is_checked_by_itself() {
    let mut editor = Editor::with(&[("gateway.toml", CONFIG), ("scripts/one.rhai", "fn on_registration(request) { }")]);
    editor.open("docs/idea.rhai", "fn on_registration(request) { request.emial }");
    assert_eq!(editor.findings("docs/idea.rhai", "script/unknown-property").len(), 1);
}

/// In a release build this takes some ten milliseconds; the bound is for a slow machine that is busy and a build without
/// optimisation.
#[test]
fn a_long_script_is_checked_before_somebody_waits() {
    let mut editor = Editor::example();
    let mut text = editor.read("scripts/registration.rhai");
    for number in 0..280 {
        text.push_str(&format!(
            "\nfn helper_{number}(request) {{\n    let email = request.email;\n    if email == () {{ return false; }}\n    \
             let found = email.domain in [\"a.example\", \"b.example\"];\n    log(\"seen\", #{{ found: found }});\n    found\n}}\n"
        ));
    }
    text = text.replace("    commands\n}", &format!("    {}commands\n}}", helpers()));
    assert!(text.lines().count() > 2_000);
    editor.open("scripts/registration.rhai", &text);
    editor.findings_when("scripts/registration.rhai", <[Value]>::is_empty);
    let begun = std::time::Instant::now();
    editor.change(
        "scripts/registration.rhai",
        2,
        json!([{ "text": text.replace("request.email;", "request.emial;") }]),
    );
    editor.findings("scripts/registration.rhai", "script/unknown-property");
    let taken = begun.elapsed();
    println!("findings after {} ms", taken.as_millis());
    assert!(taken.as_secs() < 8, "{taken:?}");
}

/// Calls of all helpers, so that none is unused.
fn helpers() -> String {
    (0..280).map(|number| format!("helper_{number}(request);\n    ")).collect()
}
