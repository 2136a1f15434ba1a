//! The viewer: pages of HTML over what the [`Desk`] knows.
//!
//! Everything is read without a script; `viewer.js` adds live calls and saves reloads. Pages ask the [`Desk`] and never the
//! API over HTTP. What changes something is a form, and what changes much says first what will happen.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, RawQuery, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use maud::{Markup, html};

use crate::admin::access::Identity;
use crate::admin::access::sight::WithheldNotice;
use crate::admin::desk::Desk;
use crate::admin::problem::Problem;
use crate::admin::viewer::fields::Fields;
use crate::admin::viewer::layout::{Here, Seen, Trouble};
use hookgate_engine::release::live::status;
use hookgate_model::finding::Severity;

mod again;
mod call;
mod changes;
mod events;
mod fields;
mod health;
mod inventory;
mod layout;
mod letters;
mod live;
mod login;
mod parts;
mod reads;
mod releases;
mod script;
mod timeline;
mod tree;
mod words;

/// Bytes of a form: a request and a script, each letter of which may be written as three.
const MAX_FORM: usize = 8 << 20;

/// The pages. Who asks for one was let in, and is in the request's [`Identity`].
fn pages() -> [(&'static str, MethodRouter<Arc<Desk>>); 18] {
    [
        ("/", get(live::get)),
        ("/decisions/{id}", get(call::get)),
        ("/decisions/{id}/run", post(again::run)),
        ("/decisions/{id}/case", post(again::save)),
        ("/events", get(events::get)),
        ("/events/{id}", get(events::get_one)),
        ("/dead-letters", get(letters::get)),
        ("/dead-letters/replay", get(letters::ask_replay).post(letters::replay)),
        ("/dead-letters/purge", get(letters::ask_purge).post(letters::purge)),
        ("/releases", get(releases::get)),
        ("/releases/{hash}", get(releases::get_one)),
        ("/releases/{hash}/rollback", get(releases::ask_rollback).post(releases::roll_back)),
        ("/reload", post(releases::reload)),
        ("/changes", get(changes::get)),
        ("/pulse", get(pulse)),
        ("/health", get(health::get)),
        ("/routes", get(inventory::get_routes)),
        ("/tables", get(inventory::get_tables)),
    ]
}

/// What strangers may see: the page to sign in at, and what it is drawn with. Nothing here asks the [`Desk`].
fn files() -> [(&'static str, MethodRouter); 4] {
    [
        ("/login", get(sign_in)),
        ("/viewer/viewer.css", file("text/css; charset=utf-8", include_str!("viewer/viewer.css"))),
        ("/viewer/viewer.js", file("text/javascript; charset=utf-8", include_str!("viewer/viewer.js"))),
        ("/viewer/icon.svg", file("image/svg+xml", include_str!("viewer/icon.svg"))),
    ]
}

/// The paths of all pages, with the names of their parameters in braces.
pub fn paths() -> Vec<&'static str> {
    pages().into_iter().map(|(path, _)| path).chain(files().into_iter().map(|(path, _)| path)).collect()
}

pub(super) fn router() -> Router<Arc<Desk>> {
    let router = pages().into_iter().fold(Router::new(), |router, (path, page)| router.route(path, page));
    router.layer(DefaultBodyLimit::max(MAX_FORM))
}

pub(super) fn open() -> Router {
    files().into_iter().fold(Router::new(), |router, (path, file)| router.route(path, file))
}

/// A file of the program itself: asked for again at each start of a browser, as it may be another one after an update.
fn file(kind: &'static str, text: &'static str) -> MethodRouter {
    get(move || async move {
        let headers =
            [(CONTENT_TYPE, HeaderValue::from_static(kind)), (CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
        (headers, text).into_response()
    })
}

async fn sign_in(RawQuery(query): RawQuery) -> Response {
    let asked = Fields::of_query(query.as_deref());
    login::page(asked.get("wrong"), asked.get("to"))
}

/// What changes in the frame of every page, for the script that keeps it true while somebody looks.
async fn pulse(State(desk): State<Arc<Desk>>, Extension(who): Extension<Identity>) -> Response {
    layout::pulse(&seen(&desk, &who))
}

/// What the frame of a page says, to this reader.
fn seen(desk: &Desk, who: &Identity) -> Seen {
    let status = desk.status(who.sight());
    let mut troubles = Vec::new();
    if status.from_store {
        let text =
            "What is on disk was broken when the gateway started: the last good release out of the store answers.";
        troubles.push(Trouble { text: text.to_owned(), address: "/releases", link: "Releases" });
    }
    if let Some(waiting) = &status.waiting_for {
        troubles.push(Trouble { text: format!("Not live yet: {waiting}."), address: "/releases", link: "Releases" });
    }
    if status.state == status::State::Refused {
        let errors = status.error.iter().filter(|finding| finding.severity == Severity::Error).count();
        let errors = parts::counted(errors as u64, "error");
        let text = format!("What is on disk was refused ({errors}); the release before stays in force.");
        troubles.push(Trouble { text, address: "/releases", link: "Why" });
    }
    if status.state == status::State::Pinned {
        let text = "An earlier release is in force, because somebody went back to it: what is on disk stays out until it changes.";
        troubles.push(Trouble { text: text.to_owned(), address: "/releases", link: "Releases" });
    }
    if let Err(reason) = desk.ready() {
        troubles.push(Trouble { text: format!("Not ready: {reason}."), address: "/health", link: "Health" });
    }
    Seen {
        release: desk.in_force().map(|release| release.label().to_owned()),
        troubles,
        dead: desk.queue().dead,
        operator: who.is_operator(),
        session: who.to_string().starts_with("session "),
    }
}

/// A page in place of what cannot be shown.
fn failed(desk: &Desk, who: &Identity, here: Here, problem: &Problem) -> Response {
    let title = problem.status().canonical_reason().unwrap_or("Problem");
    let body = html! {
        h1 { (title) }
        section { p.lead { (parts::text(problem.detail())) } p { a href="/" { "Back to the calls" } } }
    };
    layout::page_with(problem.status(), &seen(desk, who), here, title, &body)
}

/// The names of the routes of the running release.
fn routes(desk: &Desk) -> Vec<String> {
    let release = desk.in_force();
    release.iter().flat_map(|release| release.routes().iter().map(|route| route.name.clone())).collect()
}

/// What stands in the place of something that only an operator may see.
fn withheld(withheld: WithheldNotice) -> Markup {
    let text = withheld.to_string();
    let (first, rest) = text.split_at(1);
    html! { p.dim { (first.to_uppercase()) (rest) "." } }
}
