//! What is presented to an org: an API token, or an access token that a service app gets with its private key.

use std::sync::Arc;

use http::header::HeaderValue;
use url::Url;

use crate::client;
use crate::client::Client;
use crate::oauth::assertion;
use crate::oauth::assertion::Statement;
use crate::oauth::{Grant, Presented, Proof, Tokens};
use crate::redact::Redact;
use crate::setup::{Key, Problem, Setup};
use crate::unsent::Unsent;
use hookgate_model::question::Reason;
use hookgate_model::secret::{Ring, SecretSource};

pub(crate) enum Access {
    Token(Key),
    App(Box<Tokens>),
}

/// A token, or an app: as settings have them.
pub(crate) struct Written<'a> {
    pub(crate) token: Option<&'a SecretSource>,
    pub(crate) client_id: Option<&'a str>,
    pub(crate) private_key: Option<&'a SecretSource>,
    pub(crate) key_id: Option<&'a str>,
    /// All that an app asks for.
    pub(crate) scope: String,
}

/// What was presented, so that it can be dropped when it is refused.
pub(crate) struct Shown {
    pub value: HeaderValue,
    token: Option<Presented>,
}

impl Access {
    /// # Errors
    /// Everything that is wrong with the settings.
    pub(crate) fn new(setup: &Setup<'_>, written: Written<'_>, org: &Url) -> Result<Self, Vec<Problem>> {
        match (written.token, written.client_id, written.private_key) {
            (Some(token), _, _) => Ok(Self::Token(setup.secret("token", token)?)),
            (None, Some(client_id), Some(private_key)) => {
                let key = setup.secret("private_key", private_key)?;
                assertion::check("private_key", &key)?;
                let mut token_url = org.clone();
                token_url.set_path("/oauth2/v1/token");
                Ok(Self::App(Box::new(Tokens::new(Grant {
                    token_url,
                    client_id: client_id.to_owned(),
                    proof: Proof::Statement(Statement {
                        key,
                        key_id: written.key_id.map(str::to_owned),
                        certificate: None,
                    }),
                    scope: Some(written.scope),
                    audience: None,
                    giver: "Okta",
                }))))
            }
            _ => Err(vec![Problem::missing("token", "`token` is missing, or `client_id` and `private_key`")]),
        }
    }

    /// The value of `Authorization`.
    ///
    /// # Errors
    /// There is no token.
    pub(crate) async fn proof(&self, client: &Client) -> Result<Shown, Unsent> {
        let unfit = |trouble: crate::Trouble| Unsent::new(Reason::Denied, trouble.message);
        match self {
            Self::Token(key) => {
                let value = client::secret_value(&[b"SSWS ", key.current().expose()].concat()).map_err(unfit)?;
                Ok(Shown { value, token: None })
            }
            Self::App(tokens) => {
                let token = tokens.current(client).await?;
                Ok(Shown { value: token.bearer().map_err(unfit)?, token: Some(token) })
            }
        }
    }

    /// Drops a token that was refused. Whether asking with another one makes sense.
    pub(crate) fn forget(&self, shown: &Shown) -> bool {
        match (self, &shown.token) {
            (Self::App(tokens), Some(token)) => tokens.forget(token),
            _ => false,
        }
    }

    pub(crate) fn redact(&self) -> Redact {
        match self {
            Self::Token(key) => Redact::default().and(&key.current()),
            Self::App(tokens) => tokens.redact(),
        }
    }

    /// What to do about a 401.
    pub(crate) fn mend(&self) -> &'static str {
        match self {
            Self::Token(_) => {
                "the API token is wrong, expired or revoked; make a new one and put it where `token` says"
            }
            Self::App(_) => "it does not take the access token that it gave the app; is the app active?",
        }
    }

    /// What to do about a 403, where these words say what was wanted, this scope allows it to an app, and this role to the
    /// administrator whose token it is.
    pub(crate) fn permit(&self, what: &str, scope: &str, role: &str) -> String {
        match self {
            Self::Token(_) => {
                format!("the token may not {what}; make it as an administrator with the role \"{role}\"")
            }
            Self::App(_) => format!("the app may not {what}; grant it `{scope}` and an administrator role"),
        }
    }

    pub(crate) fn secrets(&self) -> Vec<Arc<Ring>> {
        match self {
            Self::Token(key) => key.rings(),
            Self::App(tokens) => tokens.rings(),
        }
    }
}
