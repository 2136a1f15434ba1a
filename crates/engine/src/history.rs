//! The past of the gateway: the releases that were in force, going back to one, and the log of who changed what.
//!
//! It is told of each release that goes live or is refused ([`release::witness`](crate::release::witness)), and keeps that on a
//! task of its own: a store that is full or slow holds up no release. Nothing of a secret is in it, because nothing of a
//! secret is in a bundle.
//!
//! [`History::roll_back`] pins: what was on disk then does not go live until it changes, not even after a restart.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{Sender, channel};
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;
use tracing::error;

use crate::history::content::Tree;
use crate::history::diff::FileDiff;
use crate::history::shown::{Named, Release};
use crate::history::write::{Item, Told};
use crate::release::build;
use crate::release::build::Reading;
use crate::release::bundle::{Content, Place};
use crate::release::live::{Live, Reloaded};
use crate::release::witness::Pinned;
use hookgate_model::finding::Finding;
use hookgate_store::archive::{Change, ChangePage, ChangeQuery, NewChange, Pin, Verified};
use hookgate_store::{Store, StoreError};

pub mod content;
pub mod diff;
pub mod shown;
mod write;

/// How long an order waits until what it did is kept. Longer means that the store is in trouble.
const PATIENCE: Duration = Duration::from_secs(3);
/// How many releases may wait to be kept while the store cannot take them.
const QUEUE: usize = 16;

/// What is kept of the past, and what can be done with it. One per gateway.
pub struct History {
    store: Arc<dyn Store>,
    live: Arc<Live>,
    place: Place,
    queue: Sender<Item>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// One rollback at a time.
    going_back: Mutex<()>,
}

