//! `check` and `init`.

use std::fs;
use std::path::Path;

use hookgate_engine::release::build::survey::survey;
use hookgate_engine::release::bundle::Place;
use serde_json::{Value, json};

use super::Bundle;
use crate::process::hookgate;

#[test]
fn what_init_writes_is_good() {
    let bundle = Bundle::new();
    let checked = bundle.run(&["check", "--deny-warnings"]);
    assert_eq!(checked.status, 0, "{}{}", checked.out, checked.err);
    assert!(checked.out.starts_with("good: 1 route, 1 script, 1 table (release "), "{}", checked.out);
    let tested = bundle.run(&["test"]);
    assert_eq!(tested.status, 0, "{}{}", tested.out, tested.err);
    assert!(tested.out.contains("\n5 passed, 3 rows of 1 script in "), "{}", tested.out);
}

/// The tests are worth something: none of these slips passes them.
#[test]
fn the_tests_that_init_writes_see_every_slip_in_the_rule() {
    let rule = "scripts/registration.rhai";
    let bundle = Bundle::new();
    let good = bundle.read(rule);
    for (old, new) in [
        ("email == ()", "email != ()"),
        ("!email.is_valid", "email.is_valid"),
        ("if table(\"disposable\")", "if !table(\"disposable\")"),
        ("if email.domain_in", "if !email.domain_in"),
        ("[allow(), set_profile", "[set_profile"),
        ("\"partner\"", "\"guest\""),
        ("\"email\", \"This", "\"login\", \"This"),
        ("\"email\", \"Please", "\"login\", \"Please"),
    ] {
        assert_eq!(good.matches(old).count(), 1, "{old}");
        bundle.write(rule, &good.replace(old, new));
        let tested = bundle.run(&["test"]);
        assert_eq!(tested.status, 1, "{old} → {new}: {}{}", tested.out, tested.err);
    }
}

/// What to do next is told, and works.
#[test]
fn init_names_the_commands_that_come_next() {
    let folder = tempfile::tempdir().unwrap();
    let made = hookgate(folder.path(), &["init", "first"]).output().unwrap();
    let told = String::from_utf8(made.stdout).unwrap();
    for line in
        ["cd first", "hookgate test ", "hookgate check ", "hookgate serve ", "hookgate simulate okta.registration "]
    {
        assert!(told.lines().any(|told| told.trim_start().starts_with(line)), "{line} is missing in\n{told}");
    }
    assert!(folder.path().join("first/scripts/registration_test.rhai").is_file());
}

/// Editors with a TOML server complete `gateway.toml` from it.
#[test]
fn the_schema_that_the_first_line_names_is_there() {
    let bundle = Bundle::new();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    // With the parameters that the scripts of the repository's bundle declare.
    let declared = survey(&Place::of(&repository.join("gateway.toml")), None).schema();
    for (folder, expected) in [(bundle.path(), hookgate_engine::release::schema()), (repository, &declared)] {
        let text = fs::read_to_string(folder.join("gateway.toml")).unwrap();
        let schema = text.lines().next().unwrap().strip_prefix("#:schema ").expect("the first line names a schema");
        let schema = fs::read_to_string(folder.join(schema)).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&schema).unwrap(), *expected, "{}", folder.display());
    }
}

#[test]
fn init_overwrites_nothing() {
    let bundle = Bundle::new();
    bundle.write("gateway.toml", "mine");
    let again = bundle.run(&["init"]);
    assert_eq!(again.status, 2);
    assert!(again.err.contains("gateway.toml"), "{}", again.err);
    assert_eq!(bundle.read("gateway.toml"), "mine");
}

