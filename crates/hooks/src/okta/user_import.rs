//! `okta.user_import`: one user of an import, after matching and mapping and before Okta writes anything.
//!
//! The contract is in inline hooks, section 10. If we fail, Okta goes on and creates the user.

use bytes::Bytes;
use rhai::{Dynamic, EvalAltResult, ImmutableString, Map};
use serde::Serialize;
use serde_json::{Map as JsonMap, Value};

use crate::okta;
use crate::okta::caller;
use crate::okta::judge;
use crate::okta::profile;
use crate::okta::reply;
use crate::okta::request::Call;
use crate::okta::results;
use crate::okta::user_import::request::Data;
use crate::recorded::RecordedParts;
use crate::{
    Answer, Caller, CommandError, Commands, Contract, Declared, Facts, FailureForm, Handshake, HookError, InlineHook,
    Judgement, Mark, Provider, Reply, ResultShape, Sample,
};
use hookgate_script::library::{Doc, Library};
use hookgate_script::lint::advice::Advice;
use hookgate_script::prelude::json;

mod advice;
mod recorded;
pub(crate) mod request;
mod samples;

pub(crate) struct UserImport;

type Request = Call<Data>;

/// Everything that an import script can ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Command {
    CreateUser,
    LinkUser { id: ImmutableString },
    SetProfile(JsonMap<String, Value>),
    SetAppProfile(JsonMap<String, Value>),
    Fail { text: ImmutableString },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Wire {
    Action { result: &'static str },
    User { id: ImmutableString },
    Profile(JsonMap<String, Value>),
}

pub(in crate::okta) const ACTION: &str = "com.okta.action.update";
pub(in crate::okta) const USER: &str = "com.okta.user.update";
pub(in crate::okta) const PROFILE: &str = "com.okta.user.profile.update";
pub(in crate::okta) const APP_PROFILE: &str = "com.okta.appUser.profile.update";

impl Contract for UserImport {
    const NAME: &'static str = "okta.user_import";
    const ENTRY: &'static str = "on_user_import";
    const REQUEST: &'static str = "UserImportRequest";
    const ABOUT: &'static str = "A user comes in from an app, once per user of an import.";
    const SILENCE: &'static str = "Okta goes on with the import and creates the user.";
    const RESULTS: &'static [ResultShape] = results::USER_IMPORT;
    const SAMPLES: &'static [Sample] = samples::SAMPLES;
    const ADVICE: &'static Advice = &advice::ADVICE;
    const PROVIDER: Provider = Provider {
        fails: "open",
        user_sees: "Nothing: imports run in the background. `fail(text)` is read by administrators in the \
            System Log, and the import goes on.",
        limits: &[
            okta::RETRIED,
            okta::REPLY_SIZE,
            okta::HOOKS_PER_ORG,
            "One call per user: an import of 10,000 users makes 10,000 calls.",
            "Not for Active Directory and LDAP directories.",
            "An early access feature of Okta's.",
        ],
        checked: okta::CHECKED,
    };

    const CALLER: Caller = caller::INLINE;
    const HANDSHAKE: Handshake = okta::NEVER_VERIFIED;
    const RECORDED: &'static RecordedParts = &recorded::RECORDED;

    type Request = Request;
    fn register(library: &mut Library) {
        request::register(library, Self::REQUEST);
        register_decisions(library);
        register_profiles(library);
    }

    fn decode(body: &Bytes) -> Result<Request, HookError> {
        let request = Request::decode(Self::NAME, body)?;
        if !request.data().is_recognised() {
            let problem = "neither `data.user` nor `data.appUser` is there".into();
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
        judge::judge(&judge::user_import::RULES, call, answer)
    }
}

impl InlineHook for UserImport {
    const ON_FAILURE: &'static [FailureForm] =
        &[FailureForm { word: "unchanged", takes_text: false, about: "let Okta do what it was going to do" }];
    type Command = Command;

    fn reply(_: &Request, commands: Commands<Command>, mark: &Mark) -> Result<Reply, CommandError> {
        let commands: Vec<Command> = commands.flat().collect();
        let failure = commands.iter().find_map(|command| match command {
            Command::Fail { text } => Some(text),
            _ => None,
        });
        if let Some(text) = failure {
            // Okta runs no command beside an error, so nothing but the failure is sent.
            return Ok(reply::failure(text, mark));
        }
        if commands.is_empty() {
            return Ok(unchanged(mark));
        }
        one_decision(&commands).map_err(|problem| CommandError::Invalid { problem })?;
        let commands: Vec<_> = commands.into_iter().flat_map(wire).collect();
        reply::reply(&commands, None, mark)
    }

    fn denies(command: &Command) -> bool {
        matches!(command, Command::Fail { .. })
    }

    fn failed(_: &Declared, mark: &Mark) -> Reply {
        unchanged(mark)
    }

    fn call(request: &Request) -> Option<&Bytes> {
        Some(request.body())
    }
}

/// The documented "no change".
fn unchanged(mark: &Mark) -> Reply {
    reply::unchanged(Reply::json("{}"), mark)
}

fn register_decisions(library: &mut Library) {
    library
        .command(Doc::new("create_user() -> command", "Creates a new Okta user.", "create_user()"), || {
            Command::CreateUser
        })
        .command(
            Doc::new(
                "link_user(id: string) -> command",
                "Links to the Okta user with this id (`00u…`), and creates none.",
                r#"link_user("00uBob0000000000001")"#,
            ),
            link_user,
        )
        // What `link_user(request.user_id)` becomes where nobody was matched.
        .overload("link_user", |_: ()| link_user(ImmutableString::new()))
        .command(
            Doc::new(
                "fail(text: string) -> command",
                "Records `text` in Okta's System Log. The import goes on.",
                r#"fail("two people have this address")"#,
            ),
            fail,
        );
}

fn register_profiles(library: &mut Library) {
    library
        .command(
            Doc::new(
                "set_profile(attribute: string, value: any) -> command",
                "Sets one attribute of the Okta user.",
                r#"set_profile("firstName", "Stan")"#,
            ),
            |name: ImmutableString, value: Dynamic| {
                attributes("set_profile", [(name.to_string(), value)]).map(Command::SetProfile)
            },
        )
        .command(
            Doc::new(
                "set_profile(attributes: map) -> command",
                "Sets several attributes, in alphabetical order.",
                r#"set_profile(#{ login: "ann2@mail.example", department: "sales" })"#,
            ),
            |map: Map| attributes("set_profile", owned(map)).map(Command::SetProfile),
        )
        .command(
            Doc::new(
                "set_app_profile(attribute: string, value: any) -> command",
                "Sets one attribute of the app's user; Okta's mappings carry it on.",
                r#"set_app_profile("costCenter", "4711")"#,
            ),
            |name: ImmutableString, value: Dynamic| {
                attributes("set_app_profile", [(name.to_string(), value)]).map(Command::SetAppProfile)
            },
        )
        .command(
            Doc::new(
                "set_app_profile(attributes: map) -> command",
                "Sets several attributes, in alphabetical order.",
                r#"set_app_profile(#{ costCenter: "4711", floor: 3 })"#,
            ),
            |map: Map| attributes("set_app_profile", owned(map)).map(Command::SetAppProfile),
        );
}

fn owned(map: Map) -> impl Iterator<Item = (String, Dynamic)> {
    map.into_iter().map(|(name, value)| (name.to_string(), value))
}

fn link_user(id: ImmutableString) -> Result<Command, Box<EvalAltResult>> {
    if id.is_empty() {
        return Err("`link_user` needs the id of an Okta user (`00u…`); where nobody was matched, there is none".into());
    }
    if !is_user_id(&id) {
        return Err(format!("`link_user` needs the id of an Okta user (`00u…`), and `{id}` is none").into());
    }
    Ok(Command::LinkUser { id })
}

/// Ids of Okta's users begin so; an app's user (`0ua…`) and a group (`00g…`) are others.
pub(in crate::okta) fn is_user_id(id: &str) -> bool {
    let rest = id.strip_prefix("00u");
    rest.is_some_and(|rest| {
        !rest.is_empty() && rest.len() <= 61 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

fn fail(text: ImmutableString) -> Result<Command, Box<EvalAltResult>> {
    if text.trim().is_empty() {
        return Err("`fail` needs a text: it is all that administrators read".into());
    }
    Ok(Command::Fail { text })
}

fn attributes(
    command: &str,
    given: impl IntoIterator<Item = (String, Dynamic)>,
) -> Result<JsonMap<String, Value>, Box<EvalAltResult>> {
    let mut attributes = JsonMap::new();
    for (name, value) in given {
        if name.is_empty() {
            return Err(format!("`{command}` needs the name of an attribute").into());
        }
        let value = json::json_from_dynamic(&value).map_err(|problem| format!("`{name}` cannot be sent: {problem}"))?;
        let good = match command {
            "set_app_profile" => profile::check_app_name(&name).and_then(|()| profile::check_app_value(&name, &value)),
            _ if profile::is_password(&name) => Err("no command can set the password".to_owned()),
            _ => profile::check_name(&name).and_then(|()| profile::check_value(&name, &value)),
        };
        good.map_err(|problem| format!("`{command}`: {problem}"))?;
        attributes.insert(name, value);
    }
    if attributes.is_empty() {
        return Err(format!("`{command}` got an empty map").into());
    }
    Ok(attributes)
}

/// Okta can do one thing with a user.
fn one_decision(commands: &[Command]) -> Result<(), String> {
    let decisions: Vec<&Command> =
        commands.iter().filter(|command| matches!(command, Command::CreateUser | Command::LinkUser { .. })).collect();
    match decisions[..] {
        [] | [_] => Ok(()),
        _ if decisions.contains(&&Command::CreateUser) => {
            Err("the script returned `create_user` beside another decision; return one of them".into())
        }
        _ => Err("the script returned `link_user` more than once; a user can be linked to one Okta user".into()),
    }
}

fn wire(command: Command) -> Vec<reply::Command<Wire>> {
    let one = |r#type, value| reply::Command { r#type, value };
    match command {
        Command::CreateUser => vec![one(ACTION, Wire::Action { result: "CREATE_USER" })],
        // Okta needs both: the decision, and whom to link.
        Command::LinkUser { id } => {
            vec![one(ACTION, Wire::Action { result: "LINK_USER" }), one(USER, Wire::User { id })]
        }
        Command::SetProfile(attributes) => vec![one(PROFILE, Wire::Profile(attributes))],
        Command::SetAppProfile(attributes) => vec![one(APP_PROFILE, Wire::Profile(attributes))],
        Command::Fail { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
