//! What Okta's hooks share: the table rows, the ownership check of event hooks, and the modules below.
//!
//! Okta calls with `POST` and a JSON envelope (`okta/wire`), and expects `200` with a JSON object of `commands`, `error`
//! and `debugContext` (`okta/reply`), or `204` where the hook allows it, within three seconds.

use http::{HeaderMap, Method};
use serde::Serialize;

use crate::Handshake;
use crate::Hook;
use crate::HookError;
use crate::Reply;

mod advice;
pub(crate) mod caller;
pub(crate) mod event;
mod judge;
pub(crate) mod password_import;
pub(crate) mod patch;
pub(crate) mod person;
mod profile;
mod recorded;
pub(crate) mod registration;
pub(crate) mod reply;
pub(crate) mod request;
mod results;
pub(crate) mod saml;
pub(crate) mod telephony;
pub(crate) mod token;
#[cfg(test)]
mod trial;
pub(crate) mod user_import;
pub(crate) mod wire;

/// The rows of Okta's hooks.
pub(crate) fn hooks() -> Vec<Hook> {
    vec![
        Hook::inline::<token::Token>(),
        Hook::inline::<saml::Saml>(),
        Hook::inline::<registration::Registration>(),
        Hook::inline::<password_import::PasswordImport>(),
        Hook::inline::<user_import::UserImport>(),
        Hook::inline::<telephony::Telephony>(),
        Hook::events::<event::OrgEvent>(),
    ]
}

/// When and against what the `PROVIDER` texts of this folder were last checked.
const CHECKED: &str = "2026-11-21, against Okta's API description 2026.06.3 and its documentation of 2026-08-21";

// Limits that several hooks share.
const RETRIED: &str = "Okta waits three seconds for the whole exchange, and calls once more after a timeout or a 5xx.";
const NOT_RETRIED: &str = "Okta waits three seconds for the whole exchange, and never calls a second time.";
const REPLY_SIZE: &str = "A reply is smaller than 256 KB; hookgate sends no larger one.";
const HOOKS_PER_ORG: &str = "An org has at most 100 inline hooks of all kinds together.";

/// The type names on the wire, and the hook each belongs to.
const EVENT_TYPES: [(&str, &str); 7] = [
    ("com.okta.oauth2.tokens.transform", "okta.token"),
    ("com.okta.saml.tokens.transform", "okta.saml"),
    ("com.okta.user.pre-registration", "okta.registration"),
    ("com.okta.user.credential.password.import", "okta.password_import"),
    ("com.okta.import.transform", "okta.user_import"),
    ("com.okta.telephony.provider", "okta.telephony"),
    ("com.okta.event_hook", "okta.event"),
];

/// Betas that Okta withdrew; old samples still carry them.
const WITHDRAWN: [&str; 2] = ["com.okta.tokens.transform", "com.okta.custom.source.delegated.authentication"];

/// Whether a call of `found` belongs to `hook`. A call without type is judged by its form alone.
fn check_type(hook: &'static str, found: Option<&str>) -> Result<(), HookError> {
    let Some(found) = found else { return Ok(()) };
    if WITHDRAWN.contains(&found) {
        return Err(HookError::Withdrawn { found: found.to_owned() });
    }
    match EVENT_TYPES.iter().find(|(name, _)| *name == found) {
        Some((_, owner)) if *owner == hook => Ok(()),
        Some((_, owner)) => Err(HookError::OtherHook { expected: hook, found: owner }),
        None => Err(HookError::UnknownType { expected: hook, found: type_like(found) }),
    }
}

/// The type as it may be shown: what does not look like a type name could be anything from the call.
fn type_like(found: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let looks_like = found.len() <= 80 && found.starts_with("com.") && found.chars().all(plain);
    if looks_like { found.to_owned() } else { "(not a type name)".to_owned() }
}

/// Okta's id of the request that caused a call; the same as in its System Log.
pub(crate) const REQUEST_ID_HEADER: &str = "x-okta-request-id";

pub(crate) const CHALLENGE: &str = "x-okta-verification-challenge";

/// Longer ones are no challenge of Okta's.
const MAX_CHALLENGE_BYTES: usize = 4096;

/// Inline hooks are never verified: a challenge there means that the address was registered as an event hook.
const NEVER_VERIFIED: Handshake = Handshake {
    answer: |method, headers, _| {
        let is_challenge = *method == Method::GET && headers.contains_key(CHALLENGE);
        is_challenge.then_some(Err(HookError::MisplacedChallenge))
    },
    ..Handshake::NONE
};

/// Okta's one-time check of an event hook: a challenge to be echoed (contract: event hooks, section 2).
const VERIFIED: Handshake = Handshake {
    methods: &[Method::GET],
    needs_proof: true,
    answer: |method, headers, _| (*method != Method::POST).then(|| challenge(headers)),
};

fn challenge(headers: &HeaderMap) -> Result<Reply, HookError> {
    #[derive(Serialize)]
    struct Verification<'a> {
        verification: &'a str,
    }
    let missing =
        HookError::Challenge { problem: "is missing: a GET here needs the header X-Okta-Verification-Challenge" };
    let value = headers.get(CHALLENGE).ok_or(missing)?;
    if value.len() > MAX_CHALLENGE_BYTES {
        return Err(HookError::Challenge { problem: "is longer than 4096 bytes" });
    }
    let problem = HookError::Challenge { problem: "has characters outside visible ASCII" };
    let verification = value.to_str().map_err(|_| problem)?;
    let body = serde_json::to_vec(&Verification { verification }).expect("a text is always JSON");
    Ok(Reply::json(body))
}

#[cfg(test)]
mod tests;
