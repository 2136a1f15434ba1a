//! What the release in force consists of: routes, tables and connectors by name, without a text of it.

use std::sync::Arc;

use hookgate_engine::config;
use hookgate_engine::release::{Release, Route};

/// The release in force.
pub struct InForce {
    release: Arc<Release>,
}

/// A table as it is configured, and what is known of its file.
pub struct TableView<'a> {
    pub name: &'a str,
    pub written: &'a config::tables::Table,
    pub rows: usize,
    /// SHA-256 of the file, 64 hexadecimal digits.
    pub hash: &'a str,
}

impl InForce {
    pub(super) fn new(release: Arc<Release>) -> Self {
        Self { release }
    }

    /// The first twelve digits of its hash.
    pub fn label(&self) -> &str {
        self.release.label()
    }

    /// In the order of the configuration.
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.release.routes
    }

    /// A route as it is written.
    pub fn written(&self, route: &str) -> Option<&config::routes::Route> {
        self.release.config.routes.get(route)
    }

    /// Names of the connectors.
    pub fn connectors(&self) -> impl Iterator<Item = &String> {
        self.release.config.connectors.keys()
    }

    /// In the order of the configuration.
    pub fn tables(&self) -> impl Iterator<Item = TableView<'_>> {
        self.release.config.tables.iter().map(|(name, written)| TableView {
            name,
            written,
            rows: self.release.tables.get(name.as_str()).map_or(0, |table| table.len()),
            hash: self.release.table_hashes.get(name).map(String::as_str).unwrap_or_default(),
        })
    }
}
