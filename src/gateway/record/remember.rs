//! What of a call goes to the recorder: handed over as it is, without a look into it.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::decision;
use crate::gateway::decide::{Decision, Failure};
use crate::gateway::record::Record;
use crate::gateway::refusal::Refusal;
use crate::records;
use crate::records::{Ran, Recorder, Seen, Weight};
use crate::release::Plan;

impl Record {
    /// A call that was decided. A repeated one was remembered the first time, and what carries events has no script.
    pub(super) fn remember(self, records: &Recorder, took: Duration) {
        let urgent = self.decision.as_ref().map(|(decision, _)| decision.denied || decision.failure.is_some());
        let Some(urgent) = urgent.filter(|_| !self.one_of_many) else { return };
        let weight = if urgent { Weight::Urgent } else { Weight::Plain };
        if records.admits(weight, self.received + took) {
            records.record(self.seen(took));
        }
    }

    /// A call that reached no script.
    pub(super) fn remember_refused(self, id: String, refusal: &Refusal, records: &Recorder, took: Duration) {
        if !self.one_of_many && records.admits(Weight::Refused, self.received + took) {
            let failure = records::failure(refusal.reason(), refusal.to_string(), None);
            let failure = decision::Failure { quotes: refusal.quotes(), ..failure };
            let status = refusal.status().as_u16();
            records.record(Seen { id, failure: Some(failure), status: Some(status), ..self.seen(took) });
        }
    }

    fn seen(self, took: Duration) -> Seen {
        let request_id = self.request().map(str::to_owned);
        let known = self.route.as_ref();
        let mut seen = Seen {
            id: String::new(),
            at: arrived(self.received),
            route: known.map(|known| known.route.name.clone()).unwrap_or_default(),
            hook: known.map(|known| known.route.hook),
            release: known.map(|known| known.release.label().to_owned()).unwrap_or_default(),
            body: self.body,
            request_id,
            parent: self.parent,
            preview: self.preview,
            ran: None,
            rule: None,
            reply: None,
            status: None,
            failure: None,
            actions: Vec::new(),
            decoded_us: self.decoded_us,
            took,
            capture: known.and_then(|known| known.route.capture.clone()),
        };
        let plan = known.map(|known| &known.route.plan);
        let (Some((decision, request)), Some(Plan::Reply { script, surroundings, .. })) = (self.decision, plan) else {
            return seen;
        };
        let Decision { id, reply, actions, failure, journal, reason, begun, took, .. } = decision;
        seen.id = id;
        seen.status = Some(reply.status);
        seen.reply = Some(reply);
        seen.actions = records::lines(&actions);
        seen.failure = failure.as_ref().map(told);
        let (script, surroundings) = (script.clone(), surroundings.clone());
        let Some(request) = request else { return seen };
        seen.ran = Some(Ran { script, surroundings, request, begun, journal, reason, took });
        seen
    }
}

/// When a call arrived, by the clock on the wall.
fn arrived(received: Instant) -> i64 {
    let ago = i64::try_from(received.elapsed().as_millis()).unwrap_or_default();
    Timestamp::now().as_millisecond() - ago
}

fn told(failure: &Failure) -> decision::Failure {
    let place = match failure {
        Failure::Script(error) => Some(&**error),
        _ => None,
    };
    let quotes = matches!(failure, Failure::Unread(problem) if problem.quotes());
    let told = records::failure(failure.reason(), failure.to_string(), place);
    decision::Failure { quotes: told.quotes || quotes, ..told }
}
