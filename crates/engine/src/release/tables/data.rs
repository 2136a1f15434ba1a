//! Tables with structure: csv, json, toml.

use foldhash::{HashSet, HashSetExt};

use crate::release::tables::{MAX_TOML_BYTES, Report, Source};
use hookgate_model::finding::{self, Finding};
use hookgate_script::table::{Filling, NotJson, Table};

/// The first row names the columns; every row has as many cells; keys are not empty.
pub(super) fn csv(source: &Source<'_>, text: &str, report: &mut Report) -> Option<Table> {
    let mut reader = reader(text);
    let columns: Vec<String> = match reader.headers() {
        Ok(header) => header.iter().map(str::to_owned).collect(),
        Err(error) => {
            report.error(|| bad_csv(source, text, &error));
            return None;
        }
    };
    let key = key_column(source, text, &columns, report)?;
    let mut rows = Filling::new(text.len());
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                report.error(|| bad_csv(source, text, &error));
                continue;
            }
        };
        let start = record.position().map_or(0, csv::Position::byte);
        let id = record.get(key).unwrap_or_default();
        let place = |finding: Finding| finding.at(text, line_of(text, start), 1);
        if id.is_empty() {
            let message = format!("this row has nothing in its key column `{}`", columns[key]);
            report.error(|| place(Finding::error("table/no-key", source.file, message)));
            continue;
        }
        if !rows.row(id, record.len(), record.iter()) {
            report.warning(|| {
                let first = first_row(text, key, id).map_or(0, |start| line_of(text, start));
                let message = format!("`{id}` is already in line {first}: this row is not used");
                place(Finding::warning("table/duplicate", source.file, message))
            });
        }
    }
    Some(rows.csv(source.name, &columns))
}

fn reader(text: &str) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().comment(Some(b'#')).trim(csv::Trim::All).from_reader(text.as_bytes())
}

/// Where the first row with this key begins. Looked for once it is needed: to keep it of all rows would take more memory
/// than the table.
fn first_row(text: &str, key: usize, id: &str) -> Option<u64> {
    let row = reader(text).into_records().flatten().find(|record| record.get(key) == Some(id))?;
    row.position().map(csv::Position::byte)
}

fn key_column(source: &Source<'_>, text: &str, columns: &[String], report: &mut Report) -> Option<usize> {
    if columns.iter().all(String::is_empty) {
        report.error(|| {
            Finding::error("table/no-columns", source.file, "the first row must name the columns")
                .help("for example `id,name`")
        });
        return None;
    }
    let mut seen: HashSet<&str> = HashSet::new();
    for (index, column) in columns.iter().enumerate() {
        if !seen.insert(column) || column.is_empty() {
            let message = format!("column {} is named `{column}`: names must be there and differ", index + 1);
            report.error(|| Finding::error("table/bad-column", source.file, message).at(text, 1, 1));
        }
    }
    let Some(key) = source.key else { return Some(0) };
    let place = columns.iter().position(|column| column == key);
    if place.is_none() {
        report.error(|| {
            let finding = Finding::error("table/no-key-column", source.file, format!("there is no column `{key}`"))
                .at(text, 1, 1);
            match finding::nearest(key, columns.iter().map(String::as_str)) {
                Some(near) => finding.help(format!("did you mean `{near}`?")),
                None => finding.help(format!("there are: {}", columns.join(", "))),
            }
        });
    }
    place
}

fn bad_csv(source: &Source<'_>, text: &str, error: &csv::Error) -> Finding {
    let message = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("this row has {len} cells, the first row names {expected_len} columns")
        }
        _ => error.to_string(),
    };
    let line = error.position().map_or(0, |place| line_of(text, place.byte()));
    Finding::error("table/bad-row", source.file, message).at(text, line, 1)
}

/// The line of the row that the reader began to look for at byte `start`: line ends and comments before it do not count.
fn line_of(text: &str, start: u64) -> usize {
    let mut start = usize::try_from(start).unwrap_or(usize::MAX).min(text.len());
    loop {
        let rest = text.get(start..).unwrap_or_default();
        start += rest.len() - rest.trim_start_matches(['\r', '\n']).len();
        match text.get(start..) {
            Some(rest) if rest.starts_with('#') => start += rest.find('\n').unwrap_or(rest.len()),
            _ => break,
        }
    }
    text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1
}

pub(super) fn json(source: &Source<'_>, text: &str, report: &mut Report) -> Option<Table> {
    match Table::json(source.name, text) {
        Ok(table) => Some(table),
        Err(NotJson::NoRows(message)) => {
            report.error(|| Finding::error("table/no-rows", source.file, message));
            None
        }
        Err(NotJson::Syntax(error)) => {
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default().to_owned();
            // serde_json counts bytes, findings count characters.
            let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
            let column =
                line.get(..error.column().saturating_sub(1)).map_or(error.column(), |head| head.chars().count() + 1);
            report
                .error(|| Finding::error("table/bad-json", source.file, message).at(text, error.line(), column.max(1)));
            None
        }
    }
}

pub(super) fn toml(source: &Source<'_>, text: &str, report: &mut Report) -> Option<Table> {
    if text.len() > MAX_TOML_BYTES {
        let (have, most) = (text.len() >> 20, MAX_TOML_BYTES >> 20);
        report.error(|| {
            let message = format!("this table has {have} MiB, the limit for toml is {most} MiB");
            Finding::error("table/too-large", source.file, message).help("use json or csv for large tables")
        });
        return None;
    }
    match toml::from_str::<toml::Table>(text) {
        Ok(table) => {
            // toml's own serialization writes dates as tagged maps, so they are turned into their text here.
            let value = json_from_toml(toml::Value::Table(table));
            match Table::data(source.name, source.kind, &value) {
                Ok(table) => Some(table),
                Err(message) => {
                    report.error(|| Finding::error("table/no-rows", source.file, message));
                    None
                }
            }
        }
        Err(error) => {
            report.error(|| {
                let finding = Finding::error("table/bad-toml", source.file, error.message().replace('\n', ", "));
                error.span().map_or(finding.clone(), |span| finding.at_span(text, span))
            });
            None
        }
    }
}

fn json_from_toml(value: toml::Value) -> serde_json::Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json_from_toml).collect(),
        toml::Value::Table(table) => {
            serde_json::Value::Object(table.into_iter().map(|(key, value)| (key, json_from_toml(value))).collect())
        }
    }
}
