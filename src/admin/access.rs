//! Who may ask the admin listener, and what for. Tokens are only ever compared, in constant time.
//!
//! A request shows a bearer token, or the cookie of a session that a token began. Where no token is configured, everybody
//! who asks for a loopback `Host` is an operator. What changes something must also come from where it says ([`origin`]).

use std::fmt;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method};
use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::access::failures::Failures;
use crate::admin::access::session::{Session, Sessions};
use crate::admin::access::sight::Sight;
use crate::admin::problem::Problem;
use hookgate_model::secret::Secret;

pub mod failures;
pub mod origin;
pub mod session;
pub mod sight;

/// What requests must show, and who has shown it.
pub struct Access {
    operator: Option<Secret>,
    reader: Option<Secret>,
    sessions: Sessions,
    failures: Failures,
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks at everything but what came from calls ([`sight`]), changes nothing.
    Reader,
    /// Sees and does everything.
    Operator,
}

/// How somebody has shown who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    Bearer,
    /// With the public name of the session.
    Session(String),
    Loopback,
}

/// Who asks. An extension of every request that is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub role: Role,
    way: Way,
}

impl Identity {
    pub fn is_operator(&self) -> bool {
        self.role == Role::Operator
    }

    /// What they may see.
    pub fn sight(&self) -> Sight {
        Sight::of(self.role)
    }

    /// The proof that an operator asks; nothing for readers.
    pub fn operator(&self) -> Option<Operator> {
        self.is_operator().then(|| Operator(self.to_string()))
    }
}

/// Proof that an operator asks: what changes something, or makes the gateway work, takes one. Its text is how the log of
/// changes names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator(String);

impl Operator {
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Identity>().and_then(Identity::operator).ok_or_else(Problem::role)
    }
}

/// As the log of changes names them: `token`, `read_token`, `session 1a2b3c`, `loopback`.
impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.way, self.role) {
            (Way::Session(name), _) => write!(formatter, "session {name}"),
            (Way::Loopback, _) => formatter.write_str("loopback"),
            (Way::Bearer, Role::Operator) => formatter.write_str("token"),
            (Way::Bearer, Role::Reader) => formatter.write_str("read_token"),
        }
    }
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// No token, a wrong one, or a session that is over.
    Token,
    /// No token is configured, and the request did not ask for a loopback host.
    Host,
    /// It would change something, and a page of somebody else may have sent it.
    CrossSite,
    /// Too many wrong tokens came from there.
    TooMany,
}

impl Access {
    /// No tokens: for a listener on a loopback address. `Host` must be `localhost` or a loopback address.
    pub fn loopback() -> Self {
        Self::tokens(None, None)
    }

    /// `Authorization: Bearer TOKEN`, for operators and for readers. An empty token lets nobody in.
    pub fn tokens(operator: Option<Secret>, reader: Option<Secret>) -> Self {
        Self { operator, reader, sessions: Sessions::default(), failures: Failures::default() }
    }

    /// Whether no token is configured.
    pub fn is_open(&self) -> bool {
        self.operator.is_none() && self.reader.is_none()
    }

    /// Who sends this request. `peer` is who is at the other end of the connection.
    ///
    /// # Errors
    /// It is not to be answered, and why.
    pub fn check(&self, method: &Method, headers: &HeaderMap, peer: Option<IpAddr>) -> Result<Identity, Denied> {
        let identity = self.identity(headers, peer)?;
        let shown = match identity.way {
            Way::Bearer => origin::Shown::Token,
            Way::Session(_) => origin::Shown::Cookie,
            Way::Loopback => origin::Shown::Nothing,
        };
        origin::check(method, headers, shown)?;
        Ok(identity)
    }

    fn identity(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Result<Identity, Denied> {
        if self.is_open() {
            let loopback = Identity { role: Role::Operator, way: Way::Loopback };
            return if asks_for_loopback(headers) { Ok(loopback) } else { Err(Denied::Host) };
        }
        if let Some(token) = bearer(headers) {
            return self.token(token, peer).map(|role| Identity { role, way: Way::Bearer });
        }
        let session = self.sessions.find(headers).ok_or(Denied::Token)?;
        Ok(Identity { role: session.role, way: Way::Session(session.name) })
    }

    /// The role of a token. Where too many were wrong, none is compared for a while: an answer would tell a right one.
    fn token(&self, given: &[u8], peer: Option<IpAddr>) -> Result<Role, Denied> {
        if !self.failures.may_try(peer) {
            return Err(Denied::TooMany);
        }
        let is = |token: &Option<Secret>| token.as_ref().is_some_and(|token| !given.is_empty() && token.matches(given));
        // Both are compared whatever the first one says.
        match (is(&self.operator), is(&self.reader)) {
            (true, _) => Ok(Role::Operator),
            (false, true) => Ok(Role::Reader),
            (false, false) => {
                self.failures.wrong(peer);
                Err(Denied::Token)
            }
        }
    }

    /// Begins a session with a token. Where no token is configured there is none to begin.
    ///
    /// # Errors
    /// The token is wrong, or a page of somebody else sent it.
    pub fn sign_in(&self, token: &[u8], headers: &HeaderMap, peer: Option<IpAddr>) -> Result<Option<Session>, Denied> {
        if self.is_open() {
            return self.check(&Method::POST, headers, peer).map(|_| None);
        }
        origin::check(&Method::POST, headers, origin::Shown::Token)?;
        let role = self.token(token, peer)?;
        Ok(Some(self.sessions.begin(role)))
    }

    /// Ends the session of this request, if it has one.
    ///
    /// # Errors
    /// A page of somebody else sent it.
    pub fn sign_out(&self, headers: &HeaderMap) -> Result<(), Denied> {
        origin::check(&Method::DELETE, headers, origin::Shown::Token)?;
        self.sessions.end(headers);
        Ok(())
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

fn asks_for_loopback(headers: &HeaderMap) -> bool {
    let Some(authority) = headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok()) else {
        return false;
    };
    let host = authority.host();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}
