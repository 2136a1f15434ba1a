//! Codes of tests: what is odd about them, and how they fail.

use crate::lint::codes::{Code, Stage};

/// The script that the tests in the examples are about.
pub const TESTED: &str = r#"
fn on_registration(request) {
    if request.email.domain_in(["rival.example"]) { return deny_field("email", "Please use another address."); }
    allow()
}
"#;

pub(super) const CODES: &[Code] = &[
    Code {
        code: "script/untested",
        title: "A script without tests",
        why: "Nothing runs this script before it decides about real people. A file `name_test.rhai` beside it, or a golden case, is \
              run by `hookgate test` and before each release goes live. With `gate = \"check\"` under `[scripts]` nobody asks for \
              tests.",
        bad: "",
        good: "",
        stage: Stage::Load,
    },
    Code {
        code: "test/no-assertion",
        title: "A test that claims nothing",
        why: "Without an `assert…` it passes whatever the script answers, so it looks like a rule that is checked. A test that has \
              to wait says `skip(\"why\")`.",
        bad: r#"
fn test_rivals_are_denied() {
    let outcome = run(#{ data: #{ userProfile: #{ email: "ann@rival.example" } } });
    log(outcome.effect);
}
"#,
        good: r#"
fn test_rivals_are_denied() {
    let outcome = run(#{ data: #{ userProfile: #{ email: "ann@rival.example" } } });
    assert_json(outcome.reply, #{ error: #{ errorSummary: "Please use another address." } });
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "test/no-script",
        title: "Tests of a script that is not there",
        why: "A file `name_test.rhai` tests `name.rhai` beside it, and cases are filed under the name of their script. Without that \
              script they check nothing. Where the name is a misspelled one, or close to that of a script without tests, that is an error; \
              else the script was renamed or removed, and this is a warning.",
        bad: "",
        good: "",
        stage: Stage::Load,
    },
    Code {
        code: "test/assertion",
        title: "Something is not as the test says",
        why: "The line is the assertion that did not hold, with both sides. `hookgate test` shows the values of what stands in it, \
              too. Either the script is wrong, or the test says what no longer should be.",
        bad: r#"
fn test_rivals_are_denied() {
    let outcome = run(#{ data: #{ userProfile: #{ email: "ann@rival.example" } } });
    assert_eq(outcome.commands, ["allow"]);
}
"#,
        good: r#"
fn test_others_are_let_in() {
    let outcome = run(#{ data: #{ userProfile: #{ email: "ann@partner.example" } } });
    assert_eq(outcome.commands, ["allow"]);
}
"#,
        stage: Stage::Test,
    },
    Code {
        code: "test/unseen-failure",
        title: "The script failed, and the test did not ask why",
        why: "When a script fails, the provider hears `on_failure`, which may look just like an answer of the script. A test that \
              never looks at the failure would pass for the wrong reason. `assert_fails` says that it is meant.",
        bad: r#"
fn test_an_address_is_needed() {
    let outcome = run(#{ data: #{ userProfile: #{ email: () } } });
    assert_eq(outcome.status, 200);
}
"#,
        good: r#"
fn test_an_address_is_needed() {
    let outcome = run(#{ data: #{ userProfile: #{ email: () } } });
    assert_fails(outcome, "script_error");
}
"#,
        stage: Stage::Test,
    },
    Code {
        code: "test/todo-passes",
        title: "A test marked `todo` passes",
        why: "`todo` says that a test is not expected to pass yet. Now it does, so the mark would hide the day on which it breaks \
              again.",
        bad: r#"
fn test_others_are_let_in() {
    todo("partners are not served yet");
    assert_eq(run(#{ data: #{ userProfile: #{ email: "ann@partner.example" } } }).commands, ["allow"]);
}
"#,
        good: r#"
fn test_others_are_let_in() {
    assert_eq(run(#{ data: #{ userProfile: #{ email: "ann@partner.example" } } }).commands, ["allow"]);
}
"#,
        stage: Stage::Test,
    },
    Code {
        code: "test/parameters",
        title: "A test with parameters",
        why: "Nobody would give them: every function whose name begins with `test_` is called without. A loop over rows with \
              `case(name)` runs one test for many values.",
        bad: r#"
fn test_is_let_in(email) {
    assert_eq(run(#{ data: #{ userProfile: #{ email: email } } }).commands, ["allow"]);
}
"#,
        good: r#"
fn test_is_let_in() {
    for email in ["ann@partner.example", "ben@mail.example"] {
        case(email);
        assert_eq(run(#{ data: #{ userProfile: #{ email: email } } }).commands, ["allow"]);
    }
}
"#,
        stage: Stage::Test,
    },
    Code {
        code: "test/limit",
        title: "A test that does not end",
        why: "A test may take five seconds, 20 million operations and 256 MiB, what it runs of scripts left out: those have their \
              own limits.",
        bad: r#"
fn test_others_are_let_in() {
    let outcome = run(#{ data: #{ userProfile: #{ email: "ann@partner.example" } } });
    let tries = 0;
    while outcome.status == 200 { tries += 1; }
    assert_eq(outcome.commands, ["allow"]);
}
"#,
        good: r#"
fn test_others_are_let_in() {
    let outcome = run(#{ data: #{ userProfile: #{ email: "ann@partner.example" } } });
    assert_eq(outcome.commands, ["allow"]);
}
"#,
        stage: Stage::Test,
    },
    Code {
        code: "test/case",
        title: "A golden case that does not come out as it says",
        why: "A case is a file of a call and of what must come of it; here something else came of it, or the file is no case. Where \
              the new answer is meant, `hookgate test --accept` writes it into the file.",
        bad: "",
        good: "",
        stage: Stage::Test,
    },
    Code {
        code: "test/gate-timeout",
        title: "The tests took too long for a release",
        why: "A release waits for the tests of every script that changed, at most `gate_timeout_ms` under `[scripts]`. What is not \
              tested by then does not go live, and what was in force stays so.",
        bad: "",
        good: "",
        stage: Stage::Test,
    },
];
