//! Codes of statements: what never runs, and what runs for nothing.

use crate::lint::codes::{Code, Stage};

pub(super) const CODES: &[Code] = &[
    Code {
        code: "script/top-level",
        title: "A statement outside every function",
        why: "The top of a script runs once, when it is loaded, before there is a request; functions see its constants only. \
              Nothing is kept from one call to the next.",
        bad: r#"
let closed = ["old.example"];

fn on_registration(request) {
    if request.email.domain_in(closed) { return deny_field("email", "Please use another address."); }
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
        code: "script/dropped-command",
        title: "A command that is returned nowhere",
        why: "A command does nothing by itself: the gateway does what the script returns. Usually `return` is missing, and a \
              denial that is not returned lets everybody in.",
        bad: r#"
fn on_registration(request) {
    if request.email.domain == "rival.example" {
        deny_field("email", "Please use another address.");
    }
    allow()
}
"#,
        good: r#"
fn on_registration(request) {
    if request.email.domain == "rival.example" {
        return deny_field("email", "Please use another address.");
    }
    allow()
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/no-effect",
        title: "A result that nobody uses",
        why: "The line computes something and drops it. Often `==` stands where `=` was meant, or the result of a function was to \
              be kept: most functions give a new value and leave the old one as it is.",
        bad: r#"
fn on_registration(request) {
    let field = "email";
    if request.email == () { field == "login"; }
    deny_field(field, "Sign-up is closed.")
}
"#,
        good: r#"
fn on_registration(request) {
    let field = "email";
    if request.email == () { field = "login"; }
    deny_field(field, "Sign-up is closed.")
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/unreachable",
        title: "A statement that never runs",
        why: "The statement before it always leaves: `return`, `throw`, `break` or `continue`. What stands here was probably meant \
              to run, or is left over.",
        bad: r#"
fn on_registration(request) {
    return allow();
    log("let in", #{ domain: request.email.domain });
}
"#,
        good: r#"
fn on_registration(request) {
    log("let in", #{ domain: request.email.domain });
    return allow();
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/constant-condition",
        title: "A condition that is always the same",
        why: "Nothing of the request can change what this condition says, so one side never runs. Often it is left over from a \
              try-out. Write a switch for later as a constant or a parameter, which is not complained about.",
        bad: r#"
fn on_registration(request) {
    if false && request.email.domain == "rival.example" {
        return deny_field("email", "Please use another address.");
    }
    allow()
}
"#,
        good: r#"
fn on_registration(request) {
    if params.strict == true && request.email.domain == "rival.example" {
        return deny_field("email", "Please use another address.");
    }
    allow()
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/duplicate-case",
        title: "A case that an earlier one takes",
        why: "`switch` takes the first case with this value, so the second never runs.",
        bad: r#"
fn on_registration(request) {
    switch request.kind {
        "progressive" => (),
        "progressive" => deny_field("email", "Sign-up is closed."),
        _ => allow(),
    }
}
"#,
        good: r#"
fn on_registration(request) {
    switch request.kind {
        "progressive" => (),
        "self_service" => deny_field("email", "Sign-up is closed."),
        _ => allow(),
    }
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/try-value",
        title: "`try` gives no value",
        why: "Unlike `if` and `switch`, `try` is no expression: the last value in it is dropped and the function returns nothing.",
        bad: r#"
fn on_registration(request) {
    try {
        deny_field("email", request.profile.note.text)
    } catch {
        allow()
    }
}
"#,
        good: r#"
fn on_registration(request) {
    try {
        return deny_field("email", request.profile.note.text);
    } catch {
        return allow();
    }
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/loop-for-lookup",
        title: "A loop that only looks for one value",
        why: "Comparing each entry in a loop costs time for every entry, at every call, and counts against the limits; `rows()` \
              refuses large tables altogether. `has` finds an entry in a table of any size at once, and `in` does it for lists.",
        bad: r#"
fn on_registration(request) {
    for domain in table("disposable").rows() {
        if domain == request.email.domain { return deny_field("email", "Please use another address."); }
    }
    allow()
}
"#,
        good: r#"
fn on_registration(request) {
    if table("disposable").has(request.email) { return deny_field("email", "Please use another address."); }
    allow()
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/condition",
        title: "A condition that is neither true nor false",
        why: "Rhai turns no other value into `true` or `false`: with a text, a number or a list as its condition the line fails. \
              Compare it: with `()`, with 0, or its `len()`.",
        bad: r#"
fn on_registration(request) {
    if request.login { return allow(); }
    deny_field("login", "Please choose a user name.")
}
"#,
        good: r#"
fn on_registration(request) {
    if request.login != () { return allow(); }
    deny_field("login", "Please choose a user name.")
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/filled-for-nothing",
        title: "A list that is filled and never used",
        why: "Commands were collected and not returned, so nothing happens: the last expression of the function must be the list.",
        bad: r#"
fn on_registration(_request) {
    let commands = [];
    commands.push(set_profile("userType", "partner"));
    commands.push(allow());
}
"#,
        good: r#"
fn on_registration(_request) {
    let commands = [];
    commands.push(set_profile("userType", "partner"));
    commands.push(allow());
    commands
}
"#,
        stage: Stage::Read,
    },
];
