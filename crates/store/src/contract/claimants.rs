//! Several gateways with one database: each job is given out once, and a lease is that of its claimant.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::AFTER_DEATH;
use crate::Accepted;
use crate::End;
use crate::Intake;
use crate::Leased;
use crate::NewEvent;
use crate::NewJob;
use crate::Operation;
use crate::Selection;
use crate::Settled;
use crate::Share;
use crate::Store;
use crate::contract::FIRST;
use crate::contract::LEASE;
use crate::contract::Stand;
use crate::contract::action;
use crate::contract::attempt;
use crate::contract::event;
use crate::contract::keys;
use crate::contract::rule;
use crate::contract::seconds;

const SECOND: &str = "the second gateway";
const LANES: [&str; 2] = ["rule events/watch", "connector chat"];

async fn accept(store: &dyn Store, event: NewEvent) -> Accepted {
    let intake = Intake { events: vec![event], ..Intake::default() };
    store.accept(intake).await.expect("the event is accepted")[0]
}

async fn claim(store: &dyn Store, most: usize) -> Vec<Leased> {
    let shares = LANES.iter().map(|&lane| Share { lane: lane.into(), most }).collect();
    store.claim(shares, Vec::new(), LEASE).await.expect("jobs can be claimed").jobs
}

async fn suspect(store: &dyn Store) -> Option<Leased> {
    let lanes = LANES.iter().map(|&lane| lane.into()).collect();
    store.claim_suspect(lanes, LEASE).await.expect("a suspect can be claimed")
}

async fn settle(store: &dyn Store, job: &Leased, end: End) -> Settled {
    store.settle(job.token.clone(), attempt("ended"), end).await.expect("a try can be ended")
}

fn done() -> End {
    End::Done(Vec::new())
}

