//! The log that a provider keeps itself: where events are that its hook never delivered.
//!
//! A reader fetches one page at one time and says how it went. It keeps no bookmark and never waits: that is `delivery`'s.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::Trouble;
use hookgate_model::secret::Ring;

/// A provider's log of events.
pub trait EventLog: Send + Sync {
    /// Names what is read: where, and which types. A place to go on from is good for this name only.
    fn label(&self) -> &str;

    /// Reads one page.
    fn read<'a>(&'a self, from: &'a From) -> Reading<'a>;

    /// Its secrets, which are read again when their files change.
    fn secrets(&self) -> Vec<Arc<Ring>>;
}

pub type Reading<'a> = Pin<Box<dyn Future<Output = Result<Page, Trouble>> + Send + 'a>>;

/// Where to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// What was published in this time (milliseconds since 1970), from its beginning.
    Window { since: i64, until: i64 },
    /// Where a page before ended.
    Next(String),
}

/// A page of a log.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Each event as it was sent, byte for byte.
    pub events: Vec<Bytes>,
    /// Where the next page is; nothing on the last one.
    pub next: Option<String>,
    /// What may be used of the provider's rate limit is used up: nothing may be read for this long.
    pub rest: Option<Duration>,
}
