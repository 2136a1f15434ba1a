//! Values that nest deep end no thread: neither where they are made, nor where what a run left is used and dropped.

use super::*;
use crate::trace;
use crate::trace::steps;

/// Levels that a thread with a stack of 2 MiB cannot even drop, and as many as any run makes within its limits.
const LINKS: usize = 16_000;

/// A body that makes a deep value `f` of one link after the other.
const CHAINS: &[(&str, &str)] = &[
    ("closures", "let f = |x| x; for i in 0..LINKS { let g = f; f = |x| g.call(x); }"),
    ("closures in arrays", "let f = |x| x; for i in 0..LINKS / 4 { let g = [[[f]]]; f = |x| g[0][0][0].call(x); }"),
    ("closures in maps", "let f = |x| x; for i in 0..LINKS / 4 { let g = #{ a: #{ b: f } }; f = |x| g.a.b.call(x); }"),
    ("arrays", "let f = []; for i in 0..100 { f = [[[[[[[[f]]]]]]]]; }"),
    ("maps", "let f = #{}; for i in 0..100 { f = #{ a: #{ a: #{ a: #{ a: f } } } }; }"),
    ("`curry`", "let f = Fn(\"on_probe\"); for i in 0..400 { f = Fn(\"on_probe\").curry(f); }"),
];

/// What is done with it.
const USES: &[(&str, &str)] = &[
    ("lost", "7"),
    ("dropped", "f = (); 7"),
    ("returned", "f"),
    ("returned in an array", "[7, f]"),
    ("thrown", "throw f;"),
    ("thrown in a map", "throw #{ f: f };"),
    ("thrown and caught", "try { throw f; } catch (e) { throw e; }"),
    ("copied", "let h = f; let k = [h, f]; 7"),
    ("compared", "f == f"),
    ("compared in arrays", "[f] == [f]"),
    ("compared in maps", "#{ a: f } != #{ a: f }"),
    ("looked for", "f in [f]"),
    ("printed", "print(f); print([f]); print(#{ a: f }); 7"),
    ("debugged", "debug(f); debug([f]); 7"),
    ("text", "f.to_string() + f.to_debug() + [f].to_string() + [f].to_debug() + #{ a: f }.to_debug()"),
    ("interpolated", "`${f} ${[f]} ${#{ a: f }}`"),
    ("added to text", "\"x\" + [f] + #{ a: f } + f"),
    ("switched", "switch [f] { 1 => 2, _ => 3 }"),
    ("to JSON", "to_json([f])"),
    ("logged", "log(\"x\", #{ f: f }); 7"),
    ("asked", "http(\"hr\").query(\"/x\", #{ f: f })"),
    ("kept", "kv.set(\"k\", [f], \"1h\")"),
    ("sorted", "let a = [[f], [f]]; a.sort(); a.dedup(); 7"),
    ("hashed", "set([f])"),
];

