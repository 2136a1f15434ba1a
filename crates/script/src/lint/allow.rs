//! `// hookgate: allow script/code because reason` on the line of a finding or on the line above it.
//!
//! An exception without a reason is a finding itself, so nobody has to guess later why it is there; and so is one that is no
//! longer needed, because it would hide the next finding of its kind. In files of tests, `test/code` can be allowed, too.

use crate::compile::is_test;
use crate::lint::codes;
use crate::lint::codes::{Code, Stage};
use crate::lint::did_you_mean;
use hookgate_model::finding::{Finding, nearest};

const MARK: &str = "// hookgate: allow";

/// Exceptions of one file: each is held against all findings.
const MOST: usize = 500;

/// One comment.
struct Exception<'s> {
    code: &'s str,
    reason: &'s str,
    line: usize,
    column: usize,
    length: usize,
    /// The line whose findings it allows.
    allowed: usize,
}

/// Drops the findings that the file allows and adds those about the comments themselves. `own` are the codes of the hook,
/// if the file has one.
pub(super) fn apply(findings: &mut Vec<Finding>, file: &str, source: &str, own: Option<&[&'static Code]>) {
    for exception in exceptions(source).filter(|exception| !exception.is_of_tests(file)).take(MOST) {
        exception.apply(findings, file, source, own);
    }
    if exceptions(source).nth(MOST).is_some() {
        let text = format!("a file may have {MOST} exceptions, and this has more");
        findings.push(Finding::error("script/too-large", file, text).help("mend what they are about"));
    }
}

/// The same for what is found of tests once it is known which script they are of: codes `test/…` that `check` finds.
pub fn apply_to_tests(findings: &mut Vec<Finding>, file: &str, source: &str) {
    for exception in exceptions(source).filter(|exception| exception.is_of_tests(file)).take(MOST) {
        exception.apply(findings, file, source, None);
    }
}

impl Exception<'_> {
    /// Whether only [`apply_to_tests`] can tell if it is needed.
    fn is_of_tests(&self, file: &str) -> bool {
        let is_read = |code: &Code| code.code == self.code && code.is_of_tests() && code.stage == Stage::Read;
        is_test(file) && codes::general().any(is_read)
    }

    fn apply(&self, findings: &mut Vec<Finding>, file: &str, source: &str, own: Option<&[&'static Code]>) {
        let before = findings.len();
        findings.retain(|finding| finding.code != self.code || finding.line != self.allowed);
        let is_code = self.code.starts_with("script/") || self.code.starts_with("test/");
        let problem = if self.reason.is_empty() || !is_code {
            Finding::error("script/allow-without-reason", file, "this exception states no reason")
                .help("write `// hookgate: allow script/code because …`")
        } else if findings.len() == before {
            useless(self, file, own)
        } else {
            return;
        };
        let mut problem = problem.at(source, self.line, self.column);
        problem.length = self.length;
        findings.push(problem);
    }
}

fn exceptions(source: &str) -> impl Iterator<Item = Exception<'_>> {
    let lines = source.lines().enumerate().filter(|(_, text)| text.contains(MARK));
    lines.filter_map(|(index, text)| {
        let start = text.find(MARK)?;
        let rest = text[start + MARK.len()..].trim();
        let (code, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let own_line = text[..start].trim().is_empty();
        Some(Exception {
            code,
            reason: reason.trim().strip_prefix("because").unwrap_or("").trim(),
            line: index + 1,
            column: text[..start].chars().count() + 1,
            length: text[start..].chars().count(),
            allowed: if own_line { index + 2 } else { index + 1 },
        })
    })
}

fn useless(exception: &Exception, file: &str, own: Option<&[&'static Code]>) -> Finding {
    let warning = |text: String| Finding::warning("script/unused-allow", file, text);
    let code = exception.code;
    let known = || codes::general().chain(own.unwrap_or_default().iter().copied());
    let found = known().find(|known| known.code == code);
    if found.is_some_and(|known| known.stage != Stage::Read) {
        return warning(format!("`{code}` cannot be allowed")).help("mend what it is about");
    }
    // In a file without a hook it may be the code of any hook.
    if found.is_some() || own.is_none() {
        let text = format!("line {} has no finding `{code}` to allow", exception.allowed);
        return warning(text).help("remove this comment");
    }
    let near = did_you_mean(nearest(code, known().map(|known| known.code)));
    let finding = warning(format!("there is no code `{code}`"));
    match near {
        Some(near) => finding.help(near),
        None => finding.help("`hookgate check --explain` lists them"),
    }
}
