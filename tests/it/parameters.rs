//! What routes and rules give, held against what their scripts declare: places, remedies, and what a route gives to all its rules.

use std::fs;

use hookgate_engine::release::build::{self, Secrets};
use hookgate_engine::release::bundle::Place;
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_model::finding::Finding;

const FIRST: &str = r#"
const PARAMS = #{
    channel: #{ type: "connector for notify", required: true, text: "hears of it" },
    window: #{ type: "duration", if_absent: "60s", text: "how long" },
};
fn on_event(event) { notify(params.channel, event.id).digest("first", params.window) }
"#;

const SECOND: &str = r#"
const PARAMS = #{
    channel: #{ type: "connector for notify", if_absent: "chat", text: "hears of it" },
    label: #{ type: "text", if_absent: "x", text: "what it is called" },
};
fn on_event(_event) { notify(params.channel, params.label) }
"#;

/// Declares nothing, and reads one parameter.
const OPEN: &str = "fn on_event(_event) { log(`${params.free}`); }\n";

/// What is found in a bundle with these rules.
fn found(rules: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir(folder.path().join("scripts")).unwrap();
    write("scripts/first.rhai", FIRST);
    write("scripts/second.rhai", SECOND);
    write("scripts/open.rhai", OPEN);
    let config = format!(
        "auth.a = {{ scheme = \"header\", secrets = [{{ file = \"secret\", create = true }}] }}\n\
         [connectors.chat]\nkind = \"file\"\npath = \"chat.jsonl\"\n\
         [connectors.hr]\nkind = \"ldap\"\nurl = \"ldaps://hr.example\"\nbind_dn = \"cn=a\"\nbind_password = {{ file = \"secret\" }}\n\
         [routes.events]\npath = \"/events\"\nhook = \"okta.event\"\nauth = \"a\"\n{rules}"
    );
    write("gateway.toml", &config);
    let built = build::check(&Place::of(&folder.path().join("gateway.toml")), Secrets::Skip, &Metrics::new());
    let findings = built.map_or_else(|findings| findings, |release| release.warnings.clone());
    let of_parameters = |finding: &&Finding| finding.code.ends_with("-parameter");
    let line = |finding: &Finding| {
        let excerpt = finding.excerpt.clone().unwrap_or_default();
        let key = finding.key.clone().unwrap_or_default();
        format!(
            "{} {key} | {excerpt} | {} ({})",
            finding.code,
            finding.message,
            finding.help.clone().unwrap_or_default()
        )
    };
    findings.iter().filter(of_parameters).map(line).collect()
}

fn rule(name: &str, script: &str, params: &str) -> String {
    format!("[routes.events.rules.{name}]\nevents = [\"*\"]\nscript = \"{script}.rhai\"\n{params}\n")
}

#[test]
fn what_a_route_gives_is_for_all_its_rules() {
    let rules = rule("one", "first", "") + &*rule("two", "second", "") + &*rule("three", "open", "");
    let given = "params = { channel = \"chat\", label = \"a\", window = \"1m\", free = 1 }\n";
    assert_eq!(found(&format!("{given}{rules}")), [""; 0]);
}

#[test]
fn a_mistake_of_a_route_is_told_once_and_where_it_stands() {
    let rules = rule("one", "first", "") + &*rule("two", "second", "");
    assert_eq!(
        found(&format!("params = {{ channel = \"chta\", labl = \"a\" }}\n{rules}")),
        [
            "config/unknown-parameter routes.events.params.labl | params = { channel = \"chta\", labl = \"a\" } | \
             no script of this route has a parameter `labl` (did you mean `label`?)",
            "config/wrong-parameter routes.events.params.channel | params = { channel = \"chta\", labl = \"a\" } | \
             there is no connector `chta` (did you mean `chat`?)",
        ]
    );
}

#[test]
fn all_mistakes_of_rules_are_told_at_once() {
    let rules =
        rule("one", "first", "params = { windw = \"1m\" }") + &*rule("two", "second", "params.channel = \"hr\"");
    assert_eq!(
        found(&rules),
        [
            "config/unknown-parameter routes.events.rules.one.params.windw | params = { windw = \"1m\" } | \
             `first.rhai` has no parameter `windw` (did you mean `window`?)",
            "config/missing-parameter routes.events.rules.one.params | params = { windw = \"1m\" } | \
             `channel` is missing (`channel`: hears of it)",
            "config/wrong-parameter routes.events.rules.two.params.channel | params.channel = \"hr\" | the connector `hr` does not go \
             with `notify`: a connector of kind `ldap` takes no actions (these do: chat)",
        ]
    );
}

#[test]
fn of_many_mistakes_the_first_are_told() {
    let many: Vec<String> = (0..200).map(|number| format!("x{number} = 1")).collect();
    let found = found(&rule("two", "second", &format!("params = {{ {} }}", many.join(", "))));
    assert_eq!(found.len(), 51, "{found:#?}");
    assert!(found[50].contains("there are 150 more mistakes in these parameters"), "{}", found[50]);
}

#[test]
fn a_script_that_declares_nothing_is_as_before() {
    assert_eq!(
        found(&rule("three", "open", "params = { fre = 1 }")),
        ["config/unused-parameter routes.events.rules.three.params.fre | params = { fre = 1 } | \
          no script of this route reads `params.fre` (did you mean `free`?)"]
    );
}
