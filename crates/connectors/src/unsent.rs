//! Nothing was sent, because something was missing before: a token, or room in a rate limit. In the words of actions it may be
//! tried again, unless that would end the same; in those of questions it is a reason.

use std::time::Duration;

use crate::{Trouble, What};
use hookgate_model::question;
use hookgate_model::question::Reason;

/// Why nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unsent {
    pub(crate) reason: Reason,
    /// What the one who gives tokens answered, if it did.
    pub(crate) status: Option<u16>,
    pub(crate) retry_after: Option<Duration>,
    /// For people, without secrets.
    pub(crate) message: String,
}

impl Unsent {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, status: None, retry_after: None, message: message.into() }
    }
}

impl From<Unsent> for question::Trouble {
    fn from(error: Unsent) -> Self {
        Self::new(error.reason, error.message)
    }
}

impl From<Unsent> for Trouble {
    fn from(error: Unsent) -> Self {
        let what = match error.reason {
            Reason::Denied | Reason::Rejected | Reason::Forbidden => What::Refused,
            // Our own share of a rate limit.
            Reason::Limited if error.status.is_none() => {
                What::NotTried { wait: error.retry_after.unwrap_or(Duration::from_secs(1)) }
            }
            _ => What::NotDelivered { retry_after: error.retry_after },
        };
        Self { what, status: error.status, message: error.message }
    }
}
