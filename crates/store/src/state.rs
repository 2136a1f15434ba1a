//! The small state of scripts, as a store keeps it: who asks, what may be asked for, and how much of it there may be.
//! What each step means is said in memory: [`Kept::step`](hookgate_model::question::state::Kept::step).

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{MAX_PAGE, StoreError};
use hookgate_model::question::state::Kept;
use hookgate_model::question::{Kv, OWN_KEY};

/// The longest key, and the longest name of who asks, in bytes.
pub(crate) const MOST_KEY: usize = 512;
/// The longest value, in bytes of JSON.
pub(crate) const MOST_VALUE: usize = 64 * 1024;
/// The longest time that anything is kept.
pub(crate) const MOST_KEEP: Duration = Duration::from_hours(400 * 24);
/// The most that a rate may count in its window.
pub(crate) const MOST_RATE: u32 = 10_000;
/// How many keys there may be, and how many bytes they and their values may have together.
pub(crate) const MOST_KEYS: u64 = 1_000_000;
pub(crate) const MOST_BYTES: u64 = 1 << 30;
/// How long an answer is remembered for who asked: longer than an event is tried again (24 hours), so that a try after the
/// last one still gets it.
pub(crate) const REMEMBER: Duration = Duration::from_hours(25);
/// How many answers are remembered at a time: as many as 110 steps a second leave behind, day and night.
pub(crate) const MOST_ANSWERS: u64 = 10_000_000;

/// One step, and who asks for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub kv: Kv,
    /// Only tells what the answer would be: a preview, a replay, a comparison. Nothing changes, and `origin` is not heeded.
    pub dry: bool,
    /// The place that asks, the same whenever that place is run again: the job, its generation and the number of the
    /// question, such as `job 17/2 #3`. At most [`MOST_KEY`] bytes.
    ///
    /// The answer to a step that may change something is remembered under it for [`REMEMBER`], in the same transaction, and
    /// given again when the same step is asked for again: a rule that ended after it had asked, and runs once more, is not
    /// told that another one was first. A `get` changes nothing and is not remembered: it says what is there now, which may
    /// be what an earlier run of the same job has set.
    pub origin: Option<String>,
}

impl Step {
    /// Whether it asks only.
    pub(crate) fn is_look(&self) -> bool {
        self.dry || matches!(self.kv, Kv::Get { .. })
    }

    /// # Errors
    /// What is too long, or too much.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let refused = |text: String| Err(StoreError::Refused(text));
        let longest = self.origin.iter().map(String::len).chain([self.kv.key().len()]).max().unwrap_or(0);
        if longest > MOST_KEY {
            return refused(format!("a key of `kv` has at most {MOST_KEY} bytes, not {longest}"));
        }
        let keep = match &self.kv {
            Kv::Get { .. } => Duration::ZERO,
            Kv::Set { value, keep, .. } => {
                let bytes = value.to_string().len();
                if bytes > MOST_VALUE {
                    return refused(format!("a value of `kv` has at most {MOST_VALUE} bytes as JSON, not {bytes}"));
                }
                *keep
            }
            Kv::Incr { keep, .. } | Kv::Once { keep, .. } => *keep,
            Kv::WithinRate { most, window, .. } => {
                if *most > MOST_RATE {
                    return refused(format!("`kv.within_rate` counts to {MOST_RATE} at most, not to {most}"));
                }
                *window
            }
        };
        if keep > MOST_KEEP {
            return refused("what `kv` keeps, it keeps for 400 days at most".to_owned());
        }
        Ok(())
    }

    /// Tells steps apart: equal for the same step only.
    pub(crate) fn fingerprint(&self) -> Vec<u8> {
        let details = match &self.kv {
            Kv::Get { .. } => Value::Null,
            Kv::Set { value, keep, .. } => json!([value, keep.as_millis().to_string()]),
            Kv::Incr { by, keep, .. } => json!([by, keep.as_millis().to_string()]),
            Kv::Once { keep, .. } => json!([keep.as_millis().to_string()]),
            Kv::WithinRate { most, window, .. } => json!([most, window.as_millis().to_string()]),
        };
        let text = json!([self.kv.name(), self.kv.key(), details]).to_string();
        Sha256::digest(text.as_bytes())[..16].to_vec()
    }
}

