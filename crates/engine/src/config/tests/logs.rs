//! Logs of made-up providers: a section has the keys of the kind of log that the hook has.

use std::sync::LazyLock;

use schemars::json_schema;
use serde_json::Value;

use super::*;
use hookgate_connectors::log::{KINDS, LogKind};
use hookgate_connectors::setup::Problem;

static ACME: LogKind = LogKind {
    name: "acme",
    title: "the Acme Journal",
    about: "Needs `tenant`.",
    settings: |generator| {
        let key = generator.subschema_for::<SecretSource>();
        json_schema!({ "properties": { "tenant": { "type": "string" }, "key": key }, "required": ["tenant"] })
    },
    check: |section| match section.get("tenant").and_then(Value::as_str) {
        Some("mine") => vec![Problem::bad_value("tenant", "is not yours").help("write another one")],
        _ => Vec::new(),
    },
    make: |_| Err(Vec::new()),
    needs: &[],
};

const EVENT: HookFacts = HookFacts { is_event: true, latest_ms: None, has_tokens: false, provider: "Acme", ..PLAIN };

static BOTH: LazyLock<Known> = LazyLock::new(|| {
    let hooks = [
        HookFacts { name: "acme.event", log: Some(&ACME), ..EVENT },
        HookFacts {
            name: "acme.quiet",
            event_types: &[("a.b", false)],
            event_types_of: "the list of the test",
            needs_secret: true,
            ..EVENT
        },
        HookFacts { name: "acme.call", latest_ms: Some(700), patience_ms: 800, provider: "Acme", ..PLAIN },
        HookFacts { name: "okta.event", log: Some(&KINDS[0]), ..EVENT },
    ];
    Known::new(hooks.to_vec(), &connectors())
});

fn told(hook: &str, section: &str) -> Vec<String> {
    let text = format!(
        "[auth.a]\nscheme = \"none\"\n[routes.e]\npath = \"/e\"\nhook = \"{hook}\"\nauth = \"a\"\nscript = \"e.rhai\"\n{section}"
    );
    lines(&text)
}

/// Everything that is said of a file.
fn lines(text: &str) -> Vec<String> {
    let found = parse("gateway.toml", text, &BOTH).map_or_else(|findings| findings, |document| document.warnings);
    found.iter().map(Finding::one_line).collect()
}

#[test]
fn a_section_has_the_keys_of_its_kind_of_log() {
    let acme = "[routes.e.reconcile]\ntenant = \"ours\"\nevery_s = 60\nkey = { env = \"ACME\" }\n";
    assert_eq!(told("acme.event", acme), [""; 0]);
    let okta = "[routes.e.reconcile]\norg_url = \"https://example.okta.com\"\ntoken = { env = \"T\" }\n";
    assert_eq!(told("okta.event", okta), [""; 0]);
    let wrong = told("acme.event", &acme.replace("ours", "mine"));
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(wrong[0].contains("`routes.e.reconcile.tenant`: is not yours (write another one)"), "{wrong:?}");
    let misspelt = told("acme.event", &acme.replace("every_s", "evry_s"));
    assert!(misspelt.iter().any(|line| line.contains("unknown key `evry_s`")), "{misspelt:?}");
}

#[test]
fn a_hook_without_a_log_has_nothing_to_reconcile() {
    let told = told("acme.quiet", "[routes.e.reconcile]\ntenant = \"ours\"\n");
    let expected = "`routes.e.reconcile`: no log of the provider of `acme.quiet` can be read (remove `reconcile`)";
    assert!(told.iter().any(|line| line.contains(expected)), "{told:?}");
}

#[test]
fn a_secret_of_any_log_is_hidden() {
    let text = "[auth.a]\nscheme = \"none\"\n[routes.e]\npath = \"/e\"\nhook = \"acme.event\"\nauth = \"a\"\nscript = \"e.rhai\"\n\
                [routes.e.reconcile]\ntenant = \"ours\"\nkey = \"hunter4242\"\n";
    let findings = parse("gateway.toml", text, &BOTH).expect_err("a secret in the file");
    for finding in &findings {
        let shown = format!("{}{}", finding.render(&Renderer::plain()), json!(finding));
        assert!(!shown.contains("hunter"), "{shown}");
    }
}

#[test]
fn what_a_provider_does_otherwise_is_told_in_its_name() {
    let told = lines(
        "[auth.a]\nscheme = \"none\"\n[routes.e]\npath = \"/e\"\nhook = \"acme.quiet\"\nauth = \"a\"\n\
         [routes.e.rules.x]\nevents = [\"a.b\", \"c.d\"]\nscript = \"e.rhai\"\n",
    )
    .join("\n");
    for line in [
        "Acme skips such a hook unless it sends a secret",
        "give Acme its secret",
        "Acme does not send `a.b` to event hooks (take another type)",
        "`c.d` is not among the list of the test (take a type of the list)",
    ] {
        assert!(told.contains(line), "{line} in\n{told}");
    }
    let told = lines(
        "[auth.a]\nscheme = \"none\"\n[routes.c]\npath = \"/c\"\nhook = \"acme.call\"\nauth = \"a\"\nscript = \"c.rhai\"\n\
         [limits]\ndeadline_ms = 750\n",
    )
    .join("\n");
    let late = "an answer after 750 ms comes too late: Acme waits 800 ms for the whole exchange \
                (write 700 or less; 300 leaves";
    assert!(told.contains(late), "{told}");
}
