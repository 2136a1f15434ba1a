//! What a script asks the gateway to do afterwards: `notify`, `post`, `email`, `forward`, what is to change in accounts, and
//! how often. Nothing is done here: a call makes an [`Action`], and the script returns it. No secret can become part of one.
//!
//! Texts in an action are often what a user made up. So what is wrong with a value ends no run: the action is refused alone
//! ([`Action::impossible`]), and the other actions go out. Only a mistake of the script itself is an error.

use std::time::Duration;

use rhai::{Dynamic, ImmutableString};
use serde_json::Value;

use crate::library::{Doc, Library};
use crate::prelude::{Fallible, json, printed};
use hookgate_model::command;
use hookgate_model::command::{Action, Method, State, Task, Window};
use hookgate_model::moment;

mod account;
mod mail;

/// The heading of the page, and what tells these commands from those of a hook.
pub(crate) const FAMILY: &str = "Actions";

/// The longest message or body, as JSON.
const MAX_BYTES: usize = 256 * 1024;

/// The longest path of a request.
const MAX_PATH_BYTES: usize = 4_096;

/// The longest key of `.once` and `.digest` that is kept as it is.
const MAX_KEY_BYTES: usize = 200;

/// The longest time that an action can be put off or held together.
const MAX_TIME: Duration = Duration::from_hours(30 * 24);

/// Why no action can be made.
enum Flaw {
    /// The script is wrong whatever the data: it ends with an error.
    Script(String),
    /// A value is wrong, and values come from outside: this action is refused alone.
    Value(String),
}

impl From<String> for Flaw {
    fn from(problem: String) -> Self {
        Self::Value(problem)
    }
}

impl From<&str> for Flaw {
    fn from(problem: &str) -> Self {
        Self::Value(problem.to_owned())
    }
}

/// The action of a task, or what stands for it.
///
/// # Errors
/// The script is wrong.
fn action(connector: &str, function: &str, task: Result<Task, Flaw>) -> Fallible<Action> {
    match task {
        Ok(task) => Ok(Action::new(connector, task)),
        Err(Flaw::Value(problem)) => Ok(Action::impossible(connector, function, format!("`{function}`: {problem}"))),
        Err(Flaw::Script(problem)) => wrong(function, problem),
    }
}

/// What is wrong, with the function that says so before it.
fn wrong<T>(name: &str, problem: impl std::fmt::Display) -> Fallible<T> {
    Err(format!("`{name}`: {problem}").into())
}

/// What a value is, without saying what is in it: it may be about a person, and what is wrong goes to the log.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing (`()`)",
        Value::Bool(_) => "`true` or `false`",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "a map",
    }
}

/// A value as JSON of any length.
fn json_whole(value: &Dynamic) -> Result<Value, Flaw> {
    json::json_from_dynamic(value).map_err(|problem| match problem.starts_with("a secret") {
        true => Flaw::Script(format!("{problem}; an action is kept and sent, and never carries a secret")),
        false => Flaw::Value(problem),
    })
}

/// A value as JSON that may be kept.
fn json_of(value: &Dynamic) -> Result<Value, Flaw> {
    let value = json_whole(value)?;
    let bytes = value.to_string().len();
    if bytes > MAX_BYTES {
        return Err(format!("this is {bytes} bytes long as JSON, and {MAX_BYTES} are the most").into());
    }
    Ok(value)
}

fn notify(connector: &str, message: &Dynamic) -> Fallible<Action> {
    let task = || match json_whole(message)? {
        Value::String(text) if text.trim().is_empty() => Err("needs a text".into()),
        Value::String(text) => Ok(Task::Notify { message: Value::String(shortened(text)) }),
        Value::Object(_) => Ok(Task::Notify { message: json_of(message)? }),
        other => Err(format!("takes a text or a map, not {}", kind(&other)).into()),
    };
    action(connector, "notify", task())
}

/// A text whose JSON may be kept: what is beyond its end is left out, and a `…` says so.
fn shortened(mut text: String) -> String {
    // Of a text with nothing but control characters, JSON is six times as long.
    for most in [MAX_BYTES - 64, MAX_BYTES / 8] {
        if Value::from(text.as_str()).to_string().len() <= MAX_BYTES {
            break;
        }
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
    }
    text
}

fn request(method: Method, connector: &str, path: &str, body: &Dynamic) -> Fallible<Action> {
    let task = || {
        check_path(path)?;
        Ok(Task::Request { method, path: path.to_owned(), body: json_of(body)? })
    };
    action(connector, method.name(), task())
}

