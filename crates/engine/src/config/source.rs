//! The text of `gateway.toml` as a tree that remembers places: what findings point at.
//!
//! Texts that stand where a secret belongs are hidden from every excerpt, because findings travel to logs and the viewer.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

use crate::config::MOST_FINDINGS;
use hookgate_model::finding::Finding;
use hookgate_model::secret::literal;

/// Keys whose values are no secrets, in sections where anything else may be one.
#[derive(Clone, Debug, Default)]
pub(super) struct PlainKeys {
    /// Of `[auth.NAME]`.
    pub(super) auth: BTreeSet<String>,
    /// Of `[connectors.NAME]`.
    pub(super) connectors: BTreeSet<String>,
    /// Of `[routes.NAME.reconcile]`.
    pub(super) logs: BTreeSet<String>,
}

/// Where a key and its value stand, in bytes.
#[derive(Clone, Debug)]
struct Place {
    key: Range<usize>,
    value: Range<usize>,
}

/// A file, its text with secrets hidden, and the place of every key path.
#[derive(Clone, Debug)]
pub(super) struct Source {
    file: String,
    shown: String,
    places: HashMap<String, Place>,
}

/// The tree of a file as JSON, and what JSON cannot hold.
pub(super) struct Tree<'k> {
    pub(crate) source: Source,
    pub(crate) value: Value,
    pub(crate) findings: Vec<Finding>,
    /// Key paths of values that JSON would take for something else: `(path, what it is)`.
    pub(crate) disguised: Vec<(String, &'static str)>,
    plain: &'k PlainKeys,
}

/// `parent.key`, with quotes where TOML needs them.
pub(super) fn join(parent: &str, key: &str) -> String {
    let key = if is_bare(key) { key.to_owned() } else { format!("{key:?}") };
    if parent.is_empty() { key } else { format!("{parent}.{key}") }
}

/// Whether a name needs no quotes in TOML.
pub(super) fn is_bare(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

impl Source {
    /// An error at the value of `path`, or at the nearest section around it if there is no such key.
    pub(super) fn at_value(&self, code: &'static str, path: &str, message: impl Into<String>) -> Finding {
        let span = self.nearest_place(path).map(|place| place.value.clone());
        self.placed(code, span, message).key(path)
    }

    /// An error at the key of `path` itself.
    pub(super) fn at_key(&self, code: &'static str, path: &str, message: impl Into<String>) -> Finding {
        let span = self.nearest_place(path).map(|place| place.key.clone());
        self.placed(code, span, message).key(path)
    }

    /// Whether `path` is written in the file.
    pub(super) fn has(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    /// The text at a byte range, with secrets hidden.
    pub(super) fn shown(&self, span: Range<usize>) -> &str {
        self.shown.get(span).unwrap_or_default()
    }

    /// An error at a byte range.
    pub(super) fn placed(&self, code: &'static str, span: Option<Range<usize>>, message: impl Into<String>) -> Finding {
        let finding = Finding::error(code, self.file.as_str(), message);
        match span {
            Some(span) => finding.at_span(&self.shown, self.on_boundaries(span)),
            None => finding,
        }
    }

    /// The section that a byte of the text belongs to, as its header is written.
    pub(super) fn header_before(&self, offset: usize) -> &str {
        let before = self.shown.get(..offset).unwrap_or_default();
        before.lines().rev().map(str::trim_start).find(|line| line.starts_with('[')).unwrap_or_default()
    }

    fn on_boundaries(&self, span: Range<usize>) -> Range<usize> {
        let floor = |offset: usize| self.shown.floor_char_boundary(offset.min(self.shown.len()));
        floor(span.start)..floor(span.end)
    }

    fn nearest_place(&self, path: &str) -> Option<&Place> {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return Some(place);
            }
            path = parent(path)?;
        }
    }

    fn hide(&mut self, span: Range<usize>) {
        let span = self.on_boundaries(span);
        let hidden: String = self.shown[span.clone()]
            .bytes()
            .map(|byte| if b"\"'\r\n".contains(&byte) { byte as char } else { '*' })
            .collect();
        self.shown.replace_range(span, &hidden);
    }
}

impl<'k> Tree<'k> {
    /// The tree of `text`, which `root` was parsed from.
    pub(super) fn new(file: &str, text: &str, root: &DeTable<'_>, plain: &'k PlainKeys) -> Self {
        let source = Source { file: file.to_owned(), shown: text.to_owned(), places: HashMap::new() };
        let mut tree = Self { source, value: Value::Null, findings: Vec::new(), disguised: Vec::new(), plain };
        tree.value = tree.table("", &mut Vec::new(), root);
        tree
    }

