//! Rules of `[routes.NAME.reconcile]`.

use serde_json::Value;

use crate::config::HookFacts;
use crate::config::check::Check;
use crate::config::source::join;
use hookgate_model::finding::Finding;

impl Check<'_> {
    /// Of an inline route.
    pub(super) fn nothing_to_reconcile(&mut self, path: &str, route: &Value, hook: &str) {
        if route.get("reconcile").is_some() {
            let message =
                format!("a call of `{hook}` is answered or lost: only event routes have something to look for");
            self.error_with_help("config/bad-value", &join(path, "reconcile"), message, "remove `reconcile`");
        }
    }

    /// Of an event route.
    pub(super) fn reconcile(&mut self, path: &str, route: &Value, facts: &HookFacts) {
        let Some(settings) = route.get("reconcile").filter(|settings| settings.is_object()) else { return };
        let path = join(path, "reconcile");
        let Some(log) = facts.log else {
            let message = format!("no log of the provider of `{}` can be read", facts.name);
            return self.error_with_help("config/bad-value", &path, message, "remove `reconcile`");
        };
        for problem in (log.check)(settings) {
            let finding = self.source.at_value(problem.code, &join(&path, &problem.key), problem.message);
            self.findings.push(Finding { help: problem.help, ..finding });
        }
        self.made_secrets(&path, settings);
        if settings.get("rate_share").and_then(Value::as_f64).is_some_and(|share| share <= 0.0) {
            let help = "write a part of the limit, such as `0.25`";
            self.error_with_help("config/bad-value", &join(&path, "rate_share"), "must be more than 0", help);
        }
    }

    fn made_secrets(&mut self, path: &str, settings: &Value) {
        for (key, value) in settings.as_object().into_iter().flatten() {
            if value.get("create").and_then(Value::as_bool) == Some(true) {
                let message = "the provider would not know a secret that is made here";
                let place = join(&join(path, key), "create");
                self.error_with_help("config/bad-value", &place, message, "remove `create`");
            }
        }
    }
}
