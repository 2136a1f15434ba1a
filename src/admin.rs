//! The admin listener: the API, the viewer, metrics and health, for operators and their tools.
//!
//! [`desk`] is all that it may look at and do, [`access`] says who may, [`api`] answers programs and [`viewer`] people.
//! Without a token it answers only to a loopback `Host`, so that a web page in an operator's browser cannot reach it under
//! a name of its own (DNS rebinding).

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;

use crate::admin::access::Access;
use crate::admin::desk::Desk;
use crate::admin::problem::Problem;
use crate::telemetry::metrics::CONTENT_TYPE as METRICS_TYPE;

pub mod access;
pub mod api;
pub mod desk;
mod guard;
pub mod health;
pub mod live;
mod login;
pub mod problem;
pub mod viewer;

/// Serves until `stop` resolves and the requests in flight are answered.
///
/// # Errors
/// The listener is unusable.
pub async fn serve(
    listener: TcpListener,
    desk: Arc<Desk>,
    access: Access,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let service = router(desk, access).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop).await
}

/// All paths of the admin listener.
pub fn router(desk: Arc<Desk>, access: Access) -> Router {
    let access = Arc::new(access);
    let shown = Router::new()
        .route("/metrics", get(metrics))
        .merge(api::router())
        .merge(viewer::router())
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(access.clone(), guard::guard));
    // Probes of an orchestrator carry no token and call by pod address.
    let probes = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .method_not_allowed_fallback(wrong_method);
    let strangers = login::router()
        .merge(api::strangers())
        .with_state(access)
        .merge(viewer::open())
        .method_not_allowed_fallback(wrong_method);
    shown
        .merge(probes)
        .with_state(desk)
        .merge(strangers)
        .layer(middleware::from_fn(guard::contain))
        .layer(middleware::from_fn(guard::peer))
        .layer(middleware::map_response(guard::harden))
}

async fn ready(State(desk): State<Arc<Desk>>) -> Response {
    match desk.ready() {
        Ok(()) => Json(json!({"ready": true})).into_response(),
        Err(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"ready": false, "reason": reason}))).into_response()
        }
    }
}

async fn metrics(State(desk): State<Arc<Desk>>) -> Response {
    ([(CONTENT_TYPE, METRICS_TYPE)], desk.metrics.encode()).into_response()
}

async fn not_found() -> Problem {
    Problem::not_found("there is nothing at this path")
}

async fn wrong_method(method: Method) -> Problem {
    Problem::wrong_method(&method)
}

#[cfg(test)]
mod tests;
