//! From the text of all scripts of a bundle to scripts that run, or to everything that is wrong with them.
//!
//! Nothing here reads a file: the release gives the texts. What did not change since the release before is taken over.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rhai::{AST, Engine, EvalAltResult, Scope};

use crate::budget;
use crate::budget::{Budget, Limits, Stopped};
use crate::cells;
use crate::compile::imports::{Import, check_imports, imports, tree, tree_hash};
use crate::depth;
use crate::depth::Constants;
use crate::diagnose;
use crate::diagnose::{ErrorKind, Limit, ScriptError};
use crate::engine;
use crate::engine::Dialect;
use crate::lanes;
use crate::library::{Effect, Entry, Finished, Kind};
use crate::lint;
use crate::lint::advice::{Advice, Review};
use crate::lint::declared::Parameters;
use crate::lint::known::{Known, Standard};
use crate::lint::{Entrypoint, Input, ModuleFacts};
use crate::modules;
use crate::modules::Modules;
use crate::parameters;
use crate::parameters::{Declaration, Declared};
use crate::password::Ceilings;
use crate::prelude;
use crate::run::{Cause, Failed, Pace, Script};
use crate::stack;
use crate::trace::{Chamber, Furnishing, Spot, innermost_position};
use crate::turns::Turns;
use hookgate_model::finding::{Finding, Severity};

mod imports;
pub mod testing;
mod usage;

/// What a hook brings to its scripts.
#[derive(Clone, Copy)]
pub struct Side {
    /// `okta.registration`
    pub hook: &'static str,
    /// `on_registration`
    pub entry: &'static str,
    /// The type of the entry function's one parameter.
    pub request_type: &'static str,
    pub library: &'static Finished,
    /// What the hook knows of its own commands.
    pub advice: &'static Advice,
}

/// One hook among all the others, with everything that its scripts may name.
#[derive(Clone, Copy)]
pub struct Role {
    pub side: Side,
    known: &'static Known<'static>,
    /// What tests of its scripts may name.
    tests: &'static Known<'static>,
    review: &'static Review,
}

/// The roles of all hooks; made once per process.
pub struct Roles {
    roles: Vec<Role>,
    /// Entry function to hook.
    entries: BTreeMap<String, String>,
    /// For files that hooks share: what any of them may name.
    shared: Known<'static>,
    /// What tests of such files may name.
    shared_tests: Known<'static>,
    /// What tests may use besides what their script may.
    testing: &'static Finished,
}

impl Roles {
    /// Keeps its tables for the rest of the process. `testing` is what tests may use besides.
    pub fn of(sides: &[Side], testing: &'static Finished) -> &'static Self {
        let standard: &'static Standard = Box::leak(Box::new(Standard::of(&engine::standard())));
        let nothing: &'static BTreeMap<String, String> = Box::leak(Box::default());
        let all = || prelude::library().entries.iter().chain(sides.iter().flat_map(|side| &side.library.entries));
        let shared = Known::new(all(), standard, nothing);
        let shared_tests = Known::new(all().chain(&testing.entries), standard, nothing);
        let role = |side: &Side| {
            let foreign: &'static BTreeMap<String, String> = Box::leak(Box::new(foreign_commands(side, sides)));
            let entries = || prelude::library().entries.iter().chain(&side.library.entries);
            let known = Box::leak(Box::new(Known::new(entries(), standard, foreign)));
            let tests = Box::leak(Box::new(Known::new(entries().chain(&testing.entries), standard, foreign)));
            let review = Box::leak(Box::new(Review::of(side.library, side.advice)));
            Role { side: *side, known, tests, review }
        };
        let entries = sides.iter().map(|side| (side.entry.to_owned(), side.hook.to_owned())).collect();
        let roles = sides.iter().map(role).collect();
        Box::leak(Box::new(Self { roles, entries, shared, shared_tests, testing }))
    }

    pub fn find(&self, hook: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.side.hook == hook)
    }

    fn entry<'a>(&'a self, role: &Role) -> Entrypoint<'a> {
        let Side { entry, hook, request_type, .. } = role.side;
        Entrypoint { name: entry, hook, all: &self.entries, request_type }
    }
}

