//! Secrets that are written into the file itself, wherever values are free: headers, addresses, parameters.
//!
//! Keys that are made for secrets take no text at all; the schema sees to that.

use serde_json::Value;

use crate::config::check::{Check, named, text};
use crate::config::source::{has_password, join};
use hookgate_model::secret::literal;

const HELP: &str = "write `{ env = \"NAME\" }` or `{ file = \"PATH\" }` in its place; a value that is no secret goes under another name";
const HELP_OF_ADDRESS: &str =
    "write `{ env = … }` or `{ file = … }` in its place, or name the secret in a key of its own";

/// Where a text stands.
#[derive(Clone, Copy)]
enum TextPlace {
    /// Under a name of its own.
    Alone,
    /// In a list under a name.
    InList,
}

impl Check<'_> {
    pub(super) fn literals(&mut self) {
        for section in ["admin", "auth", "connectors", "store", "telemetry", "routes"] {
            if let Some(value) = self.root.get(section) {
                self.values_as_names(section, "", value);
            }
        }
        for (path, _, auth) in named(self.root, "auth", "auth") {
            self.literal_address(
                &path,
                auth,
                "jwks_url",
                "signing keys are public: use their address without a secret",
            );
        }
        for (path, _, connector) in named(self.root, "connectors", "connectors") {
            for (key, value) in connector.as_object().into_iter().flatten() {
                let place = join(&path, key);
                match (key.as_str(), value) {
                    ("headers" | "form" | "json", value) => self.literals_below(&place, key, value, TextPlace::Alone),
                    (_, value) => self.literal_forms(&place, value),
                }
            }
        }
        if let Some(telemetry) = self.root.get("telemetry") {
            let help = "name the secret in `headers`, by `{ env = … }` or `{ file = … }`";
            self.literal_address("telemetry", telemetry, "otlp_endpoint", help);
        }
        for (path, _, route) in named(self.root, "routes", "routes") {
            self.literals_of_params(&path, route);
            for (path, _, rule) in named(route, "rules", &join(&path, "rules")) {
                self.literals_of_params(&path, rule);
            }
        }
    }

    /// The secret itself where the name of its variable or file belongs: the name would be told in many places.
    fn values_as_names(&mut self, place: &str, name: &str, value: &Value) {
        match value {
            Value::Object(entries) => {
                // In other parameters `env` and `file` mean what the script makes of them.
                let is_place = !place.contains(".params") || literal::names_secret(name) > literal::Certainty::No;
                for (key, value) in entries {
                    let inner = join(place, key);
                    match value {
                        Value::String(text) if is_place && matches!(key.as_str(), "env" | "file") => {
                            if literal::looks_like_a_value(text) {
                                let help = "write the name of the variable, or the path of the file with its folder";
                                self.literal(&inner, "what looks like a secret itself", help);
                            }
                        }
                        value => self.values_as_names(&inner, key, value),
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.values_as_names(&format!("{place}[{index}]"), name, item);
                }
            }
            _ => {}
        }
    }

    fn literals_of_params(&mut self, path: &str, section: &Value) {
        if let Some(params) = section.get("params") {
            self.literals_below(&join(path, "params"), "", params, TextPlace::Alone);
        }
    }

    /// Texts whose name or form says that they are secrets. Of a list under such a name, only the form decides: it may list
    /// the names of fields.
    fn literals_below(&mut self, place: &str, name: &str, value: &Value, standing: TextPlace) {
        match value {
            Value::String(text) => {
                let by_name = match standing {
                    TextPlace::InList => {
                        literal::names_secret(name) > literal::Certainty::No && literal::looks_random(text)
                    }
                    // Places of a template are filled in when it is sent.
                    TextPlace::Alone => literal::is_secret(name, text) && !text.contains('{'),
                };
                if let Some(what) = literal::secret_in(text).or(by_name.then_some("a secret")) {
                    self.literal(place, what, HELP);
                }
            }
            Value::Object(entries) => {
                for (name, value) in entries {
                    // Where the secret is, not what it is.
                    if !matches!(name.as_str(), "env" | "file") {
                        self.literals_below(&join(place, name), name, value, TextPlace::Alone);
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.literals_below(&format!("{place}[{index}]"), name, item, TextPlace::InList);
                }
            }
            _ => {}
        }
    }

    /// Texts whose form says that they are secrets, in keys that the schema knows.
    fn literal_forms(&mut self, place: &str, value: &Value) {
        match value {
            Value::String(text) if has_password(text) => self.literal(place, "a password", HELP_OF_ADDRESS),
            Value::String(text) => {
                if let Some(what) = literal::secret_in(text) {
                    self.literal(place, what, HELP_OF_ADDRESS);
                }
            }
            Value::Object(entries) => {
                for (name, value) in entries.iter().filter(|(name, _)| !matches!(name.as_str(), "env" | "file")) {
                    self.literal_forms(&join(place, name), value);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.literal_forms(&format!("{place}[{index}]"), item);
                }
            }
            _ => {}
        }
    }

    fn literal_address(&mut self, path: &str, section: &Value, key: &str, help: &str) {
        if let Some(what) = text(section, key).and_then(literal::secret_in_url) {
            self.literal(&join(path, key), what, help);
        }
    }

    fn literal(&mut self, place: &str, what: &str, help: &str) {
        self.error_with_help("config/literal-secret", place, format!("{what} is never written into the file"), help);
    }
}
