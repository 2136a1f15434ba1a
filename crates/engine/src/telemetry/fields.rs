//! The names of log fields that several events of server and telemetry share: dotted, unit last. The event of a call has
//! its own, written where it is gathered (`gateway::record`).
//!
//! Values come from configuration, from the gateway itself or are identifiers; never from a body or a credential.

/// The text of an error, where the error holds no data of a call.
pub const ERROR: &str = "error";
/// A file of ours, such as the certificate.
pub const FILE: &str = "file";
/// Which listener: `public` or `admin`.
pub const LISTENER: &str = "listener";
/// How many connections were open.
pub const CONNECTIONS_COUNT: &str = "connections.count";
/// Source file, line and column of a panic.
pub(crate) const PANIC_PLACE: &str = "panic.place";
/// The text of a panic, if it is a constant.
pub(crate) const PANIC_TEXT: &str = "panic.text";
/// How many lines of a kind were left out of the log.
pub(crate) const LINES_COUNT: &str = "lines.count";
