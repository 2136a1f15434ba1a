//! Every kind of call a provider makes, one file per hook; and the table of them.
//!
//! [`Contract`] is what the author of a hook writes: typed request, typed commands, the exact reply. [`Hook`] is the same
//! with the types erased: the row that the rest of the program sees. Nothing here does I/O or knows HTTP servers,
//! connectors or files.
//!
//! To add a hook: write its file, add `pub mod` and one row in [`HOOKS`], an example script and a case.

use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use rhai::{Dynamic, ImmutableString, Variant};
use serde::Serialize;
use serde_json::Value;

use hookgate_model::command::{Action, Task};
use hookgate_model::message::{Outcome, Sending};
use hookgate_script::library::{Finished, Library};
use hookgate_script::lint::advice::Advice;

pub mod catalogue;
mod error;
mod judgement;
mod mark;
pub mod okta;
mod provider;
pub mod recorded;
pub mod results;
mod returned;
pub mod text;

pub use crate::catalogue::Catalogue;
pub use crate::error::{CommandError, HookError};
pub use crate::judgement::{Answer, Judgement};
pub use crate::mark::Mark;
pub use crate::provider::{BatchForm, Caller, FailureForm, Provider, Retry, Verification};
pub use crate::provider::{VerificationReply, VerificationRequest};
use crate::recorded::RecordedParts;
pub use crate::results::ResultShape;
pub use crate::returned::{Commands, Group, MAX_ACTIONS};

/// What the author of a hook writes.
pub(crate) trait Contract: Sized + 'static {
    /// `provider.kind`, the name in `gateway.toml`.
    const NAME: &'static str;
    /// The function a script must have.
    const ENTRY: &'static str;
    /// The name of the request's type in documentation and messages.
    const REQUEST: &'static str;
    /// One sentence: when the provider calls.
    const ABOUT: &'static str;
    /// What the provider does when it gets no usable answer.
    const SILENCE: &'static str;
    /// What `on_failure` may say. Empty: it must not be stated.
    const ON_FAILURE: &'static [FailureForm];
    /// Calls with scripts and the replies they must give. The first is the one tests merge their overrides over.
    const SAMPLES: &'static [Sample];
    /// What tests find in `outcome` after each kind of result that this hook has.
    const RESULTS: &'static [ResultShape] = &[];
    /// What the people behind the hook meet at the provider, for the reference page.
    const PROVIDER: Provider;
    /// How a call that is only tried out is told from one that counts, for the reference page.
    const TRYING: &'static str = "The provider does not mark a call that is only tried out. Give the route a \
        `preview_path`, or a header with `preview = \"header:x-hookgate-preview\"`, and let the provider call that way while \
        you try: what comes so is answered as usual, `request.preview` is true, and nothing acts.";
    /// What scripts should know of the commands before a call comes.
    const ADVICE: &'static Advice = &Advice::NONE;
    /// What the record of a decision says of its calls.
    const RECORDED: &'static RecordedParts = &RecordedParts::NONE;
    /// Whether one POST carries events for rules (nothing is replied to them) instead of a call to answer.
    const EVENTS: bool = false;
    /// Types of events that answering events can cause: `*` leaves them out.
    const LOOPS: &'static [&'static str] = &[];
    /// Where those events are in the body.
    const BATCH: BatchForm = BatchForm::NONE;
    /// The types of events that the provider publishes.
    const CATALOGUE: Catalogue = Catalogue::NONE;
    /// How the provider calls, as far as a configuration may contradict it.
    const CALLER: Caller = Caller::INLINE;

    /// Typed, read-only, cheap to clone.
    type Request: Variant + Clone;
    /// Everything that a script of this hook can ask for.
    type Command: Variant + Clone + Serialize;

    /// Registers the request's properties and one constructor per command.
    fn register(library: &mut Library);

    /// Body of a POST to request.
    ///
    /// # Errors
    /// The body is not this hook's call; says which part, never a value.
    fn decode(body: &Bytes) -> Result<Self::Request, HookError>;

    /// The requests in one POST: several for a batch of events.
    ///
    /// # Errors
    /// As for [`Contract::decode`]; or there are more than `most` events, of which none is made then.
    fn split(body: &Bytes, most: usize) -> Result<Vec<Self::Request>, HookError> {
        let _ = most;
        Ok(vec![Self::decode(body)?])
    }

    /// The same request as one that is only tried out: its script reads it as a preview.
    fn as_preview(request: Self::Request) -> Self::Request;

    /// An event as it is kept until its rules have run.
    fn pack(request: &Self::Request) -> Parcel {
        let _ = request;
        Parcel::default()
    }

    /// The event of a parcel again; nothing for hooks that carry none.
    fn unpack(parcel: Parcel) -> Option<Self::Request> {
        let _ = parcel;
        None
    }

    /// What an event has at a path such as `actor.id`, `outcome.result` or `target.User.id`: what rules are filtered and
    /// ordered by. Several values where several targets have that type (`*`: any).
    fn read(request: &Self::Request, path: &str) -> Vec<ImmutableString> {
        let _ = (request, path);
        Vec::new()
    }

    /// What the gateway itself needs to know of a request.
    fn facts(request: &Self::Request) -> Facts;

    /// Commands to the exact reply of the contract, or what is wrong with them.
    ///
    /// # Errors
    /// A command that the provider would ignore or that would void the whole answer.
    fn reply(request: &Self::Request, commands: Commands<Self::Command>, mark: &Mark) -> Result<Reply, CommandError>;

    /// What has to be sent to somebody before there is an answer. [`Contract::reply`] then gives the one for when the first
    /// connector takes it.
    ///
    /// # Errors
    /// It cannot be sent to anybody.
    fn sending(request: &Self::Request, commands: &Commands<Self::Command>) -> Result<Option<Sending>, CommandError> {
        let _ = (request, commands);
        Ok(None)
    }

    /// Whether a command keeps somebody from what they came for. Records of such decisions go before others.
    fn denies(command: &Self::Command) -> bool {
        let _ = command;
        false
    }

    /// The reply once sending has ended; nothing where the declared answer is to be given.
    fn settled(outcome: &Outcome, mark: &Mark) -> Option<Reply> {
        let _ = (outcome, mark);
        None
    }

    /// The declared answer for when the script cannot give one.
    fn failed(declared: &Declared, mark: &Mark) -> Reply;

    /// The body that a request was read from, for the check of replies in builds with debug assertions; nothing where replies
    /// do not depend on it.
    fn body(request: &Self::Request) -> Option<&Bytes> {
        let _ = request;
        None
    }

    /// What the provider makes of this answer to `call`, which is `null` where it is not known. Without an answer, none came
    /// in time.
    fn judge(call: &Value, answer: Option<&Answer<'_>>) -> Judgement;
}

