//! The store of a bundle: where `gateway.toml` says it is, and opened for an operator beside a running gateway.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};

use crate::cli::Global;
use crate::cli::bundle;
use hookgate_engine::config::Config;
use hookgate_engine::release::bundle::Place;
use hookgate_store::Store;
use hookgate_store::clock::Clock;
use hookgate_store::open::{self, OpenError, Opener, StoreAddress};

/// The store in the file that was named on the command line, else the one of `gateway.toml`.
///
/// # Errors
/// The configuration cannot be read, or names no store.
pub fn named(global: &Global, file: Option<&Path>) -> Result<StoreAddress> {
    if let Some(file) = file {
        return Ok(StoreAddress::of_file(file.to_owned()));
    }
    let place = bundle::place(global)?;
    let reading =
        bundle::read(&place).context("the configuration names the store; --store FILE does it without one")?;
    address(&place, &reading.document.config)
}

/// The address in `store.url`; a relative path starts at the folder of the bundle.
///
/// # Errors
/// This version cannot open it, there is none, or it is in a variable that is not set.
pub fn address(place: &Place, config: &Config) -> Result<StoreAddress> {
    let not_set = |env| anyhow!("`store.url` is in the variable `{env}`, which is not set");
    let url = config.store.url.text().map_err(not_set)?;
    StoreAddress::parse(&url, &place.root)
        .map_err(|problem| anyhow!("`store.url` {problem}: write `sqlite:data/hookgate.db`"))
}

/// The store there, beside the gateway that may run on it.
///
/// # Errors
/// There is none yet, or it cannot be used.
pub fn attach(address: &StoreAddress) -> Result<Arc<dyn Store>> {
    open::open(address, Opener::Operator, Arc::new(Clock::start())).map_err(|error| match error {
        OpenError::Missing(file) => anyhow!(
            "there is no store at `{}` yet: the gateway has not run here (`hookgate serve` makes it)",
            file.display()
        ),
        other => other.into(),
    })
}

#[cfg(test)]
mod tests {
    use hookgate_engine::config::store::StoreUrl;

    use super::*;

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let mut config = Config::default();
        config.store.url = StoreUrl::Env { env: "HOOKGATE_NO_SUCH_VARIABLE".into() };
        let problem = address(&Place::of(Path::new("/srv/bundle/gateway.toml")), &config).expect_err("it is not set");
        assert!(problem.to_string().contains("HOOKGATE_NO_SUCH_VARIABLE"), "{problem}");
    }
}
