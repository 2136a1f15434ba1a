use super::*;
use crate::tests::{MARK, body, refusal, reply_to, value_of};
use hookgate_model::message::Tried;

const HOOK: &str = "okta.telephony";

fn call(message: &str) -> String {
    format!(r#"{{"eventType":"com.okta.telephony.provider","data":{{"messageProfile":{message}}}}}"#)
}

#[test]
fn wrong_arguments_are_refused_where_they_stand() {
    let table = [
        (r#"sent("", "1")"#, "name of the provider"),
        (r#"pending("acme", " ")"#, "provider's id"),
        (r#"block("because")"#, "needs a mode"),
        (r#"block("", "swallow")"#, "needs a reason"),
        (r#"block("because", "FAILED")"#, "`FAILED` is no mode"),
        (r#"block("because", "swallow", #{ summary: "x" })"#, "\"let_okta_send\" only"),
        (r#"block("because", "let_okta_send", #{})"#, "needs a `summary`"),
        (r#"block("because", "let_okta_send", #{ summary: "x", why: "y" })"#, "not `why`"),
        (r#"block("because", "let_okta_send", #{ summary: 1 })"#, "must be a text"),
        (r#"send([])"#, "at least one"),
        (r#"send(["acme"])"#, "list of `via(connector)`"),
        (r#"send([via("a"), via("a")])"#, "`a` twice"),
        (r#"send([via("a"), via("b"), via("c"), via("d"), via("e")])"#, "at most"),
        (r#"send([via("")])"#, "name of a connector"),
        (r#"via("a")"#, "where a command of `okta.telephony` belongs"),
        (r#"[sent("a", "1"), block("x", "swallow")]"#, "more than one verdict"),
        (r#"[[sent("a", "1"), sent("b", "2")]]"#, "more than one verdict"),
    ];
    for (script, expected) in table {
        let text = refusal(HOOK, SMS, script);
        assert!(text.contains(expected), "{script}: {text}");
    }
}

#[test]
fn a_cause_goes_with_the_error() {
    let script =
        r#"block("not delivered", "let_okta_send", #{ summary: "refused", reason: "content", location: "ZA" })"#;
    let expected = r#"{"error":{"errorSummary":"not delivered","errorCauses":[{"errorSummary":"refused","reason":"content","location":"ZA"}]}}"#;
    assert_eq!(body(&reply_to(HOOK, SMS, script)).to_string(), expected);
}

#[test]
fn channels_and_flows_have_one_spelling() {
    let channels = [
        ("SMS", "sms"),
        ("sms", "sms"),
        ("voice", "voice"),
        ("Voice", "voice"),
        ("voice call", "voice"),
        ("WhatsApp", "whatsapp"),
    ];
    for (sent, seen) in channels {
        let sent = call(&format!(r#"{{"deliveryChannel":"{sent}"}}"#));
        assert_eq!(value_of(HOOK, &sent, "request.channel").to_string(), seen);
    }
    for (sent, seen) in FLOWS {
        let sent = SMS.replace("mfa-verification", sent);
        assert_eq!(value_of(HOOK, &sent, "request.flow").to_string(), seen);
        let beta = call(&format!(r#"{{"eventAction":"com.okta.user.telephony.{seen}"}}"#));
        assert!(value_of(HOOK, &beta, "request.flow").is_unit());
    }
    let beta = call(r#"{"eventAction":"com.okta.user.telephony.account-unlock"}"#);
    assert_eq!(value_of(HOOK, &beta, "request.flow").to_string(), "unlock");
    assert_eq!(value_of(HOOK, &beta, "request.kind").to_string(), "com.okta.user.telephony.account-unlock");
}

#[test]
fn codes_and_numbers_are_text() {
    for (sent, script) in [
        (
            SMS,
            r#"request.otp == "004711" && request.message == "Your code is 004711" && request.phone.e164 == "+447400123456""#,
        ),
        (VOICE, r#"request.otp == "52713" && request.message == () && request.phone.text == "447400123456""#),
        (
            SMS,
            r#"request.user.id == "00u6h1kXq2ZbT0aYw5d7" && request.user.first_name == "Cleo" && request.expires > request.time"#,
        ),
        (
            SMS,
            r#"request.user.login == "cleo@mail.example" && request.user.last_name == "Example" && request.locale == "EN-GB""#,
        ),
    ] {
        assert!(value_of(HOOK, sent, script).as_bool().unwrap(), "{script}");
    }
}

#[test]
fn everything_absent_is_unit() {
    for name in
        ["phone", "channel", "otp", "message", "expires", "locale", "flow", "kind", "user", "id", "time", "ip", "url"]
    {
        assert!(value_of(HOOK, &call("{}"), &format!("request.{name}")).is_unit(), "{name}");
    }
    assert!(
        Telephony::decode(&call("null").into()).unwrap_err().to_string().contains("`data.messageProfile` is missing")
    );
}

#[test]
fn the_code_shows_nowhere() {
    let request = Telephony::decode(&SMS.into()).unwrap();
    let shown = format!(
        "{request:?} {:?} {:?}",
        request.data().message(|m| m.otp.clone()),
        request.data().message(|m| m.text.clone())
    );
    assert!(!shown.contains("4711"), "{shown}");
    for script in ["`${request.otp} ${request.message}`", "`${request.raw}`", "to_json(request.raw)"] {
        let value = value_of(HOOK, SMS, script).to_string();
        assert!(value.contains("***") && !value.contains("4711"), "{script}: {value}");
    }
}

#[test]
fn a_preview_is_known_by_its_address() {
    let preview =
        SMS.replace("/idp/idx/challenge", "/api/internal/v1/inlineHooks/com.okta.telephony.provider/generatePreview");
    assert!(Telephony::facts(&Telephony::decode(&preview.into()).unwrap()).preview);
    assert!(!Telephony::facts(&Telephony::decode(&SMS.into()).unwrap()).preview);
}

#[test]
fn every_outcome_of_sending_has_its_reply() {
    let connector = || "acme".to_owned();
    let table = [
        (
            Outcome::Delivered { connector: connector(), id: "1".into() },
            r#"{"commands":[{"type":"com.okta.telephony.action","value":[{"status":"SUCCESSFUL","provider":"acme","transactionId":"1"}]}]}"#,
            "Okta waits for the code that acme delivers",
        ),
        (
            Outcome::Unknown { connector: connector() },
            r#"{"commands":[{"type":"com.okta.telephony.action","value":[{"status":"PENDING","provider":"acme","transactionMetadata":"no answer in time"}]}]}"#,
            "Okta waits for the code that acme delivers",
        ),
    ];
    for (outcome, expected, effect) in table {
        let reply = Telephony::settled(&outcome, &MARK).unwrap();
        assert_eq!(body(&reply).to_string(), expected);
        assert_eq!(crate::okta::trial::effect::<Telephony>(&reply), effect);
    }
    let tried = vec![Tried { connector: "a".into(), reason: "it answered 500".into() }];
    assert_eq!(Telephony::settled(&Outcome::Failed(tried), &MARK), None);
}

/// What would be sent for a script's `send`.
fn sending(call: &str, script: &str) -> Result<Sending, String> {
    let hook = crate::find(HOOK).unwrap();
    let request = (hook.decode)(&call.to_owned().into()).unwrap();
    let returned = crate::tests::run(hook, &request, &format!("fn on_telephony(request) {{ {script} }}"))?;
    let encoded = (hook.encode)(&request, returned, &MARK).map_err(|error| error.to_string())?;
    Ok(encoded.sending.unwrap())
}

#[test]
fn a_message_has_what_providers_need() {
    let sent = sending(SMS, r#"send([via("a"), via("b")])"#).unwrap();
    assert_eq!(sent.ways, ["a", "b"]);
    let message = &sent.message;
    assert_eq!((message.to.as_str(), message.channel.name()), ("+447400123456", "sms"));
    assert_eq!((message.code.expose(), message.text.expose()), (&b"004711"[..], &b"Your code is 004711"[..]));
    assert_eq!(message.locale.as_deref(), Some("EN-GB"));
    assert!(!format!("{sent:?}").contains("4711") && !format!("{sent:?}").contains("7400"), "{sent:?}");

    let error = sending(VOICE, r#"send([via("a")])"#).unwrap_err();
    assert!(error.contains("needs a number with `+`"), "{error}");
    let sent = sending(VOICE, r#"send([via("a")], phone("+" + request.phone.text))"#).unwrap();
    assert_eq!((sent.message.to.as_str(), sent.message.channel.name()), ("+447400123456", "voice"));
    assert_eq!(sent.message.text.expose(), b"Your verification code is 52713.");
    let error = sending(SMS, r#"send([via("a")], phone("12", "GB"))"#).unwrap_err();
    assert!(error.contains("a number that can exist"), "{error}");
    let other = SMS.replace("\"SMS\"", "\"pigeon\"");
    assert!(sending(&other, r#"send([via("a")])"#).unwrap_err().contains("leave others to Okta"));
    let none = SMS.replace("\"004711\"", "null");
    assert!(sending(&none, r#"send([via("a")])"#).unwrap_err().contains("has no code"));
}
