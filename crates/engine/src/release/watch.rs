//! Noticing that files changed: an event in a folder of the bundle means "look again", nothing more.
//!
//! When the files are whole is not decided here but in [`settle`](super::settle).
//!
//! Folders are watched, not files: editors, `git checkout` and ConfigMaps replace files. What appears, disappears or is renamed
//! counts whatever its name is, because a ConfigMap swap names only its `..data` link. What is written in place counts only
//! if the bundle reads it: a log beside `gateway.toml` is written at every call. And after a look that found nothing new the
//! next one waits a little, so that whatever else goes on in these folders costs two looks a second at most. A slow poll
//! catches what no event tells (network file systems, a full watch table), and `SIGHUP` asks for a look at once.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};
use tracing::{debug, warn};

use crate::config::Config;
use crate::release::access;
use crate::release::bundle::Place;
use crate::release::live::{Live, Reloaded};
use crate::release::outside;
use crate::release::stamps;

/// How soon after a look that found nothing new the next one may be. A save that falls into this is still live in a second.
const REST: Duration = Duration::from_millis(500);
/// How often the files are read without being asked.
const POLL: Duration = Duration::from_secs(5);

/// Watches until it is dropped.
pub struct Watch {
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts watching the bundle of `place` and reloading `live`.
///
/// # Errors
/// The signal handler cannot be installed.
pub fn start(place: Place, live: Arc<Live>) -> std::io::Result<Watch> {
    let mut hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    let task = tokio::spawn(async move {
        let mut changes = Changes::of(place.clone());
        loop {
            let mut reason = tokio::select! {
                reason = changes.next() => reason,
                _ = hangup.recv() => Reason::Change,
            };
            // Followed before they are read, so that no change falls between. A new release may be made of other folders.
            let config = || live.current().map(|release| release.config.clone());
            changes.follow(config().as_ref());
            loop {
                let (reloader, bundle) = (live.clone(), place.clone());
                let look = move || match reason {
                    Reason::Change => reloader.reload(&bundle),
                    Reason::Timer => reloader.look_again(&bundle),
                };
                let result = tokio::task::spawn_blocking(look).await;
                debug!(?result, "looked at the files");
                let found = result.ok();
                changes.looked(found);
                if found != Some(Reloaded::Waiting) && !changes.moved(config().as_ref()) {
                    break;
                }
                changes.follow(config().as_ref());
                reason = Reason::Change;
            }
        }
    });
    Ok(Watch { task })
}

/// Why it is time to look at the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Something in a folder of the bundle changed.
    Change,
    /// Nobody has looked for a while.
    Timer,
}

/// Tells when a bundle may have changed.
pub struct Changes {
    place: Place,
    changed: Arc<Notify>,
    folders: Folders,
    poll: Interval,
    /// Not before this, unless the poll says so.
    rested: Instant,
    /// Whether the last look put something in force. The next one may find nothing new: it was caused by the same save.
    renewed: bool,
}

