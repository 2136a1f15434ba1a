//! Made-up lives of a store, step by step beside the model.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use crate::Accepted;
use crate::End;
use crate::EventRef;
use crate::Flags;
use crate::JobKind;
use crate::JobState;
use crate::Leased;
use crate::NewEvent;
use crate::NewJob;
use crate::Operation;
use crate::Query;
use crate::Selection;
use crate::Settled;
use crate::StoreError;
use crate::Token;
use crate::contract::LEASE;
use crate::contract::Stand;
use crate::contract::attempt;
use crate::contract::event;
use crate::contract::model::Held;
use crate::contract::model::Model;
use crate::contract::seconds;

const LANES: [&str; 3] = ["rule events/watch", "connector chat", "connector mail"];
const KEYS: usize = 6;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Accept(NewEvent),
    Claim { lanes: usize, most: usize, holding: bool },
    ClaimSuspect { lanes: usize },
    Abandon(usize),
    Renew(usize),
    Settle(usize, End),
    Replay { which: Option<usize>, force: bool },
    Purge { which: Option<usize>, dead: bool },
    Sweep { keep: Duration, remember: Duration },
    Advance(Duration),
    Crash,
}

fn tens(most: u64) -> impl Strategy<Value = Duration> {
    (0..=most).prop_map(|count| seconds(count * 10))
}

fn job() -> impl Strategy<Value = NewJob> {
    let order = of((0..2u8, 0..3i64));
    let plan = (tens(2), order, of((0..2u8, tens(3))), of((0..2u8, tens(3))), prop::bool::weighted(0.1));
    (0..14u8, any::<bool>(), 0..LANES.len(), plan).prop_map(|(key, rule, lane, (delay, order, once, digest, not))| {
        NewJob {
            kind: if rule { JobKind::Rule } else { JobKind::Action },
            lane: LANES[lane].into(),
            name: "watch".to_owned(),
            key: format!("job {key}"),
            body: format!("body {key}{lane}").into(),
            delay,
            order: order.map(|(key, number)| (format!("order {key}"), number)),
            once: once.filter(|_| key % 3 == 0).map(|(key, window)| (format!("once {key}"), window)),
            digest: digest.filter(|_| key % 2 == 0).map(|(key, window)| (format!("digest {key}"), window)),
            suppressed: not.then(|| "a preview".to_owned()),
        }
    })
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        4 => vec(job(), 0..3).prop_map(End::Done),
        2 => tens(2).prop_map(End::Retry),
        1 => tens(2).prop_map(End::Postpone),
        3 => Just(End::Dead),
    ]
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let arrival = (0..KEYS, vec(job(), 0..4), any::<bool>()).prop_map(|(key, jobs, call)| {
        Step::Accept(NewEvent { flags: Flags { call, ..Flags::default() }, ..event(&format!("event {key}"), jobs) })
    });
    prop_oneof![
        6 => arrival,
        6 => (1..=LANES.len(), 1..4usize, any::<bool>())
            .prop_map(|(lanes, most, holding)| Step::Claim { lanes, most, holding }),
        3 => (1..=LANES.len()).prop_map(|lanes| Step::ClaimSuspect { lanes }),
        1 => any::<usize>().prop_map(Step::Abandon),
        1 => any::<usize>().prop_map(Step::Renew),
        9 => (any::<usize>(), end()).prop_map(|(token, end)| Step::Settle(token, end)),
        3 => (of(0..KEYS), any::<bool>()).prop_map(|(which, force)| Step::Replay { which, force }),
        1 => (of(0..KEYS), any::<bool>()).prop_map(|(which, dead)| Step::Purge { which, dead }),
        1 => tens(6).prop_map(|keep| Step::Sweep { keep, remember: seconds(1_000_000) }),
        3 => tens(4).prop_map(Step::Advance),
        1 => Just(Step::Crash),
    ]
}

/// Does the steps with both, and compares what they say and hold after each.
pub(crate) async fn agree(stand: &mut dyn Stand, start: i64, steps: Vec<Step>) {
    let mut trial = Trial { model: Model::at(start), held: Vec::new() };
    for step in steps {
        trial.step(stand, step.clone()).await;
        trial.compare(stand, &step).await;
    }
}

struct Trial {
    model: Model,
    /// What was given out, by the store and by the model; most of it is out of date.
    held: Vec<(Token, Held)>,
}

