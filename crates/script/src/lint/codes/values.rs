//! Codes of values: comparisons, texts, patterns, and what cannot be changed.

use crate::lint::codes::{Code, Stage};

pub(super) const CODES: &[Code] = &[
    Code {
        code: "script/comparison",
        title: "A comparison that is always false",
        why: "Values of different types are never equal, and nobody is told: the condition just never holds. Compare like with \
              like, or turn one into the type of the other. A value that is absent is `()`.",
        bad: r#"
fn on_registration(request) {
    if request.email.domain == 5 { return deny_field("email", "Please use another address."); }
    allow()
}
"#,
        good: r#"
fn on_registration(request) {
    if request.email.domain.len() == 5 { return deny_field("email", "Please use another address."); }
    allow()
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/interpolation",
        title: "`${…}` between double quotes",
        why: "Values are put into texts between backticks only. Between double quotes people would read the braces themselves.",
        bad: r#"
fn on_registration(_request) {
    deny_field("email", "${request.email.domain} is not served")
}
"#,
        good: r#"
fn on_registration(request) {
    deny_field("email", `${request.email.domain} is not served`)
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/email-text",
        title: "An e-mail address checked as a text",
        why: "An address has more spellings than one: upper case, blanks, `\"a@b\"@c`, international domains. And \
              `ends_with(\"example.com\")` lets `evilexample.com` in. `.domain` is in one checked form, and `.domain_in` compares \
              whole labels.",
        bad: r#"
fn on_registration(request) {
    if request.email.text.ends_with("@example.com") { return allow(); }
    deny_field("email", "Please use your company's address.")
}
"#,
        good: r#"
fn on_registration(request) {
    if request.email.domain_in(["example.com"]) { return allow(); }
    deny_field("email", "Please use your company's address.")
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/regex",
        title: "A pattern that is no regular expression",
        why: "The pattern is compiled when the line runs, and that would fail at every call. Look-around and back-references are \
              not there on purpose: without them no text can make matching slow.",
        bad: r#"
fn on_registration(request) {
    if matches(request.login ?? "", "^[a-z+$") { return allow(); }
    deny_field("login", "Please use small letters.")
}
"#,
        good: r#"
fn on_registration(request) {
    if matches(request.login ?? "", "^[a-z]+$") { return allow(); }
    deny_field("login", "Please use small letters.")
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/hash",
        title: "A hash that cannot be verified",
        why: "A hash in a script is usually the example for `verify_nothing`, which makes unknown users take as long as others. \
              One that is cut off, of no known format or too costly fails at every call, for those users alone.",
        bad: r#"
fn on_password_import(request) {
    let hash = table("legacy_users").get(request.username)?.hash;
    let right = if hash == () {
        request.password.verify_nothing("$2y$10$hS3yq0mVb1tJr7XwZc9L4u")
    } else {
        request.password.verifies(hash)
    };
    if right { verified() } else { unverified() }
}
"#,
        good: r#"
fn on_password_import(request) {
    let hash = table("legacy_users").get(request.username)?.hash;
    let right = if hash == () {
        request.password.verify_nothing("$2y$10$hS3yq0mVb1tJr7XwZc9L4uQ7btHfDbzbAyX8LuaIK4cD/c53wIYdG")
    } else {
        request.password.verifies(hash)
    };
    if right { verified() } else { unverified() }
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/regex-never-matches",
        title: "A pattern that no text can match",
        why: "Something stands before `^` or after `$`, or a class has no letters in it, so the answer is always no. `^` and `$` \
              mean the ends of the whole text; as plain characters they are written `\\^` and `\\$`.",
        bad: r#"
fn on_registration(request) {
    if matches(request.login ?? "", "[a-z]+$@example") { return allow(); }
    deny_field("login", "Please use small letters.")
}
"#,
        good: r#"
fn on_registration(request) {
    if matches(request.login ?? "", "^[a-z]+@example") { return allow(); }
    deny_field("login", "Please use small letters.")
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/read-only",
        title: "A request cannot be changed",
        why: "What a script returns counts, not what it does to its request. To change something at the provider, return a \
              command; to work on a value, make a copy.",
        bad: r#"
fn on_registration(request) {
    request.profile.department = "sales";
    allow()
}
"#,
        good: r#"
fn on_registration(_request) {
    [allow(), set_profile("department", "sales")]
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/constant-assigned",
        title: "A constant cannot be changed",
        why: "Constants are made once, when the script is loaded, and shared by all calls. Nothing is kept from one call to the \
              next, so there is no counting across calls either.",
        bad: r#"
const LIMIT = 20;

fn on_registration(request) {
    if request.kind == "progressive" { LIMIT = 40; }
    if request.email.local.len() > LIMIT { return deny_field("email", "This address is too long."); }
    allow()
}
"#,
        good: r#"
const LIMIT = 20;

fn on_registration(request) {
    let most = if request.kind == "progressive" { 40 } else { LIMIT };
    if request.email.local.len() > most { return deny_field("email", "This address is too long."); }
    allow()
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/bitwise",
        title: "`&` or `|` between conditions",
        why: "They work out both sides, even where the first decides, so `x != () & x.domain == …` fails where `x` is absent. `&&` \
              and `||` stop as soon as they know.",
        bad: r#"
fn on_registration(request) {
    if request.email != () & request.email.domain == "partner.example" { return allow(); }
    deny_field("email", "For partners only.")
}
"#,
        good: r#"
fn on_registration(request) {
    if request.email != () && request.email.domain == "partner.example" { return allow(); }
    deny_field("email", "For partners only.")
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/text-plus-number",
        title: "A number is appended to a text",
        why: "`+` with a text on one side puts the two behind one another: `\"41\" + 1` is `\"411\"`. To count, make a number of the \
              text first; to build a text, write `${…}` between backticks.",
        bad: r#"
fn on_registration(_request) {
    let age = "41";
    set_profile("age", age + 1)
}
"#,
        good: r#"
fn on_registration(_request) {
    let age = "41";
    set_profile("age", parse_int(age) + 1)
}
"#,
        stage: Stage::Read,
    },
    Code {
        code: "script/absent-compared",
        title: "An attribute that may be absent is compared by size",
        why: "`()` is neither smaller nor larger than anything, so the condition is false without an error for everybody who lacks \
              the attribute. Say with `??` what counts then, or ask `!= ()` first.",
        bad: r#"
fn on_registration(request) {
    if request.profile.age < 18 { return deny_field("age", "Adults only."); }
    allow()
}
"#,
        good: r#"
fn on_registration(request) {
    if (request.profile.age ?? 0) < 18 { return deny_field("age", "Adults only."); }
    allow()
}
"#,
        stage: Stage::Read,
    },
];
