//! What can go wrong with the file, and what the caller is told of it.

use std::path::Path;

use rusqlite::ErrorCode;
use rustix::fs::StatVfsMountFlags;

use crate::StoreError;
use crate::open::OpenError;

/// The database is at fault, so that the store cannot be opened.
pub(super) fn unopened(file: &Path, error: rusqlite::Error) -> OpenError {
    OpenError::Database { file: file.to_owned(), error: Box::new(error) }
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
