//! How much of the scripts the tests have run: every script of the release by lines, those that no test touches included.

use std::collections::BTreeMap;

use hookgate_script::compile::{Compiler, is_test};
use hookgate_script::trace::coverage::Hits;

/// The coverage of all scripts, in the order of their names.
#[derive(Clone, Debug)]
pub struct Coverage {
    pub files: Vec<File>,
}

/// The coverage of one script.
#[derive(Clone, Debug)]
pub struct File {
    /// Path below the bundle.
    pub label: String,
    pub source: String,
    /// How often each line ran that can run.
    pub lines: BTreeMap<usize, u64>,
}

impl Coverage {
    /// What `hits` say about the scripts of `compiler`; files of tests do not count.
    pub fn of(compiler: &Compiler, hits: &Hits) -> Self {
        let file = |name: &str| {
            let label = compiler.label_of(name)?.to_owned();
            let (lines, source) = compiler.lines_of(name)?;
            let count = |line: usize| hits.get(&label).and_then(|counts| counts.get(&line)).copied().unwrap_or(0);
            let lines = lines.into_iter().map(|line| (line, count(line))).collect();
            Some(File { label, source: source.to_owned(), lines })
        };
        Self { files: compiler.files().filter(|name| !is_test(name)).filter_map(file).collect() }
    }

    pub fn covered(&self) -> usize {
        self.files.iter().map(File::covered).sum()
    }

    pub fn lines(&self) -> usize {
        self.files.iter().map(|file| file.lines.len()).sum()
    }

    pub fn percent(&self) -> f64 {
        percent(self.covered(), self.lines())
    }
}

impl File {
    pub fn covered(&self) -> usize {
        self.lines.values().filter(|count| **count > 0).count()
    }

    pub fn percent(&self) -> f64 {
        percent(self.covered(), self.lines.len())
    }

    /// Lines that never ran, from and to; lines between them that cannot run join them.
    pub fn uncovered(&self) -> Vec<(usize, usize)> {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        let mut open = false;
        for (line, count) in &self.lines {
            match (ranges.last_mut(), *count == 0) {
                (Some((_, last)), true) if open => *last = *line,
                (_, true) => ranges.push((*line, *line)),
                (_, false) => {}
            }
            open = *count == 0;
        }
        ranges
    }
}

/// A file in which nothing can run is covered.
fn percent(covered: usize, lines: usize) -> f64 {
    if lines == 0 { 100.0 } else { 100.0 * covered as f64 / lines as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(lines: &[(usize, u64)]) -> File {
        File { label: "a.rhai".into(), source: String::new(), lines: lines.iter().copied().collect() }
    }

    #[test]
    fn uncovered_lines_are_ranges() {
        let some = file(&[(2, 1), (3, 0), (5, 0), (6, 4), (9, 0), (20, 1), (21, 0), (22, 0)]);
        assert_eq!(some.uncovered(), [(3, 5), (9, 9), (21, 22)]);
        assert_eq!((some.covered(), some.lines.len(), some.percent()), (3, 8, 37.5));
        assert_eq!(file(&[(1, 2)]).uncovered(), []);
    }

    #[test]
    fn nothing_to_cover_is_all_covered() {
        assert!((file(&[]).percent() - 100.0).abs() < f64::EPSILON);
        let whole = Coverage { files: vec![file(&[]), file(&[(1, 0), (2, 1)])] };
        assert_eq!((whole.covered(), whole.lines(), whole.percent()), (1, 2, 50.0));
    }
}
