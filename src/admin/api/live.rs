//! `GET /api/v1/live`: decisions as they are made, as server-sent events.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::admin::access::Identity;
use crate::admin::api::answers;
use crate::admin::api::ask::{Asked, Nothing};
use crate::admin::desk::Desk;
use crate::admin::live;
use crate::admin::problem::Problem;

/// Decisions as they are made.
///
/// Server-sent events (`text/event-stream`). An event `decisions` comes four times a second at most, with
/// `{"decisions": […], "skipped": n}`: the lines that `/decisions` lists too, oldest first, fifty at most, failures before
/// all others. Who reads too slowly gets an event `lagged` and is let go.
#[utoipa::path(
    get,
    path = "/api/v1/live",
    tag = "decisions",
    responses((status = 200, description = "A stream without an end.", body = String, content_type = "text/event-stream"), answers::Looking)
)]
pub(super) async fn live(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Response, Problem> {
    let full = || {
        let detail = format!(
            "{} watch already with this token or session, or {} of this role; close a page that shows decisions as they are made",
            live::MOST_OF_ONE,
            live::MOST
        );
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-watchers", detail).retry_after()
    };
    let stream = desk.watch(&who).ok_or_else(full)?;
    Ok(([(CONTENT_TYPE, "text/event-stream")], Body::new(stream)).into_response())
}
