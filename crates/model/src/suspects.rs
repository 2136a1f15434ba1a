//! Remembers which scripts were answering calls when the process died, so that a script which ends it is not run for ever.
//!
//! A file beside the store is there while the gateway runs, and a stop in good order removes it. A start that finds it knows
//! that the last process died, and only then is anything written for calls: for a while, each run notes its script in a slot of
//! that file while it holds a thread. The next death then has suspects. Suspects run one at a time, so that one more death has
//! one suspect, and after that its calls are refused for a while. Neither file is synced: a power cut is nobody's fault.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, io};

use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;
use tracing::{error, warn};

/// Name of the file that is there while the gateway runs, in the folder of the store: one slot for each run on a thread.
pub const FILE: &str = "answering";

/// Name of the file with the suspects and how often the process died of each.
pub const SUSPECTS: &str = "suspects.json";

/// A script that ran in this many deaths that were watched is refused for a while. The first death is not watched.
pub const MOST_DEATHS: u32 = 2;

/// How long runs are noted after a death, and how long a suspect has to run without one to be none any more.
pub(crate) const WATCHED_FOR: Duration = Duration::from_mins(10);

/// How long calls are refused, first and at most. Each further death doubles it.
pub(crate) const FIRST_REST: Duration = Duration::from_mins(1);
pub(crate) const LONGEST_REST: Duration = Duration::from_hours(1);

/// Suspects that are remembered: those of most deaths.
const MOST_REMEMBERED: usize = 32;

/// Bytes of a slot: a hash, the name of a file, and the end of the line. A slot whose first byte is 0 is free.
const SLOT: usize = 256;

/// The scripts that are under suspicion. One per gateway.
#[derive(Debug)]
pub struct Suspects {
    folder: PathBuf,
    watch: Option<Arc<Watch>>,
}

/// Notes what runs, after a death.
#[derive(Debug)]
pub struct Watch {
    /// Whether there is still anything to watch.
    on: AtomicBool,
    slots: File,
    file: PathBuf,
    /// Held by the suspect that runs.
    alone: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Until when everything is noted.
    until: Instant,
    suspects: BTreeMap<String, Suspect>,
    free: Vec<u64>,
    slots: u64,
    /// Whether a failure to write was told.
    told: bool,
}

#[derive(Debug)]
struct Suspect {
    kept: Kept,
    rests_until: Instant,
    /// When a run of it came to its end first.
    ran: Option<Instant>,
}

/// What is kept of a suspect, by the hash of its script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    script: String,
    deaths: u32,
}

/// Why a script may not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTurn {
    /// The process died of it too often, so its calls are refused for a while.
    Rests,
    /// Another suspect ran until the deadline.
    Late,
}

/// The right to run a script once.
#[derive(Debug)]
pub struct Turn {
    watch: Arc<Watch>,
    hash: String,
    script: String,
    alone: Option<OwnedSemaphorePermit>,
}

