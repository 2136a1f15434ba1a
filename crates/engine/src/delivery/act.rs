//! One try of an action: its connector does it, and what came of that decides what happens next.

use std::time::Instant;

use tracing::{info, warn};

use crate::delivery::Delivery;
use crate::delivery::work::{Next, Verdict};
use crate::delivery::{condition, guard, results};
use crate::release::Release;
use hookgate_connectors::{Done, Order, Trouble, What};
use hookgate_model::command::Action;
use hookgate_model::trace;
use hookgate_model::trace::Told;
use hookgate_store::Leased;

/// Does the action once.
pub(super) async fn perform(delivery: &Delivery, release: &Release, job: &Leased) -> Verdict {
    let mut action = match serde_json::from_slice::<Action>(&job.body) {
        Ok(action) => action,
        Err(error) => return Verdict::dead("unreadable", format!("the action cannot be read: {error}")),
    };
    let Some(connected) = release.connectors.get(&action.connector).cloned() else {
        return Verdict::again("no_connector", release.connectors.unknown(&action.connector));
    };
    // Asked again: the configuration may have changed since the script asked, and a release may take what another refused.
    let refused = connected.check(&action).err().map(|problem| Verdict::dead("refused", problem));
    // What is not done anyway does not count for the guard.
    let stopped = match refused {
        None => condition::in_the_way(release, &action).await,
        refused => refused,
    };
    let stopped = match stopped {
        None => guard::stops(delivery, &connected, job, &action).await,
        some => some,
    };
    let stopped = match stopped {
        None if action.with_results => results::put_into(delivery, job, &mut action.task).await,
        other => other,
    };
    if let Some(verdict) = stopped {
        delivery.metrics.action_attempt(&connected.name, verdict.result);
        told(job, &connected.name, &verdict);
        return verdict;
    }
    let order = order(job, action);
    let breaker = &connected.breaker;
    breaker.begin();
    let span = Told::action(&job.key, job.token.attempt);
    let result = trace::within(span, connected.connector.perform(&order)).await;
    let verdict = match result {
        Ok(done) => {
            breaker.answered();
            delivered(done)
        }
        Err(trouble) => {
            let opened = match trouble.what {
                What::Refused => {
                    breaker.answered();
                    false
                }
                What::NotTried { .. } => {
                    breaker.abandoned();
                    false
                }
                What::NotDelivered { retry_after } => breaker.failed(Instant::now(), retry_after),
                What::MaybeDelivered => breaker.failed(Instant::now(), None),
            };
            if opened {
                warn!(connector.name = connected.name, error = trouble.message, "connector is given a rest");
            }
            failed(trouble)
        }
    };
    delivery.metrics.action_attempt(&connected.name, verdict.result);
    told(job, &connected.name, &verdict);
    verdict
}

fn order(job: &Leased, action: Action) -> Order {
    let gathered = job.gathered.iter().filter_map(|body| serde_json::from_slice(body).ok());
    Order {
        action,
        key: job.key.clone(),
        event_id: job.event.key.clone(),
        event_type: job.event.kind.clone(),
        route: job.event.route.to_string(),
        received: job.event.received,
        event: job.event.body.clone(),
        // A try that got no answer may have succeeded as well as one without a recorded end, also before a replay.
        doubt: job.doubt || job.token.attempt > 1 || job.replay > 0,
        gathered: gathered.collect(),
        gathered_count: job.gathered_count,
    }
}

fn delivered(done: Done) -> Verdict {
    Verdict::done(done.status, done.note)
}

fn failed(trouble: Trouble) -> Verdict {
    let (result, next) = match trouble.what {
        What::NotDelivered { retry_after } => ("not_delivered", Next::Again { at_least: retry_after }),
        What::NotTried { wait } => ("not_tried", Next::Rest(wait)),
        What::MaybeDelivered => ("maybe_delivered", Next::Again { at_least: None }),
        What::Refused => ("refused", Next::Dead),
    };
    Verdict { result, status: trouble.status, detail: trouble.message, next }
}

fn told(job: &Leased, connector: &str, verdict: &Verdict) {
    let (attempt, result, event) = (job.token.attempt, verdict.result, job.event.id);
    let action = job.name.as_str();
    let route: &str = &job.event.route;
    match verdict.next {
        Next::Done(_) => {
            info!(
                route.name = route,
                connector.name = connector,
                event.id = event,
                action,
                attempt,
                result,
                "action done"
            );
        }
        Next::Again { .. } | Next::Rest(_) | Next::Dead => warn!(
            route.name = route,
            connector.name = connector,
            event.id = event,
            action,
            attempt,
            result,
            reply.status = verdict.status,
            error = verdict.detail,
            "action failed"
        ),
    }
}
