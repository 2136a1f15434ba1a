//! Answers that Okta does not take, and what it does then; and that it takes what its documents show.

use serde_json::{Value, json};

use crate::{Answer, HOOKS, Hook, Judgement, find};

const INLINE: [&str; 6] =
    ["okta.token", "okta.saml", "okta.registration", "okta.password_import", "okta.user_import", "okta.telephony"];

fn hook(name: &str) -> &'static Hook {
    find(name).unwrap()
}

fn call(hook: &str, sample: &str) -> Value {
    let sample = find(hook).unwrap().samples.iter().find(|one| one.name == sample);
    serde_json::from_str(sample.unwrap_or_else(|| panic!("{hook} has no such sample")).request).unwrap()
}

fn first_call(hook: &str) -> Value {
    serde_json::from_str(find(hook).unwrap().samples[0].request).unwrap()
}

fn judged(hook: &str, call: &Value, status: u16, content_type: Option<&str>, body: &[u8]) -> Judgement {
    (find(hook).unwrap().judge)(call, Some(&Answer { status, content_type, body }))
}

fn of_json(hook: &str, call: &Value, reply: &Value) -> Judgement {
    judged(hook, call, 200, Some("application/json; charset=utf-8"), reply.to_string().as_bytes())
}

/// What is no reply of any hook, whatever its content means.
#[test]
fn what_is_no_json_object_with_200_is_a_failed_hook() {
    let json = Some("application/json");
    let big = json!({ "commands": [], "debugContext": { "x": "y".repeat(300_000) } }).to_string();
    for name in INLINE {
        let call = first_call(name);
        for (status, content_type, body, problem) in [
            (200, Some("text/html"), "<html>login</html>", "the content type is `text/html`"),
            (200, Some("text/html"), "{}", "the content type is `text/html`"),
            (200, None, "{}", "the content type is missing"),
            (200, None, "", "the body is empty"),
            (200, json, "", "the body is empty"),
            (200, json, "<html>", "the body is not JSON"),
            (200, json, "{\"comm", "the body is not JSON"),
            (200, json, "{} {}", "the body is not JSON"),
            (200, json, "[]", "not an object"),
            (200, json, "null", "not an object"),
            (200, json, "\"ok\"", "not an object"),
            (200, json, big.as_str(), "Okta takes less than 262144"),
            (201, json, "{}", "HTTP 201 is not an answer"),
            (202, json, "{}", "HTTP 202 is not an answer"),
            (202, None, "", "HTTP 202 is not an answer"),
            (205, None, "", "HTTP 205 is not an answer"),
            (302, None, "", "follows no redirect"),
            (308, json, "{}", "follows no redirect"),
            (400, json, "{}", "HTTP 400 is not an answer"),
            (404, None, "", "HTTP 404 is not an answer"),
            (500, json, "{}", "HTTP 500 is not an answer"),
        ] {
            let judgement = judged(name, &call, status, content_type, body.as_bytes());
            let told = judgement.violations.join("; ");
            assert!(told.contains(problem), "{name} {status} {body:.40}: {told}");
            assert!(judgement.effect.contains("because") || judgement.effect.contains("cannot use"), "{judgement:?}");
        }
        assert!(!judged(name, &call, 200, json, &[b'{', 0xff, b'}']).is_valid(), "{name}");
        let silent = (hook(name).judge)(&call, None);
        assert_eq!(silent.violations, ["no answer came within three seconds"]);
        assert_eq!(judged(name, &call, 204, None, b"").is_valid(), name != "okta.telephony", "{name}");
        assert_eq!(judged(name, &call, 200, json, b"{}").is_valid(), name != "okta.telephony", "{name}");
    }
}

