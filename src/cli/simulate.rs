//! `simulate`: be Okta. Makes a call as Okta would, with the route's own secret, to a running gateway, and says what Okta
//! would now do to its user. An answer that Okta does not take is a failed hook, and ends with status 1.

mod client;
mod deliveries;
mod made;
mod proof;
mod report;
mod tally;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use http::{HeaderName, HeaderValue};
use serde_json::Value;
use url::Url;

use crate::cli::body;
use crate::cli::bundle;
use crate::cli::output;
use crate::cli::output::{ODD, paint};
use crate::cli::simulate::client::Client;
use crate::cli::simulate::deliveries::{Manner, Many};
use crate::cli::simulate::made::Maker;
use crate::cli::simulate::report::Report;
use crate::cli::{Global, Status};
use hookgate_engine::config::Config;
use hookgate_engine::config::routes::Route;
use hookgate_hooks::Hook;
use hookgate_model::finding::unknown;

#[derive(Clone, Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Args {
    /// The kind of call, such as okta.registration.
    hook: String,
    /// Of an event hook: the type of event, such as user.session.start.
    event_type: Option<String>,
    /// The route to call, where several have this hook.
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Where the gateway is, if not at the address in gateway.toml.
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    /// Which of the hook's sample calls to send; the first one if absent.
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    sample: Option<String>,
    /// Send the call in this file; `-` is stdin.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Change a member of the call, such as data.userProfile.email=x@y.example. May be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = body::assignment)]
    set: Vec<(String, Value)>,
    /// Send this header, too; with one of the auth's own name, no secret is read. May be repeated.
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = proof::header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Call again as Okta does: once, after a timeout or a 5xx; never for token and telephony.
    #[arg(long)]
    retry: bool,
    /// Make the same call twice: the second must get the first answer. Events are sent once more in an envelope of its own.
    #[arg(long)]
    dup: bool,
    #[command(flatten)]
    many: Many,
    /// Call as the preview in Okta's console does. Okta marks previews of events and of telephony; of the others nothing tells a
    /// preview from a call.
    #[arg(long)]
    preview: bool,
    /// Send the body in two halves, half a second apart.
    #[arg(long)]
    slow: bool,
    /// Of an event hook: ask for the one-time verification instead.
    #[arg(long, conflicts_with_all = ["file", "sample", "set", "dup", "preview", "slow", "retry", "batch", "count", "rate", "out_of_order"])]
    verify: bool,
    /// Take any certificate, for a gateway with a self-signed one.
    #[arg(long)]
    insecure: bool,
}

/// Okta waits this long for the whole exchange (contract: inline hooks, section 2).
const PATIENCE: Duration = Duration::from_secs(3);

/// # Errors
/// There is no such route, its secret cannot be read, or nothing listens there.
pub fn run(global: &Global, args: &Args) -> Result<Status> {
    let hook = find_hook(args)?;
    let place = bundle::place(global)?;
    let config = bundle::read(&place)?.document.config;
    let (name, route) = find_route(&config, args)?;
    let url = address(&config, route, args.url.as_ref())?;
    let headers = proof::headers(&config, route, &place, &args.headers)
        .with_context(|| format!("route `{name}` cannot be called"))?;
    let client = Client::new(url, headers, PATIENCE, args.insecure)?;
    let is_called_again = okta_retries(hook) && !args.retry && !args.verify;
    let mut report = Report { global, hook, route: name, url: client.url(), warnings: Vec::new(), is_called_again };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match args.verify {
            true => verify(&client, &report).await,
            false => call(&client, &mut report, args).await,
        }
    })
}

async fn verify(client: &Client, report: &Report<'_>) -> Result<Status> {
    let challenge = uuid::Uuid::new_v4().simple().to_string();
    let answer = client.challenge(&challenge).await?;
    Ok(report.verification(&answer, &challenge))
}

