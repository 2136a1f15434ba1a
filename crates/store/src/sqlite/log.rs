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

use rusqlite::Connection;

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

/// What was found to be wrong with the log. Nothing puts that right again.
#[derive(Clone, Debug, Default)]
pub(super) struct Damage(Arc<OnceLock<String>>);

impl Damage {
    pub(super) fn found(&self) -> Option<String> {
        self.0.get().cloned()
    }
}

/// Looks at the log after each commit of a connection, and puts it into the database when it is long enough, which SQLite then
/// no longer does by itself.
pub(super) fn watch(db: &mut Connection, file: &Path) -> rusqlite::Result<Damage> {
    let page = db.query_row("PRAGMA page_size", [], |row| row.get::<_, u32>(0))?;
    let mut log = Log { path: place::beside(file, "-wal"), page: u64::from(page), last: None };
    let damage = Damage::default();
    let found = damage.clone();
    db.wal_hook(Some(move |wal: &mut rusqlite::hooks::Wal, frames: std::ffi::c_int| {
        let frames = u64::try_from(frames).unwrap_or(0);
        match log.check(frames) {
            Ok(()) if frames >= CHECKPOINT_AT && found.0.get().is_none() => {
                // What cannot go there now goes there after a later commit.
                let _ = wal.checkpoint();
            }
            Ok(()) => {}
            Err(problem) => drop(
                found.0.set(format!("`{}` {problem} while it was in use: restart the gateway", log.path.display())),
            ),
        }
        Ok(())
    }))?;
    Ok(damage)
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
