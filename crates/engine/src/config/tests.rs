//! What a file may say, what is said about its mistakes, and that no text is too odd to be judged.

use std::sync::LazyLock;

use annotate_snippets::Renderer;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::config::auth::{Algorithm, Auth};
use crate::config::limits::{LimitOverrides, Limits};
use crate::config::routes::OnFailure;
use crate::config::scripts::Gate;
use crate::config::store::StoreUrl;
use crate::config::tables::TableKind;
use hookgate_model::secret::SecretSource;

mod broken;
mod logs;
mod proof;
mod provider;

/// The documented example, with every section.
const EXAMPLE: &str = include_str!("tests/example.toml");

static KNOWN: LazyLock<Known> = LazyLock::new(|| known(HOOKS.to_vec()));

fn known(hooks: Vec<HookFacts>) -> Known {
    Known::new(hooks, &connectors())
}

fn connectors() -> Vec<ConnectorFacts> {
    let facts = |kind: &hookgate_connectors::setup::Kind| ConnectorFacts {
        kind: kind.name,
        about: kind.about,
        settings: kind.settings,
    };
    hookgate_connectors::KINDS.iter().map(facts).collect()
}

const HOOKS: &[HookFacts] = &[
    HookFacts {
        name: "okta.registration",
        on_failure: &[FailureForm::Word("allow"), FailureForm::Text("deny")],
        silence: "Okta denies the registration",
        ..PLAIN
    },
    HookFacts {
        name: "okta.token",
        on_failure: &[FailureForm::Word("unchanged"), FailureForm::Text("refuse")],
        silence: "Okta issues the token unchanged",
        ..PLAIN
    },
    HookFacts {
        name: "okta.telephony",
        on_failure: &[FailureForm::Word("let_okta_send")],
        silence: "Okta sends the code",
        needs_secret: true,
        ..PLAIN
    },
    HookFacts {
        name: "okta.event",
        silence: "Okta tries once more",
        is_event: true,
        log: Some(&hookgate_connectors::log::KINDS[0]),
        latest_ms: None,
        has_tokens: false,
        event_types: &[
            ("group.privilege.grant", true),
            ("group.user_membership.add", true),
            ("policy.lifecycle.create", false),
            ("policy.lifecycle.update", true),
            ("user.lifecycle.create", true),
            ("user.lifecycle.delete.completed", false),
            ("user.session.start", true),
        ],
        event_types_of: "the list of the test",
        ..PLAIN
    },
];

const PLAIN: HookFacts = HookFacts {
    name: "",
    on_failure: &[],
    silence: "",
    is_event: false,
    provider: "Okta",
    patience_ms: 3_000,
    log: None,
    latest_ms: Some(2_900),
    needs_secret: false,
    has_tokens: true,
    proof: RequiredProof::Any,
    token_place: TokenPlace::Authorization,
    event_types: &[],
    event_types_of: "",
};

fn good(text: &str) -> Document {
    match parse("gateway.toml", text, &KNOWN) {
        Ok(document) => document,
        Err(findings) => panic!("{}", findings.iter().map(Finding::one_line).collect::<Vec<_>>().join("\n")),
    }
}

fn findings(text: &str) -> Vec<Finding> {
    match parse("gateway.toml", text, &KNOWN) {
        Ok(document) => document.warnings,
        Err(findings) => findings,
    }
}

/// `line:column code key: message (help)`, one string per error.
fn errors(text: &str) -> Vec<String> {
    let line = |finding: &Finding| {
        let place = format!("{}:{} {} ", finding.line, finding.column, finding.code);
        place + finding.one_line().split_once(": ").map_or("", |(_, rest)| rest)
    };
    let found = parse("gateway.toml", text, &KNOWN).err().unwrap_or_default();
    found.iter().filter(|finding| finding.severity == Severity::Error).map(line).collect()
}

#[test]
fn every_mistake_is_reported_at_its_place_with_a_remedy() {
    for (name, text, expected) in broken::BROKEN {
        assert_eq!(errors(text), *expected, "{name}:\n{text}");
    }
}

