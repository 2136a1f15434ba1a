//! What must survive: events, the jobs that come of them, and every try at each. The trait, and the words it speaks.
//!
//! Every method is one atomic transaction, and what returned `Ok` is durable: it is still there after `kill -9` and after
//! a power cut. Nothing of SQL leaves this module, and the store knows neither providers nor scripts nor connectors: bodies
//! are bytes, names are text. When to try again is decided above it; the store only knows when a job is due.
//!
//! Times are milliseconds since 1970 of the store's own [`clock`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::archive::Archive;
use crate::backups::Backups;
use hookgate_model::decision;
use hookgate_model::decision::{Capture, Kept, Record};

pub mod answer;
pub mod archive;
pub mod backups;
pub mod claimant;
pub mod clock;
pub mod open;
mod operating;
pub mod sqlite;
pub mod state;

pub use crate::answer::OneTimeAnswer;
pub use crate::operating::{
    Counted, Delivered, Dossier, EventLine, EventRef, Health, JobLine, Operation, Page, Query, Selection,
};
pub use crate::state::{KeyChoice, StatePage, StateQuery, Step};

/// Milliseconds since 1970.
pub type Millis = i64;

/// How long a suspect waits after the first and the second time that a process died while it was in work. After the third
/// time it is not to be tried again; it is due at once, so that this is recorded.
pub(crate) const AFTER_DEATH: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(15)];

/// A job that was in work this often when a process died is not tried again.
pub const MOST_DEATHS: u32 = 3;

/// How long a job waits that was in work when a process died for the `deaths`-th time.
pub(crate) fn rest_after(deaths: u32) -> Duration {
    let index = usize::try_from(deaths).unwrap_or(usize::MAX).wrapping_sub(1);
    AFTER_DEATH.get(index).copied().unwrap_or_default()
}

/// How long after [`Intake::until`] the store may still say whether it kept something: it waits so long for a commit that has
/// begun.
pub(crate) const GRACE: Duration = Duration::from_millis(20);

/// The most events that a page of [`Store::list`] has.
pub const MAX_PAGE: usize = 1_000;

