//! The release in force, and what is known of the files on disk.
//!
//! Swapping is one pointer. A refused release changes nothing but the status, which says why until it is mended.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use serde::Serialize;
use tracing::{error, info, warn};

use crate::finding::{Finding, Severity};
use crate::release::Release;
use crate::release::build;
use crate::release::build::{Reading, Secrets};
use crate::release::bundle::Place;
use crate::release::gate::{Gate, Pace, Tested};
use crate::telemetry::metrics::Metrics;

/// Files that no writer touched for this long are whole.
const BETWEEN_READINGS: Duration = Duration::from_millis(20);
/// What changes all the time must not keep everything else from going live.
const READINGS: usize = 10;

/// Holds the release in force. One per gateway.
pub struct Live {
    current: ArcSwapOption<Release>,
    status: Mutex<Status>,
    /// One reload at a time: two would race for which is last.
    reloading: Mutex<()>,
    metrics: Arc<Metrics>,
    gate: Gate,
}

/// What `/api/v1/status` says about releases.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// Hash of the release in force.
    pub running: Option<String>,
    /// Hash of what is on disk; absent while it cannot be read.
    pub on_disk: Option<String>,
    pub state: State,
    /// Why what is on disk was refused.
    pub error: Vec<Finding>,
    pub warnings: Vec<Finding>,
    pub activated_at: Option<String>,
    /// Sections of the configuration that changed and take effect at the next start.
    pub needs_restart: Vec<&'static str>,
    /// The tests of what was tested last: of the release in force, or of the one that was refused.
    pub tests: Tested,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// What is on disk is in force.
    Current,
    /// What is on disk was refused; the one before is in force.
    Refused,
    /// A release is being built.
    #[default]
    Building,
}

/// What a reload did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    Activated,
    Unchanged,
    Refused,
}

impl Live {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let (status, reloading, gate) = Default::default();
        Self { current: ArcSwapOption::empty(), status, reloading, metrics, gate }
    }

    /// The release in force.
    pub fn current(&self) -> Option<Arc<Release>> {
        self.current.load_full()
    }

    pub fn status(&self) -> Status {
        self.lock().clone()
    }

    /// Reads the bundle, and puts it in force if it is good and new. Blocks while it builds.
    pub fn reload(&self, place: &Place) -> Reloaded {
        let _one = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.current();
        if let Some(before) = &before {
            before.rotate_secrets();
        }
        let reading = match build::read(place) {
            Ok(reading) => reading,
            Err(findings) => return self.refuse(None, findings),
        };
        let hash = reading.hash.clone();
        let known = self.lock().clone();
        if known.state == State::Current && known.running.as_deref() == Some(&hash) {
            return Reloaded::Unchanged;
        }
        let reading = match steady(place, reading, before.is_some()) {
            Ok(reading) => reading,
            Err(findings) => return self.refuse(None, findings),
        };
        let hash = reading.hash.clone();
        match build::assemble(place, reading, before.as_deref(), Secrets::Load, &self.metrics) {
            Ok(release) => {
                let pace = if before.is_some() { Pace::Beside } else { Pace::Start };
                self.admit(release, before.as_deref(), pace)
                    .unwrap_or_else(|findings| self.refuse(Some(hash), findings))
            }
            Err(findings) => self.refuse(Some(hash), findings),
        }
    }

    /// Puts a release in force if its tests pass.
    ///
    /// # Errors
    /// Which tests failed, and why.
    pub fn admit(&self, mut release: Release, before: Option<&Release>, pace: Pace) -> Result<Reloaded, Vec<Finding>> {
        let examined = self.gate.examine(&release, pace);
        self.metrics.set_failed_tests(&examined.failed_by_script);
        self.lock().tests = examined.tested.clone();
        if !examined.errors.is_empty() {
            return Err(examined.errors);
        }
        release.warnings.extend(examined.warnings.iter().cloned());
        self.gate.keep(&examined);
        Ok(self.activate(release, before))
    }

    /// Puts a release in force, tested or not.
    pub fn activate(&self, release: Release, before: Option<&Release>) -> Reloaded {
        let needs_restart = before.map_or_else(Vec::new, |before| restart_sections(before, &release));
        let hash = release.hash.clone();
        let warnings = release.warnings.clone();
        let (routes, label) = (release.routes.len(), release.label().to_owned());
        let same = before.is_some_and(|before| before.hash == hash);
        release.start();
        self.current.store(Some(Arc::new(release)));
        let mut status = self.lock();
        *status = Status {
            tests: std::mem::take(&mut status.tests),
            running: Some(hash.clone()),
            on_disk: Some(hash.clone()),
            state: State::Current,
            error: Vec::new(),
            warnings: warnings.clone(),
            activated_at: Some(Timestamp::now().to_string()),
            needs_restart: needs_restart.clone(),
        };
        drop(status);
        self.metrics.reloads.inc("activated");
        self.metrics.set_release(&hash);
        log_findings(&warnings);
        info!(release = label, routes, again = same, "release is live");
        if !needs_restart.is_empty() {
            warn!(sections = needs_restart.join(", "), "configuration changed where only a restart applies it");
        }
        Reloaded::Activated
    }

    fn refuse(&self, on_disk: Option<String>, findings: Vec<Finding>) -> Reloaded {
        let mut status = self.lock();
        let news = status.error != findings || status.state != State::Refused;
        status.on_disk = on_disk;
        status.state = State::Refused;
        status.error.clone_from(&findings);
        drop(status);
        self.metrics.reloads.inc("refused");
        // The files are tried again on a timer; the log repeats only what is new.
        if news {
            log_findings(&findings);
        }
        Reloaded::Refused
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads until two readings agree: one in the middle of a save would mix files from before and after it. At the start
/// nobody waits, and nothing runs yet that must not be replaced by a mix.
///
/// # Errors
/// What cannot be read, and every mistake of the configuration.
pub fn steady(place: &Place, mut reading: Reading, running: bool) -> Result<Reading, Vec<Finding>> {
    for _ in 0..if running { READINGS } else { 0 } {
        std::thread::sleep(BETWEEN_READINGS);
        let again = build::read(place)?;
        if again.hash == reading.hash {
            return Ok(again);
        }
        reading = again;
    }
    Ok(reading)
}

/// Writes what was found in a bundle, each finding at its own level.
pub fn log_findings(findings: &[Finding]) {
    for finding in findings {
        let (code, text) = (finding.code, finding.one_line());
        match finding.severity {
            Severity::Error => error!(finding.code = code, finding = text, "release refused"),
            Severity::Warning => warn!(finding.code = code, finding = text, "release has a warning"),
        }
    }
}

/// The sections that are read at start only and that differ.
fn restart_sections(before: &Release, after: &Release) -> Vec<&'static str> {
    let (old, new) = (&before.started_with, &after.config);
    let changed = [
        ("server", old.server != new.server),
        ("admin", old.admin != new.admin),
        ("store", old.store != new.store),
        ("telemetry", old.telemetry != new.telemetry),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
}