/// A path below the connector's own address: whom a request reaches is for the configuration to say, not for a script.
fn check_path(path: &str) -> Result<(), String> {
    if !path.is_empty() && !path.starts_with('/') || path.starts_with("//") {
        return Err("a path leads on from the connector's address, so it begins with one `/`".to_owned());
    }
    if path.len() > MAX_PATH_BYTES {
        return Err(format!("the path is {} bytes long, and {MAX_PATH_BYTES} are the most", path.len()));
    }
    let strange = |letter: char| letter.is_whitespace() || letter.is_control() || matches!(letter, '#' | '\\');
    if let Some(letter) = path.chars().find(|letter| strange(*letter)) {
        let problem = format!("the path has {letter:?} in it; write `url_encode(…)` around what is put into a path");
        return Err(problem);
    }
    let plain = path.split('?').next().unwrap_or_default().to_ascii_lowercase().replace("%2e", ".");
    if plain.split('/').any(|part| part == "." || part == "..") {
        return Err("the path leads elsewhere: it has `.` or `..` in it".to_owned());
    }
    Ok(())
}

/// A length of time in milliseconds.
fn time(text: &str) -> Result<u64, String> {
    let length = moment::length(text)?;
    let length = Duration::try_from(length).unwrap_or_default();
    match length {
        Duration::ZERO => Err(format!("`{text}` is no time at all")),
        length if length > MAX_TIME => Err(format!("`{text}` is longer than 30 days")),
        length => Ok(u64::try_from(length.as_millis()).unwrap_or(u64::MAX)),
    }
}

/// A key of any length.
fn key(value: &Dynamic) -> Result<String, String> {
    let Ok(text) = value.clone().into_immutable_string() else {
        let kind = json::json_for_reading(value).map_or("that", |value| kind(&value));
        return Err(format!("a key is a text, not {kind}"));
    };
    match text.trim().is_empty() {
        true => Err("the key is empty".to_owned()),
        false => Ok(command::bounded(&text, MAX_KEY_BYTES)),
    }
}

/// Puts a key with its time into an action. An action whose key is wrong cannot be made.
fn keyed(
    name: &str,
    action: &Action,
    written: &Dynamic,
    length: &str,
    put: fn(&mut Action, Window),
) -> Fallible<Action> {
    let ms = time(length).or_else(|problem| wrong(name, problem))?;
    Ok(match key(written) {
        Ok(key) => {
            let mut action = action.clone();
            put(&mut action, Window { key, ms });
            action
        }
        Err(problem) => spoiled(action, name, &problem),
    })
}

/// An action of which a modifier cannot be made. The first problem stays.
fn spoiled(action: &Action, name: &str, problem: &str) -> Action {
    match action.problem() {
        Some(_) => action.clone(),
        None => Action::impossible(&action.connector, action.name(), format!("`{name}`: {problem}")),
    }
}

fn after(action: &Action, length: &str) -> Fallible<Action> {
    let ms = time(length).or_else(|problem| wrong("after", problem))?;
    Ok(Action { after_ms: Some(ms), ..action.clone() })
}

fn digest(action: &Action, written: &Dynamic, length: &str) -> Fallible<Action> {
    match action.task {
        Task::Forward => return wrong("digest", "events are forwarded one by one"),
        Task::Account(_) => return wrong("digest", "accounts are changed one by one"),
        _ => {}
    }
    keyed("digest", action, written, length, |action, window| action.digest = Some(window))
}

fn only_while(action: &Action, connector: &str, user: &str, states: &rhai::Array) -> Fallible<Action> {
    let states = states.iter().map(|state| state.clone().into_string().map_err(|_| "a state is a text"));
    let states = states.collect::<Result<Vec<_>, _>>().or_else(|problem| wrong("only_while", problem))?;
    if user.trim().is_empty() {
        return Ok(spoiled(action, "only_while", "needs the id of a user"));
    }
    if states.is_empty() {
        return wrong("only_while", "needs states, such as `[\"DEPROVISIONED\"]`");
    }
    let state = State { connector: connector.to_owned(), user: user.to_owned(), states };
    Ok(Action { only_while: Some(state), ..action.clone() })
}

fn with_results(action: &Action) -> Fallible<Action> {
    match &action.task {
        Task::Forward => wrong("with_results", "an event is forwarded as it came"),
        Task::Request { body, .. } if !body.is_object() => {
            wrong("with_results", "the body must be a map: it gets a member `results`")
        }
        _ => Ok(Action { with_results: true, ..action.clone() }),
    }
}

fn shown(action: &Action) -> ImmutableString {
    serde_json::to_string(action).unwrap_or_default().into()
}

pub(super) fn register(library: &mut Library) {
    library.value::<Action>(
        "Action",
        "Something that the gateway does after the script: the script returns it, alone or in an array, beside commands of its hook if it likes. At most 100 in a run. It is done once its connector can, and tried again until then; nobody waits for it. What cannot be made of the values that the script gave, such as a path with a line end in it, or what its connector does not take, is refused alone: it ends in the dead letters with the reason, and the others go out.",
    );
    printed::<Action>(library, shown);
    register_telling(library);
    register_requests(library);
    account::register(library);
    register_times(library);
}

