//! Decisions, as somebody may see them.

use crate::admin::access::sight::{ContentKind, Disclosure, Sight};
use crate::admin::desk::Desk;
use hookgate_engine::records::subject;
use hookgate_model::decision::{Capture, Page, Query, Record};
use hookgate_store::StoreError;

/// One decision.
pub struct DecisionView {
    pub record: Record,
    /// Nothing where nothing was captured, or not any more.
    pub capture: Option<Disclosure<Capture>>,
}

impl Desk {
    /// A page of decisions, newest first. Whoever was answered before this is called finds their decision in it, unless the
    /// recorder is more than a quarter of a second behind.
    ///
    /// # Errors
    /// The store is in trouble.
    pub async fn decisions(&self, query: Query, sight: Sight) -> Result<Page, StoreError> {
        self.parts.records.catch_up().await;
        let Page { records, next } = self.store().decisions(query).await?;
        Ok(Page { records: records.into_iter().map(|record| sight.record(record)).collect(), next })
    }

    /// The decision of this id; nothing if none is kept.
    ///
    /// # Errors
    /// The store is in trouble.
    pub async fn decision(&self, id: &str, sight: Sight) -> Result<Option<DecisionView>, StoreError> {
        let mut found = self.store().decision(id).await?;
        if found.is_none() {
            self.parts.records.catch_up().await;
            found = self.store().decision(id).await?;
        }
        Ok(found.map(|(record, capture)| DecisionView {
            record: sight.record(record),
            capture: capture.map(|capture| sight.show(ContentKind::Capture, bytes(&capture), capture)),
        }))
    }

    /// What a login may be recorded as.
    ///
    /// # Errors
    /// The store is in trouble.
    pub async fn names(&self, login: &str) -> Result<Vec<String>, StoreError> {
        subject::names(&**self.store(), login).await
    }
}

/// How long both bodies are as JSON. Where they were too large there is nothing to withhold.
fn bytes(capture: &Capture) -> usize {
    if capture.too_large {
        return 0;
    }
    capture.request.to_string().len() + capture.reply.to_string().len()
}