impl Trial {
    async fn step(&mut self, stand: &mut dyn Stand, step: Step) {
        match step {
            Step::Accept(event) => {
                let is_new = matches!(stand.accept(event.clone()).await, Accepted::New(_));
                assert_eq!(is_new, self.model.accept(&event), "{event:?}");
            }
            Step::Claim { lanes, most, holding } => self.claim(stand, &LANES[..lanes], most, holding).await,
            Step::ClaimSuspect { lanes } => self.claim_suspect(stand, &LANES[..lanes]).await,
            Step::Abandon(index) => {
                let Some((token, held)) = pick(&self.held, index) else { return };
                stand.store().abandon(vec![token]).await.expect("jobs can be given back");
                self.model.abandon(held);
            }
            Step::Renew(index) => {
                let Some((token, held)) = pick(&self.held, index) else { return };
                let left = stand.store().renew(vec![token], LEASE).await.expect("leases can be renewed");
                assert_eq!(!left.is_empty(), self.model.renew(held, LEASE));
            }
            Step::Settle(index, end) => {
                let Some((token, held)) = pick(&self.held, index) else { return };
                let attempt = attempt("failed");
                let settled = stand.store().settle(token, attempt.clone(), end.clone()).await.expect("a try ends");
                assert_eq!(settled, self.model.settle(held, &attempt, &end), "{end:?}");
                if settled == Settled::LostLease {
                    self.held.retain(|(_, other)| *other != held);
                }
            }
            Step::Replay { which, force } => self.replay(stand, which, force).await,
            Step::Purge { which, dead } => self.purge(stand, which, dead).await,
            Step::Sweep { keep, remember } => {
                let swept = stand.store().operate(Operation::Sweep { keep, remember, decisions: 0 }).await;
                assert_eq!(swept, Ok(self.model.sweep(keep, remember)));
            }
            Step::Advance(by) => {
                stand.advance(by);
                self.model.now += by.as_millis() as i64;
            }
            Step::Crash => {
                stand.crash().await;
                self.model.crash();
            }
        }
    }

