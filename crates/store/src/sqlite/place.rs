//! Where the store lies: its folder, its lock, and whether the path still leads to the file that was opened.
//!
//! It never closes a handle of the database file while SQLite has it open: that drops this process's locks on it.

use std::fs::DirBuilder;
use std::fs::File;
use std::fs::Metadata;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::FlockOperation;

use crate::open::OpenError;
use crate::sqlite::header::Header;

/// Which file a path leads to: device and number.
pub(super) type Identity = (u64, u64);

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

    /// Whether the log was removed, and the database was not.
    pub(super) fn lacks_log(&self) -> bool {
        identity(&self.file).is_ok_and(|now| now == self.opened) && !beside(&self.file, "-wal").exists()
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

/// What is said of a database file that somebody else wrote over.
pub(super) fn overwritten(file: &Path) -> String {
    format!(
        "`{}` was overwritten while it was in use, and its log is put aside as `{}`: restart the gateway",
        file.display(),
        aside(file).display()
    )
}

/// Where the log goes of a database that was overwritten: it belongs to another file.
fn aside(file: &Path) -> PathBuf {
    beside(file, "-wal.aside")
}

pub(super) fn put_log_aside(file: &Path) -> io::Result<()> {
    std::fs::rename(beside(file, "-wal"), aside(file))
}

/// How much room a store takes, its log included.
pub(super) fn bytes(file: &Path) -> u64 {
    let size = |path: &Path| path.metadata().map_or(0, |found| found.len());
    size(file) + size(&beside(file, "-wal"))
}

pub(super) fn identity(path: &Path) -> io::Result<Identity> {
    path.metadata().map(|found| identity_of(&found))
}

pub(super) fn identity_of(found: &Metadata) -> Identity {
    (found.dev(), found.ino())
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

/// Where a path leads that is a link itself. SQLite keeps its log beside the file, not beside the link, and so does the lock.
pub(super) fn real(file: &Path) -> io::Result<PathBuf> {
    if file.is_symlink() { file.canonicalize() } else { Ok(file.to_owned()) }
}

/// What says that a gateway runs on a file. It is held until this is dropped, or the process ends in whatever way.
pub(super) struct Lock {
    _beside: File,
    itself: Option<Arc<File>>,
}

impl Lock {
    /// The header of the database file, where that is locked itself.
    pub(super) fn header(&self) -> Option<Arc<Header>> {
        self.itself.clone().map(|file| Arc::new(Header::note(file)))
    }
}

/// Takes the lock: on a file beside the database, and on the database itself, which is the same under any name and whatever
/// becomes of the file beside it. To be called before SQLite opens the database, and held until it has closed it.
pub(super) fn lock(file: &Path) -> Result<Lock, OpenError> {
    let path = beside(file, ".lock");
    let io = |error| OpenError::Io { file: path.clone(), error };
    let held = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(io)?;
    let locked = |lock: &Path| OpenError::Locked { file: file.to_owned(), lock: lock.to_owned() };
    if !is_free(&held).map_err(io)? {
        return Err(locked(&path));
    }
    // Elsewhere the two kinds of locks that a file can have are one: SQLite would wait for us.
    if !cfg!(target_os = "linux") {
        return Ok(Lock { _beside: held, itself: None });
    }
    let io = |error| OpenError::Io { file: file.to_owned(), error };
    let itself = OpenOptions::new().read(true).write(true).open(file).map_err(io)?;
    if is_free(&itself).map_err(io)? {
        return Ok(Lock { _beside: held, itself: Some(Arc::new(itself)) });
    }
    // Closing it would drop the locks of SQLite, if it were this very process that has the database open.
    std::mem::forget(itself);
    Err(locked(file))
}

fn is_free(file: &File) -> io::Result<bool> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
