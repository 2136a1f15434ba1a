//! `events replay` and `events purge`: what changes many jobs, after saying what will happen and asking.

use anyhow::{Result, bail};
use serde_json::json;

use crate::cli::Status;
use crate::cli::events::Work;
use crate::cli::events::list;
use crate::cli::events::select;
use crate::cli::events::select::Filter;
use crate::cli::events::text;
use crate::cli::output;
use crate::cli::output::{BAD, paint};
use hookgate_store::{Counted, EventLine, EventRef, JobState, Operation, Query, Selection, StoreError};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Which {
    /// Events by number or by the provider's id.
    #[arg(value_name = "ID")]
    events: Vec<String>,
    #[command(flatten)]
    filter: Filter,
    /// All events that are kept.
    #[arg(long)]
    all: bool,
    /// Do not ask.
    #[arg(long, short = 'y')]
    yes: bool,
}

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Replay {
    #[command(flatten)]
    which: Which,
    /// Also repeat what has succeeded: rules run again, and receivers take what comes of them for new.
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Purge {
    #[command(flatten)]
    which: Which,
}

/// Events that are looked through before asking; beyond them it is "more than".
const LOOK_AT_MOST: usize = 10_000;
/// Types and events that are named before asking.
const TYPES: usize = 10;
const EXAMPLES: usize = 3;

/// # Errors
/// It is not clear what is meant, nobody can be asked, or the store fails.
pub(super) async fn replay(work: &Work<'_>, args: &Replay) -> Result<Status> {
    let mut meant = args.which.meant(work)?;
    if let Meant::Query(query) = &mut meant
        && !args.force
    {
        // Nothing else can be replayed.
        query.state = query.state.or(Some(JobState::Dead));
    }
    let what = |events: &str| match args.force {
        false => format!("this runs the dead jobs of {events} again, from their first try"),
        true => {
            format!("this runs {events} again, also where they succeeded: receivers take what comes of that for new")
        }
    };
    let Some(proceed) = confirm(work, &args.which, meant, what, Asking::ForMany).await? else {
        return Ok(Status::Failed);
    };
    let done = operate(work, proceed, |which| Operation::Replay { which, force: args.force }).await?;
    let waiting = work.store.health().await?.waiting;
    if work.global.json {
        output::json(&json!({ "replayed_jobs": done.changed, "waiting_jobs": waiting, "refused": done.refused }));
    } else {
        done.print("job", &format!("put back; {waiting} wait now"));
    }
    Ok(done.status())
}

/// # Errors
/// It is not clear what is meant, nobody can be asked, or the store fails.
pub(super) async fn purge(work: &Work<'_>, args: &Purge) -> Result<Status> {
    let meant = args.which.meant(work)?;
    let only_dead = matches!(&meant, Meant::Query(query) if query.state == Some(JobState::Dead));
    let what = |events: &str| match only_dead {
        true => format!("this removes the dead jobs of {events}, for good"),
        false => format!("this removes {events} with all their jobs, for good; what is still being worked on stays"),
    };
    let Some(proceed) = confirm(work, &args.which, meant, what, Asking::Always).await? else {
        return Ok(Status::Failed);
    };
    let done = operate(work, proceed, |which| Operation::Purge { which }).await?;
    let word = if only_dead { "dead job" } else { "event" };
    if work.global.json {
        output::json(&json!({ "removed": done.changed, "what": word, "refused": done.refused }));
    } else {
        done.print(word, "removed");
    }
    Ok(done.status())
}

/// Which events are meant.
enum Meant {
    Named(Vec<EventRef>),
    Query(Box<Query>),
}

impl Which {
    fn meant(&self, work: &Work<'_>) -> Result<Meant> {
        match (!self.events.is_empty(), !self.filter.is_empty(), self.all) {
            (true, false, false) => Ok(Meant::Named(self.events.iter().map(|text| select::event(text)).collect())),
            (false, true, false) | (false, false, true) => Ok(Meant::Query(Box::new(self.filter.query(work.now())))),
            (false, false, false) => bail!(
                "which events? Name them, or choose them: --dead is all with a dead job, --all is everything; see --help"
            ),
            (true, true, _) | (true, _, true) | (_, true, true) => bail!(
                "events are named, or chosen by what they have in common (--route, --since, …), or it is --all: only one of these"
            ),
        }
    }
}

/// When somebody must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    Always,
    /// For more than one event.
    ForMany,
}

