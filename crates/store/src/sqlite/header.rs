//! The header of the database file: after each commit, and before the log goes into the database, whether the file is still the
//! one that SQLite writes.
//!
//! A copy over the file itself (`cp backup.db hookgate.db`) leaves its name and its number as they are. SQLite does not notice:
//! at the next checkpoint it puts the pages of the log into the copy, and both are lost then.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use rusqlite::Connection;

const NAME: &[u8] = b"SQLite format 3\0";
/// Where the header says with which kind of log the file is written and read. A copy that `VACUUM INTO` made says another one.
const LOG_KIND: std::ops::Range<usize> = 18..20;
const WRITE_AHEAD: [u8; 2] = [2, 2];
/// Where SQLite counts changes of the first page. With a single process that writes it grows once in each run of that.
const CHANGES: std::ops::Range<usize> = 24..28;
/// Where the number stands that a program may choose: here the count of checkpoints.
const CHECKPOINTS: std::ops::Range<usize> = 68..72;
const BYTES: usize = 72;

/// Counts a checkpoint. A copy from before it has a lower count.
pub(super) fn count_checkpoint(db: &Connection) -> rusqlite::Result<()> {
    let count = db.query_row("PRAGMA application_id", [], |row| row.get::<_, i32>(0))?;
    db.execute_batch(&format!("PRAGMA application_id = {}", count.wrapping_add(1)))
}

/// The header as it was when it was read last.
#[derive(Debug)]
pub(super) struct Header {
    /// Closed only after SQLite has closed the file: see `place`.
    file: Arc<File>,
    last: Mutex<LastHeader>,
}

#[derive(Debug, Default)]
struct LastHeader {
    /// When the file was written, in seconds and nanoseconds, and how long it was.
    stamp: (i64, i64, u64),
    counts: Option<[u32; 2]>,
}

impl Header {
    pub(super) fn note(file: Arc<File>) -> Self {
        let header = Self { file, last: Mutex::default() };
        header.is_overwritten();
        header
    }

    /// Whether somebody else wrote over the file. Another process of this program may put the log into it: no count is
    /// lower then. An older copy has a lower one, another one is no database as this program writes it, or is not whole yet.
    pub(super) fn is_overwritten(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(found) = self.file.metadata() else { return false };
        let stamp = (found.mtime(), found.mtime_nsec(), found.len());
        if stamp == last.stamp {
            return false;
        }
        let Ok(counts) = self.counts() else { return true };
        // They begin at zero again after their highest number.
        let is_lower = |(now, before): (&u32, &u32)| now.wrapping_sub(*before) > u32::MAX / 2;
        if last.counts.is_some_and(|before| counts.iter().zip(&before).any(is_lower)) {
            return true;
        }
        *last = LastHeader { stamp, counts: Some(counts) };
        false
    }

    fn counts(&self) -> io::Result<[u32; 2]> {
        let mut bytes = [0; BYTES];
        self.file.read_exact_at(&mut bytes, 0)?;
        if !bytes.starts_with(NAME) || bytes[LOG_KIND] != WRITE_AHEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let count = |place| bytes.get::<std::ops::Range<usize>>(place)?.try_into().ok().map(u32::from_be_bytes);
        count(CHANGES).zip(count(CHECKPOINTS)).map(<[u32; 2]>::from).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}
