//! `[tables.NAME]`: reloadable lists and maps. Holds settings only; nothing here reads a table.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A list or map in a file, which scripts read with `table("NAME")`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Path of the file, relative to `gateway.toml`.
    #[schemars(length(min = 1))]
    pub file: String,
    /// How the file is read.
    pub kind: TableKind,
    /// A file with fewer rows is refused and the table in use stays.
    #[serde(default = "one_row")]
    pub min_rows: u64,
    /// The column of a CSV file that is looked up; the first one if absent.
    #[schemars(length(min = 1))]
    pub(crate) key: Option<String>,
    /// A file that lost more than this share of the rows in use is refused and the table in use stays.
    #[serde(default = "half")]
    #[schemars(range(max = 100))]
    pub max_shrink_percent: u8,
}

/// How the file of a table is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TableKind {
    /// One domain a line, compared in lower-case ASCII form.
    Domains,
    /// One text a line.
    Lines,
    /// Comma-separated values with a header line; a row is found by its key column.
    Csv,
    /// A JSON object or array.
    Json,
    /// A TOML file; its keys are looked up.
    Toml,
}

fn one_row() -> u64 {
    1
}

fn half() -> u8 {
    50
}
