//! The admin listener: the API, the viewer, metrics and health, for operators and their tools.
//!
//! [`desk`] is all that it may look at and do, [`access`] says who may, [`api`] answers programs and [`viewer`] people.
//! Without a token it answers only to a loopback `Host`, so that a web page in an operator's browser cannot reach it under
//! a name of its own (DNS rebinding).

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, Request, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::json;

use crate::admin::access::Access;
use crate::admin::desk::Desk;
use crate::admin::problem::Problem;
use hookgate_engine::telemetry::metrics::CONTENT_TYPE as METRICS_TYPE;

pub mod access;
pub mod api;
pub mod desk;
mod guard;
pub mod health;
pub mod live;
mod login;
pub mod problem;
pub mod viewer;

/// What answers the requests of the listener.
pub struct Admin(TowerToHyperService<Router>);

impl Admin {
    pub fn new(desk: Arc<Desk>, access: Access) -> Self {
        Self(TowerToHyperService::new(router(desk, access)))
    }

    /// The answer to one request, whose body is read only after it is known who sends it. `peer` is who is at the other end of
    /// the connection.
    pub async fn answer<B>(&self, mut request: Request<B>, peer: SocketAddr) -> Response
    where
        B: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        request.extensions_mut().insert(ConnectInfo(peer));
        match self.0.call(request.map(Body::new)).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// The answer to a request that was refused before it was looked at.
    pub fn refuse(status: StatusCode) -> Response {
        guard::hardened(Problem::new(status, "bad-request", "one `Host` is needed").into_response())
    }
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
        .layer(middleware::from_fn(guard::plain))
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
    ([(CONTENT_TYPE, METRICS_TYPE)], desk.metrics()).into_response()
}

async fn not_found() -> Problem {
    Problem::not_found("there is nothing at this path")
}

async fn wrong_method(method: Method) -> Problem {
    Problem::wrong_method(&method)
}

#[cfg(test)]
mod tests;
