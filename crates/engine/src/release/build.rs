//! From a bundle on disk to a release, or to everything that is wrong with it.
//!
//! `check`, `serve` and every reload use this and nothing else, so they refuse the same bundles with the same words.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use sha2::{Digest, Sha256};

use crate::config;
use crate::config::Document;
use crate::harness;
use crate::release::bundle;
use crate::release::bundle::{Content, Place, Texts};
use crate::release::convert::{known, limits_of, own_limits, table_kind};
use crate::release::declared;
use crate::release::fence;
use crate::release::fence::World;
use crate::release::operating;
use crate::release::outside;
use crate::release::panics;
use crate::release::params::ParamSecrets;
use crate::release::routes;
use crate::release::routes::Scripts;
use crate::release::stamps::FileList;
use crate::release::tables;
use crate::release::unused;
use crate::release::{Release, Route};
use crate::telemetry::metrics::Metrics;
use hookgate_hooks::Hook;
use hookgate_model::failpoint;
use hookgate_model::finding::{Finding, Severity, nearest};
use hookgate_script::budget::Limits;
use hookgate_script::compile::{Compiler, Role, Roles, Side};
use hookgate_script::context::Tables;
use hookgate_script::prelude::phone;
use hookgate_script::run::Script;
use hookgate_script::stack;

mod beyond;
mod files;
mod parts;
pub mod survey;

/// What was read of a bundle, before anything is made of it.
#[derive(Clone)]
pub struct Reading {
    pub document: Document,
    /// The text that `document` was made of.
    pub config: Arc<str>,
    pub texts: Texts,
    pub hash: String,
    /// Whether it was in force once: then tables may shrink, because they only become what they were.
    pub was_live: bool,
    /// Whether runs are to note the lines they take: for the coverage of tests.
    pub covered: bool,
}

impl Reading {
    /// What it is of: texts shared with it, not copied.
    pub fn content(&self) -> Content {
        Content { config: self.config.clone(), texts: self.texts.clone() }
    }
}

/// Whether secrets are wanted: a check without them is for CI, where there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// Read, and made where `create = true`.
    Load,
    /// Read; what would be made is not.
    Check,
    Skip,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Reads everything.
///
/// # Errors
/// What cannot be read, and every mistake of the configuration. A panic is one, too.
pub fn read(place: &Place) -> Result<Reading, Vec<Finding>> {
    panics::caught(&place.config_name(), || read_now(place)).flatten()
}

fn read_now(place: &Place) -> Result<Reading, Vec<Finding>> {
    let text = place.read_config().map_err(|finding| vec![*finding])?;
    let document = parse(place, &text).map_err(|findings| beyond::all(place, &text, findings))?;
    read_document(place, text, document)
}

/// The files that a configuration names.
fn read_document(place: &Place, text: String, document: Document) -> Result<Reading, Vec<Finding>> {
    let (fence, wrong) = fence::of(place, &document);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let scripts = place.read_scripts(&fence, &document.config.scripts.dir);
    let tables = files::read_tables(&fence, &document);
    match (scripts, tables) {
        (Ok((scripts, fixtures)), Ok(tables)) => {
            let texts = Texts { scripts, tables, fixtures };
            let hash = bundle::hash(&text, &texts);
            Ok(Reading { document, config: text.into(), texts, hash, was_live: false, covered: false })
        }
        (scripts, tables) => Err([scripts.err(), tables.err()].into_iter().flatten().flatten().collect()),
    }
}

/// What the configuration on disk says of the store, even if it is broken elsewhere; the default where it says nothing, and nothing
/// where that cannot be read.
pub fn store_of(place: &Place) -> Option<config::store::Store> {
    let text = if place.config.exists() { place.read_config().ok()? } else { String::new() };
    panics::caught(&place.config_name(), || config::store_of(&text, known())).ok().flatten()
}

/// Which files the bundle is made of.
///
/// # Errors
/// Why the configuration does not tell. A panic is one, too.
pub(super) fn parts(place: &Place) -> Result<FileList, Vec<Finding>> {
    let parts = || {
        let text = place.read_config().map_err(|finding| vec![*finding])?;
        Ok(FileList::of(place, &parse(place, &text)?))
    };
    panics::caught(&place.config_name(), parts).flatten()
}

/// What was in force once, to be made into a release again.
///
/// # Errors
/// What of its configuration this version does not take any more.
pub fn again(place: &Place, content: Content) -> Result<Reading, Vec<Finding>> {
    let document = parse(place, &content.config)?;
    let hash = content.hash();
    let Content { config, texts } = content;
    Ok(Reading { document, config, texts, hash, was_live: true, covered: false })
}

fn parse(place: &Place, text: &str) -> Result<Document, Vec<Finding>> {
    let document = config::parse(&place.config_name(), text, known())?;
    if document.config.routes.is_empty() {
        // What an editor leaves between truncating and writing, too: it must not take every route away.
        let finding = Finding::error("config/no-routes", place.config_name(), "there is no route");
        return Err(vec![finding.help("add a `[routes.NAME]`; `hookgate init` writes a first one")]);
    }
    Ok(document)
}

