//! hookgate: one binary that answers identity-provider hooks with hot-reloaded Rhai scripts.
//!
//! **A script decides; the gateway acts.** In reading order:
//!
//! - [`hooks`]: what each provider sends and accepts, one hook per file; the table `HOOKS`
//! - [`script`]: Rhai and nothing else: the sandbox, compile, run, errors that teach
//! - [`config`]: `gateway.toml` as written
//! - [`auth`]: who is calling
//! - [`connectors`]: outside systems, one per file
//! - [`store`]: what must survive
//! - [`outcome`]: what came of one run of a script
//! - [`harness`]: tests of scripts
//! - [`release`]: configuration + scripts + tables, compiled and immutable; building, watching, swapping
//! - [`records`]: what is remembered of decisions, off the path of calls
//! - [`history`]: past releases, going back to one, the log of changes
//! - [`lookup`]: the life of a lookup: a script's question, and back
//! - [`delivery`]: the life of an event: kept, run, its actions done
//! - [`gateway`]: the life of a call
//! - [`trial`]: one request tried out, and nothing acts
//! - `spans`: traces of calls for a collector
//! - [`server`], [`admin`]: the two listeners
//! - [`editor`]: the language server
//! - [`cli`]: the commands
//! - [`command`], [`decision`], [`message`], [`moment`], [`question`], [`finding`], [`files`], [`secret`], [`password`], [`pressure`], [`telemetry`], [`allocator`], [`failpoint`], [`suspects`]: below everything

pub mod admin;
pub mod allocator;
pub mod auth;
pub mod cli;
pub mod command;
pub mod config;
pub mod connectors;
pub mod decision;
pub mod delivery;
pub mod editor;
pub mod failpoint;
pub mod files;
pub mod finding;
pub mod gateway;
pub mod harness;
pub mod history;
pub mod hooks;
pub mod lookup;
pub mod message;
pub mod moment;
pub mod outcome;
pub mod password;
pub mod pressure;
pub mod question;
pub mod records;
pub mod release;
pub mod script;
pub mod secret;
pub mod server;
#[cfg(feature = "otel")]
pub mod spans;
pub mod store;
pub mod suspects;
pub mod telemetry;
pub mod trial;
