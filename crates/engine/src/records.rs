//! Records of decisions: taken off the path of calls, made in the background, kept in batches, shown as they come.
//!
//! A call pays for a look at a counter, and for handing over what it has anyway. Everything else happens on one thread that
//! lets others go first: the run is repeated from its journal for the lines it took (`make`), and what may be kept is
//! picked out. What comes beyond the budget of a second, or faster than the thread can work, is counted and gone; nothing
//! ever waits for it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{broadcast, oneshot};
use tracing::warn;

use crate::outcome::RunOutcome;
use crate::records::budget::Budget;
use crate::records::subject::Subjects;
use crate::release::Capturing;
use crate::telemetry::metrics::Metrics;
use hookgate_hooks::{Decoded, Hook};
use hookgate_model::decision::{Failure, Kept, Record};
use hookgate_model::trace::Parent;
use hookgate_script::context::Surroundings;
use hookgate_script::lanes;
use hookgate_script::run::Script;
use hookgate_script::stack;
use hookgate_store::{Store, StoreError};

mod budget;
mod make;
pub mod subject;

/// Runs that wait to be recorded, and the bytes of their bodies.
const MOST_WAITING: usize = 2_048;
const MOST_BYTES: usize = 32 * 1024 * 1024;
/// Records that are kept in one transaction, and the time from one transaction to the next. A record that comes later than that
/// waits for no other: programs beside the gateway, which cannot ask for a flush, find it at once.
const BATCH: usize = 256;
const BATCH_EVERY: Duration = Duration::from_millis(200);
/// How long somebody who looks at records waits for those of answers given before.
const PATIENCE: Duration = Duration::from_millis(250);
/// Records that a watcher may be behind.
const WATCHED: usize = 1_024;
/// A store that takes no records is told about this often.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// Takes runs and keeps their records. One per gateway.
pub struct Recorder {
    /// There until the end.
    inbox: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    budget: Budget,
    /// Bytes of bodies that wait.
    bytes: Arc<AtomicUsize>,
    live: broadcast::Sender<Arc<Record>>,
    metrics: Arc<Metrics>,
}

/// What may be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Records a second; 0 keeps none.
    pub per_second: u32,
    /// Whether logins are replaced by hashes.
    pub hash_subjects: bool,
}

/// What a run leaves behind, or a call that was refused.
pub(crate) struct Seen {
    /// When the call arrived, or the run began: milliseconds since 1970.
    pub(crate) at: i64,
    pub(crate) route: String,
    pub(crate) hook: Option<&'static Hook>,
    pub(crate) release: String,
    /// The body of the call, or of the event.
    pub(crate) body: bytes::Bytes,
    pub(crate) request_id: Option<String>,
    /// The trace that the caller is in.
    pub(crate) parent: Option<Parent>,
    pub(crate) preview: bool,
    pub(crate) outcome: Result<RunOutcome, RefusedCall>,
    /// What the script was run on; nothing if the call was answered before it was read.
    pub(crate) input: Option<RunInput>,
    pub(crate) rule: Option<RuleRun>,
    pub(crate) decoded_us: u64,
    pub(crate) took: Duration,
    pub(crate) capture: Option<Arc<Capturing>>,
}

/// A call that no script was to answer.
pub(crate) struct RefusedCall {
    pub(crate) id: String,
    pub(crate) status: u16,
    pub(crate) failure: Failure,
}

/// What a run can be repeated with.
pub(crate) struct RunInput {
    pub(crate) script: Arc<Script>,
    pub(crate) surroundings: Arc<Surroundings>,
    pub(crate) request: Decoded,
}

/// Of the run of a rule.
pub(crate) struct RuleRun {
    pub(crate) name: String,
    /// Our number of the event.
    pub(crate) event: i64,
    pub(crate) attempt: u32,
}

/// How much a record matters when there is room for some only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// A call that reached no script: anybody may send such.
    Refused,
    Plain,
    /// Somebody did not get what they came for.
    Urgent,
}

impl Seen {
    /// The id of the decision.
    fn id(&self) -> &str {
        match &self.outcome {
            Ok(outcome) => &outcome.id,
            Err(refused) => &refused.id,
        }
    }
}

enum Message {
    Seen(Box<Seen>),
    /// Everything before it is kept when this is answered.
    Flush(oneshot::Sender<()>),
}

impl Recorder {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system refuses another thread.
    pub fn start(store: Arc<dyn Store>, metrics: Arc<Metrics>, settings: Settings) -> io::Result<Arc<Self>> {
        let (inbox, messages) = sync_channel(MOST_WAITING);
        let (live, _) = broadcast::channel(WATCHED);
        let bytes = Arc::new(AtomicUsize::new(0));
        let work = Work {
            messages,
            bytes: bytes.clone(),
            live: live.clone(),
            metrics: metrics.clone(),
            runtime: Builder::new_current_thread().build()?,
            subjects: Subjects::new(store.clone(), settings.hash_subjects),
            store,
            batch: Vec::new(),
            told: None,
        };
        let thread = stack::thread("records").spawn(move || work.run())?;
        let (inbox, thread) = (Some(inbox), Some(thread));
        Ok(Arc::new(Self { inbox, thread, budget: Budget::new(settings.per_second), bytes, live, metrics }))
    }

