//! Takes jobs that are due and sees each of them through one try: as many of a lane at once as it may have, no more in
//! memory than are in work.
//!
//! A job that was in work when a process died is a suspect: it may be why. Suspects are tried one by one, with no other job
//! in work, so that the next death tells which one it was. What died three times goes to the dead letters.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dashmap::DashMap;
use tokio::sync::watch::Receiver;
use tokio::task::JoinSet;
use tokio::time::{Instant as TokioInstant, sleep, sleep_until, timeout};
use tracing::{error, warn};

use crate::delivery::work::limits::Limits;
use crate::delivery::{Delivery, act, backoff, rule};
use crate::release::Release;
use hookgate_connectors::Retry;
use hookgate_connectors::breaker::Room;
use hookgate_model::failpoint;
use hookgate_store::clock;
use hookgate_store::{
    Attempt, Claimed, End, JobKind, Leased, MOST_DEATHS, Millis, NewJob, Settled, Share, StoreError, Token,
};

mod limits;
mod unsettled;

pub(super) use crate::delivery::work::unsettled::Unsettled;

/// A lease outlasts every try. When the process ends, the next start of this gateway knows that nobody holds its leases any
/// more, and another gateway waits until they run out; and what this one holds is not given out to it again.
const LEASE: Duration = Duration::from_mins(2);
const RENEW_EVERY: Duration = Duration::from_secs(30);

/// How soon what could not be recorded is tried again.
const SETTLE_AGAIN: Duration = Duration::from_millis(250);

/// Jobs of one lane that are fetched at a time.
const BATCH: usize = 64;

/// How often the store is asked although nothing was heard: what another process put there (a replay, a replica).
const POLL: Duration = Duration::from_secs(1);

/// How long suspects may be tried, one after the other, before other jobs have a turn.
const SUSPECTS_TURN: Duration = Duration::from_secs(1);

/// What came of one try.
#[derive(Debug)]
pub(super) struct Verdict {
    /// A word, also in metrics.
    pub(super) result: &'static str,
    pub(super) status: Option<u16>,
    /// For people.
    pub(super) detail: String,
    pub(super) next: Next,
}

#[derive(Debug)]
pub(super) enum Next {
    Done(Vec<NewJob>),
    /// As the rules of trying again say, not before this.
    Again {
        at_least: Option<Duration>,
    },
    /// After this, without having counted as a try: what it needs is given a rest.
    Rest(Duration),
    /// Trying again would end the same.
    Dead,
}

impl Verdict {
    pub(super) fn done(status: Option<u16>, detail: String) -> Self {
        Self { result: "done", status, detail, next: Next::Done(Vec::new()) }
    }

    pub(super) fn again(result: &'static str, detail: String) -> Self {
        Self { result, status: None, detail, next: Next::Again { at_least: None } }
    }

    pub(super) fn rest(rest: Duration, result: &'static str, detail: String) -> Self {
        Self { result, status: None, detail, next: Next::Rest(rest) }
    }

    pub(super) fn dead(result: &'static str, detail: String) -> Self {
        Self { result, status: None, detail, next: Next::Dead }
    }
}

/// Works until it is told to stop; then lets what is in work finish for at most `grace`. What does not is tried again by
/// the next process.
pub async fn run(delivery: Arc<Delivery>, mut stopping: Receiver<bool>, grace: Duration) {
    let held: Held = Arc::default();
    let renewing = tokio::spawn(renew(delivery.clone(), held.clone()));
    let (tasks, busy, limits, turn) = Default::default();
    let mut work = Work { delivery, held, tasks, busy, limits, turn };
    loop {
        let due = work.take().await;
        let delivery = work.delivery.clone();
        let poll = TokioInstant::now() + POLL;
        tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => break,
            Some(ended) = work.tasks.join_next() => work.ended(ended),
            () = delivery.wake.notified() => {}
            () = sleep_until(due.unwrap_or(poll).min(poll)) => {}
        }
        while let Some(ended) = work.tasks.try_join_next() {
            work.ended(ended);
        }
    }
    let finish = async { while work.tasks.join_next().await.is_some() {} };
    if timeout(grace, finish).await.is_err() {
        warn!(jobs.count = work.tasks.len(), "jobs did not finish before the stop and will be tried again");
        if let Some(count) = work.delivery.unsettled.count() {
            error!(
                jobs.count = count,
                "the store fails: what these jobs did is not recorded, and is done again after the start"
            );
        }
        // They are not why the process ends.
        let tokens = work.held.iter().map(|entry| entry.key().clone()).collect();
        if let Err(problem) = work.delivery.store.abandon(tokens).await {
            warn!(error = %problem, "jobs that did not finish could not be given back");
        }
    }
    renewing.abort();
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Turn {
    #[default]
    All,
    /// A suspect is due: nothing is begun until nothing is in work.
    Emptying,
    /// Suspects are tried one by one, since then.
    Suspects(Instant),
}

type Held = Arc<DashMap<Token, ()>>;

