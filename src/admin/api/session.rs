//! `/api/v1/session`: who asks, and sessions of browsers. Open to strangers: here they show their token.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::admin::access::session;
use crate::admin::access::{Access, Role};
use crate::admin::api::answers;
use crate::admin::api::ask::{Asked, Nothing, Sent};
use crate::admin::login;
use crate::admin::login::Peer;
use crate::admin::problem::Problem;

/// Who asks, and what they may do.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Who {
    pub role: Role,
    /// As the log of changes names them: `token`, `read_token`, `session 1a2b3c`, `loopback`.
    pub name: String,
    /// When the session ends that has just begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
}

/// What begins a session.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSession {
    /// A token of an operator or a reader.
    #[schema(format = Password)]
    token: String,
}

/// Say who asks.
#[utoipa::path(
    get,
    path = "/api/v1/session",
    tag = "session",
    operation_id = "whoami",
    responses((status = 200, description = "The role of the token or the session.", body = Who), answers::Looking)
)]
pub(super) async fn whoami(
    State(access): State<Arc<Access>>,
    Extension(Peer(peer)): Extension<Peer>,
    Asked(Nothing {}): Asked<Nothing>,
    headers: HeaderMap,
) -> Result<Json<Who>, Problem> {
    let identity = access.check(&Method::GET, &headers, peer)?;
    Ok(Json(Who { role: identity.role, name: identity.to_string(), expires_at: None }))
}

/// Begin a session with a token.
///
/// The answer sets a cookie, which lasts twelve hours. Where no token is configured there is no session to begin, and the
/// answer says who asks.
#[utoipa::path(
    post,
    path = "/api/v1/session",
    tag = "session",
    operation_id = "begin_session",
    request_body = NewSession,
    security(()),
    responses(
        (status = 201, description = "The session has begun.", body = Who, headers(("Set-Cookie" = String))),
        (status = 200, description = "No token is configured, so there is none to begin.", body = Who),
        answers::Changing,
    )
)]
pub(super) async fn begin(
    State(access): State<Arc<Access>>,
    Extension(Peer(peer)): Extension<Peer>,
    Asked(Nothing {}): Asked<Nothing>,
    headers: HeaderMap,
    Sent(wanted): Sent<NewSession, { login::MAX_BYTES }>,
) -> Result<Response, Problem> {
    let token = Zeroizing::new(wanted.token);
    let Some(session) = access.sign_in(token.as_bytes(), &headers, peer)? else {
        let who = Who { role: Role::Operator, name: "loopback".to_owned(), expires_at: None };
        return Ok(Json(who).into_response());
    };
    let expires_at = Some(session.expires_at.to_string());
    let who = Who { role: session.role, name: format!("session {}", session.name), expires_at };
    let mut response = (StatusCode::CREATED, Json(who)).into_response();
    login::put_cookie(&mut response, &session.set_cookie(login::came_by_https(&headers)));
    Ok(response)
}

/// End the session of this request, if it has one.
#[utoipa::path(
    delete,
    path = "/api/v1/session",
    tag = "session",
    operation_id = "end_session",
    security(()),
    responses((status = 204, description = "There is no session any more."), answers::Looking)
)]
pub(super) async fn end(
    State(access): State<Arc<Access>>,
    Asked(Nothing {}): Asked<Nothing>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    access.sign_out(&headers)?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    login::put_cookie(&mut response, &session::forget_cookie());
    Ok(response)
}
