//! What the log was told already: once is enough, and types of events come from outside, so that memory has an end.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// More types than providers have.
const MOST: usize = 2_000;

#[derive(Default)]
pub(super) struct Told(Mutex<HashSet<(String, String)>>);

impl Told {
    /// Whether this is new.
    pub(super) fn first(&self, route: &str, kind: &str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < MOST && told.insert((route.to_owned(), kind.to_owned()))
    }
}
