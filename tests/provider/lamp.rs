//! A provider that does not exist, with one hook for each way of calling that Okta does not have.
//!
//! Nothing outside this file names it: what a new provider needs is here, and a script, a case and a page.

use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use hookgate_hooks::envelope::{Envelope, TokenForm, WithHeaders};
use hookgate_hooks::proof::{Expiry, RequiredProof, Sign, TokenPlace, TokenRules};
use hookgate_hooks::{
    Answer, Caller, CommandError, Commands, Contract, Declared, Facts, FailureForm, Handshake, Hook, HookError,
    InlineHook, Judgement, Mark, Once, Provider, RefusedCall, Reply, ReplySigner, Sample,
};
use hookgate_script::library::{Doc, Library};

/// The rows of the table.
pub fn hooks() -> Vec<Hook> {
    vec![Hook::inline::<Farewell>(), Hook::inline::<Verdict>()]
}

const PROVIDER: Provider =
    Provider { fails: "open", user_sees: "Nothing.", limits: &["Lamp waits two seconds."], checked: "never" };

const CALLER: Caller = Caller { provider: "Lamp", agent: "Lamp/1", patience_ms: 2_000, ..Caller::INLINE };

/// The header in which Lamp names who it is when it asks whether calls are welcome.
const ORIGIN: &str = "webhook-request-origin";

/// Lamp asks with OPTIONS, without a proof, whether calls are welcome.
const WELCOME: Handshake = Handshake {
    methods: &[Method::OPTIONS],
    needs_proof: false,
    answer: |method: &Method, headers: &HeaderMap, _: &Uri| {
        let origin = headers.get(ORIGIN).filter(|_| *method == Method::OPTIONS)?;
        let allowed = (HeaderName::from_static("webhook-allowed-origin"), origin.clone());
        Some(Ok(Reply { headers: vec![allowed], ..Reply::empty(200) }))
    },
};

