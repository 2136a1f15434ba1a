//! What `simulate` tells: each answer, and what Okta would now do.

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use crate::cli::output;
use crate::cli::output::{BAD, BOLD, DIM, GOOD, paint};
use crate::cli::simulate::client::Answer;
use crate::cli::simulate::tally;
use crate::cli::simulate::tally::{Tally, bodies_are_equal};
use crate::cli::{Global, Status};
use crate::hooks::Hook;

/// Which call of several an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    First,
    /// The same call once more, as `--dup` asks for.
    Again,
    /// The same events in an envelope of its own, as an org with two hooks sends them.
    Renewed,
    /// Okta's second try.
    Retry,
}

pub(super) struct Report<'a> {
    pub(super) global: &'a Global,
    pub(super) hook: &'static Hook,
    pub(super) route: &'a str,
    pub(super) url: &'a Url,
}

impl Report<'_> {
    /// Tells about one call and what followed it; good is what the gateway answered with success, each time alike.
    pub(super) fn calls(&self, answers: &[(Kind, Answer)], batch: usize) -> Status {
        let Some((_, first)) = answers.first() else { return Status::Failed };
        let (kind, last) = answers.last().map_or((Kind::First, first), |(kind, answer)| (*kind, answer));
        let tally = Tally::of(answers);
        let same = answers.iter().any(|(kind, _)| *kind == Kind::Again).then_some(tally.is_alike());
        let is_last = kind == Kind::Retry && !is_good(last);
        let effect = tally::effect(self.hook, last.reply.as_ref(), is_last);
        if self.global.json {
            let calls: Vec<Value> = answers.iter().map(|(kind, answer)| answer_json(*kind, answer)).collect();
            output::json(&json!({
                "route": self.route, "hook": self.hook.name, "url": self.url.as_str(), "calls": calls,
                "same_answer": same, "effect": effect,
                "tally": self.hook.events.then(|| tally.json(self.hook, batch)),
            }));
        } else {
            output::line(paint(DIM, format!("POST {} (route {})", self.url, self.route)));
            answers.iter().for_each(|(kind, answer)| self.print(*kind, answer, first));
            output::line(format_args!("{} {effect}", paint(BOLD, "→")));
            if self.hook.events {
                output::line(paint(DIM, tally.line(batch)));
            }
        }
        if tally.is_good() { Status::Good } else { Status::Failed }
    }

    /// Tells about many calls.
    pub(super) fn many(&self, tally: &Tally, calls: u64, batch: usize, took: Duration) -> Status {
        if self.global.json {
            output::json(&json!({
                "route": self.route, "hook": self.hook.name, "url": self.url.as_str(),
                "seconds": took.as_secs_f64(), "tally": tally.json(self.hook, batch),
            }));
        } else {
            let time = format!("{calls} times in {:.1} s", took.as_secs_f64());
            output::line(paint(DIM, format!("POST {} (route {}), {time}", self.url, self.route)));
            tally.print_endings(self.hook);
            output::line(tally.line(batch));
        }
        if tally.is_good() { Status::Good } else { Status::Failed }
    }

    /// Tells about a verification: good is our challenge in the answer.
    pub(super) fn verification(&self, answer: &Answer, challenge: &str) -> Status {
        let echoed = answer
            .reply
            .as_ref()
            .is_some_and(|reply| reply.status == 200 && reply.value()["verification"].as_str() == Some(challenge));
        let effect = match echoed {
            true => "Okta marks the event hook as verified",
            false => "Okta does not verify the event hook, and sends no events",
        };
        if self.global.json {
            output::json(&json!({
                "route": self.route, "hook": self.hook.name, "url": self.url.as_str(),
                "calls": [answer_json(Kind::First, answer)], "effect": effect,
            }));
        } else {
            output::line(paint(DIM, format!("GET {} (route {})", self.url, self.route)));
            self.print(Kind::First, answer, answer);
            output::line(format_args!("{} {effect}", paint(BOLD, "→")));
        }
        if echoed { Status::Good } else { Status::Failed }
    }

    fn print(&self, kind: Kind, answer: &Answer, first: &Answer) {
        let title = match kind {
            Kind::First => "",
            Kind::Again => "the same call again: ",
            Kind::Renewed => "the same events in a new envelope: ",
            Kind::Retry => "Okta tries once more: ",
        };
        let time = paint(DIM, format!("{} ms", answer.took.as_millis()));
        let Some(reply) = &answer.reply else {
            let problem = answer.problem.as_deref().unwrap_or("no answer");
            return output::line(format_args!("{title}{} {time}", paint(BAD, problem)));
        };
        let style = if is_good(answer) { GOOD } else { BAD };
        output::line(format_args!("{title}{} {time}", paint(style, reply.status)));
        if kind == Kind::Again && bodies_are_equal(first, answer) {
            return output::line(paint(GOOD, "the answer is the first one, byte for byte"));
        }
        if kind == Kind::Again {
            output::line(paint(BAD, "the answer is another one than the first:"));
        }
        if !reply.body.is_empty() {
            match reply.value() {
                Value::Null => output::line(String::from_utf8_lossy(&reply.body)),
                value => output::line(output::pretty(&value)),
            }
        }
        if let Some(hint) = self.hint(reply.status) {
            output::line(paint(DIM, hint));
        }
    }

    /// Where a status has one likely reason.
    fn hint(&self, status: u16) -> Option<String> {
        match status {
            401 => Some(
                "the gateway did not accept this secret: does it run with this gateway.toml? Its log says more".into(),
            ),
            404 => Some("the running gateway has no such route: does it run with this gateway.toml?".into()),
            503 if self.hook.events => Some("the gateway did not keep the events; its log says why".into()),
            _ => None,
        }
    }
}

pub(super) fn is_good(answer: &Answer) -> bool {
    answer.reply.as_ref().is_some_and(|reply| (200..300).contains(&reply.status))
}

fn answer_json(kind: Kind, answer: &Answer) -> Value {
    let kind = match kind {
        Kind::First => "first",
        Kind::Again => "again",
        Kind::Renewed => "renewed",
        Kind::Retry => "retry",
    };
    json!({
        "call": kind,
        "status": answer.reply.as_ref().map(|reply| reply.status),
        "reply": answer.reply.as_ref().map(crate::hooks::Reply::value),
        "problem": answer.problem,
        "ms": u64::try_from(answer.took.as_millis()).unwrap_or(u64::MAX),
    })
}
