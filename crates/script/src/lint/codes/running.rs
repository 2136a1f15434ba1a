//! Codes of what keeps a file from being read, and of what goes wrong in a call.

use crate::lint::codes::{Code, Stage};

pub(super) const CODES: &[Code] = &[
    Code {
        code: "script/syntax",
        title: "The text is no script",
        why: "Something is missing or too much, so that what follows cannot be understood: a quote, a bracket, a `;`. The place is \
              where reading stopped; the mistake is there or shortly before.",
        bad: r#"
fn on_registration(request) {
    if request.email.domain == "rival.example { return deny_field("email", "Please use another address."); }
    allow()
}
"#,
        good: r#"
fn on_registration(request) {
    if request.email.domain == "rival.example" { return deny_field("email", "Please use another address."); }
    allow()
}
"#,
        stage: Stage::Load,
    },
    Code {
        code: "script/reserved-name",
        title: "A name that is reserved",
        why: "Names that begin with `__hookgate` belong to the gateway. A function, variable, constant, parameter, property or import of a \
              script needs another name.",
        bad: r#"
const __hookgate_domains = ["rival.example"];
fn on_registration(request) {
    if request.email.domain in __hookgate_domains { return deny_field("email", "Please use another address."); }
    allow()
}
"#,
        good: r#"
const DOMAINS = ["rival.example"];
fn on_registration(request) {
    if request.email.domain in DOMAINS { return deny_field("email", "Please use another address."); }
    allow()
}
"#,
        stage: Stage::Load,
    },
    Code {
        code: "script/unreadable",
        title: "A script that cannot be read",
        why: "The file is no UTF-8 text, is larger than a script may be, or the gateway may not open it.",
        bad: "",
        good: "",
        stage: Stage::Load,
    },
    Code {
        code: "script/too-large",
        title: "A script that is too large",
        why: "A file may have 200,000 tokens (words and signs), and 512 variables may be in use at once. What is larger takes so long to \
              read that a release would not go live in time. Long lists belong in a table.",
        bad: "",
        good: "",
        stage: Stage::Load,
    },
    Code {
        code: "script/too-slow",
        title: "Scripts that take too long to load",
        why: "All scripts of a bundle together are read, checked and compiled within 30 seconds, which is enough for thousands of them. \
              Code that a program wrote can take longer: keep its data in tables.",
        bad: "",
        good: "",
        stage: Stage::Load,
    },
    Code {
        code: "script/missing",
        title: "A script that is not there",
        why: "Something names a script that is not in the scripts folder.",
        bad: "",
        good: "",
        stage: Stage::Load,
    },
    Code {
        code: "script/failed",
        title: "A line that did not work",
        why: "Something was not as the script expects: an index beyond the end, a value that is absent, text where a number belongs. \
              Ask before, or say with `??` what is used instead.",
        bad: r#"
fn on_registration(request) {
    let parts = request.email.local.split(".");
    set_profile("familyName", parts[7])
}
"#,
        good: r#"
fn on_registration(request) {
    let parts = request.email.local.split(".");
    if parts.len() > 7 { set_profile("familyName", parts[7]) } else { allow() }
}
"#,
        stage: Stage::Run,
    },
    Code {
        code: "script/thrown",
        title: "The script said `throw`",
        why: "`throw` ends the call, and the provider hears `on_failure`. It is meant for parameters that make no sense; a person \
              who shall read something gets a command.",
        bad: r#"
fn on_registration(request) {
    if request.email.domain == "mail.example" { throw "not served"; }
    allow()
}
"#,
        good: r#"
fn on_registration(request) {
    if request.email.domain == "mail.example" { return deny_field("email", "not served"); }
    allow()
}
"#,
        stage: Stage::Run,
    },
    Code {
        code: "script/limit",
        title: "A limit was reached",
        why: "A run has only so many operations, so much time, memory and depth (`[limits]`), so that no script can keep the \
              provider waiting. A loop that does not end is the usual reason, a loop over a large list the next.",
        bad: r#"
fn on_registration(request) {
    let text = request.email.local;
    while text.len() > 0 { text += "."; }
    allow()
}
"#,
        good: r#"
fn on_registration(request) {
    if request.email.local.len() > 64 { deny_field("email", "This address is too long.") } else { allow() }
}
"#,
        stage: Stage::Run,
    },
    Code {
        code: "script/not-set",
        title: "A value that is absent is used",
        why: "What a call does not carry is `()`, and so is an attribute that this person does not have: it has no properties and \
              cannot be calculated with. Give a default with `??`, or ask `!= ()` before.",
        bad: r#"
fn on_registration(request) {
    set_profile("attempts", request.profile.attempts + 1)
}
"#,
        good: r#"
fn on_registration(request) {
    set_profile("attempts", (request.profile.attempts ?? 0) + 1)
}
"#,
        stage: Stage::Run,
    },
    Code {
        code: "script/wrong-operand",
        title: "An operator between values that it does not take",
        why: "Only numbers are calculated with, and nothing is converted by itself: `\"42\" - 1` fails. Convert first, with \
              `parse_int(text)` or `number.to_string()`.",
        bad: r#"
fn on_registration(request) {
    let age = request.profile.age ?? "18";
    set_profile("yearsLeft", age - 10)
}
"#,
        good: r#"
fn on_registration(request) {
    let age = request.profile.age ?? "18";
    set_profile("yearsLeft", parse_int(age) - 10)
}
"#,
        stage: Stage::Run,
    },
    Code {
        code: "script/bad-command",
        title: "Something else than commands was returned",
        why: "An entry function returns one command, an array of commands, or nothing, and no two of them may contradict one \
              another. The last expression of a function is what it returns, so a `;` too few counts, too.",
        bad: r#"
fn on_registration(request) {
    request.email.domain == "partner.example"
}
"#,
        good: r#"
fn on_registration(request) {
    if request.email.domain == "partner.example" { allow() } else { deny_field("email", "For partners only.") }
}
"#,
        stage: Stage::Run,
    },
    Code {
        code: "script/panic",
        title: "A bug of the gateway",
        why: "A function of the gateway failed in a way that it should not. Only this call is affected; please report it with the \
              script and the line of the log before it.",
        bad: "",
        good: "",
        stage: Stage::Run,
    },
];
