//! A reloadable list or map as scripts see it: `table("disposable").has(x)`, `.get(k)`. Reading files is `release::tables`.
//!
//! Immutable; look-ups neither allocate nor lock, whatever the size.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};
use rhai::{Array, Dynamic, EvalAltResult, ImmutableString, Map};

use crate::script::library::{Doc, Library};
use crate::script::prelude::domain;
use crate::script::prelude::email::Email;
use crate::script::prelude::json;

/// What a table's file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// The rows of one table, immutable.
#[derive(Default)]
pub struct Table {
    name: ImmutableString,
    kind: Kind,
    rows: Rows,
}

enum Rows {
    Domains(HashMap<Box<str>, Reach>),
    Lines(HashSet<Box<str>>),
    Csv { columns: Vec<ImmutableString>, rows: HashMap<Box<str>, Box<[ImmutableString]>> },
    Object(HashMap<Box<str>, Dynamic>),
    List { values: Vec<Dynamic>, texts: HashMap<Box<str>, usize> },
}

impl Default for Rows {
    fn default() -> Self {
        Self::Lines(HashSet::new())
    }
}

/// `rows()` refuses more: look-ups are what tables are for.
pub const MAX_ROWS_LISTED: usize = 10_000;

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({}, {:?}, {} rows)", self.name, self.kind, self.len())
    }
}

/// Making tables.
impl Table {
    /// A table of domains in their checked form ([`domain::checked`]). `foo.tld` beside `*.foo.tld` is `foo.tld`.
    pub fn domains(name: &str, entries: impl IntoIterator<Item = (String, Reach)>) -> Self {
        let mut rows = HashMap::new();
        for (domain, reach) in entries {
            let known = rows.entry(domain.into_boxed_str()).or_insert(reach);
            if reach == Reach::All {
                *known = reach;
            }
        }
        rows.shrink_to_fit();
        Self { name: name.into(), kind: Kind::Domains, rows: Rows::Domains(rows) }
    }

    /// A table of texts.
    pub fn lines(name: &str, entries: impl IntoIterator<Item = String>) -> Self {
        let rows = entries.into_iter().map(String::into_boxed_str).collect();
        Self { name: name.into(), kind: Kind::Lines, rows: Rows::Lines(rows) }
    }

    /// A table of rows found by the text in column `key`; the first of several rows with one key stays.
    pub fn csv(name: &str, columns: &[String], key: usize, rows: impl IntoIterator<Item = Vec<String>>) -> Self {
        let mut found = HashMap::new();
        for row in rows {
            let id = row.get(key).cloned().unwrap_or_default();
            found.entry(id.into_boxed_str()).or_insert_with(|| row.into_iter().map(ImmutableString::from).collect());
        }
        let columns = columns.iter().map(ImmutableString::from).collect();
        Self { name: name.into(), kind: Kind::Csv, rows: Rows::Csv { columns, rows: found } }
    }

