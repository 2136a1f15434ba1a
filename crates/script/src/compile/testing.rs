//! Files of tests: compiled with what their script may use and what tests may use besides.
//!
//! A file of tests that is broken keeps nothing else from being used.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::budget::Limits;
use crate::compile::imports::{Import, tree};
use crate::compile::{Compiler, File, Frame, Role, Subject, TEST_SUFFIX, is_test};
use crate::engine::Dialect;
use crate::lint::known::Known;
use crate::lint::source;
use crate::modules::Modules;
use crate::password::Ceilings;
use crate::prelude;
use crate::run::Script;
use crate::trace::coverage;
use hookgate_model::finding::{Finding, Severity};

/// The function of a file of tests that runs before each of its tests, if it takes no parameters.
pub const BEFORE_EACH: &str = "before_each";

/// A function of a file as tests and editors list it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub parameters: usize,
    pub line: usize,
    pub column: usize,
    /// Its `///` lines.
    pub about: String,
    /// The functions that it calls, imported ones without their module.
    pub calls: BTreeSet<String>,
}

impl Compiler {
    /// The names of all files of tests, broken ones included.
    pub fn test_files(&self) -> impl Iterator<Item = &str> {
        let whole = self.files.keys().filter(|name| is_test(name) && !self.broken_tests.contains_key(*name));
        whole.chain(self.broken_tests.keys()).map(String::as_str)
    }

    /// What is wrong with the files of tests that cannot be used.
    pub(crate) fn broken_tests(&self) -> impl Iterator<Item = &Finding> {
        self.broken_tests.values().flatten()
    }

    /// A file of tests, compiled for scripts of `role`; without one, for a file that hooks share.
    ///
    /// # Errors
    /// Everything that keeps its tests from being run.
    pub fn test_script(
        &self,
        name: &str,
        role: Option<&Role>,
        limits: &Limits,
    ) -> Result<(Arc<Script>, Vec<Finding>), Vec<Finding>> {
        if let Some(findings) = self.broken_tests.get(name) {
            return Err(findings.clone());
        }
        let file = self.files.get(name).filter(|_| self.is_whole(name)).ok_or_else(Vec::new)?;
        let known = role.map_or(&self.roles.shared_tests, |role| role.tests);
        let findings = self.check_test(name, file, known);
        if findings.iter().any(|finding| finding.severity == Severity::Error) {
            return Err(findings);
        }
        let hook = role.map_or("", |role| role.side.hook);
        let side = role.map(|role| role.side.library);
        let libraries = std::iter::once(prelude::library()).chain(side).chain([self.roles.testing]).collect();
        let chamber = self.chamber(hook, libraries, Dialect::Test, limits);
        let script = self.link(name, file, Frame { entry: "", known, chamber }, limits)?;
        Ok((Arc::new(script), findings))
    }

    fn check_test(&self, name: &str, file: &File, known: &'static Known<'static>) -> Vec<Finding> {
        let mut findings = self.lint(file, &Subject::Tests(known), Ceilings::NONE);
        findings.extend(self.link_findings(name, file));
        findings
    }

    /// What is wrong with files of tests: for editors. `hook_of` tells the hook that routes give to a script.
    pub fn check_tests(&self, hook_of: &dyn Fn(&str) -> Option<&'static str>) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self.broken_tests().cloned().collect();
        for (name, file) in self.files.iter().filter(|(name, _)| is_test(name)) {
            let script = format!("{}.rhai", name.strip_suffix(TEST_SUFFIX).unwrap_or(name));
            let role = hook_of(&script).and_then(|hook| self.roles.find(hook)).or_else(|| self.hook_of(&script));
            findings.extend(self.check_test(name, file, role.map_or(&self.roles.shared_tests, |role| role.tests)));
        }
        findings
    }

    /// The functions of a file in the order of the text, closures left out.
    pub fn functions(&self, name: &str) -> Vec<Function> {
        let Some(file) = self.files.get(name) else { return Vec::new() };
        let comments = |wanted: &str| {
            let mut all = file.ast.iter_functions();
            let comments = all.find(|function| function.name == wanted).map(|function| function.comments);
            let lines = comments.unwrap_or_default().into_iter();
            lines.map(|line| line.trim_start_matches('/').trim()).collect::<Vec<_>>().join("\n")
        };
        let functions = source::functions(&file.ast, &file.source);
        let named = functions.iter().filter(|function| !function.is_closure());
        let made = named.map(|function| Function {
            name: function.name.clone(),
            parameters: function.parameters.len(),
            line: function.position.line().unwrap_or(0),
            column: function.position.position().unwrap_or(0),
            about: comments(&function.name),
            calls: function.calls(),
        });
        made.collect()
    }

    /// Hash of a file and of all that it imports; nothing for a file that is not there or broken.
    pub fn hash_of(&self, name: &str) -> Option<&str> {
        self.files.get(name).map(|file| file.hash.as_str())
    }

    /// A file and all that it imports, directly or not.
    pub fn tree_of(&self, name: &str) -> BTreeSet<String> {
        tree(name, &self.files)
    }

    /// What a file imports, directly.
    pub fn imports_of(&self, name: &str) -> BTreeSet<String> {
        let imports = self.files.get(name).into_iter().flat_map(|file| &file.imports);
        imports.map(|import: &Import| Modules::file_of(&import.path)).collect()
    }

    /// The lines of a file that can run, and its text.
    pub fn lines_of(&self, name: &str) -> Option<(BTreeSet<usize>, &str)> {
        let file = self.files.get(name)?;
        Some((coverage::executable_lines(&file.ast), &file.source))
    }

    /// The text of a file by its name.
    pub fn source_of(&self, name: &str) -> Option<&str> {
        self.files.get(name).map(|file| &*file.source)
    }

    /// What findings and errors call a file.
    pub fn label_of(&self, name: &str) -> Option<&str> {
        self.files.get(name).map(|file| file.label.as_str())
    }

    /// The hook whose entry function a file has, if it has just one.
    pub fn hook_of(&self, name: &str) -> Option<&Role> {
        let file = self.files.get(name)?;
        let mut entries = file.ast.iter_functions().filter_map(|function| self.roles.entries.get(function.name));
        let hook = entries.next()?;
        if entries.any(|other| other != hook) { None } else { self.roles.find(hook) }
    }
}
