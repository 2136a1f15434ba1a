//! Reading the files that the configuration of a bundle names.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config;
use crate::config::Document;
use crate::release::tables;
use hookgate_model::files::fence::{Fence, Purpose};
use hookgate_model::finding::Finding;

/// The bytes of every table, by its name.
///
/// # Errors
/// Which cannot be read.
pub(super) fn read_tables(fence: &Fence, document: &Document) -> Result<BTreeMap<String, Arc<[u8]>>, Vec<Finding>> {
    let mut read = BTreeMap::new();
    let mut findings = Vec::new();
    for (name, table) in &document.config.tables {
        match read_table(fence, document, name, table) {
            Ok(bytes) => drop(read.insert(name.clone(), bytes)),
            Err(finding) => findings.push(*finding),
        }
    }
    if findings.is_empty() { Ok(read) } else { Err(findings) }
}

/// The bytes of one table.
///
/// # Errors
/// Why they cannot be read.
pub(super) fn read_table(
    fence: &Fence,
    document: &Document,
    name: &str,
    table: &config::tables::Table,
) -> Result<Arc<[u8]>, Box<Finding>> {
    fence.read(&table.file, Purpose::Text, tables::MAX_BYTES as u64).map(Arc::from).map_err(|error| {
        let text = format!("`{}` cannot be read: {error}", table.file);
        let finding = document.finding("table/unreadable", &format!("tables.{name}.file"), text);
        Box::new(Finding { help: error.help().map(str::to_owned), ..finding })
    })
}