/// Keeps events and jobs.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Keeps events with the jobs that they begin with. An event whose key its route has is a [`Accepted::Duplicate`], and
    /// nothing of it is kept again. One answer per event, in order.
    ///
    /// What was not begun when the future is dropped is never kept; what was begun may be.
    ///
    /// # Errors
    /// [`StoreError::Late`] where it is not kept by [`Intake::until`], at most [`GRACE`] after that: nothing of it is kept, and
    /// none of its jobs is ever given out.
    async fn accept(&self, intake: Intake) -> Result<Vec<Accepted>, StoreError>;

    /// What a call of this route was answered that counts once and had this key; nothing where no call had it, or its time is
    /// over.
    async fn answer(&self, route: &str, key: &str) -> Result<Option<Bytes>, StoreError>;

    /// Keeps the answer to a call that counts once, with the events and jobs that the call brings, as [`Store::accept`] does:
    /// all of it or nothing. Where the route and the key have an answer whose time is not over, nothing is kept, and that
    /// answer is given back: of two calls at once, the first one wins. Nothing is given back where this call was the first.
    ///
    /// # Errors
    /// [`StoreError::Refused`] where a limit of [`OneTimeAnswer`] is exceeded. [`StoreError::Late`] as in [`Store::accept`]:
    /// nothing of it is kept.
    async fn keep_answer(&self, intake: Intake, answer: OneTimeAnswer) -> Result<Option<Bytes>, StoreError>;

    /// Whether [`Store::accept`] would refuse events that came now, because more come than it can keep. Cheap: it is asked
    /// before events are read.
    fn is_crowded(&self) -> bool {
        false
    }

    /// What holds up writing now, in words for people: the lock is held by somebody else, the disk is slow. Cheap.
    fn hindrance(&self) -> Option<String> {
        None
    }

    /// Leases jobs that are due to the claimant that opened the store, at most as many of each lane as asked for, oldest first. Suspects are left out, see
    /// [`Store::claim_suspect`]. Those that the asker still works on, `held`, are never given out again, however long ago
    /// their lease ended: it is extended instead.
    async fn claim(&self, shares: Vec<Share>, held: Vec<Token>, lease: Duration) -> Result<Claimed, StoreError>;

    /// Leases one suspect of these lanes: of those that are due, the one that has been for longest. A suspect is a job that was
    /// in work when a process died. Whoever claims it promises to have no other job in work until it is settled: if the process
    /// dies meanwhile, it was this one that was worked on. Jobs of other claimants are not concerned.
    async fn claim_suspect(&self, lanes: Vec<Arc<str>>, lease: Duration) -> Result<Option<Leased>, StoreError>;

    /// Gives back jobs whose tries do not come to an end because the process stops in good order. The tries are recorded as
    /// lost, the jobs are due at once, and none of them is under more suspicion than before.
    async fn abandon(&self, held: Vec<Token>) -> Result<(), StoreError>;

    /// Extends leases; gives those back that this claimant still holds.
    async fn renew(&self, held: Vec<Token>, lease: Duration) -> Result<Vec<Token>, StoreError>;

    /// Ends a try: its record, the job's next state, and the jobs that it made, all at once. [`Settled::LostLease`] where this
    /// claimant does not hold the job: its lease ran out and another one took it, or a later start of the same claimant voided it.
    async fn settle(&self, token: Token, attempt: Attempt, end: End) -> Result<Settled, StoreError>;

    /// Takes a step in the small state of scripts, and answers it. Steps that ask at once are taken one after the other. A
    /// `get`, and a dry step, commit nothing. A step without an origin that was not begun when the future is dropped is never
    /// taken; one that was begun may be.
    ///
    /// # Errors
    /// [`StoreError::Refused`] where a limit of [`state`] is reached.
    async fn state(&self, step: Step) -> Result<serde_json::Value, StoreError>;

    /// Keys of the small state, with what is kept under each.
    async fn entries(&self, query: StateQuery) -> Result<StatePage, StoreError>;

    /// Keeps what is to be remembered of decisions. A decision that is known already is not kept again. How many were kept.
    async fn record(&self, decisions: Vec<Kept>) -> Result<usize, StoreError>;

    /// Records of decisions, newest first.
    async fn decisions(&self, query: decision::Query) -> Result<decision::Page, StoreError>;

    /// The record of a decision, and what was captured of its call.
    async fn decision(&self, id: &str) -> Result<Option<(Record, Option<Capture>)>, StoreError>;

    /// A value that was kept with [`Intake::bookmark`].
    async fn bookmark(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// Events, newest first.
    async fn list(&self, query: Query) -> Result<Page, StoreError>;

    /// Everything about one event.
    async fn show(&self, event: EventRef) -> Result<Option<Dossier>, StoreError>;

    /// What an operator, or time, does to many jobs at once, in many short transactions. How many were changed: jobs that
    /// wait again, events (or dead jobs) that are gone, keys of the small state that are gone, events and their keys that were swept. A sweep also removes the state of
    /// scripts and one-time answers whose time is over.
    async fn operate(&self, operation: Operation) -> Result<u64, StoreError>;

    /// How the store is and what waits in it.
    async fn health(&self) -> Result<Health, StoreError>;

    /// Past releases and the log of changes.
    fn archive(&self) -> &dyn Archive;

    /// The store's time.
    fn now(&self) -> Millis;

    /// How copies are made by this program; nothing where that is done by a tool of the database.
    fn backups(&self) -> Option<&dyn Backups>;

    /// Does what waits, and closes the store: from then on everything is answered with [`StoreError::Closed`], and what is kept
    /// lies in one place, which can be copied.
    ///
    /// # Errors
    /// It is closed, but what was kept last lies beside the rest.
    async fn close(&self) -> Result<(), StoreError>;
}

