//! `oauth2 = { … }` as connectors have it in their settings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::egress;
use crate::oauth::assertion;
use crate::oauth::assertion::Statement;
use crate::oauth::{Grant, Proof, Tokens};
use crate::setup::{Problem, Setup};
use hookgate_model::secret::SecretSource;

/// An access token by client credentials. Needs `client_secret` or `private_key`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OAuth2 {
    /// Address of the token endpoint.
    #[schemars(length(min = 1))]
    token_url: String,
    /// Who we are there.
    #[schemars(length(min = 1))]
    client_id: String,
    /// The secret of the client.
    client_secret: Option<SecretSource>,
    /// How the secret is sent.
    #[serde(default)]
    client_auth: ClientAuth,
    /// The private key of the client in PEM form, RSA or EC on P-256, instead of a secret.
    private_key: Option<SecretSource>,
    /// Which of the client's keys it is, where there are several.
    #[schemars(length(min = 1))]
    key_id: Option<String>,
    /// What is asked for, separated by spaces.
    #[schemars(length(min = 1))]
    scope: Option<String>,
    /// Whom the token is for, where the token endpoint wants to know.
    #[schemars(length(min = 1))]
    audience: Option<String>,
}

/// How a client's secret is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientAuth {
    /// In the body of the request.
    #[default]
    ClientSecretPost,
    /// In its head.
    ClientSecretBasic,
}

impl OAuth2 {
    /// Tokens by these settings, which stand under `key`.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(crate) fn tokens(&self, setup: &Setup<'_>, key: &str, client: &Client) -> Result<Tokens, Vec<Problem>> {
        let below = |name: &str| format!("{key}.{name}");
        let mut problems = Vec::new();
        let url = egress::target_of_secret(&self.token_url, client.egress());
        let url = url.map_err(|text| problems.push(Problem::bad_value(&below("token_url"), text)));
        let proof = self.proof(setup, &below).map_err(|found| problems.extend(found));
        let (Ok(token_url), Ok(proof)) = (url, proof) else { return Err(problems) };
        Ok(Tokens::new(Grant {
            token_url,
            client_id: self.client_id.clone(),
            proof,
            scope: self.scope.clone(),
            audience: self.audience.clone(),
            giver: "the token endpoint",
        }))
    }

    fn proof(&self, setup: &Setup<'_>, below: &dyn Fn(&str) -> String) -> Result<Proof, Vec<Problem>> {
        match (&self.client_secret, &self.private_key) {
            (Some(secret), None) => {
                let secret = setup.secret(&below("client_secret"), secret)?;
                Ok(match self.client_auth {
                    ClientAuth::ClientSecretPost => Proof::Secret(secret),
                    ClientAuth::ClientSecretBasic => Proof::BasicSecret(secret),
                })
            }
            (None, Some(private_key)) => {
                let name = below("private_key");
                let key = setup.secret(&name, private_key)?;
                assertion::check(&name, &key)?;
                Ok(Proof::Statement(Statement { key, key_id: self.key_id.clone(), certificate: None }))
            }
            (None, None) => {
                let message = "`client_secret` is missing, or `private_key`";
                Err(vec![Problem::missing(&below("client_secret"), message)])
            }
            (Some(_), Some(_)) => {
                let message = "`client_secret` and `private_key` exclude each other";
                Err(vec![Problem::bad_value(&below("private_key"), message).help("remove one of them")])
            }
        }
    }
}
