//! Which bracket, comment or text is never closed. Rhai only says where the file ended.

use std::cmp::Ordering;

/// Something that opens and is not closed, at a line and column counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) what: char,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// The first unbalanced place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Balance {
    Even,
    /// `/` stands for a comment.
    Unclosed(Open),
    /// A closing bracket without an opening one.
    Extra(Open),
}

/// Scans brackets, leaving out texts and comments. Of braces the one that is out of line with the other is meant.
pub(crate) fn balance(source: &str) -> Balance {
    let mut crooked = None;
    match scan(source, &mut crooked) {
        Balance::Unclosed(Open { what: '{', .. }) if matches!(crooked, Some(Balance::Unclosed(_))) => crooked,
        Balance::Extra(Open { what: '}', .. }) if matches!(crooked, Some(Balance::Extra(_))) => crooked,
        straight => Some(straight),
    }
    .unwrap_or(Balance::Even)
}

/// The first pair of braces whose indentation says that they do not belong together.
fn crooked(lines: &[&str], open: Open, close: Open) -> Option<Balance> {
    let indentation = |at: Open| {
        let line = lines.get(at.line - 1).copied().unwrap_or_default();
        (line.len() - line.trim_start().len(), line.trim_start().starts_with('}'))
    };
    let ((opened, _), (closed, first)) = (indentation(open), indentation(close));
    match closed.cmp(&opened) {
        _ if !first || open.line == close.line => None,
        Ordering::Less => Some(Balance::Unclosed(open)),
        Ordering::Greater => Some(Balance::Extra(close)),
        Ordering::Equal => None,
    }
}

fn scan(source: &str, first_crooked: &mut Option<Balance>) -> Balance {
    let mut stack: Vec<Open> = Vec::new();
    let lines: Vec<&str> = source.lines().collect();
    let mut letters = Letters { rest: source.chars().collect(), next: 0, line: 1, column: 0 };
    while let Some(what) = letters.step() {
        let here = Open { what, line: letters.line, column: letters.column };
        match what {
            '/' if letters.peek() == Some('/') => letters.skip_line(),
            // A comment that ends is behind us after this guard.
            '/' if letters.peek() == Some('*') && !letters.skip_comment() => return Balance::Unclosed(here),
            // The parser has already complained about texts that do not end.
            '"' | '\'' => letters.skip_text(what),
            '`' => stack_backtick(&mut stack, here, &mut letters),
            '(' | '[' | '{' => stack.push(here),
            ')' | ']' | '}' => match stack.pop() {
                Some(open) if closer(open.what) == what => {
                    if what == '}' && first_crooked.is_none() {
                        *first_crooked = crooked(&lines, open, here);
                    }
                    if open.what == '{' && stack.last().is_some_and(|open| open.what == '`') {
                        letters.skip_template(&mut stack);
                    }
                }
                Some(open) if open.what == '`' => return Balance::Extra(here),
                Some(open) => return Balance::Unclosed(open),
                None => return Balance::Extra(here),
            },
            _ => {}
        }
    }
    stack.pop().map_or(Balance::Even, Balance::Unclosed)
}

fn stack_backtick(stack: &mut Vec<Open>, here: Open, letters: &mut Letters) {
    stack.push(here);
    letters.skip_template(stack);
}

fn closer(open: char) -> char {
    match open {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}

struct Letters {
    rest: Vec<char>,
    next: usize,
    line: usize,
    column: usize,
}

impl Letters {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.next).copied()
    }

    fn step(&mut self) -> Option<char> {
        if self.next > 0 && self.rest[self.next - 1] == '\n' {
            self.line += 1;
            self.column = 0;
        }
        let letter = self.peek()?;
        self.next += 1;
        self.column += 1;
        Some(letter)
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|letter| letter != '\n') {
            self.step();
        }
    }

    /// Rhai's comments nest. Whether it ended.
    fn skip_comment(&mut self) -> bool {
        let (mut depth, mut before) = (0, '/');
        while let Some(letter) = self.step() {
            match (before, letter) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    before = letter;
                    continue;
                }
            }
            if depth == 0 {
                return true;
            }
            before = ' ';
        }
        false
    }

    fn skip_text(&mut self, quote: char) {
        while let Some(letter) = self.step() {
            match letter {
                '\\' => {
                    self.step();
                }
                _ if letter == quote || letter == '\n' => return,
                _ => {}
            }
        }
    }

    /// Goes to the end of a text in backticks, or into its next `${`. The backtick is on top of the stack.
    fn skip_template(&mut self, stack: &mut Vec<Open>) {
        while let Some(letter) = self.step() {
            if letter == '`' {
                stack.pop();
                return;
            }
            if letter == '$' && self.peek() == Some('{') {
                self.step();
                stack.push(Open { what: '{', line: self.line, column: self.column });
                return;
            }
        }
    }
}
