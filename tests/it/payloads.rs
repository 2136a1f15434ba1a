//! Real calls and documented replies, where the folder with them is beside the repository; visibly skipped elsewhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use hookgate_store::{JobState, Query};
use serde_json::Value;

use crate::harness::{TestGateway, skipped, without_debug};

const FOLDER: &str = "../shared/payloads/okta";

/// The files of the folder by name, or nothing when it is not there.
fn files(ending: &str) -> Option<BTreeMap<String, String>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
    if !folder.is_dir() {
        skipped(&format!("{FOLDER} is not beside the repository"));
        return None;
    }
    let entries = fs::read_dir(folder).expect("the folder can be read").map(|entry| entry.expect("an entry").path());
    let wanted = entries.filter(|path| path.to_string_lossy().ends_with(ending));
    let read = wanted.map(|path| {
        let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
        (name, fs::read_to_string(&path).expect("samples are UTF-8"))
    });
    Some(read.collect())
}

/// Hook and entry function of a file by its name.
fn hook_of(name: &str) -> Option<(&'static str, &'static str, &'static str)> {
    let table = [
        ("inline-token", "okta.token", "on_token", "\"unchanged\""),
        ("inline-saml", "okta.saml", "on_saml", "\"unchanged\""),
        ("inline-registration", "okta.registration", "on_registration", "\"allow\""),
        ("http-inline-registration", "okta.registration", "on_registration", "\"allow\""),
        ("inline-password", "okta.password_import", "on_password_import", "\"unverified\""),
        ("inline-import", "okta.user_import", "on_user_import", "\"unchanged\""),
        ("inline-telephony", "okta.telephony", "on_telephony", "\"let_okta_send\""),
        ("inline-delauth", "okta.password_import", "on_password_import", "\"unverified\""),
    ];
    table.iter().find(|row| name.starts_with(row.0)).map(|row| (row.1, row.2, row.3))
}

/// Calls that the contract says are no longer made.
const WITHDRAWN: [&str; 3] = [
    "inline-delauth-beta-authenticate-fetch.request.json",
    "inline-delauth-beta-authenticate.request.json",
    "inline-token-beta-2018.request.json",
];

#[tokio::test]
async fn every_inline_call_gets_a_valid_answer() {
    let Some(files) = files(".request.json") else { return };
    let mut seen = 0;
    for (name, text) in &files {
        let Some((hook, entry, on_failure)) = hook_of(name) else { continue };
        let script = format!("fn {entry}(request) {{ log(`${{request.id}} ${{request.raw.len()}}`); }}");
        let gateway = TestGateway::of(hook, on_failure, &script);
        let (status, reply) = gateway.post(body_of(text)).await;
        if WITHDRAWN.contains(&name.as_str()) {
            assert_eq!(status, 400, "{name}: {reply}");
            assert!(reply["error"].as_str().is_some_and(|error| error.contains("withdrawn")), "{name}: {reply}");
        } else {
            assert!(matches!(status, 200 | 204), "{name}: {status} {reply}");
            assert!(reply.is_null() || reply.is_object(), "{name}: {reply}");
        }
        seen += 1;
    }
    assert!(seen >= 25, "only {seen} inline calls were found");
}

#[tokio::test]
async fn every_event_delivery_is_understood() {
    let Some(files) = files(".request.json") else { return };
    let gateway = TestGateway::with("okta.event", "", "fn on_event(event) { log(`${event.type}`); }", "");
    let mut seen = 0;
    for (name, text) in files.iter().filter(|(name, _)| name.starts_with("event-") || name.starts_with("http-event-")) {
        if name.starts_with("event-verification") {
            continue;
        }
        let (status, reply) = gateway.post(body_of(text)).await;
        assert_eq!(status, 204, "{name}: {reply}");
        seen += 1;
    }
    assert!(seen >= 25, "only {seen} deliveries were found");
    gateway.work().await;
    let page = gateway.delivery.store().list(Query { limit: 1_000, ..Query::default() }).await.unwrap();
    // Several captures are of the same event.
    assert!(page.events.len() >= 20, "{} events are kept", page.events.len());
    for event in page.events {
        assert!(event.jobs.get(&JobState::Done) == Some(&1) && event.jobs.len() == 1, "{event:?} reached no rule");
    }
}

/// Captures of whole HTTP calls hold the body inside.
fn body_of(text: &str) -> String {
    let value: Value = serde_json::from_str(text).expect("samples are JSON");
    match value.get("body").filter(|_| value.get("headers").is_some()) {
        Some(body) => body.to_string(),
        None => text.to_owned(),
    }
}

