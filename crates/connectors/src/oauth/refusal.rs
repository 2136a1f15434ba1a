//! Why there is no token, and what to do about it (RFC 6749 5.2).

use serde_json::Value;

use crate::client::Answer;
use crate::oauth::{Grant, Proof};
use crate::rate_limit;
use crate::redact::Redact;
use crate::unsent::Unsent;
use hookgate_model::question::Reason;

pub(crate) const NO_DPOP: &str = "the client must prove possession of its tokens (DPoP), which the gateway does not: turn off \
                           \"Require Demonstrating Proof of Possession\" in the app";

/// What an answer other than 200 means.
pub(super) fn of(grant: &Grant, answer: &Answer, redact: &Redact) -> Unsent {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = body["error"].as_str().unwrap_or_default();
    let description = redact.excerpt(body["error_description"].as_str().unwrap_or_default());
    let said = if code.is_empty() { answer.said(redact) } else { description };
    let (reason, advice) = match (answer.status, code) {
        (429, _) => (Reason::Limited, "its rate limit is used up".to_owned()),
        (408 | 500.., _) | (_, "temporarily_unavailable" | "server_error") => {
            (Reason::Unreachable, "it has trouble of its own".to_owned())
        }
        (300..=399, _) => {
            (Reason::Rejected, "a redirect, and none is followed: configure the final address".to_owned())
        }
        _ if said.to_ascii_lowercase().contains("dpop") || code.contains("dpop") => {
            (Reason::Denied, NO_DPOP.to_owned())
        }
        (_, code) => denied(grant, code),
    };
    let told = if code.is_empty() { String::new() } else { format!(" ({})", redact.excerpt(code)) };
    let said = if said.is_empty() { String::new() } else { format!(" (it said: {said})") };
    let message =
        format!("{} answered {}{told} when it was asked for a token: {advice}{said}", grant.giver, answer.status);
    let reset = || rate_limit::until_reset(&answer.headers);
    let retry_after = match reason {
        Reason::Limited => Some(answer.retry_after.or_else(reset).unwrap_or(rate_limit::UNKNOWN_RESET)),
        _ => answer.retry_after,
    };
    Unsent { reason, status: Some(answer.status), retry_after, message }
}

fn denied(grant: &Grant, code: &str) -> (Reason, String) {
    let proof = match &grant.proof {
        Proof::Secret(_) | Proof::BasicSecret(_) => "`client_id` and `client_secret` must be those of the client",
        Proof::Statement(_) => "`client_id`, `private_key` and `key_id` must be those of the client",
    };
    let scope = grant.scope.as_deref().unwrap_or("that it needs");
    let advice = match code {
        "invalid_client" => match &grant.proof {
            Proof::Secret(_) => format!("{proof}, and it must take the secret in the body (`client_auth`)"),
            Proof::BasicSecret(_) => format!("{proof}, and it must take the secret in the head (`client_auth`)"),
            Proof::Statement(_) => proof.to_owned(),
        },
        "invalid_scope" => format!("grant the client the scope `{scope}`"),
        "invalid_target" => "it knows no such `audience`".to_owned(),
        "unauthorized_client" | "unsupported_grant_type" => {
            "allow the client the grant \"client credentials\"".to_owned()
        }
        "invalid_grant" => format!("{proof}, and the clock of this machine must be right"),
        "invalid_request" => {
            "something that it wants is missing: `scope`, `audience`, or another `client_auth`?".to_owned()
        }
        "" => return (Reason::Rejected, "that is no answer of OAuth2: is it the right address?".to_owned()),
        _ => proof.to_owned(),
    };
    (Reason::Denied, advice)
}
