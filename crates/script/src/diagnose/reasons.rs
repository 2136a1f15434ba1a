//! The words for why a call was answered with its `on_failure`: in metrics (`hookgate_fallback_total{reason}`), logs, records and tests.

/// One word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureReason {
    pub word: &'static str,
    pub about: &'static str,
    /// Whether a test of a script can bring it about. Others come of load, of a store or of a process.
    pub in_tests: bool,
}

pub(crate) const TIMEOUT: &str = "timeout";
pub(crate) const LIMIT: &str = "limit";
pub(crate) const SCRIPT_ERROR: &str = "script_error";
pub(crate) const BAD_COMMAND: &str = "bad_command";
pub(crate) const PANIC: &str = "panic";
pub const NOT_SENT: &str = "not_sent";
pub const BUSY: &str = "busy";
pub const OVERLOAD: &str = "overload";
pub const CRASHED: &str = "crashed";
pub const BAD_BODY: &str = "bad_body";
pub const OTHER_HOOK: &str = "other_hook";
pub const STORE: &str = "store";

const fn in_tests(word: &'static str, about: &'static str) -> FailureReason {
    FailureReason { word, about, in_tests: true }
}

const fn live(word: &'static str, about: &'static str) -> FailureReason {
    FailureReason { word, about, in_tests: false }
}

/// Every word.
pub static FAILURE_REASONS: [FailureReason; 12] = [
    in_tests(TIMEOUT, "the script took longer than its deadline"),
    in_tests(LIMIT, "the script used more operations, memory or levels than it may"),
    in_tests(SCRIPT_ERROR, "an error in the script, a `throw` or a lookup that failed"),
    in_tests(BAD_COMMAND, "it returned something that the provider would not take"),
    in_tests(PANIC, "a defect of the gateway"),
    in_tests(NOT_SENT, "no provider took the code"),
    live(BUSY, "too many calls of the route were in work"),
    live(OVERLOAD, "more calls came than can be answered in time"),
    live(CRASHED, "the process died of this script before"),
    live(BAD_BODY, "nothing of the call can be used"),
    live(OTHER_HOOK, "the call has a type that nobody knows"),
    live(STORE, "the actions could not be stored"),
];

/// The row of a word.
pub fn find(word: &str) -> Option<&'static FailureReason> {
    FAILURE_REASONS.iter().find(|reason| reason.word == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_stands_once_and_can_be_told_from_a_message() {
        for (place, reason) in FAILURE_REASONS.iter().enumerate() {
            assert!(!reason.about.is_empty(), "{}", reason.word);
            assert!(reason.word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'), "{}", reason.word);
            assert!(FAILURE_REASONS[..place].iter().all(|other| other.word != reason.word), "{} twice", reason.word);
            assert_eq!(find(reason.word), Some(reason));
        }
        assert_eq!(find("scripterror"), None);
    }
}
