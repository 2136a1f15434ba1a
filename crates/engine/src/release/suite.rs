//! The tests of a release: which file tests which script, on which routes, and what they all depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::config::limits;
use crate::config::scripts;
use crate::harness::cases;
use crate::harness::run::Suite;
use crate::harness::subject::{Binding, Case, Subject, TableShape, Tests, Wants, stem};
use crate::harness::test;
use crate::release::convert::{own_limits, table_kind};
use crate::release::{EventRules, InlineScript, Plan, Release, Route};
use hookgate_model::finding::{Finding, Severity, is_misspelled, nearest};
use hookgate_script::budget::Limits;
use hookgate_script::compile::{Compiler, Role, TEST_SUFFIX};
use hookgate_script::context::Surroundings;
use hookgate_script::lint::allow;

pub use hookgate_script::compile::is_test;

/// The whole suite of a release.
pub fn suite(release: &Release) -> Suite {
    changed(release, &|_| false).0
}

/// The suite of a release but for scripts whose fingerprint is known: of those, name and fingerprint.
pub(crate) fn changed(release: &Release, known: &dyn Fn(&str) -> bool) -> (Suite, Vec<(String, String)>) {
    let work = Work { release, fixtures: release.fixtures.clone(), tables: Arc::new(shapes(release)) };
    let mut problems = Vec::new();
    let mut tested = BTreeMap::<String, Wanted>::new();
    // A script of a route wants tests even if it has none; a file that others import is tested through them.
    for binding in release.routes.iter().flat_map(bindings_of) {
        tested.entry(binding.script.file().to_owned()).or_default().bindings.push(binding);
    }
    let test_files: Vec<String> = release.compiler.test_files().map(str::to_owned).collect();
    for test_file in test_files {
        let script = format!("{}.rhai", test_file.strip_suffix(TEST_SUFFIX).unwrap_or(&test_file));
        if release.compiler.has(&script) {
            tested.entry(script).or_default().test_file = Some(test_file);
        } else {
            let label = format!("{}/{test_file}", release.config.scripts.dir);
            problems.push(work.orphan(&script, label, format!("there is no `{script}` for these tests"), TEST_SUFFIX));
        }
    }
    for (path, text) in &*release.fixtures {
        let Some((script, name)) = case_of(path) else { continue };
        let label = format!("{}/{path}", release.config.scripts.dir);
        if release.compiler.has(&script) {
            tested.entry(script).or_default().cases.insert(name, Case { label, text: text.clone() });
        } else {
            problems.push(work.orphan(&script, label, format!("there is no script `{script}` for this case"), ""));
        }
    }
    let (mut subjects, mut unchanged) = (Vec::new(), Vec::new());
    for (script, mut wanted) in tested {
        let mut bindings = std::mem::take(&mut wanted.bindings);
        if bindings.is_empty() {
            bindings.extend(work.unbound(&script));
        }
        let fingerprint = work.fingerprint(&script, &wanted, &bindings);
        if known(&fingerprint) {
            unchanged.push((script, fingerprint));
        } else {
            subjects.push(Arc::new(work.subject(script, wanted, bindings, fingerprint)));
        }
    }
    let (compiler, connectors) = (release.compiler.clone(), release.connectors.clone());
    (Suite { subjects, compiler, connectors, problems }, unchanged)
}

/// What is odd about a script's tests, or that it has none.
pub(crate) fn warnings(subject: &Subject, compiler: &Compiler) -> Vec<Finding> {
    match &subject.tests {
        Some(Ok(tests)) => {
            let source = compiler.source(&subject.test_label).unwrap_or_default();
            let mute = tests.without_assertions().map(|function| {
                let text = format!("`{}` claims nothing: it passes whatever the script does", function.name);
                let finding = Finding::warning("test/no-assertion", &subject.test_label, text);
                finding
                    .at(source, function.line, function.column)
                    .help("end it with an `assert…`, or call `skip(\"why\")`")
            });
            let mut mute = mute.collect();
            allow::apply_to_tests(&mut mute, &subject.test_label, source);
            tests.warnings.iter().cloned().chain(mute).collect()
        }
        Some(Err(_)) => Vec::new(),
        None if subject.cases.is_empty() => {
            let text = "no test runs this script";
            let file = subject.test_label.replace(".rhai", TEST_SUFFIX);
            vec![Finding::warning(UNTESTED, &subject.label, text).help(format!("write `{file}`"))]
        }
        None => Vec::new(),
    }
}

