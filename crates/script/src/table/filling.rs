//! A table made entry by entry, so that its file and the table are all that is in memory.

use std::convert::Infallible;

use rhai::ImmutableString;

use crate::table::entries::{Entries, put_cells};
use crate::table::{Kind, Reach, Rows, Table};

/// A table that is being filled from the lines of a file.
pub struct Filling {
    entries: Entries,
}

impl Filling {
    /// For a file of so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self { entries: Entries::keyed(bytes) }
    }

    /// Whether the domain in its checked form was not there with this reach.
    pub fn domain(&mut self, domain: &str, reach: Reach) -> bool {
        let bit = reach.bit();
        let Ok(new) = self.entries.add(domain, false, |block| {
            block.push(bit);
            Ok::<(), Infallible>(())
        });
        let known = self.entries.find(domain).map_or(0, |mut entry| entry.byte());
        self.entries.mark(domain, |bits| bits | bit);
        new || known & bit == 0
    }

    /// Whether the line was not there.
    pub fn line(&mut self, line: &str) -> bool {
        let Ok(new) = self.entries.add(line, false, |_| Ok::<(), Infallible>(()));
        new
    }

    /// Whether there was no row with this key. Otherwise the first stays.
    pub fn row<'a>(&mut self, key: &str, count: usize, cells: impl Iterator<Item = &'a str>) -> bool {
        let Ok(new) = self.entries.add(key, false, |block| {
            put_cells(block, count, cells);
            Ok::<(), Infallible>(())
        });
        new
    }

    pub fn domains(self, name: &str) -> Table {
        Table { name: name.into(), kind: Kind::Domains, rows: Rows::Domains(self.entries.finished()) }
    }

    pub fn lines(self, name: &str) -> Table {
        Table { name: name.into(), kind: Kind::Lines, rows: Rows::Lines(self.entries.finished()) }
    }

    pub fn csv(self, name: &str, columns: &[String]) -> Table {
        let columns = columns.iter().map(ImmutableString::from).collect();
        Table { name: name.into(), kind: Kind::Csv, rows: Rows::Csv { columns, rows: self.entries.finished() } }
    }
}
