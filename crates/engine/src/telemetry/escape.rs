//! Text that is safe inside a log line: JSON string escapes, and nothing a terminal or a log viewer would act on.
//!
//! Newlines forge lines, escape sequences repaint terminals and direction marks reorder what is read (CVE-2021-42574),
//! so none of them passes, in either format.

use std::borrow::Cow;
use std::fmt;

/// Bytes that need a closer look: controls, the two JSON specials, and lead bytes of hostile characters.
const SUSPECT: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table[0x7f] = true;
    table[0xc2] = true; // C1 controls, U+0080..U+009F
    table[0xd8] = true; // U+061C
    table[0xe2] = true; // separators and direction marks, U+200E..U+2069
    table
};

/// Appends `text` to `line`, escaped.
pub(crate) fn push_escaped(line: &mut Vec<u8>, text: &str) {
    let mut copied = 0;
    for (index, &byte) in text.as_bytes().iter().enumerate() {
        if !SUSPECT[usize::from(byte)] {
            continue;
        }
        let Some(suspect) = text[index..].chars().next() else { break };
        if byte >= 0x80 && !is_hostile(suspect) {
            continue;
        }
        line.extend_from_slice(&text.as_bytes()[copied..index]);
        push_escape(line, suspect);
        copied = index + suspect.len_utf8();
    }
    line.extend_from_slice(&text.as_bytes()[copied..]);
}

fn is_hostile(character: char) -> bool {
    matches!(character, '\u{80}'..='\u{9f}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What would repaint, reorder or hide text where people read it: all that a log line escapes, and what nobody sees (soft
/// hyphens, spaces without width, tags). Joiners stay: scripts and emoji need them.
pub fn is_deceptive(character: char) -> bool {
    character.is_control()
        || is_hostile(character)
        || matches!(character, '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}')
        || matches!(character, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn push_escape(line: &mut Vec<u8>, character: char) {
    match character {
        '"' => line.extend_from_slice(b"\\\""),
        '\\' => line.extend_from_slice(b"\\\\"),
        '\n' => line.extend_from_slice(b"\\n"),
        '\r' => line.extend_from_slice(b"\\r"),
        '\t' => line.extend_from_slice(b"\\t"),
        other => {
            line.extend_from_slice(b"\\u");
            // Every hostile character is below U+10000, so four digits are enough.
            for shift in [12, 8, 4, 0] {
                line.push(b"0123456789abcdef"[(other as usize >> shift) & 0xf]);
            }
        }
    }
}

/// Text on its way to a terminal or a page, on one line: what either would act on stands there as `\u001b`.
pub fn visible(text: &str) -> Cow<'_, str> {
    let acts = |letter: char| letter.is_control() || is_hostile(letter);
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = Vec::with_capacity(text.len() + 16);
    let mut bytes = [0; 4];
    for letter in text.chars() {
        if acts(letter) {
            push_escape(&mut shown, letter);
        } else {
            shown.extend_from_slice(letter.encode_utf8(&mut bytes).as_bytes());
        }
    }
    Cow::Owned(String::from_utf8(shown).unwrap_or_default())
}

/// Escapes what is formatted into it.
pub(crate) struct Escaped<'a>(pub(crate) &'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        push_escaped(self.0, text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut line = Vec::new();
        push_escaped(&mut line, text);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn plain_text_is_left_alone() {
        for text in ["", "a b=c/d", "Grüße, 世界 – „quoted“ €", "\u{a0}\u{2010}\u{206a}"] {
            assert_eq!(escaped(text), text);
        }
    }

    #[test]
    fn nothing_a_terminal_acts_on_passes() {
        assert_eq!(escaped("a\u{1b}[31m\nb\r\t\u{7f}"), "a\\u001b[31m\\nb\\r\\t\\u007f");
        assert_eq!(escaped("\u{9b}31m \u{202e}x\u{2066}\u{2028}\u{61c}"), "\\u009b31m \\u202ex\\u2066\\u2028\\u061c");
    }

    #[test]
    fn a_person_sees_quotes_as_they_are_and_everything_that_acts_as_text() {
        assert_eq!(visible("a \"b\" \\ é"), "a \"b\" \\ é");
        assert_eq!(visible("\u{1b}[31m\u{9b}\u{202e}\n"), "\\u001b[31m\\u009b\\u202e\\n");
    }

    #[test]
    fn every_character_survives_a_json_parser() {
        let text: String = (0..0x3000).filter_map(char::from_u32).chain(['😀']).collect();
        let back: String = serde_json::from_str(&format!("\"{}\"", escaped(&text))).unwrap();
        assert_eq!(back, text);
    }
}
