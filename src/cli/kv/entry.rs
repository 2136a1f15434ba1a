//! A key in words and in JSON.

use serde_json::{Value, json};

use crate::cli::events::text;
use crate::cli::output;
use hookgate_engine::telemetry::escape::visible;
use hookgate_model::moment::exact;
use hookgate_model::question::OWN_KEY;
use hookgate_model::question::state::Kept;
use hookgate_store::Millis;
use hookgate_store::state::StateEntry;

/// The key without what marks one of the gateway's own.
pub(super) fn key(entry: &StateEntry) -> &str {
    entry.key.strip_prefix(OWN_KEY).unwrap_or(&entry.key)
}

/// The same on a line of its own, without what acts on a terminal.
pub(super) fn shown_key(entry: &StateEntry) -> String {
    visible(key(entry)).into_owned()
}

/// What is kept, in a line: the value as JSON; of a rate, what it counted.
pub(super) fn words(kept: &Kept, now: Millis) -> String {
    match kept {
        Kept::Value { value, .. } => visible(&value.to_string()).into_owned(),
        Kept::Times { times, .. } => {
            let newest = times.back().map(|newest| text::distance((*newest).min(now), now + 1));
            let count = output::counted(times.len(), "time");
            format!("rate: {count}, the last {}", newest.unwrap_or_default())
        }
    }
}

pub(super) fn json(entry: &StateEntry) -> Value {
    let mut told = json!({ "key": key(entry), "expires": exact(entry.kept.until()) });
    match &entry.kept {
        Kept::Value { value, .. } => told["value"] = value.clone(),
        Kept::Times { times, .. } => {
            let time = |time: Option<&Millis>| time.map(|time| exact(*time));
            told["rate"] = json!({ "count": times.len(), "first": time(times.front()), "last": time(times.back()) });
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_says_how_often_and_when() {
        let kept = Kept::Times { times: [1_000, 60_000].into(), until: 660_000 };
        assert_eq!(words(&kept, 300_000), "rate: 2 times, the last 4 min ago");
        let entry = StateEntry { key: format!("{OWN_KEY}guard okta"), kept };
        let told = json(&entry);
        assert_eq!((told["key"].as_str(), told["rate"]["count"].as_u64()), (Some("guard okta"), Some(2)));
        assert_eq!(told["rate"]["last"], "1970-01-01T00:01:00.000Z");
    }
}
