//! Collects the findings of one file, at most so many of each code: a generated file can have one on every line.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};

use rhai::Position;

use crate::diagnose::place::Around;
use hookgate_model::finding::{Finding, Severity, nearest};

/// Findings of one code in one file.
const MOST_OF_A_CODE: usize = 100;

/// Names that are compared with all known ones, to guess what was meant, and texts that are looked for in the whole file.
const MOST_GUESSES: usize = 1_000;

/// The findings of one file.
pub(crate) struct Report<'a> {
    file: &'a str,
    source: &'a str,
    /// The text of the file.
    pub(crate) lines: Vec<&'a str>,
    findings: Vec<Finding>,
    seen: HashSet<(&'static str, Position, String)>,
    counts: BTreeMap<&'static str, Count>,
    guesses: Cell<usize>,
    /// Whether the last finding was kept.
    added: bool,
}

/// How many findings a code has.
#[derive(Default)]
struct Count {
    kept: usize,
    /// The first that was left out, and how many were.
    left_out: Option<(Position, Severity, usize)>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(file: &'a str, source: &'a str) -> Self {
        let (findings, seen, counts, guesses) = Default::default();
        Self { file, source, lines: source.lines().collect(), findings, seen, counts, guesses, added: false }
    }

    pub(crate) fn error(&mut self, code: &'static str, at: Position, message: String, help: impl Into<Option<String>>) {
        self.add(Finding::error(code, self.file, message), at, help.into());
    }

    pub(crate) fn warning(
        &mut self,
        code: &'static str,
        at: Position,
        message: String,
        help: impl Into<Option<String>>,
    ) {
        self.add(Finding::warning(code, self.file, message), at, help.into());
    }

    /// Underlines at least so many characters with the last finding.
    pub(crate) fn widen(&mut self, length: usize) {
        if let (true, Some(last)) = (self.added, self.findings.last_mut()) {
            last.length = last.length.max(length);
        }
    }

    /// The text before and after a place.
    pub(crate) fn around(&self, at: Position) -> Around<'a> {
        let line = at.line().and_then(|line| self.lines.get(line - 1)).copied();
        Around::on_line(line.unwrap_or_default(), at.position().unwrap_or(1).max(1))
    }

    /// The name that was probably meant. After [`MOST_GUESSES`] in one file it guesses no more.
    pub(crate) fn nearest<'n>(&self, written: &str, candidates: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
        if self.may_guess() { nearest(written, candidates) } else { None }
    }

    /// Whether the text is somewhere in the file. After [`MOST_GUESSES`] in one file it is not looked for any more.
    pub(crate) fn may_contain(&self, text: &str) -> bool {
        !self.may_guess() || self.source.contains(text)
    }

    fn may_guess(&self) -> bool {
        let guesses = self.guesses.get() + 1;
        self.guesses.set(guesses);
        guesses <= MOST_GUESSES
    }

    /// All findings. Of each code that was found too often, the last one says how many are missing.
    pub(crate) fn end(mut self) -> Vec<Finding> {
        for (code, count) in std::mem::take(&mut self.counts) {
            let Some((position, severity, more)) = count.left_out else { continue };
            let message = format!("{more} more findings of this code are not shown");
            let finding = Finding { severity, ..Finding::error(code, self.file, message) };
            let finding = self.placed(finding, position);
            self.findings.push(finding);
        }
        self.findings
    }

    fn add(&mut self, finding: Finding, at: Position, help: Option<String>) {
        let code = finding.code;
        self.added = false;
        let kept = self.counts.get(code).map_or(0, |count| count.kept);
        if kept >= MOST_OF_A_CODE {
            let count = self.counts.entry(code).or_default();
            let (_, _, more) = count.left_out.get_or_insert((at, finding.severity, 0));
            *more += 1;
            return;
        }
        if !self.seen.insert((code, at, finding.message.clone())) {
            return;
        }
        self.counts.entry(code).or_default().kept += 1;
        let finding = self.placed(finding, at);
        let finding = match help {
            Some(help) => finding.help(help),
            None => finding,
        };
        self.findings.push(finding);
        self.added = true;
    }

    fn placed(&self, finding: Finding, at: Position) -> Finding {
        let Some(line) = at.line() else { return finding };
        let text = self.lines.get(line - 1).copied();
        finding.at_line(text, line, at.position().unwrap_or(1).max(1))
    }
}