/// Refusals as OAuth has them.
fn refused(call: &RefusedCall<'_>) -> Reply {
    let status = if call.status == 401 { 400 } else { call.status };
    let body = json!({ "error": call.proof.unwrap_or(call.reason), "error_description": call.hint }).to_string();
    let headers = vec![(CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Reply { status, headers, ..Reply::json(body) }
}

/// Somebody leaves: a form with a signed token that counts once.
pub struct Farewell;

/// The claims of the token.
#[derive(Clone, Debug)]
pub struct FarewellRequest {
    id: Option<String>,
    subject: String,
    issued: i64,
    tried: bool,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FarewellCommand {
    Gone,
    Unknown,
}

impl Contract for Farewell {
    const NAME: &'static str = "lamp.farewell";
    const ENTRY: &'static str = "on_farewell";
    const REQUEST: &'static str = "Farewell";
    const ABOUT: &'static str = "Somebody leaves.";
    const SILENCE: &'static str = "Lamp forgets about it.";
    const SAMPLES: &'static [Sample] = &[Sample {
        name: "leaves",
        request: r#"{"iss": "https://lamp.example", "aud": "hookgate", "sub": "ann", "jti": "j-1", "iat": 1772440200}"#,
        script: r#"fn on_farewell(request) { if request.subject == "ann" { gone() } else { unknown() } }"#,
        reply: "",
    }];
    const PROVIDER: Provider = PROVIDER;
    const CALLER: Caller = Caller { renew, ..CALLER };
    const PROOF: RequiredProof = RequiredProof::Token;
    const TOKEN: TokenRules =
        TokenRules { types: &["farewell+jwt"], expiry: Expiry::Optional { max_age_s: 600 }, place: TokenPlace::Body };
    const ENVELOPE: &'static dyn Envelope = &TokenForm { field: "farewell_token" };
    const HANDSHAKE: Handshake = WELCOME;
    const DIALECT: Option<hookgate_hooks::Dialect> = Some(refused);

    type Request = FarewellRequest;

    fn register(library: &mut Library) {
        library
            .value::<FarewellRequest>(Self::REQUEST, "Somebody leaves.")
            .property(
                Doc::new("Self.subject: string", "Who leaves.", r#"request.subject == "ann""#),
                |request: &mut FarewellRequest| request.subject.clone(),
            )
            .command(Doc::new("gone() -> Command", "They are gone.", "gone()"), || FarewellCommand::Gone)
            .command(Doc::new("unknown() -> Command", "Nobody knows them.", "unknown()"), || FarewellCommand::Unknown);
    }

    fn decode(call: &Bytes) -> Result<FarewellRequest, HookError> {
        let claims = object(Self::NAME, call)?;
        let text = |name: &str| claims[name].as_str().map(str::to_owned);
        let subject = text("sub").ok_or_else(|| shape(Self::NAME, "`sub` is missing"))?;
        Ok(FarewellRequest {
            id: text("jti"),
            subject,
            issued: claims["iat"].as_i64().unwrap_or_default(),
            tried: false,
        })
    }

    fn as_preview(request: FarewellRequest) -> FarewellRequest {
        FarewellRequest { tried: true, ..request }
    }

    fn facts(request: &FarewellRequest) -> Facts {
        let issued = Timestamp::from_second(request.issued).unwrap_or(Timestamp::UNIX_EPOCH);
        let until = issued.checked_add(SignedDuration::from_secs(660)).unwrap_or(Timestamp::MAX);
        let once = Once::Until(until);
        Facts { provider_id: request.id.clone().map(Into::into), once, preview: request.tried, ..Facts::default() }
    }

    fn judge(_: &Value, answer: Option<&Answer<'_>>) -> Judgement {
        judged(answer, |answer| matches!(answer.status, 200 | 404) && answer.body.is_empty())
    }
}

impl InlineHook for Farewell {
    const ON_FAILURE: &'static [FailureForm] =
        &[FailureForm { word: "later", takes_text: false, about: "Lamp tries again." }];

    type Command = FarewellCommand;

    fn reply(_: &FarewellRequest, commands: Commands<FarewellCommand>, _: &Mark) -> Result<Reply, CommandError> {
        let status = match commands.flat().next() {
            Some(FarewellCommand::Gone) => 200,
            Some(FarewellCommand::Unknown) => 404,
            None => return Err(CommandError::Invalid { problem: "return `gone()` or `unknown()`".to_owned() }),
        };
        Ok(Reply { headers: vec![(CACHE_CONTROL, HeaderValue::from_static("no-store"))], ..Reply::empty(status) })
    }

    fn failed(_: &Declared, _: &Mark) -> Reply {
        Reply::empty(404)
    }
}

/// Lamp wants to know whether something may happen: JSON with headers beside it, signed, and so is the reply.
pub struct Verdict;

#[derive(Clone, Debug)]
pub struct VerdictRequest {
    id: String,
    what: String,
    tried: bool,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictCommand {
    Yes,
}

/// The header with the signature of a reply.
pub const SIGNED: &str = "x-lamp-signature";

impl Contract for Verdict {
    const NAME: &'static str = "lamp.verdict";
    const ENTRY: &'static str = "on_verdict";
    const REQUEST: &'static str = "VerdictRequest";
    const ABOUT: &'static str = "Lamp asks whether something may happen.";
    const SILENCE: &'static str = "Lamp lets it happen.";
    const SAMPLES: &'static [Sample] = &[Sample {
        name: "asks",
        request: r#"{"headers": {"webhook-id": "msg_1"}, "body": {"what": "light"}}"#,
        script: "fn on_verdict(request) { yes() }",
        reply: r#"{"verdict": "yes"}"#,
    }];
    const PROVIDER: Provider = PROVIDER;
    const CALLER: Caller = CALLER;
    const PROOF: RequiredProof = RequiredProof::Signature;
    const ENVELOPE: &'static dyn Envelope = &WithHeaders { headers: &["webhook-id"] };

    type Request = VerdictRequest;

    fn register(library: &mut Library) {
        library
            .value::<VerdictRequest>(Self::REQUEST, "Whether something may happen.")
            .property(
                Doc::new("Self.what: string", "What would happen.", r#"request.what == "light""#),
                |request: &mut VerdictRequest| request.what.clone(),
            )
            .command(Doc::new("yes() -> Command", "It may.", "yes()"), || VerdictCommand::Yes);
    }

    fn decode(call: &Bytes) -> Result<VerdictRequest, HookError> {
        let call = object(Self::NAME, call)?;
        let text = |path: &str| call.pointer(path).and_then(Value::as_str).map(str::to_owned);
        let id = text("/headers/webhook-id").ok_or_else(|| shape(Self::NAME, "`webhook-id` is missing"))?;
        let what = text("/body/what").ok_or_else(|| shape(Self::NAME, "`what` is missing"))?;
        Ok(VerdictRequest { id, what, tried: false })
    }

    fn as_preview(request: VerdictRequest) -> VerdictRequest {
        VerdictRequest { tried: true, ..request }
    }

    fn facts(request: &VerdictRequest) -> Facts {
        Facts { provider_id: Some(request.id.as_str().into()), preview: request.tried, ..Facts::default() }
    }

    fn judge(_: &Value, answer: Option<&Answer<'_>>) -> Judgement {
        judged(answer, |answer| answer.status == 200 && !answer.body.is_empty())
    }
}

impl InlineHook for Verdict {
    const ON_FAILURE: &'static [FailureForm] =
        &[FailureForm { word: "challenge", takes_text: true, about: "Lamp asks the person this question." }];
    const DEADLINE_MS: Option<u64> = Some(700);
    const SIGNER: Option<ReplySigner> = Some(sign);

    type Command = VerdictCommand;

    fn reply(_: &VerdictRequest, commands: Commands<VerdictCommand>, _: &Mark) -> Result<Reply, CommandError> {
        let word = if commands.is_empty() { "no" } else { "yes" };
        Ok(Reply::json(json!({ "verdict": word }).to_string()))
    }

    fn failed(declared: &Declared, _: &Mark) -> Reply {
        Reply::json(json!({ "verdict": "challenge", "question": declared.text }).to_string())
    }
}

/// The signature is over the bytes of the body.
fn sign(mut reply: Reply, key: &dyn Sign, _: Timestamp) -> Reply {
    let signature = hex::encode(key.hmac_sha256(&reply.body));
    let value = HeaderValue::try_from(signature).expect("hexadecimal digits can stand in a header");
    reply.headers.push((HeaderName::from_static(SIGNED), value));
    reply
}

/// Each call has an id of its own, and was made just now.
fn renew(call: &mut Value, now: Timestamp) {
    call["jti"] = json!(uuid::Uuid::new_v4().to_string());
    call["iat"] = json!(now.as_second());
}

fn object(hook: &'static str, call: &Bytes) -> Result<Value, HookError> {
    let value: Value =
        serde_json::from_slice(call).map_err(|error| HookError::NotJson { problem: error.to_string() })?;
    if value.is_object() { Ok(value) } else { Err(shape(hook, "it is no object")) }
}

fn shape(hook: &'static str, problem: &str) -> HookError {
    HookError::Shape { hook, problem: problem.to_owned() }
}

fn judged(answer: Option<&Answer<'_>>, is_valid: fn(&Answer<'_>) -> bool) -> Judgement {
    match answer {
        Some(answer) if is_valid(answer) => {
            Judgement { violations: Vec::new(), effect: "Lamp does what it heard".to_owned() }
        }
        _ => Judgement { violations: vec!["Lamp takes no such answer".to_owned()], effect: "Lamp goes on".to_owned() },
    }
}
