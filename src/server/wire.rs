//! The stream below hyper: it notes when bytes come and go, and lets no head through that [`Strict`] refuses.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::server::pace::Pace;
use crate::server::strict::Strict;

/// What hyper reads in place of a head that was refused. NUL may stand nowhere in a head and nowhere in the framing of a
/// body, and the empty line makes hyper look at once: it answers 400 after all answers that are still due, and closes.
const NO_HTTP: &[u8] = b"\0\r\n\r\n";

pub(super) struct Wire<S> {
    pub(super) stream: S,
    pace: Arc<Pace>,
    strict: Strict,
    /// What is left of [`NO_HTTP`]; `None` while all is well.
    refused: Option<&'static [u8]>,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S, pace: Arc<Pace>) -> Self {
        Self { stream, pace, strict: Strict::default(), refused: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.refused.is_none() {
            let before = buffer.filled().len();
            let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
            if buffer.filled().len() > before {
                self.pace.bytes_arrived();
                if let Err(good) = self.strict.check(&buffer.filled()[before..]) {
                    buffer.set_filled(before + good);
                    self.refused = Some(NO_HTTP);
                }
            }
            if self.refused.is_none() {
                return polled;
            }
        }
        // The end of the stream follows.
        if let Some(left) = &mut self.refused {
            let (now, later) = left.split_at(left.len().min(buffer.remaining()));
            buffer.put_slice(now);
            *left = later;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// Notes whether the other end takes what we write.
    fn noted<T>(&self, polled: Poll<T>) -> Poll<T> {
        match &polled {
            Poll::Ready(_) => self.pace.writes(),
            Poll::Pending => self.pace.stalls(),
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.noted(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.noted(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.noted(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
