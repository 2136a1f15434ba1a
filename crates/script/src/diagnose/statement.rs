//! "Expecting ';'": the words of other languages, misspelt keywords, and lines that lack their end.

use crate::diagnose::brackets::{Balance, balance};
use crate::diagnose::parse::{Said, Spot, dash_in_name, say, unclosed};
use hookgate_model::finding::nearest;

pub(crate) fn symbol_for(word: &str) -> Option<&'static str> {
    match word {
        "and" | "AND" => Some("&&"),
        "or" | "OR" => Some("||"),
        "is" => Some("=="),
        _ => None,
    }
}

const KEYWORDS: [&str; 19] = [
    "return", "let", "const", "if", "else", "for", "while", "loop", "switch", "throw", "import", "break", "continue",
    "private", "try", "catch", "export", "until", "do",
];

/// Words of other languages that begin a statement there.
fn keyword_for(word: &str) -> Option<&'static str> {
    Some(match word {
        "function" | "func" | "def" | "fun" | "proc" | "sub" | "fucntion" | "funtion" | "functon" | "fnc" => "fn",
        "elif" | "elsif" | "elseif" | "elsf" => "else if",
        "raise" => "throw",
        "foreach" => "for",
        "unless" => "if !",
        "final" | "val" | "mut" | "int" | "string" | "auto" => "let",
        "require" | "include" | "from" => "import \"lib/name\" as name;",
        "except" | "rescue" => "catch",
        _ => return None,
    })
}

pub(crate) fn missing_semicolon(spot: &Spot) -> Said {
    let (before, place) = spot.word_before();
    if let Some(word) = keyword_for(before) {
        return say(format!("`{before}` does not exist"), format!("write `{word}`")).at(place.0, place.1);
    }
    if matches!(balance(spot.source), Balance::Extra(_))
        && let Some(said) = unclosed(spot)
    {
        return said;
    }
    let rest = spot.around.after();
    if before == "finally" {
        let help = "write it after the `try` block: it runs there in any case";
        return say("`finally` does not exist", help).at(place.0, place.1);
    }
    if let Some(said) = foreign_value(spot) {
        return said;
    }
    let is_keyword = KEYWORDS.contains(&before) || before == "fn";
    let starts_value =
        rest.starts_with(|letter: char| letter.is_alphanumeric() || matches!(letter, '"' | '_' | '`' | '#'));
    if !is_keyword && starts_value && before.len() > 2 && begins_statement(spot, before) {
        let near = nearest(before, KEYWORDS.iter().copied().chain(["fn"]));
        if let Some(near) = near {
            return say(format!("unknown word `{before}`"), format!("did you mean `{near}`?")).at(place.0, place.1);
        }
        if rest.starts_with(char::is_alphabetic) {
            let help = "a comment begins with `//`, a text stands in quotes";
            return say(format!("`{before}` is no word of the language"), help).at(place.0, place.1);
        }
    }
    if spot.around.before().trim().is_empty()
        && let Some((line, column)) = end_of_code_before(spot)
    {
        return say("`;` is missing at the end of this line", "every statement but the last of a block ends with `;`")
            .at(line, column);
    }
    if let Some(rest) = rest.strip_prefix('=') {
        return match rest.starts_with('=') {
            true => say("`==` compares, it does not assign", "write `=`"),
            false => say("an assignment gives no value", "write it as a statement of its own"),
        };
    }
    match rest.chars().next() {
        Some(':') if before_is_map(spot) => say("a map begins with `#{`", "write `#{ name: value }`"),
        Some(':') => say("variables have no types", "write `let name = value;`"),
        Some(',') => say("only one value can be given here", "several commands are a list: `[a, b]`"),
        Some('-') if begins_with_let(spot) => dash_in_name(),
        Some('.') => say("`let` takes a plain name", "a property cannot be declared"),
        _ => say("`;` is missing before this", "every statement but the last of a block ends with `;`"),
    }
}

/// Values as other languages write them: `f"…"`, `x instanceof Y`, `typeof x`.
pub(crate) fn foreign_value(spot: &Spot) -> Option<Said> {
    let (before, place) = spot.word_before();
    let rest = spot.around.after();
    if matches!(before, "f" | "r" | "b" | "u")
        && rest.starts_with(['"', '\''])
        && spot.around.before().ends_with(before)
    {
        let said = say(
            format!("`{before}\"…\"` does not exist"),
            "a text with values is written in backticks: `` `hello ${name}` ``",
        );
        return Some(said.at(place.0, place.1));
    }
    match (before, spot.around.word()) {
        (_, "instanceof") => Some(say("`instanceof` does not exist", "write `type_of(value) == \"string\"`")),
        ("typeof", _) => Some(say("`typeof` does not exist", TYPE_OF).at(place.0, place.1)),
        _ => None,
    }
}

const TYPE_OF: &str = "write `type_of(value)`; whether something is set: `value != ()`";

/// Whether `word`, which ends before the spot, is the first of its statement.
fn begins_statement(spot: &Spot, word: &str) -> bool {
    let text = spot.around.before().trim_end();
    let text = text[..text.len() - word.len()].trim_end();
    text.is_empty() || text.ends_with([';', '{', '}'])
}

/// Whether the text before the spot is `let name` or `const name`.
fn begins_with_let(spot: &Spot) -> bool {
    let mut words = spot.around.before().split_whitespace().rev().skip(1);
    matches!(words.next(), Some("let" | "const"))
}

fn before_is_map(spot: &Spot) -> bool {
    let text = spot.around.before().trim_end().trim_end_matches('"');
    text.trim_end_matches(|letter: char| letter.is_alphanumeric() || letter == '_')
        .trim_end()
        .trim_end_matches('"')
        .trim_end()
        .ends_with('{')
}

/// The last letter of code before the spot's line; comments and empty lines are passed over.
pub(crate) fn end_of_code_before(spot: &Spot) -> Option<(usize, usize)> {
    let lines: Vec<&str> = spot.source.lines().take(spot.line.saturating_sub(1)).collect();
    for (index, text) in lines.iter().enumerate().rev() {
        let code = text.split(" //").next().unwrap_or(text).trim_end();
        if !code.is_empty() && !code.trim_start().starts_with("//") {
            return Some((index + 1, code.chars().count()));
        }
    }
    None
}
