use proptest::prelude::*;
use rhai::Array;
use serde_json::{Value, json};

use super::samples::{CONFLICT, MATCHED};
use super::*;
use crate::okta::trial;

fn reply(body: &str) -> Result<Reply, String> {
    let script = format!("fn on_user_import(request) {{ {body} }}");
    trial::reply::<UserImport>(crate::find("okta.user_import").unwrap().library(), CONFLICT, &script)
}

#[test]
fn samples_give_their_replies() {
    trial::samples::<UserImport>(crate::find("okta.user_import").unwrap().library());
}

#[test]
fn every_field_is_readable() {
    for (request, expression) in [
        (CONFLICT, r#"request.id == "iM7nQ0aQR2-3kzNcUuF1wA" && request.source == "calImportHook0000001""#),
        (CONFLICT, r#"request.profile.login == "ann@mail.example" && request.profile.city == ()"#),
        (CONFLICT, r#"request.app_profile.externalId == "00123" && request.app_profile.groups[1] == "support""#),
        (CONFLICT, r#"request.app.id == "0oaHr000000000000001" && request.app.name == "hr_feed""#),
        (CONFLICT, r#"request.app.label == "HR" && request.app.status == "ACTIVE""#),
        (CONFLICT, r#"request.job.id == "ijJob000000000000001" && request.job.type == "import:users""#),
        (CONFLICT, r#"request.conflicts == ["login"] && request.matches == [] && request.policy.len() == 2"#),
        (CONFLICT, r#"request.user_id == () && request.default_action == "CREATE_USER" && request.ip == ()"#),
        (MATCHED, r#"request.user_id == request.matches[0] && request.matches[1].id == "00uBob0000000000001""#),
        (MATCHED, r#"request.default_action == "LINK_USER" && request.profile.lastName == ()"#),
        (
            r#"{"data":{"user":{}}}"#,
            "request.profile.any == () && request.app_profile == #{} && request.conflicts == []",
        ),
        (
            r#"{"data":{"appUser":{},"context":null}}"#,
            "request.app == () && request.job == () && request.default_action == ()",
        ),
    ] {
        let value = trial::value::<UserImport>(crate::find("okta.user_import").unwrap().library(), request, expression);
        assert_eq!(value.as_bool(), Ok(true), "{expression}");
    }
}

#[test]
fn what_is_no_import_call_is_refused() {
    for (body, problem) in [
        (r#"{"data":{}}"#, "neither `data.user` nor `data.appUser`"),
        (r#"{"data":{"user":[]}}"#, "`data.user` must be"),
        (r#"{"data":{"user":{"profile":"x"}}}"#, "`data.user.profile` must be an object"),
        (r#"{"eventType":"com.okta.user.pre-registration","data":{"user":{}}}"#, "okta.registration"),
    ] {
        let error = UserImport::decode(&body.to_owned().into()).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(problem), "{body}: {error}");
    }
}

#[test]
fn replies_have_the_form_of_the_contract() {
    for (body, expected) in [
        ("create_user()", r#"[{"type":"com.okta.action.update","value":{"result":"CREATE_USER"}}]"#),
        (
            r#"link_user("00uBob")"#,
            r#"[{"type":"com.okta.action.update","value":{"result":"LINK_USER"}},{"type":"com.okta.user.update","value":{"id":"00uBob"}}]"#,
        ),
        (
            r#"set_profile("firstName", "Stan")"#,
            r#"[{"type":"com.okta.user.profile.update","value":{"firstName":"Stan"}}]"#,
        ),
        (
            r#"[set_app_profile(#{b: [1], a: ()}), set_profile("x", 2)]"#,
            r#"[{"type":"com.okta.appUser.profile.update","value":{"a":null,"b":[1]}},{"type":"com.okta.user.profile.update","value":{"x":2}}]"#,
        ),
    ] {
        let reply = reply(body).unwrap_or_else(|error| panic!("{body}: {error}"));
        assert_eq!(trial::body(&reply)["commands"].to_string(), expected, "{body}");
    }
    for body in ["", "()", "[]", "[[]]"] {
        assert_eq!(reply(body).unwrap(), Reply::json("{}"), "{body}");
    }
}

#[test]
fn what_okta_would_ignore_is_refused() {
    for (body, problem) in [
        ("link_user(\"\")", "needs the id of an Okta user"),
        ("link_user(request.user_id)", "where nobody was matched, there is none"),
        ("link_user(\"ann@mail.example\")", "`ann@mail.example` is none"),
        ("link_user(\"00u Bob\")", "`00u Bob` is none"),
        ("[create_user(), link_user(\"00uBob\")]", "`create_user` beside another decision"),
        ("[create_user(), create_user()]", "`create_user` beside another decision"),
        ("[[link_user(\"00uBob\")], link_user(\"00uAnn\")]", "`link_user` more than once"),
        ("set_profile(\"\", 1)", "`set_profile` needs the name of an attribute"),
        ("set_app_profile(#{})", "`set_app_profile` got an empty map"),
        ("set_profile(\"f\", Fn(\"x\"))", "`f` cannot be sent"),
        ("fail(\" \")", "`fail` needs a text"),
        ("1", "returned `1`"),
    ] {
        let error = reply(body).unwrap_err();
        assert!(error.contains(problem), "{body}: {error}");
    }
}

#[test]
fn a_failure_is_sent_alone() {
    let reply = reply(r#"[create_user(), link_user("00uBob"), fail("no"), fail("never")]"#).unwrap();
    assert_eq!(trial::body(&reply), json!({"error": {"errorSummary": "no"}}));
}

#[test]
fn a_broken_script_changes_nothing() {
    let declared = crate::find(UserImport::NAME).unwrap().declared("unchanged", None).unwrap();
    assert_eq!(declared.reply(&trial::MARK), Reply::json("{}"));
}

#[test]
fn the_effect_says_what_okta_does() {
    let effect = |body: &str| trial::effect::<UserImport>(&reply(body).unwrap());
    assert_eq!(effect(""), "Okta does what it was going to do");
    assert_eq!(effect("create_user()"), "Okta creates a user");
    assert_eq!(
        effect(r#"[link_user("00uBob"), set_profile(#{a: 1, b: 2}), set_app_profile("c", 3)]"#),
        "Okta links the imported user to 00uBob, sets a, b of the Okta user, sets c of the app's user"
    );
    assert_eq!(
        effect("fail(\"no\")"),
        "Okta records \"no\" in its System Log and goes on with what it was going to do"
    );
    assert_eq!(
        trial::effect::<UserImport>(&Reply::empty(500)),
        "Okta goes on and creates the user, because the reply was HTTP 500"
    );
}

/// Whether a reply is one of the contract's. Written from the contract alone: it shares no code with the hook.
fn okta_accepts(reply: &Value) -> Result<(), &'static str> {
    if let Some(error) = reply.get("error") {
        let alone =
            reply.get("commands").is_none() && error["errorSummary"].as_str().is_some_and(|text| !text.is_empty());
        return if alone { Ok(()) } else { Err("an error is sent alone") };
    }
    let (mut results, mut ids) = (Vec::new(), 0);
    for command in reply["commands"].as_array().into_iter().flatten() {
        let value = command["value"].as_object().ok_or("a value is an object")?;
        match command["type"].as_str() {
            Some("com.okta.action.update") => results.push(value["result"].as_str().unwrap_or_default()),
            Some("com.okta.user.update") => ids += usize::from(value["id"].as_str().is_some_and(|id| !id.is_empty())),
            Some("com.okta.user.profile.update" | "com.okta.appUser.profile.update") if !value.is_empty() => (),
            _ => return Err("unknown command"),
        }
    }
    match (&results[..], ids) {
        ([] | ["CREATE_USER"], 0) | (["LINK_USER"], 1) => Ok(()),
        _ => Err("decisions contradict each other"),
    }
}

fn built() -> impl Strategy<Value = Option<Command>> {
    (0..6_u8, "[a0@ ]{0,2}").prop_map(|(kind, text)| match kind {
        0 => Some(Command::CreateUser),
        1 | 2 => link_user(text.into()).ok(),
        3 => attributes("set_profile", [(text, Dynamic::from(1_i64))]).ok().map(Command::SetProfile),
        4 => attributes("set_app_profile", []).ok().map(Command::SetAppProfile),
        _ => fail(text.into()).ok(),
    })
}

proptest! {
    #[test]
    fn every_reply_is_one_that_okta_accepts(commands in prop::collection::vec(built(), 0..4)) {
        let request = UserImport::decode(&CONFLICT.into()).unwrap();
        let returned: Array = commands.into_iter().flatten().map(Dynamic::from).collect();
        match UserImport::reply(&request, Commands::collect(returned.into(), &String::new).unwrap().0, &trial::MARK) {
            Ok(reply) => prop_assert_eq!(okta_accepts(&reply.value()), Ok(())),
            Err(CommandError::Invalid { problem }) => prop_assert!(problem.contains("the script returned")),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
