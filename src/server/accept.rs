//! Accepting connections, never more than allowed, and the graceful stop. It reads no byte of any connection.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::server::connection::{self, Shared};
use crate::server::pace::Pace;
use crate::server::places::{Place, Places};
use crate::server::{Respond, Settings, Waiting};
use hookgate_engine::telemetry::fields;

/// How long to wait when the process is out of files or memory: closing connections is what helps.
const BACK_OFF: Duration = Duration::from_millis(100);
/// How long connections get to notice that they must close at once.
const LAST_WAIT: Duration = Duration::from_secs(1);
/// The same trouble is told once in this time.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// What connections are told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// Finish the call in flight, or the one that is just arriving, and take no other.
    Draining,
    /// Close at once.
    Closing,
}

pub(super) struct Doorman<R> {
    shared: Arc<Shared<R>>,
    places: Arc<Places>,
    phase: watch::Sender<Phase>,
    /// Connections measure their times from here.
    origin: Instant,
}

impl<R: Respond> Doorman<R> {
    pub(super) fn new(settings: Settings, respond: Arc<R>) -> Self {
        let places = Places::new(settings.max_connections as usize);
        let shared = Arc::new(Shared { settings, respond });
        Self { shared, places, phase: watch::Sender::new(Phase::Running), origin: Instant::now() }
    }

    pub(super) async fn work(self, listener: TcpListener, stop: impl Future<Output = Waiting>) {
        let waiting = tokio::select! {
            waiting = stop => waiting,
            never = self.accept(&listener) => match never {},
        };
        if waiting == Waiting::Answered {
            self.accept_waiting(listener);
        } else {
            drop(listener);
        }
        self.drain().await;
    }

    /// Accepts those that are connected already: closing the socket would cut them off. The runtime may not know of the last ones.
    fn accept_waiting(&self, listener: TcpListener) {
        let Ok(listener) = listener.into_std() else { return };
        while let Ok((stream, address)) = listener.accept() {
            let pace = Arc::new(Pace::new(self.origin));
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            if let (Ok(stream), Some(place)) = (stream, self.places.take(&pace)) {
                self.admit(stream, address, pace, place);
            }
        }
    }

    async fn accept(&self, listener: &TcpListener) -> Infallible {
        let (mut full, mut failing) = (Trouble::default(), Trouble::default());
        loop {
            match listener.accept().await {
                Ok((stream, address)) => {
                    let pace = Arc::new(Pace::new(self.origin));
                    let place = match self.places.take(&pace) {
                        Some(place) => place,
                        None => {
                            self.tell_full(&mut full);
                            self.places.make_room(&pace).await
                        }
                    };
                    self.admit(stream, address, pace, place);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    self.tell_failing(&mut failing, &error);
                    tokio::time::sleep(BACK_OFF).await;
                }
            }
        }
    }

    fn tell_full(&self, trouble: &mut Trouble) {
        if let Some(times) = trouble.tell() {
            let Settings { name, max_connections, .. } = self.shared.settings;
            tracing::warn!(
                { fields::LISTENER } = name,
                { fields::CONNECTIONS_COUNT } = max_connections,
                times,
                "all connections that are allowed are open: those that wait for nothing are closed for new ones"
            );
        }
    }

    fn tell_failing(&self, trouble: &mut Trouble, error: &io::Error) {
        if let Some(times) = trouble.tell() {
            tracing::error!(
                { fields::LISTENER } = self.shared.settings.name,
                { fields::ERROR } = %error,
                { fields::CONNECTIONS_COUNT } = self.places.taken(),
                times,
                "connections cannot be accepted at the moment"
            );
        }
    }

    fn admit(&self, stream: TcpStream, address: SocketAddr, pace: Arc<Pace>, place: Place) {
        let shared = Arc::clone(&self.shared);
        let phase = self.phase.subscribe();
        tokio::spawn(async move {
            let gauge = OpenConnection::new(&shared);
            connection::drive(stream, address, Arc::clone(&shared), phase, pace).await;
            drop(gauge);
            drop(place);
        });
    }

    async fn drain(&self) {
        self.phase.send_replace(Phase::Draining);
        if tokio::time::timeout(self.shared.settings.stop_grace, self.places.empty()).await.is_ok() {
            return;
        }
        tracing::warn!(
            { fields::LISTENER } = self.shared.settings.name,
            { fields::CONNECTIONS_COUNT } = self.places.taken(),
            "calls in flight are cut off, the time to stop is over"
        );
        self.phase.send_replace(Phase::Closing);
        // Whoever has not noticed by then is ended with the runtime.
        let _ = tokio::time::timeout(LAST_WAIT, self.places.empty()).await;
    }
}

/// Something that may happen very often and is told now and then.
#[derive(Default)]
struct Trouble {
    told: Option<Instant>,
    times: u64,
}

impl Trouble {
    /// How often it has happened since it was told last, if it is time to tell it again.
    fn tell(&mut self) -> Option<u64> {
        self.times += 1;
        if self.told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
            return None;
        }
        self.told = Some(Instant::now());
        Some(std::mem::take(&mut self.times))
    }
}

/// Errors that say that the connection to be accepted is gone; the listener is well.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused)
}

/// Counts a connection for as long as it lives, panics included.
struct OpenConnection<R>(Arc<Shared<R>>);

impl<R> OpenConnection<R> {
    fn new(shared: &Arc<Shared<R>>) -> Self {
        shared.settings.open.inc();
        Self(Arc::clone(shared))
    }
}

impl<R> Drop for OpenConnection<R> {
    fn drop(&mut self) {
        self.0.settings.open.dec();
    }
}
