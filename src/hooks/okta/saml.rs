//! `okta.saml`: change the assertion that a custom SAML app gets, or refuse the sign-in.
//!
//! Okta takes patches (contract: inline hooks, section 7) on a JSON picture of the XML. There is no way to remove
//! anything. Operations are tried on the call's own assertion first. If we fail, Okta sends the assertion unchanged.

use bytes::Bytes;
use rhai::{Array, Dynamic, EvalAltResult, ImmutableString};
use serde::Serialize;
use serde_json::{Map as JsonMap, Value};

use crate::hooks::okta;
use crate::hooks::okta::advice;
use crate::hooks::okta::patch;
use crate::hooks::okta::patch::{Draft, Misfit, Operation, Pointer};
use crate::hooks::okta::reply;
use crate::hooks::okta::request::Call;
use crate::hooks::okta::saml::request::Data;
use crate::hooks::recorded::Recorded;
use crate::hooks::{
    CommandError, Commands, Contract, Declared, Facts, FailureForm, Group, HookError, Mark, Provider, Reply, Sample,
};
use crate::script::library::{Doc, Library};
use crate::script::lint::advice::{Advice, Conflict, Refusal};
use crate::script::prelude::json;

mod recorded;
pub mod request;
mod samples;
mod value;

pub struct Saml;

type Request = Call<Data>;

/// Everything that a SAML script can ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    AddAttribute {
        name: String,
        format: String,
        values: Vec<String>,
    },
    ReplaceAttribute {
        name: String,
        values: Vec<String>,
    },
    /// What names its place itself.
    Patch(Operation),
    Refuse {
        text: ImmutableString,
    },
}

const PATCH: &str = "com.okta.assertion.patch";

/// The member of the assertion that holds its attributes.
const CLAIMS: &str = "claims";

/// The members below which something may be replaced.
const REPLACEABLE: [&str; 4] = [CLAIMS, "subject", "authentication", "conditions"];

/// What an attribute added without a format gets, as in all of Okta's samples.
const BASIC_FORMAT: &str = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic";

/// What the values of a new attribute are.
const STRING_TYPE: &str = "xs:string";

/// No bound is published; Okta's own lifetimes are 32-bit numbers.
const LONGEST_SESSION: i64 = i32::MAX as i64;

const ADVICE: Advice = Advice {
    codes: &[&advice::LIFETIME, &advice::EMPTY_TEXT, &advice::IGNORED_COMMANDS],
    hints: &[],
    conflicts: &[Conflict {
        commands: &["refuse"],
        beside: &[],
        code: advice::IGNORED_COMMANDS.code,
        refused: false,
        message: "no command is sent beside this refusal",
        help: "return the refusal alone",
    }],
    refusals: &[Refusal { says: "a session lives", code: advice::LIFETIME.code }, advice::NO_TEXT],
};

impl Contract for Saml {
    const NAME: &'static str = "okta.saml";
    const ENTRY: &'static str = "on_saml";
    const REQUEST: &'static str = "SamlRequest";
    const ABOUT: &'static str = "Okta is about to send an assertion to a custom SAML app.";
    const SILENCE: &'static str = "Okta sends the assertion unchanged.";
    const ON_FAILURE: &'static [FailureForm] = &[
        FailureForm { word: "unchanged", takes_text: false, about: "let Okta send the assertion as it is" },
        FailureForm { word: "refuse", takes_text: true, about: "let the sign-in fail; the user reads the text" },
    ];
    const SAMPLES: &'static [Sample] = samples::SAMPLES;
    const ADVICE: &'static Advice = &ADVICE;
    const PROVIDER: Provider = Provider {
        fails: "open",
        user_sees: "Nothing when the hook fails: the assertion goes out as Okta made it. After `refuse(text)` \
            the sign-in ends on an error page with the text; Okta's sources disagree whether every org \
            shows it.",
        limits: &[
            okta::RETRIED,
            okta::REPLY_SIZE,
            okta::HOOKS_PER_ORG,
            "Custom SAML apps only, none from the catalogue.",
            "An attribute can be added and replaced, never removed.",
        ],
        checked: okta::CHECKED,
    };

    const RECORDED: &'static Recorded = &recorded::RECORDED;

    type Request = Request;
    type Command = Command;

    fn register(library: &mut Library) {
        request::register(library, Self::REQUEST);
        register_attributes(library);
        register_rest(library);
    }

    fn decode(body: &Bytes) -> Result<Request, HookError> {
        let request = Request::decode(Self::NAME, body)?;
        if !request.data().is_recognised() {
            let problem = "`data.assertion` is missing".into();
            return Err(HookError::Shape { hook: Self::NAME, problem });
        }
        Ok(request)
    }

    fn as_preview(request: Request) -> Request {
        request.as_preview()
    }

    fn facts(request: &Request) -> Facts {
        request.facts()
    }

    fn reply(request: &Request, commands: Commands<Command>, mark: &Mark) -> Result<Reply, CommandError> {
        let groups = commands.groups();
        // What Okta does with commands beside an error is not said; nothing but the refusal is sent.
        if let Some(refusal) = refusal(&groups) {
            return Ok(reply::failure(refusal, mark));
        }
        let patches = patch::grouped(operations(request.data().assertion(), groups)?);
        if patches.is_empty() {
            return Ok(Reply::empty(204));
        }
        let command = |(_, operations)| reply::Command { r#type: PATCH, value: operations };
        let commands: Vec<reply::Command<Vec<Operation>>> = patches.into_iter().map(command).collect();
        reply::reply(&commands, None, mark)
    }

    fn denies(command: &Command) -> bool {
        matches!(command, Command::Refuse { .. })
    }

    fn failed(declared: &Declared, mark: &Mark) -> Reply {
        match declared.word {
            "refuse" => reply::failure(&declared.text, mark),
            _ => Reply::empty(204),
        }
    }

    fn effect(reply: &Reply) -> String {
        let value = reply.value();
        let status = reply.status;
        if !matches!(status, 200 | 204) {
            return format!("Okta sends the assertion unchanged, because the reply was HTTP {status}");
        }
        if let Some(error) = value.get("error") {
            let text = error["errorSummary"].as_str().unwrap_or("The callback service returned an error");
            return format!("the sign-in fails, and the user reads \"{text}\"");
        }
        let commands = value["commands"].as_array().into_iter().flatten();
        let operations = commands.flat_map(|command| command["value"].as_array().into_iter().flatten());
        let changes: Vec<String> = operations.map(change).collect();
        if changes.is_empty() {
            return "Okta sends the assertion unchanged".into();
        }
        format!("Okta sends the assertion and {}", changes.join(", "))
    }
}

