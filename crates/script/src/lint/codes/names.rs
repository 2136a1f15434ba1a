//! Codes of names: entry functions, variables, properties, modules.

use crate::lint::codes::{Code, Stage};

pub(super) const CODES: &[Code] = &[
    Code {
        code: "script/missing-entry",
        title: "The entry function is missing",
        why: "The gateway enters a script by the function that has the name of its hook. Without it there is nothing to call, \
              so the release is refused. Usually the name is misspelled, or the script is bound to a route of another hook.",
        bad: r#"
fn on_signup(request) {
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
        code: "script/entry-arity",
        title: "The entry function takes one parameter",
        why: "The gateway calls the entry function with the request and nothing else. A function of the same name with more or \
              fewer parameters is another function, which nobody calls.",
        bad: r#"
fn on_registration() {
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
        code: "script/two-entry-functions",
        title: "A script with two entry functions",
        why: "One script serves one hook, so that the name of the file tells what it is for and a mistake in it breaks one route. \
              What both hooks need goes to a file that both import.",
        bad: r#"
fn on_registration(_request) {
    allow()
}

fn on_token(_request) {
    refuse("not now")
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
        code: "script/unknown-variable",
        title: "A name that nothing has",
        why: "A variable is known from its `let` to the end of its block, and a function sees its own parameters and the constants \
              at the top only. Running this line would fail, and the caller would hear `on_failure`.",
        bad: r#"
fn on_registration(request) {
    if is_rival() { return deny_field("email", "Please use another address."); }
    allow()
}

fn is_rival() {
    request.email.domain == "rival.example"
}
"#,
        good: r#"
fn on_registration(request) {
    if is_rival(request) { return deny_field("email", "Please use another address."); }
    allow()
}

fn is_rival(request) {
    request.email.domain == "rival.example"
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/unknown-property",
        title: "A property that this value does not have",
        why: "What a request has is listed on the page of its hook (`hookgate docs HOOK`). A property that is not \
              there is an error when the line runs, not an empty value.",
        bad: r#"
fn on_registration(request) {
    if request.emial.domain == "rival.example" { return deny_field("email", "Please use another address."); }
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
        code: "script/suspicious-property",
        title: "A property that looks misspelled",
        why: "What a parameter of a function is cannot be known from reading, so any property may be there. But this name is one \
              letter away from a known one, and nothing known has it.",
        bad: r#"
fn on_registration(request) {
    if is_rival(request) { return deny_field("email", "Please use another address."); }
    allow()
}

fn is_rival(who) {
    who.emial.domain == "rival.example"
}
"#,
        good: r#"
fn on_registration(request) {
    if is_rival(request) { return deny_field("email", "Please use another address."); }
    allow()
}

fn is_rival(who) {
    who.email.domain == "rival.example"
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/unknown-module",
        title: "Nothing is imported by this name",
        why: "`name::function()` calls a function of another file, which must be imported by that name at the top.",
        bad: r#"
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
        stage: Stage::Read,
    },
    Code {
        code: "script/hides-builtin",
        title: "A function with the name of a built-in one",
        why: "A function of a script wins over one of the gateway or of Rhai everywhere in the file, also where the other is meant. \
              A function of your own called `deny` would keep every denial from reaching the provider.",
        bad: r#"
fn on_registration(request) {
    deny_field("email", `${request.email.domain} is not served`)
}

fn deny_field(field, text) {
    log(`${field}: ${text}`);
}
"#,
        good: r#"
fn on_registration(request) {
    logged_denial("email", `${request.email.domain} is not served`)
}

fn logged_denial(field, text) {
    log(`${field}: ${text}`);
    deny_field(field, text)
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/shadowed",
        title: "A variable that hides another",
        why: "Inside this block the name means the new variable, and what is done to it does not reach the outer one. Whoever \
              meant to change the outer variable leaves out `let`; whoever did not gives it another name. Making a new value \
              from the old one, as in `let email = email(email.text)`, is not complained about.",
        bad: r#"
fn on_registration(request) {
    let text = "Please use another address.";
    if request.profile.locale == "de" {
        let text = "Bitte verwenden Sie eine andere Adresse.";
        log(text);
    }
    deny_field("email", text)
}
"#,
        good: r#"
fn on_registration(request) {
    let text = "Please use another address.";
    if request.profile.locale == "de" {
        text = "Bitte verwenden Sie eine andere Adresse.";
        log(text);
    }
    deny_field("email", text)
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/duplicate-function",
        title: "Two functions of one name",
        why: "Files that import one another share their functions: with two of one name and number of parameters, one file would \
              call the other's. So the name must be unique among a script and everything it imports.",
        bad: r#"
import "lib/domains" as domains;

fn on_registration(request) {
    let problem = domains::address_problem(request.email, "allow") ?? address_problem(request.email, "x");
    if problem != () { return deny_field("email", problem); }
    allow()
}

fn address_problem(email, word) {
    if word in email.local { "Please use another address." }
}
"#,
        good: r#"
import "lib/domains" as domains;

fn on_registration(request) {
    let problem = domains::address_problem(request.email, "allow") ?? word_problem(request.email, "x");
    if problem != () { return deny_field("email", problem); }
    allow()
}

fn word_problem(email, word) {
    if word in email.local { "Please use another address." }
}
"#,
        stage: Stage::Load,
    },
];
