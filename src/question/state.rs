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

#[derive(Clone, Debug, PartialEq)]
enum Kept {
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
        if self.kept.get(step.key()).is_some_and(|kept| kept.until() <= now) {
            self.kept.remove(step.key());
        }
        match step {
            Kv::Get { key } => self.value(key).cloned().unwrap_or_default(),
            Kv::Set { key, value, keep } => {
                self.keep(key, value.clone(), after(now, *keep));
                Value::Null
            }
            Kv::Incr { key, by, keep } => {
                let (sum, until) = match self.kept.get(key) {
                    Some(Kept::Value { value, until }) if value.is_i64() => {
                        (value.as_i64().unwrap_or(0).saturating_add(*by), *until)
                    }
                    _ => (*by, after(now, *keep)),
                };
                self.keep(key, json!(sum), until);
                json!(sum)
            }
            Kv::Once { key, keep } => {
                let first = self.value(key).is_none();
                if first {
                    self.keep(key, Value::Bool(true), after(now, *keep));
                }
                json!(first)
            }
            Kv::WithinRate { key, most, window } => json!(self.count(key, *most, *window, now)),
        }
    }

    fn value(&self, key: &str) -> Option<&Value> {
        match self.kept.get(key)? {
            Kept::Value { value, .. } => Some(value),
            Kept::Times { .. } => None,
        }
    }

    fn keep(&mut self, key: &str, value: Value, until: i64) {
        self.kept.insert(key.to_owned(), Kept::Value { value, until });
    }

    fn count(&mut self, key: &str, most: u32, window: Duration, now: i64) -> bool {
        let mut times = match self.kept.remove(key) {
            Some(Kept::Times { times, .. }) => times,
            _ => VecDeque::new(),
        };
        while times.front().is_some_and(|time| after(*time, window) <= now) {
            times.pop_front();
        }
        let within = times.len() < most as usize;
        if within {
            times.push_back(now);
        }
        if let Some(last) = times.back() {
            let until = after(*last, window);
            self.kept.insert(key.to_owned(), Kept::Times { times, until });
        }
        within
    }
}

impl Kept {
    fn until(&self) -> i64 {
        match self {
            Self::Value { until, .. } | Self::Times { until, .. } => *until,
        }
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
