//! The value `Url`: the parts of an address that a script asks for, read from whatever the provider sent.
//!
//! Real payloads hold relative paths and addresses with unfilled placeholders (`https://${yourOktaDomain}/…`), so this
//! only cuts the text at its separators and never refuses one.

use rhai::{Dynamic, ImmutableString};
use url::form_urlencoded;

use crate::library::{Doc, Library};
use crate::prelude::{compared, printed};

/// A URL or a relative reference; `Url` in scripts.
#[derive(Clone, Debug)]
pub struct Address(ImmutableString);

impl Address {
    pub fn new(text: impl Into<ImmutableString>) -> Self {
        Self(text.into())
    }

    /// As it was given.
    pub(crate) fn text(&self) -> &ImmutableString {
        &self.0
    }

    /// The host in lower case without port, if the address has one.
    pub(crate) fn host(&self) -> Option<String> {
        let (authority, _) = self.split().0?;
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        (!host.is_empty()).then(|| host.to_lowercase())
    }

    /// The path as written; empty if there is none.
    pub(crate) fn path(&self) -> &str {
        let (authority, rest) = self.split();
        authority.map_or(rest, |(_, path)| path)
    }

    /// The first value of a query parameter, decoded.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let text = self.0.split('#').next().unwrap_or_default();
        let (_, query) = text.split_once('?')?;
        form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// Authority and its path, or the path alone.
    fn split(&self) -> (Option<(&str, &str)>, &str) {
        let text = self.0.split(['?', '#']).next().unwrap_or_default();
        let after_scheme = match text.split_once("://") {
            Some((scheme, rest)) if !scheme.contains('/') => Some(rest),
            _ => text.strip_prefix("//"),
        };
        let Some(rest) = after_scheme else { return (None, text) };
        let end = rest.find('/').unwrap_or(rest.len());
        (Some((&rest[..end], &rest[end..])), text)
    }
}

pub(super) fn register(library: &mut Library) {
    library.value::<Address>("Url", "An address or a relative path as the provider sent it.");
    library.function(
        Doc::new(
            "url(text: string) -> Url",
            "Reads an address or a relative path; never fails.",
            r#"url("/idp/idx/enroll/new").path == "/idp/idx/enroll/new""#,
        ),
        |text: ImmutableString| Address(text),
    );
    library.property(
        Doc::new("Url.text: string", "As it was given.", r#"url("/a?b=c").text == "/a?b=c""#),
        |address: &mut Address| address.0.clone(),
    );
    library.property(
        Doc::new(
            "Url.host: string or ()",
            "The host in lower case, without port.",
            r#"url("https://Login.example.com:8443/x").host == "login.example.com" && url("/x").host == ()"#,
        ),
        |address: &mut Address| address.host().map_or(Dynamic::UNIT, Dynamic::from),
    );
    library.property(
        Doc::new("Url.path: string", "The path as written.", r#"url("https://a.example/b/c?d=e#f").path == "/b/c""#),
        |address: &mut Address| ImmutableString::from(address.path()),
    );
    library.function(
        Doc::new(
            "Url.query(name: string) -> string or ()",
            "The first value of a query parameter, decoded.",
            r#"url("/a?from=x%20y+z&from=2").query("from") == "x y z" && url("/a").query("from") == ()"#,
        ),
        |address: &mut Address, name: &str| address.query(name).map_or(Dynamic::UNIT, Dynamic::from),
    );
    printed::<Address>(library, |address| address.0.clone());
    compared::<Address>(library, |left, right| left.0 == right.0, |address, text| address.0 == text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_and_relative_addresses_still_have_parts() {
        let table = [
            ("https://${yourOktaDomain}/api/v1/x?a=1", Some("${youroktadomain}"), "/api/v1/x", Some("1")),
            ("/idp/idx/enroll/new", None, "/idp/idx/enroll/new", None),
            ("/idp/idx/challenge/answer?", None, "/idp/idx/challenge/answer", None),
            ("//user:pass@Host.example:80", Some("host.example"), "", None),
            ("http://[2001:db8::1]:8080/p#?a=2", Some("2001:db8::1"), "/p", None),
            ("/redirect?a=https://evil.example/", None, "/redirect", Some("https://evil.example/")),
            ("/a/b://c", None, "/a/b://c", None),
            ("", None, "", None),
            ("redacted", None, "redacted", None),
            ("/x?a=%ZZ%", None, "/x", Some("%ZZ%")),
        ];
        for (text, host, path, a) in table {
            let address = Address::new(text);
            assert_eq!(
                (address.host().as_deref(), address.path(), address.query("a").as_deref()),
                (host, path, a),
                "{text}"
            );
        }
    }
}
