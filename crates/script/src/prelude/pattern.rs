//! Regular expressions within the limits of a run: compiling them, keeping them, and matching them.
//!
//! A pattern is matched in time proportional to the text times the pattern's size. For short texts that is so little that the
//! engine of `regex-automata` (the one inside `regex`) may not be interrupted. For long ones `pike` does the same in steps
//! that look at the clock, so that a run ends at its deadline and leaves an async worker after its patience, as it does
//! in a loop of its own.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use quick_cache::sync::Cache as Bounded;
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter, sync::DefaultLifecycle};
use regex_automata::Input;
use regex_automata::meta::{Cache, Config, Regex};
use regex_automata::nfa::thompson::{self, NFA};
use regex_automata::util::primitives::NonMaxUsize;
use regex_syntax::hir::Hir;
use rhai::EvalAltResult;

use crate::budget;
use crate::prelude::Fallible;

mod pike;

/// Bytes of a pattern as it is written.
const MAX_TEXT: usize = 16 * 1024;

/// Classes of characters from all of Unicode in one pattern: each takes some kilobytes and a tenth of a millisecond to make.
const MAX_CLASSES: usize = 200;

/// Bytes of one compiled pattern, so that `\w{1000}{1000}` is an error and not a stall.
const MAX_COMPILED: usize = 1 << 20;

/// A pattern that is no larger than this, compiled, is made at once.
const SMALL: usize = 64 * 1024;

/// What compiling a larger one costs, at most.
const LARGE_NANOS: u64 = 30_000_000;

/// Bytes of the table in which a search notes where groups begin: states of the pattern times groups.
const MAX_SLOTS: usize = 4 << 20;

/// Bytes of all compiled patterns together, process-wide. The ones that were not used for long make room.
const KEPT: u64 = 16 << 20;

/// Bytes of what searches of one thread keep for the next: caches, and the patterns that they hold in memory even where these
/// were dropped from [`PATTERNS`].
const KEPT_PER_THREAD: usize = 2 << 20;
/// Bytes of one cache inside the engine.
const LAZY_STATES: usize = 256 * 1024;

/// States of the pattern times bytes of the text that are matched without looking at the clock: half a millisecond where no
/// short cut helps.
const UNINTERRUPTED: usize = 50_000;

/// A compiled pattern.
pub(crate) struct Pattern {
    engine: Regex,
    nfa: NFA,
    bytes: u64,
}

#[derive(Clone, Copy)]
struct Bytes;

impl Weighter<Box<str>, Arc<Pattern>> for Bytes {
    fn weight(&self, text: &Box<str>, pattern: &Arc<Pattern>) -> u64 {
        pattern.bytes + text.len() as u64
    }
}

type Kept = Bounded<Box<str>, Arc<Pattern>, Bytes, DefaultHashBuilder, DefaultLifecycle<Box<str>, Arc<Pattern>>>;

static PATTERNS: LazyLock<Kept> = LazyLock::new(|| {
    let options = OptionsBuilder::new().shards(1).estimated_items_capacity(1_000).weight_capacity(KEPT).build();
    let options = options.expect("all that is needed is given");
    Bounded::with_options(options, Bytes, DefaultHashBuilder::default(), DefaultLifecycle::default())
});

thread_local! {
    /// What searches of this thread leave for the next with the same pattern, the last used at the end.
    static CACHES: RefCell<Vec<(Arc<Pattern>, Cache)>> = const { RefCell::new(Vec::new()) };
}

/// The compiled form of a pattern, kept for the next use.
///
/// # Errors
/// It is no regular expression, or too large a one; or a limit of the run is reached.
pub(crate) fn compiled(text: &str) -> Fallible<Arc<Pattern>> {
    if let Some(pattern) = PATTERNS.get(text) {
        return Ok(pattern);
    }
    let pattern = Arc::new(compile(text)?);
    PATTERNS.insert(text.into(), pattern.clone());
    Ok(pattern)
}

/// The pattern as it is understood, not yet compiled.
///
/// # Errors
/// The text is no regular expression, or one that is too costly to read; or a limit of the run is reached.
pub(crate) fn parsed(text: &str) -> Fallible<Hir> {
    if text.len() > MAX_TEXT {
        return Err(format!("a pattern has {MAX_TEXT} bytes at most, this one has {}", text.len()).into());
    }
    let classes = text.as_bytes().windows(2).filter(|pair| pair[0] == b'\\' && b"pPwWdDsS".contains(&pair[1])).count();
    if classes > MAX_CLASSES {
        let text = shortened(text);
        return Err(
            format!("`{text}` has {classes} classes such as `\\w` and `\\pL`, the limit is {MAX_CLASSES}").into()
        );
    }
    budget::charge((text.len() * 200 + classes * 50_000) as u64)?;
    regex_syntax::parse(text).map_err(|error| {
        let said = error.to_string();
        wrong(text, said.lines().last().unwrap_or_default().trim().trim_start_matches("error: "))
    })
}

