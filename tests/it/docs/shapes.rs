//! What the reference says of `outcome` after each kind of result: every row of the table, run.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use hookgate_engine::harness;
use hookgate_engine::harness::run;
use hookgate_engine::harness::run::Options;
use hookgate_engine::harness::shapes;
use hookgate_engine::harness::trial::Verdict;
use hookgate_engine::release::build::{Secrets, check};
use hookgate_engine::release::bundle::Place;
use hookgate_engine::release::suite;
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_hooks::{HOOKS, Hook, ResultShape};

/// The script of a row, and its tests: one for each condition.
fn written(folder: &Path, hook: &Hook, place: usize, shape: &ResultShape) {
    let (parameter, run) = if hook.is_for_events() { ("_event", "run_event()") } else { ("_request", "run()") };
    let script = format!("fn {}({parameter}) {{ {} }}\n", hook.entry, shape.script);
    let mut tests = "fn before_each() { ignore_config(); }\n".to_owned();
    for (number, condition) in shape.holds.iter().enumerate() {
        let _ = writeln!(
            tests,
            "fn test_{number}() {{ {} let outcome = {run}; if outcome.failure != () {{ print(outcome.failure.message); }} assert({condition}); }}",
            shape.before
        );
    }
    let stem = format!("{}_{place}", hook.entry);
    fs::write(folder.join(format!("scripts/{stem}.rhai")), script).unwrap();
    fs::write(folder.join(format!("scripts/{stem}_test.rhai")), tests).unwrap();
}

#[test]
fn outcome_is_as_the_table_of_results_says() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("scripts")).unwrap();
    // Tests leave it out, and a bundle has a route.
    let config = "[auth.open]\nscheme = \"none\"\n[routes.one]\npath = \"/one\"\nhook = \"okta.registration\"\n\
        script = \"on_registration_0.rhai\"\nauth = \"open\"\non_failure = \"allow\"\n";
    fs::write(folder.path().join("gateway.toml"), config).unwrap();
    let mut conditions = 0;
    for hook in HOOKS.iter() {
        for (place, shape) in shapes::of(hook).enumerate() {
            written(folder.path(), hook, place, shape);
            conditions += shape.holds.len();
        }
    }
    let place = Place::of(&folder.path().join("gateway.toml"));
    let release = check(&place, Secrets::Skip, &Metrics::new()).unwrap_or_else(|findings| panic!("{findings:#?}"));
    let report = run::run(&suite::suite(&release), &Options::default(), &|_| {});
    assert_eq!(report.trials.len(), conditions);
    let failed: Vec<_> = report.trials.iter().filter(|trial| trial.verdict != Verdict::Passed).collect();
    let told = |trial: &&harness::trial::Trial| {
        let values: Vec<_> = trial.complaints.iter().flat_map(|complaint| &complaint.values).collect();
        let finding = trial.findings().first().map(|finding| finding.one_line());
        format!("{} {}\n{values:#?}", trial.id, finding.unwrap_or_default())
    };
    assert!(failed.is_empty(), "{}", failed.iter().map(told).collect::<Vec<_>>().join("\n"));
}

/// A hook without a row of its own says nothing about its replies.
#[test]
fn every_hook_and_every_member_of_outcome_has_a_row() {
    for hook in HOOKS.iter() {
        assert!(!hook.results.is_empty(), "{}", hook.name);
    }
    let members = harness::library().entries.iter().filter(|entry| entry.receiver() == Some("Outcome"));
    // What depends on the machine or on the size of a script is no shape.
    let members = members.map(|entry| entry.name()).filter(|name| !["operations", "took_ms"].contains(name));
    for member in members {
        let has_row = HOOKS.iter().flat_map(shapes::of).any(|shape| shape.of_member(member).next().is_some());
        assert!(has_row, "no result says what `outcome.{member}` is");
    }
}
