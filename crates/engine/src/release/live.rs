//! The release in force, and what is known of the files on disk.
//!
//! Swapping is one pointer. A refused release changes nothing but the status, which says why until it is mended.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;

use crate::release::Release;
use crate::release::attempts::Attempts;
use crate::release::build;
use crate::release::build::Secrets;
use crate::release::bundle::{Content, Place};
use crate::release::gate::{Gate, Pace};
use crate::release::live::activation::Going;
use crate::release::live::resting::Resting;
use crate::release::live::status::{State, Status};
use crate::release::manifest;
use crate::release::panics;
use crate::release::settle::{Conditions, Settle, SettledBundle, Unsettled};
use crate::release::witness::{Cause, Pinned, Seen, Witness};
use crate::telemetry::metrics::Metrics;
use hookgate_model::failpoint;
use hookgate_model::finding::Finding;

mod activation;
mod resting;
pub mod status;
pub mod told;

/// How often a release is built anew because its files changed while it was. Then it goes live although they did: they were whole
/// when they were read, and what changes every minute must not keep slow tests from ever ending well.
const MOST_REBUILT: usize = 3;

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
    settle: Settle,
    /// Whether a secret is new that nothing was built with yet.
    rotated: AtomicBool,
}

/// What a reload did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    Activated,
    Unchanged,
    Refused,
    /// Nothing yet: somebody is checking files out. They are to be looked at again in a moment.
    Waiting,
}

/// Who requested the reload.
#[derive(Clone, Copy)]
enum Asked<'a> {
    /// Nobody's: they may have changed.
    Files,
    /// Nobody's, and nobody noticed a change.
    Timer,
    /// An operator's, who wants what is on disk whatever was pinned.
    By(&'a str),
}

/// A look at the files.
#[derive(Clone, Copy)]
struct Look<'a> {
    asked: Asked<'a>,
    /// How many releases went live before it.
    turn: u64,
    /// How often files changed while a release was built of them.
    rebuilt: usize,
}

impl Live {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            current: ArcSwapOption::empty(),
            status: Mutex::default(),
            reloading: Mutex::default(),
            looks: AtomicU64::default(),
            turn: Mutex::default(),
            witness: OnceLock::default(),
            untold: Mutex::default(),
            metrics,
            gate: Gate::default(),
            attempts: Attempts::default(),
            resting: Resting::default(),
            settle: Settle::default(),
            rotated: AtomicBool::default(),
        }
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

    /// Registers the observer that is notified of every activation, and of the release in force now. Only the first call has an
    /// effect.
    pub(crate) fn tell(&self, witness: Box<dyn Witness>) {
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

    /// Reads the bundle, and puts it in force if it is good and new. Blocks while it builds.
    pub fn reload(&self, place: &Place) -> Reloaded {
        self.look(place, Asked::Files)
    }

    /// The same where no change was noticed, only time has passed: what was refused is not built again at every look.
    pub(crate) fn look_again(&self, place: &Place) -> Reloaded {
        self.look(place, Asked::Timer)
    }

    /// The same by order of `who`: what is on disk goes live, if it is good, although an earlier release was pinned.
    pub(crate) fn reload_for(&self, place: &Place, who: &str) -> Reloaded {
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
        let on_disk = Settle::default().read(place, &Conditions::QUIET).map(|whole| whole.reading.hash);
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
        self.activate(
            release,
            Going { who, cause: Cause::RolledBack, pinned, tests: None, before, turn: None, stands: &|| true },
        );
        Ok(())
    }

    /// How often the files were read to see whether they changed.
    pub fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }

    fn look(&self, place: &Place, asked: Asked<'_>) -> Reloaded {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let _one = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        for rebuilt in 0.. {
            match panics::apart(&place.config_name(), || self.try_reload(place, asked, rebuilt)) {
                Ok(Some(reloaded)) => return reloaded,
                Ok(None) => {}
                Err(findings) => return self.refuse(None, findings, asked),
            }
        }
        Reloaded::Unchanged
    }

    /// Nothing if another release went live meanwhile, or the files changed: then everything has to be looked at anew.
    fn try_reload(&self, place: &Place, asked: Asked<'_>, rebuilt: usize) -> Option<Reloaded> {
        let look = Look { asked, turn: *self.turn.lock().unwrap_or_else(PoisonError::into_inner), rebuilt };
        let before = self.current();
        if let Some(before) = &before {
            self.rotated.fetch_or(before.rotate_secrets(), Ordering::Relaxed);
            self.note_secrets(before);
        }
        let settled = self.settled(place, before.as_deref());
        let rotated = self.rotated.load(Ordering::Relaxed);
        let SettledBundle { reading, stamps } = match settled {
            Ok(whole) => whole,
            Err(Unsettled::Locked(_)) => return Some(Reloaded::Waiting),
            Err(Unsettled::Broken(findings)) => {
                // Files that are written all the time, and always with the same content.
                let same = build::read(place).is_ok_and(|reading| self.stays(&reading.hash, asked, rotated));
                return Some(if same { Reloaded::Unchanged } else { self.refuse(None, findings, asked) });
            }
        };
        if self.stays(&reading.hash, asked, rotated) {
            return Some(Reloaded::Unchanged);
        }
        if matches!(asked, Asked::Timer) && self.lock().state == State::Refused && self.resting.has(&reading.hash) {
            return Some(Reloaded::Refused);
        }
        self.rotated.store(false, Ordering::Relaxed);
        let on_disk = (reading.hash.clone(), reading.content());
        let began = Instant::now();
        let built = self.build(place, SettledBundle { reading, stamps }, before.as_deref(), look);
        Some(match built {
            Ok(live) => live?,
            Err(findings) => {
                self.resting.keep(&on_disk.0, began.elapsed(), &findings);
                self.refuse(Some(on_disk), findings, asked)
            }
        })
    }

    /// The files, when they are whole. The status says what is waited for.
    fn settled(&self, place: &Place, before: Option<&Release>) -> Result<SettledBundle, Unsettled> {
        let in_force = before.map(|before| &before.config);
        let settled = self.settle.read(
            place,
            &Conditions {
                pause: in_force.map(|config| config.scripts.settle()),
                wary: before.is_some(),
                proof: &|reading| manifest::check(place, reading, in_force),
                tell: &|waiting| self.lock().waiting_for = Some(waiting.to_string()),
            },
        );
        if !matches!(settled, Err(Unsettled::Locked(_))) {
            self.lock().waiting_for = None;
        }
        settled
    }

    /// Builds and tests what was read, and puts it in force; nothing if another release came first, or the files changed.
    fn build(
        &self,
        place: &Place,
        whole: SettledBundle,
        before: Option<&Release>,
        look: Look<'_>,
    ) -> Result<Option<Reloaded>, Vec<Finding>> {
        let SettledBundle { reading, stamps } = whole;
        let _building = self.attempts.begin(&reading.hash)?;
        failpoint::reach("release.reloading");
        let going = Going {
            who: look.asked.who(),
            cause: Cause::Files,
            pinned: None,
            tests: None,
            before,
            turn: Some(look.turn),
            stands: &|| look.rebuilt >= MOST_REBUILT || self.settle.is_as_read(place, &stamps),
        };
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
            status.from_store = false;
            self.metrics.set_from_store(false);
            return true;
        }
        !rotated && status.state == State::Current && status.running.as_deref() == Some(on_disk)
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
