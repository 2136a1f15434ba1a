//! A reloadable list or map as scripts see it: `table("disposable").has(x)`, `.get(k)`. Reading files is `release::tables`.

/// The rows of one table, immutable.
#[derive(Debug, Default)]
pub struct Table;
