//! Calls that count once: the answer is kept with what the call brought, and the first one wins.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::EventRef;
use crate::Intake;
use crate::Operation;
use crate::StoreError;
use crate::answer::OneTimeAnswer;
use crate::contract::Stand;
use crate::contract::action;
use crate::contract::event;
use crate::contract::keys;
use crate::contract::seconds;

const MINUTE: Duration = Duration::from_secs(60);

/// One event with one action, both of this name, to be kept within this time.
fn intake(name: &str, within: Duration) -> Intake {
    Intake { events: vec![event(name, vec![action(name)])], until: Some(Instant::now() + within), ..Intake::default() }
}

/// An answer to the token of this key, which says `text` and is good for a minute.
fn answer(stand: &dyn Stand, key: &str, text: &str) -> OneTimeAnswer {
    let until = stand.store().now() + MINUTE.as_millis() as i64;
    OneTimeAnswer {
        route: "logout".into(),
        key: key.to_owned(),
        answer: Bytes::copy_from_slice(text.as_bytes()),
        until,
    }
}

async fn known(stand: &dyn Stand, key: &str) -> Option<Bytes> {
    stand.store().answer("logout", key).await.expect("answers can be found")
}

async fn is_there(stand: &dyn Stand, name: &str) -> bool {
    stand.store().show(EventRef::Key(name.to_owned())).await.expect("events can be shown").is_some()
}

pub(crate) async fn an_answer_is_kept_with_its_jobs_and_outlives_the_process(stand: &mut dyn Stand) {
    assert_eq!(known(stand, "t").await, None);
    assert_eq!(stand.store().keep_answer(intake("a", MINUTE), answer(stand, "t", "first")).await, Ok(None));
    let first = Some(Bytes::from("first"));
    for _ in 0..2 {
        assert_eq!(known(stand, "t").await, first);
        let again = stand.store().keep_answer(intake("b", MINUTE), answer(stand, "t", "second")).await;
        assert_eq!(again, Ok(first.clone()));
        assert!(!is_there(stand, "b").await, "nothing of the second call is kept");
        stand.crash().await;
    }
    stand.advance(seconds(1));
    assert_eq!(keys(&stand.claim_all().await), ["a"]);
    let other = OneTimeAnswer { route: "others".into(), ..answer(stand, "t", "of another route") };
    assert_eq!(stand.store().keep_answer(Intake::default(), other).await, Ok(None), "keys are those of a route");
    assert_eq!(stand.store().keep_answer(Intake::default(), answer(stand, "u", "")).await, Ok(None));
    assert_eq!(known(stand, "u").await, Some(Bytes::new()), "an empty answer is an answer");
}

pub(crate) async fn of_two_answers_at_once_the_first_is_kept(stand: &mut dyn Stand) {
    let (one, two) = (stand.open_again("one").await, stand.open_again("two").await);
    for number in 0..20 {
        let key = format!("token {number}");
        let bring = |name: &str| (intake(&format!("{name} {number}"), MINUTE), answer(stand, &key, name));
        let [a, b, c, d] = ["a", "b", "c", "d"].map(bring);
        let told = tokio::join!(
            one.keep_answer(a.0, a.1),
            two.keep_answer(b.0, b.1),
            one.keep_answer(c.0, c.1),
            two.keep_answer(d.0, d.1)
        );
        let told: [_; 4] = [told.0, told.1, told.2, told.3].map(|told| told.expect("it is answered"));
        let first = told.iter().position(Option::is_none).expect("one of them is the first");
        let name = ["a", "b", "c", "d"][first];
        for (index, told) in told.iter().enumerate() {
            let expected = (index != first).then(|| Bytes::from(name));
            assert_eq!(*told, expected, "{key}");
        }
        assert_eq!(known(stand, &key).await, Some(Bytes::from(name)));
        for other in ["a", "b", "c", "d"] {
            assert_eq!(is_there(stand, &format!("{other} {number}")).await, other == name, "{key}");
        }
    }
}

pub(crate) async fn an_answer_that_is_late_is_not_kept_and_nor_are_its_jobs(stand: &mut dyn Stand) {
    let held = stand.hold();
    let late = stand.store().keep_answer(intake("late", Duration::from_millis(50)), answer(stand, "t", "late")).await;
    assert_eq!(late, Err(StoreError::Late));
    drop(held);
    assert_eq!(known(stand, "t").await, None);
    assert!(!is_there(stand, "late").await);
    assert_eq!(stand.store().keep_answer(intake("again", MINUTE), answer(stand, "t", "again")).await, Ok(None));
    stand.advance(seconds(1));
    assert_eq!(keys(&stand.claim_all().await), ["again"]);
}

pub(crate) async fn an_answer_ends_with_its_time(stand: &mut dyn Stand) {
    let sweep = Operation::Sweep { keep: seconds(1000), remember: seconds(1000), decisions: 0 };
    assert_eq!(stand.store().keep_answer(intake("a", MINUTE), answer(stand, "t", "first")).await, Ok(None));
    stand.advance(MINUTE - Duration::from_millis(1));
    stand.store().operate(sweep.clone()).await.expect("a sweep");
    assert_eq!(known(stand, "t").await, Some(Bytes::from("first")), "a sweep takes nothing that counts");
    stand.advance(Duration::from_millis(1));
    assert_eq!(known(stand, "t").await, None);
    assert_eq!(stand.store().keep_answer(intake("b", MINUTE), answer(stand, "t", "second")).await, Ok(None));
    stand.store().operate(sweep).await.expect("a sweep");
    assert_eq!(known(stand, "t").await, Some(Bytes::from("second")));
}

pub(crate) async fn answers_have_limits(stand: &mut dyn Stand) {
    let good = answer(stand, &"k".repeat(512), &"x".repeat(64 * 1024));
    let too_much = [
        (OneTimeAnswer { key: "k".repeat(513), ..good.clone() }, "at most 512 bytes, not 513"),
        (OneTimeAnswer { route: "r".repeat(513).into(), ..good.clone() }, "at most 512 bytes, not 513"),
        (OneTimeAnswer { answer: vec![0; 65_537].into(), ..good.clone() }, "at most 65536 bytes, not 65537"),
        (OneTimeAnswer { until: i64::MAX, ..good.clone() }, "400 days at most"),
    ];
    for (answer, why) in too_much {
        let Err(StoreError::Refused(text)) = stand.store().keep_answer(intake("a", MINUTE), answer).await else {
            panic!("it is too much: {why}")
        };
        assert!(text.contains(why), "{text}");
        assert!(!is_there(stand, "a").await);
    }
    assert_eq!(stand.store().keep_answer(intake("a", MINUTE), good.clone()).await, Ok(None));
    assert_eq!(stand.store().answer("logout", &good.key).await, Ok(Some(good.answer)));
}
