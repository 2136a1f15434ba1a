//! The body of a simulated call: a sample or file, with ids and times as fresh as Okta's, and what the user changed.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cli::body;
use crate::cli::simulate::Args;
use crate::finding::unknown;
use crate::hooks::Hook;

/// Makes calls, each fresh.
pub(super) struct Maker<'a> {
    hook: &'static Hook,
    args: &'a Args,
    template: Value,
    /// What was read of the file or sample; without any, the body has no place for events.
    events: Vec<Value>,
    started: Timestamp,
}

/// A call to make.
pub(super) struct Call {
    pub(super) body: Bytes,
    /// Of an event hook: the same events in another envelope.
    pub(super) renewed: Option<Bytes>,
}

impl<'a> Maker<'a> {
    /// # Errors
    /// There is no such sample, or the file is no call.
    pub(super) fn new(hook: &'static Hook, args: &'a Args) -> Result<Self> {
        let text = match &args.file {
            Some(file) => body::read(file)?,
            None => Bytes::from_static(sample(hook, args.sample.as_deref())?.as_bytes()),
        };
        let mut template: Value = serde_json::from_slice(&text).context("the call is not JSON")?;
        if !template.is_object() {
            bail!("the call is JSON, but not an object");
        }
        let mut events = Vec::new();
        if let Some(found) = events_of(&mut template, hook) {
            events = std::mem::take(found);
        }
        Ok(Self { hook, args, template, events, started: Timestamp::now() })
    }

    /// How many events a call carries.
    pub(super) fn batch(&self) -> usize {
        self.args.many.batch.map_or(self.events.len(), |batch| batch as usize)
    }

    /// The call of that number, as of now.
    ///
    /// # Errors
    /// What is to be set has no place in it.
    pub(super) fn call(&self, number: u64) -> Result<Call> {
        let mut call = self.template.clone();
        let now = Timestamp::now();
        address(&mut call, now);
        if let Some(events) = events_of(&mut call, self.hook) {
            *events = self.events(number, now);
        }
        if self.args.preview {
            as_preview(&mut call, self.hook, now);
        }
        for (path, value) in &self.args.set {
            set(&mut call, path, value.clone())?;
        }
        let body = call.to_string().into();
        let renewed = self.hook.events.then(|| {
            address(&mut call, now);
            call.to_string().into()
        });
        Ok(Call { body, renewed })
    }

    /// The events of a call: in the order in which they happened, or each before the one that was sent before it.
    fn events(&self, number: u64, now: Timestamp) -> Vec<Value> {
        let batch = self.batch();
        let mut events: Vec<Value> = self.events.iter().cycle().take(batch).cloned().collect();
        for (index, event) in events.iter_mut().enumerate().filter(|(_, event)| event.is_object()) {
            if let Some(kind) = &self.args.event_type {
                (self.hook.batch.retype)(event, kind);
            }
            let time = match self.args.many.out_of_order {
                true => before(self.started, number.saturating_mul(batch as u64).saturating_add(index as u64)),
                false => before(now, (batch - 1 - index) as u64),
            };
            (self.hook.batch.freshen)(event, time);
        }
        events
    }
}

/// That many milliseconds before.
fn before(time: Timestamp, ms: u64) -> Timestamp {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    time.checked_sub(SignedDuration::from_millis(ms)).unwrap_or(Timestamp::MIN)
}

/// Where a call of this hook has its events.
fn events_of<'v>(call: &'v mut Value, hook: &Hook) -> Option<&'v mut Vec<Value>> {
    if !hook.events {
        return None;
    }
    call.pointer_mut(hook.batch.events).and_then(Value::as_array_mut)
}

fn sample(hook: &Hook, name: Option<&str>) -> Result<&'static str> {
    let sample = match name {
        None => hook.samples.first(),
        Some(name) => hook.samples.iter().find(|sample| sample.name == name),
    };
    let names: Vec<String> = hook.samples.iter().map(|sample| sample.name.to_owned()).collect();
    let sample = sample.with_context(|| unknown("sample", name.unwrap_or_default(), &names))?;
    Ok(sample.request)
}

/// Without a new id, the gateway would give the answer of the call before.
fn address(call: &mut Value, now: Timestamp) {
    call["eventId"] = json!(Uuid::new_v4().to_string());
    call["eventTime"] = json!(format!("{now:.3}"));
}

/// Contract: an inline preview has the address of Okta's console (inline hooks, section 13); an event has almost
/// nothing (event hooks, section 8).
fn as_preview(call: &mut Value, hook: &Hook, now: Timestamp) {
    if hook.events {
        call["eventTime"] = json!(format!("{now:.6}"));
        let events = events_of(call, hook).into_iter().flatten();
        events.filter(|event| event.is_object()).for_each(hook.batch.preview);
        return;
    }
    let kind = call["eventType"].as_str().unwrap_or(hook.name);
    let url = format!("/api/internal/v1/inlineHooks/{kind}/generatePreview");
    // A call without these members still is a preview of its hook; what is no object stays as the user wrote it.
    let _ = set(call, "data.context.request.url.value", json!(url));
}

