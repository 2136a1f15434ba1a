//! `/api/v1`: what the gateway knows, as JSON.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::admin::desk::Desk;

pub mod status;

/// Every path of the API that needs somebody to be let in.
pub(super) fn router() -> Router<Arc<Desk>> {
    Router::new().route("/api/v1/status", get(status::status))
}
