//! Rules of `gateway.toml` that a schema cannot say, for files that may break the schema too.
//!
//! The checks read the tree, not the typed settings: a file with one wrong type must still hear of its other mistakes.
//! What has the wrong type is passed over here, because `shape` reports it.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use crate::config::check::auth::is_trustworthy;
use crate::config::server::Server;
use crate::config::source::{Source, has_password, is_bare, join};
use crate::config::{HookFacts, Known, MOST_FINDINGS};
use hookgate_model::finding::{Finding, nearest};
use hookgate_model::secret::literal::secret_in_url;
use hookgate_store::open::StoreAddress;

mod auth;
mod connectors;
mod literals;
mod paths;
mod provider;
mod reconcile;
mod routes;

/// Every broken rule, in no particular order.
pub(super) fn errors(source: &Source, root: &Value, known: &Known) -> Vec<Finding> {
    let mut check = Check { source, root, hooks: known.hooks(), findings: Vec::new() };
    check.listeners();
    check.public_url();
    check.bodies();
    check.store();
    check.tables();
    check.paths();
    check.literals();
    check.auth();
    check.connectors();
    check.routes();
    check.findings
}

/// What is odd in a file, with or without errors.
pub(super) fn warnings(source: &Source, root: &Value, known: &Known) -> Vec<Finding> {
    let mut findings = routes::unused_auth(source, root);
    findings.extend(provider::warnings(source, root, known.hooks()));
    findings.truncate(MOST_FINDINGS);
    findings
}

struct Check<'a> {
    source: &'a Source,
    root: &'a Value,
    hooks: &'a [HookFacts],
    findings: Vec<Finding>,
}

/// What to write instead of an address that is none.
const STORE_URL: &str = "write `sqlite:data/hookgate.db`";

