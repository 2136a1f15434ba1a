//! The duplicate guard: the same call again within two minutes gets the first answer, and its script does not run again.
//!
//! The same call is one of the same id with the same body: an id alone may be used twice, by a provider that counts anew or by a
//! request that calls several times. Bodies are told apart by a keyed hash (SipHash) with a key that this process draws: it is
//! as fast as hashes without one, and nobody who writes a part of a body can make it collide with another. What must be
//! known in another process, too, is told apart by SHA-256.
//!
//! A provider that heard nothing in time calls once more, perhaps while the first call is still running: then the
//! second waits for the first. Memory is bounded by the newest [`MOST`] answers.

use std::collections::VecDeque;
use std::future::Future;
use std::hash::RandomState;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use rhai::ImmutableString;
use tokio::sync::OnceCell;

use crate::gateway::digest::fingerprint;
use crate::outcome::RunOutcome;
use hookgate_hooks::Reply;

/// Release, route, the provider's id of the call, and its body. A new release answers anew.
pub(crate) type Key = (u64, usize, ImmutableString, u64);

/// How long an answer is given again.
const REMEMBERED: Duration = Duration::from_secs(120);

/// How many answers are kept at most.
pub(crate) const MOST: usize = 10_000;

#[derive(Default)]
pub(crate) struct Guard {
    slots: DashMap<Key, Arc<Slot>, foldhash::fast::RandomState>,
    /// Keys by age, for forgetting the oldest.
    order: Mutex<VecDeque<(Instant, Key)>>,
    /// The key of the hash of bodies.
    bodies: RandomState,
}

struct Slot {
    made: Instant,
    reply: OnceCell<Reply>,
}

/// What became of a call.
pub(crate) enum Answer {
    /// It ran now.
    First(Box<RunOutcome>),
    /// It ran before.
    Again(Reply),
}

impl Guard {
    /// What the call is known by.
    pub(crate) fn key(&self, release: u64, route: usize, id: ImmutableString, body: &[u8]) -> Key {
        (release, route, id, fingerprint(body, &self.bodies))
    }

    /// Decides the call of `key` once. If the caller of the first goes away in the middle, the next one decides.
    pub(crate) async fn once<F: Future<Output = RunOutcome>>(&self, key: Key, decide: impl FnOnce() -> F) -> Answer {
        let slot = self.slot(key);
        let mut first = None;
        let reply = slot.reply.get_or_init(|| async {
            let decision = decide().await;
            let reply = decision.reply.clone();
            first = Some(decision);
            reply
        });
        let reply = reply.await.clone();
        first.map_or(Answer::Again(reply), |decision| Answer::First(Box::new(decision)))
    }

    fn slot(&self, key: Key) -> Arc<Slot> {
        let now = Instant::now();
        let fresh = Arc::new(Slot { made: now, reply: OnceCell::new() });
        match self.slots.entry(key.clone()) {
            Entry::Occupied(kept) if now.duration_since(kept.get().made) < REMEMBERED => return kept.get().clone(),
            Entry::Occupied(mut expired) => drop(expired.insert(fresh.clone())),
            Entry::Vacant(vacant) => drop(vacant.insert(fresh.clone())),
        }
        self.forget_oldest(now, key);
        fresh
    }

    fn forget_oldest(&self, now: Instant, newest: Key) {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        order.push_back((now, newest));
        // Two at most per call: the work of a call does not depend on what came before it.
        for _ in 0..2 {
            let over = order.len() > MOST;
            let Some((made, _)) = order.front() else { return };
            if !over && now.duration_since(*made) < REMEMBERED {
                return;
            }
            if let Some((made, key)) = order.pop_front() {
                self.slots.remove_if(&key, |_, slot| slot.made == made);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        (1, 1, format!("call-{number}").into(), 0)
    }

    async fn reply_of(guard: &Guard, number: usize, status: u16) -> (bool, u16) {
        let decide = || async { RunOutcome::of(Reply::empty(status)) };
        match guard.once(key(number), decide).await {
            Answer::First(decision) => (true, decision.reply.status),
            Answer::Again(reply) => (false, reply.status),
        }
    }

    #[tokio::test]
    async fn the_same_call_gets_the_first_answer() {
        let guard = Guard::default();
        assert_eq!(reply_of(&guard, 1, 200).await, (true, 200));
        assert_eq!(reply_of(&guard, 1, 204).await, (false, 200));
        assert_eq!(reply_of(&guard, 2, 204).await, (true, 204));
    }

    #[tokio::test]
    async fn a_retry_waits_for_the_call_that_is_still_running() {
        let guard = Arc::new(Guard::default());
        let (go, gate) = tokio::sync::oneshot::channel::<()>();
        let slow = {
            let guard = guard.clone();
            tokio::spawn(async move {
                let decide = || async {
                    gate.await.expect("the test opens the gate");
                    RunOutcome::of(Reply::empty(200))
                };
                matches!(guard.once(key(1), decide).await, Answer::First(_))
            })
        };
        while guard.slots.is_empty() {
            tokio::task::yield_now().await;
        }
        let retry = tokio::spawn(async move { reply_of(&guard, 1, 500).await });
        tokio::task::yield_now().await;
        go.send(()).expect("the first call still waits");
        assert!(slow.await.expect("no panic"));
        assert_eq!(retry.await.expect("no panic"), (false, 200));
    }

    #[tokio::test]
    async fn only_the_newest_answers_are_kept() {
        let guard = Guard::default();
        for number in 0..MOST + 500 {
            reply_of(&guard, number, 200).await;
        }
        assert!(guard.slots.len() <= MOST + 1, "{} answers are kept", guard.slots.len());
        assert_eq!(reply_of(&guard, 0, 204).await, (true, 204), "the oldest is forgotten");
        assert_eq!(reply_of(&guard, MOST + 499, 204).await, (false, 200), "the newest is kept");
    }
}
