//! Looking at the text around a position, and the chain of calls that led there.

use rhai::{EvalAltResult, Position};

/// The text around a place of a script; line and column count from 1.
pub(crate) struct Around<'s> {
    line: &'s str,
    /// Byte offset in the line.
    offset: usize,
}

impl<'s> Around<'s> {
    pub(crate) fn new(source: &'s str, line: usize, column: usize) -> Self {
        Self::on_line(source.lines().nth(line.saturating_sub(1)).unwrap_or_default(), column)
    }

    /// A place of a line that is known.
    pub(crate) fn on_line(line: &'s str, column: usize) -> Self {
        let offset = line.char_indices().nth(column.saturating_sub(1)).map_or(line.len(), |(offset, _)| offset);
        Self { line, offset }
    }

    /// No place: nothing stands there.
    pub(crate) const fn nowhere() -> Self {
        Self { line: "", offset: 0 }
    }

    pub(crate) fn of(source: &'s str, position: Position) -> Self {
        Self::new(source, position.line().unwrap_or(1), position.position().unwrap_or(1).max(1))
    }

    pub(crate) fn before(&self) -> &'s str {
        &self.line[..self.offset]
    }

    pub(crate) fn after(&self) -> &'s str {
        &self.line[self.offset..]
    }

    /// The word that begins here.
    pub(crate) fn word(&self) -> &'s str {
        let rest = self.after();
        &rest[..rest.find(|letter| !is_word(letter)).unwrap_or(rest.len())]
    }

    /// The word that ends before this place, blanks between them left out.
    pub(crate) fn word_before(&self) -> &'s str {
        let before = self.before().trim_end();
        let start = before.char_indices().rev().take_while(|(_, letter)| is_word(*letter)).last();
        start.map_or("", |(start, _)| &before[start..])
    }

    /// `request.profile.manager` for a place after its last dot.
    pub(crate) fn receiver(&self) -> Option<&'s str> {
        let before = self.before().trim_end();
        let before = before.strip_suffix("?.").or_else(|| before.strip_suffix('.'))?;
        path_at_end(before)
    }

    /// The path of names that this place is in, and its distance from here: Rhai gives the first dot of a chain.
    pub(crate) fn path(&self) -> Option<(&'s str, usize)> {
        let in_path = |letter: &char| is_word(*letter) || matches!(letter, '.' | '?');
        let back = self.before().chars().rev().take_while(in_path).map(char::len_utf8).sum::<usize>();
        let ahead = self.after().chars().take_while(in_path).map(char::len_utf8).sum::<usize>();
        let path = self.line[self.offset - back..self.offset + ahead].trim_end_matches(['.', '?']);
        let alone = !self.line[self.offset + ahead..].starts_with(['(', '[']);
        let whole = path.starts_with(|first: char| is_word(first) && !first.is_ascii_digit()) && alone;
        whole.then(|| (path, self.line[self.offset - back..self.offset].chars().count()))
    }

    /// The path that stands before this place, blanks between them left out.
    pub(crate) fn path_before(&self) -> Option<&'s str> {
        path_at_end(self.before().trim_end()).filter(|path| path.starts_with(char::is_alphabetic))
    }

    /// The path that stands after the operator here.
    pub(crate) fn path_after(&self) -> Option<&'s str> {
        let rest = self.after().trim_start_matches(|letter: char| !letter.is_whitespace() && !is_word(letter));
        let rest = rest.trim_start_matches("in ").trim_start();
        let end = rest.find(|letter| !is_word(letter) && letter != '.').unwrap_or(rest.len());
        let path = &rest[..end];
        (path.starts_with(char::is_alphabetic) && !rest[end..].starts_with(['(', '['])).then_some(path)
    }

    /// The path before `[`, for a place after it.
    pub(crate) fn list(&self) -> Option<&'s str> {
        path_at_end(self.before().strip_suffix('[')?)
    }

    /// The path that ends here, for a place at `[`.
    pub(crate) fn indexed(&self) -> Option<&'s str> {
        path_at_end(self.before())
    }
}

fn path_at_end(text: &str) -> Option<&str> {
    let allowed = |letter: char| is_word(letter) || matches!(letter, '.' | '?' | ':');
    let start = text.char_indices().rev().take_while(|(_, letter)| allowed(*letter)).last()?.0;
    let path = text[start..].trim_start_matches(['.', '?', ':']);
    let whole = !text[..start].ends_with([')', ']', '"', '`']) && !path.is_empty();
    whole.then_some(path)
}

pub(crate) fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// An error without its wrappers.
pub(crate) struct Unwrapped {
    pub(crate) error: EvalAltResult,
    pub(crate) file: String,
    pub(crate) called_from: Vec<(String, usize, String)>,
}

/// Takes the calls off an error that happened in `entry` of `file`.
pub(crate) fn unwrap(error: EvalAltResult, file: &str, entry: &str) -> Unwrapped {
    let mut current = error;
    let (mut file, mut function) = (file.to_owned(), entry.to_owned());
    let mut called_from = Vec::new();
    loop {
        match current {
            EvalAltResult::ErrorInFunctionCall(name, source, inner, position) => {
                // The call by the gateway has no position and is not the author's business.
                if let Some(line) = position.line() {
                    called_from.push((file.clone(), line, function));
                }
                function = if name.starts_with("anon$") { "a closure".to_owned() } else { name };
                if !source.is_empty() {
                    file = source;
                }
                current = *inner;
            }
            EvalAltResult::ErrorInModule(path, inner, position) => {
                if let Some(line) = position.line() {
                    called_from.push((file.clone(), line, "import".to_owned()));
                }
                if !path.is_empty() {
                    file = if path.ends_with(".rhai") { path } else { format!("{path}.rhai") };
                }
                current = *inner;
            }
            error => {
                called_from.reverse();
                return Unwrapped { error, file, called_from };
            }
        }
    }
}
