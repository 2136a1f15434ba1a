use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rhai::Scope;

use super::*;
use crate::budget::{Budget, Stopped};
use crate::engine;
use crate::engine::Dialect;
use crate::modules::Modules;
use crate::prelude;

fn budget() -> Budget {
    let deadline = Instant::now() + Duration::from_secs(60);
    Budget { operations: 10_000_000, deadline, memory_bytes: 64 << 20, patience: None }
}

fn evaluate(script: &str, budget: &Budget) -> (Result<Dynamic, String>, Option<Stopped>) {
    let modules = Modules::new(std::collections::BTreeMap::default());
    let engine = engine::sandbox(&[prelude::library()], &budget::Limits::default(), modules, Dialect::Script);
    let ast = engine.compile(script).expect("a script");
    let (result, stopped, _) = budget::spend(budget, || engine.eval_ast_with_scope::<Dynamic>(&mut Scope::new(), &ast));
    (result.map_err(|error| error.to_string()), stopped)
}

const MEGABYTE: &str = "let s = \"a\"; s.pad(1000000, 'a');";

#[test]
fn every_function_of_rhai_is_classified_and_can_be_taken_out() {
    let engine = engine::standard();
    let rows = engine.collect_fn_metadata(None, |info| Some(info.metadata.clone()), true);
    assert!(rows.len() > 500);
    let unknown: BTreeSet<String> = rows
        .iter()
        .filter(|row| table::of(row).is_none())
        .map(|row| row.gen_signature(|shape| shape.to_owned().into()))
        .collect();
    assert!(unknown.is_empty(), "add to `ROWS` what these cost: {unknown:#?}");
    for row in rows.iter().filter(|row| !matches!(table::of(row), Some(Cost::Constant))) {
        assert!(original(&engine, row).is_some(), "{}", row.gen_signature(|shape| shape.to_owned().into()));
    }
}

#[test]
fn results_larger_than_the_limits_are_refused_before_they_are_made() {
    for (call, why) in [
        ("let t = s; t.replace(\"a\", s);", "Length of string"),
        ("let t = s; t.replace('a', s);", "Length of string"),
        ("let t = s; t.replace(\"\", s);", "Length of string"),
        ("let a = []; a.pad(10000, \"\"); join(a, s)", "Length of string"),
        ("s.split(\"\")", "Size of array"),
        ("s.split('a')", "Size of array"),
        ("s.to_chars()", "Size of array"),
        ("let t = \"x\"; t.pad(9000000000000000000, 'x');", "Length of string"),
        ("let t = \"x\"; t.pad(10, \"\");", "needs something to pad with"),
        ("let a = []; let i = []; i.pad(63, 0); a.pad(288230376151711744, i);", "Size of array"),
        ("blob(9000000000000000000)", "Size of array"),
        ("let b = blob(); b.pad(9000000000000000000, 1);", "Size of array"),
        ("let m = #{}; for i in 0..200 { m[`k${i}`] = s; } to_json(m)", "Length of string"),
        ("let m = #{}; for i in 0..200 { m[`k${i}`] = s; } \"\" + m", "Length of string"),
        ("get_fn_metadata_list()", "not available"),
    ] {
        let before = crate::allocator::take_thread_peak();
        let (result, stopped) = evaluate(&format!("{MEGABYTE} {call}"), &budget());
        let peak = crate::allocator::take_thread_peak() - before;
        let message = result.expect_err(call);
        assert!(message.contains(why) && stopped.is_none(), "{call}: {message} {stopped:?}");
        assert!(peak < 64 << 20, "{call}: {peak} bytes");
    }
}