/// Why the store did not do what it was asked to. Nothing of it was kept, unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// In time, or at all. [`Store::hindrance`] may know more.
    #[error("the store does not keep up: its disk is slow, its lock is held, or more arrives than it can take")]
    Busy,
    /// Only where a time was given. Nothing of it is kept later, either.
    #[error("the store did not answer in time")]
    Late,
    #[error("the disk is full")]
    Full,
    #[error("the store cannot be written: {0}")]
    ReadOnly(String),
    /// Also when the file was replaced or removed while it was in use. Whether it was kept is not known: ask again.
    #[error("the store failed: {0}")]
    Broken(String),
    /// Nothing to do with the store's health: what was asked makes no sense.
    #[error("{0}")]
    Refused(String),
    #[error("the store is closed")]
    Closed,
}

/// Events that are kept together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Intake {
    pub events: Vec<NewEvent>,
    /// Kept in the same transaction: how far a reader of an outside log has come. Name and value.
    pub bookmark: Option<(String, String)>,
    /// When whoever brings it has to know: what is not kept by then is not kept at all.
    pub until: Option<Instant>,
}

/// What arrived once, and the jobs it begins with: rules for an event, actions for an answered call.
#[derive(Clone, Debug, Default)]
pub struct NewEvent {
    pub route: Arc<str>,
    /// Unique per route, for as long as the store remembers: the provider's id of the event.
    pub key: String,
    /// What is unique instead of the key, where several may have one key: a try-out has the key of the event that it tries,
    /// and two calls of one id may have different bodies.
    pub seen_as: Option<String>,
    /// The provider's type of event; the hook of an answered call; empty if it could not be read.
    pub kind: String,
    /// When it happened, as the provider says.
    pub published: Option<Millis>,
    pub flags: Flags,
    /// Why no rule could read it; or, where it has a type, what of it was not read as it was sent.
    pub problem: Option<String>,
    /// What the events of a delivery have in common, as its hook wrote it.
    pub envelope: Arc<str>,
    /// As it was sent, byte for byte. Empty for answered calls, which may hold passwords.
    pub body: Bytes,
    pub jobs: Vec<NewJob>,
}

/// What is odd or special about an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Flags {
    /// A try-out: actions are recorded, not done.
    pub preview: bool,
    /// Published more than five minutes in the future.
    pub clock_skew: bool,
    /// It had no id of its own: the key is its place in the delivery.
    pub no_id: bool,
    /// The hook never delivered it; reconciling found it.
    pub missed: bool,
    /// Not an event but an answered call whose script asked for actions.
    pub call: bool,
    /// No rule ran because we caused it ourselves.
    pub own: bool,
}

/// Something to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewJob {
    pub kind: JobKind,
    /// What shares a limit of concurrency: `rule ROUTE/RULE` or `connector NAME`. At most 512 bytes.
    pub lane: Arc<str>,
    /// The rule, or what the action does: `notify`.
    pub name: String,
    /// Stays the same over all tries and never repeats: what receivers tell repetitions by.
    pub key: String,
    /// For an action: the action. Empty for a rule: the event is what it works on.
    pub body: Bytes,
    /// From now until it is due first.
    pub delay: Duration,
    /// Jobs of a lane with the same key run one after the other, in the order of the number: never two at once, and none
    /// before those with a smaller number that are there have ended, as done or dead.
    pub order: Option<(String, Millis)>,
    /// Not if another one of this key was kept within the time.
    pub once: Option<(String, Duration)>,
    /// Waits this long for others of its key; all go out as one.
    pub digest: Option<(String, Duration)>,
    /// Kept but never done, and why.
    pub suppressed: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// A script to run on an event.
    #[default]
    Rule,
    /// Something to do through a connector.
    Action,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Until it is due, or somebody takes it.
    Waiting,
    Running,
    /// Goes out with another one (a digest), and ends as that one ends.
    Gathered,
    Done,
    /// In the dead letters.
    Dead,
    /// Never done on purpose: a preview, or `once`.
    Suppressed,
}

