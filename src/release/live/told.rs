//! What the log says of a release that went live or was refused.

use tracing::{error, info, warn};

use crate::finding::{Finding, Severity};
use crate::release::Release;
use crate::release::witness::Pinned;

/// Writes what was found in a bundle, each finding at its own level, without values of tests.
pub fn log_findings(findings: &[Finding]) {
    for finding in findings {
        let (code, text) = (finding.code, finding.for_logs().one_line());
        match finding.severity {
            Severity::Error => error!(finding.code = code, finding = text, "release refused"),
            Severity::Warning => warn!(finding.code = code, finding = text, "release has a warning"),
        }
    }
}

pub(super) fn log_live(release: &Release, again: bool, pinned: Option<&Pinned>) {
    log_findings(&release.warnings);
    info!(release = release.label(), routes = release.routes.len(), again, "release is live");
    if let Some(pinned) = pinned {
        warn!(
            held = pinned.from.get(..12).unwrap_or(&pinned.from),
            by = pinned.who,
            "an earlier release is in force: what is on disk stays out until it changes, or an operator reloads"
        );
    }
    let sections = restart_sections(release);
    if !sections.is_empty() {
        warn!(sections = sections.join(", "), "configuration changed where only a restart applies it");
    }
}

/// The sections that are read at start only and that differ.
pub(super) fn restart_sections(release: &Release) -> Vec<&'static str> {
    let (old, new) = (&release.started_with, &release.config);
    let changed = [
        ("server", old.server != new.server),
        ("admin", old.admin != new.admin),
        ("store", old.store != new.store),
        ("telemetry", old.telemetry != new.telemetry),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
}
