//! What is found: filters, and pages that stay what they are while more comes in.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Office;
use crate::harness::SECRET;

fn ids(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|row| row["id"].to_string()).collect()
}

#[tokio::test]
async fn the_gateway_as_a_whole() {
    let office = Office::new();
    let status = office.get("/status").await;
    assert_eq!((&status["release"]["state"], &status["decisions"]["kept"]), (&json!("current"), &json!(0)));
    assert_eq!(status["routes"], office.get("/routes").await["routes"]);
    office.sign_up("a@nowhere.example").await;
    let route = office.get("/routes/signup").await;
    assert_eq!((&route["params"], &route["capture"]), (&json!({ "floor": 3 }), &json!(true)));
    assert_eq!(route["calls"].as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>(), 1, "{route}");
    let table = office.get("/tables/partners").await;
    assert_eq!(
        (&table["rows"], &table["kind"], &table["file"]),
        (&json!(1), &json!("domains"), &json!("partners.txt"))
    );
    assert_eq!(table["hash"].as_str().unwrap().len(), 64);
    assert_eq!(office.get("/tables").await["tables"], json!([table]));
    assert_eq!(office.get("/health").await, json!({ "every_s": 10, "samples": [] }));
    assert_eq!(office.get("/status").await["decisions"]["kept"], 1);
}

#[tokio::test]
async fn a_decision_is_there_as_soon_as_its_answer_is() {
    let office = Office::new();
    let mut call: Value = serde_json::from_str(super::sample("okta.registration")).unwrap();
    for number in 1..=5 {
        call["eventId"] = json!(uuid::Uuid::new_v4().to_string());
        let headers = [("authorization", SECRET)];
        let (status, reply) = office.gateway.call(http::Method::POST, "/signup", &headers, call.to_string()).await;
        assert_eq!(status, 200);
        let id = reply["debugContext"]["decision"].as_str().unwrap();
        if number % 2 == 0 {
            assert_eq!(office.get(&format!("/decisions/{id}")).await["id"], id, "by its id");
        }
        let newest = office.get("/decisions").await["decisions"].clone();
        assert_eq!((newest[0]["id"].as_str(), newest.as_array().unwrap().len()), (Some(id), number), "in the list");
    }
}

#[tokio::test]
async fn decisions_are_found_by_what_is_known_of_them() {
    let office = Office::new();
    let reply = office.sign_up("Ann@nowhere.example").await;
    office.sign_up("bob@corp.example").await;
    office.deliver(&["one"]).await;
    office.gateway.delivery.records().flush().await;
    let all = office.get("/decisions").await;
    assert_eq!((ids(&all["decisions"]).len(), &all["next"]), (3, &Value::Null), "{all}");
    let decision = reply["debugContext"]["decision"].as_str().unwrap();
    for (query, count) in [
        ("route=signup", 2),
        ("route=signup&outcome=denied", 1),
        ("outcome=acted", 1),
        ("user=ann@nowhere.example", 1),
        ("user=ANN@nowhere.example", 1),
        ("user=nobody@nowhere.example", 0),
        (&format!("id={decision}"), 1),
        ("id=one", 1),
        ("since=1h", 3),
        ("until=1h", 0),
        ("since=2020-01-01&until=2099-01-01T00:00:00Z", 3),
        ("route=nothing", 0),
    ] {
        let found = office.get(&format!("/decisions?{query}")).await;
        assert_eq!(ids(&found["decisions"]).len(), count, "{query}: {found}");
    }
    let one = office.get(&format!("/decisions/{decision}")).await;
    assert_eq!((&one["outcome"], &one["id"]), (&json!("denied"), &json!(decision)));
    assert_eq!(one["capture"]["request"]["data"]["userProfile"]["login"], "Ann@nowhere.example");
    assert!(one["why"].as_str().unwrap().contains("signup.rhai"), "{one}");
}

#[tokio::test]
async fn pages_stay_what_they_are_while_more_comes_in() {
    let office = Office::new();
    for number in 0..7 {
        office.sign_up(&format!("u{number}@nowhere.example")).await;
        office.deliver(&[&format!("e{number}")]).await;
    }
    office.gateway.delivery.records().flush().await;
    for (list, query, wanted) in [("decisions", "route=signup", 7), ("events", "", 7), ("events", "type=user.*", 7)] {
        let whole = ids(&office.get(&format!("/{list}?{query}&limit=500").replace("?&", "?")).await[list]);
        assert_eq!(whole.len(), if list == "events" { whole.len() } else { wanted });
        let mut paged = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = office.get(&format!("/{list}?{query}&limit=2{cursor}").replace("?&", "?")).await;
            paged.extend(ids(&page[list]));
            // Newer rows belong to nobody's next page.
            office.sign_up("late@nowhere.example").await;
            office.deliver(&[&uuid::Uuid::new_v4().to_string()]).await;
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(paged, whole, "{list}?{query}");
        assert_eq!(paged.iter().collect::<BTreeSet<_>>().len(), paged.len());
    }
}

#[tokio::test]
async fn events_jobs_and_dead_letters() {
    let office = Office::new();
    office.deliver(&["one", "bad"]).await;
    for (query, count) in [
        ("state=dead", 1),
        ("state=done", 1),
        ("rule=watch", 2),
        ("connector=out", 1),
        ("route=events", 2),
        ("type=user.session.start", 2),
        ("type=user.*", 2),
        ("type=group.*", 0),
        ("since=1h", 2),
    ] {
        let found = office.get(&format!("/events?{query}")).await;
        assert_eq!(ids(&found["events"]).len(), count, "{query}: {found}");
    }
    let dead = office.get("/dead-letters").await;
    let letter = &dead["dead_letters"][0];
    assert_eq!((dead["dead_letters"].as_array().unwrap().len(), &letter["event"]["key"]), (1, &json!("bad")));
    let job = &letter["dead"][0];
    assert_eq!((&job["state"], &job["lane"]), (&json!("dead"), &json!("rule events/watch")));
    assert!(job["tries"][0]["detail"].as_str().unwrap().contains("not this one"), "{job}");
    let alone = office.get(&format!("/jobs/{}", job["id"])).await;
    assert_eq!((&alone["job"], &alone["event"]["key"]), (job, &json!("bad")));
    let event = office.get(&format!("/events/{}", letter["event"]["id"])).await;
    assert_eq!(event, office.get("/events/bad").await, "by our number and by the provider's id");
    assert_eq!((&event["body"]["uuid"], &event["jobs"]), (&json!("bad"), &json!({ "dead": 1 })));
}