/// `on_failure` of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    pub(crate) word: &'static str,
    pub(crate) text: String,
}

/// A call, a script and the reply it must give. A test runs every one.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub name: &'static str,
    pub request: &'static str,
    pub script: &'static str,
    /// JSON without `debugContext`; empty where the reply has no body.
    pub reply: &'static str,
}

/// What the gateway needs to know of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The id that the provider gave this call or event: the key of the duplicate guard.
    pub provider_id: Option<ImmutableString>,
    /// The provider's id of the request that caused the call.
    pub request_id: Option<ImmutableString>,
    /// Of an event: what rules match on.
    pub event_type: Option<ImmutableString>,
    /// A try-out: actions are recorded, not done.
    pub preview: bool,
    /// Of an event: when it happened.
    pub published: Option<Timestamp>,
    /// Of an event: whether the id is its own, not its place in the delivery.
    pub has_own_id: bool,
    /// Of an event: why rules cannot read it.
    pub problem: Option<String>,
    /// What of it could not be read as it was sent: one sentence each, without a value.
    pub notes: Vec<String>,
}

/// An event as it is kept: everything that a rule needs to run on it later, perhaps in another process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parcel {
    /// [`Facts::provider_id`].
    pub key: String,
    /// What it had in common with others of its delivery, in the hook's own form.
    pub envelope: Arc<str>,
    /// As it was sent, byte for byte.
    pub body: Bytes,
    /// Somebody asked for it to run once more.
    pub replay: bool,
    /// It is only tried out.
    pub preview: bool,
    /// When it was kept, in milliseconds since 1970; nothing for one that is not kept, as in a test.
    pub received: Option<i64>,
}

