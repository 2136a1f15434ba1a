//! Codes of what is there for nothing, and of exceptions.

use crate::lint::codes::{Code, Stage};

pub(super) const CODES: &[Code] = &[
    Code {
        code: "script/unused-variable",
        title: "A variable that nothing reads",
        why: "Something was computed and never used: often another name was meant further down. A name that begins with `_` says \
              that this is on purpose.",
        bad: r#"
fn on_registration(request) {
    let domain = request.email.domain;
    deny_field("email", "Sign-up is closed.")
}
"#,
        good: r#"
fn on_registration(request) {
    let domain = request.email.domain;
    deny_field("email", `Sign-up is closed for ${domain}.`)
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/unused-parameter",
        title: "A parameter that nothing reads",
        why: "The function does not depend on what it is given, which its name and its callers probably promise. A name that \
              begins with `_` says that this is on purpose.",
        bad: r#"
fn on_registration(request) {
    allow()
}
"#,
        good: r#"
fn on_registration(_request) {
    allow()
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/unused-constant",
        title: "A constant that nothing reads",
        why: "A list that nothing reads looks like a rule that is in force. In a file for others it counts whether any file of the \
              bundle reads it.",
        bad: r#"
const CLOSED = ["old.example"];

fn on_registration(_request) {
    allow()
}
"#,
        good: r#"
const CLOSED = ["old.example"];

fn on_registration(request) {
    if request.email.domain_in(CLOSED) { return deny_field("email", "Please use another address."); }
    allow()
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/unused-function",
        title: "A function that nothing calls",
        why: "A check that nobody calls looks like a rule that is in force. In a file for others it counts whether any file of the \
              bundle calls it.",
        bad: r#"
fn on_registration(_request) {
    allow()
}

fn is_closed(email) {
    email.domain_in(["old.example"])
}
"#,
        good: r#"
fn on_registration(request) {
    if is_closed(request.email) { return deny_field("email", "Please use another address."); }
    allow()
}

fn is_closed(email) {
    email.domain_in(["old.example"])
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/unused-import",
        title: "An import that nothing uses",
        why: "Every import makes this script depend on another file: a mistake there refuses this script, too.",
        bad: r#"
import "lib/domains" as domains;

fn on_registration(_request) {
    allow()
}
"#,
        good: r#"
fn on_registration(_request) {
    allow()
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/unused-file",
        title: "A file that nothing uses",
        why: "No route, rule or script names this file, so what is in it is not in force and not checked. Scripts of other hooks \
              and left-over copies end so.",
        bad: "",
        good: "",
        stage: Stage::Load,
    },
    Code {
        code: "script/allow-without-reason",
        title: "An exception that states no reason",
        why: "`// hookgate: allow CODE because …` keeps quiet about one finding, on its own line or on the one below. Whoever reads \
              it later must know why it is there, so an exception without a reason is refused.",
        bad: r#"
// hookgate: allow script/unused-parameter
fn on_registration(request) {
    allow()
}
"#,
        good: r#"
// hookgate: allow script/unused-parameter because the rules for it come next week
fn on_registration(request) {
    allow()
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/unused-allow",
        title: "An exception that allows nothing",
        why: "The finding it speaks of is no longer there, or the code is misspelled. Left where it is, it would hide the next \
              finding of its kind on that line.",
        bad: r#"
// hookgate: allow script/unused-parameter because the rules for it come next week
fn on_registration(_request) {
    allow()
}
"#,
        good: r#"
fn on_registration(_request) {
    allow()
}
"#,
        stage: Stage::Read,
    },
];
