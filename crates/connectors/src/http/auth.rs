//! What is presented to an API: a secret as it is, or an access token that is got for it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::Trouble;
use crate::client;
use crate::client::{Client, Outgoing};
use crate::oauth::settings::OAuth2;
use crate::oauth::{Presented, Tokens};
use crate::redact::Redact;
use crate::setup::{Key, Problem, Setup};
use crate::unsent::Unsent;
use hookgate_model::question::Reason;
use hookgate_model::secret::{Ring, Secret, SecretSource};

/// What is presented to the API.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub(crate) enum Auth {
    /// `Authorization: Bearer …`
    Bearer {
        /// The token.
        bearer: SecretSource,
    },
    /// `Authorization: Basic …`
    Basic {
        /// It holds `user:password`.
        basic: SecretSource,
    },
    /// A header of its own.
    Header {
        /// Name of the header.
        #[schemars(length(min = 1))]
        header: String,
        /// Its whole value.
        value: SecretSource,
    },
    /// `Authorization: Bearer …` with an access token that is got by client credentials, and kept.
    OAuth2 {
        /// Where, and who we are there.
        oauth2: Box<OAuth2>,
    },
}

impl Auth {
    /// Whether it goes out in `Authorization`.
    pub(crate) fn is_authorization(&self) -> bool {
        match self {
            Self::Header { header, .. } => header.eq_ignore_ascii_case(AUTHORIZATION.as_str()),
            Self::Bearer { .. } | Self::Basic { .. } | Self::OAuth2 { .. } => true,
        }
    }
}

pub(crate) enum Proof {
    Nothing,
    Secret(HeaderName, Scheme, Key),
    Token(Box<Tokens>),
}

#[derive(Clone, Copy)]
pub(crate) enum Scheme {
    Bearer,
    Basic,
    Plain,
}

/// What one request presents.
pub(crate) struct Shown {
    header: Option<(HeaderName, HeaderValue)>,
    token: Option<Presented>,
}

impl Proof {
    pub(crate) fn new(setup: &Setup<'_>, auth: Option<&Auth>, client: &Client) -> Result<Self, Vec<Problem>> {
        match auth {
            None => Ok(Self::Nothing),
            Some(Auth::Bearer { bearer }) => {
                Ok(Self::Secret(AUTHORIZATION, Scheme::Bearer, header_secret(setup, "auth.bearer", bearer)?))
            }
            Some(Auth::Basic { basic }) => {
                Ok(Self::Secret(AUTHORIZATION, Scheme::Basic, setup.secret("auth.basic", basic)?))
            }
            Some(Auth::Header { header, value }) => {
                let name = HeaderName::from_bytes(header.as_bytes());
                let bad = |_| vec![Problem::bad_value("auth.header", "is not the name of an HTTP header")];
                Ok(Self::Secret(name.map_err(bad)?, Scheme::Plain, header_secret(setup, "auth.value", value)?))
            }
            Some(Auth::OAuth2 { oauth2 }) => Ok(Self::Token(Box::new(oauth2.tokens(setup, "auth.oauth2", client)?))),
        }
    }

    /// Something is presented, so that a refusal may be about it.
    pub(crate) fn is_some(&self) -> bool {
        !matches!(self, Self::Nothing)
    }

    /// What to present now.
    ///
    /// # Errors
    /// There is no token, or the secret fits into no header.
    pub(crate) async fn show(&self, client: &Client) -> Result<Shown, Unsent> {
        let unfit = |trouble: Trouble| Unsent::new(Reason::Denied, trouble.message);
        match self {
            Self::Nothing => Ok(Shown { header: None, token: None }),
            Self::Secret(name, scheme, key) => {
                let secret = key.current();
                let value = match scheme {
                    Scheme::Bearer => [b"Bearer ", secret.expose()].concat(),
                    Scheme::Basic => format!("Basic {}", STANDARD.encode(secret.expose())).into_bytes(),
                    Scheme::Plain => secret.expose().to_vec(),
                };
                let value = client::secret_value(&value).map_err(unfit)?;
                Ok(Shown { header: Some((name.clone(), value)), token: None })
            }
            Self::Token(tokens) => {
                let token = tokens.current(client).await?;
                Ok(Shown { header: Some((AUTHORIZATION, token.bearer().map_err(unfit)?)), token: Some(token) })
            }
        }
    }

    /// Drops a token that was refused. Whether trying once more makes sense.
    pub(crate) fn forget(&self, shown: &Shown) -> bool {
        match (self, &shown.token) {
            (Self::Token(tokens), Some(token)) => tokens.forget(token),
            _ => false,
        }
    }

    pub(crate) fn redact(&self) -> Redact {
        match self {
            Self::Nothing => Redact::default(),
            Self::Secret(_, _, key) => Redact::default().and(&key.current()),
            Self::Token(tokens) => tokens.redact(),
        }
    }

    pub(crate) fn rings(&self) -> Vec<Arc<Ring>> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Secret(_, _, key) => key.rings(),
            Self::Token(tokens) => tokens.rings(),
        }
    }
}

/// A secret that goes out as it is, in a header.
pub(crate) fn header_secret(setup: &Setup<'_>, key: &str, written: &SecretSource) -> Result<Key, Vec<Problem>> {
    let found = setup.secret(key, written)?;
    let fits = |secret: &Secret| match HeaderValue::from_bytes(secret.expose()) {
        Ok(_) => Ok(()),
        Err(_) => Err("holds a line break or another character that no header can carry".to_owned()),
    };
    let problem = |why| vec![Problem { code: "config/secret", ..Problem::bad_value(key, why) }];
    found.demand(fits).map_err(problem)?;
    Ok(found)
}

impl Shown {
    /// The request with it.
    pub(crate) fn on(&self, request: &Outgoing) -> Outgoing {
        let mut request = request.clone();
        request.headers.extend(self.header.clone());
        request
    }
}
