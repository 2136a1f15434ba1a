//! Reads an expression from its text.

use crate::password::Problem;
use crate::password::digest::Algorithm;
use crate::password::expression::{Expression, Writing};

/// Bytes of an expression.
const MAX_BYTES: usize = 512;
/// Calls in calls.
const MAX_DEPTH: usize = 8;
/// Words, texts and calls in all: what one round may cost is bounded by it.
const MAX_PARTS: usize = 32;

const FUNCTIONS: &str = "md5, sha1, sha256, sha384, sha512, each also with `_raw`; hmac_md5, hmac_sha1, hmac_sha256, hmac_sha384, \
                         hmac_sha512; hex, base64, lower, upper, utf16le";

/// Reads `md5(md5(password)+salt)`; `name` says in messages where it is from.
///
/// # Errors
/// What is wrong with it.
pub(in crate::password) fn read(text: &str, name: &str) -> Result<Expression, Problem> {
    let wrong = |text: String| Problem::malformed(format!("`{name}`: {text}"));
    if text.len() > MAX_BYTES {
        return Err(wrong(format!("it has {MAX_BYTES} bytes at most")));
    }
    let mut reader = Reader { rest: text, parts: 0 };
    let read = reader.sum(0).map_err(wrong)?;
    reader.skip();
    if reader.rest.is_empty() { Ok(read) } else { Err(wrong(format!("{:?} stands behind its end", reader.rest))) }
}

struct Reader<'a> {
    rest: &'a str,
    parts: usize,
}

impl<'a> Reader<'a> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Takes this letter, if it is next.
    fn takes(&mut self, letter: char) -> bool {
        self.skip();
        let found = self.rest.strip_prefix(letter);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn sum(&mut self, depth: usize) -> Result<Expression, String> {
        let mut pieces = vec![self.piece(depth)?];
        while self.takes('+') {
            pieces.push(self.piece(depth)?);
        }
        Ok(if pieces.len() == 1 { pieces.remove(0) } else { Expression::Join(pieces) })
    }

    fn piece(&mut self, depth: usize) -> Result<Expression, String> {
        self.parts += 1;
        if depth > MAX_DEPTH || self.parts > MAX_PARTS {
            return Err(format!("it has {MAX_PARTS} parts and {MAX_DEPTH} levels at most"));
        }
        self.skip();
        if let Some(quote) = self.rest.chars().next().filter(|letter| ['"', '\''].contains(letter)) {
            let (text, rest) = self.rest[1..].split_once(quote).ok_or("a text has no quote at its end")?;
            self.rest = rest;
            return Ok(Expression::Text(text.into()));
        }
        let word = self.word();
        if self.takes('(') {
            return self.call(word, depth + 1);
        }
        match word {
            "password" | "p" => Ok(Expression::Password),
            "salt" => Ok(Expression::Salt),
            "digest" => Ok(Expression::Previous),
            "" => Err("a word, a text in quotes or a function is missing".to_owned()),
            other => Err(format!("there is no word `{other}`; there are: password, salt, digest")),
        }
    }

    fn word(&mut self) -> &'a str {
        let end = self.rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        word
    }

    /// What is in the parentheses of a function.
    fn call(&mut self, name: &str, depth: usize) -> Result<Expression, String> {
        let first = self.sum(depth)?;
        let second = if self.takes(',') { Some(self.sum(depth)?) } else { None };
        if !self.takes(')') {
            return Err(format!("the parenthesis of `{name}(` is not closed"));
        }
        let hex = |digest: Expression| Expression::Written(Writing::Hex, Box::new(digest));
        let (plain, raw) = name.strip_suffix("_raw").map_or((name, false), |plain| (plain, true));
        let made = match (plain.strip_prefix("hmac_").and_then(Algorithm::named), Algorithm::named(plain), second) {
            (Some(algorithm), _, Some(text)) => Expression::Hmac(algorithm, Box::new([first, text])),
            (Some(_), _, None) => return Err(format!("`{name}` takes two values: the key, and what is hashed")),
            (None, _, Some(_)) => return Err(format!("`{name}` takes one value: join several with `+`")),
            (None, Some(algorithm), None) => Expression::Digest(algorithm, Box::new(first)),
            (None, None, None) => return written(name, first),
        };
        Ok(if raw { made } else { hex(made) })
    }
}

fn written(name: &str, inner: Expression) -> Result<Expression, String> {
    let writing = match name {
        "hex" => Writing::Hex,
        "base64" => Writing::Base64,
        "lower" => Writing::Lower,
        "upper" => Writing::Upper,
        "utf16le" => Writing::Utf16,
        _ => return Err(format!("there is no function `{name}`; there are: {FUNCTIONS}")),
    };
    Ok(Expression::Written(writing, Box::new(inner)))
}
