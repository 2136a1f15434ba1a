//! The release in force, and what is known of the files on disk.
//!
//! Swapping is one pointer. A refused release changes nothing but the status, which says why until it is mended.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::failpoint;
use crate::finding::Finding;
use crate::release::Release;
use crate::release::attempts::Attempts;
use crate::release::build;
use crate::release::build::{Reading, Secrets};
use crate::release::bundle::{Content, Place};
use crate::release::gate::{Gate, Pace, Tested};
use crate::release::live::resting::Resting;
use crate::release::live::told::{log_findings, log_live, restart_sections};
use crate::release::panics;
use crate::release::witness::{Activated, Cause, Pinned, Refused, Seen, Witness};
use crate::telemetry::metrics::Metrics;

mod resting;
pub mod told;

/// Files that no writer touched for this long are whole.
const BETWEEN_READINGS: Duration = Duration::from_millis(20);
/// A bundle that is being written is read again until it is whole. One that changes for several seconds without a pause is taken
/// as it is: what changes all the time must not keep everything else from going live.
const READINGS: usize = 100;

/// Holds the release in force. One per gateway.
pub struct Live {
    current: ArcSwapOption<Release>,
    status: Mutex<Status>,
    /// One reload at a time: two would race for which is last. A rollback does not wait for one, which may run tests for long.
    reloading: Mutex<()>,
    looks: AtomicU64,
    /// How many releases have gone live. Held while one does, so that all hear of them in one order.
    turn: Mutex<u64>,
    witness: OnceLock<Box<dyn Witness>>,
    /// What went live last while there was no witness.
    untold: Mutex<Option<Seen>>,
    metrics: Arc<Metrics>,
    gate: Gate,
    attempts: Attempts,
    resting: Resting,
}

/// What `/api/v1/status` says about releases.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = ReleaseStatus)]
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
    /// Why what is on disk is not in force although nothing is wrong with it: an operator went back to an earlier release.
    pub pinned: Option<Pinned>,
    /// Files of secrets whose newest content cannot be used, and why; the secret that was read before is still in use.
    pub refused_secrets: Vec<String>,
    /// Sections of the configuration that changed and take effect at the next start.
    pub needs_restart: Vec<&'static str>,
    /// The tests of what was tested last: of the release in force, or of the one that was refused.
    pub tests: Tested,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ReleaseState)]
pub enum State {
    /// What is on disk is in force.
    Current,
    /// What is on disk was refused; the one before is in force.
    Refused,
    /// An operator went back to an earlier release; what is on disk stays out until it changes.
    Pinned,
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

/// Whose wish it is that the files are looked at.
#[derive(Clone, Copy)]
enum Asked<'a> {
    /// Nobody's: they may have changed.
    Files,
    /// Nobody's, and nobody noticed a change.
    Timer,
    /// An operator's, who wants what is on disk whatever was pinned.
    By(&'a str),
}

/// What puts a release in force.
struct Going<'a> {
    who: &'a str,
    cause: Cause,
    pinned: Option<Pinned>,
    tests: Option<Tested>,
    before: Option<&'a Release>,
    /// The turn that it was built in; if another one has come since, it does not go live. Nothing: it goes live anyway.
    turn: Option<u64>,
}