#[test]
fn a_broken_bundle_fails_with_place_and_remedy() {
    let table = [
        ("gateway.toml", "listen = \"127.0.0.1:8081\"", "lisen = \"127.0.0.1:8081\"", "gateway.toml", "`listen`"),
        ("gateway.toml", "\"registration.rhai\"", "\"registratoin.rhai\"", "gateway.toml", "`registration.rhai`"),
        (
            "gateway.toml",
            "hook = \"okta.registration\"",
            "hook = \"okta.registraton\"",
            "gateway.toml",
            "okta.registration",
        ),
        ("scripts/registration.rhai", "request.email;", "request.emial;", "scripts/registration.rhai:4:", "`email`"),
        (
            "scripts/registration.rhai",
            "fn on_registration",
            "fn on_register",
            "scripts/registration.rhai",
            "on_registration",
        ),
    ];
    for (file, old, new, place, remedy) in table {
        let bundle = Bundle::new();
        bundle.replace(file, old, new);
        let checked = bundle.run(&["check"]);
        assert_eq!(checked.status, 1, "{new}: {}{}", checked.out, checked.err);
        for part in [place, remedy, "error"] {
            assert!(checked.out.contains(part), "{new}: `{part}` is missing in\n{}", checked.out);
        }
    }
}

#[test]
fn the_formats_tell_the_same_findings() {
    let bundle = Bundle::new();
    bundle.replace("scripts/registration.rhai", "request.email;", "request.emial;");
    let listed = bundle.run(&["check", "--json"]);
    assert_eq!(listed.status, 1);
    let listed = listed.json();
    assert_eq!(listed["release"], json!(null));
    let finding = &listed["findings"][0];
    assert_eq!((&finding["severity"], &finding["line"]), (&json!("error"), &json!(4)));

    let log = bundle.run(&["check", "--format", "sarif"]).json();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert_eq!(run["tool"]["driver"]["name"], "hookgate");
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), listed["findings"].as_array().unwrap().len());
    for (result, finding) in results.iter().zip(listed["findings"].as_array().unwrap()) {
        let rule = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(result["ruleId"], finding["code"]);
        assert_eq!(run["tool"]["driver"]["rules"][rule]["id"], finding["code"]);
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], finding["file"]);
        // 0 stands for a file as a whole, which has no region.
        assert_eq!(place["region"]["startLine"].as_u64().unwrap_or(0), finding["line"].as_u64().unwrap());
    }
}

/// So that nothing is said of a script without tests.
const TESTS: &str = "fn test_sign_up() { assert(run().failure == ()); }\n";

#[test]
fn a_script_without_tests_is_named_unless_nobody_asks_for_tests() {
    let bundle = Bundle::new();
    bundle.write("scripts/second.rhai", "fn on_registration(_request) { allow() }\n");
    let route = "path = \"/second\"\nhook = \"okta.registration\"\nscript = \"second.rhai\"\nauth = \"okta\"\non_failure = \"allow\"\n";
    let config = format!("{}\n[routes.second]\n{route}", bundle.read("gateway.toml"));
    bundle.write("gateway.toml", &config);
    let found = |bundle: &Bundle| {
        let listed = bundle.run(&["check", "--json"]).json();
        let findings = listed["findings"].as_array().unwrap().clone();
        findings.iter().any(|finding| finding["code"] == "script/untested" && finding["file"] == "scripts/second.rhai")
    };
    assert!(found(&bundle));
    bundle.write("gateway.toml", &format!("{config}\n[scripts]\ngate = \"check\"\n"));
    assert!(!found(&bundle));
}

#[test]
fn warnings_fail_only_when_they_are_denied() {
    let bundle = Bundle::new();
    bundle.write("scripts/registration_test.rhai", TESTS);
    bundle.write("scripts/left_over.rhai", "fn on_registration(request) { allow() }\n");
    let checked = bundle.run(&["check"]);
    assert_eq!(checked.status, 0, "{}", checked.out);
    assert!(checked.out.contains("1 warning"), "{}", checked.out);
    assert_eq!(bundle.run(&["check", "--deny-warnings"]).status, 1);
}

#[test]
fn a_code_is_explained_without_a_bundle() {
    let bundle = Bundle::new();
    bundle.write("gateway.toml", "not read");
    let page = bundle.run(&["check", "--explain", "script/reserved-claim"]);
    assert_eq!(page.status, 0, "{}", page.err);
    for part in ["script/reserved-claim", "okta.token", "add_claim(\"groups\"", "add_claim(\"app_groups\""] {
        assert!(page.out.contains(part), "{part} is missing in\n{}", page.out);
    }
    assert_eq!(bundle.run(&["check", "--explain", "reserved-claim"]).out, page.out);
    assert_eq!(bundle.run(&["docs", "script/reserved-claim"]).out, page.out);
    let tests = bundle.run(&["check", "--explain", "no-assertion"]);
    assert!(tests.out.contains("fn test_") && tests.out.contains("The script that is tested"), "{}", tests.out);
    let list = bundle.run(&["check", "--explain"]);
    assert!(list.out.lines().count() > 40 && list.out.contains("script/comparison"), "{}", list.out);
    let unknown = bundle.run(&["check", "--explain", "script/comparision"]);
    assert_eq!(unknown.status, 2);
    assert!(unknown.err.contains("did you mean `script/comparison`?"), "{}", unknown.err);
}

