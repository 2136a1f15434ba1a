//! `okta.password_import`: a user whose password still lives in an older system signs in for the first time.
//!
//! Okta sends the password as the user typed it (contract: inline hooks, section 9) and stores it for good on `VERIFIED`.
//! It is a Secret from decoding on: no error, record, `raw` or debug output shows it. If we fail, Okta refuses this
//! sign-in and asks again at the next.

use bytes::Bytes;
use rhai::Dynamic;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lenient;
use crate::lenient::{Path, Text};
use crate::okta;
use crate::okta::advice;
use crate::okta::caller;
use crate::okta::judge;
use crate::okta::reply;
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
use hookgate_script::lint::advice::{Advice, Conflict};
use hookgate_script::prelude::secret::Hidden;

mod recorded;

pub(crate) struct PasswordImport;

type Request = Call<Data>;

#[derive(Deserialize)]
pub(crate) struct Data {
    #[serde(default, deserialize_with = "lenient::object")]
    context: Option<Context>,
    #[serde(default, deserialize_with = "lenient::object")]
    action: Option<Action>,
}

#[derive(Deserialize)]
struct Context {
    #[serde(default, deserialize_with = "lenient::object")]
    request: Option<WebRequest>,
    #[serde(default, deserialize_with = "lenient::object")]
    credential: Option<Credential>,
}

#[derive(Deserialize)]
struct Credential {
    #[serde(default, deserialize_with = "lenient::text")]
    username: Text,
    #[serde(default, deserialize_with = "lenient::hidden")]
    password: Option<Hidden>,
}

/// What Okta does if the hook has no opinion.
#[derive(Deserialize)]
struct Action {
    #[serde(default, deserialize_with = "lenient::text")]
    credential: Text,
}

/// Everything that a password import script can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Command {
    Verified,
    Unverified,
}

#[derive(Serialize)]
struct Verdict {
    credential: &'static str,
}

const ADVICE: Advice = Advice {
    codes: &[&advice::CONFLICTING_COMMANDS],
    conflicts: &[Conflict {
        commands: &["verified", "unverified"],
        beside: &[],
        code: advice::CONFLICTING_COMMANDS.code,
        refused: true,
        message: "a password has one verdict",
        help: "return one `verified()` or `unverified()`",
    }],
    ..Advice::NONE
};

impl Contract for PasswordImport {
    const NAME: &'static str = "okta.password_import";
    const ENTRY: &'static str = "on_password_import";
    const REQUEST: &'static str = "PasswordImportRequest";
    const ABOUT: &'static str = "A user whose password still lives in an older system signs in.";
    const SILENCE: &'static str = "Okta refuses the sign-in and asks again at the user's next attempt.";
    const RESULTS: &'static [ResultShape] = results::PASSWORD_IMPORT;
    const SAMPLES: &'static [Sample] = &[
        Sample {
            name: "verified",
            request: SIGN_IN,
            script: r#"fn on_password_import(request) { if request.password == "correct horse" { verified() } else { unverified() } }"#,
            reply: r#"{"commands":[{"type":"com.okta.action.update","value":{"credential":"VERIFIED"}}]}"#,
        },
        Sample {
            name: "unverified",
            request: SIGN_IN,
            script: r#"fn on_password_import(request) { if request.username == "bea@mail.example" { unverified() } }"#,
            reply: r#"{"commands":[{"type":"com.okta.action.update","value":{"credential":"UNVERIFIED"}}]}"#,
        },
        Sample {
            name: "legacy_hash",
            request: SIGN_IN,
            script: r#"const USERS = #{ "bea@mail.example": "$2y$05$fgzu69Ww65btYlg0vhJCz.I0biGDMUNA1XA6resp6iFvSEAOnN4uW" };
const NOBODY = "$2y$05$hS3yq0mVb1tJr7XwZc9L4u.0Zv/NzooLGb7nYJBu0P9f5.Awhe7a6";

fn on_password_import(request) {
    let hash = USERS.get(request.username);
    // A user who is not there takes as long as one who is. What cannot be verified is an error: `on_failure` answers.
    let right = if hash == () { request.password.verify_nothing(NOBODY) } else { request.password.verifies(hash) };
    if right { verified() } else { unverified() }
}"#,
            reply: r#"{"commands":[{"type":"com.okta.action.update","value":{"credential":"VERIFIED"}}]}"#,
        },
        Sample {
            name: "no_opinion",
            request: SIGN_IN,
            script: "fn on_password_import(request) { }",
            reply: r#"{"commands":[{"type":"com.okta.action.update","value":{"credential":"UNVERIFIED"}}]}"#,
        },
    ];
    const ADVICE: &'static Advice = &ADVICE;
    const PROVIDER: Provider = Provider {
        fails: "closed",
        user_sees: "A sign-in that is refused, with Okta's usual text for a wrong password. The next attempt \
            asks the hook again.",
        limits: &[
            okta::RETRIED,
            okta::REPLY_SIZE,
            okta::HOOKS_PER_ORG,
            "An org has one password import hook.",
            "Okta stores a verified password for good and holds no password policy against it.",
            "While an org is read-only, a verified password may not be stored: keep the old hash until `user.import.password` says `SUCCESS`.",
        ],
        checked: okta::CHECKED,
    };

    const CALLER: Caller = caller::INLINE;
    const HANDSHAKE: Handshake = okta::NEVER_VERIFIED;
    const RECORDED: &'static RecordedParts = &recorded::RECORDED;

    type Request = Request;
    fn register(library: &mut Library) {
        library.value::<Request>(Self::REQUEST, "A sign-in with a password that Okta does not know yet.");
        Request::register(library);
        register_credential(library);
        library
            .command(
                Doc::new(
                    "verified() -> command",
                    "The password is right: Okta signs the user in and stores it for good.",
                    "verified()",
                ),
                || Command::Verified,
            )
            .command(
                Doc::new(
                    "unverified() -> command",
                    "The password is wrong: Okta refuses the sign-in. The same as returning nothing.",
                    "unverified()",
                ),
                || Command::Unverified,
            );
    }

    fn decode(body: &Bytes) -> Result<Request, HookError> {
        let request = Request::decode(Self::NAME, body)?;
        let credential = request.data().credential();
        let missing = match credential {
            None => "`data.context.credential` is missing",
            Some(Credential { username: None, .. }) => "`data.context.credential.username` is missing",
            Some(Credential { password: None, .. }) => "`data.context.credential.password` is missing",
            Some(_) => return Ok(request),
        };
        Err(HookError::Shape { hook: Self::NAME, problem: missing.into() })
    }

    fn as_preview(request: Request) -> Request {
        request.into_preview()
    }

    fn facts(request: &Request) -> Facts {
        request.facts()
    }

    fn judge(call: &Value, answer: Option<&Answer<'_>>) -> Judgement {
        judge::judge(&judge::password_import::RULES, call, answer)
    }
}

