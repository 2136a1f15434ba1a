//! SAML calls with scripts and the replies they must give. Written from the contract, not captured.

use crate::Sample;

pub(super) const SAMPLES: &[Sample] = &[
    Sample {
        name: "attributes",
        request: PORTAL,
        script: r#"fn on_saml(request) {
            [add_attribute("http://schemas.example.com/roles", ["reader", "writer"]), replace_attribute("department", "sales"),
             set_name_id(request.user.login), set_session_lifetime(900)]
        }"#,
        reply: r#"{"commands":[{"type":"com.okta.assertion.patch","value":[
            {"op":"add","path":"/claims/http:~1~1schemas.example.com~1roles","value":{
              "attributes":{"NameFormat":"urn:oasis:names:tc:SAML:2.0:attrname-format:basic"},
              "attributeValues":[{"attributes":{"xsi:type":"xs:string"},"value":"reader"},
                {"attributes":{"xsi:type":"xs:string"},"value":"writer"}]}},
            {"op":"replace","path":"/claims/department","value":{
              "attributes":{"NameFormat":"urn:oasis:names:tc:SAML:2.0:attrname-format:unspecified"},
              "attributeValues":[{"attributes":{"xsi:type":"xs:string"},"value":"sales"}]}},
            {"op":"replace","path":"/subject/nameId","value":"ann@mail.example"},
            {"op":"add","path":"/authentication/sessionLifetime","value":900}]}]}"#,
    },
    Sample {
        name: "two_patches",
        request: PORTAL,
        script: r#"fn on_saml(request) {
            [[replace("/claims/http:~1~1schemas.example.com~1floor/attributeValues/0/value", 4)],
             [replace(["authentication", "authnContext"], #{ authnContextClassRef: "urn:example:strong" })]]
        }"#,
        reply: r#"{"commands":[
            {"type":"com.okta.assertion.patch","value":[{"op":"replace",
              "path":"/claims/http:~1~1schemas.example.com~1floor/attributeValues/0/value","value":"4"}]},
            {"type":"com.okta.assertion.patch","value":[{"op":"replace",
              "path":"/authentication/authnContext","value":{"authnContextClassRef":"urn:example:strong"}}]}]}"#,
    },
    Sample {
        name: "refused",
        request: PORTAL,
        script: r#"fn on_saml(request) {
            if !("urn:example:partner" in request.audiences) { refuse(`${request.app.name} is closed`) }
        }"#,
        reply: r#"{"error":{"errorSummary":"Portal is closed"}}"#,
    },
    Sample { name: "no_opinion", request: SPARSE, script: "fn on_saml(request) { }", reply: "" },
];

pub(super) const PORTAL: &str = r#"{
  "eventId": "sM5nQ0aQR2-3kzNcUuF1wA", "eventTime": "2026-03-02T08:15:30.000Z",
  "eventType": "com.okta.saml.tokens.transform", "eventTypeVersion": "1.0", "contentType": "application/json",
  "cloudEventVersion": "0.1", "source": "https://example.okta.com/app/portal/exkPortal00000000001/sso/saml",
  "data": {
    "context": {
      "request": {"id": "reqSaml0000000000000001", "method": "GET", "ipAddress": "192.0.2.17",
        "url": {"value": "https://example.okta.com/app/portal/exkPortal00000000001/sso/saml?RelayState=home"}},
      "protocol": {"type": "SAML2.0", "request": {"providerName": "portal.example"},
        "issuer": {"id": "0oaPortal0000000001", "name": "Portal", "uri": "http://www.okta.com/exkPortal00000000001"}},
      "session": {"id": "102SessionOfAnn", "userId": "00uAnn0000000000001", "login": "ann@mail.example",
        "createdAt": "2026-03-02T08:10:00.000Z", "expiresAt": "2026-03-02T10:10:00.000Z", "status": "ACTIVE",
        "lastPasswordVerification": "2026-03-02T08:10:00.000Z", "amr": ["PASSWORD"],
        "idp": {"id": "00oOrg00000000000001", "type": "OKTA"}, "mfaActive": true},
      "user": {"id": "00uAnn0000000000001", "passwordChanged": "2026-01-19T19:56:22.000Z",
        "profile": {"login": "ann@mail.example", "firstName": "Ann", "lastName": "Example", "locale": "en", "timeZone": "Europe/Berlin"},
        "_links": {"groups": {"href": "https://example.okta.com/api/v1/users/00uAnn0000000000001/groups"},
          "factors": {"href": "https://example.okta.com/api/v1/users/00uAnn0000000000001/factors"}}}
    },
    "assertion": {
      "subject": {"nameId": "ann", "nameFormat": "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
        "confirmation": {"method": "urn:oasis:names:tc:SAML:2.0:cm:bearer", "data": {"recipient": "https://portal.example/saml"}}},
      "authentication": {"sessionIndex": "id1772439330000.1",
        "authnContext": {"authnContextClassRef": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"}},
      "conditions": {"audienceRestriction": ["urn:example:portal"]},
      "claims": {
        "department": {"attributes": {"NameFormat": "urn:oasis:names:tc:SAML:2.0:attrname-format:unspecified"},
          "attributeValues": [{"attributes": {"xsi:type": "xs:string"}, "value": "support"}]},
        "http://schemas.example.com/floor": {"attributes": {"NameFormat": "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"},
          "attributeValues": [{"attributes": {"xsi:type": "xs:integer"}, "value": "3"}]},
        "groups": {"attributes": {"NameFormat": "urn:oasis:names:tc:SAML:2.0:attrname-format:unspecified"},
          "attributeValues": [{"attributes": {"xsi:type": "xs:string"}, "value": "everyone"},
            {"attributes": {"xsi:type": "xs:string"}, "value": "support"}]}
      },
      "lifetime": {"expiration": 300}
    }
  }
}"#;

pub(super) const SPARSE: &str = r#"{
  "eventId": "sS5nQ0aQR2-3kzNcUuF1wA", "eventTime": "2026-03-02T08:16:30.000Z",
  "eventType": "com.okta.saml.tokens.transform", "eventTypeVersion": "1.0", "contentType": "application/json",
  "cloudEventVersion": "0.1", "source": "https://example.okta.com/app/portal/exkPortal00000000001/sso/saml",
  "data": {"context": {"session": {}}, "assertion": {"subject": {}, "conditions": {}, "claims": {}}}
}"#;
