//! Traces: which lines ran, what they changed, what of the request was read.

use super::*;
use crate::prelude::json::shown;
use crate::trace;
use crate::trace::steps::{Trace, steps};

fn traced_files(files: &[(&str, &str)]) -> Trace {
    let (_, script) = compile(files, &limits()).unwrap_or_else(|findings| panic!("{findings:#?}"));
    let call = call_within(Duration::from_secs(20));
    let run = script.run(&call);
    steps(&script, &call, run.journal, |_| Vec::new())
}

fn traced(source: &str) -> Trace {
    traced_files(&[("main.rhai", source)])
}

/// `2 a = 1, b = 2`: a line a step, indented by its depth.
fn told(trace: &Trace) -> Vec<String> {
    let line = |step: &trace::steps::Step| {
        let changed: Vec<String> =
            step.changed.iter().map(|shown| format!("{} = {}", shown.text, shown.value)).collect();
        let file = step.file.trim_start_matches("scripts/").trim_start_matches("main.rhai");
        format!("{}{file}{} {}", "  ".repeat(step.depth), step.line, changed.join(", ")).trim_end().to_owned()
    };
    trace.steps.iter().map(line).collect()
}

#[test]
fn each_line_shows_what_it_changed() {
    let trace = traced(
        r#"const LIMIT = 3;
fn on_probe(request) {
    let name = request.name;
    let list = [
        name,
        "b",
    ];
    if list.len() < LIMIT {
        list.push(());
    }
    name += "!";
    list
}"#,
    );
    assert_eq!(
        told(&trace),
        [
            r#"3 name = "ann""#,
            r#"4 list = ["ann","b"]"#,
            "5",
            "6",
            "8",
            r#"9 list = ["ann","b",null]"#,
            r#"11 name = "ann!""#,
            r#"12 return = ["ann","b",null]"#,
        ]
    );
    assert_eq!(trace.returned.as_ref().map(shown).as_deref(), Some(r#"["ann","b",null]"#));
    assert!(!trace.cut && trace.failed_at.is_none());
    assert_eq!(trace.read, ["request.name"]);
}

#[test]
fn a_loop_stands_there_once_a_round_with_what_it_set() {
    let trace = traced(
        "fn on_probe(_r) {
    let total = 0;
    for (item, index) in [5, 5] {
        total += item;
    }
    while total > 9 {
        total -= 1;
    }
    total
}",
    );
    assert_eq!(
        told(&trace),
        [
            "2 total = 0",
            "3 index = 0, item = 5",
            "4 total = 5",
            "3 index = 1",
            "4 total = 10",
            "6",
            "7 total = 9",
            "6",
            "9 return = 9",
        ]
    );
}

#[test]
fn functions_show_what_they_are_given_and_give_back() {
    let files = [
        (
            "main.rhai",
            "import \"lib/domains\" as domains;
fn on_probe(request) {
    let name = request.name;
    let long = domains::is_long(name, 2);
    let sum = 0;
    [1, 2].for_each(|| sum += this);
    twice(request.name, sum)
}
fn twice(text, times) {
    text + text + times
}",
        ),
        (
            "lib/domains.rhai",
            "fn is_long(text, limit) {
    let length = text.len();
    return length > limit;
}",
        ),
    ];
    let trace = traced_files(&files);
    assert_eq!(
        told(&trace),
        [
            "3 name = \"ann\"",
            "4 long = true",
            "  lib/domains.rhai2 text = \"ann\", limit = 2, length = 3",
            "  lib/domains.rhai3 return = true",
            "5 sum = 0",
            "6 sum = 3",
            "  6 sum = 0",
            "  6 sum = 1",
            "7 return = \"annann3\"",
            "  10 text = \"ann\", times = 3, return = \"annann3\"",
        ]
    );
    let functions: Vec<&str> = trace.steps.iter().map(|step| step.function.as_str()).collect();
    assert_eq!((functions[0], functions[2], functions[6]), ("on_probe", "is_long", "a closure"));
}

#[test]
fn a_failure_names_its_line_and_keeps_what_came_before() {
    let trace = traced(
        "fn on_probe(request) {
    let name = request.name;
    let caught = \"\";
    try {
        throw \"first\";
    } catch (error) {
        caught = error;
    }
    lost(name)
}
fn lost(name) {
    throw `lost ${name}`;
}",
    );
    assert!(trace.returned.is_none());
    assert_eq!(trace.failed_at, Some(("scripts/main.rhai".to_owned(), 12)));
    assert!(told(&trace).contains(&"7 caught = \"first\"".to_owned()), "{:#?}", told(&trace));
}

#[test]
fn secrets_are_masked_wherever_they_stand() {
    let trace = traced(
        "fn on_probe(request) {
    let secret = request.secret;
    let map = #{ pin: request.secret, list: [secret] };
    check(secret)
}
fn check(code) {
    code == \"123456\"
}",
    );
    let text = format!("{:?}", told(&trace));
    assert!(!text.contains("123456") && !format!("{:?}", trace.steps).contains("123456"), "{text}");
    assert_eq!(told(&trace)[..2], [r#"2 secret = "***""#, r#"3 map = {"list":["***"],"pin":"***"}"#]);
}

#[test]
fn what_was_read_of_the_request_is_known_through_variables_and_functions() {
    let trace = traced(
        "fn on_probe(request) {
    let items = request.items;
    let first = items[0];
    let same = request;
    let name = name_of(same);
    let other = #{ name: 1 };
    other.name + name.len()
}
fn name_of(whole) {
    whole.name
}",
    );
    assert_eq!(trace.read, ["request.items", "request.items[0]", "request.name"]);
}

#[test]
fn long_values_and_long_runs_are_cut() {
    let trace = traced(
        "fn on_probe(_r) {
    let text = \"é\";
    text.pad(3000, \"x\");
    let count = 0;
    while count < 5000 {
        count += 1;
    }
    count
}",
    );
    assert_eq!(trace.steps.len(), trace::MAX_LINES);
    assert!(trace.cut);
    assert_eq!(trace.returned.and_then(|value| value.as_int().ok()), Some(5_000));
    assert!(trace.steps.iter().all(|step| step.changed.iter().all(|shown| shown.value.len() <= 400 + "…".len())));
}

#[test]
fn lines_come_with_what_was_returned_unless_that_takes_too_long() {
    let (_, script) =
        main_only("const A = 1;\nfn on_probe(_r) {\n    let x = 1;\n    for i in 0..100 { x += i; }\n    x\n}");
    let call = call_within(Duration::from_secs(20));
    let journal = script.run(&call).journal;
    let (lines, returned) = trace::lines(&script, &call, journal.clone(), 10_000);
    let numbers: Vec<usize> = lines.iter().map(|(_, line)| *line).collect();
    assert_eq!((numbers, returned.and_then(|value| value.as_int().ok())), (vec![3, 4, 5], Some(4_951)));
    let (lines, returned) = trace::lines(&script, &call, journal, 50);
    assert!(returned.is_none() && lines.len() == 2, "{lines:?}");
}
