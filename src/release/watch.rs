//! Noticing that files changed: any event in a folder of the bundle means "look again", nothing more.
//!
//! Folders are watched, not files: editors, `git checkout` and ConfigMaps replace files. Names are not filtered, because a
//! ConfigMap swap names only its `..data` link. A slow poll catches what no event tells (network file systems, a full
//! watch table), and `SIGHUP` asks for a look at once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep, timeout};
use tracing::{debug, warn};

use crate::config::Config;
use crate::release::access;
use crate::release::bundle::Place;
use crate::release::live::{Live, Reloaded};
use crate::release::outside;

/// A burst of writes ends when nothing came for this long …
const QUIET: Duration = Duration::from_millis(60);
/// … or has lasted this long.
const LONGEST_BURST: Duration = Duration::from_millis(400);
/// How long a refused bundle is left alone.
const AFTER_REFUSAL: Duration = Duration::from_millis(250);
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
                if matches!(result, Ok(Reloaded::Refused)) {
                    // What is noted of the attempt may lie in a folder under watch, and must not begin the next one at once.
                    sleep(AFTER_REFUSAL).await;
                }
                if !changes.moved(config().as_ref()) {
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
}

impl Changes {
    /// Says at once that something changed: what did since the bundle was read last, when nobody watched. Call it inside a
    /// runtime.
    pub fn of(place: Place) -> Self {
        let changed = Arc::new(Notify::new());
        changed.notify_one();
        let mut poll = interval_at(Instant::now() + POLL, POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { place, folders: Folders::new(changed.clone()), changed, poll }
    }

    /// Ends when it is time to look at the files again: after a burst of changes, or because nobody has looked for long.
    pub async fn next(&mut self) -> Reason {
        tokio::select! {
            () = self.changed.notified() => {
                settle(&self.changed).await;
                Reason::Change
            }
            _ = self.poll.tick() => Reason::Timer,
        }
    }

    /// Watches what a bundle of this configuration is made of. Folders may have been replaced, so each is watched anew.
    pub fn follow(&mut self, config: Option<&Config>) {
        self.folders.follow(wanted(&self.place, config));
    }

    /// Whether other folders are watched than those of this configuration.
    pub fn moved(&self, config: Option<&Config>) -> bool {
        self.folders.wanted != wanted(&self.place, config)
    }
}

/// Waits for the end of a burst.
async fn settle(changed: &Notify) {
    let end = Instant::now() + LONGEST_BURST;
    while Instant::now() < end && timeout(QUIET, changed.notified()).await.is_ok() {}
}

/// The folders under watch.
struct Folders {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<(PathBuf, bool)>,
    /// Of these, `watched` are there.
    wanted: BTreeSet<(PathBuf, bool)>,
}

impl Folders {
    fn new(changed: Arc<Notify>) -> Self {
        let look = move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| is_change(event.kind)) {
                changed.notify_one();
            }
        };
        let watcher = notify::recommended_watcher(look);
        if let Err(error) = &watcher {
            warn!(%error, "files cannot be watched; they are read every five seconds instead");
        }
        Self { watcher: watcher.ok(), watched: BTreeSet::new(), wanted: BTreeSet::new() }
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
    if let Some(config) = config {
        folders.insert((place.root.join(&config.scripts.dir), true));
        let files = config.tables.values().map(|table| table.file.as_str()).chain(access::files(config));
        let files = files.chain(outside::files(config));
        folders.extend(files.filter_map(parent).map(|folder| (folder, false)));
    } else {
        folders.insert((place.root.join("scripts"), true));
    }
    // One mode a folder: the root may be the scripts folder, too.
    let deep: BTreeSet<PathBuf> = folders.iter().filter(|(_, deep)| *deep).map(|(folder, _)| folder.clone()).collect();
    folders.retain(|(folder, is_deep)| *is_deep || !deep.contains(folder));
    folders
}

/// Reading raises events, too: reacting to those would never end.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}
