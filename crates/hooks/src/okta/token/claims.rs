//! The claims that belong to Okta: a patch that touches one of them is void as a whole.
//!
//! Data only, as published in Okta's token hook reference and read on 2026-08-21 (contract: inline hooks, section 6.3), with
//! `okta_auth` of its guide to claims sharing. Okta may extend it.

use crate::okta::patch::Op;
use crate::okta::token::TokenPatch;

/// Reserved in ID tokens and access tokens. `cnf` only matters with DPoP, but nobody else should set it either.
const BOTH: [&str; 13] =
    ["acr", "auth_time", "cid", "cnf", "exp", "groups", "iat", "iss", "jti", "okta_auth", "sid", "token_type", "ver"];

/// Reserved in ID tokens. Two of them, `aud` and `sub`, may be changed in access tokens.
const ID_TOKEN: [&str; 43] = [
    "active",
    "aid",
    "amr",
    "app_id",
    "app_type",
    "at_hash",
    "aud",
    "c_hash",
    "client_id",
    "client_ip",
    "client_req_id",
    "client_type",
    "client_user_agent",
    "device_compliance",
    "device_id",
    "device_known",
    "device_managed",
    "device_name",
    "device_trust",
    "did",
    "dst",
    "group",
    "hotk",
    "idp",
    "idp_iss",
    "mac_key",
    "may_act",
    "nonce",
    "oid",
    "okta_emailVerified",
    "okta_lastUpdated",
    "orig",
    "permissions",
    "purpose",
    "pwd_exp_days",
    "pwd_exp_time",
    "rid",
    "role",
    "scope",
    "scopes",
    "sub",
    "term",
    "user_ip",
];

/// Reserved in access tokens.
const ACCESS_TOKEN: [&str; 7] = ["as_uri", "authorization_details", "rpt", "rsi", "scp", "uid", "username"];

/// Whether `name` belongs to Okta in that token. Upper and lower case count.
pub(super) fn is_reserved(target: TokenPatch, name: &str) -> bool {
    let own: &[&str] = match target {
        TokenPatch::IdToken => &ID_TOKEN,
        TokenPatch::AccessToken => &ACCESS_TOKEN,
    };
    BOTH.contains(&name) || own.contains(&name)
}

/// Whether Okta takes no such operation on a claim or a place in it. The audience and the subject of an access token can be
/// changed, and not taken away.
pub(in crate::okta) fn is_closed(target: TokenPatch, place: &[String], op: Op) -> bool {
    let Some(name) = place.first() else { return false };
    let is_whole = place.len() == 1;
    let is_needed = target == TokenPatch::AccessToken && matches!(name.as_str(), "aud" | "sub");
    is_reserved(target, name) || (is_needed && is_whole && op == Op::Remove)
}

/// A name that is free where `name` is reserved.
pub(super) fn instead_of(name: &str) -> String {
    format!("app_{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_suggestion_is_reserved_itself() {
        for name in BOTH.iter().chain(&ID_TOKEN).chain(&ACCESS_TOKEN) {
            for target in [TokenPatch::IdToken, TokenPatch::AccessToken] {
                assert!(!is_reserved(target, &instead_of(name)), "{name}");
            }
        }
    }

    #[test]
    fn audience_and_subject_of_an_access_token_stay() {
        let place = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for name in ["aud", "sub"] {
            for (op, is_whole, closed) in [
                (Op::Add, true, false),
                (Op::Replace, true, false),
                (Op::Remove, true, true),
                (Op::Remove, false, false),
            ] {
                let names = if is_whole { place(&[name]) } else { place(&[name, "0"]) };
                assert_eq!(is_closed(TokenPatch::AccessToken, &names, op), closed, "{op:?} {names:?}");
                assert!(is_closed(TokenPatch::IdToken, &names, op), "{op:?} {names:?}");
            }
        }
        for op in [Op::Add, Op::Replace, Op::Remove] {
            assert!(is_closed(TokenPatch::AccessToken, &place(&["groups"]), op));
            assert!(!is_closed(TokenPatch::AccessToken, &place(&["team"]), op));
        }
    }

    #[test]
    fn lists_name_every_claim_once() {
        let mut names: Vec<&str> = BOTH.iter().chain(&ID_TOKEN).chain(&ACCESS_TOKEN).copied().collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn audience_and_subject_are_free_in_access_tokens_only() {
        for name in ["aud", "sub"] {
            assert!(is_reserved(TokenPatch::IdToken, name), "{name}");
            assert!(!is_reserved(TokenPatch::AccessToken, name), "{name}");
        }
        for target in [TokenPatch::IdToken, TokenPatch::AccessToken] {
            assert!(is_reserved(target, "okta_auth"));
        }
        assert!(!is_reserved(TokenPatch::IdToken, "birthdate"));
        assert!(!is_reserved(TokenPatch::IdToken, "Groups"));
    }
}
