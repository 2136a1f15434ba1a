//! Who gives up while a transaction is being committed: what they brought is taken back before anybody is given a job of it.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::failures::futures_poll;
use super::*;
use crate::contract::action;

/// Holds up the writer in the middle of a transaction: it says that it has begun, and waits.
fn gate() -> (impl FnMut(&mut Tx<'_>) -> Result<(), Fault> + Send + 'static, Receiver<()>, Sender<()>) {
    let (begins, begun) = channel();
    let (go, gone) = channel();
    let run = move |_: &mut Tx<'_>| {
        begins.send(()).unwrap();
        gone.recv().unwrap();
        Ok(())
    };
    (run, begun, go)
}

/// One action, which shares its digest and its `once` key with all others.
fn call(key: &str, until: Option<Instant>) -> Intake {
    let digest =
        NewJob { digest: Some(("all".to_owned(), Duration::from_secs(60))), ..action(&format!("{key} digest")) };
    let once = NewJob { once: Some(("all".to_owned(), Duration::from_secs(60))), ..action(&format!("{key} once")) };
    let jobs = vec![action(&format!("{key} plain")), once, digest];
    Intake { events: vec![NewEvent { jobs, ..event(key) }], until, ..Intake::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_too_late_is_taken_back_before_anybody_is_given_it() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    let ((first, first_begun, first_go), (second, second_begun, second_go)) = (gate(), gate());
    let mut first = Box::pin(store.write(first));
    assert!(futures_poll(&mut first).is_none());
    first_begun.recv().unwrap();
    // These three go into one transaction, in which the second one waits.
    let mut late = Box::pin(store.accept(call("late", Some(Instant::now() + Duration::from_millis(200)))));
    assert!(futures_poll(&mut late).is_none());
    let mut other = Box::pin(store.accept(call("other", None)));
    assert!(futures_poll(&mut other).is_none());
    let mut second = Box::pin(store.write(second));
    assert!(futures_poll(&mut second).is_none());
    let shares = || vec![Share { lane: "connector chat".into(), most: 10 }];
    let mut claim = Box::pin(store.claim(shares(), Vec::new(), Duration::from_secs(30)));
    assert!(futures_poll(&mut claim).is_none());
    first_go.send(()).unwrap();
    second_begun.recv().unwrap();
    assert_eq!(late.await, Err(StoreError::Late));
    second_go.send(()).unwrap();
    first.await.unwrap();
    second.await.unwrap();
    other.await.unwrap();

    let claimed: Vec<String> = claim.await.unwrap().jobs.into_iter().map(|job| job.key).collect();
    assert_eq!(claimed, ["other plain"], "not in the same transaction");
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert!(store.claim(shares(), Vec::new(), Duration::from_secs(30)).await.unwrap().jobs.is_empty(), "and not later");
    assert!(store.show(EventRef::Key("late".to_owned())).await.unwrap().is_none());
    let shown = store.show(EventRef::Key("other".to_owned())).await.unwrap().unwrap();
    let states: Vec<&str> = shown.jobs.iter().map(|job| job.state.name()).collect();
    // Only what was kept in the same commit is still held back by the `once` of what was taken back.
    assert_eq!(states, ["running", "suppressed", "waiting"], "it leads the digest now");
    let next = store.accept(call("next", None)).await.unwrap();
    assert!(matches!(next[..], [Accepted::New(_)]));
    let shown = store.show(EventRef::Key("next".to_owned())).await.unwrap().unwrap();
    let states: Vec<&str> = shown.jobs.iter().map(|job| job.state.name()).collect();
    assert_eq!(states, ["waiting", "waiting", "gathered"]);
    let again = store.accept(call("late", Some(Instant::now() + Duration::from_secs(60)))).await.unwrap();
    assert!(matches!(again[..], [Accepted::New(_)]), "it may come again");
}

fn answer(store: &Sqlite, text: &'static str) -> OneTimeAnswer {
    let until = store.now() + 60_000;
    OneTimeAnswer { route: "logout".into(), key: "token".to_owned(), answer: text.into(), until }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_hears_of_an_answer_that_is_taken_back() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    let ((first, first_begun, first_go), (second, second_begun, second_go)) = (gate(), gate());
    let mut first = Box::pin(store.write(first));
    assert!(futures_poll(&mut first).is_none());
    first_begun.recv().unwrap();
    // These go into one transaction, in which the last one waits.
    let until = Some(Instant::now() + Duration::from_millis(200));
    let mut late = Box::pin(store.keep_answer(call("late", until), answer(&store, "late")));
    assert!(futures_poll(&mut late).is_none());
    let mut asks = Box::pin(store.answer("logout", "token"));
    assert!(futures_poll(&mut asks).is_none());
    let mut again = Box::pin(store.keep_answer(call("again", None), answer(&store, "again")));
    assert!(futures_poll(&mut again).is_none());
    let mut second = Box::pin(store.write(second));
    assert!(futures_poll(&mut second).is_none());
    first_go.send(()).unwrap();
    second_begun.recv().unwrap();
    assert_eq!(late.await, Err(StoreError::Late));
    second_go.send(()).unwrap();
    first.await.unwrap();
    second.await.unwrap();

    let asked = asks.await.unwrap();
    assert!(asked.is_none_or(|answer| answer == "again"), "it does not hear what was taken back");
    assert_eq!(again.await, Ok(None), "it is the first now");
    assert_eq!(store.answer("logout", "token").await, Ok(Some("again".into())));
    assert!(store.show(EventRef::Key("late".to_owned())).await.unwrap().is_none());
    assert!(store.show(EventRef::Key("again".to_owned())).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_commit_may_have_left_is_taken_back() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    let (run, begun, go) = gate();
    let mut blocks = Box::pin(store.write(run));
    assert!(futures_poll(&mut blocks).is_none());
    begun.recv().unwrap();
    let mut plain = Box::pin(store.accept(call("a", Some(Instant::now() + Duration::from_secs(60)))));
    assert!(futures_poll(&mut plain).is_none());
    let failure = rusqlite::ffi::Error { code: rusqlite::ErrorCode::SystemIoFailure, extended_code: 10 };
    let until = Some(Instant::now() + Duration::from_secs(60));
    let mut one_time = Box::pin(store.keep_answer(call("b", until), answer(&store, "b")));
    assert!(futures_poll(&mut one_time).is_none());
    let mut fails = Box::pin(store.write(move |tx| {
        // The transaction is there, and yet it fails: as where the sync after a written commit does.
        tx.db.execute_batch("COMMIT")?;
        Err::<(), _>(Fault::Sql(rusqlite::Error::SqliteFailure(failure, None)))
    }));
    assert!(futures_poll(&mut fails).is_none());
    go.send(()).unwrap();
    assert!(plain.await.is_err());
    assert!(one_time.await.is_err());
    assert!(fails.await.is_err());
    blocks.await.unwrap();
    let started = Instant::now();
    while store.accept(intake("next")).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(30), "it works again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for name in ["a", "b"] {
        assert!(store.show(EventRef::Key(name.to_owned())).await.unwrap().is_none(), "{name}");
    }
    assert_eq!(store.answer("logout", "token").await, Ok(None));
}
