//! `/api/v1`: what the gateway knows and does, as JSON, and the OpenAPI document that says so.
//!
//! One file per resource. The document is made from the same list as the router: an operation cannot be missing in it.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::access::Access;
use crate::admin::access::session as cookie;
use crate::admin::api::ask::{Asked, Nothing};
use crate::admin::desk::Desk;

pub mod answers;
pub mod ask;
pub mod cursor;
pub mod decisions;
pub mod events;
mod live;
pub mod orders;
pub mod releases;
pub mod routes;
pub mod run;
pub mod session;
pub mod status;
pub mod tables;

/// What is said once of the whole document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "hookgate",
        description = "The admin API of one gateway: what scripts decided and why, what became of events, and what operators may do about it.\n\nAn operator sees and does everything. A reader sees no content of calls (what is withheld says so) and changes nothing. Lists have pages: `next` of one page is `cursor` of the next one, as long as the other parameters stay the same. Whatever goes wrong is told by a problem document (RFC 9457)."
    ),
    components(schemas(answers::ProblemDocument)),
    security(("token" = []), ("session" = [])),
    tags(
        (name = "gateway", description = "The gateway as a whole, its routes and tables."),
        (name = "decisions", description = "What scripts decided, and why."),
        (name = "events", description = "What was kept, what became of it, and doing it again."),
        (name = "releases", description = "What was in force, going back to it, and who changed what."),
        (name = "trial", description = "Requests on trial: nothing acts."),
        (name = "session", description = "Who asks, and sessions of browsers."),
    ),
    modifiers(&Schemes),
)]
struct Base;

/// How somebody shows who they are.
struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut Document) {
        let Some(components) = document.components.as_mut() else { return };
        components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        let session = ApiKey::Cookie(ApiKeyValue::new(cookie::NAME));
        components.add_security_scheme("session", SecurityScheme::ApiKey(session));
    }
}

fn guarded() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::with_openapi(Base::openapi())
        .routes(routes!(status::status))
        .routes(routes!(status::health))
        .routes(routes!(routes::routes))
        .routes(routes!(routes::route))
        .routes(routes!(tables::tables))
        .routes(routes!(tables::table))
        .routes(routes!(decisions::list))
        .routes(routes!(decisions::show))
        .routes(routes!(live::live))
        .routes(routes!(events::list))
        .routes(routes!(events::show))
        .routes(routes!(orders::replay))
        .routes(routes!(orders::purge))
        .routes(routes!(events::dead_letters))
        .routes(routes!(events::job))
        .routes(routes!(releases::list))
        .routes(routes!(releases::show))
        .routes(routes!(releases::diff))
        .routes(routes!(releases::roll_back))
        .routes(routes!(releases::reload))
        .routes(routes!(releases::changes))
        .routes(routes!(run::run))
        .routes(routes!(run::case))
}

fn open() -> OpenApiRouter<Arc<Access>> {
    OpenApiRouter::default().routes(routes!(session::whoami, session::begin, session::end))
}

/// Every path of the API that needs somebody to be let in.
pub(super) fn router() -> Router<Arc<Desk>> {
    let (router, _) = guarded().split_for_parts();
    router.route("/api/v1/openapi.json", get(openapi))
}

/// Where strangers show their token.
pub(super) fn strangers() -> Router<Arc<Access>> {
    open().split_for_parts().0
}

/// The OpenAPI document of everything below `/api/v1`.
pub fn document() -> Document {
    let mut document = guarded().split_for_parts().1;
    document.merge(open().split_for_parts().1);
    document
}

async fn openapi(Asked(Nothing {}): Asked<Nothing>) -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(|| document().to_pretty_json().unwrap_or_default());
    ([(CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}
