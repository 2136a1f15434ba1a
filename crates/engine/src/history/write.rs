//! Keeps what was seen: the release with its content, then a row in the log of changes. In order, on one task, and again
//! until the store takes it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::sync::oneshot;
use tracing::{debug, error, warn};

use crate::history::Failure;
use crate::history::content;
use crate::history::content::Tree;
use crate::history::diff::FileDiff;
use crate::history::shown;
use crate::history::shown::About;
use crate::release::bundle::Place;
use crate::release::git;
use crate::release::suite;
use crate::release::witness::{Activated, Cause, Pinned, Refused, Seen, Witness};
use hookgate_model::finding::Finding;
use hookgate_store::archive::{Change, File, MOST_DETAIL, NewChange, Part, PastRelease, Pin, Repin, Snapshot};
use hookgate_store::{Millis, Store, StoreError};

/// What of a difference goes into a row, in bytes of text and in files.
const MOST_DIFF: usize = 64 << 10;
const MOST_FILES: usize = 500;
/// Findings in a row, and the length of each.
const MOST_FINDINGS: usize = 50;
const MOST_FINDING: usize = 1_000;
/// How long to wait before the store is asked again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Something to do for the task.
pub(super) enum Item {
    Seen(Millis, Seen),
    /// Answered when all before it is kept.
    Settle(oneshot::Sender<()>),
    Stop(oneshot::Sender<()>),
}

/// Hands over what [`Live`](crate::release::live::Live) tells, and never waits.
pub(super) struct Told {
    queue: Sender<Item>,
    store: Arc<dyn Store>,
}

impl Told {
    pub(super) fn new(queue: Sender<Item>, store: Arc<dyn Store>) -> Self {
        Self { queue, store }
    }
}

impl Witness for Told {
    fn saw(&self, seen: Seen) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(Item::Seen(self.store.now(), seen)) {
            error!("the store has not taken past releases for long: this one is missing in the log of changes");
        }
    }
}

pub(super) async fn run(store: Arc<dyn Store>, place: Place, mut items: Receiver<Item>) {
    while let Some(item) = items.recv().await {
        match item {
            Item::Seen(at, seen) => keep(&*store, &place, at, &seen).await,
            Item::Settle(done) => drop(done.send(())),
            Item::Stop(done) => {
                let _ = done.send(());
                return;
            }
        }
    }
}