fn register_attributes(library: &mut Library) {
    library
        .command(
            Doc::new(
                "add_attribute(name: string, value: any) -> command",
                "Adds an attribute that the assertion does not have. An array gives it several values.",
                r#"add_attribute("roles", ["reader", "writer"])"#,
            ),
            |name: ImmutableString, value: Dynamic| add_attribute(&name, value, BASIC_FORMAT),
        )
        .command(
            Doc::new(
                "add_attribute(name: string, value: any, format: string) -> command",
                "The same with a NameFormat, such as `urn:oasis:names:tc:SAML:2.0:attrname-format:uri`.",
                r#"add_attribute("floor_name", "third", "urn:oasis:names:tc:SAML:2.0:attrname-format:basic")"#,
            ),
            |name: ImmutableString, value: Dynamic, format: ImmutableString| add_attribute(&name, value, &format),
        )
        .command(
            Doc::new(
                "replace_attribute(name: string, value: any) -> command",
                "Gives an attribute that the assertion has other values. Its NameFormat and type stay.",
                r#"replace_attribute("department", "sales")"#,
            ),
            |name: ImmutableString, value: Dynamic| replace_attribute(&name, value),
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

type Built = Result<Command, Box<EvalAltResult>>;

fn add_attribute(name: &str, value: Dynamic, format: &str) -> Built {
    if !format.contains(':') {
        return Err(format!("the format `{format}` is no URI; the usual one is `{BASIC_FORMAT}`").into());
    }
    let format = value::printable("the format", format)?.to_owned();
    Ok(Command::AddAttribute { name: attribute(name)?, format, values: value::texts(value)? })
}

fn replace_attribute(name: &str, value: Dynamic) -> Built {
    Ok(Command::ReplaceAttribute { name: attribute(name)?, values: value::texts(value)? })
}

fn set_name_id(text: ImmutableString) -> Built {
    if text.trim().is_empty() {
        return Err("`set_name_id` needs a text: apps refuse an empty NameID".into());
    }
    let text = value::printable("the NameID", &text)?;
    Ok(Command::Patch(Operation::replace(fixed(["subject", "nameId"]), text.into())))
}

fn set_session_lifetime(seconds: i64) -> Built {
    if !(1..=LONGEST_SESSION).contains(&seconds) {
        return Err(format!("a session lives 1 to {LONGEST_SESSION} seconds, not {seconds}").into());
    }
    Ok(Command::Patch(Operation::add(fixed(["authentication", "sessionLifetime"]), seconds.into())))
}

fn replace(path: Pointer, value: &Dynamic) -> Built {
    let segments = path.segments();
    if segments.len() < 2 || !REPLACEABLE.contains(&segments[0].as_str()) {
        let text = path.text();
        return Err(format!("`{text}` cannot be replaced; Okta takes places below /{}", REPLACEABLE.join(", /")).into());
    }
    let value = json::json_from_dynamic(value).map_err(|problem| format!("the value cannot be sent: {problem}"))?;
    value::check(segments, &value)?;
    Ok(Command::Patch(Operation::replace(path, value)))
}

fn refuse(text: ImmutableString) -> Built {
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
    Ok(value::printable("the name", name)?.to_owned())
}

fn fixed<const N: usize>(segments: [&str; N]) -> Pointer {
    Pointer::new(segments.map(str::to_owned).to_vec()).expect("the names in this file are not empty")
}

fn refusal(groups: &[Group<Command>]) -> Option<&str> {
    let commands = groups.iter().flat_map(|group| match group {
        Group::Loose(command) => std::slice::from_ref(command),
        Group::Together(commands) => commands,
    });
    commands.into_iter().find_map(|command| match command {
        Command::Refuse { text } => Some(&**text),
        _ => None,
    })
}

/// There is one assertion, so all operations have the same target.
type Targeted = ((), Operation);

/// Commands to operations, each tried on what the ones before it left.
fn operations(
    assertion: &JsonMap<String, Value>,
    groups: Vec<Group<Command>>,
) -> Result<Vec<Group<Targeted>>, CommandError> {
    let mut draft = Draft::new(assertion);
    let mut one = |command| -> Result<Targeted, CommandError> {
        let operation = operation(&mut draft, command).map_err(|problem| CommandError::Invalid { problem })?;
        Ok(((), operation))
    };
    let mut tried = Vec::with_capacity(groups.len());
    for group in groups {
        tried.push(match group {
            Group::Loose(command) => Group::Loose(one(command)?),
            Group::Together(commands) => Group::Together(commands.into_iter().map(&mut one).collect::<Result<_, _>>()?),
        });
    }
    Ok(tried)
}

type Assertion<'a> = Draft<'a, JsonMap<String, Value>>;

/// The operation that a command asks for, done to the draft. Problems are in the words of a script's author.
fn operation(draft: &mut Assertion, command: Command) -> Result<Operation, String> {
    let operation = match command {
        Command::AddAttribute { name, format, values } => {
            let path = fixed([CLAIMS, &name]);
            if draft.find(path.segments()).is_some() {
                return Err(format!(
                    "`add_attribute({name:?}, …)`: the assertion has this attribute; use `replace_attribute`"
                ));
            }
            Operation::add(path, value::attribute(&format, STRING_TYPE, values))
        }
        Command::ReplaceAttribute { name, values } => {
            let path = fixed([CLAIMS, &name]);
            let Some(there) = draft.find(path.segments()) else {
                return Err(format!(
                    "`replace_attribute({name:?}, …)`: the assertion has no such attribute; use `add_attribute`"
                ));
            };
            let format = there["attributes"]["NameFormat"].as_str().unwrap_or(BASIC_FORMAT);
            let kind = there["attributeValues"][0]["attributes"]["xsi:type"].as_str().unwrap_or(STRING_TYPE);
            Operation::replace(path, value::attribute(format, kind, values))
        }
        Command::Patch(operation) => fitted(draft, operation)?,
        Command::Refuse { .. } => unreachable!("a refusal is sent alone"),
    };
    let path = operation.path();
    match draft.apply(operation.op(), path.segments(), operation.value()) {
        Ok(()) => Ok(operation),
        Err(misfit) => Err(explain(path, misfit)),
    }
}

/// What a script replaces must be what stands there: a scalar, an object or an array. Numbers where text stands, as in
/// every value of an attribute, are written out.
fn fitted(draft: &mut Assertion, operation: Operation) -> Result<Operation, String> {
    let (Some(there), Some(new)) = (draft.find(operation.path().segments()), operation.value()) else {
        return Ok(operation);
    };
    match (there, new) {
        (Value::String(_), Value::Number(_) | Value::Bool(_)) => {
            let text = new.to_string();
            Ok(Operation::replace(operation.path().clone(), text.into()))
        }
        (there, new) if value::kind(there) == value::kind(new) || there.is_null() => Ok(operation),
        (there, new) => {
            let (path, expected, found) = (operation.path().text(), value::kind(there), value::kind(new));
            Err(format!("at `{path}` stands {expected}, which cannot be replaced by {found}"))
        }
    }
}

fn explain(path: &Pointer, misfit: Misfit) -> String {
    let text = path.text();
    match misfit {
        Misfit::Absent => format!("the assertion has nothing at `{text}` that could be replaced"),
        Misfit::NoParent { .. } => format!("the assertion has no `/{}` to add `{text}` to", path.segments()[0]),
        Misfit::Index { length, .. } => {
            format!("`{text}` is no position in its array, which has {length} items, counted from 0")
        }
    }
}

/// What one operation does, in words.
fn change(operation: &Value) -> String {
    let path = operation["path"].as_str().unwrap_or_default();
    let path = path.strip_prefix("/claims/").unwrap_or(path).replace("~1", "/").replace("~0", "~");
    match operation["op"].as_str() {
        Some("add") if path == "/authentication/sessionLifetime" => {
            format!("ends the app's session after {} seconds", operation["value"])
        }
        Some("add") => format!("adds the attribute `{path}`"),
        _ => format!("replaces `{path}`"),
    }
}

#[cfg(test)]
mod tests;
