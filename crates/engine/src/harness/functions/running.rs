//! Running the script that is tested: `run` and its kin, and the calls to run it with.

use std::sync::Arc;

use rhai::{Array, Dynamic, Map};
use serde_json::Value;

use crate::harness::outcome;
use crate::harness::outcome::Outcome;
use crate::harness::session;
use crate::harness::session::Fallible;
use crate::harness::stage::{TestCall, merge};
use hookgate_hooks::Hook;
use hookgate_model::finding::nearest;
use hookgate_script::library::{Doc, Library};
use hookgate_script::prelude::json::{dynamic_from_json, json_from_dynamic};

/// The body of a call, whole.
#[derive(Clone, Debug)]
struct Body(Arc<Value>);

impl Body {
    fn merged(&self, overrides: Map) -> Fallible<Self> {
        let mut body = (*self.0).clone();
        merge(&mut body, overriding("merged", overrides)?);
        Ok(Self(Arc::new(body)))
    }

    fn without(&self, path: &str) -> Fallible<Self> {
        let absent = || format!("the body has no `{path}`");
        let mut body = (*self.0).clone();
        let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
        let mut parts = parent.split('.').filter(|part| !part.is_empty());
        let holder = parts.try_fold(&mut body, |value, part| value.get_mut(part));
        // A member that is not there at all is a slip of the pen, and the test would show nothing.
        holder.and_then(Value::as_object_mut).and_then(|map| map.shift_remove(name)).ok_or_else(absent)?;
        Ok(Self(Arc::new(body)))
    }
}

fn overriding(function: &str, overrides: Map) -> Fallible<Value> {
    json_from_dynamic(&Dynamic::from_map(overrides)).map_err(|problem| format!("`{function}`: {problem}").into())
}

fn bound_hook(function: &str) -> Fallible<&'static Hook> {
    session::with(function, |session| session.bound().map(|binding| binding.hook))?
}

fn first_sample(hook: &Hook) -> Fallible<Body> {
    let sample = hook.samples.first().ok_or("this hook has no sample")?;
    parsed(sample.request)
}

fn parsed(text: &str) -> Fallible<Body> {
    let body = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    Ok(Body(Arc::new(body)))
}

fn sample(name: &str) -> Fallible<Body> {
    let hook = bound_hook("sample")?;
    let Some(sample) = hook.samples.iter().find(|sample| sample.name == name) else {
        let names = || hook.samples.iter().map(|sample| sample.name);
        let hint = nearest(name, names()).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        let all = names().collect::<Vec<_>>().join(", ");
        return Err(format!("`{}` has no sample `{name}`: {hint}there is: {all}", hook.name).into());
    };
    parsed(sample.request)
}

/// Beside the file of tests, or from the scripts folder on.
fn load(file: &str) -> Fallible<Body> {
    session::with("load", |session| {
        let folder = session.subject.script.rsplit_once('/').map_or("", |(folder, _)| folder);
        let beside = if folder.is_empty() { file.to_owned() } else { format!("{folder}/{file}") };
        let fixtures = &session.subject.fixtures;
        let text = fixtures.get(&beside).or_else(|| fixtures.get(file)).ok_or_else(|| {
            let near = nearest(file, fixtures.keys().map(String::as_str));
            let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            format!("there is no file `{file}` in the scripts folder{hint}")
        })?;
        parsed(text).map_err(|error| format!("`{file}` cannot be read: {}", error.unwrap_inner()).into())
    })?
}

/// Runs the script on a body that the caller made.
fn run(body: &Value) -> Fallible<Outcome> {
    let mut outcomes = perform("run", body)?;
    match outcomes.pop() {
        Some(outcome) if outcomes.is_empty() => Ok(outcome),
        _ => Err("this body holds several events: use `run_batch`".into()),
    }
}

fn perform(function: &str, body: &Value) -> Fallible<Vec<Outcome>> {
    let call = session::with(function, |session| TestCall::of(session))??;
    let outcomes = call.perform(body).map_err(|error| format!("the gateway refuses this call: {error}"))?;
    session::with(function, |session| outcomes.iter().for_each(|outcome| session.note_run(outcome)))?;
    Ok(outcomes)
}

/// Events made of the first event of the hook's sample, in one body.
fn events(function: &str, overrides: Vec<Map>) -> Fallible<Vec<Outcome>> {
    let hook = bound_hook(function)?;
    let Some(row) = hook.as_events() else {
        return Err(format!("`{function}` is for scripts of events; scripts of `{}` take `run`", hook.name).into());
    };
    let mut body = (*first_sample(hook)?.0).clone();
    let events = body.pointer_mut(row.batch.events).and_then(Value::as_array_mut);
    let events = events.ok_or("the sample of this hook holds no events")?;
    let first = events.first().cloned().ok_or("the sample of this hook holds no event")?;
    events.clear();
    for (index, map) in overrides.into_iter().enumerate() {
        let mut event = first.clone();
        if let (Some(id), true) = (event.get_mut(row.batch.id), index > 0) {
            // Two events of one id would be one event.
            *id = format!("{}-{index}", id.as_str().unwrap_or_default()).into();
        }
        merge(&mut event, overriding(function, map)?);
        events.push(event);
    }
    perform(function, &body)
}

