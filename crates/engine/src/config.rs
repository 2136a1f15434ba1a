//! `gateway.toml` as written: one struct per section, and every mistake in the file at once.
//!
//! The types are the one description of the file: defaults, the JSON schema and the reference come from them.
//! The text is parsed into a tree with places (`source`), held against the schema (`shape`) and against the rules
//! that a schema cannot say (`check`); only then is it deserialised. Nothing here opens a file or a socket, or knows
//! a hook or a kind of connector: what those allow is told by the caller as [`Known`]. This is the only module that reads
//! the environment.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::config::source::{Source, Tree};
use hookgate_connectors::log::LogKind;
use hookgate_hooks::proof::{RequiredProof, TokenPlace};
use hookgate_model::finding::{Finding, Severity};

pub(crate) mod admin;
pub mod auth;
mod check;
pub(crate) mod connectors;
pub(crate) mod limits;
pub(crate) mod reconcile;
pub(crate) mod retry;
pub mod routes;
mod schema;
pub mod scripts;
pub mod server;
mod shape;
mod source;
pub mod store;
mod syntax;
pub mod tables;
pub(crate) mod telemetry;
#[cfg(test)]
mod tests;
mod unknown;

pub use schema::Known;

/// The whole of `gateway.toml`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "gateway.toml")]
pub struct Config {
    /// The listener that providers call. A change needs a restart, except one of `public_url`.
    pub server: server::Server,
    /// The listener for the viewer, the API, metrics and health. A change needs a restart.
    pub admin: admin::Admin,
    /// Where decisions, events and jobs are kept. A change needs a restart.
    pub store: store::Store,
    /// Where traces of calls are sent. A change needs a restart.
    pub telemetry: telemetry::Telemetry,
    /// Where scripts are, and what must hold before they go live.
    pub scripts: scripts::Scripts,
    /// What one run of a script may use.
    pub limits: limits::Limits,
    /// How callers prove who they are, by name.
    pub auth: BTreeMap<String, auth::Auth>,
    /// Outside systems that scripts may ask for something, by name.
    pub connectors: BTreeMap<String, connectors::Connector>,
    /// Reloadable lists and maps, by name.
    pub tables: BTreeMap<String, tables::Table>,
    /// The paths that providers call, by name.
    pub routes: BTreeMap<String, routes::Route>,
}

/// One text or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    /// The texts, in the order written.
    pub(crate) fn as_slice(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

/// Mistakes of one file that are told. To find the place of each, the text is read again, so without a limit a large file
/// would take minutes to refuse.
const MOST_FINDINGS: usize = 200;

/// What a route may say about a hook, told by whoever knows the hooks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HookFacts {
    /// `okta.registration`
    pub(crate) name: &'static str,
    /// The forms of `on_failure`; empty for event hooks.
    pub(crate) on_failure: &'static [FailureForm],
    /// What the provider does when it hears nothing, as a clause: `Okta denies the registration`.
    pub(crate) silence: &'static str,
    /// Event hooks have rules, and no answer that could fail.
    pub(crate) is_event: bool,
    /// The provider's name in messages, such as `Okta`.
    pub(crate) provider: &'static str,
    /// Milliseconds that the provider waits for the whole exchange.
    pub(crate) patience_ms: u64,
    /// Where the provider keeps its events, if that can be read.
    pub(crate) log: Option<&'static LogKind>,
    /// The latest deadline of a call that is answered in time.
    pub(crate) latest_ms: Option<u64>,
    /// Whether the provider skips a hook that it would have to call without a secret.
    pub(crate) needs_secret: bool,
    /// Whether the provider can call with a token of an authorization server.
    pub(crate) has_tokens: bool,
    /// What every way into a route of this hook has to prove.
    pub(crate) proof: RequiredProof,
    /// Where in a call its token is.
    pub(crate) token_place: TokenPlace,
    /// The types of events that the provider publishes, each with whether a hook can subscribe to it; empty where none are
    /// known.
    pub(crate) event_types: &'static [(&'static str, bool)],
    /// Whose list of types that is, and of when.
    pub(crate) event_types_of: &'static str,
}

/// What a connector of one kind may be told, said by whoever knows the kinds.
#[derive(Clone, Copy)]
pub(crate) struct ConnectorFacts {
    /// The word in `kind`.
    pub(crate) kind: &'static str,
    /// What it is, as one sentence.
    pub(crate) about: &'static str,
    /// The schema of the settings of its own.
    pub(crate) settings: fn(&mut SchemaGenerator) -> Schema,
}

