//! Text: regular expressions in linear time, folding to ASCII, URL encoding. What Rhai's own strings have is not repeated.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rhai::{Dynamic, ImmutableString, Map};

use crate::budget;
use crate::library::{Doc, Library};
use crate::prelude::{Fallible, pattern};

/// The first match: `"0"` is the whole of it, `"1"` … and names are its groups; a group that took no part is `()`.
fn capture(text: &str, pattern: &str) -> Fallible<Dynamic> {
    let pattern = pattern::compiled(pattern)?;
    let Some(found) = pattern.find(text)? else { return Ok(Dynamic::UNIT) };
    budget::reserve(found.iter().flatten().count() as u64 * 128 + text.len() as u64)?;
    let mut groups = Map::new();
    for (index, name) in pattern.groups().enumerate() {
        let ends = found.get(2 * index).copied().flatten().zip(found.get(2 * index + 1).copied().flatten());
        let group = ends.map_or(Dynamic::UNIT, |(start, end)| text[start.get()..end.get()].into());
        if let Some(name) = name {
            groups.insert(name.into(), group.clone());
        }
        groups.insert(index.to_string().into(), group);
    }
    Ok(groups.into())
}

/// The Latin letters of a text without their marks (`Nguyễn` → `Nguyen`, `ß` → `ss`), ASCII as it is.
///
/// Letters of other scripts are left out rather than transliterated: how a name is spelled in Latin letters is its owner's
/// choice, so a script sees an empty text and falls back to something else.
pub(crate) fn ascii_fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_ascii() {
            folded.push(letter);
        } else if is_latin_or_punctuation(letter) {
            folded.push_str(any_ascii::any_ascii_char(letter));
        }
    }
    folded
}

fn is_latin_or_punctuation(letter: char) -> bool {
    matches!(letter,
        '\u{a0}'..='\u{24f}' | '\u{250}'..='\u{2bc}' | '\u{1d00}'..='\u{1dbf}' | '\u{1e00}'..='\u{1eff}' // Latin
        | '\u{2c60}'..='\u{2c7f}' | '\u{a720}'..='\u{a7ff}' | '\u{ab30}'..='\u{ab6f}' | '\u{fb00}'..='\u{fb06}'
        | '\u{ff01}'..='\u{ff5e}' // full width
        | '\u{2000}'..='\u{200a}' | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{3000}' // blanks, dashes, quotes
        | '\u{20ac}' | '\u{2122}')
}

/// RFC 3986, 2.3: what needs no encoding anywhere in a URL.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// RFC 4515, 3: in a value of a filter five characters are written as a backslash and two hex digits.
fn ldap_escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '*' | '(' | ')' | '\\' | '\0' => escaped.push_str(&in_hex(letter)),
            other => escaped.push(other),
        }
    }
    escaped
}

/// RFC 4514, 2.4: what means something in a name, anywhere or at its ends, gets a backslash.
fn dn_escape(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut escaped = String::with_capacity(text.len());
    for (at, letter) in text.chars().enumerate() {
        match letter {
            '"' | '+' | ',' | ';' | '<' | '>' | '=' | '\\' => escaped.extend(['\\', letter]),
            '#' if at == 0 => escaped.extend(['\\', letter]),
            ' ' if at == 0 || at == last => escaped.extend(['\\', letter]),
            '\0'..='\x1f' | '\x7f' => escaped.push_str(&in_hex(letter)),
            other => escaped.push(other),
        }
    }
    escaped
}

fn in_hex(letter: char) -> String {
    format!("\\{:02x}", u32::from(letter))
}

/// Whether the pattern matches somewhere in the text.
///
/// # Errors
/// The pattern is no regular expression, or too large a one; or a limit of the run is reached.
pub fn matches(text: &str, pattern: &str) -> Fallible<bool> {
    pattern::compiled(pattern)?.is_match(text)
}

pub(super) fn register(library: &mut Library) {
    library.function(
        Doc::new(
            "matches(text: string, pattern: string) -> bool",
            "Whether a regular expression matches anywhere in the text; `^` and `$` tie it to the ends, `(?i)` ignores case. Linear time: no look-around, no back-references.",
            r#"matches("AB-1234", "^[A-Z]{2}-\\d+$") && !matches("ab", "^A")"#,
        ),
        matches,
    );
    library.function(
        Doc::new(
            "capture(text: string, pattern: string) -> map or ()",
            "The groups of the first match, by number (`\"0\"` is the whole match) and by name; `()` if there is none.",
            r#"capture("ann.lee", "(?<first>\\w+)\\.(\\w+)").first == "ann" && capture("ann.lee", "(\\w+)\\.(\\w+)")["2"] == "lee""#,
        ),
        capture,
    );
    library.function(
        Doc::new(
            "ascii_fold(text: string) -> string",
            "Latin letters without their marks. Letters of other scripts (Han, Arabic, Cyrillic, Greek …) are left out, not transliterated.",
            r#"ascii_fold("Björn O'Neil-Müller") == "Bjorn O'Neil-Muller" && ascii_fold("Nguyễn") == "Nguyen" && ascii_fold("王伟") == """#,
        ),
        |text: &str| ascii_fold(text),
    );
    library.function(
        Doc::new(
            "url_encode(text: string) -> string",
            "For one segment of a path or one value of a query: all but letters, digits and `-._~` becomes `%XX`.",
            r#"url_encode("a b/ü#EXT#") == "a%20b%2F%C3%BC%23EXT%23""#,
        ),
        |text: &str| utf8_percent_encode(text, RESERVED).to_string(),
    );
    library.function(
        Doc::new(
            "url_decode(text: string) -> string",
            "Undoes `%XX`; `+` stays. Bytes that are not UTF-8 are an error.",
            r#"url_decode("a%20b%2F%C3%BC") == "a b/ü""#,
        ),
        |text: &str| -> Fallible<ImmutableString> {
            match percent_decode_str(text).decode_utf8() {
                Ok(decoded) => Ok(decoded.as_ref().into()),
                Err(_) => Err(format!("`{text}` decodes to bytes that are not UTF-8").into()),
            }
        },
    );
    register_escapes(library);
    register_parts(library);
}