#[test]
fn sarif_says_what_a_rule_is_about() {
    let bundle = Bundle::new();
    bundle.write("scripts/registration_test.rhai", TESTS);
    bundle.write("scripts/left_over.rhai", "fn on_registration(request) { allow() }\n");
    let log: serde_json::Value = serde_json::from_str(&bundle.run(&["check", "--format", "sarif"]).out).unwrap();
    let rule = &log["runs"][0]["tool"]["driver"]["rules"][0];
    assert_eq!(
        (&rule["id"], &rule["shortDescription"]["text"]),
        (&json!("script/unused-file"), &json!("A file that nothing uses"))
    );
    assert!(rule["fullDescription"]["text"].as_str().is_some_and(|text| text.len() > 40), "{rule}");
}

#[test]
fn an_unset_secret_is_found_unless_secrets_are_left_out() {
    let bundle = Bundle::new();
    bundle.replace("gateway.toml", "{ file = \"secrets/okta\", create = true }", "{ env = \"NO_SUCH_SECRET\" }");
    let checked = bundle.run(&["check"]);
    assert_eq!(checked.status, 1);
    assert!(checked.out.contains("NO_SUCH_SECRET"), "{}", checked.out);
    assert_eq!(bundle.run(&["check", "--no-secrets"]).status, 0);
}

#[test]
fn without_a_configuration_nothing_can_run() {
    let bundle = Bundle::new();
    for command in [&["check"][..], &["serve"], &[], &["call", "signup", "-"], &["simulate", "okta.registration"]] {
        let ran = bundle.run(&[&["--config", "none.toml"], command].concat());
        assert_eq!(ran.status, 2, "{command:?}");
        assert!(ran.err.contains("none.toml") && ran.err.contains("hookgate init"), "{command:?}: {}", ran.err);
    }
}

#[test]
fn a_check_makes_no_secret() {
    let bundle = Bundle::new();
    assert_eq!(bundle.run(&["check"]).status, 0);
    assert!(!bundle.path().join("secrets").exists());
}

/// Two that are there, one that is not; the second one's folder cannot be asked without a connection.
#[test]
fn online_every_connector_is_asked_and_one_that_is_away_fails() {
    let bundle = Bundle::new();
    let config = bundle.read("gateway.toml");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let there = listener.local_addr().unwrap().port();
    let away = crate::process::free_port();
    let connectors = |ports: &[(&str, u16)]| {
        let one = |(name, port): &(&str, u16)| {
            format!(
                "[connectors.{name}]\nkind = \"http\"\nbase_url = \"http://127.0.0.1:{port}\"\nallow_private = true\n"
            )
        };
        ports.iter().map(one).collect::<String>()
    };
    let file = "[connectors.out]\nkind = \"file\"\npath = \"data/out.jsonl\"\n";
    bundle.write("gateway.toml", &format!("{config}\n{file}{}", connectors(&[("hr", there)])));
    let checked = bundle.run(&["check", "--online"]);
    assert_eq!(checked.status, 0, "{}{}", checked.out, checked.err);
    assert!(checked.out.contains("reached connectors.hr (http): it accepts connections"), "{}", checked.out);
    assert!(checked.out.contains("reached connectors.out (file): it can be written"), "{}", checked.out);
    assert!(!bundle.path().join("data").exists(), "a check makes nothing");
    bundle.write("gateway.toml", &format!("{config}\n{}", connectors(&[("hr", there), ("desk", away)])));
    let checked = bundle.run(&["check", "--online", "--json"]);
    assert_eq!(checked.status, 1, "{}{}", checked.out, checked.err);
    let found: Value = serde_json::from_str(&checked.out).unwrap();
    assert_eq!(found["online"][0]["key"], "connectors.desk");
    assert_eq!((&found["online"][0]["reached"], &found["online"][0]["reason"]), (&json!(false), &json!("unreachable")));
    assert_eq!(found["online"][1]["reached"], true);
    assert_eq!(bundle.run(&["check"]).status, 0, "without --online nobody is asked");
}

