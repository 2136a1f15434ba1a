use rhai::Scope;
use serde_json::json;

use super::*;
use crate::budget::Limits;
use crate::engine;
use crate::engine::Dialect;
use crate::modules::Modules;
use crate::prelude;
use crate::prelude::secret::Hidden;

fn made(script: &str) -> Result<Action, String> {
    let engine = engine::sandbox(&[prelude::library()], &Limits::default(), Modules::new([].into()), Dialect::Script);
    let mut scope = Scope::new();
    scope.push("pin", Hidden::new("123456"));
    scope.push("nobody", ());
    let action = engine.eval_with_scope::<Action>(&mut scope, script).map_err(|error| error.to_string())?;
    match action.problem() {
        Some(problem) => Err(problem.to_owned()),
        None => Ok(action),
    }
}

/// As it is kept.
fn kept(script: &str) -> Value {
    serde_json::to_value(made(script).unwrap_or_else(|error| panic!("{script}: {error}"))).expect("JSON")
}

fn refused(script: &str, part: &str) {
    let error = made(script).expect_err(script);
    assert!(error.contains(part), "{script}\n{error}");
}

#[test]
fn a_call_makes_an_action_as_it_is_kept() {
    let rows = [
        (r#"notify("chat", "Hi")"#, json!({"connector": "chat", "do": "notify", "message": "Hi"})),
        (
            r#"notify("chat", #{ text: "Hi", tags: [1, ()] })"#,
            json!({"connector": "chat", "do": "notify", "message": {"text": "Hi", "tags": [1, null]}}),
        ),
        (
            r#"notify("chat", email("a@example.com"))"#,
            json!({"connector": "chat", "do": "notify", "message": "a@example.com"}),
        ),
        (
            r#"post("hr", "", [1])"#,
            json!({"connector": "hr", "do": "request", "method": "post", "path": "", "body": [1]}),
        ),
        (
            r#"put("hr", "/a?b=c%23", ())"#,
            json!({"connector": "hr", "do": "request", "method": "put", "path": "/a?b=c%23", "body": null}),
        ),
        (
            r#"patch("hr", "/a", "text")"#,
            json!({"connector": "hr", "do": "request", "method": "patch", "path": "/a", "body": "text"}),
        ),
        (
            r#"delete("hr", "/a")"#,
            json!({"connector": "hr", "do": "request", "method": "delete", "path": "/a", "body": null}),
        ),
        (
            r#"delete("hr", "/a", true)"#,
            json!({"connector": "hr", "do": "request", "method": "delete", "path": "/a", "body": true}),
        ),
        (r#"forward("siem")"#, json!({"connector": "siem", "do": "forward"})),
        (
            r#"email("mail", #{ subject: "S", text: "T" })"#,
            json!({"connector": "mail", "do": "email", "to": [], "subject": "S", "text": "T"}),
        ),
        (
            r#"email("mail", #{ to: [" a@b.example ", email("c@d.example")], cc: "e@f.example", reply_to: "g@h.example", subject: "S", text: "T\nU", html: "<b>T</b>" })"#,
            json!({"connector": "mail", "do": "email", "to": ["a@b.example", "c@d.example"], "subject": "S",
                "text": "T\nU", "html": "<b>T</b>", "cc": ["e@f.example"], "reply_to": "g@h.example"}),
        ),
        (
            r#"suspend_user("org", "00u7")"#,
            json!({"connector": "org", "do": "account", "verb": "suspend_user", "user": "00u7"}),
        ),
        (
            r#"revoke_sign_in_sessions("m365", email("a@example.com"))"#,
            json!({"connector": "m365", "do": "account", "verb": "revoke_sign_in_sessions", "user": "a@example.com"}),
        ),
        (
            r#"remove_from_group("org", "00u7", "00g1")"#,
            json!({"connector": "org", "do": "account", "verb": "remove_from_group", "user": "00u7", "group": "00g1"}),
        ),
    ];
    for (script, expected) in rows {
        assert_eq!(kept(script), expected, "{script}");
        let action: Action = serde_json::from_value(expected).expect("what is kept can be read");
        assert_eq!(made(script), Ok(action), "{script}");
    }
}

#[test]
fn how_often_and_when_is_said_afterwards() {
    let whole = kept(r#"notify("c", "x").after("10m").once("a", "1h30m").digest("b", "500ms")"#);
    assert_eq!(whole["after_ms"], 600_000);
    assert_eq!(whole["once"], json!({"key": "a", "ms": 5_400_000}));
    assert_eq!(whole["digest"], json!({"key": "b", "ms": 500}));
    assert_eq!(kept(r#"notify("c", "x").after("30d")"#)["after_ms"], 2_592_000_000_u64);
    // The action that it was called on stays as it is.
    assert!(kept(r#"let a = notify("c", "x"); a.after("1s"); a"#).get("after_ms").is_none());
}

#[test]
fn a_state_and_a_report_are_kept() {
    let whole = kept(r#"delete("c", "/a").only_while("org", "00u1", ["SUSPENDED", "GONE"])"#);
    assert_eq!(whole["only_while"], json!({"connector": "org", "user": "00u1", "states": ["SUSPENDED", "GONE"]}));
    assert!(whole.get("with_results").is_none());
    for script in [r#"notify("c", "x")"#, r#"notify("c", #{ a: 1 })"#, r#"post("c", "", #{ a: 1 })"#] {
        assert_eq!(kept(&format!("{script}.with_results()"))["with_results"], true, "{script}");
    }
    for (script, part) in [
        (r#"notify("c", "x").only_while("org", " ", ["A"])"#, "needs the id of a user"),
        (r#"notify("c", "x").only_while("org", "00u1", [])"#, "needs states"),
        (r#"notify("c", "x").only_while("org", "00u1", [7])"#, "a state is a text"),
        (r#"forward("c").with_results()"#, "forwarded as it came"),
        (r#"delete("c", "/a").with_results()"#, "the body must be a map"),
    ] {
        let problem = made(script).expect_err(script);
        assert!(problem.contains(part), "{script}: {problem}");
    }
}

#[test]
fn times_and_keys_that_mean_nothing_are_refused() {
    for (time, part) in [
        ("0s", "no time at all"),
        ("-5m", "not a length of time"),
        ("soon", "not a length of time"),
        ("", "not a length of time"),
        ("30d1s", "longer than 30 days"),
        ("5w", "longer than 30 days"),
    ] {
        refused(&format!(r#"notify("c", "x").after("{time}")"#), part);
        refused(&format!(r#"notify("c", "x").once("k", "{time}")"#), part);
        refused(&format!(r#"notify("c", "x").digest("k", "{time}")"#), part);
    }
    refused(r#"notify("c", "x").once(" ", "1m")"#, "`once`: the key is empty");
    refused(r#"notify("c", "x").digest("", "1m")"#, "`digest`: the key is empty");
    refused(r#"forward("c").digest("k", "1m")"#, "`digest`: events are forwarded one by one");
    refused(r#"notify("c", "x").once(nobody, "1m")"#, "a key is a text, not nothing (`()`)");
}

#[test]
fn a_long_key_stays_itself() {
    let key = |letter: &str| {
        let script = format!(r#"let k = "é"; k.pad(300, "é"); notify("c", "x").once(k + "{letter}", "1m")"#);
        made(&script).expect("an action").once.expect("a key").key
    };
    assert!(key("a").len() <= MAX_KEY_BYTES && key("a").starts_with("ééé"));
    assert_eq!(key("a"), key("a"));
    assert_ne!(key("a"), key("b"));
    let exact = "k".repeat(MAX_KEY_BYTES);
    assert_eq!(
        made(&format!(r#"forward("c").once("{exact}", "1m")"#)).expect("an action").once.expect("a key").key,
        exact
    );
}

#[test]
fn no_secret_gets_into_an_action() {
    for script in [
        r#"notify("c", pin)"#,
        r#"notify("c", #{ a: [pin] })"#,
        r#"post("c", "/", #{ pin: pin })"#,
        r#"delete("c", "/", pin)"#,
        r#"email("c", #{ subject: "S", text: pin })"#,
        r#"email("c", #{ to: [pin], subject: "S", text: "T" })"#,
    ] {
        refused(script, "never carries a secret");
    }
    assert_eq!(kept(r#"notify("c", `${pin}`)"#)["message"], "***");
    assert!(made(r#"post("c", pin, ())"#).is_err() && made(r#"notify(pin, "x")"#).is_err());
    assert!(made(r#"notify("c", "x").once(pin, "1m")"#).is_err());
}

#[test]
fn what_is_no_message_is_refused() {
    refused(r#"notify("c", 1)"#, "takes a text or a map, not a number");
    refused(r#"notify("c", ["x"])"#, "takes a text or a map");
    refused(r#"notify("c", nobody)"#, "takes a text or a map, not nothing (`()`)");
    refused(r#"notify("c", "  ")"#, "needs a text");
    refused(r#"notify("c", |x| x)"#, "cannot become JSON");
    refused(r#"post("c", "/", #{ a: forward("c") })"#, "cannot become JSON");
    refused(r#"let x = "x"; x.pad(262143, "x"); notify("c", #{ x: x })"#, "262144 are the most");
}

#[test]
fn a_path_stays_below_the_address_of_its_connector() {
    for path in ["x", "https://evil.example/", "//evil.example/", "@evil.example"] {
        refused(&format!(r#"post("c", "{path}", ())"#), "begins with one `/`");
    }
    for path in ["/a b", "/a\\n", "/a#b", "/a\\\\b", "/a\\tb"] {
        refused(&format!(r#"post("c", "{path}", ())"#), "url_encode");
    }
    for path in ["/a/../b", "/..", "/./a", "/%2E%2e/a", "/a/.%2E?b=c"] {
        refused(&format!(r#"post("c", "{path}", ())"#), "leads elsewhere");
    }
    refused(r#"let x = "/"; x.pad(5000, "a"); post("c", x, ())"#, "4096 are the most");
    assert_eq!(kept(r#"post("c", "/a..b/...?next=../x", ())"#)["path"], "/a..b/...?next=../x");
}

#[test]
fn what_is_no_mail_is_refused() {
    for (mail, part) in [
        ("#{ subject: \"S\" }", "`text` is missing"),
        ("#{ text: \"T\" }", "`subject` is missing"),
        ("#{ subject: \" \", text: \"T\" }", "`subject` is empty"),
        ("#{ to: \"\", subject: \"S\", text: \"T\" }", "an address in `to` is empty"),
        ("#{ cc: [7], subject: \"S\", text: \"T\" }", "an address or an array of them, not a number"),
        ("#{ subject: 7, text: \"T\" }", "`subject` is a text, not a number"),
        ("#{ Subject: \"S\", text: \"T\" }", "did you mean `subject`?"),
        ("#{ attachments: [], subject: \"S\", text: \"T\" }", "there are: to, subject"),
        ("#{ to: (1..=101).collect(), subject: \"S\", text: \"T\" }", ""),
    ] {
        refused(&format!("email(\"m\", {mail})"), part);
    }
    let crowd = r#"let to = []; for i in 0..101 { to.push(`a${i}@b.example`) } email("m", #{ to: to, subject: "S", text: "T" })"#;
    refused(crowd, "101 recipients");
}

#[test]
fn what_is_wrong_says_nothing_of_people() {
    for script in [
        r#"notify("c", ["dora@corp.example"])"#,
        r#"post("c", "dora@corp.example", ())"#,
        r#"post("c", "/../dora@corp.example", ())"#,
        r#"post("c", "/dora@corp.example ", ())"#,
        r#"notify("c", "x").once(["dora@corp.example"], "1m")"#,
        r#"email("c", #{ to: #{ a: "dora@corp.example" }, subject: "S", text: "T" })"#,
        r#"email("c", #{ subject: ["dora@corp.example"], text: "T" })"#,
    ] {
        let error = made(script).expect_err(script);
        assert!(!error.contains("dora"), "{error}");
    }
}

#[test]
fn a_wrong_value_ends_no_run_and_a_wrong_script_does() {
    let engine = engine::sandbox(&[prelude::library()], &Limits::default(), Modules::new([].into()), Dialect::Script);
    for (script, function, problem) in [
        (r#"notify("c", ())"#, "notify", "takes a text or a map, not nothing (`()`)"),
        (r#"notify("c", "")"#, "notify", "needs a text"),
        (r#"post("c", "/people/a\nb", #{}).once("k", "1m").with_results()"#, "post", "url_encode"),
        (r#"email("c", #{ subject: "", text: "T" }).digest("k", "1m")"#, "email", "`subject` is empty"),
        (r#"suspend_user("c", "a\nb").after("1m")"#, "suspend_user", "letters that cannot be seen"),
        (r#"notify("c", "x").once((), "1m").digest("", "1m")"#, "notify", "`once`: a key is a text"),
        (r#"delete("c", "/x").only_while("org", "", ["A"])"#, "delete", "`only_while`: needs the id of a user"),
    ] {
        let action = engine.eval::<Action>(script).unwrap_or_else(|error| panic!("{script}: {error}"));
        let problem_of = action.problem().unwrap_or_else(|| panic!("{script}: it can be made"));
        assert!(problem_of.contains(problem), "{script}: {problem_of}");
        assert_eq!((action.name(), action.refused.as_deref()), (function, Some(problem_of)), "{script}");
        let stored = serde_json::to_vec(&action).expect("JSON");
        assert_eq!(serde_json::from_slice::<Action>(&stored).expect("an action"), action);
    }
    for script in [r#"notify("c", "x").after("soon")"#, r#"email("c", #{ subjekt: "S", text: "T" })"#] {
        assert!(engine.eval::<Action>(script).is_err(), "{script}");
    }
}

#[test]
fn a_text_that_is_too_long_is_shortened() {
    let engine = engine::sandbox(&[prelude::library()], &Limits::default(), Modules::new([].into()), Dialect::Script);
    for script in [
        r#"let x = "x"; x.pad(1000000, "x"); notify("c", x)"#,
        r#"let x = "x"; x.pad(1000000, "\x01"); notify("c", x)"#,
        r#"let x = "x"; x.pad(300000, "é"); email("c", #{ subject: "S", text: x })"#,
    ] {
        let action = engine.eval::<Action>(script).unwrap_or_else(|error| panic!("{script}: {error}"));
        assert_eq!(action.problem(), None, "{script}");
        let length = serde_json::to_vec(&action).expect("JSON").len();
        assert!(length > MAX_BYTES / 8 && length < MAX_BYTES + 1000, "{script}: {length}");
    }
}

#[test]
fn an_account_is_named_by_a_text() {
    for verb in ["clear_sessions", "suspend_user", "unsuspend_user", "deactivate_user", "revoke_sign_in_sessions"] {
        refused(
            &format!(r#"{verb}("org", nobody)"#),
            &format!("`{verb}`: a user is an id or a login, as a text, not nothing"),
        );
        refused(&format!(r#"{verb}("org", " ")"#), "and this one is empty");
        refused(&format!(r#"{verb}("org", ["dora"])"#), "not an array");
        assert_eq!(kept(&format!(r#"{verb}("org", "00u7").after("1m").once("k", "1h")"#))["verb"], verb);
        refused(&format!(r#"{verb}("org", "00u7").digest("k", "1h")"#), "accounts are changed one by one");
    }
    refused(r#"add_to_group("org", "00u7", nobody)"#, "`add_to_group`: a group is an id, as a text, not nothing");
    refused(r#"add_to_group("org", "a\nb", "00g1")"#, "letters that cannot be seen");
    refused(r#"let x = "x"; x.pad(300, "x"); suspend_user("org", x)"#, "256 are the most");
    refused(r#"suspend_user("org", pin)"#, "never carries a secret");
}

#[test]
fn an_action_prints_as_it_is_kept() {
    let script = r#"let a = forward("siem"); notify("c", `${a} ${[a]}`)"#;
    assert_eq!(kept(script)["message"], r#"{"connector":"siem","do":"forward"} [{"connector":"siem","do":"forward"}]"#);
}
