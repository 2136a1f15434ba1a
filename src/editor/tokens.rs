//! The words and signs of a script, however broken it is: while somebody types, there is nothing that parses.
//!
//! Rhai's own reader stops at the first mistake; this one never does.

use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or a keyword.
    Word,
    Number,
    /// A text with its quotes; of one with values in it, each piece of plain text.
    Text,
    Comment,
    /// `/// …` or `/** … */`.
    Doc,
    Sign,
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
}

impl Token {
    pub(super) fn text<'t>(&self, source: &'t str) -> &'t str {
        &source[self.span.clone()]
    }
}

/// Signs of more than one letter, longer ones first.
const SIGNS: [&str; 24] = [
    "..=", "<<=", ">>=", "**=", "::", "?.", "?[", "??", "==", "!=", "<=", ">=", "=>", "->", "&&", "||", "..", "#{",
    "+=", "-=", "*=", "/=", "%=", "**",
];

/// Everything but blanks.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    let mut reader = Reader { source, at: 0, braces: Vec::new(), tokens: Vec::new() };
    while reader.step() {}
    reader.tokens
}

struct Reader<'s> {
    source: &'s str,
    at: usize,
    /// For each text with a value that is open: how many braces are open in the value.
    braces: Vec<usize>,
    tokens: Vec<Token>,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.source[self.at..]
    }

    fn step(&mut self) -> bool {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return false };
        let (kind, length) = match first {
            _ if first.is_whitespace() => {
                self.at += first.len_utf8();
                return true;
            }
            '/' if rest.starts_with("//") => comment(rest, "///", line_length(rest)),
            '/' if rest.starts_with("/*") => comment(rest, "/**", rest.find("*/").map_or(rest.len(), |end| end + 2)),
            '"' => (Kind::Text, quoted(rest, '"')),
            '\'' => (Kind::Text, quoted(rest, '\'')),
            '`' => (Kind::Text, self.template(1)),
            '}' if self.braces.last() == Some(&0) => {
                self.braces.pop();
                (Kind::Text, self.template(1))
            }
            _ if first.is_ascii_digit() => (Kind::Number, number(rest)),
            _ if is_word(first) => (Kind::Word, rest.find(|letter| !is_word(letter)).unwrap_or(rest.len())),
            _ => (Kind::Sign, sign(rest, first)),
        };
        if kind == Kind::Sign {
            self.count(first, length);
        }
        self.tokens.push(Token { kind, span: self.at..self.at + length });
        self.at += length;
        true
    }

    fn count(&mut self, first: char, length: usize) {
        let opens = self.rest()[..length].ends_with('{');
        if let Some(open) = self.braces.last_mut() {
            if opens {
                *open += 1;
            } else if first == '}' {
                *open = open.saturating_sub(1);
            }
        }
    }

    /// The length of a piece of a text between backticks: up to its end or to the value in it.
    fn template(&mut self, from: usize) -> usize {
        let rest = self.rest();
        let inside = &rest[from..];
        let (end, value) = (inside.find('`'), inside.find("${"));
        match (end, value) {
            (end, Some(value)) if end.is_none_or(|end| value < end) => {
                self.braces.push(0);
                from + value + 2
            }
            (Some(end), _) => from + end + 1,
            (None, _) => rest.len(),
        }
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn line_length(rest: &str) -> usize {
    rest.find('\n').unwrap_or(rest.len())
}

fn comment(rest: &str, doc: &str, length: usize) -> (Kind, usize) {
    let more = rest.get(doc.len()..).and_then(|rest| rest.chars().next());
    let is_doc = rest.starts_with(doc) && !matches!((doc, more), ("///", Some('/')) | ("/**", Some('*' | '/')));
    (if is_doc { Kind::Doc } else { Kind::Comment }, length)
}

/// A text ends at its quote, or where its line does: a forgotten quote must not swallow the file.
fn quoted(rest: &str, quote: char) -> usize {
    let mut letters = rest.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => drop(letters.next()),
            '\n' => return at,
            _ if letter == quote => return at + letter.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

fn number(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut end = 0;
    while let Some(byte) = bytes.get(end) {
        let point = *byte == b'.' && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
        if !byte.is_ascii_alphanumeric() && *byte != b'_' && !point {
            break;
        }
        end += 1;
    }
    end
}

fn sign(rest: &str, first: char) -> usize {
    SIGNS.iter().find(|sign| rest.starts_with(**sign)).map_or(first.len_utf8(), |sign| sign.len())
}

/// The token of the sign that opens what the one at `close` closes.
pub(super) fn opener(tokens: &[Token], source: &str, close: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for index in (0..=close).rev().filter(|index| tokens[*index].kind == Kind::Sign) {
        match tokens[index].text(source) {
            ")" | "]" | "}" => depth += 1,
            "(" | "[" | "{" | "#{" | "?[" => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

/// The token of the sign that closes what the one at `open` opens.
pub(super) fn closer(tokens: &[Token], source: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open).filter(|(_, token)| token.kind == Kind::Sign) {
        match token.text(source) {
            "(" | "[" | "{" | "#{" | "?[" => depth += 1,
            ")" | "]" | "}" => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(source: &str) -> Vec<(Kind, &str)> {
        tokens(source).iter().map(|token| (token.kind, token.text(source))).collect()
    }

    #[test]
    fn values_in_texts_are_code() {
        let found = words("`a ${f(#{x: 1})} b` c");
        let texts: Vec<&str> = found.iter().filter(|(kind, _)| *kind == Kind::Text).map(|(_, text)| *text).collect();
        assert_eq!(texts, ["`a ${", "} b`"]);
        assert_eq!(found.last(), Some(&(Kind::Word, "c")));
    }

    #[test]
    fn a_forgotten_quote_ends_with_its_line() {
        assert_eq!(words("\"abc\nfn"), [(Kind::Text, "\"abc"), (Kind::Word, "fn")]);
        assert_eq!(words("/// doc\n//// not"), [(Kind::Doc, "/// doc"), (Kind::Comment, "//// not")]);
        assert_eq!(
            words("1..2 a?.b 1.5"),
            [
                (Kind::Number, "1"),
                (Kind::Sign, ".."),
                (Kind::Number, "2"),
                (Kind::Word, "a"),
                (Kind::Sign, "?."),
                (Kind::Word, "b"),
                (Kind::Number, "1.5")
            ]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_taken_apart_and_nothing_is_lost(source in "[a-z0-9_ .:?(){}\\[\\]\"'`$#\\\\/*\n|é😀]{0,80}") {
            let mut at = 0;
            for token in tokens(&source) {
                prop_assert!(source[at..token.span.start].chars().all(char::is_whitespace));
                prop_assert!(token.span.end > token.span.start);
                at = token.span.end;
            }
            prop_assert!(source[at..].chars().all(char::is_whitespace));
        }
    }
}
