//! An event whose rule or action ends the process, whenever it is worked on. It must end in the dead letters after the third
//! time, and everything beside it must come to its end as if nothing had been.

use std::time::{Duration, Instant};

use hookgate_store::sqlite::Sqlite;
use hookgate_store::{Dossier, EventRef, MOST_DEATHS, Store};

use crate::Fallible;
use crate::gateway::{Bundle, Gateway};
use crate::receiver::Receiver;
use crate::sender::send_once;

const POISON: &str = "poison";

pub fn rule() -> Fallible {
    let (poison, receiver) = die_of("delivery.rule")?;
    ended(&poison, &["dead"])?;
    if receiver.seen().contains_key(POISON) {
        return Err("the action of a rule that never ended was done".to_owned());
    }
    Ok(())
}

pub fn action() -> Fallible {
    let (poison, _) = die_of("delivery.action")?;
    ended(&poison, &["done", "dead"])
}

/// Lets the gateway die of the event for as long as it does.
fn die_of(point: &str) -> Result<(Dossier, Receiver), String> {
    let receiver = Receiver::start();
    let bundle = Bundle::new(receiver.port());
    let armed = format!("{point}={POISON}");
    let mut ids: Vec<String> = (0..20).map(|number| format!("innocent {number}")).collect();
    ids.insert(10, POISON.to_owned());
    let mut deaths = 0;
    let mut gateway = Gateway::start(&bundle, Some(&armed));
    send_once(bundle.port, &ids)?;
    // What it says of its queue may be two seconds old.
    let sent = Instant::now();
    let is_idle = |gateway: &Gateway| sent.elapsed() > Duration::from_secs(4) && gateway.is_idle();
    while gateway.ended_or(is_idle, Duration::from_secs(60))? {
        deaths += 1;
        if deaths > MOST_DEATHS {
            return Err(format!("it died {deaths} times"));
        }
        gateway = Gateway::spawn(&bundle, Some(&armed));
    }
    if deaths != MOST_DEATHS {
        return Err(format!("it died {deaths} times only: nothing was tested"));
    }
    gateway.stop();
    let missing: Vec<&String> =
        ids.iter().filter(|id| *id != POISON && !receiver.seen().contains_key(id.as_str())).collect();
    if !missing.is_empty() {
        return Err(format!("actions of {missing:?} never reached the receiver"));
    }
    Ok((shown(&bundle)?, receiver))
}

fn shown(bundle: &Bundle) -> Result<Dossier, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let store = Sqlite::attach(&bundle.store()).expect("the store can be opened");
    let shown = runtime.block_on(store.show(EventRef::Key(POISON.to_owned()))).map_err(|error| error.to_string())?;
    shown.ok_or_else(|| "the poisoned event is gone".to_owned())
}

/// Its jobs are in these states, and the dead one says why.
fn ended(poison: &Dossier, states: &[&str]) -> Fallible {
    let found: Vec<&str> = poison.jobs.iter().map(|job| job.state.name()).collect();
    let last = poison.jobs.last().and_then(|job| job.tries.last());
    let why = last.map(|attempt| (attempt.result.as_str(), attempt.detail.contains("died 3 times")));
    if found != states || why != Some(("crashed", true)) {
        return Err(format!("its jobs are {found:?}, the last try {last:?}"));
    }
    Ok(())
}

impl Gateway {
    /// Waits until it ended (`true`) or something holds.
    fn ended_or(&mut self, holds: impl Fn(&Self) -> bool, time: Duration) -> Result<bool, String> {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            if self.has_ended() {
                return Ok(true);
            }
            if holds(self) {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("neither an end nor rest:\n{}", self.printed()))
    }
}
