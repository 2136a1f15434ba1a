//! The connection to a receiver: opened within its time, watched for its end, and kept for the next message.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use url::Host;

use crate::Trouble;
use crate::egress::Egress;
use crate::time_limit::within;
use crate::wire::Trust;

/// After this long without a message a connection is not used again: what stands between may have forgotten it, and then
/// what is written to it vanishes.
const MOST_IDLE: Duration = Duration::from_mins(1);

/// A receiver has nothing to say. One that says more than this is none.
const MOST_HEARD_BYTES: usize = 64 * 1024;

/// Where messages go.
pub(super) struct Receiver {
    host: Host,
    port: u16,
    egress: Egress,
    tls: Option<Trust>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// An open connection.
pub(super) struct Connection {
    writer: WriteHalf<Box<dyn Stream>>,
    /// Ends when the receiver does.
    watch: JoinHandle<()>,
    /// When it was opened or last written to.
    pub(super) used: Instant,
}

impl Receiver {
    pub(super) fn with_tls(host: Host, port: u16, egress: Egress, authorities: Option<Vec<u8>>) -> Self {
        Self { host, port, egress, tls: Some(Trust::new(authorities)) }
    }

    pub(super) fn in_the_clear(host: Host, port: u16, egress: Egress) -> Self {
        Self { host, port, egress, tls: None }
    }

    /// A new connection. Each address of the host gets its share of the time.
    ///
    /// # Errors
    /// There is none; nothing was written.
    pub(super) async fn connect(&self, time: Duration) -> Result<Connection, Trouble> {
        let addresses = self.egress.addresses_of(&self.host).await?;
        let share = time / u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        let mut problems = Vec::new();
        for address in addresses {
            match within(share, self.open((address, self.port).into())).await {
                Ok(Ok(stream)) => return Ok(Connection::new(stream)),
                Ok(Err(error)) => problems.push(error.to_string()),
                Err(_) => problems.push("it did not accept one in time".to_owned()),
            }
        }
        problems.dedup();
        Err(Trouble::not_delivered(format!("there is no connection: {}", problems.join("; "))))
    }

    async fn open(&self, address: SocketAddr) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        Ok(Box::new(tls.secure(&self.host, stream).await?))
    }
}

impl Connection {
    fn new(stream: Box<dyn Stream>) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self { writer, watch: tokio::spawn(heard_out(reader)), used: Instant::now() }
    }

    /// The receiver has not closed it, as far as is known here, and it was used a moment ago.
    pub(super) fn is_open(&self) -> bool {
        !self.watch.is_finished() && self.used.elapsed() < MOST_IDLE
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).await?;
        self.writer.flush().await?;
        self.used = Instant::now();
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// Reads to the end of what the receiver says, and forgets it.
async fn heard_out(mut reader: ReadHalf<Box<dyn Stream>>) {
    let mut chunk = [0; 1024];
    let mut heard = 0;
    while let Ok(count @ 1..) = reader.read(&mut chunk).await {
        heard += count;
        if heard > MOST_HEARD_BYTES {
            return;
        }
    }
}