impl Suspects {
    /// Looks whether the last process died, and says that one runs now. What cannot be read or written is told, and watched by
    /// nobody: it must not keep a gateway from starting.
    pub fn open(folder: &Path) -> Self {
        let file = folder.join(FILE);
        let noted = match fs::read(&file) {
            Ok(bytes) => Some(read_slots(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                warn!(file = %file.display(), %error, "it is not known which scripts ran when the last process died");
                Some(BTreeMap::new())
            }
        };
        let watch = create(&file).map(|slots| noted.map(|noted| Watch::begin(folder, slots, noted, Instant::now())));
        let watch = watch.unwrap_or_else(|error| {
            warn!(file = %file.display(), %error, "a script that ends the process would not be remembered");
            None
        });
        Self { folder: folder.to_owned(), watch: watch.map(Arc::new) }
    }

    /// What runs have to tell, if anything.
    pub fn watch(&self) -> Option<Arc<Watch>> {
        self.watch.clone()
    }

    /// The process stops in good order: nobody is a suspect any more.
    pub fn stop(&self) {
        for name in [SUSPECTS, FILE] {
            remove(&self.folder.join(name));
        }
    }
}

impl Watch {
    fn begin(folder: &Path, slots: File, noted: BTreeMap<String, String>, now: Instant) -> Self {
        let file = folder.join(SUSPECTS);
        let mut kept = read(&file).unwrap_or_else(|problem| {
            warn!(file = %file.display(), error = %problem, "it is not known which scripts ended the processes before");
            BTreeMap::new()
        });
        if noted.is_empty() {
            warn!("the last process did not stop in good order; it is not known why");
        }
        for hash in blame(&mut kept, noted) {
            tell(&hash, &kept[&hash]);
        }
        while kept.len() > MOST_REMEMBERED {
            let least = kept.iter().min_by_key(|(_, kept)| kept.deaths).map(|(hash, _)| hash.clone());
            least.and_then(|hash| kept.remove(&hash));
        }
        let suspect = |kept: Kept| Suspect { rests_until: now + rest_after(kept.deaths), kept, ran: None };
        let suspects = kept.into_iter().map(|(hash, kept)| (hash, suspect(kept))).collect();
        let state = State { until: now + WATCHED_FOR, suspects, free: Vec::new(), slots: 0, told: false };
        let watch = Self {
            on: AtomicBool::new(true),
            slots,
            file,
            alone: Arc::new(Semaphore::new(1)),
            state: Mutex::new(state),
        };
        watch.write(&mut watch.lock());
        watch
    }

    /// Whether runs are to be noted. Cheap.
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// The turn of a script, by its hash and the name of its file; nothing if nothing is watched any more. A suspect waits until
    /// no other one runs, but no longer than until `deadline`.
    ///
    /// # Errors
    /// It may not run.
    pub async fn admit(self: &Arc<Self>, hash: &str, script: &str, deadline: Instant) -> Result<Option<Turn>, NoTurn> {
        let alone = match self.judge(hash, Instant::now()) {
            Verdict::Unwatched => return Ok(None),
            Verdict::Innocent => None,
            Verdict::Rests => return Err(NoTurn::Rests),
            Verdict::Suspect => {
                let permit = timeout_at(deadline.into(), Arc::clone(&self.alone).acquire_owned()).await;
                // It is never closed.
                Some(permit.ok().and_then(Result::ok).ok_or(NoTurn::Late)?)
            }
        };
        Ok(Some(Turn { watch: Arc::clone(self), hash: hash.to_owned(), script: script.to_owned(), alone }))
    }

    fn judge(&self, hash: &str, now: Instant) -> Verdict {
        let mut state = self.lock();
        let before = state.suspects.len();
        state.suspects.retain(|_, suspect| now < suspect.forgotten_at());
        if state.suspects.len() < before {
            self.write(&mut state);
        }
        match state.suspects.get(hash) {
            Some(suspect) if now < suspect.rests_until => Verdict::Rests,
            Some(_) => Verdict::Suspect,
            None if now < state.until => Verdict::Innocent,
            None => {
                self.on.store(!state.suspects.is_empty(), Ordering::Relaxed);
                Verdict::Unwatched
            }
        }
    }

    fn take_slot(&self, hash: &str, script: &str) -> u64 {
        let mut state = self.lock();
        let slot = state.free.pop().unwrap_or_else(|| {
            state.slots += 1;
            state.slots - 1
        });
        if let Err(error) = self.slots.write_all_at(slot_text(hash, script).as_bytes(), slot * SLOT as u64) {
            state.tell(&error);
        }
        slot
    }

    fn give_slot(&self, slot: u64, hash: &str, now: Instant) {
        let mut state = self.lock();
        if let Err(error) = self.slots.write_all_at(&[0], slot * SLOT as u64) {
            state.tell(&error);
        }
        state.free.push(slot);
        if let Some(suspect) = state.suspects.get_mut(hash) {
            suspect.ran.get_or_insert(now);
        }
    }

