//! How many calls a simulation makes, when, and in which order.
//!
//! A pace is kept whatever the gateway does: as at the provider, a slow answer holds nothing up.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::cli::output;
use crate::cli::simulate::client::{Answer, Client, Received};
use crate::cli::simulate::made::{Call, Maker};
use crate::cli::simulate::report::Kind;
use crate::cli::simulate::tally::Tally;
use hookgate_hooks::Hook;
use hookgate_model::moment;

/// How many, how fast, in which order.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Many {
    /// Of an event hook: how many events each call carries, each with an id of its own.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) batch: Option<u32>,
    /// Of an event hook: what happened later is sent first. Of a single event, a second call is made.
    #[arg(long)]
    pub(super) out_of_order: bool,
    /// Make this many calls, all different; one after the other if there is no --rate.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Make this many calls a second, without waiting for answers; with --count or --for.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: Option<u32>,
    /// For this long, such as 10s.
    #[arg(long = "for", value_name = "TIME", value_parser = moment::length, requires = "rate", conflicts_with = "count")]
    length: Option<jiff::SignedDuration>,
}

/// What follows each call.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    pub(super) hook: &'static Hook,
    pub(super) slow: bool,
    pub(super) again: bool,
    pub(super) retry: bool,
}

impl Manner {
    /// How often a call is made again at most, after a failure.
    fn retries(self) -> u32 {
        self.hook.caller.retry.filter(|_| self.retry).map_or(0, |retry| retry.most)
    }
}

/// More than this never wait for their answers at once.
const MOST_IN_FLIGHT: usize = 1_000;

impl Many {
    /// How many calls are made, not counting repetitions.
    ///
    /// # Errors
    /// These options do not fit together.
    pub(super) fn calls(&self, hook: &Hook) -> Result<u64> {
        if !hook.is_for_events() && (self.batch.is_some() || self.out_of_order) {
            bail!("`{}` carries no events: --batch and --out-of-order are for event hooks", hook.name);
        }
        let most = match (self.rate, self.length) {
            (Some(rate), Some(length)) => {
                u64::try_from(i128::from(rate) * length.as_millis() / 1_000).unwrap_or(u64::MAX).max(1)
            }
            _ => self.count.unwrap_or(1),
        };
        if self.rate.is_some() && self.count.is_none() && self.length.is_none() {
            bail!("--rate needs an end: add --count N or --for 10s");
        }
        let alone = self.out_of_order && self.batch.unwrap_or(1) == 1;
        Ok(if alone { most.max(2) } else { most })
    }
}

/// Makes one call with all that follows it.
///
/// # Errors
/// Nothing listens there.
pub(super) async fn one(client: &Client, call: &Call, manner: Manner) -> Result<Vec<(Kind, Answer)>> {
    let mut requests = vec![(Kind::First, &call.request)];
    if manner.again {
        requests.push((Kind::Again, &call.request));
        requests.extend(call.renewed.as_ref().map(|request| (Kind::Renewed, request)));
    }
    let mut answers = Vec::new();
    for (kind, request) in requests {
        let mut answer = judged(client.call(request, manner.slow).await?, call, manner.hook);
        let mut kind = kind;
        for _ in 0..manner.retries() {
            if !manner.hook.caller.calls_again(answer.status()) {
                break;
            }
            answers.push((kind, answer));
            answer = judged(client.call(request, manner.slow).await?, call, manner.hook);
            kind = Kind::Retry;
        }
        answers.push((kind, answer));
    }
    Ok(answers)
}

/// The answer with what the provider makes of it.
fn judged(mut answer: Answer, call: &Call, hook: &Hook) -> Answer {
    let judgement = (hook.judge)(&call.value, answer.reply.as_ref().map(Received::as_answer).as_ref());
    answer.judgement = Some(judgement);
    answer
}

