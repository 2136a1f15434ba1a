//! Decisions as they are made.

use std::time::{Duration, Instant};

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::time::timeout;
use tower::ServiceExt;

use hookgate::admin::live::{MOST, MOST_OF_ONE};

use super::{JSON, OPERATOR, Office, READER};

async fn watch(office: &Office) -> (u16, Body) {
    watch_as(office, OPERATOR).await
}

async fn watch_as(office: &Office, shown: (&str, &str)) -> (u16, Body) {
    let request = Request::get("/api/v1/live").header(shown.0, shown.1).body(Body::empty()).unwrap();
    let response = office.router.clone().oneshot(request).await.unwrap();
    (response.status().as_u16(), response.into_body())
}

/// The next part of a stream; nothing at its end.
async fn next(body: &mut Body) -> Option<String> {
    let frame = timeout(Duration::from_secs(20), body.frame()).await.expect("something comes")?;
    Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn a_decision_reaches_every_watcher_within_half_a_second() {
    let office = Office::new();
    let mut watchers = Vec::new();
    for _ in 0..20 {
        let (status, mut body) = watch(&office).await;
        assert_eq!(status, 200);
        assert!(next(&mut body).await.unwrap().starts_with("retry: "));
        watchers.push(body);
    }
    let begun = Instant::now();
    office.sign_up("a@nowhere.example").await;
    for body in &mut watchers {
        let text = next(body).await.unwrap();
        let data = text.strip_prefix("event: decisions\ndata: ").unwrap();
        let batch: Value = serde_json::from_str(data).unwrap();
        assert_eq!((&batch["decisions"][0]["route"], &batch["skipped"]), (&"signup".into(), &0.into()));
    }
    assert!(begun.elapsed() < Duration::from_millis(500 + 1_500), "{:?}", begun.elapsed());
    office.stop.send(true).unwrap();
    for body in &mut watchers {
        assert_eq!(next(body).await, None, "the stream ends with the gateway");
    }
}

#[tokio::test]
async fn one_watcher_too_many_is_refused_until_another_leaves() {
    let office = Office::new();
    let mut watchers = Vec::new();
    for _ in 0..MOST_OF_ONE {
        watchers.push(watch(&office).await);
    }
    assert!(watchers.iter().all(|(status, _)| *status == 200));
    assert_eq!(watch(&office).await.0, 503);
    watchers.pop();
    let deadline = Instant::now() + Duration::from_secs(10);
    while watch(&office).await.0 != 200 {
        assert!(Instant::now() < deadline, "the place is not free again");
        // Who has gone is noticed when there is something to tell.
        office.sign_up("a@nowhere.example").await;
    }
}

#[tokio::test]
async fn readers_take_no_place_of_an_operator() {
    let office = Office::new();
    let mut watchers = Vec::new();
    // With the token itself, and with as many sessions as they like.
    for _ in 0..2 * MOST {
        watchers.push(watch_as(&office, READER).await);
        let begun = office.send("POST /api/v1/session", &[JSON], r#"{"token":"reader-token"}"#).await;
        let cookie = begun.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        watchers.push(watch_as(&office, ("cookie", &cookie)).await);
    }
    let watching = watchers.iter().filter(|(status, _)| *status == 200).count();
    assert_eq!(watching, MOST, "of all readers together");
    assert_eq!(watch(&office).await.0, 200);
}
