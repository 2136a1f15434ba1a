//! Nothing that closures hold outlives a run, however they hold one another.

use super::*;
use crate::allocator;
use crate::trace;

/// Bodies of `on_probe` in which something holds itself. `big()` is a text of 100 KB. Rhai refuses some of them (a method of an
/// array may not get a closure that captured this array): those leave nothing, either.
const SHAPES: &[(&str, &str)] = &[
    ("an array holds a closure that captured it", "let a = [0, big()]; let f = || a.len(); a[0] = f;"),
    ("a map holds a closure that captured it", "let m = #{ s: big() }; let f = || m.len(); m.f = f;"),
    ("by a method", "let a = [big()]; let f = || a.len(); a.push(f);"),
    ("by an operator", "let a = [big()]; let f = || a.len(); a += f;"),
    (
        "two arrays hold closures that captured the other",
        "let a = [0, big()]; let b = [0, big()]; let f = || a.len(); let g = || b.len(); a[0] = g; b.push(f);",
    ),
    (
        "three in a ring",
        "let a = [big()]; let b = [0]; let c = [0]; let f = || a; let g = || b; let h = || c; a.push(g); b[0] = h; c[0] = f;",
    ),
    (
        "a closure stands in a variable that it captured",
        "let keep = big(); let f = |x| x; f = |x| f.call(x - 1) + keep.len();",
    ),
    ("deep inside", "let m = #{ a: #{ b: [0, big()] } }; let f = || m.len(); m.a.b[0] = f;"),
    ("through `this`", "let m = #{ s: big() }; let f = || m.len(); m.grow(f);"),
    ("through a closure that fills what it captured", "let m = #{ s: big() }; let add = |x| m.f = x; add.call(add);"),
    ("in a loop", "for i in 0..5 { let m = #{ s: big() }; let f = || m.len() + i; m.f = f; }"),
    ("in a while", "let i = 0; while i < 5 { let m = #{ s: big() }; let f = || m.len() + i; m.f = f; i += 1; }"),
    ("the variable of a loop", "for m in [#{ s: big() }, #{ s: big() }] { let f = || m.len(); m.f = f; }"),
    ("in a function", "own_cycle(); own_cycle();"),
    ("in an import", "lib::cycle(); lib::cycle();"),
    ("a parameter", "keep(#{ s: big() });"),
    (
        "in a closure that a native function calls",
        "[1, 2].map(|x| { let m = #{ s: big() }; let f = || m.len() + x; m.f = f; x });",
    ),
    (
        "in a closure in a closure",
        "let m = #{ s: big() }; let f = || { let g = || m.len(); m.g = g; 1 }; f.call(); f.call();",
    ),
    ("by `curry`", "let m = #{ s: big() }; let f = || m.len(); m.g = curry(Fn(\"length\"), m); m.f = f;"),
    (
        "a hidden name",
        "let m = #{ s: big() }; let f = || m.len(); m.f = f; let m = #{ s: big() }; let g = || m.len(); m.f = g;",
    ),
    ("in a block", "{ let m = #{ s: big() }; let f = || m.len(); m.f = f; }"),
    (
        "with a tag",
        "let m = #{ s: big() }; m.tag = 6844267; let f = || m.len(); m.tag = 6844267; m.f = f; set_tag(m, 2);",
    ),
    (
        "with the tag of the variable",
        "let m = #{ s: big() }; let f = || m.len(); let t = curry(Fn(\"tag\"), m).call(); let k = #{ s: big() }; k.tag = t; \
         let g = || k.len(); k.tag = t; curry(Fn(\"set_tag\"), k).call(t); k.f = g; m.f = f;",
    ),
    ("an error that was caught", "let m = #{ s: big() }; try { let f = || m.len(); throw f; } catch (e) { m.f = e; }"),
    ("a switch", "switch 1 { 1 => { let m = #{ s: big() }; let f = || m.len(); m.f = f; } _ => () }"),
    (
        "a chain that ends in itself",
        "let m = #{ s: big() }; let f = || m.len(); for i in 0..50 { let g = f; f = || g.call(); } m.f = f;",
    ),
    ("no cycle", "let m = #{ s: big() }; let f = || m.len(); f.call();"),
];

/// How many of them come to their end.
const AT_LEAST: usize = 22;

/// How the function may go on after the shape was made.
const ENDS: &[(&str, &str)] = &[
    ("by its end", "7"),
    ("by returning a closure", "let last = #{ s: big() }; let l = || last.len(); last.l = l; [l, last]"),
    ("by throwing a closure", "let last = #{ s: big() }; let l = || last.len(); last.l = l; throw [l];"),
    ("by an error", "1 / zero()"),
    ("by its operations", "loop { }"),
    ("by its memory", "let m = #{}; let i = 0; loop { i += 1; m[`k${i}`] = big() + i; }"),
    ("by a panic", "explode()"),
    ("by a question", "http(\"hr\").get(\"/x\")"),
];

const LIB: &str = "fn cycle() { let a = [\"\"]; a[0].pad(100_000, \"x\"); let f = || a.len(); a += 0; a[1] = f; 1 }";

