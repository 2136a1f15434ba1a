//! Domain names in the one form in which they can be compared: lower-case A-labels (UTS #46), no root dot.
//!
//! Most published examples get this wrong: letter case, a root dot, `xn--` against `ü`, look-alike letters, and
//! `evilexample.com` against `example.com`. Every comparison of domains in scripts and tables goes through this file.

use std::borrow::Cow;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

const IDNA: Uts46 = Uts46::new();

/// The comparable form of a host name, or `None` if it is not one.
///
/// Letters, digits, hyphens and dots only; labels of 1 to 63, 253 in all (RFC 1035); not an address in numbers. Names in
/// other scripts become A-labels; those with invisible or direction-changing characters are refused.
pub(crate) fn checked(written: &str) -> Option<Cow<'_, str>> {
    let name = written.strip_suffix('.').unwrap_or(written);
    match scan(name) {
        Shape::Plain => Some(Cow::Borrowed(name)),
        Shape::Upper => Some(Cow::Owned(name.to_ascii_lowercase())),
        Shape::Bad => None,
        Shape::International => international(name),
    }
}

/// Whether `written` is how a person types `checked`: letter case, the root dot, and U-label or A-label do not matter.
///
/// False for names that only *map* to the checked form, such as full-width letters: whoever compares the stored text
/// later sees another name.
pub(crate) fn is_plain(written: &str, checked: &str) -> bool {
    let name = written.strip_suffix('.').unwrap_or(written);
    if name.eq_ignore_ascii_case(checked) {
        return true;
    }
    let (unicode, outcome) = idna::domain_to_unicode(checked);
    let same = |(written, (checked, unicode)): (&str, (&str, &str))| {
        written.eq_ignore_ascii_case(checked) || written.to_lowercase() == unicode
    };
    outcome.is_ok()
        && name.split('.').count() == checked.split('.').count()
        && name.split('.').zip(checked.split('.').zip(unicode.split('.'))).all(same)
}

/// Whether the entry of a list covers `domain` (in its checked form): `example.com` covers itself only,
/// `*.example.com` its subdomains only. An entry that is not a domain covers nothing.
pub(crate) fn covers(entry: &str, domain: &str) -> bool {
    if domain.is_empty() {
        return false;
    }
    if entry.ends_with('.') || !entry.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'*')) {
        let entry = entry.trim();
        let (wildcard, name) = entry.strip_prefix("*.").map_or((false, entry), |name| (true, name));
        return checked(name).is_some_and(|name| if wildcard { is_below(domain, &name) } else { name == domain });
    }
    match entry.strip_prefix("*.") {
        Some(parent) => is_below(domain, parent),
        None => entry == domain,
    }
}

/// Whether `domain` is a subdomain of `parent`, at any depth. Both in their checked form.
pub(crate) fn is_below(domain: &str, parent: &str) -> bool {
    let rest = domain.strip_suffix(parent).and_then(|rest| rest.strip_suffix('.'));
    !parent.is_empty() && rest.is_some_and(|rest| !rest.is_empty())
}

/// Characters that no reader sees or that turn the reading direction: controls, zero-width, bidi marks, tags, selectors.
pub(crate) fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

enum Shape {
    Plain,
    Upper,
    /// Needs UTS #46: letters beyond ASCII, or a label in `xn--` form that must be proved.
    International,
    Bad,
}

fn scan(name: &str) -> Shape {
    if !name.is_ascii() {
        return Shape::International;
    }
    if name.len() > 253 {
        return Shape::Bad;
    }
    let (mut upper, mut encoded, mut numeric) = (false, false, false);
    for label in name.as_bytes().split(|byte| *byte == b'.') {
        if label.is_empty() || label.len() > 63 || label[0] == b'-' || label[label.len() - 1] == b'-' {
            return Shape::Bad;
        }
        numeric = true;
        for byte in label {
            match byte {
                b'0'..=b'9' => {}
                b'a'..=b'z' | b'-' => numeric = false,
                b'A'..=b'Z' => (upper, numeric) = (true, false),
                _ => return Shape::Bad,
            }
        }
        encoded |= label.len() >= 4 && label[..4].eq_ignore_ascii_case(b"xn--");
    }
    match (numeric, encoded, upper) {
        (true, ..) => Shape::Bad, // the last label is a number, so this is an address (WHATWG URL, "ends in a number")
        (_, true, _) => Shape::International,
        (.., true) => Shape::Upper,
        _ => Shape::Plain,
    }
}

fn international(name: &str) -> Option<Cow<'_, str>> {
    if name.chars().any(is_hidden) {
        return None;
    }
    let ascii = IDNA.to_ascii(name.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify).ok()?;
    let last = ascii.rsplit('.').next().unwrap_or_default();
    (!last.bytes().all(|byte| byte.is_ascii_digit())).then_some(ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_domain_have_one_form() {
        for written in ["example.com", "EXAMPLE.com", "Example.Com.", "ＥＸＡＭＰＬＥ．ＣＯＭ"] {
            assert_eq!(checked(written).as_deref(), Some("example.com"), "{written}");
        }
        for written in ["bücher.example", "BÜCHER.example", "xn--bcher-kva.example", "XN--BCHER-KVA.example."] {
            assert_eq!(checked(written).as_deref(), Some("xn--bcher-kva.example"), "{written}");
            assert!(is_plain(written, "xn--bcher-kva.example"), "{written}");
        }
        assert_eq!(checked("exаmple.com").as_deref(), Some("xn--exmple-4nf.com"), "Cyrillic a is another name");
        assert!(!is_plain("ＥＸＡＭＰＬＥ．ＣＯＭ", "example.com"));
    }

    #[test]
    fn what_is_no_domain_is_refused() {
        let long = format!("{}.com", "a".repeat(64));
        let hidden = ["exa\u{200b}mple.com", "exa\u{202e}mple.com", "exam\u{ad}ple.com", "a\u{200d}b.com"];
        let bad = [
            "",
            ".",
            "a..b",
            ".a.com",
            "-a.com",
            "a-.com",
            "a_b.com",
            "192.0.2.1",
            "[::1]",
            "a b.com",
            &long,
            "xn--a.com",
        ];
        for written in hidden.into_iter().chain(bad) {
            assert_eq!(checked(written), None, "{written:?}");
        }
    }

    #[test]
    fn entries_cover_themselves_or_their_subdomains_never_both() {
        assert!(covers("example.com", "example.com") && !covers("example.com", "a.example.com"));
        assert!(covers("*.example.com", "a.b.example.com") && !covers("*.example.com", "example.com"));
        assert!(covers(" *.Bücher.example. ", "a.xn--bcher-kva.example"));
        assert!(!covers("example.com", "evilexample.com") && !covers("*.example.com", "evilexample.com"));
        for junk in ["", "*", "*.", ".", "a b", "*.*.com"] {
            assert!(!covers(junk, "example.com"), "{junk:?}");
        }
        assert!(!covers("", ""));
    }
}
