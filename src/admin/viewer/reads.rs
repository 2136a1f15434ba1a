//! Which members of a request a script read, for a mark beside them.

use std::collections::BTreeSet;

use serde_json::Value;

/// Which members of a body a run read, by JSON Pointer. What scripts call a member is close to what the provider does:
/// `request.profile.employeeNumber` is a member of `userProfile`.
pub(super) fn read_members(body: &Value, read: &[String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in read {
        let names: Vec<String> =
            path.split(['.', '[', ']']).skip(1).filter(|name| !name.is_empty()).map(plain).collect();
        for depth in (1..=names.len()).rev() {
            let (last, before) = (&names[depth - 1], depth.checked_sub(2).map(|place| &names[place]));
            let mut hits = Vec::new();
            members(body, String::new(), "", &mut |pointer, parent, name| {
                let under = before.is_none_or(|before| plain(parent).contains(before.as_str()));
                if plain(name) == *last && under {
                    hits.push(pointer.to_owned());
                }
            });
            // The nearest to the top is meant: `id` is a member of many things.
            let nearest = hits.iter().map(|pointer| pointer.matches('/').count()).min();
            let meant = hits.into_iter().filter(|pointer| Some(pointer.matches('/').count()) == nearest);
            let before = found.len();
            found.extend(meant);
            if found.len() > before {
                break;
            }
        }
    }
    found
}

fn plain(name: impl AsRef<str>) -> String {
    name.as_ref().chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn members(value: &Value, pointer: String, parent: &str, tell: &mut impl FnMut(&str, &str, &str)) {
    // Bodies of calls are not deep; one that is was made to be, and nothing below is worth a mark.
    if pointer.len() > 2_000 {
        return;
    }
    match value {
        Value::Object(map) => {
            for (name, member) in map {
                let below = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                tell(&below, parent, name);
                members(member, below, name, tell);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate().take(100) {
                members(item, format!("{pointer}/{index}"), parent, tell);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_that_a_script_read_are_found_by_their_names() {
        let body = json!({
            "eventId": "e", "data": {
                "context": {"user": {"id": "u", "profile": {"login": "l"}}, "request": {"id": "r"}},
                "userProfile": {"email": "a@b.example", "employeeNumber": 7, "login": "l"}
            }
        });
        let table: [(&str, &[&str]); 5] = [
            ("request.email.domain", &["/data/userProfile/email"]),
            ("request.profile.employeeNumber", &["/data/userProfile/employeeNumber"]),
            ("request.login", &["/data/userProfile/login"]),
            ("request.user.id", &["/data/context/user/id"]),
            ("request.nothing", &[]),
        ];
        for (path, expected) in table {
            let found: Vec<String> = read_members(&body, &[path.to_owned()]).into_iter().collect();
            assert_eq!(found, expected, "{path}");
        }
    }
}