/// For what goes into an LDAP search or bind.
fn register_escapes(library: &mut Library) {
    library.function(
        Doc::new(
            "ldap_escape(text: string) -> string",
            "For a value in the filter of an LDAP search (RFC 4515): `*`, `(`, `)`, `\\` and NUL lose their meaning.",
            r#""(uid=" + ldap_escape("*)(uid=*") + ")" == "(uid=\\2a\\29\\28uid=\\2a)""#,
        ),
        |text: &str| ldap_escape(text),
    );
    library.function(
        Doc::new(
            "dn_escape(text: string) -> string",
            "For a value in the name of an LDAP entry (RFC 4514): `,`, `+`, `=`, quotes, blanks at the ends and all else that would end it or begin another lose their meaning.",
            r##""uid=" + dn_escape("lee, ann+x") + ",ou=people" == "uid=lee\\, ann\\+x,ou=people" && dn_escape("#1 ") == "\\#1\\ ""##,
        ),
        |text: &str| dn_escape(text),
    );
}

/// What Rhai's strings lack and policies need.
fn register_parts(library: &mut Library) {
    library.function(
        Doc::new(
            "equals_ignore_case(a: string, b: string) -> bool",
            "Whether two texts are the same in lower case.",
            r#"equals_ignore_case("Ünal", "üNAL")"#,
        ),
        |a: &str, b: &str| a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase(),
    );
    library.function(
        Doc::new(
            "join(list: array, separator: string) -> string",
            "The texts and numbers of a list in one text.",
            r#"join(["a", 1, "b"], ", ") == "a, 1, b""#,
        ),
        |list: rhai::Array, separator: &str| -> Fallible<String> {
            let part = |item: &Dynamic| match item {
                item if item.is_string() || item.is_int() || item.is_float() || item.is_bool() || item.is_char() => {
                    Ok(item.to_string())
                }
                item => Err(format!("`join` takes texts and numbers, not {}", item.type_name())),
            };
            Ok(list.iter().map(part).collect::<Result<Vec<_>, _>>()?.join(separator))
        },
    );
    library.function(
        Doc::new(
            "before(text: string, separator: string) -> string",
            "What is before the first separator; all of the text if there is none.",
            r#"before("ann@example.com", "@") == "ann""#,
        ),
        |text: &str, separator: &str| ImmutableString::from(text.split_once(separator).map_or(text, |(head, _)| head)),
    );
    library.function(
        Doc::new(
            "after(text: string, separator: string) -> string",
            "What is after the first separator; empty if there is none.",
            r#"after("a=b=c", "=") == "b=c""#,
        ),
        |text: &str, separator: &str| ImmutableString::from(text.split_once(separator).map_or("", |(_, tail)| tail)),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_value_ends_it() {
        for (text, in_filter, in_name) in [
            ("ann", "ann", "ann"),
            ("*)(uid=*", "\\2a\\29\\28uid=\\2a", "*)(uid\\=*"),
            ("a,b", "a,b", "a\\,b"),
            ("a+b", "a+b", "a\\+b"),
            ("a\\2a", "a\\5c2a", "a\\\\2a"),
            ("a\0b", "a\\00b", "a\\00b"),
            (" #a ", " #a ", "\\ #a\\ "),
            ("#a#", "#a#", "\\#a#"),
            (" ", " ", "\\ "),
            ("\"<a>;\n", "\"<a>;\n", "\\\"\\<a\\>\\;\\0a"),
            ("J\u{f6}rg \u{1f600}", "J\u{f6}rg \u{1f600}", "J\u{f6}rg \u{1f600}"),
            ("", "", ""),
        ] {
            assert_eq!((ldap_escape(text).as_str(), dn_escape(text).as_str()), (in_filter, in_name), "{text:?}");
        }
    }

    #[test]
    fn groups_that_took_no_part_are_absent() {
        let groups = capture("b", "(?<a>a)|(?<b>b)").expect("a pattern");
        let groups = groups.as_map_ref().expect("a match");
        assert!(groups["a"].is_unit() && groups["1"].is_unit());
        assert_eq!(groups["b"].clone().into_string().as_deref(), Ok("b"));
        assert!(capture("c", "(a)").expect("a pattern").is_unit());
    }

    #[test]
    fn names_fold_to_ascii_or_to_nothing() {
        for (name, folded) in [
            ("Björn O'Neil-Müller", "Bjorn O'Neil-Muller"),
            ("Nguyễn", "Nguyen"),
            ("Nguye\u{302}\u{303}n", "Nguyen"),
            ("Łukasz Straße Ærø", "Lukasz Strasse Aero"),
            ("O’Brien", "O'Brien"),
            ("王伟", ""),
            ("محمد", ""),
            ("Иван", ""),
        ] {
            assert_eq!(ascii_fold(name), folded, "{name}");
            assert!(ascii_fold(name).is_ascii());
        }
    }
}
