//! The check over a script together with the files it imports.

use std::collections::BTreeMap;

use rhai::AST;

use crate::lint::{Report, source};
use hookgate_model::finding::Finding;

/// Refuses two functions of one name and arity in files that import one another: `(file, source, ast)` each, the script
/// first and then everything that it imports, directly or not.
///
/// Not only tidiness: Rhai's cache of resolved functions (1.19 to 1.27) knows names and arities only, so one file would
/// call the other's.
pub fn link(files: &[(&str, &str, &AST)]) -> Vec<Finding> {
    let mut seen: BTreeMap<(String, usize), &str> = BTreeMap::new();
    let mut findings = Vec::new();
    for (file, text, ast) in files {
        let mut report = Report::new(file, text);
        for function in source::functions(ast, text).iter().filter(|function| !function.is_closure()) {
            let key = (function.name.clone(), function.parameters.len());
            if let Some(other) = seen.get(&key).filter(|other| *other != file) {
                let message = format!("`{}` is also defined in `{other}`", function.signature());
                let help =
                    "give one of them another name: files that import one another share their functions".to_owned();
                report.error("script/duplicate-function", function.position, message, help);
            }
            seen.entry(key).or_insert(file);
        }
        findings.append(&mut report.end());
    }
    findings
}
