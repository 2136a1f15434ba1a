//! The question whether a system accepts a password: members to send, with the secrets apart from them.
//!
//! The secrets are joined to the members only by [`Credentials::filled`], which a connector calls for the request itself.

use serde_json::Value;

use crate::secret::Secret;

/// What a system is given to check.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Below the address of the connector.
    pub path: String,
    /// An object; `null` where a secret belongs.
    pub members: Value,
    /// Where each secret belongs, as a JSON pointer.
    pub secrets: Vec<(String, Secret)>,
}

impl Credentials {
    /// Whether one of the secrets is empty: such a password is never right, and some systems take it for a guest.
    pub fn has_empty_secret(&self) -> bool {
        self.secrets.iter().any(|(_, secret)| secret.expose().is_empty())
    }

    /// The secret that is the member of this name.
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets.iter().find(|(pointer, _)| pointer.strip_prefix('/') == Some(name)).map(|(_, secret)| secret)
    }

    /// The members with the secrets in their places, for the request and nothing else.
    pub fn filled(&self) -> Value {
        let mut members = self.members.clone();
        for (pointer, secret) in &self.secrets {
            if let Some(place) = members.pointer_mut(pointer) {
                *place = String::from_utf8_lossy(secret.expose()).into();
            }
        }
        members
    }

    /// Names of members that are not sent as a test states them. A secret is compared in constant time.
    pub(crate) fn other_members(&self, stated: &Value) -> Vec<String> {
        let Value::Object(stated) = stated else { return vec!["no map is stated".to_owned()] };
        let other = stated.iter().filter(|(name, value)| match (self.secret(name), value) {
            (Some(secret), Value::String(text)) => !secret.matches(text.as_bytes()),
            (Some(_), _) => true,
            (None, value) => self.members.get(name.as_str()) != Some(value),
        });
        other.map(|(name, _)| format!("`{name}`")).collect()
    }

    /// Drops the secrets, once the question is answered.
    pub(crate) fn forget(&mut self) {
        self.secrets.clear();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ann() -> Credentials {
        Credentials {
            path: "/login".to_owned(),
            members: json!({ "username": "ann", "inner": { "pin": null }, "password": null }),
            secrets: vec![
                ("/password".to_owned(), Secret::new(*b"s3cret")),
                ("/inner/pin".to_owned(), Secret::new(*b"4711")),
            ],
        }
    }

    #[test]
    fn a_secret_is_in_the_request_and_nowhere_else() {
        let mut asked = ann();
        assert_eq!(asked.filled(), json!({ "username": "ann", "inner": { "pin": "4711" }, "password": "s3cret" }));
        let shown = format!("{asked:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("4711"), "{shown}");
        asked.forget();
        assert_eq!(asked.filled(), ann().members);
    }

    #[test]
    fn a_test_may_state_some_of_the_members() {
        for (stated, other) in [
            (json!({}), &[][..]),
            (json!({ "username": "ann" }), &[]),
            (json!({ "password": "s3cret", "username": "ann" }), &[]),
            (json!({ "password": "S3cret" }), &["`password`"]),
            (json!({ "password": null }), &["`password`"]),
            (json!({ "username": "eve", "password": "s3cret" }), &["`username`"]),
            (json!({ "other": "x" }), &["`other`"]),
            (json!("ann"), &["no map is stated"]),
        ] {
            assert_eq!(ann().other_members(&stated), other, "{stated}");
        }
    }
}
