//! The request of a call that is run again: what was captured, the event that is kept, or a sample.

use serde_json::Value;

use crate::admin::access::sight::{Disclosure, Sight};
use crate::admin::desk::Desk;
use hookgate_engine::telemetry::escape;
use hookgate_model::decision::{Capture, Record};
use hookgate_store::EventRef;

/// The request that the form begins with.
pub(in crate::admin::viewer) struct Input {
    pub(in crate::admin::viewer) text: String,
    pub(in crate::admin::viewer) origin: Origin,
}

/// Where a request is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::admin::viewer) enum Origin {
    /// It was captured.
    Captured,
    /// It is the event, which is kept in any case.
    Kept,
    /// Nothing of the call is there: it is a sample of the hook.
    Sample,
}

impl Input {
    /// The request of a call as far as it is there; nothing where the route is not there any more.
    pub(in crate::admin::viewer) async fn of(
        desk: &Desk,
        record: &Record,
        capture: Option<&Capture>,
        sight: Sight,
    ) -> Option<Self> {
        if let Some(capture) = capture.filter(|capture| !capture.too_large) {
            return Some(Self { text: written(&capture.request), origin: Origin::Captured });
        }
        if let Some(number) = record.event
            && let Ok(Some(event)) = desk.event(EventRef::Id(number), sight).await
            && let Disclosure::Shown(body) = event.body
            && let Ok(event) = serde_json::from_slice::<Value>(&body)
        {
            return Some(Self { text: written(&event), origin: Origin::Kept });
        }
        let release = desk.in_force()?;
        let route = release.routes().iter().find(|route| route.name == record.route)?;
        let sample: Value = serde_json::from_str(route.hook.samples.first()?.request).ok()?;
        Some(Self { text: written(&sample), origin: Origin::Sample })
    }

    /// Whether this is the request of the call, and not a sample or an edited one.
    pub(super) fn is(&self, request: &str) -> bool {
        let value = |text: &str| serde_json::from_str::<Value>(text).ok();
        self.origin != Origin::Sample && value(&self.text).is_some_and(|own| Some(own) == value(request))
    }
}

/// JSON to be edited: what nobody sees, or what turns a text round, is an escape of JSON.
fn written(value: &Value) -> String {
    let mut text = String::new();
    for letter in serde_json::to_string_pretty(value).unwrap_or_default().chars() {
        if letter == '\n' || !escape::is_deceptive(letter) {
            text.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            text.push_str(&format!("\\u{unit:04x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_nobody_sees_is_an_escape_in_json_that_is_edited() {
        let value = json!({ "name": "a\u{202e}b\u{200b}\u{1b}\u{e0001}\n\u{fc}" });
        let text = written(&value);
        assert_eq!(text, "{\n  \"name\": \"a\\u202eb\\u200b\\u001b\\udb40\\udc01\\n\u{fc}\"\n}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
