//! `events`: what was kept, looked at and operated by hand, beside a running gateway or without one.
//!
//! A view of the store and nothing more: what is found, refused and changed is decided there.

mod backup;
mod change;
mod list;
pub(super) mod select;
mod show;
pub(super) mod text;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;

use crate::cli::store;
use crate::cli::{Global, Status};
use hookgate_store::Millis;
use hookgate_store::Store;
use hookgate_store::open::StoreAddress;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The store's file, if not the one of gateway.toml: a backup, for example.
    #[arg(long, value_name = "FILE", global = true)]
    store: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    /// Events, newest first, with what became of their jobs.
    List(list::Args),
    /// Everything about one event: jobs, every try, the body.
    Show(show::Args),
    /// Run dead jobs again, from their first try.
    Replay(change::Replay),
    /// Remove events that have ended, or dead jobs alone.
    Purge(change::Purge),
    /// Copy the store into a new file, while the gateway works on.
    Backup(backup::Args),
}

/// # Errors
/// There is no store here, it cannot be used, or what was asked for makes no sense.
pub fn run(global: &Global, args: &Args) -> Result<Status> {
    let address = store::named(global, args.store.as_deref())?;
    let work = Work { global, store: store::attach(&address)?, address };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match &args.command {
            Command::List(args) => list::run(&work, args).await,
            Command::Show(args) => show::run(&work, args).await,
            Command::Replay(args) => change::replay(&work, args).await,
            Command::Purge(args) => change::purge(&work, args).await,
            Command::Backup(args) => backup::run(&work, args).await,
        }
    })
}

/// What every subcommand works with.
struct Work<'a> {
    global: &'a Global,
    store: Arc<dyn Store>,
    address: StoreAddress,
}

impl Work<'_> {
    fn now(&self) -> Millis {
        self.store.now()
    }
}
