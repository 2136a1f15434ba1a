//! What a telephony script can decide, and its form on the wire.
//!
//! There is no way to say `FAILED`, and none to block without saying who sends instead.

use rhai::{Array, Dynamic, EvalAltResult, ImmutableString, Map};
use serde::Serialize;

use crate::okta::judge::telephony::ACTION;
use crate::okta::reply;
use crate::{CommandError, Commands, Mark, Reply};
use hookgate_model::message::Outcome;
use hookgate_script::library::{Doc, Library};
use hookgate_script::prelude::phone::Phone;

type Fallible<T> = Result<T, Box<EvalAltResult>>;

/// Everything that a telephony script can ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// A provider took the message.
    Report(Delivery),
    /// Nobody sends; Okta believes that we did.
    Swallow(ImmutableString),
    /// Okta's own providers send.
    LetOktaSend(Failure),
    /// The gateway sends, trying these connectors in order.
    Send {
        ways: Vec<Via>,
        /// To this number instead of that of the call.
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<ImmutableString>,
    },
}

/// A connector to send through; `Via` in scripts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Via(ImmutableString);

/// One element of `com.okta.telephony.action`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delivery {
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<ImmutableString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_id: Option<ImmutableString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_metadata: Option<ImmutableString>,
}

/// `FAILED` is missing on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Successful,
    Pending,
}

/// The error object; the object form, though one published example has an array (contract, section 14).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Failure {
    error_summary: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_causes: Option<[Cause; 1]>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Cause {
    error_summary: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
}

/// Who sent when nobody did.
pub(in crate::okta) const OURSELVES: &str = "hookgate";

/// The id in a reply that was made without sending anything: in tests, and for previews.
const NOT_SENT: &str = "not-sent";

const LEFT_TO_OKTA: &str = "hookgate leaves this message to Okta";

/// More tries than fit into three seconds are a mistake.
const MAX_CONNECTORS: usize = 4;

pub(super) fn register(library: &mut Library) {
    register_reports(library);
    register_blocks(library);
    library
        .value::<Via>("Via", "A connector to send through.")
        .command(Doc::new("via(connector: string) -> Via", "One way to send, for `send`: a connector of kind `twilio`, `vonage`, `sns` or `sms_template`.", r#"send([via("acme")])"#), |connector: ImmutableString| {
            Ok::<_, Box<EvalAltResult>>(Via(filled("via", "the name of a connector", connector)?))
        })
        .command(
            Doc::new(
                "send(ways: array) -> command",
                "The gateway sends to the number of the call, trying each `via(connector)` in order until one takes the message. If none does, `on_failure` is given. If one does not answer in time, nobody else is tried: the user may have the code.",
                r#"send([via("acme"), via("other")])"#,
            ),
            |ways: Array| send(ways, None),
        )
        .command(
            Doc::new(
                "send(ways: array, number: Phone) -> command",
                "The same to another spelling of the number: where Okta has it without `+`.",
                r#"send([via("acme")], phone("07400 123456", "GB"))"#,
            ),
            |ways: Array, number: Phone| send(ways, Some(number)),
        );
}

impl Via {
    pub(super) fn name(&self) -> &str {
        &self.0
    }
}

