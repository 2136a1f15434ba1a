//! `call`.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read, Write};

use super::Bundle;
use crate::harness::route;

const CALL: &str = r#"{"eventId":"e1","data":{"userProfile":{"email":"ann@EMAIL","login":"ann"}}}"#;

fn signup(bundle: &Bundle, domain: &str, args: &[&str]) -> super::Ran {
    bundle.write("call.json", &CALL.replace("EMAIL", domain));
    bundle.run(&[&["call", "signup", "call.json"], args].concat())
}

#[test]
fn a_call_shows_reply_and_effect() {
    let bundle = Bundle::new();
    let ran = signup(&bundle, "mailinator.com", &["--json"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let told = ran.json();
    assert_eq!(told["reply"]["error"]["errorCauses"][0]["location"], "data.userProfile.email");
    assert!(told["effect"].as_str().is_some_and(|effect| effect.contains("denies")), "{told}");
    let text = signup(&bundle, "mailinator.com", &[]).out;
    assert!(text.contains("reply 200") && text.contains("data.userProfile.email"), "{text}");
}

#[test]
fn parameters_can_be_set_for_one_call() {
    let bundle = Bundle::new();
    let told = signup(&bundle, "new.example", &["--json", "--param", "partner_domains=[\"new.example\"]"]).json();
    assert_eq!(told["reply"]["commands"][1]["value"], json!({ "userType": "partner" }));
}

#[test]
fn a_trace_holds_the_lines_that_ran_with_their_values_and_no_others() {
    let bundle = Bundle::new();
    let ran = signup(&bundle, "mailinator.com", &["--json", "--trace"]).json()["ran"].clone();
    let steps = ran["trace"]["steps"].as_array().unwrap();
    let lines: BTreeSet<u64> = steps.iter().map(|step| step["line"].as_u64().unwrap()).collect();
    let source = bundle.read("scripts/registration.rhai");
    let number = |text: &str| source.lines().position(|line| line.contains(text)).unwrap() as u64 + 1;
    assert!(lines.contains(&number("next year")), "{lines:?}");
    assert!(!lines.contains(&number("domain_in")), "{lines:?}");
    let first = steps.iter().find(|step| step["line"] == number("let email = request.email;")).unwrap();
    assert_eq!(first["changed"], json!([{ "text": "email", "value": "\"ann@mailinator.com\"" }]));
    assert!(ran["read"].as_array().unwrap().contains(&json!("request.email.domain")), "{}", ran["read"]);
    assert_eq!((&ran["trace"]["cut"], &ran["trace"]["failed_at"]), (&json!(false), &Value::Null));

    let text = signup(&bundle, "mailinator.com", &["--trace"]).out;
    assert!(text.contains("scripts/registration.rhai\n") && text.contains("next year"), "{text}");
    let line = text.lines().find(|line| line.contains("let email = request.email;")).unwrap();
    assert!(line.ends_with("  email = \"ann@mailinator.com\""), "{line}");
}

#[test]
fn a_trace_of_a_failure_ends_where_it_failed() {
    let bundle = Bundle::new();
    bundle.write(
        "scripts/registration.rhai",
        "fn on_registration(request) {\n    check(request.email.domain)\n}\nfn check(domain) {\n    throw domain;\n}\n",
    );
    let ran = signup(&bundle, "new.example", &["--json", "--trace"]).json()["ran"].clone();
    assert_eq!(ran["trace"]["failed_at"], json!({ "file": "scripts/registration.rhai", "line": 5 }));
    let last = ran["trace"]["steps"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["depth"], &last["function"]), (&json!(1), &json!("check")));
    assert_eq!(last["changed"], json!([{ "text": "domain", "value": "\"new.example\"" }]));
    assert_eq!(ran["failure"]["finding"]["line"], 5);
}

#[test]
fn a_trace_shows_no_secret() {
    let bundle = Bundle::new();
    bundle.write(
        "gateway.toml",
        "[auth.a]\nscheme = \"none\"\n[routes.one]\npath = \"/one\"\nhook = \"okta.password_import\"\nscript = \"one.rhai\"\n\
         auth = \"a\"\non_failure = \"unverified\"\n",
    );
    bundle.write(
        "scripts/one.rhai",
        "fn on_password_import(request) {\n    let given = request.password;\n    let all = #{ given: given, raw: request.raw };\n    \
         log(`${all}`);\n    if check(given) { verified() } else { throw `no ${given}` }\n}\nfn check(code) {\n    code == \"x\"\n}\n",
    );
    let sample = crate::process::sample("okta.password_import");
    let mut body: Value = serde_json::from_str(sample).unwrap();
    body["data"]["context"]["credential"]["password"] = json!("c4n4ry-in-a-trace");
    bundle.write("call.json", &body.to_string());
    for form in [&["--trace"][..], &["--trace", "--json"]] {
        let ran = bundle.run(&[&["call", "one", "call.json"], form].concat());
        assert_eq!(ran.status, 1, "{}{}", ran.out, ran.err);
        assert!(ran.out.contains("***") && ran.out.contains("given"), "{}", ran.out);
        assert!(!ran.out.contains("c4n4ry") && !ran.err.contains("c4n4ry"), "{}{}", ran.out, ran.err);
    }
}

/// Texts of a caller are text on a terminal, too.
#[test]
fn hostile_texts_do_nothing_to_a_terminal() {
    let bundle = Bundle::new();
    bundle.write(
        "scripts/registration.rhai",
        "fn on_registration(request) {\n    let name = request.profile.nickName;\n    log(name);\n    deny(`no ${name}`)\n}\n",
    );
    let hostile = "\u{1b}[2J\u{9b}31m\u{202e}<script>";
    let body = json!({ "data": { "userProfile": { "email": "a@b.example", "login": "a", "nickName": hostile } } });
    bundle.write("call.json", &body.to_string());
    let ran = bundle.run(&["call", "signup", "call.json", "--trace"]);
    assert!(ran.out.contains("\\u001b[2J\\u009b31m\\u202e<script>"), "{}", ran.out);
    let acts = |letter: char| (letter.is_control() && letter != '\n') || letter == '\u{202e}';
    assert!(!ran.out.contains(acts), "{:?}", ran.out);
}

#[test]
fn a_failing_script_is_shown_with_its_place_and_the_declared_answer() {
    let bundle = Bundle::new();
    bundle.replace(
        "scripts/registration.rhai",
        "let email = request.email;",
        "let email = request.email; throw \"lost\";",
    );
    let ran = signup(&bundle, "new.example", &[]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains("registration.rhai:4") && ran.out.contains("lost"), "{}", ran.out);
    assert!(ran.out.contains("Sign-up is not possible right now"), "{}", ran.out);
    assert_eq!(signup(&bundle, "new.example", &["--json"]).json()["ran"]["failure"]["reason"], "script_error");
}

#[test]
fn a_capture_counts_by_its_body() {
    let bundle = Bundle::new();
    let capture =
        json!({ "method": "POST", "path": "/", "headers": {}, "body": serde_json::from_str::<Value>(CALL).unwrap() });
    bundle.write("capture.json", &capture.to_string());
    assert_eq!(bundle.run(&["call", "signup", "capture.json"]).status, 0);
}

#[test]
fn what_is_no_call_of_the_hook_fails() {
    let bundle = Bundle::new();
    bundle.write("call.json", r#"{"eventType":"com.okta.oauth2.tokens.transform","data":{}}"#);
    let ran = bundle.run(&["call", "signup", "call.json"]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains("okta.token"), "{}", ran.out);
}

#[test]
fn a_misspelt_name_is_answered_with_the_nearest() {
    let bundle = Bundle::new();
    let ran = bundle.run(&["call", "sigup", "call.json"]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("did you mean `signup`?"), "{}", ran.err);
}

#[test]
fn every_sample_gets_the_reply_it_must_give() {
    for hook in hookgate_hooks::HOOKS.iter().filter(|hook| !hook.is_for_events()) {
        for sample in hook.samples {
            let bundle = Bundle::new();
            bundle.write("gateway.toml", &route(hook));
            bundle.write("scripts/hook.rhai", sample.script);
            bundle.write("call.json", sample.request);
            let ran = bundle.run(&["call", "hook", "call.json", "--json"]);
            assert_eq!(ran.status, 0, "{} {}: {}{}", hook.name, sample.name, ran.out, ran.err);
            let mut reply = ran.json()["reply"].clone();
            if let Some(reply) = reply.as_object_mut() {
                reply.remove("debugContext");
            }
            let expected =
                if sample.reply.is_empty() { Value::Null } else { serde_json::from_str(sample.reply).unwrap() };
            assert_eq!(reply, expected, "{} {}", hook.name, sample.name);
        }
    }
}

#[test]
fn an_event_is_told_which_rules_want_it() {
    let bundle = Bundle::new();
    let event = hookgate_hooks::find("okta.event").expect("there are event hooks");
    bundle.write(
        "gateway.toml",
        "[auth.a]\nscheme = \"none\"\n[routes.events]\npath = \"/e\"\nhook = \"okta.event\"\nauth = \"a\"\n\
         [routes.events.rules.all]\nevents = [\"*\"]\nscript = \"one.rhai\"\n\
         [routes.events.rules.other]\nevents = [\"no.such.event\"]\nscript = \"one.rhai\"\n",
    );
    bundle.write("scripts/one.rhai", "fn on_event(event) { log(event.type); }\n");
    bundle.write("call.json", event.samples[0].request);
    let ran = bundle.run(&["call", "events", "call.json", "--json"]);
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    let told = ran.json();
    let rules = told["events"][0]["rules"].as_array().unwrap();
    let wanted: Vec<(&str, bool, bool)> = rules
        .iter()
        .map(|rule| (rule["rule"].as_str().unwrap(), rule["wants"].as_bool().unwrap(), rule["ran"].is_object()))
        .collect();
    assert_eq!(wanted, [("all", true, true), ("other", false, false)]);
    assert_eq!(rules[0]["ran"]["logs"][0]["text"], told["events"][0]["type"]);
    let asked = bundle.run(&["call", "events", "call.json", "--rule", "other"]);
    assert!(asked.out.contains("runs because of --rule; it wants no.such.event"), "{}", asked.out);
}

const CONNECTOR: &str = "[connectors.chat]\nkind = \"file\"\npath = \"chat.jsonl\"\n";

#[test]
fn actions_are_shown_and_not_done() {
    let bundle = Bundle::new();
    bundle.write("gateway.toml", &format!("{CONNECTOR}{}", bundle.read("gateway.toml")));
    bundle.write(
        "scripts/registration.rhai",
        "fn on_registration(request) { [allow(), notify(\"chat\", request.email.text).once(\"a\", \"90s\"), \
         [post(\"chat\", \"/people\", #{ a: 1 }).after(\"5m\"), \
         email(\"chat\", #{ to: [\"a@b.example\", \"c@d.example\"], subject: \"New\", text: \"x\" }).digest(\"k\", \"1m\")]] }\n",
    );
    let ran = signup(&bundle, "new.example", &["--json"]);
    let actions = &ran.json()["ran"]["actions"];
    assert_eq!(
        actions[0],
        json!({"connector": "chat", "do": "notify", "message": "ann@new.example", "once": {"key": "a", "ms": 90_000}})
    );
    assert_eq!(
        actions[1],
        json!({"connector": "chat", "do": "request", "method": "post", "path": "/people", "body": {"a": 1}, "after_ms": 300_000})
    );
    assert_eq!(actions.as_array().map(Vec::len), Some(3), "{}", ran.out);
    let told = signup(&bundle, "new.example", &[]).out;
    for line in [
        "action notify chat \"ann@new.example\", once in 90s for `a`",
        "action post chat /people {\"a\":1}, after 300s",
        "action email chat to a@b.example, c@d.example: New, digest in 60s for `k`",
    ] {
        assert!(told.lines().any(|told| told == line), "{line} is missing in\n{told}");
    }
    assert!(!bundle.path().join("chat.jsonl").exists(), "nothing is done");
}

#[test]
fn actions_of_events_are_shown_with_their_rule() {
    let bundle = Bundle::new();
    bundle.write(
        "gateway.toml",
        &format!(
            "{CONNECTOR}[auth.a]\nscheme = \"none\"\n[routes.events]\npath = \"/e\"\nhook = \"okta.event\"\nauth = \"a\"\n\
             script = \"one.rhai\"\n"
        ),
    );
    bundle.write("scripts/one.rhai", "fn on_event(event) { notify(\"chat\", event.type) }\n");
    bundle.write("call.json", crate::process::sample("okta.event"));
    let ran = bundle.run(&["call", "events", "call.json", "--json"]);
    let action = json!({"connector": "chat", "do": "notify", "message": "group.user_membership.add"});
    assert_eq!(ran.json()["events"][0]["rules"][0]["ran"]["actions"], json!([action]), "{}{}", ran.out, ran.err);
    let told = bundle.run(&["call", "events", "call.json"]).out;
    assert!(told.contains("    action notify chat \"group.user_membership.add\"\n"), "{told}");

    bundle.write("scripts/one.rhai", "fn on_event(event) { notify(params.to ?? \"chta\", event.type) }\n");
    let ran = bundle.run(&["call", "events", "call.json"]);
    let problem = "there is no connector `chta`: did you mean `chat`?";
    assert!(ran.status == 1 && ran.out.contains(problem) && !ran.out.contains("action"), "{}", ran.out);
}

#[test]
fn a_call_becomes_a_case_that_is_run_as_a_test() {
    let bundle = Bundle::new();
    bundle.write("call.json", crate::process::sample("okta.registration"));
    let saved = bundle.run(&["call", "signup", "call.json", "--save-case", "first"]);
    assert_eq!(saved.status, 0, "{}", saved.err);
    let file = "scripts/cases/registration/first.json";
    assert!(saved.err.contains(file), "{}", saved.err);
    let case: serde_json::Value = serde_json::from_str(&bundle.read(file)).unwrap();
    assert_eq!((&case["route"], &case["expected"][0]["status"]), (&"signup".into(), &200.into()));
    let tested = bundle.run(&["test", "--filter", "case/first"]);
    assert_eq!((tested.status, tested.out.contains("1 passed")), (0, true), "{}", tested.out);

    let again = bundle.run(&["call", "signup", "call.json", "--save-case", "first"]);
    assert_eq!((again.status, again.err.contains("already")), (2, true), "{}", again.err);
    let outside = bundle.run(&["call", "signup", "call.json", "--save-case", "../first"]);
    assert_eq!((outside.status, outside.err.contains("cannot be the name")), (2, true), "{}", outside.err);

    // The script changes its mind: the case fails until somebody accepts that.
    bundle.write("scripts/registration.rhai", "fn on_registration(_request) { deny_field(\"email\", \"closed\") }\n");
    let failed = bundle.run(&["test", "--filter", "case/first"]);
    assert_eq!(failed.status, 1, "{}", failed.out);
    for part in ["what came of the call is not what the case says", "+", "closed", "--accept"] {
        assert!(failed.out.contains(part), "{part} is missing in {}", failed.out);
    }
    let accepted = bundle.run(&["test", "--accept", "--filter", "case/first"]);
    assert_eq!((accepted.status, accepted.err.contains(file)), (0, true), "{}", accepted.err);
    assert!(bundle.read(file).contains("closed"));
    assert_eq!(bundle.run(&["test", "--filter", "case/first"]).status, 0);
}

/// Issue 16: who saves a failing call makes the failure the expectation, and every report says so until it is mended.
#[test]
fn a_case_that_was_saved_from_a_call_that_failed_is_marked() {
    let bundle = Bundle::new();
    let script = bundle.read("scripts/registration.rhai");
    bundle.write("scripts/registration.rhai", "fn on_registration(_request) { throw \"no contract\" }\n");
    bundle.write("call.json", crate::process::sample("okta.registration"));
    let saved = bundle.run(&["call", "signup", "call.json", "--save-case", "broken"]);
    assert_eq!(saved.status, 1, "{}", saved.err);
    assert!(saved.err.contains("the call failed (script_error), and the case expects that"), "{}", saved.err);
    let file = "scripts/cases/registration/broken.json";
    let case: serde_json::Value = serde_json::from_str(&bundle.read(file)).unwrap();
    assert_eq!(case["failed_when_saved"], "script_error");

    let mark = "saved from a call that failed (script_error), so it expects that failure";
    let run = |args: &[&str]| bundle.run(&[&["test", "--filter", "case/broken"], args].concat());
    let passed = run(&[]);
    assert_eq!(passed.status, 0, "{}", passed.out);
    assert!(passed.out.contains(&format!("marked registration::case/broken: {mark}\n")), "{}", passed.out);
    assert_eq!(run(&["--json"]).json()["trials"][0]["mark"], mark);

    bundle.write("scripts/registration.rhai", &script);
    let failed = run(&[]);
    assert_eq!(failed.status, 1, "{}", failed.out);
    assert!(failed.out.contains(&format!("failed registration::case/broken\n  marked: {mark}\n")), "{}", failed.out);
    let accepted = run(&["--accept"]);
    assert_eq!((accepted.status, accepted.out.contains("marked")), (0, false), "{}", accepted.out);
    assert!(!bundle.read(file).contains("failed_when_saved"));
}

#[test]
fn a_saved_case_has_no_secrets_in_it_and_is_a_call_all_the_same() {
    let bundle = Bundle::new();
    let mut call: serde_json::Value = serde_json::from_str(crate::process::sample("okta.registration")).unwrap();
    call["data"]["userProfile"]["vault_password"] = json!("c4n4ry");
    bundle.write("call.json", &call.to_string());
    let saved = bundle.run(&["call", "signup", "call.json", "--save-case", "secret"]);
    assert_eq!(saved.status, 0, "{}", saved.err);
    assert!(saved.err.contains("/data/userProfile/vault_password"), "{}", saved.err);
    let case = bundle.read("scripts/cases/registration/secret.json");
    assert!(!case.contains("c4n4ry") && case.contains("\"vault_password\": \"***\""), "{case}");
    let tested = bundle.run(&["test", "--filter", "case/secret"]);
    assert_eq!((tested.status, tested.out.contains("1 passed")), (0, true), "{}", tested.out);
}

/// What was looked up then is what the case finds, when nobody is there any more.
#[test]
fn a_case_keeps_the_answers_of_its_lookups() {
    let bundle = Bundle::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        for body in ["{\"team\":\"payroll\",\"api_token\":\"c4n4ry\"}", "", "{\"room\":1}", "{\"room\":2}"] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).unwrap() > 0);
            let status = if body.is_empty() { "503 Down" } else { "200 OK" };
            let length = body.len();
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").unwrap();
        }
    });
    let config = bundle.read("gateway.toml");
    let connector =
        format!("[connectors.hr]\nkind = \"http\"\nbase_url = \"http://127.0.0.1:{port}\"\nallow_private = true\n");
    bundle.write("gateway.toml", &format!("{config}\n{connector}"));
    bundle.write(
        "scripts/registration.rhai",
        "fn on_registration(request) {\n    let found = http(\"hr\").get(\"/people\", #{ email: request.email.text });\n    \
         let second = \"\";\n    try { http(\"hr\").get(\"/more\"); } catch (error) { second = error.kind; }\n    \
         let rooms = [\"a\", \"b\"].map(|floor| http(\"hr\").query(\"/rooms\", #{ floor: floor }).json.room);\n    \
         set_profile(\"team\", `${found.json.team} ${second} ${rooms[0]}${rooms[1]}`)\n}\n",
    );
    bundle.write("call.json", crate::process::sample("okta.registration"));
    let saved = bundle.run(&["call", "signup", "call.json", "--save-case", "asked"]);
    assert_eq!(saved.status, 0, "{}{}", saved.out, saved.err);
    serving.join().unwrap();
    let case: serde_json::Value = serde_json::from_str(&bundle.read("scripts/cases/registration/asked.json")).unwrap();
    assert_eq!(case["lookups"][0]["answer"]["text"], "{\"team\":\"payroll\",\"api_token\":\"***\"}");
    assert_eq!(case["lookups"][1], json!({ "connector": "hr", "asked": "GET /more", "fails": "unreachable" }));
    // Two questions to one path are told apart by their bodies.
    let bodies = [&case["lookups"][2]["body"], &case["lookups"][3]["body"]];
    assert_eq!(bodies, [&json!({ "floor": "a" }), &json!({ "floor": "b" })]);
    assert_eq!(case["expected"][0]["reply"]["commands"][0]["value"]["team"], "payroll unreachable 12");
    let tested = bundle.run(&["test", "--filter", "case/asked"]);
    assert_eq!((tested.status, tested.out.contains("1 passed")), (0, true), "{}", tested.out);
}
