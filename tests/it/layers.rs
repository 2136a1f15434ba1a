//! Who may import whom. ARCHITECTURE.md explains; this enforces.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Module, and what it may import. The order is that of the layers, from the outside in.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "server",
            "admin",
            "editor",
            "trial",
            "spans",
            "gateway",
            "delivery",
            "lookup",
            "records",
            "decision",
            "history",
            "release",
            "harness",
            "config",
            "auth",
            "hooks",
            "script",
            "connectors",
            "store",
            "command",
            "moment",
            "question",
            "finding",
            "secret",
            "telemetry",
            "allocator",
            "failpoint",
            "suspects",
        ],
    ),
    ("server", &["auth", "files", "telemetry"]),
    (
        "admin",
        &[
            "trial",
            "history",
            "gateway",
            "delivery",
            "lookup",
            "records",
            "release",
            "config",
            "store",
            "decision",
            "moment",
            "telemetry",
            "secret",
            "finding",
        ],
    ),
    ("editor", &["release", "harness", "config", "hooks", "script", "files", "finding"]),
    (
        "trial",
        &[
            "outcome",
            "lookup",
            "decision",
            "release",
            "harness",
            "hooks",
            "script",
            "command",
            "telemetry",
            "files",
            "finding",
        ],
    ),
    (
        "gateway",
        &[
            "outcome",
            "delivery",
            "lookup",
            "records",
            "decision",
            "release",
            "auth",
            "hooks",
            "script",
            "connectors",
            "store",
            "command",
            "message",
            "question",
            "telemetry",
            "finding",
            "failpoint",
            "pressure",
        ],
    ),
    (
        "delivery",
        &[
            "outcome",
            "lookup",
            "records",
            "release",
            "hooks",
            "script",
            "connectors",
            "store",
            "command",
            "question",
            "telemetry",
            "finding",
            "secret",
            "failpoint",
        ],
    ),
    (
        "release",
        &[
            "outcome",
            "harness",
            "config",
            "auth",
            "hooks",
            "script",
            "store",
            "connectors",
            "command",
            "telemetry",
            "files",
            "finding",
            "secret",
            // Tests end the process, or make it panic, while a release is built.
            "failpoint",
        ],
    ),
    ("history", &["release", "store", "finding"]),
    ("spans", &["decision", "telemetry"]),
    ("records", &["outcome", "command", "decision", "hooks", "pressure", "release", "script", "store", "telemetry"]),
    ("lookup", &["script", "connectors", "store", "question", "telemetry"]),
    ("outcome", &["hooks", "script", "store", "command", "message"]),
    ("harness", &["outcome", "hooks", "script", "connectors", "command", "message", "question", "finding"]),
    ("config", &["files", "finding", "secret", "store"]),
    ("auth", &["files", "secret"]),
    ("hooks", &["script", "command", "decision", "message", "question", "secret"]),
    (
        "script",
        &[
            "command",
            "moment",
            "question",
            "finding",
            "secret",
            "password",
            "allocator",
            "pressure",
            "suspects",
            // A test ends the process in a script.
            "failpoint",
        ],
    ),
    ("connectors", &["command", "message", "question", "secret", "telemetry", "files", "finding"]),
    ("store", &["decision", "question", "moment", "failpoint", "pressure"]),
    ("command", &[]),
    ("decision", &["secret"]),
    ("question", &["secret"]),
    ("message", &["secret"]),
    ("moment", &[]),
    ("files", &[]),
    ("finding", &[]),
    ("secret", &["files"]),
    ("password", &[]),
    ("telemetry", &["pressure"]),
    ("allocator", &[]),
    ("failpoint", &[]),
    ("pressure", &[]),
    ("suspects", &[]),
];

/// Outside names that a module must never use.
const NEVER: &[(&str, &[&str])] = &[
    ("config", &["axum", "rhai", "tokio"]),
    ("auth", &["axum", "rhai", "std::fs"]),
    ("hooks", &["axum", "tokio", "notify", "std::fs"]),
    ("script", &["axum", "okta", "std::fs"]),
    ("harness", &["axum", "tokio", "okta", "std::fs"]),
    ("trial", &["axum", "notify", "okta"]),
    ("gateway", &["axum", "notify", "std::fs"]),
    ("delivery", &["axum", "notify", "std::fs", "okta"]),
    ("connectors", &["axum", "rhai"]),
    ("store", &["axum", "rhai", "okta"]),
    ("command", &["axum", "rhai", "tokio"]),
    ("decision", &["axum", "rhai", "tokio", "okta"]),
    ("password", &["axum", "rhai", "tokio", "okta", "std::fs"]),
    ("server", &["rhai", "okta", "std::fs"]),
    ("admin", &["rhai", "okta"]),
];

