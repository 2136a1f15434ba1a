//! Copies the store while work goes on.
//!
//! To restore a copy: stop the gateway, move the store's file and those beside it that end in `-wal` and `-shm` away, put
//! the copy in the file's place, and start the gateway. What happened after the copy was made is not in it: events that the
//! provider sends again are kept again, and actions that were done since are done again, with the same keys.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use async_trait::async_trait;
use rusqlite::Connection;
use rusqlite::InterruptHandle;
use rusqlite::OpenFlags;
use rustix::fs::FlockOperation;
use rustix::fs::RenameFlags;
use rustix::io::Errno;

use crate::StoreError;
use crate::backups::Backups;
use crate::sqlite::Sqlite;
use crate::sqlite::fault;
use crate::sqlite::place;
use crate::sqlite::place::beside;

#[async_trait]
impl Backups for Sqlite {
    async fn copy_to(&self, file: PathBuf) -> Result<(), StoreError> {
        backup(self.file.clone(), file).await
    }

    fn restoring(&self, copy: &Path) -> Vec<String> {
        let [log, index] = ["-wal", "-shm"].map(|end| quoted(&beside(&self.file, end)));
        vec![format!("rm -f {log} {index}"), format!("cp {} {}", quoted(copy), quoted(&self.file))]
    }
}

/// As a shell takes it for one word.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+@%:,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// Writes everything, as of one moment, into a file that is not there yet. The file is whole or absent: it is written under
/// another name, synced, and then gets its own. What an interrupted copy left under the other name is written over by the next.
async fn backup(from: PathBuf, to: PathBuf) -> Result<(), StoreError> {
    let db = open(&from)?;
    // Whoever stops waiting ends the copy.
    let interrupt = Interrupt(db.get_interrupt_handle());
    let written = tokio::task::spawn_blocking(move || write(&db, &to)).await;
    drop(interrupt);
    written.unwrap_or(Err(StoreError::Closed))
}

struct Interrupt(InterruptHandle);

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}

fn open(from: &Path) -> Result<Connection, StoreError> {
    let told = |error: rusqlite::Error| fault::told(&error, from);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(from, flags).map_err(told)?;
    db.busy_timeout(std::time::Duration::from_millis(5000)).map_err(told)?;
    Ok(db)
}

fn write(db: &Connection, to: &Path) -> Result<(), StoreError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => StoreError::Refused(format!("`{}` is there already", to.display())),
        io::ErrorKind::StorageFull => StoreError::Full,
        _ => StoreError::Refused(format!("cannot write `{}`: {error}", to.display())),
    };
    if to.symlink_metadata().is_ok() {
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    let part = Part::begin(beside(to, ".part")).map_err(failed)?;
    copy(db, &part.path)?;
    part.put(to).map_err(failed)
}

/// The copy while it is written; gone when this is dropped before it is whole.
struct Part {
    path: PathBuf,
    /// Locked, so that two copies to one name do not write over one another, and what nobody holds is known for a leftover.
    _held: File,
    whole: bool,
}

impl Part {
    fn begin(path: PathBuf) -> io::Result<Self> {
        let held = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        let other = || io::Error::other("another copy is being written there");
        match rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(other()),
            Err(error) => return Err(error.into()),
        }
        // Another one may have got its own name since it was opened.
        if place::identity(&path).ok() != Some(place::identity_of(&held.metadata()?)) {
            return Err(other());
        }
        held.set_len(0)?;
        Ok(Self { path, _held: held, whole: false })
    }

    /// Gives it its own name, unless something has that by now.
    fn put(mut self, to: &Path) -> io::Result<()> {
        File::open(&self.path)?.sync_all()?;
        rename(&self.path, to)?;
        self.whole = true;
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.whole {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::CWD;
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system that knows no such thing.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if to.symlink_metadata().is_err() => std::fs::rename(from, to),
        other => Ok(other?),
    }
}

fn copy(db: &Connection, part: &Path) -> Result<(), StoreError> {
    let name = part.to_str().ok_or_else(|| StoreError::Refused("the name of the copy is not UTF-8".to_owned()))?;
    // One read transaction: a copy of one moment, without the free pages.
    match db.execute("VACUUM INTO ?1", [name]) {
        Ok(_) => Ok(()),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) => {
            Err(StoreError::Refused("the copy was interrupted".to_owned()))
        }
        Err(error) => Err(fault::told(&error, part)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_one_word() {
        for (path, word) in
            [("data/a.db", "data/a.db"), ("my data/a.db", "'my data/a.db'"), ("o'clock", r"'o'\''clock'")]
        {
            assert_eq!(quoted(Path::new(path)), word);
        }
    }
}
