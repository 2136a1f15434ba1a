//! `[auth.NAME]`: how a caller proves who it is. Holds settings only; `auth` verifies.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::OneOrMany;
use hookgate_model::secret::SecretSource;

/// How a caller proves who it is; routes name it in `auth`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "scheme", rename_all = "snake_case")]
pub enum Auth {
    /// The whole value of a header is the secret.
    Header(HeaderAuth),
    /// HTTP Basic authentication.
    Basic(BasicAuth),
    /// A signed token in `Authorization: Bearer …`.
    Jwt(JwtAuth),
    /// A client certificate; needs `server.tls.client_ca_file`.
    Mtls(MtlsAuth),
    /// A signature over the body, by Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    StandardWebhooks(StandardWebhooksAuth),
    /// Anybody may call. Never the default: it must be spelled.
    None(NoAuth),
}

impl Auth {
    /// The word in `scheme`.
    pub fn scheme(&self) -> &'static str {
        match self {
            Self::Header(_) => "header",
            Self::Basic(_) => "basic",
            Self::Jwt(_) => "jwt",
            Self::Mtls(_) => "mtls",
            Self::StandardWebhooks(_) => "standard_webhooks",
            Self::None(_) => "none",
        }
    }

    /// Whether the word in `scheme` is one of a signature over the body.
    pub(crate) fn signs_body(scheme: &str) -> bool {
        scheme == "standard_webhooks"
    }

    /// Where its secrets come from.
    pub(crate) fn secrets(&self) -> &[SecretSource] {
        match self {
            Self::Header(header) => &header.secrets,
            Self::Basic(basic) => &basic.secrets,
            Self::StandardWebhooks(webhooks) => &webhooks.secrets,
            Self::Jwt(_) | Self::Mtls(_) | Self::None(_) => &[],
        }
    }

    /// The file with the keys that sign its tokens, as written.
    pub(crate) fn key_file(&self) -> Option<&str> {
        match self {
            Self::Jwt(jwt) => jwt.jwks_file.as_deref(),
            _ => None,
        }
    }
}

/// The whole value of a header is the secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderAuth {
    /// Name of the header.
    #[serde(default = "authorization")]
    pub header: String,
    /// Any of them is good, so that a secret can be changed without an outage.
    #[schemars(length(min = 1))]
    pub secrets: Vec<SecretSource>,
}

/// HTTP Basic authentication.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// Each holds `user:password`; any of them is good.
    #[schemars(length(min = 1))]
    pub secrets: Vec<SecretSource>,
}

/// A signed token in `Authorization: Bearer …`. Needs one of `jwks_url` and `jwks_file`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JwtAuth {
    /// The `iss` that the token must have.
    #[schemars(length(min = 1))]
    pub(crate) issuer: String,
    /// The `aud` that the token must have, or several, any of which is good. Without it, the token must be for the address that
    /// was called: `server.public_url` and the path of the route.
    pub(crate) audience: Option<OneOrMany>,
    /// Where the signing keys are fetched, over https.
    pub(crate) jwks_url: Option<String>,
    /// A file with the signing keys, relative to `gateway.toml`.
    #[schemars(length(min = 1))]
    pub(crate) jwks_file: Option<String>,
    /// How far the clocks may differ.
    #[serde(default = "one_minute")]
    #[schemars(range(max = 600))]
    pub(crate) leeway_s: u64,
    /// The clients that may call, by the claim `cid` or `sub`; anyone with a good token if absent.
    #[schemars(length(min = 1))]
    pub(crate) client_ids: Option<Vec<String>>,
    /// A scope that the token must have.
    #[schemars(length(min = 1))]
    pub(crate) scope: Option<String>,
    /// Signature algorithms that are accepted.
    #[serde(default = "rs256")]
    #[schemars(length(min = 1))]
    pub(crate) algorithms: Vec<Algorithm>,
}

/// A signature algorithm. Those with a shared key are not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// A client certificate. Needs `subjects` or `fingerprints_sha256`; with both, either is good.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MtlsAuth {
    /// Names of the certificates that are accepted: the common name, or an alternative name.
    #[schemars(length(min = 1))]
    pub(crate) subjects: Option<Vec<String>>,
    /// SHA-256 fingerprints of the certificates that are accepted: 64 hexadecimal digits, colons between them allowed.
    #[schemars(length(min = 1))]
    pub(crate) fingerprints_sha256: Option<Vec<String>>,
}

/// A signature over the body, by Standard Webhooks 1.0.0: version `v1`, HMAC-SHA256.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StandardWebhooksAuth {
    /// Each is `whsec_` and the base64 of 24 bytes or more, as the sender shows it; any of them is good.
    #[schemars(length(min = 1))]
    pub secrets: Vec<SecretSource>,
    /// How many seconds the time of a call may be from ours, in both directions.
    #[serde(default = "five_minutes")]
    #[schemars(range(min = 1, max = 3600))]
    pub(crate) tolerance_s: u64,
}

/// Anybody may call. It takes no settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoAuth {}

fn authorization() -> String {
    "authorization".to_owned()
}

fn one_minute() -> u64 {
    60
}

fn five_minutes() -> u64 {
    300
}

fn rs256() -> Vec<Algorithm> {
    vec![Algorithm::RS256]
}
