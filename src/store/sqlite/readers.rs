//! Connections that read, beside the one that writes. A long list never holds up what arrives.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::store::StoreError;
use crate::store::sqlite::connect;
use crate::store::sqlite::fault;

/// How many read at once.
const MOST: usize = 4;

pub(super) struct Readers {
    file: PathBuf,
    idle: Mutex<Vec<Connection>>,
    room: Semaphore,
}

impl Readers {
    pub(super) fn new(file: PathBuf) -> Arc<Self> {
        Arc::new(Self { file, idle: Mutex::default(), room: Semaphore::new(MOST) })
    }

    /// Reads on a thread that may block.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _room = self.room.acquire().await.map_err(|_| StoreError::Closed)?;
        let readers = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || {
            let told = |error: rusqlite::Error| fault::told(&error, &readers.file);
            let idle = readers.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let db = idle.map_or_else(|| connect::reader(&readers.file), Ok).map_err(told)?;
            // A connection that failed is not used again.
            let read = read(&db).map_err(told)?;
            readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(db);
            Ok(read)
        });
        reading.await.unwrap_or(Err(StoreError::Closed))
    }

    pub(super) fn close(&self) {
        self.room.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
