//! JSON to script values and back: `to_json`, `parse_json`, and the same for hooks, connectors and tables.
//!
//! Rhai's own `parse_json` is several times slower and its `to_json` knows none of our values, so both are replaced.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use rhai::{Array, Dynamic, EvalAltResult, ImmutableString, Map};
use serde::Deserializer;
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use crate::budget;
use crate::depth;
use crate::library::{Doc, Library};
use crate::prelude::Fallible;
use crate::prelude::email::Email;
use crate::prelude::net::Ip;
use crate::prelude::phone::Phone;
use crate::prelude::secret::{Hidden, MASK};
use crate::prelude::set::Set;
use crate::prelude::time::Time;
use crate::prelude::url::Address;
use hookgate_model::question::digits;
use hookgate_model::secret::looks_secret;

/// How deep arrays and maps may nest on the way out.
const MAX_DEPTH: usize = depth::MAX_LEVELS;

/// The longest text that `parse_json` reads.
const MAX_BYTES: usize = 1_048_576;

/// The value as scripts see it. `null` is `()`; a whole number beyond 64 bits with sign becomes a text with all its digits.
pub fn dynamic_from_json(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => number_value(number),
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => Dynamic::from_array(items.iter().map(dynamic_from_json).collect()),
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| (key.as_str().into(), dynamic_from_json(value)));
            Dynamic::from_map(members.collect())
        }
    }
}

/// As [`dynamic_from_json`] within the limits of the run, and read-only to the last leaf: a script that assigns to it gets
/// an error, not silence.
///
/// # Errors
/// A limit of the run is reached.
pub fn read_only(value: &Value) -> Fallible<Dynamic> {
    Ok(counted(value, &Made::default())?.into_read_only())
}

/// The value of a JSON text within the limits of the run, made as the text is read.
///
/// # Errors
/// The text is not JSON, or a limit of the run is reached.
pub fn dynamic_from_text(text: &[u8]) -> Fallible<Result<Dynamic, serde_json::Error>> {
    let made = Made::default();
    let value = read(text, &made)?;
    // The reader gave a float for it, so it is read again in another form.
    match digits::quoted(text) {
        Cow::Owned(text) if made.large.get() => read(&text, &made),
        _ => Ok(value),
    }
}

fn read(text: &[u8], made: &Made) -> Fallible<Result<Dynamic, serde_json::Error>> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Making(made).deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    match made.ended.take() {
        Some(ended) => Err(ended),
        None => Ok(value),
    }
}

/// From here on a whole number does not fit into 64 bits with sign.
const LARGE: f64 = 9.2e18;

/// So many values are made before the run is asked whether it may have more.
const STEP: u32 = 512;
const STEP_BYTES: u64 = 64 * STEP as u64;
const STEP_NANOS: u64 = 150 * STEP as u64;

/// Values that were made, how many there may be, and what ended that before the last.
#[derive(Default)]
pub struct Made {
    values: Cell<u32>,
    most: Option<u32>,
    ended: Cell<Option<Box<EvalAltResult>>>,
    /// A float came that may be a whole number beyond 64 bits.
    large: Cell<bool>,
}

impl Made {
    /// For a text that is no longer read after so many values.
    pub fn at_most(values: u32) -> Self {
        Self { most: Some(values), ..Self::default() }
    }

    fn one_more(&self) -> Fallible<()> {
        let values = self.values.get().wrapping_add(1);
        self.values.set(values);
        if values.is_multiple_of(STEP) {
            budget::reserve(STEP_BYTES)?;
            budget::advance(STEP_NANOS)?;
        }
        Ok(())
    }

    /// The same for serde, which has errors of its own.
    fn next<E: de::Error>(&self) -> Result<(), E> {
        if let Some(most) = self.most.filter(|most| self.values.get() >= *most) {
            return Err(E::custom(format!("more than {most} values")));
        }
        self.one_more().map_err(|ended| {
            self.ended.set(Some(ended));
            E::custom("the run has ended")
        })
    }
}