fn register_reports(library: &mut Library) {
    type Text = ImmutableString;
    library
        .command(
            Doc::new(
                "sent(provider: string, id: any) -> command",
                "The message was sent: Okta waits for the code. `id` is the provider's text, or `()` if it gave none.",
                r#"sent("acme", "SM52498")"#,
            ),
            |provider: Text, id: Dynamic| report("sent", Status::Successful, Some(provider), id, None),
        )
        .command(
            Doc::new(
                "sent(provider: string, id: any, metadata: string) -> command",
                "The same with a remark for the System Log.",
                r#"sent("acme", "SM52498", "route 7")"#,
            ),
            |provider: Text, id: Dynamic, metadata: Text| {
                report("sent", Status::Successful, Some(provider), id, Some(metadata))
            },
        )
        .command(
            Doc::new("sent(provider: string) -> command", "The same without an id.", r#"sent("acme")"#),
            |provider: Text| report("sent", Status::Successful, Some(provider), Dynamic::UNIT, None),
        )
        .command(Doc::new("sent() -> command", "The same, and nothing is said of who sent it.", "sent()"), || {
            report("sent", Status::Successful, None, Dynamic::UNIT, None)
        })
        .command(
            Doc::new(
                "pending(provider: string, id: any) -> command",
                "The provider took the message, its delivery is not confirmed: Okta waits for the code.",
                r#"pending("acme", "SM52498")"#,
            ),
            |provider: Text, id: Dynamic| report("pending", Status::Pending, Some(provider), id, None),
        )
        .command(
            Doc::new(
                "pending(provider: string, id: any, metadata: string) -> command",
                "The same with a remark for the System Log.",
                r#"pending("acme", "SM52498", "queued")"#,
            ),
            |provider: Text, id: Dynamic, metadata: Text| {
                report("pending", Status::Pending, Some(provider), id, Some(metadata))
            },
        )
        .command(
            Doc::new("pending(provider: string) -> command", "The same without an id.", r#"pending("acme")"#),
            |provider: Text| report("pending", Status::Pending, Some(provider), Dynamic::UNIT, None),
        )
        .command(
            Doc::new("pending() -> command", "The same, and nothing is said of who delivers it.", "pending()"),
            || report("pending", Status::Pending, None, Dynamic::UNIT, None),
        );
}

fn register_blocks(library: &mut Library) {
    library
        .command(
            Doc::new(
                "block(reason: string, mode: string) -> command",
                "We do not send. Mode `swallow`: nobody does, and Okta believes it was sent. Mode `let_okta_send`: Okta's providers send; users may read the reason.",
                r#"block("premium number", "swallow")"#,
            ),
            |reason: ImmutableString, mode: ImmutableString| block(reason, &mode, None),
        )
        .command(
            Doc::new(
                "block(reason: string, mode: string, cause: map) -> command",
                "The same for `let_okta_send`, with a cause for the System Log: `summary`, and if known `reason` and `location`.",
                r#"block("not delivered", "let_okta_send", #{ summary: "refused by the carrier" })"#,
            ),
            |reason: ImmutableString, mode: ImmutableString, cause: Map| block(reason, &mode, Some(cause)),
        )
        // Without this Rhai would say only that there is no such function.
        .overload("block", |_: ImmutableString| {
            Err::<Verdict, Box<EvalAltResult>>(format!("`block` needs a mode: {MODES}").into())
        });
}

const MODES: &str = "\"swallow\" (nobody sends) or \"let_okta_send\" (Okta sends)";

fn filled(function: &str, what: &str, text: ImmutableString) -> Fallible<ImmutableString> {
    if text.trim().is_empty() {
        Err(format!("`{function}` needs {what}, and this one is empty").into())
    } else {
        Ok(text)
    }
}

fn report(
    function: &str,
    status: Status,
    provider: Option<ImmutableString>,
    id: Dynamic,
    metadata: Option<ImmutableString>,
) -> Fallible<Verdict> {
    let provider = provider.map(|provider| filled(function, "the name of the provider", provider)).transpose()?;
    let transaction_id = match id.is_unit() {
        true => None,
        false => {
            let id =
                id.into_immutable_string().map_err(|kind| format!("the id of `{function}` is a text, not {kind}"))?;
            Some(filled(function, "the provider's id of the message", id)?)
        }
    };
    Ok(Verdict::Report(Delivery { status, provider, transaction_id, transaction_metadata: metadata }))
}

fn block(reason: ImmutableString, mode: &str, cause: Option<Map>) -> Fallible<Verdict> {
    let reason = filled("block", "a reason", reason)?;
    match (mode, cause) {
        ("swallow", None) => Ok(Verdict::Swallow(reason)),
        ("swallow", Some(_)) => {
            Err("`block` takes a cause with \"let_okta_send\" only: Okta reads none beside a success".into())
        }
        ("let_okta_send", cause) => {
            let error_causes = cause.map(read_cause).transpose()?.map(|cause| [cause]);
            Ok(Verdict::LetOktaSend(Failure { error_summary: reply::bounded(&reason), error_causes }))
        }
        (other, _) => Err(format!("`{other}` is no mode of `block`: write {MODES}").into()),
    }
}

fn read_cause(map: Map) -> Fallible<Cause> {
    let mut cause = Cause::default();
    for (name, value) in map {
        let text =
            value.into_immutable_string().map_err(|kind| format!("`{name}` of a cause must be a text, not {kind}"))?;
        let text = reply::bounded(&text);
        match name.as_str() {
            "summary" => cause.error_summary = text,
            "reason" => cause.reason = Some(text),
            "location" => cause.location = Some(text),
            _ => return Err(format!("a cause has `summary`, `reason` and `location`, not `{name}`").into()),
        }
    }
    if cause.error_summary.trim().is_empty() {
        return Err("a cause needs a `summary`".into());
    }
    Ok(cause)
}

fn send(ways: Array, number: Option<Phone>) -> Fallible<Verdict> {
    let to = number.map(|number| match number.is_valid() {
        true => Ok(number.e164().clone()),
        false => Err("`send` needs a number that can exist: look at `.is_valid` first, and `block` what is none"),
    });
    let to = to.transpose()?;
    let mut chain = Vec::with_capacity(ways.len());
    for way in ways {
        let way = way.try_cast_result::<Via>().map_err(|other: Dynamic| {
            format!("`send` takes a list of `via(connector)`, and this has a value of type {}", other.type_name())
        })?;
        if chain.contains(&way) {
            return Err(
                format!("`send` names the connector `{}` twice: one that failed is not tried again", way.0).into()
            );
        }
        chain.push(way);
    }
    match chain.len() {
        0 => Err("`send` needs at least one `via(connector)`; to send nothing, use `block`".into()),
        1..=MAX_CONNECTORS => Ok(Verdict::Send { ways: chain, to }),
        count => {
            Err(format!("`send` takes {MAX_CONNECTORS} connectors at most, this has {count}: Okta waits three seconds")
                .into())
        }
    }
}

pub(super) fn reply(commands: Commands<Verdict>, mark: &Mark) -> Result<Reply, CommandError> {
    let mut commands = commands.flat();
    let Some(verdict) = commands.next() else { return Ok(reply::failure(LEFT_TO_OKTA, mark)) };
    if commands.next().is_some() {
        let problem =
            "the script returned more than one verdict; return one of `send`, `sent`, `pending` and `block`".into();
        return Err(CommandError::Invalid { problem });
    }
    match verdict {
        Verdict::Report(delivery) => delivered(delivery, mark),
        Verdict::Swallow(reason) => delivered(nobody(&format!("blocked: {reason}")), mark),
        Verdict::LetOktaSend(failure) => reply::error(&failure, mark),
        Verdict::Send { ways, .. } => {
            let connector = ways.first().map(|way| way.0.to_string()).unwrap_or_default();
            let outcome = Outcome::Delivered { connector, id: NOT_SENT.to_owned() };
            Ok(settled(&outcome, mark).unwrap_or_else(|| reply::failure(LEFT_TO_OKTA, mark)))
        }
    }
}

pub(super) fn failed(word: &str, mark: &Mark) -> Reply {
    match word {
        "swallow" => delivered(nobody("not sent: the script gave no answer"), mark).expect("a fixed text is short"),
        _ => reply::failure(LEFT_TO_OKTA, mark),
    }
}

/// The reply once sending has ended. What may have been sent is reported as pending: Okta sending, too, would give the
/// user two messages. What was certainly not sent is for the declared answer.
pub(super) fn settled(outcome: &Outcome, mark: &Mark) -> Option<Reply> {
    let report = |status, connector: &str, id: Option<&str>, metadata: Option<&str>| Delivery {
        status,
        provider: Some(reply::bounded(connector).into()),
        transaction_id: id.map(|id| reply::bounded(id).into()),
        transaction_metadata: metadata.map(ImmutableString::from),
    };
    let delivery = match outcome {
        Outcome::Delivered { connector, id } => report(Status::Successful, connector, Some(id), None),
        Outcome::Unknown { connector } => report(Status::Pending, connector, None, Some("no answer in time")),
        Outcome::Failed(_) => return None,
    };
    Some(delivered(delivery, mark).expect("bounded texts stay under the limit"))
}

fn nobody(remark: &str) -> Delivery {
    let remark = reply::bounded(remark).into();
    Delivery {
        status: Status::Successful,
        provider: Some(OURSELVES.into()),
        transaction_id: None,
        transaction_metadata: Some(remark),
    }
}

fn delivered(delivery: Delivery, mark: &Mark) -> Result<Reply, CommandError> {
    reply::reply(&[reply::Command { r#type: ACTION, value: [delivery] }], None, mark)
}
