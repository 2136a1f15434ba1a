//! Rules of `[connectors.NAME]` that hold for every kind.

use serde_json::Value;

use crate::config::check::{Check, named};
use crate::config::source::join;

impl Check<'_> {
    pub(super) fn connectors(&mut self) {
        self.names("connectors", self.root.get("connectors"));
        for (path, _, connector) in named(self.root, "connectors", "connectors") {
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
