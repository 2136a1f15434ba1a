//! What the configuration gives and no script uses: parameters, tables and connectors. From the text of the scripts; where a name is
//! computed, nothing is said.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::config::Document;
use crate::config::routes::{Route, Rule};
use hookgate_model::finding::{Finding, nearest};
use hookgate_script::compile::Compiler;
use hookgate_script::lint::reads::{Names, Reads};

/// Parameters of one route that are told one by one. To find the place of each, the text is read again.
const MOST_PARAMETERS: usize = 50;

/// Warnings about parameters, tables and connectors.
pub(super) fn settings(document: &Document, compiler: &Compiler) -> Vec<Finding> {
    let mut work = Work { document, compiler, known: BTreeMap::new() };
    let mut findings = Vec::new();
    for (name, route) in &document.config.routes {
        findings.extend(work.of_route(name, route));
        findings.extend(work.of_rules(name, route));
    }
    findings.extend(work.tables());
    findings.extend(work.connectors());
    findings
}

struct Work<'a> {
    document: &'a Document,
    compiler: &'a Compiler,
    known: BTreeMap<&'a str, Reads>,
}

impl<'a> Work<'a> {
    fn reads(&mut self, script: &'a str) -> Reads {
        self.known.entry(script).or_insert_with(|| self.compiler.reads(script)).clone()
    }

    /// What all scripts of a route together do not read. Most routes have no parameters, and cost nothing. What a script
    /// declares is looked at elsewhere.
    fn of_route(&mut self, name: &str, route: &'a Route) -> Vec<Finding> {
        if route.params.is_empty() || scripts_of(route).any(|script| self.compiler.declaration(script).is_some()) {
            return Vec::new();
        }
        let reads = scripts_of(route).fold(Reads::nothing(), |all, script| all.and(self.reads(script)));
        self.parameters(&route.params, &format!("routes.{name}.params"), &reads.parameters)
    }

    fn of_rules(&mut self, name: &str, route: &'a Route) -> Vec<Finding> {
        let compiler = self.compiler;
        let is_open = |rule: &Rule| !rule.params.is_empty() && compiler.declaration(&rule.script).is_none();
        let rules = route.rules.iter().filter(|(_, rule)| is_open(rule));
        let rules = rules.flat_map(|(rule_name, rule)| {
            let reads = self.reads(&rule.script);
            self.parameters(&rule.params, &format!("routes.{name}.rules.{rule_name}.params"), &reads.parameters)
        });
        rules.collect()
    }

    fn parameters(&self, given: &Map<String, Value>, path: &str, read: &Names) -> Vec<Finding> {
        let unread: Vec<&String> = given.keys().filter(|key| !read.may_have(key)).collect();
        let complaint = |key: &String| {
            let message = format!("no script of this route reads `params.{key}`");
            let finding = self.document.warning("config/unused-parameter", &format!("{path}.{key}"), message);
            let near = match read {
                Names::These(names) => nearest(key, names.iter().map(String::as_str)),
                Names::Any => None,
            };
            match near {
                Some(near) => finding.help(format!("did you mean `{near}`?")),
                None => finding.help("remove it"),
            }
        };
        let mut findings: Vec<Finding> = unread.iter().take(MOST_PARAMETERS).copied().map(complaint).collect();
        if let Some(more) = unread.len().checked_sub(MOST_PARAMETERS).filter(|more| *more > 0) {
            let message = format!("no script of this route reads {more} more parameters");
            findings.push(self.document.warning("config/unused-parameter", path, message).help("remove them"));
        }
        findings
    }

    /// What all scripts of all routes read.
    fn all(&mut self) -> Reads {
        let scripts = self.document.config.routes.values().flat_map(scripts_of);
        scripts.fold(Reads::nothing(), |all, script| all.and(self.reads(script)))
    }

    fn connectors(&mut self) -> Vec<Finding> {
        if self.document.config.connectors.is_empty() {
            return Vec::new();
        }
        let all = self.all();
        let connectors = &self.document.config.connectors;
        let guards = connectors.values().filter_map(|one| one.common.guard.as_ref()?.alert.as_ref());
        let alerts: Vec<&String> = guards.collect();
        let unused = connectors.keys().filter(|name| !all.connectors.may_have(name) && !alerts.contains(name));
        let complaint = |name: &String| {
            let message = format!("no script names the connector `{name}`");
            self.document.warning("config/unused-connector", &format!("connectors.{name}"), message).help("remove it")
        };
        unused.map(complaint).collect()
    }

    fn tables(&mut self) -> Vec<Finding> {
        if self.document.config.tables.is_empty() {
            return Vec::new();
        }
        let all = self.all();
        let unread = self.document.config.tables.keys().filter(|name| !all.tables.may_have(name));
        let complaint = |name: &String| {
            let message = format!("no script reads `table(\"{name}\")`");
            self.document.warning("config/unused-table", &format!("tables.{name}"), message).help("remove it")
        };
        unread.map(complaint).collect()
    }
}

fn scripts_of(route: &Route) -> impl Iterator<Item = &String> {
    route.script.iter().chain(route.rules.values().map(|rule| &rule.script))
}
