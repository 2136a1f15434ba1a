//! Putting a release in force, and refusing one.

use std::sync::{Arc, PoisonError};

use jiff::Timestamp;

use crate::release::Release;
use crate::release::bundle::Content;
use crate::release::gate::{Pace, Tested};
use crate::release::live::status::{State, Status};
use crate::release::live::told::{log_live, log_refused, restart_sections};
use crate::release::live::{Asked, Live, Reloaded};
use crate::release::witness::{Activated, Cause, Pinned, Refused, Seen};
use hookgate_model::finding::Finding;

/// What puts a release in force.
pub(super) struct Going<'a> {
    pub(super) who: &'a str,
    pub(super) cause: Cause,
    pub(super) pinned: Option<Pinned>,
    pub(super) tests: Option<Tested>,
    pub(super) before: Option<&'a Release>,
    /// The turn that it was built in; if another one has come since, it does not go live. Nothing: it goes live anyway.
    pub(super) turn: Option<u64>,
    /// Whether the files are still what it was built of.
    pub(super) stands: &'a dyn Fn() -> bool,
}

impl Live {
    /// Runs the tests of a release, and adds what they warn of to it.
    ///
    /// # Errors
    /// Which tests failed, and why.
    pub fn examine(&self, release: &mut Release, pace: Pace) -> Result<Tested, Vec<Finding>> {
        let examined = self.gate.examine(release, pace);
        self.metrics.set_failed_tests(&examined.failed_by_script);
        self.lock().tests = examined.tested.clone();
        if !examined.errors.is_empty() {
            return Err(examined.errors);
        }
        release.warnings.extend(examined.warnings.iter().cloned());
        self.gate.keep(&examined);
        Ok(examined.tested)
    }

    /// Puts the first release in force, with what its tests came to; a pinned one was in force before, and has none.
    pub fn start(&self, release: Release, tests: Option<Tested>, pinned: Option<Pinned>) {
        let going =
            Going { who: "start", cause: Cause::Start, pinned, tests, before: None, turn: None, stands: &|| true };
        self.activate(release, going);
    }

    /// Puts a release in force that was before, because what is on disk was refused: its content, if it can be read, and why.
    pub fn stand_in(
        &self,
        release: Release,
        pinned: Option<Pinned>,
        (on_disk, findings): (Option<(String, Content)>, Vec<Finding>),
    ) {
        self.start(release, None, pinned);
        self.refuse(on_disk, findings, Asked::Files);
        self.note_from_store(true);
    }

    fn note_from_store(&self, from_store: bool) {
        self.lock().from_store = from_store;
        self.metrics.set_from_store(from_store);
    }

    /// Puts a release in force if its tests pass.
    ///
    /// # Errors
    /// Which tests failed, and why.
    pub(super) fn admit(
        &self,
        mut release: Release,
        pace: Pace,
        going: Going<'_>,
    ) -> Result<Option<Reloaded>, Vec<Finding>> {
        let tests = self.examine(&mut release, pace)?;
        Ok(self.activate(release, Going { tests: Some(tests), ..going }))
    }

    /// Puts a release in force; nothing if another one came first.
    pub(super) fn activate(&self, mut release: Release, going: Going<'_>) -> Option<Reloaded> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if going.turn.is_some_and(|built| built != *turn) || !(going.stands)() {
            return None;
        }
        *turn += 1;
        let Going { who, cause, pinned, tests, before, .. } = going;
        let content = release.content.take();
        release.start();
        let release = Arc::new(release);
        self.current.store(Some(release.clone()));
        let (was, unpinned) = self.note_live(&release, pinned.clone());
        self.metrics.reloads.inc("activated");
        self.metrics.set_from_store(false);
        self.metrics.set_release(&release.hash);
        log_live(&release, before.is_some_and(|before| before.hash == release.hash), pinned.as_ref());
        if let Some(content) = content {
            let (hash, who) = (release.hash.clone(), who.to_owned());
            let warnings = release.warnings.clone();
            let activated = Activated { hash, content, who, cause, before: was, pinned, unpinned, warnings, tests };
            self.told(Seen::Activated(Box::new(activated)));
        }
        Some(Reloaded::Activated)
    }

    /// Puts into the status that a release is in force. What was, and which pin held until now.
    fn note_live(&self, release: &Release, pinned: Option<Pinned>) -> (Option<String>, Option<Pinned>) {
        let mut status = self.lock();
        let tests = std::mem::take(&mut status.tests);
        let hash = Some(release.hash.clone());
        let now = Status {
            tests,
            on_disk: pinned.as_ref().map(|pinned| pinned.from.clone()).or_else(|| hash.clone()),
            running: hash,
            state: if pinned.is_some() { State::Pinned } else { State::Current },
            error: Vec::new(),
            warnings: release.warnings.clone(),
            waiting_for: None,
            from_store: false,
            activated_at: Some(Timestamp::now().to_string()),
            pinned,
            refused_secrets: release.refused_secrets(),
            needs_restart: restart_sections(release),
        };
        let Status { running, pinned, .. } = std::mem::replace(&mut *status, now);
        (running, pinned)
    }

    pub(super) fn refuse(
        &self,
        on_disk: Option<(String, Content)>,
        findings: Vec<Finding>,
        asked: Asked<'_>,
    ) -> Reloaded {
        let (news, running) = {
            let status = self.lock();
            (status.error != findings || status.state != State::Refused, status.running.clone())
        };
        // The files are tried again on a timer; the log repeats only what is new. It comes first: who sees the status finds more there.
        if news {
            log_refused(&findings);
        }
        let mut status = self.lock();
        status.on_disk = on_disk.as_ref().map(|(hash, _)| hash.clone());
        status.state = State::Refused;
        status.error.clone_from(&findings);
        drop(status);
        self.metrics.reloads.inc("refused");
        if news {
            let who = asked.who().to_owned();
            self.told(Seen::Refused(Box::new(Refused { on_disk, who, running, findings })));
        }
        Reloaded::Refused
    }
}
