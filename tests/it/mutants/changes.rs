//! The places of a script that can be changed, one at a time, and what they are changed into.

use std::ops::Range;

/// One change of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    range: Range<usize>,
    /// What stands there; of a long list its beginning.
    pub from: String,
    pub to: String,
    /// The line that is changed, without its indentation.
    pub line: String,
}

impl Change {
    pub fn applied(&self, source: &str) -> String {
        let mut text = source.to_owned();
        text.replace_range(self.range.clone(), &self.to);
        text
    }
}

/// Every change of a script, in the order of its text.
pub fn changes(source: &str) -> Vec<Change> {
    let tokens = tokens(source);
    let mut changes = Vec::new();
    for (place, token) in tokens.iter().enumerate() {
        let mut add = |range: Range<usize>, to: &str| {
            let start = source[..range.start].rfind('\n').map_or(0, |at| at + 1);
            let line = source[start..].lines().next().unwrap_or_default().trim().to_owned();
            let from = source[range.clone()].lines().next().unwrap_or_default().to_owned();
            changes.push(Change { range, from, to: to.to_owned(), line });
        };
        for to in other_operators(token.text) {
            add(token.range(), to);
        }
        let before = |back: usize| place.checked_sub(back).map_or("", |place| tokens[place].text);
        match token.text {
            "return" | "!" => add(token.range(), ""),
            // `for x in list` and `x !in list` are no tests for membership, or are turned round by leaving out `!`.
            "in" if before(2) != "for" && before(1) != "!" => add(token.range(), "!in"),
            "[" if !is_value(before(1)) => emptied(&tokens[place..]).into_iter().for_each(|range| add(range, "[]")),
            "#{" => emptied(&tokens[place..]).into_iter().for_each(|range| add(range, "#{}")),
            _ => {}
        }
    }
    changes
}

fn other_operators(operator: &str) -> &'static [&'static str] {
    match operator {
        "==" => &["!="],
        "!=" => &["=="],
        "<" => &[">=", "<="],
        ">" => &["<=", ">="],
        "<=" => &[">", "<"],
        ">=" => &["<", ">"],
        "&&" => &["||"],
        "||" => &["&&"],
        _ => &[],
    }
}

/// Whether a `[` after this token is an index.
fn is_value(token: &str) -> bool {
    const KEYWORDS: [&str; 7] = ["return", "throw", "in", "if", "while", "switch", "else"];
    let word = token.starts_with(|first: char| first.is_alphanumeric() || "_\"'`)]}".contains(first));
    word && !KEYWORDS.contains(&token)
}

/// From the first token, an opening one, to the one that closes it; nothing if there is nothing between.
fn emptied(tokens: &[Token]) -> Option<Range<usize>> {
    let mut depth = 0_usize;
    for (place, token) in tokens.iter().enumerate() {
        match token.text {
            "[" | "?[" | "(" | "{" | "#{" => depth += 1,
            "]" | ")" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (place > 1).then(|| tokens[0].start..token.start + token.text.len());
        }
    }
    None
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token<'a> {
    start: usize,
    text: &'a str,
}

impl Token<'_> {
    fn range(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }
}

/// The words and signs of a script; a text is one token, what a template holds in `${…}` are tokens after it.
fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    code(source, 0, &mut tokens);
    tokens
}

/// Reads code until it ends, or until a `}` that nothing in it opened; gives the place behind.
fn code<'a>(source: &'a str, mut at: usize, tokens: &mut Vec<Token<'a>>) -> usize {
    const LONG: [&str; 17] =
        ["..=", "=>", "==", "!=", "<=", ">=", "&&", "||", "??", "?.", "?[", "..", "::", "#{", "+=", "-=", "**"];
    let mut open = 0_usize;
    while let Some(first) = source[at..].chars().next() {
        let rest = &source[at..];
        let length = match first {
            _ if rest.starts_with("//") => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            _ if rest.starts_with("/*") => {
                at += rest.find("*/").map_or(rest.len(), |end| end + 2);
                continue;
            }
            '"' | '\'' => quoted(rest, first),
            '`' => {
                let place = tokens.len();
                tokens.push(Token { start: at, text: "`" });
                let end = template(source, at + 1, tokens);
                tokens[place].text = &source[at..end];
                at = end;
                continue;
            }
            _ if first.is_alphanumeric() || first == '_' => {
                rest.find(|sign: char| !sign.is_alphanumeric() && sign != '_').unwrap_or(rest.len())
            }
            _ => LONG.iter().find(|long| rest.starts_with(**long)).map_or(first.len_utf8(), |long| long.len()),
        };
        let text = &rest[..length];
        match text {
            "{" | "#{" => open += 1,
            "}" if open == 0 => return at + 1,
            "}" => open -= 1,
            _ => {}
        }
        if !first.is_whitespace() {
            tokens.push(Token { start: at, text });
        }
        at += length;
    }
    at
}

/// Length of a text in quotes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, sign) in rest.char_indices().skip(1) {
        if sign == quote && !escaped {
            return at + 1;
        }
        escaped = sign == '\\' && !escaped;
    }
    rest.len()
}

/// Reads a template from behind its first quote; gives the place behind its last.
fn template<'a>(source: &'a str, mut at: usize, tokens: &mut Vec<Token<'a>>) -> usize {
    while at < source.len() {
        if source[at..].starts_with("${") {
            at = code(source, at + 2, tokens);
        } else {
            let sign = source[at..].chars().next().expect("there is more");
            at += sign.len_utf8();
            if sign == '`' {
                return at;
            }
        }
    }
    at
}

#[test]
fn changes_are_found_in_code_only() {
    let source = r#"// a == b
const WORDS = ["x == y", 'c']; /* != */
fn f(a) { if !(a[0] <= 1) || a in WORDS { return `${a == 1} == ${#{ b: 2 }}`; } for x in [] { g(x, [1])["k"]; } a?[1] }"#;
    let found: Vec<_> = changes(source).into_iter().map(|change| (change.from, change.to)).collect();
    let expected = [
        ("[\"x == y\", 'c']", "[]"),
        ("!", ""),
        ("<=", ">"),
        ("<=", "<"),
        ("||", "&&"),
        ("in", "!in"),
        ("return", ""),
        ("==", "!="),
        ("#{ b: 2 }", "#{}"),
        ("[1]", "[]"),
    ];
    assert_eq!(found, expected.map(|(from, to)| (from.to_owned(), to.to_owned())));
}
