//! The admin listener's requests, given to the admin router: one vocabulary turned into the other, and nothing decided.

use axum::body::Body;
use http::{Request, Response};

use crate::admin::Admin;
use crate::server::{CallBody, Caller, Respond, Transport};

pub(super) struct Private(pub(super) Admin);

impl Respond for Private {
    type Body = Body;

    async fn respond(&self, request: Request<CallBody>, caller: Caller) -> Response<Body> {
        self.0.answer(request, caller.address).await
    }

    fn refuse(&self, refusal: Transport) -> Response<Body> {
        Admin::refuse(refusal.status())
    }
}