/// Makes a release of what was read. `before` lends what did not change.
///
/// # Errors
/// Every mistake in scripts, tables, secrets and how they fit together. A panic is one, too.
pub fn assemble(
    place: &Place,
    reading: Reading,
    before: Option<&Release>,
    secrets: Secrets,
    metrics: &Arc<Metrics>,
) -> Result<Release, Vec<Finding>> {
    panics::caught(&place.config_name(), || assemble_now(place, reading, before, secrets, metrics)).flatten()
}

fn assemble_now(
    place: &Place,
    reading: Reading,
    before: Option<&Release>,
    secrets: Secrets,
    metrics: &Arc<Metrics>,
) -> Result<Release, Vec<Finding>> {
    failpoint::panic("release.panics");
    let Reading { document, config, texts, hash, was_live, covered } = reading;
    if texts.scripts.values().any(|source| source.contains("phone")) {
        phone::warm_up();
    }
    let mut work = Work { document: &document, findings: document.warnings.clone() };
    work.findings.extend(place.mounted_files());
    let (fence, wrong) = fence::of(place, &document);
    work.findings.extend(wrong);
    let world = World { place, fence: &Arc::new(fence), secrets };
    work.findings.extend(operating::wrong(&world, &document, before));
    let gates = work.gates(&world, before);
    let connectors = Arc::new(work.connectors(&world, before));
    let logs = work.logs(&world, before);
    let (param_secrets, wrong) = ParamSecrets::read(&world, &document);
    work.findings.extend(wrong);
    let tables = Arc::new(work.tables(&texts, before.filter(|_| !was_live)));
    let before_compiler = before.map(|before| &*before.compiler);
    let (compiler, wrong) = Compiler::lenient(roles(), &texts.scripts, &document.config.scripts.dir, before_compiler);
    let compiler = if wrong.is_empty() { Ok(compiler) } else { Err(wrong) };
    let compiler = work.take(compiler.map(|compiler| if covered { compiler.covered() } else { compiler }));
    let mut routes = Vec::new();
    if let Some(compiler) = &compiler {
        let scripts = work.scripts(compiler, before_compiler);
        let (config, accesses) = (&document.config, &gates);
        let parts = routes::Parts {
            config,
            scripts: &scripts,
            accesses,
            logs: &logs,
            connectors: &connectors,
            tables: &tables,
            secrets: &param_secrets,
            metrics,
        };
        let written = document.config.routes.iter().enumerate();
        routes.extend(written.filter_map(|(number, (name, route))| parts.route(number, name, route)));
        let wanted = scripts.keys().map(|key| key.0.as_str()).collect();
        work.findings.extend(compiler.check_shared(&wanted));
        work.findings.extend(compiler.unused_files(&wanted));
        work.findings.extend(outside::wrong(&document.config, compiler, &wanted));
        work.findings.extend(declared::wrong(&document, compiler));
        work.findings.extend(unused::settings(&document, compiler));
    }
    let Work { findings, .. } = work;
    let broken = findings.iter().any(|finding| finding.severity == Severity::Error);
    let Some(compiler) = compiler.filter(|_| !broken) else {
        return Err(findings);
    };
    let started_with = before.map_or_else(|| document.config.clone(), |before| before.started_with.clone());
    let routes: Vec<Arc<Route>> = routes.into_iter().map(Arc::new).collect();
    Ok(Release {
        id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        hash,
        by_path: routes.iter().flat_map(routes::destinations).collect(),
        routes,
        tables,
        connectors,
        warnings: findings,
        compiler: Arc::new(compiler),
        fixtures: Arc::new(texts.fixtures.clone()),
        table_hashes: texts
            .tables
            .iter()
            .map(|(name, bytes)| (name.clone(), hex::encode(Sha256::digest(bytes))))
            .collect(),
        accesses: gates,
        param_secrets: param_secrets.rings(),
        config: document.config,
        started_with,
        content: Some(Content { config, texts }),
    })
}

/// The bundle as a release would be, and its warnings.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check(place: &Place, secrets: Secrets, metrics: &Arc<Metrics>) -> Result<Release, Vec<Finding>> {
    assemble(place, read(place)?, None, secrets, metrics)
}

/// What scripts of each hook may use.
pub(crate) fn roles() -> &'static Roles {
    static ROLES: LazyLock<&'static Roles> = LazyLock::new(|| {
        let side = |hook: &'static Hook| Side {
            hook: hook.name,
            entry: hook.entry,
            request_type: hook.request,
            library: hook.library(),
            advice: hook.advice,
        };
        Roles::of(&hookgate_hooks::HOOKS.iter().map(side).collect::<Vec<_>>(), harness::library())
    });
    &ROLES
}

fn role(hook: &Hook) -> Role {
    *roles().find(hook.name).expect("every hook of the table has a role")
}