/// Says what will happen, and asks. What to do then: nothing of it if somebody said no.
async fn confirm(
    work: &Work<'_>,
    which: &Which,
    meant: Meant,
    what: impl Fn(&str) -> String,
    asking: Asking,
) -> Result<Option<Vec<Selection>>> {
    let (counted, selections) = match meant {
        Meant::Named(events) => {
            // The store says of each whether there is one.
            let counted = Counted { events: events.len(), ..Counted::default() };
            (counted, events.into_iter().map(Selection::One).collect())
        }
        Meant::Query(query) => {
            let counted = query.count(&*work.store, LOOK_AT_MOST).await?;
            if counted.events == 0 {
                if !work.global.json {
                    output::line(list::nothing(&query));
                }
                return Ok(Some(Vec::new()));
            }
            if !which.yes && !work.global.json {
                output::note(chosen(&query, &counted));
            }
            (counted, vec![Selection::All(query)])
        }
    };
    let events = counted.events;
    if which.yes || (events == 1 && asking == Asking::ForMany) {
        return Ok(Some(selections));
    }
    let sentence = what(&match counted.more {
        true => format!("more than {events} events"),
        false => output::counted(events, "event"),
    });
    if !output::can_ask() {
        bail!("{sentence}; --yes is needed where nobody can be asked");
    }
    if output::ask(&sentence) {
        return Ok(Some(selections));
    }
    output::note("nothing was changed");
    Ok(None)
}

/// What is chosen, of which types, and a few of them.
fn chosen(query: &Query, counted: &Counted) -> String {
    let mut lines = vec![match query.words() {
        words if words.is_empty() => "chosen: all events that are kept".to_owned(),
        words => format!("chosen: events {words}"),
    }];
    let mut types: Vec<(&String, &u64)> = counted.types.iter().collect();
    types.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let named = |kind: &str| if kind.is_empty() { "(cannot be read)".to_owned() } else { text::plain(kind) };
    lines.extend(types.iter().take(TYPES).map(|(kind, count)| format!("  {count:>7}  {}", named(kind))));
    if types.len() > TYPES {
        lines.push(format!("           and {} more types", types.len() - TYPES));
    }
    let example = |event: &EventLine| {
        format!("  such as {}  {}  {}", event.id, text::time(event.received), text::short(&event.key, 60))
    };
    lines.extend(counted.first.iter().take(EXAMPLES).map(example));
    lines.join("\n")
}

/// What came of it.
#[derive(Default)]
struct Outcome {
    changed: u64,
    /// What the store would not do, in its words.
    refused: Vec<String>,
}

impl Outcome {
    /// What was refused, and what was done; `1 job put back`.
    fn print(&self, word: &str, done: &str) {
        for problem in &self.refused {
            output::note(format_args!("{} {}", paint(BAD, "refused:"), text::plain(problem)));
        }
        if self.changed > 0 {
            let changed = output::counted(usize::try_from(self.changed).unwrap_or(usize::MAX), word);
            output::line(format_args!("{changed} {done}"));
        }
    }

    fn status(&self) -> Status {
        if self.changed > 0 && self.refused.is_empty() { Status::Good } else { Status::Failed }
    }
}

/// One after the other: what is refused keeps nothing else from being done.
async fn operate(work: &Work<'_>, all: Vec<Selection>, operation: impl Fn(Selection) -> Operation) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for selection in all {
        match work.store.operate(operation(selection)).await {
            Ok(changed) => outcome.changed += changed,
            Err(StoreError::Refused(problem)) => outcome.refused.push(problem),
            Err(problem) => return Err(problem.into()),
        }
    }
    Ok(outcome)
}
