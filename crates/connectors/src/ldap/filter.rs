//! Filters of a search, as scripts write them (RFC 4515), in the form that goes over the wire (RFC 4511, 4.5.1.7).
//!
//! Stricter than servers are: a `*` counts as a wildcard only where it stands alone in its value, a `\` begins two hex digits
//! and nothing else, and what is behind the last bracket is a mistake. So a value that was not escaped is noticed here.

use crate::ldap::ber;

/// Deeper filters are refused: nobody writes them by hand.
const MOST_DEPTH: usize = 20;

/// A filter on the wire.
///
/// # Errors
/// What is wrong with it; without its values.
pub(super) fn encode(text: &str) -> Result<Vec<u8>, String> {
    let mut parser = Parser { rest: text.trim() };
    let written = parser.filter(0)?;
    if parser.rest.is_empty() { Ok(written) } else { Err("there is more behind its last `)`".to_owned()) }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn filter(&mut self, depth: usize) -> Result<Vec<u8>, String> {
        if depth > MOST_DEPTH {
            return Err(format!("it is more than {MOST_DEPTH} brackets deep"));
        }
        self.take('(')?;
        let written = match self.rest.chars().next() {
            Some('&') => self.list(0xa0, depth)?,
            Some('|') => self.list(0xa1, depth)?,
            Some('!') => {
                self.take('!')?;
                ber::element(0xa2, &self.filter(depth + 1)?)
            }
            _ => self.item()?,
        };
        self.take(')')?;
        Ok(written)
    }

    fn take(&mut self, expected: char) -> Result<(), String> {
        self.rest = self.rest.strip_prefix(expected).ok_or_else(|| format!("a `{expected}` is missing"))?;
        Ok(())
    }

    fn list(&mut self, tag: u8, depth: usize) -> Result<Vec<u8>, String> {
        self.rest = &self.rest[1..];
        let mut all = Vec::new();
        while self.rest.starts_with('(') {
            all.extend(self.filter(depth + 1)?);
        }
        Ok(ber::element(tag, &all))
    }

    /// `attribute=value` and its kin, up to the bracket.
    fn item(&mut self) -> Result<Vec<u8>, String> {
        let end = self.rest.find(['(', ')']).ok_or("a `)` is missing")?;
        let (item, rest) = self.rest.split_at(end);
        self.rest = rest;
        let (left, value) = item.split_once('=').ok_or("a part has no `=`")?;
        for (sign, tag) in [('>', 0xa5), ('<', 0xa6), ('~', 0xa8)] {
            if let Some(attribute) = left.strip_suffix(sign) {
                return Ok(ber::element(
                    tag,
                    &[octets(named(attribute)?), ber::element(ber::OCTETS, &literal(value)?)].concat(),
                ));
            }
        }
        if let Some(left) = left.strip_suffix(':') {
            return extensible(left, value);
        }
        let attribute = named(left)?;
        if value == "*" {
            return Ok(ber::element(0x87, attribute.as_bytes()));
        }
        if value.contains('*') {
            return Ok(ber::element(0xa4, &[octets(attribute), substrings(value)?].concat()));
        }
        Ok(ber::element(0xa3, &[octets(attribute), ber::element(ber::OCTETS, &literal(value)?)].concat()))
    }
}

fn octets(text: &str) -> Vec<u8> {
    ber::element(ber::OCTETS, text.as_bytes())
}

/// `a*b*c`: what it begins with, what is within, what it ends with.
fn substrings(value: &str) -> Result<Vec<u8>, String> {
    let parts: Vec<&str> = value.split('*').collect();
    let last = parts.len() - 1;
    let mut written = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        match at {
            0 if part.is_empty() => {}
            0 => written.extend(ber::element(0x80, &literal(part)?)),
            _ if at == last && part.is_empty() => {}
            _ if at == last => written.extend(ber::element(0x82, &literal(part)?)),
            _ if part.is_empty() => {
                return Err("two `*` stand side by side: a `*` in a value is written `\\2a`".to_owned());
            }
            _ => written.extend(ber::element(0x81, &literal(part)?)),
        }
    }
    Ok(ber::element(ber::SEQUENCE, &written))
}

