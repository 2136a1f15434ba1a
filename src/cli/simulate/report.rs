//! What `simulate` tells: each answer, and what the provider would now do.

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use crate::cli::output;
use crate::cli::output::{BAD, BOLD, DIM, GOOD, ODD, paint};
use crate::cli::simulate::client::{Answer, Received};
use crate::cli::simulate::tally;
use crate::cli::simulate::tally::{Tally, bodies_are_equal};
use crate::cli::{Global, Status};
use hookgate_engine::telemetry::escape::visible;
use hookgate_hooks::{Caller, Hook, Verification, VerificationRequest};

/// Which call of several an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    First,
    /// The same call once more, as `--dup` asks for.
    Again,
    /// The same events in an envelope of its own, as a provider with two hooks at one address sends them.
    Renewed,
    /// The provider's second try, or a later one.
    Retry,
}

pub(super) struct Report<'a> {
    pub(super) global: &'a Global,
    pub(super) hook: &'static Hook,
    pub(super) route: &'a str,
    pub(super) url: &'a Url,
    /// What of the call is not as the provider makes it.
    pub(super) warnings: Vec<String>,
    /// Whether this simulation calls again where the provider does.
    pub(super) retries: bool,
}

/// What is sent to verify an address.
pub(super) struct Challenge {
    pub(super) verification: Verification,
    /// What the reply must prove to know.
    pub(super) word: String,
    pub(super) request: VerificationRequest,
}

