//! The admin listener: health, metrics and status, for operators and their tools.
//!
//! It shows and never changes what the gateway does. Without a token it answers only to a loopback `Host`, so that a
//! web page in an operator's browser cannot reach it under a name of its own (DNS rebinding).

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::extract::{Request, State as Shared};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;

use crate::admin::access::Access;
use crate::telemetry::metrics::CONTENT_TYPE as METRICS_TYPE;

pub mod access;

/// What the admin listener shows. Called for every request, so answers are cheap or cached.
pub trait State: Send + Sync + 'static {
    /// Whether calls can be answered; otherwise why not, for operators.
    ///
    /// # Errors
    /// The reason, as a sentence without values of calls.
    fn ready(&self) -> Result<(), String>;

    /// `{version, uptime_s, release: {running, on_disk, state, error, activated_at}, routes: […], queue: {…}}`.
    fn status(&self) -> serde_json::Value;

    /// The page for Prometheus, in OpenMetrics text.
    fn metrics(&self) -> String;
}

/// Serves until `stop` resolves and the requests in flight are answered.
///
/// # Errors
/// The listener is unusable.
pub async fn serve(
    listener: TcpListener,
    state: Arc<dyn State>,
    access: Access,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, router(state, access)).with_graceful_shutdown(stop).await
}

/// All paths of the admin listener.
pub fn router(state: Arc<dyn State>, access: Access) -> Router {
    let shown = Router::new()
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::new(access), guard));
    // Probes of an orchestrator carry no token and call by pod address.
    let probes = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .method_not_allowed_fallback(wrong_method);
    shown.merge(probes).layer(middleware::map_response(harden)).with_state(state)
}

async fn ready(Shared(state): Shared<Arc<dyn State>>) -> Response {
    match state.ready() {
        Ok(()) => Json(json!({"ready": true})).into_response(),
        Err(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"ready": false, "reason": reason}))).into_response()
        }
    }
}

async fn status(Shared(state): Shared<Arc<dyn State>>) -> Response {
    Json(state.status()).into_response()
}

async fn metrics(Shared(state): Shared<Arc<dyn State>>) -> Response {
    ([(CONTENT_TYPE, METRICS_TYPE)], state.metrics()).into_response()
}

async fn not_found() -> Response {
    problem(StatusCode::NOT_FOUND, "there is nothing at this path")
}

async fn wrong_method(method: Method) -> Response {
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, &format!("`{method}` is not possible here"));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET,HEAD"));
    response
}

async fn guard(Shared(access): Shared<Arc<Access>>, request: Request, next: Next) -> Response {
    match access.check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(access::Denied::Token) => {
            let mut response = problem(StatusCode::UNAUTHORIZED, "the bearer token is missing or wrong");
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            response
        }
        Err(access::Denied::Host) => problem(
            StatusCode::FORBIDDEN,
            "without `admin.token` only localhost or a loopback address may be asked for",
        ),
    }
}

async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A problem document (RFC 9457).
fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let body = json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail});
    let kind = [(CONTENT_TYPE, "application/problem+json")];
    (status, kind, body.to_string()).into_response()
}

#[cfg(test)]
mod tests;
