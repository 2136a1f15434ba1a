//! Releases, and the lives of calls, events, lookups and records.

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
