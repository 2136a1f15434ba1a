//! The soak: a gateway that is reloaded again and again while it is loaded, and must stay as it is.
//!
//! Good, broken, mixed, hostile and alternating bundles are saved, under callers, slow lookups, deliveries of events whose actions
//! are slow, watchers of the live stream, and with a store whose disk is full twice. What it holds the gateway to: every answer and
//! every action is of one version, and every answer of one that was in force; every acknowledged event is acted on once; memory,
//! open files, threads and the store stay level; it never dies.
//!
//! `cargo test --test soak` makes a few reloads; `HOOKGATE_SOAK_RELOADS=10000 cargo test --test soak` makes as many as the
//! variable says. `HOOKGATE_SOAK_SEED` repeats the order of one run.

#![allow(clippy::disallowed_methods, clippy::print_stdout, unreachable_pub, reason = "tests")]

mod bundle;
mod events;
mod gateway;
mod gauge;
mod load;

use std::time::{Duration, Instant};

use crate::bundle::{BROKEN, Bundle, HOSTILE};
use crate::events::{Deliveries, SlowSystem};
use crate::gateway::Gateway;
use crate::gauge::{Gauge, Reading};
use crate::load::Load;

/// Reloads when nobody asks for more.
const RELOADS: u64 = 20;
/// At most so many reloads in a row find the disk full.
const FULL_FOR: u64 = 25;
/// How often everything is measured.
const MEASURED: u64 = 20;

type Fallible<T = ()> = Result<T, String>;

fn main() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let reloads = number("HOOKGATE_SOAK_RELOADS").unwrap_or(RELOADS);
    let seed = number("HOOKGATE_SOAK_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("soak: {reloads} reloads, HOOKGATE_SOAK_SEED={seed}");
    fastrand::seed(seed);
    if let Err(problem) = soak(reloads) {
        println!("FAILED  {problem}");
        std::process::exit(1);
    }
}

/// What is saved next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Good,
    Broken,
    Mixed,
    Hostile,
    Alternating,
}

impl Kind {
    fn of(number: u64) -> Self {
        [Self::Good, Self::Broken, Self::Mixed, Self::Hostile, Self::Alternating][(number % 5) as usize]
    }
}

fn soak(reloads: u64) -> Fallible {
    let disk = load::SmallDisk::new()?;
    let (slow, system) = SlowSystem::start();
    let bundle = Bundle::new(disk.as_ref().map(load::SmallDisk::store), slow)?;
    let gateway = Gateway::start(&bundle)?;
    let load = Load::start(&bundle);
    let deliveries = Deliveries::start(bundle.port);
    let mut readings: Vec<Reading> = Vec::new();
    let started = Instant::now();
    let mut version = 1;
    for number in 0..reloads {
        if let Some(disk) = &disk {
            disk.fill(is_full(number, reloads))?;
        }
        version = save(&bundle, &gateway, &load, Kind::of(number), version)
            .map_err(|problem| format!("reload {number}: {problem}\n{}", gateway.printed()))?;
        load.check()?;
        if number % (reloads / MEASURED).max(1) == 0 {
            let reading = Gauge::read(gateway.id(), &bundle.store());
            println!("        {number} reloads in {:.0} s: {reading:?}", started.elapsed().as_secs_f64());
            readings.push(reading);
        }
    }
    if let Some(disk) = &disk {
        disk.fill(false)?;
    }
    let took = started.elapsed();
    let (counted, delivered) = (load.stop()?, deliveries.stop()?);
    let (events, refused) = (delivered.count(), delivered.refused);
    println!("        {counted}, {events} events, {refused} deliveries refused, in {:.1} s", took.as_secs_f64());
    gateway.is_well()?;
    delivered.check(&system)?;
    if disk.is_some() && reloads >= 1_000 && refused == 0 {
        return Err("the disk was full twice, and no delivery was refused".to_owned());
    }
    // What waited for the disk is kept, and what was freed is given back.
    std::thread::sleep(Duration::from_secs(3));
    readings.push(Gauge::read(gateway.id(), &bundle.store()));
    let level = gauge::level(&readings, reloads, events);
    gateway.stop()?;
    level?;
    println!("ok      every answer was of a version in force, and everything is level");
    Ok(())
}

/// Whether the disk is full during a reload: twice, for a twentieth of the reloads, and not for many: an order to reload waits
/// some seconds then for what it is to note.
fn is_full(number: u64, reloads: u64) -> bool {
    [6, 13].iter().any(|twentieth| {
        let first = (reloads * twentieth).div_ceil(20);
        let most = (reloads / 20).clamp(1, FULL_FOR);
        (first..first + most).contains(&number)
    })
}

/// Saves something, orders a reload and looks what came of it; the version in force then.
fn save(bundle: &Bundle, gateway: &Gateway, load: &Load, kind: Kind, version: u64) -> Fallible<u64> {
    let next = version + 1;
    match kind {
        Kind::Good => {
            load.expect(next);
            bundle.check_out(next, Duration::ZERO);
            gateway.takes()?;
        }
        Kind::Mixed => {
            // A checkout that takes its time, longer than files must be quiet.
            load.expect(next);
            bundle.check_out(next, Duration::from_millis(60));
            gateway.takes()?;
        }
        Kind::Alternating => {
            // To and fro: each of them is whole.
            load.expect(next);
            [next, version, next].iter().for_each(|version| bundle.check_out(*version, Duration::ZERO));
            gateway.takes()?;
        }
        Kind::Broken | Kind::Hostile => {
            let (name, damage) = if kind == Kind::Broken { pick(BROKEN) } else { pick(HOSTILE) };
            damage(bundle, next);
            gateway.refuses().map_err(|problem| format!("{name}: {problem}"))?;
            load.confirm(version);
            bundle.mend(version);
            gateway.takes().map_err(|problem| format!("after {name}: {problem}"))?;
            return Ok(version);
        }
    }
    load.confirm(next);
    Ok(next)
}

fn pick<T: Copy>(all: &[T]) -> T {
    all[fastrand::usize(..all.len())]
}
