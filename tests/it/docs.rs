//! The documents: generated pages are fresh, links lead somewhere, scripts compile, and what the README tells a reader to
//! type works. `UPDATE=1` writes the generated pages anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use hookgate::admin;
use hookgate::cli::docs::pages;
use hookgate::cli::docs::pages::Page;
use hookgate::cli::output;
use hookgate_engine::release::build::survey;
use hookgate_engine::release::bundle::Place;
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_script::engine;

use crate::harness::{TestGateway, route, sender};
use crate::mistakes;

mod api;
mod checked;
mod claims;
mod connectors;
mod deploying;
mod examples;
mod first_rule;
mod readme;
mod scripts;
mod shapes;
mod testing;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files below `folder` that end like this, without what is hidden or built.
pub fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" && name != "node_modules" {
                files(&path, ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

fn markdown() -> Vec<(PathBuf, String)> {
    LazyLock::force(&STALE);
    let mut found = Vec::new();
    files(root(), ".md", &mut found);
    assert!(found.iter().any(|path| path.ends_with("README.md")), "{found:?}");
    found.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<(bool, String)> = None;
    for line in text.lines() {
        match (&mut block, line.trim_start().strip_prefix("```")) {
            (None, Some(info)) => block = Some((info == language, String::new())),
            (Some((wanted, code)), Some(_)) => {
                if *wanted {
                    blocks.push(std::mem::take(code));
                }
                block = None;
            }
            (Some((_, code)), None) => *code += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    blocks
}

/// The generated pages that were stale. With `UPDATE=1` they are no longer: every test that reads the folder asks first.
static STALE: LazyLock<Vec<String>> = LazyLock::new(|| {
    let docs = root().join("docs");
    let update = std::env::var_os("UPDATE").is_some();
    let mut stale = Vec::new();
    let mut wanted = BTreeSet::new();
    let mistakes = Page { path: "mistakes.md".into(), text: mistakes::page() };
    let api = admin::api::document().to_pretty_json().expect("the document is JSON") + "\n";
    let api = Page { path: "openapi.json".into(), text: api };
    let place = Place::of(&root().join("gateway.toml"));
    let schema = output::pretty(&survey::survey(&place, None).schema()) + "\n";
    let schema = Page { path: "gateway.schema.json".into(), text: schema };
    for page in pages::all().into_iter().chain([mistakes, api, schema]).chain(scripts::filled()) {
        let path = docs.join(&page.path);
        wanted.insert(path.clone());
        if fs::read_to_string(&path).is_ok_and(|text| text == page.text) {
            continue;
        }
        stale.push(page.path);
        if update {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, page.text).unwrap();
        }
    }
    let mut found = Vec::new();
    files(&docs.join("hooks"), ".md", &mut found);
    files(&docs.join("connectors"), ".md", &mut found);
    files(&docs.join("functions"), ".md", &mut found);
    files(&docs.join("tests"), ".md", &mut found);
    for path in found.into_iter().filter(|path| !wanted.contains(path)) {
        stale.push(path.display().to_string());
        if update {
            fs::remove_file(path).unwrap();
        }
    }
    if update { Vec::new() } else { stale }
});

#[test]
fn generated_pages_are_fresh() {
    assert!(STALE.is_empty(), "run `UPDATE=1 cargo test --test it docs`, and look at the difference: {:?}", *STALE);
}

#[test]
fn the_program_prints_the_page_of_a_hook() {
    let hook = hookgate_hooks::find("okta.token").unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_hookgate"));
    let output = program.args(["docs", "--markdown", hook.name]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), pages::of_hook(hook));
}

#[test]
fn links_lead_to_files_that_are_there() {
    let link = regex::Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut broken = Vec::new();
    let mut checked = 0;
    for (path, text) in markdown() {
        let prose: String = text.split("```").step_by(2).collect();
        for target in link.captures_iter(&prose).map(|found| found.get(1).unwrap().as_str().to_owned()) {
            let (file, heading) = target.split_once('#').unwrap_or((&target, ""));
            if file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            checked += 1;
            let there = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let text = fs::read_to_string(&there).ok();
            let found = there.exists() && (heading.is_empty() || text.is_some_and(|text| has_heading(&text, heading)));
            if !found {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
    assert!(checked > 20, "only {checked} links were found");
}

/// As code forges make anchors of headings.
pub fn has_heading(text: &str, anchor: &str) -> bool {
    text.lines().filter_map(|line| line.strip_prefix('#')).any(|heading| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.collect::<String>().replace(' ', "-") == anchor
    })
}

#[tokio::test]
async fn scripts_in_the_documents_compile() {
    let mut whole = 0;
    for (path, text) in markdown() {
        for block in blocks(&text, "rhai") {
            let hook = hookgate_hooks::HOOKS.iter().find(|hook| block.contains(&format!("fn {}(", hook.entry)));
            match hook.filter(|hook| !hook.is_for_events()) {
                Some(hook) => {
                    whole += 1;
                    goes_live(hook, &block);
                }
                None => {
                    let tests = path.starts_with(root().join("docs/tests")) || block.contains("fn test_");
                    let dialect = if tests { engine::Dialect::Test } else { engine::Dialect::Script };
                    let compiled = engine::parser(dialect).compile(&block);
                    assert!(compiled.is_ok(), "{}: {compiled:?} in\n{block}", path.display());
                }
            }
        }
    }
    assert!(whole > 5, "only {whole} whole scripts were found");
}

/// Fails unless the script passes everything that a release must pass.
fn goes_live(hook: &hookgate_hooks::Hook, script: &str) {
    // A script that declares parameters says at its top which it is given.
    let params = match script.lines().next().and_then(|line| line.strip_prefix("// gateway.toml: ")) {
        Some(written) => written,
        None if script.contains("const PARAMS") => "",
        None => "params = { partner_domains = [\"partner.example\"] }",
    };
    let config = format!(
        "[tables.disposable]\nfile = \"disposable.txt\"\nkind = \"domains\"\n\
         [connectors.chat]\nkind = \"file\"\npath = \"chat.jsonl\"\n\
         [connectors.alerts]\nkind = \"file\"\npath = \"alerts.jsonl\"\n\
         [connectors.hr]\nkind = \"http\"\nbase_url = \"https://hr.example\"\n\
         [connectors.shop]\nkind = \"http\"\nbase_url = \"https://shop.example\"\n\
         {}{params}\n",
        route(hook)
    );
    let config = format!("{config}{}", ["acme", "other", "codes"].map(sender).concat());
    let mut shared = Vec::new();
    files(&root().join("scripts/lib"), ".rhai", &mut shared);
    let shared = shared.iter().map(|path| {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
        (name, fs::read_to_string(path).unwrap())
    });
    let mut bundle = vec![("scripts/hook.rhai", script.to_owned()), ("disposable.txt", "mailinator.com\n".to_owned())];
    bundle.extend(shared);
    let bundle: Vec<(&str, &str)> = bundle.iter().map(|(name, text)| (*name, text.as_str())).collect();
    TestGateway::bundle(&config, &bundle);
}

#[test]
fn every_metric_is_explained() {
    let operations = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let metrics = Metrics::new();
    metrics.set_release("hash");
    metrics.set_certificate_expiry(0);
    let page = metrics.encode();
    let names: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
    assert!(names.len() > 8, "{page}");
    for name in names {
        assert!(operations.contains(name), "`{name}` is not in docs/operations.md");
    }
}
