//! What became of many calls: how many answers of which kind, and how long they took.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::output;
use crate::cli::output::{BAD, GOOD, paint};
use crate::cli::simulate::client::Answer;
use crate::cli::simulate::report::Kind;
use hookgate_hooks::Hook;

/// The answers of calls, summed up. A call that was tried again counts once, as its last try ended.
#[derive(Default)]
pub(super) struct Tally {
    endings: BTreeMap<Ending, u64>,
    took_us: Vec<u32>,
    retried: u64,
    /// The most calls that one call became.
    most_tries: u32,
    /// Calls made again whose answer was not the first one.
    unlike: u64,
}

/// How calls ended, the good first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    /// A valid reply.
    Acknowledged {
        status: u16,
        effect: String,
    },
    Refused {
        status: u16,
        /// How often it was called, the first time included.
        tries: u32,
        effect: String,
    },
    Unanswered {
        problem: String,
        effect: String,
    },
}

impl Tally {
    pub(super) fn of(hook: &Hook, answers: &[(Kind, Answer)]) -> Self {
        let mut tally = Self::default();
        tally.add(hook, answers);
        tally
    }

    /// The answers to one call, its repetitions and second tries.
    pub(super) fn add(&mut self, hook: &Hook, answers: &[(Kind, Answer)]) {
        let mut tries = 0;
        for (index, (kind, answer)) in answers.iter().enumerate() {
            let took = answer.took.as_micros();
            self.took_us.push(u32::try_from(took).unwrap_or(u32::MAX));
            tries = if *kind == Kind::Retry { tries + 1 } else { 1 };
            self.most_tries = self.most_tries.max(tries);
            self.retried += u64::from(tries == 2);
            if *kind == Kind::Again && !answers.first().is_some_and(|(_, first)| bodies_are_equal(first, answer)) {
                self.unlike += 1;
            }
            if answers.get(index + 1).is_none_or(|(next, _)| *next != Kind::Retry) {
                *self.endings.entry(Ending::of(hook, tries, answer)).or_default() += 1;
            }
        }
    }

    /// Every call was acknowledged, and each time alike.
    pub(super) fn is_good(&self) -> bool {
        self.unlike == 0 && self.endings.keys().all(|ending| matches!(ending, Ending::Acknowledged { .. }))
    }

    /// Whether what was sent twice got the same answer twice.
    pub(super) fn is_alike(&self) -> bool {
        self.unlike == 0
    }

    fn count(&self, wanted: impl Fn(&Ending) -> bool) -> u64 {
        self.endings.iter().filter(|(ending, _)| wanted(ending)).map(|(_, count)| count).sum()
    }

    fn numbers(&self) -> [u64; 3] {
        [
            self.count(|ending| matches!(ending, Ending::Acknowledged { .. })),
            self.count(|ending| matches!(ending, Ending::Refused { .. })),
            self.count(|ending| matches!(ending, Ending::Unanswered { .. })),
        ]
    }

    /// The time within which this share of the answers came.
    fn within(&self, share: f64) -> Duration {
        let mut sorted = self.took_us.clone();
        sorted.sort_unstable();
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank"
        )]
        let rank = (share * sorted.len() as f64).ceil() as usize;
        let found = sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default();
        Duration::from_micros(found.into())
    }

    /// One line per kind of answer, and what the provider does then.
    pub(super) fn print_endings(&self) {
        for (ending, count) in &self.endings {
            let style = if matches!(ending, Ending::Acknowledged { .. }) { GOOD } else { BAD };
            output::line(format_args!(
                "{} → {}",
                paint(style, format!("{count} × {}", ending.name())),
                ending.effect()
            ));
        }
    }

    /// `3 calls with 5 events each: 2 acknowledged, 1 refused; p50 2 ms, p99 7 ms`
    pub(super) fn line(&self, batch: usize) -> String {
        let [acknowledged, refused, unanswered] = self.numbers();
        let calls = acknowledged + refused + unanswered;
        let events = output::counted(batch, "event");
        let each = if calls == 1 { "" } else { " each" };
        let calls = output::counted(usize::try_from(calls).unwrap_or(usize::MAX), "call");
        let mut parts = vec![format!("{acknowledged} acknowledged"), format!("{refused} refused")];
        if unanswered > 0 {
            parts.push(format!("{unanswered} not answered"));
        }
        if self.retried > 0 {
            let often = if self.most_tries == 2 { "twice" } else { "more than once" };
            parts.push(format!("{} tried {often}", self.retried));
        }
        if self.unlike > 0 {
            parts.push(format!("{} answered differently the second time", self.unlike));
        }
        let [half, most] = [0.5, 0.99].map(|share| millis(self.within(share)));
        format!("{calls} with {events}{each}: {}; p50 {half} ms, p99 {most} ms", parts.join(", "))
    }

    pub(super) fn json(&self, batch: usize) -> Value {
        let [acknowledged, refused, unanswered] = self.numbers();
        let endings = self
            .endings
            .iter()
            .map(|(ending, count)| json!({ "answer": ending.name(), "count": count, "effect": ending.effect() }));
        json!({
            "calls": acknowledged + refused + unanswered,
            "events_per_call": batch,
            "acknowledged": acknowledged,
            "refused": refused,
            "unanswered": unanswered,
            "retried": self.retried,
            "answered_differently": self.unlike,
            "p50_ms": millis(self.within(0.5)),
            "p99_ms": millis(self.within(0.99)),
            "answers": endings.collect::<Value>(),
        })
    }
}

