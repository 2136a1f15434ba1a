//! How Okta calls, for whoever checks a configuration or calls in its place (`simulate`).

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::okta;
use crate::okta::event::play;
use crate::okta::reply;
use crate::provider::{Caller, Retry, Verification, VerificationReply, VerificationRequest};

/// Inline hooks: Okta waits three seconds, and calls once more after a timeout or a 5xx (contract: inline hooks, section 2).
pub(crate) const INLINE: Caller = Caller {
    provider: "Okta",
    agent: "Okta-Integrations",
    patience_ms: 3_000,
    max_reply_bytes: reply::MAX_REPLY_BYTES,
    retry: Some(Retry { most: 1, follows: is_failure }),
    renew,
    latest_ms: Some(2_900),
    ..Caller::INLINE
};

/// Token hooks are never called twice (contract: inline hooks, section 2).
pub(crate) const TOKEN: Caller = Caller { retry: None, ..INLINE };

/// Telephony hooks, too. Okta skips one that has no secret, and the preview of its console has an address of the console
/// (contract: inline hooks, sections 2, 11 and 11.1).
pub(crate) const TELEPHONY: Caller =
    Caller { retry: None, preview: Some(mark_telephony), needs_secret: true, ..INLINE };

/// Event hooks: verified once, retried alike, and never called with a token (contract: event hooks, sections 2, 3 and 8).
pub(crate) const EVENT: Caller = Caller {
    preview: Some(play::preview),
    verification: Some(VERIFICATION),
    log: Some("okta"),
    latest_ms: None,
    has_tokens: false,
    ..INLINE
};

/// Okta puts a word into a header and wants it back in JSON (contract: event hooks, section 2).
const VERIFICATION: Verification = Verification {
    request: |challenge| VerificationRequest {
        method: Method::GET,
        headers: vec![(okta::CHALLENGE, challenge.to_owned())],
        ..VerificationRequest::default()
    },
    is_right: echoes,
    verified: "Okta marks the event hook as verified",
    refused: "Okta does not verify the event hook, and sends no events",
};

fn is_failure(status: Option<u16>) -> bool {
    status.is_none_or(|status| status >= 500)
}

/// The id and time of the envelope, which every call has.
fn renew(call: &mut Value, now: Timestamp) {
    call["eventId"] = json!(Uuid::new_v4().to_string());
    call["eventTime"] = json!(format!("{now:.3}"));
}

/// What has another form than a call stays as it is.
fn mark_telephony(call: &mut Value, _: Timestamp) {
    let mut at = call;
    for step in ["data", "context", "request", "url", "value"] {
        if at.is_null() {
            *at = json!({});
        }
        let Some(members) = at.as_object_mut() else { return };
        at = members.entry(step).or_insert(Value::Null);
    }
    *at = json!("/api/internal/v1/inlineHooks/com.okta.telephony.provider/generatePreview");
}

fn echoes(challenge: &str, reply: &VerificationReply<'_>) -> bool {
    let value: Value = serde_json::from_slice(reply.body).unwrap_or_default();
    reply.status == 200 && is_json(reply.headers) && value["verification"].as_str() == Some(challenge)
}

fn is_json(headers: &HeaderMap) -> bool {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = media.and_then(|text| text.split(';').next()).unwrap_or_default();
    media.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HOOKS;

    fn hooks_of_okta() -> impl Iterator<Item = &'static crate::Hook> {
        HOOKS.iter().filter(|hook| hook.name.starts_with("okta."))
    }

    #[test]
    fn each_hook_is_called_as_okta_calls() {
        for hook in hooks_of_okta() {
            assert_eq!((hook.caller.provider, hook.caller.agent), ("Okta", "Okta-Integrations"), "{}", hook.name);
            assert_eq!((hook.caller.patience_ms, hook.caller.max_reply_bytes), (3_000, 262_143), "{}", hook.name);
            assert_eq!(hook.caller.verification.is_some(), hook.is_for_events(), "{}", hook.name);
        }
    }

    #[test]
    fn token_and_telephony_are_never_retried() {
        for hook in hooks_of_okta() {
            let expected = !matches!(hook.name, "okta.token" | "okta.telephony");
            assert_eq!(hook.caller.calls_again(None), expected, "{}", hook.name);
            assert_eq!(hook.caller.calls_again(Some(503)), expected, "{}", hook.name);
            assert!(!hook.caller.calls_again(Some(401)), "{}", hook.name);
        }
    }

    #[test]
    fn only_previews_of_telephony_and_events_are_marked() {
        // Contract: inline hooks, section 13; event hooks, section 8.
        for hook in hooks_of_okta() {
            let is_marked = matches!(hook.name, "okta.telephony" | "okta.event");
            assert_eq!(hook.caller.preview.is_some(), is_marked, "{}", hook.name);
            let Some(mark) = hook.caller.preview else { continue };
            let sample = hook.samples.first().expect("every hook has a sample");
            let mut call: Value = serde_json::from_str(sample.request).expect("a sample is JSON");
            mark(&mut call, Timestamp::now());
            let decoded = (hook.decode)(&call.to_string().into()).expect("a preview decodes");
            assert!(decoded.facts.preview, "{}", hook.name);
        }
    }

    #[test]
    fn a_mark_has_no_place_in_what_is_no_call() {
        for (mut call, marked) in [(json!({ "data": [] }), false), (json!({ "data": null }), true)] {
            mark_telephony(&mut call, Timestamp::now());
            assert_eq!(call.pointer("/data/context/request/url/value").is_some(), marked, "{call}");
        }
    }

    #[test]
    fn a_renewed_call_differs_in_id_and_time_only() {
        let now = "2026-03-02T08:30:00.125Z".parse().expect("a time");
        let (mut one, mut other) = (json!({ "data": 1 }), json!({ "data": 1 }));
        renew(&mut one, now);
        renew(&mut other, now);
        assert_ne!(one["eventId"], other["eventId"]);
        other["eventId"] = one["eventId"].clone();
        assert_eq!((&one, &one["eventTime"]), (&other, &json!("2026-03-02T08:30:00.125Z")));
    }

    #[test]
    fn the_challenge_must_come_back_as_json() {
        let request = (VERIFICATION.request)("word");
        assert_eq!((request.method, request.headers), (Method::GET, vec![(okta::CHALLENGE, "word".to_owned())]));
        let right = |status, media: &'static str, body: &str| {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, media.parse().expect("a header"))]);
            echoes("word", &VerificationReply { status, headers: &headers, body: body.as_bytes() })
        };
        let good = r#"{"verification":"word"}"#;
        assert!(right(200, "application/json; charset=utf-8", good));
        assert!(!right(204, "application/json", good));
        assert!(!right(200, "text/plain", good));
        assert!(!right(200, "application/json", r#"{"verification":"other"}"#));
        assert!(!right(200, "application/json", "word"));
    }
}
