//! What a token script can read: the OAuth request, who asks, and the tokens that Okta is about to sign.

use std::sync::Arc;

use rhai::{Array, Dynamic, ImmutableString};
use serde::Deserialize;

use crate::lenient;
use crate::lenient::{Attributes, Path, Text};
use crate::okta::person::{SessionData, UserData};
use crate::okta::request::Payload;
use crate::okta::token::TokenPatch;
use crate::okta::wire::WebRequest;

pub(crate) mod values;

/// `data` of a call. Every member is optional: client credentials have neither user nor session.
#[derive(Debug, Deserialize)]
pub(crate) struct Data {
    #[serde(default, deserialize_with = "lenient::object")]
    context: Option<Context>,
    #[serde(default, deserialize_with = "lenient::object")]
    identity: Option<Arc<TokenData>>,
    #[serde(default, deserialize_with = "lenient::object")]
    access: Option<Arc<TokenData>>,
    #[serde(default, deserialize_with = "lenient::object")]
    refresh_token: Option<RefreshToken>,
}

#[derive(Debug, Deserialize)]
struct Context {
    #[serde(default, deserialize_with = "lenient::object")]
    request: Option<WebRequest>,
    #[serde(default, deserialize_with = "lenient::object")]
    protocol: Option<Protocol>,
    #[serde(default, deserialize_with = "lenient::object")]
    session: Option<Arc<SessionData>>,
    #[serde(default, deserialize_with = "lenient::object")]
    user: Option<Arc<UserData>>,
    #[serde(default, deserialize_with = "lenient::object")]
    policy: Option<Arc<PolicyData>>,
}

#[derive(Debug, Deserialize)]
struct Protocol {
    #[serde(default, rename = "type", deserialize_with = "lenient::text")]
    kind: Text,
    #[serde(default, deserialize_with = "lenient::object")]
    request: Option<OAuthRequest>,
    #[serde(default, rename = "OriginalGrant", deserialize_with = "lenient::object")]
    original_grant: Option<Arc<GrantData>>,
    #[serde(default, deserialize_with = "lenient::object")]
    issuer: Option<Issuer>,
    #[serde(default, deserialize_with = "lenient::object")]
    client: Option<Arc<ClientData>>,
}

/// What the client asked the authorization server for.
#[derive(Debug, Deserialize)]
struct OAuthRequest {
    #[serde(default, deserialize_with = "lenient::text")]
    scope: Text,
    #[serde(default, deserialize_with = "lenient::text")]
    state: Text,
    #[serde(default, deserialize_with = "lenient::text")]
    redirect_uri: Text,
    #[serde(default, deserialize_with = "lenient::text")]
    response_mode: Text,
    #[serde(default, deserialize_with = "lenient::text")]
    response_type: Text,
    #[serde(default, deserialize_with = "lenient::text")]
    client_id: Text,
    #[serde(default, deserialize_with = "lenient::text")]
    grant_type: Text,
}

/// What produced the refresh token that is being used.
#[derive(Debug, Deserialize)]
struct GrantData {
    /// Named `request` by an earlier form of the contract.
    #[serde(default, alias = "request", deserialize_with = "lenient::object")]
    authorization: Option<OAuthRequest>,
    #[serde(default, deserialize_with = "lenient::object")]
    refresh_token: Option<RefreshToken>,
}

#[derive(Debug, Deserialize)]
struct RefreshToken {
    #[serde(default, deserialize_with = "lenient::text")]
    jti: Text,
}

#[derive(Debug, Deserialize)]
struct Issuer {
    #[serde(default, deserialize_with = "lenient::text")]
    uri: Text,
}

#[derive(Debug, Deserialize)]
struct ClientData {
    #[serde(default, deserialize_with = "lenient::text")]
    id: Text,
    #[serde(default, deserialize_with = "lenient::text")]
    name: Text,
    #[serde(default, rename = "type", deserialize_with = "lenient::text")]
    kind: Text,
}

#[derive(Debug, Deserialize)]
struct PolicyData {
    #[serde(default, deserialize_with = "lenient::text")]
    id: Text,
    #[serde(default, deserialize_with = "lenient::object")]
    rule: Option<Rule>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    #[serde(default, deserialize_with = "lenient::text")]
    id: Text,
}

