//! `POST /api/v1/events/replay` and `/purge`: what changes many jobs at once, after saying what would happen.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::admin::access::Operator;
use crate::admin::api::answers;
use crate::admin::api::ask::{Asked, Nothing, Sent};
use crate::admin::api::events;
use crate::admin::api::events::Kind;
use crate::admin::desk::Desk;
use crate::admin::desk::orders::{Done, Forecast, Meant, Order};
use crate::admin::problem::Problem;
use hookgate_model::moment::When;
use hookgate_store::{JobState, Millis, Query};

/// Events that an order may name.
const MOST_NAMED: usize = 1_000;

/// What wanted events have in common; all conditions hold together, and there must be one.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Of this route.
    pub route: Option<String>,
    /// With a job of this rule.
    pub rule: Option<String>,
    /// With a job through this connector.
    pub connector: Option<String>,
    /// With a job in this state.
    pub state: Option<JobState>,
    /// Of this type, or of a family that ends with `.*`.
    #[serde(rename = "type")]
    #[schema(value_type = Option<String>, pattern = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?$")]
    pub kind: Option<Kind>,
    /// Received at this time or later: RFC 3339, a date, or an age such as `2h`.
    #[schema(inline)]
    pub since: Option<When>,
    /// Received before this time, or longer ago than this age.
    #[schema(inline)]
    pub until: Option<When>,
}

impl Filter {
    fn query(self, now: Millis) -> Option<Query> {
        let empty = self.route.is_none()
            && self.rule.is_none()
            && self.connector.is_none()
            && self.state.is_none()
            && self.kind.is_none()
            && self.since.is_none()
            && self.until.is_none();
        (!empty).then(|| Query {
            route: self.route,
            rule: self.rule,
            connector: self.connector,
            state: self.state,
            kind: self.kind.map(|kind| kind.0),
            since: self.since.map(|when| when.millis(now)),
            until: self.until.map(|when| when.millis(now)),
            after: None,
            limit: 0,
        })
    }
}

/// Which events are meant: by name, or by what they have in common.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// Our numbers of them, or the provider's ids, a thousand at most.
    #[schema(max_items = 1000)]
    #[serde(default)]
    pub events: Vec<String>,
    #[schema(inline)]
    pub filter: Option<Filter>,
    /// All events that are kept; in place of names and of a filter.
    #[serde(default)]
    pub all: bool,
    /// Also repeat what has succeeded: rules run again, and receivers take what comes of them for new.
    #[serde(default)]
    pub force: bool,
    /// Only say what would happen.
    #[serde(default)]
    pub dry_run: bool,
}

/// Which events are meant: by name, or by what they have in common.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Purge {
    /// Our numbers of them, or the provider's ids, a thousand at most.
    #[schema(max_items = 1000)]
    #[serde(default)]
    pub events: Vec<String>,
    /// With `state` `dead` it is dead jobs alone that are removed.
    #[schema(inline)]
    pub filter: Option<Filter>,
    /// All events that are kept; in place of names and of a filter.
    #[serde(default)]
    pub all: bool,
    /// Only say what would happen.
    #[serde(default)]
    pub dry_run: bool,
}

/// What an order would do, and what it did.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Ordered {
    /// As things stood before.
    pub forecast: Forecast,
    /// `null` where nothing was to be changed.
    pub done: Option<Done>,
}

/// Run dead jobs again, from their first try.
#[utoipa::path(
    post,
    path = "/api/v1/events/replay",
    tag = "events",
    request_body = Replay,
    responses((status = 200, description = "What was done.", body = Ordered), answers::Changing)
)]
pub(super) async fn replay(
    State(desk): State<Arc<Desk>>,
    who: Operator,
    Asked(Nothing {}): Asked<Nothing>,
    Sent(wanted): Sent<Replay>,
) -> Result<Json<Ordered>, Problem> {
    let order = if wanted.force { Order::ReplayAll } else { Order::Replay };
    let meant = meant(&desk, wanted.events, wanted.filter, wanted.all)?;
    ordered(&desk, &who, order, meant, wanted.dry_run).await.map(Json)
}

/// Remove events of which everything has ended, or dead jobs alone, for good.
///
/// The keys of events stay known: what comes again is still a duplicate.
#[utoipa::path(
    post,
    path = "/api/v1/events/purge",
    tag = "events",
    request_body = Purge,
    responses((status = 200, description = "What was done.", body = Ordered), answers::Changing)
)]
pub(super) async fn purge(
    State(desk): State<Arc<Desk>>,
    who: Operator,
    Asked(Nothing {}): Asked<Nothing>,
    Sent(wanted): Sent<Purge>,
) -> Result<Json<Ordered>, Problem> {
    let meant = meant(&desk, wanted.events, wanted.filter, wanted.all)?;
    ordered(&desk, &who, Order::Purge, meant, wanted.dry_run).await.map(Json)
}

fn meant(desk: &Desk, named: Vec<String>, filter: Option<Filter>, all: bool) -> Result<Meant, Problem> {
    let wrong = |detail: &'static str| Err(Problem::bad_request("bad-body", detail));
    if usize::from(!named.is_empty()) + usize::from(filter.is_some()) + usize::from(all) > 1 {
        return wrong("events are named, or chosen by a filter, or it is `all`: only one of these");
    }
    match filter.map(|filter| filter.query(desk.now())) {
        Some(Some(query)) => Ok(Meant::Query(Box::new(query))),
        Some(None) => wrong("the filter is empty: it would mean everything, which is said with `all`"),
        None if all => Ok(Meant::Query(Box::default())),
        None if named.is_empty() => wrong("which events? name them in `events`, or choose them with `filter` or `all`"),
        None if named.len() > MOST_NAMED => wrong("more than 1000 events are named; choose them by a filter"),
        None => Ok(Meant::Named(named.iter().map(|name| events::named(name)).collect())),
    }
}

/// Says what would happen, does it unless it was only asked for, and notes who did.
pub async fn ordered(
    desk: &Desk,
    who: &Operator,
    order: Order,
    meant: Meant,
    dry_run: bool,
) -> Result<Ordered, Problem> {
    let forecast = desk.forecast(who, order, &meant).await?;
    if dry_run {
        return Ok(Ordered { forecast, done: None });
    }
    let done = desk.carry_out(who, order, meant).await?;
    let what = match order {
        Order::Replay => "dead jobs replayed",
        Order::ReplayAll => "events replayed",
        Order::Purge => "events purged",
    };
    desk.note(who, what, &format!("{} events", forecast.events), &serde_json::json!(done)).await;
    Ok(Ordered { forecast, done: Some(done) })
}