#[test]
fn every_finding_shows_its_line() {
    for (name, text, _) in broken::BROKEN {
        for finding in findings(text) {
            assert!(finding.excerpt.is_some() && finding.length > 0, "{name}: {}", finding.one_line());
            assert_eq!(finding.file, "gateway.toml", "{name}");
        }
    }
}

#[test]
fn a_literal_secret_is_never_shown() {
    let secrets = ["hunter", "4242"];
    for (name, text, _) in
        broken::BROKEN.iter().filter(|(_, text, _)| secrets.iter().any(|secret| text.contains(secret)))
    {
        for finding in findings(text) {
            let shown = format!("{}{}", finding.render(&Renderer::plain()), json!(finding));
            assert!(!secrets.iter().any(|secret| shown.contains(secret)), "{name}: {shown}");
        }
    }
}

#[test]
fn a_hidden_secret_leaves_the_rest_of_its_line() {
    let found = findings("[auth.a]\nscheme = \"basic\"\nsecrets = [\"a\u{fc}b\", { env = \"B\", zebra = 1 }]\n");
    let excerpt = found.iter().find(|finding| finding.code == "config/unknown-key").and_then(|f| f.excerpt.as_deref());
    assert_eq!(excerpt, Some("secrets = [\"****\", { env = \"B\", zebra = * }]"));
}

#[test]
fn an_empty_file_is_all_defaults() {
    let document = good("");
    assert_eq!(document.config, Config::default());
    assert_eq!(document.warnings, []);
    let Config { server, admin, store, scripts, limits, .. } = document.config;
    assert_eq!(
        (server.listen.to_string(), admin.listen.to_string()),
        ("127.0.0.1:8080".into(), "127.0.0.1:8081".into())
    );
    assert_eq!((server.max_body_bytes, server.stop_grace_ms, server.worker_threads), (4_194_304, 10_000, 0));
    assert_eq!((server.body_budget_bytes, server.max_connections, admin.max_connections), (268_435_456, 10_000, 256));
    assert_eq!((store.url, store.keep_days), (StoreUrl::Text("sqlite:data/hookgate.db".into()), 30));
    assert_eq!((scripts.dir.as_str(), scripts.gate), ("scripts", Gate::Tests));
    assert_eq!((limits.deadline_ms, limits.operations, limits.memory_bytes), (2500, 10_000_000, 67_108_864));
    assert_eq!((limits.max_string_bytes, limits.max_array_items, limits.max_map_items), (1_048_576, 10_000, 10_000));
    assert_eq!((limits.call_depth, limits.concurrent, limits.max_events), (32, 256, 10_000));
}

#[test]
fn the_documented_example_is_read() {
    let document = good(EXAMPLE);
    assert_eq!(document.warnings, []);
    let Config { auth, tables, routes, .. } = document.config;
    let Some(Auth::Header(okta)) = auth.get("okta") else { panic!("{auth:?}") };
    let file = SecretSource::File { file: "secrets/okta".into(), create: true };
    assert_eq!(okta.secrets, [file, SecretSource::Env { env: "OKTA_SECRET_NEXT".into() }]);
    assert_eq!((tables["disposable"].kind, tables["disposable"].max_shrink_percent), (TableKind::Domains, 50));
    let signup = &routes["signup"];
    assert_eq!(signup.auth.shown(), ["okta"]);
    assert!(matches!(&signup.on_failure, Some(OnFailure::WithText(words)) if words["deny"].starts_with("Sign-up")));
    assert_eq!(json!(signup.params), json!({ "partner_domains": ["partner.example"] }));
    assert_eq!(routes["events"].rules["group-watch"].events, ["group.user_membership.*", "group.privilege.*"]);
}

#[test]
fn the_smallest_useful_file_is_read() {
    let document = good(
        r#"
        [server]
        listen = "127.0.0.1:7104"
        [auth.bench]
        scheme = "header"
        secrets = [{ file = "secret" }]
        [routes.registration]
        path = "/okta/registration"
        hook = "okta.registration"
        script = "registration.rhai"
        auth = "bench"
        on_failure = { deny = "Try again later." }
        "#,
    );
    let Auth::Header(bench) = &document.config.auth["bench"] else { panic!("{document:?}") };
    assert_eq!(bench.header, "authorization");
    assert_eq!(bench.secrets, [SecretSource::File { file: "secret".into(), create: false }]);
}

