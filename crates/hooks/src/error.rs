//! What is wrong with a call, and with what a script returned for it.

use crate::MAX_ACTIONS;

/// The body is not this hook's call. The operator reads this. Where the route declares an answer, the caller gets that one;
/// else 400, or 413 to too many events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    #[error("the body is empty")]
    Empty,
    /// Its JSON does not stand where the hook's envelope has it.
    #[error("{problem}")]
    Envelope { problem: String },
    #[error("the body is not JSON: {problem}")]
    NotJson { problem: String },
    #[error("the body is not a call of `{hook}`: {problem}")]
    Shape { hook: &'static str, problem: String },
    #[error("the delivery has {count} events, and `limits.max_events` allows {most}")]
    TooManyEvents { count: usize, most: usize },
    #[error("a `{found}` call came to a route for `{expected}`; it belongs to a route with hook = \"{found}\"")]
    OtherHook { expected: &'static str, found: &'static str },
    #[error("a call of the unknown type `{found}` came to a route for `{expected}`")]
    UnknownType { expected: &'static str, found: String },
    #[error("`{found}` was withdrawn by the provider and is not answered")]
    Withdrawn { found: String },
    #[error("the verification challenge {problem}")]
    Challenge { problem: &'static str },
    #[error("a verification challenge came to an inline hook: was this address registered as an event hook?")]
    MisplacedChallenge,
}

impl HookError {
    /// Whether the call belongs to another hook, so that the answer which its route declares would mean nothing to the caller.
    pub fn is_of_another_hook(&self) -> bool {
        matches!(self, Self::OtherHook { .. } | Self::Withdrawn { .. })
    }

    /// Whether its text quotes the call.
    pub fn quotes(&self) -> bool {
        matches!(self, Self::OtherHook { .. } | Self::UnknownType { .. })
    }
}

/// What a script returned cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("the script returned {found} where {wanted} belongs{place}")]
    NotACommand { wanted: String, found: String, place: String },
    #[error("{problem}")]
    Invalid { problem: String },
    #[error(
        "the script returned {count} actions, and {MAX_ACTIONS} are the most of one run; a `.digest` makes one message of many"
    )]
    TooManyActions { count: usize },
    #[error(
        "`forward` sends an event as it came, and a call of `{hook}` is none: `post` can send what is needed of it"
    )]
    NothingToForward { hook: &'static str },
    #[error("the reply would be {bytes} bytes long; the provider takes less than {limit}")]
    TooLarge { bytes: usize, limit: usize },
}
