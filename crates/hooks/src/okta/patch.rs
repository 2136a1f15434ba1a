//! Patches as Okta's token and SAML hooks take them: operations on a JSON Pointer (RFC 6901), tried before they are sent.
//!
//! One operation that does not fit voids the whole answer at Okta, and only administrators see it. So every operation is
//! first done on a [`Draft`] of what the call carries, in order, as Okta will do it. What a hook allows to be changed is
//! the hook's own business, not this module's.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rhai::Array;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::Group;
use crate::lenient::Attributes;
use hookgate_script::prelude::json;

/// What an operation does. There is no `move`, `copy` or `test` at Okta.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Op {
    Add,
    Replace,
    Remove,
}

/// One operation as it goes over the wire.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Operation {
    op: Op,
    path: Pointer,
    /// `remove` has none: with one, Okta voids the patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
}

/// A JSON Pointer, unescaped: at least one segment, none of them empty. Escaped when written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pointer(Vec<String>);

/// Why an operation does not fit what is there. The segments before `depth` lead to the problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// The target of `replace` or `remove` is not there.
    Absent,
    /// The object or array that `add` adds to is not there.
    NoParent { depth: usize },
    /// The segment is no place in an array of that length.
    Index { depth: usize, length: usize },
}

/// The members that a patch acts on, as the call carries them.
pub(crate) trait Original {
    fn has(&self, name: &str) -> bool;

    /// A copy of one member.
    fn copy(&self, name: &str) -> Option<Value>;
}

/// An original with the operations so far done to it. Only members that are reached into are copied.
pub(crate) struct Draft<'a, O> {
    original: &'a O,
    /// The members that changed; `None` is removed.
    changed: BTreeMap<String, Option<Value>>,
}

impl Operation {
    /// Adds a member or an array's element, or overwrites a member.
    pub(crate) fn add(path: Pointer, value: Value) -> Self {
        Self { op: Op::Add, path, value: Some(value) }
    }

    /// Overwrites what is there.
    pub(crate) fn replace(path: Pointer, value: Value) -> Self {
        Self { op: Op::Replace, path, value: Some(value) }
    }

    pub(crate) fn remove(path: Pointer) -> Self {
        Self { op: Op::Remove, path, value: None }
    }

    pub(crate) fn op(&self) -> Op {
        self.op
    }

    pub(crate) fn path(&self) -> &Pointer {
        &self.path
    }

    pub(crate) fn value(&self) -> Option<&Value> {
        self.value.as_ref()
    }
}

impl Pointer {
    /// The pointer of these segments.
    ///
    /// # Errors
    /// None, or an empty one, in the words of a script's author.
    pub(crate) fn new(segments: Vec<String>) -> Result<Self, String> {
        if segments.is_empty() {
            return Err("a path needs at least one name".into());
        }
        match segments.iter().position(String::is_empty) {
            Some(_) if segments.len() == 1 => Err("a name must not be empty".into()),
            Some(at) => Err(format!("part {} of the path is empty", at + 1)),
            None => Ok(Self(segments)),
        }
    }

    /// A pointer as written: `/claims/a~1b/0`.
    ///
    /// # Errors
    /// It is none, in the words of a script's author.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err(format!("the path `{text}` must begin with `/`"));
        };
        let segments = rest.split('/').map(unescape).collect::<Option<Vec<_>>>();
        Self::new(segments.ok_or_else(|| format!("in the path `{text}`, `~` stands without 0 or 1 behind it"))?)
    }

    /// The names and positions in a script's array.
    ///
    /// # Errors
    /// Something else is in it, in the words of a script's author.
    pub(crate) fn of_array(parts: Array) -> Result<Self, String> {
        let part = |(at, part): (usize, rhai::Dynamic)| {
            if let Ok(position) = part.as_int() {
                return u32::try_from(position).map(|position| position.to_string()).map_err(|_| {
                    format!("part {} of the path is `{position}`, which is no position in an array", at + 1)
                });
            }
            part.into_string()
                .map_err(|found| format!("part {} of the path is a {found}; names and positions belong there", at + 1))
        };
        Self::new(parts.into_iter().enumerate().map(part).collect::<Result<_, _>>()?)
    }

    /// The same below `name`.
    #[must_use]
    pub(crate) fn below(mut self, name: &str) -> Self {
        self.0.insert(0, name.to_owned());
        self
    }

    /// At least one.
    pub(crate) fn segments(&self) -> &[String] {
        &self.0
    }

    /// As it is written, escaped.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for segment in &self.0 {
            text.push('/');
            text.push_str(&segment.replace('~', "~0").replace('/', "~1"));
        }
        text
    }
}

