//! A signature: how something is named and called, as its registration writes it. It is parsed here and nowhere else.

use std::fmt;

use crate::shape::{Shape, WrittenType};

/// What a registration says of a name: `deny(text: string [, reason: string]) -> command`, `Email.domain: string`, `Email`.
///
/// It prints as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The type before the dot.
    pub(crate) receiver: Option<&'static str>,
    pub(crate) name: &'static str,
    /// Nothing where there are no brackets: of a property, a constant, a type.
    params: Option<Vec<Param>>,
    /// What a call gives, or what a property or constant is.
    result: Option<WrittenType>,
}

/// One argument that a script writes. The receiver is not among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    pub name: &'static str,
    /// Whether it may be left out, and then all after it.
    pub optional: bool,
    pub takes: WrittenType,
}

impl Signature {
    /// # Errors
    /// The text is no signature, or is written another way than all are.
    pub fn parse(text: &'static str) -> Result<Self, String> {
        let (head, params, result) = pieces(text)?;
        let (receiver, name) = match head.split_once('.') {
            Some((receiver, name)) => (Some(receiver), name),
            None => (None, head),
        };
        let params = params.map(parse_params).transpose()?;
        let result = result.map(WrittenType::parse).transpose()?;
        let signature = Self { receiver, name, params, result };
        for word in receiver.into_iter().chain([name]).chain(signature.params().iter().map(|param| param.name)) {
            if !is_name(word) {
                return Err(format!("`{word}` is no name"));
            }
        }
        let written = signature.to_string();
        if written == text { Ok(signature) } else { Err(format!("it would be written `{written}`")) }
    }

    /// What stands in the brackets, in order.
    pub fn params(&self) -> &[Param] {
        self.params.as_deref().unwrap_or_default()
    }

    /// How many arguments must be there.
    pub fn required(&self) -> usize {
        self.params().iter().filter(|param| !param.optional).count()
    }

    pub(crate) fn is_called(&self) -> bool {
        self.params.is_some()
    }

    pub(crate) fn result(&self) -> Option<&WrittenType> {
        self.result.as_ref()
    }

    /// The shape of what a call gives, or of a property or constant.
    pub fn result_shape(&self) -> Shape<'static> {
        self.result.as_ref().map_or(Shape::Unknown, WrittenType::shape)
    }

    /// Whether a call may have that many arguments.
    pub(crate) fn takes(&self, arity: usize) -> bool {
        (self.required()..=self.params().len()).contains(&arity)
    }

    /// Whether a call with `arity` written arguments, `method`-style or not, can mean this.
    pub(crate) fn fits(&self, arity: usize, method: bool) -> bool {
        match (self.receiver.is_some(), method) {
            (true, true) | (false, false) => self.takes(arity),
            (true, false) => arity > 0 && self.takes(arity - 1),
            (false, true) => self.takes(arity + 1),
        }
    }

    /// Whether a value that is surely of this shape can stand for the argument at `index`.
    pub(crate) fn accepts(&self, index: usize, given: Shape) -> bool {
        self.params().get(index).is_none_or(|param| param.takes.accepts(given))
    }

    /// Without its result: `Email.domain_in(list: array)`.
    pub(crate) fn call(&self) -> String {
        let receiver = self.receiver.map(|receiver| format!("{receiver}.")).unwrap_or_default();
        format!("{receiver}{}{}", self.name, self.brackets())
    }

    /// Without its receiver: `domain_in(list: array) -> bool`.
    pub fn without_receiver(&self) -> String {
        Self { receiver: None, ..self.clone() }.to_string()
    }

    /// The arguments as they are written: `(text: string [, reason: string])`; nothing where there are no brackets.
    pub(crate) fn brackets(&self) -> String {
        let Some(params) = &self.params else { return String::new() };
        let mut text = "(".to_owned();
        for (index, param) in params.iter().enumerate() {
            text.push_str(match (param.optional, index) {
                (true, 0) => "[",
                (true, _) => " [, ",
                (false, 0) => "",
                (false, _) => ", ",
            });
            text.push_str(&format!("{}: {}", param.name, param.takes.text()));
        }
        text.push_str(&"]".repeat(params.len() - self.required()));
        text + ")"
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.call())?;
        let Some(result) = &self.result else { return Ok(()) };
        let sign = if self.is_called() { " ->" } else { ":" };
        write!(out, "{sign} {}", result.text())
    }
}

