//! Both listeners: connections, TLS, limits of the transport, graceful stop.
//!
//! It turns bytes into requests for a [`Respond`]; [`Calls`] makes whole calls of them for an [`Answer`], the public listener's.
//! It knows no route, no hook and no script. HTTP/1.1 only: providers' hook clients speak nothing else. It drives hyper itself
//! instead of `axum::serve`, which has neither TLS nor time-outs nor limits, and puts no middleware in a call's way.

use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use prometheus_client::metrics::gauge::Gauge;
use tokio::net::TcpListener;

pub use crate::server::body::{Budget, CallBody};
pub use crate::server::call::Calls;

use crate::server::accept::Doorman;
use crate::server::pace::Patience;
use crate::server::tls::Tls;

mod accept;
mod body;
mod call;
mod connection;
mod pace;
mod places;
mod strict;
pub mod tls;
mod wire;

/// What answers the requests of a listener.
pub trait Respond: Send + Sync + 'static {
    /// What its answers are made of.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static;

    /// One request, whose body is not read yet. What is left of it when the answer is given is never read: the connection
    /// closes then. The future is dropped when the caller hangs up; it must not panic.
    fn respond(&self, request: Request<CallBody>, caller: Caller) -> impl Future<Output = Response<Self::Body>> + Send;

    /// What to send when a request is refused before it is looked at.
    fn refuse(&self, refusal: Transport) -> Response<Self::Body>;
}

/// What answers calls, in two steps: nobody's body is read before [`admit`](Self::admit) let its head pass, because only that
/// makes what [`answer`](Self::answer) asks for. Both may panic: that call alone gets [`Transport::Panicked`].
pub trait Answer: Send + Sync + 'static {
    /// A call whose head was let pass.
    type Admitted: Send;

    /// Looks at the head alone: nothing of the body was read, and no `100 Continue` sent.
    ///
    /// # Errors
    /// The answer to who is not let pass. If there is a body, it is not read and the connection closes.
    fn admit(
        &self,
        head: Parts,
        caller: Caller,
    ) -> impl Future<Output = Result<Self::Admitted, Response<Bytes>>> + Send;

    /// One whole call; its body is within the limit. The future is dropped when the caller hangs up.
    fn answer(&self, call: Self::Admitted, body: Bytes) -> impl Future<Output = Response<Bytes>> + Send;

    /// What to send when no whole call arrived, or when answering it panicked. `call`: as far as it came.
    fn refuse(&self, call: Option<Self::Admitted>, refusal: Transport) -> Response<Bytes>;
}

/// Who called and when.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The other end of the connection: a proxy's address where there is one.
    pub address: SocketAddr,
    /// When the first byte of the call arrived: deadlines count from here.
    pub arrived: Instant,
}

/// Why a connection brought no answerable call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// There is no `Host`, there are several, or it is none: 400.
    BadHost,
    /// The body is packed (`Content-Encoding`): 415.
    Encoded,
    /// The body is larger than allowed: 413.
    TooLarge,
    /// The bodies of all calls in flight hold all the memory that they may: 503.
    NoRoom,
    /// The body did not arrive in time: 408.
    SlowBody,
    /// The body broke off or its framing is wrong: 400, though hyper mostly closes such a connection before that is sent.
    BrokenBody,
    /// Answering panicked: 500.
    Panicked,
}

impl Transport {
    /// The HTTP status to answer with.
    pub fn status(self) -> http::StatusCode {
        match self {
            Self::BadHost | Self::BrokenBody => http::StatusCode::BAD_REQUEST,
            Self::Encoded => http::StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => http::StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoRoom => http::StatusCode::SERVICE_UNAVAILABLE,
            Self::SlowBody => http::StatusCode::REQUEST_TIMEOUT,
            Self::Panicked => http::StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Limits of a listener.
#[derive(Clone)]
pub struct Settings {
    /// What the log calls the listener.
    pub name: &'static str,
    /// From the first byte of the call to the last of its body; then 408.
    pub body_timeout: Duration,
    /// From the start of a connection, and later from the first byte of a call, to the end of its head; and for the TLS
    /// handshake. Then the connection is closed.
    pub header_timeout: Duration,
    /// How long a connection may be silent between calls.
    pub idle_timeout: Duration,
    /// How long the other end may take nothing of an answer. Then the connection is closed.
    pub stall_timeout: Duration,
    /// At this many connections, one that waits for nothing is closed for each new one. Where all are in work, more wait to be
    /// accepted.
    pub max_connections: u32,
    /// How long calls in flight may take to finish after the stop.
    pub stop_grace: Duration,
    /// HTTPS instead of HTTP.
    pub tls: Option<Arc<Tls>>,
    /// Where open connections are counted.
    pub open: Gauge,
}

impl Settings {
    /// The defaults of `gateway.toml`, without TLS.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            body_timeout: Duration::from_secs(3),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            stall_timeout: Duration::from_secs(30),
            max_connections: 10_000,
            stop_grace: Duration::from_secs(10),
            tls: None,
            open: Gauge::default(),
        }
    }

    fn patience(&self) -> Patience {
        Patience { header: self.header_timeout, idle: self.idle_timeout, stalled: self.stall_timeout }
    }
}

/// What becomes, at the stop, of callers that the system has connected and nobody has accepted yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// They are accepted and answered, then the socket is closed.
    Answered,
    /// They wait for the next process, which has the same socket.
    Left,
}

/// Serves until `stop` resolves, then accepts no more, lets calls in flight finish for `stop_grace` and closes what is left. Calls
/// that arrive meanwhile on open connections are answered, with `connection: close`; a connection that is silent for a quarter of
/// a second is closed.
///
/// Whoever resolves `stop` also makes readiness false, before or at the same moment. Errors of accepting are logged and
/// waited out; they never end this.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    respond: Arc<impl Respond>,
    stop: impl Future<Output = Waiting>,
) {
    Doorman::new(settings, respond).work(listener, stop).await;
}

#[cfg(test)]
mod tests;
