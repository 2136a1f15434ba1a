//! Who uses what: files that others import or that nobody names, and what scripts read of parameters and tables.

use std::collections::{BTreeMap, BTreeSet};

use rhai::Position;

use crate::compile::imports::tree;
use crate::compile::{Compiler, File, Subject, is_test};
use crate::lint::reads;
use crate::lint::reads::{Named, Reads};
use crate::modules::Modules;
use crate::password::Ceilings;
use crate::prelude::lookups;
use hookgate_model::finding::{Finding, nearest};

impl Compiler {
    /// Checks the files that others import, as such. Those among `wanted` (the scripts of routes and rules) have an entry
    /// and were checked with it.
    pub fn check_shared(&self, wanted: &BTreeSet<&str>) -> Vec<Finding> {
        let used = self.used_of_each();
        let shared = self.files.iter().filter(|(name, _)| !wanted.contains(name.as_str()));
        let named = shared.filter_map(|(name, file)| Some((file, used.get(name)?)));
        named.flat_map(|(file, used): (&File, _)| self.lint(file, &Subject::Shared(used), Ceilings::NONE)).collect()
    }

    /// Scripts that are not among `wanted` (those of routes and rules) and that no other script names, tests left out.
    pub fn unused_files(&self, wanted: &BTreeSet<&str>) -> Vec<Finding> {
        let warn = |(_, file): (&String, &File)| {
            Finding::warning("script/unused-file", &file.label, "no route, rule or script uses this file")
        };
        self.unused(wanted).into_iter().map(warn).collect()
    }

    /// Checks those files: as a script of the hook whose entry function they have, else as a file that hooks share.
    pub fn check_unused(&self, wanted: &BTreeSet<&str>) -> Vec<Finding> {
        let nothing = BTreeSet::new();
        let check = |(name, file): (&String, &File)| {
            let has = |entry: &str| file.ast.iter_functions().any(|function| function.name == entry);
            match self.roles.roles.iter().find(|role| has(role.side.entry)) {
                Some(role) => self.check(name, file, role, Ceilings::NONE),
                None => self.lint(file, &Subject::Shared(&nothing), Ceilings::NONE),
            }
        };
        self.unused(wanted).into_iter().flat_map(check).collect()
    }

    fn unused(&self, wanted: &BTreeSet<&str>) -> Vec<(&String, &File)> {
        let imported = self.used_of_each();
        let is_unused = |name: &str| !is_test(name) && !imported.contains_key(name) && !wanted.contains(name);
        self.files.iter().filter(|(name, _)| is_unused(name)).collect()
    }

    /// What a script and everything that it imports read.
    pub fn reads(&self, script: &str) -> Reads {
        let files = tree(script, &self.files).into_iter().filter_map(|name| self.files.get(&name));
        files.fold(Reads::nothing(), |all, file| all.and(Reads::of(&file.ast)))
    }

    /// The same of a file.
    pub(super) fn reads_of(&self, file: &File) -> Reads {
        let imports = file.imports.iter().map(|import| self.reads(&Modules::file_of(&import.path)));
        imports.fold(Reads::of(&file.ast), Reads::and)
    }

    /// Connectors that a script of `wanted`, or what it imports, asks for something and that are not among `known`, or that
    /// cannot do what they are asked for (`problem` says why one does not go with a function). Names that are computed
    /// are found when the script runs.
    pub fn wrong_connectors(
        &self,
        wanted: &BTreeSet<&str>,
        known: &[&str],
        problem: &dyn Fn(&str, &str) -> Option<String>,
    ) -> Vec<Finding> {
        let names: BTreeSet<String> = wanted.iter().flat_map(|script| tree(script, &self.files)).collect();
        let files = names.iter().filter_map(|name| self.files.get(name));
        let is_known = |name: &str| known.contains(&name);
        let wrong = files.flat_map(|file| {
            let named = reads::connectors(&file.ast).into_iter();
            let wrong = named.filter_map(|Named { name, function, place }| {
                let name = name?;
                if !is_known(&name) {
                    return Some(unknown_connector(file, &name, place, known));
                }
                let problem_of = |name: &str| problem(name, &function);
                problem_of(&name).map(|problem| {
                    let others: Vec<&str> = known.iter().copied().filter(|other| problem_of(other).is_none()).collect();
                    wrong_kind(file, (&name, &function, &problem), place, &others)
                })
            });
            wrong.collect::<Vec<_>>()
        });
        wrong.collect()
    }

    /// Every file that is imported, with the names that others use of it; tests do not count.
    fn used_of_each(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let files = self.files.iter().filter(|(name, file)| !is_test(name) && !file.imports.is_empty());
        for (_, file) in files {
            let qualified = reads::qualified(&file.ast);
            for import in &file.imports {
                let names = used.entry(Modules::file_of(&import.path)).or_default();
                let own = qualified.iter().filter(|(alias, _)| Some(alias) == import.alias.as_ref());
                names.extend(own.map(|(_, name)| name.clone()));
            }
        }
        used
    }
}

fn wrong_kind(file: &File, (name, function, problem): (&str, &str, &str), place: Position, others: &[&str]) -> Finding {
    let is_lookup = lookups::FUNCTIONS.contains(&function);
    let message = if is_lookup {
        format!("`{function}` cannot ask the connector `{name}`: {problem}")
    } else {
        format!("`{function}` cannot go to the connector `{name}`: {problem}")
    };
    let finding = Finding::error("script/wrong-connector", &file.label, message);
    let finding = finding.at(&file.source, place.line().unwrap_or(0), place.position().unwrap_or(0));
    let help = match (others, is_lookup) {
        ([], true) => format!("no connector of gateway.toml answers `{function}`"),
        ([], false) => format!("no connector of gateway.toml takes `{function}`"),
        (others, true) => format!("it can ask: {}", others.join(", ")),
        (others, false) => format!("it can go to: {}", others.join(", ")),
    };
    Finding { length: name.chars().count() + 2, ..finding.help(help) }
}

impl Compiler {
    /// Connectors that these scripts send codes through and that send none: `problem` says why not, if so.
    pub fn wrong_ways(&self, wanted: &BTreeSet<&str>, problem: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
        let names: BTreeSet<String> = wanted.iter().flat_map(|script| tree(script, &self.files)).collect();
        let mut findings = Vec::new();
        for file in names.iter().filter_map(|name| self.files.get(name)) {
            for Named { name, function, place } in reads::connectors(&file.ast) {
                let Some(name) = name.filter(|_| function == reads::WAY) else { continue };
                let Some(problem) = problem(&name) else { continue };
                let finding = Finding::error("script/sends-no-codes", &file.label, format!("`{name}` sends no codes"));
                let finding = finding.at(&file.source, place.line().unwrap_or(0), place.position().unwrap_or(0));
                findings.push(Finding { length: name.chars().count() + 2, ..finding.help(problem) });
            }
        }
        findings
    }
}

fn unknown_connector(file: &File, name: &str, place: Position, known: &[&str]) -> Finding {
    let message = format!("there is no connector `{name}`");
    let finding = Finding::error("script/unknown-connector", &file.label, message);
    let finding = finding.at(&file.source, place.line().unwrap_or(0), place.position().unwrap_or(0));
    let help = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("add `[connectors.{name}]` to gateway.toml"),
    };
    Finding { length: name.chars().count() + 2, ..finding.help(help) }
}