#[test]
fn every_scheme_is_read_with_its_defaults() {
    let document = good(
        r#"
        [server.tls]
        cert_file = "cert.pem"
        key_file = "key.pem"
        client_ca_file = "ca.pem"
        [auth.a]
        scheme = "basic"
        secrets = [{ env = "A" }]
        [auth.b]
        scheme = "jwt"
        issuer = "https://org.okta.example"
        audience = ["one", "two"]
        jwks_url = "https://org.okta.example/keys"
        [auth.c]
        scheme = "mtls"
        fingerprints_sha256 = ["00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"]
        [auth.d]
        scheme = "none"
        "#,
    );
    let auth = &document.config.auth;
    let schemes: Vec<&str> = auth.values().map(Auth::scheme).collect();
    assert_eq!(schemes, ["basic", "jwt", "mtls", "none"]);
    let Auth::Jwt(jwt) = &auth["b"] else { panic!("{auth:?}") };
    assert_eq!((jwt.leeway_s, jwt.algorithms.as_slice()), (60, [Algorithm::RS256].as_slice()));
    assert_eq!(jwt.audience.as_ref().unwrap().as_slice(), ["one", "two"]);
}

#[test]
fn reconcile_is_read_with_its_defaults() {
    let text = |more: &str| {
        let events = "[auth.a]\nscheme = \"none\"\n[routes.e]\npath = \"/e\"\nhook = \"okta.event\"\nauth = \"a\"\nscript = \"e.rhai\"\n";
        format!("{events}[routes.e.reconcile]\norg_url = \"https://example.okta.com/\"\n{more}")
    };
    let token = good(&text("token = { env = \"T\" }")).config.routes["e"].reconcile.clone().expect("it is there");
    assert_eq!((token.every_s, token.overlap_s, token.lag_s, token.timeout_ms), (300, 600, 0, 10_000));
    assert_eq!((token.rate_share, token.allow_private), (0.25, false));
    let app = text("client_id = \"0oa1\"\nprivate_key = { file = \"k.pem\" }\nkey_id = \"k\"\nrate_share = 1");
    assert_eq!(good(&app).config.routes["e"].reconcile.as_ref().map(|app| app.rate_share), Some(1.0));
    let here =
        text("token = { env = \"T\" }\nallow_private = true").replace("https://example.okta.com", "http://localhost:9");
    assert!(good(&here).config.routes["e"].reconcile.is_some());
}

#[test]
fn an_auth_section_without_a_route_is_only_a_warning() {
    let document = good("[auth.a]\nscheme = \"none\"\n");
    let [warning] = document.warnings.as_slice() else { panic!("{:?}", document.warnings) };
    assert_eq!((warning.code, warning.severity, warning.line), ("config/unused", Severity::Warning, 1));
}

#[test]
fn params_keep_their_order_and_take_any_toml() {
    let document = good(&EXAMPLE.replace(
        "partner_domains =",
        "zeta = 1\nalpha = 1.0\nsince = 2026-01-02\nnested.deep = [{ x = true }]\npartner_domains =",
    ));
    let params = &document.config.routes["signup"].params;
    let keys: Vec<&str> = params.keys().map(String::as_str).collect();
    assert_eq!(keys, ["zeta", "alpha", "since", "nested", "partner_domains"]);
    assert_eq!((&params["alpha"], &params["since"]), (&json!(1.0), &json!("2026-01-02")));
    assert_eq!(params["nested"], json!({ "deep": [{ "x": true }] }));
}

#[test]
fn a_route_overrides_only_the_limits_it_names() {
    let overrides = LimitOverrides { call_depth: Some(8), deadline_ms: Some(100), ..LimitOverrides::default() };
    let limits = Limits::default().with(&overrides);
    assert_eq!(limits, Limits { call_depth: 8, deadline_ms: 100, ..Limits::default() });
}

