//! `okta.token`: change the claims and the lifetime of tokens before Okta signs them, or refuse them.
//!
//! Okta takes patches (contract: inline hooks, section 6). One operation that does not fit voids the whole answer and only
//! administrators learn of it, so operations are tried on the call's own claims first. If we fail, Okta issues the tokens
//! unchanged.

use bytes::Bytes;
use rhai::{Array, Dynamic, EvalAltResult, ImmutableString};
use serde::Serialize;
use serde_json::Value;

use crate::lenient::Attributes;
use crate::okta;
use crate::okta::caller;
use crate::okta::judge;
use crate::okta::patch;
use crate::okta::patch::{Draft, Misfit, Op, Operation, Pointer};
use crate::okta::reply;
use crate::okta::request::Call;
use crate::okta::results;
use crate::okta::token::request::values;
use crate::okta::token::request::{Data, TokenData};
use crate::recorded::RecordedParts;
use crate::{
    Answer, Caller, CommandError, Commands, Contract, Declared, Facts, FailureForm, Group, Handshake, HookError,
    InlineHook, Judgement, Mark, Provider, Reply, ResultShape, Sample,
};
use hookgate_script::library::{Doc, Library};
use hookgate_script::lint::advice::Advice;
use hookgate_script::prelude::json;

mod advice;
pub(in crate::okta) mod claims;
mod recorded;
pub(crate) mod request;
mod samples;

pub(crate) struct Token;

type Request = Call<Data>;

/// One of the two tokens that can be changed: what `id_token` and `access_token` mean in scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenPatch {
    IdToken,
    AccessToken,
}

/// Everything that a token script can ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Command {
    Patch { target: TokenPatch, operation: Operation },
    Refuse { text: ImmutableString },
}

/// Seconds that Okta accepts as a token's lifetime.
pub(in crate::okta) const LIFETIMES: std::ops::RangeInclusive<i64> = 300..=86_400;

/// The member of a patched token that holds its claims.
pub(in crate::okta) const CLAIMS: &str = "claims";

impl Contract for Token {
    const NAME: &'static str = "okta.token";
    const ENTRY: &'static str = "on_token";
    const REQUEST: &'static str = "TokenRequest";
    const ABOUT: &'static str = "A custom authorization server is about to sign tokens.";
    const SILENCE: &'static str = "Okta issues the tokens unchanged, and only administrators see that the hook failed.";
    const RESULTS: &'static [ResultShape] = results::TOKEN;
    const SAMPLES: &'static [Sample] = samples::SAMPLES;
    const ADVICE: &'static Advice = &advice::ADVICE;
    const PROVIDER: Provider = Provider {
        fails: "open",
        user_sees: "Nothing when the hook fails: the token lacks what the script would have added. After \
            `refuse(text)` the client gets the OAuth error `server_error` with the text as \
            `error_description`.",
        limits: &[
            okta::NOT_RETRIED,
            okta::REPLY_SIZE,
            okta::HOOKS_PER_ORG,
            "A rule of an access policy has one token hook; the org authorization server has none.",
            "A lifetime is 300 to 86400 seconds.",
            "One operation that Okta finds wrong voids all of them; hookgate checks them first and sends `on_failure` instead.",
            "Reserved claims, such as `iss`, `exp` and `groups`, cannot be touched.",
        ],
        checked: okta::CHECKED,
    };

    const CALLER: Caller = caller::TOKEN;
    const HANDSHAKE: Handshake = okta::NEVER_VERIFIED;
    const RECORDED: &'static RecordedParts = &recorded::RECORDED;

    type Request = Request;
    fn register(library: &mut Library) {
        values::register(library, Self::REQUEST);
        register_commands(library);
    }