struct Work {
    delivery: Arc<Delivery>,
    held: Held,
    /// Each gives the lane that it leaves.
    tasks: JoinSet<Arc<str>>,
    busy: HashMap<Arc<str>, usize>,
    limits: Limits,
    turn: Turn,
}

impl Work {
    /// Fetches what is due and starts it. When to come back, if nothing happens before.
    async fn take(&mut self) -> Option<TokioInstant> {
        let release = self.delivery.live.current()?;
        self.limits.refresh(&self.delivery, &release);
        let (shares, reopens) = self.shares();
        // What was done is recorded before anything new is begun.
        if shares.is_empty() || self.delivery.unsettled.any() {
            return reopens;
        }
        if self.turn != Turn::All && self.take_suspect(&release, &shares).await {
            return None;
        }
        let held = self.held.iter().map(|entry| entry.key().clone()).collect();
        let claimed = self.delivery.store.claim(shares, held, LEASE).await;
        let Claimed { jobs, next_due, next_suspect } = self.told(claimed).await?;
        jobs.into_iter().for_each(|job| self.start(release.clone(), job));
        let now = self.delivery.store.now();
        if next_suspect.is_some_and(|due| due <= now) {
            self.turn = Turn::Emptying;
            // With tasks in work, their end brings this back.
            return self.tasks.is_empty().then(TokioInstant::now);
        }
        let due = next_due.into_iter().chain(next_suspect).min().map(|due| {
            let wait = u64::try_from(due.saturating_sub(now)).unwrap_or(0);
            TokioInstant::now() + Duration::from_millis(wait)
        });
        due.into_iter().chain(reopens).min()
    }

    /// Begins the next suspect, if nothing is in work. Whether nothing else may begin now.
    async fn take_suspect(&mut self, release: &Arc<Release>, shares: &[Share]) -> bool {
        if !self.tasks.is_empty() {
            return true;
        }
        let since = match self.turn {
            Turn::Suspects(since) => since,
            Turn::Emptying | Turn::All => Instant::now(),
        };
        self.turn = Turn::All;
        if since.elapsed() >= SUSPECTS_TURN {
            return false;
        }
        let lanes = shares.iter().map(|share| share.lane.clone()).collect();
        let claimed = self.delivery.store.claim_suspect(lanes, LEASE).await;
        let Some(Some(job)) = self.told(claimed).await else { return false };
        self.turn = Turn::Suspects(since);
        warn!(
            lane = &*job.lane,
            event.id = job.event.id,
            job.deaths = job.deaths,
            "a job that was in work when the process died is tried alone"
        );
        self.start(release.clone(), job);
        true
    }

    /// What the store gave. Where it fails, it is not asked again at once.
    async fn told<T>(&self, claimed: Result<T, StoreError>) -> Option<T> {
        match claimed {
            Ok(claimed) => Some(claimed),
            Err(problem) => {
                self.delivery.told_of_store(&problem);
                sleep(POLL).await;
                None
            }
        }
    }

    fn shares(&self) -> (Vec<Share>, Option<TokioInstant>) {
        let (mut shares, mut reopens) = (Vec::new(), None::<Instant>);
        let now = Instant::now();
        for lane in &self.limits.lanes {
            let busy = self.busy.get(&lane.name).copied().unwrap_or(0);
            let room = lane.breaker.as_ref().map_or(Room::All, |breaker| breaker.room(now));
            let most = match room {
                Room::All => lane.most.saturating_sub(busy).min(BATCH),
                Room::One => usize::from(busy == 0),
                Room::NoneUntil(until) => {
                    reopens = Some(reopens.map_or(until, |earlier| earlier.min(until)));
                    0
                }
            };
            if most > 0 {
                shares.push(Share { lane: lane.name.clone(), most });
            }
        }
        (shares, reopens.map(TokioInstant::from_std))
    }

    fn start(&mut self, release: Arc<Release>, job: Leased) {
        *self.busy.entry(job.lane.clone()).or_default() += 1;
        self.held.insert(job.token.clone(), ());
        let (delivery, held) = (self.delivery.clone(), self.held.clone());
        self.tasks.spawn(async move {
            let (lane, token) = (job.lane.clone(), job.token.clone());
            // A task of its own, so that a panic in it ends this try and nothing else.
            if let Err(panic) = tokio::spawn(delivery.see_through(release, job)).await {
                error!(lane = &*lane, error = %panic, "a defect of the gateway ended a job; it is tried again");
            }
            held.remove(&token);
            lane
        });
    }

    fn ended(&mut self, ended: Result<Arc<str>, tokio::task::JoinError>) {
        if let Some(busy) = ended.ok().and_then(|lane| self.busy.get_mut(&lane)) {
            *busy = busy.saturating_sub(1);
        }
    }
}

