//! Events and what became of them, as somebody may see them.

use bytes::Bytes;

use crate::admin::access::sight::{ContentKind, Disclosure, Sight};
use crate::admin::desk::Desk;
use hookgate_store::{Attempt, Dossier, EventLine, EventRef, JobKind, JobLine, Page, Query, StoreError};

/// Everything about one event.
pub struct EventView {
    pub line: EventLine,
    /// What the events of the delivery have in common.
    pub envelope: Disclosure<String>,
    /// As it was sent; empty for answered calls, of which none is kept.
    pub body: Disclosure<Bytes>,
    /// Its jobs, oldest first.
    pub jobs: Vec<JobView>,
}

/// One job.
pub struct JobView {
    /// Its `body` is empty, and the details of its tries are as they may be seen.
    pub line: JobLine,
    /// What the action is; empty for rules.
    pub action: Disclosure<Bytes>,
}

impl Desk {
    /// A page of events, newest first: nothing of what they hold.
    ///
    /// # Errors
    /// The store is in trouble.
    pub async fn events(&self, query: Query) -> Result<Page, StoreError> {
        self.store().list(query).await
    }

    /// One event; nothing if none of that name is kept.
    ///
    /// # Errors
    /// The store is in trouble.
    pub async fn event(&self, which: EventRef, sight: Sight) -> Result<Option<EventView>, StoreError> {
        Ok(self.store().show(which).await?.map(|dossier| EventView::of(dossier, sight)))
    }
}

impl EventView {
    pub(in crate::admin) fn of(dossier: Dossier, sight: Sight) -> Self {
        let Dossier { event, envelope, body, jobs } = dossier;
        Self {
            line: event,
            envelope: sight.show(ContentKind::Event, envelope.len(), envelope),
            body: sight.show(ContentKind::Event, body.len(), body),
            jobs: jobs.into_iter().map(|job| JobView::of(job, sight)).collect(),
        }
    }
}

impl JobView {
    fn of(mut line: JobLine, sight: Sight) -> Self {
        let action = std::mem::take(&mut line.body);
        // What a rule that ran asked for is counted there, in our own words.
        let in_our_words = |attempt: &Attempt| line.kind == JobKind::Rule && attempt.result == "done";
        for attempt in line.tries.iter_mut().filter(|attempt| !in_our_words(attempt)) {
            attempt.detail = sight.text(ContentKind::Try, std::mem::take(&mut attempt.detail));
        }
        Self { line, action: sight.show(ContentKind::Action, action.len(), action) }
    }
}