/// A key that nobody knows hides nothing else.
#[test]
fn mistakes_of_scripts_are_told_beside_an_unknown_key() {
    let bundle = Bundle::new();
    let config = bundle.read("gateway.toml");
    bundle.write(
        "gateway.toml",
        &config.replace("hook = \"okta.registration\"", "hook = \"okta.registration\"\ncapturing = true"),
    );
    bundle.write(
        "scripts/registration.rhai",
        "fn on_registration(request) { set_profile(\"home address\", #{ city: \"Bern\" }) }\n",
    );
    let ran = bundle.run(&["check"]);
    assert_eq!(ran.status, 1);
    for part in ["unknown key `capturing`", "no attribute can be named `home address`"] {
        assert!(ran.out.contains(part), "`{part}` is missing in\n{}", ran.out);
    }
    // Of a file that is more broken, scripts are looked at by themselves.
    bundle.write("gateway.toml", &config.replace("hook = \"okta.registration\"", "hook = 7"));
    let ran = bundle.run(&["check"]);
    for part in ["`routes.signup.hook`", "no attribute can be named `home address`"] {
        assert!(ran.out.contains(part), "`{part}` is missing in\n{}", ran.out);
    }
}

#[test]
fn a_short_token_of_the_admin_listener_is_told() {
    let bundle = Bundle::new();
    fs::create_dir_all(bundle.path().join("secrets")).unwrap();
    let admin = "[admin]\ntoken = { file = \"secrets/admin\" }\n";
    let config = bundle.read("gateway.toml").replace("[admin]\n", admin);
    assert!(config.contains(admin), "{config}");
    bundle.write("gateway.toml", &config);
    for (token, short) in [("hunter2", true), ("0123456789abcde", true), ("0123456789abcdef", false)] {
        bundle.write("secrets/admin", token);
        let ran = bundle.run(&["check"]);
        assert_eq!((ran.status, ran.out.contains("config/short-token")), (0, short), "{token}: {}", ran.out);
        assert!(!ran.out.contains(token), "{}", ran.out);
    }
}

#[test]
fn what_rules_want_is_printed_to_be_subscribed_to() {
    let bundle = Bundle::new();
    let route = "[routes.events]\npath = \"/okta/events\"\nhook = \"okta.event\"\nauth = \"okta\"\n\
                 [routes.events.rules.joined]\nevents = [\"group.user_membership.*\", \"policy.lifecycle.create\"]\nscript = \"joined.rhai\"\n";
    bundle.write("gateway.toml", &format!("{}\n{route}", bundle.read("gateway.toml")));
    bundle.write("scripts/joined.rhai", "fn on_event(event) { log(event.type); }\n");
    let ran = bundle.run(&["docs", "okta.event", "--subscribe"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    for part in [
        "catalogue 2026.08.1",
        "events /okta/events: 2 types",
        "[ ] group.user_membership.add     joined",
        "left out: policy.lifecycle.create",
    ] {
        assert!(ran.out.contains(part), "`{part}` is missing in\n{}", ran.out);
    }
    let told = bundle.run(&["docs", "okta.event", "--subscribe", "--json"]).json();
    let items = json!(["group.user_membership.add", "group.user_membership.remove"]);
    assert_eq!(told["hooks"][0]["events"], json!({ "type": "EVENT_TYPE", "items": items }));
    assert_eq!(told["hooks"][0]["not_eligible"], json!([{ "type": "policy.lifecycle.create", "rule": "joined" }]));
    let ran = bundle.run(&["docs", "okta.token", "--subscribe"]);
    assert!(ran.status == 2 && ran.err.contains("has no event types"), "{}", ran.err);
    let checked = bundle.run(&["check"]);
    assert!(checked.out.contains("Okta does not send `policy.lifecycle.create` to event hooks"), "{}", checked.out);
}
