//! What can go wrong with the file, and what the caller is told of it.

use std::path::Path;
use std::path::PathBuf;

use rusqlite::ErrorCode;
use rustix::fs::StatVfsMountFlags;

use crate::store::StoreError;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("another gateway uses `{}`: its lock `{}` is held", file.display(), lock.display())]
    Locked { file: PathBuf, lock: PathBuf },
    #[error("there is no store at `{}`", .0.display())]
    Missing(PathBuf),
    #[error("`{}` was written by a newer version: its schema is {found}, this version knows {known}", file.display())]
    Newer { file: PathBuf, found: i64, known: i64 },
    #[error("`{}` was written by an older version: start the gateway once, which brings it up to date", .0.display())]
    Older(PathBuf),
    #[error("`{}` is a database, but not one of this program", .0.display())]
    Foreign(PathBuf),
    #[error(
        "`{}` says that its tables are those of version {found}, and they are not ({problem}): put a backup in its place",
        file.display()
    )]
    Tables { file: PathBuf, found: i64, problem: String },
    #[error("`{}` does not keep the setting `{setting}`: it should be `{wanted}` and is `{found}`", file.display())]
    Setting { file: PathBuf, setting: &'static str, wanted: String, found: String },
    #[error("cannot use `{}`: {error}", file.display())]
    Io { file: PathBuf, error: std::io::Error },
    #[error("cannot open `{}`: {error}", file.display())]
    Database { file: PathBuf, error: rusqlite::Error },
}

/// Why a piece of work was not done.
#[derive(Debug)]
pub(super) enum Fault {
    /// What was asked makes no sense.
    Refused(StoreError),
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl Fault {
    /// A fault of this piece of work alone is refused for good: doing the same again would end the same.
    pub(super) fn alone(self) -> Self {
        match self {
            Self::Sql(error) if remedy(&error) == Remedy::Alone => {
                Self::Refused(StoreError::Refused(error.to_string()))
            }
            other => other,
        }
    }
}

/// What a fault means for the connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// This piece of work is at fault, no other.
    Alone,
    /// Nothing could be written this time; the next time may do.
    Later,
    /// The connection cannot be trusted any more.
    Reopen,
    /// The file is not ours any more.
    Never,
}

/// What an error of the database means.
pub(super) fn remedy(error: &rusqlite::Error) -> Remedy {
    let rusqlite::Error::SqliteFailure(code, _) = error else { return Remedy::Alone };
    if code.extended_code == rusqlite::ffi::SQLITE_READONLY_DBMOVED {
        return Remedy::Never;
    }
    match code.code {
        ErrorCode::DiskFull | ErrorCode::ReadOnly | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            Remedy::Later
        }
        ErrorCode::SystemIoFailure
        | ErrorCode::CannotOpen
        | ErrorCode::DatabaseCorrupt
        | ErrorCode::NotADatabase
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::PermissionDenied
        | ErrorCode::OutOfMemory => Remedy::Reopen,
        _ => Remedy::Alone,
    }
}

/// What the caller is told. SQLite calls some failures input or output errors that have a plainer name: the file system
/// is full, or may only be read.
pub(super) fn told(error: &rusqlite::Error, file: &Path) -> StoreError {
    let text = error.to_string();
    let rusqlite::Error::SqliteFailure(code, _) = error else { return StoreError::Broken(text) };
    match code.code {
        ErrorCode::DiskFull => StoreError::Full,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Busy,
        ErrorCode::ReadOnly => StoreError::ReadOnly(text),
        ErrorCode::SystemIoFailure | ErrorCode::CannotOpen => match condition(file) {
            Some(Condition::Full) => StoreError::Full,
            Some(Condition::ReadOnly) => StoreError::ReadOnly(text),
            None => StoreError::Broken(text),
        },
        _ => StoreError::Broken(text),
    }
}

enum Condition {
    Full,
    ReadOnly,
}

/// Less than this is as good as nothing: a segment of the log's index has 32 KiB.
const HARDLY_ANY: u64 = 64 * 1024;

fn condition(file: &Path) -> Option<Condition> {
    let system = rustix::fs::statvfs(file.parent()?).ok()?;
    if system.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Some(Condition::ReadOnly);
    }
    (system.f_bavail.saturating_mul(system.f_frsize) < HARDLY_ANY).then_some(Condition::Full)
}
