//! The user and the session that several of Okta's calls carry.

use std::sync::Arc;

use rhai::Dynamic;
use serde::Deserialize;

use crate::lenient;
use crate::lenient::{Attributes, Text, Texts};
use crate::okta::request::{text, time};
use hookgate_script::library::{Doc, Library};

/// `data.context.user`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct UserData {
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) id: Text,
    #[serde(default, rename = "passwordChanged", deserialize_with = "lenient::text")]
    pub(crate) password_changed: Text,
    #[serde(default, deserialize_with = "lenient::object")]
    pub(crate) profile: Option<Attributes>,
    /// Seen when tokens are refreshed (contract, section 6.1); nobody says what is in it.
    #[serde(default, deserialize_with = "lenient::object")]
    policy: Option<Attributes>,
    #[serde(default, rename = "_links", deserialize_with = "lenient::object")]
    links: Option<Links>,
}

#[derive(Debug, Deserialize)]
struct Links {
    #[serde(default, deserialize_with = "lenient::object")]
    groups: Option<Link>,
    #[serde(default, deserialize_with = "lenient::object")]
    factors: Option<Link>,
}

#[derive(Debug, Deserialize)]
struct Link {
    #[serde(default, deserialize_with = "lenient::text")]
    href: Text,
}

/// The user as scripts see it.
#[derive(Clone, Debug)]
pub(crate) struct User(Arc<UserData>);

impl User {
    /// A user for scripts, or `()`.
    pub(crate) fn dynamic(data: Option<&Arc<UserData>>) -> Dynamic {
        data.map_or(Dynamic::UNIT, |data| Dynamic::from(Self(data.clone())))
    }

    pub(crate) fn register(library: &mut Library) {
        let profile = |user: &mut Self| user.0.profile.as_ref().map_or(Dynamic::UNIT, Attributes::read_only);
        let link = |link: Option<&Link>| link.map_or(Dynamic::UNIT, |link| text(&link.href));
        library
            .value::<Self>("User", "The Okta user that the call is about.")
            .property(
                Doc::new("User.id: string", "Okta's id (`00u…`), or `()`.", r#"request.user.id.starts_with("00u")"#),
                |user: &mut Self| text(&user.0.id),
            )
            .property(
                Doc::new(
                    "User.login: string",
                    "The login name, or `()`.",
                    r#"request.user.login == "ann@mail.example""#,
                ),
                |user: &mut Self| text(&user.0.attribute("login")),
            )
            .property(
                Doc::new(
                    "User.profile: map",
                    "The attributes that Okta sends, by name; `()` if none.",
                    r#"request.user.profile.firstName == "Ann""#,
                ),
                profile,
            )
            .property(
                Doc::new(
                    "User.policy: map",
                    "`policy` of the user as Okta sends it when a token is refreshed, read-only; `()` if it sends none.",
                    r#"request.user.policy == () || request.user.policy.id == "00pPolicy00000000001""#,
                ),
                |user: &mut Self| user.0.policy.as_ref().map_or(Dynamic::UNIT, Attributes::read_only),
            )
            .property(
                Doc::new(
                    "User.password_changed: Time",
                    "When the password was last changed, or `()`.",
                    "request.user.password_changed.year == 2026",
                ),
                |user: &mut Self| time(&user.0.password_changed),
            )
            .property(
                Doc::new(
                    "User.groups_url: string",
                    "Where Okta lists the user's groups, or `()`.",
                    r#"request.user.groups_url.ends_with("/groups")"#,
                ),
                move |user: &mut Self| link(user.0.links.as_ref().and_then(|links| links.groups.as_ref())),
            )
            .property(
                Doc::new(
                    "User.factors_url: string",
                    "Where Okta lists the user's factors, or `()`.",
                    r#"request.user.factors_url.ends_with("/factors")"#,
                ),
                move |user: &mut Self| link(user.0.links.as_ref().and_then(|links| links.factors.as_ref())),
            );
    }
}

impl UserData {
    /// A text attribute of the profile.
    pub(crate) fn attribute(&self, name: &str) -> Text {
        self.profile.as_ref().and_then(|profile| profile.text(name))
    }
}

/// `data.context.session`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct SessionData {
    #[serde(default, deserialize_with = "lenient::text")]
    id: Text,
    #[serde(default, rename = "userId", deserialize_with = "lenient::text")]
    user_id: Text,
    #[serde(default, deserialize_with = "lenient::text")]
    login: Text,
    #[serde(default, rename = "createdAt", deserialize_with = "lenient::text")]
    created: Text,
    #[serde(default, rename = "expiresAt", deserialize_with = "lenient::text")]
    expires: Text,
    #[serde(default, deserialize_with = "lenient::text")]
    status: Text,
    #[serde(default, rename = "lastPasswordVerification", deserialize_with = "lenient::text")]
    last_password: Text,
    #[serde(default, rename = "lastFactorVerification", deserialize_with = "lenient::text")]
    last_factor: Text,
    #[serde(default, deserialize_with = "lenient::texts")]
    amr: Texts,
    #[serde(default, deserialize_with = "lenient::object")]
    idp: Option<Idp>,
    #[serde(default, rename = "mfaActive", deserialize_with = "lenient::flag")]
    mfa_active: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Idp {
    #[serde(default, deserialize_with = "lenient::text")]
    id: Text,
    #[serde(default, rename = "type", deserialize_with = "lenient::text")]
    kind: Text,
}

/// The session as scripts see it.
#[derive(Clone, Debug)]
pub(crate) struct Session(Arc<SessionData>);

impl Session {
    /// A session for scripts, or `()`: client credentials have none.
    pub(crate) fn dynamic(data: Option<&Arc<SessionData>>) -> Dynamic {
        data.map_or(Dynamic::UNIT, |data| Dynamic::from(Self(data.clone())))
    }

