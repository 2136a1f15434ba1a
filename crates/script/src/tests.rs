//! The sandbox from outside: what scripts can do, what ends them, and what is said about it.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use rhai::{Dynamic, ImmutableString};

use crate::budget::{Limits, Stopped};
use crate::compile::{Compiler, Roles, Side};
use crate::context::{Surroundings, World};
use crate::diagnose::{ErrorKind, Limit};
use crate::journal::Journal;
use crate::lanes::{Answering, Lanes, Outside};
use crate::library::{Doc, Finished, Library};
use crate::lint::advice::Advice;
use crate::prelude::secret::Hidden;
use crate::run::{Attempted, Call, Cause, Run, Script, Where};
use hookgate_model::question::Question;

mod cells;
mod depth;
mod load;
mod lookups;
mod traces;

#[derive(Clone)]
struct Probe;

fn library() -> &'static Finished {
    static LIBRARY: LazyLock<Finished> = LazyLock::new(|| {
        let mut library = Library::new("test.probe");
        library
            .value::<Probe>("Probe", "The request of these tests.")
            .property(Doc::new("Self.name: string", "A name.", ""), |_: &mut Probe| ImmutableString::from("ann"))
            .property(Doc::new("Self.secret: Secret", "A password.", ""), |_: &mut Probe| Hidden::new("123456"))
            .property(Doc::new("Self.items: array", "Some items.", ""), |_: &mut Probe| {
                Dynamic::from_array(vec![1_i64.into(), 2_i64.into()]).into_read_only()
            })
            .function(Doc::new("explode() -> ()", "Panics.", ""), || -> () { panic!("a defect") });
        library.finish()
    });
    &LIBRARY
}

fn roles() -> &'static Roles {
    static ROLES: LazyLock<&'static Roles> = LazyLock::new(|| {
        let nothing: &'static Finished = Box::leak(Box::new(Library::new("nothing").finish()));
        let side = Side {
            hook: "test.probe",
            entry: "on_probe",
            request_type: "Probe",
            library: library(),
            advice: &Advice::NONE,
        };
        Roles::of(&[side], nothing)
    });
    &ROLES
}

fn limits() -> Limits {
    Limits { deadline_ms: 300, ..Limits::default() }
}

/// The compiler of these files and the script `main.rhai` among them.
fn compile(files: &[(&str, &str)], limits: &Limits) -> Result<(Compiler, Arc<Script>), Vec<String>> {
    let lines = |findings: Vec<hookgate_model::finding::Finding>| {
        findings.iter().map(|finding| finding.one_line()).collect::<Vec<_>>()
    };
    let sources: BTreeMap<String, Arc<str>> =
        files.iter().map(|(name, text)| ((*name).to_owned(), Arc::from(*text))).collect();
    let compiler = Compiler::new(roles(), &sources, "scripts").map_err(lines)?;
    let role = roles().find("test.probe").expect("the role is there");
    let (script, _) = compiler.script("main.rhai", role, limits, None).map_err(lines)?;
    Ok((compiler, script))
}

fn main_only(source: &str) -> (Compiler, Arc<Script>) {
    compile(&[("main.rhai", source)], &limits()).unwrap_or_else(|findings| panic!("{findings:#?}"))
}

fn call() -> Call {
    call_within(Duration::from_millis(limits().deadline_ms))
}

fn call_within(deadline: Duration) -> Call {
    Call {
        request: Dynamic::from(Probe),
        surroundings: Arc::new(Surroundings::default()),
        world: World::Real,
        deadline: Instant::now() + deadline,
    }
}

fn value(source: &str) -> Dynamic {
    let (compiler, script) = main_only(source);
    script.run(&call()).result.unwrap_or_else(|failed| panic!("{}", compiler.explain(&script, *failed)))
}

/// The kind of error, and its one line.
fn failure(source: &str) -> (ErrorKind, String) {
    failure_within(source, Duration::from_millis(limits().deadline_ms))
}

fn failure_within(source: &str, deadline: Duration) -> (ErrorKind, String) {
    let (compiler, script) = main_only(source);
    let failed = script.run(&call_within(deadline)).result.expect_err("the script fails");
    let error = compiler.explain(&script, *failed);
    (error.kind, error.finding.one_line())
}