    async fn claim(&mut self, stand: &dyn Stand, lanes: &[&str], most: usize, holding: bool) {
        let (tokens, held): (Vec<Token>, Vec<Held>) = self.held.iter().filter(|_| holding).cloned().unzip();
        let claimed = stand.claim_beside(lanes, most, tokens).await;
        let (given, next) = self.model.claim(lanes, most, &held, LEASE);
        let keys: Vec<&str> = claimed.jobs.iter().map(|job| job.key.as_str()).collect();
        assert_eq!(keys, given.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), "given out");
        assert_eq!([claimed.next_due, claimed.next_suspect], next, "the next due, and the next suspect");
        for (job, given) in claimed.jobs.iter().zip(&given) {
            self.take(job, given);
        }
    }

    async fn claim_suspect(&mut self, stand: &dyn Stand, lanes: &[&str]) {
        let claimed = stand.claim_suspect(lanes).await;
        let given = self.model.claim_suspect(lanes, LEASE);
        assert_eq!(claimed.as_ref().map(|job| &job.key), given.as_ref().map(|(key, _)| key), "the suspect");
        if let (Some(job), Some(given)) = (claimed, given) {
            self.take(&job, &given);
        }
    }

    fn take(&mut self, job: &Leased, (key, held): &(String, Held)) {
        let known = self.model.jobs.iter().find(|known| known.key == *key).expect("the model knows it");
        let found = (job.doubt, job.deaths, job.replay, job.generation);
        assert_eq!(found, (known.doubt, known.deaths, known.replay, known.generation), "{key}");
        self.held.push((job.token.clone(), *held));
    }

    async fn replay(&mut self, stand: &dyn Stand, which: Option<usize>, force: bool) {
        let (which, expected) = match which {
            Some(key) => (Selection::One(EventRef::Key(name(key))), self.model.replay(&name(key), force)),
            None => (Selection::All(Box::default()), self.model.replay_all(force)),
        };
        let one = matches!(which, Selection::One(_));
        let replayed = stand.store().operate(Operation::Replay { which, force }).await;
        same(one, replayed, expected);
    }

    async fn purge(&mut self, stand: &dyn Stand, which: Option<usize>, dead: bool) {
        let query = Query { state: dead.then_some(JobState::Dead), ..Query::default() };
        let (which, expected) = match which {
            Some(key) => (Selection::One(EventRef::Key(name(key))), self.model.purge(|event| event.key == name(key))),
            None if dead => (Selection::All(Box::new(query)), self.model.purge_dead()),
            None => (Selection::All(Box::new(query)), self.model.purge(|_| true)),
        };
        let one = matches!(which, Selection::One(_));
        same(one, stand.store().operate(Operation::Purge { which }).await, expected);
    }

    async fn compare(&self, stand: &dyn Stand, after: &Step) {
        let store = stand.store();
        let listed = store.list(Query { limit: 1000, ..Query::default() }).await.expect("events can be listed");
        let listed: Vec<&str> = listed.events.iter().map(|event| event.key.as_str()).collect();
        let known: Vec<&str> = self.model.events.iter().rev().map(|event| event.key.as_str()).collect();
        assert_eq!(listed, known, "events after {after:?}");
        for event in known {
            self.compare_jobs(stand, event, after).await;
        }
        let health = store.health().await.expect("the store is well");
        let counted = [health.waiting, health.running, health.dead];
        let known = [JobState::Waiting, JobState::Running, JobState::Dead].map(|state| self.model.count(state));
        assert_eq!(counted, known, "waiting, running, dead after {after:?}");
        assert_eq!(health.queue_age_ms, self.model.queue_age(), "the age of the queue after {after:?}");
        for state in JobState::ALL {
            let query = Query { state: Some(state), limit: 1000, ..Query::default() };
            let listed = store.list(query).await.expect("events can be listed").events;
            let listed: Vec<String> = listed.into_iter().map(|event| event.key).collect();
            let has = |event: &&str| self.model.jobs_of(event).iter().any(|job| job.state == state);
            let keys = self.model.events.iter().rev().map(|event| event.key.as_str());
            assert_eq!(listed, keys.filter(has).collect::<Vec<_>>(), "events with a job {state:?} after {after:?}");
        }
    }

    async fn compare_jobs(&self, stand: &dyn Stand, event: &str, after: &Step) {
        let shown = stand.show(event).await;
        let parent = |id: Option<i64>| {
            id.map(|id| shown.jobs.iter().find(|job| job.id == id).map_or(String::new(), |job| job.new_key()))
        };
        let found: Vec<String> = shown
            .jobs
            .iter()
            .map(|job| {
                let tries: Vec<&str> = job.tries.iter().map(|tried| tried.result.as_str()).collect();
                let due = job.due.unwrap_or(0);
                let (key, parent, noted) = (&job.key, parent(job.parent), job.note.is_some());
                let (state, body) = (job.state, String::from_utf8_lossy(&job.body));
                let counts = (job.attempts, job.replay, job.doubt, job.created);
                format!("{key} {state:?} {due} {parent:?} {counts:?} {noted} {tries:?} {body}")
            })
            .collect();
        let known: Vec<String> = self
            .model
            .jobs_of(event)
            .iter()
            .map(|job| {
                let due = if job.state == JobState::Waiting { job.due } else { 0 };
                let (key, parent, noted, state) = (&job.key, &job.parent, job.noted, job.state);
                let (tries, body) = (&job.tries, String::from_utf8_lossy(&job.new.body));
                let counts = (job.attempts, job.replay, job.doubt, job.created);
                let parent = parent.as_ref().map(|parent| base(parent));
                let gone = parent
                    .as_ref()
                    .is_some_and(|parent| !self.model.jobs_of(event).iter().any(|other| base(&other.key) == *parent));
                let parent = if gone { Some(String::new()) } else { parent };
                format!("{key} {state:?} {due} {parent:?} {counts:?} {noted} {tries:?} {body}")
            })
            .collect();
        assert_eq!(found, known, "jobs of {event} after {after:?}");
    }
}

impl crate::JobLine {
    fn new_key(&self) -> String {
        base(&self.key)
    }
}

/// A key without its generation.
fn base(key: &str) -> String {
    key.split('#').next().unwrap_or_default().to_owned()
}

fn name(key: usize) -> String {
    format!("event {key}")
}

fn pick(held: &[(Token, Held)], index: usize) -> Option<(Token, Held)> {
    // The newest are the likeliest to be held still.
    (!held.is_empty()).then(|| held[held.len() - 1 - index % held.len().min(4)].clone())
}

/// What one event refuses is nothing changed.
fn same(one: bool, found: Result<u64, StoreError>, expected: u64) {
    match found {
        Err(StoreError::Refused(_)) if one => assert_eq!(expected, 0, "refused"),
        found => assert_eq!(found, Ok(expected)),
    }
}