fn unescape(segment: &str) -> Option<String> {
    let mut pieces = segment.split('~');
    let mut text = pieces.next()?.to_owned();
    for piece in pieces {
        let (sign, rest) = piece.split_at_checked(1)?;
        text.push(match sign {
            "0" => '~',
            "1" => '/',
            _ => return None,
        });
        text.push_str(rest);
    }
    Some(text)
}

impl Serialize for Pointer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl Original for Attributes {
    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn copy(&self, name: &str) -> Option<Value> {
        json::json_from_dynamic(self.0.get(name)?).ok()
    }
}

impl Original for Map<String, Value> {
    fn has(&self, name: &str) -> bool {
        self.contains_key(name)
    }

    fn copy(&self, name: &str) -> Option<Value> {
        self.get(name).cloned()
    }
}

impl<'a, O: Original> Draft<'a, O> {
    pub(crate) fn new(original: &'a O) -> Self {
        Self { original, changed: BTreeMap::new() }
    }

    /// Does an operation at `segments`, which start at a member of the original.
    ///
    /// # Errors
    /// The operation does not fit; then nothing was done.
    pub(crate) fn apply(&mut self, op: Op, segments: &[String], value: Option<&Value>) -> Result<(), Misfit> {
        let (name, rest) = segments.split_first().ok_or(Misfit::Absent)?;
        let Some((last, between)) = rest.split_last() else { return self.member(op, name, value) };
        let missing = |depth| if op == Op::Add { Misfit::NoParent { depth } } else { Misfit::Absent };
        let mut parent = self.reach(name).ok_or_else(|| missing(1))?;
        for (at, segment) in between.iter().enumerate() {
            parent = child(parent, segment).ok_or_else(|| missing(at + 2))?;
        }
        match parent {
            Value::Object(members) => in_object(op, members, last, value),
            Value::Array(items) => in_array(op, items, last, value, segments.len()),
            _ => Err(missing(segments.len() - 1)),
        }
    }

    /// What stands at `segments` now.
    pub(crate) fn find(&mut self, segments: &[String]) -> Option<&Value> {
        let (name, rest) = segments.split_first()?;
        let top: &Value = self.reach(name)?;
        rest.iter().try_fold(top, |value, segment| match value {
            Value::Object(members) => members.get(segment),
            Value::Array(items) => items.get(position(segment)?),
            _ => None,
        })
    }

    fn member(&mut self, op: Op, name: &str, value: Option<&Value>) -> Result<(), Misfit> {
        let there = self.changed.get(name).map_or_else(|| self.original.has(name), Option::is_some);
        if op != Op::Add && !there {
            return Err(Misfit::Absent);
        }
        self.changed.insert(name.to_owned(), value.cloned());
        Ok(())
    }

    fn reach(&mut self, name: &str) -> Option<&mut Value> {
        let slot = match self.changed.entry(name.to_owned()) {
            Entry::Occupied(slot) => slot.into_mut(),
            Entry::Vacant(slot) => slot.insert(Some(self.original.copy(name)?)),
        };
        slot.as_mut()
    }
}

fn child<'v>(parent: &'v mut Value, segment: &str) -> Option<&'v mut Value> {
    match parent {
        Value::Object(members) => members.get_mut(segment),
        Value::Array(items) => items.get_mut(position(segment)?),
        _ => None,
    }
}

fn in_object(op: Op, members: &mut Map<String, Value>, name: &str, value: Option<&Value>) -> Result<(), Misfit> {
    if op != Op::Add && !members.contains_key(name) {
        return Err(Misfit::Absent);
    }
    match value {
        Some(value) => members.insert(name.to_owned(), value.clone()),
        None => members.shift_remove(name),
    };
    Ok(())
}

