//! JSON whose whole numbers are larger than a script can count: they become texts, so that they keep their digits.
//!
//! A script counts to 2^63 with sign. A number of an id or an account that is larger would become a float, and lose its last
//! digits.

use std::borrow::Cow;

use serde_json::Value;

/// No whole number with fewer characters is too large.
const FEWEST: usize = 19;

/// Reads JSON.
///
/// # Errors
/// It is none.
pub fn read(json: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice(&quoted(json))
}

/// The same JSON with every whole number that is too large in quotation marks.
pub fn quoted(json: &[u8]) -> Cow<'_, [u8]> {
    if !has_many_digits(json) {
        return Cow::Borrowed(json);
    }
    let mut changed: Vec<u8> = Vec::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => at = end_of_text(json, at),
            b'-' | b'0'..=b'9' => {
                let end = end_of_number(json, at);
                if is_too_large(&json[at..end]) {
                    changed.extend_from_slice(&json[copied..at]);
                    changed.push(b'"');
                    changed.extend_from_slice(&json[at..end]);
                    changed.push(b'"');
                    copied = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    changed.extend_from_slice(&json[copied..]);
    Cow::Owned(changed)
}

/// Whether so many digits stand in a row somewhere. It looks at one byte of so many: nearly all JSON has no such number, and
/// calls are read this way.
fn has_many_digits(json: &[u8]) -> bool {
    let mut at = FEWEST - 1;
    while let Some(byte) = json.get(at) {
        if !byte.is_ascii_digit() {
            at += FEWEST;
            continue;
        }
        let before = json[..at].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let behind = json[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if before + behind >= FEWEST {
            return true;
        }
        at += behind + FEWEST - 1;
    }
    false
}

/// Behind the text that begins here.
fn end_of_text(json: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    json.len()
}

fn end_of_number(json: &[u8], start: usize) -> usize {
    let inside = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    start + json[start..].iter().take_while(|byte| inside(byte)).count()
}

/// Whether this is a whole number beyond 64 bits with sign. What is no number of JSON is not.
fn is_too_large(number: &[u8]) -> bool {
    let digits = number.strip_prefix(b"-").unwrap_or(number);
    if digits.len() < FEWEST || digits[0] == b'0' || !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    std::str::from_utf8(number).is_ok_and(|text| text.parse::<i64>().is_err())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn large_whole_numbers_are_texts_and_everything_else_stays() {
        for (written, value) in [
            ("9223372036854775807", json!(i64::MAX)),
            ("9223372036854775808", json!("9223372036854775808")),
            ("-9223372036854775808", json!(i64::MIN)),
            ("-9223372036854775809", json!("-9223372036854775809")),
            ("123456789012345678901234567890", json!("123456789012345678901234567890")),
            ("1e30", json!(1e30)),
            ("12345678901234567890.5", json!(12_345_678_901_234_567_890.5)),
            (r#""18446744073709551616""#, json!("18446744073709551616")),
            (
                r#"{"a\"18446744073709551616":[18446744073709551616,1]}"#,
                json!({"a\"18446744073709551616": ["18446744073709551616", 1]}),
            ),
            (r#"[ "\\", 18446744073709551616 , null]"#, json!(["\\", "18446744073709551616", null])),
        ] {
            assert_eq!(read(written.as_bytes()).expect("JSON"), value, "{written}");
        }
        for broken in
            ["018446744073709551616", "18446744073709551616-", "\"18446744073709551616", "--18446744073709551616"]
        {
            assert!(read(broken.as_bytes()).is_err(), "{broken}");
        }
        assert!(matches!(quoted(b"[1, 2.5, \"x\"]"), Cow::Borrowed(_)));
        for before in 0..40 {
            let json = format!("[{}123,{},4]", " ".repeat(before), u64::MAX);
            let read = read(json.as_bytes()).expect("JSON");
            assert_eq!(read, json!([123, u64::MAX.to_string(), 4]), "wherever it stands: {json}");
        }
    }
}
