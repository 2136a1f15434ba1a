//! `okta.telephony`: Okta wants a one-time code delivered by SMS or voice.
//!
//! Whatever we answer decides who sends (contract: inline hooks, section 11): `SUCCESSFUL` and `PENDING` mean that we did,
//! an `error` makes Okta's own providers send. `FAILED` is never sent, because nobody knows what Okta does then, and never
//! an empty body. The code, and the message that has it inside, are Secrets. If we fail, Okta sends.

use bytes::Bytes;
use rhai::{Dynamic, ImmutableString};
use serde::Deserialize;
use serde_json::Value;

use crate::lenient;
use crate::lenient::{Path, Text};
use crate::okta;
use crate::okta::advice;
use crate::okta::caller;
use crate::okta::judge;
use crate::okta::request;
use crate::okta::request::{Call, Payload};
use crate::okta::results;
use crate::okta::wire::WebRequest;
use crate::recorded::RecordedParts;
use crate::{
    Answer, Caller, CommandError, Commands, Contract, Declared, Facts, FailureForm, Handshake, HookError, InlineHook,
    Judgement, Mark, Provider, Reply, ResultShape, Sample,
};
use hookgate_model::message;
use hookgate_model::message::{Outcome, Sending};
use hookgate_model::secret::Secret;
use hookgate_script::library::{Doc, Library};
use hookgate_script::lint::advice::{Advice, Conflict};
use hookgate_script::prelude::phone::Phone;
use hookgate_script::prelude::secret::Hidden;

mod recorded;
mod verdict;

pub(in crate::okta) use verdict::OURSELVES;
use verdict::Verdict;

pub(crate) struct Telephony;

type Request = Call<Data>;

#[derive(Deserialize)]
pub(crate) struct Data {
    #[serde(default, deserialize_with = "lenient::object")]
    context: Option<Context>,
    #[serde(default, rename = "userProfile", deserialize_with = "lenient::object")]
    user: Option<Recipient>,
    #[serde(default, rename = "messageProfile", deserialize_with = "lenient::object")]
    message: Option<Message>,
}

#[derive(Deserialize)]
struct Context {
    #[serde(default, deserialize_with = "lenient::object")]
    request: Option<WebRequest>,
}

/// `data.userProfile`.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recipient {
    #[serde(default, rename = "userId", deserialize_with = "lenient::text")]
    id: Text,
    #[serde(default, deserialize_with = "lenient::text")]
    login: Text,
    #[serde(default, deserialize_with = "lenient::text")]
    first_name: Text,
    #[serde(default, deserialize_with = "lenient::text")]
    last_name: Text,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default, rename = "msgTemplate", deserialize_with = "lenient::hidden")]
    pub text: Option<Hidden>,
    #[serde(default, rename = "phoneNumber", deserialize_with = "lenient::text")]
    phone: Text,
    #[serde(default, rename = "otpExpires", deserialize_with = "lenient::text")]
    expires: Text,
    #[serde(default, rename = "deliveryChannel", deserialize_with = "lenient::text")]
    pub channel: Text,
    #[serde(default, rename = "otpCode", deserialize_with = "lenient::hidden")]
    otp: Option<Hidden>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub locale: Text,
    /// Where the beta of 2022 had `requestType`.
    #[serde(default, rename = "eventAction", deserialize_with = "lenient::text")]
    action: Text,
}

/// What follows `com.okta.user.telephony.`, and the word for it.
const FLOWS: [(&str, &str); 4] = [
    ("pre-enrollment", "enrollment"),
    ("mfa-verification", "verification"),
    ("account-unlock", "unlock"),
    ("password-reset", "reset"),
];

const ADVICE: Advice = Advice {
    codes: &[&advice::CONFLICTING_COMMANDS],
    conflicts: &[Conflict {
        commands: &["send", "sent", "pending", "block"],
        beside: &["send", "sent", "pending", "block"],
        code: advice::CONFLICTING_COMMANDS.code,
        refused: true,
        message: "a message has one verdict",
        help: "return one of `send`, `sent`, `pending` and `block`",
    }],
    ..Advice::NONE
};

impl Contract for Telephony {
    const NAME: &'static str = "okta.telephony";
    const ENTRY: &'static str = "on_telephony";
    const REQUEST: &'static str = "TelephonyRequest";
    const ABOUT: &'static str = "Okta wants a one-time code delivered by SMS or voice.";
    const SILENCE: &'static str = "Okta sends the code through its own providers, heavily rate limited.";
    const RESULTS: &'static [ResultShape] = results::TELEPHONY;
    const SAMPLES: &'static [Sample] = SAMPLES;
    const ADVICE: &'static Advice = &ADVICE;
    const PROVIDER: Provider = Provider {
        fails: "over: Okta sends the code itself",
        user_sees: "When the hook fails, a code that Okta sent itself, as long as its rate limit allows. After \
            `block(reason, \"swallow\")`, no code, and no word about it.",
        limits: &[
            okta::NOT_RETRIED,
            okta::REPLY_SIZE,
            okta::HOOKS_PER_ORG,
            "An org has one active telephony hook, and it must have an authentication header.",
            "Okta's own sending, after a failure, is heavily rate limited.",
            "A reply that Okta cannot read may mean that nobody sends the code; hookgate never sends an empty one.",
        ],
        checked: okta::CHECKED,
    };

