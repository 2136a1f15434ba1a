//! The stack of threads that run scripts. Whatever runs a script does so through [`for_run`]: no caller has to think of it.
//!
//! A script can build values that nest as deep as its memory reaches (closures that hold closures, arrays in arrays), and
//! Rhai walks through values by recursion: to clone one, to drop one, to count its parts. A stack that is too small for
//! that ends the process. So the stack of a run is sized from what the run may use, and what a run leaves behind is
//! bounded before it goes elsewhere ([`depth`](crate::depth)).
//!
//! Measured with Rhai 1.27 on x86-64, in bytes of stack per level, and in brackets per byte of heap that a level takes at least:
//!
//! | level | heap | clone | drop | print (`Debug`) |
//! | --- | --- | --- | --- | --- |
//! | array of one, release | 40 | 128 (3.2) | 128 (3.2) | 160 (4.0) |
//! | array of one, dev | 40 | 208 (5.2) | 144 (3.6) | 256 (6.4) |
//! | map of one, release | 480 | 384 (0.8) | 224 (0.5) | 288 (0.6) |
//! | closure with a captured variable, release | 208 | 0 | 240 (1.2) | 256 (1.2) |
//! | closure with a captured variable, dev | 208 | 0 | 176 (0.8) | 320 (1.5) |
//!
//! A call of a script function takes 5 to 65 KiB, by the nesting of expressions in its body (which the parser bounds).

use crate::budget::Limits;

/// Bytes of stack for each byte of memory that a run may hold: the worst of the table is 6.4. The configuration allows 256 MiB
/// of memory at most, which makes a stack of 2 GiB. That is addresses: memory is taken only where the stack was touched.
const PER_MEMORY_BYTE: usize = 8;

/// Bytes of stack for each operation: one adds a level to a value, or two where it clones a constant; see the table.
const PER_OPERATION: usize = 512;

/// Bytes of stack for each call of a script function inside another: twice what was measured.
const PER_CALL: usize = 128 * 1024;

/// What is needed besides: for what comes before a run and for native functions.
const BASE: usize = 256 * 1024;

/// Stack of the threads that answer calls: enough for a turn on an async worker under the default limits
/// ([`PATIENCE_OPERATIONS`](crate::run::PATIENCE_OPERATIONS)), so that none has to be made for it. Only pages that
/// are touched are ever taken, here as below.
pub const WORKER_BYTES: usize = 18 * 1024 * 1024;

/// Stack of a thread that runs scripts again and again: enough for every run under the default limits.
pub(crate) const THREAD_BYTES: usize = 576 * 1024 * 1024;

/// A thread with a stack on which scripts may run for long without making another.
pub fn thread(name: &str) -> std::thread::Builder {
    std::thread::Builder::new().name(name.to_owned()).stack_size(THREAD_BYTES)
}

/// Runs `body`, in which a script takes `operations` at most under `limits`, with the stack that this may need: on this
/// one, where it is large enough, else on one that is made for it and given back afterwards (about 10 µs). The thread and what
/// is local to it stay the same.
///
/// # Panics
/// The system gives no memory for another stack. `body` has not begun then.
pub(crate) fn for_run<R>(limits: &Limits, operations: u64, body: impl FnOnce() -> R) -> R {
    let needed = needed(limits, operations);
    stacker::maybe_grow(needed, needed + BASE, body)
}

fn needed(limits: &Limits, operations: u64) -> usize {
    let by_operations = usize::try_from(operations).unwrap_or(usize::MAX).saturating_mul(PER_OPERATION);
    let by_memory = limits.memory_bytes.saturating_mul(PER_MEMORY_BYTE);
    let calls = limits.call_depth.saturating_mul(PER_CALL);
    by_operations.min(by_memory).saturating_add(calls).saturating_add(BASE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::PATIENCE_OPERATIONS;

    #[test]
    fn a_worker_has_room_for_a_turn_and_a_thread_for_a_run() {
        let limits = Limits::default();
        assert!(needed(&limits, PATIENCE_OPERATIONS) + (2 << 20) <= WORKER_BYTES);
        assert!(needed(&limits, limits.operations) + (2 << 20) <= THREAD_BYTES);
    }

    #[test]
    fn where_a_stack_is_too_small_another_is_made_and_given_back() {
        let limits = Limits::default();
        let left = || stacker::remaining_stack().expect("the stack is known here");
        let before = left();
        assert!(before < needed(&limits, limits.operations), "tests have small stacks");
        for_run(&limits, limits.operations, || {
            assert!(left() >= needed(&limits, limits.operations));
            let within = left();
            for_run(&limits, 1_000, || assert!(left() <= within, "there is room enough: none is made"));
        });
        assert!(left() <= before && before - left() < BASE);
    }

    #[test]
    fn a_panic_crosses_the_border() {
        let caught = std::panic::catch_unwind(|| for_run(&Limits::default(), 10_000_000, || panic!("inside")));
        assert_eq!(caught.expect_err("it panicked").downcast_ref::<&str>(), Some(&"inside"));
    }
}
