//! A delivery that is not of Okta's form, opened as far as it goes.
//!
//! Read while it streams: what was found before the place where the text is broken stays found. A list that stands twice is
//! taken twice, and one event without its list is a list of one. Bytes that are no text cost no place: events are cut out of
//! the body as it was sent.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::HookError;
use crate::lenient::Text;
use crate::okta;
use crate::okta::event::NAME;
use crate::okta::event::batch::{MOST, Opened, check_type, limit};
use crate::okta::event::delivery::Delivery;
use crate::okta::event::reading::members;
use crate::text;

/// What was found so far.
#[derive(Default)]
struct Finds<'t> {
    delivery: Delivery,
    /// The first [`MOST`] events.
    found: Vec<&'t RawValue>,
    count: usize,
    /// What `data` is, and what `data.events` is, in the words of JSON.
    data: Option<&'static str>,
    events: Option<&'static str>,
    /// A list of events began and did not end.
    inside: bool,
}

/// Finds the envelope and the events of a delivery.
///
/// # Errors
/// Not JSON, another hook's call, or nothing in it is an event; or there are more events than `most`, or than [`MOST`].
pub(super) fn open(body: &Bytes, most: usize) -> Result<Opened, HookError> {
    let text = text::overwritten(body);
    let mut finds = Finds::default();
    let mut reader = serde_json::Deserializer::from_str(&text);
    let read = Part::Delivery.within(&mut finds).deserialize(&mut reader).and_then(|()| reader.end());
    check_type(finds.delivery.event_type.as_deref())?;
    limit(finds.count, most)?;
    if finds.found.is_empty() && read.is_ok() {
        finds.found.extend(single(&text));
    }
    let place = |event: &str| event.as_ptr() as usize - text.as_ptr() as usize;
    let mut events: Vec<Bytes> = Vec::with_capacity(finds.found.len());
    let mut end = 0;
    for event in &finds.found {
        let start = place(event.get());
        end = start + event.get().len();
        events.push(body.slice(start..end));
    }
    if read.is_err() && finds.inside {
        events.extend(rest(body, &text, end));
    }
    if events.is_empty() && finds.events != Some("an array") {
        okta::check_type(NAME, finds.delivery.event_type.as_deref())?;
        return Err(nothing(&finds, read.err()));
    }
    Ok(Opened { delivery: finds.delivery.packed(), events })
}

/// What stands behind the last event that was found, or behind the start of the list.
fn rest(body: &Bytes, text: &str, end: usize) -> Option<Bytes> {
    let start = if end > 0 { end } else { text.find("\"events\"").map_or(0, |at| at + 8) };
    let skipped = text.get(start..)?.find(|c: char| !(c.is_ascii_whitespace() || matches!(c, ',' | ':' | '[')))?;
    Some(body.slice(start + skipped..))
}

/// Why nothing in it is an event.
fn nothing(finds: &Finds<'_>, broken: Option<serde_json::Error>) -> HookError {
    let shape = |problem: String| HookError::Shape { hook: NAME, problem };
    match (broken, finds.data, finds.events) {
        (Some(error), ..) if error.is_data() => shape("the body must be an object".into()),
        (Some(error), ..) => HookError::NotJson { problem: error.to_string() },
        (None, None, _) => shape("`data` is missing".into()),
        (None, Some("an object"), None) => shape("`data.events` is missing".into()),
        (None, Some("an object"), Some(kind)) => shape(format!("`data.events` must be an array, and is {kind}")),
        (None, Some(kind), _) => shape(format!("`data` must be an object, and is {kind}")),
    }
}

/// The one event that stands where the list belongs.
fn single(text: &str) -> Option<&RawValue> {
    fn member<'t>(text: &'t str, name: &str) -> Option<&'t RawValue> {
        members(text).0.into_iter().find(|(found, _)| found == name).map(|(_, value)| value)
    }
    let events = member(member(text, "data")?.get(), "events")?;
    events.get().starts_with('{').then_some(events)
}