    const TRYING: &'static str = "A call of the preview in Okta's console has an address of the console \
        (`/api/internal/…/generatePreview`), so it is recognised: it is answered, `request.preview` is true, and nothing \
        acts; `send` sends nothing, and the answer is that for when its first connector takes the code. For anything else \
        give the route a `preview_path`, or a header with `preview = \"header:x-hookgate-preview\"`.";
    const CALLER: Caller = caller::TELEPHONY;

    const HANDSHAKE: Handshake = okta::NEVER_VERIFIED;
    const RECORDED: &'static RecordedParts = &recorded::RECORDED;

    type Request = Request;
    fn register(library: &mut Library) {
        library.value::<Request>(Self::REQUEST, "A one-time code to deliver.");
        Request::register(library);
        register_message(library);
        register_flow(library);
        register_recipient(library);
        verdict::register(library);
    }

    fn decode(body: &Bytes) -> Result<Request, HookError> {
        let request = Request::decode(Self::NAME, body)?;
        if request.data().message.is_none() {
            return Err(HookError::Shape { hook: Self::NAME, problem: "`data.messageProfile` is missing".into() });
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
        judge::judge(&judge::telephony::RULES, call, answer)
    }
}

impl InlineHook for Telephony {
    const ON_FAILURE: &'static [FailureForm] = &[
        FailureForm { word: "let_okta_send", takes_text: false, about: "Okta's own providers send the code" },
        FailureForm {
            word: "swallow",
            takes_text: false,
            about: "nobody sends the code, and Okta believes that it was sent",
        },
    ];
    type Command = Verdict;

    fn reply(_: &Request, commands: Commands<Verdict>, mark: &Mark) -> Result<Reply, CommandError> {
        verdict::reply(commands, mark)
    }

    fn sending(request: &Request, commands: &Commands<Verdict>) -> Result<Option<Sending>, CommandError> {
        let Some(Verdict::Send { ways, to }) = commands.iter().next() else { return Ok(None) };
        let ways = ways.iter().map(|way| way.name().to_owned()).collect();
        message(request, to.as_ref()).map(|message| Some(Sending { message, ways }))
    }

    fn settled(outcome: &Outcome, mark: &Mark) -> Option<Reply> {
        verdict::settled(outcome, mark)
    }

    fn denies(command: &Verdict) -> bool {
        matches!(command, Verdict::Swallow(_))
    }

    fn failed(declared: &Declared, mark: &Mark) -> Reply {
        verdict::failed(declared.word, mark)
    }

    fn call(request: &Request) -> Option<&Bytes> {
        Some(request.body())
    }
}

impl Payload for Data {
    const SECRETS: &'static [Path] =
        &[&["data", "messageProfile", "otpCode"], &["data", "messageProfile", "msgTemplate"]];

    const DECISIVE: &'static [Path] = &[
        &["data", "messageProfile", "phoneNumber"],
        &["data", "messageProfile", "deliveryChannel"],
        &["data", "messageProfile", "otpCode"],
        &["data", "messageProfile", "msgTemplate"],
    ];

    fn web(&self) -> Option<&WebRequest> {
        self.context.as_ref()?.request.as_ref()
    }
}

impl Data {
    fn message<T>(&self, part: impl Fn(&Message) -> Option<T>) -> Option<T> {
        self.message.as_ref().and_then(part)
    }
}

