//! What may stand in an assertion: text that XML can carry, and attributes of the form Okta knows.

use rhai::{Array, Dynamic};
use serde_json::{Value, json};

use hookgate_script::prelude::json;

/// An attribute as Okta pictures it (contract: inline hooks, section 7.1).
pub(super) fn attribute(format: &str, kind: &str, values: Vec<String>) -> Value {
    let values: Vec<Value> =
        values.into_iter().map(|value| json!({"attributes": {"xsi:type": kind}, "value": value})).collect();
    json!({"attributes": {"NameFormat": format}, "attributeValues": values})
}

/// Types that the values of an attribute can have (XML Schema part 2): what goes for `xsi:type`.
const TYPES: [&str; 15] = [
    "xs:string",
    "xs:boolean",
    "xs:integer",
    "xs:int",
    "xs:long",
    "xs:short",
    "xs:nonNegativeInteger",
    "xs:decimal",
    "xs:double",
    "xs:float",
    "xs:date",
    "xs:dateTime",
    "xs:anyURI",
    "xs:base64Binary",
    "xs:anyType",
];

/// What a type is called on the wire.
///
/// # Errors
/// There is none of that name, in the words of a script's author.
pub(super) fn known_type(kind: &str) -> Result<&'static str, String> {
    if let Some(known) = TYPES.iter().find(|known| **known == kind) {
        return Ok(known);
    }
    Err(format!("there is no type `{kind}`; there are {}", TYPES.join(", ")))
}

/// Whether a text has the form of its `xsi:type`. A type that is not in the list takes any text.
///
/// # Errors
/// It has not, in the words of a script's author.
pub(super) fn type_fits(kind: &str, text: &str) -> Result<(), String> {
    let text = text.trim();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let integer = |text: &str| digits(text.strip_prefix(['-', '+']).unwrap_or(text));
    let decimal = |text: &str| {
        let text = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        (digits(whole) || whole.is_empty()) && (digits(part) || (part.is_empty() && !whole.is_empty()))
    };
    let number =
        |text: &str| matches!(text, "INF" | "-INF" | "NaN") || decimal(text) || is_exponent(text, decimal, integer);
    let fits = match kind {
        "xs:boolean" => matches!(text, "true" | "false" | "0" | "1"),
        "xs:integer" => integer(text),
        "xs:nonNegativeInteger" => digits(text.strip_prefix('+').unwrap_or(text)),
        "xs:long" => integer(text) && text.parse::<i64>().is_ok(),
        "xs:int" => integer(text) && text.parse::<i32>().is_ok(),
        "xs:short" => integer(text) && text.parse::<i16>().is_ok(),
        "xs:decimal" => decimal(text),
        "xs:double" | "xs:float" => number(text),
        "xs:date" => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
        "xs:dateTime" => {
            text.contains('T')
                && (text.parse::<jiff::Timestamp>().is_ok() || text.parse::<jiff::civil::DateTime>().is_ok())
        }
        _ => true,
    };
    if fits {
        Ok(())
    } else {
        Err(format!("its type is `{kind}`, and `{text}` is none; give it the type that it has, such as `xs:string`"))
    }
}

fn is_exponent(text: &str, decimal: impl Fn(&str) -> bool, integer: impl Fn(&str) -> bool) -> bool {
    text.split_once(['e', 'E']).is_some_and(|(mantissa, exponent)| decimal(mantissa) && integer(exponent))
}

/// The values of an attribute, given as one or in an array. Numbers and booleans are written out: Okta has text for
/// every type.
///
/// # Errors
/// Something has no text, in the words of a script's author.
pub(super) fn texts(value: Dynamic) -> Result<Vec<String>, String> {
    let items = match value.try_cast_result::<Array>() {
        Ok(items) => items,
        Err(single) => vec![single],
    };
    items.iter().map(one).collect()
}

fn one(item: &Dynamic) -> Result<String, String> {
    if item.is_unit() {
        return Err("an attribute's value is `()`; leave it out, or send an empty text".into());
    }
    match json::json_from_dynamic(item).map_err(|problem| format!("an attribute's value cannot be sent: {problem}"))? {
        Value::String(text) => Ok(printable("an attribute's value", &text)?.to_owned()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        other => Err(format!("an attribute's value is {}; it must be a text, a number or a boolean", kind(&other))),
    }
}

/// Text that XML 1.0 can carry; other characters cannot be written in an assertion, however escaped.
///
/// # Errors
/// It has such a character, in the words of a script's author.
pub(super) fn printable<'a>(what: &str, text: &'a str) -> Result<&'a str, String> {
    let forbidden = |c: char| matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    match text.chars().find(|c| forbidden(*c)) {
        Some(c) => Err(format!("{what} contains the character U+{:04X}, which XML cannot carry", u32::from(c))),
        None => Ok(text),
    }
}

/// Whether XML can carry every text of a value.
///
/// # Errors
/// It cannot, in the words of a script's author.
pub(super) fn carried(value: &Value) -> Result<(), String> {
    match value {
        Value::String(text) => printable("the value", text).map(|_| ()),
        Value::Array(items) => items.iter().try_for_each(carried),
        Value::Object(members) => members.iter().try_for_each(|(name, value)| {
            printable("a name in the value", name)?;
            carried(value)
        }),
        _ => Ok(()),
    }
}

/// The structure of a value, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "a map",
        Value::Array(_) => "an array",
        _ => "a single value",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_fits_its_type() {
        let table = [
            ("xs:string", "anything", true),
            ("xs:boolean", "true", true),
            ("xs:boolean", "yes", false),
            ("xs:integer", "-4321", true),
            ("xs:integer", "4.5", false),
            ("xs:integer", "", false),
            ("xs:integer", "99999999999999999999", true),
            ("xs:long", "99999999999999999999", false),
            ("xs:int", "2147483648", false),
            ("xs:short", "-32768", true),
            ("xs:nonNegativeInteger", "-1", false),
            ("xs:decimal", "1.", true),
            ("xs:decimal", ".5", true),
            ("xs:decimal", ".", false),
            ("xs:decimal", "1e3", false),
            ("xs:double", "1e-3", true),
            ("xs:double", "INF", true),
            ("xs:double", "inf", false),
            ("xs:date", "2026-03-02", true),
            ("xs:date", "2026-13-02", false),
            ("xs:dateTime", "2026-03-02T08:30:00Z", true),
            ("xs:dateTime", "2026-03-02T08:30:00", true),
            ("xs:dateTime", "2026-03-02", false),
            ("custom:type", "anything", true),
        ];
        for (kind, text, fits) in table {
            assert_eq!(type_fits(kind, text).is_ok(), fits, "{kind} {text}");
        }
    }

    #[test]
    fn only_types_of_the_list_are_known() {
        assert_eq!(known_type("xs:integer"), Ok("xs:integer"));
        for kind in ["xs:integr", "integer", "xsd:integer", ""] {
            assert!(known_type(kind).unwrap_err().contains("xs:string, xs:boolean, xs:integer"), "{kind}");
        }
    }
}
