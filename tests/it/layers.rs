//! Who may use whom, where `Cargo.toml` cannot say it. ARCHITECTURE.md explains; this enforces.
//!
//! Between crates the compiler holds the arrows: a crate cannot use what its `Cargo.toml` does not name. What is left is who may
//! name whom inside the two crates with many modules, which libraries a crate may take, and names that a place must not know.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each crate, and the crates of ours that it may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("crates/model", &[]),
    ("crates/script", &["model"]),
    ("crates/hooks", &["model", "script"]),
    ("crates/connectors", &["model"]),
    ("crates/store", &["model"]),
    ("crates/engine", &["connectors", "hooks", "model", "script", "store"]),
    (".", &["connectors", "engine", "hooks", "model", "script", "store"]),
];

/// A library, and the crates that may use it.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("axum", &["."]),
    ("hyper-util", &["."]),
    ("maud", &["."]),
    ("notify", &["crates/engine"]),
    ("rhai", &["crates/script", "crates/hooks", "crates/engine"]),
    // The `sql` connector also reads SQLite files.
    ("rusqlite", &["crates/store", "crates/connectors"]),
    ("reqwest", &["crates/connectors", "crates/engine", "."]),
];

/// Inside `crates/engine` and `src`: a module, and the modules of the same crate that it may name, from the outside in.
const MODULES: &[(&str, &[&str])] = &[
    ("src/cli", &["server", "admin", "editor"]),
    ("src/admin", &[]),
    ("src/editor", &[]),
    ("src/server", &[]),
    ("crates/engine/src/trial", &["outcome", "lookup", "release", "harness", "telemetry"]),
    ("crates/engine/src/gateway", &["delivery", "outcome", "lookup", "records", "release", "auth", "telemetry"]),
    ("crates/engine/src/delivery", &["outcome", "lookup", "records", "release", "telemetry"]),
    ("crates/engine/src/records", &["outcome", "release", "telemetry"]),
    ("crates/engine/src/history", &["release"]),
    ("crates/engine/src/lookup", &["telemetry"]),
    ("crates/engine/src/release", &["harness", "outcome", "config", "auth", "telemetry"]),
    ("crates/engine/src/spans", &["telemetry"]),
    ("crates/engine/src/outcome", &[]),
    ("crates/engine/src/harness", &["outcome"]),
    ("crates/engine/src/config", &[]),
    ("crates/engine/src/auth", &[]),
    ("crates/engine/src/telemetry", &[]),
];

/// Text that must not stand in a place, in code. Providers are not to be named at all.
const NEVER: &[(&str, &[&str])] = &[
    ("crates/connectors/src", &["rhai::"]),
    ("crates/engine/src/auth", &["std::fs"]),
    ("crates/engine/src/config", &["rhai::", "tokio::"]),
    ("crates/engine/src/delivery", &["notify::", "std::fs", "okta"]),
    ("crates/engine/src/gateway", &["notify::", "std::fs", "sqlite"]),
    ("crates/engine/src/harness", &["tokio::", "std::fs", "okta"]),
    ("crates/engine/src/history", &["sqlite"]),
    ("crates/engine/src/outcome", &["tokio::", "std::fs", "okta"]),
    ("crates/engine/src/records", &["sqlite"]),
    ("crates/engine/src/trial", &["notify::", "okta", "sqlite"]),
    ("crates/engine/src/release", &["okta"]),
    ("crates/hooks/src", &["tokio::", "std::fs"]),
    ("crates/model/src/command", &["tokio::"]),
    ("crates/model/src/decision", &["tokio::", "okta"]),
    ("crates/script/src", &["std::fs", "okta"]),
    ("crates/store/src", &["okta"]),
    ("src/admin", &["rhai::", "okta", "sqlite"]),
    ("src/cli/check", &["okta"]),
    ("src/cli/simulate", &["okta"]),
    ("src/editor", &["axum::"]),
    ("src/server", &["axum::", "rhai::", "std::fs", "okta"]),
];

