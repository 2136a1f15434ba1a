//! The bundle that a command works on: where it is, and the release made of it.

use anyhow::{Result, bail};

use crate::cli::Global;
use crate::cli::output;
use hookgate_engine::release::Release;
use hookgate_engine::release::build;
use hookgate_engine::release::build::{Reading, Secrets};
use hookgate_engine::release::bundle::Place;
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_model::finding::Finding;
use hookgate_model::secret::SecretSource;
use hookgate_model::secret::Source;

/// The bundle of `--config`.
///
/// # Errors
/// There is no such file.
pub fn place(global: &Global) -> Result<Place> {
    let place = Place::of(&global.config);
    if !place.config.exists() {
        let file = place.config.display();
        bail!("there is no `{file}`; `hookgate init` writes a first bundle, and --config names another file");
    }
    Ok(place)
}

/// Everything of the bundle, read but not yet compiled.
///
/// # Errors
/// What cannot be read or is wrong in the configuration, already printed.
pub fn read(place: &Place) -> Result<Reading> {
    build::read(place).or_else(|findings| refuse(&findings))
}

/// The release, without secrets: no caller will be checked.
///
/// # Errors
/// The bundle has errors, already printed.
pub fn assemble(place: &Place, reading: Reading) -> Result<Release> {
    let metrics = Metrics::new();
    build::assemble(place, reading, None, Secrets::Skip, &metrics).or_else(|findings| refuse(&findings))
}

/// Where a secret is, its path resolved.
pub fn source(place: &Place, written: &SecretSource) -> Source {
    written.resolved(&place.root)
}

/// Prints findings and says that there is nothing to run.
fn refuse<T>(findings: &[Finding]) -> Result<T> {
    output::note(output::rendered(findings));
    output::note("");
    bail!("the bundle cannot run ({}); `hookgate check` tells when it is mended", output::tally(findings))
}
