//! Token calls with scripts and the replies they must give. Written from the contract, not captured.

use crate::Sample;

pub(super) const SAMPLES: &[Sample] = &[
    Sample {
        name: "authorization_code",
        request: AUTHORIZATION_CODE,
        script: r#"fn on_token(request) {
            [id_token.add_claim("https://example.com/team", "red"), access_token.add_claim("ent", ["a", "b"]),
             id_token.remove_claim("nickname"), access_token.set_lifetime(600)]
        }"#,
        reply: r#"{"commands":[{"type":"com.okta.identity.patch","value":[
            {"op":"add","path":"/claims/https:~1~1example.com~1team","value":"red"},{"op":"remove","path":"/claims/nickname"}]},
            {"type":"com.okta.access.patch","value":[{"op":"add","path":"/claims/ent","value":["a","b"]},
            {"op":"replace","path":"/token/lifetime/expiration","value":600}]}]}"#,
    },
    Sample {
        name: "nested_claims",
        request: AUTHORIZATION_CODE,
        script: r#"fn on_token(request) {
            [[id_token.add_claim(["profile", "team"], "red"), id_token.replace_claim(["airports", 0], "ber")],
             [id_token.add_claim(["airports", "-"], "lax")]]
        }"#,
        reply: r#"{"commands":[{"type":"com.okta.identity.patch","value":[
            {"op":"add","path":"/claims/profile/team","value":"red"},{"op":"replace","path":"/claims/airports/0","value":"ber"}]},
            {"type":"com.okta.identity.patch","value":[{"op":"add","path":"/claims/airports/-","value":"lax"}]}]}"#,
    },
    Sample {
        name: "client_credentials",
        request: CLIENT_CREDENTIALS,
        script: r#"fn on_token(request) { [id_token.add_claim("kind", "user"), access_token.add_claim("kind", "machine")] }"#,
        reply: r#"{"commands":[{"type":"com.okta.access.patch","value":[{"op":"add","path":"/claims/kind","value":"machine"}]}]}"#,
    },
    Sample {
        name: "refresh",
        request: REFRESH,
        script: r#"fn on_token(request) {
            if "profile" in request.original_grant.scopes { refuse(`${request.user.login} must sign in again`) }
        }"#,
        reply: r#"{"error":{"errorSummary":"ann@mail.example must sign in again"}}"#,
    },
    Sample { name: "no_opinion", request: AUTHORIZATION_CODE, script: "fn on_token(request) { }", reply: "{}" },
];

pub(super) const AUTHORIZATION_CODE: &str = r#"{
  "eventId": "tK3nQ0aQR2-3kzNcUuF1wA", "eventTime": "2026-03-02T08:15:30.000Z",
  "eventType": "com.okta.oauth2.tokens.transform", "eventTypeVersion": "1.0", "contentType": "application/json",
  "cloudEventVersion": "0.1", "source": "https://example.okta.com/oauth2/default/v1/authorize",
  "data": {
    "context": {
      "request": {"id": "reqAuthorize000000000001", "method": "GET", "ipAddress": "192.0.2.17",
        "url": {"value": "https://example.okta.com/oauth2/default/v1/authorize?response_type=token+id_token&scope=openid+profile&plan=pro"}},
      "protocol": {
        "type": "OAUTH2.0",
        "request": {"scope": "openid profile", "state": "s7", "redirect_uri": "https://app.example/callback",
          "response_mode": "fragment", "response_type": "token id_token", "client_id": "0oaClient0000000000a",
          "grant_type": "implicit"},
        "issuer": {"uri": "https://example.okta.com/oauth2/default"},
        "client": {"id": "0oaClient0000000000a", "name": "Portal", "type": "PUBLIC"}
      },
      "session": {"id": "102SessionOfAnn", "userId": "00uAnn0000000000001", "login": "ann@mail.example",
        "createdAt": "2026-03-02T08:10:00.000Z", "expiresAt": "2026-03-02T10:10:00.000Z", "status": "ACTIVE",
        "lastPasswordVerification": "2026-03-02T08:10:00.000Z", "amr": ["PASSWORD"],
        "idp": {"id": "00oOrg00000000000001", "type": "OKTA"}, "mfaActive": false},
      "user": {"id": "00uAnn0000000000001", "passwordChanged": "2026-01-19T19:56:22.000Z",
        "profile": {"login": "ann@mail.example", "firstName": "Ann", "lastName": "Example", "locale": "en", "timeZone": "Europe/Berlin"},
        "_links": {"groups": {"href": "https://example.okta.com/api/v1/users/00uAnn0000000000001/groups"},
          "factors": {"href": "https://example.okta.com/api/v1/users/00uAnn0000000000001/factors"}}},
      "policy": {"id": "00pPolicy00000000001", "rule": {"id": "0prRule0000000000001"}}
    },
    "identity": {
      "claims": {"sub": "00uAnn0000000000001", "name": "Ann Example", "nickname": "Annie", "ver": 1, "aud": "0oaClient0000000000a",
        "iss": "https://example.okta.com/oauth2/default", "jti": "ID.sample", "amr": ["pwd"], "nonce": "n1", "auth_time": 1772439000,
        "profile": {"floor": 3, "rooms": ["3.1", "3.2"]}, "airports": ["sfo", "tokyo"]},
      "token": {"lifetime": {"expiration": 3600}}
    },
    "access": {
      "claims": {"ver": 1, "jti": "AT.sample", "iss": "https://example.okta.com/oauth2/default", "aud": "api://default",
        "cid": "0oaClient0000000000a", "uid": "00uAnn0000000000001", "sub": "ann@mail.example", "tier": "free"},
      "token": {"lifetime": {"expiration": 3600}},
      "scopes": {"openid": {"id": "scpOpenid00000000001", "action": "GRANT"}, "profile": {"id": "scpProfile0000000001", "action": "GRANT"}}
    },
    "refresh_token": {"jti": "oarSample00000000001"}
  }
}"#;

