//! A hook with its types erased: one row of the table, which the rest of the program sees.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use jiff::Timestamp;
use rhai::{Dynamic, ImmutableString, Variant};
use serde::Serialize;
use serde_json::Value;

use crate::contract::{Contract, EventHook, InlineHook};
use crate::envelope::Envelope;
use crate::handshake::Handshake;
use crate::proof::{RequiredProof, TokenRules};
use crate::recorded::RecordedParts;
use crate::{
    Answer, BatchForm, Caller, Catalogue, CommandError, Commands, Dialect, Encoded, FailureForm, HookError, Judgement,
    Mark, Provider, Reply, ReplySigner, ResultShape, Sample,
};
use hookgate_model::command::Task;
use hookgate_model::message::Outcome;
use hookgate_script::library::{Finished, Library};
use hookgate_script::lint::advice::Advice;

/// A hook with its types erased: one row of [`HOOKS`](crate::HOOKS).
pub struct Hook {
    pub name: &'static str,
    pub entry: &'static str,
    pub request: &'static str,
    pub about: &'static str,
    pub silence: &'static str,
    pub samples: &'static [Sample],
    pub results: &'static [ResultShape],
    pub provider: Provider,
    pub trying: &'static str,
    pub advice: &'static Advice,
    pub recorded: &'static RecordedParts,
    pub caller: Caller,
    pub proof: RequiredProof,
    pub token: TokenRules,
    pub envelope: &'static dyn Envelope,
    pub handshake: Handshake,
    pub dialect: Option<Dialect>,
    /// Whether the head of a call is needed with its body: it is a part of the call, or the reply is signed.
    pub needs_head: bool,
    library: LazyLock<Finished>,
    pub decode: fn(&Bytes) -> Result<Decoded, HookError>,
    /// The same request as one that is only tried out.
    pub as_preview: fn(Decoded) -> Decoded,
    /// What a script returned, taken apart. Of an event there are only actions.
    pub encode: fn(&Decoded, Dynamic, &Mark) -> Result<Encoded, CommandError>,
    /// The commands of the hook among what a script returned, as JSON: `"allow"`, `{"deny": {"text": "…"}}`.
    pub describe: fn(&Dynamic) -> Vec<Value>,
    pub judge: fn(&Value, Option<&Answer<'_>>) -> Judgement,
    /// What the provider does on this reply to some call: the effect of [`Hook::judge`].
    pub effect: fn(&Reply) -> String,
    kind: Kind,
}

enum Kind {
    Inline(InlineRow),
    Events(EventRow),
}

/// What only hooks have whose calls wait for an answer.
pub struct InlineRow {
    pub on_failure: &'static [FailureForm],
    pub deadline_ms: Option<u64>,
    pub signer: Option<ReplySigner>,
    pub settled: fn(&Outcome, &Mark) -> Option<Reply>,
    failed: fn(&Declared, &Mark) -> Reply,
}

/// What only hooks have whose calls carry events.
pub struct EventRow {
    pub acknowledged: u16,
    pub loops: &'static [&'static str],
    pub batch: BatchForm,
    pub catalogue: Catalogue,
    pub split: fn(&Bytes, usize) -> Result<Vec<Decoded>, HookError>,
    pub pack: fn(&Decoded) -> Parcel,
    pub unpack: fn(Parcel) -> Decoded,
    pub read: fn(&Decoded, &str) -> Vec<ImmutableString>,
}

/// `on_failure` of a route.
#[derive(Clone)]
pub struct Declared {
    pub word: &'static str,
    pub text: String,
    failed: fn(&Self, &Mark) -> Reply,
}

/// A request of some hook, as scripts get it, with what the gateway needs to know of it.
#[derive(Clone, Debug)]
pub struct Decoded {
    pub request: Dynamic,
    pub facts: Facts,
}

/// What the gateway needs to know of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The id that the provider gave this call or event: the key of the duplicate guard.
    pub provider_id: Option<ImmutableString>,
    /// What becomes of a call that comes again with the same id.
    pub once: Once,
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

