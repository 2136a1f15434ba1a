//! The events of a delivery as they stand in its body: counted before any of them is read.
//!
//! A body of four million bytes can hold two million events. To make one costs hundreds of bytes, so a delivery with too many
//! is refused while each of them is no more than a place in the body.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::hooks::HookError;

/// No delivery may have more events, whatever the configuration says.
pub(super) const MOST: usize = 100_000;

/// The events of a delivery, none of which has been read.
pub(super) struct Members<'a> {
    /// The first [`MOST`] of them.
    found: Vec<&'a RawValue>,
    count: usize,
}

impl<'a> Members<'a> {
    /// All of them, in their order.
    ///
    /// # Errors
    /// There are more than `most`, or than [`MOST`].
    pub(super) fn at_most(self, most: usize) -> Result<Vec<&'a RawValue>, HookError> {
        let (count, most) = (self.count, most.min(MOST));
        if count > most { Err(HookError::TooManyEvents { count, most }) } else { Ok(self.found) }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a sequence")
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
    use crate::allocator;
    use crate::hooks::Contract;
    use crate::hooks::okta::event::EventHook;

    fn delivery(event: &str, count: usize) -> Bytes {
        let events = vec![event; count].join(",");
        format!(r#"{{"eventType":"com.okta.event_hook","eventId":"d","data":{{"events":[{events}]}}}}"#).into()
    }

    fn split(event: &str, count: usize, most: usize) -> Result<usize, HookError> {
        EventHook::split(&delivery(event, count), most).map(|events| events.len())
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
            let peak = allocator::peak_bytes(|| assert!(EventHook::split(&body, 10_000).is_err()));
            assert!(peak < body.len() as i64, "{event}: {peak} bytes for a body of {}", body.len());
        }
    }
}
