//! What the author of a hook writes: what all hooks share, and what only those have that answer or that carry events.

use bytes::Bytes;
use rhai::{ImmutableString, Variant};
use serde::Serialize;
use serde_json::Value;

use crate::envelope::{Envelope, Json};
use crate::handshake::Handshake;
use crate::proof::{RequiredProof, TokenRules};
use crate::recorded::RecordedParts;
use crate::{
    Answer, BatchForm, Caller, Catalogue, CommandError, Commands, Declared, Dialect, Facts, FailureForm, HookError,
    Judgement, Mark, Parcel, Provider, Reply, ReplySigner, ResultShape, Sample,
};
use hookgate_model::message::{Outcome, Sending};
use hookgate_script::library::Library;
use hookgate_script::lint::advice::Advice;

/// What all hooks share.
pub trait Contract: Sized + 'static {
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
    /// How the provider calls, as far as a configuration may contradict it.
    const CALLER: Caller;
    /// What has to be proved of its calls. `check` refuses a route that proves less.
    const PROOF: RequiredProof = RequiredProof::Any;
    /// What is expected of the tokens of its calls.
    const TOKEN: TokenRules = TokenRules::BEARER;
    /// How the JSON of a call stands in its HTTP request. All that follows reads that JSON and no other form of the call.
    const ENVELOPE: &'static dyn Envelope = &Json;
    /// How the provider checks that the address is ours.
    const HANDSHAKE: Handshake = Handshake::NONE;
    /// How a call is refused in the words of its standard; nothing where the gateway's own words will do.
    const DIALECT: Option<Dialect> = None;

    /// Typed, read-only, cheap to clone.
    type Request: Variant + Clone;

    /// Registers the request's properties and one constructor per command.
    fn register(library: &mut Library);

    /// The JSON of a call to a request.
    ///
    /// # Errors
    /// It is not this hook's call; says which part, never a value.
    fn decode(call: &Bytes) -> Result<Self::Request, HookError>;

    /// The same request as one that is only tried out: its script reads it as a preview.
    fn as_preview(request: Self::Request) -> Self::Request;

    /// What the gateway itself needs to know of a request.
    fn facts(request: &Self::Request) -> Facts;

    /// What the provider makes of this answer to `call`, which is `null` where it is not known. Without an answer, none came
    /// in time.
    fn judge(call: &Value, answer: Option<&Answer<'_>>) -> Judgement;
}

/// A hook whose calls wait for an answer of the script.
pub trait InlineHook: Contract {
    /// What `on_failure` may say.
    const ON_FAILURE: &'static [FailureForm];
    /// The deadline of a call in milliseconds where its route states none and `[limits]` has no smaller one; nothing where
    /// the gateway's own will do.
    const DEADLINE_MS: Option<u64> = None;
    /// Signs each reply before it leaves, for providers that take no other.
    const SIGNER: Option<ReplySigner> = None;

    /// Everything that a script of this hook can ask for.
    type Command: Variant + Clone + Serialize;

    /// Commands to the exact reply of the contract, or what is wrong with them.
    ///
    /// # Errors
    /// A command that the provider would ignore or that would void the whole answer.
    fn reply(request: &Self::Request, commands: Commands<Self::Command>, mark: &Mark) -> Result<Reply, CommandError>;

    /// What has to be sent to somebody before there is an answer. [`InlineHook::reply`] then gives the one for when the first
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

    /// The JSON that a request was read from, for the check of replies in builds with debug assertions; nothing where replies
    /// do not depend on it.
    fn call(request: &Self::Request) -> Option<&Bytes> {
        let _ = request;
        None
    }
}

/// A hook whose calls carry events for rules. They are acknowledged once they are kept; nothing else is replied to them.
pub trait EventHook: Contract {
    /// The status of the acknowledgement, which has no body.
    const ACKNOWLEDGED: u16 = 204;
    /// Types of events that answering events can cause: `*` leaves them out.
    const LOOPS: &'static [&'static str] = &[];
    /// Where those events are in the JSON of a call.
    const BATCH: BatchForm;
    /// The types of events that the provider publishes.
    const CATALOGUE: Catalogue = Catalogue::NONE;

    /// The events in one call, in their order.
    ///
    /// # Errors
    /// As for [`Contract::decode`]; or there are more than `most` events, of which none is made then.
    fn split(call: &Bytes, most: usize) -> Result<Vec<Self::Request>, HookError>;

    /// An event as it is kept until its rules have run.
    fn pack(event: &Self::Request) -> Parcel;

    /// The event of a parcel again.
    fn unpack(parcel: Parcel) -> Self::Request;

    /// What an event has at a path such as `actor.id`, `outcome.result` or `target.User.id`: what rules are filtered and
    /// ordered by. Several values where several targets have that type (`*`: any).
    fn read(event: &Self::Request, path: &str) -> Vec<ImmutableString>;
}