    fn decode(body: &Bytes) -> Result<Request, HookError> {
        let request = Request::decode(Self::NAME, body)?;
        if !request.data().is_recognised() {
            let problem = "none of `data.identity`, `data.access` and `data.context.protocol` is there".into();
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
        judge::judge(&judge::token::RULES, call, answer)
    }
}

impl InlineHook for Token {
    const ON_FAILURE: &'static [FailureForm] = &[
        FailureForm { word: "unchanged", takes_text: false, about: "let Okta issue the tokens as they are" },
        FailureForm { word: "refuse", takes_text: true, about: "issue no token; the client reads the text" },
    ];
    type Command = Command;

    fn reply(request: &Request, commands: Commands<Command>, mark: &Mark) -> Result<Reply, CommandError> {
        let mut notes = Vec::new();
        let groups = match operations(request.data(), commands, &mut notes) {
            Ok(groups) => groups,
            // Okta runs no command beside an error, so nothing but the refusal is sent.
            Err(refusal) => return Ok(reply::failure(&refusal, mark)),
        };
        let patches = patch::grouped(groups);
        for target in [TokenPatch::IdToken, TokenPatch::AccessToken] {
            if let Some(token) = request.data().token(target) {
                check(target, token, &patches)?;
            }
        }
        if patches.is_empty() {
            return Ok(Reply { notes, ..unchanged(mark) });
        }
        let command =
            |(target, operations): (TokenPatch, _)| reply::Command { r#type: target.command(), value: operations };
        let commands: Vec<_> = patches.into_iter().map(command).collect();
        Ok(Reply { notes, ..reply::reply(&commands, None, mark)? })
    }

    fn denies(command: &Command) -> bool {
        matches!(command, Command::Refuse { .. })
    }

    fn failed(declared: &Declared, mark: &Mark) -> Reply {
        match declared.word {
            "refuse" => reply::failure(&declared.text, mark),
            _ => unchanged(mark),
        }
    }

    fn call(request: &Request) -> Option<&Bytes> {
        Some(request.body())
    }
}

impl TokenPatch {
    /// The type of the command that patches this token.
    pub(in crate::okta) fn command(self) -> &'static str {
        match self {
            Self::IdToken => "com.okta.identity.patch",
            Self::AccessToken => "com.okta.access.patch",
        }
    }

    /// Where a call has it, as JSON Pointer.
    pub(in crate::okta) fn member(self) -> &'static str {
        match self {
            Self::IdToken => "/data/identity",
            Self::AccessToken => "/data/access",
        }
    }

    /// The word in scripts.
    fn word(self) -> &'static str {
        match self {
            Self::IdToken => "id_token",
            Self::AccessToken => "access_token",
        }
    }

    /// The words of people.
    pub(in crate::okta) fn name(self) -> &'static str {
        match self {
            Self::IdToken => "ID token",
            Self::AccessToken => "access token",
        }
    }
}

/// The documented "no change".
fn unchanged(mark: &Mark) -> Reply {
    reply::unchanged(Reply::json("{}"), mark)
}

