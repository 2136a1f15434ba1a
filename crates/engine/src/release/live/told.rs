//! What the log says of a release that went live or was refused.

use tracing::{error, info, warn};

use crate::release::Release;
use crate::release::witness::Pinned;
use hookgate_model::finding::{Finding, Severity};

/// Findings of one kind that are written whole; of others it is said how many there are.
const SHOWN: usize = 3;

/// Writes why a release was refused, without values of tests: the first errors, how many more there are, and what shows all.
pub fn log_refused(findings: &[Finding]) {
    let of = |severity| findings.iter().filter(move |finding| finding.severity == severity);
    for finding in of(Severity::Error).take(SHOWN) {
        error!(finding.code = finding.code, finding = finding.for_logs().one_line(), "release refused");
    }
    let (errors, warnings) = (of(Severity::Error).count(), of(Severity::Warning).count());
    if errors > SHOWN {
        let tests = of(Severity::Error).all(|finding| finding.code.starts_with("test/"));
        let see = if tests { "hookgate test" } else { "hookgate check --tests" };
        error!(errors, warnings, see, "there are more errors: the command shows all");
    }
}

/// Writes what a release in force warns of.
fn log_warnings(warnings: &[Finding]) {
    for finding in warnings.iter().take(SHOWN) {
        warn!(finding.code = finding.code, finding = finding.for_logs().one_line(), "release has a warning");
    }
    if warnings.len() > SHOWN {
        warn!(warnings = warnings.len(), see = "hookgate check", "there are more warnings: the command shows all");
    }
}

pub(super) fn log_live(release: &Release, again: bool, pinned: Option<&Pinned>) {
    log_warnings(&release.warnings);
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
        ("server", old.server.needs_restart(&new.server)),
        ("admin", old.admin != new.admin),
        ("store", old.store != new.store),
        ("telemetry", old.telemetry != new.telemetry),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
}
