//! Findings as editors show them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gen_lsp_types::{
    CodeDescription, Diagnostic, DiagnosticRelatedInformation, DiagnosticSeverity, Location, Position, Range, Uri,
};

use crate::editor::text::characters;
use crate::editor::workspace::Open;
use hookgate_model::finding::{Finding, Severity};
use hookgate_script::lint::codes;

/// By file; a file without findings is not in it. `page` is the address of the page that explains codes.
pub(super) fn by_file(
    findings: &[Finding],
    root: &Path,
    open: &BTreeMap<PathBuf, Open>,
    page: Option<&Uri>,
) -> BTreeMap<PathBuf, Vec<Diagnostic>> {
    let mut files: BTreeMap<PathBuf, Vec<Diagnostic>> = BTreeMap::new();
    for finding in findings {
        let path = root.join(&finding.file);
        let diagnostic =
            Diagnostic { code_description: link(page, finding.code), ..diagnostic(finding, root, open.get(&path)) };
        files.entry(path).or_default().push(diagnostic);
    }
    files
}

/// The part of the page about a code; the page explains codes of scripts and of tests only.
fn link(page: Option<&Uri>, code: &str) -> Option<CodeDescription> {
    let of_hooks = hookgate_hooks::HOOKS.iter().flat_map(|hook| hook.advice.codes).copied();
    let explained = codes::general().chain(of_hooks).find(|known| known.code == code)?;
    let mut href = page?.clone();
    href.set_fragment(Some(&explained.anchor()));
    Some(CodeDescription { href })
}

fn diagnostic(finding: &Finding, root: &Path, open: Option<&Open>) -> Diagnostic {
    let mut message = finding.key.as_ref().map(|key| format!("`{key}`: ")).unwrap_or_default();
    message.push_str(&finding.message);
    if let Some(help) = &finding.help {
        message.push_str(&format!("\nhelp: {help}"));
    }
    let callers = finding.called_from.iter().filter_map(|(file, line, function)| {
        let uri = Uri::from_file_path(root.join(file)).ok()?;
        let range = characters(line.saturating_sub(1), "", 1, 1);
        Some(DiagnosticRelatedInformation {
            location: Location { uri, range },
            message: format!("called by `{function}`"),
        })
    });
    let callers: Vec<_> = callers.collect();
    Diagnostic {
        range: range(finding, open),
        severity: Some(match finding.severity {
            Severity::Error => DiagnosticSeverity::Error,
            Severity::Warning => DiagnosticSeverity::Warning,
        }),
        code: Some(finding.code.to_owned().into()),
        source: Some("hookgate".to_owned()),
        message: message.into(),
        related_information: Some(callers).filter(|callers| !callers.is_empty()),
        ..Diagnostic::default()
    }
}

/// What is underlined; of a finding about a whole file, its first line.
fn range(finding: &Finding, open: Option<&Open>) -> Range {
    let Some(line) = finding.line.checked_sub(1) else {
        let zero = Position { line: 0, character: 0 };
        return Range { start: zero, end: zero };
    };
    // The excerpt of a configuration hides secrets; the open text has the true columns.
    let text = open.map(|open| open.text.line(line)).or(finding.excerpt.as_deref()).unwrap_or_default();
    characters(line, text, finding.column.max(1), finding.length)
}