impl Changes {
    /// Says at once that something changed: what did since the bundle was read last, when nobody watched. Call it inside a
    /// runtime.
    pub fn of(place: Place) -> Self {
        let changed = Arc::new(Notify::new());
        changed.notify_one();
        let mut poll = interval_at(Instant::now() + POLL, POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { place, folders: Folders::new(changed.clone()), changed, poll, rested: Instant::now(), renewed: false }
    }

    /// Ends when it is time to look at the files again: something changed, or nobody has looked for long.
    pub async fn next(&mut self) -> Reason {
        tokio::select! {
            () = self.changed.notified() => {
                sleep_until(self.rested).await;
                Reason::Change
            }
            _ = self.poll.tick() => Reason::Timer,
        }
    }

    /// Says what the last look found; nothing if it ended with a panic. After one that put nothing new in force the next one
    /// waits a little. And while what is on disk is refused, every file counts: its configuration may read others.
    pub(crate) fn looked(&mut self, found: Option<Reloaded>) {
        let renewed = found == Some(Reloaded::Activated);
        let in_vain = !renewed && !self.renewed;
        self.renewed = renewed;
        self.rested = Instant::now() + if in_vain { REST } else { Duration::ZERO };
        if !matches!(found, Some(Reloaded::Activated | Reloaded::Unchanged)) {
            *self.folders.names.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Watches what a bundle of this configuration is made of. Folders may have been replaced, so each is watched anew.
    pub fn follow(&mut self, config: Option<&Config>) {
        *self.folders.names.lock().unwrap_or_else(PoisonError::into_inner) =
            config.map(|config| names(&self.place, config));
        self.folders.follow(wanted(&self.place, config));
    }

    /// Whether other folders are watched than those of this configuration.
    pub fn moved(&self, config: Option<&Config>) -> bool {
        self.folders.wanted != wanted(&self.place, config)
    }
}

/// The folders under watch.
struct Folders {
    watcher: Option<RecommendedWatcher>,
    /// The names of the files that the bundle reads, beside those of scripts; nothing while that is not known.
    names: Arc<Mutex<Option<BTreeSet<OsString>>>>,
    watched: BTreeSet<(PathBuf, bool)>,
    /// Of these, `watched` are there.
    wanted: BTreeSet<(PathBuf, bool)>,
}

impl Folders {
    fn new(changed: Arc<Notify>) -> Self {
        let names: Arc<Mutex<Option<BTreeSet<OsString>>>> = Arc::default();
        let known = names.clone();
        let look = move |event: notify::Result<notify::Event>| {
            let counts = |event: notify::Event| {
                is_change(event.kind, &event.paths, known.lock().unwrap_or_else(PoisonError::into_inner).as_ref())
            };
            if event.is_ok_and(counts) {
                changed.notify_one();
            }
        };
        // A link in the scripts folder may lead anywhere, and then a tree without end would be watched. The folders of a
        // ConfigMap are below the one that is watched, and a swap of their link is a change of that one.
        let watcher = RecommendedWatcher::new(look, notify::Config::default().with_follow_symlinks(false));
        if let Err(error) = &watcher {
            warn!(%error, "files cannot be watched; they are read every five seconds instead");
        }
        Self { watcher: watcher.ok(), names, watched: BTreeSet::new(), wanted: BTreeSet::new() }
    }

    fn follow(&mut self, wanted: BTreeSet<(PathBuf, bool)>) {
        self.wanted = wanted;
        let Some(watcher) = &mut self.watcher else { return };
        for (folder, _) in std::mem::take(&mut self.watched) {
            let _ = watcher.unwatch(&folder);
        }
        for (folder, deep) in self.wanted.clone() {
            let mode = if deep { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
            match watcher.watch(&folder, mode) {
                Ok(()) => drop(self.watched.insert((folder, deep))),
                Err(error) => debug!(%error, folder = %folder.display(), "folder is not watched, only polled"),
            }
        }
    }
}

/// The folders of a bundle; `true` where what is below counts, too.
fn wanted(place: &Place, config: Option<&Config>) -> BTreeSet<(PathBuf, bool)> {
    let parent = |file: &str| place.root.join(file).parent().map(Path::to_owned);
    let mut folders = BTreeSet::from([(place.root.clone(), false)]);
    // A new version of a bundle may be another target of the same link.
    let links = place.root.ancestors().filter(|folder| folder.is_symlink());
    folders.extend(links.filter_map(Path::parent).map(|folder| (or_here(folder), false)));
    if let Some(config) = config {
        let scripts = place.root.join(&config.scripts.dir);
        // Of a link, what it leads to is watched; that it leads elsewhere is a change of the folder around it.
        folders.insert((scripts.canonicalize().unwrap_or(scripts), true));
        let files = stamps::files(config).chain(access::files(config)).chain(outside::files(config));
        folders.extend(files.filter_map(parent).map(|folder| (folder, false)));
    } else {
        folders.insert((place.root.join("scripts"), true));
    }
    // One mode a folder: the root may be the scripts folder, too.
    let deep: BTreeSet<PathBuf> = folders.iter().filter(|(_, deep)| *deep).map(|(folder, _)| folder.clone()).collect();
    folders.retain(|(folder, is_deep)| *is_deep || !deep.contains(folder));
    folders
}

fn or_here(folder: &Path) -> PathBuf {
    if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() }
}

/// The names of the files that a bundle of this configuration reads, and of those that they are links to.
fn names(place: &Place, config: &Config) -> BTreeSet<OsString> {
    let files = stamps::files(config).chain(access::files(config)).chain(outside::files(config));
    let paths = files.map(|file| place.root.join(file)).chain([place.config.clone()]);
    let with_target = |path: PathBuf| [path.canonicalize().unwrap_or_default(), path];
    paths.flat_map(with_target).filter_map(|path| path.file_name().map(OsString::from)).collect()
}

/// Whether an event may change the bundle. `names` are those of the files that it reads.
///
/// Reading raises events, too: reacting to those would never end.
fn is_change(kind: EventKind, paths: &[PathBuf], names: Option<&BTreeSet<OsString>>) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_)) => {
            // No path: nobody knows what it was.
            paths.is_empty() || paths.iter().any(|path| is_read(path, names))
        }
        EventKind::Access(_) => false,
        _ => true,
    }
}