/// Which keys are meant, as the store has them. A key whose time is over is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyChoice {
    One(String),
    /// All that begin with this text. Keys of the gateway's own are meant only where it begins with [`OWN_KEY`].
    Beginning(String),
}

/// A page of keys with what is kept under them.
#[derive(Clone, Debug)]
pub struct StateQuery {
    pub keys: KeyChoice,
    /// Where the last page ended.
    pub after: Option<String>,
    /// At most [`MAX_PAGE`]; 0 means the default of 50.
    pub limit: usize,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatePage {
    /// In the order of the bytes of their keys.
    pub entries: Vec<StateEntry>,
    /// For [`StateQuery::after`]; nothing on the last page.
    pub next: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct StateEntry {
    pub key: String,
    pub kept: Kept,
}

impl StateQuery {
    pub(crate) fn limit(&self) -> usize {
        if self.limit == 0 { 50 } else { self.limit.min(MAX_PAGE) }
    }
}

/// Keys as a range of texts, compared by their bytes, with a gap in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyRange {
    pub(crate) from: String,
    /// The first text beyond it; nothing where the range has no end.
    pub(crate) end: Option<String>,
    /// What lies in the range and is not meant: from the first to before the second.
    pub(crate) gap: (String, String),
}

impl KeyRange {
    pub(crate) fn of(keys: &KeyChoice) -> Self {
        let own = || (OWN_KEY.to_string(), successor(&OWN_KEY.to_string()).unwrap_or_default());
        match keys {
            KeyChoice::One(key) => {
                Self { from: key.clone(), end: Some(directly_after(key)), gap: (String::new(), String::new()) }
            }
            KeyChoice::Beginning(text) => {
                let gap = if text.is_empty() { own() } else { (String::new(), String::new()) };
                Self { from: text.clone(), end: successor(text), gap }
            }
        }
    }

    /// The part of the range that comes after a key.
    pub(crate) fn skip_to(&mut self, after: &str) {
        self.from = std::mem::take(&mut self.from).max(directly_after(after));
    }
}

fn directly_after(key: &str) -> String {
    format!("{key}\0")
}

/// The first text after all that begin with this one.
fn successor(text: &str) -> Option<String> {
    let mut text = text.to_owned();
    while let Some(last) = text.pop() {
        // A range of letters leaves out the surrogates.
        if let Some(next) = (last..=char::MAX).nth(1) {
            text.push(next);
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beginning(text: &str) -> KeyRange {
        KeyRange::of(&KeyChoice::Beginning(text.to_owned()))
    }

    fn holds(range: &KeyRange, key: &str) -> bool {
        let is_in_gap = *range.gap.0 <= *key && *key < *range.gap.1;
        *range.from <= *key && range.end.as_deref().is_none_or(|end| key < end) && !is_in_gap
    }

    #[test]
    fn a_range_holds_what_begins_with_its_text_and_nothing_else() {
        let keys = ["a", "a/", "a/b", "a0", "b", "\u{e4}", "\u{d7ff}x", "\u{e000}", "\u{10ffff}", "\u{10ffff}z", "\0"];
        for text in ["a", "a/", "\u{d7ff}", "\u{e000}", "\u{10ffff}", "\u{10ffff}z", "\0", "c"] {
            let range = beginning(text);
            for key in keys {
                assert_eq!(holds(&range, key), key.starts_with(text), "{key:?} of {text:?}");
            }
        }
        let all = beginning("");
        assert!(keys.iter().all(|key| holds(&all, key)));
        assert!(!holds(&all, "\u{1}guard hr"), "the gateway's own");
        assert!(holds(&beginning("\u{1}"), "\u{1}guard hr") && !holds(&beginning("\u{1}"), "\u{2}guard hr"));
    }

    #[test]
    fn one_key_is_one_key() {
        let range = KeyRange::of(&KeyChoice::One("a".to_owned()));
        assert!(holds(&range, "a") && !holds(&range, "a\0") && !holds(&range, "aa"));
        let mut range = beginning("a");
        range.skip_to("ab");
        assert!(!holds(&range, "ab") && holds(&range, "ab\0") && holds(&range, "ac"));
    }
}
