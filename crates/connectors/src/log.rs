//! The log that a provider keeps itself: where events are that its hook never delivered.
//!
//! A reader fetches one page at one time and says how it went. It keeps no bookmark and never waits: that is `delivery`'s.
//!
//! To add a kind of log: write its file, and add its row to [`KINDS`]. A hook names the kind of its log in `Caller::log`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use crate::Trouble;
use crate::okta_log;
use crate::setup::{Problem, Setup};
use hookgate_model::secret::Ring;

/// Every kind of log.
pub const KINDS: &[LogKind] = &[okta_log::KIND];

/// The kind of this name.
pub fn kind(name: &str) -> Option<&'static LogKind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// A row of the table: one kind of log.
#[derive(Clone, Copy, Debug)]
pub struct LogKind {
    /// By this name hooks say which log they have.
    pub name: &'static str,
    /// What its readers call it, with an article: `the System Log`.
    pub title: &'static str,
    /// What its section needs, as one sentence of the reference.
    pub about: &'static str,
    /// The schema of its own settings in `[routes.NAME.reconcile]`.
    pub settings: fn(&mut SchemaGenerator) -> Schema,
    /// What is wrong with a section that the schema cannot say. The section may break the schema, too.
    pub check: fn(&Value) -> Vec<Problem>,
    /// Makes a reader.
    pub make: fn(&LogSetup<'_>) -> MadeLog,
    /// What we must be allowed there, at least.
    pub needs: &'static [&'static str],
}

/// A reader, or everything that is wrong with its section.
pub type MadeLog = Result<Box<dyn EventLog>, Vec<Problem>>;

/// A `[routes.NAME.reconcile]` section. The settings in `setup` are those of the kind.
pub struct LogSetup<'a> {
    pub setup: Setup<'a>,
    /// How much of the provider's rate limit may be used: more than 0, at most 1.
    pub rate_share: f64,
    /// Event types as rules name them: exact, `a.b.*`, `*`.
    pub types: &'a [String],
}

/// A provider's log of events.
pub trait EventLog: Send + Sync {
    /// Names what is read: where, and which types. A place to go on from is good for this name only.
    fn label(&self) -> &str;

    /// Reads one page.
    fn read<'a>(&'a self, from: &'a From) -> Reading<'a>;

    /// Ids under which it reads at the provider, so that events of its own making reach no rule.
    fn own_actors(&self) -> Vec<String> {
        Vec::new()
    }

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
