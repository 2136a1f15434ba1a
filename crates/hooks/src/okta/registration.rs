//! `okta.registration`: somebody signs up, or a known user fills in attributes (progressive profile).
//!
//! Three forms of call (contract: inline hooks, section 8): self-service with `userProfile`, progressive with
//! `userProfileUpdate` and `context.user`, and Classic, which has no `requestType`. The form is told by which member is
//! there. If we fail, Okta denies the registration.

use std::sync::Arc;

use bytes::Bytes;
use rhai::{Dynamic, ImmutableString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lenient;
use crate::lenient::{Attributes, Path, Text};
use crate::okta;
use crate::okta::caller;
use crate::okta::judge;
use crate::okta::person::{User, UserData};
use crate::okta::reply;
use crate::okta::reply::{Cause, Failure, Members};
use crate::okta::request;
use crate::okta::request::{Call, Payload};
use crate::okta::results;
use crate::okta::wire::WebRequest;
use crate::recorded::RecordedParts;
use crate::{
    Answer, Caller, CommandError, Commands, Contract, Declared, Facts, FailureForm, Handshake, HookError, InlineHook,
    Judgement, Mark, Provider, Reply, ResultShape, Sample,
};
use hookgate_script::library::{Doc, Library};
use hookgate_script::lint::advice::Advice;
use hookgate_script::prelude::email::Email;

mod advice;
mod commands;
mod recorded;
mod samples;

pub(crate) struct Registration;

type Request = Call<Data>;

#[derive(Debug, Deserialize)]
pub(crate) struct Data {
    #[serde(default, deserialize_with = "lenient::object")]
    context: Option<Context>,
    #[serde(default, rename = "userProfile", deserialize_with = "lenient::object")]
    profile: Option<Attributes>,
    #[serde(default, rename = "userProfileUpdate", deserialize_with = "lenient::object")]
    changes: Option<Attributes>,
    /// Where a draft of 2018 had the profile.
    #[serde(default, deserialize_with = "lenient::object")]
    user: Option<DraftUser>,
    #[serde(default, deserialize_with = "lenient::text")]
    action: Text,
}

#[derive(Debug, Deserialize)]
struct Context {
    #[serde(default, deserialize_with = "lenient::object")]
    request: Option<WebRequest>,
    #[serde(default, deserialize_with = "lenient::object")]
    user: Option<Arc<UserData>>,
}

#[derive(Debug, Deserialize)]
struct DraftUser {
    #[serde(default, deserialize_with = "lenient::object")]
    profile: Option<Attributes>,
}

/// Everything that a registration script can ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Command {
    Allow,
    Deny { field: Option<ImmutableString>, text: ImmutableString, reason: ImmutableString },
    SetProfile(Members),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Wire {
    Action { registration: &'static str },
    Profile(Members),
}

pub(in crate::okta) const ACTION: &str = "com.okta.action.update";
pub(in crate::okta) const PROFILE: &str = "com.okta.user.profile.update";
pub(in crate::okta) const PROGRESSIVE_PROFILE: &str = "com.okta.user.progressive.profile.update";

/// The reason of a `deny_field` that states none.
const DEFAULT_REASON: &str = "INVALID_VALUE";

impl Contract for Registration {
    const NAME: &'static str = "okta.registration";
    const ENTRY: &'static str = "on_registration";
    const REQUEST: &'static str = "RegistrationRequest";
    const ABOUT: &'static str = "Somebody signs up, or a user fills in attributes that a form asks for.";
    const SILENCE: &'static str = "Okta denies: nobody can sign up, and the user reads a general text.";
    const RESULTS: &'static [ResultShape] = results::REGISTRATION;
    const SAMPLES: &'static [Sample] = samples::SAMPLES;
    const ADVICE: &'static Advice = &advice::ADVICE;
    const PROVIDER: Provider = Provider {
        fails: "closed",
        user_sees: "A denial shows each `deny_field` text at its field of the form; `deny(text)` shows \
            \"Registration cannot be completed at this time.\" or, by another page of Okta's, the text. When the hook fails: \"There was an error \
            creating your account. Please try registering again.\"; for a profile update, that the \
            profile could not be updated.",
        limits: &[
            okta::RETRIED,
            okta::REPLY_SIZE,
            okta::HOOKS_PER_ORG,
            "A profile enrollment rule has at most one registration hook.",
            "A form has at most 10 attributes; some may be outside the org's schema and still arrive here.",
            "Attributes that a command sets must exist in the org's schema; the password cannot be set.",
        ],
        checked: okta::CHECKED,
    };

    const CALLER: Caller = caller::INLINE;
    const HANDSHAKE: Handshake = okta::NEVER_VERIFIED;
    const RECORDED: &'static RecordedParts = &recorded::RECORDED;

    type Request = Request;
    fn register(library: &mut Library) {
        register_request(library);
        commands::register(library);
        User::register(library);
    }

    fn decode(body: &Bytes) -> Result<Request, HookError> {
        let request = Request::decode(Self::NAME, body)?;
        let data = request.data();
        if data.profile().is_none() && data.changes.is_none() {
            let problem = "neither `data.userProfile` nor `data.userProfileUpdate` is there".into();
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
        judge::judge(&judge::registration::RULES, call, answer)
    }
}

impl InlineHook for Registration {
    const ON_FAILURE: &'static [FailureForm] = &[
        FailureForm { word: "allow", takes_text: false, about: "let the registration pass unchecked" },
        FailureForm { word: "deny", takes_text: true, about: "deny it; the text goes to Okta's System Log" },
    ];
    type Command = Command;

    fn reply(request: &Request, commands: Commands<Command>, mark: &Mark) -> Result<Reply, CommandError> {
        if commands.is_empty() {
            return Ok(reply::unchanged(Reply::empty(204), mark));
        }
        let commands: Vec<Command> = commands.flat().collect();
        let denies = commands.iter().any(|command| matches!(command, Command::Deny { .. }));
        if denies && commands.contains(&Command::Allow) {
            let problem = "the script returned both `allow` and a denial; return one of them".into();
            return Err(CommandError::Invalid { problem });
        }
        if denies {
            // Okta runs no command beside an error, so nothing but the denial is sent.
            return deny(commands, mark);
        }
        let profile = if request.data().is_progressive() { PROGRESSIVE_PROFILE } else { PROFILE };
        let wire: Vec<_> = commands.into_iter().map(|command| wire(command, profile)).collect();
        reply::reply(&wire, None, mark)
    }

    fn denies(command: &Command) -> bool {
        matches!(command, Command::Deny { .. })
    }

    fn failed(declared: &Declared, mark: &Mark) -> Reply {
        let decision = match declared.word {
            "allow" => reply::reply(&[action("ALLOW")], None, mark),
            _ => {
                let failure = Failure { error_summary: reply::bounded(&declared.text), ..Failure::default() };
                reply::reply(&[action("DENY")], Some(&failure), mark)
            }
        };
        decision.expect("a bounded text stays under the limit")
    }

    fn call(request: &Request) -> Option<&Bytes> {
        Some(request.body())
    }
}

impl Payload for Data {
    const DECISIVE: &'static [Path] =
        &[&["data", "userProfile"], &["data", "userProfileUpdate"], &["data", "user", "profile"]];

    fn web(&self) -> Option<&WebRequest> {
        self.context.as_ref()?.request.as_ref()
    }
}

impl Data {
    fn profile(&self) -> Option<&Attributes> {
        self.profile.as_ref().or_else(|| self.user.as_ref()?.profile.as_ref())
    }

    fn known_user(&self) -> Option<&Arc<UserData>> {
        self.context.as_ref()?.user.as_ref()
    }

    fn is_progressive(&self) -> bool {
        self.changes.is_some() && self.profile.is_none()
    }

    /// What is being submitted: the new profile, or the changes to a known one.
    fn submitted(&self) -> Option<&Attributes> {
        self.profile().or(self.changes.as_ref())
    }
}

fn register_request(library: &mut Library) {
    type This<'a> = &'a mut Request;
    library.value::<Request>(Registration::REQUEST, "A registration, or a progressive profile update.");
    Request::register(library);
    library
        .property(
            Doc::new(
                "Self.kind: string",
                "`self_service` (also on Classic) or `progressive`.",
                r#"request.kind == "self_service""#,
            ),
            |request: This| if request.data().is_progressive() { "progressive" } else { "self_service" },
        )
        .property(
            Doc::new(
                "Self.email: Email",
                "The e-mail address being submitted, or `()`: a progressive call may not carry it.",
                r#"request.email.domain == "mail.example""#,
            ),
            |request: This| {
                let email = request.data().submitted().and_then(|profile| profile.text("email"));
                email.map_or(Dynamic::UNIT, |email| Dynamic::from(Email::parse(&email)))
            },
        )
        .property(
            Doc::new(
                "Self.login: string",
                "The login being submitted; of a known user, the login it has. `()` if there is none.",
                r#"request.login == "ann@mail.example""#,
            ),
            |request: This| {
                let data = request.data();
                let submitted = data.submitted().and_then(|profile| profile.text("login"));
                let known = || data.known_user().and_then(|user| user.attribute("login"));
                submitted.or_else(known).map_or(Dynamic::UNIT, Dynamic::from)
            },
        )
        .property(
            Doc::new(
                "Self.profile: map",
                "The submitted profile; of a progressive call, the profile the user has. Absent attributes are `()`.",
                r#"request.profile.firstName == "Ann" && request.profile.city == ()"#,
            ),
            |request: This| {
                let data = request.data();
                let known = || data.known_user().and_then(|user| user.profile.as_ref());
                data.profile().or_else(known).map_or_else(|| Attributes::default().read_only(), Attributes::read_only)
            },
        )
        .property(
            Doc::new(
                "Self.changes: map",
                "The changed attributes of a progressive call, else `()`.",
                "request.changes.employeeNumber == 4711",
            ),
            |request: This| request.data().changes.as_ref().map_or(Dynamic::UNIT, Attributes::read_only),
        )
        .property(
            Doc::new(
                "Self.user: User",
                "The known user of a progressive call, else `()`.",
                r#"request.user.login == "ann@mail.example""#,
            ),
            |request: This| User::dynamic(request.data().known_user()),
        )
        .property(
            Doc::new(
                "Self.action: string",
                "What Okta does if nobody objects (`data.action`): `ALLOW`; or `()`.",
                r#"request.action == "ALLOW""#,
            ),
            |request: This| request::text(&request.data().action),
        );
}

fn action(registration: &'static str) -> reply::Command<Wire> {
    reply::Command { r#type: ACTION, value: Wire::Action { registration } }
}

fn wire(command: Command, profile: &'static str) -> reply::Command<Wire> {
    match command {
        Command::SetProfile(attributes) => reply::Command { r#type: profile, value: Wire::Profile(attributes) },
        Command::Allow | Command::Deny { .. } => action("ALLOW"),
    }
}

/// All denials in one answer: the first general text, else the first field's, is the summary.
fn deny(commands: Vec<Command>, mark: &Mark) -> Result<Reply, CommandError> {
    let mut failure = Failure::default();
    let mut general = None;
    for command in commands {
        let Command::Deny { field, text, reason } = command else { continue };
        let text = reply::bounded(&text);
        match field {
            None => general = general.or(Some(text)),
            Some(field) => failure.error_causes.push(Cause {
                error_summary: text,
                reason: reason.to_string(),
                location_type: "body",
                // Also for progressive calls: Okta's own samples use this prefix there.
                location: format!("data.userProfile.{field}"),
                domain: "end-user",
            }),
        }
    }
    let first = || failure.error_causes.first().map(|cause| cause.error_summary.clone());
    failure.error_summary = general.or_else(first).unwrap_or_default();
    reply::reply(&[action("DENY")], Some(&failure), mark)
}
