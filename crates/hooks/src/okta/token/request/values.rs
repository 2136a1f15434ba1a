//! What each part of a token call is named in scripts. The types are those of `request`.

use std::sync::Arc;

use rhai::{Dynamic, Variant};

use crate::lenient::{Attributes, Text};
use crate::okta::person::{Session, User};
use crate::okta::request;
use crate::okta::request::Call;
use crate::okta::token::request::{Client, Data, Grant, OAuthRequest, Policy, Token, TokenData, texts};
use hookgate_script::library::{Doc, Library};

/// Registers the request, called `name`, and the values in it.
pub(crate) fn register(library: &mut Library, name: &'static str) {
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
            Doc::new(
                "Self.scopes: array",
                "The scopes that the client asked for; empty if it named none.",
                r#"request.scopes == ["openid", "profile"]"#,
            ),
            move |value: &mut T| texts(part(value).into_iter().flat_map(OAuthRequest::scopes)),
        )
        .property(
            Doc::new(
                "Self.grant_type: string",
                "`authorization_code`, `client_credentials`, `refresh_token`, …, or `()`.",
                r#"request.grant_type == "implicit""#,
            ),
            move |value: &mut T| field(value, |oauth| &oauth.grant_type),
        )
        .property(
            Doc::new(
                "Self.response_type: string",
                "`code`, `token id_token`, … (separated by blanks), or `()`.",
                r#"request.response_type == "token id_token""#,
            ),
            move |value: &mut T| field(value, |oauth| &oauth.response_type),
        )
        .property(
            Doc::new(
                "Self.response_mode: string",
                "`query`, `fragment`, `form_post`, `okta_post_message`, or `()`.",
                r#"request.response_mode == "fragment""#,
            ),
            move |value: &mut T| field(value, |oauth| &oauth.response_mode),
        )
        .property(
            Doc::new(
                "Self.redirect_uri: string",
                "Where the answer goes to, or `()`.",
                r#"request.redirect_uri == "https://app.example/callback""#,
            ),
            move |value: &mut T| field(value, |oauth| &oauth.redirect_uri),
        )
        .property(
            Doc::new("Self.state: string", "What the client gets back unchanged, or `()`.", r#"request.state == "s7""#),
            move |value: &mut T| field(value, |oauth| &oauth.state),
        )
        .property(
            Doc::new(
                "Self.client_id: string",
                "The client as the request names it, or `()`.",
                "request.client_id == request.client.id",
            ),
            move |value: &mut T| field(value, |oauth| &oauth.client_id),
        );
}

