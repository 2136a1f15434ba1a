//! Which events a rule wants: their types, and what else must hold of them.

use std::fmt;

use crate::config;
use crate::config::Config;
use crate::release::pattern::Pattern;
use hookgate_hooks::{Decoded, EventRow, Hook};

/// What must hold of an event so that a rule runs on it.
#[derive(Clone)]
pub struct Wanted {
    row: &'static EventRow,
    types: Vec<Pattern>,
    filters: Vec<Filter>,
}

/// One thing that must be one of several.
#[derive(Clone, Debug)]
struct Filter {
    /// As in `gateway.toml`.
    key: &'static str,
    /// Where events have it.
    path: &'static str,
    any_of: Vec<String>,
}

impl Wanted {
    /// Every type of event.
    pub(crate) fn everything(row: &'static EventRow) -> Self {
        Self { row, types: vec![Pattern::Any], filters: Vec::new() }
    }

    pub(super) fn of(row: &'static EventRow, rule: &config::routes::Rule) -> Self {
        let upper = |texts: &[String]| texts.iter().map(|text| text.to_uppercase()).collect();
        let filters = [
            ("outcome", "outcome.result", upper(&rule.outcome)),
            ("target_type", "target.*.type", rule.target_type.clone()),
            ("target_id", "target.*.id", rule.target_id.clone()),
            ("actor_type", "actor.type", rule.actor_type.clone()),
        ];
        let filters = filters.into_iter().map(|(key, path, any_of)| Filter { key, path, any_of });
        Self {
            row,
            types: rule.events.iter().map(|pattern| Pattern::new(pattern)).collect(),
            filters: filters.filter(|filter| !filter.any_of.is_empty()).collect(),
        }
    }

    /// The types, as written.
    pub fn types(&self) -> Vec<String> {
        self.types.iter().map(ToString::to_string).collect()
    }

    /// Whether the rule wants events of this type, if all else holds.
    pub(crate) fn wants_type(&self, kind: &str) -> bool {
        let mut found = self.types.iter().filter(|pattern| pattern.matches(kind)).peekable();
        found.peek().is_some() && !self.may_loop(kind, found)
    }

    /// Whether this type is one that answering may cause, and that no pattern names: "everything" never means it, because
    /// the answer would cause the next one.
    fn may_loop<'a>(&self, kind: &str, mut found: impl Iterator<Item = &'a Pattern>) -> bool {
        self.row.loops.contains(&kind) && found.all(|pattern| *pattern == Pattern::Any)
    }

    /// Whether the rule wants this event.
    ///
    /// # Errors
    /// Why not, in words.
    pub(crate) fn check(&self, event: &Decoded) -> Result<(), String> {
        let kind = event.facts.event_type.as_deref().unwrap_or_default();
        let mut found = self.types.iter().filter(|pattern| pattern.matches(kind)).peekable();
        if found.peek().is_none() {
            return Err(format!("it wants {}", self.types().join(", ")));
        }
        if self.may_loop(kind, found) {
            return Err(format!("`*` leaves out `{kind}`, which rules can cause themselves; name it if it is meant"));
        }
        self.filters.iter().try_for_each(|filter| filter.check(self.row, event))
    }
}

/// What the provider has to send to one event route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub route: String,
    /// The path of its URL.
    pub path: String,
    /// The most types that one hook of the provider can have.
    pub most: usize,
    /// Types that a hook can subscribe to, each with the rules that want it, in alphabetical order.
    pub types: Vec<(&'static str, Vec<String>)>,
    /// Types that rules name and that no hook can subscribe to: patterns and their rules.
    pub not_eligible: Vec<(String, String)>,
}

/// What the event routes of this hook want to be sent, by the provider's catalogue.
pub fn subscriptions(hook: &'static Hook, config: &Config) -> Vec<Subscription> {
    let Some(row) = hook.as_events() else { return Vec::new() };
    let routes = config.routes.iter().filter(|(_, route)| route.hook == hook.name);
    routes.map(|(name, route)| subscription(row, name, route)).collect()
}

fn subscription(row: &'static EventRow, name: &str, route: &config::routes::Route) -> Subscription {
    let mut wants: Vec<(String, Wanted)> =
        route.rules.iter().map(|(name, rule)| (name.clone(), Wanted::of(row, rule))).collect();
    if let Some(script) = &route.script {
        wants.push((script.clone(), Wanted::everything(row)));
    }
    let wanted_by = |kind: &'static str| {
        let rules = wants.iter().filter(|(_, wanted)| wanted.wants_type(kind));
        rules.map(|(rule, _)| rule.clone()).collect::<Vec<_>>()
    };
    let eligible: Vec<&'static str> =
        row.catalogue.types().filter(|kind| kind.eligible).map(|kind| kind.name).collect();
    let mut not_eligible = Vec::new();
    for (rule, wanted) in &wants {
        let unsent = wanted.types.iter().filter(|pattern| !eligible.iter().any(|kind| pattern.matches(kind)));
        not_eligible.extend(unsent.map(|pattern| (pattern.to_string(), rule.clone())));
    }
    let types = eligible.into_iter().map(|kind| (kind, wanted_by(kind))).filter(|(_, rules)| !rules.is_empty());
    Subscription {
        route: name.to_owned(),
        path: route.path.clone(),
        most: row.catalogue.most,
        types: types.collect(),
        not_eligible,
    }
}