    /// A table of an object's entries or an array's values. `kind` says which file it came from.
    ///
    /// # Errors
    /// The value is neither.
    pub fn data(name: &str, kind: Kind, value: &serde_json::Value) -> Result<Self, String> {
        let rows = match value {
            serde_json::Value::Object(map) => Rows::Object(
                map.iter().map(|(key, value)| (key.as_str().into(), json::dynamic_from_json(value))).collect(),
            ),
            serde_json::Value::Array(items) => {
                let texts = items.iter().enumerate().filter_map(|(index, item)| Some((scalar(item)?, index)));
                Rows::List { texts: texts.collect(), values: items.iter().map(json::dynamic_from_json).collect() }
            }
            _ => return Err("a table is an object or an array".to_owned()),
        };
        Ok(Self { name: name.into(), kind, rows })
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
        let columns: Vec<String> = objects.first().map(|row| row.keys().cloned().collect()).unwrap_or_default();
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
    pub fn name(&self) -> &ImmutableString {
        &self.name
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn len(&self) -> usize {
        match &self.rows {
            Rows::Domains(rows) => rows.len(),
            Rows::Lines(rows) => rows.len(),
            Rows::Csv { rows, .. } => rows.len(),
            Rows::Object(rows) => rows.len(),
            Rows::List { values, .. } => values.len(),
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
            Rows::Lines(rows) => rows.contains(text),
            Rows::Csv { rows, .. } => rows.contains_key(text),
            Rows::Object(rows) => rows.contains_key(text),
            Rows::List { texts, .. } => texts.contains_key(text),
        }
    }

    /// Domains: whether an entry covers the address' domain. Others: whether the address is an entry, as given, with its
    /// checked domain, or as [`Email::key`].
    pub fn has_email(&self, email: &Email) -> bool {
        match &self.rows {
            Rows::Domains(rows) => find_domain(rows, email.domain()).is_some(),
            _ => self.email_spelling(email).is_some(),
        }
    }

    /// What is stored under a key: a row (csv), a value (json, toml); in plain lists the entry that matched. `()` if nothing.
    pub fn get(&self, key: &str) -> Dynamic {
        let found = match &self.rows {
            Rows::Domains(_) if key.contains('@') => return self.get_email(&Email::parse(key)),
            Rows::Domains(rows) => domain::checked(key.trim())
                .and_then(|name| find_domain(rows, &name))
                .map(|entry| text_of_domain(entry).into()),
            Rows::Lines(rows) => rows.get(key).map(|line| ImmutableString::from(line.as_ref()).into()),
            Rows::Csv { columns, rows } => rows.get(key).map(|row| row_map(columns, row)),
            Rows::Object(rows) => rows.get(key).cloned(),
            Rows::List { values, texts } => texts.get(key).and_then(|index| values.get(*index)).cloned(),
        };
        // A clone of a read-only value can be written again.
        found.unwrap_or(Dynamic::UNIT).into_read_only()
    }

    /// As [`Table::get`], found as [`Table::has_email`] finds.
    pub fn get_email(&self, email: &Email) -> Dynamic {
        match &self.rows {
            Rows::Domains(rows) => {
                find_domain(rows, email.domain()).map_or(Dynamic::UNIT, |entry| text_of_domain(entry).into())
            }
            _ => self.email_spelling(email).map_or(Dynamic::UNIT, |text| self.get(&text)),
        }
    }

    /// All rows, read-only, in order of their keys (an array's in its own order).
    ///
    /// # Errors
    /// More than [`MAX_ROWS_LISTED`].
    pub fn rows(&self) -> Result<Array, Box<EvalAltResult>> {
        if self.len() > MAX_ROWS_LISTED {
            let message = format!(
                "table `{}` has {} rows: use `has` or `get`, `rows` gives {MAX_ROWS_LISTED} at most",
                self.name,
                self.len()
            );
            return Err(message.into());
        }
        let rows = match &self.rows {
            Rows::Domains(rows) => {
                sorted(rows.iter().map(|(name, reach)| (text_of_domain((name, *reach)).to_string(), None)))
            }
            Rows::Lines(rows) => sorted(rows.iter().map(|line| (line.to_string(), None))),
            Rows::Csv { columns, rows } => {
                sorted(rows.iter().map(|(key, row)| (key.to_string(), Some(row_map(columns, row)))))
            }
            Rows::Object(rows) => sorted(rows.iter().map(|(key, value)| (key.to_string(), Some(value.clone())))),
            Rows::List { values, .. } => values.clone(),
        };
        Ok(rows.into_iter().map(Dynamic::into_read_only).collect())
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

fn find_domain<'a>(rows: &'a HashMap<Box<str>, Reach>, name: &str) -> Option<(&'a str, Reach)> {
    if let Some((entry, Reach::All)) = rows.get_key_value(name) {
        return Some((entry, Reach::All));
    }
    let mut rest = name;
    while let Some((_, parent)) = rest.split_once('.') {
        if let Some((entry, reach)) = rows.get_key_value(parent) {
            return Some((entry, *reach));
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

fn row_map(columns: &[ImmutableString], row: &[ImmutableString]) -> Dynamic {
    let cells = columns.iter().zip(row).map(|(column, cell)| (column.as_str().into(), Dynamic::from(cell.clone())));
    Dynamic::from_map(cells.collect::<Map>())
}

fn sorted(rows: impl Iterator<Item = (String, Option<Dynamic>)>) -> Array {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    rows.into_iter().map(|(key, row)| row.unwrap_or_else(|| key.into())).collect()
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
