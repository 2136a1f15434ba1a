//! What scripts ask for beside their answer: checked with the connectors that there are, in the gateway and in tests alike.

use hookgate_engine::harness::run;
use hookgate_engine::harness::run::Options;
use hookgate_engine::harness::trial::Trial;
use hookgate_engine::release::suite;
use hookgate_model::finding::Severity;

use crate::harness::TestGateway;
use crate::process::sample;

const CONFIG: &str = r#"
[connectors.chat]
kind = "file"
path = "chat.jsonl"

[auth.test]
scheme = "header"
secrets = [{ file = "secret" }]

[scripts]
gate = "check"

[routes.hook]
path = "/hook"
hook = "okta.registration"
script = "hook.rhai"
auth = "test"
on_failure = { deny = "Not now." }
params = { connector = "chat" }
"#;

/// The connector is a parameter, so only a call can tell.
const SCRIPT: &str = r#"
fn on_registration(request) {
    [deny("No."), [notify(params.connector, `refused ${request.email.text}`).once("refused", "1m")]]
}
"#;

fn of(tests: &str) -> TestGateway {
    TestGateway::bundle(CONFIG, &[("scripts/hook.rhai", SCRIPT), ("scripts/hook_test.rhai", tests)])
}

fn tested(gateway: &TestGateway) -> Vec<Trial> {
    let release = gateway.live.current().expect("a release is live");
    run::run(&suite::suite(&release), &Options::default(), &|_| {}).trials
}

#[tokio::test]
async fn an_action_changes_nothing_of_the_answer() {
    let gateway = of("");
    let (status, reply) = gateway.post(sample("okta.registration")).await;
    assert_eq!((status, reply["error"]["errorSummary"].as_str()), (200, Some("No.")));
    assert_eq!(reply["commands"][0]["value"]["registration"], "DENY");
}

#[tokio::test]
async fn a_connector_that_is_not_there_is_a_failure_of_the_script() {
    let gateway = of("");
    gateway.write("gateway.toml", &CONFIG.replace("connector = \"chat\"", "connector = \"chta\""));
    gateway.reload();
    let (status, reply) = gateway.post(sample("okta.registration")).await;
    assert_eq!((status, reply["error"]["errorSummary"].as_str()), (200, Some("Not now.")));
}

