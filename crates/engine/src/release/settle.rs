//! Obstacle until the files of a bundle are whole, so that no mix of old and new ones goes live.
//!
//! Files are whole when git is not changing them, when none changed for a while (`scripts.settle_ms`, and longer if they have
//! been changing for long), and when none changed while they were read. Who wants certainty lists their hashes
//! ([`manifest`](super::manifest)).

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tracing::warn;

use crate::config::scripts::Scripts;
use crate::release::build;
use crate::release::build::Reading;
use crate::release::bundle::Place;
use crate::release::git;
use crate::release::manifest::named;
use crate::release::stamps::{FileList, Stamps};
use hookgate_model::finding::Finding;

/// Files that have been changing for long must be quiet for half of that time, and for no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Files that do not settle within so much more than the pause are told of.
const PATIENCE: Duration = Duration::from_secs(5);
/// A lock that is older than this was left behind by a process that died.
const LOCK_PATIENCE: Duration = Duration::from_mins(1);
/// From one look at the files to the next.
const STEP: Duration = Duration::from_millis(20);
/// How often files are read again because something in their folder changed that is no part of the bundle.
const READINGS: usize = 5;

/// Follows the files of one bundle.
#[derive(Debug, Default)]
pub struct Settle(Mutex<Observation>);

/// What is known of the files.
#[derive(Debug, Default)]
struct Observation {
    parts: Option<FileList>,
    /// Nothing before the first look.
    stamps: Option<Stamps>,
    /// When it was noticed that they changed; nothing if that is long ago.
    changed: Option<Instant>,
    /// When the changes began that have not ended yet, and what changed since.
    began: Option<Instant>,
    restless: BTreeSet<String>,
    lock: Option<Lock>,
}

/// A lock that is there, since when, and whether it is waited for.
#[derive(Debug)]
struct Lock {
    file: PathBuf,
    /// When it was made, by the clock.
    made: Option<SystemTime>,
    seen: Instant,
    is_stale: bool,
}

/// What must hold before a reading counts, and who is told what it waits for.
pub struct Conditions<'a> {
    /// How long the files must be quiet; nothing: as long as they say themselves.
    pub pause: Option<Duration>,
    /// Whether files that nobody has looked at before must have been quiet as long, by the clock.
    pub wary: bool,
    /// Finds what is wrong with a reading that may be half of a copy.
    pub proof: &'a dyn Fn(&Reading) -> Result<(), Vec<Finding>>,
    pub tell: &'a dyn Fn(&Obstacle),
}

impl Conditions<'static> {
    /// Nothing but quiet, once the files are known.
    pub const QUIET: Self = Self { pause: None, wary: false, proof: &|_| Ok(()), tell: &|_| {} };
}

/// All files of a bundle at one moment.
pub struct SettledBundle {
    pub reading: Reading,
    pub(super) stamps: Stamps,
}

/// What a bundle waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// A lock of git or Mercurial.
    Lock(PathBuf),
    /// Files that change.
    Files(BTreeSet<String>),
    /// Files that are not those of the manifest.
    Copy(Vec<Finding>),
}

/// Why there is no reading.
#[derive(Debug)]
pub enum Unsettled {
    /// A lock is still there. What is on disk is neither good nor bad.
    Locked(PathBuf),
    Broken(Vec<Finding>),
}

enum Step {
    Settled(Box<SettledBundle>),
    Broken(Vec<Finding>),
    Wait(Obstacle),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lock(file) => write!(f, "`{}` says that files are being checked out", file.display()),
            Self::Files(names) if names.is_empty() => f.write_str("files were changed a moment ago"),
            Self::Files(names) => {
                write!(f, "files are being changed: {}", named(names.iter().map(String::as_str)))
            }
            Self::Copy(findings) => {
                let first = findings.first().map(Finding::one_line).unwrap_or_default();
                write!(f, "files are being copied: {first}")
            }
        }
    }
}

impl Unsettled {
    /// What is wrong, where that counts as wrong with the bundle.
    pub fn findings(self) -> Vec<Finding> {
        match self {
            Self::Broken(findings) => findings,
            Self::Locked(file) => {
                let text = format!("`{}` says that files are being checked out", file.display());
                vec![Finding::error("release/unsettled", "", text).help("it is tried again when that has ended")]
            }
        }
    }
}

impl Settle {
    /// Reads the files when they are whole. Blocks for some seconds at most.
    ///
    /// # Errors
    /// They do not settle, or what they hold cannot be read.
    pub fn read(&self, place: &Place, wanted: &Conditions<'_>) -> Result<SettledBundle, Unsettled> {
        let began = Instant::now();
        loop {
            let looked = Instant::now();
            let waiting = match self.step(place, wanted) {
                Step::Settled(whole) => return Ok(*whole),
                Step::Broken(findings) => return Err(Unsettled::Broken(findings)),
                Step::Wait(waiting) => waiting,
            };
            (wanted.tell)(&waiting);
            if began.elapsed() > PATIENCE + self.lock().pause(wanted) {
                return Err(late(waiting));
            }
            // Looking at very many files takes a while itself.
            std::thread::sleep(STEP.max(looked.elapsed() * 2));
        }
    }

    /// Whether the files are still those of a reading.
    pub(super) fn is_as_read(&self, place: &Place, stamps: &Stamps) -> bool {
        let parts = self.lock().parts.clone();
        stamps.differing(&Stamps::of(place, parts.as_ref())).is_empty()
    }

    fn step(&self, place: &Place, wanted: &Conditions<'_>) -> Step {
        let mut known = self.lock();
        known.look(place, wanted.wary);
        if let Some(lock) = known.locked(place) {
            return Step::Wait(Obstacle::Lock(lock));
        }
        let pause = known.pause(wanted);
        if known.changed.is_some_and(|changed| changed.elapsed() < pause) {
            return Step::Wait(Obstacle::Files(known.restless.clone()));
        }
        known.read(place, wanted)
    }

