//! Calls that must not be played twice: the store knows what they were answered, also after a reload or a restart.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::time::timeout_at;

use crate::delivery::Answered;
use crate::gateway::Gateway;
use crate::gateway::decide;
use crate::gateway::decide::{Asked, InlineRoute};
use crate::gateway::digest::digest;
use crate::gateway::record::Record;
use crate::outcome::{RunFailure, RunOutcome};
use crate::release::Release;
use hookgate_hooks::{Decoded, Facts, Reply};
use hookgate_store::{OneTimeAnswer, StoreError};

/// Longer ids are known by their digest.
const LONGEST_ID: usize = 256;

/// A reply as the store keeps it.
#[derive(Serialize, Deserialize)]
struct KeptReply<'a> {
    status: u16,
    #[serde(borrow)]
    content_type: Cow<'a, str>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Gateway {
    /// The reply to a call that must not be played twice; of one that was, the reply it got then. Where something is sent
    /// first, that is the reply for when the first connector takes it.
    pub(super) async fn reply_once(
        &self,
        release: &Arc<Release>,
        at: InlineRoute<'_>,
        (id, until): (&str, Timestamp),
        (request, body): (Decoded, Bytes),
        (asked, record): (Asked<'_>, &mut Record),
    ) -> Reply {
        match self.given(&at.route.name, id, asked.deadline).await {
            Ok(None) => {}
            Ok(Some(reply)) => return record.repeated(reply),
            Err(problem) => return record.decided(decide::not_run(at, RunFailure::OnceUnknown(problem)), request),
        }
        let outcome = decide::decide(&self.lanes, self.delivery.lookups(), at, &request, asked).await;
        // A declared answer is not kept: the call may be made again.
        if outcome.failure.is_some() {
            return record.decided(outcome, request);
        }
        let facts = &request.facts;
        let outcome = match self.keep_once(at, (id, until), (facts, &body), &outcome, asked.deadline).await {
            Ok(None) => self.sent(release, at, (facts, &body), outcome, asked.deadline).await,
            Ok(Some(reply)) => return record.repeated(reply),
            Err(problem) => {
                let outcome = RunOutcome { actions: Vec::new(), ..outcome };
                at.script_use().failed(outcome, RunFailure::Store(problem))
            }
        };
        record.decided(outcome, request)
    }

    /// What a call of this id was answered before.
    ///
    /// # Errors
    /// The store does not say, or not by the deadline.
    async fn given(&self, route: &str, id: &str, deadline: Instant) -> Result<Option<Reply>, StoreError> {
        let key = key_of(id);
        let answer = timeout_at(deadline.into(), self.delivery.store().answer(route, &key));
        let kept = answer.await.unwrap_or(Err(StoreError::Late))?;
        kept.map(|kept| unpacked(&kept)).transpose()
    }

    /// Keeps the answer of a run with its actions: both or neither. What the call was answered before, if it was.
    ///
    /// # Errors
    /// Nothing was kept, or not by the deadline.
    async fn keep_once(
        &self,
        at: InlineRoute<'_>,
        (id, until): (&str, Timestamp),
        (facts, body): (&Facts, &Bytes),
        outcome: &RunOutcome,
        deadline: Instant,
    ) -> Result<Option<Reply>, StoreError> {
        let answer = OneTimeAnswer {
            route: at.route.name.as_str().into(),
            key: key_of(id),
            answer: packed(&outcome.reply),
            until: until.as_millisecond(),
        };
        let answered = Answered { route: at.route, facts, decision: &outcome.id, digest: &digest(body) };
        let kept = self.delivery.keep_once(answered, &outcome.actions, answer, deadline).await?;
        kept.map(|kept| unpacked(&kept)).transpose()
    }
}

/// What the store knows an id by.
fn key_of(id: &str) -> String {
    if id.len() <= LONGEST_ID { id.to_owned() } else { hex::encode(Sha256::digest(id)) }
}

fn packed(reply: &Reply) -> Bytes {
    let headers = reply.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    let kept = KeptReply {
        status: reply.status,
        content_type: Cow::Borrowed(&reply.content_type),
        headers: headers.collect(),
        body: reply.body.to_vec(),
    };
    serde_json::to_vec(&kept).expect("a reply is JSON").into()
}

fn unpacked(kept: &[u8]) -> Result<Reply, StoreError> {
    let unreadable = || StoreError::Broken("the kept answer cannot be read".to_owned());
    let kept: KeptReply<'_> = serde_json::from_slice(kept).map_err(|_| unreadable())?;
    let header = |(name, value): (String, Vec<u8>)| {
        Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_bytes(&value).ok()?))
    };
    Ok(Reply {
        headers: kept.headers.into_iter().map(header).collect::<Option<_>>().ok_or_else(unreadable)?,
        content_type: Cow::Owned(kept.content_type.into_owned()),
        body: kept.body.into(),
        ..Reply::empty(kept.status)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_reply_reads_back_as_it_was() {
        let headers = vec![(HeaderName::from_static("cache-control"), HeaderValue::from_static("no-store"))];
        let reply = Reply { headers, ..Reply::json(Bytes::from_static(b"{\"a\":\xc3\xa4}")) };
        assert_eq!(unpacked(&packed(&reply)), Ok(reply));
        assert_eq!(unpacked(&packed(&Reply::empty(204))), Ok(Reply::empty(204)));
        assert!(unpacked(b"{}").is_err());
    }

    #[test]
    fn a_long_id_is_known_by_its_digest() {
        let (short, long) = ("a".repeat(LONGEST_ID), "a".repeat(LONGEST_ID + 1));
        assert_eq!(key_of(&short), short);
        assert!(key_of(&long).len() <= LONGEST_ID && key_of(&long) != key_of(&format!("{long}a")));
        assert_ne!(key_of(&format!("{long} b")), key_of(&format!("{long}b")), "a blank counts in an id");
    }
}
