//! What only the embedded store promises: its file, its lock, and what it does when the disk fails.

use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::NewEvent;
use crate::NewJob;
use crate::claimant::Claimant;
use crate::open::OpenError;

fn event(key: &str) -> NewEvent {
    let job = NewJob {
        lane: "rule events/all".into(),
        name: "all".to_owned(),
        key: format!("{key}/all"),
        ..NewJob::default()
    };
    NewEvent {
        route: "events".into(),
        key: key.to_owned(),
        kind: "user.session.start".to_owned(),
        envelope: "{}".into(),
        body: vec![b'x'; 2000].into(),
        jobs: vec![job],
        ..NewEvent::default()
    }
}

fn intake(key: &str) -> Intake {
    Intake { events: vec![event(key)], ..Intake::default() }
}

fn open(folder: &TempDir) -> Sqlite {
    Sqlite::open(&folder.path().join("data/hookgate.db"), Options::default()).unwrap()
}

mod clocks;
mod closing;
mod deadlines;
mod failures;
mod files;
mod overwritten;
mod stand;
mod state;
