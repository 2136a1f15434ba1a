//! Findings as SARIF 2.1.0 (OASIS), the form that code-scanning services take.

use std::collections::BTreeSet;
use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::cli::docs::codes;
use hookgate_model::finding::{Finding, Severity};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What a path may hold as it is in a URI.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~');

/// The log of one check. Files are named from the working directory, as services expect, where the bundle is below it.
pub(super) fn log(findings: &[Finding], root: &Path) -> Value {
    let codes: Vec<&str> = findings.iter().map(|finding| finding.code).collect::<BTreeSet<_>>().into_iter().collect();
    let rules: Vec<Value> = codes.iter().map(|code| rule(code)).collect();
    let results: Vec<Value> = findings.iter().map(|finding| result(finding, &codes, root)).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "hookgate", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// What a service shows beside every finding of this code.
fn rule(id: &str) -> Value {
    let Some(code) = codes::find(id).filter(|code| code.code == id) else { return json!({ "id": id }) };
    let mut help = format!("{}\n\n{}", code.why, code.stage.about());
    for (title, script) in [("Not so", code.bad), ("So", code.good)] {
        if !script.is_empty() {
            help.push_str(&format!("\n\n{title}:\n\n```rhai\n{}\n```", script.trim()));
        }
    }
    json!({
        "id": id,
        "shortDescription": { "text": code.title },
        "fullDescription": { "text": code.why },
        "help": { "text": code.why, "markdown": help },
    })
}

fn result(finding: &Finding, codes: &[&str], root: &Path) -> Value {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut text = finding.key.as_ref().map(|key| format!("`{key}`: ")).unwrap_or_default();
    text.push_str(&finding.message);
    if let Some(help) = &finding.help {
        text.push_str(&format!(" ({help})"));
    }
    let mut result = json!({
        "ruleId": finding.code,
        "ruleIndex": codes.iter().position(|code| *code == finding.code),
        "level": level,
        "message": { "text": text },
        "locations": [{ "physicalLocation": place(finding, root) }],
    });
    if !finding.called_from.is_empty() {
        let calls = finding.called_from.iter().map(|(file, line, function)| {
            json!({
                "physicalLocation": {
                    "artifactLocation": { "uri": uri(file, root) },
                    "region": { "startLine": line },
                },
                "message": { "text": format!("called by `{function}`") },
            })
        });
        result["relatedLocations"] = calls.collect();
    }
    result
}

fn place(finding: &Finding, root: &Path) -> Value {
    let mut place = json!({ "artifactLocation": { "uri": uri(&finding.file, root) } });
    if finding.line > 0 {
        let mut region = json!({ "startLine": finding.line });
        if finding.column > 0 {
            region["startColumn"] = finding.column.into();
            region["endColumn"] = (finding.column + finding.length.max(1)).into();
        }
        place["region"] = region;
    }
    place
}

fn uri(file: &str, root: &Path) -> String {
    let path = root.join(file);
    let here = std::env::current_dir().unwrap_or_default();
    let path = path.strip_prefix(&here).unwrap_or(&path);
    let path = path.strip_prefix(".").unwrap_or(path);
    let escaped = utf8_percent_encode(&path.to_string_lossy(), ESCAPED).to_string();
    if path.is_absolute() { format!("file://{escaped}") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_becomes_a_result_with_rule_level_and_region() {
        let finding = Finding::warning("script/x", "scripts/a b.rhai", "odd").at("let x = 1;", 1, 5).help("drop it");
        let log = log(&[finding], Path::new("."));
        let expected = json!({
            "ruleId": "script/x",
            "ruleIndex": 0,
            "level": "warning",
            "message": { "text": "odd (drop it)" },
            "locations": [{ "physicalLocation": {
                "artifactLocation": { "uri": "scripts/a%20b.rhai" },
                "region": { "startLine": 1, "startColumn": 5, "endColumn": 6 },
            }}],
        });
        assert_eq!(log["runs"][0]["results"][0], expected);
        assert_eq!(log["runs"][0]["tool"]["driver"]["rules"], json!([{ "id": "script/x" }]));
    }

    #[test]
    fn a_finding_without_a_place_names_the_file_alone() {
        let log = log(&[Finding::error("config/x", "gateway.toml", "m")], Path::new("bundle"));
        let place = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
        assert_eq!(place, &json!({ "artifactLocation": { "uri": "bundle/gateway.toml" } }));
    }

    #[test]
    fn a_bundle_elsewhere_is_named_by_a_file_uri() {
        assert_eq!(uri("gateway.toml", Path::new("/no/such place")), "file:///no/such%20place/gateway.toml");
    }
}
