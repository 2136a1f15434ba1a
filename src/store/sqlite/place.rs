//! Where the store lies: its folder, its lock, and whether the path still leads to the file that was opened.
//!
//! It never opens the database file while SQLite has it open: closing any handle of a file drops this process's locks on it.

use std::fs::DirBuilder;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::FlockOperation;

use crate::store::sqlite::fault::OpenError;

/// Which file a path leads to: device and number.
type Identity = (u64, u64);

/// The file and, next to it, its log.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) file: PathBuf,
    opened: Identity,
    log: Option<Identity>,
}

impl Place {
    /// Remembers which files these are. The database has just been opened.
    pub(super) fn note(file: &Path) -> io::Result<Self> {
        Ok(Self { file: file.to_owned(), opened: identity(file)?, log: identity(&beside(file, "-wal")).ok() })
    }

    /// The same file with another log: the database was opened again.
    pub(super) fn note_again(&mut self) -> io::Result<()> {
        let now = Self::note(&self.file)?;
        if now.opened != self.opened {
            return Err(io::Error::other("the file was replaced"));
        }
        self.log = now.log;
        Ok(())
    }

    /// What is wrong if what was just written is not behind the path.
    pub(super) fn trouble(&self) -> Option<String> {
        let name = self.file.display();
        match identity(&self.file) {
            Ok(now) if now == self.opened => {}
            Ok(_) => return Some(format!("`{name}` was replaced while it was in use: restart the gateway")),
            Err(error) => return Some(format!("`{name}` is gone while it was in use: restart the gateway ({error})")),
        }
        let log = beside(&self.file, "-wal");
        if self.log.is_some() && identity(&log).ok() != self.log {
            return Some(format!(
                "`{}` was replaced or removed while it was in use: restart the gateway",
                log.display()
            ));
        }
        None
    }
}

/// How much room a store takes, its log included.
pub(super) fn bytes(file: &Path) -> u64 {
    let size = |path: &Path| path.metadata().map_or(0, |found| found.len());
    size(file) + size(&beside(file, "-wal"))
}

fn identity(path: &Path) -> io::Result<Identity> {
    path.metadata().map(|found| (found.dev(), found.ino()))
}

/// The path with something added to its last part.
pub(super) fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Makes the folder and an empty file, both for nobody else to read.
pub(super) fn make(file: &Path) -> io::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// Takes the lock that says that a gateway runs on this file. It is held until the handle is dropped, or the process ends
/// in whatever way.
pub(super) fn lock(file: &Path) -> Result<File, OpenError> {
    let path = beside(file, ".lock");
    let failed = |error| OpenError::Io { file: path.clone(), error };
    let held = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
    match rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(held),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::Locked { file: file.to_owned(), lock: path }),
        Err(error) => Err(failed(error.into())),
    }
}
