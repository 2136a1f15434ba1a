//! Rules of `[connectors.NAME]` that hold for every kind.

use serde_json::Value;

use crate::config::check::{Check, named};
use crate::config::source::{has_password, join};

impl Check<'_> {
    pub(super) fn connectors(&mut self) {
        self.names("connectors", self.root.get("connectors"));
        for (path, _, connector) in named(self.root, "connectors", "connectors") {
            for (key, value) in connector.as_object().into_iter().flatten() {
                if value.as_str().is_some_and(has_password) {
                    let message = "a password is never written into the file";
                    let help = "name the secret by `{ env = … }` or `{ file = … }` in a key of its own";
                    self.error_with_help("config/literal-secret", &join(&path, key), message, help);
                }
            }
            self.waits(&path, connector);
        }
    }

    fn waits(&mut self, path: &str, connector: &Value) {
        let number = |key: &str| connector.get("retry")?.get(key)?.as_u64();
        if let (Some(first), Some(most)) = (number("first_ms"), number("most_ms"))
            && first > most
        {
            let message = format!("the first wait may be {first} ms, and no wait longer than {most} ms");
            self.error("config/bad-value", &join(&join(path, "retry"), "first_ms"), message);
        }
    }
}
