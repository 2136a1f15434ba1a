//! Who is calling: one scheme per file, each turning a request's head into a [`Verified`] or an [`AuthError`].
//!
//! Never decides what the caller hears, never reads a body, and never repeats a value that a caller sent: an error says
//! which part was wrong, in words and names that come from our own configuration.

pub(crate) mod basic;
pub(crate) mod error;
pub(crate) mod header;
pub(crate) mod jwt;
pub(crate) mod keys;
pub mod mtls;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::request::Parts;

use crate::auth::basic::Basic;
use crate::auth::error::AuthError;
use crate::auth::header::Header;
use crate::auth::jwt::Jwt;
use crate::auth::mtls::Mtls;

/// One way of proving who calls, ready to use.
#[derive(Debug)]
pub(crate) enum Scheme {
    /// A header holds one of our secrets, byte for byte.
    Header(Header),
    /// `Authorization: Basic` with one of our `user:password` secrets.
    Basic(Basic),
    /// `Authorization: Bearer` with a token of an issuer that we trust.
    Jwt(Jwt),
    /// A client certificate that we listed.
    Mtls(Mtls),
    /// Everybody may call. Only where the configuration spells it out.
    None,
}

impl Scheme {
    /// Checks the head of a request. Only a token whose key is not known yet waits, and at most 300 ms.
    ///
    /// # Errors
    /// The part that was wrong, never its value.
    pub(crate) async fn verify(&self, parts: &Parts) -> Result<Verified, AuthError> {
        match self {
            Self::Header(header) => header.verify(parts),
            Self::Basic(basic) => basic.verify(parts),
            Self::Jwt(jwt) => jwt.verify(parts).await,
            Self::Mtls(mtls) => mtls.verify(parts),
            Self::None => Ok(Verified { auth: None, scheme: self.name(), secret: None, before: None }),
        }
    }

    /// The word for this scheme in `gateway.toml`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Header(_) => header::NAME,
            Self::Basic(_) => basic::NAME,
            Self::Jwt(_) => jwt::NAME,
            Self::Mtls(_) => mtls::NAME,
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
    /// The proof before this one, where a route wants several at once.
    before: Option<Box<Verified>>,
}

impl Verified {
    /// Name of the `[auth.…]` section that let the caller in; the word of the scheme where no [`Gate`] was asked.
    pub(crate) fn auth(&self) -> &str {
        self.auth.as_deref().unwrap_or(self.scheme)
    }

    /// `header`, `basic`, `jwt`, `mtls` or `none`.
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
}

/// The ways into one route, any of which lets a caller in. A way is one scheme, or several that are all needed.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    ways: Vec<Vec<(Arc<str>, Arc<Scheme>)>>,
}

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
    /// auth must say `none`.
    pub(crate) fn new(ways: Vec<Vec<(String, Arc<Scheme>)>>) -> Option<Self> {
        let named = |way: Vec<(String, Arc<Scheme>)>| -> Vec<(Arc<str>, Arc<Scheme>)> {
            way.into_iter().map(|(name, scheme)| (name.into(), scheme)).collect()
        };
        let ways: Vec<_> = ways.into_iter().map(named).collect();
        let is_open = ways.is_empty() || ways.iter().any(Vec::is_empty);
        (!is_open).then_some(Self { ways })
    }

    /// Tries every way in turn.
    ///
    /// # Errors
    /// The refusal of the scheme that came furthest, the first of several. Of a way with several schemes, the first that
    /// refused counts, and those before it count for it.
    pub(crate) async fn verify(&self, parts: &Parts) -> Result<Verified, Denied> {
        let mut furthest: Option<((usize, u8), Denied)> = None;
        for way in &self.ways {
            match pass(way, parts).await {
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
}

/// The proof of all schemes of a way, or how many gave one and which did not.
async fn pass(way: &[(Arc<str>, Arc<Scheme>)], parts: &Parts) -> Result<Verified, (usize, Denied)> {
    let mut proof: Option<Verified> = None;
    for (passed, (name, scheme)) in way.iter().enumerate() {
        match scheme.verify(parts).await {
            Ok(verified) => {
                let before = proof.map(Box::new);
                proof = Some(Verified { auth: Some(name.clone()), before, ..verified });
            }
            Err(error) => return Err((passed, Denied { auth: name.clone(), error })),
        }
    }
    Ok(proof.expect("`Gate::new` refuses a way without schemes"))
}
