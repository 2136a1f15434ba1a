//! What of a command, and of a captured request, may be kept: lists of what is allowed, never of what is not.

use serde_json::{Value, json};

use crate::secret::looks_secret;

/// Members of commands whose values are written by the script's author or name things of the provider, and say nothing
/// of a person. The value of every other member is replaced by its kind.
const KEPT_MEMBERS: &[&str] = &[
    "attribute",
    "channel",
    "claim",
    "connector",
    "field",
    "name",
    "op",
    "path",
    "provider",
    "reason",
    "seconds",
    "text",
    "token",
    "verdict",
    "ways",
];

/// Commands whose members are named by the script: each may be of a person, whatever it is called.
const MAPS: &[&str] = &["set_app_profile", "set_profile"];

/// Bytes of one text of a command that are kept.
const MAX_TEXT: usize = 500;

/// A command without values: `{"add_claim": {"name": "team", "value": "(text)"}}`.
pub fn command(command: &Value) -> Value {
    match command {
        // The name of a command that takes nothing.
        Value::String(name) => json!(name),
        Value::Object(members) => {
            members.iter().map(|(name, arguments)| (name.clone(), arguments_of(name, arguments))).collect()
        }
        other => kind(other),
    }
}

fn arguments_of(command: &str, arguments: &Value) -> Value {
    let Value::Object(members) = arguments else { return kind(arguments) };
    let is_map = is_map(command);
    let kept = |(name, value): (&String, &Value)| {
        let value = if !is_map && KEPT_MEMBERS.contains(&name.as_str()) { allowed(value) } else { kind(value) };
        (name.clone(), value)
    };
    members.iter().map(kept).collect()
}

/// Whether the members of a command are names that the script chose, and not ours.
pub(super) fn is_map(command: &str) -> bool {
    MAPS.contains(&command)
}

/// A value that may be kept. Only plain ones, and lists of plain ones (a nested path).
fn allowed(value: &Value) -> Value {
    match value {
        Value::String(text) => json!(short(text, MAX_TEXT)),
        Value::Array(items) => {
            items.iter().take(32).map(|item| if item.is_object() { kind(item) } else { allowed(item) }).collect()
        }
        Value::Object(_) => kind(value),
        other => other.clone(),
    }
}

/// What stands for a value that is not kept.
pub(crate) fn kind(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => json!("(true or false)"),
        Value::Number(_) => json!("(number)"),
        Value::String(_) => json!("(text)"),
        Value::Array(items) => json!(format!("(list of {})", items.len())),
        Value::Object(members) => json!(format!("(map of {})", members.len())),
    }
}

/// A text of so many bytes at most, cut between characters.
pub fn short(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(most)])
}

/// What stands for a member of a captured request that is not kept.
pub(crate) const MASK: &str = "***";

/// The request of a captured call: what stands below one of the `allowed` paths, without what is `secret`; every other value
/// is replaced. Paths are lists of names; `*` stands for any one. Gives the pointers of what was replaced, the first hundred.
pub fn request(body: &Value, allowed: &[&[&str]], secret: &[&[&str]], more: &[Vec<String>]) -> (Value, Vec<String>) {
    let mut walk = Walk { allowed, secret, more, path: Vec::new(), replaced: Vec::new() };
    let kept = walk.value(body);
    (kept, walk.replaced)
}

/// A request without what is `secret` or has the name of a secret; everything else stays. For what somebody keeps for good:
/// what it gives is still a call of the hook. Names of the `contract` are no secrets' names. Gives the pointers of what was
/// replaced, the first hundred.
pub fn without_secrets(
    body: &Value,
    contract: &[&[&str]],
    secret: &[&[&str]],
    more: &[Vec<String>],
) -> (Value, Vec<String>) {
    let allowed: Vec<&[&str]> = contract.iter().copied().chain([&[][..]]).collect();
    request(body, &allowed, secret, more)
}

struct Walk<'a> {
    allowed: &'a [&'a [&'a str]],
    secret: &'a [&'a [&'a str]],
    more: &'a [Vec<String>],
    path: Vec<String>,
    replaced: Vec<String>,
}

impl Walk<'_> {
    fn value(&mut self, value: &Value) -> Value {
        let replace = match value {
            Value::Object(members) => {
                let mut kept = serde_json::Map::new();
                for (name, member) in members {
                    self.path.push(name.clone());
                    kept.insert(name.clone(), self.value(member));
                    self.path.pop();
                }
                return Value::Object(kept);
            }
            Value::Array(items) => {
                self.path.push("*".to_owned());
                let kept = items.iter().map(|item| self.value(item)).collect();
                self.path.pop();
                return kept;
            }
            Value::Null => return Value::Null,
            _ => self.is_secret() || !self.allows(),
        };
        if !replace {
            return value.clone();
        }
        let pointer: String =
            self.path.iter().map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1"))).collect();
        if self.replaced.len() < 100 && !self.replaced.contains(&pointer) {
            self.replaced.push(pointer);
        }
        Value::from(MASK)
    }

    /// Whether this stands below an allowed path, under names that are no secret's: those of the path itself are the contract's.
    fn allows(&self) -> bool {
        let below = |path: &&&[&str]| begins(&self.path, path.iter().copied());
        let found = self.allowed.iter().find(below);
        found.is_some_and(|path| !self.path[path.len()..].iter().any(|name| looks_secret(name)))
    }

    fn is_secret(&self) -> bool {
        self.secret.iter().any(|path| begins(&self.path, path.iter().copied()))
            || self.more.iter().any(|path| begins(&self.path, path.iter().map(String::as_str)))
    }
}