/// What goes back to the caller. An empty body goes without content type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub body: Bytes,
    /// What of the commands was left out, and why: for the log and for tests, never for the caller.
    pub notes: Vec<String>,
}

/// What a script asked for: the answer, and what the gateway is to do besides.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Where something has to be sent first, the reply for when the first connector takes it.
    pub reply: Reply,
    /// Nobody has checked yet that there are such connectors.
    pub sending: Option<Sending>,
    /// In the order of the script. Nobody has checked yet that there are such connectors.
    pub actions: Vec<Action>,
    /// Whether somebody is kept from what they came for.
    pub denied: bool,
}

/// A hook with its types erased: one row of [`HOOKS`].
#[derive(Clone, Copy)]
pub struct Hook {
    pub name: &'static str,
    pub entry: &'static str,
    pub request: &'static str,
    pub about: &'static str,
    pub silence: &'static str,
    pub on_failure: &'static [FailureForm],
    pub samples: &'static [Sample],
    pub results: &'static [ResultShape],
    pub provider: Provider,
    pub trying: &'static str,
    pub advice: &'static Advice,
    pub recorded: &'static RecordedParts,
    pub events: bool,
    pub loops: &'static [&'static str],
    pub batch: BatchForm,
    pub catalogue: Catalogue,
    pub caller: Caller,
    /// The registrations of this hook.
    pub library: fn() -> &'static Finished,
    /// Answers the provider's one-time check that we own the address.
    pub challenge: fn(&HeaderMap) -> Result<Reply, HookError>,
    pub decode: fn(&Bytes) -> Result<Decoded, HookError>,
    pub split: fn(&Bytes, usize) -> Result<Vec<Decoded>, HookError>,
    /// The same request as one that is only tried out.
    pub as_preview: fn(Decoded) -> Decoded,
    pub pack: fn(&Decoded) -> Parcel,
    pub unpack: fn(Parcel) -> Option<Decoded>,
    pub read: fn(&Decoded, &str) -> Vec<ImmutableString>,
    pub encode: fn(&Decoded, Dynamic, &Mark) -> Result<Encoded, CommandError>,
    /// The commands of the hook among what a script returned, as JSON: `"allow"`, `{"deny": {"text": "…"}}`.
    pub describe: fn(&Dynamic) -> Vec<Value>,
    pub settled: fn(&Outcome, &Mark) -> Option<Reply>,
    pub failed: fn(&Declared, &Mark) -> Reply,
    pub judge: fn(&Value, Option<&Answer<'_>>) -> Judgement,
    /// What the provider does on this reply to some call: the effect of [`Hook::judge`].
    pub effect: fn(&Reply) -> String,
}

/// A request of some hook, as scripts get it, with what the gateway needs to know of it.
#[derive(Clone, Debug)]
pub struct Decoded {
    pub request: Dynamic,
    pub facts: Facts,
}

impl Decoded {
    fn typed<C: Contract>(&self) -> impl Deref<Target = C::Request> + '_ {
        self.request.read_lock::<C::Request>().expect("a hook is given what it decoded")
    }
}

/// The table. Its order is that of documentation.
pub static HOOKS: LazyLock<Vec<Hook>> = LazyLock::new(okta::hooks);

/// Headers in which providers send their own id of a request, for the log; the first that is there counts.
pub const REQUEST_ID_HEADERS: [&str; 2] = [okta::REQUEST_ID_HEADER, "x-request-id"];

/// The row of that name.
pub fn find(name: &str) -> Option<&'static Hook> {
    HOOKS.iter().find(|hook| hook.name == name)
}