fn script_of(shape: &str, end: &str) -> (Compiler, Arc<Script>) {
    let main = format!(
        "import \"lib\" as lib;
        fn on_probe(_r) {{ {shape} {end} }}
        fn big() {{ let s = \"\"; s.pad(100_000, \"x\"); s }}
        fn zero() {{ 0 }}
        fn length(a) {{ a.len() }}
        fn grow(f) {{ this.f = f; }}
        fn own_cycle() {{ let m = #{{ s: big() }}; let f = || m.len(); m.f = f; 1 }}
        fn keep(m) {{ let f = || m.len(); m.f = f; 1 }}"
    );
    let limits = Limits { operations: 200_000, memory_bytes: 8_000_000, ..limits() };
    compile(&[("main.rhai", &main), ("lib.rhai", LIB)], &limits)
        .unwrap_or_else(|findings| panic!("{shape}: {findings:#?}"))
}

/// Bytes by which this thread's memory grows over twenty times `body`, after it was done a few times.
fn growth(mut body: impl FnMut()) -> i64 {
    (0..5).for_each(|_| body());
    let before = allocator::thread_bytes();
    (0..20).for_each(|_| body());
    allocator::thread_bytes() - before
}

/// Half of what twenty runs would leave behind. What a panic prints is kept by the test itself.
const NOTHING: i64 = 1_000_000;

#[test]
fn a_run_leaves_nothing_behind() {
    let (mut left, mut refused) = (Vec::new(), Vec::new());
    for (name, shape) in SHAPES {
        let (_, script) = script_of(shape, "7");
        let mut ended = None;
        let grown = growth(|| ended = Some(script.run(&call_within(Duration::from_secs(20))).result));
        if grown > NOTHING {
            left.push(format!("{name}: {grown} bytes"));
        }
        if let Some(Err(failed)) = ended {
            refused.push(format!("{name}: {failed:?}"));
        }
    }
    assert!(left.is_empty(), "{left:#?}");
    assert!(SHAPES.len() - refused.len() >= AT_LEAST, "{refused:#?}");
}

#[test]
fn a_run_leaves_nothing_behind_however_it_ends() {
    let mut left = Vec::new();
    for (name, end) in ENDS {
        let (_, script) = script_of(SHAPES[0].1, end);
        for (place, run) in [
            ("to the end", (|script, call| drop(script.run(call))) as fn(&Script, &Call)),
            ("on an async worker", |script, call| drop(script.advance(call, Journal::default(), Where::Worker))),
            ("under the debugger", |script, call| drop(trace::lines(script, call, Journal::default(), 20_000))),
        ] {
            let grown = growth(|| run(&script, &call_within(Duration::from_secs(20))));
            if grown > NOTHING {
                left.push(format!("{name}, {place}: {grown} bytes"));
            }
        }
    }
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn a_top_level_leaves_nothing_behind() {
    let source = "const N = cycle(); fn cycle() { let s = \"\"; s.pad(100_000, \"x\"); let m = #{ s: s }; let f = || m.len(); m.f = f; 7 } fn on_probe(_r) { N }";
    let grown = growth(|| drop(main_only(source)));
    assert!(grown < 20 * 50_000, "{grown} bytes");
}

#[test]
fn variables_that_closures_share_stay_shared() {
    let table = [
        ("let n = 1; let add = |x| n += x; add.call(2); add.call(3); n", 6),
        ("let n = 1; let get = || n; n = 5; get.call()", 5),
        ("let n = 1; let add = || { n += 1; let twice = || n *= 2; twice.call(); }; add.call(); add.call(); n", 10),
        ("let list = []; let add = |x| list.push(x); for i in 0..4 { add.call(i); } list.len()", 4),
        ("let n = 1; let a = || n += 1; let b = || n += 10; a.call(); b.call(); n += 100; a.call(); n", 113),
        ("const TEN = 10; let add = |x| x + TEN; let more = |x| add.call(x) + TEN; more.call(1)", 21),
        ("let made = []; for i in 0..3 { let n = i; made.push(|| n * 10); } made[0].call() + made[2].call()", 20),
        ("let m = #{ n: 1 }; let add = || m.n += 1; add.call(); m.n += 10; add.call(); m.n", 13),
        ("let n = 0; [1, 2, 3].for_each(|| n += this); n", 6),
        ("let n = 3; n.tag = 7; let f = || n; f.call() + n.tag", 10),
    ];
    for (body, expected) in table {
        assert_eq!(value(&format!("fn on_probe(_r) {{ {body} }}")).as_int(), Ok(expected), "{body}");
    }
}

/// Else one call would decide what the next one sees.
#[test]
fn no_run_changes_what_a_constant_holds() {
    let counter = "fn counter() { let n = 0; || { n += 1; n } } const NEXT = counter();";
    let adder = "fn adder() { let list = []; |x| { list.push(x); list.len() } } const ADD = adder();";
    let sources = [
        format!("{counter} fn on_probe(_r) {{ NEXT.call() }}"),
        format!("{adder} fn on_probe(_r) {{ ADD.call(ADD) }}"),
        "const LIST = [1]; const FIRST = |x| x + LIST[0]; fn on_probe(_r) { FIRST.call(0) }".to_owned(),
    ];
    for source in sources {
        let (compiler, script) = main_only(&source);
        for _ in 0..3 {
            let run = script.run(&call()).result;
            let value = run.unwrap_or_else(|failed| panic!("{}", compiler.explain(&script, *failed)));
            assert_eq!(value.as_int(), Ok(1), "{source}");
        }
    }
    let lib = format!("{counter} fn next() {{ NEXT.call() }}");
    let main = "import \"lib\" as lib; fn on_probe(_r) { lib::next() }";
    let (compiler, script) = compile(&[("main.rhai", main), ("lib.rhai", &lib)], &limits()).expect("it compiles");
    for _ in 0..3 {
        let run = script.run(&call()).result;
        let value = run.unwrap_or_else(|failed| panic!("{}", compiler.explain(&script, *failed)));
        assert_eq!(value.as_int(), Ok(1));
    }
}
