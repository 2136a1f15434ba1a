//! A call as a tree of JSON values, with the members that stand in it twice.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use crate::lenient::repair::Step;

/// A call as it stands in its text.
pub(super) struct Tree {
    pub(super) value: Value,
    /// Members that stand twice in one object, with different values. `null` stands in their place.
    pub(super) doubled: Vec<Vec<Step>>,
}

impl Tree {
    /// Reads the text of a call.
    ///
    /// # Errors
    /// It is not JSON, or it nests more than 128 deep.
    pub(super) fn read(text: &str) -> serde_json::Result<Self> {
        let notebook = Notebook::default();
        let mut reader = serde_json::Deserializer::from_str(text);
        let value = Branch(&notebook).deserialize(&mut reader)?;
        reader.end()?;
        Ok(Self { value, doubled: notebook.doubled.into_inner() })
    }
}

/// Where the reader is, and what it noticed.
#[derive(Default)]
struct Notebook {
    place: RefCell<Vec<Step>>,
    doubled: RefCell<Vec<Vec<Step>>>,
}

impl Notebook {
    fn within<T>(&self, step: Step, read: impl FnOnce() -> T) -> T {
        self.place.borrow_mut().push(step);
        let value = read();
        self.place.borrow_mut().pop();
        value
    }

    fn doubled(&self, member: &str) {
        let mut place = self.place.borrow().clone();
        place.push(Step::Member(member.to_owned()));
        self.doubled.borrow_mut().push(place);
    }
}

#[derive(Clone, Copy)]
struct Branch<'n>(&'n Notebook);

impl<'de> DeserializeSeed<'de> for Branch<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Branch<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = self.0.within(Step::Item(items.len()), || access.next_element_seed(self))? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let value = self.0.within(Step::Member(name.clone()), || access.next_value_seed(self))?;
            match members.entry(name) {
                Entry::Vacant(vacant) => drop(vacant.insert(value)),
                Entry::Occupied(same) if *same.get() == value => {}
                Entry::Occupied(mut other) => {
                    self.0.doubled(other.key());
                    other.insert(Value::Null);
                }
            }
        }
        Ok(Value::Object(members))
    }
}
