//! Only tested releases go live: what is tested when something changes, what refuses a release, and what is told of it.

mod fuzz;

use std::time::{Duration, Instant};

use hookgate_engine::release::live::Reloaded;
use hookgate_engine::release::live::status::Status;

use crate::harness::TestGateway;
use crate::process::{Served, sample};

const TOML: &str = r#"
[auth.test]
scheme = "header"
secrets = [{ file = "secret" }]

[tables.blocked]
file = "tables/blocked.txt"
kind = "domains"
max_shrink_percent = 100

[routes.hook]
path = "/hook"
hook = "okta.registration"
script = "signup.rhai"
auth = "test"
on_failure = { deny = "failed" }
params = { closed = false }

[routes.tokens]
path = "/token"
hook = "okta.token"
script = "token.rhai"
auth = "test"
on_failure = "unchanged"
"#;

const SIGNUP: &str = r#"import "lib/words" as words;

fn on_registration(request) {
    if params.closed || table("blocked").has(request.email) { return deny_field("email", words::no()); }
    allow()
}
"#;

const SIGNUP_TEST: &str = r#"
fn test_everybody_else_may_sign_up() {
    assert_eq!(1);
}
"#;

const WORDS: &str = "fn no() { \"not you\" }\n";
const TOKEN: &str = "fn on_token(_request) { access_token.add_claim(\"team\", \"red\") }\n";
const TOKEN_TEST: &str = r#"
fn test_the_team_is_in_the_token() {
    assert_eq(run().reply.commands[0].value[0].value, "red");
}
"#;

fn signup_test(expected: &str) -> String {
    SIGNUP_TEST.replace(
        "assert_eq!(1);",
        &format!(
            "set_table(\"blocked\", [\"bad.example\"]);\n    \
             let outcome = run();\n    \
             assert_eq(outcome.commands, [{expected}]);\n    \
             let outcome = run(#{{ data: #{{ userProfile: #{{ email: \"a@bad.example\" }} }} }});\n    \
             assert_eq(outcome.reply.error.errorSummary, \"not you\");"
        ),
    )
}

fn gateway() -> TestGateway {
    TestGateway::bundle(
        TOML,
        &[
            ("tables/blocked.txt", "mailinator.com\n"),
            ("scripts/signup.rhai", SIGNUP),
            ("scripts/signup_test.rhai", &signup_test("\"allow\"")),
            ("scripts/lib/words.rhai", WORDS),
            ("scripts/token.rhai", TOKEN),
            ("scripts/token_test.rhai", TOKEN_TEST),
        ],
    )
}

impl TestGateway {
    fn status(&self) -> Status {
        self.live.status()
    }

    /// The codes for which what is on disk was refused.
    fn refused_for(&self) -> Vec<&'static str> {
        assert_eq!(self.reload(), Reloaded::Refused);
        self.status().error.iter().map(|finding| finding.code).collect()
    }

    /// How many scripts were tested, and how many were not, by the reload that now is done.
    fn tested(&self) -> (usize, usize) {
        assert_eq!(self.reload(), Reloaded::Activated, "{:#?}", self.status().error);
        let tests = self.status().tests;
        (tests.scripts, tests.unchanged)
    }
}

#[test]
fn what_changes_is_tested_and_nothing_else() {
    let gateway = gateway();
    let tests = gateway.status().tests;
    assert_eq!((tests.scripts, tests.unchanged, tests.passed, tests.failed), (2, 0, 2, 0));
    gateway.write("scripts/token.rhai", &format!("// changed\n{TOKEN}"));
    assert_eq!(gateway.tested(), (1, 1), "a script");
    gateway.write("scripts/lib/words.rhai", &format!("// changed\n{WORDS}"));
    assert_eq!(gateway.tested(), (1, 1), "what a script imports");
    gateway.write("tables/blocked.txt", "mailinator.com\nguerrillamail.com\n");
    assert_eq!(gateway.tested(), (1, 1), "a table that a script reads");
    gateway.write("gateway.toml", &TOML.replace("closed = false", "closed = false, more = 1"));
    assert_eq!(gateway.tested(), (1, 1), "parameters");
    gateway.write("scripts/signup_test.rhai", &signup_test("\"allow\"").replace("everybody_else", "others"));
    assert_eq!(gateway.tested(), (1, 1), "tests");
    gateway.write("gateway.toml", &format!("{TOML}limits = {{ deadline_ms = 100 }}\n"));
    assert_eq!(gateway.tested(), (2, 0), "parameters back, and limits of the other");
}

