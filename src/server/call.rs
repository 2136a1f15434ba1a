//! One call of the public listener: its head is judged first, then its body is read within limits of size, time and memory,
//! and a panic stays its own.

use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};

use crate::server::body::{Budget, CallBody, Share};
use crate::server::{Answer, Caller, Respond, Transport};

/// Turns requests into whole calls for an [`Answer`].
pub struct Calls<A> {
    answer: A,
    max_body_bytes: usize,
    budget: Budget,
}

/// A body, and its share of the budget, which is held for as long as the call is in work.
struct Whole {
    bytes: Bytes,
    share: Share,
}

impl<A: Answer> Calls<A> {
    /// A larger body than `max_body_bytes` is refused with 413; no more than this is ever buffered. What does not fit into the
    /// budget is refused with 503.
    pub fn new(answer: A, max_body_bytes: usize, budget: Budget) -> Self {
        Self { answer, max_body_bytes, budget }
    }

    #[cfg(test)]
    pub(super) fn answer(&self) -> &A {
        &self.answer
    }

    async fn whole_call(&self, request: Request<CallBody>, caller: Caller) -> Response<Bytes> {
        let (head, body) = request.into_parts();
        let is_encoded = is_encoded(&head.headers);
        let call = match self.answer.admit(head, caller).await {
            Ok(call) => call,
            Err(refused) => return refused,
        };
        body.pace().call_is_known();
        if is_encoded {
            return self.answer.refuse(Some(call), Transport::Encoded);
        }
        match self.read(body).await {
            Ok(Whole { bytes, share }) => {
                let answered = self.answer.answer(call, bytes).await;
                drop(share);
                answered
            }
            Err(refusal) => self.answer.refuse(Some(call), refusal),
        }
    }

    async fn read(&self, mut body: CallBody) -> Result<Whole, Transport> {
        let limit = self.max_body_bytes;
        let mut share = self.budget.share();
        // The lower bound is the Content-Length where there is one. Refused here, nothing was read and no `100 Continue` sent.
        let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if declared > limit {
            return Err(Transport::TooLarge);
        }
        let Some(first) = next_chunk(&mut body, limit).await? else {
            return Ok(Whole { bytes: Bytes::new(), share });
        };
        if body.is_end_stream() {
            return Ok(Whole { bytes: first, share });
        }
        let mut bytes = BytesMut::with_capacity(declared);
        let mut next = Some(first);
        while let Some(chunk) = next {
            let length = bytes.len() + chunk.len();
            // Of a body without a declared length, what the buffer grows to is held, too. Pages of a buffer that were never
            // written cost nothing.
            let held = if length > bytes.capacity() { length.max(bytes.capacity() * 2).min(limit) } else { length };
            if !share.covers(held, limit) {
                return Err(Transport::NoRoom);
            }
            bytes.extend_from_slice(&chunk);
            next = next_chunk(&mut body, limit - length).await?;
        }
        Ok(Whole { bytes: bytes.freeze(), share })
    }
}

impl<A: Answer> Respond for Calls<A> {
    type Body = Full<Bytes>;

    async fn respond(&self, request: Request<CallBody>, caller: Caller) -> Response<Full<Bytes>> {
        let answered = isolated(self.whole_call(request, caller)).await;
        // Calls that arrived together are answered together: every other ready connection has its turn before this answer is
        // written, so a burst of answers wakes the other end once. Under load that is a quarter of a call's time.
        tokio::task::yield_now().await;
        answered.unwrap_or_else(|| self.answer.refuse(None, Transport::Panicked)).map(Full::new)
    }

    fn refuse(&self, refusal: Transport) -> Response<Full<Bytes>> {
        self.answer.refuse(None, refusal).map(Full::new)
    }
}

/// Whether the body is packed in some way: no contract of a provider says that it ever is, and what is small packed may be
/// large unpacked.
fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// The future's output, or `None` if it panicked. The panic itself is logged by the hook that `telemetry` installs.
async fn isolated<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    // Unwind safe: after a panic the future is never polled again, only dropped.
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Ready(output)) => Poll::Ready(Some(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => Poll::Ready(None),
    })
    .await
}

/// The next data, if it fits into what is `left` of the limit. Trailers are skipped.
async fn next_chunk(body: &mut CallBody, left: usize) -> Result<Option<Bytes>, Transport> {
    while let Some(frame) = body.frame().await {
        match frame.map_err(|error| refusal_of(&error))?.into_data() {
            Ok(chunk) if chunk.len() > left => return Err(Transport::TooLarge),
            Ok(chunk) => return Ok(Some(chunk)),
            Err(_) => {}
        }
    }
    Ok(None)
}

fn refusal_of(error: &io::Error) -> Transport {
    if error.kind() == io::ErrorKind::TimedOut { Transport::SlowBody } else { Transport::BrokenBody }
}
