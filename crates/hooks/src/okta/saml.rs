//! `okta.saml`: change the assertion that a custom SAML app gets, or refuse the sign-in.
//!
//! Okta takes patches (contract: inline hooks, section 7) on a JSON picture of the XML. There is no way to remove
//! anything. Operations are tried on the call's own assertion first. If we fail, Okta sends the assertion unchanged.

use bytes::Bytes;
use rhai::ImmutableString;
use serde::Serialize;
use serde_json::{Map as JsonMap, Value};

use crate::okta;
use crate::okta::advice;
use crate::okta::caller;
use crate::okta::judge;
use crate::okta::patch;
use crate::okta::patch::{Draft, Misfit, Operation, Pointer};
use crate::okta::reply;
use crate::okta::request::Call;
use crate::okta::results;
use crate::okta::saml::request::Data;
use crate::recorded::RecordedParts;
use crate::{
    Answer, Caller, CommandError, Commands, Contract, Declared, Facts, FailureForm, Group, Handshake, HookError,
    InlineHook, Judgement, Mark, Provider, Reply, ResultShape, Sample,
};
use hookgate_script::library::Library;
use hookgate_script::lint::advice::{Advice, Conflict, Refusal};

mod commands;
mod recorded;
pub(crate) mod request;
mod samples;
pub(in crate::okta) mod shape;
mod value;

pub(crate) struct Saml;

type Request = Call<Data>;

/// Everything that a SAML script can ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Command {
    AddAttribute {
        name: String,
        format: String,
        /// The `xsi:type` of its values.
        kind: &'static str,
        values: Vec<String>,
    },
    ReplaceAttribute {
        name: String,
        /// The type of the new values, if it is not to stay.
        #[serde(skip_serializing_if = "Option::is_none")]
        kind: Option<&'static str>,
        values: Vec<String>,
    },
    /// What names its place itself.
    Patch(Operation),
    Refuse {
        text: ImmutableString,
    },
}

pub(in crate::okta) const PATCH: &str = "com.okta.assertion.patch";

/// The member of the assertion that holds its attributes.
pub(in crate::okta) const CLAIMS: &str = "claims";

/// The members below which something may be replaced.
pub(in crate::okta) const REPLACEABLE: [&str; 4] = [CLAIMS, "subject", "authentication", "conditions"];

/// What an attribute added without a format gets, as in all of Okta's samples.
const BASIC_FORMAT: &str = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic";

/// What the values of a new attribute are.
const STRING_TYPE: &str = "xs:string";

/// How the names of types begin.
const TYPE_PREFIX: &str = "xs:";

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
    const RESULTS: &'static [ResultShape] = results::SAML;
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

    const CALLER: Caller = caller::INLINE;
    const HANDSHAKE: Handshake = okta::NEVER_VERIFIED;
    const RECORDED: &'static RecordedParts = &recorded::RECORDED;

    type Request = Request;
    fn register(library: &mut Library) {
        request::register(library, Self::REQUEST);
        commands::register(library);
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
        request.into_preview()
    }

    fn facts(request: &Request) -> Facts {
        request.facts()
    }

    fn judge(call: &Value, answer: Option<&Answer<'_>>) -> Judgement {
        judge::judge(&judge::saml::RULES, call, answer)
    }
}

impl InlineHook for Saml {
    const ON_FAILURE: &'static [FailureForm] = &[
        FailureForm { word: "unchanged", takes_text: false, about: "let Okta send the assertion as it is" },
        FailureForm { word: "refuse", takes_text: true, about: "let the sign-in fail; the user reads the text" },
    ];
    type Command = Command;

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

    fn call(request: &Request) -> Option<&Bytes> {
        Some(request.body())
    }
}

/// Whether Okta has this name for itself: between two orgs of Okta's it carries how the user signed in.
pub(in crate::okta) fn reserved(name: &str) -> bool {
    ["OktaAuth", "okta_auth"].iter().any(|own| own.eq_ignore_ascii_case(name))
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
        Command::AddAttribute { name, format, kind, values } => {
            let path = fixed([CLAIMS, &name]);
            if draft.find(path.segments()).is_some() {
                return Err(format!(
                    "`add_attribute({name:?}, …)`: the assertion has this attribute; use `replace_attribute`"
                ));
            }
            Operation::add(path, value::attribute(&format, kind, values))
        }
        Command::ReplaceAttribute { name, kind, values } => {
            let path = fixed([CLAIMS, &name]);
            let Some(there) = draft.find(path.segments()) else {
                return Err(format!(
                    "`replace_attribute({name:?}, …)`: the assertion has no such attribute; use `add_attribute`"
                ));
            };
            let format = there["attributes"]["NameFormat"].as_str().unwrap_or(BASIC_FORMAT);
            let there_kind = there["attributeValues"][0]["attributes"]["xsi:type"].as_str();
            // The type that is there stays, unless the new values do not have its form.
            let there_kind = there_kind.filter(|kind| values.iter().all(|text| value::type_fits(kind, text).is_ok()));
            let kind = kind.or(there_kind).unwrap_or(STRING_TYPE);
            Operation::replace(path, value::attribute(format, kind, values))
        }
        Command::Patch(operation) => fitted(draft, operation)?,
        Command::Refuse { .. } => unreachable!("a refusal is sent alone"),
    };
    let path = operation.path();
    draft.apply(operation.op(), path.segments(), operation.value()).map_err(|misfit| explain(path, misfit))?;
    shape::check_types(path.segments(), draft)?;
    Ok(operation)
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

#[cfg(test)]
mod tests;
