//! What every request of Okta's inline hooks lets scripts read.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use rhai::{Dynamic, EvalAltResult, Map, Variant};
use serde::de::DeserializeOwned;

use crate::Facts;
use crate::HookError;
use crate::lenient::{Path, Text};
use crate::okta::wire;
use crate::okta::wire::{Read, WebRequest};
use crate::text::mended;
use hookgate_script::budget;
use hookgate_script::library::{Doc, Library};
use hookgate_script::prelude::json;
use hookgate_script::prelude::net::Ip;
use hookgate_script::prelude::secret::Hidden;
use hookgate_script::prelude::time::Time;
use hookgate_script::prelude::url::Address;

/// `data` of one hook.
pub(crate) trait Payload: DeserializeOwned + Send + Sync + 'static {
    /// Paths of members that `raw` hands out as secrets.
    const SECRETS: &'static [Path] = &[];

    /// Paths of members that scripts decide on. Where one has the wrong structure, or stands twice with different values, the
    /// call cannot be used; any other such member is left out, with a note.
    const DECISIVE: &'static [Path];

    /// `data.context.request`, if this hook carries it.
    fn web(&self) -> Option<&WebRequest>;
}

/// One call: the envelope, the typed `data`, and the body it came from. Cheap to clone.
///
/// The body is shared with the server that received it, so a password or code in it cannot be overwritten from here; it
/// is freed with the call. It never prints.
pub(crate) struct Call<D> {
    inner: Arc<Inner<D>>,
    /// Whoever called wants it tried out.
    tried: bool,
}

struct Inner<D> {
    id: Text,
    time: Text,
    source: Text,
    request_type: Text,
    data: D,
    /// The body as it was read: without faults of its encoding.
    body: Bytes,
    notes: Vec<String>,
}

impl<D> Clone for Call<D> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), tried: self.tried }
    }
}

impl<D> fmt::Debug for Call<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("Call").field("id", &self.inner.id).finish_non_exhaustive()
    }
}

impl<D: Payload> Call<D> {
    /// Body to call.
    ///
    /// # Errors
    /// As [`wire::decode`].
    pub(crate) fn decode(hook: &'static str, body: &Bytes) -> Result<Self, HookError> {
        let Read { envelope, data, text, notes } = wire::decode::<D>(hook, body, D::DECISIVE)?;
        let inner = Inner {
            id: envelope.id.filter(|id| !id.is_empty()),
            time: envelope.time,
            source: envelope.source,
            request_type: envelope.request_type,
            data,
            body: text.map_or_else(|| body.clone(), Bytes::from),
            notes,
        };
        Ok(Self { inner: Arc::new(inner), tried: false })
    }

    /// The same call as one that is only tried out.
    #[must_use]
    pub(crate) fn into_preview(self) -> Self {
        Self { tried: true, ..self }
    }

    /// As it came.
    pub(crate) fn body(&self) -> &Bytes {
        &self.inner.body
    }

    pub(crate) fn data(&self) -> &D {
        &self.inner.data
    }

    pub(crate) fn request_type(&self) -> Option<&str> {
        self.inner.request_type.as_deref()
    }

    /// Okta marks a preview only by the address of its own console. Only the path counts: the rest of an address is written
    /// by whoever signs in.
    pub(crate) fn preview(&self) -> bool {
        let url = || self.web()?.url.as_ref()?.value.as_deref();
        self.tried || url().is_some_and(is_of_console)
    }

    fn web(&self) -> Option<&WebRequest> {
        self.inner.data.web()
    }

    fn request_id(&self) -> Text {
        self.web().and_then(|web| web.id.clone()).filter(|id| !id.is_empty())
    }

    /// `eventId`, or where that is missing the id of the end user's request (contract, section 4).
    pub(crate) fn facts(&self) -> Facts {
        let request_id = self.request_id();
        Facts {
            provider_id: self.inner.id.clone().or_else(|| request_id.clone()),
            request_id,
            event_type: None,
            preview: self.preview(),
            notes: self.inner.notes.clone(),
            ..Facts::default()
        }
    }