/// Keeps what was seen, and tries until it is, as long as it is the store that cannot.
async fn keep(store: &dyn Store, place: &Place, at: Millis, seen: &Seen) {
    let mut entry = None;
    let mut pause = FIRST_PAUSE;
    while let Err(failure) = try_to_keep(store, place, at, seen, &mut entry).await {
        use StoreError::{Broken, Busy, Full, ReadOnly};
        match failure {
            Failure::Store(error @ (Busy | Full | ReadOnly(_) | Broken(_))) if pause == FIRST_PAUSE => {
                warn!(%error, "the past of releases waits for the store");
            }
            Failure::Store(Busy | Full | ReadOnly(_) | Broken(_)) => {}
            failure => return error!(%failure, "something of the past of releases is not kept"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// What is to be kept of something that was seen.
struct Entry {
    /// Nothing once it is.
    snapshot: Option<Snapshot>,
    row: NewChange,
}

async fn try_to_keep(
    store: &dyn Store,
    place: &Place,
    at: Millis,
    seen: &Seen,
    entry: &mut Option<Entry>,
) -> Result<(), Failure> {
    let entry = match (entry, seen) {
        (Some(entry), _) => entry,
        (entry, Seen::Activated(seen)) => entry.insert(activated(store, place, at, seen).await?),
        (entry, Seen::Refused(seen)) => entry.insert(refused(store, at, seen).await?),
    };
    if let Some(snapshot) = &entry.snapshot {
        store.archive().keep_release(snapshot.clone()).await?;
        entry.snapshot = None;
    }
    note(store, entry.row.clone()).await?;
    Ok(())
}

/// A release that went live.
async fn activated(store: &dyn Store, place: &Place, at: Millis, seen: &Activated) -> Result<Entry, Failure> {
    let files = content::files(&seen.content);
    let known = store.archive().releases().await?;
    let earlier = known.iter().find(|release| release.hash == seen.hash).map(|release| About::of(&release.about));
    let before = seen.before.clone().or_else(|| known.first().map(|release| release.hash.clone()));
    let differs = without_bodies(differences(store, &known, before.as_deref(), &files).await?, false);
    let about = about(place, seen, earlier.unwrap_or_default());
    let what = if seen.cause == Cause::RolledBack { "rolled back" } else { "release activated" };
    let mut detail = json!({ "commit": about.commit, "warnings": seen.warnings.len(), "tests": seen.tests });
    tell_files(&mut detail, differs);
    match (&seen.pinned, &seen.unpinned) {
        (Some(pinned), _) => detail["pinned"] = json!(pinned),
        (None, Some(ended)) => detail["pin_ended"] = json!(ended),
        (None, None) => {}
    }
    let pin = seen.pinned.as_ref().map_or(Repin::End, |pinned| Repin::Set(pin(pinned, at)));
    let row = change(at, &seen.who, what, &shown::label(&seen.hash), &detail);
    let row = NewChange { before, after: Some(seen.hash.clone()), pin, ..row };
    let about = serde_json::to_string(&about).unwrap_or_default();
    let snapshot = Snapshot { hash: seen.hash.clone(), who: seen.who.clone(), at, about, files };
    Ok(Entry { snapshot: Some(snapshot), row })
}

/// What is on disk was refused.
async fn refused(store: &dyn Store, at: Millis, seen: &Refused) -> Result<Entry, Failure> {
    let Refused { on_disk, who, running, findings } = seen;
    let subject = on_disk.as_ref().map_or_else(|| "on disk".to_owned(), |(hash, _)| shown::label(hash));
    let mut detail =
        json!({ "findings": told(findings), "more_findings": findings.len().saturating_sub(MOST_FINDINGS) });
    if let Some((_, content)) = on_disk {
        let known = store.archive().releases().await?;
        let differs = differences(store, &known, running.as_deref(), &content::files(content)).await?;
        tell_files(&mut detail, without_bodies(differs, true));
    }
    let row = change(at, who, "release refused", &subject, &detail);
    let after = on_disk.as_ref().map(|(hash, _)| hash.clone());
    Ok(Entry { snapshot: None, row: NewChange { before: running.clone(), after, ..row } })
}

/// How the files differ from those of a release; nothing where that is not kept or not as it was.
async fn differences(
    store: &dyn Store,
    known: &[PastRelease],
    before: Option<&str>,
    files: &[File],
) -> Result<Vec<FileDiff>, Failure> {
    let Some(before) = before.filter(|before| known.iter().any(|release| release.hash == *before)) else {
        return Ok(Vec::new());
    };
    let files = files.to_vec();
    let tree = tokio::task::spawn_blocking(move || content::tree(files)).await.unwrap_or_default();
    match compared(store, before, tree).await {
        Err(Failure::Store(error)) => Err(error.into()),
        Err(failure) => {
            warn!(%failure, "the release before cannot be compared with");
            Ok(Vec::new())
        }
        Ok(differs) => Ok(differs),
    }
}

async fn compared(store: &dyn Store, before: &str, tree: Tree) -> Result<Vec<FileDiff>, Failure> {
    content::diff(store, content::kept(store, before).await?, tree, MOST_DIFF).await
}

/// What is kept beside the files. What only the first time could tell stays.
fn about(place: &Place, seen: &Activated, earlier: About) -> About {
    let from_disk = seen.cause != Cause::RolledBack && seen.pinned.is_none();
    About {
        warnings: told(&seen.warnings),
        tests: seen.tests.as_ref().and_then(|tests| serde_json::to_value(tests).ok()).or(earlier.tests),
        commit: if from_disk { git::head(&place.root) } else { earlier.commit },
    }
}

fn pin(pinned: &Pinned, at: Millis) -> Pin {
    let Pinned { to, from, since, who } = pinned.clone();
    let since = since.parse::<jiff::Timestamp>().map_or(at, |since| since.as_millisecond());
    Pin { to, from, since, who }
}

fn told(findings: &[Finding]) -> Vec<Value> {
    let told = |finding: &Finding| {
        let text: String = finding.for_logs().one_line().chars().take(MOST_FINDING).collect();
        json!({ "severity": finding.severity, "code": finding.code, "file": finding.file, "text": text })
    };
    findings.iter().take(MOST_FINDINGS).map(told).collect()
}

/// Differences as the log of changes keeps them, which nobody can take anything out of: without the lines of files that may
/// hold a call somebody saved, or data of people. Of what was refused, the configuration may hold a secret by mistake.
fn without_bodies(mut differs: Vec<FileDiff>, refused: bool) -> Vec<FileDiff> {
    for file in &mut differs {
        let open = match file.part {
            Part::Config => !refused,
            Part::Script => !suite::is_test(&file.name),
            Part::Fixture | Part::Table => false,
        };
        file.text = file.text.take().filter(|_| open);
    }
    differs
}

fn tell_files(detail: &mut Value, mut differs: Vec<FileDiff>) {
    let more = differs.len().saturating_sub(MOST_FILES);
    differs.truncate(MOST_FILES);
    detail["files"] = json!(differs);
    if more > 0 {
        detail["more_files"] = json!(more);
    }
}

/// A row as it is noted. A detail that is too long loses the texts of its differences, or all of it.
pub(super) fn change(at: Millis, who: &str, what: &str, subject: &str, detail: &Value) -> NewChange {
    let mut text = detail.to_string();
    if text.len() > MOST_DETAIL {
        let mut shorter = detail.clone();
        let files = shorter.get_mut("files").and_then(Value::as_array_mut);
        files.into_iter().flatten().filter_map(Value::as_object_mut).for_each(|file| drop(file.remove("text")));
        text = shorter.to_string();
    }
    if text.len() > MOST_DETAIL {
        text = json!({ "cut": true, "bytes": text.len() }).to_string();
    }
    let (who, what, subject) = (who.to_owned(), what.to_owned(), subject.to_owned());
    NewChange { at, who, what, subject, detail: text, ..NewChange::default() }
}

/// Appends a row. Its hash goes to the log, too: who keeps that elsewhere can tell a log of changes that was written anew.
pub(super) async fn note(store: &dyn Store, change: NewChange) -> Result<Change, StoreError> {
    let change = store.archive().note(change).await?;
    debug!(
        change.number = change.number,
        change.what = change.what,
        change.who = change.who,
        change.hash = change.hash,
        "noted in the log of changes"
    );
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::diff::Fate;

    #[test]
    fn the_log_of_changes_keeps_no_lines_of_what_may_be_a_call() {
        let file = |(part, name): &(Part, &str)| FileDiff {
            part: *part,
            name: (*name).to_owned(),
            change: Fate::Added,
            added: 1,
            removed: 0,
            text: Some("+x".to_owned()),
        };
        let files = [
            (Part::Config, "gateway.toml"),
            (Part::Script, "a.rhai"),
            (Part::Script, "a_test.rhai"),
            (Part::Fixture, "cases/a/x.json"),
            (Part::Table, "people"),
        ];
        for (refused, expected) in [(false, &["gateway.toml", "a.rhai"][..]), (true, &["a.rhai"])] {
            let kept = without_bodies(files.iter().map(file).collect(), refused);
            assert_eq!(kept.len(), files.len(), "each is told of");
            let shown: Vec<&str> =
                kept.iter().filter(|file| file.text.is_some()).map(|file| file.name.as_str()).collect();
            assert_eq!(shown, expected);
        }
    }

    #[test]
    fn a_detail_that_is_too_long_loses_texts_before_anything_else() {
        let files = json!([{ "name": "a.rhai", "text": "x".repeat(MOST_DETAIL) }]);
        let row = change(0, "files", "release activated", "abc", &json!({ "tests": 3, "files": files }));
        assert_eq!(row.detail, r#"{"tests":3,"files":[{"name":"a.rhai"}]}"#);
        let row = change(0, "ann", "x", "y", &json!({ "other": "x".repeat(MOST_DETAIL) }));
        assert_eq!(row.detail, format!(r#"{{"cut":true,"bytes":{}}}"#, MOST_DETAIL + 12));
    }
}