/// What the gateway is to send. The key is the gateway's to make.
fn message(request: &Request, to: Option<&ImmutableString>) -> Result<message::Message, CommandError> {
    let data = request.data();
    let invalid = |problem: &str| CommandError::Invalid { problem: problem.to_owned() };
    let phone = || {
        let text = data.message(|message| message.phone.clone())?;
        Phone::new(text, None).ok().map(|phone| phone.e164().clone())
    };
    let to = to.cloned().or_else(phone).filter(|number| !number.is_empty()).ok_or_else(|| {
        invalid("`send` needs a number with `+` and country, and that of this call is none: give it one that is, as in `send([via(\"a\")], phone(request.phone.text, \"US\"))`")
    })?;
    let channel = match data.message(|message| message.channel.as_deref().map(channel)).as_deref() {
        Some("sms") | None => message::Channel::Sms,
        Some("voice") => message::Channel::Voice,
        Some(_) => {
            return Err(invalid("`send` knows the channels `sms` and `voice`: leave others to Okta, with `block`"));
        }
    };
    let code = data.message(|message| message.otp.clone()).filter(|code| !code.is_empty());
    let code = code.ok_or_else(|| invalid("the call has no code that `send` could send"))?;
    let text = data.message(|message| message.text.clone()).filter(|text| !text.is_empty());
    let text = match text {
        Some(text) => Secret::new(text.reveal().as_bytes()),
        // Okta writes no text for calls; connectors have one of their own.
        None => {
            Secret::new(zeroize::Zeroizing::new(format!("Your verification code is {}.", code.reveal())).as_bytes())
        }
    };
    Ok(message::Message {
        to: to.to_string(),
        channel,
        text,
        code: Secret::new(code.reveal().as_bytes()),
        locale: data.message(|message| message.locale.clone()).map(|locale| locale.to_string()),
        key: String::new(),
    })
}

/// The name of the flow as Okta sent it.
fn kind(request: &Request) -> Option<ImmutableString> {
    let action = || request.data().message(|message| message.action.clone());
    request.request_type().map(ImmutableString::from).or_else(action)
}

fn flow(kind: &str) -> Option<&'static str> {
    let name = kind.strip_prefix("com.okta.user.telephony.")?;
    FLOWS.iter().find(|(wire, _)| *wire == name).map(|(_, word)| *word)
}

/// `SMS`, `sms`, `voice`, `Voice` and `voice call` were all seen.
fn channel(written: &str) -> String {
    let lower = written.to_lowercase();
    if lower.starts_with("voice") { "voice".into() } else { lower }
}

fn or_unit<T: rhai::Variant + Clone>(value: Option<T>) -> Dynamic {
    value.map_or(Dynamic::UNIT, Dynamic::from)
}

fn register_message(library: &mut Library) {
    type This<'a> = &'a mut Request;
    library
        .property(
            Doc::new(
                "Self.phone: Phone",
                "Where to deliver, or `()`. Okta's form is in `.phone.text`; not every org stores `+` numbers.",
                r#"request.phone.country == "GB" && request.phone.is_valid"#,
            ),
            |request: This| {
                let text = request.data().message(|message| message.phone.clone());
                or_unit(text.and_then(|text| Phone::new(text, None).ok()))
            },
        )
        .property(
            Doc::new(
                "Self.channel: string",
                "`sms` or `voice`. Anything else Okta may invent comes in lower case: leave it to Okta with `block`.",
                r#"request.channel == "sms""#,
            ),
            |request: This| {
                or_unit(
                    request
                        .data()
                        .message(|message| message.channel.as_deref().map(channel))
                        .map(ImmutableString::from),
                )
            },
        )
        .property(
            Doc::new("Self.otp: Secret", "The code, with its leading zeros; or `()`.", "!request.otp.is_empty"),
            |request: This| or_unit(request.data().message(|message| message.otp.clone())),
        )
        .property(
            Doc::new(
                "Self.message: Secret",
                "The SMS text with the code inside, hence a Secret; `()` for voice.",
                "!request.message.is_empty",
            ),
            |request: This| or_unit(request.data().message(|message| message.text.clone())),
        )
        .property(
            Doc::new("Self.expires: Time", "Until when the code is good, or `()`.", "request.expires > request.time"),
            |request: This| request::time(&request.data().message(|message| message.expires.clone())),
        )
        .property(
            Doc::new(
                "Self.locale: string",
                "The user's language: `EN-US`, `en`, …; or `()`.",
                r#"request.locale == "EN-GB""#,
            ),
            |request: This| request::text(&request.data().message(|message| message.locale.clone())),
        );
}

fn register_flow(library: &mut Library) {
    type This<'a> = &'a mut Request;
    library
        .property(
            Doc::new(
                "Self.flow: string",
                "`enrollment`, `verification`, `unlock` or `reset`; `()` if Okta does not say or it is a new one.",
                r#"request.flow == "verification""#,
            ),
            |request: This| or_unit(kind(request).and_then(|kind| flow(&kind)).map(ImmutableString::from)),
        )
        .property(
            Doc::new(
                "Self.kind: string",
                "The flow in Okta's own words (`requestType`), or `()`.",
                r#"request.kind == "com.okta.user.telephony.mfa-verification""#,
            ),
            |request: This| or_unit(kind(request)),
        )
        .property(
            Doc::new(
                "Self.user: Recipient",
                "Who gets the code, or `()`.",
                r#"request.user.login == "cleo@mail.example""#,
            ),
            |request: This| or_unit(request.data().user.clone()),
        );
}

