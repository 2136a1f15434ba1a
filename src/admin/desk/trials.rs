//! Requests on trial, for operators.

use std::io;

use crate::admin::access::Operator;
use crate::admin::desk::Desk;
use hookgate_engine::trial::case::Draft;
use hookgate_engine::trial::tried::Tried;
use hookgate_engine::trial::{Order, Subject, TrialError};

impl Desk {
    /// Tries a request: nothing acts.
    ///
    /// # Errors
    /// It cannot be tried, and why.
    pub async fn try_out(&self, _: &Operator, subject: Subject, order: &Order) -> Result<Tried, TrialError> {
        let parts = &self.parts;
        parts.bench.run_on(subject, parts.live.clone(), parts.place.clone(), order).await
    }

    /// Makes a golden case of a request, without what is secret in it.
    ///
    /// # Errors
    /// It cannot be tried, or no case can be made of it.
    pub async fn draft(&self, _: &Operator, subject: Subject, order: &Order, name: &str) -> Result<Draft, TrialError> {
        let parts = &self.parts;
        parts.bench.case_on(subject, parts.live.clone(), parts.place.clone(), order, name).await
    }

    /// Writes a case below the bundle.
    ///
    /// # Errors
    /// There is such a file already, or it cannot be written.
    pub async fn save(&self, _: &Operator, draft: Draft) -> io::Result<()> {
        let root = self.parts.place.root.clone();
        tokio::task::spawn_blocking(move || draft.write(&root)).await.map_err(io::Error::other)?
    }
}
