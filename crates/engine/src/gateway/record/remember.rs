//! What of a call goes to the recorder: handed over as it is, without a look into it.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::gateway::record::Record;
use crate::gateway::refusal::Refusal;
use crate::outcome::RunOutcome;
use crate::records::{Recorder, RefusedCall, RunInput, Seen, Weight};
use crate::release::Plan;
use hookgate_model::decision::Failure;

impl Record {
    /// A call that was decided. A repeated one was remembered the first time, and what carries events has no script.
    pub(super) fn remember(mut self, records: &Recorder, took: Duration) {
        let Some((outcome, request)) = self.run.take().filter(|_| !self.one_of_many) else { return };
        let weight = if outcome.denied || outcome.failure.is_some() { Weight::Urgent } else { Weight::Plain };
        if !records.admits(weight, self.received + took) {
            return;
        }
        let input = match (request, self.route.as_ref().map(|known| &known.route.plan)) {
            (Some(request), Some(Plan::Inline(inline))) => {
                let (script, surroundings) = (inline.script.clone(), inline.surroundings.clone());
                Some(RunInput { script, surroundings, request })
            }
            _ => None,
        };
        records.record(self.seen(Ok(outcome), input, took));
    }

    /// A call that reached no script.
    pub(super) fn remember_refused(self, id: String, refusal: &Refusal, records: &Recorder, took: Duration) {
        if !self.one_of_many && records.admits(Weight::Refused, self.received + took) {
            let failure = Failure {
                reason: refusal.reason().to_owned(),
                text: refusal.to_string(),
                quotes: refusal.quotes(),
                ..Failure::default()
            };
            let refused = RefusedCall { id, status: refusal.status().as_u16(), failure };
            records.record(self.seen(Err(refused), None, took));
        }
    }

    fn seen(self, outcome: Result<RunOutcome, RefusedCall>, input: Option<RunInput>, took: Duration) -> Seen {
        let request_id = self.request().map(str::to_owned);
        let known = self.route.as_ref();
        Seen {
            at: arrived(self.received),
            route: known.map(|known| known.route.name.clone()).unwrap_or_default(),
            hook: known.map(|known| known.route.hook),
            release: known.map(|known| known.release.label().to_owned()).unwrap_or_default(),
            capture: known.and_then(|known| known.route.capture.clone()),
            body: self.body,
            request_id,
            parent: self.parent,
            preview: self.preview,
            outcome,
            input,
            rule: None,
            decoded_us: self.decoded_us,
            took,
        }
    }
}

/// When a call arrived, by the clock on the wall.
fn arrived(received: Instant) -> i64 {
    let ago = i64::try_from(received.elapsed().as_millis()).unwrap_or_default();
    Timestamp::now().as_millisecond() - ago
}
