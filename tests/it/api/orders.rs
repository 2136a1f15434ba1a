//! Orders about many events: forecast, replay, purge.

use serde_json::{Value, json};

use super::Office;

#[tokio::test]
async fn a_replay_says_what_would_happen_and_then_does_it() {
    let office = Office::new();
    office.deliver(&["one", "bad1", "bad2"]).await;
    let order = json!({ "filter": { "route": "events" }, "dry_run": true });
    let told = office.post("/events/replay", &order).await;
    assert_eq!(told.status, 200);
    let mut forecast = told.body["forecast"].clone();
    let examples = forecast["examples"].take();
    assert_eq!(examples.as_array().unwrap().len(), 2, "{examples}");
    assert!(
        examples[0]["key"] == "bad2" && examples[0]["id"].is_i64() && examples[0]["received"].is_i64(),
        "{examples}"
    );
    let expected = json!({
        "events": 2, "more": false, "filter": "of route `events`, with a job that is dead",
        "types": { examples[0]["type"].as_str().unwrap(): 2 }, "examples": null,
        "jobs": { "rule events/watch": 2 }, "maybe_delivered": 0,
    });
    assert_eq!((forecast, &told.body["done"]), (expected, &Value::Null), "only dead jobs");
    assert_eq!(office.get("/dead-letters").await["dead_letters"].as_array().unwrap().len(), 2, "nothing was done");

    office.gateway.write("scripts/watch.rhai", r#"fn on_event(event) { notify("out", "mended " + event.id) }"#);
    office.gateway.reload();
    let done = office.post("/events/replay", &json!({ "filter": { "route": "events" } })).await;
    assert_eq!(done.body["done"], json!({ "changed": 2, "refused": [], "waiting": 2 }));
    office.gateway.work().await;
    assert_eq!(office.get("/dead-letters").await["dead_letters"], json!([]));

    let again = office.post("/events/replay", &json!({ "events": ["one", "none"] })).await;
    assert_eq!((again.status, &again.body["done"]["changed"]), (200, &json!(0)));
    assert_eq!(again.body["done"]["refused"].as_array().unwrap().len(), 2, "{}", again.body);
    let forced = office.post("/events/replay", &json!({ "events": ["one"], "force": true })).await;
    assert!(forced.body["done"]["changed"].as_u64().unwrap() > 0, "{}", forced.body);
}

#[tokio::test]
async fn a_purge_removes_what_has_ended() {
    let office = Office::new();
    office.deliver(&["one", "bad", "two"]).await;
    let dead = json!({ "filter": { "state": "dead" } });
    let done = office.post("/events/purge", &dead).await;
    assert_eq!((&done.body["forecast"]["events"], &done.body["done"]["changed"]), (&json!(1), &json!(1)));
    let done = office.post("/events/purge", &json!({ "events": ["one"] })).await;
    assert_eq!(done.body["done"]["changed"], 1, "{}", done.body);
    let left = office.get("/events").await;
    let keys: Vec<&Value> = left["events"].as_array().unwrap().iter().map(|event| &event["key"]).collect();
    assert!(!keys.contains(&&json!("one")) && keys.contains(&&json!("two")), "{left}");
    let all = json!({ "all": true, "dry_run": true });
    let told = office.post("/events/purge", &all).await;
    assert_eq!(told.body["forecast"]["filter"], "", "{}", told.body);
    let done = office.post("/events/purge", &json!({ "all": true })).await;
    assert!(done.body["done"]["changed"].as_u64().unwrap() >= 1, "{}", done.body);
    assert_eq!(office.get("/events").await["events"], json!([]));
}
