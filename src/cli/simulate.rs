//! `simulate`: be the provider. Makes a call as the provider of the hook would, with the route's own secret, to a running
//! gateway, and says what the provider would now do to its user. An answer that it does not take is a failed hook, and ends
//! with status 1.
//!
//! How a provider calls is the hook's to say ([`Caller`](hookgate_hooks::Caller)); nothing here knows one.

mod client;
mod deliveries;
mod made;
mod proof;
mod report;
mod tally;
#[cfg(test)]
mod tests;
mod wire;

use std::path::PathBuf;
use std::time::Instant;

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
use crate::cli::simulate::report::{Challenge, Report};
use crate::cli::simulate::wire::{Sealer, TokenKey};
use crate::cli::{Global, Status};
use hookgate_engine::config::Config;
use hookgate_engine::config::routes::Route;
use hookgate_hooks::{Hook, Verification};
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
    /// Where a call carries a signed token: the private key that signs it, a PEM file.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The id of that key, `kid`.
    #[arg(long, value_name = "ID", requires = "key")]
    key_id: Option<String>,
    /// Call again as the provider does: after a failure such as a timeout or a 5xx, if it calls this hook again at all.
    #[arg(long)]
    retry: bool,
    /// Make the same call twice: the second must get the first answer. Events are sent once more in an envelope of its own.
    #[arg(long)]
    dup: bool,
    #[command(flatten)]
    many: Many,
    /// Call as the preview in the provider's console does, where the provider marks previews of this hook.
    #[arg(long)]
    preview: bool,
    /// Send the body in two halves, half a second apart.
    #[arg(long)]
    slow: bool,
    /// Ask for the one-time verification of the address instead, where the provider makes one.
    #[arg(long, conflicts_with_all = ["file", "sample", "set", "dup", "preview", "slow", "retry", "batch", "count", "rate", "out_of_order"])]
    verify: bool,
    /// Take any certificate, for a gateway with a self-signed one.
    #[arg(long)]
    insecure: bool,
}

/// # Errors
/// There is no such route, its secret cannot be read, or nothing listens there.
pub fn run(global: &Global, args: &Args) -> Result<Status> {
    let hook = find_hook(args)?;
    let place = bundle::place(global)?;
    let config = bundle::read(&place)?.document.config;
    let (name, route) = find_route(&config, args)?;
    let url = address(&config, route, args.url.as_ref())?;
    let proof = proof::of(hook, &config, route, &place, &args.headers)
        .with_context(|| format!("route `{name}` cannot be called"))?;
    let key = args.key.as_deref().map(|file| TokenKey::read(file, args.key_id.clone())).transpose()?;
    let sealer = Sealer::new(hook, key, proof.webhook);
    let client = Client::new(url, &hook.caller, proof.headers, args.insecure)?;
    let mut report = Report { global, hook, route: name, url: client.url(), warnings: Vec::new(), retries: args.retry };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match hook.caller.verification.filter(|_| args.verify) {
            Some(verification) => verify(&client, &report, verification).await,
            None => call(&client, &mut report, args, sealer).await,
        }
    })
}

async fn verify(client: &Client, report: &Report<'_>, verification: Verification) -> Result<Status> {
    let word = uuid::Uuid::new_v4().simple().to_string();
    let request = (verification.request)(&word);
    let answer = client.verify(&request).await?;
    Ok(report.verification(&Challenge { verification, word, request }, &answer))
}

async fn call(client: &Client, report: &mut Report<'_>, args: &Args, sealer: Sealer) -> Result<Status> {
    let hook = report.hook;
    let calls = args.many.calls(hook)?;
    let maker = Maker::new(hook, args, sealer)?;
    report.warnings = maker.warnings();
    if !report.global.json {
        report.warnings.iter().for_each(|warning| output::note(format_args!("{} {warning}", paint(ODD, "warning:"))));
    }
    let manner = Manner { hook, slow: args.slow, again: args.dup, retry: args.retry };
    if calls == 1 {
        let answers = deliveries::one(client, &maker.call(0)?, manner).await?;
        return Ok(report.calls(&answers, maker.batch()));
    }
    let started = Instant::now();
    let tally = deliveries::all(client, &maker, &args.many, calls, manner).await?;
    Ok(report.many(&tally, calls, maker.batch(), started.elapsed()))
}

fn find_hook(args: &Args) -> Result<&'static Hook> {
    let names: Vec<String> = hookgate_hooks::HOOKS.iter().map(|hook| hook.name.to_owned()).collect();
    let hook = hookgate_hooks::find(&args.hook).with_context(|| unknown("hook", &args.hook, &names))?;
    if !hook.is_for_events() && args.event_type.is_some() {
        bail!("`{}` has no event types; only event hooks have them", hook.name);
    }
    if args.verify && hook.caller.verification.is_none() {
        bail!(not_verified(hook));
    }
    Ok(hook)
}

/// Why there is no verification to ask for.
fn not_verified(hook: &Hook) -> String {
    let (name, provider) = (hook.name, hook.caller.provider);
    let is_verified = |other: &&Hook| other.caller.provider == provider && other.caller.verification.is_some();
    let mut verified = hookgate_hooks::HOOKS.iter().filter(is_verified).peekable();
    if !hook.is_for_events() && verified.peek().is_some() && verified.all(|other| other.is_for_events()) {
        return format!("{provider} verifies event hooks only; `{name}` is an inline hook");
    }
    format!("{provider} does not verify the address of `{name}`")
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