/// Commands of other hooks that this one does not have, with the hook each belongs to.
fn foreign_commands(side: &Side, sides: &[Side]) -> BTreeMap<String, String> {
    let own = |name: &str| side.library.entries.iter().any(|entry| entry.name() == name);
    let named = |entry: &Entry| entry.effect == Effect::Command || entry.kind == Kind::Constant;
    let mut foreign = BTreeMap::new();
    for other in sides.iter().filter(|other| other.hook != side.hook) {
        for entry in other.library.entries.iter().filter(|entry| named(entry) && !own(entry.name())) {
            foreign.entry(entry.name().to_owned()).or_insert_with(|| other.hook.to_owned());
        }
    }
    foreign
}

/// One parsed file.
#[derive(Clone)]
struct File {
    /// Path below the bundle: what findings and errors call it.
    pub label: String,
    pub source: Arc<str>,
    ast: AST,
    imports: Vec<Import>,
    /// Whether a closure in it captures a variable.
    captures: bool,
    /// The parameters that it declares.
    declared: Option<Arc<Declared>>,
    /// Of this file and everything it imports.
    hash: String,
}

/// How a file is looked at.
enum Subject<'a> {
    /// As the script of a route or rule.
    Script(&'a Role),
    /// As a file for others, which use these names of it.
    Shared(&'a BTreeSet<String>),
    /// A file of tests, and what it may name.
    Tests(&'a Known<'static>),
}

/// The scripts of one bundle.
pub struct Compiler {
    roles: &'static Roles,
    files: BTreeMap<String, File>,
    /// Files of tests that cannot be used, and why. They keep nothing else from being used.
    broken_tests: BTreeMap<String, Vec<Finding>>,
    /// Files that do not parse or whose imports are wrong: nothing that needs them can run.
    unsound: BTreeSet<String>,
    modules: Modules,
    chambers: Mutex<HashMap<Furnished, Arc<Chamber>>>,
    made: Mutex<HashMap<Key, Made>>,
    /// Whether runs note the lines they take.
    covered: bool,
    /// When reading and compiling scripts must be over.
    until: Instant,
}

/// Hook, dialect, limits.
type Furnished = (&'static str, Dialect, Limits);

/// File, hash, hook, limits.
type Key = (String, String, &'static str, Limits);

#[derive(Clone)]
struct Made {
    script: Arc<Script>,
    warnings: Vec<Finding>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Time that parsing, checking and compiling all scripts of a bundle may take. A script of 1,000 lines takes milliseconds.
const BUILD_TIME: Duration = Duration::from_secs(30);

/// Time that the top level of one file (its constants and imports) may take at load.
const TOP_LEVEL_TIME: Duration = Duration::from_secs(1);

impl Compiler {
    /// Parses every file of the folder `dir`, and checks imports and what files share.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    #[cfg(test)]
    pub(crate) fn new(
        roles: &'static Roles,
        sources: &BTreeMap<String, Arc<str>>,
        dir: &str,
    ) -> Result<Self, Vec<Finding>> {
        let (compiler, findings) = Self::lenient(roles, sources, dir, None);
        if findings.is_empty() { Ok(compiler) } else { Err(findings) }
    }

    /// Parses every file of the folder `dir`, and checks imports and what files share. What is wrong with one file does not hide what is wrong with others: for editors, where
    /// most of the time one is half written. What did not change since `before` is not parsed again. What is wrong with
    /// files of tests is not among the findings, see [`Compiler::broken_tests`].
    pub fn lenient(
        roles: &'static Roles,
        sources: &BTreeMap<String, Arc<str>>,
        dir: &str,
        before: Option<&Self>,
    ) -> (Self, Vec<Finding>) {
        let parsers = [engine::parser(Dialect::Script), engine::parser(Dialect::Test)];
        let mut findings = Vec::new();
        let mut files = BTreeMap::new();
        let mut broken_tests = BTreeMap::<String, Vec<Finding>>::new();
        let until = Instant::now() + BUILD_TIME;
        for (name, source) in sources {
            if Instant::now() >= until {
                findings.push(too_slow(dir));
                break;
            }
            let parser = &parsers[usize::from(is_test(name))];
            let label = format!("{dir}/{name}");
            let same = |file: &&File| file.label == label && file.source == *source;
            let kept = before.and_then(|before| before.files.get(name)).filter(same).cloned();
            match kept.map_or_else(|| parse(parser, label, source), Ok) {
                Ok(file) => drop(files.insert(name.clone(), file)),
                Err(finding) if is_test(name) => broken_tests.entry(name.clone()).or_default().push(*finding),
                Err(finding) => findings.push(*finding),
            }
        }
        for (name, finding) in check_imports(&files, sources) {
            if is_test(&name) { broken_tests.entry(name).or_default().push(finding) } else { findings.push(finding) }
        }
        let all = findings.iter().chain(broken_tests.values().flatten());
        let wrong: BTreeSet<&str> = all.map(|finding| finding.file.as_str()).collect();
        let unsound = sources.keys().filter(|name| wrong.contains(format!("{dir}/{name}").as_str())).cloned().collect();
        let hashes: Vec<String> = files.keys().map(|name| tree_hash(name, &files)).collect();
        for (file, hash) in files.values_mut().zip(hashes) {
            file.hash = hash;
        }
        let modules = Modules::new(files.iter().map(|(name, file)| (name.clone(), file.ast.clone())).collect());
        let (chambers, made) = Default::default();
        (Self { roles, files, unsound, broken_tests, modules, chambers, made, covered: false, until }, findings)
    }

    /// The same, but every run notes the lines it takes ([`coverage`](crate::trace::coverage)). For tests only.
    #[must_use]
    pub fn covered(self) -> Self {
        Self { covered: true, chambers: Mutex::default(), made: Mutex::default(), ..self }
    }

    /// Whether the file and all that it imports parse.
    fn is_whole(&self, name: &str) -> bool {
        let sound = |name: &String| {
            let mut imports = self.files.get(name).into_iter().flat_map(|file| &file.imports);
            !self.unsound.contains(name)
                && imports.all(|import| self.files.contains_key(&Modules::file_of(&import.path)))
        };
        tree(name, &self.files).iter().all(sound)
    }

    /// Whether there is such a file.
    pub fn has(&self, name: &str) -> bool {
        self.files.contains_key(name) || self.unsound.contains(name)
    }

    /// The parameters that a script declares, if it does and nothing is wrong with that.
    pub fn declaration(&self, name: &str) -> Option<&Declaration> {
        self.files.get(name)?.declared.as_ref()?.whole()
    }

    /// The names of all files.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The compiled `file` for a hook, and warnings about it.
    ///
    /// # Errors
    /// Everything that keeps it from going live.
    pub fn script(
        &self,
        name: &str,
        role: &Role,
        limits: &Limits,
        before: Option<&Self>,
    ) -> Result<(Arc<Script>, Vec<Finding>), Vec<Finding>> {
        let file = self.files.get(name).ok_or_else(|| {
            let text = format!("there is no script `{name}`");
            let missing = Finding::error("script/missing", name, text);
            // What does not parse has its finding already.
            if self.has(name) { Vec::new() } else { vec![missing] }
        })?;
        let key = (name.to_owned(), file.hash.clone(), role.side.hook, limits.clone());
        let known = |compiler: &Self| compiler.made().get(&key).cloned();
        if let Some(made) = known(self).or_else(|| before.and_then(known)) {
            self.made().insert(key, made.clone());
            return Ok((made.script, made.warnings));
        }
        let findings = self.check(name, file, role, limits.ceilings());
        if findings.iter().any(|finding| finding.severity == Severity::Error) || !self.is_whole(name) {
            return Err(findings);
        }
        let warnings = findings;
        let chamber =
            self.chamber(role.side.hook, vec![prelude::library(), role.side.library], Dialect::Script, limits);
        let script =
            Arc::new(self.link(name, file, Frame { entry: role.side.entry, known: role.known, chamber }, limits)?);
        self.made().insert(key, Made { script: script.clone(), warnings: warnings.clone() });
        Ok((script, warnings))
    }

    /// Fails where reading and compiling took too long already.
    ///
    /// # Errors
    /// The finding that says so, about the script `name`.
    pub fn in_time(&self, name: &str) -> Result<(), Vec<Finding>> {
        if Instant::now() < self.until {
            return Ok(());
        }
        Err(vec![too_slow(self.label_of(name).unwrap_or(name))])
    }

    fn check(&self, name: &str, file: &File, role: &Role, ceilings: Ceilings) -> Vec<Finding> {
        let mut findings = self.lint(file, &Subject::Script(role), ceilings);
        findings.extend(self.link_findings(name, file));
        findings
    }

    /// What is wrong with a file and its imports taken together.
    fn link_findings(&self, name: &str, file: &File) -> Vec<Finding> {
        let linked: Vec<&File> = tree(name, &self.files).into_iter().filter_map(|name| self.files.get(&name)).collect();
        if linked.len() < 2 {
            return Vec::new();
        }
        let own = std::iter::once(file).chain(linked.into_iter().filter(|other| other.label != file.label));
        let files: Vec<_> = own.map(|file| (file.label.as_str(), &*file.source, &file.ast)).collect();
        lint::link(&files)
    }

    fn lint(&self, file: &File, subject: &Subject, ceilings: Ceilings) -> Vec<Finding> {
        let facts = |import: &Import| {
            let target = self.files.get(&Modules::file_of(&import.path))?;
            Some((import.alias.clone()?, ModuleFacts::of(&target.label, &target.ast)))
        };
        let imports = file.imports.iter().filter_map(facts).collect();
        let (known, entry, review, used_elsewhere) = match subject {
            Subject::Script(role) => (role.known, Some(self.roles.entry(role)), Some(role.review), None),
            Subject::Shared(used) => (&self.roles.shared, None, None, Some(*used)),
            Subject::Tests(known) => (*known, None, None, None),
        };
        lint::check(&Input {
            file: &file.label,
            source: &file.source,
            ast: &file.ast,
            entry,
            known,
            review,
            used_elsewhere,
            imports: &imports,
            ceilings,
            parameters: self.parameters(file, subject),
        })
    }

    fn parameters<'f>(&self, file: &'f File, subject: &Subject<'_>) -> Option<Parameters<'f>> {
        let declared = file.declared.as_deref().filter(|_| matches!(subject, Subject::Script(_)))?;
        Some(Parameters { declared, reads: self.reads_of(file) })
    }

    /// Runs the top level once and keeps what it made.
    fn link(&self, name: &str, file: &File, frame: Frame, limits: &Limits) -> Result<Script, Vec<Finding>> {
        let Frame { entry, known, chamber } = frame;
        let budget = Budget {
            operations: limits.operations,
            deadline: Instant::now() + TOP_LEVEL_TIME,
            memory_bytes: limits.memory_bytes,
            patience: None,
        };
        let captures =
            tree(name, &self.files).iter().any(|name| self.files.get(name).is_some_and(|file| file.captures));
        let run_top_level = || {
            let mut constants = Scope::new();
            chamber.engine.run_ast_with_scope(&mut constants, &file.ast)?;
            let constants = only_constants(&constants)?;
            // Where lines are noted, each part of an expression stays where it was written.
            let mut ast = if self.covered {
                engine::parse(&chamber.engine, &constants, &file.source)?.0
            } else {
                engine::compile(&chamber.engine, &constants, &file.source)?
            };
            ast.set_source(&file.label);
            let template = engine::run_top_level(&chamber.engine, &ast)?;
            modules::fix_constants(&template)?;
            Ok((ast, template))
        };
        let run_top_level = || cells::within(captures, || run_top_level().map_err(depth::bounded_error));
        let run_top_level = || budget::spend(&budget, run_top_level);
        let (result, stopped, _) = stack::for_run(limits, budget.operations, run_top_level);
        let (ast, template) = result.map_err(|error: Box<EvalAltResult>| {
            let run =
                diagnose::Run { file: &file.label, entry: "", stopped: stopped.and_then(limit_of), last_seen: None };
            vec![diagnose::runtime(error, &run, &|label| self.source(label), known).finding]
        })?;
        Ok(Script {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            chamber,
            ast,
            template,
            known,
            entry,
            label: file.label.as_str().into(),
            file: name.into(),
            hash: file.hash.clone(),
            limits: limits.clone(),
            captures,
            declared: file.declared.clone(),
            pace: Pace::default(),
            turns: Turns::new(lanes::slow_threads().div_ceil(2)),
            alive: Arc::new(()),
        })
    }

    fn chamber(
        &self,
        hook: &'static str,
        libraries: Vec<&'static Finished>,
        dialect: Dialect,
        limits: &Limits,
    ) -> Arc<Chamber> {
        let mut chambers = self.chambers.lock().unwrap_or_else(PoisonError::into_inner);
        let (limits, modules, covered) = (limits.clone(), self.modules.clone(), self.covered);
        let key = (hook, dialect, limits.clone());
        let make = || Chamber::new(Furnishing { libraries, limits, modules, dialect, covered });
        chambers.entry(key).or_insert_with(make).clone()
    }

    fn made(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why a run gave no value, for the author of the script.
    pub fn explain(&self, script: &Script, failed: Failed) -> ScriptError {
        let Failed { cause, spot } = failed;
        let (error, stopped) = match cause {
            Cause::Panicked => {
                let error = ScriptError::panic(&script.label, "see the log line before this one");
                return self.placed(error, spot);
            }
            Cause::Error(error) => (error, None),
            Cause::TooDeep => {
                let levels = depth::MAX_LEVELS;
                let problem = format!("it returned a value with more than {levels} levels of arrays and maps");
                return self.misfit(script, &problem);
            }
            Cause::Stopped(stopped) => (budget::ended(), limit_of(stopped)),
            Cause::Busy | Cause::Crowded | Cause::Crashed => (budget::ended(), Some(Limit::Deadline)),
        };
        let lost = innermost_position(&error).is_none();
        let run = diagnose::Run { file: &script.label, entry: script.entry, stopped, last_seen: None };
        let explained = diagnose::runtime(error, &run, &|label| self.source(label), script.known);
        if lost { self.placed(explained, spot) } else { explained }
    }

    /// What a script returned does not fit, as `problem` says: a finding at its entry function.
    pub fn misfit(&self, script: &Script, problem: &str) -> ScriptError {
        let mut finding = Finding::error("script/bad-command", &*script.label, problem);
        if problem.contains(" where ") {
            finding = finding.help("return one command, an array of commands, or nothing");
        }
        let source = self.source(&script.label).unwrap_or_default();
        let head = format!("fn {}", script.entry);
        let start = source.find(&head).map(|start| start + "fn ".len());
        if let Some(start) = start {
            finding = finding.at_span(source, start..start + script.entry.len());
        }
        ScriptError { kind: ErrorKind::BadReturn, finding }
    }

    fn placed(&self, mut error: ScriptError, spot: Option<Spot>) -> ScriptError {
        let Some(spot) = spot else { return error };
        if let Some(file) = spot.file {
            error.finding.file = file;
        }
        let source = self.source(&error.finding.file).unwrap_or_default();
        error.finding = error.finding.at(source, spot.line, spot.column);
        error.finding.called_from = spot.called_from;
        error
    }

    /// The text of a file by its label, for excerpts.
    pub fn source(&self, label: &str) -> Option<&str> {
        self.files.values().find(|file| file.label == label).map(|file| &*file.source)
    }
}

/// What a script is linked into.
struct Frame {
    entry: &'static str,
    known: &'static Known<'static>,
    chamber: Arc<Chamber>,
}

/// Tests stand beside what they test.
pub const TEST_SUFFIX: &str = "_test.rhai";

/// Whether a file holds tests.
pub fn is_test(name: &str) -> bool {
    name.ends_with(TEST_SUFFIX)
}

fn limit_of(stopped: Stopped) -> Option<Limit> {
    match stopped {
        Stopped::Operations => Some(Limit::Operations),
        Stopped::Deadline | Stopped::Patience | Stopped::Asked => Some(Limit::Deadline),
        Stopped::Memory => Some(Limit::Memory),
        Stopped::Levels => Some(Limit::Levels),
    }
}

/// The scripts take too long to read.
fn too_slow(file: &str) -> Finding {
    let text = format!("the scripts could not be read and compiled within {} seconds", BUILD_TIME.as_secs());
    Finding::error("script/too-slow", file, text).help("use fewer or smaller scripts; keep long lists in tables")
}

fn only_constants(scope: &Scope) -> Result<Scope<'static>, Box<EvalAltResult>> {
    let (mut constants, mut fixed) = (Scope::new(), Constants::of_a_file());
    for (name, _, mut value) in scope.iter().filter(|(_, constant, _)| *constant) {
        fixed.fix(name, &mut value)?;
        constants.push_constant_dynamic(name.to_owned(), value);
    }
    Ok(constants)
}

fn parse(parser: &Engine, label: String, source: &Arc<str>) -> Result<File, Box<Finding>> {
    let parsed = engine::parse(parser, &Scope::new(), source);
    let (mut ast, _) = parsed.map_err(|error| Box::new(diagnose::parse_error(&error, &label, source)))?;
    if let Some(finding) = diagnose::unclosed_comment(&label, source) {
        return Err(Box::new(finding));
    }
    ast.set_source(&label);
    let (imports, captures) = (imports(&ast), cells::has_captures(&ast));
    let declared = parameters::declared(&ast).map(Arc::new);
    Ok(File { label, source: source.clone(), ast, imports, captures, declared, hash: String::new() })
}
