//! Requests on trial, and cases made of them.

use serde_json::{Value, json};

use super::Office;
use crate::process::sample;

fn request(email: &str) -> Value {
    let mut call: Value = serde_json::from_str(sample("okta.registration")).unwrap();
    call["data"]["userProfile"] = json!({ "email": email, "login": email });
    call
}

#[tokio::test]
async fn a_request_is_tried_and_nothing_is_kept() {
    let office = Office::new();
    let order = json!({ "route": "signup", "request": request("a@nowhere.example"), "trace": true });
    let tried = office.post("/run", &order).await;
    assert_eq!(tried.status, 200, "{}", tried.body);
    assert_eq!((&tried.body["status"], &tried.body["difference"]), (&json!(200), &Value::Null));
    assert!(tried.body["ran"]["trace"]["steps"].as_array().is_some_and(|steps| steps.len() > 1), "{}", tried.body);
    let edited = r#"fn on_registration(request) { allow() }"#;
    let order = json!({ "route": "signup", "request": request("a@nowhere.example"), "scripts": { "signup.rhai": edited }, "compare": true });
    let tried = office.post("/run", &order).await;
    assert!(tried.body["difference"].as_str().unwrap().contains("floor 3"), "{}", tried.body);
    let order = json!({ "route": "signup", "request": request("a@nowhere.example"), "scripts": { "signup.rhai": "fn on_registration(" } });
    let broken = office.post("/run", &order).await;
    assert_eq!((broken.status, &broken.body["type"]), (409, &json!("urn:hookgate:problem:unbuildable")));
    assert_eq!(broken.body["findings"][0]["line"], 1, "{}", broken.body);
    office.gateway.delivery.records().flush().await;
    assert_eq!(office.get("/decisions").await["decisions"], json!([]));
}

#[tokio::test]
async fn a_case_is_made_and_written_once() {
    let office = Office::new();
    let mut wanted = json!({ "name": "stranger", "route": "signup", "request": request("a@nowhere.example") });
    let made = office.post("/cases", &wanted).await;
    assert_eq!((made.status, &made.body["file"]), (200, &json!("scripts/cases/signup/stranger.json")));
    let file = office.gateway.place.root.join("scripts/cases/signup/stranger.json");
    assert!(!file.exists());
    wanted["write"] = json!(true);
    let written = office.post("/cases", &wanted).await;
    assert_eq!((written.status, &written.body["written"]), (201, &json!(true)), "{}", written.body);
    assert!(std::fs::read_to_string(&file).unwrap().contains("floor 3"));
    let again = office.post("/cases", &wanted).await;
    assert_eq!((again.status, &again.body["type"]), (409, &json!("urn:hookgate:problem:exists")));
    wanted["name"] = json!("../../evil");
    assert_eq!(office.post("/cases", &wanted).await.status, 400);
}
