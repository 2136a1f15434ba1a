//! A reloadable list or map as scripts see it: `table("disposable").has(x)`, `.get(k)`. Reading files is `release::tables`.
//!
//! Immutable; look-ups neither allocate nor lock, whatever the size.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rhai::{Array, Dynamic, EvalAltResult, ImmutableString, Map};

use crate::budget;
use crate::library::{Doc, Library};
use crate::prelude::domain;
use crate::prelude::email::Email;
use crate::table::encoded::{Reader, put_value};
use crate::table::entries::Entries;
pub use crate::table::filling::Filling;
pub use crate::table::reading::NotJson;

mod encoded;
mod entries;
mod filling;
mod reading;

/// What a table's file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A domain per line: `foo.tld` means itself and all below it, `*.foo.tld` only what is below it.
    Domains,
    /// A text per line, compared to the letter.
    #[default]
    Lines,
    /// Columns named by the first row; one of them is the key.
    Csv,
    /// An object (key to value) or an array.
    Json,
    /// As JSON.
    Toml,
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "domains" => Ok(Self::Domains),
            "lines" => Ok(Self::Lines),
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            "toml" => Ok(Self::Toml),
            _ => Err(format!("unknown kind of table `{text}`: there are domains, lines, csv, json, toml")),
        }
    }
}

/// How far an entry of a domain table reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// `foo.tld`: itself and every subdomain.
    All,
    /// `*.foo.tld`: subdomains only.
    Below,
}

impl Reach {
    fn bit(self) -> u8 {
        match self {
            Self::All => 1,
            Self::Below => 2,
        }
    }

    /// How far an entry reaches whose bits these are: the wider of what stands in the list.
    fn of(bits: u8) -> Self {
        if bits & Self::All.bit() == 0 { Self::Below } else { Self::All }
    }
}

/// The rows of one table, immutable.
#[derive(Default)]
pub struct Table {
    name: ImmutableString,
    pub kind: Kind,
    rows: Rows,
}

enum Rows {
    /// Of each domain which of [`Reach`] stand in the list, one bit each.
    Domains(Entries),
    Lines(Entries),
    Csv {
        columns: Vec<ImmutableString>,
        /// Of each key the cells of its row.
        rows: Entries,
    },
    Object(Entries),
    List(Entries),
}

impl Default for Rows {
    fn default() -> Self {
        Self::Lines(Entries::default())
    }
}

/// `rows()` refuses more: look-ups are what tables are for.
pub(crate) const MAX_ROWS_LISTED: usize = 10_000;

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({}, {:?}, {} rows)", self.name, self.kind, self.len())
    }
}

/// Making tables.
impl Table {
    /// A table of domains in their checked form ([`domain::checked`]). `foo.tld` beside `*.foo.tld` is `foo.tld`.
    pub(crate) fn domains(name: &str, entries: impl IntoIterator<Item = (String, Reach)>) -> Self {
        let mut rows = Filling::new(0);
        for (domain, reach) in entries {
            rows.domain(&domain, reach);
        }
        rows.domains(name)
    }

    /// A table of texts.
    pub fn lines(name: &str, entries: impl IntoIterator<Item = String>) -> Self {
        let mut rows = Filling::new(0);
        for entry in entries {
            rows.line(&entry);
        }
        rows.lines(name)
    }

    /// A table of rows found by the text in column `key`; the first of several rows with one key stays.
    pub(crate) fn csv(name: &str, columns: &[String], key: usize, rows: impl IntoIterator<Item = Vec<String>>) -> Self {
        let mut found = Filling::new(0);
        for row in rows {
            let id = row.get(key).map(String::as_str).unwrap_or_default();
            found.row(id, row.len(), row.iter().map(String::as_str));
        }
        found.csv(name, columns)
    }

