//! How one test ended, and what it complains about.

use std::time::Duration;

use hookgate_model::finding::Finding;
use hookgate_script::context::LogLine;
use hookgate_script::trace::values::Shown;

pub use crate::harness::session::RowResult;

/// One test or case, after it has run.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The script without its ending, and the test: `registration::test_quoted`, `registration::case/quoted`.
    pub id: String,
    /// The script's path below the scripts folder.
    pub script: String,
    /// Where the test is: path below the bundle.
    pub file: String,
    /// Its name in that file.
    pub name: String,
    /// Its `///` lines.
    pub about: String,
    /// What readers of a report should know of it whether it passes or not.
    pub mark: Option<String>,
    pub line: usize,
    pub verdict: Verdict,
    /// The rows of a table, if the test has named any.
    pub rows: Vec<RowResult>,
    pub complaints: Vec<Complaint>,
    /// What the test printed.
    pub logs: Vec<LogLine>,
    pub assertions: usize,
    pub took: Duration,
}

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    Failed,
    /// It said so, and why.
    Skipped(String),
    /// It failed as it said it would, and why.
    Todo(String),
}

/// One thing that was not as the test says.
#[derive(Clone, Debug)]
pub struct Complaint {
    pub row: Option<String>,
    /// Where in the test, and what.
    pub finding: Finding,
    /// Lines that show both sides.
    pub detail: String,
    /// What stood in the failing expression.
    pub values: Vec<Shown>,
    /// Where in the script, if it is the script that failed.
    pub cause: Option<Finding>,
}

impl Trial {
    pub fn failed(&self) -> bool {
        self.verdict == Verdict::Failed
    }

    /// What it complains about, for those who see neither its name nor its details beside: gates and editors.
    pub fn findings(&self) -> Vec<Finding> {
        self.complaints.iter().map(|complaint| self.told(complaint)).collect()
    }

    /// A complaint with the test's name, its row, and both sides if they are short.
    fn told(&self, complaint: &Complaint) -> Finding {
        let mut finding = complaint.finding.clone();
        let row = complaint.row.as_ref().map(|row| format!(", case `{row}`")).unwrap_or_default();
        let cause = complaint.cause.as_ref().map(|cause| format!("{}; so ", cause.one_line())).unwrap_or_default();
        finding.message = format!("test `{}`{row}: {cause}{}", self.id, finding.message);
        let mut lines = complaint.detail.lines().map(str::trim).filter(|line| !line.is_empty());
        if let (Some(first), second, None) = (lines.next(), lines.next(), lines.next()) {
            let sides = [Some(first), second].into_iter().flatten();
            let sides = sides.map(|side| side.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
            finding.message = format!("{}: {}", finding.message, sides.join(", "));
        }
        let again = format!("`hookgate test --filter '^{}$'` shows more", self.id);
        finding.help = Some(match finding.help.take() {
            Some(help) => format!("{help}; {again}"),
            None => again,
        });
        finding
    }
}

impl Complaint {
    /// A complaint that its finding says everything about.
    pub(crate) fn of(finding: Finding) -> Self {
        Self { row: None, finding, detail: String::new(), values: Vec::new(), cause: None }
    }
}
