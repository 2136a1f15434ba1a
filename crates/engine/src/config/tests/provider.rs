//! What a configuration says against the provider, and what a file with unknown keys still says.

use super::{KNOWN, findings, good, parse};
use crate::config::salvage;
use hookgate_model::finding::{Finding, Severity};

const AUTH: &str = r#"
[auth.okta]
scheme = "header"
secrets = [{ env = "OKTA" }]
[auth.jwt]
scheme = "jwt"
issuer = "https://example.okta.com/oauth2/default"
audience = "api://default"
jwks_url = "https://example.okta.com/oauth2/default/v1/keys"
[auth.open]
scheme = "none"
"#;

fn told(text: &str) -> Vec<String> {
    let line = |finding: &Finding| {
        let key = finding.key.as_deref().unwrap_or_default();
        format!("{} {key}: {} ({})", finding.code, finding.message, finding.help.as_deref().unwrap_or_default())
    };
    let found = findings(&format!("{text}{AUTH}"));
    found.iter().filter(|finding| finding.code != "config/unused").map(line).collect()
}

fn events(patterns: &str, more: &str) -> Vec<String> {
    told(&format!(
        r#"
[routes.ev]
path = "/events"
hook = "okta.event"
auth = "okta"
{more}
[routes.ev.rules.x]
events = [{patterns}]
script = "ev.rhai"
"#
    ))
}