fn wrong(text: &str, reason: &str) -> Box<EvalAltResult> {
    format!("`{}` is not a regular expression: {reason}", shortened(text)).into()
}

fn compile(text: &str) -> Fallible<Pattern> {
    let hir = parsed(text)?;
    let too_large = || wrong(text, &format!("Compiled regex exceeds size limit of {MAX_COMPILED} bytes."));
    let nfa = match nfa(&hir, SMALL) {
        Ok(nfa) => nfa,
        Err(_) => {
            budget::charge(LARGE_NANOS)?;
            nfa(&hir, MAX_COMPILED).map_err(|_| too_large())?
        }
    };
    let slots = nfa.states().len() * nfa.group_info().slot_len() * size_of::<usize>();
    if slots > MAX_SLOTS {
        return Err(wrong(text, "it has too many groups for its size; `(?:…)` groups without capturing"));
    }
    let engine = Regex::builder().configure(config()).build_from_hir(&hir).map_err(|_| too_large())?;
    let bytes = (engine.memory_usage() + nfa.memory_usage()) as u64;
    Ok(Pattern { engine, nfa, bytes })
}

/// Patterns come from scripts and may be made of input: an error shows the beginning.
fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(200)]
}

fn nfa(hir: &Hir, limit: usize) -> Result<NFA, Box<thompson::BuildError>> {
    let config = thompson::Config::new().nfa_size_limit(Some(limit));
    NFA::compiler().configure(config).build_from_hir(hir).map_err(Box::new)
}

fn config() -> Config {
    // Only the caches of this module are used, so the engine's own pool of them stays empty.
    Config::new()
        .nfa_size_limit(Some(MAX_COMPILED))
        .hybrid_cache_capacity(LAZY_STATES)
        .onepass_size_limit(Some(SMALL))
        .pool_capacity(1)
}

impl Pattern {
    /// Whether it matches somewhere in the text.
    ///
    /// # Errors
    /// A limit of the run is reached.
    pub(crate) fn is_match(self: &Arc<Self>, text: &str) -> Fallible<bool> {
        if self.is_short(text) {
            let input = Input::new(text).earliest(true);
            return Ok(self.with_cache(|cache| self.engine.search_half_with(cache, &input).is_some()));
        }
        pike::find(&self.nfa, text, &mut [])
    }

    /// Where the first match and its groups are, as pairs of beginning and end; nothing without a match.
    ///
    /// # Errors
    /// A limit of the run is reached.
    pub(crate) fn find(self: &Arc<Self>, text: &str) -> Fallible<Option<Vec<Option<NonMaxUsize>>>> {
        let mut slots = vec![None; self.nfa.group_info().slot_len()];
        let found = if self.is_short(text) {
            let input = Input::new(text);
            self.with_cache(|cache| self.engine.search_slots_with(cache, &input, &mut slots).is_some())
        } else {
            pike::find(&self.nfa, text, &mut slots)?
        };
        Ok(found.then_some(slots))
    }

    /// The names of its groups, in order; the first is the whole match.
    pub(crate) fn groups(&self) -> impl Iterator<Item = Option<&str>> {
        self.engine.group_info().pattern_names(regex_automata::PatternID::ZERO)
    }

    fn is_short(&self, text: &str) -> bool {
        self.nfa.states().len().saturating_mul(text.len()) <= UNINTERRUPTED
    }

    /// Searches with what the last search with this pattern left.
    fn with_cache<R>(self: &Arc<Self>, search: impl FnOnce(&mut Cache) -> R) -> R {
        let place = |caches: &mut Vec<(Arc<Self>, Cache)>| {
            let place = caches.iter().rposition(|(pattern, _)| Arc::ptr_eq(pattern, self))?;
            Some(caches.remove(place).1)
        };
        let mut cache = CACHES.with_borrow_mut(place).unwrap_or_else(|| self.engine.create_cache());
        let found = search(&mut cache);
        CACHES.with_borrow_mut(|caches| {
            caches.push((self.clone(), cache));
            let size = |(pattern, cache): &(Arc<Self>, Cache)| {
                cache.memory_usage() + usize::try_from(pattern.bytes).unwrap_or(usize::MAX)
            };
            let mut bytes: usize = caches.iter().map(size).sum();
            while bytes > KEPT_PER_THREAD && !caches.is_empty() {
                bytes -= size(&caches.remove(0));
            }
        });
        found
    }
}

#[cfg(test)]
mod tests;
