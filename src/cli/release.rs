//! `release`: past releases and the log of changes, looked at beside a running gateway or without one.
//!
//! A view of the store. Going back is an order to a running gateway, and goes through its admin listener.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::cli::output;
use crate::cli::output::{BAD, BOLD, DIM, GOOD, ODD, counted, paint};
use crate::cli::store;
use crate::cli::{Global, Status};
use hookgate_engine::history;
use hookgate_engine::history::content;
use hookgate_engine::history::diff::{Fate, FileDiff};
use hookgate_engine::history::shown;
use hookgate_engine::history::shown::{Release, Standing};
use hookgate_engine::release::bundle::Place;
use hookgate_store::Store;
use hookgate_store::archive::{Pin, Verified};

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
    /// Releases that were in force, newest first.
    List,
    /// One release: who put it in force and when, its tests, its files.
    Show(One),
    /// How two releases differ, file by file.
    Diff(Two),
    /// Follow the chain of the log of changes: status 1 if a row was edited or removed.
    Verify(Head),
    /// End a pin while no gateway runs, so that the next start takes what is on disk.
    Unpin,
}

#[derive(Clone, Debug, clap::Args)]
struct One {
    /// The hash, or the first digits of it.
    release: String,
}

#[derive(Clone, Debug, clap::Args)]
struct Two {
    /// The hash of the earlier one, or the first digits of it.
    from: String,
    /// The later one; without it, what is on disk.
    to: Option<String>,
}

#[derive(Clone, Debug, clap::Args)]
struct Head {
    /// The hash of a row, as the gateway's log told it: the log of changes must hold it still.
    #[arg(long, value_name = "HASH")]
    holds: Option<String>,
}

/// # Errors
/// There is no store here, it cannot be used, or no such release is kept.
pub fn run(global: &Global, args: &Args) -> Result<Status> {
    let work = Work { global, store: store::attach(&store::named(global, args.store.as_deref())?)? };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match &args.command {
            Command::List => work.list().await,
            Command::Show(args) => work.show(args).await,
            Command::Diff(args) => work.diff(args).await,
            Command::Verify(args) => work.verify(args).await,
            Command::Unpin => work.unpin().await,
        }
    })
}

struct Work<'a> {
    global: &'a Global,
    store: Arc<dyn Store>,
}

impl Work<'_> {
    async fn list(&self) -> Result<Status> {
        let releases = self.releases().await?;
        let pin = self.store.archive().pin().await?;
        if self.global.json {
            output::json(&json!({ "releases": releases, "pin": pin.as_ref().map(pin_json) }));
        } else if releases.is_empty() {
            output::line("no releases are kept yet");
        } else {
            output::line(paint(BOLD, "RELEASE       ACTIVATED             FILES  STATE    WHO"));
            releases.iter().for_each(|release| output::line(row(release)));
            pin.iter().for_each(|pin| output::line(paint(ODD, pinned(pin))));
        }
        Ok(if releases.is_empty() { Status::Failed } else { Status::Good })
    }

    async fn show(&self, args: &One) -> Result<Status> {
        let hash = self.find(&args.release).await?;
        let release = self.releases().await?.into_iter().find(|release| release.hash == hash);
        let mut tree = content::kept(&*self.store, &hash).await?;
        content::load_short(&*self.store, &mut tree).await?;
        let files = shown::files(&tree);
        if self.global.json {
            output::json(&json!({ "release": release, "files": files }));
            return Ok(Status::Good);
        }
        if let Some(release) = release {
            output::line(format_args!("{} {}", paint(BOLD, "release"), release.hash));
            output::line(format_args!("{}, by {}", row(&release).trim_end(), release.who.as_deref().unwrap_or("?")));
            release.commit.iter().for_each(|commit| output::line(format_args!("commit {commit}")));
            release.tests.iter().for_each(|tests| output::line(tested(tests)));
            release.findings.iter().for_each(|finding| output::line(finding["text"].as_str().unwrap_or_default()));
        }
        for file in files {
            let lines = file
                .text
                .as_ref()
                .map_or_else(String::new, |text| format!(", {}", counted(text.lines().count(), "line")));
            output::line(format_args!(
                "  {} {}  {}",
                file.part.name(),
                file.name,
                paint(DIM, format!("{} bytes{lines}", file.bytes))
            ));
        }
        Ok(Status::Good)
    }

    async fn diff(&self, args: &Two) -> Result<Status> {
        let from = content::kept(&*self.store, &self.find(&args.from).await?).await?;
        let to = match &args.to {
            Some(to) => content::kept(&*self.store, &self.find(to).await?).await?,
            None => content::on_disk(&Place::of(&self.global.config)).await.map_err(|failure| told(&failure))?,
        };
        let differs = content::diff(&*self.store, from, to, history::diff::MOST_SHOWN).await?;
        if self.global.json {
            output::json(&json!({ "files": differs }));
        } else if differs.is_empty() {
            output::line("they are the same");
        } else {
            differs.iter().for_each(difference);
        }
        Ok(Status::Good)
    }

    async fn verify(&self, args: &Head) -> Result<Status> {
        let verified = self.store.archive().verify_changes().await?;
        let held = match &args.holds {
            Some(hash) => self.holds(hash).await?,
            None => true,
        };
        if self.global.json {
            let Verified { rows, last, wrong } = &verified;
            output::json(
                &json!({ "rows": rows, "last": last, "wrong": wrong, "holds": args.holds.as_ref().map(|_| held) }),
            );
        } else {
            let rows = counted(usize::try_from(verified.rows).unwrap_or(usize::MAX), "row");
            match &verified.wrong {
                Some(wrong) => output::line(format_args!(
                    "{} row {} {}; the {rows} before it are as they were written",
                    paint(BAD, "the log of changes is not what it was:"),
                    wrong.number,
                    wrong.why
                )),
                None => output::line(format_args!("{} {rows}, each as it was written", paint(GOOD, "good:"))),
            }
            verified
                .last
                .iter()
                .for_each(|(number, hash)| output::line(paint(DIM, format!("row {number} has the hash {hash}"))));
            if !held {
                output::line(paint(BAD, "no row has the hash that it must hold: the log was written anew"));
            }
        }
        Ok(if verified.wrong.is_none() && held { Status::Good } else { Status::Failed })
    }

    /// Whether a row of the log has this hash.
    async fn holds(&self, hash: &str) -> Result<bool> {
        let mut query = hookgate_store::archive::ChangeQuery { limit: usize::MAX, ..Default::default() };
        loop {
            let page = self.store.archive().changes(query.clone()).await?;
            if page.changes.iter().any(|change| change.hash == hash) {
                return Ok(true);
            }
            query.after = page.next;
            if page.next.is_none() {
                return Ok(false);
            }
        }
    }

    async fn unpin(&self) -> Result<Status> {
        let Some(pin) = self.store.archive().pin().await? else {
            output::note("nothing is pinned");
            return Ok(Status::Failed);
        };
        let change = history::unpinned(self.store.now(), "command line", &pin);
        self.store.archive().note(change).await?;
        output::note(
            "the pin is ended: the next start takes what is on disk (a gateway that runs keeps it until then)",
        );
        Ok(Status::Good)
    }

    async fn releases(&self) -> Result<Vec<Release>> {
        Ok(shown::list(self.store.archive().releases().await?, None))
    }

    async fn find(&self, name: &str) -> Result<String> {
        let kept = self.store.archive().releases().await?;
        shown::find(&kept, name).context("`hookgate release list` shows those that are kept")
    }
}