fn counted(value: &Value, made: &Made) -> Fallible<Dynamic> {
    made.one_more()?;
    Ok(match value {
        Value::Array(items) => {
            let items = items.iter().map(|item| counted(item, made));
            Dynamic::from_array(items.collect::<Result<_, _>>()?)
        }
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| Ok((key.as_str().into(), counted(value, made)?)));
            Dynamic::from_map(members.collect::<Fallible<_>>()?)
        }
        leaf => dynamic_from_json(leaf),
    })
}

/// Makes a value of whatever a deserializer gives.
pub struct Making<'a>(pub &'a Made);

impl<'de> DeserializeSeed<'de> for Making<'_> {
    type Value = Dynamic;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Dynamic, D::Error> {
        self.0.next()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Making<'_> {
    type Value = Dynamic;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Dynamic, E> {
        Ok(Dynamic::UNIT)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Dynamic, E> {
        Ok(flag.into())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Dynamic, E> {
        Ok(number.into())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Dynamic, E> {
        Ok(number_value(&number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Dynamic, E> {
        self.0.large.set(self.0.large.get() || number.abs() >= LARGE);
        Ok(Dynamic::from_float(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Dynamic, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Dynamic, A::Error> {
        let mut items = Array::new();
        while let Some(item) = access.next_element_seed(Making(self.0))? {
            items.push(item);
        }
        Ok(Dynamic::from_array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Dynamic, A::Error> {
        let mut members = Map::new();
        while let Some(name) = access.next_key::<Cow<'de, str>>()? {
            let value = access.next_value_seed(Making(self.0))?;
            members.insert(name.as_ref().into(), value);
        }
        Ok(Dynamic::from_map(members))
    }
}

fn number_value(number: &Number) -> Dynamic {
    match (number.as_i64(), number.as_u64()) {
        (Some(whole), _) => whole.into(),
        (None, Some(large)) => large.to_string().into(),
        (None, None) => number.as_f64().map_or(Dynamic::UNIT, Dynamic::from_float),
    }
}

/// A script's value as JSON: email, time, IP, phone and URL as their text, a set as an array.
///
/// # Errors
/// What cannot leave a script: a secret, a function, a number that is not finite, more than 64 levels; with the path.
pub fn json_from_dynamic(value: &Dynamic) -> Result<Value, String> {
    convert(value, Secrets::Refuse, MAX_DEPTH).map_err(Wrong::message)
}

/// As [`json_from_dynamic`] for what people read (logs): a secret shows as `***`, and so does a text that is a member with
/// the name of one.
///
/// # Errors
/// As there, secrets excepted.
pub fn json_for_reading(value: &Dynamic) -> Result<Value, String> {
    convert(value, Secrets::Mask, MAX_DEPTH).map_err(Wrong::message)
}

/// A value on one line for people: JSON, with `()` for what is absent and the type's name for what has no JSON.
pub fn shown(value: &Dynamic) -> String {
    if value.is_unit() {
        return "()".to_owned();
    }
    json_for_reading(value).map_or_else(
        |_| format!("a {}", value.type_name().rsplit("::").next().unwrap_or_default()),
        |json| json.to_string(),
    )
}

#[derive(Clone, Copy)]
enum Secrets {
    Refuse,
    Mask,
}

/// Names the ways out that a secret has.
const NO_JSON: &str = "a secret cannot become JSON: `http(…).verify(path, members)` and `ldap(…).bind(dn, password)` ask with it, \
                       `secret.verifies(hash)` compares it";

/// What cannot become JSON, and the steps to it, innermost first.
struct Wrong {
    what: String,
    path: Vec<String>,
}

impl Wrong {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), path: Vec::new() }
    }

    fn under(mut self, step: String) -> Self {
        self.path.push(step);
        self
    }

    fn message(self) -> String {
        let path: String = self.path.iter().rev().map(String::as_str).collect();
        match path.trim_start_matches('.') {
            "" => self.what,
            path => format!("{} (at `{path}`)", self.what),
        }
    }
}

fn convert(value: &Dynamic, secrets: Secrets, depth: usize) -> Result<Value, Wrong> {
    if value.is_shared() {
        return convert(&value.flatten_clone(), secrets, depth);
    }
    if let Ok(items) = value.as_array_ref() {
        let depth = deeper(depth)?;
        let items = items.iter().enumerate();
        let items =
            items.map(|(index, item)| convert(item, secrets, depth).map_err(|wrong| wrong.under(format!("[{index}]"))));
        return items.collect::<Result<_, _>>().map(Value::Array);
    }
    if let Ok(members) = value.as_map_ref() {
        let depth = deeper(depth)?;
        let members = members.iter().map(|(key, member)| {
            let hidden = matches!(secrets, Secrets::Mask) && member.is_string() && looks_secret(key);
            if hidden {
                return Ok((key.to_string(), MASK.into()));
            }
            let member = convert(member, secrets, depth).map_err(|wrong| wrong.under(format!(".{key}")))?;
            Ok((key.to_string(), member))
        });
        return members.collect::<Result<_, _>>().map(Value::Object);
    }
    leaf(value, secrets)
}

fn deeper(depth: usize) -> Result<usize, Wrong> {
    depth
        .checked_sub(1)
        .ok_or_else(|| Wrong::new(format!("more than {MAX_DEPTH} levels of arrays and maps cannot become JSON")))
}

fn leaf(value: &Dynamic, secrets: Secrets) -> Result<Value, Wrong> {
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return Ok(text.as_str().into());
    }
    if let Ok(flag) = value.as_bool() {
        return Ok(flag.into());
    }
    if let Ok(whole) = value.as_int() {
        return Ok(whole.into());
    }
    if let Ok(letter) = value.as_char() {
        return Ok(letter.to_string().into());
    }
    if let Ok(float) = value.as_float() {
        return Number::from_f64(float)
            .map(Value::Number)
            .ok_or_else(|| Wrong::new(format!("the number {float} cannot become JSON")));
    }
    if value.is::<Hidden>() {
        return match secrets {
            Secrets::Mask => Ok(MASK.into()),
            Secrets::Refuse => Err(Wrong::new(NO_JSON)),
        };
    }
    own_value(value).ok_or_else(|| Wrong::new(format!("a value of type {} cannot become JSON", value.type_name())))
}

fn own_value(value: &Dynamic) -> Option<Value> {
    if let Some(email) = value.read_lock::<Email>() {
        return Some(email.text().as_str().into());
    }
    if let Some(time) = value.read_lock::<Time>() {
        return Some(time.to_string().into());
    }
    if let Some(ip) = value.read_lock::<Ip>() {
        return Some(ip.text().as_str().into());
    }
    if let Some(phone) = value.read_lock::<Phone>() {
        return Some(phone.shown().as_str().into());
    }
    if let Some(address) = value.read_lock::<Address>() {
        return Some(address.text().as_str().into());
    }
    value
        .read_lock::<Set>()
        .map(|set| set.items().iter().map(|item| leaf(item, Secrets::Mask).unwrap_or_default()).collect())
}

fn to_json(value: &Dynamic) -> Fallible<ImmutableString> {
    let value =
        json_for_reading(value).map_err(|message| Box::<EvalAltResult>::from(format!("`to_json`: {message}")))?;
    Ok(value.to_string().into())
}

fn parse_json(text: &str) -> Fallible<Dynamic> {
    if text.len() > MAX_BYTES {
        return Err(format!("`parse_json` reads {MAX_BYTES} bytes at most, this text has {}", text.len()).into());
    }
    budget::charge(4 * text.len() as u64)?;
    dynamic_from_text(text.as_bytes())?.map_err(|error| format!("this text is not JSON: {error}").into())
}

pub(super) fn register(library: &mut Library) {
    library.function(
        Doc::new(
            "to_json(value: any) -> string",
            "The value as JSON on one line: email, time, IP, phone and URL as their text, a Secret as `***`. Functions and numbers that are not finite are errors.",
            r##"to_json(#{ a: [1, "x", ()] }) == "{\"a\":[1,\"x\",null]}""##,
        ),
        |value: Dynamic| to_json(&value),
    );
    // Rhai's own method of maps, which prints our values in its own way, would win over `any`.
    library.overload("to_json", |value: &mut Map| to_json(&Dynamic::from_map(value.clone())));
    library.overload("to_json", |value: &mut Array| to_json(&Dynamic::from_array(value.clone())));
    library.function(
        Doc::new(
            "parse_json(text: string) -> any",
            "Reads JSON of up to 1 MiB. `null` becomes `()`; a whole number beyond 64 bits becomes a text with all its digits. What is not JSON is an error with line and column.",
            r#"parse_json("{\"a\": [1, 2]}").a[1] == 2"#,
        ),
        parse_json,
    );
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_survive_the_way_there_and_back() {
        let value = json!({"a": [1, -2.5, "x", null, true], "b": {"c": {}}});
        assert_eq!(json_from_dynamic(&dynamic_from_json(&value)), Ok(value));
        let big = dynamic_from_json(&json!(u64::MAX));
        assert_eq!(big.into_string().as_deref(), Ok("18446744073709551615"));
    }

    #[test]
    fn a_number_beyond_64_bits_keeps_its_digits() {
        for text in
            ["9223372036854775808", "18446744073709551616", "-9223372036854775809", "123456789012345678901234567890"]
        {
            let value = parse_json(&format!("{{\"a\": [{text}, 1e30, 7]}}")).expect("JSON");
            let list = value.as_map_ref().expect("a map")["a"].clone().into_array().expect("a list");
            assert_eq!(list[0].clone().into_string().as_deref(), Ok(text));
            assert_eq!((list[1].as_float(), list[2].as_int()), (Ok(1e30), Ok(7)));
        }
    }

    #[test]
    fn what_cannot_leave_names_its_place() {
        let secret = Dynamic::from(Hidden::new("s3cret"));
        let mut map = Map::new();
        map.insert("pin".into(), Dynamic::from_array(vec![secret]));
        let map = Dynamic::from_map(map);
        assert_eq!(json_from_dynamic(&map), Err(format!("{NO_JSON} (at `pin[0]`)")));
        assert_eq!(json_for_reading(&map), Ok(json!({"pin": ["***"]})));
        assert!(json_from_dynamic(&Dynamic::from_float(f64::NAN)).is_err());
        assert!(json_from_dynamic(&Dynamic::from(rhai::FnPtr::new("f").expect("a name"))).is_err());
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |levels| (0..levels).fold(Dynamic::UNIT, |inner, _| Dynamic::from_array(vec![inner]));
        assert!(json_from_dynamic(&nested(MAX_DEPTH)).is_ok());
        assert!(json_from_dynamic(&nested(MAX_DEPTH + 1)).expect_err("too deep").contains("64 levels"));
        assert!(parse_json(&"[".repeat(10_000)).is_err());
    }

    #[test]
    fn broken_json_has_a_position() {
        let message = parse_json("{\n \"a\" 1}").expect_err("no colon").to_string();
        assert!(message.contains("line 2 column 6"), "{message}");
    }

    #[test]
    fn read_only_reaches_every_leaf() {
        let value = read_only(&json!({"a": {"b": [1]}})).expect("no limit");
        let outer = value.as_map_ref().expect("a map");
        let inner = outer["a"].as_map_ref().expect("a map");
        assert!(value.is_read_only() && outer["a"].is_read_only() && inner["b"].is_read_only());
    }
}