impl Report<'_> {
    /// Tells about one call and what followed it: first what the provider does, then the answers. Good is what the
    /// provider takes, each time alike.
    pub(super) fn calls(&self, answers: &[(Kind, Answer)], batch: usize) -> Status {
        let Some((_, first)) = answers.first() else { return Status::Failed };
        let (kind, last) = answers.last().map_or((Kind::First, first), |(kind, answer)| (*kind, answer));
        let tally = Tally::of(self.hook, answers);
        let same = answers.iter().any(|(kind, _)| *kind == Kind::Again).then_some(tally.is_alike());
        let is_last = kind == Kind::Retry && !last.is_good();
        let effect = tally::effect(self.hook, last, is_last);
        if self.global.json {
            let calls: Vec<Value> = answers.iter().map(|(kind, answer)| answer_json(*kind, answer)).collect();
            output::json(&json!({
                "effect": effect, "valid": last.is_good(), "violations": violations(last),
                "on_failure": last.reply.as_ref().and_then(Received::fallback), "warnings": self.warnings,
                "route": self.route, "hook": self.hook.name, "url": self.url.as_str(), "calls": calls,
                "same_answer": same, "tally": self.hook.is_for_events().then(|| tally.json(batch)),
            }));
        } else {
            output::line(format_args!("{} {effect}", paint(BOLD, "→")));
            self.print_problems(last);
            output::line(paint(DIM, format!("POST {} (route {})", self.url, self.route)));
            answers.iter().for_each(|(kind, answer)| self.print(*kind, answer, first));
            if self.hook.is_for_events() {
                output::line(paint(DIM, tally.line(batch)));
            }
        }
        if tally.is_good() { Status::Good } else { Status::Failed }
    }

    /// Tells about many calls.
    pub(super) fn many(&self, tally: &Tally, calls: u64, batch: usize, took: Duration) -> Status {
        if self.global.json {
            output::json(&json!({
                "route": self.route, "hook": self.hook.name, "url": self.url.as_str(), "warnings": self.warnings,
                "seconds": took.as_secs_f64(), "tally": tally.json(batch),
            }));
        } else {
            let time = format!("{calls} times in {:.1} s", took.as_secs_f64());
            output::line(paint(DIM, format!("POST {} (route {}), {time}", self.url, self.route)));
            tally.print_endings();
            output::line(tally.line(batch));
        }
        if tally.is_good() { Status::Good } else { Status::Failed }
    }

    /// Tells about a verification: good is the right reply to the challenge.
    pub(super) fn verification(&self, challenge: &Challenge, answer: &Answer) -> Status {
        let Challenge { verification, word, request } = challenge;
        let is_right = |reply: &Received| (verification.is_right)(word, &reply.as_verification());
        let is_verified = answer.reply.as_ref().is_some_and(is_right);
        let effect = if is_verified { verification.verified } else { verification.refused };
        if self.global.json {
            output::json(&json!({
                "effect": effect, "valid": is_verified,
                "route": self.route, "hook": self.hook.name, "url": self.url.as_str(),
                "calls": [answer_json(Kind::First, answer)],
            }));
        } else {
            output::line(format_args!("{} {effect}", paint(BOLD, "→")));
            output::line(paint(DIM, format!("{} {} (route {})", request.method, self.url, self.route)));
            self.print(Kind::First, answer, answer);
        }
        if is_verified { Status::Good } else { Status::Failed }
    }

    /// Why the provider takes no such answer, and whether it is the declared one.
    fn print_problems(&self, answer: &Answer) {
        for problem in violations(answer) {
            output::line(format_args!("  {} {}", paint(BAD, "no valid reply:"), visible(&problem)));
        }
        if let Some(reason) = answer.reply.as_ref().and_then(Received::fallback) {
            let line = "  this is the route's `on_failure`, not what its script says:";
            output::line(format_args!("{} {}", paint(ODD, line), visible(reason)));
        }
        let Caller { provider, retry, .. } = self.hook.caller;
        if let Some(retry) = retry.filter(|retry| !self.retries && (retry.follows)(answer.status())) {
            let often =
                if retry.most == 1 { "once more".to_owned() } else { format!("up to {} times more", retry.most) };
            output::line(paint(DIM, format!("  {provider} calls {often} before that; --retry does so, too")));
        }
    }

    fn print(&self, kind: Kind, answer: &Answer, first: &Answer) {
        let title = match kind {
            Kind::First => String::new(),
            Kind::Again => "the same call again: ".to_owned(),
            Kind::Renewed => "the same events in a new envelope: ".to_owned(),
            Kind::Retry => format!("{} tries once more: ", self.hook.caller.provider),
        };
        let time = paint(DIM, format!("{} ms", answer.took.as_millis()));
        let Some(reply) = &answer.reply else {
            let problem = answer.problem.as_deref().unwrap_or("no answer");
            return output::line(format_args!("{title}{} {time}", paint(BAD, problem)));
        };
        let is_good = answer.judgement.is_none() || answer.is_good();
        output::line(format_args!("{title}{} {time}", paint(if is_good { GOOD } else { BAD }, reply.status)));
        if kind == Kind::Again && bodies_are_equal(first, answer) {
            return output::line(paint(GOOD, "the answer is the first one, byte for byte"));
        }
        if kind == Kind::Again {
            output::line(paint(BAD, "the answer is another one than the first:"));
        }
        print_body(reply);
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
            503 if self.hook.is_for_events() => Some("the gateway did not keep the events; its log says why".into()),
            _ => None,
        }
    }
}

/// A body that is shown whole has at most so many bytes.
const MOST_SHOWN: usize = 16 * 1024;

fn print_body(reply: &Received) {
    let length = reply.body.len();
    match reply.value() {
        _ if length == 0 => {}
        _ if length > MOST_SHOWN => output::line(paint(DIM, format!("({length} bytes or more)"))),
        Value::Null => {
            let text = String::from_utf8_lossy(&reply.body);
            text.lines().for_each(|line| output::line(visible(line)));
        }
        value => output::line(output::pretty(&value)),
    }
}

/// Why the answer is no valid reply.
fn violations(answer: &Answer) -> Vec<String> {
    match (&answer.judgement, &answer.problem) {
        (Some(judgement), _) if judgement.is_valid() => Vec::new(),
        (_, Some(problem)) => vec![problem.clone()],
        (Some(judgement), None) => judgement.violations.clone(),
        (None, None) => Vec::new(),
    }
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
        "violations": violations(answer),
        "reply": answer.reply.as_ref().map(Received::value),
        "problem": answer.problem,
        "ms": u64::try_from(answer.took.as_millis()).unwrap_or(u64::MAX),
    })
}
