//! An action that cannot be made, or that its connector does not take, ends alone: the others of its run go out.

use hookgate_store::{JobKind, JobState};
use serde_json::json;

use crate::events::{delivery, event, jobs, out};
use crate::harness::TestGateway;

const CONFIG: &str = r#"
[auth.test]
scheme = "header"
secrets = [{ file = "secret" }]
[connectors.out]
kind = "file"
path = "out.jsonl"
[connectors.mail]
kind = "smtp"
host = "localhost"
tls = "none"
from = "a@b.example"
[connectors.siem]
kind = "syslog"
host = "localhost"
tls = "none"
[routes.hook]
path = "/hook"
hook = "okta.event"
auth = "test"
script = "hook.rhai"
[routes.hook.params]
siem = "siem"
"#;

/// Of what it asks for, only the first and the last can be done. The others would wait, and keep the last one out.
const SCRIPT: &str = r#"
fn on_event(event) {
    let name = event.actor.name;
    let nothing = event.actor.id.sub_string(0, 0);
    [
        notify("out", `first ${name}`),
        notify("out", nothing).once("same", "1h"),
        post("out", `/people/${name}`, #{}).after("1d"),
        suspend_user("out", name).once("same", "1h"),
        email("mail", #{ to: name, subject: name, text: name }).digest("same", "1h"),
        post(params.siem, "/x", #{}).after("30d"),
        notify("out", `last ${name}`).once("same", "1h"),
    ]
}
"#;

#[tokio::test]
async fn what_cannot_be_done_is_refused_alone_and_at_once() {
    let gateway = TestGateway::bundle(CONFIG, &[("scripts/hook.rhai", SCRIPT)]);
    let hostile = event("e1", json!({ "actor": { "id": "00u1", "type": "User", "displayName": "Eve\t\n\u{2028}X" } }));
    assert_eq!(gateway.post(delivery("d1", &[hostile])).await.0, 204);
    gateway.work().await;
    let kept = gateway.event("e1").await;
    assert_eq!(jobs(&kept, JobKind::Rule), [(JobState::Done, vec!["done"])]);
    let (done, refused) = ((JobState::Done, vec!["done"]), (JobState::Dead, vec!["refused"]));
    let expected = [done.clone(), refused.clone(), refused.clone(), refused.clone(), refused.clone(), refused, done];
    assert_eq!(jobs(&kept, JobKind::Action), expected);
    assert_eq!(out(&gateway).len(), 2);
    let details: Vec<&str> = kept
        .jobs
        .iter()
        .flat_map(|job| job.tries.iter().filter(|one| one.result == "refused").map(|one| one.detail.as_str()))
        .collect();
    for (detail, part) in
        details.iter().zip(["needs a text", "url_encode", "cannot be seen", "is not an address", "not `post`"])
    {
        assert!(detail.contains(part), "{detail}");
    }
    let metrics = gateway.metrics.encode();
    for (connector, count) in [("out", 3), ("mail", 1), ("siem", 1)] {
        let line = format!(r#"hookgate_action_attempts_total{{connector="{connector}",result="refused"}} {count}"#);
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
}
