//! Secrets of the sections that only a start reads. A reload does not need them, but a bundle without them would not start.

use crate::config::Document;
use crate::release::Release;
use crate::release::access::made_at_start;
use crate::release::build::Secrets;
use crate::release::fence::World;
use hookgate_model::environment;
use hookgate_model::finding::Finding;
use hookgate_model::secret::{Secret, SecretSource};

/// A shorter token of the admin listener can be guessed.
const SHORTEST_TOKEN: usize = 16;

/// What is wrong with the secrets of `[admin]` and `[telemetry]`. Sections that are as before are not looked at: the process has
/// what it read.
pub(super) fn wrong(world: &World<'_>, document: &Document, before: Option<&Release>) -> Vec<Finding> {
    if world.secrets == Secrets::Skip {
        return Vec::new();
    }
    let config = &document.config;
    let known = before.map(|before| &before.config);
    let mut findings = Vec::new();
    if known.is_none_or(|known| known.admin != config.admin) {
        let operator = read(world, document, "admin.token", config.admin.token.as_ref(), &mut findings);
        let reader = read(world, document, "admin.read_token", config.admin.read_token.as_ref(), &mut findings);
        for (key, token) in [("admin.token", &operator), ("admin.read_token", &reader)] {
            let length = token.as_ref().map_or(SHORTEST_TOKEN, |token| token.expose().len());
            if length < SHORTEST_TOKEN {
                let text = format!("the token has {length} bytes: whoever reaches the listener can guess it");
                let help = format!("use {SHORTEST_TOKEN} or more at random: `openssl rand -hex 32` makes one");
                findings.push(document.warning("config/short-token", key, text).help(help));
            }
        }
        if operator.zip(reader).is_some_and(|(operator, reader)| operator.matches(reader.expose())) {
            let text = "`admin.token` and `admin.read_token` are the same: readers would be operators";
            findings.push(document.finding("config/secret", "admin.read_token", text));
        }
    }
    if known.is_none_or(|known| known.telemetry != config.telemetry) && config.telemetry.endpoint().is_some() {
        for (name, source) in &config.telemetry.headers {
            read(world, document, &format!("telemetry.headers.{name}"), Some(source), &mut findings);
        }
    }
    findings
}

/// A secret that is there. What the start would make is no mistake.
fn read(
    world: &World<'_>,
    document: &Document,
    key: &str,
    written: Option<&SecretSource>,
    findings: &mut Vec<Finding>,
) -> Option<Secret> {
    let written = written.filter(|written| !made_at_start(world.place, written))?;
    match written.resolved(&world.place.root).read_existing(environment::variable) {
        Ok(secret) => Some(secret),
        Err(error) => {
            findings.push(document.finding("config/secret", key, error.to_string()));
            None
        }
    }
}