impl Filter {
    fn check(&self, row: &EventRow, event: &Decoded) -> Result<(), String> {
        let values = (row.read)(event, self.path);
        if values.iter().any(|value| self.any_of.iter().any(|wanted| wanted == value.as_str())) {
            return Ok(());
        }
        let wanted = self.any_of.join(" or ");
        match values.as_slice() {
            [] => Err(format!("`{}` wants {wanted}, and the event has none", self.key)),
            [one] => Err(format!("`{}` wants {wanted}, and the event has {one}", self.key)),
            _ => Err(format!("`{}` wants {wanted}, and no target of the event is that", self.key)),
        }
    }
}

impl fmt::Debug for Wanted {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("Wanted").field("types", &self.types).field("filters", &self.filters).finish()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    fn why(rule: &serde_json::Value, event: &serde_json::Value) -> Option<String> {
        let mut all = json!({ "events": ["*"], "script": "x.rhai" });
        all.as_object_mut().unwrap().extend(rule.as_object().unwrap().clone());
        let hook = hookgate_hooks::find("okta.event").unwrap();
        let event = (hook.decode)(&Bytes::from(event.to_string())).unwrap();
        Wanted::of(hook.as_events().unwrap(), &serde_json::from_value(all).unwrap()).check(&event).err()
    }

    #[test]
    fn every_filter_must_hold() {
        let event = json!({
            "eventType": "group.user_membership.add", "outcome": { "result": "Success" },
            "actor": { "type": "User", "id": "00u1" },
            "target": [{ "type": "User", "id": "00u2" }, { "type": "UserGroup", "id": "00g1" }],
        });
        let bare = json!({ "eventType": "user.session.start", "target": null });
        let table = [
            (json!({}), &event, None),
            (json!({ "events": ["user.*", "group.user_membership.add"] }), &event, None),
            (json!({ "events": ["user.*"] }), &event, Some("it wants user.*")),
            (json!({ "outcome": ["success", "ALLOW"] }), &event, None),
            (json!({ "outcome": ["FAILURE"] }), &event, Some("`outcome` wants FAILURE, and the event has SUCCESS")),
            (json!({ "target_type": ["UserGroup"], "target_id": ["00g1"], "actor_type": ["User"] }), &event, None),
            (
                json!({ "target_id": ["00g2"] }),
                &event,
                Some("`target_id` wants 00g2, and no target of the event is that"),
            ),
            (
                json!({ "actor_type": ["SystemPrincipal"] }),
                &bare,
                Some("`actor_type` wants SystemPrincipal, and the event has none"),
            ),
        ];
        for (rule, event, expected) in table {
            assert_eq!(why(&rule, event).as_deref(), expected, "{rule}");
        }
    }

    #[test]
    fn a_subscription_has_the_types_that_rules_want() {
        let config: Config = serde_json::from_value(json!({ "routes": {
            "events": { "path": "/e", "hook": "okta.event", "auth": "okta", "rules": {
                "watch": { "events": ["group.privilege.*", "user.session.start", "user.lifecycle.delete.completed"], "script": "a.rhai" },
                "sessions": { "events": ["user.session.*", "nope"], "script": "b.rhai" },
            } },
            "all": { "path": "/all", "hook": "okta.event", "auth": "okta", "script": "c.rhai" },
            "signup": { "path": "/s", "hook": "okta.registration", "auth": "okta", "script": "d.rhai", "on_failure": "allow" },
        } }))
        .unwrap();
        let [all, events] = subscriptions(hookgate_hooks::find("okta.event").unwrap(), &config).try_into().unwrap();
        assert_eq!((events.route.as_str(), events.path.as_str(), events.most), ("events", "/e", 300));
        let names: Vec<&str> = events.types.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(
            names,
            [
                "group.privilege.grant",
                "group.privilege.revoke",
                "user.session.clear",
                "user.session.context.change",
                "user.session.end",
                "user.session.start",
            ]
        );
        assert_eq!(events.types.last().unwrap().1, ["sessions", "watch"]);
        let missing = [("nope", "sessions"), ("user.lifecycle.delete.completed", "watch")];
        assert_eq!(events.not_eligible, missing.map(|(kind, rule)| (kind.to_owned(), rule.to_owned())));
        // 314 can be subscribed to; `inline_hook.executed` would answer itself.
        assert_eq!(all.types.len(), 313);
    }

    #[test]
    fn the_catalogue_is_oktas_of_its_release() {
        let catalogue = hookgate_hooks::find("okta.event").unwrap().catalogue();
        assert_eq!(catalogue.source(), "Okta's types for event hooks, catalogue 2026.08.1 (2026-08-21)");
        let types: Vec<_> = catalogue.types().collect();
        assert!(types.is_sorted_by(|one, next| one.name < next.name));
        assert_eq!((types.len(), types.iter().filter(|kind| kind.eligible).count()), (320, 314));
    }

    #[test]
    fn what_rules_can_cause_must_be_named() {
        let event = json!({ "eventType": "inline_hook.executed" });
        assert!(why(&json!({}), &event).is_some_and(|why| why.contains("leaves out")));
        for named in [json!(["*", "inline_hook.executed"]), json!(["inline_hook.*"])] {
            assert_eq!(why(&json!({ "events": named }), &event), None);
        }
    }
}
