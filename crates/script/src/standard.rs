//! Rhai's own functions with their documentation, as its packages carry it: for people who ask, not for the checks.

use std::sync::LazyLock;

use crate::engine;

/// One form of one of Rhai's own functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Builtin {
    pub name: String,
    /// What it is a method of, as signatures write it: `string`, `array`, `map`; of anything else nothing.
    pub receiver: Option<&'static str>,
    /// Names of the arguments that a script writes.
    pub parameters: Vec<String>,
    /// What it gives, as signatures write it; nothing where Rhai does not say.
    pub result: Option<&'static str>,
    pub about: String,
}

impl Builtin {
    /// `string.sub_string(start, len) -> string`
    pub fn signature(&self) -> String {
        let receiver = self.receiver.map(|receiver| format!("{receiver}.")).unwrap_or_default();
        let result = self.result.map(|result| format!(" -> {result}")).unwrap_or_default();
        format!("{receiver}{}({}){result}", self.name, self.parameters.join(", "))
    }
}

/// All of them, operators left out; each name with so many arguments once per receiver.
pub fn builtins() -> &'static [Builtin] {
    static BUILTINS: LazyLock<Vec<Builtin>> = LazyLock::new(collect);
    &BUILTINS
}

fn collect() -> Vec<Builtin> {
    let engine = engine::standard();
    let read = |info: rhai::FuncInfo| {
        let row = info.metadata;
        let is_name = row.name.starts_with(|first: char| first.is_ascii_alphabetic()) && !row.name.contains('$');
        let named = |parameter: &rhai::Identifier| parameter.split(':').next().unwrap_or("_").trim().to_owned();
        let typed = |parameter: &rhai::Identifier| parameter.split_once(':').and_then(|(_, shape)| word(shape));
        let receiver =
            row.params_info.first().and_then(typed).filter(|word| matches!(*word, "string" | "array" | "map"));
        let letters = row.params_info.iter().any(|parameter| parameter.ends_with("char"));
        let row = is_name.then(|| Builtin {
            name: row.name.to_string(),
            receiver,
            parameters: row.params_info.iter().skip(usize::from(receiver.is_some())).map(named).collect(),
            result: word(&row.return_type),
            about: about(&row.comments),
        })?;
        Some((letters, row))
    };
    let mut all: Vec<(bool, Builtin)> = engine.collect_fn_metadata(None, read, true);
    // Rhai keeps them in no order. Of two forms of one name, scripts seldom have the one for single letters in mind.
    all.sort_by(|(a_letters, a), (b_letters, b)| {
        (a_letters, a.signature(), &a.about).cmp(&(b_letters, b.signature(), &b.about))
    });
    let mut all: Vec<Builtin> = all.into_iter().map(|(_, row)| row).collect();
    all.sort_by(|a, b| (&a.name, a.receiver, a.parameters.len()).cmp(&(&b.name, b.receiver, b.parameters.len())));
    all.dedup_by(|a, b| (&a.name, a.receiver, a.parameters.len()) == (&b.name, b.receiver, b.parameters.len()));
    all
}

/// The word of our signatures for a type of Rhai's.
fn word(shape: &str) -> Option<&'static str> {
    let shape = shape.trim().trim_start_matches("&mut ").trim_start_matches('&');
    let shape = shape.strip_prefix("RhaiResultOf<").and_then(|inner| inner.strip_suffix('>')).unwrap_or(shape);
    match shape {
        "ImmutableString" | "str" | "String" | "string" => Some("string"),
        "Array" | "array" | "Vec<Dynamic>" => Some("array"),
        "Map" | "map" => Some("map"),
        "INT" | "i64" | "int" => Some("int"),
        "FLOAT" | "f64" | "float" => Some("float"),
        "bool" => Some("bool"),
        _ => None,
    }
}

fn about(comments: &[impl AsRef<str>]) -> String {
    let lines = comments.iter().flat_map(|comment| comment.as_ref().lines());
    let plain = lines.map(|line| {
        let line = line.trim_start().trim_start_matches("///");
        line.strip_prefix(' ').unwrap_or(line)
    });
    plain.collect::<Vec<_>>().join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_of_texts_are_known_with_their_documentation() {
        let found = builtins().iter().find(|row| row.name == "starts_with" && row.receiver == Some("string"));
        let found = found.expect("Rhai has it");
        assert_eq!(found.signature(), "string.starts_with(match_string) -> bool");
        assert!(found.about.contains("true"), "{}", found.about);
        assert!(builtins().iter().any(|row| row.name == "push" && row.receiver == Some("array")));
    }
}
