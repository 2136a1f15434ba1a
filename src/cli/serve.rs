//! `serve`: run the gateway. The one place that puts its parts together: release, gateway, listeners, watch, stop.

mod files;
mod first;
mod handover;
mod listen;
mod private;
mod public;
mod sockets;
#[cfg(feature = "otel")]
mod traces;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{error, info, warn};

use crate::admin::Admin;
use crate::admin::desk::{Desk, Parts};
use crate::admin::health::Samples;
use crate::admin::live::DecisionFeed;
use crate::cli::bundle;
use crate::cli::output;
use crate::cli::serve::first::Starting;
use crate::cli::serve::listen::Listeners;
use crate::cli::serve::private::Private;
use crate::cli::serve::public::Public;
use crate::cli::serve::sockets::{Inherited, Spare};
#[cfg(feature = "otel")]
use crate::cli::serve::traces::Traces;
use crate::cli::{Global, Status};
use crate::server;
use crate::server::{Budget, Calls};
use hookgate_engine::config::server::Server;
use hookgate_engine::delivery::Delivery;
use hookgate_engine::delivery::{reconcile, upkeep, work};
use hookgate_engine::gateway::Gateway;
use hookgate_engine::history::History;
use hookgate_engine::records;
use hookgate_engine::records::Recorder;
use hookgate_engine::release::attempts::Attempts;
use hookgate_engine::release::build::Reading;
use hookgate_engine::release::bundle::Place;
use hookgate_engine::release::live::Live;
use hookgate_engine::release::live::told;
use hookgate_engine::release::watch;
use hookgate_engine::telemetry;
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_engine::trial::Bench;
use hookgate_model::environment;
use hookgate_model::finding::Finding;
use hookgate_model::suspects::Suspects;
use hookgate_script::allocator;
use hookgate_script::lanes::Lanes;
use hookgate_script::stack;
use hookgate_store::claimant::Claimant;
use hookgate_store::clock::Clock;
use hookgate_store::open::{self, Opener};

