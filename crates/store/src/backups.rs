//! Copies of a store that this program makes itself.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::StoreError;

/// A store that can copy itself into a file.
#[async_trait]
pub trait Backups: Send + Sync {
    /// Writes a copy of everything, as of one moment, into a new file, while work goes on. Dropping the future ends it, and
    /// leaves no file.
    ///
    /// # Errors
    /// There is such a file already, or it cannot be written.
    async fn copy_to(&self, file: PathBuf) -> Result<(), StoreError>;

    /// What a shell has to run to go back to a copy while no gateway runs, one command a line.
    fn restoring(&self, copy: &Path) -> Vec<String>;
}
