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

use rusqlite::Connection;
use rusqlite::OpenFlags;

use crate::store::StoreError;
use crate::store::sqlite::fault;
use crate::store::sqlite::place::beside;

/// Writes everything, as of one moment, into a file that is not there yet. The file is whole or absent: it is written under
/// another name, synced, and then gets its own.
pub(super) fn backup(from: &Path, to: &Path) -> Result<(), StoreError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => StoreError::Refused(format!("`{}` is there already", to.display())),
        io::ErrorKind::StorageFull => StoreError::Full,
        _ => StoreError::Refused(format!("cannot write `{}`: {error}", to.display())),
    };
    let part = beside(to, ".part");
    let create = |path: &Path| OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop);
    create(to).map_err(failed)?;
    let written = create(&part).map_err(failed).and_then(|()| {
        let written = copy(from, &part).and_then(|()| put(&part, to).map_err(failed));
        if written.is_err() {
            drop(std::fs::remove_file(&part));
        }
        written
    });
    if written.is_err() {
        drop(std::fs::remove_file(to));
    }
    written
}

fn copy(from: &Path, part: &Path) -> Result<(), StoreError> {
    let told = |error: rusqlite::Error| fault::told(&error, part);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(from, flags).map_err(told)?;
    db.busy_timeout(std::time::Duration::from_millis(5000)).map_err(told)?;
    let name = part.to_str().ok_or_else(|| StoreError::Refused("the name of the copy is not UTF-8".to_owned()))?;
    // One read transaction: a copy of one moment, without the free pages.
    db.execute("VACUUM INTO ?1", [name]).map_err(told)?;
    Ok(())
}

fn put(part: &Path, to: &Path) -> io::Result<()> {
    File::open(part)?.sync_all()?;
    std::fs::rename(part, to)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
