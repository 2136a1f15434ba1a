//! Opens the file with the settings that its promises stand on, reads them back, and brings the tables up to date.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::ErrorCode;
use rusqlite::OpenFlags;
use rusqlite::ffi;

use crate::open::OpenError;
use crate::sqlite::fault;

/// Each step brings the schema from its place in the list to the next number, kept in `user_version`.
const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("state.sql"),
    include_str!("decision.sql"),
    include_str!("history.sql"),
    include_str!("deaths.sql"),
    include_str!("order.sql"),
    include_str!("ends.sql"),
    include_str!("claimant.sql"),
    include_str!("answer.sql"),
];

/// How many prepared statements a connection keeps.
const STATEMENTS: usize = 128;

/// What every connection sets. The first must come before the first table, and before the log is switched on.
const SETTINGS: &str = "
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA fullfsync = ON;
    PRAGMA checkpoint_fullfsync = ON;
    PRAGMA foreign_keys = ON;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -16384;
";

/// What must stand after that: a file system or an older file may have refused.
const WANTED: &[(&str, &str)] = &[
    ("auto_vacuum", "2"),
    ("journal_mode", "wal"),
    ("synchronous", "2"),
    ("foreign_keys", "1"),
    ("busy_timeout", "5000"),
    ("journal_size_limit", "67108864"),
];

/// A connection that writes. The file must be there, but may be empty. A file of a later version, or of another program, is
/// refused before anything in it is changed.
pub(super) fn writer(file: &Path) -> Result<Connection, OpenError> {
    let failed = |error| fault::unopened(file, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(file, flags).map_err(failed)?;
    db.busy_timeout(std::time::Duration::from_millis(5000)).map_err(failed)?;
    expect_own(&db, file)?;
    db.execute_batch(SETTINGS).map_err(failed)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    for &(setting, wanted) in WANTED {
        let found = value(&db, setting).map_err(failed)?;
        if found != wanted {
            return Err(OpenError::Setting { file: file.to_owned(), setting, wanted: wanted.to_owned(), found });
        }
    }
    Ok(db)
}

/// A connection that only reads.
pub(super) fn reader(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(file, flags)?;
    db.busy_timeout(std::time::Duration::from_millis(5000))?;
    db.execute_batch("PRAGMA temp_store = MEMORY;")?;
    Ok(db)
}

fn value(db: &Connection, setting: &str) -> rusqlite::Result<String> {
    db.query_row(&format!("PRAGMA {setting}"), [], |row| {
        Ok(match row.get_ref(0)? {
            rusqlite::types::ValueRef::Integer(number) => number.to_string(),
            other => other.as_str().unwrap_or_default().to_owned(),
        })
    })
}

/// Brings the tables to what this version knows.
pub(super) fn migrate(db: &mut Connection, file: &Path) -> Result<(), OpenError> {
    let failed = |error| fault::unopened(file, error);
    let found = version(db).map_err(failed)?;
    for step in found..MIGRATIONS.len() as i64 {
        let index = usize::try_from(step).unwrap_or_default();
        let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(failed)?;
        tx.execute_batch(MIGRATIONS[index]).map_err(|error| match error {
            rusqlite::Error::SqlInputError { msg, .. } => {
                OpenError::Tables { file: file.to_owned(), found, problem: msg }
            }
            rusqlite::Error::SqliteFailure(ffi::Error { code: ErrorCode::Unknown, .. }, Some(problem)) => {
                OpenError::Tables { file: file.to_owned(), found, problem }
            }
            error => failed(error),
        })?;
        tx.execute_batch(&format!("PRAGMA user_version = {}", step + 1)).map_err(failed)?;
        tx.commit().map_err(failed)?;
    }
    Ok(())
}

/// Refuses a file of a later version, or of another program, and changes nothing. Other programs number their tables, too.
fn expect_own(db: &Connection, file: &Path) -> Result<(), OpenError> {
    let failed = |error| fault::unopened(file, error);
    let (found, known) = (version(db).map_err(failed)?, MIGRATIONS.len() as i64);
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(failed);
    let own = match found {
        ..0 => false,
        0 => count("SELECT count(*) FROM sqlite_schema")? == 0,
        // The tables of every version.
        _ => {
            count(
                "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('event', 'body', 'job', 'attempt')",
            )? == 4
        }
    };
    match own {
        true if found > known => Err(OpenError::Newer { file: file.to_owned(), found, known }),
        true => Ok(()),
        false => Err(OpenError::Foreign(file.to_owned())),
    }
}

/// Refuses a file that was not written by this version, and changes nothing.
pub(super) fn expect_current(db: &Connection, file: &Path) -> Result<(), OpenError> {
    let failed = |error| fault::unopened(file, error);
    expect_own(db, file)?;
    match version(db).map_err(failed)? {
        0 => Err(OpenError::Foreign(file.to_owned())),
        found if found < MIGRATIONS.len() as i64 => Err(OpenError::Older(file.to_owned())),
        _ => Ok(()),
    }
}

fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("PRAGMA user_version", [], |row| row.get(0))
}
