//! hookgate: one binary that answers identity-provider hooks with hot-reloaded Rhai scripts.
//!
//! **A script decides; the gateway acts.** In reading order:
//!
//! - [`hooks`]: what each provider sends and accepts, one hook per file; the table `HOOKS`
//! - [`script`]: Rhai and nothing else: the sandbox, compile, run, errors that teach
//! - [`config`]: `gateway.toml` as written
//! - [`auth`]: who is calling
//! - [`harness`]: tests of scripts
//! - [`release`]: configuration + scripts + tables, compiled and immutable; building, watching, swapping
//! - [`gateway`]: the life of a call
//! - [`server`], [`admin`]: the two listeners
//! - [`editor`]: the language server
//! - [`cli`]: the commands
//! - [`finding`], [`secret`], [`telemetry`], [`allocator`]: below everything

pub mod admin;
pub mod allocator;
pub mod auth;
pub mod cli;
pub mod config;
pub mod editor;
pub mod finding;
pub mod gateway;
pub mod harness;
pub mod hooks;
pub mod release;
pub mod script;
pub mod secret;
pub mod server;
pub mod telemetry;
