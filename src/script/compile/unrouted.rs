//! The files of a bundle that no route or rule names: those that others import, tests, and those that nothing uses.

use std::collections::BTreeSet;

use crate::finding::Finding;
use crate::script::compile::{Compiler, File, TEST_SUFFIX};
use crate::script::modules::Modules;

impl Compiler {
    /// Checks the files that others import and that have no entry of their own.
    pub fn check_shared(&self) -> Vec<Finding> {
        let imported = self.imported();
        let shared = self.files.iter().filter(|(name, _)| imported.contains(*name));
        shared.flat_map(|(_, file)| self.lint(file, &self.roles.shared, None)).collect()
    }

    /// Checks the files that are not among `wanted` and that no other imports, tests left out: as a script of the hook
    /// whose entry function they have, else as a file that hooks share.
    pub fn check_unused(&self, wanted: &BTreeSet<&str>) -> Vec<Finding> {
        let check = |(name, file): (&String, &File)| {
            let has = |entry: &str| file.ast.iter_functions().any(|function| function.name == entry);
            match self.roles.roles.iter().find(|role| has(role.side.entry)) {
                Some(role) => self.check(name, file, role),
                None => self.lint(file, &self.roles.shared, None),
            }
        };
        self.unused(wanted).flat_map(check).collect()
    }

    fn unused<'a>(&'a self, wanted: &'a BTreeSet<&str>) -> impl Iterator<Item = (&'a String, &'a File)> {
        let imported = self.imported();
        self.files.iter().filter(move |(name, _)| {
            !name.ends_with(TEST_SUFFIX) && !imported.contains(*name) && !wanted.contains(name.as_str())
        })
    }

    fn imported(&self) -> BTreeSet<String> {
        let imports = self.files.values().flat_map(|file| &file.imports);
        imports.map(|import| Modules::file_of(&import.path)).collect()
    }

    /// Scripts that are not among `wanted` (those of routes and rules) and that no other script names, tests left out.
    pub fn unused_files(&self, wanted: &BTreeSet<&str>) -> Vec<Finding> {
        self.unused(wanted)
            .map(|(_, file)| {
                Finding::warning("script/unused-file", &file.label, "no route, rule or script uses this file")
            })
            .collect()
    }
}
