//! Decisions as they are made, for those who watch: gathered for a quarter of a second, written once for all watchers.
//!
//! Nobody watching costs nothing; twenty watchers cost what one of each role does, and twenty writes to sockets. Who reads too
//! slowly is told so and let go: a gateway waits for no watcher.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use serde_json::json;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, timeout};

use crate::admin::access::sight::{PerRole, Sight};
use crate::admin::access::{Identity, Role};
use crate::admin::api::decisions::DecisionLine;
use hookgate_engine::records::Recorder;
use hookgate_model::decision::{Record, outcome};

/// Watchers of one role at once: readers take no place of an operator.
pub const MOST: usize = 32;

/// Watchers with one token or session at once, of these.
pub const MOST_OF_ONE: usize = 24;

/// How long a watcher may take nothing of what is written for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long decisions are gathered.
const GATHER: Duration = Duration::from_millis(250);

/// Decisions of one batch; nobody reads two hundred a second. Failures go first.
const MOST_SHOWN: usize = 50;

/// Batches that a watcher may be behind.
const BEHIND: usize = 16;

/// How often a quiet stream shows that it lives: proxies end what is silent for long.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

/// How many watch.
#[derive(Default)]
struct Watchers {
    readers: usize,
    operators: usize,
    /// By the name of their token or session.
    by_name: HashMap<String, usize>,
}

impl Watchers {
    fn of_role(&mut self, role: Role) -> &mut usize {
        match role {
            Role::Reader => &mut self.readers,
            Role::Operator => &mut self.operators,
        }
    }
}

/// The place of one watcher, until it is dropped.
struct Place {
    feed: Arc<DecisionFeed>,
    role: Role,
    name: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut watchers = self.feed.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        *watchers.of_role(self.role) -= 1;
        if let Some(count) = watchers.by_name.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                watchers.by_name.remove(&self.name);
            }
        }
    }
}

/// Tells all watchers what is decided.
pub struct DecisionFeed {
    records: Arc<Recorder>,
    watchers: Mutex<Watchers>,
    /// There while somebody watches.
    batches: Mutex<Option<broadcast::Sender<Texts>>>,
}

/// A batch as an event, for each role.
type Texts = Arc<PerRole<Bytes>>;

impl DecisionFeed {
    pub fn new(records: Arc<Recorder>) -> Arc<Self> {
        Arc::new(Self { records, watchers: Mutex::default(), batches: Mutex::default() })
    }

    /// A stream of server-sent events, until the gateway stops; nothing if [`MOST`] of this role watch already, or
    /// [`MOST_OF_ONE`] with this token or session.
    pub fn watch(self: &Arc<Self>, who: &Identity, stopping: Receiver<bool>) -> Option<Channel<Bytes>> {
        let place = self.place(who)?;
        let (sender, body) = Channel::new(1);
        tokio::spawn(follow(sender, who.sight(), self.subscribe(), place, stopping));
        Some(body)
    }

    fn place(self: &Arc<Self>, who: &Identity) -> Option<Place> {
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        let name = who.to_string();
        let of_one = watchers.by_name.get(&name).copied().unwrap_or_default();
        if of_one >= MOST_OF_ONE || *watchers.of_role(who.role) >= MOST {
            return None;
        }
        *watchers.of_role(who.role) += 1;
        watchers.by_name.insert(name.clone(), of_one + 1);
        Some(Place { feed: self.clone(), role: who.role, name })
    }

    fn subscribe(self: &Arc<Self>) -> broadcast::Receiver<Texts> {
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = &*batches {
            return sender.subscribe();
        }
        let (sender, receiver) = broadcast::channel(BEHIND);
        *batches = Some(sender.clone());
        tokio::spawn(gather(self.clone(), self.records.watch(), sender));
        receiver
    }

    /// Whether nobody watches any more; then the next watcher begins anew.
    fn ends(&self, sender: &broadcast::Sender<Texts>) -> bool {
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = sender.receiver_count() == 0;
        if ends {
            *batches = None;
        }
        ends
    }
}

/// Gathers decisions and writes each batch once.
async fn gather(
    feed: Arc<DecisionFeed>,
    mut records: broadcast::Receiver<Arc<Record>>,
    sender: broadcast::Sender<Texts>,
) {
    let mut ticks = interval(GATHER);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batch = Batch::default();
    loop {
        tokio::select! {
            record = records.recv() => match record {
                Ok(record) => batch.add(record),
                Err(RecvError::Lagged(missed)) => batch.missed(missed),
                Err(RecvError::Closed) => return,
            },
            _ = ticks.tick() => {
                if feed.ends(&sender) {
                    return;
                }
                if let Some(text) = std::mem::take(&mut batch).texts() {
                    // An error means that the last watcher has just gone.
                    let _ = sender.send(text);
                }
            }
        }
    }
}

/// What was decided within a quarter of a second.
#[derive(Default)]
struct Batch {
    failed: Vec<Arc<Record>>,
    others: Vec<Arc<Record>>,
    skipped: u64,
}

