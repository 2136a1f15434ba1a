//! A search that can end in the middle: Pike's simulation of all ways that a pattern can go through a text at once.
//!
//! `regex-automata` has the same, faster, but once begun it runs to its end. Here every thousand steps are charged to the run.

use regex_automata::nfa::thompson::{NFA, State};
use regex_automata::util::primitives::{NonMaxUsize, StateID};

use crate::budget;
use crate::prelude::Fallible;

type Slots = [Option<NonMaxUsize>];

/// After so many steps the run is charged, this much for each.
const STEPS: u64 = 1_024;
const STEP_NANOS: u64 = 15;

/// Looks for the first match, leftmost and then by the order of alternatives. Fills `slots` with where its groups begin and
/// end; with none of them, the first sign of a match is enough.
///
/// # Errors
/// A limit of the run is reached.
pub(super) fn find(nfa: &NFA, text: &str, slots: &mut Slots) -> Fallible<bool> {
    let states = nfa.states().len();
    budget::reserve((states * (2 * slots.len() * size_of::<usize>() + 3 * size_of::<StateID>() * 2)) as u64)?;
    let mut search = Search { nfa, text, steps: 0, stack: Vec::new() };
    let (mut current, mut next) = (Threads::new(states, slots.len()), Threads::new(states, slots.len()));
    let mut scratch = vec![None; slots.len()];
    let mut found = false;
    for at in 0..=text.len() {
        // Matches begin between characters.
        let begins = !found && text.is_char_boundary(at) && (at == 0 || !nfa.is_always_start_anchored());
        if begins {
            scratch.fill(None);
            search.follow(&mut current, nfa.start_anchored(), at, &mut scratch)?;
        } else if current.order.is_empty() {
            if found || nfa.is_always_start_anchored() {
                break;
            }
            search.step()?;
            continue;
        }
        found |= search.advance(&mut current, &mut next, at, &mut scratch, slots)?;
        if found && slots.is_empty() {
            return Ok(true);
        }
        std::mem::swap(&mut current, &mut next);
        next.order.clear();
    }
    Ok(found)
}

/// The states that the search is in, the preferred first, each with where its groups began and ended.
struct Threads {
    order: Vec<StateID>,
    /// Where a state stands in `order`, if the entry there is that state.
    places: Vec<usize>,
    slots: Vec<Option<NonMaxUsize>>,
    width: usize,
}

impl Threads {
    fn new(states: usize, width: usize) -> Self {
        let (places, slots) = (vec![0; states], vec![None; states * width]);
        Self { order: Vec::with_capacity(states.min(64)), places, slots, width }
    }

    /// Whether the state was not there yet.
    fn insert(&mut self, state: StateID) -> bool {
        let place = &mut self.places[state.as_usize()];
        if self.order.get(*place) == Some(&state) {
            return false;
        }
        *place = self.order.len();
        self.order.push(state);
        true
    }

    fn slots_of(&mut self, state: StateID) -> &mut Slots {
        let start = state.as_usize() * self.width;
        &mut self.slots[start..start + self.width]
    }
}

/// What is still to be done while states are followed that take no character.
enum Left {
    Follow(StateID),
    Restore(usize, Option<NonMaxUsize>),
}

struct Search<'a> {
    nfa: &'a NFA,
    text: &'a str,
    steps: u64,
    stack: Vec<Left>,
}

impl Search<'_> {
    fn step(&mut self) -> Fallible<()> {
        self.steps += 1;
        if self.steps < STEPS {
            return Ok(());
        }
        budget::advance(std::mem::take(&mut self.steps) * STEP_NANOS)
    }

    /// Takes the character at `at` in every state. Whether one of them was a match; those after it are of no interest.
    fn advance(
        &mut self,
        current: &mut Threads,
        next: &mut Threads,
        at: usize,
        scratch: &mut Slots,
        slots: &mut Slots,
    ) -> Fallible<bool> {
        let bytes = self.text.as_bytes();
        for place in 0..current.order.len() {
            self.step()?;
            let state = current.order[place];
            let target = match self.nfa.state(state) {
                State::ByteRange { trans } => trans.matches(bytes, at).then_some(trans.next),
                State::Sparse(sparse) => sparse.matches(bytes, at),
                State::Dense(dense) => dense.matches(bytes, at),
                State::Match { .. } => {
                    slots.copy_from_slice(current.slots_of(state));
                    return Ok(true);
                }
                _ => None,
            };
            if let Some(target) = target {
                scratch.copy_from_slice(current.slots_of(state));
                self.follow(next, target, at + 1, scratch)?;
            }
        }
        Ok(false)
    }

    /// Adds a state and all that are reached from it without a character.
    fn follow(&mut self, threads: &mut Threads, state: StateID, at: usize, slots: &mut Slots) -> Fallible<()> {
        self.stack.push(Left::Follow(state));
        while let Some(left) = self.stack.pop() {
            match left {
                Left::Restore(slot, before) => slots[slot] = before,
                Left::Follow(state) => self.enter(threads, state, at, slots)?,
            }
        }
        Ok(())
    }

    fn enter(&mut self, threads: &mut Threads, state: StateID, at: usize, slots: &mut Slots) -> Fallible<()> {
        let mut state = state;
        loop {
            self.step()?;
            if !threads.insert(state) {
                return Ok(());
            }
            match self.nfa.state(state) {
                State::Fail => return Ok(()),
                State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) | State::Match { .. } => {
                    threads.slots_of(state).copy_from_slice(slots);
                    return Ok(());
                }
                State::Look { look, next } => {
                    if !self.nfa.look_matcher().matches(*look, self.text.as_bytes(), at) {
                        return Ok(());
                    }
                    state = *next;
                }
                State::Union { alternates } => {
                    let Some((first, rest)) = alternates.split_first() else { return Ok(()) };
                    self.stack.extend(rest.iter().rev().map(|other| Left::Follow(*other)));
                    state = *first;
                }
                State::BinaryUnion { alt1, alt2 } => {
                    self.stack.push(Left::Follow(*alt2));
                    state = *alt1;
                }
                State::Capture { next, slot, .. } => {
                    if let Some(value) = slots.get_mut(slot.as_usize()) {
                        self.stack.push(Left::Restore(slot.as_usize(), *value));
                        *value = NonMaxUsize::new(at);
                    }
                    state = *next;
                }
            }
        }
    }
}
