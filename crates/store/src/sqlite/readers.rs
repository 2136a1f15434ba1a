//! Connections that read, beside the one that writes, each with a thread of its own. A long list never holds up what arrives,
//! and what people read never holds up what calls read: each have their own, and those of people give way.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::StoreError;
use crate::sqlite::connect;
use crate::sqlite::fault;
use hookgate_model::pressure;

/// How many lists and searches of people are read at once: each may keep a processor busy for a while.
const FOR_PEOPLE: usize = 2;
/// How many calls read at once: each for a few microseconds.
const FOR_CALLS: usize = 4;
/// By how much the threads of people give way to others.
const GIVE_WAY: i32 = 10;

/// How often a read looks whether the store closes, in steps of SQLite's virtual machine: well within a millisecond.
const LOOK_EVERY: i32 = 10_000;
/// How long is waited for reads to notice that.
const CLOSING: Duration = Duration::from_secs(5);

type Read = Box<dyn FnOnce(&mut Seat) + Send>;

/// Some threads that read.
pub(super) struct Readers {
    /// Nothing once they are closed.
    queue: Mutex<Option<mpsc::Sender<Read>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    closing: Arc<AtomicBool>,
}

impl Readers {
    /// # Errors
    /// The system starts no more threads.
    pub(super) fn for_people(file: &Path) -> std::io::Result<Arc<Self>> {
        Self::start(file, "store-people", FOR_PEOPLE, GIVE_WAY)
    }

    /// # Errors
    /// The system starts no more threads.
    pub(super) fn for_calls(file: &Path) -> std::io::Result<Arc<Self>> {
        Self::start(file, "store-calls", FOR_CALLS, 0)
    }

    fn start(file: &Path, name: &str, most: usize, give_way: i32) -> std::io::Result<Arc<Self>> {
        let (queue, reads) = mpsc::channel();
        let (reads, closing) = (Arc::new(Mutex::new(reads)), Arc::default());
        let thread = |_| {
            let seat = Seat { file: file.to_owned(), closing: Arc::clone(&closing), db: None };
            let reads = Arc::clone(&reads);
            std::thread::Builder::new().name(name.to_owned()).spawn(move || seat.work(&reads, give_way))
        };
        let threads = (0..most).map(thread).collect::<std::io::Result<_>>()?;
        Ok(Arc::new(Self { queue: Mutex::new(Some(queue)), threads: Mutex::new(threads), closing }))
    }

    /// Reads on one of the threads, as soon as one has time.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let task = move |seat: &mut Seat| {
            // Who asked may have gone.
            if !reply.is_closed() {
                drop(reply.send(seat.read(read)));
            }
        };
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        queue.and_then(|queue| queue.send(Box::new(task)).ok()).ok_or(StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Ends the reads that are under way, refuses those to come, and closes the connections.
    pub(super) async fn close(&self) {
        let threads = self.end();
        let join = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join())));
        // Reads that do not notice in time keep the log from being folded into the file, and nothing else.
        drop(timeout(CLOSING, join).await);
    }

    /// The same for those who cannot await it.
    pub(super) fn shut(&self) {
        self.end().into_iter().for_each(|thread| drop(thread.join()));
    }

    fn end(&self) -> Vec<JoinHandle<()>> {
        self.closing.store(true, Ordering::Relaxed);
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A thread and its connection, which is opened when it is needed first.
struct Seat {
    file: PathBuf,
    closing: Arc<AtomicBool>,
    db: Option<Connection>,
}

impl Seat {
    fn work(mut self, reads: &Mutex<mpsc::Receiver<Read>>, give_way: i32) {
        pressure::give_way(give_way);
        loop {
            let next = reads.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(read) = next else { break };
            // A panic is the end of one read.
            if std::panic::catch_unwind(AssertUnwindSafe(|| read(&mut self))).is_err() {
                self.db = None;
            }
        }
    }

    fn read<T>(&mut self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        if self.closing.load(Ordering::Relaxed) {
            return Err(StoreError::Closed);
        }
        let db = self.db.take().map_or_else(|| self.connect(), Ok).map_err(|error| self.told(&error))?;
        // A connection that failed is not used again.
        let read = read(&db).map_err(|error| self.told(&error))?;
        self.db = Some(db);
        Ok(read)
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let mut db = connect::reader(&self.file)?;
        let closing = Arc::clone(&self.closing);
        db.progress_handler(LOOK_EVERY, Some(move || closing.load(Ordering::Relaxed)))?;
        Ok(db)
    }

    fn told(&self, error: &rusqlite::Error) -> StoreError {
        if self.closing.load(Ordering::Relaxed) { StoreError::Closed } else { fault::told(error, &self.file) }
    }
}
