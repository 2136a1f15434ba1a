//! Import calls with scripts and the replies they must give. Written from the contract, not captured.

use crate::Sample;

pub(super) const SAMPLES: &[Sample] = &[
    Sample {
        name: "login_taken",
        request: CONFLICT,
        script: r#"fn on_user_import(request) {
            if "login" in request.conflicts { [create_user(), set_profile("login", "ann.example2@mail.example")] }
        }"#,
        reply: r#"{"commands":[{"type":"com.okta.action.update","value":{"result":"CREATE_USER"}},
            {"type":"com.okta.user.profile.update","value":{"login":"ann.example2@mail.example"}}]}"#,
    },
    Sample {
        name: "matched",
        request: MATCHED,
        script: r#"fn on_user_import(request) { [link_user(request.user_id), set_app_profile(#{ checked: true })] }"#,
        reply: r#"{"commands":[{"type":"com.okta.action.update","value":{"result":"LINK_USER"}},
            {"type":"com.okta.user.update","value":{"id":"00uAnn0000000000001"}},
            {"type":"com.okta.appUser.profile.update","value":{"checked":true}}]}"#,
    },
    Sample {
        name: "not_wanted",
        request: CONFLICT,
        script: r#"fn on_user_import(request) { fail(`${request.app_profile.externalId} has no contract`) }"#,
        reply: r#"{"error":{"errorSummary":"00123 has no contract"}}"#,
    },
    Sample { name: "no_opinion", request: MATCHED, script: "fn on_user_import(request) { }", reply: "{}" },
];

pub(super) const CONFLICT: &str = r#"{
  "eventId": "iM7nQ0aQR2-3kzNcUuF1wA", "eventTime": "2026-03-02T08:15:30.000Z",
  "eventType": "com.okta.import.transform", "eventTypeVersion": "1.0", "contentType": "application/json",
  "cloudEventVersion": "0.1", "source": "calImportHook0000001",
  "data": {
    "context": {
      "conflicts": ["login"],
      "application": {"name": "hr_feed", "id": "0oaHr000000000000001", "label": "HR", "status": "ACTIVE"},
      "job": {"id": "ijJob000000000000001", "type": "import:users"},
      "matches": [], "policy": ["EMAIL", "FIRST_AND_LAST_NAME"]
    },
    "action": {"result": "CREATE_USER"},
    "appUser": {"profile": {"firstName": "Ann", "lastName": "Example", "externalId": "00123", "mobilePhone": null,
      "groups": ["everyone", "support"], "email": "ann@mail.example"}},
    "user": {"profile": {"firstName": "Ann", "lastName": "Example", "login": "ann@mail.example", "email": "ann@mail.example",
      "city": null}}
  }
}"#;

pub(super) const MATCHED: &str = r#"{
  "eventId": "iL7nQ0aQR2-3kzNcUuF1wA", "eventTime": "2026-03-02T08:16:30.000Z",
  "eventType": "com.okta.import.transform", "eventTypeVersion": "1.0", "contentType": "application/json",
  "cloudEventVersion": "0.1", "source": "calImportHook0000001",
  "data": {
    "context": {
      "conflicts": [],
      "application": {"name": "hr_feed", "id": "0oaHr000000000000001", "label": "HR", "status": "ACTIVE"},
      "job": {"id": "ijJob000000000000001", "type": "import:users"},
      "matches": ["00uAnn0000000000001", {"id": "00uBob0000000000001"}], "policy": ["EMAIL"]
    },
    "action": {"result": "LINK_USER"},
    "appUser": {"profile": {"firstName": "Ann", "lastName": "Example", "externalId": "00123"}},
    "user": {"id": "00uAnn0000000000001", "profile": {"firstName": "Ann", "lastName": null, "login": "ann@mail.example"}}
  }
}"#;
