//! Where a run happens: on the async worker while it is quick, else on one of a few threads of its own.
//!
//! A script that spins would hold an async worker, and with it every call that waits there. So a run that is not done
//! after two milliseconds is given up and started again on a slow thread, where it may use the whole of its deadline.
//! Slow threads have a low priority and no script may hold more than half of them; who may wait for one, `turns` says.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout_at;

use crate::budget::Stopped;
use crate::journal::{Journal, Lookup};
use crate::run::{Attempted, Call, Cause, Failed, Run, Script, Where};
use crate::turns::NoTurn;
pub use hookgate_model::pressure::give_way;
use hookgate_model::question::{Answered, Question, Reason, Trouble};
use hookgate_model::suspects;
use hookgate_model::suspects::{Turn, Watch};

/// After the deadline a run has this long to say where it was; then the answer is given without that.
const GRACE: Duration = Duration::from_millis(30);

/// Before the deadline of a run its questions are given up: a tenth of the time that is left, and this at most.
const MARGIN: Duration = Duration::from_millis(50);

type Job = Box<dyn FnOnce() + Send>;

/// Who answers the questions of runs.
pub trait Outside: Send + Sync {
    /// Answers one, by `until` at the latest: then nobody listens any more.
    fn answer<'a>(&'a self, question: &'a Question, until: Instant) -> Answering<'a>;
}

pub type Answering<'a> = Pin<Box<dyn Future<Output = Answered> + Send + 'a>>;

/// The slow threads. They end when the last clone is dropped.
#[derive(Clone)]
pub struct Lanes {
    jobs: Sender<Job>,
    /// How many jobs besides scripts may hold a thread.
    aside: Arc<Semaphore>,
    /// Who is told what runs, where the last process died.
    watch: Option<Arc<Watch>>,
}

/// How many slow threads there are: more than cores, so that one script's spinning runs do not hold them all.
pub(crate) fn slow_threads() -> usize {
    4 * std::thread::available_parallelism().map_or(2, usize::from)
}

impl Lanes {
    /// Starts the slow threads. Their stacks are small: each run brings its own, which is given back when it ends, with all that
    /// a deep value has touched of it.
    ///
    /// # Errors
    /// The system refuses another thread.
    pub fn start() -> std::io::Result<Self> {
        let (jobs, queue) = channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..slow_threads() {
            let queue = queue.clone();
            let name = format!("slow-script-{number}");
            std::thread::Builder::new().name(name).spawn(move || work(&queue))?;
        }
        Ok(Self { jobs, aside: Arc::new(Semaphore::new(slow_threads().div_ceil(4))), watch: None })
    }

    /// The same, with somebody who is told what runs.
    #[must_use]
    pub fn watched_by(self, watch: Option<Arc<Watch>>) -> Self {
        Self { watch, ..self }
    }

