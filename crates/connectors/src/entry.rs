//! What a log gets: an event as it was sent, or what a script says, always as one JSON object, and when it happened.
//!
//! Never reads an event anew: its digits, its order and its spaces stay. Control characters cannot get through, because JSON
//! has none.

use std::borrow::Cow;
use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use crate::wording;
use crate::{Order, Trouble};
use hookgate_model::command::{Action, Task};

/// Members that say when an event happened, the first of them that is an RFC 3339 time.
const TIMES: [&str; 4] = ["@timestamp", "published", "timestamp", "time"];

/// One entry of a log.
pub(crate) struct Entry {
    /// A JSON object.
    pub(crate) json: Box<RawValue>,
    /// When it happened, as far as the entry says so itself; else when the event or call came.
    pub(crate) time: Timestamp,
}

impl Entry {
    /// What an order means.
    ///
    /// # Errors
    /// It is nothing for a log.
    pub(crate) fn of_order(order: &Order) -> Result<Self, Trouble> {
        let json = match &order.action.task {
            Task::Forward => Ok(object(json_of(&order.event))),
            Task::Notify { .. } if order.gathered_count > 0 => {
                to_raw_value(&json!({ "message": wording::digest(order), "count": order.count() }))
            }
            Task::Notify { message: message @ Value::Object(_) } => to_raw_value(message),
            Task::Notify { message } => to_raw_value(&json!({ "message": wording::text_of(message) })),
            Task::Request { .. } | Task::Email(_) | Task::Account(_) | Task::Impossible { .. } => {
                return Err(Trouble::refused("it takes notifications and events, and nothing else"));
            }
        };
        let json = json.map_err(|error| Trouble::refused(format!("it cannot be written as JSON: {error}")))?;
        let came = || Timestamp::from_millisecond(order.received).unwrap_or_default();
        Ok(Self { time: time(&json).unwrap_or_else(came), json })
    }

    /// The same with every text of at most so many characters; nothing if it cannot be read.
    pub(crate) fn with_texts_cut(&self, most: usize) -> Option<Self> {
        let value: Value = serde_json::from_str(self.json.get()).ok()?;
        let json = to_raw_value(&wording::with_texts_cut(&value, most)).ok()?;
        Some(Self { json, time: self.time })
    }

    /// On one line: JSON has line ends only between values, where a space means the same.
    pub(crate) fn line(&self) -> String {
        one_line(self.json.get())
    }
}

/// Whether a script may ask a connector of this kind for this.
///
/// # Errors
/// Why not, for the author of the script.
pub(crate) fn check(kind: &str, action: &Action) -> Result<(), String> {
    match &action.task {
        Task::Forward => Ok(()),
        Task::Notify { message: Value::String(text) } if text.trim().is_empty() => Err("the text is empty".to_owned()),
        Task::Notify { message: Value::Object(fields) } if fields.is_empty() => Err("the map is empty".to_owned()),
        Task::Notify { message: Value::String(_) | Value::Object(_) } => Ok(()),
        Task::Notify { .. } => Err("a message is a text or a map".to_owned()),
        Task::Request { .. } | Task::Email(_) | Task::Account(_) | Task::Impossible { .. } => {
            Err(format!("a connector of kind `{kind}` takes `notify` and `forward`, not `{}`", action.name()))
        }
    }
}

/// An event as it was sent; what is no JSON becomes a text.
pub(crate) fn json_of(event: &[u8]) -> Box<RawValue> {
    let text = String::from_utf8_lossy(event);
    RawValue::from_string(text.trim().to_owned()).unwrap_or_else(|_| text_of(&text))
}

/// JSON without line ends.
pub(crate) fn one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}

/// Logs index members: what has none gets one.
fn object(json: Box<RawValue>) -> Box<RawValue> {
    if json.get().starts_with('{') {
        return json;
    }
    let text = serde_json::from_str::<String>(json.get()).unwrap_or_else(|_| json.get().to_owned());
    RawValue::from_string(format!("{{\"message\":{}}}", text_of(&text).get())).unwrap_or(json)
}

fn text_of(text: &str) -> Box<RawValue> {
    to_raw_value(text).expect("a text is JSON")
}

