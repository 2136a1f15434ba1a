//! Who is calling: one scheme per file, each turning what a call shows into a [`Verified`] or an [`AuthError`].
//!
//! Never decides what the caller hears, never reads a body, and never repeats a value that a caller sent: an error says
//! which part was wrong, in words and names that come from our own configuration.
//!
//! To add a scheme: write its file, and add a variant to [`Scheme`] and its three `match`es.

pub(crate) mod basic;
pub(crate) mod error;
pub(crate) mod header;
pub(crate) mod jwt;
pub(crate) mod keys;
pub mod mtls;
pub(crate) mod signer;
pub mod standard_webhooks;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::request::Parts;

use crate::auth::basic::Basic;
use crate::auth::error::AuthError;
use crate::auth::header::Header;
use crate::auth::jwt::Jwt;
use crate::auth::mtls::Mtls;
use crate::auth::signer::Signer;
use crate::auth::standard_webhooks::StandardWebhooks;
use hookgate_hooks::proof::TokenRules;

/// One way of proving who calls, ready to use.
#[derive(Debug)]
pub(crate) enum Scheme {
    /// A header holds one of our secrets, byte for byte.
    Header(Header),
    /// `Authorization: Basic` with one of our `user:password` secrets.
    Basic(Basic),
    /// A token of an issuer that we trust.
    Jwt(Jwt),
    /// A client certificate that we listed.
    Mtls(Mtls),
    /// A signature over the body, by Standard Webhooks.
    StandardWebhooks(StandardWebhooks),
    /// Everybody may call. Only where the configuration spells it out.
    None,
}

/// What a call shows of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) head: &'a Parts,
    /// The whole body; nothing before it was read.
    pub(crate) body: Option<&'a Bytes>,
    /// The token, where the hook finds it in the body ([`TokenPlace::Body`](hookgate_hooks::proof::TokenPlace)).
    pub(crate) token: Option<&'a str>,
}

impl<'a> Evidence<'a> {
    /// What there is before the body was read.
    pub(crate) fn of_head(head: &'a Parts) -> Self {
        Self { head, body: None, token: None }
    }
}

/// What the head of a call says of its caller, if it does not refuse it.
#[derive(Debug)]
pub(crate) enum HeadVerdict {
    Verified(Verified),
    /// Nothing in the head is wrong, and the proof is in the body.
    NeedsBody,
}

/// What a gate checks beside what its schemes are configured with.
#[derive(Clone, Debug)]
pub(crate) struct GateRules {
    pub(crate) token: TokenRules,
    /// `server.public_url`, without a slash at the end.
    pub(crate) public_url: Option<String>,
}

impl Scheme {
    /// Checks what a call shows. Only a token whose key is not known yet waits, and at most 300 ms.
    ///
    /// # Errors
    /// The part that was wrong, never its value. [`AuthError::BodyNotRead`] if nothing in the head is wrong, and the proof is in
    /// the body, which is not there.
    pub(crate) async fn verify(&self, evidence: &Evidence<'_>, rules: &GateRules) -> Result<Verified, AuthError> {
        match self {
            Self::Header(header) => header.verify(evidence.head),
            Self::Basic(basic) => basic.verify(evidence.head),
            Self::Jwt(jwt) => jwt.verify(evidence, rules).await,
            Self::Mtls(mtls) => mtls.verify(evidence.head),
            Self::StandardWebhooks(webhooks) => webhooks.verify(evidence),
            Self::None => Ok(Verified::new(self.name(), None)),
        }
    }

    /// What signs with the secret of that label; nothing for schemes without a secret that the caller has, too.
    fn signer(&self, label: &str) -> Option<Signer> {
        match self {
            Self::Header(header) => header.signer(label),
            Self::StandardWebhooks(webhooks) => webhooks.signer(label),
            Self::Basic(_) | Self::Jwt(_) | Self::Mtls(_) | Self::None => None,
        }
    }

    /// The word for this scheme in `gateway.toml`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Header(_) => header::NAME,
            Self::Basic(_) => basic::NAME,
            Self::Jwt(_) => jwt::NAME,
            Self::Mtls(_) => mtls::NAME,
            Self::StandardWebhooks(_) => standard_webhooks::NAME,
            Self::None => "none",
        }
    }
}

/// Proof that a caller was checked. Only this module can make one, so what asks for it cannot run before the check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    auth: Option<Arc<str>>,
    scheme: &'static str,
    secret: Option<Arc<str>>,
    token: Option<Box<TokenContent>>,
    /// The proof before this one, where a route wants several at once.
    before: Option<Box<Verified>>,
}

/// What a token said whose signature was checked.
#[derive(Clone, PartialEq, Eq)]
struct TokenContent {
    claims: Bytes,
    key_id: Option<String>,
}

impl std::fmt::Debug for TokenContent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TokenContent")
    }
}

impl Verified {
    /// `secret` is the label of what matched.
    fn new(scheme: &'static str, secret: Option<Arc<str>>) -> Self {
        Self { auth: None, scheme, secret, token: None, before: None }
    }

    /// Name of the `[auth.…]` section that let the caller in; the word of the scheme where no [`Gate`] was asked.
    pub(crate) fn auth(&self) -> &str {
        self.auth.as_deref().unwrap_or(self.scheme)
    }