/// One form of `on_failure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureForm {
    /// `on_failure = "allow"`
    Word(&'static str),
    /// `on_failure = { deny = "text" }`
    Text(&'static str),
}

/// A file that holds no mistake, and the place of everything in it.
#[derive(Clone, Debug)]
pub struct Document {
    pub config: Config,
    /// What is odd but may go live, in the order of the file.
    pub(crate) warnings: Vec<Finding>,
    source: Source,
}

impl Document {
    /// An error at a key path such as `routes.signup.script` or `routes.signup.auth[1]`; where the key is not written,
    /// at the section around it.
    pub(crate) fn finding(&self, code: &'static str, key_path: &str, message: impl Into<String>) -> Finding {
        self.source.at_value(code, key_path, message)
    }

    /// The same as a warning.
    pub(crate) fn warning(&self, code: &'static str, key_path: &str, message: impl Into<String>) -> Finding {
        Finding { severity: Severity::Warning, ..self.finding(code, key_path, message) }
    }
}

/// Reads the text of `gateway.toml`; `file` is the name that findings carry.
///
/// # Errors
///
/// Every mistake in the file, in the order of the file. A mistake of TOML itself hides the others, because what follows
/// it cannot be relied on.
pub(crate) fn parse(file: &str, text: &str, known: &Known) -> Result<Document, Vec<Finding>> {
    let (root, errors) = toml::de::DeTable::parse_recoverable(text);
    let Tree { source, value, mut findings, disguised, .. } = Tree::new(file, text, root.get_ref(), known.plain());
    let (broken, reliable) = syntax::findings(&source, &errors);
    if !reliable {
        return Err(in_order(broken));
    }
    findings.extend(broken);
    let shape::Violations { findings: violations, meant, .. } = shape::violations(&source, known, &value);
    findings.extend(violations);
    findings.extend(shape::disguised(&source, &findings, &disguised));
    let rules = check::errors(&source, &value, known);
    let is_news = |rule: &Finding, known: &[Finding]| {
        let meant = rule.key.as_ref().is_some_and(|key| meant.contains(key));
        !meant && !known.iter().any(|known| (known.code, &known.key) == (rule.code, &rule.key))
    };
    let rules: Vec<Finding> = rules.into_iter().filter(|rule| is_news(rule, &findings)).collect();
    findings.extend(rules);
    if !findings.is_empty() {
        findings.extend(check::warnings(&source, &value, known));
        let mut findings = in_order(findings);
        if findings.len() > MOST_FINDINGS {
            findings.truncate(MOST_FINDINGS);
            findings.push(Finding::error("config/more", file, "there are more mistakes: mend these first"));
        }
        return Err(findings);
    }
    let warnings = in_order(check::warnings(&source, &value, known));
    match serde_json::from_value(value) {
        Ok(config) => Ok(Document { config, warnings, source }),
        Err(error) => Err(vec![Finding::error("config/bad-value", file, format!("cannot be read: {error}"))]),
    }
}

/// The file without its unknown keys, each with the meaning of the nearest one that is free: so that a check can go on and
/// find the other mistakes of a bundle. Nothing where more is wrong with the file than such keys.
pub(crate) fn salvage(file: &str, text: &str, known: &Known) -> Option<Document> {
    let (root, errors) = toml::de::DeTable::parse_recoverable(text);
    let Tree { source, mut value, findings, disguised, .. } = Tree::new(file, text, root.get_ref(), known.plain());
    let shape::Violations { unknown, .. } = shape::violations(&source, known, &value);
    if !errors.is_empty() || !findings.is_empty() || !disguised.is_empty() || unknown.is_empty() {
        return None;
    }
    for key in &unknown {
        key.mend(&mut value);
    }
    let is_sound = shape::violations(&source, known, &value).findings.is_empty();
    if !is_sound || !check::errors(&source, &value, known).is_empty() {
        return None;
    }
    let config = serde_json::from_value(value).ok()?;
    Some(Document { config, warnings: Vec::new(), source })
}

/// Where the store is, of a text that may be broken elsewhere: what `store.url` says, or the default; nothing where it is written and
/// is no address.
pub(crate) fn store_of(text: &str, known: &Known) -> Option<store::Store> {
    let (root, _) = toml::de::DeTable::parse_recoverable(text);
    let Tree { value, .. } = Tree::new("", text, root.get_ref(), known.plain());
    let Some(url) = value.get("store").and_then(|section| section.get("url")) else {
        return Some(store::Store::default());
    };
    let url = serde_json::from_value(url.clone()).ok()?;
    Some(store::Store { url, ..store::Store::default() })
}

fn in_order(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| (finding.line, finding.column));
    findings
}
