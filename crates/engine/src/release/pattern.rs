//! Which events a rule wants: `user.session.start`, `group.user_membership.*`, or `*`.

use std::fmt;

/// One pattern of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    Any,
    /// Everything below this prefix, which ends with a dot.
    Below(String),
    Exact(String),
}

impl Pattern {
    /// Reads a pattern that the configuration has checked.
    pub(crate) fn new(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some("") => Self::Any,
            Some(prefix) => Self::Below(prefix.to_owned()),
            None => Self::Exact(text.to_owned()),
        }
    }

    /// Letter case matters: Okta has `user.authentication.auth_via_IDP`.
    pub(crate) fn matches(&self, event_type: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Below(prefix) => event_type.starts_with(prefix.as_str()),
            Self::Exact(name) => event_type == name,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Any => formatter.write_str("*"),
            Self::Below(prefix) => write!(formatter, "{prefix}*"),
            Self::Exact(name) => formatter.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_its_type_and_what_is_below() {
        let table = [
            ("*", "anything.at.all", true),
            ("group.user_membership.*", "group.user_membership.add", true),
            ("group.user_membership.*", "group.user_membership", false),
            ("group.user_membership.*", "group.user_membershipx.add", false),
            ("group.*", "group.user_membership.add", true),
            ("user.session.start", "user.session.start", true),
            ("user.session.start", "user.session.started", false),
            ("user.authentication.auth_via_IDP", "user.authentication.auth_via_idp", false),
        ];
        for (pattern, event_type, expected) in table {
            assert_eq!(Pattern::new(pattern).matches(event_type), expected, "{pattern} on {event_type}");
            assert_eq!(Pattern::new(pattern).to_string(), pattern);
        }
    }
}