#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// How log lines look; `--json` is the same as `json`. `HOOKGATE_LOG` filters them, such as `info,hookgate::gateway=debug`.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Log::Human)]
    log: Log,
    /// Do not start with a broken bundle. Without it the release that was in force last is served out of the store.
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Log {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// How long requests at the admin listener may take to finish after the stop.
const ADMIN_GRACE: Duration = Duration::from_secs(1);

/// Serves until SIGTERM or SIGINT; at SIGUSR2 it becomes the program on disk, and serves on.
///
/// # Errors
/// The bundle has errors (already printed), or the system refuses an address, a thread or a file.
pub fn run(global: &Global, args: &Args) -> Result<Status> {
    let started = Instant::now();
    // Before there is another thread.
    let inherited = Inherited::take()?;
    let place = match bundle::place(global) {
        // A configuration that was removed is a broken bundle, if a gateway ran here.
        Err(_) if !args.strict && first::kept_store(&Place::of(&global.config)).is_some() => Place::of(&global.config),
        place => place?,
    };
    let log = if global.json { Log::Json } else { args.log };
    let format = match log {
        Log::Human => telemetry::Format::Human,
        Log::Json => telemetry::Format::Json,
    };
    let filter = environment::variable("HOOKGATE_LOG").unwrap_or_else(|| "info".to_owned());
    let lines = telemetry::init(format, &filter).context("HOOKGATE_LOG")?;
    // Fetching token keys needs one; an error means that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    outlive_handover_signal().context("SIGUSR2 cannot be handled")?;
    let read = first::read(&place);
    let server = read.as_ref().map_or_else(|_| Server::default(), |reading| reading.document.config.server.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(server.threads()?)
        .thread_stack_size(stack::WORKER_BYTES)
        .enable_all()
        .build()
        .context("the threads that answer calls cannot be started")?;
    give_memory_back().context("the thread that gives memory back cannot be started")?;
    let result = runtime.block_on(serve(&place, read, inherited, (log, args.strict), started));
    // A script that still spins must not hold up the end.
    runtime.shutdown_background();
    let handed_over = result?;
    drop(lines);
    match handed_over {
        Some(sockets) => Err(handover::become_next(&sockets)),
        None => Ok(Status::Good),
    }
}

/// From here on SIGUSR2 does not end the process, as it would one that does not know it. Until somebody waits for it, a signal
/// that comes is lost.
fn outlive_handover_signal() -> std::io::Result<()> {
    // The system's handler stays when this runtime ends.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    signal(SignalKind::user_defined2()).map(drop)
}

/// Gives the sockets for the next program, if there is to be one.
async fn serve(
    place: &Place,
    read: Result<Reading, Vec<Finding>>,
    inherited: Inherited,
    (log, strict): (Log, bool),
    started: Instant,
) -> Result<Option<[TcpListener; 2]>> {
    let asked = signal(SignalKind::user_defined2()).context("SIGUSR2 cannot be handled")?;
    let metrics = Metrics::new();
    let address = match (first::store_address(place, &read)?, &read) {
        (Some(address), _) => address,
        (None, Err(findings)) => return refuse(log, findings),
        (None, Ok(_)) => bail!("`store.url` names no store"),
    };
    let store = open::open(&address, Opener::Gateway(Claimant::only()), Arc::new(Clock::start()))
        .with_context(|| format!("the store `{address}` cannot be opened"))?;
    let folder = address.file().parent().unwrap_or(Path::new("."));
    // The store is open, so its folder is there and no other gateway uses it.
    let attempts = Attempts::open(folder);
    let live = Arc::new(Live::new(metrics.clone()).remembering(attempts));
    let history = History::start(store.clone(), live.clone(), place.clone());
    let starting = Starting { place, history: &history, live: &live, metrics: &metrics, store: &address, log, strict };
    let first = starting.first(read).await?;
    let (config, routes) = (first.config.clone(), first.routes());
    let listeners = Listeners::bind(place, &config, &metrics, inherited)?;
    first.go_live(&live);
    let (stop, stopping) = channel(false);
    let suspects = Arc::new(Suspects::open(folder));
    let Listeners { public, settings: public_settings, admin, admin_settings, access, spare } = listeners;
    let hand_over = tokio::spawn(hand_over_on_signal(asked, stop.clone(), spare.clone(), place.config.clone()));
    let signals = stop_on_signal(stop, live.clone(), suspects.clone(), spare.clone())?;
    let lanes = Lanes::start().context("the threads for slow scripts cannot be started")?.watched_by(suspects.watch());
    let keep = Duration::from_hours(24 * u64::from(config.store.keep_days));
    let grace = Duration::from_millis(config.server.stop_grace_ms);
    let settings =
        records::Settings { per_second: config.store.decisions_per_second, hash_subjects: config.store.hash_subjects };
    let records = Recorder::start(store.clone(), metrics.clone(), settings)
        .context("the thread for records of decisions cannot be started")?;
    #[cfg(feature = "otel")]
    let traces = Traces::start(place, &config, &records, &metrics)?;
    #[cfg(not(feature = "otel"))]
    if config.telemetry.endpoint().is_some() {
        warn!("this program was built without the feature `otel`: no traces are sent");
    }
    let delivery = Delivery::new(store.clone(), live.clone(), lanes.clone(), metrics.clone(), records.clone());
    delivery.look().await;
    let upkeep = tokio::spawn(upkeep::run(delivery.clone(), keep, config.store.keep_decisions));
    let reconcile = tokio::spawn(reconcile::run(delivery.clone()));
    let (work_stop, work_stopping) = channel(false);
    let work = tokio::spawn(work::run(delivery.clone(), work_stopping, grace));
    let gateway = Gateway::new(live.clone(), lanes.clone(), delivery.clone(), metrics.clone());
    let desk = Desk::new(Parts {
        live: live.clone(),
        delivery: delivery.clone(),
        history: history.clone(),
        feed: DecisionFeed::new(records.clone()),
        health: Samples::start(metrics.clone(), delivery.clone()),
        bench: Bench::new(lanes.clone(), delivery.lookups().clone()),
        records: records.clone(),
        metrics,
        place: place.clone(),
        stopping: stopping.clone(),
        started,
    });
    let _watch = watch::start(place.clone(), live.clone()).context("files cannot be watched")?;
    let (admin_stop, admin_stopping) = channel(false);
    let mut admin_stopping = admin_stopping;
    let admin_spare = spare.clone();
    let admin_stopped = async move {
        stopped(&mut admin_stopping).await;
        admin_spare.at_stop(admin.inherited)
    };
    let desk = Arc::new(Private(Admin::new(Arc::new(desk), access)));
    let admin_task = tokio::spawn(server::serve(admin.socket, admin_settings, desk, admin_stopped));
    info!(
        server.listen = %config.server.listen,
        server.tls = public_settings.tls.is_some(),
        admin.listen = %config.admin.listen,
        routes,
        startup_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "ready"
    );
    let mut ending = stopping.clone();
    // Jobs stop when calls do; what calls in flight still bring is kept for the next start.
    let stop_work = async move {
        stopped(&mut ending).await;
        let _ = work_stop.send(true);
        work.await
    };
    let mut stopping = stopping;
    let max_body_bytes = usize::try_from(config.server.max_body_bytes).unwrap_or(usize::MAX);
    let calls = Calls::new(Public(gateway), max_body_bytes, Budget::new(config.server.body_budget_bytes));
    let at_stop = async {
        stopped(&mut stopping).await;
        spare.at_stop(public.inherited)
    };
    let calls = server::serve(public.socket, public_settings, Arc::new(calls), at_stop);
    if let ((), Err(error)) = tokio::join!(calls, stop_work) {
        warn!(%error, "the work on jobs ended with a panic");
    }
    // What was decided up to now is still remembered.
    if timeout(ADMIN_GRACE, records.flush()).await.is_err() {
        warn!("the last records of decisions were not kept");
    }
    #[cfg(feature = "otel")]
    if let Some(traces) = traces {
        traces.end().await;
    }
    upkeep.abort();
    reconcile.abort();
    // Health can be asked until the last call is answered.
    let _ = admin_stop.send(true);
    end_admin(admin_task).await;
    history.stop().await;
    if let Err(error) = store.close().await {
        warn!(%error, store.file = %address, "the store's log is not folded into its file: copy both, not the file alone");
    }
    hand_over.abort();
    signals.abort();
    live.attempts().stop();
    suspects.stop();
    info!("stopped");
    Ok(spare.handed_over())
}

/// Gives memory of a burst back to the system a second or two after it was freed.
fn give_memory_back() -> std::io::Result<()> {
    let work = || {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            allocator::give_back();
        }
    };
    std::thread::Builder::new().name("memory".to_owned()).stack_size(128 * 1024).spawn(work).map(drop)
}

/// Lets the last requests at the admin listener finish.
async fn end_admin(task: JoinHandle<()>) {
    if let Err(error) = task.await {
        warn!(%error, "the admin listener ended with a panic");
    }
}

/// Tells why there is nothing to run: rendered for people, as log lines for programs.
fn refuse<T>(log: Log, findings: &[Finding]) -> Result<T> {
    match log {
        Log::Human => {
            let told: Vec<Finding> = findings.iter().map(Finding::for_logs).collect();
            output::note(format_args!("{}\n", output::rendered(&told)));
        }
        Log::Json => told::log_refused(findings),
    }
    bail!("the bundle cannot go live ({}), so the gateway does not start", output::tally(findings))
}

/// Sends `true` at SIGUSR2, if the program on disk can take over.
async fn hand_over_on_signal(mut asked: Signal, stop: Sender<bool>, spare: Arc<Spare>, config: PathBuf) {
    while asked.recv().await.is_some() {
        info!("asked to hand over: the program on disk is tried");
        let config = config.clone();
        let rehearsed = tokio::task::spawn_blocking(move || handover::rehearse(&config)).await;
        match rehearsed.context("the rehearsal ended with a panic").flatten() {
            // Somebody wants it to end.
            Ok(()) if *stop.borrow() => return,
            Ok(()) => {
                info!("handing over: no new calls, those in flight finish");
                spare.keep();
                let _ = stop.send(true);
                return;
            }
            Err(problem) => error!(error = format!("{problem:#}"), "not handed over, this process goes on"),
        }
    }
}

/// Sends `true` at the first SIGTERM or SIGINT; the second ends the process at once.
fn stop_on_signal(
    stop: Sender<bool>,
    live: Arc<Live>,
    suspects: Arc<Suspects>,
    spare: Arc<Spare>,
) -> Result<JoinHandle<()>> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
    Ok(tokio::spawn(async move {
        for again in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if again {
                warn!("stopped at once, calls in flight are cut off");
                live.attempts().stop();
                suspects.stop();
                std::process::exit(1);
            }
            info!("stopping: no new calls, those in flight finish");
            spare.forget();
            let _ = stop.send(true);
        }
    }))
}

/// Resolves when `true` was sent.
async fn stopped(stopping: &mut Receiver<bool>) {
    // An error means that the sender is gone, which is the end as well.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}
