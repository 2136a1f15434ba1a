//! `kv clear`: removes keys, after saying which and asking.

use anyhow::{Result, bail};
use serde_json::json;

use crate::cli::Status;
use crate::cli::events::text;
use crate::cli::kv::{Work, entry, get};
use crate::cli::output;
use crate::cli::output::{BAD, paint};
use hookgate_engine::history;
use hookgate_store::state::StateEntry;
use hookgate_store::{KeyChoice, MAX_PAGE, Operation, StateQuery};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Keys as scripts write them, however long they are.
    #[arg(value_name = "KEY")]
    keys: Vec<String>,
    /// All keys that begin like this.
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// All keys of scripts; with --own, all of the gateway's own.
    #[arg(long)]
    all: bool,
    /// Do not ask.
    #[arg(long, short = 'y')]
    yes: bool,
}

/// Keys that are counted before asking; beyond them it is "more than".
const COUNT_AT_MOST: usize = 10_000;
/// Keys that are named before asking.
const EXAMPLES: usize = 5;
/// What is noted of a key in the log of changes.
const MOST_SUBJECT: usize = 200;

/// # Errors
/// It is not clear what is meant, nobody can be asked, or the store fails.
pub(super) async fn run(work: &Work<'_>, args: &Args) -> Result<Status> {
    let choices = args.choices(work)?;
    let found = Found::of(work, &choices).await?;
    for key in &found.missing {
        output::note(format_args!("{} {}", paint(BAD, "missing:"), get::missing(work, key).await?));
    }
    if found.keys == 0 {
        return Ok(nothing(work, args, &found));
    }
    if !agreed(work, args, &found)? {
        output::note("nothing was changed");
        return Ok(Status::Failed);
    }
    let mut removed = 0;
    for (_, keys) in choices {
        removed += work.store.operate(Operation::Clear { keys }).await?;
    }
    let noted = note(work, args, removed).await;
    if work.global.json {
        output::json(&json!({ "removed": removed, "missing": found.missing }));
    } else {
        output::line(format_args!("{} removed", counted(removed)));
    }
    noted?;
    Ok(if found.missing.is_empty() { Status::Good } else { Status::Failed })
}

impl Args {
    /// What is meant: each key by itself, with how it was written.
    fn choices(&self, work: &Work<'_>) -> Result<Vec<(Option<String>, KeyChoice)>> {
        let empty = |text: &String| text.is_empty();
        if self.keys.iter().any(empty) || self.prefix.as_ref().is_some_and(empty) {
            bail!("an empty text is no key; --all is all keys");
        }
        match (&self.keys[..], &self.prefix, self.all) {
            ([], None, false) => bail!("which keys? Name them, or choose them: --prefix PREFIX, or --all; see --help"),
            ([], Some(prefix), false) => Ok(vec![(None, work.beginning(prefix))]),
            ([], None, true) => Ok(vec![(None, work.beginning(""))]),
            (keys, None, false) => Ok(keys.iter().map(|key| (Some(key.clone()), work.key(key))).collect()),
            _ => bail!("keys are named, or it is --prefix, or --all: only one of these"),
        }
    }

    /// What is noted in the log of changes: what was chosen, as it was written.
    fn subject(&self, work: &Work<'_>) -> String {
        let whose = if work.own { "own keys: " } else { "" };
        let chosen = match &self.prefix {
            Some(prefix) => format!("all that begin with {prefix}"),
            None if self.all => "all".to_owned(),
            None => self.keys.join(", "),
        };
        text::short(&format!("{whose}{chosen}"), MOST_SUBJECT)
    }
}

/// What is there of what was meant.
#[derive(Default)]
struct Found {
    keys: usize,
    /// There are more than that.
    more: bool,
    examples: Vec<StateEntry>,
    /// Keys that were named, and are not there.
    missing: Vec<String>,
}

impl Found {
    async fn of(work: &Work<'_>, choices: &[(Option<String>, KeyChoice)]) -> Result<Self> {
        let mut found = Self::default();
        for (written, keys) in choices {
            let before = found.keys;
            let mut query = StateQuery { keys: keys.clone(), after: None, limit: MAX_PAGE };
            loop {
                let page = work.store.entries(query.clone()).await?;
                found.keys += page.entries.len();
                let room = EXAMPLES.saturating_sub(found.examples.len());
                found.examples.extend(page.entries.into_iter().take(room));
                query.after = page.next;
                found.more = query.after.is_some() && found.keys >= COUNT_AT_MOST;
                if query.after.is_none() || found.more {
                    break;
                }
            }
            found.missing.extend(written.clone().filter(|_| found.keys == before));
        }
        Ok(found)
    }
}

fn nothing(work: &Work<'_>, args: &Args, found: &Found) -> Status {
    if work.global.json {
        output::json(&json!({ "removed": 0, "missing": found.missing }));
    } else if args.keys.is_empty() {
        output::line("no such keys are kept");
    }
    Status::Failed
}

/// Says what will happen, and asks.
fn agreed(work: &Work<'_>, args: &Args, found: &Found) -> Result<bool> {
    if args.yes {
        return Ok(true);
    }
    let more = if found.more { "more than " } else { "" };
    let keys = output::counted(found.keys, "key");
    let sentence = format!(
        "this removes {more}{keys}, for good: `once` is true again, a sum begins at 0, and a rate has counted nothing"
    );
    if !output::can_ask() {
        bail!("{sentence}; --yes is needed where nobody can be asked");
    }
    let now = work.store.now();
    for example in &found.examples {
        let value = text::short(&entry::words(&example.kept, now), EXAMPLE_VALUE);
        output::note(format_args!("  {}  {value}", entry::shown_key(example)));
    }
    Ok(output::ask(&sentence))
}

/// The longest value that is shown before asking.
const EXAMPLE_VALUE: usize = 40;

/// Who looks into the log of changes finds that a limit was lifted.
async fn note(work: &Work<'_>, args: &Args, removed: u64) -> Result<()> {
    let detail = json!({ "removed": removed });
    let change =
        history::by_hand(work.store.now(), "command line", "small state cleared", &args.subject(work), &detail);
    work.store.archive().note(change).await?;
    Ok(())
}

fn counted(removed: u64) -> String {
    output::counted(usize::try_from(removed).unwrap_or(usize::MAX), "key")
}
