//! Orders about many events at once: which are meant, what would happen, and doing it.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::access::Operator;
use crate::admin::desk::Desk;
use hookgate_store::{
    Counted, Delivered, Dossier, EventLine, EventRef, JobKind, JobState, Millis, Operation, Query, Selection,
    StoreError,
};

/// Events that are counted before an order; beyond them it is "more than".
const COUNT_AT_MOST: usize = 10_000;

/// Events that are named before an order.
const EXAMPLES: usize = 5;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Runs dead jobs again.
    Replay,
    /// Runs everything again, also what has succeeded.
    ReplayAll,
    /// Removes events that have ended, or dead jobs alone.
    Purge,
}

/// Which events are meant.
#[derive(Clone, Debug)]
pub enum Meant {
    Named(Vec<EventRef>),
    Query(Box<Query>),
}

/// What an order would do.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Forecast {
    /// Events that are meant.
    pub events: usize,
    /// There are more than that.
    pub more: bool,
    /// What they have in common, in words; empty where they are named or all are meant.
    pub filter: String,
    /// How many of them there are of each type.
    pub types: BTreeMap<String, u64>,
    /// The newest of them.
    pub examples: Vec<Example>,
    /// Jobs of the first 200 events that would be put back or removed, by what they share a limit with: `connector chat`,
    /// `rule events/watch`.
    pub jobs: BTreeMap<String, u64>,
    /// Actions among them of which one try may have delivered: they may happen twice.
    pub maybe_delivered: u64,
}

/// One of the events that an order is about.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Example {
    /// Our number.
    pub id: i64,
    #[serde(rename = "type")]
    pub kind: String,
    /// The provider's id.
    pub key: String,
    /// Milliseconds since 1970.
    pub received: Millis,
}

/// What came of an order.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Done {
    /// Jobs that were put back; events, or dead jobs, that were removed.
    pub changed: u64,
    /// What the store would not do, in its words.
    pub refused: Vec<String>,
    /// Jobs that wait now.
    pub waiting: u64,
}

impl Desk {
    /// What an order would do. Nothing is changed.
    ///
    /// # Errors
    /// The store is in trouble.
    pub async fn forecast(&self, _: &Operator, order: Order, meant: &Meant) -> Result<Forecast, StoreError> {
        let store = self.store();
        let (counted, filter) = match meant {
            Meant::Named(events) => (Counted::named(&**store, events).await?, String::new()),
            Meant::Query(query) => {
                let query = narrowed(order, query);
                (query.count(&**store, COUNT_AT_MOST).await?, query.words())
            }
        };
        let mut forecast = Forecast::of(&counted, filter);
        let dead =
            order == Order::Replay || matches!(meant, Meant::Query(query) if query.state == Some(JobState::Dead));
        let touched = if dead { JobScope::Dead } else { JobScope::All };
        for event in counted.first {
            if let Some(dossier) = store.show(EventRef::Id(event.id)).await? {
                forecast.look(&dossier, touched);
            }
        }
        Ok(forecast)
    }

    /// Carries out an order. What is refused keeps nothing else from being done.
    ///
    /// # Errors
    /// The store is in trouble; what was done up to then is done.
    pub async fn carry_out(&self, _: &Operator, order: Order, meant: Meant) -> Result<Done, StoreError> {
        let store = self.store();
        let all: Vec<Selection> = match meant {
            Meant::Named(events) => events.into_iter().map(Selection::One).collect(),
            Meant::Query(query) => vec![Selection::All(Box::new(narrowed(order, &query)))],
        };
        let mut done = Done::default();
        for which in all {
            let operation = match order {
                Order::Replay => Operation::Replay { which, force: false },
                Order::ReplayAll => Operation::Replay { which, force: true },
                Order::Purge => Operation::Purge { which },
            };
            match store.operate(operation).await {
                Ok(changed) => done.changed += changed,
                Err(StoreError::Refused(problem)) => done.refused.push(problem),
                Err(problem) => return Err(problem),
            }
        }
        self.parts.delivery.wake();
        self.parts.delivery.look().await;
        done.waiting = store.health().await?.waiting;
        Ok(done)
    }
}

/// Only dead jobs can be put back without force.
fn narrowed(order: Order, query: &Query) -> Query {
    let state = if order == Order::Replay { query.state.or(Some(JobState::Dead)) } else { query.state };
    Query { state, after: None, ..query.clone() }
}

/// Which jobs of an event an order touches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum JobScope {
    All,
    Dead,
}

impl Forecast {
    fn of(counted: &Counted, filter: String) -> Self {
        let example = |event: &EventLine| Example {
            id: event.id,
            kind: event.kind.clone(),
            key: event.key.clone(),
            received: event.received,
        };
        Self {
            events: counted.events,
            more: counted.more,
            filter,
            types: counted.types.clone(),
            examples: counted.first.iter().take(EXAMPLES).map(example).collect(),
            ..Self::default()
        }
    }

    fn look(&mut self, dossier: &Dossier, touched: JobScope) {
        for job in dossier.jobs.iter().filter(|job| touched == JobScope::All || job.state == JobState::Dead) {
            *self.jobs.entry(job.lane.clone()).or_default() += 1;
            let maybe = job.kind == JobKind::Action && Delivered::of(job) == Some(Delivered::Maybe);
            self.maybe_delivered += u64::from(maybe);
        }
    }
}
