//! The page to sign in at: all that strangers see.

use axum::http::StatusCode;
use axum::response::Response;
use maud::html;

use crate::admin::viewer::layout;
use crate::admin::viewer::parts;

/// `wrong` says what was wrong with the last try, `to` where to go then.
pub(super) fn page(wrong: &str, to: &str) -> Response {
    let (status, said) = match wrong {
        "token" => (StatusCode::UNAUTHORIZED, Some("That is not the token.")),
        "tries" => (StatusCode::TOO_MANY_REQUESTS, Some("Too many wrong tokens. Wait a moment, then try again.")),
        _ => (StatusCode::OK, None),
    };
    let body = html! {
        section {
            h1 { "Sign in" }
            @if let Some(said) = said { p.badge.bad role="alert" id="wrong" { (said) } }
            form method="post" action="/login" {
                input type="hidden" name="to" value=(to);
                label.field {
                    span { "Token" }
                    input type="password" name="token" required autofocus autocomplete="current-password"
                        aria-describedby=[said.map(|_| "wrong")];
                }
                div.buttons { button.main type="submit" { "Sign in" } }
            }
            p.dim { "The token is what " code { "[admin] token" } " of gateway.toml names; " code { "read_token" } " lets you look and change nothing." }
        }
        p.dim { (parts::text("Twelve hours later you sign in again.")) }
    };
    layout::bare(status, "Sign in", &body)
}
