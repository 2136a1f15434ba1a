//! What stands around every request of the admin listener: who is let in, and what never reaches anybody.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::admin::access::{Access, Denied, Role};
use crate::admin::login;
use crate::admin::login::Peer;
use crate::admin::problem::Problem;

/// Lets a request in that shows who sends it, with the [`Identity`](crate::admin::access::Identity) as an extension. A
/// reader may only look: what changes something needs an operator, whatever it is.
pub(super) async fn guard(State(access): State<Arc<Access>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().and_then(|peer| peer.0);
    let identity = match access.check(request.method(), request.headers(), peer) {
        Ok(identity) => identity,
        Err(Denied::Token) if wants_page(&request) => {
            let page = request.uri().path_and_query().map_or("/", |page| page.as_str());
            return login::ask(page);
        }
        Err(denied) => return Problem::from(denied).into_response(),
    };
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    if !looks && identity.role < Role::Operator {
        return Problem::role().into_response();
    }
    request.extensions_mut().insert(identity);
    next.run(request).await
}

/// Whether a person asks with a browser, who is better sent to the form than told of a header.
fn wants_page(request: &Request) -> bool {
    let html = |accept: &HeaderValue| accept.to_str().is_ok_and(|accept| accept.contains("text/html"));
    *request.method() == Method::GET
        && !request.uri().path().starts_with("/api/")
        && request.headers().get(ACCEPT).is_some_and(html)
}

/// Notes who is at the other end of the connection.
pub(super) async fn peer(mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    request.extensions_mut().insert(Peer(peer));
    next.run(request).await
}

/// Makes an answer of a panic: the log has the place, whoever asked hears nothing of it.
pub(super) async fn contain(request: Request, next: Next) -> Response {
    let mut answer = pin!(next.run(request));
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context))) {
        Ok(polled) => polled,
        Err(_) => Poll::Ready(Problem::internal().into_response()),
    })
    .await
}

/// Refuses bodies that are packed: nobody needs it here, and what is small packed may be large unpacked.
pub(super) async fn plain(request: Request, next: Next) -> Response {
    let codings = request.headers().get_all(CONTENT_ENCODING);
    if codings.iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Problem::packed().into_response();
    }
    next.run(request).await
}

/// [`hardened`] for a layer.
pub(super) async fn harden(response: Response) -> Response {
    hardened(response)
}

/// Of what is no page and has no policy of its own: nothing is loaded by it, and nobody puts it into a frame.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// What is shown is of this moment, is what its type says, and belongs to no page of another site.
pub(super) fn hardened(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    headers.entry(REFERRER_POLICY).or_insert(HeaderValue::from_static("same-origin"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response
}
