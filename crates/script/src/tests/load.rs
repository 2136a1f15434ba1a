//! Loading a script: any text within the size limit is loaded or refused soon, and none breaks out of what is done with it.

use std::time::{Duration, Instant};

use super::{call, compile, limits, main_only};

/// Far above what the worst of these takes, and far below what each took that grew with the square of its size (minutes).
const SOON: Duration = Duration::from_secs(40);

const GOOD: &str = "fn on_probe(_request) { 7 }\n";

fn body(text: &str) -> String {
    format!("fn on_probe(request) {{\n{text}\n7 }}\n")
}

fn each(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

/// What is long, deep or many in a script.
fn large() -> Vec<(&'static str, String)> {
    let many = |text: &str, count: usize| text.repeat(count);
    vec![
        ("one variable again and again", body(&many("let x = 1;\n", 45_000))),
        ("many variables", body(&each(30_000, |n| format!("let a{n} = 1;\n")))),
        ("variables in blocks", body(&each(15_000, |n| format!("{{ let a{n} = 1; a{n} }};\n")))),
        ("empty blocks", body(&many("{}\n", 90_000))),
        ("empty statements", body(&many(";", 190_000))),
        ("cases", body(&format!("switch request.name {{ {} _ => 1 }}", each(45_000, |n| format!("{n} => 1, "))))),
        ("else if", body(&format!("if true {{ 1 }} {}", many("else if false { 2 } ", 30_000)))),
        ("a thousand unknown variables, often", body(&each(95_000, |n| format!("a{};\n", n % 1_000)))),
        ("unknown variables", body(&each(60_000, |n| format!("a{n};\n")))),
        ("unknown variables that are assigned to", body(&each(40_000, |n| format!("a{n} = 1;\n")))),
        ("unknown functions", body(&each(40_000, |n| format!("f{n}();\n")))),
        ("unknown properties", body(&each(40_000, |n| format!("request.p{n};\n")))),
        ("properties of anything", body(&format!("let x = [];\n{}", each(40_000, |n| format!("x[0].p{n};\n"))))),
        ("closures", body(&each(900, |n| format!("let f{} = |x| x;\n", n % 10)))),
        ("functions", each(900, |n| format!("fn f{n}() {{ {n} }}\n")) + GOOD),
        ("too many functions", each(20_000, |n| format!("fn f{n}() {{}}\n")) + GOOD),
        ("constants", each(500, |n| format!("const A{n} = {n};\n")) + GOOD),
        ("long names", body(&format!("let {} = 1; {}", many("a", 400_000), many("b", 400_000)))),
        ("a long text", body(&format!("let x = \"{}\";", many("a", 1_000_000)))),
        ("one long line with findings", body(&many("let x = 1; ", 40_000))),
        ("a long sum", body(&format!("let x = 1{};", many(" + 1", 90_000)))),
        ("a long chain", body(&format!("let x = request{};", many(".a", 90_000)))),
        ("many texts joined", body(&format!("let x = `{}`;", many("${1}", 40_000)))),
        ("nested blocks", body(&format!("{}{}", many("{", 90_000), many("}", 90_000)))),
        ("nested brackets", body(&format!("let x = {}{};", many("[", 90_000), many("]", 90_000)))),
        ("nested comments", format!("{}{}{GOOD}", many("/*", 200_000), many("*/", 200_000))),
        ("nested texts", body(&format!("let x = {}1{};", many("`${", 30_000), many("}`", 30_000)))),
        ("signs", body(&format!("let x = {}true;", many("!", 180_000)))),
        ("an array", body(&format!("let x = [{}];", many("1,", 9_000)))),
        ("a map", body(&format!("let x = #{{ {} }};", each(9_000, |n| format!("a{n}: 1, "))))),
        ("more tokens than a file may have", body(&many("request;", 120_000))),
        ("imports", each(20_000, |n| format!("import \"lib/a\" as a{n};\n")) + GOOD),
        ("numbers in lists", body(&format!("let x = request; {}", many("if x.a in [1, 2, 3] { }\n", 12_000)))),
        ("comparisons", body(&many("if request.name < 1 { }\n", 20_000))),
        ("texts with braces", body(&format!("let x = \"{}\";", many("{", 500_000)))),
        ("texts with names in braces", body(&format!("let x = \"{}}}\";", many("{a", 300_000)))),
        ("a brace that is not closed", format!("fn on_probe(request) {{\n{}", many("if true {\n}\n", 40_000))),
        (
            "comments that allow",
            each(8_000, |_| "// hookgate: allow script/unused-variable because so\n".to_owned()) + GOOD,
        ),
    ]
}

#[test]
fn no_script_takes_long_to_load_or_to_be_refused() {
    for (what, source) in large() {
        assert!(source.len() <= 1024 * 1024, "{what}: larger than a file may be");
        let started = Instant::now();
        let result = compile(&[("main.rhai", &source), ("lib/a.rhai", "fn a() { 1 }\n")], &limits());
        let took = started.elapsed();
        assert!(took < SOON, "{what}: {took:?}");
        if let Err(findings) = result {
            let bytes: usize = findings.iter().map(String::len).sum();
            assert!(!findings.is_empty() && bytes < 4 << 20, "{what}: {} findings, {bytes} bytes", findings.len());
        }
    }
}

#[test]
fn of_each_code_only_so_many_findings_are_shown() {
    let unknown = body(&each(5_000, |n| format!("f{n}();\n")));
    let findings = compile(&[("main.rhai", &unknown)], &limits()).map(|_| ()).unwrap_err();
    let of_functions = || findings.iter().filter(|finding| finding.contains("unknown function"));
    assert_eq!(of_functions().count(), 100);
    let more = "scripts/main.rhai:102:1: 4900 more findings of this code are not shown";
    assert!(findings.iter().any(|finding| finding == more), "{:?}", findings.last());
}

/// Nothing is appended to the text of a script, so nothing in it can swallow or replace what is.
#[test]
fn no_text_breaks_out_of_loading() {
    for (what, source) in [
        ("a comment at the end", format!("{GOOD}// the end")),
        ("a block comment at the end", format!("{GOOD}/* the end */")),
        ("a doc comment before the function", format!("/// about it\n{GOOD}")),
        ("constants", format!("const A = 1;\n{GOOD}")),
        ("nothing behind the brace", GOOD.trim_end().to_owned()),
    ] {
        let (_, script) = main_only(&source);
        assert_eq!(script.run(&call()).result.unwrap().as_int(), Ok(7), "{what}");
    }
    for (what, source) in [
        ("a comment that is not closed", format!("{GOOD}/* no end")),
        ("a brace too many", format!("{GOOD}}}")),
        ("a function that is not closed", format!("{GOOD}fn more() {{")),
        ("a text that is not closed", format!("{GOOD}const A = `")),
    ] {
        let findings = compile(&[("main.rhai", &source)], &limits()).map(|_| ()).unwrap_err();
        assert!(
            findings.iter().all(|finding| ["closed", "closing", "closes"].iter().any(|word| finding.contains(word))),
            "{what}: {findings:?}"
        );
    }
}

#[test]
fn reserved_names_are_refused_wherever_they_stand() {
    for source in [
        format!("fn __hookgate_capture() {{ }}\n{GOOD}"),
        format!("fn __hookgate_load() {{ }}\n{GOOD}"),
        format!("fn __hookgate() {{ }}\n{GOOD}"),
        format!("fn f(__hookgate_x) {{ }}\n{GOOD}"),
        format!("const __hookgate_x = 1;\n{GOOD}"),
        format!("import \"lib/a\" as __hookgate_a;\n{GOOD}"),
        body("__hookgate_capture();"),
        body("let __hookgate_x = 1;"),
        body("for __hookgate_x in 0..2 { }"),
        body("try { } catch (__hookgate_x) { }"),
        body("let f = |__hookgate_x| 1;"),
        body("let m = #{ __hookgate_x: 1 };"),
        body("request.__hookgate_x;"),
        body("let x = `${__hookgate_x}`;"),
    ] {
        let findings = compile(&[("main.rhai", &source), ("lib/a.rhai", "fn a() { 1 }\n")], &limits());
        let findings = findings.map(|_| ()).unwrap_err();
        assert_eq!(findings.len(), 1, "{source}: {findings:?}");
        assert!(findings[0].contains("names that begin with `__hookgate` are reserved for hookgate"), "{findings:?}");
    }
    let (_, script) = main_only(&body("let x = \"__hookgate_x\"; // __hookgate\nlet _hookgate = x;"));
    assert_eq!(script.run(&call()).result.unwrap().as_int(), Ok(7), "a text and a comment are no names");
}

/// What is too large for the optimiser means the same.
#[test]
fn a_large_script_runs_like_a_small_one() {
    let source = |padding: usize| {
        let padding = "if false { request.name; }\n".repeat(padding);
        format!(
            "const A = #{{ b: [1, 2] }};\nconst C = 3;\nfn f() {{ A.b[1] + C }}\nfn on_probe(request) {{\n{padding}f() + 2 }}\n"
        )
    };
    for padding in [0, 5_000] {
        let (_, script) = main_only(&source(padding));
        assert_eq!(script.run(&call()).result.unwrap().as_int(), Ok(7), "{padding}");
    }
}
