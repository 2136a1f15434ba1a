//! `kv`: the small state of scripts, looked at and cleared by hand, beside a running gateway or without one.
//!
//! A gateway remembers nothing of it in memory, so that its next step sees what was cleared here. A key is written as scripts write
//! it, and found also where the store has its hash.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;

use crate::cli::store;
use crate::cli::{Global, Status};
use hookgate_model::question::OWN_KEY;
use hookgate_script::prelude::lookups::kv::{stored_beginning, stored_key};
use hookgate_store::KeyChoice;
use hookgate_store::Store;

mod clear;
mod entry;
mod get;
mod list;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The store's file, if not the one of gateway.toml: a backup, for example.
    #[arg(long, value_name = "FILE", global = true)]
    store: Option<PathBuf>,
    /// Keys of the gateway's own, in place of those of scripts: actions that `guard` counts, codes that were sent.
    #[arg(long, global = true)]
    own: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    /// Keys in order, with their values and the time until they expire.
    List(list::Args),
    /// What is kept under one key.
    Get(get::Args),
    /// Remove keys: for scripts it is as if nothing had been kept under them.
    Clear(clear::Args),
}

/// # Errors
/// There is no store here, it cannot be used, or what was asked for makes no sense.
pub fn run(global: &Global, args: &Args) -> Result<Status> {
    let store = store::attach(&store::named(global, args.store.as_deref())?)?;
    let work = Work { global, store, own: args.own };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match &args.command {
            Command::List(args) => list::run(&work, args).await,
            Command::Get(args) => get::run(&work, args).await,
            Command::Clear(args) => clear::run(&work, args).await,
        }
    })
}

/// What every subcommand works with.
struct Work<'a> {
    global: &'a Global,
    store: Arc<dyn Store>,
    own: bool,
}

impl Work<'_> {
    /// The key that a person writes like this.
    fn key(&self, written: &str) -> KeyChoice {
        KeyChoice::One(self.stored(written))
    }

    /// The same as the store has it.
    fn stored(&self, written: &str) -> String {
        if self.own { format!("{OWN_KEY}{written}") } else { stored_key(written) }
    }

    /// All keys that a person would write with this beginning.
    fn beginning(&self, written: &str) -> KeyChoice {
        let beginning = stored_beginning(written).into_owned();
        KeyChoice::Beginning(if self.own { format!("{OWN_KEY}{written}") } else { beginning })
    }
}
