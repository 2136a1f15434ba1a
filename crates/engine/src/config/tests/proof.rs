//! What a route has to prove for its hook, and whom a token is for.

use std::sync::LazyLock;

use super::{HookFacts, Known, PLAIN, errors, good, known, parse};
use crate::config::auth::Auth;
use hookgate_hooks::proof::{RequiredProof, TokenPlace};

const SECTIONS: &str = r#"
[server]
public_url = "https://hooks.example.com"
[auth.open]
scheme = "none"
[auth.key]
scheme = "header"
secrets = [{ env = "KEY" }]
[auth.people]
scheme = "basic"
secrets = [{ env = "PEOPLE" }]
[auth.token]
scheme = "jwt"
issuer = "https://issuer"
jwks_file = "keys.json"
[auth.hooks]
scheme = "standard_webhooks"
secrets = [{ env = "HOOK" }]
"#;

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let hook = |name, proof, token_place| HookFacts { name, proof, token_place, is_event: true, ..PLAIN };
    let hooks = vec![
        hook("a.any", RequiredProof::Any, TokenPlace::Authorization),
        hook("a.token", RequiredProof::Token, TokenPlace::Body),
        hook("a.signed", RequiredProof::Signature, TokenPlace::Authorization),
    ];
    known(hooks)
});

/// `key: message (help)` of each error of a route with that hook and auth.
fn told(hook: &str, auth: &str) -> Vec<String> {
    let route = format!("[routes.r]\npath = \"/r\"\nhook = \"{hook}\"\nscript = \"r.rhai\"\nauth = {auth}\n");
    let found = parse("gateway.toml", &format!("{SECTIONS}{route}"), &KNOWN).err().unwrap_or_default();
    let line = |finding: &hookgate_model::finding::Finding| {
        let (key, help) = (finding.key.as_deref().unwrap_or_default(), finding.help.as_deref().unwrap_or_default());
        format!("{} {key}: {} ({help})", finding.code, finding.message)
    };
    found.iter().filter(|finding| finding.code != "config/unused").map(line).collect()
}

#[test]
fn a_way_that_proves_too_little_for_its_hook_is_refused() {
    for (hook, auth, wrong) in [
        ("a.any", r#""open""#, &[][..]),
        ("a.any", r#"["key", "token", "hooks"]"#, &[]),
        ("a.token", r#""token""#, &[]),
        ("a.token", r#"{ all = ["key", "token"] }"#, &[]),
        // The token is in the body, so both can be in one call.
        ("a.token", r#"{ all = ["people", "token"] }"#, &[]),
        ("a.token", r#""open""#, &["routes.r.auth"]),
        ("a.token", r#""key""#, &["routes.r.auth"]),
        ("a.token", r#""hooks""#, &["routes.r.auth"]),
        ("a.token", r#"["token", "key"]"#, &["routes.r.auth[1]"]),
        ("a.token", r#"["token", { all = ["key", "hooks"] }]"#, &["routes.r.auth[1].all[0]"]),
        ("a.token", r#"["people", "token", "open"]"#, &["routes.r.auth[0]", "routes.r.auth[2]"]),
        ("a.signed", r#""hooks""#, &[]),
        ("a.signed", r#"{ all = ["hooks", "key"] }"#, &[]),
        ("a.signed", r#""token""#, &["routes.r.auth"]),
        ("a.signed", r#""open""#, &["routes.r.auth"]),
        ("a.signed", r#"["hooks", "key"]"#, &["routes.r.auth[1]"]),
    ] {
        let found = told(hook, auth);
        let expected: Vec<String> = wrong.iter().map(|place| format!("config/forgeable {place}:")).collect();
        let matches =
            found.len() == expected.len() && found.iter().zip(&expected).all(|(line, start)| line.starts_with(start));
        assert!(matches, "{hook} {auth}: {found:#?}");
    }
    assert_eq!(
        told("a.token", r#""key""#),
        [
            "config/forgeable routes.r.auth: `a.token` believes a token that its issuer signed only, and `key` checks none: \
             others could make its calls up (name a section with `scheme = \"jwt\"`; with `{ all = [\"key\", \"…\"] }` both are checked)"
        ]
    );
    assert_eq!(
        told("a.signed", r#""open""#),
        [
            "config/forgeable routes.r.auth: `a.signed` believes a signature over the body only, and `open` checks none: \
             others could make its calls up (name a section with `scheme = \"standard_webhooks\"`; \
             with `{ all = [\"open\", \"…\"] }` both are checked)"
        ]
    );
    // A section that is not there is told as such, and as nothing else.
    let missing = told("a.token", r#""nobody""#);
    assert!(missing.len() == 1 && missing[0].starts_with("config/unknown-name"), "{missing:?}");
    // Where the token is in the header, it takes the place of a password.
    let both = told("a.any", r#"{ all = ["people", "token"] }"#);
    assert!(both.len() == 1 && both[0].contains("both read the header `authorization`"), "{both:?}");
}

#[test]
fn the_public_address_is_one_text() {
    for (written, is_good) in [
        ("https://hooks.example.com", true),
        ("https://hooks.example.com/", true),
        ("https://hooks.example.com:8443", true),
        ("http://127.0.0.1:8080", true),
        ("http://localhost", true),
        ("http://[::1]:8080", true),
        ("https://xn--bcher-kva.example", true),
        ("http://hooks.example.com", false),
        ("http://10.0.0.1", false),
        ("https://hooks.example.com:443", false),
        ("https://Hooks.example.com", false),
        ("HTTPS://hooks.example.com", false),
        ("https://hooks.example.com//", false),
        ("https://hooks.example.com/okta", false),
        ("https://hooks.example.com?a=b", false),
        ("https://hooks.example.com/?a", false),
        ("https://hooks.example.com#a", false),
        ("https://user@hooks.example.com", false),
        ("https://", false),
        ("ftp://hooks.example.com", false),
        ("hooks.example.com", false),
        ("localhost:8080", false),
        (" https://hooks.example.com", false),
        ("", false),
    ] {
        let found = errors(&format!("[server]\npublic_url = \"{written}\"\n"));
        let is_told = found.len() == 1 && found[0].starts_with("2:14 config/bad-value `server.public_url`");
        assert_eq!((found.is_empty(), is_told), (is_good, !is_good), "{written}: {found:?}");
    }
    let found = errors("[server]\npublic_url = \"https://Hooks.Example.com:443/okta\"\n");
    assert!(found[0].ends_with("(write `https://hooks.example.com`)"), "{found:?}");
}

#[test]
fn the_public_address_needs_no_restart() {
    let server = |text: &str| good(&format!("[server]\n{text}")).config.server;
    let before = server("");
    assert!(!before.needs_restart(&server("public_url = \"https://a.example\"")));
    assert!(before.needs_restart(&server("stop_grace_ms = 1")));
}

#[test]
fn webhooks_are_read_with_their_secrets() {
    let text = "[auth.a]\nscheme = \"standard_webhooks\"\nsecrets = [{ env = \"A\" }, { file = \"b\" }]\n";
    let document = good(text);
    let auth = &document.config.auth["a"];
    let Auth::StandardWebhooks(webhooks) = auth else { panic!("{auth:?}") };
    assert_eq!(webhooks.tolerance_s, 300);
    assert_eq!((auth.scheme(), auth.secrets().len(), auth.secrets()[1].file()), ("standard_webhooks", 2, Some("b")));
    assert!(Auth::signs_body(auth.scheme()) && !Auth::signs_body("jwt"));
}