/// Everything about the tests of a release that is known without running them: for `check`. Where the gate asks for no
/// tests, scripts without any are fine, and broken ones keep nothing from going live.
pub fn findings(release: &Release) -> Vec<Finding> {
    let suite = suite(release);
    let mut findings = suite.problems.clone();
    for subject in &suite.subjects {
        if let Some(Err(broken)) = &subject.tests {
            findings.extend(broken.iter().cloned());
        }
        findings.extend(warnings(subject, &suite.compiler));
    }
    if release.config.scripts.gate == scripts::Gate::Check {
        findings.retain(|finding| finding.code != UNTESTED);
        findings.iter_mut().for_each(|finding| finding.severity = Severity::Warning);
    }
    findings
}

/// The code of tests of a script that is not there.
const NO_SCRIPT: &str = "test/no-script";
/// The code of a script that has no tests.
const UNTESTED: &str = "script/untested";

/// What tests there are of a script, and who runs it.
#[derive(Default)]
struct Wanted {
    /// The routes and rules, in the order of the configuration.
    bindings: Vec<Binding>,
    test_file: Option<String>,
    cases: BTreeMap<String, Case>,
}

/// `cases/registration/quoted.json` → `registration.rhai`, `quoted`
fn case_of(path: &str) -> Option<(String, String)> {
    let (folder, file) = path.strip_prefix(cases::FOLDER)?.strip_prefix('/')?.rsplit_once('/')?;
    Some((format!("{folder}.rhai"), file.strip_suffix(".json")?.to_owned()))
}

fn shapes(release: &Release) -> BTreeMap<String, TableShape> {
    let shape =
        |table: &crate::config::tables::Table| TableShape { kind: table_kind(table.kind), key: table.key.clone() };
    release.config.tables.iter().map(|(name, table)| (name.clone(), shape(table))).collect()
}

struct Work<'a> {
    release: &'a Release,
    fixtures: Arc<BTreeMap<String, Arc<str>>>,
    tables: Arc<BTreeMap<String, TableShape>>,
}

impl Work<'_> {
    /// Tests or a case of a script that is not there. An error where its name is a misspelled one, or close to that of a script
    /// without tests; else it is what a removed script has left. `suffix` comes behind the name that was meant.
    fn orphan(&self, script: &str, label: String, text: String, suffix: &str) -> Finding {
        let files = || self.release.compiler.files().filter(|file| !is_test(file));
        let tested: BTreeSet<&str> =
            self.release.compiler.test_files().filter_map(|file| file.strip_suffix(TEST_SUFFIX)).collect();
        let misspelled = files().find(|file| is_misspelled(stem(script), stem(file)));
        match misspelled.or_else(|| nearest(script, files().filter(|file| !tested.contains(stem(file))))) {
            Some(near) => {
                Finding::error(NO_SCRIPT, label, text).help(format!("did you mean `{}{suffix}`?", stem(near)))
            }
            None => Finding::warning(NO_SCRIPT, label, text).help("remove it, if the script is gone for good"),
        }
    }

    fn subject(&self, script: String, wanted: Wanted, bindings: Vec<Binding>, fingerprint: String) -> Subject {
        let compiler = &self.release.compiler;
        let role = bindings.first().and_then(|binding| super::build::roles().find(binding.hook.name));
        let role = role.or_else(|| compiler.hook_of(&script));
        let label = compiler.label_of(&script).unwrap_or(&script).to_owned();
        let test_label = wanted.test_file.as_ref().map(|file| format!("{}/{file}", self.release.config.scripts.dir));
        Subject {
            unconfigured: self.unconfigured(&script, role),
            tests: wanted.test_file.as_ref().map(|file| self.tests(file, role)),
            test_label: test_label.unwrap_or_else(|| label.clone()),
            label,
            bindings,
            cases: wanted.cases,
            fixtures: self.fixtures.clone(),
            tables: self.tables.clone(),
            fingerprint,
            script,
        }
    }

    fn tests(&self, file: &str, role: Option<&Role>) -> Result<Tests, Vec<Finding>> {
        let compiler = &self.release.compiler;
        let (script, warnings) = compiler.test_script(file, role, &test::limits())?;
        let all = compiler.functions(file);
        let imports = compiler.imports_of(file);
        let imported = imports.iter().flat_map(|file| compiler.functions(file)).map(|function| function.name);
        let functions = all.iter().filter(|function| function.name.starts_with("test_")).cloned().collect();
        Ok(Tests { script, functions, imported: imported.collect(), all, warnings })
    }

    /// As the hook runs the script that its entry function names, where no route or rule does.
    fn unbound(&self, script: &str) -> Option<Binding> {
        let limits = own_limits(&self.release.config.limits);
        let surroundings = Surroundings { params: Arc::default(), tables: self.release.tables.clone() };
        self.binding(script, self.release.compiler.hook_of(script)?, limits, surroundings)
    }

    /// The same without anything of the configuration.
    fn unconfigured(&self, script: &str, role: Option<&Role>) -> Option<Binding> {
        self.binding(script, role?, own_limits(&limits::Limits::default()), Surroundings::default())
    }

    fn binding(&self, script: &str, role: &Role, limits: Limits, surroundings: Surroundings) -> Option<Binding> {
        let compiler = &self.release.compiler;
        let hook = hookgate_hooks::find(role.side.hook)?;
        let (compiled, _) = compiler.script(script, role, &limits, None).ok()?;
        let form = hook.on_failure().first();
        Some(Binding {
            name: stem(script).to_owned(),
            hook,
            script: compiled,
            surroundings: Arc::new(surroundings),
            limits,
            on_failure: form.and_then(|form| hook.declared(form.word, form.takes_text.then_some("not possible now"))),
            wants: None,
        })
    }

    /// Everything that tests of the script can notice.
    fn fingerprint(&self, script: &str, wanted: &Wanted, bindings: &[Binding]) -> String {
        let mut hasher = Sha256::new();
        let mut part = |text: &str| {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        let compiler = &self.release.compiler;
        let mut files = compiler.tree_of(script);
        part(compiler.hash_of(script).unwrap_or_default());
        if let Some(test_file) = &wanted.test_file {
            // A broken file has no hash; its text is the release's.
            part(compiler.hash_of(test_file).unwrap_or(&self.release.hash));
            files.extend(compiler.tree_of(test_file));
        }
        for (name, case) in &wanted.cases {
            part(name);
            part(&case.text);
        }
        for binding in bindings {
            part(&binding.name);
            part(binding.hook.name);
            part(&format!("{:?} {:?} {:?}", binding.surroundings.params, binding.limits, binding.on_failure));
            part(binding.wants.as_ref().map_or("", |wants| &wants.text));
        }
        // What each can do depends on its settings.
        part(&format!("{:?}", self.release.config.connectors));
        for name in self.release.tables_read(&files) {
            part(&name);
            part(self.release.table_hashes.get(&name).map_or("", String::as_str));
        }
        if files.iter().any(|file| compiler.source_of(file).is_some_and(|source| source.contains("load("))) {
            self.fixtures.iter().for_each(|(path, text)| {
                part(path);
                part(text);
            });
        }
        hex::encode(hasher.finalize())
    }
}