    /// Keeps the suspects, or removes the file where there are none.
    fn write(&self, state: &mut State) {
        if state.suspects.is_empty() {
            return remove(&self.file);
        }
        let kept: BTreeMap<&String, &Kept> = state.suspects.iter().map(|(hash, found)| (hash, &found.kept)).collect();
        let new = self.file.with_extension("json.new");
        let written = serde_json::to_vec(&kept).map_err(io::Error::from).and_then(|text| fs::write(&new, text));
        if let Err(error) = written.and_then(|()| fs::rename(&new, &self.file)) {
            state.tell(&error);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to be done with a run.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Unwatched,
    Innocent,
    Suspect,
    Rests,
}

impl Turn {
    /// Runs it on this thread. If the process dies meanwhile, the next start knows of it.
    pub fn watch<R>(self, run: impl FnOnce() -> R) -> R {
        struct Noted(Turn, u64);
        impl Drop for Noted {
            fn drop(&mut self) {
                self.0.watch.give_slot(self.1, &self.0.hash, Instant::now());
                // Only now the next suspect may run.
                drop(self.0.alone.take());
            }
        }
        let slot = self.watch.take_slot(&self.hash, &self.script);
        let _noted = Noted(self, slot);
        run()
    }
}

impl State {
    fn tell(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.told, true) {
            warn!(%error, "a script that ends the process would not be remembered");
        }
    }
}

impl Suspect {
    /// When it is no suspect any more. One that nobody calls is not remembered for ever, either.
    fn forgotten_at(&self) -> Instant {
        self.ran.map_or(self.rests_until + LONGEST_REST, |ran| ran + WATCHED_FOR)
    }
}

/// Counts a death for those that ran: where there were suspects among them, for these alone, because they ran one at a time.
/// Whose deaths are more now.
fn blame(kept: &mut BTreeMap<String, Kept>, mut noted: BTreeMap<String, String>) -> Vec<String> {
    if noted.keys().any(|hash| kept.contains_key(hash)) {
        noted.retain(|hash, _| kept.contains_key(hash));
    }
    for (hash, script) in &noted {
        kept.entry(hash.clone()).or_insert_with(|| Kept { script: script.clone(), deaths: 0 }).deaths += 1;
    }
    noted.into_keys().collect()
}

fn rest_after(deaths: u32) -> Duration {
    match deaths.checked_sub(MOST_DEATHS) {
        None => Duration::ZERO,
        Some(more) => FIRST_REST.saturating_mul(2u32.saturating_pow(more)).min(LONGEST_REST),
    }
}

fn tell(hash: &str, kept: &Kept) {
    let rest = rest_after(kept.deaths).as_secs();
    let next = match rest {
        0 => "it does not run beside other suspects".to_owned(),
        _ => format!("its calls get the declared answer for {rest} s; a changed script is free at once"),
    };
    error!(
        script.file = kept.script,
        script.hash = hash.get(..12).unwrap_or(hash),
        deaths = kept.deaths,
        next,
        "the last process died while this script answered a call"
    );
}

fn slot_text(hash: &str, script: &str) -> String {
    let room = SLOT.saturating_sub(hash.len() + 2);
    format!("{hash} {}\n", &script[..script.floor_char_boundary(room)])
}

/// The scripts in the slots of a file, by their hashes. What was not written whole is none.
fn read_slots(bytes: &[u8]) -> BTreeMap<String, String> {
    let text = |slot: &[u8]| {
        let end = slot.iter().position(|byte| *byte == b'\n')?;
        let (hash, script) = std::str::from_utf8(&slot[..end]).ok()?.split_once(' ')?;
        let is_hash = !hash.is_empty() && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash.then(|| (hash.to_owned(), script.to_owned()))
    };
    bytes.chunks(SLOT).filter_map(text).collect()
}

fn create(file: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)
}

fn read(file: &Path) -> io::Result<BTreeMap<String, Kept>> {
    match fs::read(file) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    }
}

fn remove(file: &Path) {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            warn!(file = %file.display(), %error, "a file about the last process cannot be removed");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
