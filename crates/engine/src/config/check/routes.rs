//! Rules of `[routes.NAME]` and its rules.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::config::check::{Check, choice, named, text, texts};
use crate::config::routes::PREVIEW_BY_HEADER;
use crate::config::source::{Source, join};
use crate::config::unknown::misplaced;
use crate::config::{FailureForm, HookFacts};
use hookgate_hooks::proof::TokenPlace;
use hookgate_model::finding::{Finding, Severity};

/// Headers that providers and their proxies send with every call.
const SENT_ANYWAY: [&str; 12] = [
    "accept",
    "accept-encoding",
    "authorization",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "host",
    "pragma",
    "user-agent",
    "x-forwarded-for",
    "x-okta-request-id",
];

impl Check<'_> {
    pub(super) fn routes(&mut self) {
        self.names("routes", self.root.get("routes"));
        let mut owners: HashMap<&str, &str> = HashMap::new();
        for (path, name, route) in named(self.root, "routes", "routes") {
            for key in ["path", "preview_path"] {
                let Some(url_path) = text(route, key) else { continue };
                self.url_path(&join(&path, key), url_path);
                let same = url_path.trim_end_matches('/');
                if let Some(other) = owners.get(same) {
                    let message = match *other == name {
                        true => format!("`path` and `preview_path` of route `{name}` are the same, `{url_path}`"),
                        false => format!("routes `{other}` and `{name}` have the same path `{url_path}`"),
                    };
                    let help = "give one of them another path; a slash at the end makes no difference";
                    self.error_with_help("config/duplicate-path", &join(&path, key), message, help);
                } else {
                    owners.insert(same, name);
                }
            }
            self.preview_header(&path, route);
            self.route_auth(&path, route);
            self.hook(&path, route);
            self.rules(&path, route);
        }
    }

    /// A header that calls have anyway would make each of them one for trying, and nothing would ever be done.
    fn preview_header(&mut self, path: &str, route: &Value) {
        let Some(written) = text(route, "preview") else { return };
        let place = join(path, "preview");
        let help = "name a header that only you add while you try, such as `header:x-hookgate-preview`";
        let Some(name) = written.strip_prefix(PREVIEW_BY_HEADER).filter(|name| is_header(name)) else {
            let message = format!("`{written}` is not the name of a header behind `{PREVIEW_BY_HEADER}`");
            return self.error_with_help("config/bad-value", &place, message, help);
        };
        let name = name.to_ascii_lowercase();
        let auths = named(self.root, "auth", "auth");
        let proves =
            auths.iter().any(|(_, _, auth)| text(auth, "header").is_some_and(|of| of.eq_ignore_ascii_case(&name)));
        if proves || SENT_ANYWAY.contains(&name.as_str()) {
            let message =
                format!("calls have the header `{name}` anyway, so every one of them would be for trying only");
            self.error_with_help("config/bad-value", &place, message, help);
        }
    }

    fn url_path(&mut self, place: &str, url_path: &str) {
        if !url_path.starts_with('/') {
            let message = format!("`{url_path}` is not a path: it must start with `/`");
            self.error_with_help("config/bad-value", place, message, format!("write `/{url_path}`"));
        } else if url_path.contains(|c: char| c.is_whitespace() || c.is_control() || "?#{}*".contains(c)) {
            let message = format!("`{url_path}` is not a plain path");
            let help = "a path has no spaces, `?`, `#`, `{`, `}` or `*`; every route has one exact path";
            self.error_with_help("config/bad-value", place, message, help);
        }
    }

    fn route_auth(&mut self, path: &str, route: &Value) {
        let facts = facts_of(self.hooks, route);
        let known: Vec<&str> = names_of(self.root, "auth");
        let mut seen: Vec<Vec<&str>> = Vec::new();
        for way in auth_ways(route, path) {
            let mut names: Vec<&str> = Vec::new();
            for (place, name) in &way {
                if names.contains(name) {
                    let message = format!("`{name}` is named twice");
                    self.error_with_help("config/duplicate-name", place, message, "remove one");
                } else if !known.contains(name) {
                    let nothing = format!("add a section `[auth.{name}]`");
                    let help = choice(name, &known, &nothing);
                    self.error_with_help("config/unknown-name", place, format!("there is no `[auth.{name}]`"), help);
                }
                names.push(*name);
            }
            names.sort_unstable();
            if let [(place, name), ..] = way.as_slice()
                && seen.contains(&names)
            {
                let message = format!("`{name}` is named twice");
                self.error_with_help("config/duplicate-name", place, message, "remove one");
            }
            self.all_at_once(&way, facts);
            if let Some(facts) = facts {
                self.enough_proof(&way, facts);
            }
            seen.push(names);
        }
        if route.get("auth").and_then(Value::as_array).is_some_and(Vec::is_empty) {
            let help = "name an `[auth.…]` section; one with `scheme = \"none\"` lets anybody call";
            self.error_with_help("config/bad-value", &join(path, "auth"), "must not be empty", help);
        }
    }

    /// Schemes that one call must satisfy at once.
    fn all_at_once(&mut self, way: &[(String, &str)], facts: Option<&HookFacts>) {
        if way.len() < 2 {
            return;
        }
        let mut readers: Vec<(String, &str)> = Vec::new();
        for (place, name) in way {
            let Some(auth) = self.root.get("auth").and_then(|auth| auth.get(*name)) else { continue };
            let header = match text(auth, "scheme") {
                Some("header") => text(auth, "header").unwrap_or("authorization").to_ascii_lowercase(),
                Some("jwt") if facts.is_some_and(|facts| facts.token_place == TokenPlace::Body) => continue,
                Some("basic" | "jwt") => "authorization".to_owned(),
                Some("none") => {
                    let message = format!("`{name}` lets anybody call, so it proves nothing beside others");
                    self.error_with_help("config/bad-value", place, message, "remove it");
                    continue;
                }
                _ => continue,
            };
            match readers.iter().find(|(other, of)| *other == header && of != name) {
                Some((_, other)) => {
                    let message =
                        format!("`{other}` and `{name}` both read the header `{header}`, which a call has once");
                    let help = "let one of them read another header: `header = \"x-hook-secret\"`";
                    self.error_with_help("config/bad-value", place, message, help);
                }
                None => readers.push((header, *name)),
            }
        }
    }

    fn hook(&mut self, path: &str, route: &Value) {
        let Some(name) = text(route, "hook") else { return };
        let Some(facts) = facts_of(self.hooks, route) else {
            let known: Vec<&str> = self.hooks.iter().map(|facts| facts.name).collect();
            let help = choice(name, &known, "this build knows no hooks");
            return self.error_with_help(
                "config/unknown-name",
                &join(path, "hook"),
                format!("unknown hook `{name}`"),
                help,
            );
        };
        if facts.is_event { self.event_route(path, route, facts) } else { self.inline_route(path, route, facts) }
    }

    fn event_route(&mut self, path: &str, route: &Value, facts: &HookFacts) {
        let name = facts.name;
        match (route.get("script").is_some(), route.get("rules").is_some_and(has_entries)) {
            (true, true) => {
                let message = "an event route has `script` or `rules`, not both";
                let help = "move the script into a rule of its own, with the events it wants";
                self.error_with_help("config/exclusive-keys", &join(path, "script"), message, help);
            }
            (false, false) => {
                let message = format!("an event route (`{name}`) needs `rules` or a `script`");
                let help = format!("add `[{path}.rules.NAME]` with `events` and `script`");
                self.error_with_help("config/missing-key", &join(path, "rules"), message, help);
            }
            _ => {}
        }
        if route.get("on_failure").is_some() {
            let message =
                format!("`{name}` has no `on_failure`: an event that fails is retried, then kept as a dead letter");
            self.error_with_help("config/bad-value", &join(path, "on_failure"), message, "remove `on_failure`");
        }
        self.reconcile(path, route, facts);
    }

    fn inline_route(&mut self, path: &str, route: &Value, facts: &HookFacts) {
        let name = facts.name;
        if route.get("rules").is_some() {
            let message = format!("`{name}` is answered by one script; only event routes have rules");
            let help = "write `script = \"….rhai\"` in the route instead";
            self.error_with_help("config/exclusive-keys", &join(path, "rules"), message, help);
        } else if route.get("script").is_none() {
            let help = "write `script = \"….rhai\"`: a file in the folder of scripts";
            self.error_with_help("config/missing-key", &join(path, "script"), "`script` is missing", help);
        }
        self.nothing_to_reconcile(path, route, name);
        self.on_failure(path, route, facts);
    }

    fn on_failure(&mut self, path: &str, route: &Value, facts: &HookFacts) {
        let place = join(path, "on_failure");
        let help = format!("`{}` allows {}; when it hears nothing, {}", facts.name, forms(facts), facts.silence);
        let form = match route.get("on_failure") {
            None if route.get("params").is_some_and(|params| params.get("on_failure").is_some()) => {
                let message = "`on_failure` stands among the parameters of the script, so the route has none";
                let params = join(path, "params");
                let place = join(&params, "on_failure");
                return self.error_with_help("config/needs-on-failure", &place, message, misplaced(&params));
            }
            None => {
                let message = "`on_failure` is missing: say what the caller hears when the script fails";
                return self.error_with_help("config/needs-on-failure", &place, message, help);
            }
            Some(Value::String(word)) => FailureFound::Word(word),
            Some(Value::Object(table)) => match (table.iter().next(), table.len()) {
                (Some((key, _)), 1) if self.has_failure_form(key) => FailureFound::Text(key),
                _ => return, // not a form of any hook: `shape` says so
            },
            Some(_) => return,
        };
        let allowed = facts.on_failure.iter().any(|allowed| match (*allowed, &form) {
            (FailureForm::Word(allowed), FailureFound::Word(word)) => allowed == *word,
            (FailureForm::Text(allowed), FailureFound::Text(key)) => allowed == *key,
            _ => false,
        });
        if !allowed {
            let message = match form {
                FailureFound::Word(word) => format!("`{}` has no `on_failure = \"{word}\"`", facts.name),
                FailureFound::Text(key) => format!("`{}` has no `on_failure = {{ {key} = … }}`", facts.name),
            };
            self.error_with_help("config/bad-value", &place, message, help);
        }
    }

    /// Whether some hook has this word with a text.
    fn has_failure_form(&self, word: &str) -> bool {
        let is_this = |form: &FailureForm| matches!(form, FailureForm::Text(text) if *text == word);
        self.hooks.iter().flat_map(|facts| facts.on_failure).any(is_this)
    }

    fn rules(&mut self, path: &str, route: &Value) {
        let rules_path = join(path, "rules");
        self.names(&rules_path, route.get("rules"));
        for (rule_path, _, rule) in named(route, "rules", &rules_path) {
            if let Some(order) = text(rule, "order_by").filter(|order| !is_order(order)) {
                let message = format!("`{order}` is nothing that events can be ordered by");
                let help = "write `actor.id`, `transaction.id`, or `target.TYPE.id` such as `target.User.id`";
                self.error_with_help("config/bad-value", &join(&rule_path, "order_by"), message, help);
            }
        }
        for (rule_path, _, rule) in named(route, "rules", &rules_path) {
            for (place, pattern) in texts(rule, &rule_path, "events") {
                if rule.get("events").is_some_and(Value::is_array) && !is_event_pattern(pattern) {
                    let message = format!("`{pattern}` is not an event pattern");
                    let help = "write an event type (`user.lifecycle.create`), a family (`user.lifecycle.*`) or `*`";
                    self.error_with_help("config/bad-value", &place, message, help);
                }
            }
        }
    }
}