impl Hook {
    /// The row of a contract. `library` is the cached result of [`library_of`] for the same contract.
    pub(crate) const fn of<C: Contract>(
        library: fn() -> &'static Finished,
        challenge: fn(&HeaderMap) -> Result<Reply, HookError>,
    ) -> Self {
        Self {
            name: C::NAME,
            entry: C::ENTRY,
            request: C::REQUEST,
            about: C::ABOUT,
            silence: C::SILENCE,
            on_failure: C::ON_FAILURE,
            samples: C::SAMPLES,
            results: C::RESULTS,
            provider: C::PROVIDER,
            trying: C::TRYING,
            advice: C::ADVICE,
            recorded: C::RECORDED,
            events: C::EVENTS,
            loops: C::LOOPS,
            batch: C::BATCH,
            catalogue: C::CATALOGUE,
            caller: C::CALLER,
            library,
            challenge,
            decode: |body| C::decode(body).map(erase::<C>),
            split: |body, most| Ok(C::split(body, most)?.into_iter().map(erase::<C>).collect()),
            as_preview: |decoded| {
                let request = decoded.request.try_cast::<C::Request>().expect("a hook is given what it decoded");
                erase::<C>(C::as_preview(request))
            },
            pack: |decoded| C::pack(&decoded.typed::<C>()),
            unpack: |parcel| C::unpack(parcel).map(erase::<C>),
            read: |decoded, path| C::read(&decoded.typed::<C>(), path),
            encode: encode::<C>,
            describe: describe_commands::<C>,
            settled: |outcome, mark| C::settled(outcome, mark).inspect(|reply| check::<C>(None, reply)),
            failed: |declared, mark| {
                let reply = C::failed(declared, mark);
                check::<C>(None, &reply);
                reply
            },
            judge: C::judge,
            effect: |reply| C::judge(&Value::Null, Some(&reply.as_answer())).effect,
        }
    }

    /// `on_failure` in the words of this hook.
    pub fn declared(&self, word: &str, text: Option<&str>) -> Option<Declared> {
        let form = self.on_failure.iter().find(|form| form.word == word && form.takes_text == text.is_some())?;
        Some(Declared { word: form.word, text: text.unwrap_or_default().to_owned() })
    }
}

/// Registers everything a contract has.
pub(crate) fn library_of<C: Contract>() -> Finished {
    let mut library = Library::new(C::NAME);
    C::register(&mut library);
    library.finish()
}

fn erase<C: Contract>(request: C::Request) -> Decoded {
    let facts = C::facts(&request);
    Decoded { request: Dynamic::from(request), facts }
}

fn encode<C: Contract>(decoded: &Decoded, returned: Dynamic, mark: &Mark) -> Result<Encoded, CommandError> {
    let (commands, actions) = Commands::collect::<C>(returned)?;
    if actions.len() > MAX_ACTIONS {
        return Err(CommandError::TooManyActions { count: actions.len() });
    }
    if !C::EVENTS && actions.iter().any(|action| action.task == Task::Forward) {
        return Err(CommandError::NothingToForward { hook: C::NAME });
    }
    let request = decoded.typed::<C>();
    let sending = C::sending(&request, &commands)?;
    let denied = commands.iter().any(C::denies);
    let reply = C::reply(&request, commands, mark)?;
    check::<C>(Some(&request), &reply);
    Ok(Encoded { reply, sending, actions, denied })
}

/// In builds with debug assertions: whether the provider takes what we are about to send. A reply that it does not take is a
/// defect of ours, because commands are checked when they are made and fitted to the call when they are encoded.
fn check<C: Contract>(request: Option<&C::Request>, reply: &Reply) {
    if !cfg!(debug_assertions) || C::EVENTS {
        return;
    }
    let body = request.and_then(C::body);
    let call = body.and_then(|body| serde_json::from_slice(body).ok()).unwrap_or(Value::Null);
    let judgement = C::judge(&call, Some(&reply.as_answer()));
    assert!(judgement.is_valid(), "{} does not take our reply: {:?}", C::NAME, judgement.violations);
}

fn describe_commands<C: Contract>(returned: &Dynamic) -> Vec<Value> {
    if let Ok(items) = returned.as_array_ref() {
        return items.iter().flat_map(describe_commands::<C>).collect();
    }
    let command = returned.read_lock::<C::Command>();
    command.and_then(|command| serde_json::to_value(&*command).ok()).into_iter().collect()
}

impl Reply {
    /// A reply without a body.
    pub const fn empty(status: u16) -> Self {
        Self { status, body: Bytes::new(), notes: Vec::new() }
    }

    pub(crate) fn json(body: impl Into<Bytes>) -> Self {
        Self { status: 200, body: body.into(), notes: Vec::new() }
    }

    /// The body as JSON; `null` when there is none.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

#[cfg(test)]
mod tests;
