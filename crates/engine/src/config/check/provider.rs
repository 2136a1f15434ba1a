//! What a configuration says and the provider does otherwise: calls that can never come, answers that come too late, events
//! that nobody sends. Warnings, because something may stand between the provider and this gateway.

use serde_json::Value;

use crate::config::HookFacts;
use crate::config::check::routes::{auth_ways, facts_of};
use crate::config::check::{named, text, texts};
use crate::config::source::{Source, join};
use hookgate_model::finding::{Finding, Severity, nearest};

pub(super) fn warnings(source: &Source, root: &Value, hooks: &[HookFacts]) -> Vec<Finding> {
    let mut check = Provider { source, root, findings: Vec::new() };
    let mut inherits: Option<&HookFacts> = None;
    for (path, _, route) in named(root, "routes", "routes") {
        let Some(facts) = facts_of(hooks, route) else { continue };
        check.auth(&path, route, facts);
        check.deadline(&path, route, facts, &mut inherits);
        check.events(&path, route, facts);
    }
    if let Some(facts) = inherits {
        check.late("limits", facts, root.get("limits"));
    }
    check.findings
}

struct Provider<'a> {
    source: &'a Source,
    root: &'a Value,
    findings: Vec<Finding>,
}

impl Provider<'_> {
    fn warn(&mut self, code: &'static str, path: &str, message: String, help: impl Into<String>) {
        let finding = self.source.at_value(code, path, message).help(help);
        self.findings.push(Finding { severity: Severity::Warning, ..finding });
    }

    fn auth(&mut self, path: &str, route: &Value, facts: &HookFacts) {
        let scheme = |name: &str| text(self.root.get("auth")?.get(name)?, "scheme");
        let ways = auth_ways(route, path);
        let open = ways.iter().flatten().find(|(_, name)| scheme(name) == Some("none")).cloned();
        let is_token = |way: &Vec<(String, &str)>| way.iter().any(|(_, name)| scheme(name) == Some("jwt"));
        let only_tokens = !ways.is_empty() && ways.iter().all(is_token);
        if let Some((place, name)) = open.filter(|_| facts.needs_secret) {
            let message = format!(
                "`{name}` lets anybody call, and `{}` sends codes: {} skips such a hook unless it sends a secret",
                facts.name, facts.provider
            );
            self.warn(
                "config/no-secret",
                &place,
                message,
                format!("use a section with `scheme = \"header\"`, and give {} its secret", facts.provider),
            );
        }
        if only_tokens && !facts.has_tokens {
            let HookFacts { name, provider, .. } = facts;
            let message =
                format!("{provider} cannot call `{name}` with a token: event hooks send a secret in a header only");
            let help = "use a section with `scheme = \"header\"` or `\"basic\"`, or add one to the list";
            self.warn("config/no-token", &join(path, "auth"), message, help);
        }
    }

    /// `inherits` is set where a route takes its deadline from `[limits]`: to the hook that is the least patient.
    fn deadline<'f>(&mut self, path: &str, route: &Value, facts: &'f HookFacts, inherits: &mut Option<&'f HookFacts>) {
        if facts.latest_ms.is_none() {
            return;
        }
        match route.get("limits").filter(|limits| limits.get("deadline_ms").is_some()) {
            Some(limits) => self.late(&join(path, "limits"), facts, Some(limits)),
            None if inherits.is_none_or(|other| facts.latest_ms < other.latest_ms) => *inherits = Some(facts),
            None => {}
        }
    }

    fn late(&mut self, path: &str, facts: &HookFacts, limits: Option<&Value>) {
        let deadline = limits.and_then(|limits| limits.get("deadline_ms")).and_then(Value::as_u64);
        let (Some(deadline), Some(latest)) = (deadline, facts.latest_ms) else { return };
        if deadline > latest {
            let HookFacts { provider, patience_ms, .. } = facts;
            let message = format!(
                "an answer after {deadline} ms comes too late: {provider} waits {patience_ms} ms for the whole exchange"
            );
            let good = latest.saturating_sub(400);
            let help = format!("write {latest} or less; {good} leaves time for the way there and back");
            self.warn("config/late-answer", &join(path, "deadline_ms"), message, help);
        }
    }

    fn events(&mut self, path: &str, route: &Value, facts: &HookFacts) {
        if facts.event_types.is_empty() {
            return;
        }
        let reads_log = route.get("reconcile").is_some();
        for (rule_path, _, rule) in named(route, "rules", &join(path, "rules")) {
            for (place, pattern) in texts(rule, &rule_path, "events") {
                self.event(&place, pattern, facts, reads_log);
            }
        }
    }

    fn event(&mut self, place: &str, pattern: &str, facts: &HookFacts, reads_log: bool) {
        let prefix = pattern.strip_suffix('*').filter(|prefix| prefix.ends_with('.'));
        let is_meant = |kind: &str| prefix.map_or(kind == pattern, |prefix| kind.starts_with(prefix));
        if pattern == "*" {
            return;
        }
        let mut found = facts.event_types.iter().filter(|(kind, _)| is_meant(kind)).peekable();
        if found.peek().is_none() {
            let message = format!("`{pattern}` is not among {}", facts.event_types_of);
            let near = near(pattern, prefix, facts.event_types);
            // The log that is read has hundreds of others.
            if reads_log && near.is_none() {
                return;
            }
            let help = match (near, facts.log) {
                (Some(near), _) => format!("did you mean `{near}`?"),
                (None, Some(log)) => {
                    let only = format!("stands in {} only", log.title);
                    format!("it does not exist, or {only}: `[routes.NAME.reconcile]` reads it from there")
                }
                (None, None) => "take a type of the list".to_owned(),
            };
            self.warn("config/event-type", place, message, help);
        } else if !reads_log && found.all(|(_, eligible)| !eligible) {
            let message = format!("{} does not send `{pattern}` to event hooks", facts.provider);
            let (message, help) = match facts.log {
                Some(log) => (
                    format!("{message}: it stands in {} only", log.title),
                    "let `[routes.NAME.reconcile]` read it from there, or take another type",
                ),
                None => (message, "take another type"),
            };
            self.warn("config/event-type", place, message, help);
        }
    }
}

/// The type or family that was most likely meant; rather one that can be subscribed to.
fn near(pattern: &str, prefix: Option<&str>, types: &[(&'static str, bool)]) -> Option<String> {
    let eligible = || types.iter().filter(|(_, eligible)| *eligible).map(|(kind, _)| *kind);
    let all = || types.iter().map(|(kind, _)| *kind);
    let Some(prefix) = prefix else {
        return nearest(pattern, eligible()).or_else(|| nearest(pattern, all())).map(str::to_owned);
    };
    let families = |kind: &'static str| kind.match_indices('.').map(move |(at, _)| &kind[..=at]);
    let family = nearest(prefix, eligible().flat_map(families)).or_else(|| nearest(prefix, all().flat_map(families)));
    family.map(|family| format!("{family}*"))
}
