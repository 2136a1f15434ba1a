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
pub mod cli;
pub mod editor;
pub mod server;