fn time(json: &RawValue) -> Option<Timestamp> {
    let members: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(json.get()).ok()?;
    TIMES.iter().find_map(|name| {
        let written: String = serde_json::from_str(members.get(*name)?.get()).ok()?;
        // Before 1970 no event happened, and not every log knows how to write it.
        written.parse().ok().filter(|time: &Timestamp| time.as_second() >= 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::order;
    use hookgate_model::command::Method;

    fn forwarded(event: &'static [u8]) -> Entry {
        let mut order = order(Task::Forward);
        order.event = event.into();
        Entry::of_order(&order).expect("an entry")
    }

    fn notified(message: Value) -> Entry {
        Entry::of_order(&order(Task::Notify { message })).expect("an entry")
    }

    #[test]
    fn an_event_keeps_every_byte() {
        let event = b"{ \"z\": 1.10,\r\n  \"a\": 12345678901234567890123, \"n\": null, \"t\": \"\\ud800\" }";
        let entry = forwarded(event);
        assert_eq!(entry.json.get().as_bytes(), event);
        assert_eq!(entry.line(), "{ \"z\": 1.10,    \"a\": 12345678901234567890123, \"n\": null, \"t\": \"\\ud800\" }");
    }

    #[test]
    fn what_is_no_object_becomes_one() {
        for (event, json) in [
            (b"not \"json\"".as_slice(), r#"{"message":"not \"json\""}"#),
            (b"\xff\n<86>1", "{\"message\":\"\u{fffd}\\n<86>1\"}"),
            (b"[1, 2]", r#"{"message":"[1, 2]"}"#),
            (b"\"a\\nb\"", r#"{"message":"a\nb"}"#),
            (b"", r#"{"message":""}"#),
            (b"{\"half\":", r#"{"message":"{\"half\":"}"#),
        ] {
            assert_eq!(forwarded(event).json.get(), json);
        }
    }

    #[test]
    fn a_message_is_an_object() {
        assert_eq!(notified(json!("a\nb")).json.get(), r#"{"message":"a\nb"}"#);
        assert_eq!(notified(json!({ "z": 1, "a": [2] })).json.get(), r#"{"z":1,"a":[2]}"#);
        let mut many = order(Task::Notify { message: json!("first") });
        many.gathered = vec![Action::new("x", Task::Notify { message: json!("second") })];
        many.gathered_count = 1;
        let entry = Entry::of_order(&many).expect("an entry");
        assert_eq!(entry.json.get(), r#"{"message":"2 notifications:\n- first\n- second","count":2}"#);
    }

    #[test]
    fn the_time_is_the_entrys_own_if_it_has_one() {
        let came = "2026-01-02T03:04:05Z";
        for (event, time) in [
            (br#"{"published":"2026-03-02T08:30:00.125Z"}"#.as_slice(), "2026-03-02T08:30:00.125Z"),
            (br#"{"published":"2026-03-02T08:30:00+02:00"}"#, "2026-03-02T06:30:00Z"),
            (br#"{"time":"2026-03-02T08:30:00Z","@timestamp":"2026-03-01T00:00:00Z"}"#, "2026-03-01T00:00:00Z"),
            (br#"{"published":"yesterday","time":"2026-03-02T08:30:00Z"}"#, "2026-03-02T08:30:00Z"),
            (br#"{"published":"1601-01-01T00:00:00Z"}"#, came),
            (br#"{"published":1767323045}"#, came),
            (br#"{"published":"2026-03-02T08:30:00"}"#, came),
            (br#"{"inner":{"published":"2026-03-02T08:30:00Z"}}"#, came),
            (b"garbage", came),
        ] {
            assert_eq!(forwarded(event).time.to_string(), time, "{}", String::from_utf8_lossy(event));
        }
    }

    #[test]
    fn what_a_log_cannot_take_is_said() {
        let refused = |task| check("elastic", &Action::new("siem", task)).expect_err("refused");
        let notify = |message| Task::Notify { message };
        assert_eq!(refused(notify(json!(" \n"))), "the text is empty");
        assert_eq!(refused(notify(json!({}))), "the map is empty");
        assert_eq!(refused(notify(json!([1]))), "a message is a text or a map");
        let request = Task::Request { method: Method::Put, path: "/x".into(), body: json!(1) };
        assert_eq!(refused(request.clone()), "a connector of kind `elastic` takes `notify` and `forward`, not `put`");
        assert!(Entry::of_order(&order(request)).is_err());
        for task in [Task::Forward, notify(json!("x")), notify(json!({ "a": 1 }))] {
            assert_eq!(check("elastic", &Action::new("siem", task)), Ok(()));
        }
    }
}
