//! What a token script can read: the OAuth request, who asks, and the tokens that Okta is about to sign.

use std::sync::Arc;

use rhai::{Array, Dynamic, ImmutableString, Variant};
use serde::Deserialize;

use crate::hooks::okta::request;
use crate::hooks::okta::request::{Call, Payload, Session, SessionData, User, UserData};
use crate::hooks::okta::token::TokenPatch;
use crate::hooks::okta::wire;
use crate::hooks::okta::wire::{Attributes, Text, WebRequest};
use crate::script::library::{Doc, Library};

/// `data` of a call. Every member is optional: client credentials have neither user nor session.
#[derive(Debug, Deserialize)]
pub struct Data {
    context: Option<Context>,
    identity: Option<Arc<TokenData>>,
    access: Option<Arc<TokenData>>,
    refresh_token: Option<RefreshToken>,
}

#[derive(Debug, Deserialize)]
struct Context {
    request: Option<WebRequest>,
    protocol: Option<Protocol>,
    session: Option<Arc<SessionData>>,
    user: Option<Arc<UserData>>,
    policy: Option<Arc<PolicyData>>,
}

#[derive(Debug, Deserialize)]
struct Protocol {
    #[serde(default, rename = "type", deserialize_with = "wire::text")]
    kind: Text,
    request: Option<OAuthRequest>,
    #[serde(rename = "OriginalGrant")]
    original_grant: Option<Arc<GrantData>>,
    issuer: Option<Issuer>,
    client: Option<Arc<ClientData>>,
}

/// What the client asked the authorization server for.
#[derive(Debug, Deserialize)]
struct OAuthRequest {
    #[serde(default, deserialize_with = "wire::text")]
    scope: Text,
    #[serde(default, deserialize_with = "wire::text")]
    state: Text,
    #[serde(default, deserialize_with = "wire::text")]
    redirect_uri: Text,
    #[serde(default, deserialize_with = "wire::text")]
    response_mode: Text,
    #[serde(default, deserialize_with = "wire::text")]
    response_type: Text,
    #[serde(default, deserialize_with = "wire::text")]
    client_id: Text,
    #[serde(default, deserialize_with = "wire::text")]
    grant_type: Text,
}

/// What produced the refresh token that is being used.
#[derive(Debug, Deserialize)]
struct GrantData {
    /// Named `request` by an earlier form of the contract.
    #[serde(alias = "request")]
    authorization: Option<OAuthRequest>,
    refresh_token: Option<RefreshToken>,
}

#[derive(Debug, Deserialize)]
struct RefreshToken {
    #[serde(default, deserialize_with = "wire::text")]
    jti: Text,
}

#[derive(Debug, Deserialize)]
struct Issuer {
    #[serde(default, deserialize_with = "wire::text")]
    uri: Text,
}

#[derive(Debug, Deserialize)]
struct ClientData {
    #[serde(default, deserialize_with = "wire::text")]
    id: Text,
    #[serde(default, deserialize_with = "wire::text")]
    name: Text,
    #[serde(default, rename = "type", deserialize_with = "wire::text")]
    kind: Text,
}

#[derive(Debug, Deserialize)]
struct PolicyData {
    #[serde(default, deserialize_with = "wire::text")]
    id: Text,
    rule: Option<Rule>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    #[serde(default, deserialize_with = "wire::text")]
    id: Text,
}

/// A token before it is signed.
#[derive(Debug, Deserialize)]
pub struct TokenData {
    pub(super) claims: Option<Attributes>,
    token: Option<TokenSettings>,
    scopes: Option<Attributes>,
}

#[derive(Debug, Deserialize)]
struct TokenSettings {
    lifetime: Option<Lifetime>,
}

#[derive(Debug, Deserialize)]
struct Lifetime {
    #[serde(default, deserialize_with = "wire::text")]
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
    fn web(&self) -> Option<&WebRequest> {
        self.context.as_ref()?.request.as_ref()
    }
}

impl Data {
    /// A token, if it was requested.
    pub fn token(&self, target: TokenPatch) -> Option<&TokenData> {
        match target {
            TokenPatch::IdToken => self.identity.as_deref(),
            TokenPatch::AccessToken => self.access.as_deref(),
        }
    }

