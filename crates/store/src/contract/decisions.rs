//! What a store must do with records of decisions.

use crate::Operation;
use crate::contract::Stand;
use crate::contract::seconds;
use hookgate_model::decision;
use hookgate_model::decision::Capture;
use hookgate_model::decision::Kept;
use hookgate_model::decision::Record;

fn kept(id: &str, at: i64, route: &str, outcome: &str, handles: &[&str]) -> Kept {
    let record =
        Record { id: id.to_owned(), at, route: route.to_owned(), outcome: outcome.to_owned(), ..Record::default() };
    Kept { record, capture: None, handles: handles.iter().map(|&handle| handle.to_owned()).collect() }
}

async fn ids(stand: &dyn Stand, query: decision::Query) -> (Vec<String>, Option<i64>) {
    let page = stand.store().decisions(query).await.unwrap();
    (page.records.into_iter().map(|record| record.id).collect(), page.next)
}

pub(crate) async fn decisions_are_found_by_what_they_are_about(stand: &mut dyn Stand) {
    let now = stand.store().now();
    let many = vec![
        kept("a", now, "signup", "allowed", &["u1", "ann@x.example", "e1"]),
        kept("b", now + 1_000, "signup", "denied", &["u2", "e2"]),
        kept("c", now + 2_000, "tokens", "denied", &["u1"]),
        kept("d", now + 3_000, "signup", "denied", &["u1", "", "two\nlines"]),
    ];
    assert_eq!(stand.store().record(many).await, Ok(4));
    let all = decision::Query::default();
    let text = |text: &str| Some(text.to_owned());
    for (query, expected) in [
        (all.clone(), "d c b a"),
        (decision::Query { route: text("signup"), ..all.clone() }, "d b a"),
        (decision::Query { outcome: text("denied"), ..all.clone() }, "d c b"),
        (decision::Query { route: text("signup"), outcome: text("denied"), ..all.clone() }, "d b"),
        (decision::Query { handle: text("u1"), ..all.clone() }, "d c a"),
        (decision::Query { handle: text("u1"), route: text("signup"), ..all.clone() }, "d a"),
        (decision::Query { handle: text("c"), ..all.clone() }, "c"),
        (decision::Query { handle: text("nobody"), ..all.clone() }, ""),
        (decision::Query { since: Some(now + 1_000), until: Some(now + 3_000), ..all.clone() }, "c b"),
        (decision::Query { since: Some(now + 9_000), ..all.clone() }, ""),
    ] {
        assert_eq!(ids(stand, query.clone()).await.0.join(" "), expected, "{query:?}");
    }
    stand.crash().await;
    assert_eq!(stand.store().decision("b").await.unwrap().unwrap().0.outcome, "denied");
    assert_eq!(stand.store().decision("u1").await, Ok(None), "a handle is no id");
}

pub(crate) async fn pages_of_decisions_stay_in_place_while_others_come(stand: &mut dyn Stand) {
    let now = stand.store().now();
    let some = |names: &[&str]| names.iter().map(|name| kept(name, now, "r", "ok", &[])).collect::<Vec<_>>();
    stand.store().record(some(&["a", "b", "c", "d", "e"])).await.unwrap();
    let page = |after| decision::Query { limit: 2, after, ..decision::Query::default() };
    let (first, next) = ids(stand, page(None)).await;
    assert_eq!(first, ["e", "d"]);
    stand.store().record(some(&["f", "g"])).await.unwrap();
    let (second, next) = ids(stand, page(next)).await;
    assert_eq!(second, ["c", "b"]);
    assert_eq!(ids(stand, page(next)).await, (vec!["a".to_owned()], None));
}

pub(crate) async fn decisions_are_trimmed_to_the_newest(stand: &mut dyn Stand) {
    let now = stand.store().now();
    let many = |numbers: std::ops::Range<i64>| {
        numbers.map(|number| kept(&number.to_string(), now - number, "r", "ok", &["handle"])).collect::<Vec<_>>()
    };
    let trim = |most| Operation::TrimDecisions { most };
    assert_eq!(stand.store().operate(trim(3)).await, Ok(0), "there are none");
    stand.store().record(many(0..3)).await.unwrap();
    assert_eq!(stand.store().operate(trim(3)).await, Ok(0));
    stand.store().record(many(3..2_003)).await.unwrap();
    assert_eq!(stand.store().operate(trim(3)).await, Ok(2_000));
    assert_eq!(ids(stand, decision::Query::default()).await.0, ["2002", "2001", "2000"]);
    stand.store().operate(trim(0)).await.unwrap();
    assert_eq!(ids(stand, decision::Query::default()).await.0.len(), 0);
}

pub(crate) async fn a_sweep_leaves_the_newest_decisions(stand: &mut dyn Stand) {
    let now = stand.store().now();
    let captured = |id: &str, until| {
        let capture = Capture { request: serde_json::json!({ "a": 1 }), until, ..Capture::default() };
        Kept { capture: Some(capture), ..kept(id, now, "r", "ok", &["handle"]) }
    };
    let some =
        vec![kept("old", now, "r", "ok", &["handle"]), captured("short", now + 1_000), captured("long", now + 900_000)];
    stand.store().record(some).await.unwrap();
    stand.advance(seconds(10));
    let sweep = |keep, decisions| Operation::Sweep { keep: seconds(keep), remember: seconds(1_000), decisions };
    stand.store().operate(sweep(1_000, 2)).await.unwrap();
    assert_eq!(ids(stand, decision::Query::default()).await.0, ["long", "short"]);
    let found = ids(stand, decision::Query { handle: Some("handle".to_owned()), ..decision::Query::default() }).await.0;
    assert_eq!(found, ["long", "short"], "nothing is left that leads nowhere");
    let (record, capture) = stand.store().decision("short").await.unwrap().unwrap();
    assert_eq!((record.captured, capture), (false, None), "its time is over");
    let (record, capture) = stand.store().decision("long").await.unwrap().unwrap();
    assert!(record.captured && capture.is_some_and(|capture| capture.request["a"] == 1));
    stand.advance(seconds(100));
    stand.store().operate(sweep(50, 100)).await.unwrap();
    assert!(ids(stand, decision::Query::default()).await.0.is_empty(), "they are too old");
}
