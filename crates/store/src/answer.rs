//! The answer to a call that counts once: its limits.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::{Millis, StoreError};

/// The longest name of a route and the longest key, in bytes.
const MOST_KEY: usize = 512;
/// The longest answer, in bytes.
const MOST_ANSWER: usize = 64 * 1024;
/// The longest time that an answer is kept.
const MOST_KEEP: Duration = Duration::from_hours(400 * 24);

/// What a call was answered that counts once. Whoever brings the same key to the route again is answered the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneTimeAnswer {
    /// The name of the route. At most 512 bytes.
    pub route: Arc<str>,
    /// What is the same whenever the call comes again, and different for all other calls of the route: the `jti` of a token.
    /// At most 512 bytes.
    pub key: String,
    /// At most 64 KiB.
    pub answer: Bytes,
    /// When it need not be known any more, in the time of the store: the token is not valid from then on. At most 400 days from
    /// now. From this time on the key counts as new.
    pub until: Millis,
}

impl OneTimeAnswer {
    /// # Errors
    /// What is too long.
    pub(crate) fn check(&self, now: Millis) -> Result<(), StoreError> {
        let refused = |text: String| Err(StoreError::Refused(text));
        let longest = self.route.len().max(self.key.len());
        if longest > MOST_KEY {
            return refused(format!(
                "the route and the key of a one-time call have at most {MOST_KEY} bytes, not {longest}"
            ));
        }
        if self.answer.len() > MOST_ANSWER {
            let bytes = self.answer.len();
            return refused(format!("the answer to a one-time call has at most {MOST_ANSWER} bytes, not {bytes}"));
        }
        if self.until.saturating_sub(now) > Millis::try_from(MOST_KEEP.as_millis()).unwrap_or(Millis::MAX) {
            return refused("the answer to a one-time call is kept for 400 days at most".to_owned());
        }
        Ok(())
    }
}
