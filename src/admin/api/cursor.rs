//! Where a page ended, as an opaque text. Good for the list and the question that it came from, and for nothing else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::admin::problem::Problem;

/// The place behind which a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The number of the last row that was shown.
    pub after: i64,
    /// Which of several questions in a row it belongs to.
    pub turn: u8,
}

const CHECK_BYTES: usize = 6;

impl Cursor {
    /// As text, for the list of this name and what was asked of it.
    pub fn text(self, list: &str, asked: &str) -> String {
        let mut bytes = self.after.to_be_bytes().to_vec();
        bytes.push(self.turn);
        let check = check(&bytes, list, asked);
        bytes.extend(check);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads it again.
    ///
    /// # Errors
    /// It was not made by this list for this question.
    pub fn read(text: &str, list: &str, asked: &str) -> Result<Self, Problem> {
        Self::of(text, list, asked).ok_or_else(|| {
            let detail = "the cursor does not belong to this list with these parameters; begin without one";
            Problem::bad_request("bad-cursor", detail).with("parameter", "cursor")
        })
    }

    fn of(text: &str, list: &str, asked: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (place, found) = bytes.split_at_checked(9)?;
        if found != check(place, list, asked) {
            return None;
        }
        let (after, turn) = place.split_at_checked(8)?;
        Some(Self { after: i64::from_be_bytes(after.try_into().ok()?), turn: *turn.first()? })
    }
}

fn check(place: &[u8], list: &str, asked: &str) -> [u8; CHECK_BYTES] {
    let digest = Sha256::new().chain_update(place).chain_update(list).chain_update([0]).chain_update(asked).finalize();
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&digest[..CHECK_BYTES]);
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_question_alone() {
        let cursor = Cursor { after: i64::MAX - 7, turn: 1 };
        let text = cursor.text("events", "route=a");
        assert_eq!(Cursor::of(&text, "events", "route=a"), Some(cursor));
        assert_eq!(Cursor::of(&text, "events", "route=b"), None);
        assert_eq!(Cursor::of(&text, "decisions", "route=a"), None);
        for wrong in ["", "x", "!!", &text[1..], &format!("{text}AAAA"), "AAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(Cursor::of(wrong, "events", "route=a"), None, "{wrong}");
        }
    }
}
