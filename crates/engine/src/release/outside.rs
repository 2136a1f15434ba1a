//! From the configuration to what is outside, with its secrets read: connectors that act (`[connectors]`), and logs of
//! providers that are read (`[routes.NAME.reconcile]`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tracing::{info, warn};

use crate::config;
use crate::config::connectors::Connector;
use crate::config::reconcile;
use crate::config::routes::Route;
use crate::config::{Config, ConnectorFacts};
use crate::release::build::Secrets;
use crate::release::convert::retry_of;
use crate::release::fence::World;
use crate::release::{Reconcile, Release};
use hookgate_connectors::cache::{Cache, Rules};
use hookgate_connectors::guard::Guard;
use hookgate_connectors::log;
use hookgate_connectors::log::LogSetup;
use hookgate_connectors::proxy::Proxy;
use hookgate_connectors::setup::{Problem, Setup};
use hookgate_connectors::takes;
use hookgate_connectors::{Connected, Connectors};
use hookgate_model::command::{Action, Task};
use hookgate_model::environment;
use hookgate_model::finding::Finding;
use hookgate_model::secret::{Ring, SecretSource};
use hookgate_script::compile::Compiler;
use hookgate_script::prelude::lookups::FUNCTIONS;

/// Settings of connectors that name a file which is read again when it changes, beside `{ file = … }`.
const CERTIFICATES: [&str; 3] = ["client_cert_file", "client_key_file", "certificate_file"];
/// Those of them that hold a secret.
const PRIVATE_KEYS: [&str; 1] = ["client_key_file"];

/// What sections may say.
pub(super) fn facts() -> Vec<ConnectorFacts> {
    let facts = |kind: &hookgate_connectors::setup::Kind| ConnectorFacts {
        kind: kind.name,
        about: kind.about,
        settings: kind.settings,
    };
    hookgate_connectors::KINDS.iter().map(facts).collect()
}

/// Makes a connector of its section.
///
/// # Errors
/// Everything that is wrong with it; keys are below the section.
pub(super) fn connected(world: &World<'_>, name: &str, written: &Connector) -> Result<Connected, Vec<Problem>> {
    let Some(kind) = hookgate_connectors::kind(&written.kind) else {
        return Err(vec![Problem::bad_value("kind", format!("there is no kind `{}`", written.kind))]);
    };
    let mut setup = Setup {
        name,
        settings: &written.settings,
        timeout: Duration::from_millis(written.common.timeout_ms),
        allow_private: written.common.allow_private,
        proxy: None,
        root: &world.place.root,
        fence: world.fence,
        secrets: setup_secrets(world.secrets),
        environment: environment::variable,
    };
    setup.proxy = written.common.proxy.as_ref().map(|proxy| proxy_of(&setup, kind.name, proxy)).transpose()?;
    Ok(Connected {
        name: name.to_owned(),
        connector: (kind.make)(&setup)?,
        retry: retry_of(&written.common.retry),
        concurrent: written.common.concurrent as usize,
        timeout: setup.timeout,
        lookups: Semaphore::new(written.common.lookups as usize),
        cache: written.common.cache.as_ref().map(rules_of).or(kind.cache).map(Cache::new),
        breaker: Arc::default(),
        guard: written.common.guard.as_ref().map(guard_of),
        rings: setup.proxy.iter().flat_map(Proxy::rings).collect(),
    })
}

fn proxy_of(setup: &Setup<'_>, kind: &str, written: &config::connectors::Proxy) -> Result<Proxy, Vec<Problem>> {
    use config::connectors::Proxy as Written;
    if !hookgate_connectors::kind(kind).is_some_and(|kind| kind.proxied) {
        let problem =
            Problem::bad_value("proxy", format!("a connector of kind `{kind}` speaks no HTTP: it uses no proxy"));
        return Err(vec![problem.help("remove `proxy`")]);
    }
    match written {
        Written::Address(url) => Proxy::new(setup, url, None, false),
        Written::Table { url, auth, allow_private } => Proxy::new(setup, url, auth.as_ref(), *allow_private),
    }
}

fn guard_of(written: &config::connectors::Guard) -> Guard {
    Guard::new(&written.protect, written.max_per_hour, written.alert.clone())
}

/// Connectors whose guard would tell nobody: name, and why.
pub(super) fn unheard(config: &Config, connectors: &Connectors) -> Vec<(String, String)> {
    let alert = |(name, written): (&String, &Connector)| {
        let alert = written.common.guard.as_ref()?.alert.as_deref()?;
        // One that is there and could not be made has been complained about.
        let broken = config.connectors.contains_key(alert) && connectors.get(alert).is_none();
        let notify = Action::new(alert, Task::Notify { message: "The guard has stopped actions.".into() });
        connectors.check(&notify).err().filter(|_| !broken).map(|problem| (name.clone(), problem))
    };
    config.connectors.iter().filter_map(alert).collect()
}

fn rules_of(written: &config::connectors::Cache) -> Rules {
    Rules {
        ttl: Duration::from_secs(written.ttl_s),
        negative: Duration::from_secs(written.negative_s),
        stale: Duration::from_secs(written.stale_s),
        entries: written.entries as usize,
    }
}

/// Connectors that scripts name and nobody configured, or that cannot be asked what they are asked, do not take the action
/// they are to do, or cannot send the codes that they are to send.
pub(super) fn wrong(config: &Config, compiler: &Compiler, wanted: &BTreeSet<&str>) -> Vec<Finding> {
    let known: Vec<&str> = config.connectors.keys().map(String::as_str).collect();
    let problem = |name: &str, function: &str| {
        // A kind that is none has a finding already.
        let kind = hookgate_connectors::kind(&config.connectors.get(name)?.kind)?;
        if FUNCTIONS.contains(&function) {
            return (kind.answers != Some(function)).then(|| "it is of another kind".to_owned());
        }
        takes::problem(kind.name, function)
    };
    let mut findings = compiler.wrong_connectors(wanted, &known, &problem);
    findings.extend(compiler.wrong_ways(wanted, |name| {
        let kind = config.connectors.get(name)?.kind.as_str();
        (!hookgate_connectors::sends_codes(kind)).then(|| hookgate_connectors::no_codes(kind))
    }));
    findings
}

