//! Which types of events are asked for: `eventType eq "a.b.c" or eventType sw "a.b."`. What comes is looked at once more, so
//! a filter may let through too much, never too little.

use std::collections::BTreeSet;

/// Longer filters make addresses that servers refuse.
const MOST_BYTES: usize = 3_000;

/// The filter for types as rules name them; nothing where everything is wanted, or too much to say.
pub(super) fn of(types: &[String]) -> Option<String> {
    if types.iter().any(|pattern| pattern == "*") || types.is_empty() {
        return None;
    }
    // Families instead of types, and wider ones, until it is short enough.
    let depths = [usize::MAX, 2, 1];
    depths.into_iter().map(|depth| filter(types, depth)).find(|filter| filter.len() <= MOST_BYTES)
}

fn filter(types: &[String], depth: usize) -> String {
    let terms: BTreeSet<String> = types.iter().map(|pattern| cut(pattern, depth)).collect();
    let covered = |term: &&String| !terms.iter().any(|other| *term != other && is_below(term, other));
    let term = |pattern: &String| match pattern.strip_suffix('*') {
        Some(family) => format!("eventType sw \"{family}\""),
        None => format!("eventType eq \"{pattern}\""),
    };
    terms.iter().filter(covered).map(term).collect::<Vec<_>>().join(" or ")
}

/// The pattern, or the family of its first words.
fn cut(pattern: &str, depth: usize) -> String {
    let words: Vec<&str> = pattern.split('.').collect();
    if words.len() <= depth { pattern.to_owned() } else { format!("{}.*", words[..depth].join(".")) }
}

fn is_below(pattern: &str, family: &str) -> bool {
    family.strip_suffix('*').is_some_and(|family| pattern.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter_of(types: &[&str]) -> Option<String> {
        of(&types.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn types_and_families_are_asked_for() {
        assert_eq!(filter_of(&["user.session.start"]).as_deref(), Some(r#"eventType eq "user.session.start""#));
        let both = filter_of(&["user.session.start", "group.*", "group.user_membership.*", "user.session.start"]);
        assert_eq!(both.as_deref(), Some(r#"eventType sw "group." or eventType eq "user.session.start""#));
        assert_eq!(filter_of(&["user.session.start", "*"]), None);
        assert_eq!(filter_of(&[]), None);
    }

    #[test]
    fn many_types_become_families() {
        let many: Vec<String> = (0..300).map(|number| format!("user.account.change_number_{number}")).collect();
        assert_eq!(of(&many).as_deref(), Some(r#"eventType sw "user.account.""#));
        let wide: Vec<String> = (0..300).map(|number| format!("user.kind_{number}.change")).collect();
        assert_eq!(of(&wide).as_deref(), Some(r#"eventType sw "user.""#));
        let wider: Vec<String> = (0..300).map(|number| format!("kind_{number}.change.done")).collect();
        assert_eq!(of(&wider), None);
    }
}