#[tokio::test]
async fn a_failing_test_keeps_the_release_in_force() {
    let gateway = gateway();
    gateway.write("scripts/lib/words.rhai", "fn no() { \"go away\" }\n");
    assert_eq!(gateway.refused_for(), ["test/assertion"]);
    let status = gateway.status();
    assert_ne!(status.running, status.on_disk);
    assert_eq!(status.tests.failures, ["signup::test_everybody_else_may_sign_up"]);
    let told = status.error[0].one_line();
    for part in
        ["scripts/signup_test.rhai:7:", "`signup::test_everybody_else", "expected \"not you\"", "actual \"go away\""]
    {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
    assert!(gateway.metrics.encode().contains("hookgate_failed_tests{script=\"signup.rhai\"} 1"));
    let (code, reply) =
        gateway.post(sample("okta.registration").replace("mira@partner.example", "x@mailinator.com")).await;
    assert_eq!(code, 200);
    assert!(!reply.to_string().contains("go away"), "{reply}");
    // Nothing changed, so nothing is run again; it stays refused.
    assert_eq!(gateway.refused_for(), ["test/assertion"]);
    assert_eq!(gateway.status().tests.scripts, 0);
    gateway.write("scripts/lib/words.rhai", WORDS);
    assert_eq!(gateway.reload(), Reloaded::Activated);
    assert!(!gateway.metrics.encode().contains("hookgate_failed_tests"));
}

#[test]
fn tests_that_cannot_be_run_refuse_a_release() {
    let rows: [(&str, &str, &[&str]); 4] = [
        ("scripts/token_test.rhai", "fn test_a() { run( }", &["script/syntax"]),
        ("scripts/token_test.rhai", "fn test_a() { rum(); }", &["script/unknown-function"]),
        ("scripts/cases/token/cut.json", "{ \"request\": {", &["test/case"]),
        ("scripts/token_test.rhai", "fn test_a() { loop { } }", &["test/limit"]),
    ];
    for (file, text, codes) in rows {
        let gateway = gateway();
        gateway.write(file, text);
        assert_eq!(gateway.refused_for(), codes, "{file}: {text}");
    }
}

#[test]
fn tests_of_a_script_that_is_not_there_are_misspelled_or_left_over() {
    let request = "{ \"request\": {} }";
    let misspelled = [
        ("scripts/tokens_test.rhai", TOKEN_TEST, "token_test.rhai"),
        ("scripts/cases/tokens/a.json", request, "token"),
    ];
    for (file, text, meant) in misspelled {
        let gateway = gateway();
        gateway.write(file, text);
        assert_eq!(gateway.refused_for(), ["test/no-script"], "{file}");
        assert_eq!(gateway.status().error[0].help, Some(format!("did you mean `{meant}`?")));
    }
    for (file, text) in [("scripts/telephony_test.rhai", TOKEN_TEST), ("scripts/cases/telephony/a.json", request)] {
        let gateway = gateway();
        gateway.write(file, text);
        assert_eq!(gateway.reload(), Reloaded::Activated, "{file}: {:#?}", gateway.status().error);
        let codes: Vec<_> = gateway.status().warnings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, ["test/no-script"], "{file}");
    }
}

