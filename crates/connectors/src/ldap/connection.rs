//! A connection to a directory: one request at a time, and no answer longer than may be read.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use url::Host;

use crate::egress::Egress;
use crate::ldap::ber;
use crate::ldap::message;
use crate::ldap::message::{Outcome, Request, Response};
use crate::wire;
use crate::wire::Trust;
use hookgate_model::question::{Reason, Trouble};

/// An answer that is no entry is short.
const MOST_OUTCOME_BYTES: usize = 64 * 1024;

/// Where the directory is, and how it is reached.
pub(super) struct Directory {
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) egress: Egress,
    pub(super) trust: Trust,
    pub(super) protection: Protection,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    /// TLS from the first byte: `ldaps://`.
    Tls,
    /// TLS before anything is said.
    StartTls,
    None,
}

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

pub(super) struct Connection {
    stream: Box<dyn Stream>,
    /// What came and was not read yet.
    received: Vec<u8>,
    last: u32,
}

impl Directory {
    pub(super) async fn connect(&self, time: Duration) -> Result<Connection, Trouble> {
        let stream = wire::connect(&self.egress, &self.host, self.port, time.mul_f64(0.75)).await?;
        let mut stream: Box<dyn Stream> = Box::new(stream);
        if self.protection == Protection::StartTls {
            let mut plain = Connection { stream, received: Vec::new(), last: 0 };
            let outcome = plain.ask(&Request::start_tls()).await?;
            if outcome.code != 0 {
                let text = format!("the directory does not begin TLS (result {}): use `ldaps://`", outcome.code);
                return Err(Trouble::new(Reason::Forbidden, text));
            }
            // What came before TLS is from anybody.
            if !plain.received.is_empty() {
                return Err(Trouble::new(Reason::Forbidden, "somebody spoke before TLS began"));
            }
            stream = plain.stream;
        }
        if self.protection != Protection::None {
            stream = Box::new(self.trust.secure(&self.host, stream).await.map_err(|error| wire::broken(&error))?);
        }
        Ok(Connection { stream, received: Vec::new(), last: 0 })
    }
}

impl Connection {
    /// A request with an answer of one message.
    pub(super) async fn ask(&mut self, request: &Request) -> Result<Outcome, Trouble> {
        self.send(request).await?;
        match self.receive(MOST_OUTCOME_BYTES).await? {
            (_, Response::Done(outcome)) => Ok(outcome),
            _ => Err(strange()),
        }
    }

    pub(super) async fn send(&mut self, request: &Request) -> Result<(), Trouble> {
        self.last += 1;
        let message = request.numbered(self.last);
        let written = async {
            self.stream.write_all(&message).await?;
            self.stream.flush().await
        };
        written.await.map_err(|error| wire::broken(&error))
    }

    /// The next message of the answer, and how long it is.
    ///
    /// # Errors
    /// It is longer than `most` bytes, is nothing of LDAP, or did not come.
    pub(super) async fn receive(&mut self, most: usize) -> Result<(usize, Response), Trouble> {
        loop {
            if self.received.first().is_some_and(|tag| *tag != ber::SEQUENCE) {
                return Err(strange());
            }
            if let Some((head, length)) = ber::header(&self.received) {
                let whole = head.saturating_add(length);
                if whole > most {
                    return Err(Trouble::new(
                        Reason::TooLarge,
                        "the answer is longer than may be read: raise `max_bytes`",
                    ));
                }
                if self.received.len() >= whole {
                    let message: Vec<u8> = self.received.drain(..whole).collect();
                    return match message::read(&message).ok_or_else(strange)? {
                        (_, Response::Goodbye(outcome)) => Err(gone(&outcome)),
                        (id, response) if id == self.last => Ok((whole, response)),
                        _ => Err(strange()),
                    };
                }
            }
            let count = self.stream.read_buf(&mut self.received).await.map_err(|error| wire::broken(&error))?;
            if count == 0 {
                return Err(wire::broken(&io::Error::from(io::ErrorKind::UnexpectedEof)));
            }
        }
    }

    /// Takes leave; what becomes of that is nobody's concern.
    pub(super) async fn close(mut self) {
        let _ = self.send(&Request::unbind()).await;
        let _ = self.stream.shutdown().await;
    }
}

fn strange() -> Trouble {
    Trouble::new(Reason::BadAnswer, "what it answers is not LDAP")
}

fn gone(outcome: &Outcome) -> Trouble {
    Trouble::new(Reason::Unreachable, format!("the directory ended the connection (result {})", outcome.code))
}
