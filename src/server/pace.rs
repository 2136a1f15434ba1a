//! How a connection gets on: when its call began, since when it is silent, and when to lose patience.
//!
//! hyper's own header time-out is not used: it counts silence between calls as slow headers, and it makes and drops a
//! timer for every call. Here one timer per connection looks at two numbers.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Nanoseconds since `origin`, plus one; 0 is "not now".
pub(super) struct Pace {
    origin: Instant,
    /// The first byte of the call that is being read or answered.
    began: AtomicU64,
    /// The headers are complete and the answer is not given yet: patience is the gateway's affair.
    answering: AtomicU64,
    /// The end of the last call, or of the handshake.
    rested: AtomicU64,
}

impl Pace {
    pub(super) fn new(origin: Instant) -> Self {
        Self { origin, began: AtomicU64::new(0), answering: AtomicU64::new(0), rested: AtomicU64::new(1) }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX - 1) + 1
    }

    fn bytes_arrived(&self) {
        // All of this is one task's; the atomics only make it shareable, so nothing has to be ordered.
        if self.began.load(Ordering::Relaxed) == 0 {
            self.began.store(self.now(), Ordering::Relaxed);
        }
    }

    /// The headers are there. Answers when the call's first byte was: a pipelined call begins when its turn comes.
    pub(super) fn call_begins(&self) -> Instant {
        self.bytes_arrived();
        self.answering.store(1, Ordering::Relaxed);
        self.origin + Duration::from_nanos(self.began.load(Ordering::Relaxed) - 1)
    }

    pub(super) fn call_ends(&self) {
        self.answering.store(0, Ordering::Relaxed);
        self.began.store(0, Ordering::Relaxed);
        self.rested.store(self.now(), Ordering::Relaxed);
    }

    /// `None`: close the connection. Otherwise when to ask again.
    pub(super) fn patience(&self, header_timeout: Duration, idle_timeout: Duration) -> Option<Instant> {
        let now = Instant::now();
        // A call that begins right after this must still be caught in time, so look at least this often.
        let soon = now + header_timeout;
        if self.answering.load(Ordering::Relaxed) != 0 {
            return Some(soon);
        }
        let began = self.began.load(Ordering::Relaxed);
        let (since, limit) =
            if began != 0 { (began, header_timeout) } else { (self.rested.load(Ordering::Relaxed), idle_timeout) };
        let deadline = self.origin + Duration::from_nanos(since - 1) + limit;
        (deadline > now).then_some(deadline.min(soon))
    }
}

/// A stream that notes when bytes of a new call arrive.
pub(super) struct Paced<S> {
    pub(super) stream: S,
    pub(super) pace: std::sync::Arc<Pace>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.pace.bytes_arrived();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
