//! hookgate: one binary that answers identity-provider hooks with hot-reloaded Rhai scripts.
//!
//! **A script decides; the gateway acts.** This crate is what faces the world: the two listeners ([`server`], [`admin`]), the
//! language server ([`editor`]) and the commands ([`cli`]). What it stands on, in reading order:
//!
//! - [`hookgate_hooks`]: what each provider sends and accepts, one hook per file; the table `HOOKS`
//! - [`hookgate_script`]: Rhai and nothing else: the sandbox, compile, run, errors that teach
//! - [`hookgate_connectors`]: outside systems, one per file
//! - [`hookgate_store`]: what must survive
//! - [`hookgate_engine`]: releases, and the lives of calls, events, lookups and records
//! - [`hookgate_model`]: what all of them speak of
//!
//! `ARCHITECTURE.md` walks through them.

pub mod admin;
pub mod cli;
pub mod editor;
pub mod server;
