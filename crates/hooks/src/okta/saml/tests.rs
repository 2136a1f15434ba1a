use proptest::prelude::*;
use rhai::{Array, Dynamic};
use serde_json::{Value, json};

use super::commands::{add_attribute, refuse, replace, replace_attribute, set_name_id, set_session_lifetime};
use super::samples::{PORTAL, SPARSE};
use super::*;
use crate::okta::trial;
use hookgate_script::prelude::json;

fn reply_to(request: &str, body: &str) -> Result<Reply, String> {
    trial::reply::<Saml>(
        crate::find("okta.saml").unwrap().library(),
        request,
        &format!("fn on_saml(request) {{ {body} }}"),
    )
}

fn reply(body: &str) -> Result<Reply, String> {
    reply_to(PORTAL, body)
}

#[test]
fn samples_give_their_replies() {
    trial::samples::<Saml>(crate::find("okta.saml").unwrap().library());
}

#[test]
fn every_field_is_readable() {
    for (request, expression) in [
        (
            PORTAL,
            r#"request.app.id == "0oaPortal0000000001" && request.app.name == "Portal" && request.app.uri == request.issuer"#,
        ),
        (PORTAL, r#"request.protocol == "SAML2.0" && request.provider_name == "portal.example""#),
        (PORTAL, r#"request.subject.name_id == "ann" && request.subject.name_format.ends_with(":unspecified")"#),
        (PORTAL, r#"request.subject.confirmation_method.ends_with(":bearer")"#),
        (PORTAL, r#"request.subject.recipient == "https://portal.example/saml""#),
        (PORTAL, r#"request.attributes.groups == ["everyone", "support"]"#),
        (
            PORTAL,
            r#"request.attributes["http://schemas.example.com/floor"] == ["3"] && request.attributes.absent == ()"#,
        ),
        (PORTAL, r#"request.attribute_types["http://schemas.example.com/floor"] == ["xs:integer"]"#),
        (PORTAL, r#"request.attribute_formats.department.ends_with(":unspecified")"#),
        (PORTAL, r#"request.audiences == ["urn:example:portal"] && request.lifetime == 300"#),
        (PORTAL, r#"request.authn_context.ends_with(":PasswordProtectedTransport")"#),
        (PORTAL, r#"request.session_index == "id1772439330000.1" && request.session.mfa_active"#),
        (PORTAL, r#"request.user.login == "ann@mail.example""#),
        (SPARSE, "request.subject.name_id == () && request.attributes == #{} && request.audiences == []"),
        (SPARSE, "request.app == () && request.issuer == () && request.user == () && request.lifetime == ()"),
        (r#"{"data":{"assertion":{"conditions":{"audienceRestriction":"one"}}}}"#, r#"request.audiences == ["one"]"#),
    ] {
        let value = trial::value::<Saml>(crate::find("okta.saml").unwrap().library(), request, expression);
        assert_eq!(value.as_bool(), Ok(true), "{expression}");
    }
}

#[test]
fn what_is_no_saml_call_is_refused() {
    for (body, problem) in [
        (r#"{"data":{}}"#, "`data.assertion` is missing"),
        (r#"{"data":{"assertion":null}}"#, "`data.assertion` is missing"),
        (r#"{"data":{"assertion":"<saml/>"}}"#, "`data.assertion` must be"),
        (r#"{"eventType":"com.okta.oauth2.tokens.transform","data":{"assertion":{}}}"#, "okta.token"),
    ] {
        let error = Saml::decode(&body.to_owned().into()).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(problem), "{body}: {error}");
    }
}

#[test]
fn operations_have_the_form_of_the_contract() {
    let value = |text: &str| json!({"attributes": {"xsi:type": "xs:string"}, "value": text});
    for (body, expected) in [
        (
            r#"add_attribute("a/b", [1, true, "x<&"], "urn:oasis:names:tc:SAML:2.0:attrname-format:uri")"#,
            json!({"op": "add", "path": "/claims/a~1b", "value": {
                "attributes": {"NameFormat": "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"},
                "attributeValues": [value("1"), value("true"), value("x<&")]}}),
        ),
        (
            r#"add_attribute("roles", [])"#,
            json!({"op": "add", "path": "/claims/roles", "value": {"attributes": {"NameFormat": BASIC_FORMAT}, "attributeValues": []}}),
        ),
        (
            r#"replace_attribute("http://schemas.example.com/floor", 4)"#,
            json!({"op": "replace", "path": "/claims/http:~1~1schemas.example.com~1floor", "value": {
                "attributes": {"NameFormat": "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"},
                "attributeValues": [{"attributes": {"xsi:type": "xs:integer"}, "value": "4"}]}}),
        ),
        (r#"set_name_id("bob")"#, json!({"op": "replace", "path": "/subject/nameId", "value": "bob"})),
        ("set_session_lifetime(1)", json!({"op": "add", "path": "/authentication/sessionLifetime", "value": 1})),
        (
            r#"replace(["conditions", "audienceRestriction", 0], "urn:x")"#,
            json!({"op": "replace", "path": "/conditions/audienceRestriction/0", "value": "urn:x"}),
        ),
        (
            r#"replace("/claims/groups/attributes", #{ attributes: #{ NameFormat: "urn:x" } })"#,
            json!({"op": "replace", "path": "/claims/groups/attributes", "value": {"attributes": {"NameFormat": "urn:x"}}}),
        ),
    ] {
        let reply = reply(body).unwrap_or_else(|error| panic!("{body}: {error}"));
        let expected = json!({"commands": [{"type": "com.okta.assertion.patch", "value": [expected]}]});
        assert_eq!(trial::body(&reply).to_string(), expected.to_string(), "{body}");
    }
    for body in ["", "()", "[]", "[[]]"] {
        assert_eq!(reply(body).unwrap(), Reply::empty(204), "{body}");
    }
}

#[test]
fn what_voids_the_answer_is_refused_where_it_is_written() {
    for (body, problem) in [
        (r#"add_attribute("", 1)"#, "must not be empty"),
        (r#"add_attribute("/claims/x", 1)"#, "write the attribute's plain name, `x`"),
        (r#"add_attribute("x", ())"#, "is `()`; leave it out"),
        (r#"add_attribute("x", ["a", ()])"#, "is `()`; leave it out"),
        (r#"add_attribute("x", #{a: 1})"#, "is a map; it must be a text"),
        (r#"add_attribute("x", [[1]])"#, "is an array; it must be a text"),
        (r#"add_attribute("x", "a\x01b")"#, "U+0001, which XML cannot carry"),
        (r#"add_attribute("x\x08", "a")"#, "the name contains the character U+0008"),
        (r#"add_attribute("x", "a", "basic")"#, "the format `basic` is no URI"),
        (r#"set_name_id("")"#, "needs a text"),
        (r#"set_name_id("a\x00")"#, "U+0000"),
        ("set_session_lifetime(0)", "1 to 2147483647 seconds, not 0"),
        ("set_session_lifetime(-1)", "not -1"),
        ("set_session_lifetime(2147483648)", "not 2147483648"),
        (r#"replace("claims/department", 1)"#, "must begin with `/`"),
        (
            r#"replace("/lifetime/expiration", 1)"#,
            "`/lifetime/expiration` cannot be replaced; Okta takes places below /claims, /subject, /authentication, /conditions",
        ),
        (r#"replace("/claims", #{})"#, "`/claims` cannot be replaced"),
        (r#"replace("/claims/a~2", 1)"#, "`~` stands without 0 or 1"),
        (r#"replace([], 1)"#, "at least one name"),
        (r#"replace("/claims/department", #{a: 1})"#, "not of the form of an attribute"),
        (r#"replace("/claims/department", "x")"#, "not of the form of an attribute"),
        (r#"replace("/claims/department/attributeValues", [1])"#, "not of the form of an attribute"),
        (r#"replace("/claims/department/attributeValues/0", #{value: 1})"#, "not of the form of an attribute"),
        (r#"replace("/subject/nameId", ())"#, "replaced by `()`"),
        (r#"replace("/subject/nameId", "a\x0b")"#, "U+000B"),
        (r#"refuse("")"#, "needs a text"),
        ("true", "returned `true`"),
    ] {
        let error = reply(body).unwrap_err();
        assert!(error.contains(problem), "{body}: {error}");
    }
}

#[test]
fn what_does_not_fit_the_call_is_explained() {
    for (request, body, expected) in [
        (
            PORTAL,
            r#"add_attribute("groups", 1)"#,
            "`add_attribute(\"groups\", …)`: the assertion has this attribute; use `replace_attribute`",
        ),
        (
            PORTAL,
            r#"replace_attribute("role", 1)"#,
            "`replace_attribute(\"role\", …)`: the assertion has no such attribute; use `add_attribute`",
        ),
        (
            PORTAL,
            r#"replace("/claims/groups/attributeValues/2/value", "x")"#,
            "the assertion has nothing at `/claims/groups/attributeValues/2/value` that could be replaced",
        ),
        (
            PORTAL,
            r#"replace("/conditions/audienceRestriction/1", "x")"#,
            "`/conditions/audienceRestriction/1` is no position in its array, which has 1 items, counted from 0",
        ),
        (
            PORTAL,
            r#"replace("/authentication/authnContext", #{ authnContextClassRef: #{} })"#,
            "Runtime error: the value at `/authentication/authnContext/authnContextClassRef` must be a text (line 1, position 23)",
        ),
        (
            PORTAL,
            r#"replace("/conditions/audienceRestriction", "x")"#,
            "Runtime error: the value at `/conditions/audienceRestriction` must be an array (line 1, position 23)",
        ),
        (SPARSE, r#"set_name_id("x")"#, "the assertion has nothing at `/subject/nameId` that could be replaced"),
        (
            SPARSE,
            "set_session_lifetime(60)",
            "the assertion has no `/authentication` to add `/authentication/sessionLifetime` to",
        ),
        (
            r#"{"data":{"assertion":{}}}"#,
            r#"add_attribute("x", 1)"#,
            "the assertion has no `/claims` to add `/claims/x` to",
        ),
    ] {
        assert_eq!(reply_to(request, body).unwrap_err(), expected, "{body}");
    }
}

#[test]
fn the_type_of_an_attribute_fits_its_values() {
    let kind = |body: &str| {
        let reply = reply(body).unwrap_or_else(|error| panic!("{body}: {error}"));
        let value = trial::body(&reply)["commands"][0]["value"][0]["value"].clone();
        let format = value["attributes"]["NameFormat"].as_str().unwrap().rsplit_once(':').unwrap().1.to_owned();
        (value["attributeValues"][0]["attributes"]["xsi:type"].as_str().unwrap().to_owned(), format)
    };
    let is = |kind: &str, format: &str| (kind.to_owned(), format.to_owned());
    let uri = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri";
    assert_eq!(kind(r#"add_attribute("a", 4321)"#), is("xs:string", "basic"));
    assert_eq!(kind(r#"add_attribute("a", 4321, "xs:integer")"#), is("xs:integer", "basic"));
    assert_eq!(kind(&format!(r#"add_attribute("a", "x", "{uri}")"#)), is("xs:string", "uri"));
    assert_eq!(kind(&format!(r#"add_attribute("a", true, "{uri}", "xs:boolean")"#)), is("xs:boolean", "uri"));
    assert_eq!(kind(r#"replace_attribute("department", 7, "xs:integer")"#), is("xs:integer", "unspecified"));
    assert_eq!(kind(r#"replace_attribute("http://schemas.example.com/floor", 4)"#), is("xs:integer", "uri"));
    assert_eq!(kind(r#"replace_attribute("http://schemas.example.com/floor", "third")"#), is("xs:string", "uri"));
    assert_eq!(kind(r#"replace_attribute("http://schemas.example.com/floor", [4, "third"])"#), is("xs:string", "uri"));
    for (body, problem) in [
        (r#"add_attribute("a", "x", "xs:integer")"#, "its type is `xs:integer`, and `x` is none"),
        (r#"add_attribute("a", [1, 2.5], "xs:integer")"#, "`2.5` is none"),
        (r#"add_attribute("a", "x", "xs:integr")"#, "there is no type `xs:integr`"),
        (r#"replace_attribute("department", "x", "xs:date")"#, "`x` is none"),
        (
            r#"replace("/claims/http:~1~1schemas.example.com~1floor/attributeValues/0/value", "third")"#,
            "`third` is none",
        ),
        (r#"replace("/claims/department/attributeValues/0/attributes/xsi:type", "xs:integer")"#, "`support` is none"),
        (
            r#"[add_attribute("n", 7), replace("/claims/n/attributeValues/0/attributes/xsi:type", "xs:boolean")]"#,
            "`7` is none",
        ),
    ] {
        let error = reply(body).unwrap_err();
        assert!(error.contains(problem), "{body}: {error}");
    }
    assert!(
        reply(
            r#"[add_attribute("n", 4321), replace("/claims/n/attributeValues/0/attributes/xsi:type", "xs:integer")]"#
        )
        .is_ok()
    );
}

#[test]
fn what_okta_has_for_itself_is_closed_to_every_command() {
    for name in ["OktaAuth", "okta_auth", "oktaauth"] {
        for body in [
            format!(r#"add_attribute("{name}", "x")"#),
            format!(r#"replace_attribute("{name}", "x")"#),
            format!(r#"replace("/claims/{name}", #{{ attributeValues: [] }})"#),
            format!(r#"replace(["claims", "{name}", "attributeValues", 0, "value"], "x")"#),
        ] {
            let error = reply(&body).unwrap_err();
            assert!(error.contains("belongs to Okta"), "{body}: {error}");
        }
    }
}

#[test]
fn later_commands_see_earlier_ones() {
    assert!(reply(r#"[add_attribute("x", ["a", "b"]), replace("/claims/x/attributeValues/1/value", "c"), replace_attribute("x", 1)]"#).is_ok());
    assert!(reply(r#"[set_session_lifetime(60), replace("/authentication/sessionLifetime", 90)]"#).is_ok());
    assert!(reply(r#"[[add_attribute("x", 1)], [add_attribute("x", 1)]]"#).is_err());
    assert!(
        reply(r#"[replace_attribute("groups", "one"), replace("/claims/groups/attributeValues/1/value", "c")]"#)
            .is_err()
    );
}

#[test]
fn a_refusal_wins_over_everything_else() {
    for body in [r#"refuse("no")"#, r#"[[replace_attribute("absent", 1)], refuse("no"), refuse("never")]"#] {
        assert_eq!(trial::body(&reply(body).unwrap()), json!({"error": {"errorSummary": "no"}}), "{body}");
    }
}

#[test]
fn failures_are_answered_as_declared() {
    let hook = crate::find(Saml::NAME).unwrap();
    let declared =
        |word, text: &'static str| hook.declared(word, (!text.is_empty()).then_some(text)).unwrap().reply(&trial::MARK);
    assert_eq!(declared("unchanged", ""), Reply::empty(204));
    assert_eq!(trial::body(&declared("refuse", "later")), json!({"error": {"errorSummary": "later"}}));
}

#[test]
fn the_effect_says_what_okta_does() {
    let effect = |body: &str| trial::effect::<Saml>(&reply(body).unwrap());
    assert_eq!(effect(""), "Okta sends the assertion unchanged");
    assert_eq!(
        effect(
            r#"[add_attribute("a/b", 1), set_session_lifetime(60), set_name_id("x"), replace_attribute("groups", "x")]"#
        ),
        "Okta sends the assertion and adds the attribute `a/b`, ends the app's session after 60 seconds, replaces `/subject/nameId`, replaces `groups`"
    );
    assert_eq!(effect("refuse(\"no\")"), "the sign-in fails, and the user reads \"no\"");
    assert_eq!(
        trial::effect::<Saml>(&Reply::empty(500)),
        "Okta sends the assertion unchanged, because the reply was HTTP 500"
    );
}

/// Does a reply as the contract says Okta does it. Written from the contract alone: it shares no code with the hook.
fn okta_accepts(request: &Value, reply: &Value) -> Result<(), String> {
    if reply.get("error").is_some() {
        return if reply.get("commands").is_none() { Ok(()) } else { Err("an error is sent alone".into()) };
    }
    let mut assertion = request["data"]["assertion"].clone();
    for command in reply["commands"].as_array().into_iter().flatten() {
        if command["type"] != "com.okta.assertion.patch" {
            return Err("unknown command".into());
        }
        for operation in command["value"].as_array().filter(|patch| !patch.is_empty()).ok_or("an empty patch")? {
            one_operation(&mut assertion, operation)?;
        }
    }
    Ok(())
}

fn one_operation(assertion: &mut Value, operation: &Value) -> Result<(), String> {
    let (op, path) = (operation["op"].as_str().unwrap(), operation["path"].as_str().unwrap());
    let value = operation.get("value").filter(|value| !value.is_null()).ok_or("no value")?;
    match op {
        "add" if path == "/authentication/sessionLifetime" => {
            let seconds = value.as_i64().filter(|seconds| *seconds > 0).ok_or("session lifetime")?;
            let parent = assertion.get_mut("authentication").and_then(Value::as_object_mut).ok_or("no parent")?;
            parent.insert("sessionLifetime".into(), seconds.into());
        }
        "add" => {
            let name =
                path.strip_prefix("/claims/").filter(|name| !name.contains('/')).ok_or("an add of no attribute")?;
            let values = value["attributeValues"].as_array().ok_or("no values")?;
            let good =
                values.iter().all(|value| value["value"].is_string() && value["attributes"]["xsi:type"].is_string());
            if !good || !value["attributes"]["NameFormat"].is_string() {
                return Err("not the form of an attribute".into());
            }
            let claims = assertion.get_mut("claims").and_then(Value::as_object_mut).ok_or("no parent")?;
            let name = name.replace("~1", "/").replace("~0", "~");
            if claims.insert(name, value.clone()).is_some() {
                return Err("an attribute added twice".into());
            }
        }
        "replace" => {
            let places = ["/claims/", "/subject/", "/authentication/", "/conditions/"];
            let target = assertion.pointer_mut(path).filter(|_| places.iter().any(|place| path.starts_with(place)));
            let target = target.ok_or("nothing to replace")?;
            if (target.is_object(), target.is_array()) != (value.is_object(), value.is_array()) {
                return Err("another structure".into());
            }
            *target = value.clone();
        }
        _ => return Err(format!("op {op}")),
    }
    Ok(())
}

fn built() -> impl Strategy<Value = Option<Command>> {
    let name = || prop::sample::select(vec!["a", "b/~", "groups", "", "c\u{1}"]);
    let part = prop::sample::select(vec![
        "claims",
        "subject",
        "authentication",
        "conditions",
        "lifetime",
        "a",
        "groups",
        "attributeValues",
        "0",
        "1",
        "value",
        "attributes",
        "nameId",
        "sessionLifetime",
        "audienceRestriction",
        "-",
    ]);
    let value =
        prop::sample::select(vec![json!("x"), json!(7), json!(null), json!({"value": "x"}), json!(["x"]), json!([])]);
    (0..8_u8, name(), prop::collection::vec(part, 0..5), value, -1..3_i64).prop_map(
        |(kind, name, path, value, seconds)| {
            let value = json::dynamic_from_json(&value);
            let path = || Pointer::new(path.iter().map(|part| (*part).to_owned()).collect());
            match kind {
                0 => add_attribute(name, value, BASIC_FORMAT, STRING_TYPE).ok(),
                1 => add_attribute(name, value, BASIC_FORMAT, "xs:integer").ok(),
                2 => replace_attribute(name, value, None).ok(),
                3 => set_session_lifetime(seconds).ok(),
                4 => set_name_id(name.into()).ok(),
                5 => refuse(if seconds == 0 { name } else { "" }.into()).ok(),
                _ => path().ok().and_then(|path| replace(path, &value).ok()),
            }
        },
    )
}

fn call() -> impl Strategy<Value = Value> {
    let attribute = json!({"attributes": {"NameFormat": BASIC_FORMAT},
        "attributeValues": [{"attributes": {"xsi:type": "xs:string"}, "value": "v"}]});
    any::<[bool; 5]>().prop_map(move |[claims, group, subject, authentication, conditions]| {
        let mut assertion = JsonMap::new();
        let mut member = |there, name: &str, value| {
            if there {
                assertion.insert(name.to_owned(), value);
            }
        };
        member(claims, "claims", if group { json!({"groups": attribute}) } else { json!({}) });
        member(subject, "subject", json!({"nameId": "n"}));
        member(authentication, "authentication", json!({}));
        member(conditions, "conditions", json!({"audienceRestriction": ["x"]}));
        json!({"data": {"assertion": assertion}})
    })
}

proptest! {
    #[test]
    fn every_reply_is_one_that_okta_accepts(
        call in call(),
        items in prop::collection::vec((any::<bool>(), prop::collection::vec(built(), 1..3)), 0..4),
    ) {
        let mut returned = Array::new();
        for (together, commands) in items {
            let commands: Array = commands.into_iter().flatten().map(Dynamic::from).collect();
            if together { returned.push(commands.into()) } else { returned.extend(commands) }
        }
        let request = Saml::decode(&call.to_string().into()).unwrap();
        match Saml::reply(&request, Commands::collect(returned.into(), &String::new).unwrap().0, &trial::MARK) {
            Ok(reply) => {
                prop_assert_eq!(okta_accepts(&call, &reply.value()), Ok(()));
                prop_assert_eq!(trial::violations::<Saml>(&call, &reply), Vec::<String>::new());
            }
            Err(CommandError::Invalid { problem }) => prop_assert!(!problem.is_empty()),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