impl Release {
    /// The tables that any of the files may read: those it names, or all when it makes up names.
    fn tables_read(&self, files: &BTreeSet<String>) -> BTreeSet<String> {
        let sources: Vec<&str> = files.iter().filter_map(|file| self.compiler.source_of(file)).collect();
        let reads_tables = sources.iter().any(|source| source.contains("table("));
        if !reads_tables {
            return BTreeSet::new();
        }
        let literal = |source: &str| {
            source
                .match_indices("table(")
                .all(|(place, call)| source[place + call.len()..].trim_start().starts_with(['"', '`']))
        };
        let all_named = sources.iter().all(|source| literal(source));
        let is_named = |name: &str| sources.iter().any(|source| source.contains(name));
        self.tables.keys().filter(|name| !all_named || is_named(name)).cloned().collect()
    }
}

/// Every way in which a route runs scripts.
pub(crate) fn bindings_of(route: &Arc<Route>) -> Vec<Binding> {
    let hook = route.hook;
    match &route.plan {
        Plan::Inline(InlineScript { script, surroundings, on_failure, .. }) => vec![Binding {
            name: route.name.clone(),
            hook,
            script: script.clone(),
            surroundings: surroundings.clone(),
            limits: script.limits().clone(),
            on_failure: Some(on_failure.clone()),
            wants: None,
        }],
        Plan::Events(EventRules { rules, .. }) => {
            let binding = |rule: &super::Rule| Binding {
                name: format!("{}.{}", route.name, rule.name),
                hook,
                script: rule.script.clone(),
                surroundings: rule.surroundings.clone(),
                limits: rule.script.limits().clone(),
                on_failure: None,
                wants: Some(wants_of(rule)),
            };
            rules.iter().map(binding).collect()
        }
    }
}

fn wants_of(rule: &super::Rule) -> Wants {
    let wanted = rule.wanted.clone();
    Wants { text: format!("{wanted:?}"), check: Arc::new(move |event| wanted.check(event).is_ok()) }
}