#[test]
fn the_outer_shape_is_that_of_the_contract() {
    for name in INLINE {
        let call = first_call(name);
        for (reply, problem) in [
            (json!({ "comands": [] }), "`comands` is no member"),
            (json!({ "Error": {} }), "`Error` is no member"),
            (json!({ "commands": {} }), "`commands` must be an array"),
            (json!({ "commands": [7] }), "command 1 is not an object"),
            (json!({ "commands": [{ "value": {} }] }), "command 1 has no `type`"),
            (json!({ "commands": [{ "type": 7, "value": {} }] }), "command 1 has no `type`"),
            (
                json!({ "commands": [{ "type": "com.okta.acton.update", "value": {} }] }),
                "unknown type `com.okta.acton.update`",
            ),
            (json!({ "commands": [{ "type": "com.okta.tokens.id_token.patch", "value": [] }] }), "unknown type"),
            (json!({ "error": [] }), "`error` must be an object"),
            (json!({ "error": "no" }), "`error` must be an object"),
            (json!({ "debugContext": "x" }), "`debugContext` must be an object"),
        ] {
            let told = of_json(name, &call, &reply).violations.join("; ");
            assert!(told.contains(problem), "{name} {reply}: {told}");
        }
        let kind = match name {
            "okta.token" => "com.okta.access.patch",
            "okta.saml" => "com.okta.assertion.patch",
            "okta.telephony" => "com.okta.telephony.action",
            _ => "com.okta.action.update",
        };
        for value in [json!("x"), json!(null), if kind.ends_with("update") { json!([]) } else { json!({}) }] {
            let reply = json!({ "commands": [{ "type": kind, "value": value }] });
            assert!(!of_json(name, &call, &reply).is_valid(), "{name} {reply}");
        }
        assert!(!of_json(name, &call, &json!({ "commands": [{ "type": kind }] })).is_valid(), "{name}");
        for error in [json!({ "errorSummary": 7 }), json!({ "errorCauses": {} }), json!({ "errorCauses": ["x"] })] {
            assert!(!of_json(name, &call, &json!({ "error": error })).is_valid(), "{name} {error}");
        }
        let nulls = json!({ "commands": null, "error": null, "debugContext": null });
        let is_valid = !matches!(name, "okta.registration" | "okta.telephony");
        assert_eq!(of_json(name, &call, &nulls).is_valid(), is_valid, "{name}");
        assert_eq!(of_json(name, &call, &json!({ "error": {} })).is_valid(), name != "okta.password_import", "{name}");
    }
}

#[test]
fn patches_of_tokens_are_tried_on_the_call() {
    let both = first_call("okta.token");
    let without_id = {
        let mut call = both.clone();
        call["data"]["identity"] = Value::Null;
        call
    };
    let patch = |kind: &str, operation: Value| json!({ "commands": [{ "type": kind, "value": [operation] }] });
    let (id, access) = ("com.okta.identity.patch", "com.okta.access.patch");
    for (call, reply) in [
        (&both, patch(access, json!({ "op": "add", "path": "/claims/groups", "value": 1 }))),
        (&both, patch(id, json!({ "op": "add", "path": "/claims/okta_auth", "value": 1 }))),
        (&both, patch(id, json!({ "op": "replace", "path": "/claims/iss/x", "value": 1 }))),
        (&both, patch(access, json!({ "op": "remove", "path": "/claims/sub" }))),
        (&both, patch(access, json!({ "op": "remove", "path": "/claims/nothing" }))),
        (&both, patch(access, json!({ "op": "replace", "path": "/claims/nothing", "value": 1 }))),
        (&both, patch(access, json!({ "op": "add", "path": "/claims/nothing/below", "value": 1 }))),
        (&both, patch(access, json!({ "op": "remove", "path": "/claims/tier", "value": 1 }))),
        (&both, patch(access, json!({ "op": "move", "path": "/claims/a", "value": 1 }))),
        (&both, patch(access, json!({ "op": "add", "path": "/claims/a" }))),
        (&both, patch(access, json!({ "op": "add", "path": "claims/a", "value": 1 }))),
        (&both, patch(access, json!({ "op": "add", "path": "/a", "value": 1 }))),
        (&both, patch(access, json!({ "op": "add", "path": "/claims", "value": {} }))),
        (&both, patch(access, json!("add"))),
        (&both, patch(access, json!({ "op": "replace", "path": "/token/lifetime/expiration", "value": 299 }))),
        (&both, patch(access, json!({ "op": "replace", "path": "/token/lifetime/expiration", "value": "600" }))),
        (&both, patch(access, json!({ "op": "add", "path": "/token/lifetime/expiration", "value": 600 }))),
        (&without_id, patch(id, json!({ "op": "add", "path": "/claims/a", "value": 1 }))),
    ] {
        let judgement = of_json("okta.token", call, &reply);
        assert!(!judgement.is_valid(), "{reply}");
        assert_eq!(judgement.effect, "Okta issues the tokens unchanged, because it cannot use the reply");
    }
    for reply in [
        patch(access, json!({ "op": "add", "path": "/claims/a~1b", "value": { "c": [1] } })),
        patch(access, json!({ "op": "replace", "path": "/claims/sub", "value": "x" })),
        patch(access, json!({ "op": "remove", "path": "/claims/tier", "value": null })),
        patch(id, json!({ "op": "replace", "path": "/token/lifetime/expiration", "value": 600 })),
        json!({ "commands": [{ "type": access, "value": [{ "op": "add", "path": "/claims/a", "value": {} },
            { "op": "add", "path": "/claims/a/b", "value": 1 }, { "op": "remove", "path": "/claims/a" }] }] }),
    ] {
        assert_eq!(of_json("okta.token", &both, &reply).violations, Vec::<String>::new(), "{reply}");
    }
}