/// A failure with its findings, which are printed.
fn told(failure: &history::Failure) -> anyhow::Error {
    if let history::Failure::OnDisk(findings) = failure {
        output::note(output::rendered(findings));
    }
    anyhow::anyhow!("{failure}")
}

fn row(release: &Release) -> String {
    let state = match release.state {
        Standing::Running => paint(GOOD, "newest "),
        _ => "past   ".to_owned(),
    };
    let activated = release.activated_at.as_deref().and_then(|at| at.get(..19)).unwrap_or("-");
    let who: String = release.who.iter().flat_map(|who| who.chars()).filter(|letter| !letter.is_control()).collect();
    format!("{}  {activated}Z  {:>5}  {state}  {who}", release.label, release.files)
}

fn pinned(pin: &Pin) -> String {
    format!(
        "{} is pinned by {}: what is on disk ({}) stays out until it changes",
        shown::label(&pin.to),
        pin.who,
        shown::label(&pin.from)
    )
}

fn pin_json(pin: &Pin) -> Value {
    json!({ "to": pin.to, "from": pin.from, "since": shown::time(pin.since), "who": pin.who })
}

fn tested(tests: &Value) -> String {
    let of = |name: &str| tests[name].as_u64().unwrap_or_default();
    format!(
        "tests: {} passed, {} failed, {} skipped, {} unchanged",
        of("passed"),
        of("failed"),
        of("skipped"),
        of("unchanged")
    )
}

fn difference(file: &FileDiff) {
    let (sign, word) = match file.change {
        Fate::Added => (GOOD, "added"),
        Fate::Removed => (BAD, "removed"),
        Fate::Changed => (ODD, "changed"),
    };
    let lines = format!("+{} -{}", file.added, file.removed);
    output::line(format_args!(
        "{} {} {} {}",
        paint(sign, word),
        file.part.name(),
        paint(BOLD, &file.name),
        paint(DIM, lines)
    ));
    for line in file.text.iter().flat_map(|text| text.lines()) {
        // Nothing of a file is obeyed by the terminal.
        let line: String = line
            .chars()
            .map(|letter| if letter.is_control() && letter != '\t' { '\u{fffd}' } else { letter })
            .collect();
        match line.chars().next() {
            Some('+') => output::line(paint(GOOD, line)),
            Some('-') => output::line(paint(BAD, line)),
            _ => output::line(line),
        }
    }
}
