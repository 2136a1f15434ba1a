//! `// hookgate: allow script/code because reason` on the line of a finding or on the line above it.
//!
//! An exception without a reason is a finding itself, so nobody has to guess later why it is there.

use crate::finding::Finding;

const MARK: &str = "// hookgate: allow";

/// Drops the findings that the file allows and adds those about the comments themselves.
pub(crate) fn apply(findings: &mut Vec<Finding>, file: &str, source: &str) {
    if !source.contains(MARK) {
        return;
    }
    for (index, text) in source.lines().enumerate() {
        let Some(start) = text.find(MARK) else { continue };
        let rest = text[start + MARK.len()..].trim();
        let (code, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let reason = reason.trim().strip_prefix("because").unwrap_or("").trim();
        let line = index + 1;
        if reason.is_empty() || !code.starts_with("script/") {
            let column = text[..start].chars().count() + 1;
            let mut finding = Finding::error("script/allow-without-reason", file, "this exception states no reason")
                .at(source, line, column)
                .help("write `// hookgate: allow script/code because …`");
            finding.length = text[start..].chars().count();
            findings.push(finding);
            continue;
        }
        let own_line = text[..start].trim().is_empty();
        let allowed = if own_line { line + 1 } else { line };
        findings.retain(|finding| finding.code != code || finding.line != allowed);
    }
}