    pub(crate) fn register(library: &mut Library) {
        type This<'a> = &'a mut Session;
        let idp = |session: &Session, part: fn(&Idp) -> &Text| {
            session.0.idp.as_ref().map_or(Dynamic::UNIT, |idp| text(part(idp)))
        };
        library
            .value::<Self>("Session", "The user's Okta session.")
            .property(
                Doc::new("Session.id: string", "Okta's id of the session.", "request.session.id.len() > 10"),
                |s: This| text(&s.0.id),
            )
            .property(
                Doc::new("Session.user_id: string", "Id of its user.", "request.session.user_id == request.user.id"),
                |s: This| text(&s.0.user_id),
            )
            .property(
                Doc::new("Session.login: string", "Login of its user.", "request.session.login == request.user.login"),
                |s: This| text(&s.0.login),
            )
            .property(
                Doc::new("Session.created: Time", "When it began.", "request.session.created < request.time"),
                |s: This| time(&s.0.created),
            )
            .property(
                Doc::new("Session.expires: Time", "When it ends.", "request.session.expires > request.time"),
                |s: This| time(&s.0.expires),
            )
            .property(
                Doc::new("Session.status: string", "`ACTIVE`, …", r#"request.session.status == "ACTIVE""#),
                |s: This| text(&s.0.status),
            )
            .property(
                Doc::new(
                    "Session.last_password: Time",
                    "When the password was last verified; `()` for federated users.",
                    "request.session.last_password <= request.time",
                ),
                |s: This| time(&s.0.last_password),
            )
            .property(
                Doc::new(
                    "Session.last_factor: Time",
                    "When a second factor was last verified, or `()`.",
                    "request.session.last_factor == () || request.session.last_factor <= request.time",
                ),
                |s: This| time(&s.0.last_factor),
            )
            .property(
                Doc::new(
                    "Session.amr: array",
                    "How the user signed in: `PASSWORD`, `MULTIFACTOR_AUTHENTICATION`, …",
                    r#""PASSWORD" in request.session.amr"#,
                ),
                |s: This| {
                    let amr = s.0.amr.iter().flatten().cloned().map(Dynamic::from).collect::<rhai::Array>();
                    Dynamic::from_array(amr).into_read_only()
                },
            )
            .property(
                Doc::new(
                    "Session.mfa_active: bool",
                    "Whether a second factor is enrolled, or `()`.",
                    r#"type_of(request.session.mfa_active) == "bool""#,
                ),
                |s: This| s.0.mfa_active.map_or(Dynamic::UNIT, Dynamic::from),
            )
            .property(
                Doc::new(
                    "Session.idp_id: string",
                    "The identity provider that signed the user in.",
                    r#"request.session.idp_id.starts_with("00o")"#,
                ),
                move |s: This| idp(s, |idp| &idp.id),
            )
            .property(
                Doc::new(
                    "Session.idp_type: string",
                    "`OKTA`, `ACTIVE_DIRECTORY`, `FEDERATION`, `LDAP`, `SOCIAL`.",
                    r#"request.session.idp_type == "OKTA""#,
                ),
                move |s: This| idp(s, |idp| &idp.kind),
            );
    }
}