#[test]
fn later_findings_are_placed_by_key_path() {
    let document = good(
        "[auth.\"x\"]\nscheme = \"none\"\n[routes.a]\npath = \"/a\"\nhook = \"okta.event\"\nauth = [\"x\"]\nscript = \"a.rhai\"\n",
    );
    let place = |path: &str| {
        let finding = document.finding("release/x", path, "m");
        (finding.line, finding.column, finding.key.unwrap_or_default())
    };
    assert_eq!(place("routes.a.script"), (7, 10, "routes.a.script".into()));
    assert_eq!(place("routes.a.auth[0]"), (6, 9, "routes.a.auth[0]".into()));
    assert_eq!(place("routes.a.params.x"), (3, 1, "routes.a.params.x".into()));
    assert_eq!(place("server.listen"), (0, 0, "server.listen".into()));
    assert_eq!(document.warning("release/x", "routes.a", "m").severity, Severity::Warning);
}

#[test]
fn carriage_returns_and_a_byte_order_mark_do_not_matter() {
    let text = format!("\u{feff}{}", EXAMPLE.replace('\n', "\r\n"));
    assert_eq!(good(&text).config, good(EXAMPLE).config);
}

#[test]
fn the_schema_is_one_and_accepts_the_example() {
    let schema = KNOWN.schema().clone();
    assert!(jsonschema::meta::is_valid(&schema));
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    assert_eq!(schema["title"], "gateway.toml");
    let example: serde_json::Value = toml::from_str(EXAMPLE).expect("the example is TOML");
    assert!(jsonschema::is_valid(&schema, &example));
    assert!(!schema.to_string().contains("null"), "TOML has no null");
}

#[test]
fn every_key_in_the_schema_is_explained() {
    let schema = KNOWN.schema().clone();
    let mut objects = vec![("gateway.toml".to_owned(), &schema)];
    let mut keys = Vec::new();
    while let Some((name, object)) = objects.pop() {
        for list in ["anyOf", "oneOf"] {
            let forms = object[list].as_array().into_iter().flatten();
            objects.extend(forms.map(|form| (name.clone(), form)));
        }
        let definitions = object["definitions"].as_object().into_iter().flatten();
        objects.extend(definitions.map(|(name, definition)| (name.clone(), definition)));
        for (key, property) in object["properties"].as_object().into_iter().flatten() {
            let explained = property["description"].is_string() || property.get("const").is_some();
            assert!(explained, "`{key}` of {name} has no description");
            keys.push(key.as_str());
        }
    }
    let documented = "listen max_body_bytes body_budget_bytes max_connections max_events stop_grace_ms worker_threads cert_file key_file client_ca_file token url \
        keep_days dir gate gate_timeout_ms deadline_ms operations max_string_bytes max_array_items max_map_items memory_bytes \
        call_depth concurrent scheme header secrets issuer audience jwks_url jwks_file leeway_s client_ids scope \
        algorithms subjects fingerprints_sha256 file kind min_rows key max_shrink_percent path hook script auth \
        on_failure params limits rules events env create deny refuse server admin store scripts tables routes tls";
    for key in documented.split_whitespace() {
        assert!(keys.contains(&key), "`{key}` is not in the schema");
    }
}

