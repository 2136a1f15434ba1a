//! What a start puts in force: what is on disk; if that is broken, the release that was in force last, out of the store.
//!
//! Then all of it is that release's, its `[server]` and `[admin]` included: what is on disk is not trusted in parts. Only where the
//! store is has to be known before.

use std::sync::Arc;

use anyhow::{Context, Result};
use tracing::{error, info};

use crate::cli::serve::{Log, refuse};
use crate::cli::store;
use hookgate_engine::config::Config;
use hookgate_engine::history::{Beginning, Failure, History};
use hookgate_engine::release::Release;
use hookgate_engine::release::build;
use hookgate_engine::release::build::{Reading, Secrets};
use hookgate_engine::release::bundle::{Content, Place};
use hookgate_engine::release::gate::{Pace, Tested};
use hookgate_engine::release::live::Live;
use hookgate_engine::release::manifest;
use hookgate_engine::release::settle::{Conditions, Settle, Unsettled};
use hookgate_engine::release::witness::Pinned;
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_model::failpoint;
use hookgate_model::finding::Finding;
use hookgate_store::open::StoreAddress;

/// Why a start failed that was to honour a pin, and the two ways out.
const PINNED: &str = "an operator went back to an earlier release, which cannot be put in force again; \
    change a file of the bundle, or end the pin with `hookgate release unpin`, to start with what is on disk";

/// The release to begin with, tested, and the configuration that holds for what only a start reads.
pub(super) struct First {
    release: Release,
    pub(super) config: Config,
    tests: Option<Tested>,
    pinned: Option<Pinned>,
    /// What is on disk, where that is not what goes live.
    refused: Option<BrokenBundle>,
}

/// What is on disk, and what is wrong with it. Nothing of it is known where it cannot be read.
struct BrokenBundle {
    on_disk: Option<(String, Content)>,
    findings: Vec<Finding>,
}

/// What choosing the first release needs.
pub(super) struct Starting<'a> {
    pub(super) place: &'a Place,
    pub(super) history: &'a History,
    pub(super) live: &'a Live,
    pub(super) metrics: &'a Arc<Metrics>,
    /// The file of the store.
    pub(super) store: &'a StoreAddress,
    pub(super) log: Log,
    pub(super) strict: bool,
}

/// What is on disk, when nobody is changing it. Blocks for a minute at most.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn read(place: &Place) -> Result<Reading, Vec<Finding>> {
    let settle = Settle::default();
    let wanted =
        Conditions { pause: None, wary: true, proof: &|reading| manifest::check(place, reading, None), tell: &|_| {} };
    loop {
        match settle.read(place, &wanted) {
            Ok(whole) => return Ok(whole.reading),
            Err(Unsettled::Broken(findings)) => return Err(findings),
            Err(Unsettled::Locked(file)) => info!(lock = %file.display(), "waiting: files are being checked out"),
        }
    }
}

/// Where the store is: where the configuration says, even if it is broken elsewhere. Nothing where a broken one does not say,
/// or there is no store yet.
///
/// # Errors
/// The configuration is good, and names no store.
pub(super) fn store_address(place: &Place, read: &Result<Reading, Vec<Finding>>) -> Result<Option<StoreAddress>> {
    match read {
        Ok(reading) => store::address(place, &reading.document.config).map(Some),
        Err(_) => Ok(kept_store(place)),
    }
}

/// The address of a store that is there, of a bundle that cannot be read.
pub(super) fn kept_store(place: &Place) -> Option<StoreAddress> {
    let config = Config { store: build::store_of(place)?, ..Config::default() };
    store::address(place, &config).ok().filter(StoreAddress::is_there)
}

