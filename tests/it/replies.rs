//! Whatever arrays of whatever a script returns: what leaves is valid by the contract or the declared answer, never a 5xx.
use hookgate_engine::release::live::Reloaded;
use hookgate_hooks::Answer;
use http::Method;
use proptest::collection::vec;
use proptest::sample::select;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::harness::{SECRET, TestGateway, json, without_debug};
use crate::process::sample;

/// A hook as Okta's contract has it, written apart from the hooks.
struct Contract {
    hook: &'static str,
    entry: &'static str,
    on_failure: &'static str,
    /// Status and body of the declared answer.
    declared: fn() -> (u16, Value),
    /// What scripts may say, with good and bad arguments.
    commands: &'static [&'static str],
}

/// What is no command of any hook.
const JUNK: &[&str] = &[
    "()",
    "42",
    "\"allow\"",
    "#{}",
    "[]",
    "true",
    "1.5",
    "'c'",
    "request",
    "#{ type: \"com.okta.action.update\", value: 1 }",
    "[[]]",
    "|x| x",
];

const CONTRACTS: &[Contract] = &[
    Contract {
        hook: "okta.registration",
        entry: "on_registration",
        on_failure: "\"allow\"",
        declared: || {
            (200, json!({ "commands": [{ "type": "com.okta.action.update", "value": { "registration": "ALLOW" } }] }))
        },
        commands: &[
            "allow()",
            "deny(\"no\")",
            "deny(\"\")",
            "deny_field(\"email\", \"bad\")",
            "deny_field(\"\", \"\")",
            "deny_field(\"a\", \"b\", \"C\")",
            "set_profile(\"a\", 1)",
            "set_profile(\"a\", ())",
            "set_profile(\"\", \"x\")",
            "set_profile(#{})",
            "set_profile(#{ a: [1, #{ b: 2 }] })",
            "set_profile(\"a\", |x| x)",
            "set_profile(\"home address\", #{ city: \"Bern\" })",
            "set_profile(\"a\", [1, \"b\"])",
            "set_profile(\"password\", \"x\")",
            "deny_field(\"data.userProfile.email\", \"bad\")",
            "set_profile(\"a\", 1.0 / 0.0)",
            "deny(\"\\u0000 \\\" \\\\ \u{1f600}\")",
            "verified()",
        ],
    },
    Contract {
        hook: "okta.password_import",
        entry: "on_password_import",
        on_failure: "\"unverified\"",
        declared: || {
            (
                200,
                json!({ "commands": [{ "type": "com.okta.action.update", "value": { "credential": "UNVERIFIED" } }] }),
            )
        },
        commands: &["verified()", "unverified()", "verified", "allow()"],
    },
    Contract {
        hook: "okta.token",
        entry: "on_token",
        on_failure: "\"unchanged\"",
        declared: || (200, json!({})),
        commands: &[
            "id_token.add_claim(\"a\", 1)",
            "access_token.add_claim(\"a\", \"b\")",
            "id_token.add_claim(\"groups\", 1)",
            "id_token.add_claim(\"a/b~c\", ())",
            "id_token.add_claim([\"a\", \"b\"], 1)",
            "id_token.add_claim(\"\", 1)",
            "id_token.replace_claim(\"nothing\", 1)",
            "id_token.remove_claim(\"nothing\")",
            "id_token.remove_claim(\"iss\")",
            "access_token.remove_claim(\"sub\")",
            "access_token.add_claim(\"aud\", \"x\")",
            "access_token.replace_claim([\"okta_auth\", \"a\"], 1)",
            "access_token.set_lifetime(3600)",
            "access_token.set_lifetime(1)",
            "id_token.set_lifetime(-5)",
            "refuse(\"no\")",
            "refuse(\"\")",
            "id_token",
        ],
    },
    Contract {
        hook: "okta.saml",
        entry: "on_saml",
        on_failure: "\"unchanged\"",
        declared: || (204, Value::Null),
        commands: &[
            "add_attribute(\"a\", \"b\")",
            "add_attribute(\"a\", [\"b\", \"c\"])",
            "add_attribute(\"\", 1)",
            "add_attribute(\"a\", #{})",
            "add_attribute(\"a\", 1, \"xs:integer\")",
            "add_attribute(\"OktaAuth\", 1)",
            "replace(\"/subject\", #{ nameId: 7 })",
            "replace(\"/claims/a/attributeValues/0/attributes/xsi:type\", \"xs:boolean\")",
            "replace_attribute(\"nothing\", 1)",
            "set_name_id(\"x\")",
            "set_name_id(\"\")",
            "set_session_lifetime(600)",
            "set_session_lifetime(-1)",
            "replace(\"/subject/nameId\", \"x\")",
            "replace(\"nothing\", 1)",
            "replace([], 1)",
            "refuse(\"no\")",
        ],
    },
    Contract {
        hook: "okta.user_import",
        entry: "on_user_import",
        on_failure: "\"unchanged\"",
        declared: || (200, json!({})),
        commands: &[
            "create_user()",
            "link_user(\"00u1\")",
            "link_user(\"\")",
            "link_user(\"00g1\")",
            "set_profile(\"a b\", 1)",
            "fail(\"no\")",
            "fail(\"\")",
            "set_profile(\"a\", 1)",
            "set_profile(#{})",
            "set_app_profile(\"a\", ())",
            "set_app_profile(#{ a: [1] })",
            "set_profile(\"\", 1)",
        ],
    },
    Contract {
        hook: "okta.telephony",
        entry: "on_telephony",
        on_failure: "\"let_okta_send\"",
        declared: || (200, Value::Null),
        commands: &[
            "sent(\"acme\", \"1\")",
            "sent(\"\", \"\")",
            "sent()",
            "sent(\"acme\")",
            "sent(\"acme\", ())",
            "pending(\"acme\", \"1\", \"m\")",
            "block(\"no\", \"swallow\")",
            "block(\"no\", \"let_okta_send\")",
            "block(\"no\", \"other\")",
            "block(\"\", \"swallow\")",
            "send([via(\"a\")])",
            "via(\"a\")",
        ],
    },
];

