//! Text that is nearly JSON: what of it no JSON reader accepts, and what is read in its place.
//!
//! Providers build JSON by hand, cut texts in the middle of a character, and mix encodings. One such character must not cost
//! the whole call. Nothing is replaced in silence: every replacement leaves a note with its count and its first place. The
//! bytes as they were sent stay with the caller.
//!
//! Only called after a JSON reader refused the text, so it costs usual calls nothing.

use std::fmt;
use std::ops::Range;

/// What takes the place of a character that cannot be known.
const UNKNOWN: char = char::REPLACEMENT_CHARACTER;

/// A part of a text that no JSON reader accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// U+FEFF in front of the text (RFC 8259, section 8.1, allows to ignore it).
    ByteOrderMark,
    /// A byte that is no UTF-8, as in Latin-1. Reads as U+FFFD.
    NotUtf8,
    /// Half of a surrogate pair, written `\ud83d`. Reads as U+FFFD.
    LoneSurrogate,
    /// A control character inside a string that should have been escaped. Reads as what it is.
    Control,
    /// A backslash with nothing behind it that JSON knows. Reads as U+FFFD.
    Escape,
    /// A number beyond the range of a 64-bit float, such as `1e400`. Reads as its text.
    Number,
}

const FAULTS: [Fault; 6] =
    [Fault::ByteOrderMark, Fault::NotUtf8, Fault::LoneSurrogate, Fault::Control, Fault::Escape, Fault::Number];

/// A text as it can be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Mended {
    pub text: String,
    /// What was replaced: one sentence for each kind of fault, without a value.
    pub(crate) notes: Vec<String>,
}

/// The text with every fault replaced by what can be read; nothing if it has no fault.
pub fn mended(bytes: &[u8]) -> Option<Mended> {
    let mut text = Vec::with_capacity(bytes.len());
    let (mut seen, mut copied) = (Seen::default(), 0);
    scan(bytes, |at, fault| {
        text.extend_from_slice(&bytes[copied..at.start]);
        copied = at.end;
        seen.note(fault, at.start);
        match fault {
            Fault::ByteOrderMark => {}
            Fault::NotUtf8 | Fault::LoneSurrogate | Fault::Escape => {
                text.extend_from_slice(UNKNOWN.encode_utf8(&mut [0; 4]).as_bytes());
            }
            Fault::Control => text.extend_from_slice(format!("\\u{:04x}", bytes[at.start]).as_bytes()),
            Fault::Number => {
                text.push(b'"');
                text.extend_from_slice(&bytes[at]);
                text.push(b'"');
            }
        }
    });
    text.extend_from_slice(&bytes[copied..]);
    let notes = seen.notes();
    if notes.is_empty() {
        return None;
    }
    // Whatever is no UTF-8 was replaced above.
    String::from_utf8(text).ok().map(|text| Mended { text, notes })
}

/// The text with every fault overwritten, byte for byte: a place in it is the same place in `bytes`.
pub(crate) fn overwritten(bytes: &[u8]) -> String {
    let mut text = bytes.to_vec();
    scan(bytes, |at, fault| {
        let filler = match fault {
            Fault::ByteOrderMark | Fault::Control => b' ',
            Fault::NotUtf8 | Fault::LoneSurrogate | Fault::Escape => b'?',
            // Zeros in front would make it no number.
            Fault::Number => b'1',
        };
        text[at].fill(filler);
    });
    // Whatever is no UTF-8 was overwritten above.
    String::from_utf8(text).unwrap_or_default()
}

/// How often each fault was seen, and where first.
#[derive(Default)]
struct Seen([(usize, usize); FAULTS.len()]);

impl Seen {
    fn note(&mut self, fault: Fault, at: usize) {
        let Some(index) = FAULTS.iter().position(|other| *other == fault) else { return };
        let (count, first) = &mut self.0[index];
        if *count == 0 {
            *first = at;
        }
        *count += 1;
    }

    fn notes(&self) -> Vec<String> {
        let found = FAULTS.iter().zip(&self.0).filter(|(_, (count, _))| *count > 0);
        found
            .map(|(fault, (count, first))| match fault {
                Fault::ByteOrderMark => fault.to_string(),
                _ => format!("{count} × {fault} (the first at byte {first})"),
            })
            .collect()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Self::ByteOrderMark => "a byte order mark before the JSON was skipped",
            Self::NotUtf8 => "bytes that are not UTF-8, read as U+FFFD",
            Self::LoneSurrogate => "half of a surrogate pair, read as U+FFFD",
            Self::Control => "a control character that was not escaped",
            Self::Escape => "a backslash that escapes nothing JSON knows, read as U+FFFD",
            Self::Number => "a number beyond the range of 64-bit floats, read as text",
        })
    }
}

/// Calls `found` for each fault, from the start to the end of the text.
fn scan(bytes: &[u8], mut found: impl FnMut(Range<usize>, Fault)) {
    let mut at = 0;
    if bytes.starts_with(b"\xef\xbb\xbf") {
        found(0..3, Fault::ByteOrderMark);
        at = 3;
    }
    let mut in_string = false;
    while let Some(&byte) = bytes.get(at) {
        let (length, fault) = match byte {
            b'"' => {
                in_string = !in_string;
                (1, None)
            }
            b'\\' if in_string => escape(&bytes[at..]),
            0..=0x1f if in_string => (1, Some(Fault::Control)),
            0x80.. => character(&bytes[at..]),
            b'-' | b'0'..=b'9' if !in_string => number(&bytes[at..]),
            _ => (1, None),
        };
        if let Some(fault) = fault {
            found(at..at + length, fault);
        }
        at += length;
    }
}

