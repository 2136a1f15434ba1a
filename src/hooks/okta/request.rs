//! What every request of Okta's inline hooks lets scripts read, and the user and session that several of them carry.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use rhai::{Dynamic, EvalAltResult, ImmutableString, Map, Variant};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::hooks::Facts;
use crate::hooks::HookError;
use crate::hooks::okta::wire;
use crate::hooks::okta::wire::{Attributes, Text, WebRequest};
use crate::script::budget;
use crate::script::library::{Doc, Library};
use crate::script::prelude::json;
use crate::script::prelude::net::Ip;
use crate::script::prelude::secret::Hidden;
use crate::script::prelude::time::Time;
use crate::script::prelude::url::Address;

/// `data` of one hook.
pub trait Payload: DeserializeOwned + Send + Sync + 'static {
    /// Paths of members that `raw` hands out as secrets.
    const SECRETS: &'static [&'static [&'static str]] = &[];

    /// `data.context.request`, if this hook carries it.
    fn web(&self) -> Option<&WebRequest>;
}

/// One call: the envelope, the typed `data`, and the body it came from. Cheap to clone.
///
/// The body is shared with the server that received it, so a password or code in it cannot be overwritten from here; it
/// is freed with the call. It never prints.
pub struct Call<D>(Arc<Inner<D>>);

struct Inner<D> {
    id: Text,
    time: Text,
    source: Text,
    request_type: Text,
    data: D,
    body: Bytes,
}

impl<D> Clone for Call<D> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<D> fmt::Debug for Call<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("Call").field("id", &self.0.id).finish_non_exhaustive()
    }
}

impl<D: Payload> Call<D> {
    /// Body to call.
    ///
    /// # Errors
    /// As [`wire::decode`].
    pub fn decode(hook: &'static str, body: &Bytes) -> Result<Self, HookError> {
        let envelope = wire::decode::<D>(hook, body)?;
        let data = envelope.data.expect("`decode` refuses a call without data");
        Ok(Self(Arc::new(Inner {
            id: envelope.id,
            time: envelope.time,
            source: envelope.source,
            request_type: envelope.request_type,
            data,
            body: body.clone(),
        })))
    }

    /// As it came.
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }

    pub fn data(&self) -> &D {
        &self.0.data
    }

    pub fn request_type(&self) -> Option<&str> {
        self.0.request_type.as_deref()
    }

    /// Okta marks a preview only by the address of its own console.
    pub fn preview(&self) -> bool {
        let url = self.0.data.web().and_then(|web| web.url.as_ref()).and_then(|url| url.value.as_ref());
        url.is_some_and(|url| url.ends_with("/generatePreview"))
    }

    /// `eventId`, or where that is missing the id of the end user's request (contract, section 4).
    pub fn facts(&self) -> Facts {
        let request_id = self.0.data.web().and_then(|web| web.id.clone());
        Facts {
            id: self.0.id.clone().or_else(|| request_id.clone()),
            request_id,
            event_type: None,
            preview: self.preview(),
            ..Facts::default()
        }
    }

    /// Decoding skips unknown members unread, so this reading can find what that one did not (such as nesting that is too
    /// deep): such a call has no `raw`.
    fn raw(&self) -> Result<Dynamic, Box<EvalAltResult>> {
        budget::charge(4 * self.0.body.len() as u64)?;
        let Ok(mut raw) = json::dynamic_from_text(&self.0.body)? else { return Ok(Dynamic::UNIT) };
        for path in D::SECRETS {
            hide(&mut raw, path);
        }
        Ok(raw.into_read_only())
    }

    /// Registers what all requests have in common, on the value named last.
    pub fn register(library: &mut Library)
    where
        Self: Variant + Clone,
    {
        type This<'a, D> = &'a mut Call<D>;
        library
            .property(Doc::new("Self.id: string", "Okta's id of this call (`eventId`), or `()`.", "request.id.len() > 10"), |call: This<D>| {
                text(&call.0.id)
            })
            .property(Doc::new("Self.time: Time", "When Okta made the call, or `()`.", "request.time.year == 2026"), |call: This<D>| {
                time(&call.0.time)
            })
            .property(
                Doc::new("Self.source: string", "What of Okta called, as it names itself: an address or an id.", "request.source.len() > 10"),
                |call: This<D>| text(&call.0.source),
            )
            .property(Doc::new("Self.ip: Ip", "Address of the end user, or `()`.", "request.ip == () || request.ip.is_valid"), |call: This<D>| {
                let ip = call.0.data.web().and_then(|web| web.ip.as_ref());
                ip.map_or(Dynamic::UNIT, |ip| Dynamic::from(Ip::parse(ip.clone())))
            })
            .property(
                Doc::new("Self.url: Url", "What the end user called at Okta, with `.query(name)`, or `()`.", r#"request.url == () || request.url.path.starts_with("/")"#),
                |call: This<D>| {
                    let url = call.0.data.web().and_then(|web| web.url.as_ref()).and_then(|url| url.value.clone());
                    url.map_or(Dynamic::UNIT, |url| Dynamic::from(Address::new(url)))
                },
            )
            .property(
                Doc::new("Self.preview: bool", "Whether this is a try-out from Okta's console.", "!request.preview"),
                |call: This<D>| call.preview(),
            )
            .fallible_property(
                Doc::new("Self.raw: map", "The whole call as Okta sent it, read-only, secrets as Secret; `()` if it nests more than 128 deep. Slow: for what has no name.", "request.raw.eventId == request.id"),
                |call: This<D>| call.raw(),
            );
    }
}