#[test]
fn patches_of_assertions_are_tried_on_the_call() {
    let call = first_call("okta.saml");
    let patch =
        |operation: &Value| json!({ "commands": [{ "type": "com.okta.assertion.patch", "value": [operation] }] });
    let attribute = json!({ "attributes": { "NameFormat": "urn:x" }, "attributeValues": [{ "attributes": { "xsi:type": "xs:integer" }, "value": "7" }] });
    for (op, path, value) in [
        ("remove", "/claims/department", json!(null)),
        ("replace", "/claims/nothing", attribute.clone()),
        ("replace", "/lifetime/expiration", json!(1)),
        ("replace", "/subject/nameId", json!({ "a": 1 })),
        ("replace", "/conditions/audienceRestriction", json!("x")),
        ("replace", "/claims/department/attributeValues/7/value", json!("x")),
        ("replace", "/claims/department/attributeValues/0/attributes/xsi:type", json!("xs:integer")),
        ("add", "/claims/new", json!("x")),
        ("add", "/claims/new/attributeValues/0", json!({ "value": "x" })),
        ("add", "/claims/OktaAuth", attribute.clone()),
        ("add", "/authentication/sessionLifetime", json!("60")),
        ("add", "/subject/nameId", json!("x")),
    ] {
        let reply = patch(&json!({ "op": op, "path": path, "value": value }));
        assert!(!of_json("okta.saml", &call, &reply).is_valid(), "{reply}");
    }
    for (op, path, value) in [
        ("add", "/claims/new", attribute),
        ("replace", "/subject/nameId", json!("x")),
        ("add", "/authentication/sessionLifetime", json!(60)),
        ("replace", "/claims/department/attributeValues/0/value", json!("x")),
    ] {
        let reply = patch(&json!({ "op": op, "path": path, "value": value }));
        assert_eq!(of_json("okta.saml", &call, &reply).violations, Vec::<String>::new(), "{reply}");
    }
}

#[test]
fn registrations_set_what_a_schema_can_have() {
    let (own, progressive) = (first_call("okta.registration"), call("okta.registration", "progressive"));
    let command = |kind: &str, value: Value| json!({ "commands": [{ "type": kind, "value": value }] });
    let (user, update) = ("com.okta.user.profile.update", "com.okta.user.progressive.profile.update");
    for (call, reply) in [
        (&own, command(user, json!({ "password": "x" }))),
        (&own, command(user, json!({ "Password": "x" }))),
        (&own, command(user, json!({ "home address": "x" }))),
        (&own, command(user, json!({ "home": { "city": "Bern" } }))),
        (&own, command(user, json!({ "login": null }))),
        (&own, command(user, json!({}))),
        (&own, command(update, json!({ "a": 1 }))),
        (&progressive, command(user, json!({ "a": 1 }))),
        (&own, command("com.okta.action.update", json!({ "registration": "deny" }))),
        (&own, command("com.okta.action.update", json!({ "action": "DENY" }))),
        (&own, command("com.action.update", json!({ "registration": "DENY" }))),
    ] {
        assert!(!of_json("okta.registration", call, &reply).is_valid(), "{reply}");
    }
    for (call, kind) in [(&own, user), (&progressive, update)] {
        let reply = command(kind, json!({ "a": 1, "b": ["x"], "c": true }));
        assert_eq!(of_json("okta.registration", call, &reply).violations, Vec::<String>::new());
    }
}

