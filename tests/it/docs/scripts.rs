//! The pages of the scripts that ship: their part of `gateway.toml` loads together with the script, and the parameters that
//! they explain are those that the script lists at its head.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use hookgate::release::Release;
use hookgate::release::build;
use hookgate::release::build::Secrets;
use hookgate::release::bundle::Place;
use hookgate::telemetry::metrics::Metrics;

use super::{blocks, files, root};

/// Name and text of each page.
fn pages() -> Vec<(String, String)> {
    let mut found = Vec::new();
    files(&root().join("docs/scripts"), ".md", &mut found);
    let pages = found.iter().map(|path| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, fs::read_to_string(path).unwrap())
    });
    pages.filter(|(name, _)| name != "README").collect()
}

fn script(name: &str) -> String {
    fs::read_to_string(root().join(format!("scripts/{name}.rhai"))).unwrap_or_else(|_| panic!("no script `{name}`"))
}

/// Scripts, and the tables that come with them, in a folder of its own.
fn copied(from: &Path, to: &Path) {
    let mut found = Vec::new();
    for ending in [".rhai", ".txt", ".csv"] {
        files(from, ending, &mut found);
    }
    for path in found.iter().filter(|path| !path.to_string_lossy().ends_with("_test.rhai")) {
        let copy = to.join(path.strip_prefix(root()).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(path, copy).unwrap();
    }
}

/// What becomes of a bundle with this `gateway.toml`, beside the `[auth.okta]` that every bundle has.
fn loaded(page: &str, config: &str) -> Release {
    let folder = tempfile::tempdir().unwrap();
    copied(&root().join("scripts"), folder.path());
    copied(&root().join("tables"), folder.path());
    let auth =
        "[auth.okta]\nscheme = \"header\"\nheader = \"authorization\"\nsecrets = [{ file = \"secrets/okta\" }]\n";
    let place = Place::of(&folder.path().join("gateway.toml"));
    fs::write(folder.path().join("gateway.toml"), format!("{config}\n{auth}")).unwrap();
    build::check(&place, Secrets::Skip, &Metrics::new())
        .unwrap_or_else(|findings| panic!("docs/scripts/{page}.md: {findings:#?}\n{config}"))
}

#[test]
fn what_a_page_has_for_gateway_toml_loads_with_its_script() {
    let pages = pages();
    assert!(pages.len() >= 6, "only {} pages were found", pages.len());
    for (name, text) in pages {
        let parts = blocks(&text, "toml");
        assert!(!parts.is_empty(), "docs/scripts/{name}.md has nothing for gateway.toml");
        for part in parts {
            let release = loaded(&name, &part);
            let file = format!("{name}.rhai");
            let of_rules =
                release.config.routes.values().flat_map(|route| route.rules.values().map(|rule| &rule.script));
            let mut run = release.config.routes.values().filter_map(|route| route.script.as_ref()).chain(of_rules);
            assert!(run.any(|script| *script == file), "{name}: no route or rule runs {file}\n{part}");
            let warnings = release.warnings.iter().filter(|warning| !warning.code.starts_with("script/"));
            let warnings: Vec<_> = warnings.filter(|warning| warning.code != "config/unused-connector").collect();
            assert!(warnings.is_empty(), "docs/scripts/{name}.md: {warnings:#?}");
        }
    }
}

/// The words in code of the first column of the page's table.
fn explained(name: &str, text: &str) -> BTreeSet<String> {
    let table =
        text.split("\n## Parameters\n").nth(1).unwrap_or_else(|| panic!("docs/scripts/{name}.md: no `## Parameters`"));
    let table = table.split("\n## ").next().unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next()).map(str::to_owned).collect()
}

/// The parameters at the head of the script: `//   name  what it is`, three blanks in.
fn listed(script: &str) -> BTreeSet<String> {
    let head = script.lines().take_while(|line| line.starts_with("//"));
    let rows = head.skip_while(|line| !line.starts_with("// Parameters")).filter_map(|line| line.strip_prefix("//   "));
    let rows = rows.filter(|row| row.starts_with(|letter: char| letter.is_ascii_lowercase()) && row.contains(' '));
    rows.filter_map(|row| row.split([' ', ',']).next()).map(str::to_owned).collect()
}

#[test]
fn a_page_explains_the_parameters_that_its_script_has() {
    for (name, text) in pages() {
        let (explained, listed) = (explained(&name, &text), listed(&script(&name)));
        assert!(!listed.is_empty(), "scripts/{name}.rhai lists no parameters");
        assert_eq!(explained, listed, "docs/scripts/{name}.md and the head of scripts/{name}.rhai");
        let mut code = script(&name);
        let mut shared = Vec::new();
        files(&root().join("scripts/lib"), ".rhai", &mut shared);
        code.extend(shared.iter().map(|path| fs::read_to_string(path).unwrap()));
        for parameter in listed {
            assert!(code.contains(&format!("params.{parameter}")), "scripts/{name}.rhai never reads `{parameter}`");
        }
    }
}

#[test]
fn a_page_draws_who_calls_whom_and_says_what_breaks() {
    for (name, text) in pages() {
        assert_eq!(blocks(&text, "mermaid").len(), 1, "docs/scripts/{name}.md");
        assert!(text.contains("\n## When something breaks\n"), "docs/scripts/{name}.md");
        assert!(text.starts_with(&format!("# {name}\n")), "docs/scripts/{name}.md");
    }
}

#[test]
fn every_script_that_answers_calls_has_a_page() {
    let pages: BTreeSet<String> = pages().into_iter().map(|(name, _)| name).collect();
    let readme = fs::read_to_string(root().join("scripts/README.md")).unwrap();
    let place = Place::of(&root().join("gateway.toml"));
    let release =
        build::check(&place, Secrets::Skip, &Metrics::new()).unwrap_or_else(|findings| panic!("{findings:#?}"));
    for route in release.config.routes.values() {
        let Some(script) = &route.script else { continue };
        let name = script.trim_end_matches(".rhai");
        assert!(pages.contains(name), "`{name}` has no page in docs/scripts");
        assert!(readme.contains(&format!("](../docs/scripts/{name}.md)")), "scripts/README.md does not lead to it");
    }
}
