//! A token in the compact form of JWS (RFC 7515), taken apart. Nothing in here is believed before its signature was checked.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::Deserialize;

use crate::auth::error::AuthError;
use crate::auth::jwt::claims::Claims;

/// Longer than any real access token; nothing longer is decoded.
pub(super) const MAX_TOKEN_BYTES: usize = 16 * 1024;

const NO_CLAIMS: AuthError =
    AuthError::TokenMalformed { part: "its claims are not base64url of a JSON object with the usual types" };

pub(super) struct Token<'a> {
    pub(super) header: Header,
    payload: &'a str,
    /// What the signature is over.
    pub(super) message: &'a [u8],
    pub(super) signature: &'a str,
}

#[derive(Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) kid: Option<String>,
    typ: Option<String>,
    crit: Option<serde_json::Value>,
}

impl<'a> Token<'a> {
    pub(super) fn split(token: &'a [u8]) -> Result<Self, AuthError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::TokenMalformed { part: "it is longer than 16 KiB" });
        }
        let not_three = AuthError::TokenMalformed { part: "it is not three parts joined by dots" };
        let token = std::str::from_utf8(token).map_err(|_| not_three.clone())?;
        let parts: Vec<&str> = token.split('.').collect();
        let &[header, payload, signature] = parts.as_slice() else { return Err(not_three) };
        let no_header = AuthError::TokenMalformed { part: "its header is not base64url of a JSON object with `alg`" };
        let json = URL_SAFE_NO_PAD.decode(header).map_err(|_| no_header.clone())?;
        let header: Header = serde_json::from_slice(&json).map_err(|_| no_header)?;
        if header.crit.is_some() {
            // RFC 7515, section 4.1.11: what is critical and not understood must be refused, and we understand none.
            return Err(AuthError::TokenMalformed { part: "its header has `crit`" });
        }
        let message = &token.as_bytes()[..token.len() - signature.len() - 1];
        Ok(Self { header, payload, message, signature })
    }

    /// The claims, and the JSON that they stand in.
    pub(super) fn claims(&self) -> Result<(Claims, Bytes), AuthError> {
        let json = URL_SAFE_NO_PAD.decode(self.payload).map_err(|_| NO_CLAIMS)?;
        let claims = serde_json::from_slice(&json).map_err(|_| NO_CLAIMS)?;
        Ok((claims, json.into()))
    }
}

impl Header {
    /// Whether `typ` is one of `types`; always where there are none.
    pub(super) fn has_type(&self, types: &[&str]) -> bool {
        types.is_empty() || self.typ.as_deref().is_some_and(|given| types.iter().any(|of| is_same_type(of, given)))
    }
}

/// Media types in any case. A type without a slash stands for one with `application/` before it (RFC 7515, section 4.1.9).
fn is_same_type(one: &str, other: &str) -> bool {
    const PREFIX: &str = "application/";
    let short = |text: &str| -> usize {
        let has_prefix = text.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
        if has_prefix && !text[PREFIX.len()..].contains('/') { PREFIX.len() } else { 0 }
    };
    one[short(one)..].eq_ignore_ascii_case(&other[short(other)..])
}