fn in_array(op: Op, items: &mut Vec<Value>, place: &str, value: Option<&Value>, depth: usize) -> Result<(), Misfit> {
    let misfit = Misfit::Index { depth, length: items.len() };
    let at = match (op, place) {
        (Op::Add, "-") => items.len(),
        _ => position(place).ok_or(misfit)?,
    };
    match (op, value) {
        (Op::Add, Some(value)) if at <= items.len() => items.insert(at, value.clone()),
        (Op::Replace, Some(value)) if at < items.len() => items[at] = value.clone(),
        (Op::Remove, None) if at < items.len() => {
            items.remove(at);
        }
        _ => return Err(misfit),
    }
    Ok(())
}

/// A position as RFC 6901 has it: digits without leading zeros.
fn position(segment: &str) -> Option<usize> {
    let digits = segment.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (segment.len() > 1 && segment.starts_with('0')) { None } else { segment.parse().ok() }
}

/// Operations in the patch commands they are sent in, each for one target: loose neighbours join, in the order in which
/// their targets first appear; what a script put into an array of its own stays together and apart.
pub(crate) fn grouped<T: Copy + PartialEq>(groups: Vec<Group<(T, Operation)>>) -> Vec<(T, Vec<Operation>)> {
    let mut patches: Vec<(T, Vec<Operation>)> = Vec::new();
    // Where the patches begin that the next loose operation may join.
    let mut open = 0;
    for group in groups {
        match group {
            Group::Loose((target, operation)) => join(&mut patches, open, target, operation),
            Group::Together(operations) => {
                let start = patches.len();
                for (target, operation) in operations {
                    join(&mut patches, start, target, operation);
                }
                open = patches.len();
            }
        }
    }
    patches
}

