//! Every kind of call a provider makes, one file per hook; and the table of them.
//!
//! [`Contract`] is what the author of every hook writes, with [`InlineHook`] for calls that wait for an answer and
//! [`EventHook`] for those that carry events: typed request, typed commands, the exact reply. [`Hook`] is the same with the
//! types erased: the row that the rest of the program sees. Nothing here does I/O or knows HTTP servers, connectors or files.
//!
//! To add a hook: write its file and one row in its provider's `hooks()`, an example script and a case.

use std::sync::{LazyLock, OnceLock};

pub mod catalogue;
mod contract;
pub mod envelope;
mod error;
mod handshake;
mod hook;
mod judgement;
mod lenient;
mod mark;
pub mod okta;
pub mod proof;
mod provider;
pub mod recorded;
mod reply;
pub mod results;
mod returned;
pub mod text;

pub use crate::catalogue::Catalogue;
pub use crate::contract::{Contract, EventHook, InlineHook};
pub use crate::error::{CommandError, HookError};
pub use crate::handshake::Handshake;
pub use crate::hook::{Declared, Decoded, EventRow, Facts, Hook, InlineRow, Once, Parcel};
pub use crate::judgement::{Answer, Judgement};
pub use crate::mark::Mark;
pub use crate::provider::{BatchForm, Caller, FailureForm, Provider, Retry, Verification};
pub use crate::provider::{VerificationReply, VerificationRequest};
pub use crate::reply::{Dialect, Encoded, RefusedCall, Reply, ReplySigner};
pub use crate::results::ResultShape;
pub use crate::returned::{Commands, Group, MAX_ACTIONS};

/// A call, a script and the reply it must give. A test runs every one.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub name: &'static str,
    /// The JSON of the call, as [`envelope::Envelope::open`] gives it.
    pub request: &'static str,
    pub script: &'static str,
    /// JSON without `debugContext`; empty where the reply has no body.
    pub reply: &'static str,
}

/// The table. Its order is that of documentation.
pub static HOOKS: LazyLock<Vec<Hook>> = LazyLock::new(|| {
    let mut hooks = okta::hooks();
    hooks.extend(INSTALLED.get().map(|more| more()).into_iter().flatten());
    hooks
});

static INSTALLED: OnceLock<fn() -> Vec<Hook>> = OnceLock::new();

/// Adds the rows of a provider that is not in this crate, after those that are. Once, before anything reads [`HOOKS`].
///
/// # Panics
/// The table was read already, or rows were added before.
pub fn install(more: fn() -> Vec<Hook>) {
    assert!(LazyLock::get(&HOOKS).is_none(), "the table of hooks was read already");
    assert!(INSTALLED.set(more).is_ok(), "rows were added before");
}

/// Headers in which providers send their own id of a request, for the log; the first that is there counts.
pub const REQUEST_ID_HEADERS: [&str; 2] = [okta::REQUEST_ID_HEADER, "x-request-id"];

/// The row of that name.
pub fn find(name: &str) -> Option<&'static Hook> {
    HOOKS.iter().find(|hook| hook.name == name)
}

#[cfg(test)]
mod tests;