    /// Whether a record that is finished `now` fits into the budget. If so, it counts.
    pub(crate) fn admits(&self, weight: Weight, now: Instant) -> bool {
        let admitted = self.budget.take(weight, now);
        if !admitted {
            self.metrics.decisions.inc("over_budget");
        }
        admitted
    }

    /// Takes what was admitted. Never waits: if too much waits already, it is counted and gone.
    pub(crate) fn record(&self, seen: Seen) {
        let size = seen.body.len();
        if self.bytes.fetch_add(size, Ordering::Relaxed) + size > MOST_BYTES {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
            self.metrics.decisions.inc("lost");
            return;
        }
        let sent = self.inbox.as_ref().map(|inbox| inbox.try_send(Message::Seen(Box::new(seen))));
        if !matches!(sent, Some(Ok(()))) {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
            self.metrics.decisions.inc("lost");
        }
    }

    /// Records as they are made, from now on. A watcher who is slow misses some.
    pub fn watch(&self) -> broadcast::Receiver<Arc<Record>> {
        self.live.subscribe()
    }

    /// How many records there are by what became of them since the start: `kept`, `over_budget`, `lost`.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        self.metrics.decisions.read()
    }

    /// Waits until what was taken so far can be read in the store, for a quarter of a second at most.
    pub async fn catch_up(&self) {
        let (reply, done) = oneshot::channel();
        // Where the line is full, what is at its end would not be kept in time.
        if self.inbox.as_ref().is_some_and(|inbox| inbox.try_send(Message::Flush(reply)).is_ok()) {
            let _ = tokio::time::timeout(PATIENCE, done).await;
        }
    }

    /// Resolves when everything that was taken so far is kept, or could not be.
    pub async fn flush(&self) {
        let (reply, done) = oneshot::channel();
        let Some(inbox) = self.inbox.clone() else { return };
        // The thread may be busy, and the line full.
        let asked = tokio::task::spawn_blocking(move || inbox.send(Message::Flush(reply)));
        if matches!(asked.await, Ok(Ok(()))) {
            let _ = done.await;
        }
    }
}

/// Keeps what waits, and lets go of the store.
impl Drop for Recorder {
    fn drop(&mut self) {
        drop(self.inbox.take());
        if let Some(thread) = self.thread.take() {
            // Nothing in it panics that is not caught, and if it did there would be nobody to tell.
            let _ = thread.join();
        }
    }
}

/// What the thread has.
struct Work {
    messages: Receiver<Message>,
    bytes: Arc<AtomicUsize>,
    live: broadcast::Sender<Arc<Record>>,
    metrics: Arc<Metrics>,
    /// Its own: a store answers by futures.
    runtime: Runtime,
    subjects: Subjects,
    store: Arc<dyn Store>,
    batch: Vec<Kept>,
    /// When trouble with the store was told last.
    told: Option<Instant>,
}

impl Work {
    /// Works until nobody can send any more.
    fn run(mut self) {
        lanes::give_way(5);
        let mut due = Instant::now();
        loop {
            let patience =
                if self.batch.is_empty() { BATCH_EVERY } else { due.saturating_duration_since(Instant::now()) };
            let mut flushed = None;
            match self.messages.recv_timeout(patience) {
                Ok(Message::Seen(seen)) => self.take(*seen),
                Ok(Message::Flush(reply)) => flushed = Some(reply),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.keep(),
            }
            let is_time = self.batch.len() >= BATCH || Instant::now() >= due || flushed.is_some();
            if is_time && !self.batch.is_empty() {
                self.keep();
                due = Instant::now() + BATCH_EVERY;
            }
            if let Some(reply) = flushed {
                let _ = reply.send(());
            }
        }
    }

    fn take(&mut self, seen: Seen) {
        self.bytes.fetch_sub(seen.body.len(), Ordering::Relaxed);
        let id = seen.id().to_owned();
        let make = std::panic::AssertUnwindSafe(|| make::kept(seen, &self.subjects, &self.runtime));
        let Ok(kept) = std::panic::catch_unwind(make) else {
            warn!(decision = id, "the record of a decision could not be made: this is a defect of the gateway");
            return self.metrics.decisions.inc("lost");
        };
        // An error means that nobody watches.
        let _ = self.live.send(Arc::new(kept.record.clone()));
        self.batch.push(kept);
    }

    fn keep(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        let count = batch.len();
        let kept = self.runtime.block_on(self.store.record(batch));
        let result = if kept.is_ok() { "kept" } else { "lost" };
        self.metrics.decisions.add(result, count as u64);
        if let Err(problem) = kept {
            self.tell(&problem, count);
        }
    }

    fn tell(&mut self, problem: &StoreError, count: usize) {
        if self.told.is_none_or(|told| told.elapsed() > TELL_EVERY) {
            warn!(error = %problem, decisions.count = count, "records of decisions could not be kept");
            self.told = Some(Instant::now());
        }
    }
}
