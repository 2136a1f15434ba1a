//! What can be said of a bundle while somebody writes it: all findings, whatever of it is broken.
//!
//! A release needs all of a bundle to be right, so [`check`](crate::release::build::check) may stop at the first part that
//! is not. An editor shows a file that is half written most of the time. Both say the same of what they look at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config;
use crate::config::Document;
use crate::release::build::files::read_table;
use crate::release::build::{Work, dedupe, parse, roles};
use crate::release::bundle::{Place, Texts};
use crate::release::declared;
use crate::release::fence;
use crate::release::outside;
use crate::release::unused;
use hookgate_model::files::fence::Fence;
use hookgate_model::finding::Finding;
use hookgate_script::compile::Compiler;
use hookgate_script::parameters::Declaration;

/// A bundle as far as it can be read. Secrets are not looked for.
pub struct Survey {
    pub findings: Vec<Finding>,
    /// The configuration; while it has mistakes, the last one that had none.
    pub document: Option<Arc<Document>>,
    /// By path below the scripts folder.
    pub scripts: BTreeMap<String, Arc<str>>,
    /// The scripts folder.
    pub dir: String,
    compiler: Compiler,
    tables: Tables,
}

/// What was said of the tables, and of which: big ones are read again only when they change.
#[derive(Default)]
struct Tables {
    written: BTreeMap<String, config::tables::Table>,
    read: BTreeMap<String, Arc<[u8]>>,
    findings: Vec<Finding>,
}

impl Survey {
    /// The parameters that a script declares.
    pub fn declaration(&self, script: &str) -> Option<&Declaration> {
        self.compiler.declaration(script)
    }

    /// The JSON schema of `gateway.toml` with the parameters of the scripts of this bundle.
    pub fn schema(&self) -> serde_json::Value {
        declared::schema(&self.compiler)
    }
}

/// Looks at everything. `before` lends what did not change.
pub fn survey(place: &Place, before: Option<&Survey>) -> Survey {
    let read = place.read_config().map_err(|finding| vec![*finding]);
    let parsed = read.and_then(|text| parse(place, &text));
    let (document, mut findings, broken) = match parsed {
        Ok(document) => (Some(Arc::new(document)), Vec::new(), false),
        Err(findings) => (before.and_then(|before| before.document.clone()), findings, true),
    };
    let dir = document
        .as_ref()
        .map_or_else(config::scripts::Scripts::default, |document| document.config.scripts.clone())
        .dir;
    let known = document.as_deref().map(|document| fence::of(place, document));
    let (fence, wrong) = known.unwrap_or_else(|| (Fence::new(&place.root), Vec::new()));
    let (scripts, _, unreadable) = place.readable_scripts(&fence, &dir);
    let mut survey = of_scripts(scripts, dir, document, before);
    if broken {
        // Places in a text that is no longer there.
        survey.findings.retain(|finding| finding.file != place.config_name());
    }
    survey.tables = tables(&fence, survey.document.as_deref().filter(|_| !broken), before);
    if !broken {
        findings.extend(wrong);
    }
    findings.extend(unreadable);
    findings.extend(survey.tables.findings.iter().cloned());
    findings.append(&mut survey.findings);
    dedupe(&mut findings);
    Survey { findings, ..survey }
}

/// Looks at scripts. Without a configuration, what a script may name is told by its entry function alone.
pub fn of_scripts(
    scripts: BTreeMap<String, Arc<str>>,
    dir: String,
    document: Option<Arc<Document>>,
    before: Option<&Survey>,
) -> Survey {
    let before = before.map(|before| &before.compiler);
    let (compiler, mut findings) = Compiler::lenient(roles(), &scripts, &dir, before);
    let mut wanted = BTreeMap::new();
    if let Some(document) = &document {
        let mut work = Work { document, findings: document.warnings.clone() };
        wanted = work.scripts(&compiler, before).into_keys().map(|key| (key.0, key.1)).collect();
        findings.append(&mut work.findings);
        findings.extend(compiler.unused_files(&files(&wanted)));
        findings.extend(outside::wrong(&document.config, &compiler, &files(&wanted)));
        findings.extend(declared::wrong(document, &compiler));
        findings.extend(unused::settings(document, &compiler));
    }
    findings.extend(compiler.check_shared(&files(&wanted)));
    findings.extend(compiler.check_unused(&files(&wanted)));
    findings.extend(compiler.check_tests(&|script| wanted.get(script).copied()));
    Survey { findings, document, scripts, dir, compiler, tables: Tables::default() }
}

/// The scripts of routes and rules.
fn files<'a>(wanted: &'a BTreeMap<String, &'static str>) -> BTreeSet<&'a str> {
    wanted.keys().map(String::as_str).collect()
}

fn tables(fence: &Fence, document: Option<&Document>, before: Option<&Survey>) -> Tables {
    let Some(document) = document else { return Tables::default() };
    let mut work = Work { document, findings: Vec::new() };
    let mut read = BTreeMap::new();
    for (name, table) in &document.config.tables {
        match read_table(fence, document, name, table) {
            Ok(bytes) => drop(read.insert(name.clone(), bytes)),
            Err(finding) => work.findings.push(*finding),
        }
    }
    let written = document.config.tables.clone();
    let same = |known: &&Tables| known.written == written && known.read == read && work.findings.is_empty();
    if let Some(known) = before.map(|before| &before.tables).filter(same) {
        return Tables { written, read, findings: known.findings.clone() };
    }
    let texts = Texts { scripts: BTreeMap::new(), tables: read, fixtures: BTreeMap::new() };
    work.tables(&texts, None);
    Tables { written, read: texts.tables, findings: work.findings }
}
