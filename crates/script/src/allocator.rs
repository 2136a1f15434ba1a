//! The process's allocator: mimalloc, counting the bytes that each thread holds.
//!
//! Rhai's size limits do not bound memory: a map of many strings, each under the limit, grows without end. The only
//! place that sees every byte is the allocator, so a run's memory cap needs one of our own. It counts per thread: a run
//! starts and ends on one thread, and reading the count costs one thread-local access.
//!
//! This is the one module where `unsafe` is allowed. It forwards every call unchanged to mimalloc and never touches the
//! memory itself.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

use mimalloc::MiMalloc;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What one thread allocated and freed.
struct Counts {
    held: Cell<i64>,
    allocated: Cell<u64>,
    peak: Cell<i64>,
}

thread_local! {
    // `const` and without a destructor, so that reading it never allocates and works until the thread is gone.
    static COUNTS: Counts = const { Counts { held: Cell::new(0), allocated: Cell::new(0), peak: Cell::new(0) } };
}

/// Bytes allocated minus bytes freed by the calling thread. Memory that another thread frees makes it drift, so only
/// differences over a short time on one thread mean something.
pub fn thread_bytes() -> i64 {
    COUNTS.with(|counts| counts.held.get())
}

/// [`thread_bytes`], and all bytes that the calling thread ever allocated: how much work went into memory.
pub(crate) fn thread_counts() -> (i64, u64) {
    COUNTS.with(|counts| (counts.held.get(), counts.allocated.get()))
}

/// The highest [`thread_bytes`] since the last call of this function on this thread.
pub fn take_thread_peak() -> i64 {
    COUNTS.with(|counts| counts.peak.replace(counts.held.get()))
}

fn count(difference: i64) {
    let _ = COUNTS.try_with(|counts| {
        let held = counts.held.get().wrapping_add(difference);
        counts.held.set(held);
        if difference > 0 {
            counts.allocated.set(counts.allocated.get().wrapping_add(difference.unsigned_abs()));
            if held > counts.peak.get() {
                counts.peak.set(held);
            }
        }
    });
}

/// The most that the calling thread held at a time during `work`, beyond what it held before.
pub fn peak_bytes(work: impl FnOnce()) -> i64 {
    let before = thread_bytes();
    take_thread_peak();
    work();
    take_thread_peak() - before
}

/// Gives memory back to the system that was freed more than a second ago. mimalloc does so only while something else is
/// freed, so after a burst it would keep what the burst took. Call it now and then, from one thread; it takes up to some
/// milliseconds for each hundred megabytes, and nothing where there is nothing to give.
pub fn give_back() {
    // SAFETY: it may be called at any time from any thread; `false` leaves alone what was freed a moment ago.
    unsafe { mi_collect(false) }
}

unsafe extern "C" {
    /// Of mimalloc, which is linked in as the allocator. Declared here because the crate's feature `extended`, which does, brings
    /// another dependency for it.
    fn mi_collect(force: bool);
}

fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

// SAFETY: every method passes its arguments on to mimalloc, which upholds the contract; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: the caller's promises are passed on.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-signed(layout.size()));
        // SAFETY: `pointer` came from `alloc` above with the same layout.
        unsafe { MiMalloc.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: the caller's promises are passed on.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(signed(size) - signed(layout.size()));
        // SAFETY: `pointer` came from `alloc` above with the same layout.
        unsafe { MiMalloc.realloc(pointer, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_thread_holds_is_counted() {
        let before = thread_bytes();
        let mut block = Vec::<u8>::with_capacity(1 << 20);
        assert!(thread_bytes() - before >= 1 << 20);
        block.reserve_exact(3 << 20);
        assert!(thread_bytes() - before >= 3 << 20);
        drop(block);
        assert!(thread_bytes() - before < 1 << 20);
        assert!(take_thread_peak() - before >= 3 << 20, "the peak remembers what was given back");
        assert!(take_thread_peak() - before < 1 << 20, "and is taken once");
    }
}
