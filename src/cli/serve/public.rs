//! The public listener's calls, given to the gateway: one vocabulary turned into the other, and nothing decided.

use bytes::Bytes;
use http::{Request, Response};

use crate::gateway::Gateway;
use crate::gateway::refusal::Refusal;
use crate::server::{Answer, Caller, Transport};

pub(super) struct Public(pub(super) Gateway);

impl Answer for Public {
    async fn answer(&self, call: Request<Bytes>, caller: Caller) -> Response<Bytes> {
        self.0.answer(call, caller.arrived).await
    }

    fn refuse(&self, refusal: Transport) -> Response<Bytes> {
        self.0.refuse(match refusal {
            Transport::TooLarge => Refusal::TooLarge,
            Transport::SlowBody => Refusal::Slow,
            Transport::BrokenBody => Refusal::Broken,
            Transport::Panicked => Refusal::Panicked,
        })
    }
}