#[test]
fn showing_what_is_too_large_ends_the_run() {
    for call in ["let t = m.to_string();", "let t = `${m}`;", "print(m);", "let t = [m]; let t = `${t}`;"] {
        let before = crate::allocator::take_thread_peak();
        let script = format!("{MEGABYTE} let m = #{{}}; for i in 0..200 {{ m[`k${{i}}`] = s; }} {call}");
        let (_, stopped) = evaluate(&script, &budget());
        let peak = crate::allocator::take_thread_peak() - before;
        // Rhai refuses the list before it is shown.
        assert!(stopped == Some(Stopped::Memory) || call.contains("[m]"), "{call}: {stopped:?}");
        assert!(peak < 64 << 20, "{call}: {peak} bytes");
    }
}

#[test]
fn what_fits_still_works() {
    for expression in [
        "let s = \"a-b-c\"; s.replace(\"-\", \"+\"); s == \"a+b+c\"",
        "let s = \"ab\"; s.replace(\"\", \"-\"); s == \"-a-b-\"",
        "let s = \"a\"; s.pad(3, \"xy\"); s == \"axy\"",
        "\"a b  c\".split() == [\"a\", \"b\", \"c\"] && \"a,b,c\".split(',', 2) == [\"a\", \"b,c\"]",
        "\"abc\".split(1) == [\"a\", \"bc\"] && \"a,b\".split_rev(\",\") == [\"b\", \"a\"]",
        "let a = [3, 1, 2]; a.sort(); a == [1, 2, 3]",
        "let a = [3, 1, 2]; a.sort(|x, y| y - x); a == [3, 2, 1]",
        "[1, 2].map(|x| x * 2) == [2, 4] && [1, 2, 3].filter(|x| x > 1) == [2, 3]",
        "let a = []; a.pad(3, 7); a == [7, 7, 7]",
        "blob(2, 7).to_array() == [7, 7] && \"é\".to_upper() == \"É\"",
        "#{ a: 1 }.keys() == [\"a\"] && (#{ a: 1 } + #{ b: 2 }).len() == 2",
        "let t = \"\"; for c in \"abc\".chars() { t += c; } t == \"abc\"",
        "\"a\" + 1 == \"a1\" && 1 + \"a\" == \"1a\" && `${[1, \"x\"]}` == \"[1, \\\"x\\\"]\"",
        "to_json([1, #{ a: () }]) == \"[1,{\\\"a\\\":null}]\"",
    ] {
        let (result, stopped) = evaluate(expression, &budget());
        assert_eq!((result.map(|value| value.to_string()), stopped), (Ok("true".to_owned()), None), "{expression}");
    }
}

#[test]
fn a_run_may_not_hold_more_than_its_memory_whatever_it_calls() {
    let small = Budget { memory_bytes: 2 << 20, ..budget() };
    for call in ["s.chars()", "let b = s.to_blob();", "let a = []; a.pad(9000, [1, 2, 3, 4]);", "s.to_upper()"] {
        let before = crate::allocator::take_thread_peak();
        let (_, stopped) = evaluate(&format!("{MEGABYTE} {call}"), &small);
        let peak = crate::allocator::take_thread_peak() - before;
        assert!(stopped.is_none_or(|stopped| stopped == Stopped::Memory), "{call}: {stopped:?}");
        // The engine itself is made on this thread, too.
        assert!(peak < 5 << 20, "{call}: {peak} bytes");
    }
}

#[test]
fn long_calls_are_not_begun_on_an_async_worker() {
    let patience = Some((u64::MAX / 2, Instant::now() + Duration::from_secs(60)));
    let worker = Budget { patience, ..budget() };
    for call in ["sha256(s)", "s.to_upper()", "s.len()", "s.replace(\"b\", \"c\");", "parse_json(s)"] {
        let (_, stopped) = evaluate(&format!("let s = \"a\"; for i in 0..19 {{ s += s; }} {call}"), &worker);
        assert_eq!(stopped, Some(Stopped::Patience), "{call}");
    }
}

#[test]
fn work_is_charged_as_operations() {
    let few = Budget { operations: 50_000, ..budget() };
    let (_, stopped) = evaluate("let s = \"a\"; for i in 0..19 { s += s; } for i in 0..20 { sha256(s); }", &few);
    assert_eq!(stopped, Some(Stopped::Operations));
}
