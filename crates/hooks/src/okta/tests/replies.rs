//! What every reply to Okta is, beside its commands.

use rhai::Dynamic;
use serde_json::Value;

use super::okta_hooks;
use crate::tests::{MARK, answer, encoded, run, wrap};
use crate::{Hook, Mark, Reply, find};

/// Where a reply has a body that says something, it says which decision it is, of which release and script.
fn assert_points_back(hook: &Hook, reply: &Reply) {
    let value = reply.value();
    if let Some(members) = value.as_object().filter(|members| !members.is_empty()) {
        let debug = &members["debugContext"];
        let back = (&debug["decision"], &debug["release"], &debug["script"]);
        assert_eq!(back, (&"d-1".into(), &"r-1".into(), &"s.rhai".into()), "{}", hook.name);
    }
}

#[test]
fn every_reply_points_back_at_its_decision() {
    for hook in okta_hooks() {
        for sample in hook.samples {
            let reply = answer(hook, sample.request, sample.script);
            assert_points_back(hook, &reply.unwrap_or_else(|error| panic!("{}: {error}", hook.name)));
        }
        for form in hook.on_failure() {
            let text = "ä\"\u{0}".repeat(200_000);
            let declared = hook.declared(form.word, form.takes_text.then_some(text.as_str())).unwrap();
            assert_points_back(hook, &declared.reply(&MARK));
        }
    }
}

#[test]
fn actions_change_nothing_of_the_commands_around_them() {
    let token = find("okta.token").unwrap();
    let plain = encoded(token, r#"[id_token.add_claim("a", 1), [id_token.add_claim("b", 2)]]"#).unwrap();
    let mixed = r#"[notify("x", "m"), id_token.add_claim("a", 1), [notify("y", "m"), id_token.add_claim("b", 2)], [notify("z", "m")]]"#;
    let mixed = encoded(token, mixed).unwrap();
    assert_eq!((plain.reply, plain.actions.len()), (mixed.reply, 0));
    assert_eq!(mixed.actions.len(), 3);
    let described = run(
        token,
        &(token.decode)(&token.samples[0].request.to_owned().into()).unwrap(),
        &wrap(token, r#"[notify("x", "m"), refuse("No.")]"#),
    );
    assert_eq!((token.describe)(&described.unwrap()), [serde_json::json!({"refuse": {"text": "No."}})]);
    let error = encoded(token, r#"[notify("x", "m"), [notify("y", "m")], 7]"#).unwrap_err().to_string();
    assert_eq!(error, "the script returned `7` where a command of `okta.token` belongs (item 3 of the array)");
}

#[test]
fn a_note_and_the_reason_of_a_fallback_leave_where_a_body_may() {
    let note = "\u{1f4a1} \"directory\" was asked";
    for hook in okta_hooks().filter(|hook| !hook.is_for_events()) {
        let mark = Mark { note: Some(note), fallback: Some("deadline"), ..MARK };
        for form in hook.on_failure() {
            let declared = hook.declared(form.word, form.takes_text.then_some("later")).unwrap();
            let debug = declared.reply(&mark).value()["debugContext"].clone();
            // Of a SAML reply that changes nothing, Okta's contract lists the empty one alone.
            if (hook.name, form.word) == ("okta.saml", "unchanged") {
                assert_eq!(debug, Value::Null);
                continue;
            }
            let said = (&debug["note"], &debug["fallback"], &debug["decision"]);
            assert_eq!(said, (&note.into(), &"deadline".into(), &"d-1".into()), "{} {}", hook.name, form.word);
        }
        let request = (hook.decode)(&hook.samples[0].request.into()).unwrap();
        let silent = (hook.encode)(&request, Dynamic::UNIT, &Mark { note: Some(note), ..MARK }).unwrap().reply;
        let said = silent.value()["debugContext"]["note"].clone();
        assert_eq!(said, if hook.name == "okta.saml" { Value::Null } else { note.into() }, "{}", hook.name);
    }
}
