//! `kv`: small state that scripts share, kept by the gateway for a time.

use std::borrow::Cow;
use std::time::Duration;

use rhai::{Dynamic, ImmutableString};
use serde_json::Value;

use crate::library::{Doc, Library};
use crate::prelude::{Fallible, json, printed};
use hookgate_model::command;
use hookgate_model::moment;
use hookgate_model::question::{Ask, KV, Kv, OWN_KEY};

/// The longest key that is kept as it is, in bytes.
const MAX_KEY_BYTES: usize = 512;

/// The longest value, as JSON.
const MAX_VALUE_BYTES: usize = 65_536;

/// The longest time that something is kept.
const MAX_KEEP: Duration = Duration::from_hours(400 * 24);

/// The most that a rate counts.
const MAX_RATE: u32 = 10_000;

/// The constant `kv`.
#[derive(Clone, Copy, Debug)]
struct State;

/// A key as the store has it. Keys are often made of what users typed: one that is too long gets a hash, and one that begins like a
/// key of the gateway's own gets another beginning.
pub fn stored_key(written: &str) -> String {
    command::bounded(&stored_beginning(written), MAX_KEY_BYTES)
}

/// What the keys of scripts that begin like this begin with in the store. Of a key that got a hash, only what stands before the
/// hash counts.
pub fn stored_beginning(written: &str) -> Cow<'_, str> {
    match written.strip_prefix(OWN_KEY) {
        Some(rest) => format!("\u{2}{rest}").into(),
        None => written.into(),
    }
}

fn step(name: &str, key: &str, step: impl FnOnce(String) -> Kv) -> Fallible<Value> {
    if key.is_empty() {
        return Err(format!("`kv.{name}`: the key is empty").into());
    }
    let connector = ImmutableString::from(KV);
    super::ask(name, &connector, Ask::Kv(step(stored_key(key)))).map(|answer| answer.value)
}

fn keep(name: &str, text: &str) -> Fallible<Duration> {
    let length = moment::length(text).map_err(|problem| format!("`kv.{name}`: {problem}"))?;
    let length = Duration::try_from(length).unwrap_or_default();
    if length.is_zero() || length > MAX_KEEP {
        return Err(format!("`kv.{name}`: `{text}` is not between a moment and 400 days").into());
    }
    Ok(length)
}

/// `5/10m`: how many, and in which time.
fn rate(text: &str) -> Fallible<(u32, Duration)> {
    let wrong =
        || format!("`kv.within_rate`: `{text}` is no rate: write `5/10m` for five in ten minutes, {MAX_RATE} at most");
    let (most, window) = text.split_once('/').ok_or_else(wrong)?;
    let most: u32 = most.trim().parse().ok().filter(|most| *most <= MAX_RATE).ok_or_else(wrong)?;
    Ok((most, keep("within_rate", window)?))
}

fn set(key: &str, value: &Dynamic, time: &str) -> Fallible<()> {
    let value = json::json_from_dynamic(value).map_err(|problem| format!("`kv.set`: {problem}"))?;
    let bytes = value.to_string().len();
    if bytes > MAX_VALUE_BYTES {
        return Err(
            format!("`kv.set`: the value is {bytes} bytes long as JSON, and {MAX_VALUE_BYTES} are the most").into()
        );
    }
    let keep = keep("set", time)?;
    step("set", key, |key| Kv::Set { key, value, keep }).map(drop)
}

fn incr(key: &str, by: i64, time: &str) -> Fallible<i64> {
    let keep = keep("incr", time)?;
    let sum = step("incr", key, |key| Kv::Incr { key, by, keep })?;
    Ok(sum.as_i64().unwrap_or(0))
}

fn within_rate(key: &str, text: &str) -> Fallible<bool> {
    let (most, window) = rate(text)?;
    let within = step("within_rate", key, |key| Kv::WithinRate { key, most, window })?;
    Ok(within.as_bool().unwrap_or(false))
}

