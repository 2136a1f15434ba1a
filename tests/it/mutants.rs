//! Whether the tests of the repository's scripts notice mistakes: each script is changed in one place after the other, and
//! a test must fail each time. What no test notices is listed in `docs/mutants.md` with the reason.
//!
//! There are too many for every run: one of [`ONE_OF`] is tried, `HOOKGATE_MUTANTS=all` tries all. `UPDATE=1` tries all, writes the
//! list anew and keeps the reasons; a survivor without reason is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hookgate_engine::harness::run;
use hookgate_engine::harness::run::Options;
use hookgate_engine::release::Release;
use hookgate_engine::release::build;
use hookgate_engine::release::build::{Reading, Secrets};
use hookgate_engine::release::bundle::Place;
use hookgate_engine::release::suite;
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_script::compile::{TEST_SUFFIX, is_test};

use changes::{Change, changes};

mod changes;

/// Of so many mutants one is tried, where nobody asks for all.
const ONE_OF: usize = 4;

/// Of a hundred mutants that compile, so many must be noticed.
const PERCENT: usize = 90;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It does not compile, or lint refuses it.
    Refused,
    /// A test fails.
    Caught,
    Survived,
}

struct Mutant {
    /// Path below the scripts folder.
    script: String,
    change: Change,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn place() -> Place {
    Place::of(&root().join("gateway.toml"))
}

fn assembled(reading: Reading, before: Option<&Release>) -> Option<Release> {
    build::assemble(&place(), reading, before, Secrets::Skip, &Metrics::new()).ok()
}

/// What has to do with one script: itself, who imports it, what those import, and all their tests and routes.
struct Circle {
    reading: Reading,
    release: Release,
}

impl Circle {
    fn around(script: &str, bundle: &Reading, release: &Release) -> Self {
        let compiler = &release.compiler;
        let concerned = compiler.files().filter(|file| compiler.tree_of(file).contains(script));
        let mut files: BTreeSet<String> = concerned.flat_map(|file| compiler.tree_of(file)).collect();
        for file in files.clone() {
            let tests = format!("{}{TEST_SUFFIX}", file.trim_end_matches(".rhai"));
            // Tests of what a concerned script imports besides do not tell anything about this one.
            if compiler.has(&tests) && compiler.tree_of(&file).contains(script) {
                files.extend(compiler.tree_of(&tests));
            }
        }
        let mut reading = bundle.clone();
        reading.texts.scripts.retain(|file, _| files.contains(file));
        reading.texts.fixtures.retain(|path, _| {
            let folder = path.strip_prefix("cases/").and_then(|path| path.rsplit_once('/')).map(|(folder, _)| folder);
            folder.is_some_and(|folder| files.contains(&format!("{folder}.rhai")))
        });
        let is_there = |script: &Option<String>| script.as_ref().is_some_and(|script| files.contains(script));
        let config = &mut reading.document.config;
        for route in config.routes.values_mut() {
            route.rules.retain(|_, rule| files.contains(&rule.script));
        }
        config.routes.retain(|_, route| is_there(&route.script) || !route.rules.is_empty());
        let release = assembled(reading.clone(), None).expect("a part of a good bundle is good");
        let circle = Self { reading, release };
        let same = format!("{}\n// Nothing else has changed.\n", circle.reading.texts.scripts[script]);
        assert_eq!(circle.fate(script, same), Fate::Survived, "tests of {script} fail though it does the same");
        circle
    }

