//! What else is wrong with a bundle whose configuration has mistakes: `check` says everything at once.

use crate::config;
use crate::finding::Finding;
use crate::release::build::survey::survey;
use crate::release::build::{Secrets, assemble, read_document};
use crate::release::bundle::Place;
use crate::release::convert::known;
use crate::release::panics;
use crate::telemetry::metrics::Metrics;

/// The findings about scripts, tables and secrets of a bundle that [`read`](crate::release::build::read) refused. Where only
/// unknown keys were wrong, the bundle is looked at without them; otherwise the scripts are, each by itself.
pub fn findings(place: &Place, secrets: Secrets) -> Vec<Finding> {
    panics::caught(&place.config_name(), || looked(place, secrets)).unwrap_or_default()
}

fn looked(place: &Place, secrets: Secrets) -> Vec<Finding> {
    let name = place.config_name();
    let Ok(text) = place.read_config() else { return Vec::new() };
    let Some(document) = config::salvage(&name, &text, known()) else {
        let mut findings = survey(place, None).findings;
        // What is wrong with the file is known.
        findings.retain(|finding| finding.file != name);
        return findings;
    };
    let reading = match read_document(place, text, document) {
        Ok(reading) => reading,
        Err(findings) => return findings,
    };
    match assemble(place, reading, None, secrets, &Metrics::new()) {
        Ok(release) => release.warnings.clone(),
        Err(findings) => findings,
    }
}
