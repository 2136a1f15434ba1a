//! Calls that must not be played twice: the store knows what they were answered, also after a reload or a restart.

use std::borrow::Cow;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::timeout_at;

use crate::delivery::Answered;
use crate::gateway::Gateway;
use crate::gateway::decide::InlineRoute;
use crate::gateway::digest::digest;
use crate::outcome::{RunFailure, RunOutcome};
use hookgate_hooks::Reply;
use hookgate_store::{OneTimeAnswer, StoreError};

/// Longer ids are known by their digest.
const LONGEST_ID: usize = 256;

/// What a call was answered that counts once.
pub(super) enum OneTimeOutcome {
    /// It ran now, and its answer is kept with its actions.
    First(Box<RunOutcome>),
    /// It was answered before.
    Again(Reply),
}

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
    /// What a call of this id was answered before.
    ///
    /// # Errors
    /// The store does not say, or not by the deadline.
    pub(super) async fn given(&self, route: &str, id: &str, deadline: Instant) -> Result<Option<Reply>, StoreError> {
        let key = key_of(id);
        let answer = timeout_at(deadline.into(), self.delivery.store().answer(route, &key));
        let kept = answer.await.unwrap_or(Err(StoreError::Late))?;
        Ok(kept.and_then(|kept| unpacked(&kept)))
    }

    /// Keeps the answer of a run with its actions: both or neither. A declared answer is not kept: the call may be made again.
    pub(super) async fn keep_once(
        &self,
        at: InlineRoute<'_>,
        (answered, id): (Answered<'_>, &str),
        (outcome, until): (RunOutcome, Timestamp),
        deadline: Instant,
    ) -> OneTimeOutcome {
        if outcome.failure.is_some() {
            return OneTimeOutcome::First(Box::new(outcome));
        }
        let answer = OneTimeAnswer {
            route: at.route.name.as_str().into(),
            key: key_of(id),
            answer: packed(&outcome.reply),
            until: until.as_millisecond(),
        };
        match self.delivery.keep_once(answered, &outcome.actions, answer, deadline).await {
            Ok(None) => OneTimeOutcome::First(Box::new(outcome)),
            Ok(Some(kept)) => match unpacked(&kept) {
                Some(reply) => OneTimeOutcome::Again(reply),
                None => failed(at, outcome, StoreError::Broken("the kept answer cannot be read".to_owned())),
            },
            Err(problem) => failed(at, outcome, problem),
        }
    }
}

fn failed(at: InlineRoute<'_>, outcome: RunOutcome, problem: StoreError) -> OneTimeOutcome {
    let outcome = RunOutcome { actions: Vec::new(), ..outcome };
    OneTimeOutcome::First(Box::new(at.script_use().failed(outcome, RunFailure::Store(problem))))
}

fn key_of(id: &str) -> String {
    if id.len() <= LONGEST_ID { id.to_owned() } else { digest(&Bytes::copy_from_slice(id.as_bytes())) }
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

fn unpacked(kept: &[u8]) -> Option<Reply> {
    let KeptReply { status, content_type, headers, body } = serde_json::from_slice(kept).ok()?;
    let header = |(name, value): (String, Vec<u8>)| {
        Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_bytes(&value).ok()?))
    };
    Some(Reply {
        headers: headers.into_iter().map(header).collect::<Option<_>>()?,
        content_type: Cow::Owned(content_type.into_owned()),
        body: body.into(),
        ..Reply::empty(status)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_reply_reads_back_as_it_was() {
        let headers = vec![(HeaderName::from_static("cache-control"), HeaderValue::from_static("no-store"))];
        let reply = Reply { headers, ..Reply::json(Bytes::from_static(b"{\"a\":\xc3\xa4}")) };
        assert_eq!(unpacked(&packed(&reply)), Some(reply));
        assert_eq!(unpacked(&packed(&Reply::empty(204))), Some(Reply::empty(204)));
        assert_eq!(unpacked(b"{}"), None);
    }

    #[test]
    fn a_long_id_is_known_by_its_digest() {
        let (short, long) = ("a".repeat(LONGEST_ID), "a".repeat(LONGEST_ID + 1));
        assert_eq!(key_of(&short), short);
        assert!(key_of(&long).len() <= LONGEST_ID && key_of(&long) != key_of(&format!("{long}a")));
    }
}
