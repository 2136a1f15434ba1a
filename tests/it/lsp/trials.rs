//! Tests of scripts, run from the editor: on what it shows, saved or not.

use serde_json::{Value, json};

use super::Editor;

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

const SCRIPT: &str = "scripts/one.rhai";
const TESTS: &str = "scripts/one_test.rhai";

const TEXT: &str = r#"fn test_good() {
    assert_eq(run().commands, ["allow"]);
}

fn test_bad() {
    case("first");
    assert_eq(run().status, 204);
    case("second");
    assert(run().reply == 1);
}
"#;

impl Editor {
    /// Runs the tests of a file, or one; gives what the editor is answered.
    fn run_tests(&mut self, file: &str, test: Option<&str>) -> Value {
        let arguments: Vec<String> = [Some(self.uri(file)), test.map(str::to_owned)].into_iter().flatten().collect();
        self.ask("workspace/executeCommand", json!({ "command": "hookgate.test", "arguments": arguments }))
    }
}

fn editor() -> Editor {
    let mut editor = Editor::with(&[("gateway.toml", CONFIG), (SCRIPT, "fn on_registration(_request) { allow() }\n")]);
    editor.open(TESTS, TEXT);
    editor
}

#[test]
fn lines_that_fail_are_shown_until_they_pass() {
    let mut editor = editor();
    let answer = editor.run_tests(TESTS, None);
    assert_eq!(answer, json!({ "passed": false, "message": "1 failed, 1 passed" }));
    let found = editor.findings(TESTS, "test/assertion");
    let place = |index: usize| found[index]["range"]["start"]["line"].clone();
    assert_eq!((found.len(), place(0), place(1)), (2, json!(6), json!(8)), "{found:#?}");
    for part in ["test `one::test_bad`, case `first`", "200", "204"] {
        assert!(found[0]["message"].as_str().unwrap().contains(part), "{part} is missing: {}", found[0]["message"]);
    }
    assert_eq!(found[0]["codeDescription"]["href"], "https://docs.example/lint.html#testassertion");
    // Mended, and not saved.
    let good = TEXT.replace("204", "200").replace("assert(run().reply == 1)", "assert(run().reply != 1)");
    editor.change(TESTS, 2, json!([{ "text": good }]));
    assert_eq!(editor.run_tests(TESTS, None), json!({ "passed": true, "message": "2 passed" }));
    editor.findings_when(TESTS, <[Value]>::is_empty);
}

#[test]
fn the_script_is_as_the_editor_shows_it() {
    let mut editor = editor();
    assert_eq!(editor.run_tests(TESTS, Some("test_good")), json!({ "passed": true, "message": "1 passed" }));
    editor.open(SCRIPT, "fn on_registration(_request) { deny_field(\"email\", \"closed\") }\n");
    assert_eq!(editor.run_tests(TESTS, Some("test_good"))["message"], "1 failed");
    assert_eq!(editor.findings(TESTS, "test/assertion")[0]["range"]["start"]["line"], 1);
}

#[test]
fn what_cannot_run_is_told() {
    let mut editor = editor();
    let told = |editor: &mut Editor, file: &str, test: Option<&str>| {
        let answer = editor.run_tests(file, test);
        assert_eq!(answer["passed"], false, "{answer}");
        answer["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(told(&mut editor, TESTS, Some("test_none")), "there is no test_none in `scripts/one_test.rhai`");
    editor.open("scripts/two_test.rhai", "fn test_it() { assert(true); }");
    assert!(told(&mut editor, "scripts/two_test.rhai", None).contains("there is no `two.rhai`"));
    editor.change(TESTS, 2, json!([{ "text": "fn test_good() { assert_eq(1; }" }]));
    let broken = told(&mut editor, TESTS, None);
    assert!(broken.starts_with("these tests cannot run: scripts/one_test.rhai:1:"), "{broken}");
    editor.open(SCRIPT, "fn on_registration(_request) { alow() }\n");
    let broken = told(&mut editor, TESTS, None);
    assert!(broken.starts_with("the bundle cannot run: scripts/one.rhai:1:"), "{broken}");
}
