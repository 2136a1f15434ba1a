//! Every script of every page passes `check`, as a reader would run it: not only the engine takes it, but the lint, too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use hookgate_engine::release::build;
use hookgate_engine::release::build::Secrets;
use hookgate_engine::release::bundle::Place;
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_hooks::Hook;
use hookgate_model::finding::{Finding, Severity};
use regex::Regex;

use super::{blocks, files, markdown, root};
use crate::harness::{auths, route_of};

/// Pages whose scripts are wrong on purpose, or are tests, which other tests run.
const OTHERS: [&str; 5] = ["docs/mistakes.md", "docs/lint.md", "docs/testing.md", "docs/tests/", "docs/mutants.md"];

/// A script of a page.
struct Example {
    page: String,
    block: String,
    hook: &'static Hook,
    /// What it uses and does not say: it stands around the script.
    free: BTreeSet<String>,
}

impl Example {
    fn script(&self) -> String {
        let (entry, request) = (self.hook.entry, self.hook.parameter());
        if self.block.contains(&format!("fn {entry}(")) {
            return self.block.clone();
        }
        let nothing = if self.hook.is_for_events() { "" } else { "()" };
        if self.block.contains("fn ") {
            return format!("{}\nfn {entry}({request}) {{ {nothing} }}\n", self.block);
        }
        // A command of the hook is what its entry returns. All else is a function of its own.
        let names = [request].into_iter().chain(self.free.iter().map(String::as_str));
        let names: Vec<&str> = names.collect::<BTreeSet<_>>().into_iter().collect();
        let given = names
            .iter()
            .map(|name| if *name == request { request.to_owned() } else { format!("{request}.raw.{name}") });
        let (names, given) = (names.join(", "), given.collect::<Vec<_>>().join(", "));
        format!(
            "fn example({names}) {{\n{}\n}}\nfn {entry}({request}) {{ let _given = example({given}); {nothing} }}\n",
            self.block
        )
    }
}

fn of_a_test(block: &str) -> bool {
    block.contains("fn test_") || block.contains("run(#{")
}

fn examples() -> Vec<Example> {
    let mut found = Vec::new();
    for (path, text) in markdown() {
        let page = path.strip_prefix(root()).unwrap().display().to_string();
        if OTHERS.iter().any(|other| page.starts_with(other)) {
            continue;
        }
        for block in blocks(&text, "rhai").into_iter().filter(|block| !of_a_test(block)) {
            let of_page = path.file_stem().and_then(|name| hookgate_hooks::find(&name.to_string_lossy()));
            let of_entry = hookgate_hooks::HOOKS.iter().find(|hook| block.contains(&format!("fn {}(", hook.entry)));
            let name =
                if block.contains("event") || block.contains("forward(") { "okta.event" } else { "okta.registration" };
            let hook = of_entry.or(of_page).unwrap_or_else(|| hookgate_hooks::find(name).unwrap());
            found.push(Example { page: page.clone(), block, hook, free: BTreeSet::new() });
        }
    }
    found
}

/// The connectors that the scripts name, each of the kind that they use it as, and the tables.
fn named(examples: &[Example]) -> String {
    let lookup = Regex::new(r#"\b(http|sql|ldap|okta)\("([\w-]+)"\)"#).unwrap();
    let action = Regex::new(
        r#"\b(notify|post|put|patch|delete|email|forward|clear_sessions|suspend_user|unsuspend_user|deactivate_user|add_to_group|remove_from_group|revoke_sign_in_sessions|only_while|via)\("([\w-]+)""#,
    )
    .unwrap();
    let table = Regex::new(r#"\btable\("([\w-]+)"\)"#).unwrap();
    let (mut connectors, mut tables) = (BTreeMap::new(), BTreeSet::new());
    for example in examples {
        let of = |found: regex::Captures<'_>, at| found.get(at).unwrap().as_str().to_owned();
        lookup
            .captures_iter(&example.block)
            .for_each(|found| drop(connectors.insert(found[2].to_owned(), found[1].to_owned())));
        for found in action.captures_iter(&example.block) {
            let kind = if &found[1] == "via" { "sms_template" } else { "file" };
            connectors.entry(found[2].to_owned()).or_insert_with(|| kind.to_owned());
        }
        tables.extend(table.captures_iter(&example.block).map(|found| of(found, 1)));
    }
    let mut text = String::new();
    for (name, kind) in connectors {
        let more = match kind.as_str() {
            "http" => "base_url = \"https://api.example\"",
            "sql" => "url = \"sqlite:legacy.db\"",
            "ldap" => "url = \"ldaps://dc.example\"",
            "okta" => "org_url = \"https://example.okta.com\"\ntoken = { file = \"secrets/token\" }",
            "sms_template" => "base_url = \"https://sms.example\"\nform = { to = \"{to}\", text = \"{text}\" }",
            _ => "path = \"out.jsonl\"",
        };
        let _ = write!(text, "[connectors.{name}]\nkind = \"{kind}\"\n{more}\n");
    }
    for name in tables {
        let _ = write!(text, "[tables.{name}]\nfile = \"rows.txt\"\nkind = \"lines\"\n");
    }
    text
}

/// The errors that `check` finds.
fn errors(folder: &Path, examples: &[Example]) -> Vec<Finding> {
    let mut config = format!("{}{}", auths(examples.iter().map(|example| example.hook)), named(examples));
    for (number, example) in examples.iter().enumerate() {
        fs::write(folder.join(format!("scripts/example_{number}.rhai")), example.script()).unwrap();
        config += &route_of(example.hook, &format!("r{number}"), &format!("example_{number}.rhai"));
    }
    fs::write(folder.join("gateway.toml"), config).unwrap();
    let checked = build::check(&Place::of(&folder.join("gateway.toml")), Secrets::Skip, &Metrics::new());
    let findings = checked.err().unwrap_or_default();
    findings.into_iter().filter(|finding| finding.severity == Severity::Error).collect()
}

#[test]
fn every_script_of_every_page_passes_check() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("scripts/lib")).unwrap();
    fs::write(folder.path().join("rows.txt"), "a\n").unwrap();
    let mut shared = Vec::new();
    files(&root().join("scripts/lib"), ".rhai", &mut shared);
    for path in shared {
        fs::copy(&path, folder.path().join("scripts/lib").join(path.file_name().unwrap())).unwrap();
    }
    let mut examples = examples();
    assert!(examples.len() > 150, "only {} were found", examples.len());
    let unknown = Regex::new(r"^unknown variable `(\w+)`").unwrap();
    let mut left = Vec::new();
    // What a script does not say is given to it; behind one that is missing there may be another.
    for _ in 0..5 {
        left = errors(folder.path(), &examples);
        let mut learnt = false;
        for finding in &left {
            let number = finding.file.strip_prefix("scripts/example_").and_then(|rest| rest.strip_suffix(".rhai"));
            let found = unknown.captures(&finding.message).map(|found| found[1].to_owned());
            if let (Some(Ok(number)), Some(name)) = (number.map(str::parse::<usize>), found) {
                learnt |= examples[number].free.insert(name);
            }
        }
        if !learnt {
            break;
        }
    }
    let told = left.iter().map(|finding| {
        let number = finding.file.trim_start_matches("scripts/example_").trim_end_matches(".rhai").parse::<usize>();
        let of = number.map(|number| format!("{}\n{}", examples[number].page, examples[number].script()));
        format!("{}\n{}", finding.one_line(), of.unwrap_or_default())
    });
    let told: Vec<String> = told.collect();
    assert!(told.is_empty(), "\n{}", told.join("\n"));
}