fn register_circumstances(library: &mut Library) {
    type This<'a> = &'a mut Call<Data>;
    library
        .property(
            Doc::new("Self.protocol: string", "`OAUTH2.0`.", r#"request.protocol == "OAUTH2.0""#),
            |call: This| call.data().protocol().map_or(Dynamic::UNIT, |protocol| request::text(&protocol.kind)),
        )
        .property(
            Doc::new(
                "Self.issuer: string",
                "The authorization server's address, or `()`.",
                r#"request.issuer == "https://example.okta.com/oauth2/default""#,
            ),
            |call: This| {
                let issuer = call.data().protocol().and_then(|protocol| protocol.issuer.as_ref());
                issuer.map_or(Dynamic::UNIT, |issuer| request::text(&issuer.uri))
            },
        )
        .property(
            Doc::new(
                "Self.client: Client",
                "The application that gets the tokens, or `()`.",
                r#"request.client.name == "Portal""#,
            ),
            |call: This| {
                let client = call.data().protocol().and_then(|protocol| protocol.client.clone());
                client.map_or(Dynamic::UNIT, |client| Dynamic::from(Client(client)))
            },
        )
        .property(
            Doc::new(
                "Self.user: User",
                "The user, or `()`: client credentials have none.",
                "request.user.login == request.session.login",
            ),
            |call: This| User::dynamic(call.data().context.as_ref().and_then(|context| context.user.as_ref())),
        )
        .property(
            Doc::new(
                "Self.session: Session",
                "The user's session, or `()`: refreshing and client credentials have none.",
                r#"request.session.amr == ["PASSWORD"]"#,
            ),
            |call: This| Session::dynamic(call.data().context.as_ref().and_then(|context| context.session.as_ref())),
        )
        .property(
            Doc::new(
                "Self.policy: Policy",
                "The access policy that lets the client have tokens, or `()`.",
                r#"request.policy.id == "00pPolicy00000000001""#,
            ),
            |call: This| call.data().policy().cloned().map_or(Dynamic::UNIT, |policy| Dynamic::from(Policy(policy))),
        )
        .property(
            Doc::new(
                "Self.original_grant: Grant",
                "What produced the refresh token that is being used, or `()`.",
                r#"request.original_grant.response_type == "code""#,
            ),
            |call: This| {
                let grant = call.data().protocol().and_then(|protocol| protocol.original_grant.clone());
                grant.map_or(Dynamic::UNIT, |grant| Dynamic::from(Grant(grant)))
            },
        )
        .property(
            Doc::new(
                "Self.refresh_token_id: string",
                "`jti` of the refresh token being issued or used, or `()`.",
                r#"request.refresh_token_id == "oarSample00000000001""#,
            ),
            |call: This| call.data().refresh_token.as_ref().map_or(Dynamic::UNIT, |token| request::text(&token.jti)),
        );
}

fn register_tokens(library: &mut Library) {
    type This<'a> = &'a mut Call<Data>;
    let token =
        |token: &Option<Arc<TokenData>>| token.clone().map_or(Dynamic::UNIT, |token| Dynamic::from(Token(token)));
    library
        .property(
            Doc::new(
                "Self.id_token: Token",
                "The ID token about to be signed, or `()` when none was requested.",
                "request.id_token.lifetime == 3600",
            ),
            move |call: This| token(&call.data().identity),
        )
        .property(
            Doc::new(
                "Self.access_token: Token",
                "The access token about to be signed, or `()` when none was requested.",
                r#""openid" in request.access_token.scopes"#,
            ),
            move |call: This| token(&call.data().access),
        )
        .value::<Token>("Token", "A token about to be signed.")
        .property(
            Doc::new(
                "Token.claims: map",
                "Its claims by name, read-only.",
                r#"request.id_token.claims.airports[1] == "tokyo" && request.id_token.claims.absent == ()"#,
            ),
            |token: &mut Token| {
                token.0.claims.as_ref().map_or_else(|| Attributes::default().read_only(), Attributes::read_only)
            },
        )
        .property(
            Doc::new(
                "Token.lifetime: int",
                "Seconds that it will be valid, or `()`.",
                "request.id_token.lifetime == 3600",
            ),
            |token: &mut Token| token.0.lifetime().map_or(Dynamic::UNIT, Dynamic::from),
        )
        .property(
            Doc::new(
                "Token.scopes: array",
                "Names of the scopes granted with an access token; `()` for ID tokens.",
                r#""openid" in request.access_token.scopes && request.id_token.scopes == ()"#,
            ),
            |token: &mut Token| token.0.granted(),
        )
        .property(
            Doc::new(
                "Token.scope_ids: map",
                "Okta's ids of these scopes (`scp…`), by name; `()` for ID tokens.",
                r#"request.access_token.scope_ids.openid == "scpOpenid00000000001""#,
            ),
            |token: &mut Token| token.0.of_scopes("id"),
        )
        .property(
            Doc::new(
                "Token.scope_actions: map",
                "What Okta does about each scope that was asked for (`GRANT`), by name; `()` for ID tokens.",
                r#"request.access_token.scope_actions.openid == "GRANT""#,
            ),
            |token: &mut Token| token.0.of_scopes("action"),
        );
}

fn register_client(library: &mut Library) {
    library
        .value::<Client>("Client", "The application that gets the tokens.")
        .property(
            Doc::new("Client.id: string", "Its client id.", r#"request.client.id == "0oaClient0000000000a""#),
            |client: &mut Client| request::text(&client.0.id),
        )
        .property(
            Doc::new("Client.name: string", "Its name at Okta.", r#"request.client.name == "Portal""#),
            |client: &mut Client| request::text(&client.0.name),
        )
        .property(
            Doc::new("Client.type: string", "`PUBLIC` or `CONFIDENTIAL`.", r#"request.client.type == "PUBLIC""#),
            |client: &mut Client| request::text(&client.0.kind),
        )
        .value::<Policy>("Policy", "The access policy that lets the client have tokens.")
        .property(
            Doc::new(
                "Policy.id: string",
                "Okta's id of the policy (`00p…`).",
                r#"request.policy.id == "00pPolicy00000000001""#,
            ),
            |policy: &mut Policy| request::text(&policy.0.id),
        )
        .property(
            Doc::new(
                "Policy.rule_id: string",
                "Okta's id of the rule in it (`0pr…`), or `()`.",
                r#"request.policy.rule_id == "0prRule0000000000001""#,
            ),
            |policy: &mut Policy| policy.0.rule.as_ref().map_or(Dynamic::UNIT, |rule| request::text(&rule.id)),
        );
}

fn register_grant(library: &mut Library) {
    library.value::<Grant>("Grant", "What produced the refresh token that is being used.");
    register_oauth(library, |grant: &Grant| grant.0.authorization.as_ref());
    library.property(
        Doc::new(
            "Grant.refresh_token_id: string",
            "`jti` of that refresh token, or `()`.",
            "request.original_grant.refresh_token_id == request.refresh_token_id",
        ),
        |grant: &mut Grant| grant.0.refresh_token.as_ref().map_or(Dynamic::UNIT, |token| request::text(&token.jti)),
    );
}