/// A part of a delivery that is gone through.
#[derive(Clone, Copy)]
enum Part {
    Delivery,
    Data,
    Events,
}

impl Part {
    fn within<'f, 't>(self, finds: &'f mut Finds<'t>) -> Searching<'f, 't> {
        Searching { part: self, finds }
    }
}

struct Searching<'f, 't> {
    part: Part,
    finds: &'f mut Finds<'t>,
}

impl Searching<'_, '_> {
    /// Notes what a part is.
    fn is(&mut self, kind: &'static str) {
        match self.part {
            Part::Delivery => {}
            Part::Data => self.finds.data = Some(kind),
            // A list that was found is not forgotten for what stands there a second time.
            Part::Events if self.finds.events == Some("an array") => {}
            Part::Events => self.finds.events = Some(kind),
        }
    }

    fn scalar<E: Error>(mut self, kind: &'static str) -> Result<(), E> {
        self.is(kind);
        match self.part {
            Part::Delivery => Err(E::custom("the body is no object")),
            Part::Data | Part::Events => Ok(()),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Searching<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Searching<'_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        match self.part {
            Part::Delivery => Err(E::custom("the body is no object")),
            Part::Data | Part::Events => Ok(()),
        }
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.scalar("a boolean")
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.scalar("a number")
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.scalar("a number")
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.scalar("a number")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.scalar("a string")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut access: A) -> Result<(), A::Error> {
        self.is("an array");
        let Part::Events = self.part else {
            while access.next_element::<IgnoredAny>()?.is_some() {}
            return if let Part::Delivery = self.part {
                Err(A::Error::custom("the body is no object"))
            } else {
                Ok(())
            };
        };
        self.finds.inside = true;
        while self.finds.found.len() < MOST {
            let Some(event) = access.next_element::<&'de RawValue>()? else {
                self.finds.inside = false;
                return Ok(());
            };
            self.finds.found.push(event);
            self.finds.count += 1;
        }
        while access.next_element::<IgnoredAny>()?.is_some() {
            self.finds.count += 1;
        }
        self.finds.inside = false;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut access: A) -> Result<(), A::Error> {
        self.is("an object");
        while let Some(name) = access.next_key::<Cow<'de, str>>()? {
            match (self.part, &*name) {
                (Part::Delivery, "data") => access.next_value_seed(Part::Data.within(self.finds))?,
                (Part::Data, "events") => access.next_value_seed(Part::Events.within(self.finds))?,
                (Part::Delivery, name) => match member(&mut self.finds.delivery, name) {
                    Some(place) => {
                        let Loose(text) = access.next_value()?;
                        *place = place.take().or(text);
                    }
                    None => drop(access.next_value::<IgnoredAny>()?),
                },
                (Part::Data | Part::Events, _) => drop(access.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Where a member of the envelope is kept.
fn member<'d>(delivery: &'d mut Delivery, name: &str) -> Option<&'d mut Text> {
    match name {
        "eventId" | "eventID" => Some(&mut delivery.id),
        "eventTime" => Some(&mut delivery.time),
        "eventType" => Some(&mut delivery.event_type),
        "source" => Some(&mut delivery.source),
        "eventTypeVersion" => Some(&mut delivery.type_version),
        "cloudEventsVersion" | "cloudEventVersion" => Some(&mut delivery.cloud_events_version),
        "contentType" => Some(&mut delivery.content_type),
        _ => None,
    }
}

/// A text if it is one, whatever else stands there.
struct Loose(Text);

impl<'de> serde::Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(match serde_json::from_str(written.get()) {
            Ok(Value::String(text)) => Some(text.into()),
            Ok(scalar @ (Value::Number(_) | Value::Bool(_))) => Some(scalar.to_string().into()),
            _ => None,
        }))
    }
}
