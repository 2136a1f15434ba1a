//! Okta's JSON on the way out: `commands` in order, `error`, and `debugContext`, which Okta copies into its System Log.

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::CommandError;
use crate::Mark;
use crate::Reply;

/// Okta takes less than 256 KB.
pub(crate) const MAX_REPLY_BYTES: usize = 256 * 1024 - 1;

/// One command: `{type, value}`. The shape of `value` is fixed by `type`.
#[derive(Debug, Serialize)]
pub(crate) struct Command<V> {
    pub(crate) r#type: &'static str,
    pub(crate) value: V,
}

/// An object whose members keep their order. Names are unique by construction, so there is nothing to look up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Members(pub Vec<(String, Value)>);

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Its presence alone switches Okta to the error path.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Failure {
    pub(crate) error_summary: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) error_causes: Vec<Cause>,
}

/// Why. Only registration shows these to users.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cause {
    pub(crate) error_summary: String,
    pub(crate) reason: String,
    pub(crate) location_type: &'static str,
    pub(crate) location: String,
    pub(crate) domain: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a, V, E> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    commands: &'a [Command<V>],
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a E>,
    debug_context: DebugContext<'a>,
}

#[derive(Serialize)]
struct DebugContext<'a> {
    decision: &'a str,
    release: &'a str,
    script: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback: Option<&'a str>,
}

/// The reply with these commands and this error.
///
/// # Errors
/// It is larger than Okta takes.
pub(crate) fn reply<V: Serialize>(
    commands: &[Command<V>],
    error: Option<&Failure>,
    mark: &Mark,
) -> Result<Reply, CommandError> {
    encode(commands, error, mark)
}

/// The reply with an error of the hook's own form alone.
///
/// # Errors
/// It is larger than Okta takes.
pub(crate) fn error<E: Serialize>(error: &E, mark: &Mark) -> Result<Reply, CommandError> {
    encode::<(), E>(&[], Some(error), mark)
}

fn encode<V: Serialize, E: Serialize>(
    commands: &[Command<V>],
    error: Option<&E>,
    mark: &Mark,
) -> Result<Reply, CommandError> {
    let Mark { decision, release, script, note, fallback } = *mark;
    let body = Body { commands, error, debug_context: DebugContext { decision, release, script, note, fallback } };
    let mut bytes = Vec::with_capacity(512);
    serde_json::to_writer(&mut bytes, &body)
        .map_err(|error| CommandError::Invalid { problem: format!("the reply is not JSON: {error}") })?;
    if bytes.len() > MAX_REPLY_BYTES {
        return Err(CommandError::TooLarge { bytes: bytes.len(), limit: MAX_REPLY_BYTES + 1 });
    }
    Ok(Reply::json(bytes))
}

/// The reply that changes nothing: `plain`, unless the mark has something to say. Only for hooks whose contract takes an
/// object without commands.
pub(crate) fn unchanged(plain: Reply, mark: &Mark) -> Reply {
    if !mark.has_words() {
        return plain;
    }
    reply::<()>(&[], None, mark).expect("a mark stays under the limit")
}

/// The reply with this error alone.
pub(crate) fn failure(summary: &str, mark: &Mark) -> Reply {
    let failure = Failure { error_summary: bounded(summary), ..Failure::default() };
    reply::<()>(&[], Some(&failure), mark).expect("a bounded text stays under the limit")
}

/// Texts for people, cut at a length that no form shows anyway.
pub(crate) fn bounded(text: &str) -> String {
    const LONGEST: usize = 2_000;
    text.chars().take(LONGEST).collect()
}