/// `attribute:dn:rule:=value`, as Active Directory's `memberOf:1.2.840.113556.1.4.1941:=…`.
fn extensible(left: &str, value: &str) -> Result<Vec<u8>, String> {
    let mut parts = left.split(':');
    let attribute = parts.next().unwrap_or_default();
    let mut parts: Vec<&str> = parts.collect();
    let with_dn = parts.first().is_some_and(|part| part.eq_ignore_ascii_case("dn"));
    if with_dn {
        parts.remove(0);
    }
    let mut written = Vec::new();
    match parts.as_slice() {
        [] if attribute.is_empty() => return Err("a part has neither an attribute nor a rule".to_owned()),
        [] => {}
        [rule] => written.extend(ber::element(0x81, named(rule)?.as_bytes())),
        _ => return Err("a part has more than one rule".to_owned()),
    }
    if !attribute.is_empty() {
        written.extend(ber::element(0x82, named(attribute)?.as_bytes()));
    }
    written.extend(ber::element(0x83, &literal(value)?));
    if with_dn {
        written.extend(ber::element(0x84, &[0xff]));
    }
    Ok(ber::element(0xa9, &written))
}

/// The name of an attribute or rule, with options: `cn;lang-de`.
pub(super) fn named(name: &str) -> Result<&str, String> {
    let good = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.;_".contains(&byte));
    if good { Ok(name) } else { Err("the name of an attribute has letters, digits, `-`, `.` and `;`".to_owned()) }
}

/// A value without wildcards: `\2a` is a `*`.
fn literal(value: &str) -> Result<Vec<u8>, String> {
    const HEX: &str = "a `\\` in a value begins two hex digits: use ldap_escape";
    let mut bytes = value.bytes();
    let mut written = Vec::with_capacity(value.len());
    while let Some(byte) = bytes.next() {
        written.push(match byte {
            b'\\' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
                    return Err(HEX.to_owned());
                };
                u8::try_from(high * 16 + low).map_err(|_| HEX.to_owned())?
            }
            0 => return Err("a value has a NUL: use ldap_escape".to_owned()),
            b'*' => return Err("a `*` stands where only a value may: use ldap_escape".to_owned()),
            other => other,
        });
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contents by hand, for what is checked byte for byte.
    fn hex(text: &str) -> String {
        hex::encode(encode(text).unwrap_or_else(|problem| panic!("{text}: {problem}")))
    }

    #[test]
    fn every_form_is_as_the_rfc_has_it() {
        for (text, expected) in [
            ("(uid=ann)", "a30a0403756964 0403616e6e"),
            (" (uid=ann) ", "a30a0403756964 0403616e6e"),
            ("(cn=*)", "8702636e"),
            ("(cn=)", "a306 0402636e 0400"),
            ("(&(a=b)(c=d))", "a010 a306 040161 040162 a306 040163 040164"),
            ("(|(a=b))", "a108 a306 040161 040162"),
            ("(!(a=b))", "a208 a306 040161 040162"),
            ("(&)", "a000"),
            ("(a>=5)", "a506 040161 040135"),
            ("(a<=5)", "a606 040161 040135"),
            ("(a~=5)", "a806 040161 040135"),
            ("(a=x*)", "a408 040161 3003 800178"),
            ("(a=*y)", "a408 040161 3003 820179"),
            ("(a=x*y*z)", "a40e 040161 3009 800178 810179 82017a"),
            ("(a=*y*)", "a408 040161 3003 810179"),
            ("(a=\\2a\\28\\29\\5c\\00)", "a30a 040161 04052a28295c00"),
            ("(cn;lang-de=x)", "a30f 040a636e3b6c616e672d6465 040178"),
            ("(m:1.2:=v)", "a90b 8103312e32 82016d 830176"),
            ("(m:dn:1.2:=v)", "a90e 8103312e32 82016d 830176 8401ff"),
            ("(:1.2:=v)", "a908 8103312e32 830176"),
            ("(m:=v)", "a906 82016d 830176"),
            ("(cn=J\u{f6}rg)", "a30b 0402636e 04054ac3b67267"),
        ] {
            assert_eq!(hex(text), expected.replace(' ', ""), "{text}");
        }
    }

    #[test]
    fn a_mistake_is_found_before_the_wire() {
        for text in [
            "",
            "uid=ann",
            "(uid=ann",
            "(uid=ann))",
            "(uid=ann)(uid=bob)",
            "(uid)",
            "(=ann)",
            "(u id=ann)",
            "(uid=a(b)",
            "(uid=a\\b)",
            "(uid=a\\2)",
            "(uid=a**b)",
            "(uid>=a*)",
            "(uid=a\0b)",
            "(!)",
            "(!(a=b)(c=d))",
            "(&(a=b)",
            "(&(a=b)x)",
            "(:=v)",
            "(a:b:c:=v)",
            "()",
            "(u\u{f6}d=x)",
        ] {
            assert!(encode(text).is_err(), "{text}");
        }
        let deep = format!("{}(a=b){}", "(!".repeat(30), ")".repeat(30));
        assert!(encode(&deep).expect_err("deep").contains("deep"));
        let injected = format!("(uid={})", "*)(uid=*");
        assert_eq!(encode(&injected).expect_err("two filters"), "there is more behind its last `)`");
    }
}
