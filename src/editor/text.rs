//! A text with its lines, and places in it as the protocol counts them: lines from 0, columns in UTF-16 units.

use std::ops::Range as Span;
use std::sync::Arc;

use gen_lsp_types::{Position, Range};

/// The text of a file.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) text: Arc<str>,
    /// Byte offsets at which lines start.
    starts: Arc<[usize]>,
}

impl Text {
    pub(super) fn new(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    /// A line without its end; empty beyond the last.
    pub(super) fn line(&self, number: usize) -> &str {
        let Some(start) = self.starts.get(number) else { return "" };
        let end = self.starts.get(number + 1).map_or(self.text.len(), |next| next - 1);
        self.text[*start..end].trim_end_matches('\r')
    }

    /// The byte offset of a place; places beyond the end of a line or of the text are moved back to it.
    pub(super) fn offset(&self, place: Position) -> usize {
        let number = place.line as usize;
        let Some(start) = self.starts.get(number) else { return self.text.len() };
        let line = self.line(number);
        let mut units = 0;
        for (at, letter) in line.char_indices() {
            if units >= place.character as usize {
                return start + at;
            }
            units += letter.len_utf16();
        }
        start + line.len()
    }

    pub(super) fn position(&self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset.min(self.text.len()));
        let line = self.starts.partition_point(|start| *start <= offset) - 1;
        Position { line: small(line), character: small(units(&self.text[self.starts[line]..offset])) }
    }

    pub(super) fn range(&self, span: &Span<usize>) -> Range {
        Range { start: self.position(span.start), end: self.position(span.end) }
    }

    /// With `range` replaced.
    pub(super) fn replaced(&self, range: Range, by: &str) -> Self {
        let (start, end) = (self.offset(range.start), self.offset(range.end));
        let mut text = self.text.to_string();
        text.replace_range(start.min(end)..end.max(start), by);
        Self::new(text)
    }
}

/// The range of `length` characters from `column` (both counted in characters, from 1) in `line`, whose text is `text`.
pub(super) fn characters(line: usize, text: &str, column: usize, length: usize) -> Range {
    let upto = |count: usize| -> usize { text.chars().take(count).map(char::len_utf16).sum() };
    let start = column.saturating_sub(1);
    let at = |count| Position { line: small(line), character: small(upto(count)) };
    Range { start: at(start), end: at(start + length.max(1)) }
}

fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, character: u32) -> Position {
        Position { line, character }
    }

    #[test]
    fn columns_are_utf_16_units() {
        let text = Text::new("a\n\"😀é\" x\r\n");
        assert_eq!(text.offset(at(1, 3)), 7);
        assert_eq!(text.position(7), at(1, 3));
        assert_eq!(text.position(text.offset(at(1, 6))), at(1, 6));
        assert_eq!(characters(1, text.line(1), 6, 1), Range { start: at(1, 6), end: at(1, 7) });
    }

    #[test]
    fn places_beyond_the_text_are_moved_into_it() {
        let text = Text::new("ab\r\ncd");
        assert_eq!(text.offset(at(0, 99)), 2);
        assert_eq!(text.offset(at(99, 0)), 6);
        assert_eq!(&*text.replaced(Range { start: at(0, 1), end: at(1, 1) }, "-").text, "a-d");
        assert_eq!(&*text.replaced(Range { start: at(9, 9), end: at(0, 0) }, "").text, "");
    }
}