impl Starting<'_> {
    /// What is on disk, or what was in force last.
    ///
    /// # Errors
    /// Both are broken, or what is on disk and nothing else is wanted; all of it is told.
    pub(super) async fn first(&self, read: Result<Reading, Vec<Finding>>) -> Result<First> {
        let (on_disk, built) = match read {
            Err(findings) => (None, Err(findings)),
            Ok(reading) => (Some((reading.hash.clone(), reading.content())), self.of_files(reading).await?),
        };
        match built {
            Ok(first) => Ok(first),
            Err(findings) if self.strict => refuse(self.log, &findings),
            Err(findings) => self.last_good(BrokenBundle { on_disk, findings }).await,
        }
    }

    /// What is on disk, or the release that an operator went back to.
    ///
    /// # Errors
    /// That release cannot be put in force; within, what is wrong with the files.
    async fn of_files(&self, on_disk: Reading) -> Result<Result<First, Vec<Finding>>> {
        // Addresses and the store are those of the files, whichever release is in force: only a start reads them.
        let config = on_disk.document.config.clone();
        let Beginning { reading, pinned } = match self.history.begin(on_disk).await {
            Err(Failure::Refused { findings, .. }) => return refuse(self.log, &findings).context(PINNED),
            begun => begun.context(PINNED)?,
        };
        let tests = if pinned.is_some() { Tests::Leave } else { Tests::Run };
        match self.build(reading, tests) {
            Err(findings) if pinned.is_some() => refuse(self.log, &findings).context(PINNED),
            built => Ok(built.map(|(release, tests)| First { release, config, tests, pinned, refused: None })),
        }
    }

    /// The release that was in force last. Its tests passed then, and are not run again.
    ///
    /// # Errors
    /// There is none, or it cannot be put in force.
    async fn last_good(&self, refused: BrokenBundle) -> Result<First> {
        let kept = match self.history.last().await {
            Ok(None) => return refuse(self.log, &refused.findings),
            Ok(Some(beginning)) => Ok(beginning),
            Err(failure) => Err(failure),
        };
        let built = kept.map_err(|failure| (failure.to_string(), failure.findings()));
        let built = built.and_then(|Beginning { reading, pinned }| {
            let config = reading.document.config.clone();
            self.check_store(&config)?;
            let built = self.build(reading, Tests::Leave);
            let built = built.map_err(|findings| ("it cannot be built any more".to_owned(), findings));
            built.map(|(release, tests)| First { release, config, tests, pinned, refused: None })
        });
        match built {
            Ok(first) => Ok(First { refused: Some(refused), ..first }),
            Err((why, more)) => {
                let all = [refused.findings, more].concat();
                refuse(self.log, &all)
                    .context(format!("the release that was in force last cannot be served either: {why}"))
            }
        }
    }

    /// Whether a release says that the store is where it was found: a store of something else has nothing to say.
    fn check_store(&self, config: &Config) -> Result<(), (String, Vec<Finding>)> {
        match store::address(self.place, config) {
            Ok(address) if address.is_same_as(self.store) => Ok(()),
            _ => Err((format!("it kept its events elsewhere than in `{}`", self.store), Vec::new())),
        }
    }

    fn build(&self, reading: Reading, tests: Tests) -> Result<(Release, Option<Tested>), Vec<Finding>> {
        let _building = self.live.attempts().begin(&reading.hash)?;
        failpoint::reach("release.building");
        let mut release = build::assemble(self.place, reading, None, Secrets::Load, self.metrics)?;
        let tested = match tests {
            Tests::Run => Some(self.live.examine(&mut release, Pace::Start)?),
            Tests::Leave => None,
        };
        Ok((release, tested))
    }
}

/// Whether the tests of a release are run.
#[derive(Clone, Copy)]
enum Tests {
    Run,
    /// It was in force before.
    Leave,
}

impl First {
    /// How many routes it has.
    pub(super) fn routes(&self) -> usize {
        self.release.routes.len()
    }

    /// Puts it in force.
    pub(super) fn go_live(self, live: &Live) {
        let Self { mut release, config, tests, pinned, refused } = self;
        release.started_with = config;
        tell_secrets(&release);
        let Some(BrokenBundle { on_disk, findings }) = refused else { return live.start(release, tests, pinned) };
        let label = release.label().to_owned();
        live.stand_in(release, pinned, (on_disk, findings));
        error!(
            release = label,
            "what is on disk is broken: the release that was in force last is served until that is mended, with all of its \
             settings; with --strict the gateway would not have started"
        );
    }
}

/// A secret made just now is of no use until somebody knows of it.
fn tell_secrets(release: &Release) {
    let created = release.created_secrets();
    let Some(hook) = release.routes.first().map(|route| route.hook.name) else { return };
    for file in created {
        info!(
            secret.file = %file.display(),
            next = format!("hookgate simulate {hook}"),
            "a secret was made; enter it at the provider, or try it out"
        );
    }
}
