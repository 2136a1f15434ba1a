//! Every check with the exact words an author sees.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::lint::sample::{check_ast, checked, engine, entry};
use crate::lint::{ModuleFacts, link};
use hookgate_model::finding::{Finding, Severity};

fn lines(findings: &[Finding]) -> Vec<String> {
    let level = |finding: &Finding| if finding.severity == Severity::Error { "error" } else { "warning" };
    findings.iter().map(|finding| format!("{} {} {}", level(finding), finding.code, finding.one_line())).collect()
}

const CASES: &[(&str, &[&str])] = &[
    (
        "fn on_registration(request) { () }",
        &[
            "error script/missing-entry signup.rhai:1:4: `acme.signup` calls `on_signup`, which this script does not define (rename `on_registration` to `on_signup`, or add `fn on_signup(request) { … }`)",
            "warning script/unused-parameter signup.rhai:1:20: parameter `request` is never used (remove it, or call it `_request`)",
        ],
    ),
    (
        "fn on_singup(request) { allow() }",
        &[
            "error script/missing-entry signup.rhai:1:4: `acme.signup` calls `on_signup`, which this script does not define (rename `on_singup` to `on_signup`)",
            "warning script/unused-parameter signup.rhai:1:14: parameter `request` is never used (remove it, or call it `_request`)",
        ],
    ),
    (
        "fn on_token(request) { allow() }",
        &[
            "error script/missing-entry signup.rhai:1:4: `acme.signup` calls `on_signup`, which this script does not define (`on_token` is the entry function of `acme.token`: bind this script to a route of that hook)",
        ],
    ),
    (
        "fn on_signup(request) { request.id2(); } fn on_token(request) { allow() }",
        &[
            "error script/unknown-function signup.rhai:1:33: a SignupRequest has no method `id2` (it has `email`, `user`, `profile` and `groups`)",
            "error script/two-entry-functions signup.rhai:1:45: `on_token` is the entry function of `acme.token`; this script already has `on_signup` (one script serves one hook: move it to a file of its own)",
            "warning script/unused-parameter signup.rhai:1:54: parameter `request` is never used (remove it, or call it `_request`)",
        ],
    ),
    (
        "fn on_signup() { allow() }",
        &[
            "error script/entry-arity signup.rhai:1:4: `on_signup` takes one parameter, the request; here it has 0 (write `fn on_signup(request)`)",
        ],
    ),
    (
        "fn on_signup(request) { request } fn on_signup(request, extra) { [request, extra] }",
        &[
            "error script/two-entry-functions signup.rhai:1:38: `on_signup` is defined twice with different parameters (keep the one with one parameter)",
        ],
    ),
    (
        "fn on_signup(request) { denny(request.email.text) }",
        &["error script/unknown-function signup.rhai:1:25: unknown function `denny` (did you mean `deny`?)"],
    ),
    (
        "fn on_signup(request) { if request.user.id == \"\" { return refuse(\"x\"); } }",
        &[
            "error script/unknown-function signup.rhai:1:59: `refuse` is a command of `acme.token`, not of this hook (this hook has `allow` and `deny`)",
        ],
    ),
    (
        "fn on_signup(request) { deny(request.email.text.toLowerCase()) }",
        &["error script/unknown-function signup.rhai:1:49: unknown function `toLowerCase` (did you mean `to_lower`?)"],
    ),
    (
        "fn on_signup(request) { deny(request.email.to_lower()) }",
        &[
            "error script/unknown-function signup.rhai:1:44: an Email has no method `to_lower` (it has `domain_in`, `domain` and `text`; for its text write `.text.to_lower(…)`)",
        ],
    ),
    (
        "fn on_signup(request) { request.email.domain_on([\"a\"]) }",
        &[
            "error script/unknown-function signup.rhai:1:39: an Email has no method `domain_on` (did you mean `domain_in`?)",
        ],
    ),
    (
        "fn on_signup(request) { request.email.domain_in() }",
        &[
            "error script/wrong-arity signup.rhai:1:39: `domain_in` is called with 0 arguments (it is `Email.domain_in(list: array)`)",
        ],
    ),
    (
        "fn on_signup(request) { if request.email.domain() == \"x\" { deny(\"x\") } }",
        &[
            "error script/unknown-function signup.rhai:1:42: an Email has no method `domain` (it is a property: write `.domain` without parentheses)",
        ],
    ),
    (
        "fn on_signup(request) { if request.email.domain_in { deny(\"x\") } }",
        &[
            "error script/unknown-property signup.rhai:1:42: `request.email` has no property `domain_in` (it is a method: write `request.email.domain_in(…)`)",
        ],
    ),
    (
        "fn on_signup(request) { deny(request.email.text, 5) }",
        &["error script/wrong-arity signup.rhai:1:25: `deny` is called with 2 arguments (it is `deny(text: string)`)"],
    ),
    (
        "fn on_signup(request) { deny(5) }",
        &[
            "warning script/unused-parameter signup.rhai:1:14: parameter `request` is never used (remove it, or call it `_request`)",
            "error script/wrong-argument signup.rhai:1:25: `deny` does not take (integer) (it is `deny(text: string)`)",
        ],
    ),
    (
        "fn on_signup(request) { helper(request, 1) } fn helper(request) { request.x }",
        &["error script/wrong-arity signup.rhai:1:25: `helper` is called with 2 arguments (it is `helper(request)`)"],
    ),
    (
        "fn on_signup(request) { if request.emial == () { allow() } }",
        &["error script/unknown-property signup.rhai:1:36: `request` has no property `emial` (did you mean `email`?)"],
    ),
    (
        "fn on_signup(request) { request.email.domian }",
        &[
            "error script/unknown-property signup.rhai:1:39: `request.email` has no property `domian` (did you mean `domain`?)",
        ],
    ),
    (
        "fn on_signup(request) { let mail = request.email; mail.host }",
        &["error script/unknown-property signup.rhai:1:56: `mail` has no property `host` (it has `domain` and `text`)"],
    ),
    (
        "fn on_signup(request) { helper(request) } fn helper(r) { r.emial }",
        &[
            "warning script/suspicious-property signup.rhai:1:60: nothing that is known here has a property `emial` (did you mean `email`?)",
        ],
    ),
    (
        "fn on_signup(request) { request.user.age.years }",
        &["error script/unknown-property signup.rhai:1:42: an integer has no property `years`"],
    ),
    (
        "fn on_signup(request) { request.email.text.length }",
        &[
            "error script/unknown-property signup.rhai:1:44: a string has no property `length` (it is a method: write `.len()`)",
        ],
    ),
    (
        "fn on_signup(request) { request.email = \"x\"; }",
        &[
            "error script/read-only signup.rhai:1:33: `request.email` cannot be changed (a request is read-only: return a command instead, or change a copy (`let copy = …;`))",
        ],
    ),
    (
        "fn on_signup(request) { request.profile.name = \"x\"; }",
        &[
            "error script/read-only signup.rhai:1:41: `request.profile.name` cannot be changed (a request is read-only: return a command instead, or change a copy (`let copy = …;`))",
        ],
    ),
    (
        "fn on_signup(request) { request.groups.push(\"x\"); }",
        &[
            "error script/read-only signup.rhai:1:40: `request.groups` cannot be changed (a request is read-only: return a command instead, or change a copy (`let copy = …;`))",
        ],
    ),
    (
        "fn on_signup(request) { let domian = request.email.domain; deny(domain) }",
        &["error script/unknown-variable signup.rhai:1:65: unknown variable `domain` (did you mean `domian`?)"],
    ),
    (
        "fn on_signup(request) { helper() + request.email.text } fn helper() { request.email }",
        &[
            "error script/unknown-variable signup.rhai:1:71: unknown variable `request` (a function sees only its parameters: pass `request` to it)",
        ],
    ),
    (
        "const LIMIT = 5; fn on_signup(request) { if request.user.age > LIMITS { deny(\"x\") } }",
        &[
            "warning script/unused-constant signup.rhai:1:7: constant `LIMIT` is never used",
            "error script/unknown-variable signup.rhai:1:64: unknown variable `LIMITS` (did you mean `LIMIT`?)",
        ],
    ),
    (
        "const LIMIT = 5; fn on_signup(request) { LIMIT = request.user.age; }",
        &[
            "warning script/unused-constant signup.rhai:1:7: constant `LIMIT` is never used",
            "error script/constant-assigned signup.rhai:1:42: constant `LIMIT` cannot be changed (use a variable inside the function: nothing is kept from one call to the next)",
        ],
    ),
    (
        "let limit = 5; fn on_signup(request) { if request.user.age > limit { deny(\"x\") } }",
        &[
            "error script/top-level signup.rhai:1:1: `let limit` outside a function cannot be seen by any function (write `const limit = …`)",
        ],
    ),
    (
        "fn on_signup(request) { if request.user == None { allow() } }",
        &["error script/unknown-variable signup.rhai:1:44: unknown variable `None` (nothing is written `()`)"],
    ),
    (
        "fn on_signup(request) { domain::is_partner(request.email.domain) }",
        &[
            "error script/unknown-module signup.rhai:1:25: nothing is imported as `domain` (write `import \"lib/domain\" as domain;` at the top)",
        ],
    ),
    (
        "import \"lib/domains\" as domains; fn on_signup(request) { domains::is_partnr(request.email.domain) }",
        &[
            "error script/unknown-function signup.rhai:1:67: `lib/domains.rhai` has no function `is_partnr` (did you mean `is_partner`?)",
        ],
    ),
    (
        "import \"lib/domains\" as domains; fn on_signup(request) { domains::is_partner() + request.email.text }",
        &[
            "error script/wrong-arity signup.rhai:1:67: `domains::is_partner` is called with 0 arguments (in `lib/domains.rhai` it takes 1)",
        ],
    ),
    (
        "import \"lib/domains\" as domains; fn on_signup(request) { request.email.domain in domains::PARTNER }",
        &[
            "error script/unknown-variable signup.rhai:1:91: `lib/domains.rhai` has no constant `PARTNER` (did you mean `PARTNERS`?)",
        ],
    ),
    (
        "import \"lib/domains\" as domains; fn on_signup(request) { request.email }",
        &["warning script/unused-import signup.rhai:1:25: import `domains` is never used"],
    ),
    (
        "fn on_signup(request) { import \"lib/domains\" as domains; domains::is_partner(request.email.domain) }",
        &[
            "warning script/nested-import signup.rhai:1:25: this `import` runs again at every call (move it to the top of the file)",
        ],
    ),
    (
        "fn deny(text) { text } fn on_signup(request) { deny(request.email.text) }",
        &[
            "error script/hides-builtin signup.rhai:1:4: this function hides the built-in `deny(text: string)` (give `deny` another name)",
        ],
    ),
    (
        "fn len(x) { x } fn on_signup(request) { len(request.email.text) }",
        &[
            "error script/hides-builtin signup.rhai:1:4: this function hides Rhai's own `len` with 1 argument (give `len` another name)",
        ],
    ),
    (
        "fn on_signup(request) { request.email } fn unused(x) { x }",
        &["warning script/unused-function signup.rhai:1:44: function `unused` is never called"],
    ),
    (
        "const UNUSED = 1; fn on_signup(request) { request.email }",
        &["warning script/unused-constant signup.rhai:1:7: constant `UNUSED` is never used"],
    ),
    (
        "fn on_signup(request) { let unused = 1; request.email }",
        &[
            "warning script/unused-variable signup.rhai:1:29: variable `unused` is never used (remove it, or call it `_unused`)",
        ],
    ),
    (
        "fn on_signup(request) { 5 }",
        &[
            "warning script/unused-parameter signup.rhai:1:14: parameter `request` is never used (remove it, or call it `_request`)",
        ],
    ),
    (
        "fn on_signup(request) { helper(request, 1) } fn helper(request, extra) { request }",
        &[
            "warning script/unused-parameter signup.rhai:1:65: parameter `extra` is never used (remove it, or call it `_extra`)",
        ],
    ),
    (
        "fn on_signup(request) { return request; deny(\"x\") }",
        &[
            "warning script/unreachable signup.rhai:1:41: this can never run: the statement before it always leaves (remove it, or move it before that statement)",
        ],
    ),
    (
        "fn on_signup(request) { for group in request.groups { break; log(group); } }",
        &[
            "warning script/unreachable signup.rhai:1:62: this can never run: the statement before it always leaves (remove it, or move it before that statement)",
        ],
    ),
    (
        "fn on_signup(request) { if request.email.domain == 5 { deny(\"x\") } }",
        &[
            "warning script/comparison signup.rhai:1:49: comparing a string with an integer is always false (convert first: `parse_int(text)`)",
        ],
    ),
    (
        "fn on_signup(request) { for group in request.groups { if group == 1 { log(group); } } }",
        &[
            "warning script/comparison signup.rhai:1:64: comparing a string with an integer is always false (convert first: `parse_int(text)`)",
        ],
    ),
    (
        "fn on_signup(request) { if request.profile == \"x\" || request.email == 5 { allow() } }",
        &[
            "warning script/comparison signup.rhai:1:44: comparing a map with a string is always false",
            "warning script/comparison signup.rhai:1:68: comparing an Email with an integer is always false",
        ],
    ),
    (
        "fn on_signup(request) { for group in request.groups { if group == \"a\" { return deny(\"x\"); } } }",
        &[
            "warning script/loop-for-lookup signup.rhai:1:29: this loop only looks for one value (write `if value in list { … }`)",
        ],
    ),
    (
        "fn on_signup(request) { let found = false; for name in params.names ?? [] { if request.email.domain == name { found = true; break; } } found }",
        &[
            "warning script/loop-for-lookup signup.rhai:1:48: this loop only looks for one value (write `if value in list { … }`)",
        ],
    ),
    (
        "fn on_signup(request) { let domain = request.email.domain; if request.user == () { let domain = \"x\"; log(domain); } domain }",
        &[
            "warning script/shadowed signup.rhai:1:88: `domain` hides the variable of an outer block of this name (to change that one, write `domain = …` without `let`; else use another name)",
        ],
    ),
    (
        "fn on_signup(request) { let helper = 1; helper(request) + helper } fn helper(request) { let request = 1; request }",
        &[
            "warning script/shadowed signup.rhai:1:29: `helper` hides the function of this name (give it another name)",
            "warning script/unused-parameter signup.rhai:1:78: parameter `request` is never used (remove it, or call it `_request`)",
            "warning script/shadowed signup.rhai:1:93: `request` hides the parameter of this name (give it another name)",
        ],
    ),
    (
        "const LIMIT = 1; fn on_signup(request) { let LIMIT = request.user.age + 1; LIMIT } fn other() { LIMIT }",
        &[
            "warning script/shadowed signup.rhai:1:46: `LIMIT` hides the constant at the top of this name (give it another name)",
            "warning script/unused-function signup.rhai:1:87: function `other` is never called",
        ],
    ),
    (
        "fn on_signup(request) { request.email.text.split(\"@\")[1] }",
        &[
            "warning script/email-text signup.rhai:1:44: `split` looks at letters, and an address has more than one spelling (use `.domain` or `.local`)",
        ],
    ),
    (
        "fn on_signup(request) { request.email.text.ends_with(\"@a.example\") || \"@a.example\" in request.profile.login }",
        &[
            "warning script/email-text signup.rhai:1:44: `ends_with` looks at letters, and an address has more than one spelling (write `.domain_in([\"a.example\"])`; `\"*.a.example\"` stands for its subdomains)",
            "warning script/email-text signup.rhai:1:84: `in` looks at letters, and an address has more than one spelling (write `email(text).domain_in([\"a.example\"])`; `\"*.a.example\"` stands for its subdomains)",
        ],
    ),
    (
        "fn on_signup(request) { request.email.domain.ends_with(\".example\") }",
        &[
            "warning script/email-text signup.rhai:1:46: `ends_with` looks at letters, and an address has more than one spelling (write `.domain_in([\"*.example\"])`)",
        ],
    ),
    (
        "const CODE = \"a$b\"; fn on_signup(request) { request.email.text.matches(CODE) || matches(request.email.text, \"[a\") }",
        &[
            "warning script/regex-never-matches signup.rhai:1:72: no text can match `a$b` (`^` and `$` are the ends of the text; as characters write `\\\\^` and `\\\\$`)",
            "error script/regex signup.rhai:1:109: `[a` is not a regular expression: unclosed character class (look-around and back-references are not there; `\\\\` in a text makes one `\\`)",
        ],
    ),
    (
        "fn on_signup(request) { if true || request.user.id == \"7\" { allow() } else if 1 != 1 { deny(\"x\") } }",
        &[
            "warning script/constant-condition signup.rhai:1:28: this condition is always true (write a switch for later as a constant or a parameter)",
            "warning script/constant-condition signup.rhai:1:79: this condition is always false (write a switch for later as a constant or a parameter)",
        ],
    ),
    (
        "fn on_signup(request) { request.email.text == request.email.text }",
        &[
            "warning script/constant-condition signup.rhai:1:44: `request.email.text` is compared with itself, which is always true",
        ],
    ),
    (
        "fn on_signup(request) { deny(request.email.text); allow() }",
        &[
            "error script/dropped-command signup.rhai:1:25: the command of `deny` is returned nowhere, so nothing happens (did you forget `return`?)",
        ],
    ),
    (
        "fn on_signup(request) { if request.user == () { deny(\"x\") } allow() }",
        &[
            "error script/dropped-command signup.rhai:1:49: the command of `deny` is returned nowhere, so nothing happens (did you forget `return`?)",
        ],
    ),
    (
        "fn on_signup(request) { request.email.domain == \"x\"; allow() }",
        &[
            "warning script/no-effect signup.rhai:1:25: the result of `==` is not used (an assignment is written with one `=`)",
        ],
    ),
    (
        "fn on_signup(request) { matches(request.email.text, \"a\"); allow() }",
        &["warning script/no-effect signup.rhai:1:25: the result of `matches` is not used"],
    ),
    (
        "fn on_signup(request) { request.email; allow() }",
        &["warning script/no-effect signup.rhai:1:25: reading `email` has no effect"],
    ),
    (
        "fn on_signup(request) { switch request.email.domain { \"a\" => deny(\"x\"), \"a\" => deny(\"y\"), _ => allow() } }",
        &[
            "warning script/duplicate-case signup.rhai:1:80: this case can never run: an earlier case has the same value",
        ],
    ),
    (
        "fn on_signup(request) { try { lookup(request.email.text) } catch { allow() } }",
        &[
            "warning script/try-value signup.rhai:1:25: `try` gives no value (write `return …` inside it, or assign to a variable declared before it)",
        ],
    ),
    (
        "fn on_signup(request) { deny(\"no ${request.email}\") }",
        &[
            "warning script/interpolation signup.rhai:1:30: `${…}` is plain text between double quotes (use backticks: `text ${value}`)",
        ],
    ),
    (
        "fn on_signup(request) { eval(\"deny(1)\"); request }",
        &[
            "error script/eval signup.rhai:1:25: `eval` is not available: what a script does must be readable in its text",
        ],
    ),
    (
        "log(\"x\"); fn on_signup(request) { request }",
        &[
            "error script/top-level signup.rhai:1:1: only `const`, `import` and `fn` may stand outside functions (the top of a script runs once, at load: move this into a function)",
        ],
    ),
    (
        "fn on_signup(request) { Fn(\"helpr\").call(request) } fn helper(x) { x }",
        &[
            "error script/unknown-function signup.rhai:1:28: unknown function `helpr` (did you mean `helper`?)",
            "warning script/unused-function signup.rhai:1:56: function `helper` is never called",
        ],
    ),
    (
        "fn on_signup(request) { let f = |x| x.text; f(request.email) }",
        &[
            "error script/unknown-function signup.rhai:1:45: unknown function `f` (`f` is a variable; if it holds a function, write `f.call(…)`)",
        ],
    ),
    (
        "fn on_signup(request) { request.groups.filter(|group| group == wanted) }",
        &["error script/unknown-variable signup.rhai:1:64: unknown variable `wanted`"],
    ),
    (
        "fn on_signup(request) { \"abc\".to_upper(1) + request.email.text }",
        &["error script/wrong-arity signup.rhai:1:31: `to_upper` is called with 1 argument (it takes 0 here)"],
    ),
];