/// Puts a secret in the place of what is at `path`, if anything is. What is no map on the way is a secret as a whole: serde
/// reads an array as the members in order.
fn hide(value: &mut Dynamic, path: &[&str]) {
    match path.split_first() {
        _ if value.is_unit() => {}
        Some((name, rest)) if value.is_map() => {
            if let Some(member) = value.write_lock::<Map>().as_mut().and_then(|map| map.get_mut(*name)) {
                hide(member, rest);
            }
        }
        _ => *value = Dynamic::from(Hidden::new(value.to_string())),
    }
}

/// Absent is `()`.
pub fn text(value: &Text) -> Dynamic {
    value.clone().map_or(Dynamic::UNIT, Dynamic::from)
}

/// Absent or no time is `()`.
pub fn time(value: &Text) -> Dynamic {
    value.as_deref().and_then(|text| Time::parse(text).ok()).map_or(Dynamic::UNIT, Dynamic::from)
}

/// `data.context.user`.
#[derive(Debug, Default, Deserialize)]
pub struct UserData {
    #[serde(default, deserialize_with = "wire::text")]
    pub id: Text,
    #[serde(default, rename = "passwordChanged", deserialize_with = "wire::text")]
    pub password_changed: Text,
    pub profile: Option<Attributes>,
    #[serde(rename = "_links")]
    links: Option<Links>,
}

#[derive(Debug, Deserialize)]
struct Links {
    groups: Option<Link>,
    factors: Option<Link>,
}

#[derive(Debug, Deserialize)]
struct Link {
    #[serde(default, deserialize_with = "wire::text")]
    href: Text,
}

/// The user as scripts see it.
#[derive(Clone, Debug)]
pub struct User(Arc<UserData>);

impl User {
    /// A user for scripts, or `()`.
    pub fn dynamic(data: Option<&Arc<UserData>>) -> Dynamic {
        data.map_or(Dynamic::UNIT, |data| Dynamic::from(Self(data.clone())))
    }

    pub fn register(library: &mut Library) {
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
    pub fn attribute(&self, name: &str) -> Text {
        self.profile.as_ref().and_then(|profile| profile.text(name))
    }
}

/// `data.context.session`.
#[derive(Debug, Default, Deserialize)]
pub struct SessionData {
    #[serde(default, deserialize_with = "wire::text")]
    id: Text,
    #[serde(default, rename = "userId", deserialize_with = "wire::text")]
    user_id: Text,
    #[serde(default, deserialize_with = "wire::text")]
    login: Text,
    #[serde(default, rename = "createdAt", deserialize_with = "wire::text")]
    created: Text,
    #[serde(default, rename = "expiresAt", deserialize_with = "wire::text")]
    expires: Text,
    #[serde(default, deserialize_with = "wire::text")]
    status: Text,
    #[serde(default, rename = "lastPasswordVerification", deserialize_with = "wire::text")]
    last_password: Text,
    #[serde(default, rename = "lastFactorVerification", deserialize_with = "wire::text")]
    last_factor: Text,
    amr: Option<Vec<ImmutableString>>,
    idp: Option<Idp>,
    #[serde(rename = "mfaActive")]
    mfa_active: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Idp {
    #[serde(default, deserialize_with = "wire::text")]
    id: Text,
    #[serde(default, rename = "type", deserialize_with = "wire::text")]
    kind: Text,
}

/// The session as scripts see it.
#[derive(Clone, Debug)]
pub struct Session(Arc<SessionData>);

impl Session {
    /// A session for scripts, or `()`: client credentials have none.
    pub fn dynamic(data: Option<&Arc<SessionData>>) -> Dynamic {
        data.map_or(Dynamic::UNIT, |data| Dynamic::from(Self(data.clone())))
    }

    pub fn register(library: &mut Library) {
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
