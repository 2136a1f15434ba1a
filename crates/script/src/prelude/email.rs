//! The value `Email`: an address as somebody gave it, and its parts in comparable form.
//!
//! Parsing never fails: what is no address keeps its text, has no domain and is not valid. On the path of every call.

use std::sync::Arc;

use rhai::{Array, Dynamic, ImmutableString};

use crate::library::{Doc, Library};
use crate::prelude::domain;
use crate::prelude::{compared, printed};
use crate::table::Table;

/// An e-mail address. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Email(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    text: ImmutableString,
    /// Byte range in `text`; empty if invalid.
    local: std::ops::Range<usize>,
    /// Lower-case A-label without root dot; empty if invalid.
    domain: ImmutableString,
    plain: bool,
}

/// RFC 5321, 4.5.3.1: a path has 256 octets with its angle brackets, a local part 64.
const MAX_ADDRESS: usize = 254;
const MAX_LOCAL: usize = 64;

impl Email {
    /// Reads an address. Blanks around it do not matter; the domain follows the last `@`.
    pub fn parse(text: &str) -> Self {
        Self::from_text(text.into())
    }

    /// As [`Email::parse`], without copying the text.
    pub(crate) fn from_text(text: ImmutableString) -> Self {
        let parts = split(&text).map(|(local, written, domain)| {
            let plain = domain.as_ref() == written || domain::is_plain(written, &domain);
            (local, ImmutableString::from(domain.as_ref()), plain)
        });
        let (local, domain, plain) = parts.unwrap_or_default();
        Self(Arc::new(Parts { text, local, domain, plain }))
    }

    /// The address as it was given.
    pub(crate) fn text(&self) -> ImmutableString {
        self.0.text.clone()
    }

    /// The part before the last `@`, letter case kept; empty if the address is not valid.
    pub(crate) fn local(&self) -> &str {
        &self.0.text[self.0.local.clone()]
    }

    /// The domain as lower-case A-label without root dot; empty if the address is not valid.
    pub(crate) fn domain(&self) -> &ImmutableString {
        &self.0.domain
    }

    pub(crate) fn is_valid(&self) -> bool {
        !self.0.domain.is_empty()
    }

    /// Whether the domain is written in ordinary characters, so that the stored text names the domain that was checked.
    pub(crate) fn is_plain(&self) -> bool {
        self.0.plain
    }

    /// What follows the first `+` of the local part. Quoted local parts have no tags.
    pub(crate) fn tag(&self) -> Option<&str> {
        let local = self.local();
        let (name, tag) = local.split_once('+')?;
        (!name.is_empty() && !local.starts_with('"')).then_some(tag)
    }

    /// The address in lower case without its tag, to find one mailbox behind several spellings; empty if not valid.
    pub(crate) fn key(&self) -> String {
        if !self.is_valid() {
            return String::new();
        }
        let name = match self.tag() {
            Some(tag) => &self.local()[..self.local().len() - tag.len() - 1],
            None => self.local(),
        };
        format!("{}@{}", name.to_lowercase(), self.domain())
    }

    /// Whether an entry covers the domain: `example.com` exactly, `*.example.com` its subdomains only.
    pub(crate) fn domain_in<'a>(&self, mut entries: impl Iterator<Item = &'a str>) -> bool {
        self.is_valid() && entries.any(|entry| domain::covers(entry, self.domain()))
    }

    /// Whether two addresses are the same mailbox: same local part to the letter, same domain in its checked form.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        match (self.is_valid(), other.is_valid()) {
            (true, true) => self.local() == other.local() && self.domain() == other.domain(),
            _ => self.0.text == other.0.text,
        }
    }
}

/// Local part (as a range), domain as written and domain as checked.
fn split(text: &str) -> Option<(std::ops::Range<usize>, &str, std::borrow::Cow<'_, str>)> {
    let address = text.trim_ascii();
    if address.len() > MAX_ADDRESS {
        return None;
    }
    let (local, written) = address.rsplit_once('@')?;
    if local.len() > MAX_LOCAL || !(is_dot_atom(local) || is_quoted(local)) {
        return None;
    }
    let start = text.len() - text.trim_ascii_start().len();
    Some((start..start + local.len(), written, domain::checked(written)?))
}

fn is_dot_atom(local: &str) -> bool {
    let atom = |c: char| match c {
        c if c.is_ascii() => c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c),
        c => !c.is_whitespace() && !domain::is_hidden(c),
    };
    local.split('.').all(|word| !word.is_empty() && word.chars().all(atom))
}

