//! Releases, and the lives of calls, events, lookups and records. In reading order:
//!
//! - [`config`]: `gateway.toml` as written
//! - [`auth`]: who is calling
//! - [`outcome`]: one run of a script, made sense of
//! - [`harness`]: tests of scripts
//! - [`release`]: configuration + scripts + tables, compiled and immutable; building, watching, swapping
//! - [`records`]: what is remembered of decisions, off the path of calls
//! - [`history`]: past releases, going back to one, the log of changes
//! - [`lookup`]: the life of a lookup: a script's question, and back
//! - [`delivery`]: the life of an event: kept, run, its actions done
//! - [`gateway`]: the life of a call
//! - [`trial`]: one request tried out, and nothing acts
//! - `spans`: traces of calls for a collector
//! - [`telemetry`]: log lines and metrics

pub mod auth;
pub mod config;
pub mod delivery;
pub mod gateway;
pub mod harness;
pub mod history;
pub mod lookup;
pub mod outcome;
pub mod records;
pub mod release;
#[cfg(feature = "otel")]
pub mod spans;
pub mod telemetry;
pub mod trial;