impl InlineHook for PasswordImport {
    const ON_FAILURE: &'static [FailureForm] =
        &[FailureForm { word: "unverified", takes_text: false, about: "refuse the sign-in" }];
    type Command = Command;

    fn reply(_: &Request, commands: Commands<Command>, mark: &Mark) -> Result<Reply, CommandError> {
        let mut commands = commands.flat();
        // Explicit, where 204 would mean the same: nobody has to know what the default is.
        let verdict = commands.next().unwrap_or(Command::Unverified);
        if commands.next().is_some() {
            let problem = "the script returned more than one verdict; return one `verified()` or `unverified()`".into();
            return Err(CommandError::Invalid { problem });
        }
        answer(verdict, mark)
    }

    fn denies(command: &Command) -> bool {
        *command == Command::Unverified
    }

    fn failed(_: &Declared, mark: &Mark) -> Reply {
        answer(Command::Unverified, mark).expect("a verdict is short")
    }

    fn call(request: &Request) -> Option<&Bytes> {
        Some(request.body())
    }
}

impl Payload for Data {
    const SECRETS: &'static [Path] = &[&["data", "context", "credential", "password"]];

    const DECISIVE: &'static [Path] =
        &[&["data", "context", "credential", "username"], &["data", "context", "credential", "password"]];

    fn web(&self) -> Option<&WebRequest> {
        self.context.as_ref()?.request.as_ref()
    }
}

impl Data {
    fn credential(&self) -> Option<&Credential> {
        self.context.as_ref()?.credential.as_ref()
    }
}

