//! Reading table files: everything that published lists get wrong is found here, before a script can act on it.
//!
//! Never touches the file system: bytes in, a [`Table`] or all complaints out.

use hookgate_model::finding::Finding;
use hookgate_script::table::{Kind, Table};

mod data;
mod lists;

/// What the configuration says of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    /// Its name in `gateway.toml`.
    pub(crate) name: &'a str,
    /// Path relative to the bundle, for findings.
    pub(crate) file: &'a str,
    pub(crate) kind: Kind,
    /// Fewer rows are an error.
    pub(crate) min_rows: usize,
    /// How many per cent of the rows may go from one version to the next; more is an error.
    pub(crate) max_shrink_percent: Option<u8>,
    /// The csv column that is looked up; the first if not given.
    pub(crate) key: Option<&'a str>,
}

/// Larger files are refused.
pub(crate) const MAX_BYTES: usize = 64 << 20;

/// Larger toml files are refused: unlike the others they are read whole, which takes fifty times their size while it lasts.
const MAX_TOML_BYTES: usize = 2 << 20;

/// Findings told one by one; of the others only the number is told.
const MAX_FINDINGS: usize = 50;

/// Reads a table. `previous` is the one it would replace.
///
/// # Errors
/// All complaints at once, fifty at most, at least one of them an error: unreadable text, bad lines, public
/// suffixes as domains, fewer than `min_rows`, more lost than `max_shrink_percent` allows.
pub(crate) fn load(
    source: &Source<'_>,
    bytes: &[u8],
    previous: Option<&Table>,
) -> Result<(Table, Vec<Finding>), Vec<Finding>> {
    let mut report = Report::default();
    let table = match decode(source, bytes) {
        Ok(text) => read(source, text, &mut report),
        Err(finding) => {
            report.error(|| *finding);
            None
        }
    };
    if let Some(table) = table.as_ref().filter(|_| !report.failed) {
        check_size(source, table, previous, &mut report);
    }
    let failed = report.failed;
    let findings = report.finish(source);
    match table {
        Some(table) if !failed => Ok((table, findings)),
        _ => Err(findings),
    }
}

fn read(source: &Source<'_>, text: &str, report: &mut Report) -> Option<Table> {
    match source.kind {
        Kind::Domains => Some(lists::domains(source, text, report)),
        Kind::Lines => Some(lists::lines(source, text, report)),
        Kind::Csv => data::csv(source, text, report),
        Kind::Json => data::json(source, text, report),
        Kind::Toml => data::toml(source, text, report),
    }
}

fn decode<'a>(source: &Source<'_>, bytes: &'a [u8]) -> Result<&'a str, Box<Finding>> {
    if bytes.len() > MAX_BYTES {
        let message = format!("this table has {} MiB, the limit is {} MiB", bytes.len() >> 20, MAX_BYTES >> 20);
        return Err(Finding::error("table/too-large", source.file, message).into());
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
            let finding = Finding::error("table/not-utf8", source.file, format!("line {line} is not UTF-8 text"));
            Err(finding.help("save the file as UTF-8").into())
        }
    }
}

fn check_size(source: &Source<'_>, table: &Table, previous: Option<&Table>, report: &mut Report) {
    let rows = table.len();
    if rows < source.min_rows {
        let message = format!("table `{}` has {rows} rows, `min_rows` wants {}", source.name, source.min_rows);
        report.error(|| Finding::error("table/too-few-rows", source.file, message));
        return;
    }
    let (Some(percent), Some(before)) = (source.max_shrink_percent, previous.map(Table::len)) else { return };
    let lost = before.saturating_sub(rows);
    if lost * 100 > before * usize::from(percent) {
        let message = format!("table `{}` shrinks from {before} to {rows} rows, more than {percent} %", source.name);
        report.error(|| {
            Finding::error("table/shrunk", source.file, message)
                .help("if that is meant, raise `max_shrink_percent` for this one reload")
        });
    }
}

/// Gathers findings, errors before warnings, without building those that nobody will read.
#[derive(Default)]
struct Report {
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
    untold: usize,
    failed: bool,
}

impl Report {
    fn error(&mut self, finding: impl FnOnce() -> Finding) {
        self.add(finding, true);
    }

    fn warning(&mut self, finding: impl FnOnce() -> Finding) {
        self.add(finding, false);
    }

    fn add(&mut self, finding: impl FnOnce() -> Finding, fails: bool) {
        self.failed |= fails;
        let list = if fails { &mut self.errors } else { &mut self.warnings };
        if list.len() < MAX_FINDINGS {
            list.push(finding());
        } else {
            self.untold += 1;
        }
    }

    fn finish(self, source: &Source<'_>) -> Vec<Finding> {
        let mut findings = self.errors;
        findings.extend(self.warnings);
        let untold = self.untold + findings.len().saturating_sub(MAX_FINDINGS);
        findings.truncate(MAX_FINDINGS);
        if untold > 0 {
            findings.push(Finding::warning(
                "table/more",
                source.file,
                format!("and {untold} more findings in this file"),
            ));
        }
        findings
    }
}

#[cfg(test)]
mod tests;
