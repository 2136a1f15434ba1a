//! `check --online`: whether every outside system can be reached and lets us in. Nothing is changed there.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::cli::output;
use crate::cli::output::{BAD, BOLD, DIM, GOOD, ODD, paint};
use hookgate_connectors::log::{From, LogKind};
use hookgate_connectors::{Connected, Probed};
use hookgate_engine::release::{Reconcile, Release};
use hookgate_model::question::{Reason, Trouble};
use hookgate_store::clock;

/// What was found of one system.
pub(super) struct Seen {
    /// `connectors.hr`, `routes.events.reconcile`.
    key: String,
    kind: &'static str,
    /// `None` where nothing can be asked without something being done.
    found: Option<Result<Probed, Trouble>>,
}

/// Asks all of them at once.
///
/// # Errors
/// The system refuses threads.
pub(super) fn look(release: &Release) -> Result<Vec<Seen>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut asked = JoinSet::new();
        for connected in release.connectors.iter() {
            asked.spawn(connector(connected.clone()));
        }
        for route in &release.routes {
            let kind = route.hook.caller.log.and_then(hookgate_connectors::log::kind);
            if let Some((reconcile, kind)) = route.reconcile.as_ref().zip(kind) {
                asked.spawn(log(route.name.clone(), kind, reconcile.clone()));
            }
        }
        let mut seen = asked.join_all().await;
        seen.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(seen)
    })
}

async fn connector(connected: Arc<Connected>) -> Seen {
    let (key, kind) = (format!("connectors.{}", connected.name), connected.connector.kind());
    let found = match connected.connector.probe() {
        Some(probing) => Some(within(connected.timeout, probing).await),
        None => None,
    };
    Seen { key, kind, found }
}

/// Reads what the log has of the last minute, as reconciling does.
async fn log(route: String, kind: &'static LogKind, reconcile: Arc<Reconcile>) -> Seen {
    let now = clock::wall();
    let from = From::Window { since: now - 60_000, until: now };
    let read = async {
        reconcile.log.read(&from).await.map_err(Trouble::from)?;
        Ok(Probed::new("the log can be read", kind.needs))
    };
    let found = Some(within(Duration::from_secs(30), read).await);
    Seen { key: format!("routes.{route}.reconcile"), kind: kind.name, found }
}

async fn within(time: Duration, probing: impl Future<Output = Result<Probed, Trouble>>) -> Result<Probed, Trouble> {
    let late = |_| Err(Trouble::new(Reason::Timeout, format!("it did not answer within {} ms", time.as_millis())));
    timeout(time, probing).await.unwrap_or_else(late)
}

/// Whether all that could be asked answered well.
pub(super) fn all_good(seen: &[Seen]) -> bool {
    seen.iter().all(|one| !matches!(one.found, Some(Err(_))))
}

pub(super) fn print(seen: &[Seen]) {
    for Seen { key, kind, found } in seen {
        let name = format!("{} {}", paint(BOLD, key), paint(DIM, format!("({kind})")));
        match found {
            Some(Ok(probed)) => output::line(format_args!("{} {name}: {}", paint(GOOD, "reached"), probed.found)),
            Some(Err(trouble)) => {
                output::line(format_args!("{} {name}: {} ({})", paint(BAD, "failed"), trouble, trouble.reason.name()));
            }
            None => output::line(format_args!("{} {name}: only doing something would tell", paint(ODD, "unknown"))),
        }
        for need in found.iter().flatten().flat_map(|probed| &probed.needs) {
            output::line(format_args!("        {} {need}", paint(DIM, "needs")));
        }
    }
    if seen.is_empty() {
        output::line("no connector is configured");
    }
}

pub(super) fn json(seen: &[Seen]) -> Value {
    let one = |Seen { key, kind, found }: &Seen| {
        let probed = found.as_ref().and_then(|found| found.as_ref().ok());
        let trouble = found.as_ref().and_then(|found| found.as_ref().err());
        json!({
            "key": key,
            "kind": kind,
            "reached": found.as_ref().map(Result::is_ok),
            "found": probed.map(|probed| &probed.found),
            "needs": probed.map(|probed| &probed.needs),
            "error": trouble.map(ToString::to_string),
            "reason": trouble.map(|trouble| trouble.reason.name()),
        })
    };
    seen.iter().map(one).collect()
}