    /// Whether anything in it is a token hook's.
    pub fn is_recognised(&self) -> bool {
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
    pub fn lifetime(&self) -> Option<i64> {
        self.token.as_ref()?.lifetime.as_ref()?.expiration.as_ref()?.parse().ok()
    }

    /// The names of the granted scopes, in alphabetical order; the ID token has none.
    fn granted(&self) -> Dynamic {
        let Some(Attributes(scopes)) = &self.scopes else { return Dynamic::UNIT };
        let denied = |grant: &Dynamic| member(grant, "action").is_some_and(|action| action != "GRANT");
        let names = scopes.iter().filter(|(_, grant)| !denied(grant));
        texts(names.map(|(name, _)| name.as_str().into()))
    }

    fn scope_ids(&self) -> Dynamic {
        let Some(Attributes(scopes)) = &self.scopes else { return Dynamic::UNIT };
        let id = |grant| member(grant, "id").map_or(Dynamic::UNIT, Dynamic::from);
        Dynamic::from_map(scopes.iter().map(|(name, grant)| (name.clone(), id(grant))).collect()).into_read_only()
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

/// Registers the request, called `name`, and the values in it.
pub fn register(library: &mut Library, name: &'static str) {
    library.value::<Call<Data>>(name, "Tokens that Okta is about to sign, and what led to them.");
    Call::<Data>::register(library);
    register_oauth(library, |call: &Call<Data>| call.data().protocol()?.request.as_ref());
    register_circumstances(library);
    register_tokens(library);
    register_client(library);
    register_grant(library);
    User::register(library);
    Session::register(library);
}

/// What the first request and the one behind a refresh token have in common.
fn register_oauth<T: Variant + Clone>(library: &mut Library, part: fn(&T) -> Option<&OAuthRequest>) {
    let field = move |value: &T, field: fn(&OAuthRequest) -> &Text| {
        part(value).map_or(Dynamic::UNIT, |oauth| request::text(field(oauth)))
    };
    library
        .property(
            Doc::new("Self.scopes: array", "The scopes that the client asked for; empty if it named none.", ""),
            move |value: &mut T| texts(part(value).into_iter().flat_map(OAuthRequest::scopes)),
        )
        .property(
            Doc::new(
                "Self.grant_type: string",
                "`authorization_code`, `client_credentials`, `refresh_token`, …, or `()`.",
                "",
            ),
            move |value: &mut T| field(value, |oauth| &oauth.grant_type),
        )
        .property(
            Doc::new("Self.response_type: string", "`code`, `token id_token`, … (separated by blanks), or `()`.", ""),
            move |value: &mut T| field(value, |oauth| &oauth.response_type),
        )
        .property(
            Doc::new(
                "Self.response_mode: string",
                "`query`, `fragment`, `form_post`, `okta_post_message`, or `()`.",
                "",
            ),
            move |value: &mut T| field(value, |oauth| &oauth.response_mode),
        )
        .property(
            Doc::new("Self.redirect_uri: string", "Where the answer goes to, or `()`.", ""),
            move |value: &mut T| field(value, |oauth| &oauth.redirect_uri),
        )
        .property(
            Doc::new("Self.state: string", "What the client gets back unchanged, or `()`.", ""),
            move |value: &mut T| field(value, |oauth| &oauth.state),
        )
        .property(
            Doc::new("Self.client_id: string", "The client as the request names it, or `()`.", ""),
            move |value: &mut T| field(value, |oauth| &oauth.client_id),
        );
}

fn register_circumstances(library: &mut Library) {
    type This<'a> = &'a mut Call<Data>;
    library
        .property(Doc::new("Self.protocol: string", "`OAUTH2.0`.", ""), |call: This| {
            call.data().protocol().map_or(Dynamic::UNIT, |protocol| request::text(&protocol.kind))
        })
        .property(Doc::new("Self.issuer: string", "The authorization server's address, or `()`.", ""), |call: This| {
            let issuer = call.data().protocol().and_then(|protocol| protocol.issuer.as_ref());
            issuer.map_or(Dynamic::UNIT, |issuer| request::text(&issuer.uri))
        })
        .property(
            Doc::new("Self.client: Client", "The application that gets the tokens, or `()`.", ""),
            |call: This| {
                let client = call.data().protocol().and_then(|protocol| protocol.client.clone());
                client.map_or(Dynamic::UNIT, |client| Dynamic::from(Client(client)))
            },
        )
        .property(Doc::new("Self.user: User", "The user, or `()`: client credentials have none.", ""), |call: This| {
            User::dynamic(call.data().context.as_ref().and_then(|context| context.user.as_ref()))
        })
        .property(
            Doc::new(
                "Self.session: Session",
                "The user's session, or `()`: refreshing and client credentials have none.",
                "",
            ),
            |call: This| Session::dynamic(call.data().context.as_ref().and_then(|context| context.session.as_ref())),
        )
        .property(
            Doc::new("Self.policy: Policy", "The access policy that lets the client have tokens, or `()`.", ""),
            |call: This| call.data().policy().cloned().map_or(Dynamic::UNIT, |policy| Dynamic::from(Policy(policy))),
        )
        .property(
            Doc::new("Self.original_grant: Grant", "What produced the refresh token that is being used, or `()`.", ""),
            |call: This| {
                let grant = call.data().protocol().and_then(|protocol| protocol.original_grant.clone());
                grant.map_or(Dynamic::UNIT, |grant| Dynamic::from(Grant(grant)))
            },
        )
        .property(
            Doc::new("Self.refresh_token_id: string", "`jti` of the refresh token being issued or used, or `()`.", ""),
            |call: This| call.data().refresh_token.as_ref().map_or(Dynamic::UNIT, |token| request::text(&token.jti)),
        );
}

fn register_tokens(library: &mut Library) {
    type This<'a> = &'a mut Call<Data>;
    let token =
        |token: &Option<Arc<TokenData>>| token.clone().map_or(Dynamic::UNIT, |token| Dynamic::from(Token(token)));
    library
        .property(
            Doc::new("Self.id_token: Token", "The ID token about to be signed, or `()` when none was requested.", ""),
            move |call: This| token(&call.data().identity),
        )
        .property(
            Doc::new(
                "Self.access_token: Token",
                "The access token about to be signed, or `()` when none was requested.",
                "",
            ),
            move |call: This| token(&call.data().access),
        )
        .value::<Token>("Token", "A token about to be signed.")
        .property(Doc::new("Token.claims: map", "Its claims by name, read-only.", ""), |token: &mut Token| {
            token.0.claims.as_ref().map_or_else(|| Attributes::default().read_only(), Attributes::read_only)
        })
        .property(
            Doc::new("Token.lifetime: int", "Seconds that it will be valid, or `()`.", ""),
            |token: &mut Token| token.0.lifetime().map_or(Dynamic::UNIT, Dynamic::from),
        )
        .property(
            Doc::new(
                "Token.scopes: array",
                "Names of the scopes granted with an access token; `()` for ID tokens.",
                "",
            ),
            |token: &mut Token| token.0.granted(),
        )
        .property(
            Doc::new("Token.scope_ids: map", "Okta's ids of these scopes (`scp…`), by name; `()` for ID tokens.", ""),
            |token: &mut Token| token.0.scope_ids(),
        );
}

fn register_client(library: &mut Library) {
    library
        .value::<Client>("Client", "The application that gets the tokens.")
        .property(Doc::new("Client.id: string", "Its client id.", ""), |client: &mut Client| {
            request::text(&client.0.id)
        })
        .property(Doc::new("Client.name: string", "Its name at Okta.", ""), |client: &mut Client| {
            request::text(&client.0.name)
        })
        .property(Doc::new("Client.type: string", "`PUBLIC` or `CONFIDENTIAL`.", ""), |client: &mut Client| {
            request::text(&client.0.kind)
        })
        .value::<Policy>("Policy", "The access policy that lets the client have tokens.")
        .property(Doc::new("Policy.id: string", "Okta's id of the policy (`00p…`).", ""), |policy: &mut Policy| {
            request::text(&policy.0.id)
        })
        .property(
            Doc::new("Policy.rule_id: string", "Okta's id of the rule in it (`0pr…`), or `()`.", ""),
            |policy: &mut Policy| policy.0.rule.as_ref().map_or(Dynamic::UNIT, |rule| request::text(&rule.id)),
        );
}

fn register_grant(library: &mut Library) {
    library.value::<Grant>("Grant", "What produced the refresh token that is being used.");
    register_oauth(library, |grant: &Grant| grant.0.authorization.as_ref());
    library.property(
        Doc::new("Grant.refresh_token_id: string", "`jti` of that refresh token, or `()`.", ""),
        |grant: &mut Grant| grant.0.refresh_token.as_ref().map_or(Dynamic::UNIT, |token| request::text(&token.jti)),
    );
}
