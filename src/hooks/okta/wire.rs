//! Okta's JSON on the way in: the envelope, and leaf types as lenient as the contract asks for.
//!
//! Unknown members are skipped (scripts reach them through `request.raw`), explicit `null` means absent, and numbers or
//! booleans are taken where text is meant. A member of the wrong structure is refused with its path, never its value.

use std::collections::btree_map::Entry;
use std::fmt;

use bytes::Bytes;
use rhai::{Dynamic, Identifier, ImmutableString, Map};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use crate::hooks::HookError;
use crate::hooks::okta;
use crate::script::prelude::json::{Made, Making};
use crate::script::prelude::secret::Hidden;

/// A text, or absent.
pub type Text = Option<ImmutableString>;

/// What every call of Okta's has around its `data`.
#[derive(Deserialize)]
pub struct Envelope<D> {
    #[serde(default, rename = "eventId", alias = "eventID", deserialize_with = "text")]
    pub id: Text,
    #[serde(default, rename = "eventTime", deserialize_with = "text")]
    pub time: Text,
    #[serde(default, rename = "eventType", deserialize_with = "text")]
    pub event_type: Text,
    #[serde(default, deserialize_with = "text")]
    pub source: Text,
    #[serde(default, rename = "requestType", deserialize_with = "text")]
    pub request_type: Text,
    #[serde(default = "absent")]
    pub data: Option<D>,
}

/// `data.context.request`: the end user's request to Okta.
#[derive(Debug, Default, Deserialize)]
pub struct WebRequest {
    #[serde(default, deserialize_with = "text")]
    pub id: Text,
    pub url: Option<WebUrl>,
    #[serde(default, rename = "ipAddress", deserialize_with = "text")]
    pub ip: Text,
}

#[derive(Debug, Default, Deserialize)]
pub struct WebUrl {
    #[serde(default, deserialize_with = "text")]
    pub value: Text,
}

/// An open map of the org's own attributes, in the form scripts read. A member twice is refused: two readers of the same
/// call could take different ones.
#[derive(Clone, Debug, Default)]
pub struct Attributes(pub Map);

fn absent<D>() -> Option<D> {
    None
}

/// Body to envelope.
///
/// # Errors
/// Empty, not UTF-8, not JSON, another hook's call, or of another form.
pub fn decode<'b, D: Deserialize<'b>>(hook: &'static str, body: &'b Bytes) -> Result<Envelope<D>, HookError> {
    if body.is_empty() {
        return Err(HookError::Empty);
    }
    let text = std::str::from_utf8(body).map_err(|error| HookError::NotUtf8 { at: error.valid_up_to() })?;
    // serde would take an array for the members in order.
    if text.trim_start().starts_with('[') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
        return Err(HookError::Shape { hook, problem: "the body must be an object".into() });
    }
    let envelope: Envelope<D> = match serde_json::from_str(text) {
        Ok(envelope) => envelope,
        Err(error) => return Err(explain::<D>(hook, text, &error)),
    };
    okta::check_type(hook, envelope.event_type.as_deref())?;
    if envelope.data.is_none() {
        return Err(HookError::Shape { hook, problem: "`data` is missing".into() });
    }
    Ok(envelope)
}

/// Reads the call once more, slowly, to say which part is wrong.
fn explain<'b, D: Deserialize<'b>>(hook: &'static str, text: &'b str, error: &serde_json::Error) -> HookError {
    if error.is_syntax() || error.is_eof() {
        return HookError::NotJson { problem: error.to_string() };
    }
    if let Ok(envelope) = serde_json::from_str::<Envelope<serde::de::IgnoredAny>>(text)
        && let Err(error) = okta::check_type(hook, envelope.event_type.as_deref())
    {
        return error;
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let problem = match serde_path_to_error::deserialize::<_, Envelope<D>>(&mut json) {
        Ok(_) => "it has two parts that contradict each other".into(),
        Err(error) => {
            let path = error.path().to_string();
            let place = if path == "." { "the body".into() } else { format!("`{path}`") };
            format!("{place} {}", without_value(&error.inner().to_string()))
        }
    };
    HookError::Shape { hook, problem }
}

/// serde says what it found, value included; operators need what was expected.
fn without_value(message: &str) -> String {
    // The last one is serde's own; an earlier one would be part of the value.
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    match message.rsplit_once("expected ") {
        Some((_, expected)) => format!("must be {expected}"),
        None => format!("is wrong: {message}"),
    }
}

/// A text; numbers and booleans are written out, `null` is absent.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
    struct TextVisitor;
    impl<'de> Visitor<'de> for TextVisitor {
        type Value = Text;

        fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
            formatter.write_str("a text")
        }

        fn visit_str<E: Error>(self, value: &str) -> Result<Text, E> {
            Ok(Some(value.into()))
        }

        fn visit_bool<E: Error>(self, value: bool) -> Result<Text, E> {
            Ok(Some(value.to_string().into()))
        }

        fn visit_i64<E: Error>(self, value: i64) -> Result<Text, E> {
            Ok(Some(value.to_string().into()))
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<Text, E> {
            Ok(Some(value.to_string().into()))
        }

        fn visit_f64<E: Error>(self, value: f64) -> Result<Text, E> {
            Ok(Some(value.to_string().into()))
        }

        fn visit_unit<E: Error>(self) -> Result<Text, E> {
            Ok(None)
        }

        fn visit_none<E: Error>(self) -> Result<Text, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Text, D::Error> {
            deserializer.deserialize_any(self)
        }
    }
    deserializer.deserialize_any(TextVisitor)
}

/// A text that must not be seen; numbers are written out.
pub fn hidden<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Hidden>, D::Error> {
    Ok(text(deserializer)?.map(|text| Hidden::new(text.as_str())))
}

/// Values in the attributes of one profile or one set of claims, those inside lists and objects included. A script gets a
/// copy of all of them.
const MAX_ATTRIBUTE_VALUES: u32 = 10_000;

/// The name of an attribute. The usual ones fit into an `Identifier` without an allocation.
struct Name(Identifier);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = Name;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a name")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Name, E> {
                Ok(Name(name.into()))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AttributesVisitor;
        impl<'de> Visitor<'de> for AttributesVisitor {
            type Value = Attributes;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Attributes, A::Error> {
                let mut map = Map::new();
                let made = Made::at_most(MAX_ATTRIBUTE_VALUES);
                while let Some(name) = access.next_key::<Name>()? {
                    let value = access.next_value_seed(Making(&made))?;
                    match map.entry(name.0) {
                        Entry::Vacant(vacant) => drop(vacant.insert(value)),
                        Entry::Occupied(taken) => {
                            return Err(A::Error::custom(format!("the member `{}` stands twice", taken.key())));
                        }
                    }
                }
                Ok(Attributes(map))
            }
        }
        deserializer.deserialize_map(AttributesVisitor)
    }
}

impl Attributes {
    /// An attribute's text, if it is one.
    pub fn text(&self, name: &str) -> Text {
        self.0.get(name).and_then(|value| value.clone().into_immutable_string().ok())
    }

    /// As scripts get it: a map they cannot write to.
    pub fn read_only(&self) -> Dynamic {
        Dynamic::from_map(self.0.clone()).into_read_only()
    }
}
