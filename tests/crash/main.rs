//! The crash driver: kills the gateway again and again while it is loaded, and then counts.
//!
//! What it holds the gateway to: every acknowledged event is kept and reaches exactly one end; every action that the rule
//! asked for is seen by the receiver at least once, under one key per event; and no more repetitions are seen than actions
//! were in work when the process died. It kills at random moments, at every failpoint, and cuts the power of a disk image. It
//! has the gateway die of one event, too, which must not go on for ever. Stops in good order, upgrades to another program, a
//! process that stands still, a locked store and a full disk must repeat nothing at all.
//! Each way of checking also has a control that must find a loss, so that a driver which finds nothing is known to look.
//!
//! `cargo test --test crash` makes a few rounds; `HOOKGATE_CRASH_ROUNDS=200 cargo test --test crash` makes as many as the
//! variable says. `HOOKGATE_CRASH_LONG=1` makes faults last longer than a lease. A word after `--` chooses those whose name has it.

#![allow(clippy::disallowed_methods, clippy::print_stdout, unreachable_pub, reason = "tests")]

mod effects;
mod faults;
mod gateway;
mod ledger;
mod poison;
mod power;
mod receiver;
mod sender;

use std::path::Path;
use std::time::Duration;

use crate::gateway::{Bundle, Gateway};
use crate::ledger::Ledger;
use crate::receiver::Receiver;
use crate::sender::Senders;

/// Everything that must survive a stop at each of these places.
const FAILPOINTS: [&str; 13] = [
    "store.sweep:1",
    "delivery.before_store:40",
    "delivery.after_store:40",
    "delivery.claimed:40",
    "delivery.after_script:40",
    "delivery.after_action:40",
    "store.before_commit:60",
    "store.after_commit:60",
    "store.claimed:20",
    "store.settle:60",
    "store.checkpoint:1",
    "delivery.before_store:1",
    "delivery.after_action:1",
];

/// Rounds of killing when nobody asks for more.
const ROUNDS: u64 = 6;

type Fallible<T = ()> = Result<T, String>;

fn main() {
    let rounds = std::env::var("HOOKGATE_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let seed = std::env::var("HOOKGATE_CRASH_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("crash driver: {rounds} rounds, HOOKGATE_CRASH_SEED={seed}");
    fastrand::seed(seed);
    let all: [(&str, &dyn Fn() -> Fallible); 13] = [
        ("an event whose rule ends the process", &poison::rule),
        ("an event whose action ends the process", &poison::action),
        ("kill -9 at random moments", &|| kills(rounds)),
        ("kill -9: order, once, counts, digests", &|| effects::through_kills(rounds)),
        ("stops in good order", &|| faults::stops(rounds)),
        ("a new binary while it is loaded", &|| faults::upgrades(rounds)),
        ("a process that stands still", &faults::pause),
        ("a locked store", &faults::lock),
        ("a full disk", &faults::full_disk),
        ("an end at every failpoint", &failpoints),
        ("control: lost events must be found", &control),
        ("power cut", &power::cut),
        ("control: unsynced writes must be lost in a power cut", &power::control),
    ];
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let mut failed = 0;
    for (name, run) in all.into_iter().filter(|(name, _)| name.contains(&wanted)) {
        let started = std::time::Instant::now();
        match run() {
            Ok(()) => println!("ok      {name} ({:.1} s)", started.elapsed().as_secs_f64()),
            Err(problem) => {
                failed += 1;
                println!("FAILED  {name}\n{problem}");
            }
        }
    }
    if failed > 0 {
        std::process::exit(1);
    }
}

/// Kills a loaded gateway at random moments, then lets the last one finish and counts.
fn kills(rounds: u64) -> Fallible {
    let receiver = Receiver::start();
    let bundle = Bundle::new(receiver.port());
    let senders = Senders::start(bundle.port, 8);
    for _ in 0..rounds {
        let gateway = Gateway::start(&bundle, None);
        std::thread::sleep(Duration::from_millis(fastrand::u64(20..600)));
        gateway.kill();
    }
    finish(&bundle, senders, &receiver, rounds)
}

/// Ends the gateway at each failpoint in turn.
fn failpoints() -> Fallible {
    let receiver = Receiver::start();
    let bundle = Bundle::new(receiver.port());
    Gateway::start(&bundle, None).kill();
    something_old(&bundle.store())?;
    let senders = Senders::start(bundle.port, 8);
    for failpoint in FAILPOINTS {
        let mut gateway = Gateway::spawn(&bundle, Some(failpoint));
        if !gateway.ended_within(Duration::from_secs(20)) {
            return Err(format!("`{failpoint}` was never reached"));
        }
        let gateway = Gateway::start(&bundle, None);
        std::thread::sleep(Duration::from_millis(100));
        gateway.kill();
    }
    finish(&bundle, senders, &receiver, 2 * FAILPOINTS.len() as u64)
}

/// An event that is older than records are kept, so that there is something to sweep. Numbers rise with time: it is the first.
fn something_old(store: &Path) -> Fallible {
    let add = || {
        let connection = rusqlite::Connection::open(store)?;
        connection.execute_batch(
            "INSERT INTO event (route, key, type, received, flags) VALUES ('events', 'old', 'a.b', 0, '');
             INSERT INTO body (event, envelope, body) VALUES (last_insert_rowid(), '', x'');",
        )
    };
    add().map_err(|error| format!("an old event cannot be made: {error}"))
}

/// What was acknowledged is taken out of the store after each death. To remove the write-ahead log would not do: where a
/// checkpoint was under way, the store is malformed without it, and no gateway starts.
fn control() -> Fallible {
    let receiver = Receiver::start();
    let bundle = Bundle::new(receiver.port());
    let senders = Senders::start(bundle.port, 8);
    for _ in 0..3 {
        let gateway = Gateway::start(&bundle, None);
        std::thread::sleep(Duration::from_millis(300));
        gateway.kill();
        lose_events(&bundle.store())?;
    }
    match finish(&bundle, senders, &receiver, 3) {
        Err(found) if found.contains("acknowledged and lost") => Ok(()),
        Err(other) => Err(format!("something else was found: {other}")),
        Ok(()) => Err("acknowledged events were destroyed, and nobody noticed".to_owned()),
    }
}

fn lose_events(store: &Path) -> Fallible {
    let lose = || {
        let connection = rusqlite::Connection::open(store)?;
        connection.execute_batch(
            "BEGIN IMMEDIATE; DELETE FROM attempt; DELETE FROM job; DELETE FROM body; DELETE FROM event; COMMIT;",
        )
    };
    lose().map_err(|error| format!("events cannot be taken out of the store: {error}"))
}

/// Lets everything come to its end, and counts.
fn finish(bundle: &Bundle, senders: Senders, receiver: &Receiver, deaths: u64) -> Fallible {
    let gateway = Gateway::start(bundle, None);
    let sent = senders.stop();
    gateway.drain()?;
    // Who kills at random may hit the same job three times, however seldom. It is a dead letter then, and not lost.
    let condemned = ledger::replay_crashed(&bundle.store())?;
    if condemned > deaths / 20 {
        return Err(format!("{condemned} jobs are dead letters because the process died {deaths} times"));
    }
    if condemned > 0 {
        // What it says of its queue may be two seconds old.
        std::thread::sleep(Duration::from_secs(3));
    }
    gateway.drain()?;
    gateway.stop();
    Ledger::read(&bundle.store()).check(&sent, receiver, Some(deaths))
}