const APART: &str = r#"
fn before_each() {
    ignore_config();
    set_params(#{ closed: false });
    set_table("blocked", #{ kind: "domains" }, ["bad.example"]);
}

fn test_apart() {
    assert_eq(run().commands, ["allow"]);
    let below = #{ data: #{ userProfile: #{ email: "a@below.bad.example" } } };
    assert_eq(run(below).reply.error.errorSummary, "not you");
    set_table("blocked", ["*.other.example"]);
    assert_eq(run(below).commands, ["allow"]);
    set_table("blocked", #{ kind: "csv", key: "mail" }, []);
    set_table("blocked", [#{ id: 1, mail: "mira@partner.example" }]);
    assert_eq(table("blocked").get("mira@partner.example").id, "1");
}

fn test_begins_anew() {
    assert_eq(run(#{ data: #{ userProfile: #{ email: "a@bad.example" } } }).reply.error.errorSummary, "not you");
    set_params(#{ closed: true });
    assert_eq(run().reply.error.errorSummary, "not you");
}
"#;

const CASE_APART: &str = r#"{
  "ignore_config": true,
  "request": { "eventId": "1", "eventType": "com.okta.user.pre-registration",
    "data": { "userProfile": { "email": "a@below.bad.example", "login": "a" } } },
  "params": { "closed": false },
  "tables": { "blocked": ["bad.example"] },
  "table_shapes": { "blocked": { "kind": "domains" } },
  "expected": [{ "status": 200, "actions": [], "reply": {
    "commands": [{ "type": "com.okta.action.update", "value": { "registration": "DENY" } }],
    "error": { "errorSummary": "not you", "errorCauses": [{ "errorSummary": "not you", "reason": "INVALID_VALUE",
      "locationType": "body", "location": "data.userProfile.email", "domain": "end-user" }] },
    "debugContext": { "decision": "test", "release": "test", "script": "signup.rhai" } } }]
}"#;

/// Issue 16: tests that ship with the gateway hold whatever its user writes into `gateway.toml`.
#[test]
fn tests_that_ignore_the_configuration_hold_whatever_it_says() {
    let gateway = gateway();
    gateway.write("scripts/signup_test.rhai", APART);
    gateway.write("scripts/cases/signup/below.json", CASE_APART);
    assert_eq!(gateway.reload(), Reloaded::Activated, "{:#?}", gateway.status().error);
    let edits = [
        ("closed = false", "closed = true"),
        ("kind = \"domains\"", "kind = \"lines\""),
        ("deny = \"failed\"", "deny = \"another\""),
        ("params = { closed = false }", "limits = { operations = 1000 }"),
    ];
    for (old, new) in edits {
        assert!(TOML.contains(old), "{old}");
        gateway.write("gateway.toml", &TOML.replace(old, new));
        assert_eq!(gateway.reload(), Reloaded::Activated, "{new}: {:#?}", gateway.status().error);
    }
    // The same tests fail where the script does something else.
    gateway.write("scripts/lib/words.rhai", "fn no() { \"go away\" }\n");
    assert_eq!(gateway.refused_for(), ["test/assertion", "test/assertion", "test/case"]);
}

#[test]
fn what_fails_before_each_test_is_shown_where_it_is() {
    let gateway = gateway();
    let text =
        format!("{TOKEN_TEST}\nfn before_each() {{\n    set_table(\"blocked\", #{{ kind: \"tree\" }}, []);\n}}\n");
    gateway.write("scripts/token_test.rhai", &text);
    assert_eq!(gateway.reload(), Reloaded::Refused);
    let error = &gateway.status().error[0];
    assert_eq!((error.file.as_str(), error.line), ("scripts/token_test.rhai", 7), "{error:#?}");
    assert!(error.message.contains("unknown variant `tree`"), "{}", error.message);
}

#[test]
fn a_release_whose_tests_take_too_long_stays_out() {
    let gateway = gateway();
    let slow = "fn test_a() { let n = 0; while n < 300000 { n += 1; } assert(true); }\n";
    let many: String = (0..40).map(|number| slow.replace("test_a", &format!("test_{number}"))).collect();
    gateway.write("scripts/token_test.rhai", &many);
    gateway.write("gateway.toml", &format!("[scripts]\ngate_timeout_ms = 50\n{TOML}"));
    let began = Instant::now();
    assert_eq!(gateway.refused_for(), ["test/gate-timeout"]);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert!(gateway.status().error[0].help.as_deref().is_some_and(|help| help.contains("gate_timeout_ms")));
}

#[test]
fn the_gate_can_be_left_open() {
    let gateway = gateway();
    gateway.write("scripts/lib/words.rhai", "fn no() { \"go away\" }\n");
    gateway.write("scripts/token_test.rhai", "fn test_a() { run( }");
    gateway.write("gateway.toml", &format!("[scripts]\ngate = \"check\"\n{TOML}"));
    assert_eq!(gateway.reload(), Reloaded::Activated, "{:#?}", gateway.status().error);
    assert_eq!(gateway.status().tests.scripts, 0);
}

#[test]
fn what_is_odd_about_tests_is_a_warning() {
    let gateway = gateway();
    gateway.write(
        "scripts/token_test.rhai",
        "fn test_a() { run(); }\nfn test_b() { check(); }\nfn check() { assert_eq(1, 1); }\n",
    );
    assert_eq!(gateway.reload(), Reloaded::Activated);
    let codes: Vec<_> = gateway.status().warnings.iter().map(|finding| (finding.code, finding.line)).collect();
    assert_eq!(codes, [("test/no-assertion", 1)]);
    std::fs::remove_file(gateway.place.root.join("scripts/token_test.rhai")).unwrap();
    assert_eq!(gateway.reload(), Reloaded::Activated);
    let codes: Vec<_> = gateway.status().warnings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["script/untested"]);
}

#[test]
fn a_release_with_many_failing_tests_takes_few_lines_of_the_log() {
    let tests: String = (0..57)
        .map(|number| format!("fn test_{number}() {{ assert_eq(run().reply.commands[0].value[0].value, \"red\"); }}\n"))
        .collect();
    let files =
        [("tables/blocked.txt", "a.example\n"), ("scripts/signup.rhai", SIGNUP), ("scripts/lib/words.rhai", WORDS)];
    let more = [("scripts/token.rhai", TOKEN), ("scripts/token_test.rhai", tests.as_str())];
    let served = Served::start(TOML, &[files.as_slice(), &more].concat());
    std::fs::write(served.folder().join("scripts/token.rhai"), TOKEN.replace("red", "blue")).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !served.admin("/api/v1/status").is_some_and(|status| status.contains("\"state\":\"refused\"")) {
        assert!(Instant::now() < deadline, "the release is not refused");
        std::thread::sleep(Duration::from_millis(20));
    }
    let log = served.stop();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("\"level\":\"error\"")).collect();
    assert!(told.len() <= 5, "{} lines:\n{}", told.len(), told.join("\n"));
    assert!(told[0].contains("test `token::test_0` failed"), "{}", told[0]);
    assert!(told.iter().any(|line| line.contains("57") && line.contains("hookgate test")), "{}", told.join("\n"));
}
