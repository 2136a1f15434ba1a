//! Okta's JSON on the way in: the envelope that every call has around its `data`.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::HookError;
use crate::lenient;
use crate::lenient::repair::kind;
use crate::lenient::{Form, Path, Text};
use crate::okta;

/// What every call of Okta's has around its `data`.
#[derive(Deserialize)]
#[serde(bound(deserialize = "D: Deserialize<'de>"))]
pub(crate) struct Envelope<D> {
    #[serde(default, rename = "eventId", alias = "eventID", deserialize_with = "lenient::text")]
    pub(crate) id: Text,
    #[serde(default, rename = "eventTime", deserialize_with = "lenient::text")]
    pub(crate) time: Text,
    #[serde(default, rename = "eventType", deserialize_with = "lenient::text")]
    pub(crate) event_type: Text,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) source: Text,
    #[serde(default, rename = "requestType", deserialize_with = "lenient::text")]
    pub(crate) request_type: Text,
    #[serde(default = "absent", deserialize_with = "lenient::object")]
    pub(crate) data: Option<D>,
}

/// `data.context.request`: the end user's request to Okta.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct WebRequest {
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) id: Text,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) method: Text,
    #[serde(default, deserialize_with = "lenient::object")]
    pub(crate) url: Option<WebUrl>,
    #[serde(default, rename = "ipAddress", deserialize_with = "lenient::text")]
    pub(crate) ip: Text,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct WebUrl {
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) value: Text,
}

/// Members of the envelope that decide which hook a call belongs to, and whether it can be used.
const ENVELOPE: [Path; 2] = [&["eventType"], &["data"]];

/// A call as it was read.
pub(crate) struct Read<D> {
    pub(crate) envelope: Envelope<D>,
    pub(crate) data: D,
    /// As [`lenient::Read::text`].
    pub(crate) text: Option<String>,
    /// As [`lenient::Read::notes`].
    pub(crate) notes: Vec<String>,
}

fn absent<D>() -> Option<D> {
    None
}

/// Reads a call. `decisive` are the members that scripts decide on: where one of them cannot be read, the call cannot.
///
/// # Errors
/// Empty, not JSON, another hook's call, or of a form of which nothing can be used.
pub(crate) fn decode<D: DeserializeOwned>(
    hook: &'static str,
    body: &Bytes,
    decisive: &[Path],
) -> Result<Read<D>, HookError> {
    let form = Form { hook, decisive: &[&ENVELOPE, decisive], belongs };
    let lenient::Read { call: mut envelope, text, notes } = lenient::read::<Envelope<D>>(body, &form)?;
    okta::check_type(hook, envelope.event_type.as_deref())?;
    let missing = || HookError::Shape { hook, problem: "`data` is missing".into() };
    let data = envelope.data.take().ok_or_else(missing)?;
    Ok(Read { envelope, data, text, notes })
}

/// A type that is none is noted and left out; another hook's type is an error.
fn belongs(hook: &'static str, call: &mut Value, notes: &mut Vec<String>) -> Result<(), HookError> {
    match call.get_mut("eventType") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(found)) => okta::check_type(hook, Some(found)),
        Some(other) => {
            notes.push(format!("`eventType` must be a string, and is {}", kind(other)));
            *other = Value::Null;
            Ok(())
        }
    }
}