/// A token before it is signed.
#[derive(Debug, Deserialize)]
pub(crate) struct TokenData {
    #[serde(default, deserialize_with = "lenient::object")]
    pub(super) claims: Option<Attributes>,
    #[serde(default, deserialize_with = "lenient::object")]
    token: Option<TokenSettings>,
    #[serde(default, deserialize_with = "lenient::object")]
    scopes: Option<Attributes>,
}

#[derive(Debug, Deserialize)]
struct TokenSettings {
    #[serde(default, deserialize_with = "lenient::object")]
    lifetime: Option<Lifetime>,
}

#[derive(Debug, Deserialize)]
struct Lifetime {
    #[serde(default, deserialize_with = "lenient::text")]
    expiration: Text,
}

/// The client as scripts see it.
#[derive(Clone, Debug)]
struct Client(Arc<ClientData>);

/// The access policy as scripts see it.
#[derive(Clone, Debug)]
struct Policy(Arc<PolicyData>);

/// A token as scripts see it.
#[derive(Clone, Debug)]
struct Token(Arc<TokenData>);

/// The grant behind a refresh token as scripts see it.
#[derive(Clone, Debug)]
struct Grant(Arc<GrantData>);

impl Payload for Data {
    const DECISIVE: &'static [Path] =
        &[&["data", "identity", "claims"], &["data", "access", "claims"], &["data", "access", "scopes"]];

    fn web(&self) -> Option<&WebRequest> {
        self.context.as_ref()?.request.as_ref()
    }
}

impl Data {
    /// A token, if it was requested.
    pub(crate) fn token(&self, target: TokenPatch) -> Option<&TokenData> {
        match target {
            TokenPatch::IdToken => self.identity.as_deref(),
            TokenPatch::AccessToken => self.access.as_deref(),
        }
    }

    /// Whether anything in it is a token hook's.
    pub(crate) fn is_recognised(&self) -> bool {
        self.identity.is_some() || self.access.is_some() || self.protocol().is_some()
    }

    fn protocol(&self) -> Option<&Protocol> {
        self.context.as_ref()?.protocol.as_ref()
    }

    fn policy(&self) -> Option<&Arc<PolicyData>> {
        self.context.as_ref()?.policy.as_ref()
    }
}

impl TokenData {
    /// Seconds from being issued to the end.
    pub(crate) fn lifetime(&self) -> Option<i64> {
        self.token.as_ref()?.lifetime.as_ref()?.expiration.as_ref()?.parse().ok()
    }

    /// The names of the granted scopes, in alphabetical order; the ID token has none.
    fn granted(&self) -> Dynamic {
        let Some(Attributes(scopes)) = &self.scopes else { return Dynamic::UNIT };
        let denied = |grant: &Dynamic| member(grant, "action").is_some_and(|action| action != "GRANT");
        let names = scopes.iter().filter(|(_, grant)| !denied(grant));
        texts(names.map(|(name, _)| name.as_str().into()))
    }

    /// One member of what Okta says of each scope, by the scope's name.
    fn of_scopes(&self, name: &str) -> Dynamic {
        let Some(Attributes(scopes)) = &self.scopes else { return Dynamic::UNIT };
        let part = |grant| member(grant, name).map_or(Dynamic::UNIT, Dynamic::from);
        Dynamic::from_map(scopes.iter().map(|(scope, grant)| (scope.clone(), part(grant))).collect()).into_read_only()
    }
}

impl OAuthRequest {
    fn scopes(&self) -> impl Iterator<Item = ImmutableString> {
        self.scope.iter().flat_map(|scope| scope.split_whitespace()).map(ImmutableString::from)
    }
}

fn member(map: &Dynamic, name: &str) -> Text {
    map.read_lock::<rhai::Map>()?.get(name)?.clone().into_immutable_string().ok()
}

fn texts(items: impl Iterator<Item = ImmutableString>) -> Dynamic {
    Dynamic::from_array(items.map(Dynamic::from).collect::<Array>()).into_read_only()
}
