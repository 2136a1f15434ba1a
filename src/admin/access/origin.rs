//! Whether a request that changes something was sent by a page of this listener, or by a program.
//!
//! The rules are those of Go's `net/http.CrossOriginProtection` (Go 1.25; Filippo Valsorda, "Cross-Site Request Forgery",
//! 2025): browsers say with `Sec-Fetch-Site` where a request comes from, older ones with `Origin`. One rule is added: a
//! request with neither header is no browser's, but it must show something that a page of somebody else could not send.

use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, Method, Uri};

use crate::admin::access::Denied;

/// What tells that a program and no foreign page sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A bearer token: no browser adds one by itself.
    Token,
    /// A cookie: browsers add it by themselves.
    Cookie,
    /// Nothing: none is configured. JSON is what a form cannot send and a script of another origin may not.
    Nothing,
}

/// # Errors
/// [`Denied::CrossSite`] where a page of somebody else may have sent it.
pub fn check(method: &Method, headers: &HeaderMap, shown: Shown) -> Result<(), Denied> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    match headers.get("sec-fetch-site").map(|site| site.as_bytes()) {
        // `none`: somebody typed it, no page asked for it.
        Some(b"same-origin" | b"none") => return Ok(()),
        Some(_) => return Err(Denied::CrossSite),
        None => {}
    }
    let passes = match headers.get(ORIGIN) {
        Some(origin) => is_own(origin.as_bytes(), headers),
        None => match shown {
            Shown::Token => true,
            Shown::Cookie => false,
            Shown::Nothing => is_json(headers),
        },
    };
    if passes { Ok(()) } else { Err(Denied::CrossSite) }
}

/// Whether the host of an origin is the one that was asked, port included.
fn is_own(origin: &[u8], headers: &HeaderMap) -> bool {
    let origin = Uri::try_from(origin).ok();
    let origin = origin.as_ref().filter(|uri| uri.scheme().is_some()).and_then(Uri::authority);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    origin.zip(host).is_some_and(|(origin, host)| origin.as_str().eq_ignore_ascii_case(host))
}

/// Whether a body says that it is JSON.
pub fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) else { return false };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn passes(method: &Method, headers: &[(&str, &str)], shown: Shown) -> bool {
        let pair = |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        check(method, &headers.iter().map(pair).collect(), shown).is_ok()
    }

    #[test]
    fn what_changes_something_comes_from_our_pages_or_from_programs() {
        let host = ("host", "gate.example:8081");
        let all = [Shown::Token, Shown::Cookie, Shown::Nothing];
        let json = ("content-type", "application/json; charset=utf-8");
        for (headers, expected) in [
            (vec![host, ("sec-fetch-site", "same-origin")], &all[..]),
            (vec![host, ("sec-fetch-site", "none")], &all),
            (vec![host, ("sec-fetch-site", "same-site")], &[]),
            (vec![host, ("sec-fetch-site", "cross-site"), json], &[]),
            // What a browser says of the site counts more than the origin.
            (vec![host, ("sec-fetch-site", "cross-site"), ("origin", "http://gate.example:8081")], &[]),
            (vec![host, ("sec-fetch-site", "same-origin"), ("origin", "http://evil.example")], &all),
            (vec![host, ("origin", "http://gate.example:8081")], &all),
            (vec![host, ("origin", "https://GATE.example:8081")], &all),
            (vec![host, ("origin", "http://gate.example")], &[]),
            (vec![host, ("origin", "http://gate.example:8081.evil.example"), json], &[]),
            (vec![host, ("origin", "null"), json], &[]),
            (vec![host, ("origin", "gate.example:8081")], &[]),
            (vec![("origin", "http://gate.example:8081"), json], &[]),
            (vec![host], &all[..1]),
            (vec![host, json], &[Shown::Token, Shown::Nothing]),
            (vec![host, ("content-type", "application/x-www-form-urlencoded")], &all[..1]),
            (vec![host, ("content-type", "text/plain")], &all[..1]),
        ] {
            for shown in all {
                let expected = expected.contains(&shown);
                assert_eq!(passes(&Method::POST, &headers, shown), expected, "{headers:?} {shown:?}");
                assert_eq!(passes(&Method::DELETE, &headers, shown), expected, "{headers:?} {shown:?}");
                assert!(passes(&Method::GET, &headers, shown), "looking changes nothing");
            }
        }
    }
}
