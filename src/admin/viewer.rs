//! The viewer: pages of HTML over what the [`Desk`] knows.

use std::sync::Arc;

use axum::Router;

use crate::admin::desk::Desk;

/// The pages. Who asks for one was let in, and is in the request's [`Identity`](crate::admin::access::Identity).
pub(super) fn router() -> Router<Arc<Desk>> {
    Router::new()
}

/// What strangers may see: the page to sign in at, and what it is drawn with. Nothing here asks the [`Desk`].
pub(super) fn open() -> Router {
    Router::new()
}