async fn call(client: &Client, report: &mut Report<'_>, args: &Args) -> Result<Status> {
    let hook = report.hook;
    let calls = args.many.calls(hook)?;
    let maker = Maker::new(hook, args)?;
    report.warnings = maker.warnings();
    if !report.global.json {
        report.warnings.iter().for_each(|warning| output::note(format_args!("{} {warning}", paint(ODD, "warning:"))));
    }
    let manner = Manner { hook, slow: args.slow, again: args.dup, retry: args.retry && okta_retries(hook) };
    if calls == 1 {
        let answers = deliveries::one(client, &maker.call(0)?, manner).await?;
        return Ok(report.calls(&answers, maker.batch()));
    }
    let started = Instant::now();
    let tally = deliveries::all(client, &maker, &args.many, calls, manner).await?;
    Ok(report.many(&tally, calls, maker.batch(), started.elapsed()))
}

/// Contract: inline hooks, section 2; event hooks are retried alike.
fn okta_retries(hook: &Hook) -> bool {
    !["okta.token", "okta.telephony"].contains(&hook.name)
}

fn find_hook(args: &Args) -> Result<&'static Hook> {
    let names: Vec<String> = hookgate_hooks::HOOKS.iter().map(|hook| hook.name.to_owned()).collect();
    let hook = hookgate_hooks::find(&args.hook).with_context(|| unknown("hook", &args.hook, &names))?;
    if !hook.is_for_events() && args.event_type.is_some() {
        bail!("`{}` has no event types; only event hooks have them", hook.name);
    }
    if !hook.is_for_events() && args.verify {
        bail!("Okta verifies event hooks only; `{}` is an inline hook", hook.name);
    }
    Ok(hook)
}

fn find_route<'a>(config: &'a Config, args: &Args) -> Result<(&'a str, &'a Route)> {
    if let Some(name) = &args.route {
        let names: Vec<String> = config.routes.keys().cloned().collect();
        let (name, route) = config.routes.get_key_value(name).with_context(|| unknown("route", name, &names))?;
        return Ok((name, route));
    }
    let mut bound = config.routes.iter().filter(|(_, route)| route.hook == args.hook);
    let Some((name, route)) = bound.next() else {
        bail!("no route of gateway.toml has hook = \"{}\"; add one, or name one with --route", args.hook);
    };
    let others: Vec<&str> = bound.map(|(name, _)| name.as_str()).collect();
    if !others.is_empty() {
        bail!("several routes have this hook; add --route {name} (or {})", others.join(", "));
    }
    Ok((name, route))
}

/// The route's address: at the listener of the configuration, or at `given`.
fn address(config: &Config, route: &Route, given: Option<&Url>) -> Result<Url> {
    let mut url = match given {
        Some(url) => url.clone(),
        None => {
            let mut listen = config.server.listen;
            if listen.ip().is_unspecified() {
                let loopback = match listen {
                    std::net::SocketAddr::V4(_) => std::net::IpAddr::from(std::net::Ipv4Addr::LOCALHOST),
                    std::net::SocketAddr::V6(_) => std::net::IpAddr::from(std::net::Ipv6Addr::LOCALHOST),
                };
                listen.set_ip(loopback);
            }
            let scheme = if config.server.tls.is_some() { "https" } else { "http" };
            Url::parse(&format!("{scheme}://{listen}")).context("the address in gateway.toml is no URL")?
        }
    };
    url.set_path(&route.path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_on_all_addresses_is_called_on_this_machine() {
        let mut config = Config::default();
        config.server.listen = std::net::SocketAddr::from(([0, 0, 0, 0], 8080));
        let route: Route = serde_json::from_value(serde_json::json!({
            "path": "/okta/registration", "hook": "okta.registration", "auth": "okta",
        }))
        .expect("a route");
        let url = address(&config, &route, None).expect("an address");
        assert_eq!(url.as_str(), "http://127.0.0.1:8080/okta/registration");
        let given = Url::parse("https://hooks.example.com").expect("a URL");
        let url = address(&config, &route, Some(&given)).expect("an address");
        assert_eq!(url.as_str(), "https://hooks.example.com/okta/registration");
    }

    #[test]
    fn token_and_telephony_are_never_retried() {
        for hook in hookgate_hooks::HOOKS.iter() {
            let expected = !matches!(hook.name, "okta.token" | "okta.telephony");
            assert_eq!(okta_retries(hook), expected, "{}", hook.name);
        }
    }
}
