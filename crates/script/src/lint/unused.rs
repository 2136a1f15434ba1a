//! What is declared and never used: variables, parameters, constants, imports and functions.

use std::collections::{BTreeMap, BTreeSet};

use crate::lint::source;
use crate::lint::walk::{Role, Variable, Walker};
use crate::parameters;

impl Walker<'_, '_> {
    /// Ends a scope and complains about what was declared in it for nothing.
    pub(crate) fn leave(&mut self, depth: usize) {
        for variable in self.scope.split_off(depth) {
            self.unused(&variable);
            self.ended.insert(variable.name);
        }
    }

    /// Complains about a variable that nothing can use any more, and nothing has used.
    pub(crate) fn unused(&mut self, variable: &Variable) {
        if variable.used || variable.name.starts_with('_') || variable.role == Role::Given {
            return;
        }
        let (code, what) = match variable.role {
            Role::Parameter => ("script/unused-parameter", "parameter"),
            Role::Constant => ("script/unused-constant", "constant"),
            _ => ("script/unused-variable", "variable"),
        };
        let position = match variable.role {
            Role::Parameter => source::word_after(&self.report.lines, &variable.name, variable.position),
            _ => None,
        };
        let message = format!("{what} `{}` is never used", variable.name);
        let help = format!("remove it, or call it `_{}`", variable.name);
        self.report.warning(code, position.unwrap_or(variable.position), message, help);
    }

    pub(crate) fn unused_of_file(&mut self, graph: &BTreeMap<String, BTreeSet<String>>) {
        for (alias, (position, used)) in &self.top.imports {
            if !used {
                self.report.warning("script/unused-import", *position, format!("import `{alias}` is never used"), None);
            }
        }
        let elsewhere = |name: &str| match (&self.input.entry, self.input.used_elsewhere) {
            (Some(_), _) => name == parameters::NAME,
            (None, used) => used.is_none_or(|used| used.contains(name)),
        };
        let constants = self.top.constants.values();
        for constant in constants.filter(|constant| !constant.used && !elsewhere(&constant.name)) {
            let message = format!("constant `{}` is never used", constant.name);
            self.report.warning("script/unused-constant", constant.position, message, None);
        }
        self.unused_functions(graph, self.input.entry.map(|entry| entry.name));
    }

    /// Whether another file uses this function, or may.
    fn is_offered(&self, function: &source::Function) -> bool {
        let used = self.input.used_elsewhere;
        !function.private && used.is_none_or(|used| used.contains(&function.name))
    }

    /// In a script everything must be reachable from its entry; in a file for others, from what they use.
    fn unused_functions(&mut self, graph: &BTreeMap<String, BTreeSet<String>>, entry: Option<&str>) {
        let mut roots: Vec<&str> = vec![""];
        match entry {
            Some(entry) if self.functions.iter().any(|function| function.name == entry) => roots.push(entry),
            Some(_) => return,
            None => roots.extend(
                self.functions
                    .iter()
                    .filter(|function| self.is_offered(function))
                    .map(|function| function.name.as_str()),
            ),
        }
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        while let Some(name) = roots.pop() {
            if reached.insert(name) {
                roots.extend(graph.get(name).into_iter().flatten().map(String::as_str));
            }
        }
        for function in self.functions {
            let exempt = function.is_closure() || function.name.starts_with('_');
            let other_entry = self.input.entry.is_some_and(|entry| entry.all.contains_key(&function.name));
            if !exempt && !other_entry && !reached.contains(function.name.as_str()) {
                let message = format!("function `{}` is never called", function.name);
                self.report.warning("script/unused-function", function.position, message, None);
            }
        }
    }
}