#[test]
fn a_test_sees_what_the_gateway_would_do() {
    let gateway = of(r#"
/// as it is kept
fn test_actions() {
    let outcome = run();
    assert_eq(outcome.actions.len(), 1);
    assert_eq(outcome.commands.len(), 1);
    assert_json(outcome.actions[0], #{ connector: "chat", "do": "notify", once: #{ key: "refused", ms: 60000 } });
}

/// the same error as a caller would cause
fn test_unknown() {
    set_param("connector", "chta");
    let outcome = run();
    assert_fails(outcome, "there is no connector `chta`: did you mean `chat`?");
    assert_eq(outcome.actions, []);
    assert_eq(outcome.reply.error.errorSummary, "Not now.");
}
"#);
    let trials = tested(&gateway);
    let failed: Vec<_> = trials.iter().filter(|trial| trial.failed()).map(|trial| &trial.complaints).collect();
    assert!(trials.len() == 2 && failed.is_empty(), "{failed:#?}");
}

#[test]
fn a_case_says_what_the_gateway_would_do() {
    let gateway = of("");
    let case = serde_json::json!({ "request": serde_json::from_str::<serde_json::Value>(sample("okta.registration")).unwrap() });
    gateway.write("scripts/cases/hook/refused.json", &case.to_string());
    gateway.reload();
    let release = gateway.live.current().expect("a release is live");
    let suite = suite::suite(&release);
    let text =
        hookgate_engine::harness::cases::accepted(&suite, &suite.subjects[0], "refused").unwrap().expect("it is new");
    let case: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(case["expected"][0]["actions"][0]["do"], "notify", "{text}");
}

/// Each kind takes some actions: that is known before a script runs (#15, B10).
#[test]
fn an_action_that_a_kind_does_not_take_is_found_when_the_script_is_loaded() {
    let gateway = of("");
    let slack = CONFIG.replace("kind = \"file\"\npath = \"chat.jsonl\"", "kind = \"slack\"\nurl = { file = \"chat\" }");
    let more = "[connectors.hr]\nkind = \"http\"\nbase_url = \"https://hr.example\"\n\
                [connectors.org]\nkind = \"okta\"\norg_url = \"https://acme.okta.com\"\ntoken = { file = \"token\" }\n";
    gateway.write("chat", "https://hooks.slack.example/services/T0/B0/x");
    gateway.write("token", "token-of-a-test");
    gateway.write("gateway.toml", &format!("{slack}\n{more}"));
    let refused = |action: &str| {
        gateway.write("scripts/hook.rhai", &format!("fn on_registration(request) {{ [allow(), {action}] }}"));
        gateway.reload();
        let error = gateway.live.status().error.clone();
        let found =
            error.iter().find(|finding| finding.code.starts_with("script/") && finding.severity == Severity::Error);
        found.map(|finding| {
            format!("{} {} ({})", finding.code, finding.message, finding.help.as_deref().unwrap_or_default())
        })
    };
    for (action, said) in [
        (
            "post(\"chat\", \"/x\", #{})",
            Some(
                "`post` cannot go to the connector `chat`: a connector of kind `slack` takes `notify` (it can go to: hr)",
            ),
        ),
        (
            "forward(\"org\")",
            Some(
                "`forward` cannot go to the connector `org`: a connector of kind `okta` takes `clear_sessions`, `suspend_user`, \
                 `unsuspend_user`, `deactivate_user`, `add_to_group`, `remove_from_group` (it can go to: hr)",
            ),
        ),
        (
            "suspend_user(\"hr\", \"00u1\")",
            Some(
                "`suspend_user` cannot go to the connector `hr`: a connector of kind `http` takes `notify`, `post`, `put`, `patch`, \
                 `delete`, `forward` (it can go to: org)",
            ),
        ),
        (
            "email(\"hr\", #{ to: \"a@b.example\", subject: \"s\", text: \"t\" })",
            Some(
                "`email` cannot go to the connector `hr`: a connector of kind `http` takes `notify`, `post`, `put`, `patch`, \
                 `delete`, `forward` (no connector of gateway.toml takes `email`)",
            ),
        ),
        ("notify(\"chat\", \"x\")", None),
        ("post(\"hr\", \"/x\", #{})", None),
        ("notify(\"hr\", \"x\")", None),
        ("suspend_user(\"org\", \"00u1\")", None),
    ] {
        let said = said.map(|said| format!("script/wrong-connector {said}"));
        assert_eq!(refused(action), said, "{action}");
    }
}

/// The text is a parameter, so only a call can tell.
const REFUSED: &str = r#"
fn on_registration(request) { [deny("No."), notify("chat", params.text), notify("chat", "second")] }
"#;

#[tokio::test]
async fn an_action_that_cannot_be_made_changes_nothing_of_the_answer() {
    let config = CONFIG.replace("connector = \"chat\"", "text = \" \"");
    let gateway = TestGateway::bundle(&config, &[("scripts/hook.rhai", REFUSED)]);
    let (status, reply) = gateway.post(sample("okta.registration")).await;
    assert_eq!((status, reply["error"]["errorSummary"].as_str()), (200, Some("No.")));
}

#[test]
fn a_test_sees_what_is_refused_and_must_ask_for_it() {
    let tests = r#"
fn test_asked() {
    set_param("text", "");
    let outcome = run();
    assert_eq(outcome.actions.len(), 1);
    assert_eq(outcome.refused[0].refused, "`chat`: `notify`: needs a text");
    assert_eq(outcome.reply.error.errorSummary, "No.");
}

fn test_not_asked() {
    set_param("text", "");
    assert_eq(run().reply.error.errorSummary, "No.");
}

fn test_nothing_is_refused() {
    set_param("text", "first");
    assert_eq(run().actions.len(), 2);
}
"#;
    let config = CONFIG.replace("connector = \"chat\"", "text = \"x\"");
    let bundle = [("scripts/hook.rhai", REFUSED), ("scripts/hook_test.rhai", tests)];
    let gateway = TestGateway::bundle(&config, &bundle);
    let trials = tested(&gateway);
    let failed: Vec<(&str, String)> = trials
        .iter()
        .filter(|trial| trial.failed())
        .map(|trial| (trial.name.as_str(), trial.complaints[0].finding.message.clone()))
        .collect();
    let why =
        "an action of the script cannot be done, and the test did not ask about it: `chat`: `notify`: needs a text";
    assert_eq!(failed, [("test_not_asked", why.to_owned())]);
}