    fn lock(&self) -> MutexGuard<'_, Observation> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observation {
    /// Notes what changed since the last look.
    fn look(&mut self, place: &Place, wary: bool) {
        let mut now = Stamps::of(place, self.parts.as_ref());
        let changed = self.stamps.as_ref().map(|stamps| stamps.differing(&now));
        if changed.as_ref().is_none_or(|changed| changed.contains(&place.config_name())) {
            // While the configuration is no good, its files are those that it named before.
            self.parts = build::parts(place).ok().or_else(|| self.parts.take());
            now = Stamps::of(place, self.parts.as_ref());
        }
        match changed {
            Some(changed) => self.note(changed),
            None if wary => self.changed = Instant::now().checked_sub(now.age().unwrap_or_default()),
            None => {}
        }
        self.stamps = Some(now);
    }

    fn note(&mut self, changed: BTreeSet<String>) {
        if !changed.is_empty() {
            let now = Instant::now();
            self.began.get_or_insert(now);
            self.changed = Some(now);
            self.restless.extend(changed);
        }
    }

    /// How long the files must be quiet now.
    fn pause(&self, wanted: &Conditions<'_>) -> Duration {
        let written = self.parts.as_ref().map(|parts| parts.settle);
        let least = wanted.pause.or(written).unwrap_or_else(|| Scripts::default().settle());
        let since = self.began.zip(self.changed).map(|(began, changed)| changed.duration_since(began));
        (since.unwrap_or_default() / 2).min(LONGEST_PAUSE).max(least)
    }

    /// The lock that is waited for.
    fn locked(&mut self, place: &Place) -> Option<PathBuf> {
        let folders =
            self.parts.as_ref().map_or_else(|| BTreeSet::from([place.root.clone()]), |parts| parts.folders(place));
        let Some(file) = folders.iter().find_map(|folder| git::lock(folder)) else {
            self.lock = None;
            return None;
        };
        let made = file.symlink_metadata().and_then(|found| found.modified()).ok();
        if self.lock.as_ref().is_none_or(|lock| (&lock.file, lock.made) != (&file, made)) {
            self.lock = Some(Lock { file, made, seen: Instant::now(), is_stale: false });
        }
        let lock = self.lock.as_mut()?;
        let age = made.and_then(|made| made.elapsed().ok()).unwrap_or_default();
        if lock.seen.elapsed().max(age) < LOCK_PATIENCE {
            return Some(lock.file.clone());
        }
        if !std::mem::replace(&mut lock.is_stale, true) {
            warn!(file = %lock.file.display(), "a lock on the files of the bundle is not waited for any longer");
        }
        None
    }

    /// Reads files that are quiet.
    fn read(&mut self, place: &Place, wanted: &Conditions<'_>) -> Step {
        for _ in 0..READINGS {
            let before = Stamps::of(place, self.parts.as_ref());
            let read = build::read(place);
            let after = Stamps::of(place, self.parts.as_ref());
            let known = self.stamps.take().unwrap_or_default();
            let changed = &known.differing(&before) | &before.differing(&after);
            self.stamps = Some(after.clone());
            if !changed.is_empty() {
                self.note(changed);
                return Step::Wait(Obstacle::Files(self.restless.clone()));
            }
            if before == after {
                return self.proven(read, after, wanted);
            }
        }
        Step::Wait(Obstacle::Files(self.restless.clone()))
    }

    /// What was read, if it may count.
    fn proven(&mut self, read: Result<Reading, Vec<Finding>>, stamps: Stamps, wanted: &Conditions<'_>) -> Step {
        match read.and_then(|reading| (wanted.proof)(&reading).map(|()| reading)) {
            Ok(reading) => {
                self.rest();
                Step::Settled(Box::new(SettledBundle { reading: self.warned(reading), stamps }))
            }
            Err(findings) if self.may_be_half(&findings) => Step::Wait(Obstacle::Copy(findings)),
            Err(findings) => {
                self.rest();
                Step::Broken(findings)
            }
        }
    }

    fn may_be_half(&self, findings: &[Finding]) -> bool {
        let unproven = findings.iter().any(|finding| finding.code == "release/manifest");
        unproven && self.changed.is_some_and(|changed| changed.elapsed() < LONGEST_PAUSE)
    }

    /// The changes have ended.
    fn rest(&mut self) {
        self.began = None;
        self.changed = None;
        self.restless.clear();
    }

    fn warned(&self, mut reading: Reading) -> Reading {
        if let Some(lock) = self.lock.as_ref().filter(|lock| lock.is_stale) {
            let text = format!("`{}` is a lock that was left behind, and was not waited for", lock.file.display());
            let finding = Finding::warning("release/stale-lock", "", text);
            let help =
                "if no git runs there, remove it: every checkout fails while it is there, and none is waited for";
            reading.document.warnings.push(finding.help(help));
        }
        reading
    }
}

fn late(waiting: Obstacle) -> Unsettled {
    match waiting {
        Obstacle::Lock(file) => Unsettled::Locked(file),
        Obstacle::Copy(findings) => Unsettled::Broken(findings),
        Obstacle::Files(names) => {
            let text = format!(
                "these files keep changing, so nothing of them goes live: {}",
                named(names.iter().map(String::as_str))
            );
            let file = names.first().cloned().unwrap_or_default();
            let finding = Finding::error("release/unsettled", file, text);
            Unsettled::Broken(vec![
                finding.help("find out what writes them all the time; what is written often is no part of a bundle"),
            ])
        }
    }
}
