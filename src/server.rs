//! The public listener: connections, TLS, limits of the transport, graceful stop.
//!
//! It turns bytes into whole calls and hands them to an [`Answer`]; it knows no route, no hook and no script.
//! HTTP/1.1 only: providers' hook clients speak nothing else. It drives hyper itself instead of `axum::serve`, which
//! has neither TLS nor time-outs, and puts no middleware in a call's way: all paths go to one place.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use tokio::net::TcpListener;

use crate::server::accept::Doorman;
use crate::server::tls::Tls;
use crate::telemetry::metrics::Metrics;

mod accept;
mod call;
mod connection;
mod pace;
pub mod tls;

/// What answers calls. `answer` may panic: that call alone gets [`Transport::Panicked`].
pub trait Answer: Send + Sync + 'static {
    /// One whole call; its body is within the limit. The future is dropped when the caller hangs up.
    fn answer(&self, call: Request<Bytes>, caller: Caller) -> impl Future<Output = Response<Bytes>> + Send;

    /// What to send when no whole call arrived, or when answering it panicked.
    fn refuse(&self, refusal: Transport) -> Response<Bytes>;
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
    /// The body is larger than allowed: 413.
    TooLarge,
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
            Self::TooLarge => http::StatusCode::PAYLOAD_TOO_LARGE,
            Self::SlowBody => http::StatusCode::REQUEST_TIMEOUT,
            Self::BrokenBody => http::StatusCode::BAD_REQUEST,
            Self::Panicked => http::StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Limits of the transport.
#[derive(Clone)]
pub struct Settings {
    /// A larger body is refused with 413; no more than this is ever buffered.
    pub max_body_bytes: usize,
    /// From the first byte of the call to the last of its body; then 408.
    pub body_timeout: Duration,
    /// From the first byte of a call to the end of its headers, and for the TLS handshake; then the connection is closed.
    pub header_timeout: Duration,
    /// How long a connection may be silent between calls.
    pub idle_timeout: Duration,
    /// More connections than this wait to be accepted.
    pub max_connections: u32,
    /// How long calls in flight may take to finish after the stop.
    pub stop_grace: Duration,
    /// HTTPS instead of HTTP.
    pub tls: Option<Arc<Tls>>,
    /// Where open connections are counted.
    pub metrics: Arc<Metrics>,
}

impl Settings {
    /// The defaults of `gateway.toml`, without TLS.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            max_body_bytes: 4_194_304,
            body_timeout: Duration::from_secs(3),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            max_connections: 10_000,
            stop_grace: Duration::from_secs(10),
            tls: None,
            metrics,
        }
    }
}

/// Serves until `stop` resolves, then accepts no more, closes idle connections, lets calls in flight finish for
/// `stop_grace` and closes what is left.
///
/// Whoever resolves `stop` also makes readiness false, before or at the same moment. Errors of accepting are logged and
/// waited out; they never end this.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    answer: Arc<impl Answer>,
    stop: impl Future<Output = ()>,
) {
    Doorman::new(settings, answer).work(listener, stop).await;
}

#[cfg(test)]
mod tests;