fn script_of(chain: &str, r#use: &str) -> (Compiler, Arc<Script>) {
    let chain = chain.replace("LINKS", &LINKS.to_string());
    let limits = Limits { memory_bytes: 16_000_000, ..limits() };
    let source = format!("fn on_probe(_r) {{ {chain} {} }}", r#use);
    compile(&[("main.rhai", &source)], &limits).unwrap_or_else(|findings| panic!("{chain} {}: {findings:#?}", r#use))
}

fn nothing(_: &Dynamic) -> Vec<serde_json::Value> {
    Vec::new()
}

/// Uses what a run left on a thread with little stack, as records and replies do.
fn look_at(compiler: &Compiler, script: &Script, run: Run) {
    let Run { result, logs, .. } = run;
    match result {
        Ok(value) => drop((value.clone(), value.to_string(), format!("{value:?}"))),
        Err(failed) => drop(compiler.explain(script, *failed)),
    }
    drop(logs);
}

#[test]
fn no_use_of_a_deep_value_overflows_a_stack() {
    for (_, chain) in CHAINS {
        for (_, r#use) in USES {
            let (compiler, script) = script_of(chain, r#use);
            let call = call_within(Duration::from_secs(5));
            look_at(&compiler, &script, script.run(&call));
        }
    }
}

#[test]
fn no_trace_of_a_deep_value_overflows_a_stack() {
    for (_, chain) in CHAINS {
        for (_, r#use) in USES.iter().filter(|(name, _)| ["lost", "returned", "thrown"].contains(name)) {
            let (_, script) = script_of(chain, r#use);
            let call = call_within(Duration::from_millis(300));
            drop(trace::lines(&script, &call, Journal::default(), 10_000_000));
            drop(steps::steps(&script, &call, Journal::default(), nothing));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_the_lanes_give_back_is_shallow() {
    let lanes = Lanes::start().expect("threads start");
    for links in [300, 4_000, LINKS] {
        for end in ["f", "throw f;", "7"] {
            let chain = CHAINS[0].1.replace("LINKS", &links.to_string());
            let (compiler, script) = script_of(&chain, end);
            for _ in 0..3 {
                look_at(&compiler, &script, lanes.run(&script, call_within(Duration::from_secs(5)), &Nobody).await);
            }
        }
    }
}

#[test]
fn what_nests_too_deep_is_a_bad_return() {
    let nested = |levels: usize| {
        let source = format!("fn on_probe(_r) {{ let f = []; for i in 1..{levels} {{ f = [f]; }} f }}");
        compile(&[("main.rhai", &source)], &limits()).unwrap_or_else(|findings| panic!("{findings:#?}"))
    };
    let (_, script) = nested(64);
    assert!(script.run(&call()).result.is_ok());
    let (compiler, script) = nested(65);
    let error = compiler.explain(&script, *script.run(&call()).result.expect_err("too deep"));
    assert_eq!(error.kind, ErrorKind::BadReturn);
    let line = error.finding.one_line();
    assert!(line.contains("main.rhai:1:4") && line.contains("more than 64 levels of arrays and maps"), "{line}");
    let (kind, line) = failure("fn on_probe(_r) { let f = []; for i in 0..80 { f = [f]; } throw f; }");
    assert!(kind == ErrorKind::Thrown && line.contains("more than 64 levels was thrown"), "{kind:?} {line}");
}

#[test]
fn constants_that_nest_too_deep_are_refused() {
    let chain = "let f = |x| x; for i in 0..2_000 { let g = f; f = |x| g.call(x); }";
    let table = [
        (format!("{chain} f"), "the constant `F` has more than 64 levels"),
        (format!("{chain} throw f;"), "Fn("),
        ("let f = []; for i in 0..65 { f = [f]; } [f]".to_owned(), "the constant `F` has more than 64 levels"),
        ("let f = #{}; for i in 0..65 { f = #{ a: f }; } f".to_owned(), "the constant `F` has more than 64 levels"),
        ("let m = #{}; let f = || m.len(); m.f = f; f".to_owned(), "the constant `F` has more than 64 levels"),
    ];
    for (body, expected) in table {
        let top = format!("const F = deep(); fn deep() {{ {body} }}");
        let main = format!("{top} fn on_probe(_r) {{ F }}");
        let findings = compile(&[("main.rhai", &main)], &limits()).err().unwrap_or_default();
        assert!(findings.iter().any(|line| line.contains(expected)), "{body}: {findings:?}");
        let lib = format!("{top} fn get() {{ F }}");
        let main = "import \"lib\" as lib; fn on_probe(_r) { lib::get() }";
        let findings = compile(&[("main.rhai", main), ("lib.rhai", &lib)], &limits()).err().unwrap_or_default();
        assert!(findings.iter().any(|line| line.contains(expected)), "{body}: {findings:?}");
    }
    // What nobody keeps may be as deep as it likes.
    let source = format!("const N = deep(); fn deep() {{ {chain} 7 }} fn on_probe(_r) {{ N }}");
    assert_eq!(value(&source).as_int(), Ok(7));
}

#[test]
fn arrays_and_maps_are_printed_and_compared_as_before() {
    let table = [
        (r#"[1, "x", #{ a: (), b: [true] }].to_string()"#, r#"[1, "x", #{"a": (), "b": [true]}]"#),
        (r#"`${[1, 2.5, 'c']}`"#, "[1, 2.5, 'c']"),
        (
            r#"`${[1, #{ a: 2 }] == [1, #{ a: 2 }]} ${[1] == [2]} ${[1] != ["1"]} ${#{ a: [1] } != #{ a: [1] }}`"#,
            "true false true false",
        ),
        (r#"`${[[1, 2], [3]].index_of([3])} ${[[1]].index_of([2])}`"#, "1 -1"),
        (r#"`${[[]]} ${#{}}`"#, "[[]] #{}"),
        (r#"let f = []; for i in 0..63 { f = [f]; } `${f}`.len().to_string()"#, "128"),
        (r#"let f = []; for i in 0..63 { f = [f]; } (f == f).to_string()"#, "true"),
    ];
    for (body, expected) in table {
        assert_eq!(value(&format!("fn on_probe(_r) {{ {body} }}")).to_string(), expected, "{body}");
    }
    for body in ["f == f", "f.to_string()", "`${f}`", "to_json(f)"] {
        let script = format!("fn on_probe(_r) {{ let f = []; for i in 0..64 {{ f = [f]; }} {body} }}");
        let (_, line) = failure(&script);
        assert!(line.contains("a value is too deep: it has more than 64 levels"), "{body}: {line}");
    }
}