#[test]
fn people_read_what_belongs_to_their_call() {
    let (own, progressive) = (first_call("okta.registration"), call("okta.registration", "progressive"));
    let deny = json!({ "commands": [{ "type": "com.okta.action.update", "value": { "registration": "DENY" } }] });
    let general = json!({ "error": { "errorSummary": "not now" } });
    let nowhere =
        json!({ "error": { "errorCauses": [{ "errorSummary": "x", "location": "$.data.userProfile.email" }] } });
    for (call, reply, parts) in [
        (&own, &deny, &["\"Registration denied.\""][..]),
        (&progressive, &deny, &["\"Profile update denied.\""]),
        (&own, &general, &["\"Registration cannot be completed at this time.\"", "\"not now\""]),
        (&progressive, &general, &["Please review the form and make corrections.", "\"not now\""]),
        (&own, &nowhere, &["no cause names a field"]),
        (&own, &json!({ "comands": [] }), &["There was an error creating your account."]),
        (
            &progressive,
            &json!({ "comands": [] }),
            &["There was an error updating your profile.", "couldn't be updated"],
        ),
        (&progressive, &json!({}), &["lets the profile update pass, unchanged"]),
    ] {
        let effect = of_json("okta.registration", call, reply).effect;
        assert!(parts.iter().all(|part| effect.contains(part)), "{reply}: {effect}");
    }
    let silent = (hook("okta.registration").judge)(&progressive, None).effect;
    assert!(silent.contains("denies the profile update") && silent.contains("no answer came in time"), "{silent}");
}

#[test]
fn imports_link_users_and_no_others() {
    let call = first_call("okta.user_import");
    let result = |word: &str| json!({ "type": "com.okta.action.update", "value": { "result": word } });
    let user = |id: &str| json!({ "type": "com.okta.user.update", "value": { "id": id } });
    let set = |kind: &str, value: Value| json!({ "type": kind, "value": value });
    for commands in [
        json!([result("LINK_USER")]),
        json!([user("00u1")]),
        json!([result("LINK_USER"), user("0ua1")]),
        json!([result("LINK_USER"), user("ann@mail.example")]),
        json!([result("LINK_USER"), user("00u1"), user("00u2")]),
        json!([result("CREATE_USER"), user("00u1")]),
        json!([result("CREATE_USER"), result("LINK_USER"), user("00u1")]),
        json!([result("create")]),
        json!([set("com.okta.user.profile.update", json!({ "password": "x" }))]),
        json!([set("com.okta.user.profile.update", json!({ "a b": "x" }))]),
        json!([set("com.okta.appUser.profile.update", json!({ "a": {} }))]),
    ] {
        let judgement = of_json("okta.user_import", &call, &json!({ "commands": commands }));
        assert!(!judgement.is_valid(), "{commands}");
        assert!(judgement.effect.contains("creates the user"), "{}", judgement.effect);
    }
    let good =
        json!([result("LINK_USER"), user("00u1"), set("com.okta.appUser.profile.update", json!({ "urn:x": 1 }))]);
    assert_eq!(of_json("okta.user_import", &call, &json!({ "commands": good })).violations, Vec::<String>::new());
}

#[test]
fn verdicts_are_those_of_the_list() {
    let action = |value: Value| json!({ "type": "com.okta.telephony.action", "value": value });
    let call = first_call("okta.telephony");
    for commands in [
        json!([action(json!([]))]),
        json!([action(json!([{ "status": "SENT" }]))]),
        json!([action(json!([{ "provider": "acme" }]))]),
        json!([action(json!([{ "status": "PENDING", "transactionId": 7 }]))]),
        json!([action(json!(["PENDING"]))]),
        json!([action(json!([{ "status": "PENDING" }])), action(json!([{ "status": "PENDING" }]))]),
        json!([]),
    ] {
        let judgement = of_json("okta.telephony", &call, &json!({ "commands": commands }));
        assert!(!judgement.is_valid() && judgement.effect.contains("two messages"), "{commands}: {judgement:?}");
    }
    for status in ["SUCCESSFUL", "PENDING", "FAILED"] {
        let reply = json!({ "commands": [action(json!([{ "status": status, "provider": null }]))], "error": null });
        assert_eq!(of_json("okta.telephony", &call, &reply).violations, Vec::<String>::new());
    }
    let verdict = |value: &str| json!({ "type": "com.okta.action.update", "value": { "credential": value } });
    let call = first_call("okta.password_import");
    for commands in [json!([verdict("verified")]), json!([verdict("VERIFIED"), verdict("VERIFIED")])] {
        assert!(!of_json("okta.password_import", &call, &json!({ "commands": commands })).is_valid(), "{commands}");
    }
    let error = json!({ "commands": [verdict("VERIFIED")], "error": {} });
    let judgement = of_json("okta.password_import", &call, &error);
    assert!(judgement.effect.starts_with("Okta refuses the sign-in"), "{judgement:?}");
}

#[test]
fn every_hook_judges() {
    for hook in HOOKS.iter() {
        assert!(!(hook.judge)(&Value::Null, None).is_valid(), "{}", hook.name);
    }
}
