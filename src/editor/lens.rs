//! "Run test" above each test of a script, and the running of it.
//!
//! Who runs tests is told by the caller: [`Runner`].

use std::path::Path;

use gen_lsp_types::{CodeLens, Command, Position, Range};
use serde_json::json;

use crate::editor::view::View;
use hookgate_engine::release::bundle::Place;
use hookgate_model::finding::Finding;
use hookgate_script::compile;

/// The command behind the lenses: `[file]` or `[file, test]`, the file as a `file:` address.
pub const COMMAND: &str = "hookgate.test";

/// Runs the tests of a file (named by its path below the scripts folder), or one of them.
///
/// # Errors
/// Why they could not be run.
pub type Runner = fn(&Place, &str, Option<&str>) -> Result<Trial, String>;

/// What came of a run.
pub struct Trial {
    pub passed: bool,
    /// One line for people.
    pub summary: String,
    /// What the tests that failed complain about, each at the line that failed.
    pub findings: Vec<Finding>,
}

/// The lenses of a file of tests.
pub(super) fn lenses(view: &View, path: &Path) -> Vec<CodeLens> {
    if !compile::is_test(&view.name) {
        return Vec::new();
    }
    let Ok(uri) = gen_lsp_types::Uri::from_file_path(path) else { return Vec::new() };
    let lens = |title: &str, range, arguments| CodeLens {
        range,
        command: Some(Command {
            title: title.to_owned(),
            command: COMMAND.to_owned(),
            arguments: Some(arguments),
            tooltip: None,
        }),
        data: None,
    };
    let is_test = |name: &str| name.starts_with("test_");
    let tests =
        view.outline.functions.iter().filter(|function| is_test(&function.name) && function.parameters.is_empty());
    let top = Position { line: 0, character: 0 };
    let mut all = vec![lens("Run tests of this file", Range { start: top, end: top }, vec![json!(uri)])];
    all.extend(tests.map(|test| {
        let range = view.text.range(&test.name_span);
        lens("Run test", range, vec![json!(uri), json!(test.name)])
    }));
    all
}
