//! Answers that are kept for a while, and questions that are out: for all connectors that have a `cache`.
//!
//! An answer is given as it is while it is fresh. An older one is given, too, for as long as the settings allow, and a new one
//! is fetched behind it. However many ask the same at once, one question goes out; it goes on when they stop listening.

use std::time::{Duration, Instant};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use quick_cache::sync::Cache as Bounded;
use serde_json::Value;
use tokio::sync::watch;

use hookgate_model::question::{Answered, Reason, Trouble};

/// How long answers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Fresh for this long.
    pub ttl: Duration,
    /// That there is nothing (`null`, 404) is fresh for this long.
    pub negative: Duration,
    /// After that still given for this long, while a new one is fetched.
    pub stale: Duration,
    pub entries: usize,
}

pub struct Cache {
    rules: Rules,
    kept: Bounded<String, Kept>,
    out: DashMap<String, Flight>,
}

#[derive(Clone)]
struct Kept {
    value: Value,
    since: Instant,
}

type Flight = watch::Receiver<Option<Answered>>;

/// What is known of a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    Fresh(Value),
    Stale(Value),
    Nothing,
}

impl Cache {
    pub fn new(rules: Rules) -> Self {
        Self { rules, kept: Bounded::new(rules.entries), out: DashMap::new() }
    }

    pub fn find(&self, identity: &str, now: Instant) -> Known {
        let Some(Kept { value, since }) = self.kept.get(identity) else { return Known::Nothing };
        let age = now.saturating_duration_since(since);
        let fresh = if says_nothing(&value) { self.rules.negative } else { self.rules.ttl };
        if age < fresh {
            Known::Fresh(value)
        } else if age < fresh + self.rules.stale {
            Known::Stale(value)
        } else {
            Known::Nothing
        }
    }

    pub fn keep(&self, identity: &str, value: &Value, now: Instant) {
        if is_worth_keeping(value) {
            self.kept.insert(identity.to_owned(), Kept { value: value.clone(), since: now });
        }
    }

    /// The question that is out, or a new one: then `send` is to be called with what sends its answer.
    pub fn join(&self, identity: &str, send: impl FnOnce(watch::Sender<Option<Answered>>)) -> Flight {
        match self.out.entry(identity.to_owned()) {
            Entry::Occupied(out) => out.get().clone(),
            Entry::Vacant(place) => {
                let (sender, receiver) = watch::channel(None);
                place.insert(receiver.clone());
                send(sender);
                receiver
            }
        }
    }

    /// The question is no longer out.
    pub fn landed(&self, identity: &str) {
        self.out.remove(identity);
    }
}

/// Waits for the answer to a question that is out.
pub async fn landing(mut flight: Flight) -> Answered {
    let gone = || Trouble::new(Reason::Unreachable, "the lookup was not brought to its end");
    match flight.wait_for(Option::is_some).await {
        Ok(answered) => answered.clone().unwrap_or_else(|| Err(gone())),
        Err(_) => Err(gone()),
    }
}

/// Whether it says that there is nothing: nothing itself, or a status of 400 to 499.
fn says_nothing(value: &Value) -> bool {
    value.is_null() || status(value).is_some_and(|status| (400..500).contains(&status))
}

/// Errors of the other side go away sooner than what it says.
fn is_worth_keeping(value: &Value) -> bool {
    status(value).is_none_or(|status| status < 500)
}

fn status(value: &Value) -> Option<u64> {
    let members = value.as_object().filter(|members| members.len() == 2 && members.contains_key("text"))?;
    members.get("status")?.as_u64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn cache() -> Cache {
        Cache::new(Rules { ttl: 10 * SECOND, negative: 2 * SECOND, stale: 5 * SECOND, entries: 100 })
    }

    #[test]
    fn an_answer_grows_old() {
        let (cache, start) = (cache(), Instant::now());
        cache.keep("q", &json!({ "id": 1 }), start);
        let at = |seconds| cache.find("q", start + seconds * SECOND);
        assert_eq!(at(9), Known::Fresh(json!({ "id": 1 })));
        assert_eq!(at(10), Known::Stale(json!({ "id": 1 })));
        assert_eq!(at(14), Known::Stale(json!({ "id": 1 })));
        assert_eq!(at(15), Known::Nothing);
        assert_eq!(cache.find("other", start), Known::Nothing);
    }

    #[test]
    fn that_there_is_nothing_is_believed_for_less_long() {
        let (cache, start) = (cache(), Instant::now());
        for value in [Value::Null, json!({ "status": 404, "text": "" })] {
            cache.keep("q", &value, start);
            assert_eq!(cache.find("q", start + SECOND), Known::Fresh(value.clone()));
            assert_eq!(cache.find("q", start + 2 * SECOND), Known::Stale(value));
        }
    }

    #[test]
    fn an_error_of_the_other_side_is_not_kept() {
        let (cache, start) = (cache(), Instant::now());
        cache.keep("q", &json!({ "status": 500, "text": "" }), start);
        assert_eq!(cache.find("q", start), Known::Nothing);
        cache.keep("q", &json!({ "status": 500 }), start);
        assert_ne!(cache.find("q", start), Known::Nothing, "a row of a database");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (cache, now) = (cache(), Instant::now());
        (0..10_000).for_each(|number| cache.keep(&number.to_string(), &json!(number), now));
        assert!(cache.kept.len() <= 100, "{}", cache.kept.len());
    }
}
