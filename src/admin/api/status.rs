//! `/api/v1/status` and `/health`: the gateway as a whole.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::access::Identity;
use crate::admin::access::sight::Sight;
use crate::admin::api::answers;
use crate::admin::api::ask::{Asked, Nothing};
use crate::admin::api::routes;
use crate::admin::api::routes::RouteLine;
use crate::admin::desk::Desk;
use crate::admin::health::Sample;
use hookgate_engine::release::live;
use hookgate_store::Health;

/// How the gateway is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Status {
    /// Of the program.
    pub version: &'static str,
    pub uptime_s: u64,
    pub release: live::status::Status,
    pub routes: Vec<RouteLine>,
    /// What the store holds, as seen a few seconds ago.
    pub queue: Health,
    pub decisions: Recorded,
}

/// Records of decisions since the start, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Recorded {
    pub kept: u64,
    /// More came in a second than `store.decisions_per_second` allows; they are not kept.
    pub over_budget: u64,
    /// More came than could be written.
    pub lost: u64,
}

impl Status {
    /// As it is now.
    pub fn of(desk: &Desk, sight: Sight) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            uptime_s: desk.uptime().as_secs(),
            release: desk.status(sight),
            routes: routes::all(desk),
            queue: (*desk.queue()).clone(),
            decisions: Recorded::of(desk),
        }
    }
}

impl Recorded {
    pub fn of(desk: &Desk) -> Self {
        let counts = desk.recorded();
        let count = |name| counts.iter().filter(|(found, _)| *found == name).map(|(_, count)| count).sum();
        Self { kept: count("kept"), over_budget: count("over_budget"), lost: count("lost") }
    }
}

/// How the gateway is.
///
/// The release in force and what is known of the files on disk, the routes, and what waits in the store.
#[utoipa::path(
    get,
    path = "/api/v1/status",
    tag = "gateway",
    responses((status = 200, description = "The gateway as it is now.", body = Status), answers::Looking)
)]
pub(super) async fn status(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Json<Status> {
    Json(Status::of(&desk, who.sight()))
}

/// The last hour in numbers.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LastHour {
    /// Seconds from one sample to the next.
    pub every_s: u64,
    /// Oldest first.
    pub samples: Vec<Sample>,
}

/// The last hour in numbers.
///
/// One sample every ten seconds, kept in memory: a restart begins anew.
#[utoipa::path(
    get,
    path = "/api/v1/health",
    tag = "gateway",
    responses((status = 200, description = "At most 360 samples, oldest first.", body = LastHour), answers::Looking)
)]
pub(super) async fn health(State(desk): State<Arc<Desk>>, Asked(Nothing {}): Asked<Nothing>) -> Json<LastHour> {
    Json(LastHour { every_s: crate::admin::health::EVERY.as_secs(), samples: desk.last_hour() })
}
