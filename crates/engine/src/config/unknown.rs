//! Keys that nobody knows: what they were meant to be, and the file without them.

use serde_json::Value;

use crate::config::source::join;

/// A key that nobody knows.
pub(super) struct UnknownKey {
    /// Its path.
    pub(super) path: String,
    /// What it was most likely meant to be, in the same section.
    pub(super) meant: Option<String>,
}

impl UnknownKey {
    /// Gives the key its meaning in a tree, or takes it away.
    pub(super) fn mend(&self, root: &mut Value) {
        self.mend_below(root, "");
    }

    fn mend_below(&self, value: &mut Value, place: &str) {
        match value {
            Value::Object(entries) => {
                let Some(name) = entries.keys().find(|name| self.is_at_or_below(&join(place, name))).cloned() else {
                    return;
                };
                let path = join(place, &name);
                if path != self.path {
                    return entries.get_mut(&name).map_or((), |inner| self.mend_below(inner, &path));
                }
                let taken = entries.shift_remove(&name);
                if let (Some(meant), Some(taken)) = (&self.meant, taken) {
                    entries.entry(meant.clone()).or_insert(taken);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    let path = format!("{place}[{index}]");
                    if self.is_at_or_below(&path) {
                        self.mend_below(item, &path);
                    }
                }
            }
            _ => {}
        }
    }

    fn is_at_or_below(&self, place: &str) -> bool {
        self.path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }
}

pub(super) const ON_FAILURE: &str = "on_failure";

/// What to do with an `on_failure` that stands in `section`. In TOML every key belongs to the header above it, so one that was
/// added at the end of a route is in the route's last table.
pub(super) fn misplaced(section: &str) -> String {
    match section.split('.').collect::<Vec<_>>()[..] {
        ["routes", name, "rules", ..] => {
            format!(
                "an event that fails is retried, as `[routes.{name}.rules.….retry]` says, and kept as a dead letter: remove it"
            )
        }
        ["routes", name, ..] => {
            format!("it belongs to `[routes.{name}]` itself: write it above the header `[{section}]`")
        }
        _ => "it belongs to a route: write it in `[routes.NAME]`, above the route's other headers".to_owned(),
    }
}