fn register_credential(library: &mut Library) {
    type This<'a> = &'a mut Request;
    library
        .property(
            Doc::new("Self.username: string", "The login as the user typed it.", r#"request.username.contains("@")"#),
            |request: This| {
                request.data().credential().map_or(Dynamic::UNIT, |credential| request::text(&credential.username))
            },
        )
        .property(
            Doc::new(
                "Self.password: Secret",
                "The password as the user typed it: compares, `verifies` the hash of another system, and is what `http(…).verify` and `ldap(…).bind` ask with; never prints.",
                r#"!request.password.is_empty && request.password != "guess""#,
            ),
            |request: This| {
                let password = request.data().credential().and_then(|credential| credential.password.clone());
                password.map_or(Dynamic::UNIT, Dynamic::from)
            },
        )
        .property(
            Doc::new(
                "Self.default_action: string",
                "What Okta says it does without an answer: `UNVERIFIED`; or `()`.",
                r#"request.default_action == "UNVERIFIED""#,
            ),
            |request: This| {
                request.data().action.as_ref().map_or(Dynamic::UNIT, |action| request::text(&action.credential))
            },
        );
}

fn answer(verdict: Command, mark: &Mark) -> Result<Reply, CommandError> {
    let credential = match verdict {
        Command::Verified => "VERIFIED",
        Command::Unverified => "UNVERIFIED",
    };
    reply::reply(&[reply::Command { r#type: "com.okta.action.update", value: Verdict { credential } }], None, mark)
}

const SIGN_IN: &str = r#"{
  "eventId": "pW1mp0rtQ2-3kzNcUuF1wA", "eventTime": "2026-03-02T08:20:30.000Z",
  "eventType": "com.okta.user.credential.password.import", "eventTypeVersion": "1.0", "contentType": "application/json",
  "cloudEventVersion": "0.1", "source": "https://example.okta.com/api/v1/inlineHooks/cal5h1kXq2ZbT0aYw5d7",
  "data": {
    "context": {
      "request": {"id": "reqPasswordImport00000001", "method": "POST", "url": {"value": "/idp/idx/challenge/answer"},
        "ipAddress": "192.0.2.18"},
      "credential": {"username": "bea@mail.example", "password": "correct horse"}
    },
    "action": {"credential": "UNVERIFIED"}
  }
}"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{body, refusal, reply_to, value_of};

    fn call(credential: &str) -> String {
        format!(
            r#"{{"eventType":"com.okta.user.credential.password.import","data":{{"context":{{"credential":{credential}}}}}}}"#
        )
    }

    #[test]
    fn two_verdicts_are_refused() {
        for verdicts in ["[verified(), unverified()]", "[verified(), verified()]", "[[verified(), verified()]]"] {
            let text = refusal("okta.password_import", SIGN_IN, verdicts);
            assert!(text.contains("more than one verdict"), "{verdicts}: {text}");
        }
    }

    #[test]
    fn the_password_shows_nowhere() {
        const CANARY: &str = "c4n4ry-hunter2";
        let sent = SIGN_IN.replace("correct horse", CANARY);
        let request = PasswordImport::decode(&sent.clone().into()).unwrap();
        let shown = format!(
            "{request:?} {:?} {:?}",
            request.data().credential().unwrap().password,
            PasswordImport::facts(&request)
        );
        assert!(!shown.contains(CANARY), "{shown}");
        for script in [
            "`${request.raw}`",
            "`${request.password}`",
            "to_json(request.raw)",
            "request.raw.data.context.credential.password.to_string()",
        ] {
            let value = value_of("okta.password_import", &sent, script).to_string();
            assert!(value.contains("***") && !value.contains(CANARY), "{script}: {value}");
        }
        let same = format!(r#"request.raw.data.context.credential.password == "{CANARY}""#);
        assert!(value_of("okta.password_import", &sent, &same).as_bool().unwrap());
        let thrown = refusal("okta.password_import", &sent, r#""text " + request.password"#);
        assert!(!thrown.contains(CANARY), "{thrown}");
    }

    #[test]
    fn a_credential_of_another_form_is_refused_unseen() {
        for credential in
            [r#"["a", "c4n4ry"]"#, r#""c4n4ry""#, r#"{"username":"a","password":"b","password":"c4n4ry"}"#]
        {
            let error = PasswordImport::decode(&call(credential).into()).unwrap_err().to_string();
            assert!(error.contains("`data.context.credential") && !error.contains("c4n4ry"), "{error}");
        }
    }

    #[test]
    fn a_call_without_credential_is_not_this_hooks() {
        for credential in
            ["null", "{}", r#"{"username":"a"}"#, r#"{"username":"a","password":null}"#, r#"{"password":"c4n4ry"}"#]
        {
            let error = PasswordImport::decode(&call(credential).into()).unwrap_err().to_string();
            assert!(error.contains("`data.context.credential") && error.ends_with("is missing"), "{error}");
            assert!(!error.contains("c4n4ry"), "{error}");
        }
    }

    #[test]
    fn a_password_of_the_wrong_type_is_refused_unseen() {
        for password in [r#"["c4n4ry"]"#, r#"{"x":"c4n4ry"}"#] {
            let sent = call(&format!(r#"{{"username":"a","password":{password}}}"#));
            let error = PasswordImport::decode(&sent.into()).unwrap_err().to_string();
            assert!(error.contains("`data.context.credential.password` must be a string"), "{error}");
            assert!(!error.contains("c4n4ry"), "{error}");
        }
    }

    #[test]
    fn a_number_is_a_password_too() {
        let sent = call(r#"{"username":7,"password":1234}"#);
        let reply = reply_to(
            "okta.password_import",
            &sent,
            r#"if request.password == "1234" && request.username == "7" { verified() }"#,
        );
        assert_eq!(body(&reply)["commands"][0]["value"]["credential"], "VERIFIED");
        assert_eq!(
            crate::okta::trial::effect::<PasswordImport>(&reply),
            "Okta signs the user in, stores the password and does not ask again"
        );
        assert!(value_of("okta.password_import", &sent, "request.default_action").is_unit());
    }
}
