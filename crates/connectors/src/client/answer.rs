//! What an answer says of what was asked for.

use std::time::Duration;

use jiff::Timestamp;

use crate::client::Answer;
use crate::redact::Redact;
use crate::{Done, Trouble, What};

impl Answer {
    /// What the answer says of the action, by its status.
    ///
    /// # Errors
    /// It was not done.
    pub(crate) fn judge(&self, redact: &Redact) -> Result<Done, Trouble> {
        let status = Some(self.status);
        let said = self.said(redact);
        let told = if said.is_empty() { String::new() } else { format!(": {said}") };
        match self.status {
            200..=299 => Ok(Done { status, note: said }),
            300..=399 => Err(Trouble {
                what: What::Refused,
                status,
                message: format!(
                    "it answered {}, a redirect, and none is followed: configure the final address",
                    self.status
                ),
            }),
            408 | 425 | 429 | 500 | 502 | 503 | 504 => Err(Trouble {
                what: What::NotDelivered { retry_after: self.retry_after },
                status,
                message: format!("it answered {}{told}", self.status),
            }),
            _ => Err(Trouble { what: What::Refused, status, message: format!("it answered {}{told}", self.status) }),
        }
    }

    /// The beginning of the body, if it is one to read.
    pub(crate) fn said(&self, redact: &Redact) -> String {
        match std::str::from_utf8(&self.body) {
            Ok(text) if self.is_text => redact.excerpt(text),
            Err(_) if self.is_text => redact.excerpt(&String::from_utf8_lossy(&self.body)),
            _ => String::new(),
        }
    }
}

pub(super) fn is_text(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    kind.starts_with("text/") || kind.contains("json") || kind.contains("xml")
}

/// Seconds or a date; a date that has passed is no wait.
pub(super) fn wait(written: &str, now: Timestamp) -> Option<Duration> {
    let written = written.trim();
    if let Ok(seconds) = written.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(written).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}