/// Sets the member at a dotted path, making the objects on the way; a number is a place in an array.
fn set(call: &mut Value, path: &str, value: Value) -> Result<()> {
    let mut at = call;
    for step in path.split('.') {
        if at.is_null() {
            *at = json!({});
        }
        at = match at {
            Value::Object(members) => members.entry(step).or_insert(Value::Null),
            Value::Array(items) => {
                let length = items.len();
                let item = step.parse().ok().and_then(|index: usize| items.get_mut(index));
                item.with_context(|| format!("`{step}` in `{path}` must be a number below {length}"))?
            }
            _ => bail!("`{step}` in `{path}` is inside a value that has no members"),
        };
    }
    *at = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_set_at_its_path() {
        let mut call = json!({ "data": { "events": [{ "uuid": "a" }], "n": 1 } });
        set(&mut call, "data.events.0.target", json!([])).expect("an array item");
        set(&mut call, "data.context.request.id", json!("r")).expect("new objects");
        assert_eq!(call["data"]["events"][0], json!({ "uuid": "a", "target": [] }));
        assert_eq!(call["data"]["context"]["request"]["id"], "r");
        assert!(set(&mut call, "data.events.1.uuid", json!("b")).is_err());
        assert!(set(&mut call, "data.n.x", json!(1)).is_err());
    }

    fn args(line: &[&str]) -> Args {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        <Line as clap::Parser>::parse_from([&["simulate", "okta.event"], line].concat()).args
    }

    fn calls(line: &[&str], count: u64) -> Vec<(Value, Value)> {
        let args = args(line);
        let hook = crate::hooks::find("okta.event").expect("a hook of the table");
        let maker = Maker::new(hook, &args).expect("the arguments are sound");
        let read = |body: &Bytes| serde_json::from_slice(body).expect("a body is JSON");
        (0..count)
            .map(|number| {
                let call = maker.call(number).expect("a call");
                (read(&call.body), read(&call.renewed.expect("an event has a new envelope")))
            })
            .collect()
    }

    fn all<'v>(call: &'v Value, member: &str) -> Vec<&'v str> {
        let events = call["data"]["events"].as_array().expect("events");
        events.iter().map(|event| event[member].as_str().expect("a text")).collect()
    }

    #[test]
    fn every_call_and_every_event_has_an_id_of_its_own() {
        let made = calls(&["user.session.start", "--batch", "50"], 2);
        let mut ids = std::collections::BTreeSet::new();
        for (call, renewed) in &made {
            assert_eq!(all(call, "eventType"), ["user.session.start"; 50]);
            assert_eq!(call["data"], renewed["data"], "the same events");
            assert_ne!(call["eventId"], renewed["eventId"], "in another envelope");
            ids.extend(all(call, "uuid"));
            ids.extend([call, renewed].map(|call| call["eventId"].as_str().expect("an id")));
        }
        assert_eq!(ids.len(), 104);
    }

    #[test]
    fn events_are_sent_as_they_happened_or_the_other_way_round() {
        for (switches, backwards) in [(&["--batch", "4"][..], false), (&["--batch", "4", "--out-of-order"], true)] {
            let made = calls(switches, 3);
            let times: Vec<&str> = made.iter().flat_map(|(call, _)| all(call, "published")).collect();
            for (index, batch) in times.chunks(4).enumerate() {
                assert!(batch.is_sorted() != backwards, "{index}: {batch:?}");
            }
            if backwards {
                assert!(times.iter().rev().is_sorted_by(|before, after| before < after), "{times:?}");
            }
        }
    }

    #[test]
    fn previews_of_events_are_taken_for_previews() {
        let made = calls(&["group.user_membership.add", "--preview", "--batch", "2"], 1);
        let hook = crate::hooks::find("okta.event").expect("a hook of the table");
        let decoded = (hook.split)(&made[0].0.to_string().into(), usize::MAX).expect("a preview decodes");
        assert_eq!(decoded.len(), 2);
        assert!(decoded.iter().all(|event| event.facts.preview && event.facts.published.is_some()));
    }

    #[test]
    fn a_preview_is_taken_for_one_where_okta_has_previews() {
        // Contract: inline hooks, section 13.
        for name in ["okta.registration", "okta.token", "okta.saml", "okta.telephony"] {
            let hook = crate::hooks::find(name).expect("a hook of the table");
            let sample = hook.samples.first().expect("every hook has a sample");
            let mut call: Value = serde_json::from_str(sample.request).expect("a sample is JSON");
            as_preview(&mut call, hook, Timestamp::now());
            let decoded = (hook.decode)(&call.to_string().into()).expect("a preview decodes");
            assert!(decoded.facts.preview, "{}", hook.name);
        }
    }
}
