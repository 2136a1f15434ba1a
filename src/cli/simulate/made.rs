//! The body of a simulated call: a sample or file, with ids and times as fresh as the provider's, and what the user changed.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::cli::body;
use crate::cli::simulate::Args;
use crate::cli::simulate::wire::Sealer;
use hookgate_hooks::Hook;
use hookgate_hooks::envelope::SealedCall;
use hookgate_model::finding::{nearest, unknown};

/// Makes calls, each fresh.
pub(super) struct Maker<'a> {
    hook: &'static Hook,
    args: &'a Args,
    template: Value,
    /// What was read of the file or sample; without any, the body has no place for events.
    events: Vec<Value>,
    sealer: Sealer,
    started: Timestamp,
}

/// A call to make.
pub(super) struct Call {
    pub(super) request: SealedCall,
    /// The same as JSON, for hooks whose replies depend on it; `null` for events.
    pub(super) value: Value,
    /// Of an event hook: the same events in another envelope.
    pub(super) renewed: Option<SealedCall>,
}

impl<'a> Maker<'a> {
    /// # Errors
    /// There is no such sample, or the file is no call.
    pub(super) fn new(hook: &'static Hook, args: &'a Args, sealer: Sealer) -> Result<Self> {
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
        Ok(Self { hook, args, template, events, sealer, started: Timestamp::now() })
    }

    /// How many events a call carries.
    pub(super) fn batch(&self) -> usize {
        self.args.many.batch.map_or(self.events.len(), |batch| batch as usize)
    }

    /// What of the calls is not as the provider makes them.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut template = self.template.clone();
        if let Some(events) = events_of(&mut template, self.hook) {
            events.clone_from(&self.events);
        }
        let lacks = |(path, _): &(String, Value)| absent(&template, path);
        let mut warnings: Vec<String> = self.args.set.iter().filter_map(lacks).collect();
        if self.args.preview && self.hook.caller.preview.is_none() {
            warnings.push(format!(
                "{} does not mark previews of `{}`: this call is like any other, and what the script asks for is done",
                self.hook.caller.provider, self.hook.name
            ));
        }
        warnings
    }

    /// The call of that number, as of now.
    ///
    /// # Errors
    /// What is to be set has no place in it.
    pub(super) fn call(&self, number: u64) -> Result<Call> {
        let mut call = self.template.clone();
        let now = Timestamp::now();
        // Without a new id, the gateway would give the answer of the call before.
        (self.hook.caller.renew)(&mut call, now);
        if let Some(events) = events_of(&mut call, self.hook) {
            *events = self.events(number, now);
        }
        if let Some(mark) = self.hook.caller.preview.filter(|_| self.args.preview) {
            mark(&mut call, now);
        }
        for (path, value) in &self.args.set {
            set(&mut call, path, value.clone())?;
        }
        let request = self.sealer.seal(&call)?;
        let mut renewed = None;
        if self.hook.is_for_events() {
            (self.hook.caller.renew)(&mut call, now);
            renewed = Some(self.sealer.seal(&call)?);
        }
        let value = if self.hook.is_for_events() { Value::Null } else { call };
        Ok(Call { request, value, renewed })
    }

    /// The events of a call: in the order in which they happened, or each before the one that was sent before it.
    fn events(&self, number: u64, now: Timestamp) -> Vec<Value> {
        let batch = self.batch();
        let mut events: Vec<Value> = self.events.iter().cycle().take(batch).cloned().collect();
        for (index, event) in events.iter_mut().enumerate().filter(|(_, event)| event.is_object()) {
            let Some(row) = self.hook.as_events() else { continue };
            if let Some(kind) = &self.args.event_type {
                (row.batch.retype)(event, kind);
            }
            let time = match self.args.many.out_of_order {
                true => before(self.started, number.saturating_mul(batch as u64).saturating_add(index as u64)),
                false => before(now, (batch - 1 - index) as u64),
            };
            (row.batch.freshen)(event, time);
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
    call.pointer_mut(hook.as_events()?.batch.events).and_then(Value::as_array_mut)
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

/// What to say of a path that the call lacks: the nearest that it has.
fn absent(call: &Value, path: &str) -> Option<String> {
    let steps: Vec<&str> = path.split('.').collect();
    let mut at = call;
    for (index, step) in steps.iter().enumerate() {
        let next = match at {
            Value::Object(members) => members.get(*step),
            Value::Array(items) => step.parse().ok().and_then(|index: usize| items.get(index)),
            _ => None,
        };
        let Some(next) = next else {
            let before = steps[..index].iter().map(|step| format!("{step}.")).collect::<String>();
            let siblings: Vec<&str> = at.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            let near = nearest(step, siblings.iter().copied()).map(|near| format!("{before}{near}"));
            let near = near.or_else(|| elsewhere(call, steps.last().unwrap_or(step)));
            let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Some(format!("the call has no `{path}`, so it was added{hint}"));
        };
        at = next;
    }
    None
}

/// The path of a member of this name, wherever the call has it.
fn elsewhere(call: &Value, name: &str) -> Option<String> {
    let mut paths = Vec::new();
    let mut left = vec![(String::new(), call)];
    while let Some((path, value)) = left.pop() {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match value {
            Value::Object(members) => {
                for (member, value) in members {
                    paths.push((member.as_str(), below(member)));
                    left.push((below(member), value));
                }
            }
            Value::Array(items) => {
                left.extend(items.iter().enumerate().map(|(index, item)| (below(&index.to_string()), item)));
            }
            _ => {}
        }
    }
    let near = nearest(name, paths.iter().map(|(member, _)| *member))?;
    paths.iter().find(|(member, _)| *member == near).map(|(_, path)| path.clone())
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
    use crate::cli::simulate::tests::args;

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

    fn events() -> &'static Hook {
        hookgate_hooks::HOOKS.iter().find(|hook| hook.is_for_events()).expect("a hook with events")
    }

    fn calls(line: &[&str], count: u64) -> Vec<(Value, Value)> {
        let args = args(line);
        let maker = Maker::new(events(), &args, Sealer::new(events(), None, None)).expect("the arguments are sound");
        let read = |request: &SealedCall| serde_json::from_slice(&request.body).expect("a body is JSON");
        (0..count)
            .map(|number| {
                let call = maker.call(number).expect("a call");
                (read(&call.request), read(&call.renewed.expect("an event has a new envelope")))
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
        let decoded = events().requests(&made[0].0.to_string().into(), usize::MAX).expect("a preview decodes");
        assert_eq!(decoded.len(), 2);
        assert!(decoded.iter().all(|event| event.facts.preview && event.facts.published.is_some()));
    }

    #[test]
    fn a_member_that_the_call_lacks_is_told_with_the_nearest() {
        let call = json!({ "data": { "userProfile": { "email": "a", "login": null }, "list": [{ "uuid": "x" }] } });
        for path in ["data.userProfile.email", "data.userProfile.login", "data.list.0.uuid", "data"] {
            assert_eq!(absent(&call, path), None, "{path}");
        }
        for (path, near) in [
            ("data.userProfile.emial", "; did you mean `data.userProfile.email`?"),
            ("data.usrProfile.email", "; did you mean `data.userProfile`?"),
            ("data.list.0.uiud", "; did you mean `data.list.0.uuid`?"),
            ("email", "; did you mean `data.userProfile.email`?"),
            ("data.userProfile.costCenter", ""),
            ("data.list.1.uuid", "; did you mean `data.list.0.uuid`?"),
        ] {
            let expected = format!("the call has no `{path}`, so it was added{near}");
            assert_eq!(absent(&call, path), Some(expected));
        }
    }
}
