//! What documents, comments of the shipped bundle and help texts name: hooks, commands and their options, keys of `gateway.toml`,
//! metrics, codes and functions are read against the tables that they come from. Some phrases are refused, because they were true
//! once, or because nobody understood them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use clap::CommandFactory;
use hookgate::cli::CommandLine;
use hookgate::cli::docs::codes;
use hookgate_engine::harness;
use hookgate_engine::release;
use hookgate_script::diagnose::reasons::FAILURE_REASONS;
use hookgate_script::library::Entry;
use hookgate_script::prelude;
use hookgate_script::standard::builtins;
use regex::Regex;
use serde_json::Value;

use super::{files, markdown, root};

/// A text that makes claims, by its path below the repository.
struct Claims {
    path: String,
    text: String,
}

/// Every document but the changelog, which also tells what was; the comments of the bundle; and all help texts.
fn texts() -> Vec<Claims> {
    let name = |path: &std::path::Path| path.strip_prefix(root()).unwrap_or(path).to_string_lossy().into_owned();
    let documents = markdown().into_iter().map(|(path, text)| Claims { path: name(&path), text });
    let mut all: Vec<Claims> = documents.filter(|claims| claims.path != "CHANGELOG.md").collect();
    let mut found = Vec::new();
    for ending in [".rhai", ".toml"] {
        files(&root().join("scripts"), ending, &mut found);
        files(&root().join("deploy"), ending, &mut found);
    }
    found.push(root().join("gateway.toml"));
    all.extend(found.into_iter().map(|path| {
        let sign = if path.extension().is_some_and(|ending| ending == "rhai") { "//" } else { "#" };
        let text = fs::read_to_string(&path).unwrap();
        let comment =
            |line: &str| line.trim_start().strip_prefix(sign).map(|line| line.trim_start_matches('/').to_owned());
        Claims { path: name(&path), text: text.lines().filter_map(comment).collect::<Vec<_>>().join("\n") }
    }));
    assert!(all.len() > 60, "{} texts", all.len());
    all
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap()
}

/// What is wrong, a line each, or nothing.
fn refuse(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} claims are not true:\n{}", wrong.len(), wrong.join("\n"));
}

/// What stands in backticks in a line.
fn quoted(text: &str) -> Vec<String> {
    let fenced = pattern("(?s)```.*?```");
    let text = fenced.replace_all(text, "");
    pattern("`([^`\n]+)`").captures_iter(&text).map(|found| found[1].to_owned()).collect()
}

/// Commands that a text tells to type.
fn typed(text: &str) -> Vec<String> {
    let blocks = pattern("(?s)```(?:sh|console|bash)\n(.*?)```");
    let lines = blocks
        .captures_iter(text)
        .flat_map(|block| block[1].replace("\\\n", " ").lines().map(str::to_owned).collect::<Vec<_>>());
    lines.chain(quoted(text)).filter(|line| line.contains("hookgate ")).collect()
}

