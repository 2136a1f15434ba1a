//! Where log lines wait to be written: a bounded buffer, emptied by a thread of its own.
//!
//! A call only ever copies its line under a short lock. It never waits for the terminal, the pipe or the disk: when the
//! reader of our output stops reading, lines are dropped and counted.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Lines beyond this many waiting bytes are dropped.
const LIMIT_BYTES: usize = 8 * 1024 * 1024;
/// Capacity that the buffers keep after a burst.
const KEPT_BYTES: usize = 256 * 1024;
/// How long a line may wait for others, so that a busy gateway writes batches and not lines.
const LINGER: Duration = Duration::from_millis(5);

static DROPPED: AtomicU64 = AtomicU64::new(0);

/// How many log lines of this process were lost since it started, because nobody read them or writing failed.
pub(crate) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// A handle to the buffer; clones share it. The writer ends when the last handle is gone.
#[derive(Clone)]
pub(crate) struct Lines(Arc<Handle>);

struct Handle(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    written: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    appended: u64,
    written: u64,
    /// The writer has nothing to do and must be woken.
    asleep: bool,
    /// Somebody waits for the lines: write them now.
    urgent: bool,
    closed: bool,
}

impl Lines {
    /// Starts the thread that writes to `out`.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub(crate) fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), wake: Condvar::new(), written: Condvar::new() });
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new().name("log-writer".to_owned()).spawn(move || theirs.write_to(out))?;
        Ok(Self(Arc::new(Handle(shared))))
    }

    /// Queues one line, which ends with a newline. Never blocks on output; a line over the limit is dropped and counted.
    pub(crate) fn append(&self, line: &[u8]) {
        let mut state = self.0.0.lock();
        if state.waiting.len() + line.len() > LIMIT_BYTES {
            DROPPED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.waiting.extend_from_slice(line);
        state.appended += 1;
        if state.asleep {
            state.asleep = false;
            self.0.0.wake.notify_one();
        }
    }

    /// Waits until everything appended so far is written, for at most `patience`.
    pub(crate) fn flush(&self, patience: Duration) {
        let shared = &self.0.0;
        let mut state = shared.lock();
        let goal = state.appended;
        state.urgent = true;
        state.asleep = false;
        shared.wake.notify_one();
        let waited = shared.written.wait_timeout_while(state, patience, |state| state.written < goal);
        drop(waited);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.wake.notify_one();
    }
}

impl Shared {
    /// A panic while the lock is held leaves at worst a missing line, so poison is of no interest.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut out: impl Write) {
        let mut batch = Vec::new();
        while let Some(upto) = self.take(&mut batch) {
            if out.write_all(&batch).and_then(|()| out.flush()).is_err() {
                let lost = batch.iter().filter(|byte| **byte == b'\n').count();
                DROPPED.fetch_add(lost as u64, Ordering::Relaxed);
            }
            batch.clear();
            batch.shrink_to(KEPT_BYTES);
            self.lock().written = upto;
            self.written.notify_all();
        }
    }

    /// Swaps the waiting lines into `batch`; the answer is how many were ever appended, or `None` when all is done.
    fn take(&self, batch: &mut Vec<u8>) -> Option<u64> {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.closed {
                return None;
            }
            state.urgent = false;
            state.asleep = true;
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.asleep = false;
        let lingered = self.wake.wait_timeout_while(state, LINGER, |state| !state.urgent && !state.closed);
        state = lingered.unwrap_or_else(PoisonError::into_inner).0;
        state.urgent = false;
        std::mem::swap(&mut state.waiting, batch);
        Some(state.appended)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Hands every write to a channel; waits for a permit before each.
    struct Reader {
        permits: mpsc::Receiver<()>,
        seen: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.permits.recv().map_err(io::Error::other)?;
            self.seen.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_arrive_whole_and_in_order() {
        let (permit, permits) = mpsc::channel();
        let (seen, output) = mpsc::channel();
        let lines = Lines::start(Reader { permits, seen }).unwrap();
        for _ in 0..2_000 {
            permit.send(()).unwrap();
        }
        for number in 0..1_000 {
            lines.append(format!("line {number}\n").as_bytes());
        }
        lines.flush(Duration::from_secs(10));
        let text: Vec<u8> = output.try_iter().flatten().collect();
        let expected: String = (0..1_000).map(|number| format!("line {number}\n")).collect();
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn a_reader_that_stopped_reading_costs_lines_and_never_waits() {
        let (permit, permits) = mpsc::channel();
        let (seen, output) = mpsc::channel();
        let lines = Lines::start(Reader { permits, seen }).unwrap();
        let before = dropped();
        let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
        let sent = 2 * LIMIT_BYTES / line.len() + 100;
        for _ in 0..sent {
            lines.append(&line);
        }
        let lost = (dropped() - before) as usize;
        assert!(lost >= 100, "at most two buffers can be waiting, {lost} lines were dropped");
        for _ in 0..4 {
            permit.send(()).unwrap();
        }
        lines.flush(Duration::from_secs(10));
        let written: usize = output.try_iter().map(|write| write.len()).sum();
        assert!(written / line.len() >= sent - lost, "what was not dropped is written");
    }

    #[test]
    fn the_writer_ends_with_its_last_handle() {
        let (permit, permits) = mpsc::channel();
        let (seen, output) = mpsc::channel();
        let lines = Lines::start(Reader { permits, seen }).unwrap();
        permit.send(()).unwrap();
        lines.append(b"last words\n");
        drop(lines);
        assert_eq!(output.recv_timeout(Duration::from_secs(10)).unwrap(), b"last words\n");
        assert!(output.recv_timeout(Duration::from_secs(10)).is_err(), "the thread dropped its end");
    }
}
