//! The constructors of the commands that a SAML script can return, and what they refuse at once.

use rhai::{Array, Dynamic, EvalAltResult, ImmutableString};

use crate::okta::patch::{Operation, Pointer};
use crate::okta::saml::{BASIC_FORMAT, CLAIMS, Command, LONGEST_SESSION, REPLACEABLE, STRING_TYPE, TYPE_PREFIX};
use crate::okta::saml::{fixed, reserved, shape, value};
use hookgate_script::library::{Doc, Library};
use hookgate_script::prelude::json;

pub(super) fn register(library: &mut Library) {
    register_attributes(library);
    register_rest(library);
}

fn register_attributes(library: &mut Library) {
    type Text = ImmutableString;
    library
        .command(
            Doc::new(
                "add_attribute(name: string, value: any) -> command",
                "Adds an attribute that the assertion does not have. An array gives it several values. Its type is `xs:string`.",
                r#"add_attribute("roles", ["reader", "writer"])"#,
            ),
            |name: Text, value: Dynamic| add_attribute(&name, value, BASIC_FORMAT, STRING_TYPE),
        )
        .command(
            Doc::new(
                "add_attribute(name: string, value: any, kind: string) -> command",
                "The same with a type, such as `xs:integer`, or with a NameFormat, such as `urn:oasis:names:tc:SAML:2.0:attrname-format:uri`.",
                r#"add_attribute("patient", 4321, "xs:integer")"#,
            ),
            |name: Text, value: Dynamic, kind: Text| match kind.starts_with(TYPE_PREFIX) {
                true => add_attribute(&name, value, BASIC_FORMAT, &kind),
                false => add_attribute(&name, value, &kind, STRING_TYPE),
            },
        )
        .command(
            Doc::new(
                "add_attribute(name: string, value: any, format: string, type: string) -> command",
                "The same with both.",
                r#"add_attribute("floor_number", 3, "urn:oasis:names:tc:SAML:2.0:attrname-format:basic", "xs:integer")"#,
            ),
            |name: Text, value: Dynamic, format: Text, kind: Text| add_attribute(&name, value, &format, &kind),
        )
        .command(
            Doc::new(
                "replace_attribute(name: string, value: any) -> command",
                "Gives an attribute that the assertion has other values. Its NameFormat stays, and its type where the values have the form of it; else they are `xs:string`.",
                r#"replace_attribute("department", "sales")"#,
            ),
            |name: Text, value: Dynamic| replace_attribute(&name, value, None),
        )
        .command(
            Doc::new(
                "replace_attribute(name: string, value: any, type: string) -> command",
                "The same with another type.",
                r#"replace_attribute("department", 7, "xs:integer")"#,
            ),
            |name: Text, value: Dynamic, kind: Text| replace_attribute(&name, value, Some(&kind)),
        );
}

fn register_rest(library: &mut Library) {
    library
        .command(Doc::new("set_name_id(text: string) -> command", "Replaces the NameID of the subject.", r#"set_name_id("ann@mail.example")"#), set_name_id)
        .command(
            Doc::new("set_session_lifetime(seconds: int) -> command", "Ends the app's session that long after the assertion is issued (`SessionNotOnOrAfter`).", "set_session_lifetime(3600)"),
            set_session_lifetime,
        )
        .command(
            Doc::new(
                "replace(path: string or array, value: any) -> command",
                "Replaces anything there is below `/claims`, `/subject`, `/authentication` or `/conditions`. The path is a JSON Pointer (`/` in a name is `~1`), or an array of names and positions.",
                r#"replace(["claims", "department", "attributeValues", 0, "value"], "sales")"#,
            ),
            |path: ImmutableString, value: Dynamic| replace(Pointer::parse(&path)?, &value),
        )
        .overload("replace", |path: Array, value: Dynamic| replace(Pointer::of_array(path)?, &value))
        .command(
            Doc::new("refuse(text: string) -> command", "Lets the sign-in fail. The user reads `text`.", r#"refuse("The portal is closed today.")"#),
            refuse,
        );
}

pub(super) type Built = Result<Command, Box<EvalAltResult>>;

pub(super) fn add_attribute(name: &str, value: Dynamic, format: &str, kind: &str) -> Built {
    if !format.contains(':') {
        return Err(format!("the format `{format}` is no URI; the usual one is `{BASIC_FORMAT}`").into());
    }
    let format = value::printable("the format", format)?.to_owned();
    let kind = value::known_type(kind)?;
    Ok(Command::AddAttribute { name: attribute(name)?, format, kind, values: typed(value, kind)? })
}

pub(super) fn replace_attribute(name: &str, value: Dynamic, kind: Option<&str>) -> Built {
    let kind = kind.map(value::known_type).transpose()?;
    // Without a type, the call's own counts; it is known when the call is there.
    let values = typed(value, kind.unwrap_or(STRING_TYPE))?;
    Ok(Command::ReplaceAttribute { name: attribute(name)?, kind, values })
}

/// Values of this type.
fn typed(value: Dynamic, kind: &str) -> Result<Vec<String>, String> {
    let values = value::texts(value)?;
    values.iter().try_for_each(|text| value::type_fits(kind, text))?;
    Ok(values)
}

pub(super) fn set_name_id(text: ImmutableString) -> Built {
    if text.trim().is_empty() {
        return Err("`set_name_id` needs a text: apps refuse an empty NameID".into());
    }
    let text = value::printable("the NameID", &text)?;
    Ok(Command::Patch(Operation::replace(fixed(["subject", "nameId"]), text.into())))
}

pub(super) fn set_session_lifetime(seconds: i64) -> Built {
    if !(1..=LONGEST_SESSION).contains(&seconds) {
        return Err(format!("a session lives 1 to {LONGEST_SESSION} seconds, not {seconds}").into());
    }
    Ok(Command::Patch(Operation::add(fixed(["authentication", "sessionLifetime"]), seconds.into())))
}

pub(super) fn replace(path: Pointer, value: &Dynamic) -> Built {
    let segments = path.segments();
    if segments.len() < 2 || !REPLACEABLE.contains(&segments[0].as_str()) {
        let text = path.text();
        return Err(format!("`{text}` cannot be replaced; Okta takes places below /{}", REPLACEABLE.join(", /")).into());
    }
    if segments[0] == CLAIMS {
        open(&segments[1])?;
    }
    let value = json::json_from_dynamic(value).map_err(|problem| format!("the value cannot be sent: {problem}"))?;
    let value = shape::written(segments, value);
    shape::check(segments, &value)?;
    Ok(Command::Patch(Operation::replace(path, value)))
}

pub(super) fn refuse(text: ImmutableString) -> Built {
    if text.trim().is_empty() {
        return Err("`refuse` needs a text: it is what the user reads".into());
    }
    Ok(Command::Refuse { text })
}

/// An attribute by its plain name, which may be a URI.
fn attribute(name: &str) -> Result<String, Box<EvalAltResult>> {
    if name.is_empty() {
        return Err("the name of an attribute must not be empty".into());
    }
    if let Some(plain) = name.strip_prefix("/claims/") {
        return Err(format!("`{name}` is a path; write the attribute's plain name, `{plain}`").into());
    }
    open(name)?;
    Ok(value::printable("the name", name)?.to_owned())
}

fn open(name: &str) -> Result<(), String> {
    if reserved(name) {
        return Err(format!("the attribute `{name}` belongs to Okta; use another name such as `app_{name}`"));
    }
    Ok(())
}
