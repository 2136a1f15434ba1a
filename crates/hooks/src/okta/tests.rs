//! What holds for Okta's hooks alone, because of the form of its calls and replies; `crate::tests` has what holds for every hook.

use http::HeaderName;
use http::HeaderValue;
use http::Uri;

use super::*;
use crate::HOOKS;

mod envelope;
mod replies;
mod text;

/// The rows of Okta's hooks, as the table has them.
fn okta_hooks() -> impl Iterator<Item = &'static Hook> {
    HOOKS.iter().filter(|hook| hook.name.starts_with("okta."))
}

#[test]
fn the_table_has_every_hook_and_its_entry_is_named_after_it() {
    assert_eq!(okta_hooks().count(), hooks().len());
    for hook in okta_hooks() {
        assert_eq!(hook.name.strip_prefix("okta."), hook.entry.strip_prefix("on_"), "{}", hook.name);
    }
}

fn ask(name: &str, value: &[u8]) -> Result<Reply, HookError> {
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value).unwrap());
    challenge(&headers)
}

#[test]
fn a_challenge_comes_back_in_any_letter_case() {
    for name in ["x-okta-verification-challenge", "X-Okta-Verification-Challenge", "X-OKTA-VERIFICATION-CHALLENGE"] {
        let reply = ask(name, b"aB-_ 9.~").unwrap();
        assert_eq!((reply.status, &reply.body[..]), (200, &br#"{"verification":"aB-_ 9.~"}"#[..]), "{name}");
    }
}

#[test]
fn a_challenge_is_escaped() {
    let reply = ask(CHALLENGE, br#"a"b\c</script>"#).unwrap();
    assert_eq!(&reply.body[..], &br#"{"verification":"a\"b\\c</script>"}"#[..]);
    assert_eq!(reply.value()["verification"], r#"a"b\c</script>"#);
}

#[test]
fn a_challenge_is_bounded_and_ascii() {
    assert!(ask(CHALLENGE, &[b'a'; 4096]).is_ok());
    for (value, problem) in [(vec![b'a'; 4097], "longer than 4096"), (vec![0xe4, b'a'], "outside visible ASCII")] {
        let error = ask(CHALLENGE, &value).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn a_missing_challenge_says_what_is_missing() {
    let error = challenge(&HeaderMap::new()).unwrap_err().to_string();
    assert!(error.contains("X-Okta-Verification-Challenge"), "{error}");
}

#[test]
fn a_challenge_to_an_inline_hook_names_the_mistake() {
    let mut headers = HeaderMap::new();
    let get = |headers: &HeaderMap| (NEVER_VERIFIED.answer)(&Method::GET, headers, &Uri::from_static("/"));
    assert_eq!(get(&headers), None, "it is no check, and the hook takes no GET");
    assert_eq!(NEVER_VERIFIED.allowed(), "POST");
    headers.insert(CHALLENGE, HeaderValue::from_static("x"));
    assert!(get(&headers).unwrap().unwrap_err().to_string().contains("registered as an event hook"));
}