pub(super) const CLIENT_CREDENTIALS: &str = r#"{
  "eventId": "cC3nQ0aQR2-3kzNcUuF1wA", "eventTime": "2026-03-02T08:16:30.000Z",
  "eventType": "com.okta.oauth2.tokens.transform", "eventTypeVersion": "1.0", "contentType": "application/json",
  "cloudEventVersion": "0.1", "source": "https://example.okta.com/oauth2/default/v1/token",
  "data": {
    "context": {
      "request": {"id": "reqClient00000000000001", "method": "POST", "ipAddress": "2001:db8::17",
        "url": {"value": "https://example.okta.com/oauth2/default/v1/token"}},
      "protocol": {"type": "OAUTH2.0",
        "request": {"scope": "invoices:read", "client_id": "0oaRobot00000000000a", "grant_type": "client_credentials"},
        "issuer": {"uri": "https://example.okta.com/oauth2/default"},
        "client": {"id": "0oaRobot00000000000a", "name": "Robot", "type": "CONFIDENTIAL"}},
      "policy": {"id": "00pPolicy00000000001", "rule": {"id": "0prRule0000000000002"}}
    },
    "access": {
      "claims": {"ver": 1, "jti": "AT.robot", "iss": "https://example.okta.com/oauth2/default", "aud": "api://default",
        "cid": "0oaRobot00000000000a", "sub": "0oaRobot00000000000a"},
      "token": {"lifetime": {"expiration": 3600}},
      "scopes": {"invoices:read": {"id": "scpInvoices000000001", "action": "GRANT"}}
    }
  }
}"#;

pub(super) const REFRESH: &str = r#"{
  "eventId": "rF3nQ0aQR2-3kzNcUuF1wA", "eventTime": "2026-03-02T09:16:30.000Z",
  "eventType": "com.okta.oauth2.tokens.transform", "eventTypeVersion": "1.0", "contentType": "application/json",
  "cloudEventVersion": "0.1", "source": "https://example.okta.com/oauth2/default/v1/token",
  "data": {
    "context": {
      "request": {"id": "reqRefresh0000000000001", "method": "POST", "ipAddress": "192.0.2.17",
        "url": {"value": "https://example.okta.com/oauth2/default/v1/token"}},
      "protocol": {"type": "OAUTH2.0",
        "request": {"scope": "openid", "client_id": "0oaClient0000000000a", "grant_type": "refresh_token"},
        "OriginalGrant": {
          "authorization": {"scope": "openid profile offline_access", "redirect_uri": "https://app.example/callback",
            "response_type": "code", "response_mode": "query", "state": "s1", "client_id": "0oaClient0000000000a"},
          "refresh_token": {"jti": "oarSample00000000001"}},
        "issuer": {"uri": "https://example.okta.com/oauth2/default"},
        "client": {"id": "0oaClient0000000000a", "name": "Portal", "type": "PUBLIC"}},
      "user": {"id": "00uAnn0000000000001", "passwordChanged": null,
        "profile": {"login": "ann@mail.example", "firstName": "Ann", "lastName": "Example", "locale": "en", "timeZone": "Europe/Berlin"},
        "policy": {"id": "00pPolicy00000000001"}, "identity": {}},
      "policy": {"id": "00pPolicy00000000001", "rule": {"id": "0prRule0000000000001"}}
    },
    "identity": {
      "claims": {"sub": "00uAnn0000000000001", "ver": 1, "aud": "0oaClient0000000000a", "jti": "ID.again"},
      "token": {"lifetime": {"expiration": 3600}}
    },
    "refresh_token": {"jti": "oarSample00000000001"}
  }
}"#;