impl Live {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let (status, reloading, looks, turn, witness, untold, gate, attempts, resting) = Default::default();
        let current = ArcSwapOption::empty();
        Self { current, status, reloading, looks, turn, witness, untold, metrics, gate, attempts, resting }
    }

    /// The same, but a release that ends the process is remembered.
    #[must_use]
    pub fn remembering(self, attempts: Attempts) -> Self {
        Self { attempts, ..self }
    }

    /// Which releases are being built.
    pub fn attempts(&self) -> &Attempts {
        &self.attempts
    }

    /// Has this one told of the release in force, and of every one from now on. The first witness to come stays.
    pub fn tell(&self, witness: Box<dyn Witness>) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.witness.set(witness);
        let untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner).take();
        untold.into_iter().for_each(|seen| self.told(seen));
    }

    fn told(&self, seen: Seen) {
        match self.witness.get() {
            Some(witness) => witness.saw(seen),
            None if matches!(seen, Seen::Activated(_)) => {
                *self.untold.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
            }
            None => {}
        }
    }

    /// The release in force.
    pub fn current(&self) -> Option<Arc<Release>> {
        self.current.load_full()
    }

    pub fn status(&self) -> Status {
        self.lock().clone()
    }

    /// Puts the first release in force if its tests pass; a pinned one, which was in force before, without them.
    ///
    /// # Errors
    /// Which tests failed, and why.
    pub fn start(&self, release: Release, pinned: Option<Pinned>) -> Result<(), Vec<Finding>> {
        let going = Going { who: "start", cause: Cause::Start, pinned, tests: None, before: None, turn: None };
        match going.pinned {
            Some(_) => self.activate(release, going),
            None => self.admit(release, Pace::Start, going)?,
        };
        Ok(())
    }

    /// Reads the bundle, and puts it in force if it is good and new. Blocks while it builds.
    pub fn reload(&self, place: &Place) -> Reloaded {
        self.look(place, Asked::Files)
    }

    /// The same where no change was noticed, only time has passed: what was refused is not built again at every look.
    pub fn look_again(&self, place: &Place) -> Reloaded {
        self.look(place, Asked::Timer)
    }

    /// The same by order of `who`: what is on disk goes live, if it is good, although an earlier release was pinned.
    pub fn reload_for(&self, place: &Place, who: &str) -> Reloaded {
        self.look(place, Asked::By(who))
    }

    /// Builds a release again that was in force before, puts it there and pins it: what is on disk now does not go live until
    /// it changes. Its tests are not run. Blocks while it builds, and waits for no reload.
    ///
    /// # Errors
    /// Why it cannot be built any more: a secret that is gone, a word that this version does not know. Nothing has changed.
    pub fn roll_back(&self, place: &Place, content: Content, who: &str) -> Result<(), Vec<Finding>> {
        let before = self.current();
        let reading = build::again(place, content)?;
        let _building = self.attempts.begin(&reading.hash)?;
        let release = build::assemble(place, reading, before.as_deref(), Secrets::Load, &self.metrics)?;
        let on_disk = build::read(place).and_then(|reading| steady(place, reading, true)).map(|reading| reading.hash);
        let known = self.status();
        let on_disk = on_disk.ok().or(known.on_disk).or(known.running).filter(|hash| *hash != release.hash);
        let pinned = on_disk.map(|from| Pinned {
            to: release.hash.clone(),
            from,
            // As the store will tell it, to the millisecond.
            since: Timestamp::now().round(jiff::Unit::Millisecond).unwrap_or_default().to_string(),
            who: who.to_owned(),
        });
        let before = before.as_deref();
        self.activate(release, Going { who, cause: Cause::RolledBack, pinned, tests: None, before, turn: None });
        Ok(())
    }

    /// How often the files were read to see whether they changed.
    pub fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }

    fn look(&self, place: &Place, asked: Asked<'_>) -> Reloaded {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let _one = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match panics::apart(&place.config_name(), || self.try_reload(place, asked)) {
                Ok(Some(reloaded)) => return reloaded,
                Ok(None) => {}
                Err(findings) => return self.refuse(None, findings, asked),
            }
        }
    }

    /// Nothing if another release went live meanwhile: then everything has to be looked at anew.
    fn try_reload(&self, place: &Place, asked: Asked<'_>) -> Option<Reloaded> {
        let turn = *self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.current();
        let mut rotated = false;
        if let Some(before) = &before {
            rotated = before.rotate_secrets();
            self.note_secrets(before);
        }
        let reading = match build::read(place) {
            Ok(reading) => reading,
            Err(findings) => return Some(self.refuse(None, findings, asked)),
        };
        if self.stays(&reading.hash, asked, rotated) {
            return Some(Reloaded::Unchanged);
        }
        let reading = match steady(place, reading, before.is_some()) {
            Ok(reading) => reading,
            Err(findings) => return Some(self.refuse(None, findings, asked)),
        };
        if self.stays(&reading.hash, asked, rotated) {
            return Some(Reloaded::Unchanged);
        }
        if matches!(asked, Asked::Timer) && self.lock().state == State::Refused && self.resting.has(&reading.hash) {
            return Some(Reloaded::Refused);
        }
        let on_disk = (reading.hash.clone(), reading.content());
        let began = Instant::now();
        let built = self.build(place, reading, before.as_deref(), (turn, asked));
        Some(match built {
            Ok(live) => live?,
            Err(findings) => {
                self.resting.keep(&on_disk.0, began.elapsed(), &findings);
                self.refuse(Some(on_disk), findings, asked)
            }
        })
    }

    /// Builds and tests what was read, and puts it in force; nothing if another release came first.
    fn build(
        &self,
        place: &Place,
        reading: Reading,
        before: Option<&Release>,
        (turn, asked): (u64, Asked<'_>),
    ) -> Result<Option<Reloaded>, Vec<Finding>> {
        let _building = self.attempts.begin(&reading.hash)?;
        failpoint::reach("release.reloading");
        let going =
            Going { who: asked.who(), cause: Cause::Files, pinned: None, tests: None, before, turn: Some(turn) };
        let pace = if before.is_some() { Pace::Beside } else { Pace::Start };
        build::assemble(place, reading, before, Secrets::Load, &self.metrics)
            .and_then(|release| self.admit(release, pace, going))
    }

    fn note_secrets(&self, release: &Release) {
        let refused = release.refused_secrets();
        self.metrics.set_refused_secrets(refused.len());
        self.lock().refused_secrets = refused;
    }

    /// Whether what is on disk changes nothing: it is in force, or an operator does not want it. With a new secret (`rotated`)
    /// what is in force is built again.
    fn stays(&self, on_disk: &str, asked: Asked<'_>, rotated: bool) -> bool {
        let mut status = self.lock();
        let held = status.pinned.as_ref().is_some_and(|pinned| pinned.from == on_disk);
        if held && !matches!(asked, Asked::By(_)) {
            status.on_disk = Some(on_disk.to_owned());
            status.state = State::Pinned;
            status.error.clear();
            return true;
        }
        !rotated && status.state == State::Current && status.running.as_deref() == Some(on_disk)
    }

    /// Puts a release in force if its tests pass.
    ///
    /// # Errors
    /// Which tests failed, and why.
    fn admit(&self, mut release: Release, pace: Pace, going: Going<'_>) -> Result<Option<Reloaded>, Vec<Finding>> {
        let examined = self.gate.examine(&release, pace);
        self.metrics.set_failed_tests(&examined.failed_by_script);
        self.lock().tests = examined.tested.clone();
        if !examined.errors.is_empty() {
            return Err(examined.errors);
        }
        release.warnings.extend(examined.warnings.iter().cloned());
        self.gate.keep(&examined);
        Ok(self.activate(release, Going { tests: Some(examined.tested), ..going }))
    }

    /// Puts a release in force; nothing if another one came first.
    fn activate(&self, mut release: Release, going: Going<'_>) -> Option<Reloaded> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if going.turn.is_some_and(|built| built != *turn) {
            return None;
        }
        *turn += 1;
        let Going { who, cause, pinned, tests, before, .. } = going;
        let content = release.content.take();
        release.start();
        let release = Arc::new(release);
        self.current.store(Some(release.clone()));
        let (was, unpinned) = self.note_live(&release, pinned.clone());
        self.metrics.reloads.inc("activated");
        self.metrics.set_release(&release.hash);
        log_live(&release, before.is_some_and(|before| before.hash == release.hash), pinned.as_ref());
        if let Some(content) = content {
            let (hash, who) = (release.hash.clone(), who.to_owned());
            let warnings = release.warnings.clone();
            let activated = Activated { hash, content, who, cause, before: was, pinned, unpinned, warnings, tests };
            self.told(Seen::Activated(Box::new(activated)));
        }
        Some(Reloaded::Activated)
    }

    /// Puts into the status that a release is in force. What was, and which pin held until now.
    fn note_live(&self, release: &Release, pinned: Option<Pinned>) -> (Option<String>, Option<Pinned>) {
        let mut status = self.lock();
        let tests = std::mem::take(&mut status.tests);
        let hash = Some(release.hash.clone());
        let now = Status {
            tests,
            on_disk: pinned.as_ref().map(|pinned| pinned.from.clone()).or_else(|| hash.clone()),
            running: hash,
            state: if pinned.is_some() { State::Pinned } else { State::Current },
            error: Vec::new(),
            warnings: release.warnings.clone(),
            activated_at: Some(Timestamp::now().to_string()),
            pinned,
            refused_secrets: release.refused_secrets(),
            needs_restart: restart_sections(release),
        };
        let Status { running, pinned, .. } = std::mem::replace(&mut *status, now);
        (running, pinned)
    }

    fn refuse(&self, on_disk: Option<(String, Content)>, findings: Vec<Finding>, asked: Asked<'_>) -> Reloaded {
        let mut status = self.lock();
        let news = status.error != findings || status.state != State::Refused;
        status.on_disk = on_disk.as_ref().map(|(hash, _)| hash.clone());
        status.state = State::Refused;
        status.error.clone_from(&findings);
        let running = status.running.clone();
        drop(status);
        self.metrics.reloads.inc("refused");
        // The files are tried again on a timer; the log repeats only what is new.
        if news {
            log_findings(&findings);
            let who = asked.who().to_owned();
            self.told(Seen::Refused(Box::new(Refused { on_disk, who, running, findings })));
        }
        Reloaded::Refused
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked<'_> {
    fn who(&self) -> &str {
        match self {
            Self::Files | Self::Timer => "files",
            Self::By(who) => who,
        }
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