/// Makes many, and counts.
///
/// # Errors
/// A call cannot be made as asked, or nothing listens there at the start.
pub(super) async fn all(client: &Client, maker: &Maker<'_>, many: &Many, calls: u64, manner: Manner) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut progress = Progress::new(calls);
    let mut in_flight = JoinSet::new();
    let mut pace = many.rate.map(|rate| tokio::time::interval(Duration::from_secs(1) / rate));
    if let Some(pace) = &mut pace {
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    }
    for number in 0..calls {
        let call = maker.call(number)?;
        match &mut pace {
            // Whoever is not there at all is told at once, and not counted.
            _ if number == 0 => tally.add(manner.hook, &one(client, &call, manner).await?),
            None => tally
                .add(manner.hook, &one(client, &call, manner).await.unwrap_or_else(|error| gone(&error, manner.hook))),
            Some(pace) => {
                pace.tick().await;
                let client = client.clone();
                in_flight.spawn(async move {
                    one(&client, &call, manner).await.unwrap_or_else(|error| gone(&error, manner.hook))
                });
                while let Some(ended) = in_flight.try_join_next() {
                    tally.add(manner.hook, &ended?);
                }
                if in_flight.len() >= MOST_IN_FLIGHT
                    && let Some(ended) = in_flight.join_next().await
                {
                    tally.add(manner.hook, &ended?);
                }
            }
        }
        progress.show(number + 1);
    }
    while let Some(ended) = in_flight.join_next().await {
        tally.add(manner.hook, &ended?);
    }
    progress.end();
    Ok(tally)
}

/// A call in the middle that found nobody.
fn gone(error: &anyhow::Error, hook: &Hook) -> Vec<(Kind, Answer)> {
    let judgement = Some((hook.judge)(&Value::Null, None));
    let answer = Answer { reply: None, problem: Some(error.to_string()), took: Duration::ZERO, judgement };
    vec![(Kind::First, answer)]
}

/// How far it is, where somebody waits.
struct Progress {
    of: u64,
    shown: Option<Instant>,
}

impl Progress {
    fn new(of: u64) -> Self {
        Self { of, shown: output::is_seen().then(Instant::now) }
    }

    fn show(&mut self, made: u64) {
        if let Some(shown) = &mut self.shown
            && shown.elapsed() > Duration::from_millis(250)
        {
            output::rewrite(&format!("{made} of {} calls", self.of));
            *shown = Instant::now();
        }
    }

    fn end(&self) {
        if self.shown.is_some() {
            output::rewrite("");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        many: Many,
    }

    fn many(args: &[&str]) -> Result<Many, clap::Error> {
        <Line as clap::Parser>::try_parse_from([&["x"], args].concat()).map(|line| line.many)
    }

    fn hook(events: bool) -> &'static Hook {
        hookgate_hooks::HOOKS.iter().find(|hook| hook.is_for_events() == events).unwrap()
    }

    fn calls(args: &[&str]) -> u64 {
        many(args).unwrap().calls(hook(true)).unwrap()
    }

    #[test]
    fn the_number_of_calls_follows_from_what_was_asked_for() {
        assert_eq!(calls(&[]), 1);
        assert_eq!(calls(&["--batch", "5"]), 1);
        assert_eq!(calls(&["--count", "7", "--rate", "3"]), 7);
        assert_eq!(calls(&["--for", "10s", "--rate", "30"]), 300);
        assert_eq!(calls(&["--for", "500ms", "--rate", "1"]), 1);
        assert_eq!(calls(&["--out-of-order"]), 2, "one event alone has no order");
        assert_eq!(calls(&["--out-of-order", "--batch", "2"]), 1);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for args in [&["--for", "10s"][..], &["--batch", "0"], &["--for", "soon", "--rate", "1"]] {
            assert!(many(args).is_err(), "{args:?}");
        }
        assert!(many(&["--rate", "2"]).unwrap().calls(hook(true)).is_err(), "it would never end");
        for args in [&["--batch", "2"][..], &["--out-of-order"]] {
            assert!(many(args).unwrap().calls(hook(false)).is_err(), "{args:?}");
        }
        assert_eq!(many(&["--count", "3"]).unwrap().calls(hook(false)).unwrap(), 3);
    }
}
