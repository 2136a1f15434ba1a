//! Opens the file with the settings that its promises stand on, reads them back, and brings the tables up to date.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::OpenFlags;

use crate::store::open::OpenError;
use crate::store::sqlite::fault;

/// Each step brings the schema from its place in the list to the next number, kept in `user_version`.
const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("state.sql"),
    include_str!("decision.sql"),
    include_str!("history.sql"),
    include_str!("deaths.sql"),
    include_str!("order.sql"),
    include_str!("ends.sql"),
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

/// A connection that writes. The file must be there, but may be empty.
pub(super) fn writer(file: &Path) -> Result<Connection, OpenError> {
    let failed = |error| fault::unopened(file, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(file, flags).map_err(failed)?;
    db.busy_timeout(std::time::Duration::from_millis(5000)).map_err(failed)?;
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

/// Brings the tables to what this version knows; refuses a file of a later version, or of another program.
pub(super) fn migrate(db: &mut Connection, file: &Path) -> Result<(), OpenError> {
    let failed = |error| fault::unopened(file, error);
    let known = MIGRATIONS.len() as i64;
    let found = version(db).map_err(failed)?;
    if found > known {
        return Err(OpenError::Newer { file: file.to_owned(), found, known });
    }
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0)).map_err(failed)?;
    if found < 0 || (found == 0 && tables > 0) {
        return Err(OpenError::Foreign(file.to_owned()));
    }
    for step in found..known {
        let index = usize::try_from(step).unwrap_or_default();
        let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(failed)?;
        tx.execute_batch(MIGRATIONS[index]).map_err(failed)?;
        tx.execute_batch(&format!("PRAGMA user_version = {}", step + 1)).map_err(failed)?;
        tx.commit().map_err(failed)?;
    }
    Ok(())
}

/// Refuses a file that was not written by this version, and changes nothing.
pub(super) fn expect_current(db: &Connection, file: &Path) -> Result<(), OpenError> {
    let failed = |error| fault::unopened(file, error);
    let known = MIGRATIONS.len() as i64;
    match version(db).map_err(failed)? {
        found if found == known => Ok(()),
        found if found > known => Err(OpenError::Newer { file: file.to_owned(), found, known }),
        1.. => Err(OpenError::Older(file.to_owned())),
        _ => Err(OpenError::Foreign(file.to_owned())),
    }
}

fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("PRAGMA user_version", [], |row| row.get(0))
}
