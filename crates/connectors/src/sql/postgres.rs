//! PostgreSQL.
//!
//! Every statement is prepared, which allows only one, and runs in a transaction that may only read and that is never
//! committed. So nothing of a session outlives a question but advisory locks, which are given back after it. Rows are asked for in a number: no more than may be answered leave the server.

use std::error::Error as _;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{ChannelBinding, NoTls, TlsConnect, TlsStream};
use tokio_postgres::{Client, Config, Error};
use url::Host;

use crate::egress::Egress;
use crate::redact::Redact;
use crate::sql::postgres::cell::{Cell, Parameter};
use crate::sql::reading;
use crate::sql::reading::{Asked, Gathered, Limits, rejected, too_long};
use crate::sql::target::Server;
use crate::wire;
use crate::wire::Trust;
use hookgate_model::question::{Reason, Trouble};

mod cell;

/// A connection.
pub(super) struct Link {
    client: Client,
    /// Moves the bytes; ends when the server does.
    driver: JoinHandle<()>,
    meter: Meter,
    redact: Redact,
}

impl Drop for Link {
    /// Whatever still comes: nobody waits for it.
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Link {
    pub(super) async fn connect(
        server: &Server,
        egress: &Egress,
        trust: Option<&Trust>,
        time: Duration,
        limits: Limits,
    ) -> Result<Self, Trouble> {
        let stream = wire::connect(egress, &server.host, server.port, time.mul_f64(0.75)).await?;
        let meter = Meter::new(limits);
        let stream = Metered { stream, meter: meter.clone() };
        let mut config = Config::new();
        config.user(&server.user).dbname(&server.database).application_name("hookgate");
        if server.has_password() {
            config.password(server.password.expose());
        }
        let redact = Redact::default().and(&server.password);
        let judge = |error: &Error| trouble(error, &redact);
        let (client, driver) = match trust {
            Some(trust) => {
                config.ssl_mode(SslMode::Require);
                let tls = Tls { trust, host: &server.host };
                let (client, connection) = config.connect_raw(stream, tls).await.map_err(|error| judge(&error))?;
                (client, tokio::spawn(async move { drop(connection.await) }))
            }
            None => {
                config.ssl_mode(SslMode::Disable);
                let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(|error| judge(&error))?;
                (client, tokio::spawn(async move { drop(connection.await) }))
            }
        };
        Ok(Self { client, driver, meter, redact })
    }

    pub(super) fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    /// `PostgreSQL 15.3`.
    pub(super) async fn version(&self) -> Result<String, Trouble> {
        let row =
            self.client.query_one("SHOW server_version", &[]).await.map_err(|error| trouble(&error, &self.redact))?;
        let version: &str = row.try_get(0).map_err(|error| trouble(&error, &self.redact))?;
        Ok(format!("PostgreSQL {}", version.split(' ').next().unwrap_or_default()))
    }

    /// Asks; when nearly all of `left` is over, the server stops the statement by itself.
    pub(super) async fn ask(&mut self, asked: &Asked<'_>, left: Duration) -> Result<Value, Trouble> {
        self.meter.restart(asked.limits);
        let answer = self.read(asked, left).await;
        // Sent behind the end of the transaction; nobody waits for the answer.
        begin(self.client.batch_execute("SELECT pg_advisory_unlock_all()"));
        if self.meter.is_full() { Err(too_long(asked.limits)) } else { answer }
    }

    async fn read(&mut self, asked: &Asked<'_>, left: Duration) -> Result<Value, Trouble> {
        let redact = &self.redact;
        let trouble = |error: Error| trouble(&error, redact);
        // Dropped, it is rolled back.
        let transaction = self.client.build_transaction().read_only(true).start().await.map_err(trouble)?;
        let time = format!("SET LOCAL statement_timeout = {}", reading::stop_after(left).as_millis().max(1));
        let (_, statement) = tokio::try_join!(transaction.batch_execute(&time), transaction.prepare(asked.statement))
            .map_err(trouble)?;
        asked.check_count(statement.params().len())?;
        let names = statement.columns().iter().map(|column| column.name().to_owned()).collect();
        let mut gathered = Gathered::new(asked, names)?;
        let columns = gathered.columns().len();
        statement.columns()[..columns].iter().try_for_each(|column| cell::check(column.name(), column.type_()))?;
        let parameters: Vec<Parameter> = asked.parameters.iter().map(Parameter::of).collect();
        let portal = transaction.bind_raw(&statement, &parameters).await.map_err(trouble)?;
        let most = i32::try_from(gathered.most()).unwrap_or(i32::MAX);
        // The meter keeps them few in bytes, too.
        for row in transaction.query_portal(&portal, most).await.map_err(trouble)? {
            let cell = |at: usize| {
                let cell: Result<Cell, Error> = row.try_get(at);
                let column = statement.columns()[at].name();
                cell.map(|cell| cell.0).map_err(|error| cell::unreadable(column, error.source()))
            };
            gathered.add((0..columns).map(cell).collect::<Result<_, _>>()?)?;
        }
        Ok(gathered.answer())
    }
}

/// Begins something whose first step sends all of it, and does not wait for its end.
fn begin(work: impl Future) {
    let _ = pin!(work).poll(&mut Context::from_waker(Waker::noop()));
}

/// What went wrong, in words that hold no data.
fn trouble(error: &Error, redact: &Redact) -> Trouble {
    let Some(said) = error.as_db_error() else {
        return match error.source() {
            Some(_) if error.to_string().starts_with("authentication error") => {
                Trouble::new(Reason::Denied, "the server wants the password in an unknown form")
            }
            Some(_) if error.to_string().starts_with("invalid configuration") => {
                Trouble::new(Reason::Denied, "the server wants a password, and there is none")
            }
            Some(source) if error.to_string().starts_with("error performing TLS handshake") => no_tls(source),
            Some(source) => wire::broken(source),
            None => Trouble::new(Reason::Unreachable, format!("the connection broke: {error}")),
        };
    };
    let code = said.code();
    let words = || format!("{} ({})", redact.excerpt(said.message()), code.code());
    match code.code().get(..2).unwrap_or_default() {
        _ if *code == SqlState::QUERY_CANCELED || *code == SqlState::LOCK_NOT_AVAILABLE => {
            reading::stopped(code.code())
        }
        _ if *code == SqlState::READ_ONLY_SQL_TRANSACTION => {
            rejected(format!("the statement writes, and this connector only reads ({})", code.code()))
        }
        "28" => Trouble::new(Reason::Denied, words()),
        _ if *code == SqlState::INSUFFICIENT_PRIVILEGE => Trouble::new(Reason::Denied, words()),
        "53" => Trouble::new(Reason::Limited, words()),
        "08" if *code != SqlState::PROTOCOL_VIOLATION => Trouble::new(Reason::Unreachable, words()),
        "57" | "58" | "XX" => {
            Trouble::new(Reason::Unreachable, format!("the server ended the connection ({})", code.code()))
        }
        // Mistakes in the statement: names and parts of it. All else may tell data, and only its number is told.
        "0A" | "3D" | "3F" | "42" => rejected(words()),
        _ => rejected(format!("the server refuses the statement: error {}", code.code())),
    }
}

fn no_tls(source: &(dyn std::error::Error + 'static)) -> Trouble {
    match source.to_string().as_str() {
        "server does not support TLS" => {
            Trouble::new(Reason::Forbidden, "the server offers no TLS: `tls = \"none\"` does without")
        }
        _ => wire::broken(source),
    }
}

/// How TLS is made over a connection.
struct Tls<'a> {
    trust: &'a Trust,
    host: &'a Host,
}

type Secured = tokio_rustls::client::TlsStream<Metered>;

struct SecuredStream(Secured);

impl<'a> TlsConnect<Metered> for Tls<'a> {
    type Stream = SecuredStream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<SecuredStream>> + Send + 'a>>;