/// `"…"` with `\` before quotes and backslashes. Blanks are refused even here: no mailbox needs them, attacks do.
fn is_quoted(local: &str) -> bool {
    let Some(inner) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return false };
    let mut escaped = false;
    for c in inner.chars() {
        match c {
            c if c.is_whitespace() || domain::is_hidden(c) => return false,
            '"' if !escaped => return false,
            c => escaped = c == '\\' && !escaped,
        }
    }
    !inner.is_empty() && !escaped
}

pub(super) fn register(library: &mut Library) {
    library.value::<Email>("Email", "An e-mail address: as it was given, and its parts in comparable form.");
    library.function(
        Doc::new(
            "email(text: string) -> Email",
            "Reads an address. Never fails: ask `.is_valid`. Blanks around the address do not matter.",
            r#"email(" Ann@Example.com. ").domain == "example.com""#,
        ),
        |text: ImmutableString| Email::from_text(text),
    );
    register_parts(library);
    register_checks(library);
    printed::<Email>(library, Email::text);
    compared::<Email>(library, Email::same_as, |email, text| email.same_as(&Email::parse(text)));
}

fn register_parts(library: &mut Library) {
    library.property(
        Doc::new("Email.text: string", "The address as it was given.", r#"email("A@B.example").text == "A@B.example""#),
        |email: &mut Email| email.text(),
    );
    library.property(
        Doc::new(
            "Email.local: string",
            "What is before the last `@`, letter case kept; empty if the address is not valid.",
            r#"email("Ann+tag@example.com").local == "Ann+tag""#,
        ),
        |email: &mut Email| ImmutableString::from(email.local()),
    );
    library.property(
        Doc::new(
            "Email.domain: string",
            "What is after the last `@`, in lower case, as A-label (`xn--…`), without root dot; empty if the address is not valid.",
            r#"email("a@BÜCHER.example.").domain == "xn--bcher-kva.example""#,
        ),
        |email: &mut Email| email.domain().clone(),
    );
    library.property(
        Doc::new(
            "Email.tag: string or ()",
            "What follows the first `+` of the local part.",
            r#"email("a+b+c@example.com").tag == "b+c" && email("a@example.com").tag == ()"#,
        ),
        |email: &mut Email| email.tag().map_or(Dynamic::UNIT, |tag| ImmutableString::from(tag).into()),
    );
    library.property(
        Doc::new(
            "Email.key: string",
            "The address in lower case without its `+tag`, to compare addresses with; the stored address stays as it is.",
            r#"email("Ann+shop@Example.com").key == "ann@example.com""#,
        ),
        |email: &mut Email| ImmutableString::from(email.key()),
    );
}

fn register_checks(library: &mut Library) {
    library.property(
        Doc::new(
            "Email.is_valid: bool",
            "False for two `@`, empty parts, more than 254 characters, `[192.0.2.1]`, invisible characters, blanks inside, bad domains.",
            r#"email("a@example.com").is_valid && !email("a@[192.0.2.1]").is_valid"#,
        ),
        |email: &mut Email| email.is_valid(),
    );
    library.property(
        Doc::new(
            "Email.is_plain: bool",
            "Whether the domain is written in ordinary characters. False for full-width letters and the like, which check as one domain but are stored as another text.",
            r#"email("a@Bücher.example").is_plain && !email("a@ＥＸＡＭＰＬＥ．com").is_plain"#,
        ),
        |email: &mut Email| email.is_plain(),
    );
    library.function(
        Doc::new(
            "Email.domain_in(list: array or Table or string) -> bool",
            "Whether an entry covers the domain: `example.com` exactly, `*.example.com` its subdomains only (in a table of domains, `example.com` covers both). Entries that are no domains are ignored.",
            r#"email("a@x.partner.example").domain_in(["example.com", "*.partner.example"])"#,
        ),
        |email: &mut Email, list: Array| {
            email.is_valid()
                && list.iter().any(|entry| {
                    entry.as_immutable_string_ref().is_ok_and(|entry| domain::covers(&entry, email.domain()))
                })
        },
    );
    library.overload("domain_in", |email: &mut Email, entry: &str| email.domain_in(std::iter::once(entry)));
    library.overload("domain_in", |email: &mut Email, table: Arc<Table>| table.has_email(email));
}
