//! Rules of `[routes.NAME.reconcile]`.

use serde_json::Value;
use url::{Host, Url};

use crate::config::check::{Check, text};
use crate::config::source::{has_password, join};

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
    pub(super) fn reconcile(&mut self, path: &str, route: &Value) {
        let Some(settings) = route.get("reconcile").filter(|settings| settings.is_object()) else { return };
        let path = join(path, "reconcile");
        self.org(&path, settings);
        self.proof(&path, settings);
        if settings.get("rate_share").and_then(Value::as_f64).is_some_and(|share| share <= 0.0) {
            let help = "write a part of the limit, such as `0.25`";
            self.error_with_help("config/bad-value", &join(&path, "rate_share"), "must be more than 0", help);
        }
    }

    fn org(&mut self, path: &str, settings: &Value) {
        let Some(written) = text(settings, "org_url").filter(|written| !written.is_empty()) else { return };
        let place = join(path, "org_url");
        if has_password(written) {
            let message = "a password is never written into the file";
            return self.error_with_help("config/literal-secret", &place, message, "write `https://example.okta.com`");
        }
        let allow_private = settings.get("allow_private").and_then(Value::as_bool).unwrap_or(false);
        let problem = match Url::parse(written) {
            Err(_) => Some("is not an address"),
            Ok(url) if !is_safe(&url, allow_private) => Some("must begin with `https://`"),
            Ok(url) if !is_bare_host(&url) => Some("must be the address of the org and nothing more"),
            Ok(_) => None,
        };
        if let Some(problem) = problem {
            self.error_with_help("config/bad-value", &place, problem, "write `https://example.okta.com`");
        }
    }

    fn proof(&mut self, path: &str, settings: &Value) {
        let has = |key: &str| settings.get(key).is_some();
        let app = ["client_id", "private_key", "key_id"].into_iter().find(|key| has(key));
        match (has("token"), app) {
            (true, Some(key)) => {
                let message = format!("it has `token` or an app, not both: here are `token` and `{key}`");
                self.error_with_help("config/exclusive-keys", &join(path, key), message, "remove one of them");
            }
            (false, None) => {
                let message = "`token` is missing, or `client_id` and `private_key`";
                let help = "write `token = { file = \"secrets/okta-log\" }`: a token that may read the System Log";
                self.error_with_help("config/missing-key", &join(path, "token"), message, help);
            }
            (false, Some(_)) => {
                for key in ["client_id", "private_key"].into_iter().filter(|key| !has(key)) {
                    let message = format!("`{key}` is missing");
                    let help = "an app needs `client_id` and `private_key`";
                    self.error_with_help("config/missing-key", &join(path, key), message, help);
                }
            }
            (true, None) => {}
        }
        for key in ["token", "private_key"] {
            if settings.pointer(&format!("/{key}/create")).and_then(Value::as_bool) == Some(true) {
                let message = "the provider would not know a secret that is made here";
                let place = join(&join(path, key), "create");
                self.error_with_help("config/bad-value", &place, message, "remove `create`");
            }
        }
    }
}

/// Nobody on the way reads the token: https, or this machine for trying things out.
fn is_safe(url: &Url, allow_private: bool) -> bool {
    let local = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && local && allow_private)
}

fn is_bare_host(url: &Url) -> bool {
    let nothing_before = url.username().is_empty() && url.password().is_none();
    let nothing_behind = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    url.host().is_some() && nothing_before && nothing_behind
}
