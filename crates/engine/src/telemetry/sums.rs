//! Warnings and errors of one kind beyond ten a second are counted instead of written, and the count is written once a
//! second.
//!
//! What a caller can cause, a caller can cause ten thousand times a second; then a line each costs more than the refusal
//! itself, and buries what else the log says. A kind is the place in the source and the names that the line carries from
//! the configuration (`LABELS`): refusals of one route never hide those of another. Lines of the levels INFO and below
//! are never left out: they are the log of accepted work.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use hookgate_model::pressure::PerSecond;

/// So many lines of a kind are written in full in a second.
pub(crate) const PER_SECOND: u64 = 10;
/// How long lines are counted before the count is written.
const TELL_AFTER: Duration = Duration::from_secs(1);
/// The fields that tell kinds apart. Their values come from the configuration or are constants.
const LABELS: [&str; 8] =
    ["route.name", "rule.name", "connector.name", "auth.name", "lane", "reason", "fault", "result"];
/// More kinds than this are not told apart by their labels, only by their place in the source.
const MOST_KINDS: usize = 1_024;
/// A message is a constant of the source; one that holds a value is cut.
const MOST_MESSAGE: usize = 200;

static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// How many lines of this process were counted instead of written, since it started.
pub(crate) fn left_out() -> u64 {
    LEFT_OUT.load(Ordering::Relaxed)
}

/// Lines of a kind that were left out, to be written as one.
pub(crate) struct Sum<'a> {
    pub(crate) level: Level,
    pub(crate) target: &'static str,
    /// The message of the lines that were left out.
    pub(crate) message: &'a str,
    /// Name and value.
    pub(crate) labels: &'a [(&'static str, String)],
    /// How many lines.
    pub(crate) count: u64,
}

/// Counts lines by kind. Its memory is bounded: [`MOST_KINDS`], and one kind for each place in the source.
pub(crate) struct Sums {
    kinds: DashMap<(Identifier, u64), Arc<Kind>, foldhash::fast::RandomState>,
    bell: Mutex<Bell>,
    rung: Condvar,
}

#[derive(Default)]
struct Bell {
    /// Something was left out since the last telling.
    waiting: bool,
    closed: bool,
}

struct Kind {
    level: Level,
    target: &'static str,
    message: String,
    labels: Vec<(&'static str, String)>,
    written: PerSecond,
    left_out: AtomicU64,
}

impl Sums {
    pub(crate) fn new() -> Self {
        let (kinds, bell, rung) = (DashMap::default(), Mutex::default(), Condvar::new());
        Self { kinds, bell, rung }
    }

    /// Whether the line is to be written. If not, it is counted.
    pub(crate) fn admits(&self, event: &Event<'_>) -> bool {
        // Levels are ordered by verbosity: INFO is greater than WARN.
        if *event.metadata().level() > Level::WARN {
            return true;
        }
        self.kind(event).admits() || {
            self.ring();
            false
        }
    }

    fn kind(&self, event: &Event<'_>) -> Arc<Kind> {
        let mut hasher = self.kinds.hasher().build_hasher();
        event.record(&mut Hashed(&mut hasher));
        let place = event.metadata().callsite();
        let key = (place.clone(), hasher.finish());
        if let Some(kind) = self.kinds.get(&key) {
            return Arc::clone(&kind);
        }
        // What the line says is read before the map is locked: formatting a value may log something itself.
        let (key, kind) = if self.kinds.len() < MOST_KINDS {
            (key, Kind::of(event, true))
        } else {
            ((place, 0), Kind::of(event, false))
        };
        Arc::clone(&self.kinds.entry(key).or_insert_with(|| Arc::new(kind)))
    }

    /// Has the counts written in a second.
    fn ring(&self) {
        let mut bell = self.bell.lock().unwrap_or_else(PoisonError::into_inner);
        if !bell.waiting {
            bell.waiting = true;
            self.rung.notify_one();
        }
    }

    /// Gives every count to `tell`, and begins to count anew.
    pub(crate) fn tell(&self, mut tell: impl FnMut(&Sum<'_>)) {
        let kinds: Vec<Arc<Kind>> = self.kinds.iter().map(|kind| Arc::clone(&kind)).collect();
        for kind in kinds {
            let Kind { level, target, message, labels, .. } = &*kind;
            let count = kind.left_out.swap(0, Ordering::Relaxed);
            if count > 0 {
                tell(&Sum { level: *level, target, message, labels, count });
            }
        }
    }

    /// Waits until something was left out and a second has passed; `false` when it is closed.
    pub(crate) fn wait(&self) -> bool {
        let bell = self.bell.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = |bell: &mut Bell| !bell.waiting && !bell.closed;
        let bell = self.rung.wait_while(bell, idle).unwrap_or_else(PoisonError::into_inner);
        let waited = self.rung.wait_timeout_while(bell, TELL_AFTER, |bell| !bell.closed);
        let mut bell = waited.unwrap_or_else(PoisonError::into_inner).0;
        bell.waiting = false;
        !bell.closed
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Ends the waiting.
    pub(crate) fn close(&self) {
        self.bell.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.rung.notify_all();
    }
}

impl Kind {
    fn of(event: &Event<'_>, with_labels: bool) -> Self {
        let mut read = Read { message: String::new(), labels: with_labels.then(Vec::new) };
        event.record(&mut read);
        let metadata = event.metadata();
        Self {
            level: *metadata.level(),
            target: metadata.target(),
            message: read.message,
            labels: read.labels.unwrap_or_default(),
            written: PerSecond::default(),
            left_out: AtomicU64::new(0),
        }
    }

    /// Whether one more line fits into this second. If not, it is counted.
    fn admits(&self) -> bool {
        let admitted = self.written.take(PER_SECOND, Instant::now());
        if !admitted {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            LEFT_OUT.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }
}

/// Hashes the labels of a line. Nothing is formatted.
struct Hashed<'a, H>(&'a mut H);

impl<H: Hasher> Visit for Hashed<'_, H> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(index) = LABELS.iter().position(|label| *label == field.name()) {
            (index, value).hash(self.0);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// Reads the message and the labels of a line.
struct Read {
    message: String,
    labels: Option<Vec<(&'static str, String)>>,
}

impl Visit for Read {
    fn record_str(&mut self, field: &Field, value: &str) {
        let label = LABELS.iter().find(|label| **label == field.name());
        if let (Some(label), Some(labels)) = (label, &mut self.labels) {
            labels.push((label, value.to_owned()));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}").chars().take(MOST_MESSAGE).collect();
        }
    }
}