/// Words of scripts: functions that are named after whom they ask, and their mocks.
const LOOKUPS: [&str; 3] = [
    "crates/script/src/prelude/lookups.rs",
    "crates/script/src/prelude/lookups/directory.rs",
    "crates/engine/src/harness/functions/lookups.rs",
];

/// Where scripts are run; each makes the stack that a run needs, and bounds what the run leaves (`script::stack`, `script::depth`).
const RUN_SCRIPTS: [&str; 5] = ["run.rs", "trace.rs", "compile.rs", "engine.rs", "modules.rs"];

/// The functions of Rhai that run a script.
const RUNNING: [&str; 7] =
    [".call_fn", ".run_ast", ".eval_ast", ".eval_statements", "::eval_ast", ".eval::<", ".run_with"];

/// A source file: its path from the root of the repository, and its lines of code with their numbers.
struct Source {
    path: String,
    first: String,
    code: Vec<(usize, String)>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file of the program, without tests and comments.
fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    crate::docs::files(&root().join("src"), ".rs", &mut files);
    crate::docs::files(&root().join("crates"), ".rs", &mut files);
    files.into_iter().filter(|path| !is_test(path)).map(|path| source(&path)).collect()
}

fn is_test(path: &Path) -> bool {
    path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests")
}

fn source(path: &Path) -> Source {
    let text = fs::read_to_string(path).expect("sources are UTF-8");
    let lines: Vec<&str> = text.lines().collect();
    // A module of tests ends a file; an item that is for tests only does not.
    let is_end = |at: usize| lines[at] == "#[cfg(test)]" && lines.get(at + 1).is_some_and(|line| line.ends_with(" {"));
    let begins_tests = |at: &usize| is_end(*at) && lines[at + 1].starts_with("mod ");
    let end = (0..lines.len()).find(begins_tests).unwrap_or(lines.len());
    let code = (0..end).filter(|at| !lines[*at].trim_start().starts_with("//"));
    Source {
        path: relative(path),
        first: lines.first().copied().unwrap_or_default().to_owned(),
        code: code.map(|at| (at + 1, lines[at].to_owned())).collect(),
    }
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Whether the file is that module, or in its folder.
fn is_in(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// The libraries that a crate takes outside its tests.
fn dependencies(krate: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(krate).join("Cargo.toml")).expect("each crate has a Cargo.toml");
    let manifest: toml::Table = text.parse().expect("it is TOML");
    manifest["dependencies"].as_table().expect("a table").keys().cloned().collect()
}

#[test]
fn crates_use_one_another_one_way() {
    let mut there: Vec<PathBuf> = fs::read_dir(root().join("crates"))
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry can be read").path())
        .collect();
    there.sort();
    let mut listed: Vec<PathBuf> = ARROWS.iter().filter(|row| row.0 != ".").map(|row| root().join(row.0)).collect();
    listed.sort();
    assert_eq!(listed, there, "`ARROWS` has each crate");
    for (krate, expected) in ARROWS {
        let used = dependencies(krate).into_iter();
        let ours: Vec<String> = used.filter_map(|name| name.strip_prefix("hookgate-").map(str::to_owned)).collect();
        assert_eq!(ours, *expected, "crates that `{krate}` uses");
    }
}

#[test]
fn libraries_stay_where_they_belong() {
    let taken: BTreeMap<&str, BTreeSet<String>> =
        ARROWS.iter().map(|(krate, _)| (*krate, dependencies(krate))).collect();
    for (library, crates) in LIBRARIES {
        let users: BTreeSet<&str> =
            taken.iter().filter(|(_, names)| names.contains(*library)).map(|(krate, _)| *krate).collect();
        assert_eq!(users, crates.iter().copied().collect(), "crates that use `{library}`");
    }
}

#[test]
fn modules_name_one_another_one_way() {
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for source in sources() {
        let Some((module, allowed)) = MODULES.iter().find(|(module, _)| is_in(&source.path, module)) else { continue };
        let own = module.rsplit('/').next().expect("a module has a name");
        for (number, line) in &source.code {
            for part in line.split("crate::").skip(1) {
                let target: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                match allowed.iter().find(|name| **name == target) {
                    Some(name) => drop(used.insert((*module, *name))),
                    None if target == own => {}
                    None => wrong.push(format!("{}:{number}: must not name {target}", source.path)),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    let unused: Vec<_> = MODULES
        .iter()
        .flat_map(|(module, names)| names.iter().map(move |name| (*module, *name)))
        .filter(|arrow| !used.contains(arrow))
        .collect();
    assert!(unused.is_empty(), "arrows that nothing uses: {unused:?}");
}

#[test]
fn every_module_is_in_the_table() {
    let roots = ["lib.rs", "main.rs"];
    let missing: BTreeSet<String> = sources()
        .into_iter()
        .map(|source| source.path)
        .filter(|path| path.starts_with("src/") || path.starts_with("crates/engine/"))
        .filter(|path| !roots.iter().any(|name| path.ends_with(&format!("src/{name}"))))
        .filter(|path| !MODULES.iter().any(|(module, _)| is_in(path, module)))
        .collect();
    assert!(missing.is_empty(), "`MODULES` lacks {missing:?}");
}

/// Names of libraries as they are; those of providers and databases in any case.
fn is_named(line: &str, name: &str) -> bool {
    if name.contains("::") { line.contains(name) } else { line.to_lowercase().contains(name) }
}

#[test]
fn places_never_name_what_is_beyond_them() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for source in sources().iter().filter(|source| !LOOKUPS.contains(&source.path.as_str())) {
        for (place, names) in NEVER.iter().filter(|(place, _)| is_in(&source.path, place)) {
            seen.insert(*place);
            for (number, line) in &source.code {
                for name in names.iter().filter(|name| is_named(line, name)) {
                    wrong.push(format!("{}:{number}: {place} must not name {name}", source.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(seen.len(), NEVER.len(), "the table names places that do not exist: saw {seen:?}");
}

#[test]
fn scripts_run_in_few_places() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    let meant: Vec<String> = RUN_SCRIPTS.iter().map(|file| format!("crates/script/src/{file}")).collect();
    // Compiled for tests only.
    for source in sources().iter().filter(|source| source.path != "crates/hooks/src/okta/trial.rs") {
        for (number, line) in source.code.iter().filter(|(_, line)| RUNNING.iter().any(|name| line.contains(name))) {
            match meant.iter().find(|file| **file == source.path) {
                Some(file) => drop(seen.insert(file)),
                None => wrong.push(format!("{}:{number}: {}", source.path, line.trim())),
            }
        }
    }
    assert!(wrong.is_empty(), "scripts are run by `script::run` and its neighbours only\n{}", wrong.join("\n"));
    assert_eq!(seen.len(), RUN_SCRIPTS.len(), "the list names files that run no script: saw {seen:?}");
}

/// A timer of tokio's, or of reqwest's, ends a wait before what came is read, if the process stood still.
#[test]
fn connectors_wait_by_one_time_limit() {
    let mut wrong = Vec::new();
    let connectors = sources().into_iter().filter(|source| source.path.starts_with("crates/connectors/"));
    for source in connectors.filter(|source| !source.path.ends_with("src/time_limit.rs")) {
        for (number, line) in &source.code {
            if line.contains("time::timeout") || line.contains(" timeout(") || line.contains(".timeout(") {
                wrong.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "use `connectors::time_limit`:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_says_what_it_is_for() {
    let silent: Vec<String> =
        sources().into_iter().filter(|source| !source.first.starts_with("//!")).map(|source| source.path).collect();
    assert!(silent.is_empty(), "without `//!` at the top: {silent:?}");
}