/// Why an order was not carried out. Nothing has changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    #[error("no release `{0}` is kept")]
    Unknown(String),
    #[error("several releases begin with `{0}`: write more of the hash")]
    Ambiguous(String),
    #[error("release `{0}` is in force already")]
    InForce(String),
    /// It is listed, and what it was made of is not there any more as it was.
    #[error("release `{0}` cannot be read: {1}")]
    Damaged(String, String),
    /// What it needs of the world is gone, or this version of the program does not take it.
    #[error("release `{label}` cannot be built any more ({} findings)", findings.len())]
    Refused { label: String, findings: Vec<Finding> },
    /// What is on disk cannot be compared with anything.
    #[error("what is on disk cannot be read ({} findings)", .0.len())]
    OnDisk(Vec<Finding>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure {
    /// What is wrong with a bundle, where it is that.
    pub fn findings(self) -> Vec<Finding> {
        match self {
            Self::Refused { findings, .. } | Self::OnDisk(findings) => findings,
            _ => Vec::new(),
        }
    }
}

/// What a rollback did.
#[derive(Clone, Debug)]
pub struct RolledBack {
    /// Hash of the release in force.
    pub to: String,
    /// Hash of the one that was.
    pub before: Option<String>,
    /// Nothing where the files on disk are what is in force now.
    pub pinned: Option<Pinned>,
    /// Whether the store has it. If not, it is in force all the same, and a restart would not know of it.
    pub kept: bool,
}

/// What to begin with.
pub struct Beginning {
    pub reading: Reading,
    /// Of an earlier release.
    pub pinned: Option<Pinned>,
}

impl History {
    /// Begins to keep what `live` puts in force: make it before the first release is. Call it inside a runtime.
    pub fn start(store: Arc<dyn Store>, live: Arc<Live>, place: Place) -> Arc<Self> {
        let (queue, items) = channel(QUEUE);
        live.tell(Box::new(Told::new(queue.clone(), store.clone())));
        let writer = tokio::spawn(write::run(store.clone(), place.clone(), items));
        Arc::new(Self { store, live, place, queue, writer: Mutex::new(Some(writer)), going_back: Mutex::default() })
    }

    /// What to put in force first, given what is on disk: the release that was pinned, as long as the files are those that it
    /// was pinned against; else the files.
    ///
    /// # Errors
    /// The pinned release cannot be read, or its configuration is not one any more.
    pub async fn begin(&self, on_disk: Reading) -> Result<Beginning, Failure> {
        let pin = self.store.archive().pin().await?;
        let Some(pin) = pin.filter(|pin| pin.from == on_disk.hash) else {
            return Ok(Beginning { reading: on_disk, pinned: None });
        };
        let content = self.content(&pin.to).await?;
        let label = shown::label(&pin.to);
        let reading = build::again(&self.place, content).map_err(|findings| Failure::Refused { label, findings })?;
        Ok(Beginning { reading, pinned: Some(pinned(pin)) })
    }

    /// The release that was in force last, and the pin that it has; nothing if none is kept.
    ///
    /// # Errors
    /// It cannot be read, or its configuration is not one any more.
    pub async fn last(&self) -> Result<Option<Beginning>, Failure> {
        let Some(last) = self.store.archive().releases().await?.into_iter().next() else { return Ok(None) };
        let pin = self.store.archive().pin().await?.filter(|pin| pin.to == last.hash);
        let content = self.content(&last.hash).await?;
        let label = shown::label(&last.hash);
        let reading = build::again(&self.place, content).map_err(|findings| Failure::Refused { label, findings })?;
        Ok(Some(Beginning { reading, pinned: pin.map(pinned) }))
    }

    /// Puts a release in force that was before, and pins it. `name` is its hash, or the first digits of it.
    ///
    /// # Errors
    /// There is no such release, it is in force, or it cannot be built any more.
    pub async fn roll_back(&self, name: &str, who: &str) -> Result<RolledBack, Failure> {
        let _one = self.going_back.lock().await;
        let to = self.find(name).await?;
        let before = self.live.status().running;
        if before.as_ref() == Some(&to) {
            return Err(Failure::InForce(shown::label(&to)));
        }
        let content = self.content(&to).await?;
        let (live, place, by) = (self.live.clone(), self.place.clone(), who.to_owned());
        let back = tokio::task::spawn_blocking(move || live.roll_back(&place, content, &by)).await;
        match back {
            Ok(Ok(())) => {}
            Ok(Err(findings)) => return Err(Failure::Refused { label: shown::label(&to), findings }),
            Err(error) => return Err(Failure::Damaged(shown::label(&to), error.to_string())),
        }
        let kept = self.settle().await;
        Ok(RolledBack { to, before, pinned: self.live.status().pinned, kept })
    }

    /// Takes what is on disk now, and ends a pin with it if that is good.
    pub async fn reload(&self, who: &str) -> Reloaded {
        let (live, place, by) = (self.live.clone(), self.place.clone(), who.to_owned());
        let reloaded = tokio::task::spawn_blocking(move || live.reload_for(&place, &by)).await;
        self.settle().await;
        // A panic while it is built is a defect of ours; what is in force stays.
        reloaded.unwrap_or_else(|error| {
            error!(%error, "a reload ended with a panic");
            Reloaded::Refused
        })
    }

    /// Appends to the log of changes what `who` did. `detail` is cut to its limit.
    ///
    /// # Errors
    /// The store cannot take it.
    pub async fn note(
        &self,
        who: &str,
        what: &str,
        subject: &str,
        detail: &serde_json::Value,
    ) -> Result<Change, StoreError> {
        write::note(&*self.store, write::change(self.store.now(), who, what, subject, detail)).await
    }

    /// The log of changes, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn changes(&self, query: ChangeQuery) -> Result<ChangePage, StoreError> {
        self.store.archive().changes(query).await
    }

    /// Follows the chain of the log of changes.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn verify(&self) -> Result<Verified, StoreError> {
        self.store.archive().verify_changes().await
    }

    /// All releases that are known, newest first: those that were in force, and before them what is on disk if it was refused.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn releases(&self) -> Result<Vec<Release>, StoreError> {
        let kept = self.store.archive().releases().await?;
        Ok(shown::list(kept, Some(&self.live.status())))
    }

    /// One release and its files.
    ///
    /// # Errors
    /// There is none of that name, or the store cannot be read.
    pub async fn release(&self, name: &str) -> Result<shown::Whole, Failure> {
        let named = Named::of(name);
        let hash = self.hash(&named).await?;
        let mut tree = self.tree(&named).await?;
        content::load_short(&*self.store, &mut tree).await?;
        let release = self.releases().await?.into_iter().find(|release| release.hash == hash);
        let release = release.ok_or_else(|| Failure::Unknown(name.to_owned()))?;
        Ok(shown::Whole { release, files: shown::files(&tree) })
    }

    /// How two of them differ, file by file.
    ///
    /// # Errors
    /// One of them is not there or cannot be read.
    pub async fn diff(&self, from: &Named, to: &Named) -> Result<Vec<FileDiff>, Failure> {
        let (from, to) = (self.tree(from).await?, self.tree(to).await?);
        content::diff(&*self.store, from, to, diff::MOST_SHOWN).await
    }

    /// Waits until all that was seen so far is kept, for a while; whether it is.
    pub async fn settle(&self) -> bool {
        let (done, kept) = oneshot::channel();
        let asked = tokio::time::timeout(PATIENCE, async {
            self.queue.send(Item::Settle(done)).await.is_ok() && kept.await.is_ok()
        });
        asked.await.unwrap_or(false)
    }

    /// Ends the keeping: what waits is tried once more.
    pub async fn stop(&self) {
        let (done, ended) = oneshot::channel();
        let asked = tokio::time::timeout(PATIENCE, async {
            let _ = self.queue.send(Item::Stop(done)).await;
            let _ = ended.await;
        });
        let asked = asked.await;
        if let Some(writer) = self.writer.lock().await.take() {
            if asked.is_err() {
                writer.abort();
            }
            let _ = writer.await;
        }
    }

    async fn find(&self, name: &str) -> Result<String, Failure> {
        shown::find(&self.store.archive().releases().await?, name)
    }

    /// The hash of a release that is listed.
    async fn hash(&self, named: &Named) -> Result<String, Failure> {
        let status = self.live.status();
        match named {
            Named::Hash(name) => {
                match shown::refused(&status).filter(|refused| refused.hash.starts_with(name.as_str())) {
                    Some(refused) if name.len() >= refused.label.len() => Ok(refused.hash),
                    _ => self.find(name).await,
                }
            }
            Named::Running => status.running.ok_or_else(|| Failure::Unknown("running".to_owned())),
            Named::OnDisk => status.on_disk.ok_or_else(|| Failure::Unknown("on_disk".to_owned())),
        }
    }

    async fn tree(&self, named: &Named) -> Result<Tree, Failure> {
        if *named == Named::OnDisk {
            return content::on_disk(&self.place).await;
        }
        let hash = self.hash(named).await?;
        match content::kept(&*self.store, &hash).await {
            // It was never in force, so that only the files have it.
            Err(Failure::Unknown(_)) if self.live.status().on_disk == Some(hash) => content::on_disk(&self.place).await,
            tree => tree,
        }
    }

    /// What a release was made of.
    async fn content(&self, hash: &str) -> Result<Content, Failure> {
        content::read(&*self.store, hash).await
    }
}

fn pinned(pin: Pin) -> Pinned {
    let Pin { to, from, since, who } = pin;
    Pinned { to, from, since: shown::time(since), who }
}

/// What is noted when something is changed beside the gateway. `what` is a fixed sentence; `subject` names what it was done to.
pub fn by_hand(
    now: hookgate_store::Millis,
    who: &str,
    what: &'static str,
    subject: &str,
    detail: &serde_json::Value,
) -> NewChange {
    write::change(now, who, what, subject, detail)
}

/// What is noted when a pin is ended by hand while no gateway runs.
pub fn unpinned(now: hookgate_store::Millis, who: &str, pin: &Pin) -> NewChange {
    let detail = serde_json::json!({ "to": pin.to, "from": pin.from, "since": shown::time(pin.since), "who": pin.who });
    let change = write::change(now, who, "pin ended", &shown::label(&pin.to), &detail);
    NewChange { pin: hookgate_store::archive::Repin::End, ..change }
}
