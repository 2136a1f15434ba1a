//! What else is wrong with a bundle whose configuration has mistakes, so that everything is said at once.

use crate::config;
use crate::release::build::survey::survey;
use crate::release::build::{Secrets, assemble, read_document};
use crate::release::bundle::Place;
use crate::release::convert::known;
use crate::telemetry::metrics::Metrics;
use hookgate_model::finding::{Finding, Severity};

/// The mistakes of a configuration, and those of the scripts and tables beside it. Where only unknown keys are wrong, the
/// bundle is looked at without them; otherwise the scripts are, each by itself. Secrets are not looked for.
pub(super) fn all(place: &Place, text: &str, mut findings: Vec<Finding>) -> Vec<Finding> {
    for finding in others(place, text) {
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    findings
}

fn others(place: &Place, text: &str) -> Vec<Finding> {
    let name = place.config_name();
    let Some(document) = config::salvage(&name, text, known()) else {
        let mut findings = survey(place, None).findings;
        // What is wrong with the configuration is known, and what is unused is told by a configuration alone.
        findings.retain(|finding| finding.file != name && finding.severity == Severity::Error);
        return findings;
    };
    if document.config.routes.is_empty() {
        return Vec::new();
    }
    let assembled = read_document(place, text.to_owned(), document)
        .and_then(|reading| assemble(place, reading, None, Secrets::Skip, &Metrics::new()));
    match assembled {
        Ok(release) => release.warnings.clone(),
        Err(findings) => findings,
    }
}
