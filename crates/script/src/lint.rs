//! Static checks: what is certainly or probably wrong in a script, found at load instead of at the first call.
//!
//! Reads the syntax tree only (compiled with `OptimizationLevel::None`: an optimised tree has lost its dead branches).
//! Rhai is dynamic, so a type is followed only where reading tells it: from the entry function's parameter and the host's
//! constants through the registration table. Never runs a script, never names a provider.

pub mod advice;
pub mod allow;
pub(crate) mod calls;
pub mod codes;
mod commands;
mod conditions;
pub(crate) mod declared;
mod emails;
mod entry;
mod flow;
pub(crate) mod foreign;
mod hashes;
pub(crate) mod known;
mod link;
pub(crate) mod literal;
mod loops;
mod meant;
mod names;
mod patterns;
pub mod reads;
mod report;
mod shadow;
mod silent;
pub(crate) mod source;
mod unused;
mod values;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use rhai::AST;

pub use link::link;
pub(crate) use report::Report;

use crate::lint::advice::Review;
use crate::lint::declared::Parameters;
use crate::lint::known::Known;
use crate::password::Ceilings;
use hookgate_model::finding::Finding;

/// One file to check, with what it may name.
pub struct Input<'a> {
    /// Path relative to the bundle, for the findings.
    pub(crate) file: &'a str,
    pub(crate) source: &'a str,
    /// Compiled from `source` with `OptimizationLevel::None`.
    pub(crate) ast: &'a AST,
    /// `None` for a file that others import.
    pub(crate) entry: Option<Entrypoint<'a>>,
    pub(crate) known: &'a Known<'a>,
    /// What the hook knows of its commands; `None` for a file that several hooks share.
    pub(crate) review: Option<&'a Review>,
    /// Of a file that others import: the names that they use. `None` if that is not known.
    pub(crate) used_elsewhere: Option<&'a BTreeSet<String>>,
    /// What the file imports, by alias. An alias that is missing here is not checked.
    pub(crate) imports: &'a BTreeMap<String, ModuleFacts>,
    /// What verifying a password may take.
    pub(crate) ceilings: Ceilings,
    /// The parameters of a script that declares them.
    pub(crate) parameters: Option<Parameters<'a>>,
}

/// The function by which the gateway enters the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entrypoint<'a> {
    pub(crate) name: &'a str,
    /// The hook this file is bound to.
    pub(crate) hook: &'a str,
    /// The entry function of every hook: function name → hook name.
    pub(crate) all: &'a BTreeMap<String, String>,
    /// The type of the one parameter, as the table calls it.
    pub(crate) request_type: &'a str,
}

/// What an imported file offers.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModuleFacts {
    pub(crate) file: String,
    /// Name → numbers of parameters; private functions left out.
    pub(crate) functions: BTreeMap<String, BTreeSet<usize>>,
    pub(crate) constants: BTreeSet<String>,
}

impl ModuleFacts {
    /// What `ast`, compiled from `file`, offers to those who import it.
    pub(crate) fn of(file: &str, ast: &AST) -> Self {
        let mut facts = Self { file: file.to_owned(), ..Self::default() };
        for function in ast.iter_functions() {
            if function.access == rhai::FnAccess::Public && !function.name.starts_with("anon$") {
                facts.functions.entry(function.name.to_owned()).or_default().insert(function.params.len());
            }
        }
        for statement in ast.statements() {
            if let rhai::Stmt::Var(variable, ..) = statement {
                facts.constants.insert(variable.0.name.to_string());
            }
        }
        facts
    }
}

/// Checks one file. The findings are in the order of the text.
pub fn check(input: &Input) -> Vec<Finding> {
    let functions = source::functions(input.ast, input.source);
    let mut report = Report::new(input.file, input.source);
    let foreign = input.entry.as_ref().is_some_and(|entry| entry::check(entry, &functions, &mut report));
    if !foreign {
        names::check(input, &functions, &mut report);
        walk::check(input, &functions, &mut report);
        declared::check(input, &mut report);
    }
    let mut findings = report.end();
    let own = input.review.map(|review| review.advice.codes);
    allow::apply(&mut findings, input.file, input.source, own);
    findings.sort_by_key(|finding| (finding.line, finding.column));
    findings
}

/// "did you mean `x`?", if something near was found.
pub(crate) fn did_you_mean(found: Option<&str>) -> Option<String> {
    found.map(|name| format!("did you mean `{name}`?"))
}

/// `1 argument`, `2 arguments`
pub(crate) fn arguments(count: usize) -> String {
    if count == 1 { "1 argument".to_owned() } else { format!("{count} arguments") }
}

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