    /// Does something on a slow thread that would hold an async worker too long; `None` if all threads have ended. Of such
    /// jobs a quarter of the slow threads is held at most.
    pub async fn aside<R: Send + 'static>(&self, job: impl FnOnce() -> R + Send + 'static) -> Option<R> {
        let permit = self.aside.clone().acquire_owned().await.ok()?;
        let (reply, result) = oneshot::channel();
        let job = move || {
            let _permit = permit;
            if !reply.is_closed() {
                let _ = reply.send(job());
            }
        };
        self.jobs.send(Box::new(job)).ok()?;
        result.await.ok()
    }

    /// Runs the script; the answer comes at the call's deadline at the latest (and a few milliseconds). While a question is
    /// out the run holds no thread: it has ended, and is repeated with the answer.
    ///
    /// If more calls come than can be run, those that would wait too long end at once with [`Cause::Crowded`]; those of a script
    /// that ended the process more than once end with [`Cause::Crashed`] for a while.
    pub async fn run(&self, script: &Arc<Script>, call: Call, outside: &dyn Outside) -> Run {
        self.run_as(script, call, outside, false).await
    }

    /// The same for a run that nobody waits for, such as a job's: it waits for its turn until its deadline.
    pub async fn run_patiently(&self, script: &Arc<Script>, call: Call, outside: &dyn Outside) -> Run {
        self.run_as(script, call, outside, true).await
    }

    async fn run_as(&self, script: &Arc<Script>, call: Call, outside: &dyn Outside, patient: bool) -> Run {
        let (mut journal, mut took) = (Journal::default(), Duration::ZERO);
        loop {
            let started = Instant::now();
            // Jobs have a memory of their own (`Store::claim_suspect`).
            let turn = if patient { Ok(None) } else { self.turn(script, call.deadline).await };
            let attempted = match turn {
                Ok(turn) => self.advance(script, &call, journal, (patient, turn), started).await,
                Err(cause) => Attempted::Done(refused(cause, journal, started)),
            };
            let (question, known) = match attempted {
                Attempted::Asked(question, known) => (question, known),
                Attempted::Long(known) => {
                    script.pace.gave_up();
                    journal = known;
                    continue;
                }
                Attempted::Done(run) => return Run { took: run.took + took, ..run },
            };
            took += started.elapsed();
            let lookup = look_up(*question, call.deadline, outside).await;
            journal = known.knowing(lookup);
        }
    }

    /// As far as it comes: quickly here, or on a slow thread if this script is known to be slow. It has just `started`.
    async fn advance(
        &self,
        script: &Arc<Script>,
        call: &Call,
        journal: Journal,
        (patient, turn): (bool, Option<Turn>),
        started: Instant,
    ) -> Attempted {
        if !script.pace.is_slow() {
            let attempted = watched(turn, || script.advance(call, journal, Where::Worker));
            script.pace.took_on_worker(started.elapsed());
            return attempted;
        }
        let kept = journal.clone();
        let attempted = self.advance_slowly(script, call.clone(), journal, (patient, turn)).await;
        attempted.unwrap_or_else(|cause| Attempted::Done(refused(cause, kept, started)))
    }

    /// The right to run it, where that is watched.
    async fn turn(&self, script: &Script, deadline: Instant) -> Result<Option<Turn>, Cause> {
        let Some(watch) = self.watch.as_ref().filter(|watch| watch.is_on()) else { return Ok(None) };
        // Boxed, so that the future of a call is no larger for what hardly ever happens.
        let admitted = Box::pin(watch.admit(script.hash(), script.label(), deadline)).await;
        admitted.map_err(|none| match none {
            suspects::NoTurn::Rests => Cause::Crashed,
            suspects::NoTurn::Late => Cause::Busy,
        })
    }

    async fn advance_slowly(
        &self,
        script: &Arc<Script>,
        call: Call,
        journal: Journal,
        (patient, suspicion): (bool, Option<Turn>),
    ) -> Result<Attempted, Cause> {
        let deadline = call.deadline;
        let turn = script.turns.take(deadline, patient).await.map_err(|none| match none {
            NoTurn::Crowded => Cause::Crowded,
            NoTurn::Late => Cause::Busy,
        })?;
        let (reply, result) = oneshot::channel();
        let runner = script.clone();
        let job = move || {
            let _turn = turn;
            if reply.is_closed() || Instant::now() >= call.deadline {
                return;
            }
            let started = Instant::now();
            let attempted = watched(suspicion, || runner.advance(&call, journal, Where::Thread));
            runner.pace.took_on_thread(started.elapsed());
            let _ = reply.send(attempted);
        };
        self.jobs.send(Box::new(job)).map_err(|_| Cause::Busy)?;
        match timeout_at((deadline + GRACE).into(), result).await {
            Ok(Ok(attempted)) => Ok(attempted),
            // The deadline had passed before a thread took the job.
            Ok(Err(_)) => Err(Cause::Busy),
            Err(_) => Err(Cause::Stopped(Stopped::Deadline)),
        }
    }
}

/// Runs it, and lets the next start know of it if the process dies meanwhile.
fn watched<R>(turn: Option<Turn>, run: impl FnOnce() -> R) -> R {
    match turn {
        Some(turn) => turn.watch(run),
        None => run(),
    }
}

/// A run that did not come to its end, or did not begin.
fn refused(cause: Cause, journal: Journal, started: Instant) -> Run {
    let result = Err(Box::new(Failed { cause, spot: None }));
    Run { result, logs: Vec::new(), reason: None, note: None, journal, operations: 0, took: started.elapsed() }
}

/// Asks, and gives up a little before the deadline: the script is still to decide what it does without an answer.
async fn look_up(mut question: Question, deadline: Instant, outside: &dyn Outside) -> Lookup {
    let started = Instant::now();
    let left = deadline.saturating_duration_since(started);
    let until = deadline - MARGIN.min(left / 10);
    let late = |_| Err(Trouble::new(Reason::Timeout, "no answer came before the deadline of the run"));
    let answered = timeout_at(until.into(), outside.answer(&question, until)).await.unwrap_or_else(late);
    question.forget_secrets();
    Lookup { question, answered, took: started.elapsed() }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    give_way(5);
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            // Whoever waits for a job that panics hears that its end of the line is gone.
            Ok(job) => drop(catch_unwind(AssertUnwindSafe(job))),
            Err(_) => return,
        }
    }
}
