//! `test --coverage` and what belongs to it.

use serde_json::json;

use super::super::Bundle;
use super::bundle;

const TESTS: &str = "fn test_plain() { assert_eq(run().commands, [\"allow\"]); }\n";

/// A bundle with an imported file, and one that no test touches.
fn with_imports() -> Bundle {
    let bundle = bundle(TESTS);
    bundle.write(
        "scripts/texts.rhai",
        "fn hello(name) {\n    if name == () {\n        return \"\";\n    }\n    `hello ${name}`\n}\n",
    );
    bundle.write("scripts/unused.rhai", "fn never() {\n    1\n}\n");
    bundle.replace(
        "scripts/registration.rhai",
        "fn on_registration(request) {\n",
        "import \"texts\" as texts;\n\nfn on_registration(request) {\n    for n in 0..5 { log(texts::hello(n)); }\n",
    );
    bundle
}

#[test]
fn lines_are_told_of_every_script() {
    let ran = with_imports().run(&["test", "--coverage"]);
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    let table = ran.out.split_once("lines that ran\n").unwrap().1;
    insta::assert_snapshot!(table, @r"
    scripts/registration.rhai       7/11    63.6 %  not 9, 12, 15, 18
    scripts/texts.rhai               2/3    66.6 %  not 3
    scripts/unused.rhai              0/1     0.0 %  no test touches it
    all                             9/15    60.0 %
    ");
}

#[test]
fn the_listing_counts_lines_in_their_own_file() {
    let ran = with_imports().run(&["test", "--annotate=texts"]);
    let listing = ran.out.rsplit_once("\n\n").unwrap().1;
    insta::assert_snapshot!(listing, @r#"
    scripts/texts.rhai
               1 | fn hello(name) {
         5×    2 |     if name == () {
      never    3 |         return "";
               4 |     }
         5×    5 |     `hello ${name}`
               6 | }
    "#);
    let all = with_imports().run(&["test", "--annotate"]);
    for part in ["scripts/registration.rhai\n", "scripts/texts.rhai\n", "scripts/unused.rhai\n"] {
        assert!(all.out.contains(&format!("\n{part}")), "{part} is missing in\n{}", all.out);
    }
}

#[test]
fn too_little_coverage_fails() {
    let bundle = with_imports();
    let ran = bundle.run(&["test", "--fail-under", "90%"]);
    assert_eq!(ran.status, 1, "{}", ran.out);
    let told = "coverage is too low: 60.0 % of 15 lines ran, and 90 % are wanted; below that: scripts/registration.rhai (63.6 %), scripts/texts.rhai (66.6 %), scripts/unused.rhai (0.0 %)\n";
    assert_eq!(ran.err, told);
    assert_eq!(bundle.run(&["test", "--fail-under", "60"]).status, 0);
    // With a failing test both are told.
    bundle.write("scripts/registration_test.rhai", "fn test_x() { assert(false); }");
    let both = bundle.run(&["test", "--fail-under", "90"]);
    assert!(
        both.status == 1 && both.out.contains("1 failed") && both.err.contains("too low"),
        "{}{}",
        both.out,
        both.err
    );
}

#[test]
fn other_tools_get_the_same_lines() {
    let bundle = with_imports();
    let document = bundle.run(&["test", "--coverage", "--lcov", "lcov.info", "--json"]).json();
    let lcov = bundle.read("lcov.info");
    let files = document["coverage"]["files"].as_array().unwrap();
    assert_eq!(files.len(), 3);
    for file in files {
        let hits = file["hits"].as_object().unwrap();
        let mut record = format!("SF:{}\n", file["file"].as_str().unwrap());
        hits.iter().for_each(|(line, count)| record += &format!("DA:{line},{count}\n"));
        record += &format!("LF:{}\nLH:{}\nend_of_record\n", file["lines"], file["covered"]);
        assert!(lcov.contains(&record), "{record} is not in\n{lcov}");
        assert_eq!(hits.len(), usize::try_from(file["lines"].as_u64().unwrap()).unwrap());
    }
    assert_eq!(document["coverage"]["files"][1]["hits"], json!({ "2": 5, "3": 0, "5": 5 }));
    assert_eq!(document["coverage"]["files"][1]["uncovered"], json!([[3, 3]]));
    assert_eq!(bundle.run(&["test", "--json"]).json()["coverage"], json!(null));
}

#[test]
fn paths_of_lcov_start_where_the_program_does() {
    let outer = tempfile::tempdir().unwrap();
    let bundle = bundle(TESTS);
    std::fs::rename(bundle.path(), outer.path().join("deploy")).unwrap();
    let mut command = bundle_command(&outer.path().join("deploy"));
    let output = command
        .current_dir(outer.path())
        .args(["--config", "deploy/gateway.toml", "test", "--lcov", "lcov.info"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let lcov = std::fs::read_to_string(outer.path().join("lcov.info")).unwrap();
    assert!(lcov.contains("SF:deploy/scripts/registration.rhai\n"), "{lcov}");
}

fn bundle_command(folder: &std::path::Path) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hookgate"));
    command.env_remove("HOOKGATE_CONFIG").current_dir(folder);
    command
}