/// Reply file, what the script returns, and overrides of the hook's sample under which Okta would take that.
const PRODUCED: &[(&str, &str, &str)] = &[
    ("inline-import-docs-create", "create_user()", "{}"),
    ("inline-import-docs-user-profile", r#"set_profile("firstName", "Stan")"#, "{}"),
    ("inline-import-javasdk-createUserTest", "create_user()", "{}"),
    ("inline-import-javasdk-updateUserProfile", r#"set_profile("firstName", "Stan")"#, "{}"),
    ("inline-import-spec-appuser-profile", r#"set_app_profile("firstName", "Stan")"#, "{}"),
    ("inline-import-spec-create", "create_user()", "{}"),
    ("inline-import-spec-user-profile", r#"set_profile("firstName", "Stan")"#, "{}"),
    ("inline-password-docs-verified", "verified()", "{}"),
    ("inline-password-javasdk-passwordImportVerifiedTest", "verified()", "{}"),
    ("inline-password-spec-verified", "verified()", "{}"),
    (
        "inline-registration-docs-progressive-deny-error",
        r#"[deny("Incorrect employee number. Enter an employee number with 4 digits."),
            deny_field("employeeNumber", "Only employee numbers with 4 digits can register.", "INVALID_EMPLOYEE_NUMBER")]"#,
        PROGRESSIVE,
    ),
    ("inline-registration-docs-progressive-update", r#"set_profile("employeeNumber", "1234")"#, PROGRESSIVE),
    ("inline-registration-docs-ssr-update", r#"set_profile("login", "first.last@example.com")"#, "{}"),
    (
        "inline-registration-docs-two-updates",
        r#"[set_profile("middleName", "Danger"), set_profile("customerId", 12345)]"#,
        "{}",
    ),
    ("inline-registration-javasdk-allow", "allow()", "{}"),
    (
        "inline-registration-javasdk-updateProfile",
        r#"set_profile(#{ prop1: "value1", prop2: 2, prop3: true, prop4: ["one", "two", "three"] })"#,
        "{}",
    ),
    (
        "inline-saml-docs-2020-single",
        r#"[[replace("/claims/http:~1~1schemas.xmlsoap.org~1ws~12005~105~1identity~1claims~1foo/attributeValues/0/value", "replacementValue"),
             replace(["claims", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/foo", "attributes"],
                #{ attributes: #{ NameFormat: "urn:oasis:names:tc:SAML:2.0:attrname-format:basic" } }),
             add_attribute("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/bar", "bearer")]]"#,
        SAML,
    ),
    ("inline-saml-javasdk-basicAdd", r#"add_attribute("foo", "barer")"#, SAML),
    (
        "inline-saml-javasdk-complexAddRemove",
        r#"[[replace("/claims/array/attributeValues/1/value", "replacementValue")],
            [replace("/authentication/authnContext", #{ authnContextClassRef: "Something:different?" })],
            [add_attribute("foo", "bearer")], [replace("/authentication/sessionIndex", "definitelyARealSession")]]"#,
        SAML,
    ),
    (
        "inline-saml-javasdk-replaceComplex",
        r#"replace("/authentication/authnContext", #{ authnContextClassRef: "Something:different?" })"#,
        SAML,
    ),
    (
        "inline-saml-spec",
        r#"[[replace("/claims/array/attributeValues/1/value", "replacementValue"),
             replace("/authentication/authnContext", #{ authnContextClassRef: "replacementValue" }),
             add_attribute("extPatientId", "4321"), set_session_lifetime(300)],
            [replace("/authentication/sessionIndex", "exampleSession")]]"#,
        SAML,
    ),
    (
        "inline-telephony-docs-success",
        r#"sent("VONAGE", "SM49a8ece2822d44e4adaccd7ed268f954", "Duration=300ms")"#,
        "{}",
    ),
    (
        "inline-telephony-twilio-success",
        r#"sent("Twilio Verify", "VEXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX", "VLXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX")"#,
        "{}",
    ),
    (
        "inline-token-docs-multi",
        r#"[id_token.replace_claim("extPatientId", "1234"),
            access_token.replace_claim("external_guid", "F0384685-F87D-474B-848D-2058AC5655A7")]"#,
        TOKEN,
    ),
    (
        "inline-token-javasdk-addClaim",
        r#"[access_token.add_claim("access1", "value1"), id_token.add_claim("id1", "value1")]"#,
        TOKEN,
    ),
    (
        "inline-token-javasdk-addClaims",
        r#"[access_token.add_claim("access1", "value1"), access_token.add_claim("access2", 2),
            access_token.add_claim("access3", true), access_token.add_claim("access4", ["one", "two", "three"]),
            id_token.add_claim("id1", "value1"), id_token.add_claim("id2", 2), id_token.add_claim("id3", true),
            id_token.add_claim("id4", ["one", "two", "three"])]"#,
        TOKEN,
    ),
    ("inline-token-javasdk-emptySuccess", "()", TOKEN),
    (
        "inline-token-javasdk-removeClaims",
        r#"[access_token.remove_claim("access1"), access_token.remove_claim("access2"), access_token.remove_claim("access3"),
            id_token.remove_claim("id1"), id_token.remove_claim("id2"), id_token.remove_claim("id3")]"#,
        TOKEN,
    ),
    ("inline-token-javasdk-tokenExpiration", "[access_token.set_lifetime(4242), id_token.set_lifetime(2424)]", TOKEN),
    ("inline-token-spec-add-member", r#"id_token.add_claim(["employee_profile", "department_id"], "4947")"#, TOKEN),
    ("inline-token-spec-append-array", r#"id_token.add_claim(["preferred_airports", 3], "lax")"#, TOKEN),
    ("inline-token-spec-lifetime", "[id_token.set_lifetime(36000), access_token.set_lifetime(36000)]", TOKEN),
    ("inline-token-spec-remove-member", r#"id_token.remove_claim(["employee_profile", "email"])"#, TOKEN),
    (
        "inline-token-spec-replace",
        r#"[id_token.replace_claim("extPatientId", "1234"),
            id_token.replace_claim("external_guid", "F0384685-F87D-474B-848D-2058AC5655A7")]"#,
        TOKEN,
    ),
];

/// Replies that cannot be made, and why that is right.
const NOT_PRODUCED: &[(&str, &str)] = &[
    ("event-verification-get", "an answer of the gateway itself"),
    ("inline-delauth-beta-1", "a withdrawn beta"),
    ("inline-edge-error-empty", "an error without text tells nobody anything"),
    ("inline-edge-remove-with-value", "voids the whole patch"),
    ("inline-edge-reserved-claim", "voids the whole patch"),
    ("inline-import-docs-link", "it links to the id of a group (`00g…`)"),
    ("inline-import-spec-link", "it links to the id of a group (`00g…`)"),
    ("inline-password-docs-typo", "a misspelt command type"),
    ("inline-registration-javasdk-deny", "a denial needs a text"),
    ("inline-registration-javasdk-errorWithDebugContext", "an error without command and summary"),
    ("inline-registration-javasdk-singleErrorCause", "an error without command and summary"),
    ("inline-registration-progressive-spec-deny", "a misspelt command type"),
    ("inline-registration-ssr-spec-allow", "a misspelt command type"),
    ("inline-telephony-docs-failure", "no command; `block` writes its own error"),
    ("inline-telephony-spec-failure", "the error has the wrong shape"),
    ("inline-telephony-twilio-error", "no command; `block` writes its own error"),
    ("inline-token-beta-2018", "a withdrawn beta"),
    ("inline-token-spec-remove", "`remove` with a null value; ours leaves it out, as the other samples do"),
];

const PROGRESSIVE: &str = r#"{"data": {"userProfile": null, "userProfileUpdate": {"employeeNumber": "12345"}}}"#;
const TOKEN: &str = r#"{"data": {
    "identity": {"claims": {"extPatientId": "1", "external_guid": "2", "id1": 1, "id2": 1, "id3": 1,
        "employee_profile": {"email": "x@y.example"}, "preferred_airports": ["sfo", "sjc", "oak"]},
        "token": {"lifetime": {"expiration": 3600}}},
    "access": {"claims": {"external_guid": "2", "access1": 1, "access2": 1, "access3": 1},
        "token": {"lifetime": {"expiration": 3600}}, "scopes": {}}}}"#;
const SAML: &str = r#"{"data": {"assertion": {
    "authentication": {"sessionIndex": "i", "authnContext": {"authnContextClassRef": "c"}},
    "claims": {"array": {"attributes": {"NameFormat": "f"}, "attributeValues": [
            {"attributes": {"xsi:type": "xs:string"}, "value": "a"}, {"attributes": {"xsi:type": "xs:string"}, "value": "b"}]},
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/foo": {"attributes": {"NameFormat": "f"},
            "attributeValues": [{"attributes": {"xsi:type": "xs:string"}, "value": "a"}]}}}}}"#;