pub(super) fn register(library: &mut Library) {
    library.value::<State>("State", "Small state that all scripts share: each value under a key, and for a time.");
    library.constant(
        Doc::new(
            "kv: State",
            "Small state that all scripts share, kept in the store: it outlives restarts and reloads. Each step is one \
             transaction, exact however many runs take it at once. A preview changes nothing; a rule that is tried again gets \
             the answers of its first try. Begin keys with the name of the rule. A key has any length: of one longer than 512 \
             bytes the rest is kept as a hash. A value has 64 KiB of JSON at most, and stays 400 days at most. Operators see keys \
             and values with `hookgate kv list`, and let a key begin anew with `hookgate kv clear`: values are no secrets.",
            r#"kv.once("welcome/00u7", "1d")"#,
        ),
        Dynamic::from(State),
    );
    library.reader(
        Doc::new(
            "State.get(key: string) -> any",
            "The value of a key; `()` if it has none, or no longer.",
            r#"kv.get("nothing") == ()"#,
        ),
        |_: &mut State, key: &str| step("get", key, |key| Kv::Get { key }).and_then(|value| json::read_only(&value)),
    );
    library.reader(
        Doc::new(
            "State.set(key: string, value: any, keep: string)",
            "Keeps a value (64 KiB of JSON at most) for so long: `\"10m\"`, 400 days at most.",
            r#"kv.set("last/00u7", #{ country: "CH" }, "30d"); kv.get("last/00u7").country == "CH""#,
        ),
        |_: &mut State, key: &str, value: Dynamic, time: &str| set(key, &value, time),
    );
    library.reader(
        Doc::new(
            "State.incr(key: string, keep: string) -> int",
            "Adds one, and gives the sum. The time counts from the first step: then the sum begins anew.",
            r#"kv.incr("tries/ann", "5m"); kv.incr("tries/ann", "5m") == 2"#,
        ),
        |_: &mut State, key: &str, time: &str| incr(key, 1, time),
    );
    library.reader(
        Doc::new(
            "State.incr(key: string, by: int, keep: string) -> int",
            "Adds a number, which may be below 0.",
            r#"kv.incr("spent/today", 7, "1d") == 7"#,
        ),
        |_: &mut State, key: &str, by: i64, time: &str| incr(key, by, time),
    );
    library.reader(
        Doc::new(
            "State.once(key: string, keep: string) -> bool",
            "`true` the first time, and `false` from then on for so long.",
            r#"kv.once("seen/7", "1h") && !kv.once("seen/7", "1h")"#,
        ),
        |_: &mut State, key: &str, time: &str| {
            let keep = keep("once", time)?;
            let first = step("once", key, |key| Kv::Once { key, keep })?;
            Ok::<bool, Box<rhai::EvalAltResult>>(first.as_bool().unwrap_or(false))
        },
    );
    library.reader(
        Doc::new(
            "State.within_rate(key: string, rate: string) -> bool",
            "Whether there were fewer than so many in the time before now; then this one counts, too. `\"5/10m\"` is five in \
             any ten minutes: the window slides.",
            r#"kv.within_rate("sms/+41", "1/10m") && !kv.within_rate("sms/+41", "1/10m")"#,
        ),
        |_: &mut State, key: &str, rate: &str| within_rate(key, rate),
    );
    printed::<State>(library, |_| KV.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_any_length_can_be_stored_and_stays_another_one() {
        assert_eq!(stored_key("tries/ann"), "tries/ann");
        let long = |end: &str| stored_key(&format!("tries/{}{end}", "\u{e4}".repeat(600)));
        assert!(long("a").len() <= MAX_KEY_BYTES && long("a").starts_with("tries/\u{e4}"));
        assert!(long("a") == long("a") && long("a") != long("b"));
        assert_eq!(stored_key(&"k".repeat(MAX_KEY_BYTES)), "k".repeat(MAX_KEY_BYTES));
        assert!(!stored_key("\u{1}guard hr").starts_with('\u{1}'), "the gateway's own");
    }
}
