//! Releases: listed, compared, gone back to, and who did it.

use serde_json::{Value, json};

use super::Office;

#[tokio::test]
async fn going_back_is_one_order_and_is_noted() {
    let office = Office::new();
    office.sign_up("a@nowhere.example").await;
    let first = office.get("/status").await["release"]["running"].as_str().unwrap().to_owned();
    office.gateway.write("scripts/signup.rhai", "fn on_registration(request) { allow() }");
    let reloaded = office.post("/reload", &json!({})).await;
    assert_eq!((reloaded.status, &reloaded.body["result"]), (200, &json!("activated")), "{}", reloaded.body);
    assert_eq!(office.post("/reload", &json!({})).await.body["result"], "unchanged");

    let all = office.get("/releases").await;
    let states: Vec<&Value> = all["releases"].as_array().unwrap().iter().map(|release| &release["state"]).collect();
    assert_eq!(states, ["running", "past"], "{all}");
    let label = &first[..12];
    let diff = office.get(&format!("/releases/{label}/diff")).await;
    assert!(diff["files"][0]["text"].as_str().unwrap().contains("+fn on_registration(request) { allow() }"), "{diff}");
    assert_eq!(office.get("/releases/running/diff?against=on_disk").await["files"], json!([]));
    let whole = office.get(&format!("/releases/{label}")).await;
    assert_eq!(whole["hash"], json!(first));
    assert!(whole["contents"].as_array().unwrap().iter().any(|file| file["name"] == "signup.rhai"), "{whole}");

    let back = office.post(&format!("/releases/{label}/rollback"), &json!({})).await;
    assert_eq!(
        (back.status, &back.body["to"], &back.body["kept"]),
        (200, &json!(first), &json!(true)),
        "{}",
        back.body
    );
    let status = office.get("/status").await;
    assert_eq!((&status["release"]["running"], &status["release"]["state"]), (&json!(first), &json!("pinned")));
    let again = office.post(&format!("/releases/{label}/rollback"), &json!({})).await;
    assert_eq!((again.status, &again.body["type"]), (409, &json!("urn:hookgate:problem:in-force")));
    assert_eq!(office.post("/releases/ffff/rollback", &json!({})).await.status, 404);

    office.gateway.write("scripts/signup.rhai", "fn on_registration(");
    let refused = office.post("/reload", &json!({})).await;
    assert_eq!((refused.status, &refused.body["type"]), (409, &json!("urn:hookgate:problem:refused")));
    assert_eq!(refused.body["findings"][0]["line"], 1, "{}", refused.body);

    office.post("/events/purge", &json!({ "filter": { "state": "dead" } })).await;
    let changes = office.get("/changes?who=token").await;
    let what: Vec<&Value> = changes["changes"].as_array().unwrap().iter().map(|change| &change["what"]).collect();
    assert!(what.contains(&&json!("events purged")) && what.len() >= 3, "{changes}");
    let page = office.get("/changes?limit=1").await;
    let next = page["next"].as_str().unwrap();
    let second = office.get(&format!("/changes?limit=1&cursor={next}")).await;
    let number = |page: &Value| page["changes"][0]["number"].as_i64().unwrap();
    assert_eq!(number(&second), number(&page) - 1);
}