pub(super) fn setup_secrets(secrets: Secrets) -> hookgate_connectors::setup::Secrets {
    match secrets {
        Secrets::Load => hookgate_connectors::setup::Secrets::Load,
        Secrets::Check => hookgate_connectors::setup::Secrets::Check,
        Secrets::Skip => hookgate_connectors::setup::Secrets::Skip,
    }
}

/// Makes the reader of a route's log.
///
/// # Errors
/// Everything that is wrong with its settings; keys are below the section.
pub(super) fn log_of(
    world: &World<'_>,
    name: &str,
    route: &Route,
    written: &reconcile::Reconcile,
) -> Result<Reconcile, Vec<Problem>> {
    let kind = hookgate_hooks::find(&route.hook).and_then(|hook| hook.caller.log).and_then(log::kind);
    let Some(kind) = kind else {
        return Err(vec![Problem::bad_value("", format!("no log of the provider of `{}` can be read", route.hook))]);
    };
    let setup = Setup {
        name,
        settings: &written.settings,
        timeout: Duration::from_millis(written.timeout_ms),
        allow_private: written.allow_private,
        proxy: None,
        root: &world.place.root,
        fence: world.fence,
        secrets: setup_secrets(world.secrets),
        environment: environment::variable,
    };
    Ok(Reconcile {
        log: (kind.make)(&LogSetup { setup, rate_share: written.rate_share, types: &types(route) })?,
        every: Duration::from_secs(written.every_s),
        overlap: Duration::from_secs(written.overlap_s),
        lag: Duration::from_secs(written.lag_s),
    })
}

/// The reader of the release before, if nothing changed that it is made of: it keeps its access and its share.
pub(super) fn kept_log(before: &Release, name: &str, route: &Route) -> Option<Arc<Reconcile>> {
    let old = before.config.routes.get(name)?;
    let same = old.hook == route.hook && old.reconcile == route.reconcile && types(old) == types(route);
    before.routes.iter().find(|found| same && found.name == name)?.reconcile.clone()
}

/// Every type of event that the rules of a route want, as written.
fn types(route: &Route) -> Vec<String> {
    let all = route.script.iter().map(|_| "*".to_owned());
    all.chain(route.rules.values().flat_map(|rule| rule.events.iter().cloned())).collect()
}

/// Reads files that hold secrets again; a file that cannot be read keeps its secret.
pub(super) fn rotate(connected: &Arc<Connected>) {
    rotate_rings(Some(&connected.name), None, &connected.secrets().collect::<Vec<_>>());
}

/// The same for the log that a route reads.
pub(super) fn rotate_log(route: &str, reconcile: &Reconcile) {
    rotate_rings(None, Some(route), &reconcile.log.secrets());
}

/// The same for secrets among parameters. Whether one has a new value.
pub(super) fn rotate_params(rings: &[Arc<Ring>]) -> bool {
    rotate_rings(None, None, rings)
}

fn rotate_rings(connector: Option<&str>, route: Option<&str>, rings: &[Arc<Ring>]) -> bool {
    let mut changed = false;
    for ring in rings {
        let reloaded = ring.reload();
        changed |= !reloaded.changed.is_empty();
        for label in &reloaded.changed {
            info!(connector.name = connector, route.name = route, secret = %label, "secret was read again");
        }
        for problem in &reloaded.kept {
            warn!(
                connector.name = connector,
                route.name = route,
                error = %problem,
                "the new secret cannot be used, the old one stays"
            );
        }
    }
    changed
}

/// Files that were just made, because they were to be made and not there.
pub(super) fn created(connected: &Arc<Connected>) -> Vec<std::path::PathBuf> {
    connected.secrets().flat_map(|ring| ring.created().to_vec()).collect()
}

/// Every file that is read again when it changes, as written: wherever a key says `{ file = … }`, and certificates.
pub(super) fn files(config: &Config) -> Vec<&str> {
    files_with(config, &CERTIFICATES)
}

/// Every file of them that holds a secret.
pub(super) fn secret_files(config: &Config) -> Vec<&str> {
    files_with(config, &PRIVATE_KEYS)
}

fn files_with<'a>(config: &'a Config, keys: &[&str]) -> Vec<&'a str> {
    let proxies = config.connectors.values().filter_map(|one| one.common.proxy.as_ref()?.auth());
    let mut files: Vec<&str> = proxies.filter_map(SecretSource::file).collect();
    for connector in config.connectors.values() {
        let named = keys.iter().filter_map(|key| connector.settings.get(*key));
        files.extend(named.filter_map(serde_json::Value::as_str));
    }
    let params = config.secret_params().into_iter();
    files.extend(params.filter_map(|(_, value)| value.get("file").and_then(serde_json::Value::as_str)));
    let of_connectors = config.connectors.values().flat_map(|one| one.settings.values());
    let of_logs = config.routes.values().filter_map(|route| route.reconcile.as_ref());
    let of_logs = of_logs.flat_map(|reconcile| reconcile.settings.values());
    let mut values: Vec<&serde_json::Value> = of_connectors.chain(of_logs).collect();
    while let Some(value) = values.pop() {
        if let Some(table) = value.as_object() {
            files.extend(table.get("file").and_then(serde_json::Value::as_str));
            values.extend(table.values());
        }
    }
    files
}