#[tokio::test]
async fn every_documented_reply_can_be_produced_to_the_letter() {
    let Some(files) = files(".response.json") else { return };
    let names = files.keys().filter(|name| !name.starts_with("mgmt-"));
    let mut unknown: Vec<&String> = Vec::new();
    for file in names {
        let name = file.trim_end_matches(".response.json");
        let Some((_, returned, overrides)) = PRODUCED.iter().find(|row| row.0 == name) else {
            if !NOT_PRODUCED.iter().any(|row| row.0 == name) {
                unknown.push(file);
            }
            continue;
        };
        let (hook, entry, on_failure) = hook_of(name).expect("the name begins with the hook");
        let row = hookgate_hooks::find(hook).expect("the hook is there");
        let mut request: Value = serde_json::from_str(row.samples[0].request).expect("samples are JSON");
        // An id of its own, so that no guard answers.
        merge(&mut request, &serde_json::from_str(overrides).expect("overrides are JSON"));
        let gateway = TestGateway::of(hook, on_failure, &format!("fn {entry}(_request) {{ {returned} }}"));
        let (status, reply) = gateway.post(request.to_string()).await;
        let expected: Value = serde_json::from_str(&files[file]).expect("samples are JSON");
        assert_eq!(status, 200, "{name}");
        // As text, so that the order of members counts.
        assert_eq!(without_debug(reply).to_string(), expected.to_string(), "{name}");
    }
    assert!(unknown.is_empty(), "neither produced nor explained: {unknown:?}");
}

/// RFC 7396: `null` removes.
fn merge(target: &mut Value, patch: &Value) {
    let (Some(fields), Some(patch)) = (target.as_object_mut(), patch.as_object()) else {
        *target = patch.clone();
        return;
    };
    for (name, value) in patch {
        if value.is_null() {
            fields.shift_remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}