/// Claims until nothing is due, a few at a time.
async fn claim_out(store: Arc<dyn Store>) -> Vec<Leased> {
    let mut all = Vec::new();
    loop {
        let some = claim(&*store, 3).await;
        if some.is_empty() {
            return all;
        }
        all.extend(some);
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn two_gateways_share_the_work_and_each_job_is_given_out_once(stand: &mut dyn Stand) {
    let (one, two) = (stand.open_again("one").await, stand.open_again("two").await);
    for number in 0..40 {
        let store = if number % 2 == 0 { &one } else { &two };
        accept(&**store, event(&number.to_string(), vec![rule(&format!("job {number}"))])).await;
    }
    let (mut first, second) = tokio::join!(tokio::spawn(claim_out(one.clone())), tokio::spawn(claim_out(two.clone())));
    let (first, second) = (first.as_mut().expect("no panic"), second.expect("no panic"));
    assert_eq!(first.len() + second.len(), 40);
    let different: BTreeSet<&str> = keys(first).into_iter().chain(keys(&second)).collect();
    assert_eq!(different.len(), 40, "none was given out twice");
    for (store, jobs) in [(&one, &*first), (&two, &second)] {
        for job in jobs {
            assert_eq!(settle(&**store, job, done()).await, Settled::Applied, "{}", job.key);
        }
    }
    assert_eq!(stand.store().health().await.expect("it is well").running, 0);
}

pub(crate) async fn a_lease_is_of_no_use_to_another_gateway(stand: &mut dyn Stand) {
    let other = stand.open_again(SECOND).await;
    stand.accept(event("a", vec![action("a")])).await;
    let job = stand.claim_all().await.remove(0);
    assert_eq!(settle(&*other, &job, done()).await, Settled::LostLease);
    assert_eq!(other.renew(vec![job.token.clone()], LEASE).await, Ok(Vec::new()));
    other.abandon(vec![job.token.clone()]).await.expect("nothing of it is to be given back");
    let shares = vec![Share { lane: LANES[1].into(), most: 1 }];
    let claimed = other.claim(shares, vec![job.token.clone()], LEASE).await.expect("jobs can be claimed");
    assert!(claimed.jobs.is_empty());
    assert_eq!(stand.states("a").await, ["a running"]);
    assert_eq!(stand.settle(&job, done()).await, Settled::Applied);
}

pub(crate) async fn a_lease_that_ran_out_passes_to_the_other_gateway(stand: &mut dyn Stand) {
    let other = stand.open_again(SECOND).await;
    stand.accept(event("a", vec![action("a")])).await;
    let lost = stand.claim_all().await.remove(0);
    stand.advance(LEASE - seconds(1));
    assert!(claim(&*other, 9).await.is_empty());
    stand.advance(seconds(1));
    let taken = claim(&*other, 9).await.remove(0);
    assert_eq!((taken.token.attempt, taken.doubt, taken.deaths), (2, true, 0), "a lease that ran out is no death");
    assert_eq!(stand.store().renew(vec![lost.token.clone()], LEASE).await, Ok(Vec::new()));
    assert_eq!(stand.settle(&lost, End::Done(vec![action("child")])).await, Settled::LostLease);
    assert_eq!(stand.states("a").await, ["a running"]);
    assert_eq!(settle(&*other, &taken, done()).await, Settled::Applied);
    assert_eq!(stand.show("a").await.jobs[0].tries[0].result, "lost");
}

pub(crate) async fn a_start_voids_the_leases_of_its_own_gateway_only(stand: &mut dyn Stand) {
    let other = stand.open_again(SECOND).await;
    stand.accept(event("a", vec![action("first"), action("second")])).await;
    let first = stand.claim(&LANES, 1).await.jobs.remove(0);
    let second = claim(&*other, 1).await.remove(0);
    assert_eq!((&*first.key, &*second.key), ("first", "second"));
    let restarted = stand.open_again(FIRST).await;
    assert_eq!(stand.states("a").await, ["first waiting", "second running"]);
    assert_eq!(settle(stand.store(), &first, done()).await, Settled::LostLease, "its process is taken for dead");
    assert_eq!(settle(&*restarted, &first, done()).await, Settled::LostLease);
    assert_eq!(settle(&*other, &second, done()).await, Settled::Applied);
    stand.advance(AFTER_DEATH[0]);
    // Whichever gateway is free looks into the suspect.
    let suspect = suspect(&*other).await.expect("it is due");
    assert_eq!((&*suspect.key, suspect.deaths, suspect.doubt), ("first", 1, true));
    assert_eq!(settle(&*other, &suspect, done()).await, Settled::Applied);
}

pub(crate) async fn deaths_are_those_of_who_had_the_job_in_work(stand: &mut dyn Stand) {
    let other = stand.open_again(SECOND).await;
    stand.accept(event("a", vec![rule("a")])).await;
    stand.claim_all().await;
    stand.open_again(FIRST).await;
    stand.advance(AFTER_DEATH[0]);
    let taken = suspect(&*other).await.expect("it is due");
    let restarted = stand.open_again(FIRST).await;
    assert!(suspect(&*restarted).await.is_none(), "the other gateway has it in work");
    assert_eq!(settle(&*other, &taken, End::Postpone(seconds(1))).await, Settled::Applied);
    stand.advance(seconds(1));
    let again = suspect(&*restarted).await.expect("it is due");
    assert_eq!(again.deaths, 1, "the second start of the first gateway says nothing about it");
    let restarted = stand.open_again(FIRST).await;
    stand.advance(AFTER_DEATH[1]);
    assert_eq!(suspect(&*restarted).await.expect("it is due").deaths, 2);
}

pub(crate) async fn what_comes_twice_is_known_to_both_gateways(stand: &mut dyn Stand) {
    let (one, two) = (stand.open_again("one").await, stand.open_again("two").await);
    for number in 0..20 {
        let sent = event(&format!("event {number}"), vec![rule(&format!("job {number}"))]);
        let (first, second) = tokio::join!(accept(&*one, sent.clone()), accept(&*two, sent));
        let new = [first, second].into_iter().filter(|accepted| matches!(accepted, Accepted::New(_))).count();
        assert_eq!(new, 1, "{first:?} {second:?}");
    }
}

pub(crate) async fn once_digest_and_order_hold_for_both_gateways(stand: &mut dyn Stand) {
    let other = stand.open_again(SECOND).await;
    let once = |key: &str| NewJob { once: Some(("window".to_owned(), seconds(60))), ..action(key) };
    stand.accept(event("once one", vec![once("o1")])).await;
    accept(&*other, event("once two", vec![once("o2")])).await;
    assert_eq!(stand.states("once two").await, ["o2 suppressed"]);
    let digest = |key: &str| NewJob { digest: Some(("sum".to_owned(), seconds(60))), ..action(key) };
    stand.accept(event("digest one", vec![digest("d1")])).await;
    accept(&*other, event("digest two", vec![digest("d2")])).await;
    assert_eq!(stand.states("digest two").await, ["d2 gathered"]);
    let order = |key: &str, number| NewJob { order: Some(("line".to_owned(), number)), ..rule(key) };
    accept(&*other, event("order two", vec![order("r2", 2)])).await;
    stand.accept(event("order one", vec![order("r1", 1)])).await;
    let running = stand.claim_all().await;
    assert_eq!(keys(&running), ["r1", "o1"]);
    assert!(claim(&*other, 9).await.is_empty(), "the line is held up by what the first gateway has in work");
    for job in &running {
        assert_eq!(stand.settle(job, done()).await, Settled::Applied);
    }
    let next = claim(&*other, 9).await;
    assert_eq!(keys(&next), ["r2"]);
    assert_eq!(settle(&*other, &next[0], done()).await, Settled::Applied);
    stand.advance(seconds(60));
    let leads = claim(&*other, 9).await;
    assert_eq!((keys(&leads), leads[0].gathered_count), (vec!["d1"], 1));
}

pub(crate) async fn two_gateways_never_give_a_number_twice(stand: &mut dyn Stand) {
    let other = stand.open_again(SECOND).await;
    let mut given = BTreeSet::new();
    for number in 0..6 {
        let ours = stand.accept(event(&format!("ours {number}"), Vec::new())).await;
        let theirs = accept(&*other, event(&format!("theirs {number}"), Vec::new())).await;
        for accepted in [ours, theirs] {
            let Accepted::New(id) = accepted else { panic!("it is new") };
            assert!(given.insert(id), "{id} was given before");
        }
        // The newest is gone before the other gateway saw it.
        let which = Selection::One(crate::EventRef::Key(format!("theirs {number}")));
        assert_eq!(other.operate(Operation::Purge { which }).await, Ok(1));
    }
}