    fn connect(self, stream: Metered) -> Self::Future {
        Box::pin(async move { self.trust.secure(self.host, stream).await.map(SecuredStream) })
    }
}

impl TlsStream for SecuredStream {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for SecuredStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for SecuredStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// Bytes that may still be read for one answer: the driver collects a row whole before anybody sees how long it is.
#[derive(Clone)]
struct Meter(Arc<AtomicUsize>);

impl Meter {
    fn new(limits: Limits) -> Self {
        let meter = Self(Arc::default());
        meter.restart(limits);
        meter
    }

    fn restart(&self, limits: Limits) {
        self.0.store(limits.bytes.saturating_mul(2).saturating_add(1 << 20), Ordering::Relaxed);
    }

    fn is_full(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    fn count(&self, bytes: usize) {
        let rest = self.0.load(Ordering::Relaxed);
        self.0.store(rest.saturating_sub(bytes), Ordering::Relaxed);
    }
}

/// A connection that breaks when more is read than the meter allows.
struct Metered {
    stream: TcpStream,
    meter: Meter,
}

impl AsyncRead for Metered {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.meter.is_full() {
            return Poll::Ready(Err(io::Error::other("the answer is too long")));
        }
        let before = into.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, into);
        self.meter.count(into.filled().len() - before);
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
