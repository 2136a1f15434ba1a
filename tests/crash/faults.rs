//! Stops in good order and faults that end again: nothing is lost and, as the process knows what it did, nothing is repeated.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use crate::gateway::{Bundle, Gateway};
use crate::power::Disk;
use crate::receiver::Receiver;
use crate::sender::Senders;
use crate::{Fallible, finish};

/// How long a fault lasts: for some seconds, or where somebody asks for it, for longer than a lease of jobs.
fn duration() -> Duration {
    match std::env::var_os("HOOKGATE_CRASH_LONG") {
        Some(_) => Duration::from_secs(150),
        None => Duration::from_secs(3),
    }
}

/// Stops a loaded gateway at random moments. After each stop one file alone has everything that was acknowledged.
pub fn stops(rounds: u64) -> Fallible {
    let receiver = Receiver::start();
    let bundle = Bundle::new(receiver.port());
    let senders = Senders::start(bundle.port, 8);
    for _ in 0..rounds {
        let gateway = Gateway::start(&bundle, None);
        std::thread::sleep(Duration::from_millis(fastrand::u64(20..600)));
        let acknowledged = senders.acknowledged();
        gateway.stop();
        is_whole(&bundle.store(), &acknowledged)?;
    }
    finish(&bundle, senders, &receiver, 0)
}

/// Puts another program in place of the one that runs, and tells it so, at random moments. It keeps its process and its sockets.
pub fn upgrades(rounds: u64) -> Fallible {
    let receiver = Receiver::start();
    let bundle = Bundle::new(receiver.port());
    let senders = Senders::start(bundle.port, 8);
    let program = bundle.own_program()?;
    let gateway = Gateway::start_program(&program, &bundle);
    for round in 0..rounds {
        std::thread::sleep(Duration::from_millis(fastrand::u64(20..600)));
        bundle.replace_program(&program)?;
        gateway.hand_over().map_err(|problem| format!("upgrade {round}: {problem}"))?;
    }
    gateway.stop();
    finish(&bundle, senders, &receiver, 0)
}

/// Whether a copy of the store's file without what lies beside it is sound, and has these events.
fn is_whole(store: &Path, acknowledged: &[String]) -> Fallible {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let copy = folder.path().join("alone.db");
    std::fs::copy(store, &copy).map_err(|error| error.to_string())?;
    let lost = || -> rusqlite::Result<usize> {
        let connection = rusqlite::Connection::open(&copy)?;
        let sound: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        assert_eq!(sound, "ok");
        let mut find = connection.prepare("SELECT count(*) FROM event WHERE key = ?1")?;
        let mut lost = 0;
        for id in acknowledged {
            lost += usize::from(find.query_row([id], |row| row.get::<_, i64>(0))? == 0);
        }
        Ok(lost)
    };
    match lost() {
        Ok(0) => Ok(()),
        Ok(lost) => Err(format!("after a stop {lost} acknowledged events are not in the store's file")),
        Err(error) => Err(format!("after a stop the store's file alone cannot be read: {error}")),
    }
}

/// The process stands still for a while, with actions that were sent and not answered yet: longer than a connector waits for an
/// answer, which is five seconds.
pub fn pause() -> Fallible {
    let receiver = Receiver::taking(Duration::from_millis(20));
    let bundle = Bundle::new(receiver.port());
    fault(&bundle, &receiver, |gateway| {
        gateway.signal("-STOP")?;
        std::thread::sleep(duration().max(Duration::from_secs(7)));
        gateway.signal("-CONT")
    })
}

/// Another process holds the store's lock for a while.
pub fn lock() -> Fallible {
    let receiver = Receiver::start();
    let bundle = Bundle::new(receiver.port());
    fault(&bundle, &receiver, |_| {
        let held = rusqlite::Connection::open(bundle.store()).and_then(|connection| {
            connection.execute_batch("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE")?;
            std::thread::sleep(duration());
            connection.execute_batch("ROLLBACK")
        });
        held.map_err(|error| format!("the store could not be locked: {error}"))
    })
}

/// The disk is full for a while.
pub fn full_disk() -> Fallible {
    let Some(disk) = Disk::new() else { return crate::power::skipped() };
    let receiver = Receiver::start();
    let bundle = Bundle::with_store(receiver.port(), Some(&disk.folder().join("hookgate.db")));
    fault(&bundle, &receiver, |_| {
        let filler = disk.folder().join("filler");
        let mut file = File::create(&filler).map_err(|error| error.to_string())?;
        for piece in [1 << 20, 4096, 1] {
            let zeros = vec![0_u8; piece];
            while file.write_all(&zeros).is_ok() {}
        }
        std::thread::sleep(duration());
        std::fs::remove_file(filler).map_err(|error| error.to_string())
    })
}

/// A gateway under load has a fault, and goes on.
fn fault(bundle: &Bundle, receiver: &Receiver, fault: impl FnOnce(&Gateway) -> Fallible) -> Fallible {
    let gateway = Gateway::start(bundle, None);
    let senders = Senders::start(bundle.port, 8);
    std::thread::sleep(Duration::from_millis(300));
    fault(&gateway)?;
    std::thread::sleep(Duration::from_millis(300));
    gateway.stop();
    finish(bundle, senders, receiver, 0)
}