/// Why Okta would not take this answer to this call.
fn problem(contract: &Contract, call: &Value, status: u16, reply: &Value) -> Option<String> {
    let body = if reply.is_null() { String::new() } else { reply.to_string() };
    let content_type = (!body.is_empty()).then_some("application/json");
    let hook = hookgate_hooks::find(contract.hook).expect("a hook of the table");
    let violations = (hook.judge)(call, Some(&Answer { status, content_type, body: body.as_bytes() })).violations;
    if !violations.is_empty() {
        return Some(violations.join("; "));
    }
    // What Okta would take and we never send.
    if reply.get("error").is_some_and(|error| error["errorSummary"].as_str().is_none_or(str::is_empty)) {
        return Some("an error without a summary".into());
    }
    let is_alone = contract.hook == "okta.registration" || reply.get("commands").is_none();
    (reply.get("error").is_some() && !is_alone).then(|| "commands beside an error".into())
}

/// The text of an array of commands and junk, some of them in arrays of their own.
fn returned(contract: &Contract) -> impl Strategy<Value = String> + use<> {
    let commands = contract.commands.to_vec();
    let item = proptest::prop_oneof![6 => select(commands.clone()), 1 => select(JUNK)].prop_map(str::to_owned);
    let group = vec(select(commands), 0..3).prop_map(|items| format!("[{}]", items.join(", ")));
    let array = vec(proptest::prop_oneof![5 => item.clone(), 1 => group], 0..4)
        .prop_map(|items| format!("[{}]", items.join(", ")));
    proptest::prop_oneof![1 => item, 4 => array]
}

