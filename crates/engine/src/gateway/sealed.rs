//! Calls whose head is needed with their body: it proves something about the body, or is a part of the call.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use jiff::Timestamp;

use crate::auth::{Evidence, Verified};
use crate::gateway::Gateway;
use crate::gateway::record::Record;
use crate::gateway::refusal::Refusal;
use crate::release::{Release, Route};
use hookgate_hooks::Reply;
use hookgate_hooks::envelope::ReceivedCall;

/// The head of a call that is read together with its body.
pub(super) struct SealedHead {
    pub(super) head: Parts,
    /// Nothing where the proof is in the body.
    pub(super) verified: Option<Verified>,
}

impl Gateway {
    /// The JSON of a call whose head is needed with its body, and who is known to have made it.
    ///
    /// # Errors
    /// Who may not call, or whose call does not have the form of its hook.
    async fn open(
        &self,
        route: &Route,
        SealedHead { head, verified }: SealedHead,
        body: &Bytes,
        record: &mut Record,
    ) -> Result<(Bytes, Verified), Refusal> {
        let envelope = route.hook.envelope;
        let verified = match verified {
            Some(verified) => verified,
            None => {
                let token = envelope.token(&head.headers, body)?;
                let evidence = Evidence { head: &head, body: Some(body), token: token.as_deref() };
                record.verified(route.gate.verify(&evidence).await, &self.metrics)?
            }
        };
        let (claims, key_id) = (verified.claims(), verified.key_id());
        let call = envelope.open(&ReceivedCall { headers: &head.headers, body, claims, key_id })?;
        Ok((call, verified))
    }

    /// The answer to a call that is opened first, and whose reply may have to be signed.
    pub(super) async fn unseal(
        &self,
        release: &Arc<Release>,
        route: &Route,
        head: SealedHead,
        (body, preview): (Bytes, bool),
        record: &mut Record,
    ) -> Result<Reply, Refusal> {
        let (call, verified) = self.open(route, head, &body, record).await?;
        let reply = self.handle(release, route, (call, preview), record).await?;
        let Some(signer) = route.hook.as_inline().and_then(|row| row.signer) else { return Ok(reply) };
        let key = route.gate.signer(&verified).ok_or(Refusal::NoSigner)?;
        Ok(signer(reply, &key, Timestamp::now()))
    }
}
