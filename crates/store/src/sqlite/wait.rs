//! How long whoever asked waits for the writer, and what becomes of work that nobody waits for any more.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio::time::timeout_at;

use crate::GRACE;
use crate::StoreError;
use crate::sqlite::work::Wanted;

/// Gives up a piece of work that was not begun when nobody waits for it any more.
pub(super) struct Forgo(pub(super) Arc<Wanted>);

impl Drop for Forgo {
    fn drop(&mut self) {
        self.0.forgo();
    }
}

/// Waits for the answer to a piece of work. At `until` it is given up; if it was begun by then it may still come to its end
/// within [`GRACE`], and else is taken back.
pub(super) async fn wait<T>(
    mut answer: oneshot::Receiver<Result<T, StoreError>>,
    wanted: Forgo,
    until: Option<Instant>,
) -> Result<T, StoreError> {
    if let Some(until) = until {
        if let Ok(answered) = timeout_at(until.into(), &mut answer).await {
            return answered.unwrap_or(Err(StoreError::Closed));
        }
        if wanted.0.forgo() {
            return Err(StoreError::Late);
        }
        if let Ok(answered) = timeout(GRACE, &mut answer).await {
            return answered.unwrap_or(Err(StoreError::Closed));
        }
        if wanted.0.regret() {
            return Err(StoreError::Late);
        }
    }
    answer.await.unwrap_or(Err(StoreError::Closed))
}
