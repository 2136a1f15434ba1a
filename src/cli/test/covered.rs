//! The coverage of scripts for people and for other tools: a table, a listing, and lcov's tracefile.

use std::fmt::Write;
use std::path::Path;

use clap::builder::styling::Style;

use crate::cli::output::{BAD, BOLD, DIM, GOOD, ODD, counted, paint};
use hookgate_engine::harness::coverage::{Coverage, File};

/// A line per script, and one for all.
pub(super) fn table(coverage: &Coverage) -> String {
    let width = coverage.files.iter().map(|file| file.label.len()).max().unwrap_or(0).max("all".len());
    let row = |name: &str, covered: usize, lines: usize, percent: f64| {
        let share = format!("{covered}/{lines}");
        format!("  {name:<width$}  {share:>9}  {}", paint(colour(percent), format!("{:>6} %", shown(percent))))
    };
    let mut text = paint(BOLD, "\nlines that ran\n");
    for file in &coverage.files {
        text.push_str(&row(&file.label, file.covered(), file.lines.len(), file.percent()));
        let never = never(file);
        text.push_str(&if never.is_empty() { "\n".to_owned() } else { format!("  {}\n", paint(DIM, never)) });
    }
    text + row("all", coverage.covered(), coverage.lines(), coverage.percent()).as_str()
}

/// One digit, and 100 only for all.
fn shown(percent: f64) -> String {
    let floored = (percent * 10.0).floor() / 10.0;
    if floored >= 100.0 { "100".to_owned() } else { format!("{floored:.1}") }
}

fn colour(percent: f64) -> Style {
    match percent {
        whole if whole >= 100.0 => GOOD,
        most if most >= 80.0 => ODD,
        _ => BAD,
    }
}

fn never(file: &File) -> String {
    if file.covered() == 0 && !file.lines.is_empty() {
        return "no test touches it".to_owned();
    }
    let range = |(from, to): (usize, usize)| if from == to { from.to_string() } else { format!("{from}-{to}") };
    let ranges: Vec<String> = file.uncovered().into_iter().map(range).collect();
    if ranges.is_empty() { String::new() } else { format!("not {}", ranges.join(", ")) }
}

/// The scripts that have `part` in their path, each line with its count; lines that never ran are marked.
pub(super) fn annotated(coverage: &Coverage, part: &str) -> String {
    let files = coverage.files.iter().filter(|file| file.label.contains(part));
    files.map(listing).collect::<Vec<_>>().join("\n")
}

fn listing(file: &File) -> String {
    let mut text = format!("\n{}\n", paint(BOLD, &file.label));
    for (index, line) in file.source.lines().enumerate() {
        let count = file.lines.get(&(index + 1)).copied();
        let count_text =
            count.map_or_else(String::new, |count| if count > 0 { format!("{count}×") } else { "never".into() });
        let row = format!("{count_text:>7} {:>4} | {line}", index + 1);
        let row = row.trim_end();
        let _ = match count {
            Some(0) => writeln!(text, "{}", paint(BAD, row)),
            _ => writeln!(text, "{row}"),
        };
    }
    text.truncate(text.trim_end().len());
    text
}

/// Lines in the format of lcov(1), geninfo's tracefile. Paths start where the program was started, as CI services want.
pub(super) fn lcov(coverage: &Coverage, root: &Path) -> String {
    let mut text = String::new();
    for file in &coverage.files {
        let path = root.join(&file.label);
        let path = path.strip_prefix(".").unwrap_or(&path);
        let _ = writeln!(text, "TN:\nSF:{}", path.display());
        for (line, count) in &file.lines {
            let _ = writeln!(text, "DA:{line},{count}");
        }
        let _ = writeln!(text, "LF:{}\nLH:{}\nend_of_record", file.lines.len(), file.covered());
    }
    text
}

/// That too few lines ran, and in which scripts.
pub(super) fn too_low(coverage: &Coverage, least: f64) -> Option<String> {
    if coverage.percent() >= least {
        return None;
    }
    let below = coverage.files.iter().filter(|file| file.percent() < least);
    let below: Vec<String> = below.map(|file| format!("{} ({} %)", file.label, shown(file.percent()))).collect();
    Some(format!(
        "{} {} % of {} ran, and {least} % are wanted; below that: {}",
        paint(BAD, "coverage is too low:"),
        shown(coverage.percent()),
        counted(coverage.lines(), "line"),
        below.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coverage() -> Coverage {
        let file = |label: &str, source: &str, lines: &[(usize, u64)]| File {
            label: label.into(),
            source: source.into(),
            lines: lines.iter().copied().collect(),
        };
        Coverage {
            files: vec![
                file("scripts/a.rhai", "fn f() {\n    1;\n    2;\n    3\n}\n", &[(2, 7), (3, 0), (4, 0)]),
                file("scripts/lib/none.rhai", "const A = 1;\n", &[]),
                file("scripts/untested.rhai", "fn g() { 1 }\n", &[(1, 0)]),
            ],
        }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn the_table_names_what_never_ran() {
        insta::assert_snapshot!(plain(&table(&coverage())), @r"
        lines that ran
          scripts/a.rhai               1/3    33.3 %  not 3-4
          scripts/lib/none.rhai        0/0     100 %
          scripts/untested.rhai        0/1     0.0 %  no test touches it
          all                          1/4    25.0 %
        ");
    }

    #[test]
    fn the_listing_has_the_count_of_each_line() {
        insta::assert_snapshot!(plain(&annotated(&coverage(), "a.rhai")), @r"
        scripts/a.rhai
                   1 | fn f() {
             7×    2 |     1;
          never    3 |     2;
          never    4 |     3
                   5 | }
        ");
    }

    #[test]
    fn nearly_all_is_not_all() {
        assert_eq!((shown(99.99), shown(100.0), shown(66.666)), ("99.9".into(), "100".into(), "66.6".into()));
        assert_eq!(too_low(&coverage(), 25.0), None);
        let told = plain(&too_low(&coverage(), 25.1).unwrap());
        assert_eq!(
            told,
            "coverage is too low: 25.0 % of 4 lines ran, and 25.1 % are wanted; below that: scripts/untested.rhai (0.0 %)"
        );
    }

    #[test]
    fn lcov_has_a_record_for_each_file() {
        let text = lcov(&coverage(), Path::new("./deploy"));
        assert!(
            text.starts_with("TN:\nSF:deploy/scripts/a.rhai\nDA:2,7\nDA:3,0\nDA:4,0\nLF:3\nLH:1\nend_of_record\n"),
            "{text}"
        );
        assert_eq!(text.matches("end_of_record").count(), 3);
    }
}
