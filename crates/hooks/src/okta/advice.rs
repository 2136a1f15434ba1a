//! What several of Okta's hooks know of their commands: the codes, and the refusals that have one.

use hookgate_script::lint::advice::Refusal;
use hookgate_script::lint::codes::{Code, Stage};

pub(crate) const EMPTY_TEXT: Code = Code {
    code: "script/empty-text",
    title: "A refusal without a text",
    why: "The text is all that somebody learns: the person at the form, the client, or the administrator who reads the System Log. \
          The gateway makes no such command, so the call would end in `on_failure`.",
    bad: r#"
fn on_token(request) {
    if request.access_token == () { return refuse(""); }
}
"#,
    good: r#"
fn on_token(request) {
    if request.access_token == () { return refuse("Ask for an access token."); }
}
"#,
    stage: Stage::Read,
};

pub(crate) const LIFETIME: Code = Code {
    code: "script/lifetime",
    title: "A lifetime that Okta does not take",
    why: "Okta voids the whole answer when a lifetime is out of its range, and only administrators learn of it. So the gateway makes \
          no such command: the call would end in `on_failure`.",
    bad: r#"
fn on_token(request) {
    if request.access_token != () { access_token.set_lifetime(60) }
}
"#,
    good: r#"
fn on_token(request) {
    if request.access_token != () { access_token.set_lifetime(600) }
}
"#,
    stage: Stage::Read,
};

pub(crate) const IGNORED_COMMANDS: Code = Code {
    code: "script/ignored-commands",
    title: "Commands beside a refusal",
    why: "Okta runs no command of an answer that carries an error. What stands beside the refusal is never done; if it should be, \
          the refusal does not belong here.",
    bad: r#"
fn on_token(request) {
    if request.access_token == () {
        return [refuse("Ask for an access token."), id_token.add_claim("asked", true)];
    }
}
"#,
    good: r#"
fn on_token(request) {
    if request.access_token == () { return refuse("Ask for an access token."); }
}
"#,
    stage: Stage::Read,
};

pub(crate) const CONFLICTING_COMMANDS: Code = Code {
    code: "script/conflicting-commands",
    title: "Commands that exclude one another",
    why: "Okta can do one of these things, not both, and it is not for the gateway to choose: it refuses the answer, and the call \
          ends in `on_failure`.",
    bad: r#"
fn on_registration(_request) {
    [allow(), deny_field("email", "Please use another address.")]
}
"#,
    good: r#"
fn on_registration(request) {
    if request.email.domain == "rival.example" { return deny_field("email", "Please use another address."); }
    allow()
}
"#,
    stage: Stage::Read,
};

/// What a refusal of a text says.
pub(super) const NO_TEXT: Refusal = Refusal { says: "needs a text", code: EMPTY_TEXT.code };
