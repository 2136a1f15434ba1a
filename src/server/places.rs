//! The places of a listener: as many connections as are allowed, and which of them makes room for a new one.
//!
//! When all places are taken, a connection that the gateway waits for is closed for the newcomer, those first that never showed
//! a good head. So connections that say nothing keep nobody out, however many they are. Calls in work keep their place.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::server::pace::Pace;

/// Connections that are compared to find the one that makes room: taken from a random spot, so that finding one costs the
/// same however many there are.
const COMPARED: usize = 64;

/// How often those are looked at again if all of them were in work.
const AGAIN: Duration = Duration::from_millis(20);

pub(super) struct Places {
    slots: Mutex<Slots>,
    left: Notify,
}

struct Slots {
    taken: Vec<Option<Arc<Pace>>>,
    free: Vec<usize>,
}

/// A place that is taken, until it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    number: usize,
}

impl Places {
    pub(super) fn new(count: usize) -> Arc<Self> {
        let slots = Slots { taken: vec![None; count], free: (0..count).rev().collect() };
        Arc::new(Self { slots: Mutex::new(slots), left: Notify::new() })
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.taken.len() - slots.free.len()
    }

    /// A place, if one is free.
    pub(super) fn take(self: &Arc<Self>, pace: &Arc<Pace>) -> Option<Place> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let number = slots.free.pop()?;
        slots.taken[number] = Some(Arc::clone(pace));
        Some(Place { places: Arc::clone(self), number })
    }

    /// A place that somebody else gave up. Only one task may wait here at a time.
    pub(super) async fn make_room(self: &Arc<Self>, pace: &Arc<Pace>) -> Place {
        loop {
            if let Some(place) = self.take(pace) {
                return place;
            }
            if let Some(least) = self.least_claim() {
                least.evict();
            }
            let _ = tokio::time::timeout(AGAIN, self.left.notified()).await;
        }
    }

    /// Resolves when no place is taken.
    pub(super) async fn empty(&self) {
        while self.taken() > 0 {
            self.left.notified().await;
        }
    }

    fn least_claim(&self) -> Option<Arc<Pace>> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, after) = slots.taken.split_at(fastrand::usize(..=slots.taken.len()));
        let compared = after.iter().chain(before).take(COMPARED).flatten();
        let claims = compared.filter_map(|pace| pace.claim().map(|claim| (claim, pace)));
        claims.min_by_key(|(claim, _)| *claim).map(|(_, pace)| Arc::clone(pace))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut slots = self.places.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.taken[self.number] = None;
        slots.free.push(self.number);
        drop(slots);
        self.places.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[tokio::test]
    async fn a_newcomer_gets_the_place_of_whoever_is_waited_for_longest() {
        let (origin, places) = (Instant::now(), Places::new(3));
        let paces: Vec<Arc<Pace>> = (0..3).map(|_| Arc::new(Pace::new(origin))).collect();
        let mut held: Vec<Option<Place>> = paces.iter().map(|pace| places.take(pace)).collect();
        paces[0].call_begins(false);
        assert_eq!(places.taken(), 3);
        let newcomer = Arc::new(Pace::new(origin));
        assert!(places.take(&newcomer).is_none());

        let room = places.make_room(&newcomer);
        let gone = async {
            paces[1].evicted().await;
            held[1] = None;
        };
        let (room, ()) = tokio::join!(room, gone);
        assert_eq!(places.taken(), 3);
        drop((room, held));
        places.empty().await;
    }

    #[tokio::test]
    async fn a_newcomer_waits_while_all_places_are_in_work() {
        let (origin, places) = (Instant::now(), Places::new(1));
        let busy = Arc::new(Pace::new(origin));
        let held = places.take(&busy);
        busy.call_begins(false);
        busy.evict();
        let newcomer = Arc::new(Pace::new(origin));
        let room = places.make_room(&newcomer);
        let works = async {
            tokio::task::yield_now().await;
            assert_eq!(places.taken(), 1);
            drop(held);
        };
        let (room, ()) = tokio::join!(room, works);
        assert_eq!(places.taken(), 1);
        drop(room);
    }
}