fn register_telling(library: &mut Library) {
    library
        .command(
            Doc::new(
                "notify(connector: string, message: string or map) -> Action",
                "Tells people through a connector: a text, or a message in the connector's own form, as a map.",
                r#"notify("alerts", "Dora joined Payroll")"#,
            ),
            |connector: &str, message: Dynamic| notify(connector, &message),
        )
        .command(
            Doc::new(
                "email(connector: string, mail: map) -> Action",
                "A mail: `#{ to, subject, text }`, and if wanted `html`, `cc`, `reply_to`. `to` and `cc` are an address or an array of them; without `to` it goes to the connector's own recipient.",
                r#"email("mail", #{ to: "help@corp.example", subject: "A new user", text: "Dora is here." })"#,
            ),
            |connector: &str, mail: rhai::Map| action(connector, "email", mail::of(&mail).map(Task::Email)),
        )
        .command(
            Doc::new(
                "forward(connector: string) -> Action",
                "Sends the event as it came, byte for byte. In scripts for events only.",
                r#"forward("siem")"#,
            ),
            |connector: &str| Action::new(connector, Task::Forward),
        );
}

fn register_requests(library: &mut Library) {
    library
        .command(
            Doc::new(
                "post(connector: string, path: string, body: any) -> Action",
                "An HTTP POST below the connector's address, with the body as JSON; `()` sends none. The path begins with `/` or is empty.",
                r#"post("hr", "/people", #{ name: "Dora" })"#,
            ),
            |connector: &str, path: &str, body: Dynamic| request(Method::Post, connector, path, &body),
        )
        .command(
            Doc::new(
                "put(connector: string, path: string, body: any) -> Action",
                "The same as an HTTP PUT.",
                r#"put("hr", `/people/${url_encode("dora#1")}`, #{ active: true })"#,
            ),
            |connector: &str, path: &str, body: Dynamic| request(Method::Put, connector, path, &body),
        )
        .command(
            Doc::new(
                "patch(connector: string, path: string, body: any) -> Action",
                "The same as an HTTP PATCH.",
                r#"patch("hr", "/people/7", #{ active: false })"#,
            ),
            |connector: &str, path: &str, body: Dynamic| request(Method::Patch, connector, path, &body),
        )
        .command(
            Doc::new(
                "delete(connector: string, path: string [, body: any]) -> Action",
                "The same as an HTTP DELETE, mostly without a body.",
                r#"delete("hr", "/people/7")"#,
            ),
            |connector: &str, path: &str| request(Method::Delete, connector, path, &Dynamic::UNIT),
        )
        .overload("delete", |connector: &str, path: &str, body: Dynamic| {
            request(Method::Delete, connector, path, &body)
        });
}

fn register_times(library: &mut Library) {
    type This<'a> = &'a mut Action;
    library
        .command(
            Doc::new(
                "Action.after(time: string) -> Action",
                "Not before this long from now: `\"10m\"`, 30 days at most.",
                r#"notify("alerts", "Ten minutes ago").after("10m")"#,
            ),
            |action: This, length: &str| after(action, length),
        )
        .command(
            Doc::new(
                "Action.once(key: string, time: string) -> Action",
                "Not if another one of this key was asked for within the time. A key counts for one rule (or answering route) and connector; of one longer than 200 bytes the rest is kept as a hash.",
                r#"notify("alerts", "Locked out").once("lock:00u1", "10m")"#,
            ),
            |action: This, written: Dynamic, length: &str| {
                keyed("once", action, &written, length, |action, window| action.once = Some(window))
            },
        )
        .command(
            Doc::new(
                "Action.digest(key: string, time: string) -> Action",
                "Together with all others of this key that are asked for within the time: one message that says how many.",
                r#"notify("alerts", "Dora joined").digest("joined:00g1", "60s")"#,
            ),
            |action: This, written: Dynamic, length: &str| digest(action, &written, length),
        )
        .command(
            Doc::new(
                "Action.only_while(connector: string, user: string, states: array) -> Action",
                "Only if the user is in one of these states when it is to be done, read just before each try, past any cache: `\"DEPROVISIONED\"`, `\"SUSPENDED\"`, …, or `\"GONE\"` for a user that is no longer there. Otherwise it ends without having been done, and the record says so; while its state cannot be read, it is tried again.",
                r#"delete("hr", "/people/7").after("1d").only_while("org", "00u7", ["DEPROVISIONED", "GONE"])"#,
            ),
            |action: This, connector: &str, user: &str, states: rhai::Array| only_while(action, connector, user, &states),
        )
        .command(
            Doc::new(
                "Action.with_results() -> Action",
                "When it is done, it says what came of the other actions of the same run: lines at the end of a text or mail, a member `results` of a map. With `.after(…)`, a report.",
                r#"notify("alerts", "Dora has left").after("15m").with_results()"#,
            ),
            |action: This| with_results(action),
        );
}

#[cfg(test)]
mod tests;
