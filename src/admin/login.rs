//! Signing in and out by form, for browsers: `POST /login` and `POST /logout`. Who asks for a page unknown is sent there.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Extension, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::admin::access::session;
use crate::admin::access::{Access, Denied};
use crate::admin::problem::Problem;

/// Who is at the other end of the connection; nobody in tests without one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) Option<IpAddr>);

/// The page with the form.
pub(super) const PAGE: &str = "/login";

/// Bytes of what a stranger may send: a token and a path.
pub(super) const MAX_BYTES: usize = 16 * 1024;

pub(super) fn router() -> Router<Arc<Access>> {
    let forms = Router::new().route(PAGE, post(sign_in)).route("/logout", post(sign_out));
    forms.layer(DefaultBodyLimit::max(MAX_BYTES))
}

/// The form's `token` begins a session and leads to the page `to`. What is wrong is told by the page with the form, which
/// is asked for with `?wrong=token` or `?wrong=tries`.
async fn sign_in(
    State(access): State<Arc<Access>>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    form: Bytes,
) -> Response {
    let field = |wanted: &str| {
        let found = form_urlencoded::parse(&form).find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let (token, to) = (Zeroizing::new(field("token")), field("to"));
    match access.sign_in(token.as_bytes(), &headers, peer) {
        Ok(session) => {
            let mut response = see(local(&to));
            if let Some(session) = session {
                put_cookie(&mut response, &session.set_cookie(came_by_https(&headers)));
            }
            response
        }
        Err(denied @ (Denied::Token | Denied::TooMany)) => {
            let wrong = if denied == Denied::Token { "token" } else { "tries" };
            see(&login(wrong, local(&to)))
        }
        Err(denied) => Problem::from(denied).into_response(),
    }
}

async fn sign_out(State(access): State<Arc<Access>>, headers: HeaderMap) -> Response {
    if let Err(denied) = access.sign_out(&headers) {
        return Problem::from(denied).into_response();
    }
    let mut response = see(PAGE);
    put_cookie(&mut response, &session::forget_cookie());
    response
}

/// Sends a browser to the form, and back from there to the page that it asked for.
pub(super) fn ask(page: &str) -> Response {
    see(&login("", page))
}

fn login(wrong: &str, to: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if !wrong.is_empty() {
        query.append_pair("wrong", wrong);
    }
    if to != "/" {
        query.append_pair("to", to);
    }
    let query = query.finish();
    if query.is_empty() { PAGE.to_owned() } else { format!("{PAGE}?{query}") }
}

/// A path of this listener, and never an address elsewhere: browsers read `//host` and `/\host` as one.
fn local(to: &str) -> &str {
    let own =
        to.starts_with('/') && !to[1..].starts_with(['/', '\\']) && to.bytes().all(|byte| byte.is_ascii_graphic());
    if own { to } else { "/" }
}

fn see(to: &str) -> Response {
    let location = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response()
}

/// Adds a cookie to a response.
pub(super) fn put_cookie(response: &mut Response, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// Whether a proxy says that the browser came by HTTPS; this listener itself speaks plain HTTP. Who makes it up gets a
/// stricter cookie and nothing else.
pub(super) fn came_by_https(headers: &HeaderMap) -> bool {
    headers.get("x-forwarded-proto").is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere_after_signing_in() {
        for to in ["/", "/events/7?x=1"] {
            assert_eq!(local(to), to);
        }
        for to in ["", "https://evil.example", "//evil.example", "/\\evil.example", "/a\nb", "/\u{e4}", "evil"] {
            assert_eq!(local(to), "/", "{to}");
        }
    }

    #[test]
    fn the_form_knows_where_somebody_wanted_to_go() {
        assert_eq!(login("", "/"), "/login");
        assert_eq!(login("token", "/events/7?a=b&c"), "/login?wrong=token&to=%2Fevents%2F7%3Fa%3Db%26c");
    }
}