fn register_recipient(library: &mut Library) {
    type This<'a> = &'a mut Recipient;
    library
        .value::<Recipient>("Recipient", "The user who gets the code.")
        .property(
            Doc::new("Recipient.id: string", "Okta's id (`00u…`), or `()`.", r#"request.user.id.starts_with("00u")"#),
            |user: This| request::text(&user.id),
        )
        .property(
            Doc::new(
                "Recipient.login: string",
                "The login name, or `()`.",
                r#"request.user.login == "cleo@mail.example""#,
            ),
            |user: This| request::text(&user.login),
        )
        .property(
            Doc::new("Recipient.first_name: string", "Or `()`.", r#"request.user.first_name == "Cleo""#),
            |user: This| request::text(&user.first_name),
        )
        .property(
            Doc::new("Recipient.last_name: string", "Or `()`.", r#"request.user.last_name == "Example""#),
            |user: This| request::text(&user.last_name),
        );
}

const SAMPLES: &[Sample] = &[
    Sample {
        name: "sent",
        request: SMS,
        script: r#"fn on_telephony(request) { sent("acme", "tx-1", `${request.flow} by ${request.channel}`) }"#,
        reply: r#"{"commands":[{"type":"com.okta.telephony.action","value":[{"status":"SUCCESSFUL","provider":"acme",
            "transactionId":"tx-1","transactionMetadata":"verification by sms"}]}]}"#,
    },
    Sample {
        name: "pending",
        request: VOICE,
        script: r#"fn on_telephony(request) { if request.channel == "voice" { pending("acme", "call-7") } }"#,
        reply: r#"{"commands":[{"type":"com.okta.telephony.action","value":[{"status":"PENDING","provider":"acme","transactionId":"call-7"}]}]}"#,
    },
    Sample {
        name: "swallow",
        request: SMS,
        script: r#"fn on_telephony(request) { if request.phone.country == "GB" { block("no messages to this country", "swallow") } }"#,
        reply: r#"{"commands":[{"type":"com.okta.telephony.action","value":[{"status":"SUCCESSFUL","provider":"hookgate",
            "transactionMetadata":"blocked: no messages to this country"}]}]}"#,
    },
    Sample {
        name: "let_okta_send",
        request: SMS,
        script: r#"fn on_telephony(request) { block("not ours", "let_okta_send") }"#,
        reply: r#"{"error":{"errorSummary":"not ours"}}"#,
    },
    Sample {
        name: "no_opinion",
        request: SMS,
        script: "fn on_telephony(request) { }",
        reply: r#"{"error":{"errorSummary":"hookgate leaves this message to Okta"}}"#,
    },
];

const SMS: &str = r#"{
  "eventId": "tEl5vYQ0aR2-3kzNcUuF1w", "eventTime": "2026-03-02T08:25:30.000Z",
  "eventType": "com.okta.telephony.provider", "eventTypeVersion": "1.0", "contentType": "application/json",
  "cloudEventVersion": "0.1", "source": "https://example.okta.com/api/v1/inlineHooks/cal6h1kXq2ZbT0aYw5d7",
  "requestType": "com.okta.user.telephony.mfa-verification",
  "data": {
    "context": {"request": {"id": "reqTelephonySms000000001", "method": "POST", "url": {"value": "/idp/idx/challenge"},
      "ipAddress": "192.0.2.19"}},
    "userProfile": {"firstName": "Cleo", "lastName": "Example", "login": "cleo@mail.example", "userId": "00u6h1kXq2ZbT0aYw5d7"},
    "messageProfile": {"msgTemplate": "Your code is 004711", "phoneNumber": "+447400123456",
      "otpExpires": "2026-03-02T08:30:30.321Z", "deliveryChannel": "SMS", "otpCode": "004711", "locale": "EN-GB"}
  }
}"#;

const VOICE: &str = r#"{
  "eventId": "tEl6vYQ0aR2-3kzNcUuF1w", "eventTime": "2026-03-02T08:26:30.000Z",
  "eventType": "com.okta.telephony.provider", "eventTypeVersion": "1.0", "contentType": "application/json",
  "cloudEventVersion": "0.1", "source": "https://example.okta.com/api/v1/inlineHooks/cal6h1kXq2ZbT0aYw5d7",
  "requestType": "com.okta.user.telephony.pre-enrollment",
  "data": {
    "context": {"request": {"id": "reqTelephonyVoice0000001", "method": "POST", "url": {"value": "/idp/idx/credential/enroll"},
      "ipAddress": "192.0.2.19"}},
    "userProfile": {"firstName": "Cleo", "lastName": "Example", "login": "cleo@mail.example", "userId": "00u6h1kXq2ZbT0aYw5d7"},
    "messageProfile": {"phoneNumber": 447400123456, "otpExpires": "2026-03-02T08:31:30.321Z", "deliveryChannel": "Voice Call",
      "otpCode": 52713, "locale": "en"}
  }
}"#;

#[cfg(test)]
mod tests;
