//! The examples of what tests of scripts can use, each as a test of its own, in the bundle that `hookgate init` writes.

use std::fmt::Write;
use std::fs;

use hookgate_engine::harness;
use hookgate_engine::harness::run;
use hookgate_engine::harness::run::Options;
use hookgate_engine::harness::trial::Verdict;
use hookgate_engine::release::build::{Secrets, check};
use hookgate_engine::release::bundle::Place;
use hookgate_engine::release::suite;
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_script::library::{Entry, Kind};

use crate::harness::sender;
use crate::process::{hookgate, sample};

/// Everything that is no type.
fn shown() -> impl Iterator<Item = &'static Entry> {
    harness::library().entries.iter().filter(|entry| entry.kind != Kind::Value)
}

/// Whether an example runs a rule of events, as the pages say.
fn is_of_events(entry: &Entry) -> bool {
    ["run_event", "run_batch"].iter().any(|name| entry.doc.example.contains(name))
}

/// A file of tests: one for each of these examples, named after its place in the table.
fn tests(of_events: bool) -> String {
    let mut text = String::new();
    for (place, entry) in shown().enumerate().filter(|(_, entry)| is_of_events(entry) == of_events) {
        let _ = writeln!(text, "fn test_{place}() {{ let holds = {{ {} }}; assert(holds); }}", entry.doc.example);
    }
    text
}

/// How the example of an entry must end.
fn expected(entry: &Entry, verdict: &Verdict) -> bool {
    match entry.name() {
        "todo" => matches!(verdict, Verdict::Todo(_)),
        "skip" => matches!(verdict, Verdict::Skipped(_)),
        _ => *verdict == Verdict::Passed,
    }
}

#[test]
fn every_example_of_a_test_is_one() {
    let folder = tempfile::tempdir().unwrap();
    assert!(hookgate(folder.path(), &["init"]).output().unwrap().status.success());
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let config = fs::read_to_string(folder.path().join("gateway.toml")).unwrap();
    let events =
        "[routes.events]\npath = \"/okta/events\"\nhook = \"okta.event\"\nauth = \"okta\"\nscript = \"joined.rhai\"\n";
    write("gateway.toml", &format!("{config}\n{events}{}", sender("codes")));
    write("scripts/joined.rhai", hookgate_hooks::find("okta.event").unwrap().samples[0].script);
    write("scripts/joined_test.rhai", &tests(true));
    write("scripts/registration_test.rhai", &tests(false));
    write("scripts/calls/ann.json", sample("okta.registration"));

    let release = check(&Place::of(&folder.path().join("gateway.toml")), Secrets::Check, &Metrics::new())
        .unwrap_or_else(|findings| panic!("{findings:#?}"));
    let report = run::run(&suite::suite(&release), &Options::default(), &|_| {});
    for (place, entry) in shown().enumerate() {
        assert!(!entry.doc.example.is_empty(), "{} has no example", entry.signature);
        let name = format!("test_{place}");
        let trial = report.trials.iter().find(|trial| trial.name == name).unwrap_or_else(|| panic!("{report:#?}"));
        assert!(expected(entry, &trial.verdict), "{}\n{}\n{trial:#?}", entry.signature, entry.doc.example);
    }
}
