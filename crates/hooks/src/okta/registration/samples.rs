//! Calls of the three forms, written from the contract, with scripts and the replies they must give.

use crate::Sample;

pub(super) const SAMPLES: &[Sample] = &[
    Sample {
        name: "self_service",
        request: SELF_SERVICE,
        script: r#"fn on_registration(request) { [allow(), set_profile("department", "sales")] }"#,
        reply: r#"{"commands":[{"type":"com.okta.action.update","value":{"registration":"ALLOW"}},
            {"type":"com.okta.user.profile.update","value":{"department":"sales"}}]}"#,
    },
    Sample {
        name: "progressive",
        request: PROGRESSIVE,
        script: r#"fn on_registration(request) { set_profile("employeeNumber", request.changes.employeeNumber.to_string()) }"#,
        reply: r#"{"commands":[{"type":"com.okta.user.progressive.profile.update","value":{"employeeNumber":"4711"}}]}"#,
    },
    Sample {
        name: "classic",
        request: CLASSIC,
        script: r#"fn on_registration(request) { deny_field("email", `${request.email.domain} is not served`) }"#,
        reply: r#"{"commands":[{"type":"com.okta.action.update","value":{"registration":"DENY"}}],
            "error":{"errorSummary":"mail.example is not served","errorCauses":[{"errorSummary":"mail.example is not served",
            "reason":"INVALID_VALUE","locationType":"body","location":"data.userProfile.email","domain":"end-user"}]}}"#,
    },
    Sample { name: "no_opinion", request: SELF_SERVICE, script: "fn on_registration(request) { }", reply: "" },
];
const SELF_SERVICE: &str = r#"{
  "eventId": "s5vYQ0aQR2-3kzNcUuF1wA", "eventTime": "2026-03-02T08:15:30.000Z",
  "eventType": "com.okta.user.pre-registration", "eventTypeVersion": "1.0", "contentType": "application/json",
  "cloudEventVersion": "0.1", "source": "reg5h1kXq2ZbT0aYw5d7", "requestType": "self.service.registration",
  "data": {
    "context": {"request": {"id": "reqSelfService0000000001", "method": "POST", "url": {"value": "/idp/idx/enroll/new"},
      "ipAddress": "192.0.2.17"}},
    "userProfile": {"firstName": "Ann", "lastName": "Example", "login": "ann@mail.example", "email": "ann@Mail.example"},
    "action": "ALLOW"
  }
}"#;

const PROGRESSIVE: &str = r#"{
  "eventId": "p0cH7mZxTDi_4v1bQnUe9g", "eventTime": "2026-03-02T08:16:01.000Z",
  "eventType": "com.okta.user.pre-registration", "eventTypeVersion": "1.0", "contentType": "application/json",
  "cloudEventVersion": "0.1", "source": "rul7a2mXq2ZbT0aYw5d7", "requestType": "progressive.profile",
  "data": {
    "context": {
      "request": {"id": "reqProgressive0000000001", "method": "POST", "url": {"value": "/idp/idx/enroll/update"},
        "ipAddress": "2001:db8::17"},
      "user": {"id": "00u5h1kXq2ZbT0aYw5d7", "passwordChanged": "2026-01-19T19:56:22.000Z",
        "profile": {"login": "ann@mail.example", "firstName": "Ann", "lastName": "Example", "locale": "en", "timeZone": "Europe/Berlin"},
        "_links": {"groups": {"href": "https://example.okta.com/api/v1/users/00u5h1kXq2ZbT0aYw5d7/groups"},
          "factors": {"href": "https://example.okta.com/api/v1/users/00u5h1kXq2ZbT0aYw5d7/factors"}}}
    },
    "action": "ALLOW", "userProfileUpdate": {"employeeNumber": 4711}
  }
}"#;

const CLASSIC: &str = r#"{
  "eventId": "c1aS51cTQ2-3kzNcUuF1wA", "eventTime": "2026-03-02T08:17:44.000Z",
  "eventType": "com.okta.user.pre-registration", "eventTypeVersion": "1.0", "contentType": "application/json",
  "cloudEventVersion": "0.1", "source": "reg5h1kXq2ZbT0aYw5d7",
  "data": {
    "context": {"request": {"id": "reqClassic00000000000001", "method": "POST",
      "url": {"value": "/api/v1/registration/reg5h1kXq2ZbT0aYw5d7/register"}, "ipAddress": "192.0.2.17"}},
    "userProfile": {"lastName": "Example", "firstName": "Ann", "login": "ann@mail.example", "email": "ann@mail.example"},
    "action": null
  }
}"#;
