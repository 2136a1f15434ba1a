//! Leaf types of JSON as lenient as the contracts of providers ask for, and a reader that repairs what is not of its form.
//!
//! Unknown members are skipped (scripts reach them through `request.raw`), explicit `null` means absent, and numbers or
//! booleans are taken where text is meant. A call that is not read this way is read once more by `repair`, which leaves out
//! what has the wrong structure.

use std::borrow::Cow;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use rhai::{Dynamic, Identifier, ImmutableString, Map};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::HookError;
use hookgate_model::question::digits;
use hookgate_script::prelude::json::{Made, Making};
use hookgate_script::prelude::secret::Hidden;

pub(crate) mod repair;
mod tree;

/// A text, or absent.
pub(crate) type Text = Option<ImmutableString>;

/// A list of texts, or absent.
pub(crate) type Texts = Option<Vec<ImmutableString>>;

/// A path of member names from the root of a call.
pub(crate) type Path = &'static [&'static str];

/// An open map of attributes that the provider's customers define, in the form scripts read. A member twice is refused: two
/// readers of the same call could take different ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes(pub Map);

/// The form that calls of a hook have.
pub(crate) struct Form<'a> {
    pub(crate) hook: &'static str,
    /// Members that scripts decide on: where one of them cannot be read, the call cannot.
    pub(crate) decisive: &'a [&'a [Path]],
    /// Asked before a call is repaired: whether it belongs to another hook. May leave out what says so in a wrong form, with
    /// a note.
    pub(crate) belongs: fn(&'static str, &mut Value, &mut Vec<String>) -> Result<(), HookError>,
}

/// A call as it was read.
pub(crate) struct Read<T> {
    pub(crate) call: T,
    /// The text that was read, where it is not the body: faults of its encoding are replaced, and numbers that are too large for a
    /// script are texts.
    pub(crate) text: Option<String>,
    /// What could not be read as it was sent: one sentence each, without a value.
    pub(crate) notes: Vec<String>,
}

/// Reads a call: in one strict pass, and what that refuses as far as it goes.
///
/// # Errors
/// Empty, not JSON, another hook's call, or of a form of which nothing can be used.
pub(crate) fn read<T: DeserializeOwned>(body: &Bytes, form: &Form<'_>) -> Result<Read<T>, HookError> {
    if body.is_empty() {
        return Err(HookError::Empty);
    }
    let Ok(text) = std::str::from_utf8(body) else { return repair::read(body, form) };
    let quoted = match digits::quoted(body) {
        Cow::Borrowed(_) => None,
        Cow::Owned(quoted) => String::from_utf8(quoted).ok(),
    };
    match serde_json::from_str::<T>(quoted.as_deref().unwrap_or(text)) {
        // serde would take an array for the members in order.
        Ok(call) if text.trim_start().starts_with('{') => Ok(Read { call, text: quoted, notes: Vec::new() }),
        _ => repair::read(body, form),
    }
}

/// An object, or absent. An array is none: serde alone would take one for the members in order.
pub(crate) fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    struct ObjectVisitor<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
        type Value = Option<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Option<T>, A::Error> {
            T::deserialize(MapAccessDeserializer::new(access)).map(Some)
        }

        fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
            Ok(None)
        }
    }
    deserializer.deserialize_any(ObjectVisitor(PhantomData))
}

/// `true`, `false`, or absent.
pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    struct FlagVisitor;
    impl Visitor<'_> for FlagVisitor {
        type Value = Option<bool>;

        fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
            formatter.write_str("`true` or `false`")
        }

        fn visit_bool<E: Error>(self, value: bool) -> Result<Option<bool>, E> {
            Ok(Some(value))
        }

        fn visit_unit<E: Error>(self) -> Result<Option<bool>, E> {
            Ok(None)
        }
    }
    deserializer.deserialize_any(FlagVisitor)
}

/// A list of texts, or absent.
pub(crate) fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Texts, D::Error> {
    struct Item(ImmutableString);
    impl<'de> Deserialize<'de> for Item {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            text(deserializer)?.map(Item).ok_or_else(|| D::Error::custom("expected a string"))
        }
    }
    struct TextsVisitor;
    impl<'de> Visitor<'de> for TextsVisitor {
        type Value = Texts;

        fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
            formatter.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Texts, A::Error> {
            let mut items = Vec::new();
            while let Some(Item(item)) = access.next_element()? {
                items.push(item);
            }
            Ok(Some(items))
        }

        fn visit_unit<E: Error>(self) -> Result<Texts, E> {
            Ok(None)
        }
    }
    deserializer.deserialize_any(TextsVisitor)
}

/// A list of anything, or absent.
pub(crate) fn items<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Dynamic>>, D::Error> {
    struct ItemsVisitor;
    impl<'de> Visitor<'de> for ItemsVisitor {
        type Value = Option<Vec<Dynamic>>;

        fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
            formatter.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Option<Vec<Dynamic>>, A::Error> {
            let made = Made::at_most(MAX_ATTRIBUTE_VALUES);
            let mut items = Vec::new();
            while let Some(item) = access.next_element_seed(Making(&made))? {
                items.push(item);
            }
            Ok(Some(items))
        }

        fn visit_unit<E: Error>(self) -> Result<Option<Vec<Dynamic>>, E> {
            Ok(None)
        }
    }
    deserializer.deserialize_any(ItemsVisitor)
}

/// A text; numbers and booleans are written out, `null` is absent.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
    struct TextVisitor;
    impl<'de> Visitor<'de> for TextVisitor {
        type Value = Text;

        fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
            formatter.write_str("a string")
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
pub(crate) fn hidden<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Hidden>, D::Error> {
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
    pub(crate) fn text(&self, name: &str) -> Text {
        self.0.get(name).and_then(|value| value.clone().into_immutable_string().ok())
    }

    /// As scripts get it: a map they cannot write to.
    pub(crate) fn read_only(&self) -> Dynamic {
        Dynamic::from_map(self.0.clone()).into_read_only()
    }
}
