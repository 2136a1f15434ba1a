//! What the small state of scripts is, in memory: what tests of scripts have, and what every store is held against.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use crate::question::Kv;

/// The state of all keys. Times are milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    kept: BTreeMap<String, Kept>,
}

/// What is kept under one key, and until when.
#[derive(Clone, Debug, PartialEq)]
pub enum Kept {
    Value {
        value: Value,
        until: i64,
    },
    /// Times of what was counted, oldest first.
    Times {
        times: VecDeque<i64>,
        until: i64,
    },
}

impl State {
    /// Takes a step at this time. A key that was used for something else is taken over: its state is as if there were none.
    pub fn step(&mut self, step: &Kv, now: i64) -> Value {
        let (kept, answer) = Kept::step(self.kept.remove(step.key()), step, now);
        if let Some(kept) = kept {
            self.kept.insert(step.key().to_owned(), kept);
        }
        answer
    }

    /// Removes the keys that begin like this, and gives what was kept under them, in order.
    pub fn take_beginning(&mut self, text: &str, now: i64) -> Vec<(String, Kept)> {
        let taken: Vec<_> = self.kept.extract_if(text.to_owned().., |key, _| key.starts_with(text)).collect();
        taken.into_iter().filter(|(_, kept)| kept.until() > now).collect()
    }
}

impl Kept {
    /// What is kept under the step's key after it, if there was this before, and the answer.
    pub fn step(before: Option<Self>, step: &Kv, now: i64) -> (Option<Self>, Value) {
        let before = before.filter(|kept| kept.until() > now);
        match step {
            Kv::Get { .. } => {
                let value = before.as_ref().and_then(Self::value).cloned();
                (before, value.unwrap_or_default())
            }
            Kv::Set { value, keep, .. } => (Some(Self::new(value.clone(), now, *keep)), Value::Null),
            Kv::Incr { by, keep, .. } => {
                let (sum, until) = match before {
                    Some(Self::Value { value, until }) if value.is_i64() => {
                        (value.as_i64().unwrap_or(0).saturating_add(*by), until)
                    }
                    _ => (*by, after(now, *keep)),
                };
                (Some(Self::Value { value: json!(sum), until }), json!(sum))
            }
            Kv::Once { keep, .. } => match before {
                Some(kept @ Self::Value { .. }) => (Some(kept), json!(false)),
                _ => (Some(Self::new(json!(true), now, *keep)), json!(true)),
            },
            Kv::WithinRate { most, window, .. } => {
                let (kept, within) = Self::count(before, *most, *window, now);
                (kept, json!(within))
            }
        }
    }

    /// Milliseconds since 1970; from then on it is as if nothing were kept.
    pub fn until(&self) -> i64 {
        match self {
            Self::Value { until, .. } | Self::Times { until, .. } => *until,
        }
    }

    fn new(value: Value, now: i64, keep: Duration) -> Self {
        Self::Value { value, until: after(now, keep) }
    }

    fn value(&self) -> Option<&Value> {
        match self {
            Self::Value { value, .. } => Some(value),
            Self::Times { .. } => None,
        }
    }

    fn count(before: Option<Self>, most: u32, window: Duration, now: i64) -> (Option<Self>, bool) {
        let mut times = match before {
            Some(Self::Times { times, .. }) => times,
            _ => VecDeque::new(),
        };
        while times.front().is_some_and(|time| after(*time, window) <= now) {
            times.pop_front();
        }
        let within = times.len() < most as usize;
        if within {
            times.push_back(now);
        }
        let until = times.back().map(|last| after(*last, window));
        (until.map(|until| Self::Times { times, until }), within)
    }
}

fn after(now: i64, keep: Duration) -> i64 {
    now.saturating_add(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn key() -> String {
        "k".to_owned()
    }

    #[test]
    fn a_value_is_kept_for_its_time_and_no_longer() {
        let mut state = State::default();
        let get = Kv::Get { key: key() };
        assert_eq!(state.step(&get, 0), Value::Null);
        state.step(&Kv::Set { key: key(), value: json!({ "a": 1 }), keep: MINUTE }, 0);
        assert_eq!(state.step(&get, 59_999), json!({ "a": 1 }));
        assert_eq!(state.step(&get, 60_000), Value::Null);
    }

    #[test]
    fn the_time_of_a_sum_counts_from_its_first_step() {
        let mut state = State::default();
        let add = |by| Kv::Incr { key: key(), by, keep: MINUTE };
        assert_eq!(state.step(&add(1), 0), json!(1));
        assert_eq!(state.step(&add(5), 59_999), json!(6));
        assert_eq!(state.step(&add(-2), 60_000), json!(-2));
        assert_eq!(state.step(&add(i64::MIN), 60_001), json!(i64::MIN), "it stays at the end of the numbers");
    }

    #[test]
    fn once_is_true_once() {
        let mut state = State::default();
        let once = Kv::Once { key: key(), keep: MINUTE };
        let given: Vec<Value> = [0, 1, 59_999, 60_000].iter().map(|now| state.step(&once, *now)).collect();
        assert_eq!(given, [json!(true), json!(false), json!(false), json!(true)]);
    }

    #[test]
    fn a_rate_slides() {
        let mut state = State::default();
        let rate = Kv::WithinRate { key: key(), most: 2, window: MINUTE };
        let given: Vec<Value> =
            [0, 30_000, 59_999, 60_000, 60_001, 89_999, 90_000].iter().map(|now| state.step(&rate, *now)).collect();
        assert_eq!(given, [true, true, false, true, false, false, true].map(Value::Bool));
        assert_eq!(state.step(&Kv::WithinRate { key: "none".to_owned(), most: 0, window: MINUTE }, 0), json!(false));
    }
}