/// What looks like a silent mistake and is none.
const NEAR_MISSES: &[&str] = &[
    "fn on_signup(request) { let list = []; if request.email.domain != \"x.example\" { list.push(allow()); } list }",
    "fn on_signup(request) { let list = []; let all = loop { list.push(request.email.text); break list; }; deny(all[0]) }",
    "fn on_signup(request) { if request.profile.age != () && request.profile.age < 18 { deny(\"x\") } }",
    "fn on_signup(request) { if (request.profile.age ?? 0) < 18 { deny(\"x\") } }",
    "fn on_signup(request) { let text = request.email.text + \" \" + request.groups.len(); deny(text) }",
    "fn on_signup(request) { deny(\"{\" + request.email.text + \"}, {other}\") }",
    "fn on_signup(request) { let mask = 6 & 3; if mask > request.groups.len() { deny(\"x\") } }",
    "fn on_signup(request) { if request.profile.is_partner { return allow(); } deny(\"x\") }",
    "fn on_signup(request) { note(request); allow() } fn note(request) { log(request.email.text); }",
];

#[test]
fn what_only_looks_like_a_silent_mistake_is_let_pass() {
    let said: Vec<_> = NEAR_MISSES.iter().map(|script| (script, lines(&checked(script)))).collect();
    let wrong: Vec<_> = said.iter().filter(|(_, said)| !said.is_empty()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_mistake_is_said_in_these_words() {
    let mut wrong = Vec::new();
    for (script, wanted) in CASES {
        let said = lines(&checked(script));
        if said != *wanted {
            wrong.push((script, said));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

const CLEAN: &str = r#"//! Partners may sign up; throw-away addresses may not.

import "lib/domains" as domains;

const BLOCKED = ["mailinator.com", "*.trash.example"];
const MOST_GROUPS = 20;

/// Decides about one sign-up.
fn on_signup(request) {
    let email = request.email;
    if email.domain_in(BLOCKED) {
        return deny(`addresses of ${email.domain} are not accepted`);
    }
    let reasons = [];
    for group in request.groups {
        if group == "" || group.len() > MOST_GROUPS { continue; }
        reasons.push(group.to_upper());
    }
    let partner = domains::is_partner(email.domain) || params.partners?.contains(email.domain) ?? false;
    switch request.profile.kind {
        "self_service" if !partner => deny("ask your contact for an invitation"),
        "employee" => employee(request, reasons),
        _ => allow(),
    }
}

private fn employee(request, reasons) {
    let count = 0;
    let known = reasons.filter(|reason| matches(reason, "^[A-Z]+$")).map(|reason| #{ name: reason, owner: request.user });
    while count < known.len() {
        if known[count].name == "STAFF" { return [allow(), log("staff")]; }
        count += 1;
    }
    try {
        let row = lookup(request.email.text);
        if row.locked == true { return deny("locked"); }
    } catch (problem) {
        log(problem.to_string());
    }
    if request.user == () { deny("unknown") } else { allow() }
}
"#;

#[test]
fn a_clean_script_has_no_findings() {
    assert_eq!(lines(&checked(CLEAN)), [""; 0]);
}

#[test]
fn ordinary_ways_of_writing_have_no_findings() {
    let bodies = [
        "let commands = []; if request.user == () { commands.push(deny(\"x\")); } commands",
        "let commands = []; commands += deny(request.email.text); commands",
        "let text = request.email.domain; text.trim(); text.to_upper(); log(text); allow()",
        "let name = (); if request.user != () { name = request.user.id; } name ?? \"none\"",
        "let find = |list, item| list.contains(item); if find.call(request.groups, \"a\") { deny(\"x\") }",
        "let seen = #{}; for group in request.groups { seen[group] = true; } seen.keys().len() == request.groups.len()",
        "let n = 0; for (group, index) in request.groups { if index > 3 { break; } n += group.len(); } n",
        "request.groups.filter(|g| g.starts_with(\"a\") && g != request.email.domain).map(|g| deny(g))",
        "let x = if request.user == () { 1 } else { 2 }; switch x { 1 | 2 => allow(), 3..9 => { log(\"y\"); deny(\"x\") } _ => () }",
        "let profile = request.profile; profile.name = \"x\"; profile.names.push(1); profile",
        "let i = request.user.age; loop { i += 1; if i > 3 { break i; } }",
        "let i = 0; do { i += 1; } until i > request.groups.len(); i",
        "throw #{ code: 1, message: `bad ${request.email.text}` }",
        "let value = request.user?.id; if type_of(value) == \"string\" { return deny(value); } allow()",
        "let d = request.email.domain; d == \"a\" || d == \"b\" || d in [\"c\"]",
        "let count = request.user.age; if count == 1.5 || count > 2 { allow() } else if count == () { () } else { deny(\"n\") }",
        "let list = [3, request.user.age]; list.sort(|a, b| a - b); list[0] = 5; list[0]",
        "let a = #{ f: |x| x + 1 }; a.f.call(request.user.age)",
        "let domain = request.email.domain; if domain != \"a\" { let domain = domain.to_upper(); log(domain); } domain",
        "for group in request.groups { if group == \"a\" { log(group); } } allow()",
        "for group in request.groups { if group == request.email.domain { return deny(group); } } allow()",
        "for group in request.groups { if group.name == \"a\" { return deny(\"x\"); } } allow()",
        "while true { if request.user.age > 3 { break; } } matches(request.email.text, \"^a$\")",
        "request.email.text.contains(\"+\") || \"@\" in request.email.text || request.email.domain.starts_with(\"xn--\")",
        "let t = timestamp(); log(`${t.elapsed}`); request.email.text.len > 3",
    ];
    for body in bodies {
        let script = format!("fn on_signup(request) {{ {body} }}");
        assert_eq!(lines(&checked(&script)), [""; 0], "{script}");
    }
    let scripts = [
        "const A = 1; const B = global::A + 1; fn on_signup(request) { request.user.age > A + global::B }",
        "fn on_signup(request) { request.groups.filter(is_ok) } fn is_ok(group) { group != \"x\" }",
        "fn on_signup(request) { [request.user.age].map(Fn(\"twice\")) } fn twice(n) { if n > 9 { n } else { twice(n * 2) } }",
        "fn on_signup(_request) { allow() }",
        // Nothing has a property `tect`, but a profile has whatever the provider sends.
        "fn on_signup(request) { helper(request) } fn helper(r) { r.profile.tect }",
    ];
    for script in scripts {
        assert_eq!(lines(&checked(script)), [""; 0], "{script}");
    }
}

#[test]
fn a_file_for_others_needs_no_entry_and_only_private_functions_can_be_unused() {
    let source = "const LIMIT = 5;\nfn offered(x) { x > LIMIT }\nprivate fn forgotten(x) { x }\n";
    let ast = engine().compile(source).expect("parses");
    let findings = check_ast(source, &ast, None);
    let wanted = ["warning script/unused-function signup.rhai:3:12: function `forgotten` is never called"];
    assert_eq!(lines(&findings), wanted);
}

#[test]
fn an_exception_with_a_reason_hides_its_finding_and_no_other() {
    let script =
        |comment: &str| format!("fn on_signup(request) {{\n    {comment}\n    let a = 1;\n    request.emial\n}}");
    let allowed = checked(&script("// hookgate: allow script/unused-variable because it documents the default"));
    assert_eq!(allowed.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["script/unknown-property"]);
    let other = checked(&script("// hookgate: allow script/unused-constant because of nothing here"));
    assert_eq!(other.len(), 3);
    let trailing =
        checked("fn on_signup(request) { 5 } // hookgate: allow script/unused-parameter because it is a stub");
    assert_eq!(lines(&trailing), [""; 0]);
}

#[test]
fn an_exception_without_a_reason_is_a_finding_itself() {
    let findings = checked("// hookgate: allow script/unused-parameter\nfn on_signup(request) { 5 }");
    let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["script/allow-without-reason"]);
    assert_eq!(findings[0].severity, Severity::Error);
}

#[test]
fn an_exception_that_allows_nothing_is_a_finding_itself() {
    let script = |code: &str| {
        let text = format!("// hookgate: allow {code} because it was so\nfn on_signup(request) {{ request.email }}");
        lines(&checked(&text))
    };
    let rows = [
        (
            "script/unused-parameter",
            "warning script/unused-allow signup.rhai:1:1: line 2 has no finding `script/unused-parameter` to allow (remove this comment)",
        ),
        (
            "script/syntax",
            "warning script/unused-allow signup.rhai:1:1: `script/syntax` cannot be allowed (mend what it is about)",
        ),
    ];
    for (code, wanted) in rows {
        assert_eq!(script(code), [wanted]);
    }
}

#[test]
fn two_files_with_the_same_function_do_not_link() {
    let (main, lib) = ("fn helper(x) { x }\nfn other() { 1 }", "fn helper(y) { y }\nfn other(z) { z }");
    let engine = engine();
    let (a, b) = (engine.compile(main).expect("parses"), engine.compile(lib).expect("parses"));
    let findings = link(&[("signup.rhai", main, &a), ("lib/x.rhai", lib, &b)]);
    let wanted = "error script/duplicate-function lib/x.rhai:1:4: `helper(y)` is also defined in `signup.rhai` \
                  (give one of them another name: files that import one another share their functions)";
    assert_eq!(lines(&findings), [wanted]);
}

#[test]
fn a_module_offers_its_public_functions_and_constants() {
    let ast = engine().compile("const A = 1; fn f(x) { x } fn f() { 1 } private fn g() { |x| x }").expect("parses");
    let facts = ModuleFacts::of("lib/a.rhai", &ast);
    assert_eq!(
        facts.functions.iter().map(|(name, arities)| (name.as_str(), arities.len())).collect::<Vec<_>>(),
        [("f", 2)]
    );
    assert!(facts.constants.contains("A"));
}

#[test]
fn a_finding_shows_the_line_and_the_remedy() {
    let finding =
        checked("fn on_signup(request) {\n    if request.emial.domain == \"x\" { deny(\"no\") }\n}").remove(0);
    insta::assert_snapshot!(finding.render(&annotate_snippets::Renderer::plain()), @r#"
    error[script/unknown-property]: `request` has no property `emial`
     --> signup.rhai:2:16
      |
    2 |     if request.emial.domain == "x" { deny("no") }
      |                ^^^^^
      |
      = help: did you mean `email`?
    "#);
}

/// 500 scripts of ordinary length are checked in well under a second in a release build; here only against a blow-up.
#[test]
fn checking_is_fast_enough_for_every_save() {
    let engine = engine();
    let started = Instant::now();
    for _ in 0..20 {
        let ast = engine.compile(CLEAN).expect("parses");
        assert!(check_ast(CLEAN, &ast, Some(entry())).is_empty());
    }
    assert!(started.elapsed() < Duration::from_secs(5), "20 checks took {:?}", started.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_mutation_of_a_script_breaks_the_checks(
        cut in 0..CLEAN.len(), length in 0_usize..40, insert in "[(){}\\[\\]`\"'$;.,=|a-zé \n]{0,6}",
    ) {
        let mut letters: Vec<char> = CLEAN.chars().collect();
        let start = cut.min(letters.len());
        let end = (start + length).min(letters.len());
        letters.splice(start..end, insert.chars());
        let source: String = letters.into_iter().collect();
        for finding in checked(&source) {
            prop_assert!(!finding.render(&annotate_snippets::Renderer::plain()).is_empty());
        }
    }
}
