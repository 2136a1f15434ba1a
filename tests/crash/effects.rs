//! What holds of effects through every death: the actions of one user arrive in their order, what is asked for once is done once,
//! what a rule counts is counted once, however often it runs, and digests have every event once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::Fallible;
use crate::gateway::{Bundle, Gateway};
use crate::ledger;
use crate::receiver::{Receiver, Taken};
use crate::sender::send_in_turn;

const SCRIPT: &str = r#"fn on_event(event) {
    let user = event.actor.id;
    [
        post("sink", "/take", #{ id: event.id, user: user, runs: kv.incr("runs/" + event.id, "1h") }),
        post("sink", "/take", #{ id: "once/" + user }).once(user, "1h"),
        post("sink", "/take", #{ id: "digest/" + user }).digest(user, "1s"),
    ]
}
"#;

const USERS: usize = 4;

/// Kills the gateway at random moments, while events of some users come one after the other.
pub fn through_kills(rounds: u64) -> Fallible {
    let receiver = Receiver::start();
    let bundle = Bundle::with_rule(receiver.port(), None, "order_by = \"actor.id\"\nhold_ms = 20", SCRIPT);
    let stop = AtomicBool::new(false);
    let users: Vec<String> = (0..USERS).map(|number| format!("user-{number}")).collect();
    let sent = std::thread::scope(|scope| {
        let (port, stop) = (bundle.port, &stop);
        // Also when something fails below: the scope ends with its threads.
        let _ending = Raise(stop);
        let senders: Vec<_> = users.iter().map(|user| scope.spawn(move || send_in_turn(port, user, stop))).collect();
        for _ in 0..rounds {
            let gateway = Gateway::start(&bundle, None);
            std::thread::sleep(Duration::from_millis(fastrand::u64(100..600)));
            gateway.kill();
        }
        // It must be there for what the senders are about.
        let gateway = Gateway::start(&bundle, None);
        stop.store(true, Ordering::Relaxed);
        let sent: Vec<u32> =
            senders.into_iter().map(|sender| sender.join().expect("a sender does not panic")).collect();
        gateway.drain().map(|()| (gateway, sent))
    });
    let (gateway, sent) = sent?;
    gateway.stop();
    let condemned = ledger::replay_crashed(&bundle.store())?;
    if condemned > 0 {
        return Err(format!("{condemned} jobs are dead letters because the process was killed"));
    }
    let taken = receiver.taken();
    println!("        {} events of {USERS} users, {} requests", sent.iter().sum::<u32>(), taken.len());
    for (user, sent) in users.iter().zip(sent) {
        let kept = in_order(user, sent, &taken)?;
        in_digests(user, kept, &taken)?;
    }
    once(&users, &taken)
}

/// Says stop when it is dropped.
struct Raise<'a>(&'a AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Each number of the user came, none after a later one, and none was counted twice. How many there are: one more than were
/// acknowledged, if the last answer was lost.
fn in_order(user: &str, sent: u32, taken: &[Taken]) -> Fallible<u32> {
    if sent == 0 {
        return Err(format!("no event of {user} was acknowledged: nothing was tested"));
    }
    let mut next = 0;
    for body in taken.iter().map(|request| &request.body).filter(|body| body["user"] == user) {
        let number: u32 = body["id"].as_str().and_then(|id| id.rsplit('/').next()?.parse().ok()).unwrap_or(u32::MAX);
        // The last one may come once more: it was in work when the process died.
        if number != next && number + 1 != next {
            return Err(format!("{user}: the action of event {number} came where that of {next} was due"));
        }
        next = number + 1;
        if body["runs"] != 1 {
            return Err(format!("the rule counted {} runs of {user}'s event {number}", body["runs"]));
        }
    }
    if next < sent { Err(format!("{user}: {sent} events were acknowledged, {next} actions came")) } else { Ok(next) }
}

/// The digests of the user count each of the `kept` events once. A digest that comes again under its key is the same one.
fn in_digests(user: &str, kept: u32, taken: &[Taken]) -> Fallible {
    let id = format!("digest/{user}");
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for Taken { key, body } in taken {
        // A digest of one is sent as the action that it is.
        let count = if body["id"] == id { 1 } else { body["count"].as_u64().unwrap_or(0) };
        if count == 0 || (count > 1 && body["items"][0]["id"] != id) {
            continue;
        }
        let first = *counts.entry(key).or_insert(count);
        if first != count {
            return Err(format!("{user}: a digest came with {first} events, and again under its key with {count}"));
        }
    }
    let counted: u64 = counts.values().sum();
    if counted == u64::from(kept) {
        return Ok(());
    }
    Err(format!("{user}: {kept} events are kept, and {} digests count {counted}", counts.len()))
}

/// One action for each user, under one key, whether it came again or not.
fn once(users: &[String], taken: &[Taken]) -> Fallible {
    let mut keys: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for request in taken {
        if let Some(user) = request.body["id"].as_str().and_then(|id| id.strip_prefix("once/")) {
            keys.entry(user).or_default().insert(&request.key);
        }
    }
    match users.iter().find(|user| keys.get(user.as_str()).map(BTreeSet::len) != Some(1)) {
        Some(user) => {
            Err(format!("what was asked for once for {user} came under the keys {:?}", keys.get(user.as_str())))
        }
        None => Ok(()),
    }
}