#[test]
fn every_hook_that_is_named_exists() {
    // Members of what is sent to a SIEM.
    const OTHERS: [&str; 2] = ["okta.unmapped", "okta.debug_context"];
    let name = pattern(r#"(?:^|hook = "|hookgate (?:simulate|docs) )(okta\.[a-z_]+)(?:$|[" ])"#);
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for Claims { path, text } in texts() {
        let lines = text.lines().filter(|line| line.contains("hook = ")).map(str::to_owned);
        for claim in quoted(&text).into_iter().chain(typed(&text)).chain(lines) {
            for found in name.captures_iter(&claim).filter(|found| !OTHERS.contains(&&found[1])) {
                checked += 1;
                if hookgate_hooks::find(&found[1]).is_none() {
                    wrong.push(format!("{path}: there is no hook `{}`", &found[1]));
                }
            }
        }
    }
    assert!(checked > 50, "{checked} hooks");
    refuse(&wrong);
}

/// Every command with its options: `events list` and `--dead`.
fn commands() -> BTreeMap<String, BTreeSet<String>> {
    fn walk(command: &clap::Command, path: &str, found: &mut BTreeMap<String, BTreeSet<String>>) {
        let options = command.get_arguments().filter_map(|option| option.get_long()).map(|name| format!("--{name}"));
        found.entry(path.to_owned()).or_default().extend(options.chain(["--help", "--version"].map(str::to_owned)));
        for inner in command.get_subcommands() {
            walk(inner, format!("{path} {}", inner.get_name()).trim(), found);
        }
    }
    let mut root = CommandLine::command();
    root.build();
    let mut found = BTreeMap::new();
    walk(&root, "", &mut found);
    found
}

#[test]
fn every_command_and_option_that_is_named_exists() {
    let commands = commands();
    assert!(commands.len() > 15 && commands["events list"].contains("--dead"), "{commands:?}");
    let call = pattern(r"(?:^|[ $(])hookgate((?: [^|;&`<>)]*)?)");
    let option = pattern(r"(?:^| )(--[a-z][a-z-]*)");
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for Claims { path, text } in texts() {
        for line in typed(&text) {
            for found in call.captures_iter(&line) {
                let words: Vec<&str> = found[1].split_whitespace().collect();
                let plain = words.iter().take_while(|word| word.chars().all(|letter| letter.is_ascii_lowercase()));
                let plain: Vec<&str> = plain.copied().collect();
                let known = (0..=plain.len())
                    .rev()
                    .map(|count| plain[..count].join(" "))
                    .find(|name| commands.contains_key(name));
                let name = known.unwrap_or_default();
                // A command that has commands of its own takes no other word.
                let takes_words =
                    name.is_empty() || commands.keys().any(|other| other.starts_with(&format!("{name} ")));
                let next = plain.get(name.split_whitespace().count());
                // A key of the small state, `hookgate sends ID`, is no command.
                if let (true, Some(word)) = (takes_words, next.filter(|word| **word != "sends")) {
                    wrong.push(format!("{path}: there is no command `hookgate {name} {word}`: {line}"));
                }
                for option in option.captures_iter(&found[1]) {
                    if !commands[&name].contains(&option[1]) {
                        wrong.push(format!("{path}: `hookgate {name}` has no option `{}`: {line}", &option[1]));
                    }
                }
                checked += 1;
            }
        }
    }
    assert!(checked > 100, "{checked} commands");
    refuse(&wrong);
}

/// The names that sections of `gateway.toml` and everything below them have.
fn keys<'a>(schema: &'a Value, node: &'a Value, found: &mut BTreeSet<&'a str>, depth: usize) {
    let node = match node["$ref"].as_str() {
        Some(place) => schema.pointer(place.trim_start_matches('#')).expect("a reference leads somewhere"),
        None => node,
    };
    if depth == 0 {
        return;
    }
    for (name, property) in node["properties"].as_object().into_iter().flatten() {
        found.insert(name);
        keys(schema, property, found, depth - 1);
    }
    for form in ["oneOf", "anyOf", "allOf"].into_iter().flat_map(|word| node[word].as_array().into_iter().flatten()) {
        keys(schema, form, found, depth);
    }
    for inner in [&node["additionalProperties"], &node["items"]] {
        if inner.is_object() {
            keys(schema, inner, found, depth);
        }
    }
}

#[test]
fn every_key_that_is_named_exists() {
    let schema = release::schema();
    let mut sections = BTreeMap::new();
    for (name, property) in schema["properties"].as_object().expect("the schema has properties") {
        let mut names = BTreeSet::new();
        keys(schema, property, &mut names, 6);
        sections.insert(name.as_str(), names);
    }
    assert!(sections["server"].contains("listen") && sections["routes"].contains("on_failure"), "{sections:?}");
    // A field of log lines.
    const OTHERS: [&str; 1] = ["auth.name"];
    let dotted = pattern(r"^([a-z_]+)((?:\.[A-Za-z_]+)+)$");
    let declared = pattern(r"(?s)<!-- This table is made from `PARAMS`.*?<!-- The end of the table. -->");
    let header = pattern(r"^\[{1,2}([a-z_]+)(?:\.[^\]]*)?\]{1,2}$");
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for Claims { path, text } in texts() {
        // Parameters that a script declares: `docs::scripts` holds their tables against it.
        let text = declared.replace_all(&text, "");
        for word in quoted(&text) {
            if let Some(found) = header.captures(&word) {
                if !sections.contains_key(&found[1]) {
                    wrong.push(format!("{path}: gateway.toml has no section `{word}`"));
                }
                checked += 1;
            }
            let Some(found) = dotted.captures(&word) else { continue };
            let Some(names) = sections.get(&found[1]) else { continue };
            let last = found[2].rsplit('.').next().unwrap_or_default();
            // Capitals stand for a name that the reader chooses.
            if last.chars().any(|letter| letter.is_ascii_uppercase()) {
                continue;
            }
            checked += 1;
            if !names.contains(last) && !OTHERS.contains(&word.as_str()) {
                wrong.push(format!("{path}: gateway.toml has no `{word}`"));
            }
        }
    }
    assert!(checked > 40, "{checked} keys");
    refuse(&wrong);
}

