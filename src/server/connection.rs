//! One connection from handshake to close. It never ends because of what a call's answer does.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderValue};
use http::{HeaderMap, Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;

use crate::server::accept::Phase;
use crate::server::body::CallBody;
use crate::server::pace::Pace;
use crate::server::wire::Wire;
use crate::server::{Caller, Respond, Settings, Transport};
use hookgate_engine::auth::mtls::PeerCertificates;
use hookgate_engine::telemetry::fields;

/// Headers and request line together; more is answered with 431. hyper's default of 100 headers stays: stating it
/// would cost an allocation per call.
const MAX_HEADER_BYTES: usize = 32 * 1024;
/// hyper reads into a buffer of at most this size.
const MAX_BUFFER_BYTES: usize = 64 * 1024;

/// How long and how much is still taken from a caller that was answered before its body was read. If we closed at once, the
/// system would reset the connection, and the caller might never see the answer (RFC 9112, section 9.6).
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES: usize = 1024 * 1024;

/// The stream of a connection.
trait Socket: AsyncRead + AsyncWrite + Unpin {
    fn tcp(&self) -> &TcpStream;

    /// Whether the system has something that nobody has read yet, also when nobody was told of it.
    fn has_bytes(&self) -> bool {
        rustix::io::ioctl_fionread(self.tcp()).is_ok_and(|count| count > 0)
    }
}

impl Socket for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Socket for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// What all connections of the listener share.
pub(super) struct Shared<R> {
    pub(super) settings: Settings,
    pub(super) respond: Arc<R>,
}

/// Serves a connection until one side closes it, it is out of patience, or it has to make room for a new one.
pub(super) async fn drive<R: Respond>(
    stream: TcpStream,
    address: SocketAddr,
    shared: Arc<Shared<R>>,
    phase: watch::Receiver<Phase>,
    pace: Arc<Pace>,
) {
    // An answer is one write; waiting for more would only delay it. A socket that refuses is about to fail anyway.
    let _ = stream.set_nodelay(true);
    tokio::select! {
        biased;
        () = shake_hands(stream, address, shared, phase, Arc::clone(&pace)) => {}
        () = pace.evicted() => {}
    }
}

async fn shake_hands<R: Respond>(
    stream: TcpStream,
    address: SocketAddr,
    shared: Arc<Shared<R>>,
    phase: watch::Receiver<Phase>,
    pace: Arc<Pace>,
) {
    let Some(tls) = shared.settings.tls.clone() else {
        return converse(stream, address, None, shared, phase, pace).await;
    };
    match tokio::time::timeout(shared.settings.header_timeout, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => {
            let chain = stream.get_ref().1.peer_certificates();
            let certificates = chain.map(|chain| PeerCertificates(chain.iter().map(|der| der.to_vec()).collect()));
            converse(stream, address, certificates, shared, phase, pace).await;
        }
        // Scanners and health checks of load balancers do this all day.
        Ok(Err(error)) => tracing::debug!({ fields::ERROR } = %error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

async fn converse<R: Respond, S: Socket>(
    mut stream: S,
    address: SocketAddr,
    certificates: Option<PeerCertificates>,
    shared: Arc<Shared<R>>,
    mut phase: watch::Receiver<Phase>,
    pace: Arc<Pace>,
) {
    loop {
        let service = service_fn(|request: Request<Incoming>| {
            let arrived = pace.call_begins(!request.body().is_end_stream());
            let until = arrived + shared.settings.body_timeout;
            let mut request = request.map(|body| CallBody::new(body, Arc::clone(&pace), until));
            if let Some(certificates) = &certificates {
                request.extensions_mut().insert(certificates.clone());
            }
            let (shared, pace, caller) = (Arc::clone(&shared), Arc::clone(&pace), Caller { address, arrived });
            async move { Ok::<_, Infallible>(respond(&*shared.respond, request, caller, pace).await) }
        });
        match talk(stream, service, &shared.settings, &mut phase, &pace).await {
            Some(idle) if idle.has_bytes() => stream = idle,
            Some(mut idle) => {
                let _ = idle.shutdown().await;
                return;
            }
            None => return,
        }
    }
}

/// Lets hyper serve the connection. Gives it back if the listener stops and nothing was heard from the other end for a while.
async fn talk<S: Socket, V, B>(
    stream: S,
    service: V,
    settings: &Settings,
    phase: &mut watch::Receiver<Phase>,
    pace: &Arc<Pace>,
) -> Option<S>
where
    V: HttpService<Incoming, ResBody = B, Error = Infallible>,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
{
    let io = TokioIo::new(Wire::new(stream, Arc::clone(pace)));
    let mut http = http1::Builder::new();
    http.header_read_timeout(None).max_header_size(MAX_HEADER_BYTES).max_buf_size(MAX_BUFFER_BYTES);
    let mut connection = http.serve_connection(io, service);

    if *phase.borrow_and_update() != Phase::Running {
        pace.drain();
    }
    let patience = settings.patience();
    let first = pace.patience(patience).unwrap_or_else(std::time::Instant::now);
    let mut alarm = pin!(tokio::time::sleep_until(first.into()));
    loop {
        tokio::select! {
            biased;
            done = Pin::new(&mut connection) => {
                if let Err(error) = done {
                    // Errors here are the other end's: it hung up, or sent what is not HTTP.
                    tracing::debug!({ fields::ERROR } = %error, "a connection ended early");
                }
                break;
            }
            changed = phase.changed() => match (changed, *phase.borrow()) {
                (Ok(()), Phase::Draining) => {
                    pace.drain();
                    alarm.as_mut().reset(tokio::time::Instant::now());
                }
                (Ok(()), Phase::Running) => {}
                (Ok(()), Phase::Closing) | (Err(_), _) => return None,
            },
            () = alarm.as_mut() => match pace.patience(patience) {
                Some(again) => alarm.as_mut().reset(again.into()),
                None if pace.drains() && pace.is_idle() => return Some(connection.into_parts().io.into_inner().stream),
                None => return None,
            },
        }
    }
    if pace.leaves_body() {
        linger(connection.into_parts().io.into_inner().stream).await;
    }
    None
}

/// The answer to one call, whatever its head is.
async fn respond<R: Respond>(
    respond: &R,
    request: Request<CallBody>,
    caller: Caller,
    pace: Arc<Pace>,
) -> Response<AnswerBody<R::Body>> {
    let is_proper = names_one_host(request.version(), request.headers());
    let mut response = if is_proper {
        respond.respond(request, caller).await
    } else {
        drop(request);
        respond.refuse(Transport::BadHost)
    };
    if !is_proper || pace.leaves_body() || pace.drains() {
        // What is left of the body must not be taken for the next call; and after the stop there is no next one.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(|body| AnswerBody { body, pace })
}

/// Whether there is exactly one `Host`, which could be one (RFC 9112, section 3.2). HTTP/1.0 needs none.
fn names_one_host(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => version < Version::HTTP_11,
        (Some(host), None) => host.as_bytes().iter().all(is_of_host),
        (Some(_), Some(_)) => false,
    }
}

/// What a name, an address and a port are made of. No comma: a proxy might have joined two hosts to one field.
fn is_of_host(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=:%[]".contains(byte)
}

/// Takes what still comes from a caller that has its answer, until it closes.
async fn linger(mut stream: impl AsyncRead + Unpin) {
    let discard = async {
        let mut buffer = [0; 4096];
        let mut left = LINGER_BYTES;
        while let Ok(size @ 1..) = stream.read(&mut buffer).await {
            let Some(rest) = left.checked_sub(size) else { return };
            left = rest;
        }
    };
    let _ = tokio::time::timeout(LINGER, discard).await;
}

/// The body of an answer. The call ends when all of it was handed over.
struct AnswerBody<B> {
    body: B,
    pace: Arc<Pace>,
}

impl<B> Drop for AnswerBody<B> {
    fn drop(&mut self) {
        self.pace.call_ends();
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for AnswerBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