/// What becomes of a call that comes again with the same id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Once {
    /// The same body within two minutes gets the answer that the first one got, as long as the process and its release live: for
    /// providers that call again when they heard nothing.
    #[default]
    Guard,
    /// It is a call like any other.
    Never,
    /// Until then it gets the answer that the first one got, whatever its body, also after a reload or a restart: for calls that
    /// must not be played twice.
    Until(Timestamp),
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

impl Decoded {
    fn typed<C: Contract>(&self) -> impl Deref<Target = C::Request> + '_ {
        self.request.read_lock::<C::Request>().expect("a hook is given what it decoded")
    }
}

impl fmt::Debug for Declared {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("Declared").field("word", &self.word).field("text", &self.text).finish()
    }
}

impl Declared {
    /// The declared answer.
    pub fn reply(&self, mark: &Mark) -> Reply {
        (self.failed)(self, mark)
    }
}

impl Hook {
    /// The row of a hook whose calls wait for an answer.
    pub fn inline<C: InlineHook>() -> Self {
        let row = InlineRow {
            on_failure: C::ON_FAILURE,
            deadline_ms: C::DEADLINE_MS,
            signer: C::SIGNER,
            settled: |outcome, mark| C::settled(outcome, mark).inspect(|reply| check::<C>(None, reply)),
            failed: |declared, mark| {
                let reply = C::failed(declared, mark);
                check::<C>(None, &reply);
                reply
            },
        };
        Self::row::<C>(encode::<C>, describe_commands::<C::Command>, Kind::Inline(row))
    }

    /// The row of a hook whose calls carry events.
    pub fn events<C: EventHook>() -> Self {
        let row = EventRow {
            acknowledged: C::ACKNOWLEDGED,
            loops: C::LOOPS,
            batch: C::BATCH,
            catalogue: C::CATALOGUE,
            split: |call, most| Ok(C::split(call, most)?.into_iter().map(erase::<C>).collect()),
            pack: |decoded| C::pack(&decoded.typed::<C>()),
            unpack: |parcel| erase::<C>(C::unpack(parcel)),
            read: |decoded, path| C::read(&decoded.typed::<C>(), path),
        };
        Self::row::<C>(|_, returned, _| actions::<C>(returned), |_| Vec::new(), Kind::Events(row))
    }

    fn row<C: Contract>(
        encode: fn(&Decoded, Dynamic, &Mark) -> Result<Encoded, CommandError>,
        describe: fn(&Dynamic) -> Vec<Value>,
        kind: Kind,
    ) -> Self {
        Self {
            name: C::NAME,
            entry: C::ENTRY,
            request: C::REQUEST,
            about: C::ABOUT,
            silence: C::SILENCE,
            samples: C::SAMPLES,
            results: C::RESULTS,
            provider: C::PROVIDER,
            trying: C::TRYING,
            advice: C::ADVICE,
            recorded: C::RECORDED,
            caller: C::CALLER,
            proof: C::PROOF,
            token: C::TOKEN,
            envelope: C::ENVELOPE,
            handshake: C::HANDSHAKE,
            dialect: C::DIALECT,
            needs_head: !C::ENVELOPE.is_body() || matches!(&kind, Kind::Inline(row) if row.signer.is_some()),
            library: LazyLock::new(library_of::<C>),
            decode: |call| C::decode(call).map(erase::<C>),
            as_preview: |decoded| {
                let request = decoded.request.try_cast::<C::Request>().expect("a hook is given what it decoded");
                erase::<C>(C::as_preview(request))
            },
            encode,
            describe,
            judge: C::judge,
            effect: |reply| C::judge(&Value::Null, Some(&reply.as_answer())).effect,
            kind,
        }
    }

    /// The registrations of this hook.
    pub fn library(&self) -> &Finished {
        &self.library
    }

    /// Of a hook whose calls wait for an answer.
    pub fn as_inline(&self) -> Option<&InlineRow> {
        match &self.kind {
            Kind::Inline(row) => Some(row),
            Kind::Events(_) => None,
        }
    }

    /// Of a hook whose calls carry events.
    pub fn as_events(&self) -> Option<&EventRow> {
        match &self.kind {
            Kind::Inline(_) => None,
            Kind::Events(row) => Some(row),
        }
    }

