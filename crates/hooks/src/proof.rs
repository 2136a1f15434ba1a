//! What has to be proved of a call before a hook believes it: rules that a hook states, and that authentication applies.
//!
//! Nothing here verifies anything, does I/O or holds a secret.

/// What has to be proved of every call of a hook, so that nobody but the provider can have made it. A route that proves less
/// is refused when its release is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequiredProof {
    /// Whatever the route's `auth` asks for.
    #[default]
    Any,
    /// A token that an issuer signed: what the call says is what the token says.
    Token,
    /// A signature over the body.
    Signature,
}

/// What a hook expects of the tokens of its calls, beside what `[auth.NAME]` says of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRules {
    /// The values that the header `typ` may have, compared without regard to case and to a prefix `application/` (RFC 7515,
    /// section 4.1.9). Empty: any value, or none.
    pub types: &'static [&'static str],
    pub expiry: Expiry,
    pub place: TokenPlace,
}

impl TokenRules {
    /// An access token in `Authorization: Bearer` (RFC 6750): it expires, and its type does not matter.
    pub const BEARER: Self = Self { types: &[], expiry: Expiry::Required, place: TokenPlace::Authorization };
}

/// Until when a token is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The token has the claim `exp`.
    Required,
    /// The token may lack `exp`. Then it has `iat`, and is good for `max_age_s` seconds from there. An `exp` that is there
    /// counts as always.
    Optional { max_age_s: u64 },
}

/// Where in a call the token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenPlace {
    /// In the header `Authorization`, after the word `Bearer`.
    Authorization,
    /// In the body. The hook takes it out, because only the hook knows the form of its bodies.
    Body,
}

/// Signs with the secret that let a caller in, for hooks whose replies are signed with it. The secret stays where it is.
pub trait Sign {
    /// HMAC-SHA256 (RFC 2104) of `message`.
    fn hmac_sha256(&self, message: &[u8]) -> [u8; 32];
}