    /// `header`, `basic`, `jwt`, `mtls`, `standard_webhooks` or `none`.
    #[cfg(test)]
    pub(crate) fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Every proof that the caller gave: one, or all that an `all` of the route asks for.
    pub(crate) fn each(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |proof| proof.before.as_deref())
    }

    /// Which secret, client or certificate of the configuration matched (`env OKTA_SECRET`); `none` where there is no such thing.
    pub(crate) fn secret(&self) -> &str {
        self.secret.as_deref().unwrap_or("none")
    }

    /// The claims of the token that was checked: a JSON object, as the issuer wrote it. Nothing where there was no token.
    pub(crate) fn claims(&self) -> Option<&Bytes> {
        self.token().map(|token| &token.claims)
    }

    /// The `kid` of that token, if it has one.
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.token()?.key_id.as_deref()
    }

    fn token(&self) -> Option<&TokenContent> {
        self.each().find_map(|proof| proof.token.as_deref())
    }
}

/// The ways into one route, any of which lets a caller in. A way is one scheme, or several that are all needed.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    ways: Vec<Way>,
    rules: GateRules,
}

/// Schemes by the names of their sections.
type Way = Vec<(Arc<str>, Arc<Scheme>)>;

/// No scheme of a [`Gate`] let the caller in; this is the one that came furthest.
#[derive(Debug, thiserror::Error)]
#[error("auth `{auth}`: {error}")]
pub struct Denied {
    /// Name of the `[auth.…]` section.
    pub(crate) auth: Arc<str>,
    pub(crate) error: AuthError,
}

impl Gate {
    /// A gate of ways, each of named schemes; `None` when there is no way, or one without a scheme, because a route without
    /// auth must say `none`. `token` is what the route's hook expects of tokens, `public_url` is `server.public_url`.
    pub(crate) fn new(
        ways: Vec<Vec<(String, Arc<Scheme>)>>,
        token: TokenRules,
        public_url: Option<&str>,
    ) -> Option<Self> {
        let named = |way: Vec<(String, Arc<Scheme>)>| -> Way {
            way.into_iter().map(|(name, scheme)| (name.into(), scheme)).collect()
        };
        let ways: Vec<_> = ways.into_iter().map(named).collect();
        let is_open = ways.is_empty() || ways.iter().any(Vec::is_empty);
        let public_url = public_url.map(|url| url.strip_suffix('/').unwrap_or(url).to_owned());
        (!is_open).then_some(Self { ways, rules: GateRules { token, public_url } })
    }

    /// Tries every way in turn, as far as the head of a call goes. Whoever is refused by the head need not send a body.
    ///
    /// # Errors
    /// As for [`Gate::verify`]: no way can let the caller in, whatever the body is.
    pub(crate) async fn verify_head(&self, head: &Parts) -> Result<HeadVerdict, Denied> {
        match self.verify(&Evidence::of_head(head)).await {
            Ok(verified) => Ok(HeadVerdict::Verified(verified)),
            Err(Denied { error: AuthError::BodyNotRead, .. }) => Ok(HeadVerdict::NeedsBody),
            Err(denied) => Err(denied),
        }
    }

    /// Tries every way in turn.
    ///
    /// # Errors
    /// The refusal of the scheme that came furthest, the first of several. Of a way with several schemes, the first that
    /// refused counts, and those before it count for it. Without a body, a way that only lacks the body came furthest.
    pub(crate) async fn verify(&self, evidence: &Evidence<'_>) -> Result<Verified, Denied> {
        let mut furthest: Option<((usize, u8), Denied)> = None;
        for way in &self.ways {
            match pass(way, evidence, &self.rules).await {
                Ok(verified) => return Ok(verified),
                Err((passed, denied)) => {
                    let reached = (passed, denied.error.progress());
                    if furthest.as_ref().is_none_or(|(other, _)| reached > *other) {
                        furthest = Some((reached, denied));
                    }
                }
            }
        }
        Err(furthest.expect("`Gate::new` refuses a gate without ways").1)
    }

    /// What signs with the secret that let this caller in; of several proofs, the one that the route names first. Nothing
    /// where no proof was made with a secret that both sides have.
    pub(crate) fn signer(&self, verified: &Verified) -> Option<Signer> {
        let scheme = |name: &str| self.ways.iter().flatten().find(|(of, _)| **of == *name).map(|(_, scheme)| scheme);
        // The last proof of a way comes first here.
        let signers = verified.each().filter_map(|proof| scheme(proof.auth())?.signer(proof.secret.as_deref()?));
        signers.last()
    }
}

/// The proof of all schemes of a way, or how many gave one and which did not. A way that only lacks the body counts as if all
/// had.
async fn pass(way: &Way, evidence: &Evidence<'_>, rules: &GateRules) -> Result<Verified, (usize, Denied)> {
    let mut proof: Option<Verified> = None;
    let mut lacks_body: Option<Denied> = None;
    for (passed, (name, scheme)) in way.iter().enumerate() {
        match scheme.verify(evidence, rules).await {
            Ok(verified) => {
                let before = proof.map(Box::new);
                proof = Some(Verified { auth: Some(name.clone()), before, ..verified });
            }
            // The head may still be refused by the schemes that are left.
            Err(error @ AuthError::BodyNotRead) => lacks_body = Some(Denied { auth: name.clone(), error }),
            Err(error) => return Err((passed, Denied { auth: name.clone(), error })),
        }
    }
    match lacks_body {
        Some(denied) => Err((usize::MAX, denied)),
        None => Ok(proof.expect("`Gate::new` refuses a way without schemes")),
    }
}

/// By the clock of this machine.
fn seconds_since_epoch() -> u64 {
    // A clock before 1970 makes every token look unexpired, so it counts as the end of time instead.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |passed| passed.as_secs())
}