struct Work<'a> {
    document: &'a Document,
    findings: Vec<Finding>,
}

impl Work<'_> {
    /// Keeps the value, or its findings.
    fn take<T>(&mut self, result: Result<T, Vec<Finding>>) -> Option<T> {
        result.map_err(|findings| self.findings.extend(findings)).ok()
    }

    fn tables(&mut self, texts: &Texts, before: Option<&Release>) -> Tables {
        let mut loaded = Tables::new();
        for (name, table) in &self.document.config.tables {
            let Some(bytes) = texts.tables.get(name) else { continue };
            let old = before.and_then(|before| before.tables.get(name));
            let source = tables::Source {
                name,
                file: &table.file,
                kind: table_kind(table.kind),
                min_rows: usize::try_from(table.min_rows).unwrap_or(usize::MAX),
                max_shrink_percent: Some(table.max_shrink_percent),
                key: table.key.as_deref(),
            };
            match tables::load(&source, bytes, old.map(|old| &**old)) {
                Ok((table, warnings)) => {
                    self.findings.extend(warnings);
                    loaded.insert(name.clone(), Arc::new(table));
                }
                Err(findings) => self.findings.extend(findings),
            }
        }
        loaded
    }

    /// Compiles every script that a route or rule names, on all cores when there are many.
    fn scripts(&mut self, compiler: &Compiler, before: Option<&Compiler>) -> Scripts {
        let config = &self.document.config;
        let mut wanted = Vec::new();
        for (name, route) in &config.routes {
            let Some(hook) = hookgate_hooks::find(&route.hook) else { continue };
            let limits = limits_of(config, hook, route);
            if let Some(script) = &route.script {
                wanted.push((script, hook, own_limits(&limits), format!("routes.{name}.script")));
            }
            for (rule_name, rule) in &route.rules {
                let limits = own_limits(&limits.with(&rule.limits));
                wanted.push((&rule.script, hook, limits, format!("routes.{name}.rules.{rule_name}.script")));
            }
        }
        let mut scripts = Scripts::new();
        let mut todo = Vec::new();
        for (script, hook, limits, key) in wanted {
            if !compiler.has(script) {
                self.findings.push(self.missing_script(compiler, script, &key));
            } else if scripts.insert((script.clone(), hook.name, limits.clone()), None).is_none() {
                todo.push((script.clone(), role(hook), limits));
            }
        }
        for ((script, role, limits), result) in compile_all(compiler, before, todo) {
            match result {
                Ok((compiled, warnings)) => {
                    self.findings.extend(warnings);
                    scripts.insert((script, role.side.hook, limits), Some(compiled));
                }
                Err(findings) => self.findings.extend(findings),
            }
        }
        dedupe(&mut self.findings);
        scripts
    }

    fn missing_script(&self, compiler: &Compiler, script: &str, key: &str) -> Finding {
        let dir = &self.document.config.scripts.dir;
        let finding = self.document.finding("config/missing-script", key, format!("there is no `{dir}/{script}`"));
        match nearest(script, compiler.files()) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding.help(format!("scripts are named by their path below `{dir}`")),
        }
    }
}

type Unit = (String, Role, Limits);
type Compiled = Result<(Arc<Script>, Vec<Finding>), Vec<Finding>>;

/// Compiles on threads of their own, because the top level of a script runs here: it may need a deep stack.
fn compile_all(compiler: &Compiler, before: Option<&Compiler>, todo: Vec<Unit>) -> Vec<(Unit, Compiled)> {
    /// Below this, a second thread costs more than it saves.
    const WORTH_A_THREAD: usize = 16;
    let one = |unit: &Unit| {
        let (script, role, limits) = unit;
        let label = compiler.label_of(script).unwrap_or(script);
        let compiled = panics::caught(label, || {
            failpoint::panic("release.script_panics");
            compiler.in_time(script)?;
            compiler.script(script, role, limits, before)
        });
        (unit.clone(), compiled.flatten())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if todo.len() < WORTH_A_THREAD { 1 } else { cores };
    std::thread::scope(|scope| {
        let work = |share: &[Unit]| share.iter().map(one).collect::<Vec<_>>();
        let start = |share| {
            let thread = stack::thread("build");
            thread.spawn_scoped(scope, move || work(share)).map_err(|_| share)
        };
        let shares = todo.chunks(todo.len().div_ceil(threads).max(1));
        let started: Vec<_> = shares.map(start).collect();
        let finish = |thread| match thread {
            Ok(thread) => std::thread::ScopedJoinHandle::join(thread).expect("compiling does not panic"),
            // No thread to be had: a script that wants a deep stack is rare, and no release would be worse.
            Err(share) => work(share),
        };
        started.into_iter().flat_map(finish).collect()
    })
}

/// One script for two hooks gives the same findings twice.
fn dedupe(findings: &mut Vec<Finding>) {
    let mut seen = std::collections::HashSet::new();
    findings.retain(|finding| seen.insert(finding.one_line()));
}
