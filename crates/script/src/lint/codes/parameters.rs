//! Codes of parameters: what a script declares and reads, and what `gateway.toml` gives.
//!
//! An example for `gateway.toml` begins with the line that stands there.

use crate::lint::codes::{Code, Stage};

pub(super) const CODES: &[Code] = &[
    Code {
        code: "script/parameter-declaration",
        title: "A declaration of parameters that cannot be read",
        why: "`const PARAMS = #{ … };` says which parameters a script takes. It is read and not run, so everything in it is written \
              out; each parameter has a type and one line of `text`.",
        bad: r#"
const PARAMS = #{
    partners: #{ type: "list of domian", text: "who may sign up" },
};

fn on_registration(request) {
    if request.email.domain_in(params.partners) { allow() }
}
"#,
        good: r#"
const PARAMS = #{
    partners: #{ type: "list of domain", if_absent: [], text: "who may sign up" },
};

fn on_registration(request) {
    if request.email.domain_in(params.partners) { allow() }
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/undeclared-parameter",
        title: "A parameter that the script reads and does not declare",
        why: "A release is refused for a parameter that its script does not declare, so nobody can ever set this one: it is always \
              absent.",
        bad: r#"
const PARAMS = #{
    partners: #{ type: "list of domain", if_absent: [], text: "who may sign up" },
};

fn on_registration(request) {
    if request.email.domain_in(params.partners) { return allow(); }
    if params.strict { deny_field("email", "Sign-up is closed.") }
}
"#,
        good: r#"
const PARAMS = #{
    partners: #{ type: "list of domain", if_absent: [], text: "who may sign up" },
    strict: #{ type: "bool", if_absent: false, text: "nobody else may" },
};

fn on_registration(request) {
    if request.email.domain_in(params.partners) { return allow(); }
    if params.strict { deny_field("email", "Sign-up is closed.") }
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/unread-parameter",
        title: "A declared parameter that nothing reads",
        why: "Whoever sets it believes that it has an effect.",
        bad: r#"
const PARAMS = #{
    partners: #{ type: "list of domain", if_absent: [], text: "who may sign up" },
    strict: #{ type: "bool", if_absent: false, text: "nobody else may" },
};

fn on_registration(request) {
    if request.email.domain_in(params.partners) { allow() }
}
"#,
        good: r#"
const PARAMS = #{
    partners: #{ type: "list of domain", if_absent: [], text: "who may sign up" },
};

fn on_registration(request) {
    if request.email.domain_in(params.partners) { allow() }
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "config/unknown-parameter",
        title: "A parameter that its script does not declare",
        why: "It has no effect, and the one that was meant has its default. Often the name is misspelled.",
        bad: r#"
// gateway.toml: params = { partner = ["a.example"] }
const PARAMS = #{
    partners: #{ type: "list of domain", if_absent: [], text: "who may sign up" },
};

fn on_registration(request) {
    if request.email.domain_in(params.partners) { allow() }
}
"#,
        good: r#"
// gateway.toml: params = { partners = ["a.example"] }
const PARAMS = #{
    partners: #{ type: "list of domain", if_absent: [], text: "who may sign up" },
};

fn on_registration(request) {
    if request.email.domain_in(params.partners) { allow() }
}
"#,
        stage: Stage::Load,
    },
    Code {
        code: "config/missing-parameter",
        title: "A parameter that its script needs",
        why: "The script declares it as `required`: it cannot do its work without it.",
        bad: r#"
// gateway.toml: params = {}
const PARAMS = #{
    partners: #{ type: "list of domain", required: true, text: "who may sign up" },
};

fn on_registration(request) {
    if request.email.domain_in(params.partners) { allow() }
}
"#,
        good: r#"
// gateway.toml: params = { partners = ["a.example"] }
const PARAMS = #{
    partners: #{ type: "list of domain", required: true, text: "who may sign up" },
};

fn on_registration(request) {
    if request.email.domain_in(params.partners) { allow() }
}
"#,
        stage: Stage::Load,
    },
    Code {
        code: "config/wrong-parameter",
        title: "A parameter with a value that its script does not take",
        why: "The script declares another type, other words or other bounds, or the value names a connector or a table that there is \
              not. Found now, and not at the first call.",
        bad: r#"
// gateway.toml: params = { mode = "dney" }
const PARAMS = #{
    mode: #{ words: ["allow", "deny"], if_absent: "deny", text: "what happens to everybody" },
};

fn on_registration(_request) {
    if params.mode == "deny" { return deny_field("email", "Sign-up is closed."); }
    allow()
}
"#,
        good: r#"
// gateway.toml: params = { mode = "deny" }
const PARAMS = #{
    mode: #{ words: ["allow", "deny"], if_absent: "deny", text: "what happens to everybody" },
};

fn on_registration(_request) {
    if params.mode == "deny" { return deny_field("email", "Sign-up is closed."); }
    allow()
}
"#,
        stage: Stage::Load,
    },
    Code {
        code: "config/unused-parameter",
        title: "A parameter that no script reads",
        why: "It has no effect. Found for scripts that declare no parameters, by what they read.",
        bad: r#"
// gateway.toml: params = { partner = ["a.example"] }
fn on_registration(request) {
    if request.email.domain_in(params.partners ?? []) { allow() }
}
"#,
        good: r#"
// gateway.toml: params = { partners = ["a.example"] }
fn on_registration(request) {
    if request.email.domain_in(params.partners ?? []) { allow() }
}
"#,
        stage: Stage::Load,
    },
];
