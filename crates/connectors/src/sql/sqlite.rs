//! SQLite: a file, opened for each question and for reading only.
//!
//! A statement stops itself when its time is over: no thread goes on with what nobody waits for.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use serde_json::Value;

use crate::sql::reading;
use crate::sql::reading::{Asked, Gathered, bad_cell, rejected};
use hookgate_model::question::{Reason, Trouble};

/// So many steps of SQLite's machine are made between two looks at the clock: some microseconds.
const STEPS: i32 = 1000;

/// Answers from a file, within a time.
pub(super) async fn ask(path: &Path, asked: &Asked<'_>, time: Duration) -> Result<Value, Trouble> {
    let connection = opened(path, time).await?;
    let (statement, parameters) = (asked.statement.to_owned(), asked.parameters.to_vec());
    let (take, limits) = (asked.take, asked.limits);
    blocking(move || {
        let asked = Asked { take, statement: &statement, parameters: &parameters, limits };
        read(&connection, &asked)
    })
    .await
}

/// The version of SQLite, once the file has been read.
pub(super) async fn version(path: &Path, time: Duration) -> Result<String, Trouble> {
    let connection = opened(path, time).await?;
    let count = move || connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
    blocking(move || count().map_err(|error| trouble(&error))).await?;
    Ok(rusqlite::version().to_owned())
}

async fn opened(path: &Path, time: Duration) -> Result<Connection, Trouble> {
    let path: PathBuf = path.to_owned();
    blocking(move || open(&path, time).map_err(|error| trouble(&error))).await
}

pub(super) fn open(path: &Path, time: Duration) -> rusqlite::Result<Connection> {
    let mut connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    let end = Instant::now() + time;
    connection.progress_handler(STEPS, Some(move || Instant::now() >= end))?;
    connection.busy_timeout(time)?;
    connection.pragma_update(None, "query_only", true)?;
    // What the schema of a file calls is the file's owner's: nothing of it runs with rights of ours.
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Trouble> + Send + 'static) -> Result<T, Trouble> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Trouble::new(Reason::BadAnswer, format!("reading it failed: {error}")))?
}

fn read(connection: &Connection, asked: &Asked<'_>) -> Result<Value, Trouble> {
    let mut statement = connection.prepare(asked.statement).map_err(|error| trouble(&error))?;
    if !statement.readonly() {
        return Err(rejected("the statement writes, and this connector only reads"));
    }
    asked.check_count(statement.parameter_count())?;
    asked.check_no_truth_values("SQLite")?;
    for (at, value) in asked.parameters.iter().enumerate() {
        let bound = match value {
            Value::Null => statement.raw_bind_parameter(at + 1, rusqlite::types::Null),
            Value::Number(number) => match number.as_i64() {
                Some(whole) => statement.raw_bind_parameter(at + 1, whole),
                // It has no whole number of that size, and a float would lose digits.
                None if number.is_u64() => statement.raw_bind_parameter(at + 1, number.to_string()),
                None => statement.raw_bind_parameter(at + 1, number.as_f64()),
            },
            Value::String(text) => statement.raw_bind_parameter(at + 1, text),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                return Err(rejected("a parameter is a truth value, a list or a map"));
            }
        };
        bound.map_err(|error| trouble(&error))?;
    }
    let names = statement.column_names().map(str::to_owned).collect();
    let mut gathered = Gathered::new(asked, names)?;
    let mut rows = statement.raw_query();
    while gathered.wants_more() {
        let Some(row) = rows.next().map_err(|error| trouble(&error))? else { break };
        let cell = |(at, name): (usize, &String)| {
            cell(row.get_ref(at).map_err(|error| trouble(&error))?, name, asked.limits.bytes)
        };
        let cells = gathered.columns().iter().enumerate().map(cell).collect::<Result<_, _>>()?;
        gathered.add(cells)?;
    }
    Ok(gathered.answer())
}

fn cell(value: ValueRef<'_>, column: &str, most: usize) -> Result<Value, Trouble> {
    match value {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(number) => Ok(number.into()),
        ValueRef::Real(number) => reading::float(number, column),
        ValueRef::Text(text) if text.len() > most => {
            Err(Trouble::new(Reason::TooLarge, format!("column `{column}` is longer than {most} bytes")))
        }
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Ok(text.into()),
            Err(_) => Err(bad_cell(column, reading::NO_UTF8)),
        },
        ValueRef::Blob(_) => Err(bad_cell(column, reading::BINARY)),
    }
}

/// SQLite's messages hold names and parts of the statement, never data.
fn trouble(error: &rusqlite::Error) -> Trouble {
    let (reason, text) = match error {
        rusqlite::Error::MultipleStatement => (Reason::Rejected, "only one statement may be asked".to_owned()),
        rusqlite::Error::SqlInputError { msg, .. } => (Reason::Rejected, msg.clone()),
        rusqlite::Error::SqliteFailure(failure, said) => {
            let text = said.clone().unwrap_or_else(|| failure.to_string());
            match failure.code {
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                    (Reason::Timeout, "it is locked by a writer".into())
                }
                ErrorCode::OperationInterrupted => (Reason::Timeout, "the statement took too long".into()),
                ErrorCode::CannotOpen => (Reason::Unreachable, format!("the file cannot be opened: {text}")),
                ErrorCode::PermissionDenied => (Reason::Denied, "the file may not be read".into()),
                ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => {
                    (Reason::BadAnswer, format!("the file cannot be read: {failure}"))
                }
                ErrorCode::ReadOnly => (Reason::Rejected, "the statement writes, and this connector only reads".into()),
                ErrorCode::TooBig => (Reason::TooLarge, "a value is too long".into()),
                ErrorCode::SystemIoFailure => (Reason::Unreachable, format!("the file cannot be read: {failure}")),
                _ => (Reason::Rejected, text),
            }
        }
        other => (Reason::BadAnswer, format!("it cannot be read: {other}")),
    };
    let trouble = Trouble::new(reason, text);
    // A file that was opened is there.
    if reason == Reason::Timeout { trouble.as_answered() } else { trouble }
}
