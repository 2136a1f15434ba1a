//! Reading the text of a JSON file into the entries of a table, without making its values.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::table::encoded::Encode;
use crate::table::entries::Entries;
use crate::table::{NO_ROWS, Rows};
use hookgate_model::question::digits;

/// Why a text is no table.
#[derive(Debug)]
pub enum NotJson {
    Syntax(serde_json::Error),
    NoRows(&'static str),
}

fn read<'de, T: DeserializeSeed<'de, Value = Entries>>(text: &'de str, seed: T) -> Result<Entries, NotJson> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let entries = seed.deserialize(&mut reader).map_err(NotJson::Syntax)?;
    reader.end().map_err(NotJson::Syntax)?;
    Ok(entries)
}

/// The rows of an object or an array.
pub(super) fn rows(text: &str) -> Result<Rows, NotJson> {
    let quoted = digits::quoted(text.as_bytes());
    let text = std::str::from_utf8(&quoted).unwrap_or(text);
    Ok(match text.trim_start().as_bytes().first() {
        Some(b'{') => Rows::Object(read(text, Members(Entries::keyed(text.len())))?.finished()),
        Some(b'[') => Rows::List(read(text, Items(Entries::values(text.len())))?.finished()),
        _ => {
            serde_json::from_str::<IgnoredAny>(text).map_err(NotJson::Syntax)?;
            return Err(NotJson::NoRows(NO_ROWS));
        }
    })
}

/// Reads the members of an object as entries of a table; the last of several with one name stays.
struct Members(Entries);

impl<'de> DeserializeSeed<'de> for Members {
    type Value = Entries;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Entries, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members {
    type Value = Entries;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Entries, A::Error> {
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            self.0.add(&name, true, |block| members.next_value_seed(Encode(block)))?;
        }
        Ok(self.0)
    }
}

/// Reads the items of an array as entries of a table.
struct Items(Entries);

impl<'de> DeserializeSeed<'de> for Items {
    type Value = Entries;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Entries, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items {
    type Value = Entries;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Entries, A::Error> {
        while self.0.push(|block| Ok(items.next_element_seed(Encode(block))?.is_some()))? {}
        Ok(self.0)
    }
}