fn run_event(overrides: Map) -> Fallible<Outcome> {
    let outcome = events("run_event", vec![overrides])?.pop();
    outcome.ok_or_else(|| "the gateway found no event in the body".into())
}

fn run_batch(overrides: Array) -> Fallible<Array> {
    let maps = overrides.into_iter().map(|item| item.try_cast::<Map>().ok_or("`run_batch` takes an array of maps"));
    let outcomes = events("run_batch", maps.collect::<Result<Vec<_>, _>>()?)?;
    Ok(outcomes.into_iter().map(Dynamic::from).collect())
}

fn run_over_sample(overrides: Map) -> Fallible<Outcome> {
    let body = first_sample(bound_hook("run")?)?.merged(overrides)?;
    run(&body.0)
}

pub(crate) fn register(library: &mut Library) {
    library.reader(
        Doc::new(
            "run([body: map or Body]) -> Outcome",
            "Runs the script that the file is named after, through decode, script, check and encode. A map is merged over the body of the hook's first sample: maps member by member, everything else replaces; `()` is JSON's null. Without it the sample is run as it is; a `Body` is run instead of the sample.",
            r#"run(#{ data: #{ userProfile: #{ email: "x@mailinator.com" } } }).commands != ["allow"]"#,
        ),
        run_over_sample,
    );
    library.overload("run", || run_over_sample(Map::new()));
    library.overload("run", |body: Body| run(&body.0));
    library.reader(
        Doc::new(
            "run(body: Body, overrides: map) -> Outcome",
            "The same with the overrides merged over that body, not over the sample.",
            r#"run(sample("classic"), #{ data: #{ userProfile: #{ email: "x@mailinator.com" } } }).commands != ["allow"]"#,
        ),
        |body: Body, overrides: Map| run(&body.merged(overrides)?.0),
    );
    library.reader(
        Doc::new(
            "run_event([overrides: map]) -> Outcome",
            "Runs an event script on one event: the event of the hook's first sample with the overrides merged over it.",
            r#"run_event(#{ eventType: "group.user_membership.remove" }).failure == ()"#,
        ),
        run_event,
    );
    library.overload("run_event", || run_event(Map::new()));
    library.reader(
        Doc::new(
            "run_batch(overrides: array) -> array",
            "Runs an event script on several events of one delivery, one map of overrides each; gives an Outcome each. Events have ids of their own unless the overrides say otherwise.",
            r#"run_batch([#{}, #{ eventType: "group.user_membership.remove" }]).len() == 2"#,
        ),
        run_batch,
    );
    register_bodies(library);
    outcome::register(library);
}

fn register_bodies(library: &mut Library) {
    library.value::<Body>("Body", "The body of a call, to `run`.");
    library.reader(
        Doc::new(
            "sample(name: string) -> Body",
            "A sample of the hook by its name, see the hook's page.",
            r#"run(sample("progressive")).failure == ()"#,
        ),
        sample,
    );
    library.reader(
        Doc::new(
            "load(file: string) -> Body",
            "A JSON file below the scripts folder: the body of a call. Looked for beside the tests first.",
            r#"run(load("calls/ann.json")).commands == ["allow"]"#,
        ),
        load,
    );
    library.reader(
        Doc::new(
            "Body.merged(overrides: map) -> Body",
            "A copy with the overrides merged over it.",
            r#"sample("classic").merged(#{ requestType: "x.y" }).json().requestType == "x.y""#,
        ),
        |body: &mut Body, overrides: Map| body.merged(overrides),
    );
    library.reader(
        Doc::new(
            "Body.without(path: string) -> Body",
            "A copy without one member: `sample(\"sent\").without(\"data.messageProfile.phoneNumber\")`. An error if it is not there.",
            r#"run(sample("classic").without("data.userProfile.email")).commands == ["allow"]"#,
        ),
        |body: &mut Body, path: &str| body.without(path),
    );
    library.reader(
        Doc::new(
            "Body.json() -> map",
            "The body as a map.",
            r#"sample("classic").json().data.userProfile.firstName == "Ann""#,
        ),
        |body: &mut Body| dynamic_from_json(&body.0),
    );
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_member_is_left_out_by_its_path_and_must_be_there() {
        let body = Body(Arc::new(json!({ "a": { "b": 1, "c": 2 }, "d": null })));
        let without = |path: &str| body.without(path).map(|body| (*body.0).clone());
        assert_eq!(without("a.b").unwrap(), json!({ "a": { "c": 2 }, "d": null }));
        assert_eq!(without("d").unwrap(), json!({ "a": { "b": 1, "c": 2 } }));
        for path in ["e", "a.e", "d.e", "a.b.c", ""] {
            assert_eq!(
                without(path).unwrap_err().unwrap_inner().to_string(),
                format!("Runtime error: the body has no `{path}`")
            );
        }
    }
}