    /// Whether its calls carry events.
    pub fn is_for_events(&self) -> bool {
        self.as_events().is_some()
    }

    /// The requests in one call: the events that it carries, or the call itself.
    ///
    /// # Errors
    /// As for [`Contract::decode`]; or there are more than `most` events.
    pub fn requests(&self, call: &Bytes, most: usize) -> Result<Vec<Decoded>, HookError> {
        match &self.kind {
            Kind::Events(row) => (row.split)(call, most),
            Kind::Inline(_) => Ok(vec![(self.decode)(call)?]),
        }
    }

    /// What scripts of this hook call their request.
    pub fn parameter(&self) -> &'static str {
        if self.is_for_events() { "event" } else { "request" }
    }

    /// The types of events that its provider publishes; none where its calls carry no events.
    pub fn catalogue(&self) -> Catalogue {
        self.as_events().map_or(Catalogue::NONE, |row| row.catalogue)
    }

    /// What `on_failure` may say. Empty: it must not be stated.
    pub fn on_failure(&self) -> &'static [FailureForm] {
        self.as_inline().map_or(&[], |row| row.on_failure)
    }

    /// `on_failure` in the words of this hook.
    pub fn declared(&self, word: &str, text: Option<&str>) -> Option<Declared> {
        let row = self.as_inline()?;
        let form = row.on_failure.iter().find(|form| form.word == word && form.takes_text == text.is_some())?;
        Some(Declared { word: form.word, text: text.unwrap_or_default().to_owned(), failed: row.failed })
    }
}

/// Registers everything a contract has.
fn library_of<C: Contract>() -> Finished {
    let mut library = Library::new(C::NAME);
    C::register(&mut library);
    library.finish()
}

fn erase<C: Contract>(request: C::Request) -> Decoded {
    let facts = C::facts(&request);
    Decoded { request: Dynamic::from(request), facts }
}

fn encode<C: InlineHook>(decoded: &Decoded, returned: Dynamic, mark: &Mark) -> Result<Encoded, CommandError> {
    let wanted = || format!("a command of `{}`", C::NAME);
    let (commands, actions) = Commands::<C::Command>::collect(returned, &wanted)?;
    if actions.iter().any(|action| action.task == Task::Forward) {
        return Err(CommandError::NothingToForward { hook: C::NAME });
    }
    let request = decoded.typed::<C>();
    let sending = C::sending(&request, &commands)?;
    let denied = commands.iter().any(C::denies);
    let reply = C::reply(&request, commands, mark)?;
    check::<C>(Some(&request), &reply);
    Ok(Encoded { reply, sending, actions, denied })
}

/// What a rule returned: actions, and nothing else, because no event has a command of its own.
fn actions<C: EventHook>(returned: Dynamic) -> Result<Encoded, CommandError> {
    #[derive(Clone)]
    enum NoCommand {}
    let wanted = || "an action, such as `notify(…)`,".to_owned();
    let (_, actions) = Commands::<NoCommand>::collect(returned, &wanted)?;
    Ok(Encoded { reply: Reply::empty(C::ACKNOWLEDGED), sending: None, actions, denied: false })
}

/// In builds with debug assertions: whether the provider takes what we are about to send. A reply that it does not take is a
/// defect of ours, because commands are checked when they are made and fitted to the call when they are encoded.
fn check<C: InlineHook>(request: Option<&C::Request>, reply: &Reply) {
    if !cfg!(debug_assertions) {
        return;
    }
    let call = request.and_then(C::call);
    let call = call.and_then(|call| serde_json::from_slice(call).ok()).unwrap_or(Value::Null);
    let judgement = C::judge(&call, Some(&reply.as_answer()));
    assert!(judgement.is_valid(), "{} does not take our reply: {:?}", C::NAME, judgement.violations);
}

fn describe_commands<C: Variant + Clone + Serialize>(returned: &Dynamic) -> Vec<Value> {
    if let Ok(items) = returned.as_array_ref() {
        return items.iter().flat_map(describe_commands::<C>).collect();
    }
    let command = returned.read_lock::<C>();
    command.and_then(|command| serde_json::to_value(&*command).ok()).into_iter().collect()
}
