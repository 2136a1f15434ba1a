//! A script with the lines that ran, and what its variables were.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use crate::admin::viewer::parts;

/// A file as it was when the run happened.
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    /// As lines are told: path below the bundle.
    pub(super) file: String,
    pub(super) text: String,
}

/// What is known of the lines of a file, from 1.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    /// Nothing if it is not known which lines ran.
    pub(super) ran: Option<BTreeSet<usize>>,
    pub(super) failed: Option<usize>,
    /// Names and values that were new after a line.
    pub(super) values: BTreeMap<usize, Vec<(String, String)>>,
}

/// Values that are shown of one line: a loop may have many.
const MAX_VALUES: usize = 12;

/// Lines that are shown of one file.
const MAX_LINES: usize = 3_000;

pub(super) fn listing(source: &Source, marks: &Marks) -> Markup {
    let with_values = !marks.values.is_empty();
    html! {
        div.code tabindex="0" role="region" aria-label={ "Lines of " (parts::text_only(&source.file)) } {
            table {
                thead hidden { tr { th { "Line" } th { "Text" } @if with_values { th { "Values" } } } }
                tbody {
                    @for (number, line) in source.text.lines().take(MAX_LINES).enumerate().map(|(index, line)| (index + 1, line)) {
                        (row(number, line, marks, with_values))
                    }
                }
            }
        }
    }
}

fn row(number: usize, line: &str, marks: &Marks, with_values: bool) -> Markup {
    let ran = marks.ran.as_ref().map(|ran| ran.contains(&number));
    let (class, said) = match ran {
        _ if marks.failed == Some(number) => ("failed", "failed here"),
        Some(true) => ("ran", "ran"),
        Some(false) => ("idle", ""),
        None => ("", ""),
    };
    html! {
        tr class=(class) {
            td.no title=[(!said.is_empty()).then_some(said)] { (number) }
            td.src { (parts::lines(line)) }
            @if with_values { td.now { @if let Some(values) = marks.values.get(&number) { (shown(values)) } } }
        }
    }
}

fn shown(values: &[(String, String)]) -> Markup {
    html! {
        @for (index, (name, value)) in values.iter().take(MAX_VALUES).enumerate() {
            @if index > 0 { "  " }
            b { (parts::text(name)) } " = " (parts::text(&parts::cut(value, 200)))
        }
        @if values.len() > MAX_VALUES { " … " (values.len() - MAX_VALUES) " more" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_marked_by_what_is_known() {
        let source = Source { file: "scripts/a.rhai".to_owned(), text: "fn f() {\n  \"<b>\"\n}\n".to_owned() };
        let marks = Marks {
            ran: Some([1, 2].into()),
            failed: Some(2),
            values: [(1, vec![("x".to_owned(), "<i>\u{1b}".to_owned())])].into(),
        };
        let page = listing(&source, &marks).into_string();
        assert!(page.contains(r#"<tr class="ran">"#) && page.contains(r#"<tr class="failed">"#), "{page}");
        assert!(
            page.contains(r#"<tr class="idle">"#) && page.contains("&lt;b&gt;") && page.contains(r"\u{1b}"),
            "{page}"
        );
        let unknown = listing(&source, &Marks::default()).into_string();
        assert!(!unknown.contains("ran") && !unknown.contains("idle"), "{unknown}");
    }
}