/// The name with its receiver, what is in the brackets, and the result.
type Pieces = (&'static str, Option<&'static str>, Option<&'static str>);

fn pieces(text: &'static str) -> Result<Pieces, String> {
    let Some(end) = text.find(['(', ':']) else { return Ok((text, None, None)) };
    let (head, rest) = (&text[..end], &text[end + 1..]);
    if text[end..].starts_with(':') {
        return Ok((head, None, Some(rest.trim())));
    }
    let (params, rest) = bracketed(rest).ok_or_else(|| "its bracket is never closed".to_owned())?;
    let result = rest.split_once("->").map(|(_, result)| result.trim());
    Ok((head, Some(params), result))
}

/// What stands before the `)` that closes the text, and what after it.
fn bracketed(text: &'static str) -> Option<(&'static str, &'static str)> {
    let mut depth = 0_usize;
    for (index, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' if depth == 0 => return Some((&text[..index], &text[index + 1..])),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn parse_params(text: &'static str) -> Result<Vec<Param>, String> {
    let text = text.trim_end_matches(']');
    let (text, mut optional) = text.strip_prefix('[').map_or((text, false), |text| (text, true));
    let mut params = Vec::new();
    for piece in text.split(',').filter(|_| !text.is_empty()) {
        let (piece, next) = piece.strip_suffix(" [").map_or((piece, optional), |piece| (piece, true));
        let (name, takes) = piece.split_once(':').ok_or_else(|| format!("`{piece}` has no type"))?;
        params.push(Param { name: name.trim(), optional, takes: WrittenType::parse(takes.trim())? });
        optional = next;
    }
    Ok(params)
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic())
        && text.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> Signature {
        Signature::parse(text).unwrap_or_else(|problem| panic!("{text}: {problem}"))
    }

    fn params(text: &'static str) -> Vec<(&'static str, &'static str, bool)> {
        read(text).params().iter().map(|param| (param.name, param.takes.text(), param.optional)).collect()
    }

    #[test]
    fn a_signature_gives_receiver_name_and_result() {
        let parts = |text| {
            let signature = read(text);
            (signature.receiver, signature.name, signature.result.as_ref().map(WrittenType::text))
        };
        assert_eq!(parts("Email.domain_in(list: array) -> bool"), (Some("Email"), "domain_in", Some("bool")));
        assert_eq!(parts("Email.domain: string"), (Some("Email"), "domain", Some("string")));
        assert_eq!(parts("params: Params"), (None, "params", Some("Params")));
        assert_eq!(parts("log(text: string)"), (None, "log", None));
        assert_eq!(parts("Email"), (None, "Email", None));
        assert_eq!(parts("explode() -> ()"), (None, "explode", Some("()")));
    }

    #[test]
    fn what_may_be_left_out_is_told() {
        assert_eq!(
            params("deny_field(attribute: string, text: string [, reason: string]) -> command"),
            [("attribute", "string", false), ("text", "string", false), ("reason", "string", true)]
        );
        assert_eq!(
            params("run([body: map or Body [, overrides: map]]) -> Outcome"),
            [("body", "map or Body", true), ("overrides", "map", true)]
        );
        assert_eq!(params("get(key: map or (), other: any)"), [("key", "map or ()", false), ("other", "any", false)]);
        assert!(params("allow() -> command").is_empty());
        let run = read("run([body: map [, overrides: map]]) -> Outcome");
        assert_eq!((0..4).map(|arity| run.takes(arity)).collect::<Vec<_>>(), [true, true, true, false]);
        let delete = read("delete(connector: string, path: string [, body: any]) -> Action");
        assert_eq!((1..5).map(|arity| delete.takes(arity)).collect::<Vec<_>>(), [false, true, true, false]);
        assert!(delete.fits(1, true) && !delete.fits(0, true));
    }

    #[test]
    fn parts_of_a_signature_print_as_they_were_written() {
        let method = read("Table.get(key: string or int [, column: string]) -> map or ()");
        assert_eq!(method.call(), "Table.get(key: string or int [, column: string])");
        assert_eq!(method.without_receiver(), "get(key: string or int [, column: string]) -> map or ()");
        assert_eq!(read("Email.domain: string").without_receiver(), "domain: string");
        assert_eq!(read("Email.domain: string").call(), "Email.domain");
    }

    #[test]
    fn what_is_written_another_way_is_no_signature() {
        for wrong in [
            "deny(text: string",
            "deny(text)",
            "deny(text: strng)",
            "deny(text: string,reason: string)",
            "deny([text: string], reason: string)",
            "deny(text: string [, reason: string)",
            "deny(text: string) ->",
            "deny(text: string) command",
            "deny(text : string)",
            "Email.domain:string",
            "Profile.*: string",
            "a.b.c: string",
            "",
        ] {
            assert!(Signature::parse(wrong).is_err(), "{wrong}");
        }
    }
}
