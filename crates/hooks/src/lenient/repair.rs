//! A call that is not of the form of its contract, read as far as it goes.
//!
//! What has the wrong structure is left out, one member after the other, and noted, as long as scripts do not decide on it.
//! Messages name JSON and the place, never a value.

use std::fmt::Write as _;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::HookError;
use crate::lenient::tree::Tree;
use crate::lenient::{Form, Path, Read};
use crate::text;

/// So many members may be left out of one call. Contracts have fewer members in which a structure can be wrong.
const MOST: usize = 50;

/// So many notes are kept of one call.
const MOST_NOTES: usize = 20;

/// Notes and messages show no more of a path than this.
const MOST_PATH: usize = 200;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Member(String),
    Item(usize),
}

/// Reads what the usual way of reading refused.
///
/// # Errors
/// As [`lenient::read`](crate::lenient::read).
pub(super) fn read<T: DeserializeOwned>(body: &Bytes, form: &Form<'_>) -> Result<Read<T>, HookError> {
    let hook = form.hook;
    let mended = text::mended(body);
    let (text, mut notes) = match &mended {
        Some(mended) => (mended.text.as_str(), mended.notes.clone()),
        // What is no UTF-8 would have been replaced.
        None => (std::str::from_utf8(body).unwrap_or_default(), Vec::new()),
    };
    let Tree { mut value, doubled } =
        Tree::read(text).map_err(|error| HookError::NotJson { problem: error.to_string() })?;
    if !value.is_object() {
        return Err(shape(hook, format!("the body must be an object, and is {}", kind(&value))));
    }
    (form.belongs)(hook, &mut value, &mut notes)?;
    let decides = |place: &[Step], beneath| form.decisive.iter().any(|paths| is_decisive(place, paths, beneath));
    for place in doubled {
        let problem = format!("{} stands twice, with different values", shown(&place));
        if decides(&place, true) {
            return Err(shape(hook, problem));
        }
        notes.push(problem);
    }
    for _ in 0..MOST {
        let (place, expected) = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(call) => {
                notes.truncate(MOST_NOTES);
                return Ok(Read { call, text: mended.map(|mended| mended.text), notes });
            }
            Err(error) => (steps(error.path()), expected(error.inner())),
        };
        let Some(found) = at(&mut value, &place) else { break };
        // Whatever is wrong with the values themselves does not go away with one of them.
        let Some(expected) = expected else {
            return Err(shape(
                hook,
                format!("{} cannot be read: it has too many values, or two of one name", shown(&place)),
            ));
        };
        let problem = format!("{} must be {expected}, and is {}", shown(&place), kind(found));
        if decides(&place, false) {
            return Err(shape(hook, problem));
        }
        notes.push(problem);
        leave_out(&mut value, &place);
    }
    Err(shape(hook, format!("more than {MOST} of its members have the wrong form")))
}

fn shape(hook: &'static str, problem: String) -> HookError {
    HookError::Shape { hook, problem }
}

/// Whether a place is one of `decisive` or holds it; or lies beneath one, if that counts.
fn is_decisive(place: &[Step], decisive: &[Path], beneath: bool) -> bool {
    let same = |(step, name): (&Step, &&str)| matches!(step, Step::Member(member) if member == name);
    decisive.iter().any(|path| place.iter().zip(*path).all(same) && (beneath || place.len() <= path.len()))
}

fn steps(path: &serde_path_to_error::Path) -> Vec<Step> {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Map { key } => Some(Step::Member(key.clone())),
            Segment::Seq { index } => Some(Step::Item(*index)),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

fn at<'v>(value: &'v mut Value, place: &[Step]) -> Option<&'v mut Value> {
    place.iter().try_fold(value, |value, step| match step {
        Step::Member(name) => value.get_mut(name),
        Step::Item(index) => value.get_mut(index),
    })
}

/// A member becomes `null`. Of a list, all items go that no list of texts can have.
fn leave_out(value: &mut Value, place: &[Step]) {
    match place.split_last() {
        Some((Step::Item(_), list)) => {
            if let Some(Value::Array(items)) = at(value, list) {
                items.retain(|item| !matches!(item, Value::Null | Value::Array(_) | Value::Object(_)));
            }
        }
        _ => {
            if let Some(found) = at(value, place) {
                *found = Value::Null;
            }
        }
    }
}

/// A place as people write it: `data.context.session.amr[1]`.
fn shown(place: &[Step]) -> String {
    let mut path = String::new();
    for step in place {
        match step {
            Step::Member(name) if path.is_empty() => path.push_str(name),
            Step::Member(name) => drop(write!(path, ".{name}")),
            Step::Item(index) => drop(write!(path, "[{index}]")),
        }
    }
    match path.char_indices().nth(MOST_PATH) {
        Some((end, _)) => format!("`{}…`", &path[..end]),
        None => format!("`{path}`"),
    }
}

/// What a value is, in the words of JSON.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "`null`",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// What should stand there: serde tells it last, after what it found.
fn expected(error: &serde_json::Error) -> Option<String> {
    let message = error.to_string();
    message.rsplit_once("expected ").map(|(_, expected)| expected.to_owned())
}