    fn table<'t>(&mut self, path: &str, steps: &mut Vec<&'t str>, table: &'t DeTable<'_>) -> Value {
        let mut entries = Map::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let path = join(path, name);
            self.source.places.insert(path.clone(), Place { key: key.span(), value: value.span() });
            steps.push(name);
            let value = self.value(&path, steps, value.get_ref(), value.span());
            steps.pop();
            entries.insert(name.to_owned(), value);
        }
        Value::Object(entries)
    }

    fn value<'t>(&mut self, path: &str, steps: &mut Vec<&'t str>, value: &'t DeValue<'_>, span: Range<usize>) -> Value {
        if is_secret(steps, value, self.plain) {
            self.source.hide(span);
        }
        match value {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(boolean) => Value::Bool(*boolean),
            DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(number) => Value::Number(number.into()),
                Err(_) => self.unfit(path, "the number is out of range"),
            },
            DeValue::Float(float) => {
                if !in_params(steps) && steps.last() != Some(&"rate_share") {
                    self.disguised.push((path.to_owned(), "a number with a decimal point"));
                }
                match float.as_str().parse().ok().and_then(Number::from_f64) {
                    Some(number) => Value::Number(number),
                    None => self.unfit(path, "the number must be finite"),
                }
            }
            DeValue::Datetime(datetime) => {
                if !in_params(steps) {
                    self.disguised.push((path.to_owned(), "a date or time"));
                }
                Value::String(datetime.to_string())
            }
            DeValue::Array(items) => {
                let mut values = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    self.source.places.insert(path.clone(), Place { key: item.span(), value: item.span() });
                    values.push(self.value(&path, steps, item.get_ref(), item.span()));
                }
                Value::Array(values)
            }
            DeValue::Table(table) => self.table(path, steps, table),
        }
    }

    fn unfit(&mut self, path: &str, message: &str) -> Value {
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(self.source.at_value("config/bad-value", path, message));
        }
        Value::Null
    }
}

/// `routes.a` for `routes.a.path`, `routes.a.auth` for `routes.a.auth[1]`.
fn parent(path: &str) -> Option<&str> {
    let end = match path.chars().next_back()? {
        ']' => path.rfind('['),
        '"' => path.rfind(".\""),
        _ => path.rfind('.'),
    };
    end.map(|end| &path[..end])
}

fn in_params(steps: &[&str]) -> bool {
    matches!(steps, ["routes", _, "params", ..] | ["routes", _, "rules", _, "params", ..])
}

/// Whether what is written there is a secret, or was meant as one, or looks like one. What is hidden needlessly is still in
/// the file.
fn is_secret(steps: &[&str], value: &DeValue<'_>, plain: &PlainKeys) -> bool {
    if matches!(value, DeValue::Table(_) | DeValue::Array(_)) {
        return false;
    }
    let names_its_source = matches!(steps.last(), Some(&"env" | &"file" | &"create"));
    if let Some(text) = value.as_str() {
        let name = steps.last().copied().unwrap_or_default();
        // The column of a table is no secret.
        let by_name = literal::is_secret(name, text) && steps.first() != Some(&"tables");
        if by_name || literal::secret_in(text).is_some() || (names_its_source && literal::looks_like_a_value(text)) {
            return true;
        }
    }
    match steps {
        ["admin", "token" | "read_token", ..] => !names_its_source,
        ["auth", _, key, ..] => !names_its_source && !plain.auth.contains(*key),
        ["connectors", _, key] if plain.connectors.contains(*key) => value.as_str().is_some_and(has_password),
        ["connectors", _, "base_url"] => value.as_str().is_some_and(has_password),
        ["connectors", _, key, ..] => !names_its_source && !plain.connectors.contains(*key),
        ["routes", _, "reconcile", key] if plain.logs.contains(*key) => value.as_str().is_some_and(has_password),
        ["routes", _, "reconcile", key, ..] => !names_its_source && !plain.logs.contains(*key),
        ["store", "url"] => value.as_str().is_some_and(has_password),
        ["telemetry", "headers", ..] => !names_its_source,
        _ => false,
    }
}

/// Whether an address carries a password, as in `postgres://user:password@host/db`.
pub(super) fn has_password(address: &str) -> bool {
    let Some((_, rest)) = address.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let in_authority = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    in_authority || rest.contains("password=")
}