fn join<T: Copy + PartialEq>(patches: &mut Vec<(T, Vec<Operation>)>, from: usize, target: T, operation: Operation) {
    match patches[from..].iter_mut().find(|(other, _)| *other == target) {
        Some((_, operations)) => operations.push(operation),
        None => patches.push((target, vec![operation])),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    type Operations = &'static [(Op, &'static str)];

    fn pointer(text: &str) -> Pointer {
        Pointer::parse(text).unwrap()
    }

    #[test]
    fn pointers_are_escaped_and_unescaped_by_rfc_6901() {
        for (text, segments) in [
            ("/a", vec!["a"]),
            ("/a~1b/m~0n", vec!["a/b", "m~n"]),
            ("/~01", vec!["~1"]),
            (
                "/http:~1~1x.example~1foo/attributeValues/0/value",
                vec!["http://x.example/foo", "attributeValues", "0", "value"],
            ),
            ("/ü/ ", vec!["ü", " "]),
        ] {
            assert_eq!(pointer(text).segments(), segments, "{text}");
            assert_eq!(pointer(text).text(), text);
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for (text, problem) in [
            ("", "must begin with `/`"),
            ("a/b", "must begin with `/`"),
            ("/", "a name must not be empty"),
            ("/a//b", "part 2 of the path is empty"),
            ("/a/", "part 2 of the path is empty"),
            ("/a~", "`~` stands without 0 or 1"),
            ("/a~2", "`~` stands without 0 or 1"),
            ("/~ü", "`~` stands without 0 or 1"),
        ] {
            let error = Pointer::parse(text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
        assert_eq!(Pointer::of_array(vec![]).unwrap_err(), "a path needs at least one name");
        assert!(Pointer::of_array(vec!["a".into(), (-1_i64).into()]).unwrap_err().contains("`-1`"));
        assert!(Pointer::of_array(vec!["a".into(), true.into()]).unwrap_err().contains("a bool"));
    }

    #[test]
    fn operations_see_what_earlier_ones_did() {
        let original = json!({"list": [1, 2], "object": {"a": {"b": 1}}, "text": "x", "nothing": null});
        let original = original.as_object().unwrap();
        let value = json!(9);
        let cases: [(Operations, Result<(), Misfit>); 22] = [
            (&[(Op::Add, "/new")], Ok(())),
            (&[(Op::Add, "/text")], Ok(())),
            (&[(Op::Replace, "/text")], Ok(())),
            (&[(Op::Replace, "/nothing")], Ok(())),
            (&[(Op::Replace, "/new")], Err(Misfit::Absent)),
            (&[(Op::Add, "/new"), (Op::Replace, "/new")], Ok(())),
            (&[(Op::Remove, "/text"), (Op::Replace, "/text")], Err(Misfit::Absent)),
            (&[(Op::Remove, "/text"), (Op::Add, "/text"), (Op::Remove, "/text")], Ok(())),
            (&[(Op::Add, "/list/2")], Ok(())),
            (&[(Op::Add, "/list/-")], Ok(())),
            (&[(Op::Add, "/list/3")], Err(Misfit::Index { depth: 2, length: 2 })),
            (&[(Op::Add, "/list/-"), (Op::Add, "/list/3")], Ok(())),
            (&[(Op::Replace, "/list/2")], Err(Misfit::Index { depth: 2, length: 2 })),
            (&[(Op::Replace, "/list/-")], Err(Misfit::Index { depth: 2, length: 2 })),
            (&[(Op::Add, "/list/01")], Err(Misfit::Index { depth: 2, length: 2 })),
            (&[(Op::Remove, "/list/0"), (Op::Remove, "/list/1")], Err(Misfit::Index { depth: 2, length: 1 })),
            (&[(Op::Add, "/object/a/c")], Ok(())),
            (&[(Op::Add, "/object/x/c")], Err(Misfit::NoParent { depth: 2 })),
            (&[(Op::Add, "/new/c")], Err(Misfit::NoParent { depth: 1 })),
            (&[(Op::Add, "/text/c")], Err(Misfit::NoParent { depth: 1 })),
            (&[(Op::Remove, "/object/a/b"), (Op::Replace, "/object/a/b")], Err(Misfit::Absent)),
            (&[(Op::Remove, "/object"), (Op::Add, "/object/c")], Err(Misfit::NoParent { depth: 1 })),
        ];
        for (operations, expected) in cases {
            let pointers: Vec<Pointer> = operations.iter().map(|(_, path)| pointer(path)).collect();
            let mut draft = Draft::new(original);
            let results = operations.iter().zip(&pointers).map(|((op, _), path)| {
                let value = (*op != Op::Remove).then_some(&value);
                draft.apply(*op, path.segments(), value)
            });
            let result = results.collect::<Result<Vec<_>, _>>().map(|_| ());
            assert_eq!(result, expected, "{operations:?}");
        }
    }

    #[test]
    fn a_draft_leaves_the_original_as_it_is() {
        let original = json!({"list": [1]});
        let (path, two) = (pointer("/list/0"), json!(2));
        let mut draft = Draft::new(original.as_object().unwrap());
        draft.apply(Op::Replace, path.segments(), Some(&two)).unwrap();
        assert_eq!(draft.find(path.segments()), Some(&two));
        assert_eq!(original, json!({"list": [1]}));
    }

    #[test]
    fn loose_neighbours_join_and_arrays_stay_apart() {
        let remove = |target: char, name: &str| (target, Operation::remove(pointer(name)));
        let groups = vec![
            Group::Loose(remove('x', "/1")),
            Group::Loose(remove('y', "/2")),
            Group::Loose(remove('x', "/3")),
            Group::Together(vec![remove('y', "/4"), remove('x', "/5"), remove('y', "/6")]),
            Group::Together(vec![]),
            Group::Loose(remove('y', "/7")),
        ];
        let names: Vec<(char, String)> = grouped(groups)
            .iter()
            .map(|(target, operations)| (*target, operations.iter().map(|operation| operation.path().text()).collect()))
            .collect();
        let expected = [('x', "/1/3"), ('y', "/2"), ('y', "/4/6"), ('x', "/5"), ('y', "/7")];
        assert_eq!(names, expected.map(|(target, names)| (target, names.to_owned())));
    }
}
