//! What tells the body of one call from that of another, whatever spaces stand in it.

use std::hash::{BuildHasher, Hasher};

use memchr::memchr2;
use sha2::{Digest, Sha256};

/// The first 32 hexadecimal digits of the SHA-256 of a body: the same in every process, so that a call which comes again after
/// a restart is known. It stands in keys of the store, where a collision would suppress an action.
pub(super) fn digest(body: &[u8]) -> String {
    let mut hash = Sha256::new();
    significant(body, |part| hash.update(part));
    hex::encode(&hash.finalize()[..16])
}

/// A number that is cheap to make and means nothing outside of this process.
pub(super) fn fingerprint(body: &[u8], state: &impl BuildHasher) -> u64 {
    let mut hasher = state.build_hasher();
    significant(body, |part| hasher.write(part));
    hasher.finish()
}

/// The bytes of a JSON text without the white space between its values: a body that a proxy writes anew on one line is the
/// same. Of a body without such white space, which is what Okta sends, it is one part.
fn significant(body: &[u8], mut part: impl FnMut(&[u8])) {
    let (mut start, mut at) = (0, 0);
    while let Some(&byte) = body.get(at) {
        match byte {
            b'"' => at = end_of_string(body, at + 1),
            b' ' | b'\t' | b'\n' | b'\r' => {
                if start < at {
                    part(&body[start..at]);
                }
                at += 1;
                start = at;
            }
            _ => at += 1,
        }
    }
    if start < body.len() {
        part(&body[start..]);
    }
}

/// Behind the quote that ends the string whose content starts at `at`.
fn end_of_string(body: &[u8], mut at: usize) -> usize {
    while let Some(found) = body.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if body[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    body.len()
}

#[cfg(test)]
mod tests {
    use std::hash::RandomState;

    use super::*;

    #[test]
    fn only_space_between_values_makes_no_difference() {
        let one = r#"{"a":["x y",1],"b":"\" z"}"#;
        let same = ["{ \"a\" : [\"x y\",\t1 ],\r\n  \"b\":\"\\\" z\"}\n", one];
        let other = [
            r#"{"a":["x  y",1],"b":"\" z"}"#,
            r#"{"a":["xy",1],"b":"\" z"}"#,
            r#"{"a":["x y",1],"b":"\"z"}"#,
            r#"{"a":["x y",2],"b":"\" z"}"#,
            r#"{"b":"\" z","a":["x y",1]}"#,
            r#"{"a":["x y",1],"b":"\" z"#,
            "",
        ];
        let state = RandomState::new();
        let prints = |body: &str| (digest(body.as_bytes()), fingerprint(body.as_bytes(), &state));
        for body in same {
            assert_eq!(prints(body), prints(one), "{body}");
        }
        for body in other {
            let (digest, fingerprint) = prints(body);
            assert!(digest != prints(one).0 && fingerprint != prints(one).1, "{body}");
        }
        assert_eq!(digest(b"{}"), "44136fa355b3678a1146ad16f7e8649e");
    }
}
