//! The tests of the repository's own scripts: all pass, and together they run every line.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use hookgate_engine::harness::run;
use hookgate_engine::harness::run::{Options, Report, Suite};
use hookgate_engine::harness::trial::Verdict;
use hookgate_engine::release::build;
use hookgate_engine::release::build::{Reading, Secrets};
use hookgate_engine::release::bundle::Place;
use hookgate_engine::release::suite;
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_script::compile::{Compiler, is_test};

use crate::harness::write;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn ran(root: &Path, covered: bool) -> (Arc<Compiler>, Suite, Report) {
    let place = Place::of(&root.join("gateway.toml"));
    let reading = Reading { covered, ..build::read(&place).unwrap_or_else(|findings| panic!("{findings:#?}")) };
    let release = build::assemble(&place, reading, None, Secrets::Skip, &Metrics::new());
    let release = release.unwrap_or_else(|findings| panic!("{findings:#?}"));
    let suite = suite::suite(&release);
    let report = run::run(&suite, &Options::default(), &|_| {});
    (release.compiler.clone(), suite, report)
}

fn scripts(compiler: &Compiler) -> impl Iterator<Item = &str> {
    compiler.files().filter(|file| !is_test(file))
}

#[test]
fn every_script_has_tests_and_they_pass() {
    let (compiler, suite, report) = ran(Path::new(ROOT), false);
    let failed: Vec<_> = report.failed().map(|trial| (&trial.id, &trial.complaints)).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    for script in scripts(&compiler) {
        let subject = suite.subjects.iter().find(|subject| subject.script == script);
        let tests = subject.and_then(|subject| subject.tests.as_ref()?.as_ref().ok());
        assert!(tests.is_some_and(|tests| !tests.functions.is_empty()), "{script} has no tests");
    }
}

/// What the shipped `gateway.toml` promises. Users change that file, so the shipped tests are not about it; `tests/bundle` is.
#[test]
fn the_shipped_configuration_does_what_its_comments_say() {
    let place = Place::of(&Path::new(ROOT).join("gateway.toml"));
    let mut reading = build::read(&place).unwrap_or_else(|findings| panic!("{findings:#?}"));
    reading.texts.scripts.retain(|name, _| !is_test(name));
    reading.texts.fixtures.clear();
    let files = fs::read_dir(Path::new(ROOT).join("tests/bundle")).unwrap().map(|entry| entry.unwrap().path());
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        reading.texts.scripts.insert(name, fs::read_to_string(&file).unwrap().into());
    }
    let release = build::assemble(&place, reading, None, Secrets::Skip, &Metrics::new());
    let suite = suite::suite(&release.unwrap_or_else(|findings| panic!("{findings:#?}")));
    let report = run::run(&suite, &Options::default(), &|_| {});
    let failed: Vec<_> = report.failed().map(|trial| (&trial.id, &trial.complaints)).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(report.trials.len() > 12, "{:?}", report.trials.iter().map(|trial| &trial.id).collect::<Vec<_>>());
}

#[test]
fn tests_run_every_line_of_every_script() {
    let (compiler, _, report) = ran(Path::new(ROOT), true);
    let mut missed = Vec::new();
    for script in scripts(&compiler) {
        let (lines, source) = compiler.lines_of(script).expect("the file is there");
        let label = compiler.label_of(script).expect("the file is there");
        assert!(!lines.is_empty(), "{label} has no line that runs");
        let text = |line: &usize| source.lines().nth(line - 1).unwrap_or_default().trim();
        let ran = |line: &usize| report.hits.get(label).is_some_and(|hits| hits.contains_key(line));
        let lines = lines.iter().filter(|line| !ran(line));
        missed.extend(lines.map(|line| format!("{label}:{line}: {}", text(line))));
    }
    assert!(missed.is_empty(), "no test runs\n{}", missed.join("\n"));
}

#[test]
fn the_test_of_the_readme_passes_for_the_script_of_the_readme() {
    let readme = fs::read_to_string(Path::new(ROOT).join("scripts/README.md")).unwrap();
    let block = |wanted: &str| {
        let mut blocks = readme.split("```rhai\n").skip(1).filter_map(|rest| rest.split("```").next());
        blocks.find(|block| block.contains(wanted)).unwrap_or_else(|| panic!("no block has `{wanted}`"))
    };
    let folder = tempfile::tempdir().unwrap();
    let texts = fs::read_to_string(Path::new(ROOT).join("scripts/lib/texts.rhai")).unwrap();
    let config = "[auth.test]\nscheme = \"none\"\n[routes.hook]\npath = \"/hook\"\nhook = \"okta.registration\"\n\
                  script = \"registration.rhai\"\nauth = \"test\"\non_failure = \"allow\"\n";
    write(folder.path(), "gateway.toml", config);
    write(folder.path(), "scripts/registration.rhai", block("fn on_registration"));
    write(folder.path(), "scripts/registration_test.rhai", block("fn test_"));
    write(folder.path(), "scripts/lib/texts.rhai", &texts);
    let (_, _, report) = ran(folder.path(), false);
    let rows: Vec<_> = report.trials.iter().map(|trial| (&trial.verdict, trial.rows.len())).collect();
    assert_eq!(rows, [(&Verdict::Passed, 2)], "{:#?}", report.trials);
}
