//! `docs HOOK --subscribe`: the event types that the bundle's rules want, to be ticked in the provider's console or sent to its
//! API.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::cli::Global;
use crate::cli::bundle;
use crate::cli::output;
use crate::cli::output::{BOLD, DIM, ODD, counted, paint};
use hookgate_connectors::log;
use hookgate_engine::release::wanted;
use hookgate_engine::release::wanted::Subscription;
use hookgate_hooks::Hook;

/// # Errors
/// The hook has no events, the configuration cannot be read, or it has no such route.
pub(super) fn run(global: &Global, hook: &'static Hook) -> Result<()> {
    if !hook.is_for_events() {
        bail!("`{}` has no event types; only event hooks have them", hook.name);
    }
    let place = bundle::place(global)?;
    let config = bundle::read(&place)?.document.config;
    let subscriptions = wanted::subscriptions(hook, &config);
    if subscriptions.is_empty() {
        bail!("no route of gateway.toml has hook = \"{}\"", hook.name);
    }
    if global.json {
        let hooks = subscriptions.iter().map(of_route).collect::<Value>();
        output::json(&json!({ "catalogue": hook.catalogue().source(), "hooks": hooks }));
    } else {
        output::line(paint(DIM, hook.catalogue().source()));
        subscriptions.iter().for_each(|subscription| print(hook, subscription));
    }
    Ok(())
}

/// `events` is what the provider's API takes.
fn of_route(subscription: &Subscription) -> Value {
    let items: Vec<&str> = subscription.types.iter().map(|(kind, _)| *kind).collect();
    let not_eligible = subscription.not_eligible.iter().map(|(kind, rule)| json!({ "type": kind, "rule": rule }));
    json!({
        "route": subscription.route,
        "path": subscription.path,
        "events": { "type": "EVENT_TYPE", "items": items },
        "most": subscription.most,
        "not_eligible": not_eligible.collect::<Value>(),
    })
}

fn print(hook: &Hook, subscription: &Subscription) {
    let Subscription { route, path, most, types, not_eligible } = subscription;
    output::line(format_args!("\n{} {path}: {}", paint(BOLD, route), counted(types.len(), "type")));
    let width = types.iter().map(|(kind, _)| kind.len()).max().unwrap_or_default();
    for (kind, rules) in types {
        output::line(format_args!("[ ] {kind:<width$}  {}", paint(DIM, rules.join(", "))));
    }
    for (kind, rule) in not_eligible {
        let mut why = format!("no event hook can have it ({rule})");
        if let Some(log) = hook.caller.log.and_then(log::kind) {
            why.push_str(": `reconcile` reads it from ");
            why.push_str(log.title);
        }
        output::line(format_args!("{} {kind}: {why}", paint(ODD, "left out:")));
    }
    if types.len() > *most {
        let why = format!("one event hook has {most} types at most: register two with this address");
        output::line(format_args!("{} {why}", paint(ODD, "too many:")));
    }
}
