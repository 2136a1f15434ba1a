use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::samples::{AUTHORIZATION_CODE, CLIENT_CREDENTIALS, REFRESH};
use super::*;
use crate::okta::trial;

fn script(body: &str) -> String {
    format!("fn on_token(request) {{ {body} }}")
}

fn reply(request: &str, body: &str) -> Result<Reply, String> {
    trial::reply::<Token>(crate::find("okta.token").unwrap().library(), request, &script(body))
}

fn operations_of(body: &str) -> String {
    let reply = reply(AUTHORIZATION_CODE, body).unwrap_or_else(|error| panic!("{body}: {error}"));
    trial::body(&reply)["commands"][0]["value"].to_string()
}

#[test]
fn samples_give_their_replies() {
    trial::samples::<Token>(crate::find("okta.token").unwrap().library());
}

#[test]
fn every_field_is_readable() {
    for (request, expression) in [
        (
            AUTHORIZATION_CODE,
            r#"request.id == "tK3nQ0aQR2-3kzNcUuF1wA" && !request.preview && request.protocol == "OAUTH2.0""#,
        ),
        (AUTHORIZATION_CODE, r#"request.client.id == "0oaClient0000000000a" && request.client.name == "Portal""#),
        (AUTHORIZATION_CODE, r#"request.client.type == "PUBLIC" && request.client_id == request.client.id"#),
        (AUTHORIZATION_CODE, r#"request.scopes == ["openid", "profile"] && "openid" in request.access_token.scopes"#),
        (AUTHORIZATION_CODE, r#"request.grant_type == "implicit" && request.response_mode == "fragment""#),
        (AUTHORIZATION_CODE, r#"request.response_type == "token id_token" && request.state == "s7""#),
        (AUTHORIZATION_CODE, r#"request.redirect_uri == "https://app.example/callback""#),
        (AUTHORIZATION_CODE, r#"request.issuer == "https://example.okta.com/oauth2/default""#),
        (AUTHORIZATION_CODE, r#"request.session.amr == ["PASSWORD"] && request.session.login == request.user.login"#),
        (
            AUTHORIZATION_CODE,
            r#"request.policy.id == "00pPolicy00000000001" && request.policy.rule_id == "0prRule0000000000001""#,
        ),
        (AUTHORIZATION_CODE, r#"request.id_token.claims.airports[1] == "tokyo" && request.id_token.lifetime == 3600"#),
        (AUTHORIZATION_CODE, r#"request.id_token.scopes == () && request.id_token.scope_ids == ()"#),
        (
            AUTHORIZATION_CODE,
            r#"request.access_token.claims.absent == () && request.access_token.scope_ids.openid == "scpOpenid00000000001""#,
        ),
        (AUTHORIZATION_CODE, r#"request.refresh_token_id == "oarSample00000000001" && request.original_grant == ()"#),
        (CLIENT_CREDENTIALS, "request.user == () && request.session == () && request.id_token == ()"),
        (CLIENT_CREDENTIALS, "request.state == () && request.redirect_uri == () && request.refresh_token_id == ()"),
        (REFRESH, r#"request.session == () && request.access_token == () && request.scopes == ["openid"]"#),
        (REFRESH, r#"request.original_grant.scopes.len() == 3 && request.original_grant.response_type == "code""#),
        (REFRESH, r#"request.original_grant.refresh_token_id == request.refresh_token_id"#),
        (REFRESH, r#"request.original_grant.grant_type == () && request.original_grant.state == "s1""#),
    ] {
        let value = trial::value::<Token>(crate::find("okta.token").unwrap().library(), request, expression);
        assert_eq!(value.as_bool(), Ok(true), "{expression}");
    }
}

#[test]
fn the_request_cannot_be_written_to() {
    for body in [
        "request.id_token.claims.profile.floor = 1;",
        "request.id_token.lifetime = 1;",
        "request.scopes.push(\"x\");",
        "request.client = 1;",
        "id_token = 1;",
    ] {
        assert!(reply(AUTHORIZATION_CODE, body).is_err(), "{body}");
    }
}

#[test]
fn sparse_and_odd_calls_decode() {
    for body in [
        r#"{"data":{"access":{}}}"#,
        r#"{"data":{"identity":{"claims":null,"token":null},"access":null,"context":null}}"#,
        r#"{"data":{"context":{"protocol":{"OriginalGrant":{"request":{"scope":"a"}}}}}}"#,
        r#"{"eventType":"com.okta.oauth2.tokens.transform","data":{"identity":{"token":{"lifetime":{"expiration":"3600"}}},"new":[1]}}"#,
        r#"{"data":{"access":{},"context":{"session":{},"user":{},"policy":{},"protocol":{"client":{"id":7}}}}}"#,
    ] {
        assert!(Token::decode(&body.to_owned().into()).is_ok(), "{body}");
    }
}

#[test]
fn what_is_no_token_call_is_refused() {
    for (body, problem) in [
        ("", "the body is empty"),
        (r#"{"data":{}}"#, "none of `data.identity`"),
        (r#"{"data":{"context":{"user":{}}}}"#, "none of `data.identity`"),
        (r#"{"data":{"access":[]}}"#, "`data.access` must be"),
        (r#"{"data":{"access":{"claims":"x"}}}"#, "`data.access.claims` must be an object"),
        (r#"{"eventType":"com.okta.saml.tokens.transform","data":{"access":{}}}"#, "okta.saml"),
        (r#"{"eventType":"com.okta.tokens.transform","data":{"access":{}}}"#, "withdrawn"),
    ] {
        let error = Token::decode(&body.to_owned().into()).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(problem), "{body}: {error}");
    }
}

#[test]
fn operations_have_the_form_of_the_contract() {
    for (body, expected) in [
        (r#"id_token.add_claim("team", "red")"#, r#"[{"op":"add","path":"/claims/team","value":"red"}]"#),
        (r#"id_token.add_claim("a/b~c", 1.5)"#, r#"[{"op":"add","path":"/claims/a~1b~0c","value":1.5}]"#),
        (r#"id_token.add_claim("none", ())"#, r#"[{"op":"add","path":"/claims/none","value":null}]"#),
        (
            r#"id_token.add_claim("nickname", #{a: [1, true]})"#,
            r#"[{"op":"add","path":"/claims/nickname","value":{"a":[1,true]}}]"#,
        ),
        (r#"id_token.replace_claim("nickname", "x")"#, r#"[{"op":"replace","path":"/claims/nickname","value":"x"}]"#),
        (r#"id_token.remove_claim("nickname")"#, r#"[{"op":"remove","path":"/claims/nickname"}]"#),
        (r#"id_token.remove_claim(["profile", "rooms", 1])"#, r#"[{"op":"remove","path":"/claims/profile/rooms/1"}]"#),
        (
            r#"id_token.add_claim(["airports", 2], "lax")"#,
            r#"[{"op":"add","path":"/claims/airports/2","value":"lax"}]"#,
        ),
        (r#"id_token.set_lifetime(300)"#, r#"[{"op":"replace","path":"/token/lifetime/expiration","value":300}]"#),
        (
            r#"access_token.set_lifetime(86400)"#,
            r#"[{"op":"replace","path":"/token/lifetime/expiration","value":86400}]"#,
        ),
        (
            r#"access_token.replace_claim("aud", "api://other")"#,
            r#"[{"op":"replace","path":"/claims/aud","value":"api://other"}]"#,
        ),
        (r#"access_token.replace_claim("sub", "ann")"#, r#"[{"op":"replace","path":"/claims/sub","value":"ann"}]"#),
    ] {
        assert_eq!(operations_of(body), expected, "{body}");
    }
}

#[test]
fn what_voids_the_answer_is_refused_where_it_is_written() {
    for (body, problem) in [
        (
            r#"id_token.add_claim("groups", [])"#,
            "the claim `groups` of the ID token belongs to Okta; use another name such as `app_groups`",
        ),
        (r#"access_token.add_claim("groups", [])"#, "`app_groups`"),
        (r#"id_token.replace_claim("sub", "x")"#, "`app_sub`"),
        (r#"id_token.remove_claim("aud")"#, "`app_aud`"),
        (r#"access_token.remove_claim("aud")"#, "it can be replaced, and not removed"),
        (r#"access_token.remove_claim(["sub"])"#, "it can be replaced, and not removed"),
        (r#"id_token.add_claim("okta_auth", "x")"#, "the claim `okta_auth` of the ID token belongs to Okta"),
        (
            r#"access_token.replace_claim("okta_auth", "x")"#,
            "the claim `okta_auth` of the access token belongs to Okta",
        ),
        (
            r#"access_token.remove_claim(["okta_auth", "x"])"#,
            "the claim `okta_auth` of the access token belongs to Okta",
        ),
        (r#"access_token.remove_claim("scp")"#, "`app_scp`"),
        (r#"id_token.add_claim(["amr", "-"], "mfa")"#, "`app_amr`"),
        (r#"id_token.set_lifetime(299)"#, "300 to 86400 seconds, not 299"),
        (r#"id_token.set_lifetime(86401)"#, "not 86401"),
        (r#"id_token.set_lifetime(600.5)"#, "set_lifetime"),
        (r#"id_token.add_claim("", 1)"#, "must not be empty"),
        (r#"id_token.add_claim([], 1)"#, "at least one name"),
        (r#"id_token.add_claim(["a", ""], 1)"#, "part 2 of the path is empty"),
        (r#"id_token.add_claim(["a", -1], 1)"#, "`-1`, which is no position"),
        (r#"id_token.add_claim("/claims/team", 1)"#, "write the claim's plain name, `team`"),
        (r#"id_token.add_claim("f", Fn("x"))"#, "cannot be sent"),
        (r#"refuse("")"#, "needs a text"),
        (r#"refuse("  ")"#, "needs a text"),
        ("id_token", "returned a TokenPatch"),
        ("\"no\"", "returned a text"),
    ] {
        let error = reply(AUTHORIZATION_CODE, body).unwrap_err();
        assert!(error.contains(problem), "{body}: {error}");
    }
}

#[test]
fn what_does_not_fit_the_call_is_explained() {
    for (body, expected) in [
        (
            r#"id_token.replace_claim("team", 1)"#,
            "`id_token.replace_claim(\"team\", …)`: the ID token has no such claim; use `id_token.add_claim`, which also overwrites",
        ),
        (
            r#"access_token.remove_claim("team")"#,
            "`access_token.remove_claim(\"team\")`: the access token has no such claim to remove; ask first, as in `if \"team\" in request.access_token.claims`",
        ),
        (
            r#"id_token.add_claim(["team", "name"], 1)"#,
            "`id_token.add_claim([\"team\", \"name\"], …)`: the ID token has no map or array at \"team\"; add that first, as in `id_token.add_claim(\"team\", #{})`",
        ),
        (
            r#"id_token.add_claim(["airports", 3], 1)"#,
            "[\"airports\", \"3\"] in the ID token: `3` is no position in the array \"airports\", which has 2 items; `\"-\"` appends",
        ),
        (
            r#"id_token.remove_claim(["profile", "rooms", 2])"#,
            "[\"profile\", \"rooms\", \"2\"] in the ID token: `2` is no position in the array [\"profile\", \"rooms\"], which has 2 items",
        ),
    ] {
        assert_eq!(reply(AUTHORIZATION_CODE, body).unwrap_err(), expected, "{body}");
    }
    let without_lifetime = r#"{"data":{"access":{"claims":{}}}}"#;
    let error = reply(without_lifetime, "access_token.set_lifetime(600)").unwrap_err();
    assert_eq!(error, "the call states no lifetime of the access token that could be set");
}

#[test]
fn later_commands_see_earlier_ones() {
    assert!(reply(AUTHORIZATION_CODE, r#"[id_token.add_claim("t", #{}), id_token.add_claim(["t", "a"], 1), id_token.replace_claim(["t", "a"], 2)]"#).is_ok());
    assert!(
        reply(AUTHORIZATION_CODE, r#"[[id_token.remove_claim("nickname")], [id_token.replace_claim("nickname", 1)]]"#)
            .is_err()
    );
    assert!(reply(AUTHORIZATION_CODE, r#"[access_token.add_claim("t", 1), id_token.replace_claim("t", 1)]"#).is_err());
}

#[test]
fn commands_for_a_token_that_was_not_requested_are_dropped() {
    for (body, notes) in [
        (r#"id_token.add_claim("a", 1)"#, 1),
        (r#"id_token.replace_claim("a", 1)"#, 1),
        (r#"[[id_token.add_claim("a", 1)], id_token.set_lifetime(600)]"#, 2),
        ("[[]]", 0),
        ("[]", 0),
    ] {
        let reply = reply(CLIENT_CREDENTIALS, body).unwrap();
        assert_eq!((reply.status, &*reply.body), (200, &b"{}"[..]), "{body}");
        let note = "a command for the ID token was left out: the call asks for no such token";
        assert_eq!(reply.notes, vec![note; notes], "{body}");
    }
}

#[test]
fn a_reply_that_is_too_large_is_not_sent() {
    let error =
        reply(AUTHORIZATION_CODE, r#"let t = "x"; t.pad(262144, "x"); id_token.add_claim("t", t)"#).unwrap_err();
    assert!(error.contains("the provider takes less than 262144"), "{error}");
}

#[test]
fn a_refusal_wins_over_everything_else() {
    for body in [
        r#"refuse("no")"#,
        r#"[id_token.add_claim("a", 1), refuse("no"), refuse("never")]"#,
        r#"[[id_token.replace_claim("absent", 1), refuse("no")]]"#,
    ] {
        let reply = reply(AUTHORIZATION_CODE, body).unwrap();
        assert_eq!(trial::body(&reply), json!({"error": {"errorSummary": "no"}}), "{body}");
    }
}

#[test]
fn failures_are_answered_as_declared() {
    let hook = crate::find(Token::NAME).unwrap();
    let declared =
        |word, text: &'static str| hook.declared(word, (!text.is_empty()).then_some(text)).unwrap().reply(&trial::MARK);
    assert_eq!(declared("unchanged", ""), Reply::json("{}"));
    assert_eq!(trial::body(&declared("refuse", "later")), json!({"error": {"errorSummary": "later"}}));
}

#[test]
fn the_effect_says_what_okta_does() {
    let effect = |body: &str| trial::effect::<Token>(&reply(AUTHORIZATION_CODE, body).unwrap());
    assert_eq!(effect(""), "Okta issues the tokens unchanged");
    assert_eq!(
        effect(r#"[id_token.add_claim("a/b", 1), access_token.set_lifetime(600), access_token.remove_claim("tier")]"#),
        "Okta issues the tokens and adds `a/b` to the ID token, lets the access token live 600 seconds, removes `tier` from the access token"
    );
    assert_eq!(
        effect("refuse(\"no\")"),
        "Okta issues no token; the client gets the OAuth error `server_error` and reads \"no\""
    );
    assert_eq!(trial::effect::<Token>(&Reply::empty(204)), "Okta issues the tokens unchanged");
    assert_eq!(
        trial::effect::<Token>(&Reply::empty(500)),
        "Okta issues the tokens unchanged, because the reply was HTTP 500"
    );
}

/// Does a reply as the contract says Okta does it. Written from the contract alone: it shares no code with the hook.
fn okta_accepts(request: &Value, reply: &Value) -> Result<(), String> {
    if reply.get("error").is_some() {
        let only_error = reply.get("commands").is_none() && reply["error"]["errorSummary"] != "";
        return if only_error { Ok(()) } else { Err("an error is sent alone".into()) };
    }
    let mut data = request["data"].clone();
    for command in reply["commands"].as_array().into_iter().flatten() {
        let (token, reserved) = match command["type"].as_str() {
            Some("com.okta.identity.patch") => ("identity", "|iss|groups|sub|aud|amr|"),
            Some("com.okta.access.patch") => ("access", "|iss|groups|scp|uid|"),
            other => return Err(format!("command {other:?}")),
        };
        let token = data.get_mut(token).filter(|token| token.is_object()).ok_or("a token that was not requested")?;
        let operations =
            command["value"].as_array().filter(|operations| !operations.is_empty()).ok_or("no operations")?;
        for operation in operations {
            one_operation(token, operation, reserved)?;
        }
    }
    Ok(())
}

fn one_operation(token: &mut Value, operation: &Value, reserved: &str) -> Result<(), String> {
    let (op, path) = (operation["op"].as_str().unwrap(), operation["path"].as_str().unwrap());
    if path == "/token/lifetime/expiration" {
        let good =
            op == "replace" && operation["value"].as_i64().is_some_and(|seconds| (300..=86_400).contains(&seconds));
        return if good { Ok(()) } else { Err("lifetime".into()) };
    }
    let claim = path.strip_prefix("/claims/").ok_or("path")?.split('/').next().unwrap();
    if reserved.contains(&format!("|{claim}|")) {
        return Err(format!("reserved {claim}"));
    }
    let target_exists = token.pointer(path).is_some();
    let (parent, last) = path.rsplit_once('/').unwrap();
    let last = last.replace("~1", "/").replace("~0", "~");
    let value = operation.get("value");
    match (op, token.pointer_mut(parent).ok_or(format!("no parent of {path}"))?) {
        ("remove", _) if value.is_some() => return Err("remove with a value".into()),
        ("replace" | "remove", _) if !target_exists => return Err(format!("nothing at {path}")),
        ("remove", Value::Object(members)) => drop(members.shift_remove(&last)),
        ("remove", Value::Array(items)) => drop(items.remove(last.parse().unwrap())),
        ("replace", parent) => *parent.pointer_mut(&path[path.rfind('/').unwrap()..]).unwrap() = value.unwrap().clone(),
        ("add", Value::Object(members)) => drop(members.insert(last, value.ok_or("add without a value")?.clone())),
        ("add", Value::Array(items)) => {
            let at = if last == "-" { items.len() } else { last.parse().map_err(|_| "index")? };
            if at > items.len() || (last.len() > 1 && last.starts_with('0')) {
                return Err(format!("index {at}"));
            }
            items.insert(at, value.ok_or("add without a value")?.clone());
        }
        _ => return Err(format!("{op} at {path}")),
    }
    Ok(())
}

fn claim_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("x")),
        Just(json!(null)),
        Just(json!({})),
        Just(json!({"a": {"b": 1}, "b/~": [1]})),
        Just(json!([1, {"a": 2}])),
    ]
}

fn part() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "b/~", "0", "1", "2", "-", "iss", "groups", "sub", "scp", "", "01"])
        .prop_map(String::from)
}

/// A call of one of the constructors, good or bad.
fn built() -> impl Strategy<Value = Result<Command, String>> {
    let target = prop::sample::select(vec![TokenPatch::IdToken, TokenPatch::AccessToken]);
    (target, 0..9_u8, prop::collection::vec(part(), 0..4), claim_value(), 290..87_000_i64).prop_map(
        |(target, kind, path, value, seconds)| {
            let value = json::dynamic_from_json(&value);
            let path = Pointer::new(path);
            let built = match kind {
                0..=2 => path.map_err(Into::into).and_then(|path| add(target, path, &value)),
                3..=4 => path.map_err(Into::into).and_then(|path| replace(target, path, &value)),
                5..=6 => path.map_err(Into::into).and_then(|path| remove(target, path)),
                7 => set_lifetime(target, seconds),
                _ => refuse(if seconds < 70_000 { "" } else { "no" }.into()),
            };
            built.map_err(|error| error.to_string())
        },
    )
}

fn token() -> impl Strategy<Value = Option<Value>> {
    let claims = prop::collection::vec((part(), claim_value()), 0..5).prop_map(|claims| {
        let claims: Map<String, Value> = claims.into_iter().collect();
        json!({"claims": claims, "token": {"lifetime": {"expiration": 3600}}})
    });
    prop::option::weighted(0.8, claims)
}

fn call() -> impl Strategy<Value = Value> {
    (token(), token()).prop_map(
        |(identity, access)| json!({"data": {"context": {"protocol": {}}, "identity": identity, "access": access}}),
    )
}

proptest! {
    #[test]
    fn every_reply_is_one_that_okta_accepts(
        call in call(),
        items in prop::collection::vec((any::<bool>(), prop::collection::vec(built(), 1..4)), 0..5),
    ) {
        let mut returned = Array::new();
        for (together, commands) in items {
            let commands: Array = commands.into_iter().filter_map(Result::ok).map(Dynamic::from).collect();
            if together { returned.push(commands.into()) } else { returned.extend(commands) }
        }
        let request = Token::decode(&call.to_string().into()).unwrap();
        let commands = Commands::collect(returned.into(), &String::new).unwrap().0;
        match Token::reply(&request, commands, &trial::MARK) {
            Ok(reply) => prop_assert_eq!(okta_accepts(&call, &reply.value()), Ok(())),
            Err(CommandError::Invalid { problem }) => prop_assert!(!problem.is_empty()),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn commands_are_refused_only_if_okta_would_not_take_them(
        call in call(),
        commands in prop::collection::vec(built(), 1..6),
    ) {
        let patches: Vec<Command> = commands.into_iter().filter_map(Result::ok).collect();
        let mut wire = Vec::new();
        for command in &patches {
            let Command::Patch { target, operation } = command else { return Ok(()) };
            let requested = match target {
                TokenPatch::IdToken => call["data"]["identity"].is_object(),
                TokenPatch::AccessToken => call["data"]["access"].is_object(),
            };
            if requested {
                wire.push(json!({"type": target.command(), "value": [operation]}));
            }
        }
        let accepted = okta_accepts(&call, &json!({"commands": wire}));
        let request = Token::decode(&call.to_string().into()).unwrap();
        let returned: Array = patches.into_iter().map(Dynamic::from).collect();
        let reply = Token::reply(&request, Commands::collect(returned.into(), &String::new).unwrap().0, &trial::MARK);
        prop_assert_eq!(reply.is_ok(), accepted.is_ok(), "{:?} {:?}", reply, accepted);
    }
}