    /// A table of an object's entries or an array's values. `kind` says which file it came from.
    ///
    /// # Errors
    /// The value is neither.
    pub fn data(name: &str, kind: Kind, value: &serde_json::Value) -> Result<Self, String> {
        let rows = match value {
            serde_json::Value::Object(map) => {
                let mut rows = Entries::keyed(0);
                for (key, value) in map {
                    let Ok(_) = rows.add(key, true, |block| {
                        put_value(block, value);
                        Ok::<(), Infallible>(())
                    });
                }
                Rows::Object(rows.finished())
            }
            serde_json::Value::Array(items) => {
                let mut rows = Entries::values(0);
                for item in items {
                    let write = |block: &mut Vec<u8>| {
                        put_value(block, item);
                        Ok::<bool, Infallible>(true)
                    };
                    let Ok(_) = rows.push(write);
                }
                Rows::List(rows.finished())
            }
            _ => return Err(NO_ROWS.to_owned()),
        };
        Ok(Self { name: name.into(), kind, rows })
    }

    /// A table of the text of a JSON file, read piece by piece: the values are never there all at once.
    ///
    /// # Errors
    /// The text is not JSON, nests more than 128 levels deep, or is neither an object nor an array.
    pub fn json(name: &str, text: &str) -> Result<Self, NotJson> {
        let rows = reading::rows(text)?;
        Ok(Self { name: name.into(), kind: Kind::Json, rows })
    }

    /// A table given by a test in place of its file: an array of entries or rows, or an object.
    ///
    /// For domains and lines an array of texts; for csv an array of objects, found by `key` or the first member.
    ///
    /// # Errors
    /// What of `value` does not fit `kind`.
    pub fn of(name: &str, kind: Kind, key: Option<&str>, value: &serde_json::Value) -> Result<Self, String> {
        if matches!(kind, Kind::Json | Kind::Toml) || value.is_object() {
            return Self::data(name, kind, value);
        }
        let items = value.as_array().ok_or_else(|| format!("table `{name}` needs an array"))?;
        match kind {
            Kind::Domains => {
                let entries = items.iter().map(|item| {
                    let text = item.as_str().unwrap_or_default();
                    domain_entry(text).ok_or_else(|| format!("table `{name}`: {item} is not a domain"))
                });
                Ok(Self::domains(name, entries.collect::<Result<Vec<_>, _>>()?))
            }
            Kind::Csv => Self::of_objects(name, key, items),
            _ => {
                let texts = items.iter().map(|item| {
                    scalar(item).map(String::from).ok_or_else(|| format!("table `{name}`: {item} is not a text"))
                });
                Ok(Self::lines(name, texts.collect::<Result<Vec<_>, _>>()?))
            }
        }
    }

    fn of_objects(name: &str, key: Option<&str>, items: &[serde_json::Value]) -> Result<Self, String> {
        let objects =
            items.iter().map(|item| item.as_object().ok_or_else(|| format!("table `{name}`: {item} is not a row")));
        let objects = objects.collect::<Result<Vec<_>, _>>()?;
        // A table without rows has no column but its key.
        let of_key = || key.iter().map(|key| (*key).to_owned()).collect();
        let columns: Vec<String> = objects.first().map_or_else(of_key, |row| row.keys().cloned().collect());
        let place = match key {
            Some(key) => columns.iter().position(|column| column == key),
            None => Some(0),
        };
        let place = place.ok_or_else(|| format!("table `{name}` has no column `{}`", key.unwrap_or_default()))?;
        let cell = |value: Option<&serde_json::Value>| value.and_then(scalar).map(String::from).unwrap_or_default();
        let rows = objects.iter().map(|row| columns.iter().map(|column| cell(row.get(column))).collect());
        Ok(Self::csv(name, &columns, place, rows.collect::<Vec<_>>()))
    }
}

const NO_ROWS: &str = "a table is an object or an array";

/// Reads an entry of a domain table: its checked form and how far it reaches.
pub fn domain_entry(text: &str) -> Option<(String, Reach)> {
    let text = text.trim();
    let (name, reach) = text.strip_prefix("*.").map_or((text, Reach::All), |name| (name, Reach::Below));
    Some((domain::checked(name)?.into_owned(), reach))
}

fn scalar(value: &serde_json::Value) -> Option<Box<str>> {
    match value {
        serde_json::Value::String(text) => Some(text.as_str().into()),
        serde_json::Value::Number(number) => Some(number.to_string().into()),
        serde_json::Value::Bool(flag) => Some(flag.to_string().into()),
        _ => None,
    }
}

/// Reading tables.
impl Table {
    pub(crate) fn name(&self) -> &ImmutableString {
        &self.name
    }

    pub fn len(&self) -> usize {
        self.entries().len()
    }

