//! What a run has read of the world: the time, chance, what verifying passwords gave, what questions were answered.
//!
//! A script has no effects, so a run may be thrown away and repeated: on a thread of its own, to go on with an answer that
//! it had to wait for, or under the debugger. A repeated run reads all this from the journal instead of the world, and
//! so takes the same way.

use std::time::Duration;

use jiff::Timestamp;
use rhai::{EvalAltResult, ImmutableString};

use crate::budget;
use crate::password::Problem;
use hookgate_model::question::{Answered, Question};

/// Questions that one run may ask.
pub(crate) const MAX_LOOKUPS: usize = 100;

/// What verifying one password gave.
pub(crate) type Verdict = Result<bool, Problem>;

/// In the order in which it was read.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    noted: Vec<Noted>,
    /// What comes next in a repeated run.
    next: usize,
    /// Nothing may be added: the run is repeated to look at it.
    closed: bool,
}

/// One thing that was read.
#[derive(Clone, Debug)]
pub(crate) enum Noted {
    Time(Timestamp),
    Remaining(i64),
    Uuid(ImmutableString),
    Verdict(Verdict),
    Lookup(Box<Lookup>),
}

/// A question and what came of it.
#[derive(Clone, Debug)]
pub struct Lookup {
    pub question: Question,
    pub answered: Answered,
    pub took: Duration,
}

impl Lookup {
    /// `ok`, `stale`, or the reason why there was no answer.
    pub fn outcome(&self) -> &'static str {
        match &self.answered {
            Ok(answer) if answer.stale => "stale",
            Ok(_) => "ok",
            Err(trouble) => trouble.reason.name(),
        }
    }
}

impl Journal {
    /// From the beginning again, for a run that goes on where this one ended.
    #[must_use]
    pub(crate) fn again(self) -> Self {
        Self { next: 0, ..self }
    }

    /// From the beginning, for a run that is only looked at: where more would have to be read, it ends.
    #[must_use]
    pub(crate) fn closed(self) -> Self {
        Self { next: 0, closed: true, ..self }
    }

    /// What was noted here in an earlier run; `None` where this one is further than that.
    ///
    /// # Errors
    /// The earlier run read something else here; or it ended here, and no more may be added.
    pub(crate) fn noted<T>(&mut self, take: impl FnOnce(&Noted) -> Option<T>) -> Result<Option<T>, Box<EvalAltResult>> {
        let Some(noted) = self.noted.get(self.next) else {
            return if self.closed { Err(budget::ended()) } else { Ok(None) };
        };
        let taken = take(noted).ok_or("a run that was repeated took another way: this is a defect of the gateway")?;
        self.next += 1;
        Ok(Some(taken))
    }

    /// Adds what was read now.
    pub(crate) fn add(&mut self, noted: Noted) {
        self.noted.push(noted);
        self.next = self.noted.len();
    }

    /// From the beginning again, and with one answer more.
    #[must_use]
    pub(crate) fn knowing(mut self, lookup: Lookup) -> Self {
        self.noted.push(Noted::Lookup(Box::new(lookup)));
        self.again()
    }

    /// Each lookup by name, outcome and time, for the log: `hr ok 5.1 ms, kv ok 0.4 ms`. Nothing if there was none.
    pub fn summary(&self) -> Option<String> {
        let told = |lookup: &Lookup| {
            let (name, took) = (&lookup.question.connector, lookup.took.as_secs_f64() * 1_000.0);
            format!("{name} {} {took:.1} ms", lookup.outcome())
        };
        let all: Vec<String> = self.lookups().map(told).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }

    pub fn lookups(&self) -> impl Iterator<Item = &Lookup> {
        self.noted.iter().filter_map(|noted| match noted {
            Noted::Lookup(lookup) => Some(&**lookup),
            _ => None,
        })
    }
}