impl Delivery {
    /// One try, and the record of it.
    async fn see_through(self: Arc<Self>, release: Arc<Release>, job: Leased) {
        let (started, clock) = (clock::wall(), Instant::now());
        failpoint::reach("delivery.claimed");
        let retry = retry_of(&release, &job);
        let verdict = if job.deaths >= MOST_DEATHS {
            let text = format!(
                "the process died {} times while this was in work, the last time with no other job in work beside it",
                job.deaths
            );
            Verdict::dead("crashed", text)
        } else if job.token.attempt > retry.attempts {
            // Every try is counted when it begins: these ended the process, or it was killed in each of them.
            Verdict::dead("lost", "none of its tries came to an end: the gateway stopped in each of them".to_owned())
        } else {
            match job.kind {
                JobKind::Rule => failpoint::reach_with("delivery.rule", &job.event.key),
                JobKind::Action => failpoint::reach_with("delivery.action", &job.event.key),
            }
            match job.kind {
                JobKind::Rule => rule::run(&self, &release, &job).await,
                JobKind::Action => act::perform(&self, &release, &job).await,
            }
        };
        failpoint::reach(match job.kind {
            JobKind::Rule => "delivery.after_script",
            JobKind::Action => "delivery.after_action",
        });
        let attempt = Attempt {
            started,
            took_ms: u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX),
            result: verdict.result.to_owned(),
            status: verdict.status,
            detail: verdict.detail,
        };
        let (state, end) = end_of(verdict.next, &retry, &job, self.store.now());
        let has_children = matches!(&end, End::Done(children) if !children.is_empty());
        if self.settle(&job, attempt, end).await {
            self.count_end(&job, state);
            if has_children {
                self.wake.notify_one();
            }
        }
    }

    fn count_end(&self, job: &Leased, state: &'static str) {
        let rule = if job.kind == JobKind::Rule { job.name.as_str() } else { "" };
        if job.kind == JobKind::Rule {
            self.metrics.event(&job.event.route, rule, state);
        }
        if state == "dead" {
            let lane: &str = &job.lane;
            error!(
                route.name = &*job.event.route,
                lane,
                event.id = job.event.id,
                attempt = job.token.attempt,
                next = format!("hookgate events show {}", job.event.id),
                "a job is in the dead letters"
            );
        }
    }

    /// Keeps what came of a try, for as long as that takes: an action that was done must not be done again because the
    /// disk was full for a while. Meanwhile it is remembered here, and nothing new is begun: so no more is remembered than
    /// was in work when the store began to fail.
    async fn settle(&self, job: &Leased, attempt: Attempt, end: End) -> bool {
        let mut waiting = None;
        loop {
            match self.store.settle(job.token.clone(), attempt.clone(), end.clone()).await {
                Ok(Settled::Applied) => return true,
                Ok(Settled::LostLease) => {
                    warn!(event.id = job.event.id, "a job took longer than its lease: what came of it does not count");
                    return false;
                }
                Err(StoreError::Refused(problem)) => {
                    error!(event.id = job.event.id, error = problem, "what came of a job cannot be kept");
                    return false;
                }
                Err(StoreError::Closed) => return false,
                Err(problem) => {
                    waiting.get_or_insert_with(|| self.unsettled.wait(&self.wake));
                    self.told_of_store(&problem);
                    sleep(SETTLE_AGAIN).await;
                }
            }
        }
    }

    fn told_of_store(&self, problem: &StoreError) {
        if *problem == StoreError::Busy {
            // It works, and others are before us or hold it up: only if that lasts it is trouble.
            return self.note_refused(problem);
        }
        let mut health = (*self.health()).clone();
        if health.trouble.replace(problem.to_string()).is_none() {
            error!(error = %problem, "the store fails; events are refused and jobs wait until it works again");
        }
        self.health.store(Arc::new(health));
    }
}

/// How a try ends, and how that is counted.
fn end_of(next: Next, retry: &Retry, job: &Leased, now: Millis) -> (&'static str, End) {
    let at_least = match next {
        Next::Done(children) => return ("done", End::Done(children)),
        Next::Dead => return ("dead", End::Dead),
        Next::Again { at_least } => at_least,
        Next::Rest(rest) => match backoff::rest(retry, job.created, now, rest) {
            Some(wait) => return ("postponed", End::Postpone(wait)),
            None => Some(rest),
        },
    };
    match backoff::next(retry, job.token.attempt, job.created, now, at_least) {
        Some(wait) => ("retried", End::Retry(wait)),
        None => ("dead", End::Dead),
    }
}

/// How often this job is tried.
fn retry_of(release: &Release, job: &Leased) -> Retry {
    let found = match job.kind {
        JobKind::Rule => rule::find(release, job).map(|(.., rule)| rule.retry),
        JobKind::Action => {
            let name = job.lane.strip_prefix("connector ").unwrap_or_default();
            release.connectors.get(name).map(|connected| connected.retry)
        }
    };
    found.unwrap_or_default()
}

async fn renew(delivery: Arc<Delivery>, held: Held) {
    loop {
        sleep(RENEW_EVERY).await;
        let tokens: Vec<Token> = held.iter().map(|entry| entry.key().clone()).collect();
        if !tokens.is_empty()
            && let Err(problem) = delivery.store.renew(tokens, LEASE).await
        {
            delivery.told_of_store(&problem);
        }
    }
}