    fn fate(&self, script: &str, text: String) -> Fate {
        let mut reading = self.reading.clone();
        reading.texts.scripts.insert(script.to_owned(), Arc::from(text));
        let Some(release) = assembled(reading, Some(&self.release)) else { return Fate::Refused };
        let suite = suite::suite(&release);
        if suite.subjects.iter().any(|subject| matches!(subject.tests, Some(Err(_)))) {
            return Fate::Refused;
        }
        let report = run::run(&suite, &Options { fail_fast: true, threads: 1, ..Options::default() }, &|_| {});
        if report.failed().next().is_some() { Fate::Caught } else { Fate::Survived }
    }
}

/// Tries all mutants on all cores, in their order.
fn fates(mutants: &[Mutant], circles: &BTreeMap<String, Circle>) -> Vec<Fate> {
    /// Reading deeply nested scripts takes stack.
    const STACK_BYTES: usize = 16 << 20;
    let next = AtomicUsize::new(0);
    let work = || {
        let mut fates = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(Mutant { script, change }) = mutants.get(index) else { return fates };
            let circle = &circles[script];
            let text = change.applied(&circle.reading.texts.scripts[script]);
            fates.push((index, circle.fate(script, text)));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut fates = std::thread::scope(|scope| {
        let start = |_| std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work).unwrap();
        let started: Vec<_> = (0..threads).map(start).collect();
        started.into_iter().flat_map(|thread| thread.join().expect("no mutant panics")).collect::<Vec<_>>()
    });
    fates.sort_by_key(|(index, _)| *index);
    fates.into_iter().map(|(_, fate)| fate).collect()
}

fn list() -> PathBuf {
    root().join("docs/mutants.md")
}

/// The reasons that the list gives, by the line before them.
fn reasons(list: &str) -> BTreeMap<&str, &str> {
    let lines = list.lines().zip(list.lines().skip(1));
    lines.filter(|(line, _)| line.starts_with("- `")).map(|(line, reason)| (line, reason.trim())).collect()
}

/// What the list says of a survivor; with the line's text and not its number, which changes too easily.
fn described(mutant: &Mutant) -> String {
    let Change { from, to, line, .. } = &mutant.change;
    let to = if to.is_empty() { "nothing".to_owned() } else { format!("`{to}`") };
    format!("- `scripts/{}`: `{from}` becomes {to} in `{line}`", mutant.script)
}

fn listed(mutants: &[Mutant], fates: &[Fate], before: &str) -> String {
    let count = |wanted: Fate| fates.iter().filter(|fate| **fate == wanted).count();
    let (refused, caught, survived) = (count(Fate::Refused), count(Fate::Caught), count(Fate::Survived));
    let reasons = reasons(before);
    let survivors = mutants.iter().zip(fates).filter(|(_, fate)| **fate == Fate::Survived).map(|(mutant, _)| {
        let line = described(mutant);
        let reason = reasons.get(line.as_str()).copied().unwrap_or_default().to_owned();
        format!("{line}\n  {reason}\n")
    });
    format!(
        "<!-- Written by `UPDATE=1 cargo test --test it mutants`; reasons are written by hand and kept. -->\n\n\
         # Mutants\n\n\
         How much the tests of `scripts/` notice: a comparison is turned round or moved by one, `&&` and `||` are swapped, `!` and\n\
         `return` are left out, a list or map is emptied, one place at a time, and the tests of the script must fail.\n\n\
         {} mutants: {caught} caught by a test, {survived} not noticed, {refused} that do not compile.\n\n\
         Those that no test notices, and why:\n\n{}",
        mutants.len(),
        survivors.collect::<String>()
    )
}

/// Tries some of them: each that survives must be in the list, with its reason.
fn a_part(mutants: Vec<Mutant>, circles: &BTreeMap<String, Circle>, list: &str) {
    assert!(
        list.contains(&format!("\n{} mutants: ", mutants.len())),
        "the list is of other scripts: write it anew with UPDATE=1"
    );
    let part: Vec<Mutant> = mutants.into_iter().step_by(ONE_OF).collect();
    let explained = reasons(list);
    let fates = fates(&part, circles);
    let survivors =
        part.iter().zip(&fates).filter(|(_, fate)| **fate == Fate::Survived).map(|(mutant, _)| described(mutant));
    let unexplained: Vec<String> = survivors.filter(|line| !explained.contains_key(line.as_str())).collect();
    assert!(unexplained.is_empty(), "no test notices {unexplained:#?}");
    assert!(fates.contains(&Fate::Caught), "no mutant was tried");
}

#[test]
fn tests_of_scripts_notice_mutants() {
    let bundle = build::read(&place()).unwrap_or_else(|findings| panic!("{findings:#?}"));
    let release = assembled(bundle.clone(), None).expect("the bundle is good");
    let scripts: Vec<&str> = release.compiler.files().filter(|file| !is_test(file)).collect();
    let circles: BTreeMap<String, Circle> =
        scripts.iter().map(|script| ((*script).to_owned(), Circle::around(script, &bundle, &release))).collect();
    let mut mutants = Vec::new();
    for script in scripts {
        let changes = changes(&bundle.texts.scripts[script]);
        assert!(!changes.is_empty(), "nothing was found to change in {script}");
        mutants.extend(changes.into_iter().map(|change| Mutant { script: script.to_owned(), change }));
    }
    let before = fs::read_to_string(list()).unwrap_or_default();
    let is_set = |name: &str, value: &str| std::env::var_os(name).is_some_and(|given| given == value);
    let update = is_set("UPDATE", "1");
    if !update && !is_set("HOOKGATE_MUTANTS", "all") {
        return a_part(mutants, &circles, &before);
    }
    let mut fates = fates(&mutants, &circles);

    // Some that are explained differ in time only: on a slow machine the deadline of a test catches them.
    let explained = reasons(&before);
    for (mutant, fate) in mutants.iter().zip(&mut fates) {
        if *fate == Fate::Caught && explained.contains_key(described(mutant).as_str()) {
            *fate = Fate::Survived;
        }
    }
    let after = listed(&mutants, &fates, &before);
    if update {
        fs::write(list(), &after).unwrap();
    } else {
        assert_eq!(before, after, "write the list anew with UPDATE=1, and look at what survives");
    }
    let unexplained: Vec<_> = reasons(&after).into_iter().filter(|(_, reason)| reason.is_empty()).collect();
    assert!(unexplained.is_empty(), "no reason is given for {unexplained:#?}");
    let compiled = fates.iter().filter(|fate| **fate != Fate::Refused).count();
    let caught = fates.iter().filter(|fate| **fate == Fate::Caught).count();
    assert!(caught * 100 >= compiled * PERCENT, "only {caught} of {compiled} mutants are caught");
}
