//! The shape of an assertion as Okta pictures it (contract: inline hooks, section 7.1), and what its places can hold.
//!
//! What the shape does not name can hold anything: Okta may add members.

use serde_json::{Map, Value};

use crate::okta::patch::Draft;
use crate::okta::saml::CLAIMS;
use crate::okta::saml::value::{carried, type_fits};

/// What a place can hold.
enum Shape {
    Anything,
    Text,
    Seconds,
    List(&'static Shape),
    /// Members of any name, all alike.
    Map(&'static Shape),
    /// Members by name; others can hold anything.
    Members(&'static [(&'static str, Shape)], Required),
}

/// Members that must be there.
type Required = &'static [&'static str];

static ASSERTION: Shape = Shape::Members(
    &[
        (
            "subject",
            Shape::Members(
                &[
                    ("nameId", Shape::Text),
                    ("nameFormat", Shape::Text),
                    (
                        "confirmation",
                        Shape::Members(
                            &[("method", Shape::Text), ("data", Shape::Members(&[("recipient", Shape::Text)], &[]))],
                            &[],
                        ),
                    ),
                ],
                &[],
            ),
        ),
        (
            "authentication",
            Shape::Members(
                &[
                    ("sessionIndex", Shape::Text),
                    ("authnContext", Shape::Members(&[("authnContextClassRef", Shape::Text)], &[])),
                    ("sessionLifetime", Shape::Seconds),
                ],
                &[],
            ),
        ),
        ("conditions", Shape::Members(&[("audienceRestriction", Shape::List(&Shape::Text))], &[])),
        (CLAIMS, Shape::Map(&ATTRIBUTE)),
    ],
    &[],
);

static ATTRIBUTE: Shape =
    Shape::Members(&[("attributes", MARKS), ("attributeValues", Shape::List(&VALUE))], &["attributeValues"]);

static VALUE: Shape = Shape::Members(&[("attributes", Shape::Map(&Shape::Text)), ("value", Shape::Text)], &["value"]);

/// Okta's own sample has the object in itself once more.
const MARKS: Shape = Shape::Members(
    &[("NameFormat", Shape::Text), ("attributes", Shape::Members(&[("NameFormat", Shape::Text)], &[]))],
    &[],
);

