//! The frame of every page: head, navigation, what is wrong right now, and the help for keys.

use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_FRAME_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use crate::admin::viewer::parts;

/// Pages are made of their own files and nothing else: no inline script or style, no other origin, no frame.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
     img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Where a page belongs in the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Here {
    Calls,
    Events,
    DeadLetters,
    Releases,
    Health,
    Routes,
    Tables,
    Changes,
}

const NAVIGATION: &[(Here, &str, &str)] = &[
    (Here::Calls, "/", "Calls"),
    (Here::Events, "/events", "Events"),
    (Here::DeadLetters, "/dead-letters", "Dead letters"),
    (Here::Releases, "/releases", "Releases"),
    (Here::Health, "/health", "Health"),
    (Here::Routes, "/routes", "Routes"),
    (Here::Tables, "/tables", "Tables"),
    (Here::Changes, "/changes", "Changes"),
];

/// What the frame says of the gateway and of who looks at it.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The first twelve digits of the running release.
    pub(super) release: Option<String>,
    /// What is wrong right now, each with where to look.
    pub(super) troubles: Vec<Trouble>,
    pub(super) dead: u64,
    /// Whether writes are possible.
    pub(super) operator: bool,
    /// Whether there is a session to leave.
    pub(super) session: bool,
}

/// A sentence of the banner.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) text: String,
    pub(super) address: &'static str,
    pub(super) link: &'static str,
}

/// A whole page.
pub(super) fn page(seen: &Seen, here: Here, title: &str, body: &Markup) -> Response {
    page_with(StatusCode::OK, seen, here, title, body)
}

/// A whole page with a status of its own.
pub(super) fn page_with(status: StatusCode, seen: &Seen, here: Here, title: &str, body: &Markup) -> Response {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            (head(title))
            body {
                a.skip href="#main" { "Skip to the content" }
                header {
                    a.brand href="/" { "hookgate" }
                    nav aria-label="Pages" { ul {
                        @for (place, address, name) in NAVIGATION {
                            li { a href=(address) aria-current=[(*place == here).then_some("page")] {
                                (name)
                                @if *place == Here::DeadLetters { (dead(seen)) }
                            } }
                        }
                    } }
                    (corner(seen))
                }
                p.trouble id="gone" role="alert" hidden {}
                (troubles(seen))
                main id="main" tabindex="-1" { (body) }
                footer { p { span id="zone" { "Times are UTC." } " " button.plain id="help" type="button" hidden { "Keys" } } }
                (keys())
            }
        }
    };
    answer(status, markup)
}

/// The parts of the frame that change by themselves, each as it stands in a page.
pub(super) fn pulse(seen: &Seen) -> Response {
    let markup = html! {
        (DOCTYPE)
        html lang="en" { head { title { "hookgate" } } body { (troubles(seen)) (dead(seen)) (release(seen)) } }
    };
    answer(StatusCode::OK, markup)
}

fn troubles(seen: &Seen) -> Markup {
    html! {
        div id="troubles" {
            @for trouble in &seen.troubles {
                p.trouble role="status" { (parts::lines(&trouble.text)) " " a href=(trouble.address) { (trouble.link) } }
            }
        }
    }
}

fn dead(seen: &Seen) -> Markup {
    html! { span id="dead" { @if seen.dead > 0 { " " span.count { (parts::number(seen.dead)) } } } }
}

fn release(seen: &Seen) -> Markup {
    html! {
        span id="release" {
            @match &seen.release {
                Some(release) => a href="/releases" title="The release in force" { code { (release) } },
                None => span { "no release" },
            }
        }
    }
}

/// A page without navigation: for those who are not let in yet.
pub(super) fn bare(status: StatusCode, title: &str, body: &Markup) -> Response {
    let markup = html! {
        (DOCTYPE)
        html lang="en" { (head(title)) body.bare { main id="main" { p.brand { "hookgate" } (body) } } }
    };
    answer(status, markup)
}

/// The headers that every page has.
fn answer(status: StatusCode, markup: Markup) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    ];
    (status, headers, markup.into_string()).into_response()
}

fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta name="robots" content="noindex";
            title { (parts::text_only(title)) " · hookgate" }
            link rel="icon" href="/viewer/icon.svg" type="image/svg+xml";
            link rel="stylesheet" href="/viewer/viewer.css";
            script src="/viewer/viewer.js" defer {}
        }
    }
}

/// Which release runs, who is looking, and the way out.
fn corner(seen: &Seen) -> Markup {
    html! {
        div.corner {
            (release(seen))
            @if !seen.operator { span.role { "read only" } }
            @if seen.session {
                form method="post" action="/logout" { button.plain type="submit" { "Sign out" } }
            }
        }
    }
}

fn keys() -> Markup {
    let rows = [
        ("/", "search"),
        ("p", "pause or go on with the live list"),
        ("j, k", "next and previous row of a list"),
        ("?", "this help"),
    ];
    html! {
        dialog id="keys" aria-labelledby="keys-title" {
            h2 id="keys-title" { "Keys" }
            dl.facts { @for (key, what) in rows { div { dt { kbd { (key) } } dd { (what) } } } }
            p { label { input type="checkbox" id="keys-on"; " Single keys work (kept in this browser)" } }
            form method="dialog" { button { "Close" } }
        }
    }
}