#[test]
fn many_routes_are_read_and_one_mistake_among_them_is_found() {
    let mut text = "[auth.okta]\nscheme = \"none\"\n".to_owned();
    for number in 0..500 {
        text.push_str(&format!(
            "[routes.r{number}]\npath = \"/r/{number}\"\nhook = \"okta.token\"\nscript = \"r{number}.rhai\"\n\
             auth = \"okta\"\non_failure = \"unchanged\"\n[routes.r{number}.params]\nlist = [\"a\", \"b\"]\n"
        ));
    }
    assert_eq!(good(&text).config.routes.len(), 500);
    let broken = text.replace("/r/499\"", "/r/7/\"");
    let [only] = findings(&broken).try_into().expect("one mistake, one finding");
    assert_eq!(only.message, "routes `r7` and `r499` have the same path `/r/7/`");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*") {
        let _ = parse("gateway.toml", &text, &KNOWN);
    }

    #[test]
    fn any_toml_like_text_is_read_or_refused(
        text in "(\\[{1,2}(auth|routes|server|a)(\\.[a-z\"]{1,3}){0,2}\\]{1,2}\n|(path|scheme|listen|secrets|limits|\u{e9}) ?= ?([0-9.e_-]{1,5}|\"[^\n]{0,4}\"|\\{ env = 1 \\}|\\[1, \"x\"\\]|true)\n){0,12}"
    ) {
        let _ = parse("gateway.toml", &text, &KNOWN);
    }

    #[test]
    fn a_damaged_file_is_read_or_refused(
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..40, "[\\[\\]{}=\"'.#,\n a-z0\u{e9}\u{1f511}]{0,6}"), 1..6)
    ) {
        let mut characters: Vec<char> = EXAMPLE.chars().collect();
        for (start, length, inserted) in damage {
            let start = start.index(characters.len().max(1)).min(characters.len());
            let end = (start + length).min(characters.len());
            characters.splice(start..end, inserted.chars());
        }
        let text: String = characters.into_iter().collect();
        for finding in findings(&text) {
            finding.render(&Renderer::plain());
            // What passes the schema and the rules can be deserialised.
            prop_assert!(!finding.message.starts_with("cannot be read"), "{}", finding.message);
            prop_assert!(finding.line <= text.lines().count().max(1) + 1);
        }
    }
}

