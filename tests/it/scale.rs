//! Large bundles: 500 scripts checked, one of them saved. `cargo test --release` holds the numbers that users are promised;
//! a debug build is allowed ten times as long.

use std::fmt::Write;
use std::time::{Duration, Instant};

use hookgate_engine::release::build;
use hookgate_engine::release::build::Secrets;
use hookgate_engine::release::live::Reloaded;
use hookgate_engine::telemetry::metrics::Metrics;

use crate::harness::TestGateway;

const SCRIPTS: usize = 500;

fn config() -> String {
    let mut config = String::from("[auth.test]\nscheme = \"header\"\nsecrets = [{ file = \"secret\" }]\n");
    for number in 0..SCRIPTS {
        write!(
            config,
            "\n[routes.r{number}]\npath = \"/r{number}\"\nhook = \"okta.registration\"\nscript = \"s{number}.rhai\"\n\
             auth = \"test\"\non_failure = \"allow\"\n"
        )
        .unwrap();
    }
    config
}

/// 35 lines, as rules are.
fn script(number: usize, version: usize) -> String {
    let mut text =
        format!("const DENIED = [\"evil{number}.example\", \"spam.example\"];\nconst VERSION = {version};\n");
    for part in 0..6 {
        write!(
            text,
            "\nfn part{part}(email) {{\n    if email.domain in DENIED || email.local == `robot${{VERSION}}` {{\n        \
             return true;\n    }}\n    email.text.len() > {}\n}}\n",
            200 + part
        )
        .unwrap();
    }
    text.push_str("\nfn on_registration(request) {\n    let email = request.email;\n");
    for part in 0..6 {
        writeln!(text, "    if part{part}(email) {{ return deny_field(\"email\", \"not served\"); }}").unwrap();
    }
    text.push_str("    allow()\n}\n");
    text
}

fn allowed(promised: Duration) -> Duration {
    if cfg!(debug_assertions) { promised * 10 } else { promised }
}

#[test]
fn five_hundred_scripts_are_checked_and_one_is_saved_in_time() {
    let scripts: Vec<(String, String)> =
        (0..SCRIPTS).map(|number| (format!("scripts/s{number}.rhai"), script(number, 1))).collect();
    let files: Vec<(&str, &str)> = scripts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let gateway = TestGateway::bundle(&config(), &files);

    let started = Instant::now();
    let checked = build::check(&gateway.place, Secrets::Check, &Metrics::new()).map_err(|findings| findings.len());
    let check = started.elapsed();
    assert_eq!(checked.map(|release| release.routes.len()), Ok(SCRIPTS));

    gateway.write("scripts/s250.rhai", &script(250, 2));
    let started = Instant::now();
    assert_eq!(gateway.reload(), Reloaded::Activated);
    let save = started.elapsed();

    println!("{SCRIPTS} scripts: check {check:?}, reload after one save {save:?}");
    assert!(check < allowed(Duration::from_secs(1)), "checking took {check:?}");
    assert!(save < allowed(Duration::from_millis(300)), "a saved script took {save:?}");
}