impl Check<'_> {
    fn error(&mut self, code: &'static str, path: &str, message: impl Into<String>) {
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(self.source.at_value(code, path, message));
        }
    }

    fn error_with_help(&mut self, code: &'static str, path: &str, message: impl Into<String>, help: impl Into<String>) {
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(self.source.at_value(code, path, message).help(help));
        }
    }

    fn listeners(&mut self) {
        self.address("server");
        let admin = self.address("admin");
        let has_token = self.source.has("admin.token") || self.source.has("admin.read_token");
        if admin.is_some_and(|address| !address.ip().is_loopback()) && !has_token {
            let message = "an admin listener that others can reach needs a token";
            let finding = self.source.at_value("config/needs-token", "admin.listen", message).key("admin.token");
            self.findings.push(finding.help("add `token = { env = … }` to `[admin]`, or listen on 127.0.0.1"));
        }
    }

    /// A body that can never fit into the budget would be refused for ever, with an answer that says to try again.
    fn bodies(&mut self) {
        let Server { max_body_bytes, body_budget_bytes, .. } = Server::default();
        let written = |key: &str| self.root.get("server")?.get(key)?.as_u64();
        let most = written("max_body_bytes").unwrap_or(max_body_bytes);
        let budget = written("body_budget_bytes").unwrap_or(body_budget_bytes);
        if budget < most {
            let key = if written("body_budget_bytes").is_some() { "body_budget_bytes" } else { "max_body_bytes" };
            self.error_with_help(
                "config/bad-value",
                &join("server", key),
                format!("a body of {most} bytes does not fit into a budget of {budget} for all of them"),
                "`body_budget_bytes` must be at least `max_body_bytes`",
            );
        }
    }

    /// One text for one address: what tokens are held against is compared byte for byte.
    fn public_url(&mut self) {
        const PLACE: &str = "server.public_url";
        const CODE: &str = "config/bad-value";
        let Some(written) = self.root.get("server").and_then(|server| text(server, "public_url")) else { return };
        let such_as = "write what callers have before the path, such as `https://hooks.example.com`";
        let Some(url) = url::Url::parse(written).ok().filter(url::Url::has_host) else {
            return self.error_with_help(CODE, PLACE, "must be an https address", such_as);
        };
        if !is_trustworthy(&url) {
            let message = "must be an https address: a token for an address without TLS is for whoever listens";
            return self.error_with_help(CODE, PLACE, message, such_as);
        }
        let plain = url.origin().ascii_serialization();
        if written.strip_suffix('/').unwrap_or(written) != plain {
            let message = "must be scheme, host and port alone, in lower case and without a port that is the usual one";
            self.error_with_help(CODE, PLACE, message, format!("write `{plain}`"));
        }
    }

    fn address(&mut self, section: &str) -> Option<SocketAddr> {
        let written = text(self.root.get(section)?, "listen")?;
        let address = written.parse().ok();
        if address.is_none() {
            self.error_with_help(
                "config/bad-value",
                &join(section, "listen"),
                format!("`{written}` is not an address to listen on"),
                "write an IP address and a port, such as `127.0.0.1:8080` or `0.0.0.0:8080`",
            );
        }
        address
    }

    fn store(&mut self) {
        let Some(url) = self.root.get("store").and_then(|store| text(store, "url")) else { return };
        if has_password(url) || secret_in_url(url).is_some() {
            self.error_with_help(
                "config/literal-secret",
                "store.url",
                "a password is never written into the file",
                "put the whole address into a variable: `url = { env = \"DATABASE_URL\" }`",
            );
        } else if let Err(problem) = StoreAddress::parse(url, Path::new(".")) {
            self.error_with_help("config/bad-value", "store.url", problem.to_string(), STORE_URL);
        }
    }

    fn tables(&mut self) {
        for (path, _, table) in named(self.root, "tables", "tables") {
            if let Some(kind) = text(table, "kind")
                && kind != "csv"
                && table.get("key").is_some()
            {
                let message = format!("only a csv table has a key column, and this one is `{kind}`");
                self.error_with_help("config/bad-value", &join(&path, "key"), message, "remove `key`");
            }
        }
        self.names("tables", self.root.get("tables"));
    }

    /// Names stand in scripts, logs, metrics and URLs, so they are plain.
    fn names(&mut self, path: &str, sections: Option<&Value>) {
        for name in sections.and_then(Value::as_object).into_iter().flat_map(|sections| sections.keys()) {
            if !is_bare(name) {
                let message = format!("`{name}` is not a name");
                let finding = self.source.at_key("config/bad-name", &join(path, name), message);
                self.findings.push(finding.help("a name is made of letters, digits, `_` and `-`"));
            }
        }
    }
}

/// The sections in `parent.key`, each with its path and name, in the order of the file.
fn named<'v>(parent: &'v Value, key: &str, path: &str) -> Vec<(String, &'v str, &'v Value)> {
    let sections = parent.get(key).and_then(Value::as_object);
    let entries = sections.into_iter().flatten();
    entries.map(|(name, value)| (join(path, name), name.as_str(), value)).collect()
}

fn text<'v>(section: &'v Value, key: &str) -> Option<&'v str> {
    section.get(key).and_then(Value::as_str)
}

/// The texts of an array, or the one text, each with its path; empty where the type is wrong.
fn texts<'v>(section: &'v Value, path: &str, key: &str) -> Vec<(String, &'v str)> {
    let path = join(path, key);
    match section.get(key) {
        Some(Value::String(text)) => vec![(path, text)],
        Some(Value::Array(items)) => {
            let items = items.iter().enumerate();
            items.filter_map(|(index, item)| Some((format!("{path}[{index}]"), item.as_str()?))).collect()
        }
        _ => Vec::new(),
    }
}

/// `did you mean …?`, or what there is to choose from.
fn choice(written: &str, known: &[&str], nothing: &str) -> String {
    match nearest(written, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if known.is_empty() => nothing.to_owned(),
        None => {
            let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            format!("known: {}", known.join(", "))
        }
    }
}