/// Files with a secret in them, and what refuses each (#13).
const LITERALS: &[(&str, &str)] = &[
    ("config/literal-secret", "[auth.z]\nscheme = \"header\"\nsecrets = [\"CANlit1-aaaa\"]\n"),
    (
        "config/literal-secret",
        "[connectors.c]\nkind = \"http\"\nbase_url = \"https://a.example\"\nauth = { bearer = \"CANlit1-aaaa\" }\n",
    ),
    ("config/literal-secret", "[connectors.c]\nkind = \"http\"\nbase_url = \"https://u:CANlit1-aaaa@a.example\"\n"),
    (
        "config/literal-secret",
        "[connectors.c]\nkind = \"http\"\nbase_url = \"https://a.example/x?token=CANlit1-aaaa\"\n",
    ),
    (
        "config/literal-secret",
        "[connectors.c]\nkind = \"http\"\nbase_url = \"https://hooks.slack.com/services/T0/B0/CANlit1aaaaaaaaaaaaaaaa\"\n",
    ),
    (
        "config/literal-secret",
        "[connectors.c]\nkind = \"webhook\"\nsecrets = [{ env = \"S\" }]\nbase_url = \"https://discord.com/api/webhooks/1/CANlit1aaaaaaaaaaaaaaaa\"\n",
    ),
    (
        "config/literal-secret",
        "[connectors.c]\nkind = \"http\"\nbase_url = \"https://a.example\"\nheaders = { authorization = \"CANlit1-aaaa\" }\n",
    ),
    (
        "config/literal-secret",
        "[connectors.c]\nkind = \"http\"\nbase_url = \"https://a.example\"\nheaders = { \"X-Api-Key\" = \"CANlit1-aaaa\" }\n",
    ),
    (
        "config/literal-secret",
        "[connectors.c]\nkind = \"http\"\nbase_url = \"https://a.example\"\nheaders = { \"PRIVATE-TOKEN\" = \"CANlit1-aaaa\" }\n",
    ),
    (
        "config/literal-secret",
        "[connectors.c]\nkind = \"http\"\nbase_url = \"https://a.example\"\nheaders = { \"X-Vendor\" = \"Bearer CANlit1-aaaa\" }\n",
    ),
    (
        "config/literal-secret",
        "[connectors.c]\nkind = \"http\"\nbase_url = \"https://a.example\"\n[connectors.c.headers]\ncookie = \"sid=CANlit1-aaaa\"\n",
    ),
    (
        "config/literal-secret",
        "[connectors.c]\nkind = \"slack\"\nurl = \"https://hooks.slack.com/services/T/B/CANlit1aaaa\"\n",
    ),
    (
        "config/literal-secret",
        "[connectors.c]\nkind = \"http\"\nbase_url = \"https://a.example\"\nproxy = \"http://u:CANlit1-aaaa@p.example\"\n",
    ),
    (
        "config/literal-secret",
        "[connectors.c]\nkind = \"sms_template\"\nbase_url = \"https://a.example\"\nform = { to = \"{to}\", text = \"{text}\", api_key = \"CANlit1-aaaa\" }\n",
    ),
    ("config/literal-secret", "[connectors.c]\nkind = \"sql\"\nurl = \"postgres://u:CANlit1-aaaa@db.example/x\"\n"),
    (
        "config/literal-secret",
        "[auth.z]\nscheme = \"jwt\"\nissuer = \"x\"\naudience = \"y\"\njwks_url = \"https://a.example/keys?token=CANlit1-aaaa\"\n",
    ),
    (
        "config/literal-secret",
        "[auth.z]\nscheme = \"jwt\"\nissuer = \"x\"\naudience = \"y\"\njwks_url = \"https://u:CANlit1-aaaa@a.example/keys\"\n",
    ),
    ("config/literal-secret", "[routes.r.params]\napi_key = \"CANlit1-aaaa\"\n"),
    ("config/literal-secret", "[routes.r.params]\nsigning.key = \"CANlit1-aaaa\"\n"),
    ("config/literal-secret", "[routes.r.params]\nvendor = { clientSecret = \"CANlit1-aaaa\" }\n"),
    ("config/literal-secret", "[routes.r.params]\ntokens = [\"id_token\", \"CANlit1-aaaa\"]\n"),
    ("config/literal-secret", "[routes.r.params]\nvalue = \"sk_live_CANlit1aaaaaaaa\"\n"),
    ("config/literal-secret", "[routes.r.rules.x.params]\ndb_password = \"CANlit1-aaaa\"\n"),
    (
        "config/literal-secret",
        "[telemetry]\notlp_endpoint = \"http://127.0.0.1:9\"\nheaders = { x-team = \"CANlit1-aaaa\" }\n",
    ),
    ("config/literal-secret", "[telemetry]\notlp_endpoint = \"http://u:CANlit1-aaaa@c.example\"\n"),
    ("config/literal-secret", "[store]\nurl = \"postgres://u:CANlit1-aaaa@db/x\"\n"),
    ("config/literal-secret", "[store]\nurl = \"postgres://db/x?password=CANlit1-aaaa\"\n"),
    ("config/literal-secret", "[auth.z]\nscheme = \"header\"\nsecrets = [{ env = \"CANlit1-aaaa\" }]\n"),
    ("config/literal-secret", "[admin]\ntoken = { file = \"CANlit1-aaaa\" }\n"),
    ("config/literal-secret", "[routes.r.params]\napi_key = { env = \"CANlit1-aaaa\" }\n"),
    (
        "config/unknown-key",
        "[connectors.c]\nkind = \"http\"\nbase_url = \"https://a.example\"\ntoken = \"CANlit1-aaaa\"\n",
    ),
    ("config/unknown-key", "[server]\napi_key = \"CANlit1-aaaa\"\n"),
    ("config/unknown-key", "[routes.r]\ntoken = \"CANlit1-aaaa\"\n"),
    ("config/unknown-key", "[limits]\nx = \"xoxb-CANlit1-aaaaaaaaaaaa\"\n"),
    ("config/syntax", "[connectors.c]\nkind = \"http\"\nauth = { bearer = \"CANlit1-aaaa\" \n"),
    ("config/syntax", "[routes.r.params]\napi_key = \"CANlit1-aaaa\n"),
    ("config/syntax", "[routes.r]\nparams = { api_key = \"CANlit1-aaaa\" \n"),
    ("config/syntax", "[telemetry.headers]\nx-team = CANlit1-aaaa\n"),
    ("config/syntax", "connectors.c.auth.bearer = \"CANlit1-aaaa\n"),
    ("config/syntax", "[routes.r.params]\nvalue = \"CANlit1-aaaa\n"),
];

#[test]
fn a_secret_in_the_file_is_refused_and_told_nowhere() {
    for (code, text) in LITERALS {
        let found = findings(text);
        assert!(found.iter().any(|finding| finding.code == *code), "{text}: {found:#?}");
        for finding in &found {
            let shown = format!("{}{}{}", finding.render(&Renderer::plain()), json!(finding), finding.one_line());
            assert!(!shown.contains("CANlit1"), "{text}: {shown}");
        }
        let twice = found.iter().filter(|finding| finding.code == "config/literal-secret").count();
        assert!(twice <= 1, "{text}: {found:#?}");
    }
}

