//! Accepting connections, never more than allowed, and the graceful stop. It reads no byte of any connection.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::server::connection::{self, Shared};
use crate::server::{Answer, Settings};
use crate::telemetry::fields;

/// How long to wait when the process is out of files or memory: closing connections is what helps.
const BACK_OFF: Duration = Duration::from_millis(100);
/// How long connections get to notice that they must close at once.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// What connections are told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// Finish the call in flight, take no other.
    Draining,
    /// Close at once.
    Closing,
}

pub(super) struct Doorman<A> {
    shared: Arc<Shared<A>>,
    places: Arc<Semaphore>,
    phase: watch::Sender<Phase>,
}

impl<A: Answer> Doorman<A> {
    pub(super) fn new(settings: Settings, answer: Arc<A>) -> Self {
        let places = Arc::new(Semaphore::new(settings.max_connections as usize));
        Self { shared: Arc::new(Shared { settings, answer }), places, phase: watch::Sender::new(Phase::Running) }
    }

    pub(super) async fn work(self, listener: TcpListener, stop: impl Future<Output = ()>) {
        tokio::select! {
            () = stop => {}
            () = self.accept(&listener) => {}
        }
        drop(listener);
        self.drain().await;
    }

    async fn accept(&self, listener: &TcpListener) {
        while let Ok(place) = Arc::clone(&self.places).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, address)) => self.admit(stream, address, place),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    let open = self.shared.settings.metrics.connections.get();
                    tracing::error!(
                        { fields::ERROR } = %error,
                        { fields::CONNECTIONS_COUNT } = open,
                        "connections cannot be accepted at the moment"
                    );
                    tokio::time::sleep(BACK_OFF).await;
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, address: std::net::SocketAddr, place: OwnedSemaphorePermit) {
        let shared = Arc::clone(&self.shared);
        let phase = self.phase.subscribe();
        tokio::spawn(async move {
            let gauge = OpenConnection::new(&shared);
            connection::drive(stream, address, Arc::clone(&shared), phase).await;
            drop(gauge);
            drop(place);
        });
    }

    async fn drain(&self) {
        self.phase.send_replace(Phase::Draining);
        let all = self.shared.settings.max_connections;
        let mut gone = pin!(self.places.acquire_many(all));
        if tokio::time::timeout(self.shared.settings.stop_grace, gone.as_mut()).await.is_ok() {
            return;
        }
        let open = self.shared.settings.metrics.connections.get();
        tracing::warn!({ fields::CONNECTIONS_COUNT } = open, "calls in flight are cut off, the time to stop is over");
        self.phase.send_replace(Phase::Closing);
        // Whoever has not noticed by then is ended with the runtime.
        let _ = tokio::time::timeout(LAST_WAIT, gone).await;
    }
}

/// Errors that say that the connection to be accepted is gone; the listener is well.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused)
}

/// Counts a connection for as long as it lives, panics included.
struct OpenConnection<A>(Arc<Shared<A>>);

impl<A> OpenConnection<A> {
    fn new(shared: &Arc<Shared<A>>) -> Self {
        shared.settings.metrics.connections.inc();
        Self(Arc::clone(shared))
    }
}

impl<A> Drop for OpenConnection<A> {
    fn drop(&mut self) {
        self.0.settings.metrics.connections.dec();
    }
}
