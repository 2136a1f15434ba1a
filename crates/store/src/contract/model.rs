//! A store in memory that is slow and obviously right: lists, looked through from the start for every question.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Attempt;
use crate::End;
use crate::JobKind;
use crate::JobState;
use crate::Millis;
use crate::NewEvent;
use crate::NewJob;
use crate::Settled;
use crate::rest_after;

#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) now: Millis,
    pub(crate) events: Vec<Event>,
    pub(crate) jobs: Vec<Job>,
    seen: BTreeMap<String, Millis>,
    once: BTreeMap<String, Millis>,
    numbers: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) number: u64,
    pub(crate) key: String,
    call: bool,
    received: Millis,
}

#[derive(Clone, Debug)]
pub(crate) struct Job {
    number: u64,
    event: u64,
    pub(crate) parent: Option<String>,
    pub(crate) new: NewJob,
    pub(crate) key: String,
    pub(crate) state: JobState,
    pub(crate) due: Millis,
    pub(crate) attempts: u32,
    claim: u64,
    pub(crate) replay: u32,
    pub(crate) generation: u32,
    pub(crate) doubt: bool,
    pub(crate) deaths: u32,
    pub(crate) created: Millis,
    digest_until: Option<Millis>,
    leader: Option<u64>,
    ended: Option<Millis>,
    pub(crate) noted: bool,
    pub(crate) tries: Vec<String>,
}

/// What may settle a job: its number, the try and the claim.
pub(crate) type Held = (u64, u32, u64);

fn ms(duration: Duration) -> Millis {
    duration.as_millis() as Millis
}

impl Job {
    fn active(&self) -> bool {
        matches!(self.state, JobState::Waiting | JobState::Running)
    }

    fn place(&self) -> Option<(&str, &str, Millis)> {
        self.new.order.as_ref().map(|(key, number)| (&*self.new.lane, key.as_str(), *number))
    }
}

