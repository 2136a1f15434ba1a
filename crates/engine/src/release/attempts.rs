//! Remembers which releases are being built, so that one which ends the process is not built again for ever.
//!
//! A small file beside the store says which releases are being built or tested right now, and how often the process died
//! meanwhile. It survives the process, which is all that it has to: it is not synced, because a power cut is nobody's fault.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fs, io};

use serde::{Deserialize, Serialize};
use tracing::{error, warn};

use hookgate_model::finding::Finding;

/// A release that was being built this often when the process died is refused.
pub const MOST_DEATHS: u32 = 3;

/// Releases that are remembered; those that never ended the process are not.
const MOST_REMEMBERED: usize = 32;

/// Name of the file, in the folder of the store.
pub const FILE: &str = "building.json";

/// Which releases are being built. One per gateway.
#[derive(Debug, Default)]
pub struct Attempts {
    /// Nothing where nothing is to be remembered: in tests, and in commands that build once.
    file: Option<PathBuf>,
    record: Mutex<Record>,
}

/// What the file holds: releases by their hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    building: BTreeSet<String>,
    /// How often the process died while a release was built.
    deaths: BTreeMap<String, u32>,
}

/// A release is being built, until this is dropped. Unwinding drops it, too: a panic does not end the process.
#[must_use]
#[derive(Debug)]
pub struct Building<'a> {
    attempts: &'a Attempts,
    hash: String,
}

impl Attempts {
    /// Reads the file in `folder`. What it says is being built was being built when the last process died. A file that cannot
    /// be read counts as none: it must not keep a gateway from starting.
    pub fn open(folder: &Path) -> Self {
        let file = folder.join(FILE);
        let mut record = read(&file).unwrap_or_else(|problem| {
            warn!(file = %file.display(), error = %problem, "it is not known whether a release ended the last process");
            Record::default()
        });
        for hash in std::mem::take(&mut record.building) {
            let deaths = record.deaths.entry(hash.clone()).or_default();
            *deaths += 1;
            error!(
                release = hash.get(..12).unwrap_or(&hash),
                deaths = *deaths,
                "the last process died while it built or tested this release"
            );
        }
        while record.deaths.len() > MOST_REMEMBERED {
            record.deaths.pop_first();
        }
        let attempts = Self { file: Some(file), record: Mutex::new(record) };
        attempts.write(&attempts.lock());
        attempts
    }

    /// Notes that the release `hash` is being built.
    ///
    /// # Errors
    /// The process died [`MOST_DEATHS`] times while it was built: it is refused.
    pub fn begin(&self, hash: &str) -> Result<Building<'_>, Vec<Finding>> {
        let mut record = self.lock();
        let deaths = record.deaths.get(hash).copied().unwrap_or(0);
        if deaths >= MOST_DEATHS {
            return Err(vec![self.refusal(deaths)]);
        }
        record.building.insert(hash.to_owned());
        self.write(&record);
        Ok(Building { attempts: self, hash: hash.to_owned() })
    }

    /// The process stops in good order: what is being built now is not why it ends.
    pub fn stop(&self) {
        let mut record = self.lock();
        record.building.clear();
        self.write(&record);
    }

    fn refusal(&self, deaths: u32) -> Finding {
        let text =
            format!("the process died {deaths} times while it built or tested this release, so it is not built again");
        let finding = Finding::error("release/crashed", "", text);
        let file = self.file.as_deref().unwrap_or(Path::new(FILE));
        finding.help(format!(
            "change what is new in the bundle; to build the same files once more, remove `{}`; please report it: hookgate has a defect",
            file.display()
        ))
    }

    fn write(&self, record: &Record) {
        let Some(file) = &self.file else { return };
        if let Err(problem) = write(file, record) {
            warn!(file = %file.display(), error = %problem, "a release that ends the process would not be remembered");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Building<'_> {
    fn drop(&mut self) {
        let mut record = self.attempts.lock();
        record.building.remove(&self.hash);
        // It did not end the process this time.
        record.deaths.remove(&self.hash);
        self.attempts.write(&record);
    }
}

fn read(file: &Path) -> io::Result<Record> {
    match fs::read(file) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Record::default()),
        Err(error) => Err(error),
    }
}

/// Replaces the file, or removes it where there is nothing to remember.
fn write(file: &Path, record: &Record) -> io::Result<()> {
    if *record == Record::default() {
        return match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    let new = file.with_extension("json.new");
    fs::write(&new, serde_json::to_vec(record)?)?;
    fs::rename(&new, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ends the process in the middle of building: nothing is dropped.
    fn die(attempts: Attempts, hash: &str) {
        std::mem::forget(attempts.begin(hash).unwrap());
        drop(attempts);
    }

    #[test]
    fn what_ended_the_process_three_times_is_refused_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Attempts::open(folder.path());
        for _ in 0..MOST_DEATHS {
            die(open(), "bad");
            drop(open().begin("other").unwrap());
        }
        let attempts = open();
        let findings = attempts.begin("bad").unwrap_err();
        assert_eq!(findings[0].code, "release/crashed");
        assert!(findings[0].message.contains("died 3 times"), "{findings:?}");
        drop(attempts.begin("changed").unwrap());
        assert!(open().begin("bad").is_err(), "a start in between changes nothing");
        fs::remove_file(folder.path().join(FILE)).unwrap();
        drop(open().begin("bad").unwrap());
    }

    #[test]
    fn a_release_that_is_built_is_no_suspect() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..5 {
            die(Attempts::open(folder.path()), "slow");
            drop(Attempts::open(folder.path()).begin("slow").unwrap());
        }
        assert!(!folder.path().join(FILE).exists(), "nothing is left to remember");
    }

    #[test]
    fn a_stop_in_good_order_and_a_panic_are_no_deaths() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..5 {
            let attempts = Attempts::open(folder.path());
            let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _building = attempts.begin("panics").unwrap();
                panic!("on purpose");
            }));
            assert!(unwound.is_err());
            std::mem::forget(attempts.begin("stopped").unwrap());
            attempts.stop();
        }
        let attempts = Attempts::open(folder.path());
        drop((attempts.begin("panics").unwrap(), attempts.begin("stopped").unwrap()));
    }

    #[test]
    fn a_file_that_is_none_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "{").unwrap();
        drop(Attempts::open(folder.path()).begin("any").unwrap());
    }
}
