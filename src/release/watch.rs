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
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tracing::{debug, warn};

use crate::release::access;
use crate::release::bundle::Place;
use crate::release::live::Live;

/// A burst of writes ends when nothing came for this long …
const QUIET: Duration = Duration::from_millis(60);
/// … or has lasted this long.
const LONGEST_BURST: Duration = Duration::from_millis(400);
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
    let changed = Arc::new(Notify::new());
    let mut hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    let mut folders = Folders::new(changed.clone());
    // What changed since the release in force was read: nobody watched then.
    changed.notify_one();
    let task = tokio::spawn(async move {
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        poll.tick().await;
        loop {
            tokio::select! {
                () = changed.notified() => settle(&changed).await,
                _ = poll.tick() => {}
                _ = hangup.recv() => {}
            }
            // Followed before they are read, so that no change falls between. A new release may be made of other folders.
            loop {
                folders.follow(&place, &live);
                let (reloader, bundle) = (live.clone(), place.clone());
                let result = tokio::task::spawn_blocking(move || reloader.reload(&bundle)).await;
                debug!(?result, "looked at the files");
                if folders.wanted == wanted(&place, &live) {
                    break;
                }
            }
        }
    });
    Ok(Watch { task })
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

    /// Watches what the release in force is made of; folders may have been replaced, so each is watched anew.
    fn follow(&mut self, place: &Place, live: &Live) {
        self.wanted = wanted(place, live);
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
fn wanted(place: &Place, live: &Live) -> BTreeSet<(PathBuf, bool)> {
    let parent = |file: &str| place.root.join(file).parent().map(Path::to_owned);
    let mut folders = BTreeSet::from([(place.root.clone(), false)]);
    if let Some(release) = live.current() {
        let config = &release.config;
        folders.insert((place.root.join(&config.scripts.dir), true));
        let files = config.tables.values().map(|table| table.file.as_str()).chain(access::files(config));
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