    fn entries(&self) -> &Entries {
        match &self.rows {
            Rows::Domains(rows)
            | Rows::Lines(rows)
            | Rows::Csv { rows, .. }
            | Rows::Object(rows)
            | Rows::List(rows) => rows,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the text is an entry or key. In a table of domains the text may also be an address or a name not yet checked.
    pub fn has(&self, text: &str) -> bool {
        match &self.rows {
            Rows::Domains(_) if text.contains('@') => self.has_email(&Email::parse(text)),
            Rows::Domains(rows) => domain::checked(text.trim()).is_some_and(|name| find_domain(rows, &name).is_some()),
            Rows::Lines(rows) | Rows::Csv { rows, .. } | Rows::Object(rows) | Rows::List(rows) => {
                rows.find(text).is_some()
            }
        }
    }

    /// Domains: whether an entry covers the address' domain. Others: whether the address is an entry, as given, with its
    /// checked domain, or as [`Email::key`].
    pub(crate) fn has_email(&self, email: &Email) -> bool {
        match &self.rows {
            Rows::Domains(rows) => find_domain(rows, email.domain()).is_some(),
            _ => self.email_spelling(email).is_some(),
        }
    }

    /// What is stored under a key: a row (csv), a value (json, toml); in plain lists the entry that matched. `()` if nothing.
    ///
    /// # Errors
    /// What is there is more than the run may still use.
    pub fn get(&self, key: &str) -> Found {
        let found = match &self.rows {
            Rows::Domains(_) if key.contains('@') => return self.get_email(&Email::parse(key)),
            Rows::Domains(rows) => domain::checked(key.trim())
                .and_then(|name| find_domain(rows, &name))
                .map(|entry| text_of_domain(entry).into()),
            Rows::Lines(rows) => rows.key(key).map(|line| ImmutableString::from(line).into()),
            Rows::Csv { columns, rows } => rows.find(key).map(|row| row_map(columns, row)).transpose()?,
            Rows::Object(rows) | Rows::List(rows) => rows.find(key).map(|mut value| value.value()).transpose()?,
        };
        Ok(found.unwrap_or(Dynamic::UNIT).into_read_only())
    }

    /// As [`Table::get`], found as [`Table::has_email`] finds.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn get_email(&self, email: &Email) -> Found {
        match &self.rows {
            Rows::Domains(rows) => {
                Ok(find_domain(rows, email.domain()).map_or(Dynamic::UNIT, |entry| text_of_domain(entry).into()))
            }
            _ => self.email_spelling(email).map_or(Ok(Dynamic::UNIT), |text| self.get(&text)),
        }
    }

    /// All rows, read-only, in order of their keys (an array's in its own order).
    ///
    /// # Errors
    /// More than [`MAX_ROWS_LISTED`], or more than the run may still use.
    pub fn rows(&self) -> Result<Array, Box<EvalAltResult>> {
        if self.len() > MAX_ROWS_LISTED {
            let message = format!(
                "table `{}` has {} rows: use `has` or `get`, `rows` gives {MAX_ROWS_LISTED} at most",
                self.name,
                self.len()
            );
            return Err(message.into());
        }
        budget::charge(self.len() as u64 * 500)?;
        if let Rows::List(rows) = &self.rows {
            let mut reader = rows.first();
            return (0..rows.len()).map(|_| Ok(reader.value()?.into_read_only())).collect();
        }
        let mut entries: Vec<(&str, Reader<'_>)> = self.entries().iter().collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        let row = |(key, mut entry): (&str, Reader<'_>)| -> Found {
            Ok(match &self.rows {
                Rows::Domains(_) => text_of_domain((key, Reach::of(entry.byte()))).into(),
                Rows::Lines(_) => ImmutableString::from(key).into(),
                Rows::Csv { columns, .. } => row_map(columns, entry)?,
                Rows::Object(_) | Rows::List(_) => entry.value()?,
            })
        };
        entries.into_iter().map(|entry| row(entry).map(Dynamic::into_read_only)).collect()
    }

    fn email_spelling(&self, email: &Email) -> Option<String> {
        let given = email.text().trim_ascii().to_owned();
        if self.has(&given) {
            return Some(given);
        }
        let checked = format!("{}@{}", email.local(), email.domain());
        [checked, email.key()].into_iter().find(|spelling| email.is_valid() && self.has(spelling))
    }
}

/// What a script gets, or why it may not.
type Found = Result<Dynamic, Box<EvalAltResult>>;

fn find_domain<'a>(rows: &'a Entries, name: &str) -> Option<(&'a str, Reach)> {
    let entry = |name: &str| Some((rows.key(name)?, Reach::of(rows.find(name)?.byte())));
    if let Some((name, Reach::All)) = entry(name) {
        return Some((name, Reach::All));
    }
    let mut rest = name;
    while let Some((_, parent)) = rest.split_once('.') {
        if let Some(found) = entry(parent) {
            return Some(found);
        }
        rest = parent;
    }
    None
}

