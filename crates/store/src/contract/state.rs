//! The small state of scripts: what every store must keep of it, beside [`State`] in memory, which says what each step means.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::option::of;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::StoreError;
use crate::contract::Stand;
use crate::contract::seconds;
use crate::state::{MOST_KEEP, MOST_KEY, MOST_RATE, MOST_VALUE, REMEMBER};
use crate::{KeyChoice, Operation, StatePage, StateQuery, Step};
use hookgate_model::question::Kv;
use hookgate_model::question::state::{Kept, State};

const MINUTE: Duration = seconds(60);

pub(crate) fn get(key: &str) -> Kv {
    Kv::Get { key: key.to_owned() }
}

pub(crate) fn set(key: &str, value: Value) -> Kv {
    Kv::Set { key: key.to_owned(), value, keep: MINUTE }
}

pub(crate) fn incr(key: &str, by: i64) -> Kv {
    Kv::Incr { key: key.to_owned(), by, keep: MINUTE }
}

pub(crate) fn once(key: &str) -> Kv {
    Kv::Once { key: key.to_owned(), keep: MINUTE }
}

pub(crate) fn within_rate(key: &str, most: u32) -> Kv {
    Kv::WithinRate { key: key.to_owned(), most, window: MINUTE }
}

impl dyn Stand + '_ {
    async fn step(&self, kv: Kv) -> Value {
        self.store().state(Step { kv, dry: false, origin: None }).await.expect("a step can be taken")
    }

    async fn dry(&self, kv: Kv) -> Value {
        self.store().state(Step { kv, dry: true, origin: None }).await.expect("a step can be tried")
    }

    async fn step_of(&self, origin: &str, kv: Kv) -> Value {
        let step = Step { kv, dry: false, origin: Some(origin.to_owned()) };
        self.store().state(step).await.expect("a step can be taken")
    }

    async fn keys(&self, keys: KeyChoice) -> Vec<String> {
        let query = StateQuery { keys, after: None, limit: 0 };
        let page = self.store().entries(query).await.expect("keys can be listed");
        page.entries.into_iter().map(|entry| entry.key).collect()
    }

    async fn clear(&self, keys: KeyChoice) -> u64 {
        self.store().operate(Operation::Clear { keys }).await.expect("keys can be cleared")
    }

    async fn refused(&self, kv: Kv) -> String {
        match self.store().state(Step { kv, dry: true, origin: None }).await {
            Err(StoreError::Refused(text)) => text,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) async fn state_outlives_the_process(stand: &mut dyn Stand) {
    stand.step(set("list", json!({ "of": ["a", 1, 2.5, null] }))).await;
    stand.step(incr("sum", 4)).await;
    stand.step(once("first")).await;
    assert_eq!(stand.step(within_rate("rate", 1)).await, json!(true));
    stand.crash().await;
    assert_eq!(stand.step(get("list")).await, json!({ "of": ["a", 1, 2.5, null] }));
    assert_eq!(stand.step(incr("sum", 1)).await, json!(5));
    assert_eq!(stand.step(once("first")).await, json!(false));
    assert_eq!(stand.step(within_rate("rate", 1)).await, json!(false));
    stand.advance(MINUTE);
    assert_eq!(stand.step(get("list")).await, Value::Null);
    assert_eq!(stand.step(within_rate("rate", 1)).await, json!(true));
}

pub(crate) async fn a_dry_step_tells_and_changes_nothing(stand: &mut dyn Stand) {
    assert_eq!(stand.dry(incr("sum", 2)).await, json!(2));
    assert_eq!(stand.dry(once("first")).await, json!(true));
    assert_eq!(stand.dry(within_rate("rate", 1)).await, json!(true));
    stand.dry(set("value", json!(1))).await;
    assert_eq!(stand.step(get("value")).await, Value::Null);
    assert_eq!(stand.step(incr("sum", 1)).await, json!(1));
    assert_eq!(stand.step(once("first")).await, json!(true));
    assert_eq!(stand.dry(once("first")).await, json!(false));
    assert_eq!(stand.step(within_rate("rate", 1)).await, json!(true));
    assert_eq!(stand.dry(within_rate("rate", 1)).await, json!(false));
}

pub(crate) async fn who_asks_again_is_answered_the_same(stand: &mut dyn Stand) {
    assert_eq!(stand.step_of("job 1/0 #1", once("alert")).await, json!(true));
    assert_eq!(stand.step_of("job 1/0 #2", incr("sum", 1)).await, json!(1));
    assert_eq!(stand.step_of("job 2/0 #1", once("alert")).await, json!(false));
    stand.crash().await;
    stand.advance(REMEMBER - seconds(1));
    stand.store().operate(sweep()).await.expect("it can be swept");
    assert_eq!(stand.step_of("job 1/0 #1", once("alert")).await, json!(true), "long after its time was over");
    assert_eq!(stand.step_of("job 2/0 #1", once("alert")).await, json!(false));
    assert_eq!(stand.step_of("job 1/0 #2", incr("sum", 1)).await, json!(1), "and counted once");
    assert_eq!(stand.step_of("job 1/0 #2", incr("sum", 3)).await, json!(3), "another step is taken");
    assert_eq!(stand.step_of("job 1/0 #2", incr("other", 3)).await, json!(3));
    stand.advance(seconds(1));
    assert_eq!(stand.step_of("job 2/0 #1", once("alert")).await, json!(true), "forgotten");
}

pub(crate) async fn a_rate_is_exact_whoever_asks_at_once(stand: &mut dyn Stand) {
    let step = |origin: Option<String>| Step { kv: within_rate("busy", 100), dry: false, origin };
    let store = stand.store();
    let all = (0..1000).map(|number: u32| store.state(step(number.is_multiple_of(2).then(|| format!("job {number}")))));
    let given = join(all).await;
    assert_eq!(given.iter().filter(|answer| **answer == Ok(json!(true))).count(), 100);
    assert_eq!(given.iter().filter(|answer| **answer == Ok(json!(false))).count(), 900);
}

pub(crate) async fn state_has_limits(stand: &mut dyn Stand) {
    let long = "k".repeat(MOST_KEY + 1);
    assert_eq!(stand.refused(get(&long)).await, "a key of `kv` has at most 512 bytes, not 513");
    stand.step(once(&long[1..])).await;
    let text = |bytes: usize| json!("v".repeat(bytes - 2));
    let refused = stand.refused(set("v", text(MOST_VALUE + 1))).await;
    assert_eq!(refused, "a value of `kv` has at most 65536 bytes as JSON, not 65537");
    stand.step(set("v", text(MOST_VALUE))).await;
    let refused = stand.refused(within_rate("r", MOST_RATE + 1)).await;
    assert_eq!(refused, "`kv.within_rate` counts to 10000 at most, not to 10001");
    let keep = MOST_KEEP + Duration::from_millis(1);
    let refused = stand.refused(Kv::Once { key: "o".to_owned(), keep }).await;
    assert_eq!(refused, "what `kv` keeps, it keeps for 400 days at most");
    stand.step(Kv::Once { key: "o".to_owned(), keep: MOST_KEEP }).await;
}

pub(crate) async fn keys_are_listed_in_pages(stand: &mut dyn Stand) {
    for key in ["b", "a/2", "a/1", "ab", "\u{1}guard hr", "\u{e4}", "a"] {
        stand.step(set(key, json!(key))).await;
    }
    assert_eq!(stand.step(within_rate("rate", 3)).await, json!(true));
    stand.step(Kv::Once { key: "short".to_owned(), keep: seconds(1) }).await;
    stand.advance(seconds(1));
    assert_eq!(stand.keys(beginning("")).await, ["a", "a/1", "a/2", "ab", "b", "rate", "\u{e4}"]);
    assert_eq!(stand.keys(beginning("a/")).await, ["a/1", "a/2"]);
    assert_eq!(stand.keys(beginning("\u{1}")).await, ["\u{1}guard hr"]);
    assert_eq!(stand.keys(KeyChoice::One("a".to_owned())).await, ["a"]);
    assert!(stand.keys(KeyChoice::One("short".to_owned())).await.is_empty(), "its time is over");
    assert!(stand.keys(beginning("\u{10ffff}")).await.is_empty());
    let query = StateQuery { keys: beginning(""), after: Some("ab".to_owned()), limit: 2 };
    let page = stand.store().entries(query).await.expect("keys can be listed");
    let StatePage { entries, next } = page;
    assert_eq!((entries[0].key.as_str(), entries[1].key.as_str(), next.as_deref()), ("b", "rate", Some("rate")));
    assert_eq!(entries[0].kept.until() - stand.store().now(), 59_000);
    assert!(matches!(&entries[1].kept, Kept::Times { times, .. } if times.len() == 1), "{entries:?}");
    let last = StateQuery { keys: beginning(""), after: Some("rate".to_owned()), limit: 2 };
    assert_eq!(stand.store().entries(last).await.expect("keys can be listed").next, None, "the last page");
}

pub(crate) async fn a_key_that_is_cleared_begins_anew(stand: &mut dyn Stand) {
    stand.step(once("once")).await;
    stand.step(incr("sum", 4)).await;
    stand.step(within_rate("rate", 1)).await;
    stand.step(set("\u{1}own", json!(1))).await;
    assert_eq!(stand.step_of("job 1/0 #1", once("alert")).await, json!(true));
    for key in ["once", "sum", "rate", "alert"] {
        assert_eq!(stand.clear(KeyChoice::One(key.to_owned())).await, 1, "{key}");
        assert_eq!(stand.clear(KeyChoice::One(key.to_owned())).await, 0, "{key} is gone");
    }
    stand.crash().await;
    assert_eq!(stand.step(once("once")).await, json!(true));
    assert_eq!(stand.step(incr("sum", 1)).await, json!(1));
    assert_eq!(stand.step(within_rate("rate", 1)).await, json!(true));
    assert_eq!(stand.step_of("job 2/0 #1", once("alert")).await, json!(true));
    assert_eq!(stand.step_of("job 1/0 #1", once("alert")).await, json!(true), "it is answered what it was answered");
    // More than one transaction removes.
    for number in 0..500 {
        stand.step(once(&format!("many/{number}"))).await;
    }
    assert_eq!(stand.clear(beginning("many/")).await, 500);
    assert_eq!(stand.clear(beginning("")).await, 4, "keys of scripts");
    assert_eq!(stand.step(get("\u{1}own")).await, json!(1), "and no other");
    stand.step(Kv::Once { key: "short".to_owned(), keep: seconds(1) }).await;
    stand.advance(seconds(1));
    assert_eq!(stand.clear(beginning("")).await, 0, "what has expired is not counted");
}

fn beginning(text: &str) -> KeyChoice {
    KeyChoice::Beginning(text.to_owned())
}

fn sweep() -> Operation {
    Operation::Sweep { keep: seconds(1_000_000), remember: seconds(1_000_000), decisions: 0 }
}

/// What happens to a store's state.
#[derive(Clone, Debug)]
pub(crate) enum Move {
    Step(Step),
    Advance(Duration),
    Sweep,
    /// Keys that begin like this are cleared, after a look at them.
    Clear(String),
    Crash,
}

pub(crate) fn step() -> impl Strategy<Value = Move> {
    let key = || (0..3u8).prop_map(|key| format!("key {key}"));
    let time = || (0..6u64).prop_map(|tens| seconds(tens * 10));
    let value = prop_oneof![any::<i64>().prop_map(Value::from), "[a-z\"é]{0,5}".prop_map(Value::from)];
    let kv = prop_oneof![
        2 => key().prop_map(|key| Kv::Get { key }),
        1 => (key(), value, time()).prop_map(|(key, value, keep)| Kv::Set { key, value, keep }),
        2 => (key(), -3..4i64, time()).prop_map(|(key, by, keep)| Kv::Incr { key, by, keep }),
        2 => (key(), time()).prop_map(|(key, keep)| Kv::Once { key, keep }),
        5 => (key(), 0..4u32, time()).prop_map(|(key, most, window)| Kv::WithinRate { key, most, window }),
    ];
    let origin = of((0..5u8).prop_map(|number| format!("job {number}")));
    let step = (kv, prop::bool::weighted(0.2), origin).prop_map(|(kv, dry, origin)| Step { kv, dry, origin });
    prop_oneof![
        12 => step.prop_map(Move::Step),
        3 => (1..40_000u64).prop_map(|millis| Move::Advance(Duration::from_millis(millis))),
        1 => Just(Move::Advance(REMEMBER)),
        1 => Just(Move::Sweep),
        1 => "(key( [0-3])?)?".prop_map(Move::Clear),
        1 => Just(Move::Crash),
    ]
}

/// Takes the steps with both, and compares the answers.
pub(crate) async fn agree(stand: &mut dyn Stand, start: i64, moves: Vec<Move>) {
    let (mut state, mut now) = (State::default(), start);
    let mut remembered: BTreeMap<String, (Kv, Value, i64)> = BTreeMap::new();
    for done in moves {
        match &done {
            Move::Step(step) => {
                let answer = stand.store().state(step.clone()).await.expect("a step can be taken");
                let origin = step.origin.as_ref().filter(|_| !step.dry && !matches!(step.kv, Kv::Get { .. }));
                let known = origin.and_then(|origin| remembered.get(origin));
                let expected = match known.filter(|(kv, _, until)| *kv == step.kv && *until > now) {
                    Some((_, answer, _)) => answer.clone(),
                    None if step.dry => state.clone().step(&step.kv, now),
                    None => state.step(&step.kv, now),
                };
                assert_eq!(answer, expected, "{step:?}");
                let again = known.is_some_and(|(kv, _, until)| *kv == step.kv && *until > now);
                if let Some(origin) = origin.filter(|_| !again) {
                    let until = now + REMEMBER.as_millis() as i64;
                    remembered.insert(origin.clone(), (step.kv.clone(), expected, until));
                }
            }
            Move::Advance(by) => {
                stand.advance(*by);
                now += by.as_millis() as i64;
            }
            Move::Sweep => assert_eq!(stand.store().operate(sweep()).await, Ok(0), "no event is gone"),
            Move::Clear(text) => {
                let query = StateQuery { keys: beginning(text), after: None, limit: 0 };
                let page = stand.store().entries(query).await.expect("keys can be listed");
                let found: Vec<(String, Kept)> =
                    page.entries.into_iter().map(|entry| (entry.key, entry.kept)).collect();
                let expected = state.take_beginning(text, now);
                assert_eq!(found, expected, "{text:?}");
                assert_eq!(stand.clear(beginning(text)).await, expected.len() as u64, "{text:?}");
            }
            Move::Crash => stand.crash().await,
        }
    }
}

/// Awaits all of them at once.
pub(crate) async fn join<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in waiting.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let std::task::Poll::Ready(value) = future.as_mut().poll(context) {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
