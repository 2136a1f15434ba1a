//! Tries that ended and are not recorded yet, because the store fails. While there are any, nothing new is begun.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(in crate::delivery) struct Unsettled(AtomicUsize);

/// One of them; it is settled, or given up, when this is dropped.
pub(super) struct Waiting<'a> {
    all: &'a Unsettled,
    wake: &'a Notify,
}

impl Unsettled {
    /// One more. `wake` hears when the last one is settled.
    pub(super) fn wait<'a>(&'a self, wake: &'a Notify) -> Waiting<'a> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Waiting { all: self, wake }
    }

    pub(super) fn any(&self) -> bool {
        self.count().is_some()
    }

    /// How many; nothing if there are none.
    pub(super) fn count(&self) -> Option<usize> {
        Some(self.0.load(Ordering::SeqCst)).filter(|count| *count > 0)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.all.0.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.wake.notify_one();
        }
    }
}
