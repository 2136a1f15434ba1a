//! What may stand in a profile that a command sets: names and values that Okta's schema can have.
//!
//! The constructors of commands refuse everything else, and the judge of replies finds it in any reply.

use serde_json::Value;

/// What is wrong with the name of an attribute of Okta's user profile: a letter or `_`, then letters, digits and `_`.
///
/// # Errors
/// No attribute can have this name, in the words of a script's author.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if let Some(plain) = name.rsplit_once('.').map(|(_, plain)| plain).filter(|plain| is_name(plain)) {
        return Err(format!("`{name}` is a path; write the attribute's plain name, `{plain}`"));
    }
    if is_name(name) {
        return Ok(());
    }
    Err(format!(
        "no attribute can be named `{name}`; its variable name has letters, digits and `_`, such as `costCenter`"
    ))
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The same for the profile that an app has of its user, whose attributes are named by the app: no blanks and no control
/// characters.
///
/// # Errors
/// As [`check_name`].
pub(super) fn check_app_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("no attribute can be named `{name}`; a name has no blanks"));
    }
    Ok(())
}

/// The same for the profile that an app has of its user: Okta itself sends attributes without a value there.
///
/// # Errors
/// As [`check_value`].
pub(super) fn check_app_value(name: &str, value: &Value) -> Result<(), String> {
    if value.is_null() { Ok(()) } else { check_value(name, value) }
}

/// Whether a name is that of the password, which no command can set.
pub(super) fn is_password(name: &str) -> bool {
    name.eq_ignore_ascii_case("password")
}

/// What is wrong with the value of an attribute. Okta's schema has texts, numbers, booleans, and lists of texts or of numbers.
///
/// # Errors
/// The value has another type, in the words of a script's author.
pub(super) fn check_value(name: &str, value: &Value) -> Result<(), String> {
    const TYPES: &str = "Okta's schema has texts, numbers, booleans, and lists of texts or of numbers";
    let all = |items: &[Value], kind: fn(&Value) -> bool| items.iter().all(kind);
    match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Ok(()),
        Value::Array(items) if all(items, Value::is_string) || all(items, Value::is_number) => Ok(()),
        Value::Array(_) => Err(format!("`{name}` is a list of other things; {TYPES}")),
        Value::Null => Err(format!("`{name}` has no value (`()`); leave it out, for {TYPES}")),
        Value::Object(_) => Err(format!("`{name}` is a map; {TYPES}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_those_that_a_schema_can_have() {
        for name in ["login", "costCenter", "a1", "_x", "home_address"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "home address", "1a", "a-b", "straße", "a\u{a0}b", "a/b", "login ", "$x", "a."] {
            assert!(check_name(name).unwrap_err().starts_with("no attribute can be named"), "{name}");
        }
        for path in ["data.userProfile.email", "profile.email", "userProfile.email"] {
            assert!(check_name(path).unwrap_err().ends_with("plain name, `email`"), "{path}");
        }
        for (name, good) in
            [("urn:x:employee-number", true), ("a.b", true), ("", false), ("a b", false), ("a\n", false)]
        {
            assert_eq!(check_app_name(name).is_ok(), good, "{name}");
        }
    }

    #[test]
    fn values_are_those_that_a_schema_can_have() {
        for value in [json!("x"), json!(1), json!(1.5), json!(true), json!([]), json!(["a", "b"]), json!([1, 2.5])] {
            assert_eq!(check_value("a", &value), Ok(()), "{value}");
            assert_eq!(check_app_value("a", &value), Ok(()), "{value}");
        }
        for value in [json!(null), json!({}), json!([1, "a"]), json!([true]), json!([[1]]), json!([null]), json!([{}])]
        {
            assert!(check_value("a", &value).unwrap_err().contains("Okta's schema has"), "{value}");
            assert_eq!(check_app_value("a", &value).is_ok(), value.is_null(), "{value}");
        }
    }
}
