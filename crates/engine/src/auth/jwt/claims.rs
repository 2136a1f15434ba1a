//! The claims of a token (RFC 7519, section 4) that a gate looks at, and when they are good.

use serde::Deserialize;

use crate::auth::error::AuthError;
use hookgate_hooks::proof::Expiry;

#[derive(Deserialize)]
pub(super) struct Claims {
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
    pub(super) iss: Option<String>,
    aud: Option<Texts>,
    cid: Option<String>,
    client_id: Option<String>,
    azp: Option<String>,
    sub: Option<String>,
    scp: Option<Texts>,
    scope: Option<Texts>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Texts {
    fn any(&self, fits: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::One(one) => fits(one),
            Self::Many(many) => many.iter().any(|one| fits(one)),
        }
    }

    /// A text is a list separated by blanks (RFC 6749, section 3.3).
    fn has_word(&self, word: &str) -> bool {
        match self {
            Self::One(one) => one.split(' ').any(|one| one == word),
            Self::Many(many) => many.iter().any(|one| one == word),
        }
    }
}

impl Claims {
    /// Whether the token lacks a claim that says until when it is good.
    pub(super) fn lacks_expiry(&self, expiry: Expiry) -> bool {
        expiry == Expiry::Required && self.exp.is_none()
    }

    /// Checks `exp`, `nbf` and `iat` at `now`, in seconds since 1970. The clock of the issuer may differ by `leeway_s`.
    pub(super) fn check_times(&self, expiry: Expiry, leeway_s: u64, now: u64) -> Result<(), AuthError> {
        // A float becomes the nearest whole number that there is, so no date can overflow.
        let whole = |seconds: f64| seconds as u64;
        let latest = now.saturating_add(leeway_s);
        match (self.exp.map(whole), self.iat.map(whole), expiry) {
            (Some(expires), ..) if now > expires.saturating_add(leeway_s) => {
                return Err(AuthError::Expired { seconds: now - expires });
            }
            (Some(_), ..) => {}
            (None, Some(issued), Expiry::Optional { max_age_s }) => {
                let age = now.saturating_sub(issued);
                if age > max_age_s.saturating_add(leeway_s) {
                    return Err(AuthError::TooOld { seconds: age });
                }
            }
            (None, ..) => return Err(AuthError::Undated),
        }
        let begins = self.nbf.map_or(0, |begins| whole(begins.ceil()));
        if begins > latest {
            return Err(AuthError::NotYetValid { seconds: begins - now });
        }
        let issued = self.iat.map_or(0, |issued| whole(issued.ceil()));
        if issued > latest {
            return Err(AuthError::IssuedInTheFuture { seconds: issued - now });
        }
        Ok(())
    }

    pub(super) fn has_audience(&self, is_ours: impl Fn(&str) -> bool) -> bool {
        self.aud.as_ref().is_some_and(|given| given.any(is_ours))
    }

    /// The first one that is there: a `sub` beside a `cid` is a user, whatever its name.
    pub(super) fn client(&self) -> Option<&String> {
        [&self.cid, &self.client_id, &self.azp, &self.sub].into_iter().flatten().next()
    }

    pub(super) fn has_scope(&self, scope: &str) -> bool {
        [&self.scp, &self.scope].into_iter().flatten().any(|given| given.has_word(scope))
    }
}
