//! The write-ahead log as a file: after each commit, and before any of it goes into the database, whether it still holds what was
//! written to it.
//!
//! Whoever cleans up a folder of logs may empty or shorten it while it is in use. SQLite does not notice: it writes on behind
//! the hole, and at the next checkpoint the hole goes into the database, which is lost then.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use rusqlite::Connection;

use crate::open::OpenError;
use crate::sqlite::fault;
use crate::sqlite::header::Header;
use crate::sqlite::place;

/// So many frames are in the log when it goes into the database. SQLite's own number.
const CHECKPOINT_AT: u64 = 1_000;

/// The beginning of a log. The last bit says in which order its sums are made.
const MAGIC: u32 = 0x377f_0682;
const HEADER_BYTES: u64 = 32;
const FRAME_HEADER_BYTES: u64 = 24;
/// Where the salt stands in both headers: it is the same in all frames that are in use.
const SALT: u64 = 16;
const SALT_OF_FRAME: std::ops::Range<usize> = 8..16;

/// What was seen of the log, and of the file that it goes into.
#[derive(Debug)]
pub(super) struct LogWatch {
    seen: Arc<Seen>,
    /// Of the file, where it can be read while SQLite uses the file.
    pub(super) header: Option<Arc<Header>>,
}

#[derive(Debug, Default)]
struct Seen {
    damage: OnceLock<String>,
    checkpoint: AtomicBool,
}

impl LogWatch {
    /// What is wrong. Nothing puts that right again.
    pub(super) fn damage(&self) -> Option<String> {
        self.seen.damage.get().cloned()
    }

    /// Whether somebody else wrote over the file.
    pub(super) fn is_overwritten(&self) -> bool {
        self.header.as_ref().is_some_and(|header| header.is_overwritten())
    }

    /// Whether there was a checkpoint since this was asked last.
    pub(super) fn take_checkpoint(&self) -> bool {
        self.seen.checkpoint.swap(false, Ordering::Relaxed)
    }
}

/// Looks at the log and the header of the database after each commit of a connection, and puts the log into the database when it
/// is long enough, which SQLite then no longer does by itself.
pub(super) fn watch(db: &mut Connection, file: &Path, header: Option<Arc<Header>>) -> Result<LogWatch, OpenError> {
    let failed = |error| fault::unopened(file, error);
    let page = db.query_row("PRAGMA page_size", [], |row| row.get::<_, u32>(0)).map_err(failed)?;
    let mut log = Log { path: place::beside(file, "-wal"), page: u64::from(page), last: None };
    let watch = LogWatch { seen: Arc::default(), header };
    let (seen, header, database) = (Arc::clone(&watch.seen), watch.header.clone(), file.to_owned());
    db.wal_hook(Some(move |wal: &mut rusqlite::hooks::Wal, frames: std::ffi::c_int| {
        let frames = u64::try_from(frames).unwrap_or(0);
        if header.as_ref().is_some_and(|header| header.is_overwritten()) {
            drop(seen.damage.set(place::overwritten(&database)));
            return Ok(());
        }
        match log.check(frames) {
            Ok(()) if frames >= CHECKPOINT_AT && seen.damage.get().is_none() => {
                // What cannot go there now goes there after a later commit.
                let _ = wal.checkpoint();
                seen.checkpoint.store(true, Ordering::Relaxed);
            }
            Ok(()) => {}
            Err(problem) => drop(
                seen.damage.set(format!("`{}` {problem} while it was in use: restart the gateway", log.path.display())),
            ),
        }
        Ok(())
    }))
    .map_err(failed)?;
    Ok(watch)
}

struct Log {
    path: PathBuf,
    /// The bytes of a page.
    page: u64,
    last: Option<LastFrame>,
}

/// The last frame of a log after a commit.
struct LastFrame {
    /// Of the log, which gets another one when it begins anew.
    salt: Salt,
    number: u64,
    bytes: Vec<u8>,
}

type Salt = [u8; 8];

impl Log {
    /// Whether the frame that was the last one before, and the one that is the last one now, are there.
    fn check(&mut self, frames: u64) -> Result<(), &'static str> {
        // One that is gone, or is another file, is found by its name. SQLite locks nothing on it, so that closing it is harmless.
        let Ok(file) = File::open(&self.path) else { return Ok(()) };
        match self.last_of(&file, frames) {
            Ok(Some(last)) => {
                self.last = Some(last);
                Ok(())
            }
            Ok(None) => Err("was emptied, shortened or overwritten"),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err("was emptied or shortened"),
            Err(_) => Err("cannot be read"),
        }
    }

    /// The last of so many frames; nothing if it is none of this log, or the one that was the last before is not as it was.
    fn last_of(&self, file: &File, frames: u64) -> io::Result<Option<LastFrame>> {
        let (mut magic, mut salt) = ([0; 4], Salt::default());
        file.read_exact_at(&mut magic, 0)?;
        file.read_exact_at(&mut salt, SALT)?;
        if u32::from_be_bytes(magic) & !1 != MAGIC {
            return Ok(None);
        }
        let before = self.last.as_ref().filter(|before| before.salt == salt && before.number < frames);
        if let Some(before) = before
            && self.frame(file, before.number)? != before.bytes
        {
            return Ok(None);
        }
        let bytes = self.frame(file, frames)?;
        Ok((bytes[SALT_OF_FRAME] == salt).then_some(LastFrame { salt, number: frames, bytes }))
    }

    fn frame(&self, file: &File, number: u64) -> io::Result<Vec<u8>> {
        let size = FRAME_HEADER_BYTES + self.page;
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        file.read_exact_at(&mut bytes, HEADER_BYTES + number.saturating_sub(1) * size)?;
        Ok(bytes)
    }
}
