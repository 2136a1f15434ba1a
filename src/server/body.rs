//! The body of one call on its way in: not read before somebody asks for it, within a limit of time, and paid for out of a
//! budget that all bodies of the listener share.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

use crate::server::pace::Pace;

/// The body of a call. Its errors have the kind [`TimedOut`](io::ErrorKind::TimedOut) when it came too slowly; all others mean
/// that it broke off or that its framing is wrong.
pub struct CallBody {
    incoming: Incoming,
    pace: Arc<Pace>,
    deadline: Instant,
    /// Made when the body has to be waited for: nearly every body arrived with its head.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl CallBody {
    pub(super) fn new(incoming: Incoming, pace: Arc<Pace>, deadline: Instant) -> Self {
        Self { incoming, pace, deadline, alarm: None }
    }

    pub(super) fn pace(&self) -> &Pace {
        &self.pace
    }
}

impl Body for CallBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        if let Poll::Ready(frame) = polled {
            if self.alarm.is_some() {
                self.pace.body_goes_on();
            }
            if frame.is_none() || self.incoming.is_end_stream() {
                self.pace.body_ends();
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)));
        }
        self.pace.waits_for_body();
        let deadline = self.deadline;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline.into())));
        alarm.as_mut().poll(cx).map(|()| {
            self.pace.body_goes_on();
            Some(Err(io::ErrorKind::TimedOut.into()))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// What all bodies of a listener may hold together.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Semaphore>);

/// A body up to this size is not counted. As much may lie in the buffer of each connection in any case, so the limit of
/// connections bounds it, and calls of a usual size need no permit.
pub(super) const FREE_BYTES: usize = 64 * 1024;

/// Permits are taken in steps of at least this size.
const STEP_BYTES: usize = 256 * 1024;

/// What one permit stands for.
const UNIT_BYTES: usize = 1024;

impl Budget {
    /// A budget of this many bytes, rounded up to a KiB.
    pub fn new(bytes: u64) -> Self {
        let units = usize::try_from(bytes.div_ceil(UNIT_BYTES as u64)).unwrap_or(usize::MAX);
        Self(Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))))
    }

    /// A share that holds nothing yet.
    pub(super) fn share(&self) -> Share {
        Share { budget: Arc::clone(&self.0), permit: None, bytes: FREE_BYTES }
    }

    #[cfg(test)]
    pub(super) fn left(&self) -> usize {
        self.0.available_permits() * UNIT_BYTES
    }
}

/// What one body takes out of the budget, until it is dropped.
pub(super) struct Share {
    budget: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    /// What is covered.
    bytes: usize,
}

impl Share {
    /// Takes what is missing for a body of `bytes`, of at most `most`. `false`: the budget is used up. Nothing waits for
    /// budget: bodies that are half there would wait for one another.
    pub(super) fn covers(&mut self, bytes: usize, most: usize) -> bool {
        if bytes <= self.bytes {
            return true;
        }
        let wanted = bytes.max(most.min(self.bytes + STEP_BYTES)) - self.bytes;
        let units = u32::try_from(wanted.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let Ok(more) = Arc::clone(&self.budget).try_acquire_many_owned(units) else { return false };
        self.bytes += units as usize * UNIT_BYTES;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            none => *none = Some(more),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    #[test]
    fn small_bodies_are_free_and_large_ones_share() {
        let budget = Budget::new(MIB as u64);
        let (mut small, mut first, mut second) = (budget.share(), budget.share(), budget.share());
        assert!(small.covers(FREE_BYTES, 4 * MIB));
        assert_eq!(budget.left(), MIB);
        assert!(first.covers(FREE_BYTES + 1, 4 * MIB));
        assert_eq!(budget.left(), MIB - STEP_BYTES, "a step at a time");
        assert!(first.covers(FREE_BYTES + STEP_BYTES, 4 * MIB));
        assert_eq!(budget.left(), MIB - STEP_BYTES, "the step is used before another is taken");
        assert!(first.covers(FREE_BYTES + MIB, FREE_BYTES + MIB));
        assert!(!second.covers(FREE_BYTES + 1, 4 * MIB), "used up");
        assert!(first.covers(FREE_BYTES + MIB, 4 * MIB));
        drop(first);
        assert_eq!(budget.left(), MIB);
        assert!(second.covers(FREE_BYTES + 1, FREE_BYTES + 1));
        assert_eq!(budget.left(), MIB - UNIT_BYTES, "no more than the body can become");
    }
}