impl Shape {
    fn at(&'static self, segments: &[String]) -> &'static Shape {
        let Some((name, rest)) = segments.split_first() else { return self };
        let inner = match self {
            Self::List(item) => item,
            Self::Map(member) => member,
            Self::Members(members, _) => {
                members.iter().find(|(member, _)| member == name).map_or(&Self::Anything, |(_, shape)| shape)
            }
            Self::Text | Self::Seconds | Self::Anything => &Self::Anything,
        };
        inner.at(rest)
    }

    /// What is wrong with a value: where below its place, and what must be there.
    fn problem(&self, value: &Value) -> Option<(String, String)> {
        let here = |what: &str| Some((String::new(), what.to_owned()));
        let below = |name: &dyn std::fmt::Display, (place, what)| (format!("/{name}{place}"), what);
        match (self, value) {
            (Self::Anything, _) | (Self::Text, Value::String(_)) => None,
            (Self::Text, _) => here("must be a text"),
            (Self::Seconds, value) if value.as_i64().is_some_and(|seconds| seconds > 0) => None,
            (Self::Seconds, _) => here("must be a whole number of seconds"),
            (Self::List(item), Value::Array(items)) => {
                items.iter().enumerate().find_map(|(index, found)| Some(below(&index, item.problem(found)?)))
            }
            (Self::List(_), _) => here("must be an array"),
            (Self::Map(member), Value::Object(members)) => {
                members.iter().find_map(|(name, found)| Some(below(name, member.problem(found)?)))
            }
            (Self::Members(known, required), Value::Object(members)) => {
                if let Some(missing) = required.iter().find(|name| !members.contains_key(**name)) {
                    return here(&format!("must have `{missing}`"));
                }
                known.iter().find_map(|(name, shape)| Some(below(name, shape.problem(members.get(*name)?)?)))
            }
            (Self::Map(_) | Self::Members(..), _) => here("must be a map"),
        }
    }
}

/// What is written where text stands: numbers and booleans are written out.
pub(in crate::okta) fn written(segments: &[String], value: Value) -> Value {
    match (ASSERTION.at(segments), &value) {
        (Shape::Text, Value::Number(_) | Value::Bool(_)) => value.to_string().into(),
        _ => value,
    }
}

/// Whether a value can stand at this place of an assertion.
///
/// # Errors
/// It cannot, in the words of a script's author.
pub(in crate::okta) fn check(segments: &[String], value: &Value) -> Result<(), String> {
    if value.is_null() {
        return Err("nothing in an assertion can be replaced by `()`".into());
    }
    carried(value)?;
    let Some((below, what)) = ASSERTION.at(segments).problem(value) else { return Ok(()) };
    if segments.first().is_some_and(|first| first == CLAIMS) {
        let place = if below.is_empty() { "it".to_owned() } else { format!("`{below}` in it") };
        return Err(format!(
            "this is not of the form of an attribute, {place} {what}; `replace_attribute` makes it for you"
        ));
    }
    Err(format!("the value at `/{}{below}` {what}", segments.join("/")))
}

/// Whether the values of an attribute that an operation touched have the form of their `xsi:type`. The draft has the
/// operation done.
///
/// # Errors
/// One has not, in the words of a script's author.
pub(in crate::okta) fn check_types(
    segments: &[String],
    draft: &mut Draft<'_, Map<String, Value>>,
) -> Result<(), String> {
    const VALUES: &str = "attributeValues";
    let [first, name, rest @ ..] = segments else { return Ok(()) };
    if first != CLAIMS {
        return Ok(());
    }
    let mut path = [first, name, VALUES].map(str::to_owned).to_vec();
    if let [member, index, ..] = rest
        && member == VALUES
    {
        path.push(index.clone());
    }
    let values = match draft.find(&path) {
        Some(Value::Array(values)) => values.as_slice(),
        Some(value) => std::slice::from_ref(value),
        None => &[],
    };
    for value in values {
        let (Some(kind), Some(text)) = (value["attributes"]["xsi:type"].as_str(), value["value"].as_str()) else {
            continue;
        };
        type_fits(kind, text).map_err(|problem| format!("the attribute `{name}`: {problem}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(path: &str, value: Value) -> Result<(), String> {
        let segments: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
        check(&segments, &written(&segments, value))
    }

    #[test]
    fn every_place_takes_its_shape_only() {
        let attribute = json!({ "attributes": { "NameFormat": "urn:x" }, "attributeValues": [{ "value": "a" }] });
        let good = [
            ("/subject/nameId", json!("x")),
            ("/subject/nameId", json!(7)),
            ("/subject", json!({ "nameId": "x", "new": [1] })),
            ("/subject/confirmation/data", json!({ "recipient": "https://a.example" })),
            ("/authentication/sessionLifetime", json!(60)),
            ("/authentication/unknown", json!({ "a": 1 })),
            ("/conditions/audienceRestriction", json!(["urn:a", "urn:b"])),
            ("/claims/x", attribute),
            ("/claims/x/attributes", json!({ "NameFormat": "urn:x" })),
            ("/claims/x/attributes", json!({ "attributes": { "NameFormat": "urn:x" } })),
            ("/claims/x/attributeValues/0/attributes", json!({ "xsi:type": "xs:string" })),
            ("/claims/x/attributeValues/0/value", json!(true)),
        ];
        for (path, value) in good {
            assert_eq!(checked(path, value.clone()), Ok(()), "{path} {value}");
        }
        let bad = [
            ("/subject/nameId", json!(["x"])),
            ("/subject/nameId", json!(null)),
            ("/subject", json!({ "nameId": 7 })),
            ("/subject", json!("x")),
            ("/subject/confirmation", json!({ "data": { "recipient": ["x"] } })),
            ("/authentication/sessionLifetime", json!("60")),
            ("/authentication/sessionLifetime", json!(0)),
            ("/authentication/authnContext", json!("urn:x")),
            ("/conditions/audienceRestriction", json!("urn:a")),
            ("/conditions/audienceRestriction", json!([1])),
            ("/conditions/audienceRestriction/0", json!({})),
            ("/claims/x", json!({ "attributes": {} })),
            ("/claims/x", json!({ "attributeValues": "a" })),
            ("/claims/x", json!({ "attributeValues": [{ "attributes": { "xsi:type": 1 }, "value": "a" }] })),
            ("/claims/x/attributes", json!({ "NameFormat": 1 })),
            ("/claims/x/attributes", json!("urn:x")),
            ("/claims/x/attributeValues/0", json!("a")),
            ("/claims/x/attributeValues/0/attributes/xsi:type", json!({})),
        ];
        for (path, value) in bad {
            assert!(checked(path, value.clone()).is_err(), "{path} {value}");
        }
        assert_eq!(
            checked("/subject", json!({ "confirmation": { "method": 1 } })).unwrap_err(),
            "the value at `/subject/confirmation/method` must be a text"
        );
    }
}