impl Batch {
    fn add(&mut self, record: Arc<Record>) {
        let list = if record.outcome == outcome::FAILED { &mut self.failed } else { &mut self.others };
        if list.len() < MOST_SHOWN {
            list.push(record);
        } else {
            self.skipped += 1;
        }
    }

    fn missed(&mut self, records: u64) {
        self.skipped += records;
    }

    /// As an event, oldest first; nothing if there is nothing to tell.
    fn texts(mut self) -> Option<Texts> {
        if self.failed.is_empty() && self.others.is_empty() && self.skipped == 0 {
            return None;
        }
        let room = MOST_SHOWN.saturating_sub(self.failed.len());
        let left_out = self.others.len().saturating_sub(room);
        self.others.drain(..left_out);
        self.skipped += left_out as u64;
        let mut shown: Vec<&Arc<Record>> = self.failed.iter().chain(&self.others).collect();
        shown.sort_by(|left, right| (left.at, &left.id).cmp(&(right.at, &right.id)));
        let text = |sight: Sight| {
            let line = |record: &&Arc<Record>| DecisionLine::of(&sight.record(Record::clone(record)));
            let lines: Vec<DecisionLine> = shown.iter().map(line).collect();
            let data = json!({ "decisions": lines, "skipped": self.skipped });
            Bytes::from(format!("event: decisions\ndata: {data}\n\n"))
        };
        Some(Arc::new(PerRole::make(text)))
    }
}

/// Writes batches to one watcher, until it goes, is too slow, or the gateway stops.
async fn follow(
    mut watcher: Sender<Bytes>,
    sight: Sight,
    mut batches: broadcast::Receiver<Texts>,
    place: Place,
    mut stopping: Receiver<bool>,
) {
    let mut alive = interval_at(Instant::now() + ALIVE_EVERY, ALIVE_EVERY);
    let stop = async move {
        // An error means that whoever could say so is gone, which is the end as well.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    let mut stop = std::pin::pin!(stop);
    let mut text = Bytes::from_static(b"retry: 2000\n: decisions as they are made\n\n");
    loop {
        let sent = tokio::select! {
            sent = timeout(PATIENCE, watcher.send_data(text)) => sent,
            () = &mut stop => break,
        };
        if !matches!(sent, Ok(Ok(()))) {
            break;
        }
        text = tokio::select! {
            batch = batches.recv() => match batch {
                Ok(batch) => batch.of(sight).clone(),
                Err(RecvError::Lagged(batches)) => {
                    let last = format!("event: lagged\ndata: {{\"batches\":{batches}}}\n\n");
                    let _ = timeout(PATIENCE, watcher.send_data(last.into())).await;
                    break;
                }
                Err(RecvError::Closed) => break,
            },
            _ = alive.tick() => Bytes::from_static(b": still here\n\n"),
            () = &mut stop => break,
        };
    }
    drop(place);
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookgate_model::decision::Failure;

    fn record(at: i64, outcome: &str) -> Arc<Record> {
        Arc::new(Record { id: format!("{at}"), at, outcome: outcome.to_owned(), ..Record::default() })
    }

    fn data(batch: Batch) -> serde_json::Value {
        let texts = batch.texts().unwrap();
        let text = std::str::from_utf8(texts.operator()).unwrap();
        let data = text.strip_prefix("event: decisions\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
        assert!(!data.contains('\n'), "one line: {data}");
        serde_json::from_str(data).unwrap()
    }

    #[test]
    fn failures_are_shown_before_anything_else_and_what_is_not_shown_is_counted() {
        let mut batch = Batch::default();
        (0..200).for_each(|at| batch.add(record(at, if at % 20 == 0 { outcome::FAILED } else { "allowed" })));
        batch.missed(7);
        let shown = data(batch);
        let outcomes: Vec<_> = shown["decisions"].as_array().unwrap().iter().map(|line| &line["outcome"]).collect();
        assert_eq!(outcomes.len(), MOST_SHOWN);
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == "failed").count(), 10);
        assert_eq!(shown["skipped"], 157);
        assert!(Batch::default().texts().is_none(), "silence is no batch");
    }

    #[test]
    fn readers_who_watch_get_no_words_of_a_failure() {
        let failure = Failure { text: "CANARY".to_owned(), quotes: true, ..Failure::default() };
        let mut batch = Batch::default();
        batch.add(Arc::new(Record { failure: Some(failure), ..Record::default() }));
        let texts = batch.texts().unwrap();
        let shows = |text: &Bytes| std::str::from_utf8(text).unwrap().contains("CANARY");
        assert!(shows(texts.operator()) && !shows(texts.reader()));
    }

    #[test]
    fn lines_of_others_stay_on_one_line() {
        let mut batch = Batch::default();
        let route = "a\nb\r\n\ndata: x\u{2028}".to_owned();
        batch.add(Arc::new(Record { route: route.clone(), ..Record::default() }));
        assert_eq!(data(batch)["decisions"][0]["route"], json!(route));
    }
}