#[tokio::test]
async fn what_leaves_is_valid_or_the_declared_answer() {
    const CASES: usize = 40;
    let mut runner = TestRunner::deterministic();
    let mut wrong = Vec::new();
    for contract in CONTRACTS {
        let function = |body: &str| format!("fn {}(request) {{ {body} }}", contract.entry);
        let gateway = TestGateway::of(contract.hook, contract.on_failure, &function("request.id; ()"));
        let (mut ran, mut seen) = (0, 0);
        let singles = contract.commands.iter().map(|command| (*command).to_owned()).collect::<Vec<_>>();
        let strategy = returned(contract);
        let random = (0..CASES).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect::<Vec<_>>();
        for body in singles.into_iter().chain(random) {
            gateway.write("scripts/hook.rhai", &function(&body));
            if gateway.reload() == Reloaded::Refused {
                // Found when the script was loaded.
                continue;
            }
            ran += 1;
            let mut call: Value = serde_json::from_str(sample(contract.hook)).unwrap();
            call["eventId"] = json!(format!("call-{ran}"));
            let (status, reply) = gateway.post(call.to_string()).await;
            let reply = without_debug(reply);
            let fallbacks: u64 = gateway.metrics.route("hook").fallback.read().iter().map(|(_, count)| count).sum();
            let failed = fallbacks > seen;
            seen = fallbacks;
            let (declared_status, declared) = (contract.declared)();
            if let Some(problem) = problem(contract, &call, status, &reply) {
                wrong.push(format!("{} {body}: {problem}: {status} {reply}", contract.hook));
            } else if failed && (status, &reply) != (declared_status, &declared) && !declared_in_words(contract, &reply)
            {
                wrong.push(format!("{} {body}: failed, but not as declared: {status} {reply}", contract.hook));
            }
        }
        assert!(ran >= 10 && seen >= 1, "{}: only {ran} cases ran, {seen} failed", contract.hook);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// "Okta sends" is said by an error whose words are ours to choose.
fn declared_in_words(contract: &Contract, reply: &Value) -> bool {
    contract.hook == "okta.telephony" && reply["error"]["errorSummary"].is_string() && reply.get("commands").is_none()
}

/// What the script says for the provider's log leaves with its answer, and beside the declared one.
#[tokio::test]
async fn a_note_leaves_in_debug_context_also_beside_the_declared_answer() {
    for (hook, entry, on_failure) in [
        ("okta.token", "on_token", "\"unchanged\""),
        ("okta.user_import", "on_user_import", "\"unchanged\""),
        ("okta.registration", "on_registration", "{ deny = \"later\" }"),
        ("okta.password_import", "on_password_import", "\"unverified\""),
        ("okta.telephony", "on_telephony", "\"let_okta_send\""),
    ] {
        for (script, fallback) in [("", None), ("throw \"no\"", Some("script_error"))] {
            let text = format!("fn {entry}(request) {{ request.id; note(\"asked the directory\"); {script} }}");
            let gateway = TestGateway::of(hook, on_failure, &text);
            let headers = [("authorization", SECRET)];
            let response = gateway.respond(Method::POST, "/hook", &headers, sample(hook)).await;
            let header = response.headers().get("x-hookgate-fallback").map(|value| value.to_str().unwrap().to_owned());
            let debug = json(response.body())["debugContext"].clone();
            assert_eq!(header.as_deref(), fallback, "{hook} {script}");
            assert_eq!(
                (&debug["note"], debug["fallback"].as_str()),
                (&json!("asked the directory"), fallback),
                "{hook} {debug}"
            );
        }
    }
    let saml = TestGateway::of("okta.saml", "\"unchanged\"", "fn on_saml(request) { request.id; throw \"no\" }");
    let response = saml.respond(Method::POST, "/hook", &[("authorization", SECRET)], sample("okta.saml")).await;
    assert_eq!(
        (response.status().as_u16(), response.headers()["x-hookgate-fallback"].to_str().unwrap()),
        (204, "script_error")
    );
}
