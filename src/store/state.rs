//! The small state of scripts, as a store keeps it: who asks, what may be asked for, and how much of it there may be.
//! What each step means is said in memory: [`Kept::step`](crate::question::state::Kept::step).

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::question::Kv;
use crate::store::StoreError;

/// The longest key, and the longest name of who asks, in bytes.
pub const MOST_KEY: usize = 512;
/// The longest value, in bytes of JSON.
pub const MOST_VALUE: usize = 64 * 1024;
/// The longest time that anything is kept.
pub const MOST_KEEP: Duration = Duration::from_hours(400 * 24);
/// The most that a rate may count in its window.
pub const MOST_RATE: u32 = 10_000;
/// How many keys there may be, and how many bytes they and their values may have together.
pub const MOST_KEYS: u64 = 1_000_000;
pub const MOST_BYTES: u64 = 1 << 30;
/// How long an answer is remembered for who asked: longer than an event is tried again (24 hours), so that a try after the
/// last one still gets it.
pub const REMEMBER: Duration = Duration::from_hours(25);
/// How many answers are remembered at a time: as many as 110 steps a second leave behind, day and night.
pub const MOST_ANSWERS: u64 = 10_000_000;

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
