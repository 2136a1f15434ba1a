//! What operators ask of a store and see in it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Attempt, Flags, JobKind, JobState, KeyChoice, MAX_PAGE, Millis, Store, StoreError};
use hookgate_model::moment::to_the_second;

/// Which events are wanted. All conditions hold together.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub route: Option<String>,
    /// Those with a job of this rule.
    pub rule: Option<String>,
    /// Those with a job through this connector.
    pub connector: Option<String>,
    /// Those with a job in this state; with a rule or a connector, it is that job which must be in it.
    pub state: Option<JobState>,
    /// A type, or a family that ends with `.*`.
    pub kind: Option<String>,
    /// Received at this time or later, and before.
    pub since: Option<Millis>,
    pub until: Option<Millis>,
    /// Where the last page ended.
    pub after: Option<i64>,
    /// At most [`MAX_PAGE`]; 0 means the default of 50.
    pub limit: usize,
}

impl Query {
    /// Whether it asks for everything.
    pub fn is_open(&self) -> bool {
        self.words().is_empty()
    }

    /// `of route `events`, with a job that is dead`; empty if it asks for everything.
    pub fn words(&self) -> String {
        let mut words = Vec::new();
        let mut add = |text: Option<String>| words.extend(text);
        add(self.kind.as_ref().map(|kind| format!("of type `{kind}`")));
        add(self.route.as_ref().map(|route| format!("of route `{route}`")));
        add(self.rule.as_ref().map(|rule| format!("with a job of rule `{rule}`")));
        add(self.connector.as_ref().map(|connector| format!("with a job through `{connector}`")));
        add(self.state.map(|state| format!("with a job that is {}", state.name())));
        add(self.since.map(|at| format!("received since {}", to_the_second(at))));
        add(self.until.map(|at| format!("received before {}", to_the_second(at))));
        add(self.after.map(|number| format!("after number {number}")));
        words.join(", ")
    }

    /// What it means, before something is done with it. At most so many events are counted, rounded up to a page.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn count(&self, store: &dyn Store, at_most: usize) -> Result<Counted, StoreError> {
        let mut query = Self { limit: MAX_PAGE, ..self.clone() };
        let mut counted = Counted::default();
        loop {
            let page = store.list(query.clone()).await?;
            page.events.into_iter().for_each(|event| counted.add(event));
            match page.next {
                Some(_) if counted.events >= at_most => {
                    counted.more = true;
                    return Ok(counted);
                }
                Some(next) => query.after = Some(next),
                None => return Ok(counted),
            }
        }
    }
}

/// What a query means.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    pub events: usize,
    /// There are more than were counted.
    pub more: bool,
    /// How many of them there are of each type.
    pub types: BTreeMap<String, u64>,
    /// The newest [`FIRST`](Self::FIRST) of them.
    pub first: Vec<EventLine>,
}

impl Counted {
    /// Events that are kept to be looked at.
    pub(crate) const FIRST: usize = 200;

    /// Those of the named events that are kept.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn named(store: &dyn Store, events: &[EventRef]) -> Result<Self, StoreError> {
        let mut counted = Self::default();
        for event in events {
            if let Some(dossier) = store.show(event.clone()).await? {
                counted.add(dossier.event);
            }
        }
        Ok(counted)
    }

    fn add(&mut self, event: EventLine) {
        self.events += 1;
        *self.types.entry(event.kind.clone()).or_default() += 1;
        if self.first.len() < Self::FIRST {
            self.first.push(event);
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Page {
    pub events: Vec<EventLine>,
    /// For [`Query::after`]; nothing on the last page.
    pub next: Option<i64>,
}

/// An event in a list.
#[derive(Clone, Debug, Serialize)]
pub struct EventLine {
    pub id: i64,
    pub route: String,
    pub key: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub published: Option<Millis>,
    pub received: Millis,
    pub flags: Flags,
    pub problem: Option<String>,
    /// How many of its jobs are in which state.
    pub jobs: BTreeMap<JobState, u64>,
}

/// How an event is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventRef {
    /// By our number.
    Id(i64),
    /// By the provider's id; of several routes, the newest.
    Key(String),
    /// By our number of one of its jobs.
    Job(i64),
}

/// Everything about one event.
#[derive(Clone, Debug)]
pub struct Dossier {
    pub event: EventLine,
    pub envelope: String,
    pub body: Bytes,
    pub jobs: Vec<JobLine>,
}

#[derive(Clone, Debug, Serialize)]
pub struct JobLine {
    pub id: i64,
    pub kind: JobKind,
    /// The job that made this one.
    pub parent: Option<i64>,
    pub lane: String,
    pub name: String,
    pub key: String,
    pub state: JobState,
    /// When it is due, while it waits.
    pub due: Option<Millis>,
    pub attempts: u32,
    pub replay: u32,
    pub doubt: bool,
    pub created: Millis,
    /// Why it was suppressed.
    pub note: Option<String>,
    /// What the action is; nothing for a rule.
    #[serde(skip)]
    pub body: Bytes,
    pub tries: Vec<Attempt>,
}

/// Whether what an action wanted has happened, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub enum Delivered {
    #[serde(rename = "delivered")]
    Yes,
    #[serde(rename = "maybe delivered")]
    Maybe,
    #[serde(rename = "not delivered")]
    No,
}

impl Delivered {
    pub fn name(self) -> &'static str {
        match self {
            Self::Yes => "delivered",
            Self::Maybe => "maybe delivered",
            Self::No => "not delivered",
        }
    }

    /// Nothing for rules, which deliver nothing, and for what goes out with another action.
    pub fn of(job: &JobLine) -> Option<Self> {
        let unclear = |attempt: &Attempt| ["maybe_delivered", "lost"].contains(&attempt.result.as_str());
        let unclear = job.doubt || job.tries.iter().any(unclear);
        match (job.kind, job.state) {
            (JobKind::Rule, _) | (_, JobState::Gathered) => None,
            (_, JobState::Done) => Some(Self::Yes),
            _ if unclear => Some(Self::Maybe),
            _ => Some(Self::No),
        }
    }
}

/// What changes many jobs.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Runs dead jobs again, from their first try. With `force`, events of which nothing is dead or still to be done begin
    /// anew: their rules run again and the actions get new keys, so that receivers take them for new.
    Replay { which: Selection, force: bool },
    /// Removes events of which everything has ended, with their jobs. Their keys stay known: what comes again is still a
    /// duplicate. With `dead`, only dead jobs are removed.
    Purge { which: Selection },
    /// Removes keys of the small state. What was answered to a [`Step::origin`](crate::Step::origin) is answered to it
    /// again.
    Clear { keys: KeyChoice },
    /// Removes what is older, in many short transactions: events that have ended, and keys of what came long ago. Of
    /// decisions the newest so many stay. Only the events are counted.
    Sweep { keep: Duration, remember: Duration, decisions: u64 },
    /// Removes decisions beyond the newest so many. It costs next to nothing where there are none.
    TrimDecisions { most: u64 },
}

/// Which events an operation is about.
#[derive(Clone, Debug)]
pub enum Selection {
    One(EventRef),
    All(Box<Query>),
}

/// How the store is and what waits in it.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = Queue)]
pub struct Health {
    /// Nothing when it can be written.
    pub trouble: Option<String>,
    pub waiting: u64,
    pub running: u64,
    pub dead: u64,
    /// How long the oldest job that is due has been.
    pub queue_age_ms: u64,
    pub bytes: u64,
    /// Lanes in which something waits or runs, with how many.
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    pub lanes: Vec<(String, u64)>,
}
