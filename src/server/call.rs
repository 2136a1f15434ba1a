//! One call: its body within limits of size and time, and a panic that stays its own.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};

use crate::server::{Answer, Caller, Settings, Transport};

pub(super) async fn answer<A: Answer>(
    answer: &A,
    settings: &Settings,
    request: Request<Incoming>,
    caller: Caller,
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = match read(body, settings.max_body_bytes, caller.arrived + settings.body_timeout).await {
        Ok(body) => body,
        Err(refusal) => {
            let mut response = answer.refuse(refusal);
            // What is left of the body must not be taken for the next call.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            return response.map(Full::new);
        }
    };
    let answered = isolated(async { answer.answer(Request::from_parts(parts, body), caller).await }).await;
    // Calls that arrived together are answered together: every other ready connection has its turn before this answer is
    // written, so a burst of answers wakes the other end once. Under load that is a quarter of a call's time.
    tokio::task::yield_now().await;
    answered.unwrap_or_else(|| answer.refuse(Transport::Panicked)).map(Full::new)
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

async fn read(body: Incoming, limit: usize, deadline: Instant) -> Result<Bytes, Transport> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    // The lower bound is the Content-Length where there is one. Refused here, nothing was read and no `100 Continue` sent.
    if body.size_hint().lower() > limit as u64 {
        return Err(Transport::TooLarge);
    }
    let mut collecting = pin!(collect(body, limit));
    // Nearly every body arrived with its headers: those calls never make a timer.
    if let Poll::Ready(done) = poll_fn(|cx| Poll::Ready(collecting.as_mut().poll(cx))).await {
        return done;
    }
    tokio::time::timeout_at(deadline.into(), collecting).await.unwrap_or(Err(Transport::SlowBody))
}

async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, Transport> {
    let Some(first) = next_chunk(&mut body, limit).await? else { return Ok(Bytes::new()) };
    if body.is_end_stream() {
        return Ok(first);
    }
    let mut whole = BytesMut::from(first);
    while let Some(chunk) = next_chunk(&mut body, limit - whole.len()).await? {
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

/// The next data, if it fits into what is `left` of the limit. Trailers are skipped.
async fn next_chunk(body: &mut Incoming, left: usize) -> Result<Option<Bytes>, Transport> {
    while let Some(frame) = body.frame().await {
        match frame.map_err(|_| Transport::BrokenBody)?.into_data() {
            Ok(chunk) if chunk.len() > left => return Err(Transport::TooLarge),
            Ok(chunk) => return Ok(Some(chunk)),
            Err(_) => {}
        }
    }
    Ok(None)
}
