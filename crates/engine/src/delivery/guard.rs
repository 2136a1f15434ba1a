//! Right before an action goes out that takes something away: whether its connector's guard lets it. What it stops is in the
//! dead letters, where somebody can look at it and replay what was meant; one message an hour says so.
//!
//! The count is the store's: exact however many are in work, and the same after a restart. An action that was counted is not
//! counted again when it is tried again.

use std::time::Duration;

use serde_json::{Value, json};

use crate::delivery::Delivery;
use crate::delivery::outbox;
use crate::delivery::outbox::Origin;
use crate::delivery::work::Verdict;
use hookgate_connectors::Connected;
use hookgate_connectors::guard;
use hookgate_connectors::guard::Guard;
use hookgate_model::command::{Action, Task};
use hookgate_model::question::{Kv, OWN_KEY, Reason};
use hookgate_store::state::Step;
use hookgate_store::{Flags, Intake, Leased, NewEvent, StoreError};

const HOUR: Duration = Duration::from_hours(1);

/// What an alert is filed under.
const KIND: &str = "hookgate.guard";

/// Why the action does not go out; nothing if it may.
pub(super) async fn stops(
    delivery: &Delivery,
    connected: &Connected,
    job: &Leased,
    action: &Action,
) -> Option<Verdict> {
    let guard = connected.guard.as_ref().filter(|_| action.is_destructive())?;
    if let Some(verdict) = protected(guard, connected, action).await {
        return Some(verdict);
    }
    match too_many(delivery, guard, connected, job).await {
        Ok(false) => None,
        Ok(true) => {
            let text = format!(
                "more than {} actions that take something away were asked of `{}` within an hour (`guard.max_per_hour`): \
                 this one was not sent",
                guard.max_per_hour, connected.name
            );
            Some(Verdict::dead("guard", text))
        }
        Err(problem) => Some(Verdict::again("guard_unknown", format!("the guard cannot count: {problem}"))),
    }
}

/// The account is one that is never touched.
async fn protected(guard: &Guard, connected: &Connected, action: &Action) -> Option<Verdict> {
    if !guard.protects_some() {
        return None;
    }
    let found = || Verdict::dead("protected", "it is about an account in `guard.protect`: it was not sent".to_owned());
    if guard.protects(&guard::named(action)) {
        return Some(found());
    }
    // The same account may be written as an id or as a login.
    match connected.connector.names_of(action).await {
        Ok(names) if guard.protects(&names) => Some(found()),
        Ok(_) => None,
        Err(trouble) => {
            let text = format!("whether the account is in `guard.protect` cannot be seen: {}", trouble.message);
            let lasting = matches!(trouble.reason, Reason::Denied | Reason::Rejected | Reason::Forbidden);
            Some(if lasting { Verdict::dead("protected", text) } else { Verdict::again("guard_unknown", text) })
        }
    }
}

/// Counts this one, unless it was counted before. The first in an hour that is too many is told.
async fn too_many(delivery: &Delivery, guard: &Guard, connected: &Connected, job: &Leased) -> Result<bool, StoreError> {
    let place = |what: &str| Some(format!("{what} {} {}", job.key, job.replay));
    let key = |what: &str| format!("{OWN_KEY}{what} {}", connected.name);
    let rate = Kv::WithinRate { key: key("guard"), most: guard.max_per_hour, window: HOUR };
    if delivery.store().state(Step { kv: rate, dry: false, origin: place("guard") }).await? == json!(true) {
        return Ok(false);
    }
    let Some(alert) = &guard.alert else { return Ok(true) };
    let once = Kv::Once { key: key("guard-alert"), keep: HOUR };
    if delivery.store().state(Step { kv: once, dry: false, origin: place("guard-alert") }).await? == json!(true) {
        tell(delivery, guard, connected, job, alert).await?;
    }
    Ok(true)
}

/// Keeps a message like any other action. Its key is made of the job's, so that telling again changes nothing.
async fn tell(
    delivery: &Delivery,
    guard: &Guard,
    connected: &Connected,
    job: &Leased,
    alert: &str,
) -> Result<(), StoreError> {
    let text = format!(
        "hookgate stopped actions of the connector \"{}\": more than {} that take something away were asked for within an \
         hour. What comes beyond that is in the dead letters (result \"guard\") and was not sent; replay what was meant.",
        connected.name, guard.max_per_hour
    );
    let event = format!("guard {} {}", job.key, job.replay);
    let origin = Origin { route: &job.event.route, rule: "", event: &event, generation: 0, preview: false };
    let notify = Action::new(alert, Task::Notify { message: Value::String(text) });
    let kept = NewEvent {
        route: job.event.route.clone(),
        key: event.clone(),
        kind: KIND.to_owned(),
        flags: Flags { call: true, ..Flags::default() },
        jobs: outbox::jobs(&origin, &[notify]),
        ..NewEvent::default()
    };
    delivery.keep_in_time(Intake { events: vec![kept], ..Intake::default() }, super::LONG_PATIENCE).await.map(drop)
}