    /// Decoding skips unknown members unread, so this reading can find what that one did not, such as a fault in the text
    /// of one, which is replaced, or nesting that is too deep: such a call has no `raw`.
    fn raw(&self) -> Result<Dynamic, Box<EvalAltResult>> {
        let body = &self.inner.body;
        budget::charge(4 * body.len() as u64)?;
        let mut read = json::dynamic_from_text(body)?;
        if read.is_err()
            && let Some(mended) = mended(body)
        {
            read = json::dynamic_from_text(mended.text.as_bytes())?;
        }
        let Ok(mut raw) = read else { return Ok(Dynamic::UNIT) };
        for path in D::SECRETS {
            hide(&mut raw, path);
        }
        Ok(raw.into_read_only())
    }

    /// Registers what all requests have in common, on the value named last.
    pub(crate) fn register(library: &mut Library)
    where
        Self: Variant + Clone,
    {
        type This<'a, D> = &'a mut Call<D>;
        library
            .property(Doc::new("Self.id: string", "Okta's id of this call (`eventId`), or `()`.", "request.id.len() > 10"), |call: This<D>| {
                text(&call.inner.id)
            })
            .property(Doc::new("Self.time: Time", "When Okta made the call, or `()`.", "request.time.year == 2026"), |call: This<D>| {
                time(&call.inner.time)
            })
            .property(
                Doc::new("Self.source: string", "What of Okta called, as it names itself: an address or an id.", "request.source.len() > 10"),
                |call: This<D>| text(&call.inner.source),
            )
            .property(Doc::new("Self.ip: Ip", "Address of the end user, or `()`.", "request.ip == () || request.ip.is_valid"), |call: This<D>| {
                let ip = call.web().and_then(|web| web.ip.as_ref());
                ip.map_or(Dynamic::UNIT, |ip| Dynamic::from(Ip::parse(ip.clone())))
            })
            .property(
                Doc::new(
                    "Self.request_id: string",
                    "Okta's id of the end user's request (`data.context.request.id`), the same in its System Log; or `()`.",
                    r#"request.request_id == () || request.request_id.starts_with("req")"#,
                ),
                |call: This<D>| text(&call.request_id()),
            )
            .property(
                Doc::new(
                    "Self.method: string",
                    "The HTTP method of the end user's request, or `()`.",
                    r#"request.method == () || request.method in ["GET", "POST"]"#,
                ),
                |call: This<D>| text(&call.web().and_then(|web| web.method.clone())),
            )
            .property(
                Doc::new("Self.url: Url", "What the end user called at Okta, with `.query(name)`, or `()`.", r#"request.url == () || request.url.path.starts_with("/")"#),
                |call: This<D>| {
                    let url = call.web().and_then(|web| web.url.as_ref()).and_then(|url| url.value.clone());
                    url.map_or(Dynamic::UNIT, |url| Dynamic::from(Address::new(url)))
                },
            )
            .property(
                Doc::new(
                    "Self.preview: bool",
                    "Whether this call is only tried out: by the preview of Okta's console for telephony, or by what the route \
                     says in `preview_path` or `preview`. Nothing that the script asks for is done.",
                    "!request.preview",
                ),
                |call: This<D>| call.preview(),
            )
            .fallible_property(
                Doc::new("Self.raw: map", "The whole call as Okta sent it, read-only, secrets as Secret; `()` if it nests more than 128 deep. Slow: for what has no name.", "request.raw.eventId == request.id"),
                |call: This<D>| call.raw(),
            );
    }
}

/// Whether the end user's request is the console's own: `/api/internal/…/generatePreview`, with or without a host.
fn is_of_console(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, rest)| rest.find('/').map_or("", |at| &rest[at..]));
    path.starts_with("/api/internal/") && path.ends_with("/generatePreview")
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
pub(crate) fn text(value: &Text) -> Dynamic {
    value.clone().map_or(Dynamic::UNIT, Dynamic::from)
}

/// Absent or no time is `()`.
pub(crate) fn time(value: &Text) -> Dynamic {
    value.as_deref().and_then(|text| Time::parse(text).ok()).map_or(Dynamic::UNIT, Dynamic::from)
}