/// The length of the escape at the start of `rest`, and what is wrong with it.
fn escape(rest: &[u8]) -> (usize, Option<Fault>) {
    match rest.get(1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => (2, None),
        Some(b'u') => match (unit(rest), rest.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (12, None),
            (Some(0xd800..=0xdfff), _) => (6, Some(Fault::LoneSurrogate)),
            (Some(_), _) => (6, None),
            (None, _) => (2, Some(Fault::Escape)),
        },
        _ => (1, Some(Fault::Escape)),
    }
}

/// The UTF-16 unit that is written `\uXXXX` at the start of `rest`.
fn unit(rest: &[u8]) -> Option<u16> {
    let digits = rest.strip_prefix(b"\\u")?.get(..4)?;
    let digits = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

/// The length of the character at the start of `rest`, or of the bytes there that are none.
fn character(rest: &[u8]) -> (usize, Option<Fault>) {
    let window = &rest[..rest.len().min(4)];
    match window.utf8_chunks().next() {
        Some(chunk) if !chunk.valid().is_empty() => (chunk.valid().chars().next().map_or(1, char::len_utf8), None),
        Some(chunk) => (chunk.invalid().len().max(1), Some(Fault::NotUtf8)),
        None => (1, None),
    }
}

/// The length of the number at the start of `rest`, and whether it is out of range.
fn number(rest: &[u8]) -> (usize, Option<Fault>) {
    let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
    let digits = std::str::from_utf8(&rest[..length]).unwrap_or_default();
    let fault = digits.parse::<f64>().is_ok_and(f64::is_infinite).then_some(Fault::Number);
    (length, fault)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn read(bytes: &[u8]) -> (Value, usize) {
        let mended = mended(bytes).unwrap_or_else(|| panic!("{bytes:?} has no fault"));
        let value = serde_json::from_str(&mended.text).unwrap_or_else(|error| panic!("{}: {error}", mended.text));
        (value, mended.notes.len())
    }

    #[test]
    fn every_fault_has_its_reading() {
        let rows: [(&[u8], &str); 14] = [
            (b"\xef\xbb\xbf{\"a\":1}", r#"{"a":1}"#),
            (b"{\"a\":\"caf\xe9\"}", "{\"a\":\"caf\u{fffd}\"}"),
            (b"{\"a\":\"\xc3\"}", "{\"a\":\"\u{fffd}\"}"),
            (b"{\"a\":\"\xf0\x9f\x94\"}", "{\"a\":\"\u{fffd}\"}"),
            (br#"{"a":"x\ud83d"}"#, "{\"a\":\"x\u{fffd}\"}"),
            (br#"{"a":"\ude00\ud83d\ude00"}"#, "{\"a\":\"\u{fffd}\u{1f600}\"}"),
            (br#"{"a":"\ud83d\u0041"}"#, "{\"a\":\"\u{fffd}A\"}"),
            (br#"{"\udead":1}"#, "{\"\u{fffd}\":1}"),
            (b"{\"a\":\"x\ty\n\"}", r#"{"a":"x\ty\n"}"#),
            (br#"{"a":"\x41"}"#, "{\"a\":\"\u{fffd}x41\"}"),
            (br#"{"a":"\u12"}"#, "{\"a\":\"\u{fffd}12\"}"),
            (br#"{"a":"\u+123"}"#, "{\"a\":\"\u{fffd}+123\"}"),
            (br#"{"a":1e400}"#, r#"{"a":"1e400"}"#),
            (br#"{"a":[-1E999,2]}"#, r#"{"a":["-1E999",2]}"#),
        ];
        for (bytes, expected) in rows {
            let (value, notes) = read(bytes);
            assert_eq!((value, notes), (serde_json::from_str(expected).unwrap(), 1), "{}", expected);
            let text = overwritten(bytes);
            assert!(text.len() == bytes.len() && serde_json::from_str::<Value>(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_has_no_fault_is_left_alone() {
        let plain = "{\"a\": \"\\\\u12 \u{e4}\u{1f600} \\ud83d\\ude00 \\\" \\u0000\", \"b\": [1e308, -0.5, 7]}\n\t";
        assert_eq!(mended(plain.as_bytes()), None);
        assert_eq!(overwritten(plain.as_bytes()), plain);
    }

    #[test]
    fn notes_count_and_hold_no_value() {
        let notes = mended(b"{\"a\":\"c4n4ry\xe9\xe8\",\"b\":\"\\ud800\"}").unwrap().notes;
        assert_eq!(
            notes,
            [
                "2 × bytes that are not UTF-8, read as U+FFFD (the first at byte 12)",
                "1 × half of a surrogate pair, read as U+FFFD (the first at byte 21)",
            ]
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        #[test]
        fn places_stay_and_mending_once_is_enough(bytes in proptest::collection::vec(prop_oneof![
            any::<u8>(), proptest::sample::select(&b"\"\\u0d8e{}:,[]19-"[..])
        ], 0..60)) {
            prop_assert_eq!(overwritten(&bytes).len(), bytes.len());
            if let Some(Mended { text, .. }) = mended(&bytes) {
                prop_assert_eq!(mended(text.trim_start_matches('\u{feff}').as_bytes()).map(|again| again.text), None);
            }
        }
    }
}