#[test]
fn places_of_secrets_and_other_texts_are_taken() {
    for text in [
        "[connectors.c]\nkind = \"http\"\nbase_url = { env = \"HOOK\" }\nheaders = { X-Api-Key = { file = \"secrets/x\" }, accept = \"application/json\" }\n",
        "[connectors.c]\nkind = \"http\"\nbase_url = \"https://api.example/v1/tenants/0oa1b2c3d4e5f6g7h8i9\"\nheaders = { X-Tenant = \"1b4e28ba-2fa1-11d2-883f-0016d3cca427\", X-Key-Id = \"2026-03\" }\n",
        "[connectors.c]\nkind = \"vonage\"\napi_key = \"abcd1234\"\napi_secret = { env = \"V\" }\nfrom = \"X\"\n",
    ] {
        let found: Vec<_> =
            findings(text).into_iter().filter(|finding| finding.code == "config/literal-secret").collect();
        assert!(found.is_empty(), "{text}: {found:#?}");
    }
    let text = "[routes.r]\npath = \"/r\"\nhook = \"okta.registration\"\nscript = \"r.rhai\"\nauth = \"a\"\non_failure = \"allow\"\n\
        [routes.r.params]\napi_key = { env = \"KEY\" }\nkey = \"externalId\"\nkeyboard = \"CANlit1-aaaa\"\nprimary_key_column = \"CANlit1-aaaa\"\n\
        token_url = \"https://sso.example/token\"\nmessages.en.password = \"Your password must have twelve letters.\"\ntokens = [\"id_token\"]\n\
        [auth.a]\nscheme = \"none\"\n";
    let document = good(text);
    let secrets = document.config.secret_params();
    assert_eq!(secrets.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["routes.r.params.api_key"]);
}

#[test]
fn a_file_with_thousands_of_mistakes_is_refused_soon() {
    let keys: String = (0..50_000).map(|number| format!("k{number} = {number}\n")).collect();
    let started = std::time::Instant::now();
    let found = findings(&format!("[server]\n{keys}"));
    assert!(found.len() <= MOST_FINDINGS + 1 && found.len() >= MOST_FINDINGS, "{}", found.len());
    // It takes minutes when each mistake is looked for in the text.
    assert!(started.elapsed() < std::time::Duration::from_secs(30), "{:?}", started.elapsed());
}

#[test]
fn paths_that_leave_the_bundle_are_refused_by_their_text() {
    let table = |file: &str| format!("[tables.t]\nfile = \"{file}\"\nkind = \"lines\"\n");
    let codes = |text: &str| {
        findings(text).into_iter().map(|finding| finding.code).filter(|code| *code == "config/closed-path").count()
    };
    for file in ["/etc/passwd", "../x", "a/../../x", "secrets/okta", "a/Secrets/x", ".env", ".git/config", "a/.x/y"] {
        assert_eq!(codes(&table(file)), 1, "{file}");
    }
    for file in ["tables/x.txt", "./x.txt", "a/../x.txt", "..data/x.txt", "secrets.txt"] {
        assert_eq!(codes(&table(file)), 0, "{file}");
    }
    assert_eq!(codes(&format!("{}[scripts]\nroots = [\"/srv/x\"]\n", table("/srv/x/y"))), 0);
    assert_eq!(
        codes(&format!("{}[auth.a]\nscheme = \"header\"\nsecrets = [{{ file = \"key\" }}]\n", table("./key"))),
        1
    );
    assert_eq!(codes("[scripts]\ndir = \"/opt/scripts\"\n"), 1);
    assert_eq!(codes("[auth.a]\nscheme = \"jwt\"\nissuer = \"x\"\naudience = \"y\"\njwks_file = \"/x.json\"\n"), 1);
    assert_eq!(
        codes("[connectors.c]\nkind = \"http\"\nbase_url = \"https://a.example\"\nca_file = \"../ca.pem\"\n"),
        1
    );
}
