//! What files import: where each import leads, that none leads outside or round in a circle, and the hash of a file with all
//! that it imports.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rhai::{AST, ASTNode, Expr, Position, Stmt};
use sha2::{Digest, Sha256};

use crate::compile::File;
use crate::modules::Modules;
use hookgate_model::finding::Finding;

#[derive(Clone)]
pub(super) struct Import {
    pub(super) path: String,
    pub(super) alias: Option<String>,
    pub(super) position: Position,
}

pub(super) fn imports(ast: &AST) -> Vec<Import> {
    let mut found = Vec::new();
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some(ASTNode::Stmt(Stmt::Import(import, position))) = path.last() {
            let path = match &import.0 {
                Expr::StringConstant(path, _) => path.to_string(),
                _ => String::new(),
            };
            let alias = Some(import.1.name.to_string()).filter(|alias| !alias.is_empty());
            found.push(Import { path, alias, position: *position });
        }
        true
    });
    found
}

/// Imports that lead nowhere, outside, or back to the start.
pub(super) fn check_imports(
    files: &BTreeMap<String, File>,
    sources: &BTreeMap<String, Arc<str>>,
) -> Vec<(String, Finding)> {
    let mut findings = Vec::new();
    for (name, file) in files {
        for import in &file.imports {
            if let Some(problem) = import_problem(name, &file.label, import, files, sources) {
                let (line, column) = (import.position.line().unwrap_or(0), import.position.position().unwrap_or(0));
                findings.push((name.clone(), problem.at(&file.source, line, column)));
            }
        }
    }
    findings
}

fn import_problem(
    name: &str,
    label: &str,
    import: &Import,
    files: &BTreeMap<String, File>,
    sources: &BTreeMap<String, Arc<str>>,
) -> Option<Finding> {
    let path = &import.path;
    let error = |text: String| Finding::error("script/import", label, text);
    if path.is_empty() {
        return Some(
            error("the path of an import must be a plain text".into()).help("write `import \"lib/name\" as name;`"),
        );
    }
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Some(error(format!("`{path}` leaves the scripts folder")).help("paths start at the scripts folder"));
    }
    let target = Modules::file_of(path);
    if !sources.contains_key(&target) {
        let elsewhere = sources.keys().map(String::as_str).find(|name| name.ends_with(&format!("/{target}")));
        let near = elsewhere.or_else(|| hookgate_model::finding::nearest(&target, sources.keys().map(String::as_str)));
        let problem = error(format!("there is no file `{target}` in the scripts folder"));
        return Some(match near {
            Some(near) => problem.help(format!("did you mean `{}`?", near.trim_end_matches(".rhai"))),
            None => problem,
        });
    }
    let circle = circle(name, &target, files)?;
    Some(error(format!("imports go round in a circle: {circle}")).help("move what both need into a third file"))
}

/// The way from `target` back to `name`, if there is one.
fn circle(name: &str, target: &str, files: &BTreeMap<String, File>) -> Option<String> {
    let mut ways = vec![vec![name.to_owned(), target.to_owned()]];
    let mut seen = std::collections::BTreeSet::new();
    while let Some(way) = ways.pop() {
        let last = way.last()?;
        if last == name {
            return Some(way.join(" -> "));
        }
        if !seen.insert(last.clone()) {
            continue;
        }
        for import in files.get(last).iter().flat_map(|file| &file.imports) {
            let mut longer = way.clone();
            longer.push(Modules::file_of(&import.path));
            ways.push(longer);
        }
    }
    None
}

/// A file and all that it imports, directly or not.
pub(super) fn tree(name: &str, files: &BTreeMap<String, File>) -> BTreeSet<String> {
    let mut todo = vec![name.to_owned()];
    let mut all = BTreeSet::new();
    while let Some(name) = todo.pop() {
        if let (Some(file), false) = (files.get(&name), all.contains(&name)) {
            todo.extend(file.imports.iter().map(|import| Modules::file_of(&import.path)));
            all.insert(name);
        }
    }
    all
}

/// Hash of a file and of all that it imports.
pub(super) fn tree_hash(name: &str, files: &BTreeMap<String, File>) -> String {
    let mut hasher = Sha256::new();
    for name in tree(name, files) {
        let source = files.get(&name).map_or("", |file| &file.source);
        hasher.update(name.as_bytes());
        hasher.update([0]);
        hasher.update((source.len() as u64).to_le_bytes());
        hasher.update(source.as_bytes());
    }
    hex::encode(hasher.finalize())
}