impl Ending {
    fn of(hook: &Hook, tries: u32, answer: &Answer) -> Self {
        let effect = effect(hook, answer, tries > 1 && !answer.is_good());
        let Some(reply) = &answer.reply else {
            let problem = answer.problem.clone().unwrap_or_else(|| "no answer".into());
            return Self::Unanswered { problem, effect };
        };
        match answer.is_good() {
            true => Self::Acknowledged { status: reply.status, effect },
            false => Self::Refused { status: reply.status, tries, effect },
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Refused { status: 200 | 204, .. } => "no valid reply".into(),
            Self::Acknowledged { status, .. } | Self::Refused { status, tries: 1, .. } => status.to_string(),
            Self::Refused { status, tries: 2, .. } => format!("{status} twice"),
            Self::Refused { status, tries, .. } => format!("{status} {tries} times"),
            Self::Unanswered { problem, .. } => problem.clone(),
        }
    }

    fn effect(&self) -> &str {
        match self {
            Self::Acknowledged { effect, .. } | Self::Refused { effect, .. } | Self::Unanswered { effect, .. } => {
                effect
            }
        }
    }
}

/// What the provider does now. After its last try of events it is as if nobody had answered.
pub(super) fn effect(hook: &Hook, answer: &Answer, is_last: bool) -> String {
    match &answer.judgement {
        Some(judgement) if !(is_last && hook.is_for_events()) => judgement.effect.clone(),
        _ => hook.silence.to_owned(),
    }
}

pub(super) fn bodies_are_equal(one: &Answer, other: &Answer) -> bool {
    one.reply.as_ref().zip(other.reply.as_ref()).is_some_and(|(one, other)| one.is_like(other))
}

/// Milliseconds, to the tenth where that says something.
fn millis(time: Duration) -> f64 {
    let tenths = time.as_micros().div_ceil(100);
    let shown = if tenths < 100 { tenths } else { tenths.div_ceil(10) * 10 };
    f64::from(u32::try_from(shown).unwrap_or(u32::MAX)) / 10.0
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;
    use crate::cli::simulate::client::Received;

    fn hook() -> &'static Hook {
        hookgate_hooks::HOOKS.iter().find(|hook| hook.is_for_events()).unwrap()
    }

    fn answer(status: Option<u16>, ms: u64) -> Answer {
        let problem = status.is_none().then(|| "no answer came in time".to_owned());
        let reply = status.map(|status| Received { status, headers: HeaderMap::new(), body: Bytes::new() });
        let judgement = (hook().judge)(&Value::Null, reply.as_ref().map(Received::as_answer).as_ref());
        Answer { reply, problem, took: Duration::from_millis(ms), judgement: Some(judgement) }
    }

    #[test]
    fn a_call_counts_as_its_last_try_ended() {
        let mut tally = Tally::default();
        tally.add(hook(), &[(Kind::First, answer(Some(503), 1)), (Kind::Retry, answer(Some(204), 2))]);
        tally.add(hook(), &[(Kind::First, answer(None, 3_000)), (Kind::Retry, answer(Some(500), 3))]);
        tally.add(hook(), &[(Kind::First, answer(Some(401), 4))]);
        assert!(!tally.is_good());
        let line = "3 calls with 2 events each: 1 acknowledged, 2 refused, 2 tried twice; p50 3 ms, p99 3000 ms";
        assert_eq!(tally.line(2), line);
        let told = tally.json(2);
        let answers: Vec<_> =
            told["answers"].as_array().unwrap().iter().map(|a| a["answer"].as_str().unwrap()).collect();
        assert_eq!(answers, ["204", "401", "500 twice"]);
        assert!(told["answers"][1]["effect"].as_str().unwrap().contains("drops"), "{told}");
        assert!(told["answers"][2]["effect"].as_str().unwrap().contains("drops"), "nobody tries a third time: {told}");
    }

    #[test]
    fn an_answer_that_differs_the_second_time_is_not_good() {
        let mut tally = Tally::of(hook(), &[(Kind::First, answer(Some(204), 1)), (Kind::Again, answer(Some(204), 1))]);
        assert!(tally.is_good());
        tally.add(hook(), &[(Kind::First, answer(Some(204), 1)), (Kind::Again, answer(Some(200), 1))]);
        assert!(!tally.is_good());
        assert!(tally.line(1).contains("1 answered differently"), "{}", tally.line(1));
    }

    #[test]
    fn half_and_nearly_all_answers_came_within_a_time() {
        let mut tally = Tally::default();
        for ms in 1..=100 {
            tally.add(hook(), &[(Kind::First, answer(Some(204), ms))]);
        }
        assert_eq!((tally.within(0.5), tally.within(0.99)), (Duration::from_millis(50), Duration::from_millis(99)));
        assert_eq!(Tally::default().within(0.99), Duration::ZERO);
    }
}
