//! The events of a delivery as they stand in its body: counted before any of them is read.
//!
//! A body of four million bytes can hold two million events. To make one costs hundreds of bytes, so a delivery with too many
//! is refused while each of them is no more than a place in the body.
//!
//! A delivery that is not of Okta's form is opened by [`salvage`]: no event is lost for what stands beside it.

use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::HookError;
use crate::lenient;
use crate::lenient::Text;
use crate::okta;
use crate::okta::event::delivery::Delivery;
use crate::okta::event::{NAME, salvage};

/// No delivery may have more events, whatever the configuration says.
pub(super) const MOST: usize = 100_000;

/// A delivery, none of whose events has been read.
pub(super) struct Opened {
    pub(super) delivery: Delivery,
    /// Each as it was sent, in their order. The last one may be the rest of a body that is broken.
    pub(super) events: Vec<Bytes>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default, rename = "eventId", alias = "eventID", deserialize_with = "lenient::text")]
    id: Text,
    #[serde(default, rename = "eventTime", deserialize_with = "lenient::text")]
    time: Text,
    #[serde(default, rename = "eventType", deserialize_with = "lenient::text")]
    event_type: Text,
    #[serde(default, deserialize_with = "lenient::text")]
    source: Text,
    #[serde(default, rename = "eventTypeVersion", deserialize_with = "lenient::text")]
    type_version: Text,
    /// Inline hooks name it in the singular.
    #[serde(default, rename = "cloudEventsVersion", alias = "cloudEventVersion", deserialize_with = "lenient::text")]
    cloud_events_version: Text,
    #[serde(default, rename = "contentType", deserialize_with = "lenient::text")]
    content_type: Text,
    #[serde(borrow)]
    data: Option<Batch<'a>>,
}

#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    events: Option<Members<'a>>,
}

/// The events of a delivery, none of which has been read.
struct Members<'a> {
    /// The first [`MOST`] of them.
    found: Vec<&'a RawValue>,
    count: usize,
}

/// Finds the envelope and the events of a delivery.
///
/// # Errors
/// Empty, another hook's call, or nothing in it is an event; or there are more events than `most`, or than [`MOST`].
pub(super) fn open(body: &Bytes, most: usize) -> Result<Opened, HookError> {
    if body.is_empty() {
        return Err(HookError::Empty);
    }
    let Some((envelope, members)) = well_formed(body) else { return salvage::open(body, most) };
    check_type(envelope.event_type.as_deref())?;
    let found = members.at_most(most)?;
    let events = found.into_iter().map(|event| body.slice_ref(event.get().as_bytes())).collect();
    let delivery = Delivery {
        id: envelope.id,
        time: envelope.time,
        source: envelope.source,
        event_type: envelope.event_type,
        type_version: envelope.type_version,
        cloud_events_version: envelope.cloud_events_version,
        content_type: envelope.content_type,
        ..Delivery::default()
    };
    Ok(Opened { delivery: delivery.packed(), events })
}

fn well_formed(body: &Bytes) -> Option<(Envelope<'_>, Members<'_>)> {
    // serde would take an array for the members in order.
    let text = std::str::from_utf8(body).ok().filter(|text| text.trim_start().starts_with('{'))?;
    let mut envelope: Envelope<'_> = serde_json::from_str(text).ok()?;
    let members = envelope.data.take()?.events?;
    Some((envelope, members))
}

/// A delivery that has events is one, whatever it says of its type; unless it names another hook. `event.envelope` has what it
/// said.
///
/// # Errors
/// The type is another hook's.
pub(super) fn check_type(found: Option<&str>) -> Result<(), HookError> {
    match okta::check_type(NAME, found) {
        Err(HookError::UnknownType { .. }) => Ok(()),
        known => known,
    }
}

impl<'a> Members<'a> {
    /// All of them, in their order.
    ///
    /// # Errors
    /// There are more than `most`, or than [`MOST`].
    fn at_most(self, most: usize) -> Result<Vec<&'a RawValue>, HookError> {
        limit(self.count, most)?;
        Ok(self.found)
    }
}

/// # Errors
/// There are more events than `most`, or than [`MOST`].
pub(super) fn limit(count: usize, most: usize) -> Result<(), HookError> {
    let most = most.min(MOST);
    if count > most { Err(HookError::TooManyEvents { count, most }) } else { Ok(()) }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut events: A) -> Result<Members<'de>, A::Error> {
                let mut found = Vec::new();
                while found.len() < MOST {
                    match events.next_element::<&RawValue>()? {
                        Some(event) => found.push(event),
                        None => return Ok(Members { count: found.len(), found }),
                    }
                }
                let mut count = found.len();
                while events.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Members { found, count })
            }
        }

        deserializer.deserialize_seq(All)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::EventHook;
    use crate::okta::event::OrgEvent;
    use hookgate_script::allocator;

    fn delivery(event: &str, count: usize) -> Bytes {
        let events = vec![event; count].join(",");
        format!(r#"{{"eventType":"com.okta.event_hook","eventId":"d","data":{{"events":[{events}]}}}}"#).into()
    }

    fn split(event: &str, count: usize, most: usize) -> Result<usize, HookError> {
        OrgEvent::split(&delivery(event, count), most).map(|events| events.len())
    }

    #[test]
    fn a_delivery_has_as_many_events_as_are_allowed() {
        for event in ["1", "{}", "null", r#"{"uuid":"u","eventType":"x.y"}"#, "[[[]]]"] {
            assert_eq!(split(event, 3, 3), Ok(3), "{event}");
            assert_eq!(split(event, 4, 3), Err(HookError::TooManyEvents { count: 4, most: 3 }), "{event}");
            assert_eq!(split(event, MOST + 2, 3), Err(HookError::TooManyEvents { count: MOST + 2, most: 3 }));
        }
        let beyond = split("1", MOST + 1, usize::MAX);
        assert_eq!(beyond, Err(HookError::TooManyEvents { count: MOST + 1, most: MOST }));
    }

    #[test]
    fn a_delivery_with_too_many_events_costs_little_memory_whatever_they_are() {
        for event in ["1", "{}", r#""x""#, r#"{"a":[{},{},{}]}"#] {
            let body = delivery(event, 4_000_000 / (event.len() + 1));
            let peak = allocator::peak_bytes(|| assert!(OrgEvent::split(&body, 10_000).is_err()));
            assert!(peak < body.len() as i64, "{event}: {peak} bytes for a body of {}", body.len());
        }
    }
}
