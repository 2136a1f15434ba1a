//! The integration tests, in one binary because linking is slow.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout, unreachable_pub, reason = "tests")]

mod actions;
mod api;
mod auth;
mod broken;
mod bundle;
mod canaries;
mod cases;
mod cli;
mod decisions;
mod deploy;
mod docs;
mod duplicates;
mod events;
mod examples;
mod gate;
mod harness;
mod history;
mod layers;
mod limits;
mod lint;
mod lookups;
mod lsp;
mod mistakes;
mod mutants;
mod passwords;
mod payloads;
mod privacy;
mod process;
mod reconcile;
mod reload;
mod replies;
mod scale;
mod sending;
mod tracing;
mod transport;
