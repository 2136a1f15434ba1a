//! The public listener's calls, given to the gateway: one vocabulary turned into the other, and nothing decided.

use bytes::Bytes;
use http::Response;
use http::request::Parts;

use crate::server::{Answer, Caller, Transport};
use hookgate_engine::gateway::refusal::Refusal;
use hookgate_engine::gateway::{Admitted, Gateway};

pub(super) struct Public(pub(super) Gateway);

impl Answer for Public {
    type Admitted = Admitted;

    fn admit(&self, head: Parts, caller: Caller) -> impl Future<Output = Result<Admitted, Response<Bytes>>> + Send {
        self.0.admit(head, caller.arrived)
    }

    fn answer(&self, call: Admitted, body: Bytes) -> impl Future<Output = Response<Bytes>> + Send {
        self.0.answer(call, body)
    }

    fn refuse(&self, call: Option<Admitted>, refusal: Transport) -> Response<Bytes> {
        let refusal = match refusal {
            Transport::BadHost => Refusal::BadHost,
            Transport::Encoded => Refusal::Encoded,
            Transport::TooLarge => Refusal::TooLarge,
            Transport::NoRoom => Refusal::NoRoom,
            Transport::SlowBody => Refusal::Slow,
            Transport::BrokenBody => Refusal::Broken,
            Transport::Panicked => Refusal::Panicked,
        };
        self.0.refuse(call, refusal)
    }
}