impl JobState {
    pub const ALL: [Self; 6] = [Self::Waiting, Self::Running, Self::Gathered, Self::Done, Self::Dead, Self::Suppressed];

    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Gathered => "gathered",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Suppressed => "suppressed",
        }
    }

    pub(crate) fn is_end(self) -> bool {
        matches!(self, Self::Done | Self::Dead | Self::Suppressed)
    }
}

/// What became of one event of an [`Intake`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    New(i64),
    Duplicate,
}

/// How many jobs of a lane are wanted.
#[derive(Clone, Debug)]
pub struct Share {
    pub lane: Arc<str>,
    pub most: usize,
}

/// Jobs to work on, and when to ask again.
#[derive(Debug, Default)]
pub struct Claimed {
    pub jobs: Vec<Leased>,
    /// When the next job of the asked lanes falls due, or the next lease runs out; nothing if none waits or runs. In the
    /// past: more are due than were asked for.
    pub next_due: Option<Millis>,
    /// When the next suspect of the asked lanes falls due, or its lease runs out; nothing if there is none.
    pub next_suspect: Option<Millis>,
}

/// The right to settle a job.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    pub job: i64,
    /// Which try this is: the fence against those who come back late.
    pub attempt: u32,
    /// Which claim: unique even when a replay starts counting anew.
    pub(crate) claim: i64,
}

/// A job to work on.
#[derive(Clone, Debug)]
pub struct Leased {
    pub token: Token,
    pub kind: JobKind,
    pub lane: Arc<str>,
    pub name: String,
    pub key: String,
    pub body: Bytes,
    pub created: Millis,
    /// How often it was replayed.
    pub replay: u32,
    /// How often it was begun anew although it was done. Part of the keys of its children: then they are new, too.
    pub generation: u32,
    /// An earlier try has no recorded end: what it wanted may have happened.
    pub doubt: bool,
    /// How often a process died while this job was in work: the first time perhaps beside others, then alone. A try that came
    /// to an end since sets it back to 0.
    pub deaths: u32,
    /// The line that it stands in, and its place there: see [`NewJob::order`].
    pub order: Option<(String, Millis)>,
    pub event: EventOf,
    /// The bodies of the first [`MAX_GATHERED`] others that go out with it, and how many there are.
    pub gathered: Vec<Bytes>,
    pub gathered_count: u64,
}

/// How many bodies of gathered jobs come with the one that they go out with.
pub(crate) const MAX_GATHERED: usize = 100;

/// The event that a job belongs to.
#[derive(Clone, Debug, Default)]
pub struct EventOf {
    pub id: i64,
    pub route: Arc<str>,
    pub key: String,
    pub kind: String,
    pub received: Millis,
    pub flags: Flags,
    pub envelope: Arc<str>,
    pub body: Bytes,
}

/// The record of one try.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Attempt {
    pub started: Millis,
    pub took_ms: u64,
    /// `done`, `failed`, `unknown` (it may have happened), …: a word, also in metrics.
    pub result: String,
    /// HTTP or SMTP, if it came to that.
    pub status: Option<u16>,
    /// For people: what went wrong, or what was answered. Cut at 2 KiB.
    pub detail: String,
}

/// How a try ended.
#[derive(Clone, Debug)]
pub enum End {
    /// With the jobs that came of it.
    Done(Vec<NewJob>),
    /// Again after this long.
    Retry(Duration),
    /// Put back without having counted as a try: a breaker is open, or the process stops.
    Postpone(Duration),
    Dead,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    Applied,
    /// Somebody else has the job by now; nothing was changed.
    LostLease,
}

#[cfg(test)]
pub(crate) mod contract;
