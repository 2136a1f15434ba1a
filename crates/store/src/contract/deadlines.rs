//! What is not kept in time is not kept later.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::Accepted;
use crate::Intake;
use crate::NewJob;
use crate::Step;
use crate::StoreError;
use crate::contract::Stand;
use crate::contract::action;
use crate::contract::event;
use crate::contract::keys;
use crate::contract::seconds;
use hookgate_model::question::Kv;

/// What a call brings that has to be kept within this time.
fn intake(key: &str, within: Duration) -> Intake {
    let job = NewJob { once: Some(("window".to_owned(), seconds(60))), ..action(key) };
    Intake { events: vec![event(key, vec![job])], until: Some(Instant::now() + within), ..Intake::default() }
}

pub(crate) async fn what_is_not_kept_in_time_is_not_kept_later(stand: &mut dyn Stand) {
    let held = stand.hold();
    let late = stand.store().accept(intake("late", Duration::from_millis(50))).await;
    assert_eq!(late, Err(StoreError::Late));
    drop(held);
    // The store has worked since, so it has met what was given up.
    stand.accept(event("next", vec![action("next")])).await;
    assert!(stand.store().show(crate::EventRef::Key("late".to_owned())).await.unwrap().is_none());
    stand.advance(seconds(1));
    assert_eq!(keys(&stand.claim_all().await), ["next"]);
    let again = stand.store().accept(intake("late", seconds(60))).await.unwrap();
    assert!(matches!(again[..], [Accepted::New(_)]), "it may come again: {again:?}");
}

pub(crate) async fn what_is_kept_in_time_stays(stand: &mut dyn Stand) {
    let kept = stand.store().accept(intake("a", seconds(60))).await.unwrap();
    assert!(matches!(kept[..], [Accepted::New(_)]));
    let again = stand.store().accept(intake("a", seconds(60))).await.unwrap();
    assert_eq!(again, [Accepted::Duplicate]);
    stand.crash().await;
    stand.advance(seconds(1));
    assert_eq!(keys(&stand.claim_all().await), ["a"]);
}

pub(crate) async fn what_waits_for_a_store_is_kept_when_it_is_free_in_time(stand: &mut dyn Stand) {
    let held = stand.hold();
    let waits = stand.store().accept(intake("a", seconds(60)));
    let frees = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(held);
    };
    let (kept, ()) = tokio::join!(waits, frees);
    assert!(matches!(kept.unwrap()[..], [Accepted::New(_)]));
    stand.advance(seconds(1));
    assert_eq!(keys(&stand.claim_all().await), ["a"]);
}

pub(crate) async fn a_step_that_nobody_waits_for_any_more_is_not_taken(stand: &mut dyn Stand) {
    let step = || Step { kv: Kv::Incr { key: "a".into(), by: 1, keep: seconds(60) }, dry: false, origin: None };
    let held = stand.hold();
    for _ in 0..2 {
        let waited = tokio::time::timeout(Duration::from_millis(50), stand.store().state(step())).await;
        assert!(waited.is_err(), "{waited:?}");
    }
    drop(held);
    assert_eq!(stand.store().state(step()).await.unwrap(), json!(1));
}