/// Whether the bundle reads a file of this name. Scripts, and what their tests load, are known by their ending.
fn is_read(path: &Path, names: Option<&BTreeSet<OsString>>) -> bool {
    let Some(names) = names else { return true };
    let is_script = path.extension().is_some_and(|ending| ending == "rhai" || ending == "json");
    is_script || path.file_name().is_none_or(|name| names.contains(name)) || path.is_dir()
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, MetadataKind, RemoveKind, RenameMode};

    use super::*;

    const WRITTEN: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    const TOUCHED: EventKind = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));
    const OPENED: EventKind = EventKind::Access(AccessKind::Open(AccessMode::Any));
    const CREATED: EventKind = EventKind::Create(CreateKind::File);
    const RENAMED: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::To));
    const REMOVED: EventKind = EventKind::Remove(RemoveKind::File);

    #[test]
    fn only_what_the_bundle_reads_counts_when_it_is_written_in_place() {
        let names = BTreeSet::from(["gateway.toml", "disposable.txt", "okta"].map(OsString::from));
        let table: &[(EventKind, &str, bool)] = &[
            (WRITTEN, "/b/gateway.toml", true),
            (CLOSED, "/b/tables/disposable.txt", true),
            (TOUCHED, "/b/secrets/okta", true),
            (WRITTEN, "/b/scripts/lib/new.rhai", true),
            (CLOSED, "/b/scripts/cases/one/request.json", true),
            (WRITTEN, "/b/hookgate.log", false),
            (CLOSED, "/b/hookgate.log", false),
            (TOUCHED, "/b/scripts/out.txt", false),
            (CLOSED, "/b/tables/other.txt", false),
            (OPENED, "/b/gateway.toml", false),
            // A ConfigMap swap, an editor's rename, a checkout: the names say nothing.
            (RENAMED, "/b/..data", true),
            (CREATED, "/b/..2026_11_29", true),
            (RENAMED, "/b/link-of-a-deployment", true),
            (REMOVED, "/b/anything", true),
        ];
        for (kind, path, counts) in table {
            assert_eq!(is_change(*kind, &[PathBuf::from(path)], Some(&names)), *counts, "{kind:?} {path}");
        }
        assert!(is_change(WRITTEN, &[PathBuf::from("/b/any.log")], None), "while nothing is known, all counts");
        assert!(is_change(EventKind::Other, &[], Some(&names)), "events were lost");
    }

    #[test]
    fn a_file_counts_by_the_name_that_its_link_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real.toml");
        std::fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink(&real, folder.path().join("gateway.toml")).unwrap();
        let place = Place::of(&folder.path().join("gateway.toml"));
        let names = names(&place, &Config::default());
        assert_eq!(names, BTreeSet::from(["gateway.toml", "real.toml"].map(OsString::from)));
    }
}
