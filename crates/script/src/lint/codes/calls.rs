//! Codes of calls and imports.

use crate::lint::codes::{Code, Stage};

pub(super) const CODES: &[Code] = &[
    Code {
        code: "script/unknown-function",
        title: "A function that is not there",
        why: "The functions are those of the script, those it imports, those of its hook and those of every script \
              (`hookgate docs` lists them). A command of another hook is not there either: each hook has its own, because each \
              call takes other answers.",
        bad: r#"
fn on_registration(request) {
    if request.email.domain == "rival.example" { return refuse("Please use another address."); }
    allow()
}
"#,
        good: r#"
fn on_registration(request) {
    if request.email.domain == "rival.example" { return deny_field("email", "Please use another address."); }
    allow()
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/wrong-arity",
        title: "Too many or too few arguments",
        why: "A function is found by its name and the number of its arguments, so this call would find none and fail.",
        bad: r#"
fn on_registration(_request) {
    deny_field("Please use another address.")
}
"#,
        good: r#"
fn on_registration(_request) {
    deny_field("email", "Please use another address.")
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/wrong-argument",
        title: "An argument of the wrong type",
        why: "A function is found by the types of its arguments, too: a number where text belongs is not turned into text, the call \
              fails. Often two arguments changed places.",
        bad: r#"
fn on_registration(_request) {
    deny_field("email", 5)
}
"#,
        good: r#"
fn on_registration(_request) {
    deny_field("email", "Please use another address.")
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/refused-argument",
        title: "A command that can only fail",
        why: "The gateway makes each command when the script calls its function, and refuses what the provider would not take. \
              With what is written here it refuses every time, so the call would always end in `on_failure`.",
        bad: r#"
fn on_registration(_request) {
    set_profile("password", "correct horse")
}
"#,
        good: r#"
fn on_registration(_request) {
    set_profile("source", "web")
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/eval",
        title: "`eval` is not available",
        why: "What a script does must be readable in its text: text that becomes code could come from whoever fills in a form.",
        bad: r#"
fn on_registration(request) {
    eval(request.profile.rule)
}
"#,
        good: r#"
fn on_registration(request) {
    if request.profile.rule == "closed" { deny_field("email", "Sign-up is closed.") } else { allow() }
}
"#,
        stage: Stage::Load,
    },
    Code {
        code: "script/import",
        title: "An import that leads nowhere",
        why: "Imports name files below the scripts folder, without `.rhai`, and may not go round in a circle. Nothing of the \
              bundle can be compiled until they lead somewhere.",
        bad: r#"
import "lib/domian" as domains;

fn on_registration(request) {
    let problem = domains::address_problem(request.email, "allow");
    if problem != () { return deny_field("email", problem); }
    allow()
}
"#,
        good: r#"
import "lib/domains" as domains;

fn on_registration(request) {
    let problem = domains::address_problem(request.email, "allow");
    if problem != () { return deny_field("email", problem); }
    allow()
}
"#,
        stage: Stage::Load,
    },
    Code {
        code: "script/unknown-connector",
        title: "A connector that is not configured",
        why: "Actions name a `[connectors.NAME]` of gateway.toml. Without it the action could never be done, and that would be \
              noticed only when it is needed. Names that a script computes are looked at when it returns them.",
        bad: r#"
fn on_registration(request) {
    [deny_field("email", "Sign-up is closed."), notify("chta", `somebody of ${request.email.domain} tried`)]
}
"#,
        good: r#"
fn on_registration(request) {
    [deny_field("email", "Sign-up is closed."), notify("chat", `somebody of ${request.email.domain} tried`)]
}
"#,
        stage: Stage::Load,
    },
    Code {
        code: "script/wrong-connector",
        title: "A connector that cannot do this",
        why: "The functions that look something up (`http`, `sql`, …) ask connectors of their own kind, and each kind takes some \
              actions: a chat takes `notify` and no `post`. One of another kind could never answer, or do it. Names that a script \
              computes are looked at when it asks, or returns the action.",
        bad: r#"
fn on_registration(request) {
    let found = http("chat").get("/blocked", #{ domain: request.email.domain });
    if found.ok { deny_field("email", "Sign-up is closed.") } else { allow() }
}
"#,
        good: r#"
fn on_registration(request) {
    let found = http("hr").get("/blocked", #{ domain: request.email.domain });
    if found.ok { deny_field("email", "Sign-up is closed.") } else { allow() }
}
"#,
        stage: Stage::Load,
    },
    Code {
        code: "script/sends-no-codes",
        title: "A connector that sends no codes",
        why: "`via` names a connector that sends a one-time code to a phone: one of kind `twilio`, `vonage`, `sns` or \
              `sms_template`. Through any other no code would arrive, and that would be noticed only when somebody waits for it.",
        bad: r#"
fn on_telephony(_request) {
    send([via("chat")])
}
"#,
        good: r#"
fn on_telephony(_request) {
    send([via("codes")])
}
"#,
        stage: Stage::Load,
    },
    Code {
        code: "script/nested-import",
        title: "An import inside a function",
        why: "An import at the top runs once, when the script is loaded. Inside a function it runs at every call.",
        bad: r#"
fn on_registration(request) {
    import "lib/domains" as domains;
    let problem = domains::address_problem(request.email, "allow");
    if problem != () { return deny_field("email", problem); }
    allow()
}
"#,
        good: r#"
import "lib/domains" as domains;

fn on_registration(request) {
    let problem = domains::address_problem(request.email, "allow");
    if problem != () { return deny_field("email", problem); }
    allow()
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/swapped-arguments",
        title: "Two texts in the wrong order",
        why: "Both are texts, so the call works and means something else: the person reads `email`, at a field that is not there. \
              The signature tells the order.",
        bad: r#"
fn on_registration(_request) {
    deny_field("Please use another address.", "email")
}
"#,
        good: r#"
fn on_registration(_request) {
    deny_field("email", "Please use another address.")
}
"#,
        stage: Stage::Read,
    },
];