fn register_commands(library: &mut Library) {
    library
        .constant(
            Doc::new("id_token: TokenPatch", "What to change in the ID token. Ignored when none was requested.", r#"type_of(id_token) == "TokenPatch""#),
            Dynamic::from(TokenPatch::IdToken),
        )
        .constant(
            Doc::new("access_token: TokenPatch", "What to change in the access token. Ignored when none was requested.", r#"type_of(access_token) == "TokenPatch""#),
            Dynamic::from(TokenPatch::AccessToken),
        )
        .value::<TokenPatch>("TokenPatch", "The token that a command changes: `id_token` or `access_token`.")
        .command(
            Doc::new(
                "TokenPatch.add_claim(name: string or array, value: any) -> command",
                "Adds a claim, or overwrites it. A nested place is an array: `[\"profile\", \"team\"]`; `\"-\"` as the last part appends to an array, a number inserts there.",
                r#"access_token.add_claim("entitlements", ["read", "write"])"#,
            ),
            |target: &mut TokenPatch, name: ImmutableString, value: Dynamic| add(*target, named(&name)?, &value),
        )
        .overload("add_claim", |target: &mut TokenPatch, path: Array, value: Dynamic| {
            add(*target, Pointer::of_array(path)?, &value)
        })
        .command(
            Doc::new(
                "TokenPatch.replace_claim(name: string or array, value: any) -> command",
                "Overwrites a claim that must be there. Takes an array for a nested place, as `add_claim` does.",
                r#"id_token.replace_claim("airports", ["bern"])"#,
            ),
            |target: &mut TokenPatch, name: ImmutableString, value: Dynamic| replace(*target, named(&name)?, &value),
        )
        .overload("replace_claim", |target: &mut TokenPatch, path: Array, value: Dynamic| {
            replace(*target, Pointer::of_array(path)?, &value)
        })
        .command(
            Doc::new(
                "TokenPatch.remove_claim(name: string or array) -> command",
                "Removes a claim that must be there. Takes an array for a nested place, as `add_claim` does.",
                r#"id_token.remove_claim("airports")"#,
            ),
            |target: &mut TokenPatch, name: ImmutableString| remove(*target, named(&name)?),
        )
        .overload("remove_claim", |target: &mut TokenPatch, path: Array| remove(*target, Pointer::of_array(path)?))
        .command(
            Doc::new("TokenPatch.set_lifetime(seconds: int) -> command", "How long the token is valid: 300 to 86400 seconds.", "access_token.set_lifetime(600)"),
            |target: &mut TokenPatch, seconds: i64| set_lifetime(*target, seconds),
        )
        .command(
            Doc::new("refuse(text: string) -> command", "Issues no token. The client, and often its user, reads `text`.", r#"refuse("This account has no contract.")"#),
            refuse,
        );
}

type Built = Result<Command, Box<EvalAltResult>>;

fn add(target: TokenPatch, path: Pointer, value: &Dynamic) -> Built {
    let (path, value) = (claim(target, path, Op::Add)?, sendable(value)?);
    Ok(Command::Patch { target, operation: Operation::add(path, value) })
}

fn replace(target: TokenPatch, path: Pointer, value: &Dynamic) -> Built {
    let (path, value) = (claim(target, path, Op::Replace)?, sendable(value)?);
    Ok(Command::Patch { target, operation: Operation::replace(path, value) })
}

fn remove(target: TokenPatch, path: Pointer) -> Built {
    Ok(Command::Patch { target, operation: Operation::remove(claim(target, path, Op::Remove)?) })
}

fn set_lifetime(target: TokenPatch, seconds: i64) -> Built {
    if !LIFETIMES.contains(&seconds) {
        let (least, most) = LIFETIMES.into_inner();
        return Err(format!("a token lives {least} to {most} seconds, not {seconds}").into());
    }
    let path = ["token", "lifetime", "expiration"].map(str::to_owned).to_vec();
    Ok(Command::Patch { target, operation: Operation::replace(Pointer::new(path)?, seconds.into()) })
}

fn refuse(text: ImmutableString) -> Built {
    if text.trim().is_empty() {
        return Err("`refuse` needs a text: it is all that the client learns".into());
    }
    Ok(Command::Refuse { text })
}

/// A claim by its plain name, which may contain anything.
fn named(name: &str) -> Result<Pointer, Box<EvalAltResult>> {
    if let Some(plain) = name.strip_prefix("/claims/") {
        let problem =
            format!("`{name}` is a path; write the claim's plain name, `{plain}`, or an array for a nested place");
        return Err(problem.into());
    }
    Ok(Pointer::new(vec![name.to_owned()])?)
}

/// The place of a claim, if it is not Okta's own.
fn claim(target: TokenPatch, path: Pointer, op: Op) -> Result<Pointer, Box<EvalAltResult>> {
    let name = &path.segments()[0];
    if claims::is_closed(target, path.segments(), op) {
        let (token, instead) = (target.name(), claims::instead_of(name));
        let problem = match claims::is_reserved(target, name) {
            true => format!("the claim `{name}` of the {token} belongs to Okta; use another name such as `{instead}`"),
            false => format!("the claim `{name}` of the {token} belongs to Okta; it can be replaced, and not removed"),
        };
        return Err(problem.into());
    }
    Ok(path.below(CLAIMS))
}

fn sendable(value: &Dynamic) -> Result<Value, Box<EvalAltResult>> {
    Ok(json::json_from_dynamic(value).map_err(|problem| format!("the claim's value cannot be sent: {problem}"))?)
}

/// The operations on tokens that were requested, as the script grouped them; or the first refusal.
///
/// A command for a token that was not requested would void all others at Okta. It is dropped and noted, because one script
/// serves clients that ask for different tokens.
fn operations(
    data: &Data,
    commands: Commands<Command>,
    notes: &mut Vec<String>,
) -> Result<Vec<Group<(TokenPatch, Operation)>>, ImmutableString> {
    let mut one = |command| match command {
        Command::Refuse { text } => Err(text),
        Command::Patch { target, operation } if data.token(target).is_some() => Ok(Some((target, operation))),
        Command::Patch { target, .. } => {
            notes.push(format!("a command for the {} was left out: the call asks for no such token", target.name()));
            Ok(None)
        }
    };
    let mut groups = Vec::new();
    for group in commands.groups() {
        match group {
            Group::Loose(command) => groups.extend(one(command)?.map(Group::Loose)),
            Group::Together(commands) => {
                let operations = commands.into_iter().filter_map(|command| one(command).transpose());
                groups.push(Group::Together(operations.collect::<Result<_, _>>()?));
            }
        }
    }
    Ok(groups)
}

/// Tries the operations on one token, in the order in which Okta will do them.
fn check(target: TokenPatch, token: &TokenData, patches: &[(TokenPatch, Vec<Operation>)]) -> Result<(), CommandError> {
    let none = Attributes::default();
    let mut draft = Draft::new(token.claims.as_ref().unwrap_or(&none));
    let own = patches.iter().filter(|(patched, _)| *patched == target);
    for operation in own.flat_map(|(_, operations)| operations) {
        let (member, path) = operation.path().segments().split_first().expect("a pointer has a segment");
        if member == CLAIMS {
            draft
                .apply(operation.op(), path, operation.value())
                .map_err(|misfit| CommandError::Invalid { problem: explain(target, operation.op(), path, misfit) })?;
        } else if token.lifetime().is_none() {
            let problem = format!("the call states no lifetime of the {} that could be set", target.name());
            return Err(CommandError::Invalid { problem });
        }
    }
    Ok(())
}

/// A misfit in the words of somebody who writes scripts.
fn explain(target: TokenPatch, op: Op, path: &[String], misfit: Misfit) -> String {
    let (word, token, place) = (target.word(), target.name(), written(path));
    match (misfit, op) {
        (Misfit::Absent, Op::Remove) => format!(
            "`{word}.remove_claim({place})`: the {token} has no such claim to remove; ask first, as in `if \"{}\" in request.{word}.claims`",
            path[0]
        ),
        (Misfit::Absent, _) => {
            format!(
                "`{word}.replace_claim({place}, …)`: the {token} has no such claim; use `{word}.add_claim`, which also overwrites"
            )
        }
        (Misfit::NoParent { depth }, _) => {
            let parent = written(&path[..depth]);
            format!(
                "`{word}.add_claim({place}, …)`: the {token} has no map or array at {parent}; add that first, as in `{word}.add_claim({parent}, #{{}})`"
            )
        }
        (Misfit::Index { depth, length }, op) => {
            let (index, array) = (&path[depth - 1], written(&path[..depth - 1]));
            let append = if op == Op::Add { "; `\"-\"` appends" } else { "" };
            format!(
                "{place} in the {token}: `{index}` is no position in the array {array}, which has {length} items{append}"
            )
        }
    }
}

/// A place as a script writes it.
fn written(path: &[String]) -> String {
    match path {
        [name] => format!("{name:?}"),
        path => format!("{path:?}"),
    }
}

#[cfg(test)]
mod tests;
