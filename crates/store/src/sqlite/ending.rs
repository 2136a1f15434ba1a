//! How a store ends: reads first, then what waits to be written, then the log goes into the file, which is whole alone from
//! then on; last the lock is given up.

use std::sync::PoisonError;

use crate::StoreError;
use crate::sqlite::Sqlite;

impl Sqlite {
    /// See [`Store::close`](crate::Store::close).
    pub(super) async fn end(&self) -> Result<(), StoreError> {
        self.people.close().await;
        self.calls.close().await;
        self.shared.queue.close();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(writer) = writer else { return Ok(()) };
        let ended = tokio::task::spawn_blocking(move || writer.join()).await;
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
        match ended {
            Ok(Ok(ended)) => ended,
            _ => Err(StoreError::Broken("the thread that writes ended with a panic".to_owned())),
        }
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.people.shut();
        self.calls.shut();
        self.shared.queue.close();
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // A writer that panicked has closed the queue already.
        if let Some(writer) = writer {
            drop(writer.join());
        }
    }
}