fn text_of_domain((entry, reach): (&str, Reach)) -> ImmutableString {
    match reach {
        Reach::All => entry.into(),
        Reach::Below => format!("*.{entry}").into(),
    }
}

fn row_map(columns: &[ImmutableString], mut row: Reader<'_>) -> Found {
    let cells = row.number();
    budget::reserve(cells * 128)?;
    budget::charge(cells * 200)?;
    let mut map = Map::new();
    for column in columns.iter().take(usize::try_from(cells).unwrap_or(usize::MAX)) {
        let cell = row.text();
        budget::reserve(cell.len() as u64)?;
        map.insert(column.as_str().into(), cell.into());
    }
    Ok(Dynamic::from_map(map))
}

pub(super) fn register(library: &mut Library) {
    library.value::<Arc<Table>>("Table", "A reloadable list or map from a file, see `[tables]` in gateway.toml.");
    library.reader(
        Doc::new(
            "Table.has(x: string or Email or int) -> bool",
            "Whether the table has the entry or key. In a table of domains an entry covers its subdomains too, and an Email counts by its domain.",
            r#"table("disposable").has("x@eu.mailinator.com") && !table("disposable").has("example.com")"#,
        ),
        |table: &mut Arc<Table>, text: &str| table.has(text),
    );
    library.overload("has", |table: &mut Arc<Table>, email: Email| table.has_email(&email));
    library.overload("has", |table: &mut Arc<Table>, number: i64| table.has(&number.to_string()));
    library.overload("contains", |table: &mut Arc<Table>, text: &str| table.has(text));
    library.overload("contains", |table: &mut Arc<Table>, email: Email| table.has_email(&email));
    library.overload("contains", |table: &mut Arc<Table>, number: i64| table.has(&number.to_string()));
    library.reader(
        Doc::new(
            "Table.get(key: string or Email or int) -> map or value or ()",
            "The row (csv) or value (json, toml) under the key; in a plain list, the entry that matched; `()` if there is none.",
            r#"table("staff").get("7").name == "Ann" && table("staff").get("8") == ()"#,
        ),
        |table: &mut Arc<Table>, key: &str| table.get(key),
    );
    library.overload("get", |table: &mut Arc<Table>, email: Email| table.get_email(&email));
    library.overload("get", |table: &mut Arc<Table>, number: i64| table.get(&number.to_string()));
    register_whole(library);
}

fn register_whole(library: &mut Library) {
    library.reader(
        Doc::new(
            "Table.rows() -> array",
            "All rows, in order of their keys; an error if there are more than 10,000: look-ups are what tables are for.",
            r#"table("staff").rows()[0].name == "Ann""#,
        ),
        |table: &mut Arc<Table>| table.rows(),
    );
    library.property(
        Doc::new("Table.len: int", "How many rows or entries there are.", r#"table("disposable").len == 1"#),
        |table: &mut Arc<Table>| i64::try_from(table.len()).unwrap_or(i64::MAX),
    );
    library.overload("len", |table: &mut Arc<Table>| i64::try_from(table.len()).unwrap_or(i64::MAX));
    library.property(
        Doc::new("Table.name: string", "Its name in gateway.toml.", r#"table("staff").name == "staff""#),
        |table: &mut Arc<Table>| table.name().clone(),
    );
    library.overload("to_string", |table: &mut Arc<Table>| format!("table {}", table.name()));
    library.overload("to_debug", |table: &mut Arc<Table>| format!("table {}", table.name()));
}

#[cfg(test)]
mod tests;
