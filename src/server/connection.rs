//! One connection from handshake to close. It never ends because of what a call's answer does.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::auth::mtls::PeerCertificates;
use crate::server::accept::Phase;
use crate::server::pace::{Pace, Paced};
use crate::server::{Answer, Caller, Settings, call};

/// Headers and request line together; more is answered with 431. hyper's default of 100 headers stays: stating it
/// would cost an allocation per call.
const MAX_HEADER_BYTES: usize = 32 * 1024;
/// hyper reads into a buffer of at most this size.
const MAX_BUFFER_BYTES: usize = 64 * 1024;

/// What all connections of the listener share.
pub(super) struct Shared<A> {
    pub(super) settings: Settings,
    pub(super) answer: Arc<A>,
}

pub(super) async fn drive<A: Answer>(
    stream: TcpStream,
    address: SocketAddr,
    shared: Arc<Shared<A>>,
    phase: watch::Receiver<Phase>,
) {
    // An answer is one write; waiting for more would only delay it. A socket that refuses is about to fail anyway.
    let _ = stream.set_nodelay(true);
    let Some(tls) = shared.settings.tls.clone() else {
        return converse(stream, address, None, shared, phase).await;
    };
    match tokio::time::timeout(shared.settings.header_timeout, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => {
            let chain = stream.get_ref().1.peer_certificates();
            let certificates = chain.map(|chain| PeerCertificates(chain.iter().map(|der| der.to_vec()).collect()));
            converse(stream, address, certificates, shared, phase).await;
        }
        // Scanners and health checks of load balancers do this all day.
        Ok(Err(error)) => tracing::debug!({ crate::telemetry::fields::ERROR } = %error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

async fn converse<A: Answer, S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    address: SocketAddr,
    certificates: Option<PeerCertificates>,
    shared: Arc<Shared<A>>,
    mut phase: watch::Receiver<Phase>,
) {
    let pace = Arc::new(Pace::new(Instant::now()));
    let service = service_fn(|mut request: Request<Incoming>| {
        let arrived = pace.call_begins();
        if let Some(certificates) = &certificates {
            request.extensions_mut().insert(certificates.clone());
        }
        let caller = Caller { address, arrived };
        let (shared, pace) = (Arc::clone(&shared), Arc::clone(&pace));
        async move {
            let response = call::answer(&*shared.answer, &shared.settings, request, caller).await;
            pace.call_ends();
            Ok::<_, Infallible>(response)
        }
    });
    let io = TokioIo::new(Paced { stream, pace: Arc::clone(&pace) });
    let mut http = http1::Builder::new();
    http.header_read_timeout(None).max_header_size(MAX_HEADER_BYTES).max_buf_size(MAX_BUFFER_BYTES);
    let mut connection = pin!(http.serve_connection(io, service));

    let (header_timeout, idle_timeout) = (shared.settings.header_timeout, shared.settings.idle_timeout);
    let mut alarm = pin!(tokio::time::sleep(header_timeout.min(idle_timeout)));
    if *phase.borrow_and_update() != Phase::Running {
        connection.as_mut().graceful_shutdown();
    }
    loop {
        tokio::select! {
            biased;
            // Errors here are the other end's: it hung up, or sent what is not HTTP.
            _ = connection.as_mut() => return,
            changed = phase.changed() => match (changed, *phase.borrow()) {
                (Ok(()), Phase::Draining) => connection.as_mut().graceful_shutdown(),
                (Ok(()), Phase::Running) => {}
                (Ok(()), Phase::Closing) | (Err(_), _) => return,
            },
            () = alarm.as_mut() => match pace.patience(header_timeout, idle_timeout) {
                Some(again) => alarm.as_mut().reset(again.into()),
                None => return,
            },
        }
    }
}