#[test]
fn constants_are_visible_inside_functions_by_their_plain_name() {
    let source = r#"
        const LIST = ["a", "b"];
        const MAP = #{ x: #{ y: 7 } };
        const NUMBER = 3 + 4;
        fn helper() { LIST.len() + MAP.x.y + NUMBER }
        fn on_probe(_request) {
            let inner = [1].map(|n| n + NUMBER);
            [helper(), "a" in LIST, LIST[1], MAP.x.y, LIST.contains("b"), inner[0]]
        }"#;
    assert_eq!(value(source).to_string(), r#"[16, true, "b", 7, true, 8]"#);
}

#[test]
fn a_local_variable_hides_a_constant() {
    assert_eq!(value("const A = 1; fn on_probe(_r) { let A = 2; A }").as_int(), Ok(2));
}

#[test]
fn imported_files_have_their_own_constants() {
    let files = [
        ("main.rhai", "import \"lib/a\" as a; const X = 1; fn on_probe(_r) { [X, a::x(), a::list()] }"),
        ("lib/a.rhai", "const X = 2; const L = [1, 2, 3]; fn x() { X } fn list() { L.len() }"),
    ];
    let (_, script) = compile(&files, &limits()).unwrap_or_else(|findings| panic!("{findings:#?}"));
    for _ in 0..3 {
        assert_eq!(script.run(&call()).result.expect("it runs").to_string(), "[1, 2, 3]");
    }
}

#[test]
fn imports_that_lead_nowhere_are_found_at_load() {
    let table = [
        (
            vec![("main.rhai", "import \"lib/nope\" as n; fn on_probe(_r) {}"), ("lib/note.rhai", "fn f() { 1 }")],
            "scripts/main.rhai:1:1: there is no file `lib/nope.rhai` in the scripts folder (did you mean `lib/note`?)",
        ),
        (
            vec![("main.rhai", "import \"../secret\" as s; fn on_probe(_r) {}")],
            "scripts/main.rhai:1:1: `../secret` leaves the scripts folder (paths start at the scripts folder)",
        ),
        (
            vec![("main.rhai", "import \"/etc/passwd\" as s; fn on_probe(_r) {}")],
            "scripts/main.rhai:1:1: `/etc/passwd` leaves the scripts folder (paths start at the scripts folder)",
        ),
    ];
    for (files, expected) in table {
        assert_eq!(compile(&files, &limits()).err().expect("refused"), [expected]);
    }
    let circle =
        [("a.rhai", "import \"b\" as b; fn fa() { b::fb() }"), ("b.rhai", "import \"a\" as a; fn fb() { a::fa() }")];
    let findings = compile(&circle, &limits()).err().expect("refused");
    assert!(findings[0].contains("imports go round in a circle: a.rhai -> b.rhai -> a.rhai"), "{findings:?}");
}

#[test]
fn what_does_not_end_is_ended_with_a_place() {
    let table = [
        (
            "fn on_probe(_r) {\n    let n = 0;\n    loop { n += 1; }\n}",
            ErrorKind::Limit(Limit::Deadline),
            "main.rhai:3:",
        ),
        (
            "fn on_probe(_r) {\n    down(1)\n}\nfn down(n) {\n    down(n + 1)\n}",
            ErrorKind::Limit(Limit::Depth),
            "main.rhai:5:",
        ),
        (
            "fn on_probe(_r) {\n    let s = \"x\";\n    loop { s += s; }\n}",
            ErrorKind::Limit(Limit::Size),
            "main.rhai:3:",
        ),
        (
            "fn on_probe(_r) {\n    let a = [];\n    loop { a.push(1); }\n}",
            ErrorKind::Limit(Limit::Size),
            "main.rhai:3:",
        ),
        (
            "fn on_probe(_r) {\n    let m = #{};\n    let s = \"y\";\n    for i in 0..17 { s += s; }\n    for i in 0..9000 { m[`k${i}`] = s + i; }\n}",
            ErrorKind::Limit(Limit::Memory),
            "main.rhai:5:",
        ),
        // #13: what is too deep does not end as what is too large.
        (
            "fn on_probe(_r) {\n    let a = [];\n    for i in 0..70 { a = [a]; }\n    to_json(a)\n}",
            ErrorKind::Limit(Limit::Levels),
            "main.rhai:4:",
        ),
        (
            "fn on_probe(_r) {\n    let a = [];\n    for i in 0..70 { a = #{ a: a }; }\n    let t = `${a}`;\n}",
            ErrorKind::Limit(Limit::Levels),
            "main.rhai:4:",
        ),
        (
            "fn on_probe(_r) {\n    let a = [];\n    a.pad(9_000, 1);\n    loop { a.filter(|x| x > 5); }\n}",
            ErrorKind::Limit(Limit::Deadline),
            "main.rhai:4:",
        ),
    ];
    for (source, kind, place) in table {
        // Only those that the deadline is to end are held to it: a busy machine may take long to fill the memory.
        let timed = kind == ErrorKind::Limit(Limit::Deadline);
        let deadline = if timed { Duration::from_millis(limits().deadline_ms) } else { Duration::from_secs(60) };
        let started = Instant::now();
        let (found, line) = failure_within(source, deadline);
        assert_eq!(found, kind, "{line}");
        assert!(line.contains(place), "{line} should be at {place}");
        assert!(!timed || started.elapsed() < deadline + GRACE, "{line} took {:?}", started.elapsed());
    }
}

/// 50 ms are promised; compiling in a debug build on a busy machine takes the rest.
const GRACE: Duration = Duration::from_millis(1_000);

#[test]
fn operations_are_counted_through_callbacks() {
    let limits = Limits { operations: 20_000, ..limits() };
    let source =
        "fn on_probe(_r) { let a = []; a.pad(1000, 1); a.map(|x| { let s = x; for i in 0..200 { s += i; } s }) }";
    let (_, script) = compile(&[("main.rhai", source)], &limits).unwrap_or_else(|findings| panic!("{findings:#?}"));
    let run = script.run(&call());
    assert!(matches!(run.result.expect_err("stopped").cause, Cause::Stopped(Stopped::Operations)));
    assert!(run.operations <= 20_001, "{} operations", run.operations);
}

#[test]
fn a_panic_costs_its_own_call_only() {
    let (compiler, script) = main_only("fn on_probe(request) { if request.name == \"ann\" { explode(); } }");
    for _ in 0..3 {
        let failed = script.run(&call()).result.expect_err("it panics");
        assert!(matches!(failed.cause, Cause::Panicked));
        assert_eq!(compiler.explain(&script, *failed).kind, ErrorKind::Panic);
    }
    assert_eq!(value("fn on_probe(request) { request.name }").to_string(), "ann");
}

#[test]
fn a_request_is_read_only_and_says_so() {
    for body in ["request.name = \"bob\";", "request.name += \"x\";"] {
        let source = format!("fn on_probe(request) {{ {body} }}");
        let findings = compile(&[("main.rhai", &source)], &limits()).err().expect("refused at load");
        assert!(findings[0].contains("read-only") && findings[0].contains("main.rhai:1:"), "{findings:?}");
    }
    let hidden = failure("fn on_probe(request) { change(request) }\nfn change(r) {\n    r.name = \"bob\";\n}");
    assert!(hidden.1.contains("main.rhai:3:") && hidden.1.contains("read-only"), "{}", hidden.1);
}

#[test]
fn scripts_reach_nothing_outside() {
    for source in [
        "fn on_probe(_r) { eval(\"1\") }",
        "fn on_probe(_r) { sleep(1) }",
        "fn on_probe(_r) { open_file(\"/etc/passwd\") }",
        "fn on_probe(_r) { timestamp() }",
    ] {
        let refused = compile(&[("main.rhai", source)], &limits()).is_err();
        assert!(refused || !matches!(failure(source).0, ErrorKind::Limit(_)), "{source} runs");
    }
}

#[test]
fn an_unchanged_script_is_taken_over() {
    let files: BTreeMap<String, Arc<str>> = BTreeMap::from([
        ("main.rhai".to_owned(), Arc::from("import \"lib/a\" as a; fn on_probe(_r) { a::x() }")),
        ("lib/a.rhai".to_owned(), Arc::from("fn x() { 1 }")),
    ]);
    let role = roles().find("test.probe").expect("the role is there");
    let first = Compiler::new(roles(), &files, "scripts").expect("it compiles");
    let (one, _) = first.script("main.rhai", role, &limits(), None).expect("it compiles");
    let same = Compiler::new(roles(), &files, "scripts").expect("it compiles");
    let (two, _) = same.script("main.rhai", role, &limits(), Some(&first)).expect("it compiles");
    assert!(Arc::ptr_eq(&one, &two));
    let mut changed = files.clone();
    changed.insert("lib/a.rhai".to_owned(), Arc::from("fn x() { 2 }"));
    let third = Compiler::new(roles(), &changed, "scripts").expect("it compiles");
    let (three, _) = third.script("main.rhai", role, &limits(), Some(&same)).expect("it compiles");
    assert!(!Arc::ptr_eq(&two, &three), "a changed import makes a new script");
    assert_eq!(three.run(&call()).result.expect("it runs").as_int(), Ok(2));
}

/// Nobody is there.
struct Nobody;

impl Outside for Nobody {
    fn answer<'a>(&'a self, _: &'a Question, _: Instant) -> Answering<'a> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_spinning_script_does_not_hold_the_async_worker() {
    let lanes = Lanes::start().expect("threads start");
    let (_, spinning) = main_only("fn on_probe(_r) { loop {} }");
    let (_, quick) = main_only("fn on_probe(_r) { 1 }");
    let spinner = {
        let lanes = lanes.clone();
        tokio::spawn(async move { lanes.run(&spinning, call(), &Nobody).await })
    };
    let mut slowest = Duration::ZERO;
    while !spinner.is_finished() {
        let started = Instant::now();
        let run: Run = lanes.run(&quick, call(), &Nobody).await;
        assert!(run.result.is_ok());
        slowest = slowest.max(started.elapsed());
        tokio::task::yield_now().await;
    }
    let failed = spinner.await.expect("no panic").result.expect_err("it is ended");
    assert!(matches!(failed.cause, Cause::Stopped(Stopped::Deadline)));
    assert!(slowest < Duration::from_millis(150), "a quick call took {slowest:?} beside a spinning one");
}

/// "123456", as Python's bcrypt 5.0.0 made it; verifying takes a tenth of a second.
const COST_11: &str = "$2b$11$r.kzg0XO0cQCOEx1enwYwuDGksuF.jrdoJXg4hljpIuMpw0wj1CfG";

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_password_is_never_verified_on_the_async_worker() {
    // Quick as it is: what matters is that nobody can know before.
    let (_, script) = main_only(
        "fn on_probe(request) { try { request.secret.verifies(\"{SHA}fEqNCco3Yq9h5ZUglD3CZJT4lBs=\") } catch { false } }",
    );
    let attempted = script.advance(&call(), Journal::default(), Where::Worker);
    assert!(matches!(attempted, Attempted::Long(_)), "it ran where calls are answered");
    let lanes = Lanes::start().expect("threads start");
    for _ in 0..2 {
        let run = lanes.run(&script, call(), &Nobody).await;
        assert_eq!(run.result.expect("it runs").as_bool(), Ok(true));
    }
}

#[test]
fn a_run_that_is_repeated_to_find_its_place_verifies_nothing_again() {
    let source = format!(
        "fn on_probe(request) {{\n    let right = request.secret.verifies(\"{COST_11}\");\n    loop {{ if !right {{ break; }} }}\n}}"
    );
    let limits = Limits { operations: 500, ..limits() };
    let (compiler, script) = compile(&[("main.rhai", &source)], &limits).expect("it compiles");
    let started = Instant::now();
    let run = script.run(&call_within(Duration::from_secs(20)));
    let (took, after) = (run.took, started.elapsed() - run.took);
    let error = compiler.explain(&script, *run.result.expect_err("it is stopped"));
    assert!(matches!(error.kind, ErrorKind::Limit(Limit::Operations)), "{:?}", error.kind);
    assert!(error.finding.one_line().contains("main.rhai:3:"), "{}", error.finding.one_line());
    assert!(
        took > Duration::from_millis(20) && after < took / 2 + Duration::from_millis(40),
        "{took:?}, then {after:?}"
    );
}

/// What this thread has computed so far, however busy the machine is: by the scheduler's count where there is one.
fn computed(since: Instant) -> Duration {
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = counted.and_then(|text| text.split(' ').next()?.parse().ok()).filter(|nanos| *nanos > 0);
    nanos.map_or(since.elapsed(), Duration::from_nanos)
}

/// US-22: within 20 %. The quickest of several, for whatever else runs only adds.
#[test]
fn an_unknown_user_takes_as_long_as_a_wrong_password() {
    const COST_8: &str = "$2b$08$Vknwh7J.I22AkfytT9.PqOsFz0eosWBR/RitpoIXghrm2nvLNwC8u";
    let started = Instant::now();
    let quickest = |body: &str| {
        let (_, script) = main_only(&format!("fn on_probe(request) {{ request.secret.{body} }}"));
        let times = (0..15).map(|_| {
            let before = computed(started);
            let run = script.run(&call_within(Duration::from_secs(20)));
            assert_eq!(run.result.expect("it runs").as_bool(), Ok(false));
            computed(started) - before
        });
        times.min().expect("some").as_secs_f64()
    };
    let wrong = quickest(&format!("verifies(\"{COST_8}\")"));
    let unknown = quickest(&format!("verify_nothing(\"{COST_8}\")"));
    assert!(wrong > 0.002, "{wrong} s is no bcrypt");
    assert!((unknown / wrong - 1.0).abs() < 0.2, "unknown {unknown} s, wrong {wrong} s");
}
