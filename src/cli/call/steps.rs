//! The lines of a script that a call ran, for `--trace`.

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::{Value, json};

use crate::cli::output::{BOLD, DIM, paint};
use crate::release::bundle::Place;
use crate::script::journal::Journal;
use crate::script::run::{Call, Script};
use crate::script::trace;

/// File and line.
pub(super) type Step = (String, usize);

pub(super) fn of(script: &Script, call: &Call, journal: Journal) -> Vec<Step> {
    trace::lines(script, call, journal, u64::MAX).0
}

pub(super) fn json(steps: &[Step]) -> Value {
    steps.iter().map(|(file, line)| json!({ "file": file, "line": line })).collect()
}

/// The lines with their text, a heading at each change of file.
pub(super) fn listing(steps: &[Step], place: &Place) -> String {
    let mut sources: HashMap<&str, Vec<String>> = HashMap::new();
    let mut text = String::new();
    let mut last = "";
    for (file, line) in steps {
        if file != last {
            last = file;
            let _ = writeln!(text, "{}", paint(BOLD, file));
        }
        let source = sources.entry(file).or_insert_with(|| {
            let source = std::fs::read_to_string(place.root.join(file)).unwrap_or_default();
            source.lines().map(str::to_owned).collect()
        });
        let code = line.checked_sub(1).and_then(|index| source.get(index)).map_or("", String::as_str);
        let _ = writeln!(text, "{} {code}", paint(DIM, format!("{line:>5} |")));
    }
    if steps.len() == trace::MAX_LINES {
        let _ = writeln!(text, "{}", paint(DIM, format!("      … and more: {} lines are shown", trace::MAX_LINES)));
    }
    text
}