/// Where the functions are made by which scripts ask, and their mocks.
const LOOKUPS: [&str; 3] =
    ["script/prelude/lookups.rs", "script/prelude/lookups/directory.rs", "harness/functions/lookups.rs"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the source folder is there") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// `(module, file, lines without tests)` of every source file.
fn modules() -> Vec<(String, PathBuf, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut all = Vec::new();
    for path in files {
        let inner = path.strip_prefix(&root).expect("files are below src");
        let first = inner.components().next().expect("a file has a name").as_os_str().to_string_lossy().into_owned();
        let name = inner.file_name().expect("a file has a name").to_string_lossy().into_owned();
        if name == "tests.rs" || inner.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("sources are UTF-8");
        let code = text.lines().take_while(|line| *line != "#[cfg(test)]").map(str::to_owned).collect();
        all.push((first.trim_end_matches(".rs").to_owned(), path.clone(), code));
    }
    all
}

#[test]
fn imports_point_one_way() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (module, path, lines) in modules() {
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else { continue };
        seen.insert(module.clone());
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for part in line.split("crate::").skip(1) {
                let target: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if target != module && !allowed.contains(&target.as_str()) {
                    wrong.push(format!("{}:{}: {module} must not import {target}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(seen.len(), MAY_IMPORT.len(), "the table names modules that do not exist: saw {seen:?}");
}

#[test]
fn modules_never_name_what_is_beyond_them() {
    let mut wrong = Vec::new();
    for (module, path, lines) in modules() {
        let Some((_, never)) = NEVER.iter().find(|(name, _)| *name == module) else { continue };
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            // Words of scripts: functions that are named after whom they ask.
            if LOOKUPS.iter().any(|file| path.ends_with(file)) {
                continue;
            }
            for name in *never {
                // Providers are not to be named at all, crates not to be used.
                let found = match *name {
                    "okta" => line.to_lowercase().contains(name),
                    _ => line.contains(&format!("{name}::")),
                };
                if found {
                    wrong.push(format!("{}:{}: {module} must not name {name}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Where scripts are run; each makes the stack that a run needs, and bounds what the run leaves (`script::stack`, `script::depth`).
const RUN_SCRIPTS: [&str; 5] =
    ["script/run.rs", "script/trace.rs", "script/compile.rs", "script/engine.rs", "script/modules.rs"];

/// The functions of Rhai that run a script.
const RUNNING: [&str; 7] =
    [".call_fn", ".run_ast", ".eval_ast", ".eval_statements", "::eval_ast", ".eval::<", ".run_with"];

#[test]
fn scripts_run_in_few_places() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    // Compiled for tests only.
    let modules = modules().into_iter().filter(|(_, path, _)| !path.ends_with("hooks/okta/trial.rs"));
    for (_, path, lines) in modules {
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            if !RUNNING.iter().any(|name| line.contains(name)) {
                continue;
            }
            match RUN_SCRIPTS.iter().find(|file| path.ends_with(file)) {
                Some(file) => drop(seen.insert(*file)),
                None => wrong.push(format!("{}:{}: {}", path.display(), number + 1, line.trim())),
            }
        }
    }
    assert!(wrong.is_empty(), "scripts are run by `script::run` and its neighbours only\n{}", wrong.join("\n"));
    assert_eq!(seen.len(), RUN_SCRIPTS.len(), "the list names files that run no script: saw {seen:?}");
}

/// A timer of tokio's, or of reqwest's, ends a wait before what came is read, if the process stood still (#14).
#[test]
fn connectors_wait_by_one_time_limit() {
    let connectors = modules().into_iter().filter(|(module, ..)| module == "connectors");
    let mut wrong = Vec::new();
    for (_, path, lines) in connectors.filter(|(_, path, _)| !path.ends_with("connectors/time_limit.rs")) {
        let code = lines.iter().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
        for (number, line) in code {
            if line.contains("time::timeout") || line.contains(" timeout(") || line.contains(".timeout(") {
                wrong.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "use `connectors::time_limit`:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_says_what_it_is_for() {
    let silent: Vec<String> = modules()
        .into_iter()
        .filter(|(_, _, lines)| !lines.first().is_some_and(|line| line.starts_with("//!")))
        .map(|(_, path, _)| path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "without `//!` at the top: {silent:?}");
}

#[test]
fn every_module_is_in_the_table() {
    let listed: BTreeSet<&str> = MAY_IMPORT.iter().map(|(name, _)| *name).collect();
    let there: BTreeSet<String> = modules().into_iter().map(|(name, _, _)| name).collect();
    let missing: Vec<_> = there.iter().filter(|name| !listed.contains(name.as_str())).collect();
    assert_eq!(missing, [&"lib".to_owned(), &"main".to_owned()]);
}
