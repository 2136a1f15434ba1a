//! Values as a table keeps them: a few bytes each, in one block for the whole table.
//!
//! A value as scripts have it takes 16 bytes and an allocation or two; a table of millions would take fifty times its file.
//! So each is one tag and its bytes, and becomes a value when a script gets it.

use std::borrow::Cow;
use std::fmt;

use rhai::{Array, Dynamic, EvalAltResult, Map};
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::budget;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
/// A whole number, its sign in the lowest bit.
const INT: u8 = 3;
/// One that does not fit into 64 bits with a sign.
const LARGE: u8 = 4;
const FLOAT: u8 = 5;
/// A float whose digits take less than its eight bytes.
const SHORT: u8 = 11;
/// Length and bytes.
const TEXT: u8 = 6;
/// Items, then [`END`].
const LIST: u8 = 7;
/// Of each member [`MEMBER`], its name and its value; then [`END`].
const MAP: u8 = 8;
const MEMBER: u8 = 9;
const END: u8 = 10;

/// So many values are made before the run is asked whether it may have more.
const STEP: u32 = 512;
const STEP_BYTES: u64 = 64 * STEP as u64;
const STEP_NANOS: u64 = 100 * STEP as u64;

/// Appends a number, seven bits a byte.
pub(super) fn put_number(block: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        block.push(number as u8 | 0x80);
        number >>= 7;
    }
    block.push(number as u8);
}

pub(super) fn put_text(block: &mut Vec<u8>, text: &str) {
    put_number(block, text.len() as u64);
    block.extend_from_slice(text.as_bytes());
}

/// Reads a block from a place on. What is in it was written by this module.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(crate) block: &'a [u8],
    pub(crate) at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn byte(&mut self) -> u8 {
        let byte = self.block.get(self.at).copied().unwrap_or(NULL);
        self.at += 1;
        byte
    }

    pub(crate) fn number(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 || shift > 63 {
                return number;
            }
        }
    }

    pub(crate) fn text(&mut self) -> &'a str {
        let len = self.number() as usize;
        let bytes = self.block.get(self.at..self.at + len).unwrap_or_default();
        self.at += len;
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// Whether nothing follows in this list. Also where the block ends.
    pub(crate) fn ends(&mut self) -> bool {
        let ends = self.block.get(self.at).is_none_or(|byte| *byte == END);
        self.at += usize::from(ends);
        ends
    }

    fn float(&mut self) -> f64 {
        let bytes = self.block.get(self.at..self.at + 8).and_then(|bytes| bytes.try_into().ok());
        self.at += 8;
        f64::from_le_bytes(bytes.unwrap_or_default())
    }

    /// The text, number or flag that is here, as the key of a list; nothing for other values.
    pub(crate) fn key(&mut self) -> Option<Cow<'a, str>> {
        Some(match self.byte() {
            TEXT => Cow::Borrowed(self.text()),
            FALSE => Cow::Borrowed("false"),
            TRUE => Cow::Borrowed("true"),
            INT => Cow::Owned(signed(self.number()).to_string()),
            LARGE => Cow::Owned(self.number().to_string()),
            FLOAT => Cow::Owned(Value::from(self.float()).to_string()),
            SHORT => Cow::Borrowed(self.text()),
            _ => return None,
        })
    }

    /// The value that is here.
    ///
    /// # Errors
    /// A limit of the run is reached.
    pub(crate) fn value(&mut self) -> Result<Dynamic, Box<EvalAltResult>> {
        self.counted(&mut 0)
    }

    fn counted(&mut self, made: &mut u32) -> Result<Dynamic, Box<EvalAltResult>> {
        *made += 1;
        if made.is_multiple_of(STEP) {
            budget::reserve(STEP_BYTES)?;
            budget::advance(STEP_NANOS)?;
        }
        Ok(match self.byte() {
            FALSE => false.into(),
            TRUE => true.into(),
            INT => signed(self.number()).into(),
            LARGE => self.number().to_string().into(),
            FLOAT => Dynamic::from_float(self.float()),
            SHORT => Dynamic::from_float(self.text().parse().unwrap_or_default()),
            TEXT => {
                let text = self.text();
                budget::reserve(text.len() as u64)?;
                budget::charge(text.len() as u64)?;
                text.into()
            }
            LIST => {
                let mut items = Array::new();
                while !self.ends() {
                    items.push(self.counted(made)?);
                }
                Dynamic::from_array(items)
            }
            MAP => {
                let mut members = Map::new();
                while self.byte() == MEMBER {
                    members.insert(self.text().into(), self.counted(made)?);
                }
                Dynamic::from_map(members)
            }
            _ => Dynamic::UNIT,
        })
    }
}

fn signed(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

fn put_signed(block: &mut Vec<u8>, number: i64) {
    block.push(INT);
    put_number(block, ((number << 1) ^ (number >> 63)) as u64);
}

/// Appends a value that is there already.
pub(super) fn put_value(block: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => block.push(NULL),
        Value::Bool(flag) => block.push(if *flag { TRUE } else { FALSE }),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(whole), ..) => put_signed(block, whole),
            (_, Some(large), _) => put_large(block, large),
            (.., float) => put_float(block, float.unwrap_or_default()),
        },
        Value::String(text) => {
            block.push(TEXT);
            put_text(block, text);
        }
        Value::Array(items) => {
            block.push(LIST);
            items.iter().for_each(|item| put_value(block, item));
            block.push(END);
        }
        Value::Object(members) => {
            block.push(MAP);
            for (name, member) in members {
                block.push(MEMBER);
                put_text(block, name);
                put_value(block, member);
            }
            block.push(END);
        }
    }
}

fn put_large(block: &mut Vec<u8>, number: u64) {
    block.push(LARGE);
    put_number(block, number);
}

fn put_float(block: &mut Vec<u8>, number: f64) {
    let digits = Value::from(number).to_string();
    if digits.len() < size_of::<f64>() {
        block.push(SHORT);
        put_text(block, &digits);
    } else {
        block.push(FLOAT);
        block.extend_from_slice(&number.to_le_bytes());
    }
}

/// Appends the value that a deserializer gives, without making it first.
pub(super) struct Encode<'a>(pub(crate) &'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Encode<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Encode<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.push(NULL);
        Ok(())
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<(), E> {
        self.0.push(if flag { TRUE } else { FALSE });
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        put_signed(self.0, number);
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        match i64::try_from(number) {
            Ok(number) => put_signed(self.0, number),
            Err(_) => put_large(self.0, number),
        }
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        put_float(self.0, number);
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.push(TEXT);
        put_text(self.0, text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.0.push(LIST);
        while items.next_element_seed(Encode(self.0))?.is_some() {}
        self.0.push(END);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.0.push(MAP);
        while let Some(name) = members.next_key::<Cow<str>>()? {
            self.0.push(MEMBER);
            put_text(self.0, &name);
            members.next_value_seed(Encode(self.0))?;
        }
        self.0.push(END);
        Ok(())
    }
}