impl Model {
    pub(crate) fn at(now: Millis) -> Self {
        Self { now, ..Self::default() }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(crate) fn accept(&mut self, event: &NewEvent) -> bool {
        if self.seen.contains_key(&event.key) {
            return false;
        }
        self.seen.insert(event.key.clone(), self.now);
        let number = self.number();
        self.events.push(Event { number, key: event.key.clone(), call: event.flags.call, received: self.now });
        for job in &event.jobs {
            self.insert(number, None, job);
        }
        true
    }

    fn insert(&mut self, event: u64, parent: Option<String>, new: &NewJob) {
        if let Some(index) = self.jobs.iter().position(|job| job.key == new.key) {
            if self.jobs[index].state == JobState::Dead {
                self.jobs[index].new.name.clone_from(&new.name);
                self.jobs[index].new.body.clone_from(&new.body);
                self.wake(self.jobs[index].number, self.now + ms(new.delay));
            }
            return;
        }
        let number = self.number();
        let mut job = Job {
            number,
            event,
            parent,
            new: new.clone(),
            key: new.key.clone(),
            state: JobState::Waiting,
            due: self.now + ms(new.delay),
            attempts: 0,
            claim: 0,
            replay: 0,
            generation: 0,
            doubt: false,
            deaths: 0,
            created: self.now,
            digest_until: None,
            leader: None,
            ended: None,
            noted: false,
            tries: Vec::new(),
        };
        if new.suppressed.is_some() || self.is_live(new) {
            job.state = JobState::Suppressed;
            job.ended = Some(self.now);
            job.noted = true;
        } else if let Some((key, window)) = &new.digest {
            let open = |other: &&Job| {
                other.new.digest.as_ref().is_some_and(|(digest, _)| digest == key)
                    && other.new.lane == new.lane
                    && other.state == JobState::Waiting
                    && other.attempts == 0
                    && other.digest_until.is_some_and(|until| until > self.now)
            };
            if let Some(leader) = self.jobs.iter().find(open) {
                job.state = JobState::Gathered;
                job.leader = Some(leader.number);
            } else {
                job.due = job.due.max(self.now + ms(*window));
                job.digest_until = Some(job.due);
            }
        }
        self.jobs.push(job);
    }

    fn is_live(&mut self, new: &NewJob) -> bool {
        let Some((key, window)) = &new.once else { return false };
        if self.once.get(key).is_some_and(|until| *until > self.now) {
            return true;
        }
        self.once.insert(key.clone(), self.now + ms(*window));
        false
    }

    /// Whether it runs, or may: no other one of its line runs, or has to end first.
    fn is_first(&self, job: &Job) -> bool {
        let Some((lane, key, number)) = job.place() else { return true };
        let comes_first = |other: &Job| {
            let same_line = |(l, k, _): &(&str, &str, Millis)| *l == lane && *k == key;
            let place = other.place().filter(|place| other.active() && same_line(place));
            place.is_some_and(|(_, _, n)| other.state == JobState::Running || (n, other.number) < (number, job.number))
        };
        job.state == JobState::Running
            || !self.jobs.iter().any(|other| other.number != job.number && comes_first(other))
    }

    /// The keys of what is given out, with what settles each, and when the next is due, and the next suspect.
    pub(crate) fn claim(
        &mut self,
        lanes: &[&str],
        most: usize,
        held: &[Held],
        lease: Duration,
    ) -> (Vec<(String, Held)>, [Option<Millis>; 2]) {
        let mut given = Vec::new();
        for lane in lanes {
            let mut due = self.first_due(lane, most);
            while held.iter().filter(|held| due.contains(&held.0) && self.renew(**held, lease)).count() > 0 {
                due = self.first_due(lane, most);
            }
            given.extend(due.into_iter().map(|number| self.give(number, lease)));
        }
        let next = |suspects| lanes.iter().flat_map(|lane| self.ready(lane, suspects)).map(|(due, _)| due).min();
        (given, [next(false), next(true)])
    }

    fn first_due(&self, lane: &str, most: usize) -> Vec<u64> {
        let mut due: Vec<(Millis, u64)> = self.ready(lane, false).filter(|(due, _)| *due <= self.now).collect();
        due.sort_unstable();
        due.into_iter().take(most).map(|(_, number)| number).collect()
    }

    pub(crate) fn claim_suspect(&mut self, lanes: &[&str], lease: Duration) -> Option<(String, Held)> {
        let suspects = lanes.iter().flat_map(|lane| self.ready(lane, true));
        let (_, number) = suspects.filter(|(due, _)| *due <= self.now).min()?;
        Some(self.give(number, lease))
    }

    fn give(&mut self, number: u64, lease: Duration) -> (String, Held) {
        let claim = self.number();
        let now = self.now;
        let job = self.job(number);
        if job.state == JobState::Running {
            job.lose();
        }
        job.state = JobState::Running;
        job.attempts += 1;
        job.claim = claim;
        job.due = now + ms(lease);
        (job.key.clone(), (number, job.attempts, claim))
    }

    pub(crate) fn abandon(&mut self, held: Held) {
        let now = self.now;
        if let Some(job) = self.held(held) {
            job.lose();
            job.state = JobState::Waiting;
            job.due = now;
        }
    }

    fn ready<'a>(&'a self, lane: &'a str, suspects: bool) -> impl Iterator<Item = (Millis, u64)> + 'a {
        let ready = move |job: &&Job| {
            job.active() && (job.deaths > 0) == suspects && &*job.new.lane == lane && self.is_first(job)
        };
        self.jobs.iter().filter(ready).map(|job| (job.due, job.number))
    }

    fn job(&mut self, number: u64) -> &mut Job {
        self.jobs.iter_mut().find(|job| job.number == number).expect("the job is there")
    }

    fn held(&mut self, held: Held) -> Option<&mut Job> {
        let (number, attempt, claim) = held;
        self.jobs.iter_mut().find(|job| {
            job.number == number && job.state == JobState::Running && job.attempts == attempt && job.claim == claim
        })
    }

    pub(crate) fn renew(&mut self, held: Held, lease: Duration) -> bool {
        let until = self.now + ms(lease);
        self.held(held).map(|job| job.due = until).is_some()
    }

    pub(crate) fn settle(&mut self, held: Held, attempt: &Attempt, end: &End) -> Settled {
        let now = self.now;
        let Some(job) = self.held(held) else { return Settled::LostLease };
        if !matches!(end, End::Postpone(_)) {
            job.tries.push(attempt.result.clone());
        }
        let (number, event, key) = (job.number, job.event, job.key.clone());
        match end {
            End::Retry(after) | End::Postpone(after) => {
                job.state = JobState::Waiting;
                job.due = now + ms(*after);
                if matches!(end, End::Postpone(_)) {
                    job.attempts -= 1;
                } else {
                    job.deaths = 0;
                }
            }
            End::Dead => self.finish(number, JobState::Dead),
            End::Done(children) => {
                for child in children {
                    self.insert(event, Some(key.clone()), child);
                }
                self.finish(number, JobState::Done);
            }
        }
        Settled::Applied
    }

    fn finish(&mut self, number: u64, state: JobState) {
        let now = self.now;
        let with = |job: &&mut Job| job.leader == Some(number) && job.state == JobState::Gathered;
        self.jobs.iter_mut().filter(with).for_each(|job| job.end(state, now));
        self.job(number).end(state, now);
    }

    fn wake(&mut self, number: u64, due: Millis) -> u64 {
        let state = self.job(number).state;
        let mut count = 1;
        for job in self.jobs.iter_mut().filter(|job| job.leader == Some(number) && job.state == state) {
            job.state = JobState::Gathered;
            job.replay += 1;
            count += 1;
        }
        let job = self.job(number);
        job.state = JobState::Waiting;
        job.attempts = 0;
        job.deaths = 0;
        job.replay += 1;
        job.due = due;
        job.leader = None;
        count
    }

    fn is_open(&self, event: u64) -> bool {
        self.jobs.iter().any(|job| job.event == event && !job.state.is_end())
    }

    pub(crate) fn replay(&mut self, key: &str, force: bool) -> u64 {
        let Some(event) = self.events.iter().find(|event| event.key == key).cloned() else { return 0 };
        let dead = |job: &Job| job.event == event.number && job.state == JobState::Dead;
        let open = self.is_open(event.number) || self.jobs.iter().any(dead);
        let numbers: Vec<(u64, JobState)> =
            self.jobs.iter().filter(|job| job.event == event.number).map(|job| (job.number, job.state)).collect();
        let mut count = 0;
        for (number, before) in numbers {
            let job = self.job(number).clone();
            if job.state != before {
                continue;
            }
            match (job.state, job.new.kind) {
                (JobState::Dead, _) => {
                    let dead = |other: &&Job| Some(other.number) == job.leader && other.state == JobState::Dead;
                    let first = self.jobs.iter().find(dead).map_or(number, |leader| leader.number);
                    count += self.wake(first, self.now);
                }
                (JobState::Done, kind) if force && !open && (kind == JobKind::Rule || event.call) => {
                    let job = self.job(number);
                    job.generation += 1;
                    if kind == JobKind::Action {
                        job.key = format!("{}#{}", job.new.key, job.generation);
                    }
                    count += self.wake(number, self.now);
                }
                _ => {}
            }
        }
        count
    }

    pub(crate) fn replay_all(&mut self, force: bool) -> u64 {
        let mut keys: Vec<String> = self.events.iter().map(|event| event.key.clone()).collect();
        keys.reverse();
        keys.iter().map(|key| self.replay(key, force)).sum()
    }

    pub(crate) fn purge(&mut self, wanted: impl Fn(&Event) -> bool) -> u64 {
        let gone: Vec<u64> = self
            .events
            .iter()
            .filter(|event| wanted(event) && !self.is_open(event.number))
            .map(|event| event.number)
            .collect();
        self.events.retain(|event| !gone.contains(&event.number));
        self.jobs.retain(|job| !gone.contains(&job.event));
        gone.len() as u64
    }

    pub(crate) fn purge_dead(&mut self) -> u64 {
        let before = self.jobs.len();
        self.jobs.retain(|job| job.state != JobState::Dead);
        (before - self.jobs.len()) as u64
    }

    pub(crate) fn sweep(&mut self, keep: Duration, remember: Duration) -> u64 {
        let (events, keys, now) = (self.now - ms(keep), self.now - ms(remember), self.now);
        let young: Vec<u64> =
            self.jobs.iter().filter(|job| job.ended.is_some_and(|at| at >= events)).map(|job| job.event).collect();
        self.seen.retain(|_, first| *first >= keys);
        self.once.retain(|_, until| *until > now);
        self.purge(|event| event.received < events && !young.contains(&event.number))
    }

    pub(crate) fn crash(&mut self) {
        let now = self.now;
        for job in self.jobs.iter_mut().filter(|job| job.state == JobState::Running) {
            job.lose();
            job.state = JobState::Waiting;
            job.deaths += 1;
            job.due = now + ms(rest_after(job.deaths));
        }
    }

    pub(crate) fn jobs_of(&self, event: &str) -> Vec<&Job> {
        let number = self.events.iter().find(|found| found.key == event).map(|found| found.number);
        self.jobs.iter().filter(|job| Some(job.event) == number).collect()
    }

    pub(crate) fn count(&self, state: JobState) -> u64 {
        self.jobs.iter().filter(|job| job.state == state).count() as u64
    }

    /// How long the oldest that is due has been, as far as nothing is before it.
    pub(crate) fn queue_age(&self) -> u64 {
        let ready = self.jobs.iter().filter(|job| job.active() && self.is_first(job));
        ready.map(|job| (self.now - job.due).max(0)).max().unwrap_or(0).unsigned_abs()
    }
}

impl Job {
    fn end(&mut self, state: JobState, now: Millis) {
        self.state = state;
        self.ended = Some(now);
    }

    fn lose(&mut self) {
        self.tries.push("lost".to_owned());
        self.doubt |= self.new.kind == JobKind::Action;
    }
}
