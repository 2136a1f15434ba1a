//! From what a script asked for to jobs: each action with a key of its own that stays the same over all tries.

use std::sync::Arc;

use uuid::Uuid;

use hookgate_model::command::Action;
use hookgate_store::{JobKind, Millis, NewJob};

/// The name space of the keys of actions: a random UUID, the same in every hookgate.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f0b_52d4_9d3c_4c39_a1f5_2f0e_6b1d_7c84);

/// What an action came from. The same origin always gives the same keys, so that asking again changes nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) route: &'a str,
    /// The rule; empty for an answered call.
    pub(crate) rule: &'a str,
    /// The provider's id of the event or call.
    pub(crate) event: &'a str,
    /// Counts the replays of what had succeeded: those are meant to be done once more.
    pub(crate) generation: u32,
    /// A try-out: nothing is done.
    pub(crate) preview: bool,
}

/// One job per action, in the script's order.
pub(crate) fn jobs(origin: &Origin<'_>, actions: &[Action]) -> Vec<NewJob> {
    actions.iter().enumerate().map(|(number, action)| job(origin, number, action)).collect()
}

/// The same in a line: actions with the same line go to a connector one after the other, in the order of the events that they
/// came of. One that may wait (`.after`) stands where its time is. What is gathered into one message stands in no line.
pub(crate) fn in_line(line: Option<(String, Millis)>, mut jobs: Vec<NewJob>) -> Vec<NewJob> {
    if let Some((key, number)) = line {
        for job in jobs.iter_mut().filter(|job| job.digest.is_none()) {
            let delay = Millis::try_from(job.delay.as_millis()).unwrap_or(Millis::MAX);
            job.order = Some((key.clone(), number.saturating_add(delay)));
        }
    }
    jobs
}

/// What actions of a connector are filed under.
pub(crate) fn lane(connector: &str) -> Arc<str> {
    format!("connector {connector}").into()
}

/// The key of a rule's job.
pub(crate) fn rule_key(route: &str, rule: &str, event: &str) -> String {
    key(&Origin { route, rule, event, generation: 0, preview: false }, "")
}

fn job(origin: &Origin<'_>, number: usize, action: &Action) -> NewJob {
    // Two rules may use the same words for different things.
    let scoped = |key: &str| format!("{}/{}/{}/{key}", origin.route, origin.rule, action.connector);
    NewJob {
        kind: JobKind::Action,
        lane: lane(&action.connector),
        name: action.name().to_owned(),
        key: key(origin, &number.to_string()),
        body: serde_json::to_vec(action).expect("an action is JSON").into(),
        delay: action.delay(),
        order: None,
        once: action.once.as_ref().map(|once| (scoped(&once.key), once.time())),
        digest: action.digest.as_ref().map(|digest| (scoped(&digest.key), digest.time())),
        suppressed: origin.preview.then(|| "a try-out: recorded, not done".to_owned()),
    }
}

fn key(origin: &Origin<'_>, number: &str) -> String {
    let generation = origin.generation.to_string();
    let mut name = Vec::new();
    for part in [origin.route, origin.event, origin.rule, &generation, number] {
        // With its length, so that no two lists of parts read the same.
        name.extend_from_slice(&(part.len() as u64).to_le_bytes());
        name.extend_from_slice(part.as_bytes());
    }
    Uuid::new_v5(&NAMESPACE, &name).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use hookgate_model::command::{Task, Window};

    fn origin<'a>(route: &'a str, rule: &'a str, event: &'a str, generation: u32) -> Origin<'a> {
        Origin { route, rule, event, generation, preview: false }
    }

    #[test]
    fn the_same_origin_gives_the_same_keys_and_no_other_does() {
        let action = Action::new("chat", Task::Notify { message: json!("x") });
        let twice = [action.clone(), action];
        let origins =
            [origin("a", "b", "c", 0), origin("ab", "", "c", 0), origin("a", "b", "d", 0), origin("a", "b", "c", 1)];
        let mut all = BTreeSet::new();
        for origin in origins {
            let keys: Vec<String> = jobs(&origin, &twice).into_iter().map(|job| job.key).collect();
            assert_eq!(keys, jobs(&origin, &twice).into_iter().map(|job| job.key).collect::<Vec<_>>());
            all.extend(keys);
        }
        assert_eq!(all.len(), 8);
    }

    #[test]
    fn what_may_wait_stands_where_its_time_is_and_a_digest_in_no_line() {
        let now = Action::new("chat", Task::Notify { message: json!("x") });
        let later = Action { after_ms: Some(5_000), ..now.clone() };
        let gathered = Action { digest: Some(Window { key: "all".into(), ms: 1_000 }), ..now.clone() };
        let made = jobs(&origin("a", "b", "c", 0), &[now, later, gathered]);
        let places = |line| in_line(line, made.clone()).into_iter().map(|job| job.order).collect::<Vec<_>>();
        let at = |number| Some(("user".to_owned(), number));
        assert_eq!(places(at(100)), [at(100), at(5_100), None]);
        assert_eq!(places(None), [None, None, None]);
    }

    #[test]
    fn a_key_of_once_counts_for_its_rule_and_connector_only() {
        let mut action = Action::new("chat", Task::Notify { message: json!("x") });
        action.once = Some(Window { key: "user-1".into(), ms: 1_000 });
        let key = |rule| jobs(&origin("a", rule, "e", 0), &[action.clone()])[0].once.clone().unwrap().0;
        assert_ne!(key("x"), key("y"));
        assert_eq!(key("x"), "a/x/chat/user-1");
    }
}
