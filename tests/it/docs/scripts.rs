//! The pages of the scripts that ship: their part of `gateway.toml` loads together with the script, and the parameters that
//! they explain are those that the script lists at its head.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use hookgate::cli::docs::pages::Page;
use hookgate::cli::docs::parameters;
use hookgate_engine::release::Release;
use hookgate_engine::release::build;
use hookgate_engine::release::build::Secrets;
use hookgate_engine::release::bundle::Place;
use hookgate_engine::telemetry::metrics::Metrics;

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

/// What stands before and after the table of a script's parameters.
const BEFORE: &str =
    "<!-- This table is made from `PARAMS` of the script: `UPDATE=1 cargo test --test it docs` writes it anew. -->\n";
const AFTER: &str = "<!-- The end of the table. -->\n";

/// The pages with the tables that their scripts declare.
pub(super) fn filled() -> Vec<Page> {
    let fill = |(name, text): (String, String)| {
        let parts = text.split_once(BEFORE).and_then(|(head, rest)| Some((head, rest.split_once(AFTER)?.1)));
        let (head, tail) = parts.unwrap_or_else(|| panic!("docs/scripts/{name}.md has no place for the table"));
        let table = parameters::table(&script(&name)).unwrap_or_else(|| panic!("scripts/{name}.rhai declares nothing"));
        Page { path: format!("scripts/{name}.md"), text: format!("{head}{BEFORE}{table}{AFTER}{tail}") }
    };
    pages().into_iter().map(fill).collect()
}

#[test]
fn the_program_prints_the_parameters_of_a_script() {
    let docs = |arguments: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_hookgate"));
        program.current_dir(root()).arg("docs").args(arguments).output().unwrap()
    };
    let text = |output: Output| String::from_utf8(output.stdout).unwrap();
    let page = text(docs(&["telephony.rhai"]));
    for part in
        ["Parameters of telephony.rhai", "limits.per_number  rate", "providers[].via  connector for `via`; required"]
    {
        assert!(page.contains(part), "`{part}` is missing in\n{page}");
    }
    let table = parameters::table(&script("telephony")).unwrap();
    assert_eq!(text(docs(&["telephony.rhai", "--markdown"])), table);
    let json: serde_json::Value = serde_json::from_str(&text(docs(&["telephony.rhai", "--json"]))).unwrap();
    assert_eq!(json["parameters"][0]["name"], "default_region");
    assert_eq!(json["schema"]["properties"]["block_mode"]["enum"], serde_json::json!(["swallow", "let_okta_send"]));
    let schema: serde_json::Value = serde_json::from_str(&text(docs(&["--schema"]))).unwrap();
    let conditions = schema["definitions"]["Route"]["allOf"].as_array().unwrap();
    assert!(
        conditions.iter().any(|one| one["if"]["properties"]["script"]["const"] == "telephony.rhai"),
        "{conditions:#?}"
    );
    let unknown = docs(&["group_joined.rhai"]);
    assert!(!unknown.status.success());
    assert!(
        String::from_utf8_lossy(&unknown.stderr).contains("no script `group_joined.rhai` that declares"),
        "{unknown:?}"
    );
}

#[test]
fn every_shipped_script_that_reads_parameters_declares_them() {
    let mut found = Vec::new();
    files(&root().join("scripts"), ".rhai", &mut found);
    let mut declared = 0;
    for path in found.iter().filter(|path| !path.to_string_lossy().ends_with("_test.rhai")) {
        let text = fs::read_to_string(path).unwrap();
        let is_shared = path.parent().unwrap().ends_with("lib");
        let declares = parameters::table(&text).is_some();
        declared += usize::from(declares);
        assert!(declares || !text.contains("params.") || is_shared, "{} declares nothing", path.display());
    }
    assert!(declared >= 13, "only {declared} scripts declare parameters");
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