fn begins<'a>(path: &[String], with: impl Iterator<Item = &'a str>) -> bool {
    let mut names = path.iter();
    with.into_iter().all(|wanted| names.next().is_some_and(|name| wanted == "*" || wanted == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_kept_without_values() {
        let table = [
            (json!("allow"), json!("allow")),
            (json!({"deny": {"text": "no"}}), json!({"deny": {"text": "no"}})),
            (
                json!({"set_profile": {"name": "CANARY", "reason": "CANARY"}}),
                json!({"set_profile": {"name": "(text)", "reason": "(text)"}}),
            ),
            (json!({"deny": {"field": "email", "text": "no"}}), json!({"deny": {"field": "email", "text": "no"}})),
            (
                json!({"set_profile": {"CANARY": 1, "b": [1]}}),
                json!({"set_profile": {"CANARY": "(number)", "b": "(list of 1)"}}),
            ),
            (
                json!({"add": {"path": ["a", "b"], "value": {"x": 1}}}),
                json!({"add": {"path": ["a", "b"], "value": "(map of 1)"}}),
            ),
            (json!({"x": {"text": {"deep": "CANARY"}}}), json!({"x": {"text": "(map of 1)"}})),
        ];
        for (given, expected) in table {
            assert_eq!(command(&given), expected);
        }
    }

    #[test]
    fn what_is_kept_for_good_holds_all_but_secrets() {
        let body = json!({
            "data": {
                "token": {"lifetime": 7, "value": "x"}, "nothing": null,
                "credential": {"password": "s", "username": "ann"},
                "userProfile": {"email": "a@b.example", "apiToken": "s", "vault": {"secretKeys": ["s", 7]}, "ssn": "s"}
            }
        });
        let contract: &[&[&str]] = &[&["data", "token"]];
        let more = vec![vec!["data".to_owned(), "userProfile".to_owned(), "ssn".to_owned()]];
        let (kept, replaced) = without_secrets(&body, contract, &[&["data", "credential", "password"]], &more);
        assert_eq!(
            kept,
            json!({
                "data": {
                    "token": {"lifetime": 7, "value": "x"}, "nothing": null,
                    "credential": {"password": "***", "username": "ann"},
                    "userProfile": {"email": "a@b.example", "apiToken": "***", "vault": {"secretKeys": ["***", "***"]}, "ssn": "***"}
                }
            })
        );
        assert_eq!(replaced.len(), 4, "{replaced:?}");
    }

    #[test]
    fn a_captured_request_holds_only_what_is_allowed() {
        let body = json!({
            "eventId": "e1", "cookie": "c",
            "data": {
                "token": {"lifetime": 7},
                "userProfile": {"email": "a@b.example", "accessToken": "s", "ACCESS_TOKEN": "s", "pin": "1", "pinned": "x", "ssn": "s"},
                "list": [{"keep": 1, "password": "s"}, {"keep": 2, "other": "s"}],
                "x/y": "s"
            }
        });
        let allowed: &[&[&str]] =
            &[&["eventId"], &["data", "token"], &["data", "userProfile"], &["data", "list", "*", "keep"]];
        let more = vec![vec!["data".to_owned(), "userProfile".to_owned(), "ssn".to_owned()]];
        let (kept, replaced) = request(&body, allowed, &[&["data", "list", "*", "password"]], &more);
        assert_eq!(
            kept,
            json!({
                "eventId": "e1", "cookie": "***",
                "data": {
                    "token": {"lifetime": 7},
                    "userProfile": {"email": "a@b.example", "accessToken": "***", "ACCESS_TOKEN": "***", "pin": "***", "pinned": "x", "ssn": "***"},
                    "list": [{"keep": 1, "password": "***"}, {"keep": 2, "other": "***"}],
                    "x/y": "***"
                }
            })
        );
        assert!(
            replaced.contains(&"/data/x~1y".to_owned()) && replaced.contains(&"/data/list/*/password".to_owned()),
            "{replaced:?}"
        );
    }
}
