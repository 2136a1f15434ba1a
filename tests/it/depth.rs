//! Values that nest deep, in a gateway that serves: returned, thrown or only made, by calls, rules and tests. It lives on.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::with_id;
use crate::process::{Ran, Served, hookgate, sample};

/// Closures that hold one another: more than a stack of 2 MiB can drop.
const CHAIN: &str = "let f = |x| x; for i in 0..16_000 { let g = f; f = |x| g.call(x); }";

/// The route's name, what the script does after the chain is made, and a part of the reply.
const ROUTES: &[(&str, &str, &str)] = &[
    ("returned", "f", "Later."),
    ("returned_among", "[allow(), [f]]", "Later."),
    ("thrown", "throw f;", "Later."),
    ("lost", "allow()", "ALLOW"),
    ("logged", "log(\"x\", #{ f: f }); allow()", "Later."),
    ("printed", "print([f]); allow()", "Later."),
    ("told", "log(f.to_debug() + `${[f]}`); allow()", "ALLOW"),
    ("holding_itself", "let m = #{}; let h = || m.len(); m.h = h; m.f = f; allow()", "ALLOW"),
    ("quick", "allow()", "ALLOW"),
];

fn config() -> String {
    let mut text = "[auth.test]\nscheme = \"header\"\nsecrets = [{ file = \"secret\" }]\n[scripts]\ngate = \"tests\"\n\
        [routes.events]\npath = \"/events\"\nhook = \"okta.event\"\nauth = \"test\"\n\
        [routes.events.rules.deep]\nevents = [\"*\"]\nscript = \"rule.rhai\"\n"
        .to_owned();
    for (name, ..) in ROUTES {
        text += &format!(
            "[routes.{name}]\npath = \"/{name}\"\nhook = \"okta.registration\"\nscript = \"{name}.rhai\"\nauth = \"test\"\n\
             on_failure = {{ deny = \"Later.\" }}\nlimits = {{ deadline_ms = 5000 }}\n"
        );
    }
    text
}

fn scripts() -> Vec<(String, String)> {
    let script = |(name, end, _): &(&str, &str, &str)| {
        let links = if *name == "quick" { CHAIN.replace("16_000", "400") } else { CHAIN.to_owned() };
        (format!("scripts/{name}.rhai"), format!("fn on_registration(request) {{ {links} {end} }}"))
    };
    let rule = ("scripts/rule.rhai".to_owned(), format!("fn on_event(event) {{ {CHAIN} f }}"));
    ROUTES.iter().map(script).chain([rule]).collect()
}

fn serve() -> Served {
    let scripts = scripts();
    let files: Vec<_> = scripts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    Served::start(&config(), &files)
}

/// Asks until the admin listener's answer has this in it.
fn wait_for(served: &Served, path: &str, what: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = served.admin(path).expect("the gateway answers");
        if what(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{path}: {answer}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn calls_are_answered_recorded_and_dropped() {
    let served = serve();
    for id in 0..3 {
        for (name, _, expected) in ROUTES {
            let answer = served.post(&format!("/{name}"), &with_id("okta.registration", id));
            assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(expected), "{name}: {answer}");
        }
    }
    // Records repeat the run under the debugger on their own thread.
    let count = |answer: &str| answer.matches("\"hook\":\"okta.registration\"").count();
    let wanted = 3 * ROUTES.len();
    wait_for(&served, "/api/v1/decisions?limit=100", |answer| count(answer) >= wanted);
    let log = served.stop();
    assert!(log.contains("more than 64 levels was thrown") || log.contains("Fn("), "{log}");
}

#[test]
fn a_rule_that_returns_one_fails_like_any_other() {
    let served = serve();
    let answer = served.post("/events", sample("okta.event"));
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    wait_for(&served, "/api/v1/decisions?limit=100", |answer| answer.contains("\"outcome\":\"failed\""));
    let log = served.stop();
    assert!(log.contains("rule failed") && log.contains("bad_command"), "{log}");
}

fn write(folder: &Path, tests: &str) {
    let scripts = scripts();
    let tests = format!("fn test_deep() {{ {CHAIN} {tests} }}");
    let more = [
        ("gateway.toml".to_owned(), config()),
        ("secret".to_owned(), "s".repeat(32)),
        ("call.json".to_owned(), with_id("okta.registration", 0)),
        ("scripts/returned_test.rhai".to_owned(), tests),
    ];
    for (path, text) in scripts.into_iter().chain(more) {
        crate::harness::write(folder, &path, &text);
    }
}

#[test]
fn commands_and_tests_end_as_they_should() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| Ran::of(hookgate(folder.path(), arguments).output().unwrap());
    write(folder.path(), "assert(true);");
    let checked = run(&["check"]);
    assert_eq!(checked.status, 0, "{}{}", checked.out, checked.err);
    for (name, _, expected) in ROUTES {
        let called = run(&["call", name, "call.json", "--json"]);
        let text = format!("{}{}", called.out, called.err);
        assert!(text.contains(expected), "{name}: {} {text}", called.status);
    }
    let rows = [
        ("assert(true);", 0, ""),
        ("assert_eq(f, 1);", 1, "cannot become JSON"),
        ("assert_eq([f], [f]);", 1, "cannot become JSON"),
        ("f", 0, ""),
        ("throw f;", 1, "Fn("),
        ("set_params(#{ f: [f] }); run().status;", 1, "saw the answer of"),
        ("assert_fails(run(), \"bad_command\");", 0, ""),
        ("let m = #{}; let h = || m.len(); m.h = h; m.f = f; assert(true);", 0, ""),
    ];
    for (tests, status, expected) in rows {
        write(folder.path(), tests);
        let tested = run(&["test"]);
        let text = format!("{}{}", tested.out, tested.err);
        assert!(tested.status == status && text.contains(expected), "{tests}: {} {text}", tested.status);
    }
}