#[test]
fn every_metric_and_reason_that_is_named_exists() {
    // Some are only there once they have a label, so the names are read where they are given.
    let mut sources = Vec::new();
    files(&root().join("crates/engine/src"), ".rs", &mut sources);
    let given = pattern(r#""(hookgate_[a-z_]+)""#);
    let mut names: BTreeSet<String> = BTreeSet::new();
    for source in sources.iter().filter(|path| path.to_string_lossy().contains("telemetry")) {
        let text = fs::read_to_string(source).unwrap();
        names.extend(given.captures_iter(&text).map(|found| found[1].to_owned()));
    }
    assert!(names.len() > 20, "{names:?}");
    // A member of what Splunk gets, and a variable of an editor.
    const OTHERS: [&str; 2] = ["hookgate_key", "hookgate_client"];
    let name = pattern(r"\bhookgate_[a-z_]+\b");
    let mut wrong = Vec::new();
    for Claims { path, text } in texts() {
        for found in name.find_iter(&text).map(|found| found.as_str()).filter(|found| !OTHERS.contains(found)) {
            let endings = ["_total", "_bucket", "_sum", "_count", "_info"];
            let bare = endings.iter().find_map(|ending| found.strip_suffix(ending));
            if !names.contains(found) && !bare.is_some_and(|bare| names.contains(bare)) {
                wrong.push(format!("{path}: there is no metric `{found}`"));
            }
        }
    }
    let operations = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let row = operations.lines().find(|line| line.starts_with("| `hookgate_fallback_total`")).expect("it has a row");
    let told: BTreeSet<String> = quoted(row).into_iter().skip(3).collect();
    for reason in &FAILURE_REASONS {
        if !told.contains(reason.word) {
            wrong.push(format!("docs/operations.md: `{}` is a reason of `hookgate_fallback_total`", reason.word));
        }
    }
    wrong.extend(
        told.iter()
            .filter(|word| *word != "on_failure" && FAILURE_REASONS.iter().all(|reason| reason.word != *word))
            .map(|word| format!("docs/operations.md: `{word}` is no reason of `hookgate_fallback_total`")),
    );
    refuse(&wrong);
}

#[test]
fn every_code_of_a_finding_that_is_named_exists() {
    let code = pattern(r"^(?:script|test)/[a-z-]+$");
    let mut wrong = Vec::new();
    for Claims { path, text } in texts() {
        // A module has a name of this form, too.
        let is_module = |word: &str| root().join("crates").join(word.replacen('/', "/src/", 1)).exists();
        let named = quoted(&text).into_iter().filter(|word| code.is_match(word) && !is_module(word));
        wrong.extend(
            named.filter(|word| codes::find(word).is_none()).map(|word| format!("{path}: there is no code `{word}`")),
        );
    }
    refuse(&wrong);
}

/// Functions of others that documents name: a reader's own, one of Rhai's keywords, an editor's, a database's, and parts of the
/// descriptions of hashes.
const FUNCTIONS_OF_OTHERS: [&str; 6] = ["helper", "type_of", "refresh", "encode", "md5", "md5_raw"];

#[test]
fn every_function_that_is_named_exists() {
    let libraries = [prelude::library(), harness::library()]
        .into_iter()
        .chain(hookgate_hooks::HOOKS.iter().map(|hook| hook.library()));
    let mut known: BTreeSet<String> =
        libraries.flat_map(|library| &library.entries).map(|entry: &Entry| entry.name().to_owned()).collect();
    known.extend(builtins().iter().map(|row| row.name.to_owned()));
    known.extend(hookgate_hooks::HOOKS.iter().map(|hook| hook.entry.to_owned()));
    known.extend(FUNCTIONS_OF_OTHERS.map(str::to_owned));
    let defined = pattern(r"\bfn ([a-z_0-9]+)\(");
    let mut scripts = Vec::new();
    files(&root().join("scripts"), ".rhai", &mut scripts);
    for script in scripts {
        let text = fs::read_to_string(script).unwrap();
        known.extend(defined.captures_iter(&text).map(|found| found[1].to_owned()));
    }
    let call = pattern(r"(?:^|[ .!(\[,;])([a-z_][a-z_0-9]*)\(");
    let is_of_scripts = |path: &str| path.starts_with("docs/") || path.starts_with("scripts/") || path == "README.md";
    // Generated from the code, and full of mistakes on purpose; or about the program, not about scripts.
    let others = ["docs/mistakes.md", "docs/lint.md", "docs/mutants.md", "docs/performance.md", "docs/security.md"];
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for Claims { path, text } in texts() {
        if !is_of_scripts(&path) || others.contains(&path.as_str()) || path.starts_with("docs/decisions/") {
            continue;
        }
        let own: BTreeSet<&str> = defined.captures_iter(&text).map(|found| found.get(1).unwrap().as_str()).collect();
        for word in quoted(&text) {
            for found in call.captures_iter(&word) {
                checked += 1;
                if !known.contains(&found[1]) && !own.contains(&found[1]) {
                    wrong.push(format!("{path}: there is no function `{}`: `{word}`", &found[1]));
                }
            }
        }
    }
    assert!(checked > 200, "{checked} functions");
    refuse(&wrong);
}

/// Phrases that were true once, and phrases that readers did not understand.
const REFUSED: [&str; 13] = [
    "no durable store",
    "nothing uses it yet",
    r"not (?:built|implemented) yet",
    r"will be (?:kept|built|added) (?:later|one day)",
    r"^where events will be",
    "in a later version",
    "dear numbers?",
    "as dear as",
    "its own affair",
    r"belongs? into",
    "whose wish",
    r"the first witness to come",
    r"told of the release in force",
];

/// Everything that people read, the sources with their comments and messages among it.
fn everything() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for ending in [".md", ".rs", ".rhai", ".toml", ".txt", ".js", ".mjs", ".css"] {
        for folder in ["src", "crates", "tests", "scripts", "docs", "deploy", "benches"] {
            files(&root().join(folder), ending, &mut found);
        }
    }
    found.extend(["README.md", "ARCHITECTURE.md", "gateway.toml"].map(|name| root().join(name)));
    // This file holds the phrases.
    found.retain(|path| !path.ends_with("docs/claims.rs"));
    let text = |path: &std::path::PathBuf| Some((path.to_string_lossy().into_owned(), fs::read_to_string(path).ok()?));
    found.iter().filter_map(text).collect()
}

#[test]
fn no_text_says_what_was_true_once() {
    let refused = pattern(&format!("(?i)(?:{})", REFUSED.join("|")));
    let mut wrong = Vec::new();
    for (path, text) in everything() {
        for (number, line) in text.lines().enumerate() {
            if let Some(found) = refused.find(line) {
                wrong.push(format!("{path}:{}: `{}`", number + 1, found.as_str()));
            }
        }
    }
    refuse(&wrong);
}

#[test]
fn no_table_has_a_row_twice() {
    let mut wrong = Vec::new();
    for Claims { path, text } in texts() {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for line in text.lines() {
            if !line.starts_with('|') {
                seen.clear();
                continue;
            }
            let first = line.trim_start_matches('|').split(" | ").next().unwrap_or_default().trim();
            if !first.is_empty() && !first.starts_with("---") && !seen.insert(first) {
                wrong.push(format!("{path}: two rows `{first}`"));
            }
        }
    }
    refuse(&wrong);
}