/// A warning for every `[auth.NAME]` that no route names.
pub(super) fn unused_auth(source: &Source, root: &Value) -> Vec<Finding> {
    let routes = named(root, "routes", "routes");
    let ways = routes.iter().flat_map(|(path, _, route)| auth_ways(route, path));
    let used: HashSet<&str> = ways.flatten().map(|(_, name)| name).collect();
    let unused = named(root, "auth", "auth").into_iter().filter(|(_, name, _)| !used.contains(name));
    let warning = |(path, name, _): (String, &str, &Value)| {
        let finding = source.at_value("config/unused", &path, format!("no route uses `[auth.{name}]`"));
        Finding { severity: Severity::Warning, ..finding }
    };
    unused.map(warning).collect()
}

/// What this build knows of the hook that a route names.
pub(super) fn facts_of<'h>(hooks: &'h [HookFacts], route: &Value) -> Option<&'h HookFacts> {
    let name = text(route, "hook")?;
    hooks.iter().find(|facts| facts.name == name)
}

/// What a route wrote, in the shape of [`FailureForm`].
enum FailureFound<'v> {
    Word(&'v str),
    Text(&'v str),
}

fn forms(facts: &HookFacts) -> String {
    let form = |form: &FailureForm| match form {
        FailureForm::Word(word) => format!("`on_failure = \"{word}\"`"),
        FailureForm::Text(key) => format!("`on_failure = {{ {key} = \"…\" }}`"),
    };
    facts.on_failure.iter().map(form).collect::<Vec<_>>().join(" or ")
}

/// The ways into a route, each the names that it needs with their key paths.
pub(super) fn auth_ways<'v>(route: &'v Value, path: &str) -> Vec<Vec<(String, &'v str)>> {
    let place = join(path, "auth");
    let way = |place: String, value: &'v Value| match value {
        Value::String(name) => vec![(place, name.as_str())],
        Value::Object(_) => texts(value, &place, "all"),
        _ => Vec::new(),
    };
    match route.get("auth") {
        Some(Value::Array(choices)) => {
            let choices = choices.iter().enumerate();
            choices.map(|(index, choice)| way(format!("{place}[{index}]"), choice)).collect()
        }
        Some(one) => vec![way(place, one)],
        None => Vec::new(),
    }
}

/// A token of HTTP (RFC 9110, section 5.6.2).
fn is_header(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_part)
}

fn names_of<'v>(root: &'v Value, section: &str) -> Vec<&'v str> {
    let sections = root.get(section).and_then(Value::as_object);
    sections.into_iter().flat_map(|sections| sections.keys().map(String::as_str)).collect()
}

fn has_entries(value: &Value) -> bool {
    value.as_object().is_none_or(|entries| !entries.is_empty())
}

/// `actor.id`, `transaction.id`, `target.User.id`.
fn is_order(path: &str) -> bool {
    let member = |member: &str| ["id", "login"].contains(&member);
    match path.split('.').collect::<Vec<_>>()[..] {
        ["transaction", "id"] => true,
        ["actor", last] => member(last),
        ["target", kind, last] => !kind.is_empty() && kind != "*" && member(last),
        _ => false,
    }
}

/// `*`, `a.b.c` or `a.b.*`.
fn is_event_pattern(pattern: &str) -> bool {
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    match pattern.strip_suffix(".*") {
        Some(family) => family.split('.').all(is_word),
        None => pattern == "*" || pattern.split('.').all(is_word),
    }
}