#[test]
fn types_that_do_not_exist_or_are_not_sent_are_told_with_the_nearest() {
    assert_eq!(
        events(r#""user.lifecycle.created", "policy.lifecycle.create", "user.*", "nope", "usr.lifecycle.*""#, ""),
        [
            "config/event-type routes.ev.rules.x.events[0]: `user.lifecycle.created` is not among the list of the test (did you mean `user.lifecycle.create`?)",
            "config/event-type routes.ev.rules.x.events[1]: Okta does not send `policy.lifecycle.create` to event hooks: it stands in the System Log only (let `[routes.NAME.reconcile]` read it from there, or take another type)",
            "config/event-type routes.ev.rules.x.events[3]: `nope` is not among the list of the test (it does not exist, or stands in the System Log only: `[routes.NAME.reconcile]` reads it from there)",
            "config/event-type routes.ev.rules.x.events[4]: `usr.lifecycle.*` is not among the list of the test (did you mean `user.lifecycle.*`?)",
        ]
    );
    let only_logged = r#""user.lifecycle.delete.*""#;
    assert_eq!(events(only_logged, "").len(), 1);
    let reconcile = "[routes.ev.reconcile]\norg_url = \"https://example.okta.com\"\ntoken = { env = \"LOG\" }";
    assert_eq!(events(only_logged, reconcile), [""; 0], "the log has them");
    assert_eq!(events(r#""*", "user.session.start", "group.*", "policy.lifecycle.*""#, ""), [""; 0]);
}

fn route(hook: &str, auth: &str, more: &str) -> String {
    let on_failure = match hook {
        "okta.registration" => "on_failure = \"allow\"",
        "okta.telephony" => "on_failure = \"let_okta_send\"",
        _ => "",
    };
    format!("[routes.r]\npath = \"/r\"\nhook = \"{hook}\"\nscript = \"r.rhai\"\nauth = {auth}\n{on_failure}\n{more}\n")
}

#[test]
fn calls_that_cannot_come_are_told() {
    for (hook, auth, code) in [
        ("okta.telephony", r#""open""#, Some("config/no-secret routes.r.auth:")),
        ("okta.telephony", r#"["okta", "open"]"#, Some("config/no-secret routes.r.auth[1]:")),
        ("okta.telephony", r#""okta""#, None),
        ("okta.telephony", r#""jwt""#, None),
        ("okta.registration", r#""open""#, None),
        ("okta.event", r#""jwt""#, Some("config/no-token routes.r.auth:")),
        ("okta.event", r#"{ all = ["okta", "jwt"] }"#, None),
        ("okta.event", r#"["jwt", "okta"]"#, None),
        ("okta.event", r#""okta""#, None),
    ] {
        let found = told(&route(hook, auth, ""));
        // Two schemes on one header are another mistake.
        let found: Vec<_> = found.iter().filter(|line| line.starts_with("config/no-")).collect();
        let expected = if auth.contains("all =") { Some("config/no-token") } else { code };
        match expected {
            Some(code) => assert!(found.len() == 1 && found[0].starts_with(code), "{hook} {auth}: {found:?}"),
            None => assert!(found.is_empty(), "{hook} {auth}: {found:?}"),
        }
    }
}

#[test]
fn deadlines_that_are_too_late_are_told_where_they_stand() {
    let hook = "okta.registration";
    for (text, key) in [
        (route(hook, r#""okta""#, "limits = { deadline_ms = 2901 }"), Some("routes.r.limits.deadline_ms")),
        (route(hook, r#""okta""#, "limits = { deadline_ms = 2900 }"), None),
        (route(hook, r#""okta""#, "[limits]\ndeadline_ms = 5000"), Some("limits.deadline_ms")),
        (route(hook, r#""okta""#, "limits = { deadline_ms = 2000 }\n[limits]\ndeadline_ms = 5000"), None),
        (route("okta.event", r#""okta""#, "[limits]\ndeadline_ms = 60000"), None),
    ] {
        let found = told(&text);
        match key {
            Some(key) => {
                assert!(found.len() == 1 && found[0].starts_with(&format!("config/late-answer {key}:")), "{found:?}")
            }
            None => assert!(found.is_empty(), "{text}: {found:?}"),
        }
    }
}

#[test]
fn on_failure_elsewhere_is_sent_where_it_belongs() {
    let without = route("okta.registration", r#""okta""#, "").replace("on_failure = \"allow\"", "");
    for (section, code, help) in [
        (
            "[routes.r.params]",
            "config/needs-on-failure routes.r.params.on_failure",
            "above the header `[routes.r.params]`",
        ),
        ("[routes.r.limits]", "config/unknown-key routes.r.limits.on_failure", "above the header `[routes.r.limits]`"),
        ("[limits]", "config/unknown-key limits.on_failure", "write it in `[routes.NAME]`"),
        ("[scripts]", "config/unknown-key scripts.on_failure", "write it in `[routes.NAME]`"),
        ("[auth.extra]\nscheme = \"none\"", "config/unknown-key auth.extra.on_failure", "write it in `[routes.NAME]`"),
    ] {
        let found = told(&format!("{without}{section}\non_failure = \"allow\"\n"));
        assert!(found.iter().any(|line| line.starts_with(code) && line.contains(help)), "{section}: {found:#?}");
    }
    let rule = "[routes.e]\npath = \"/e\"\nhook = \"okta.event\"\nauth = \"okta\"\n[routes.e.rules.a]\nevents = [\"*\"]\nscript = \"a.rhai\"\non_failure = \"allow\"\n";
    let found = told(rule);
    assert!(found.iter().any(|line| line.contains("an event that fails is retried")), "{found:#?}");
}

#[test]
fn warnings_are_told_beside_mistakes() {
    let found = findings(&format!("nonsense = 1\n{}{AUTH}", route("okta.telephony", r#""open""#, "")));
    let codes: Vec<_> = found.iter().map(|finding| (finding.code, finding.severity)).collect();
    assert!(codes.contains(&("config/unknown-key", Severity::Error)), "{codes:?}");
    assert!(codes.contains(&("config/no-secret", Severity::Warning)), "{codes:?}");
}

#[test]
fn a_file_is_read_without_its_unknown_keys() {
    let text = format!(
        "{}capturing = true\n[scripts]\ndirr = \"rules\"\n[nonsense.a]\nb = 1\n{AUTH}",
        route("okta.registration", r#""okta""#, "")
    );
    assert!(parse("gateway.toml", &text, &KNOWN).is_err());
    let config = salvage("gateway.toml", &text, &KNOWN).expect("only keys are wrong").config;
    assert_eq!(config.scripts.dir, "rules", "the nearest key was meant");
    assert_eq!(config.routes["r"].path, "/r");
    let more = text.replace("path = \"/r\"", "path = 7");
    assert!(salvage("gateway.toml", &more, &KNOWN).is_none());
    let sound = format!("{}{AUTH}", route("okta.registration", r#""okta""#, ""));
    assert!(good(&sound).config.routes.contains_key("r"));
    assert!(salvage("gateway.toml", &sound, &KNOWN).is_none(), "there is nothing to mend");
}
