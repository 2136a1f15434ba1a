//! What the text of Okta's calls may be: its encoding, its depth and its numbers.

use bytes::Bytes;

use super::okta_hooks;
use crate::Hook;
use crate::tests::{run, value_of, wrap};

/// The first sample of a hook with one text put before another.
fn with_text(hook: &Hook, before: &str, text: &[u8]) -> Vec<u8> {
    let sample = hook.samples[0].request;
    let at = sample.find(before).unwrap();
    [&sample.as_bytes()[..at], text, &sample.as_bytes()[at..]].concat()
}

/// Faults of a text, as they come in the middle of a string.
const FAULTS: [&[u8]; 6] = [b"\xe9", b"\xc3", b"\\ud83d", b"\\udead", b"\t", b"\\x"];

#[test]
fn a_fault_of_the_text_costs_no_call() {
    for hook in okta_hooks() {
        let with_mark = [&b"\xef\xbb\xbf"[..], hook.samples[0].request.as_bytes()].concat();
        let bodies = FAULTS.iter().map(|fault| with_text(hook, ".example", fault)).chain([with_mark]);
        for body in bodies {
            let shown = String::from_utf8_lossy(&body).into_owned();
            let found =
                hook.requests(&body.into(), usize::MAX).unwrap_or_else(|error| panic!("{}: {error}", hook.name));
            assert_eq!(found.len(), 1, "{shown}");
            let (facts, parameter) = (&found[0].facts, hook.parameter());
            // In front of a delivery the mark is in none of its events.
            let notes = usize::from(!(hook.is_for_events() && shown.starts_with('\u{feff}')));
            assert_eq!((facts.problem.as_ref(), facts.notes.len()), (None, notes), "{}: {:?}", hook.name, facts.notes);
            let raw = run(hook, &found[0], &wrap(hook, &format!("type_of({parameter}.raw) == \"map\"")));
            assert!(raw.unwrap().as_bool().unwrap(), "{shown}");
        }
    }
}

#[test]
fn a_member_that_nests_deeply_costs_no_call() {
    for hook in okta_hooks() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let inner = if open == "[" { "" } else { "1" };
            let deep = format!("{}{inner}{}", open.repeat(200), close.repeat(200));
            let sample = hook.samples[0].request.trim_end().strip_suffix('}').unwrap();
            let body: Bytes = format!("{sample}, \"later\": {deep}}}").into();
            let request = (hook.decode)(&body).unwrap_or_else(|error| panic!("{}: {error}", hook.name));
            let parameter = hook.parameter();
            let raw = run(hook, &request, &wrap(hook, &format!("{parameter}.raw")));
            assert!(raw.is_ok(), "{}: {:?}", hook.name, raw.err());
        }
    }
}

#[test]
fn numbers_that_a_script_cannot_count_keep_their_digits() {
    let call = r#"{"eventId":"e","eventType":"com.okta.user.pre-registration","data":{"userProfile":{"badge":98765432109876543210}}}"#;
    for script in [
        r#"request.profile.badge == "98765432109876543210""#,
        "request.raw.data.userProfile.badge == request.profile.badge",
    ] {
        assert!(value_of("okta.registration", call, script).as_bool().unwrap_or(false), "{script}");
    }
}
