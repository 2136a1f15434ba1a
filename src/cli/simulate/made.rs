//! The body of a simulated call: a sample or file, with ids and times as fresh as Okta's, and what the user changed.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cli::body;
use crate::cli::call::unknown;
use crate::cli::simulate::Args;
use crate::hooks::Hook;

/// The call to send.
pub(super) fn body(hook: &Hook, args: &Args) -> Result<Bytes> {
    let text = match &args.file {
        Some(file) => body::read(file)?,
        None => Bytes::from_static(sample(hook, args.sample.as_deref())?.as_bytes()),
    };
    let mut call: Value = serde_json::from_slice(&text).context("the call is not JSON")?;
    if !call.is_object() {
        bail!("the call is JSON, but not an object");
    }
    freshen(&mut call);
    if args.preview {
        as_preview(&mut call, hook);
    }
    if let Some(event_type) = &args.event_type {
        each_event(&mut call, |event| event["eventType"] = json!(event_type));
    }
    for (path, value) in &args.set {
        set(&mut call, path, value.clone())?;
    }
    Ok(call.to_string().into())
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

/// Without new ids, the gateway would give the answer of the call before.
fn freshen(call: &mut Value) {
    let now = Timestamp::now().to_string();
    call["eventId"] = json!(Uuid::new_v4().to_string());
    call["eventTime"] = json!(now);
    each_event(call, |event| {
        event["uuid"] = json!(Uuid::new_v4().to_string());
        event["published"] = json!(now);
    });
}

/// Contract: an inline preview has the address of Okta's console (inline hooks, section 13); an event has almost
/// nothing (event hooks, section 8).
fn as_preview(call: &mut Value, hook: &Hook) {
    if hook.events {
        each_event(call, |event| {
            for member in ["actor", "target", "debugContext", "securityContext"] {
                event[member] = Value::Null;
            }
            event["outcome"] = json!({ "result": "Success", "reason": null });
            event["transaction"] = json!({ "type": null, "id": Uuid::new_v4().to_string(), "detail": {} });
        });
        return;
    }
    let kind = call["eventType"].as_str().unwrap_or(hook.name);
    let url = format!("/api/internal/v1/inlineHooks/{kind}/generatePreview");
    // A call without these members still is a preview of its hook; what is no object stays as the user wrote it.
    let _ = set(call, "data.context.request.url.value", json!(url));
}

fn each_event(call: &mut Value, change: impl Fn(&mut Value)) {
    let events = call.pointer_mut("/data/events").and_then(Value::as_array_mut);
    events.into_iter().flatten().filter(|event| event.is_object()).for_each(change);
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

    #[test]
    fn every_call_has_an_id_and_time_of_its_own() {
        let sample = json!({ "eventId": "old", "data": { "events": [{ "uuid": "old" }, { "uuid": "old" }] } });
        let (mut first, mut second) = (sample.clone(), sample);
        freshen(&mut first);
        freshen(&mut second);
        assert_ne!(first["eventId"], second["eventId"]);
        assert_ne!(first["data"]["events"][0]["uuid"], first["data"]["events"][1]["uuid"]);
    }

    #[test]
    fn a_preview_is_taken_for_one_where_okta_has_previews() {
        // Contract: inline hooks, section 13.
        for name in ["okta.registration", "okta.token", "okta.saml", "okta.telephony"] {
            let hook = crate::hooks::find(name).expect("a hook of the table");
            let sample = hook.samples.first().expect("every hook has a sample");
            let mut call: Value = serde_json::from_str(sample.request).expect("a sample is JSON");
            as_preview(&mut call, hook);
            let decoded = (hook.decode)(&call.to_string().into()).expect("a preview decodes");
            assert!(decoded.facts.preview, "{}", hook.name);
        }
    }
}
