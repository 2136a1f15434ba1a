//! The names of log fields: dotted, unit last. Every event uses these, so that a search finds all of them.
//!
//! Values come from configuration, from the gateway itself or are identifiers; never from a body or a credential.

/// The provider's own identifier of a call (`x-okta-request-id`), for its System Log.
pub const REQUEST_ID: &str = "request.id";
/// The name of the route in `gateway.toml`.
pub const ROUTE_NAME: &str = "route.name";
/// The configured path of the route.
pub const ROUTE_PATH: &str = "route.path";
/// `okta.registration`, ….
pub const HOOK_NAME: &str = "hook.name";
/// File of the script, relative to the bundle.
pub const SCRIPT_FILE: &str = "script.file";
/// Line in that file, from 1.
pub const SCRIPT_LINE: &str = "script.line";
/// Column in that line, from 1.
pub const SCRIPT_COLUMN: &str = "script.column";
/// Time the script ran, in milliseconds.
pub const SCRIPT_MS: &str = "script.duration_ms";
/// How many commands the script returned.
pub const COMMANDS_COUNT: &str = "commands.count";
/// HTTP status of the reply.
pub const REPLY_STATUS: &str = "reply.status";
/// What became of the call.
pub const OUTCOME: &str = "outcome";
/// Whose mistake: caller, script, configuration, gateway.
pub const FAULT: &str = "fault";
/// Time of the whole call from its first byte, in milliseconds.
pub const DURATION_MS: &str = "duration_ms";
/// The decision record of the call.
pub const DECISION_ID: &str = "decision.id";
/// Content hash of the release that answered.
pub const RELEASE_HASH: &str = "release.hash";
/// Name of the `[auth.…]` section.
pub const AUTH_NAME: &str = "auth.name";
/// Why something was refused or failed, in words, never with the value.
pub const REASON: &str = "reason";
/// The text of an error, where the error holds no data of a call.
pub const ERROR: &str = "error";
/// A file of ours, such as the certificate.
pub const FILE: &str = "file";
/// How many connections were open.
pub const CONNECTIONS_COUNT: &str = "connections.count";
/// Source file, line and column of a panic.
pub const PANIC_PLACE: &str = "panic.place";
/// The text of a panic, if it is a constant.
pub const PANIC_TEXT: &str = "panic.text";
