//! Words, operators and letters that Rhai reserves or does not know: what they mean elsewhere, and what to write here.

use crate::diagnose::parse::{Said, Spot, plain, say};
use crate::lint::foreign::{FOREIGN_OBJECTS, PATTERN, instead_of};

pub(crate) fn unknown_operator(operator: &str, spot: &Spot) -> Said {
    let begins_line = spot.around.before().trim().is_empty();
    match operator {
        "--" if begins_line => say("`--` begins no comment", "a comment begins with `//`"),
        "++" => say("`++` does not exist", "write `x += 1`"),
        "--" => say("`--` does not exist", "write `x -= 1`"),
        "?" => say("`condition ? a : b` does not exist", "write `if condition { a } else { b }`"),
        "#" => say("`#` means nothing here", "a comment begins with `//`, a map is `#{ … }`"),
        _ => plain(format!("`{operator}` is no operator")),
    }
}

pub(crate) fn reserved(word: &str, spot: &Spot) -> Said {
    let declares = ["let", "const", "fn"].contains(&spot.word_before().0);
    if declares && word.starts_with(char::is_alphabetic) {
        return say(format!("`{word}` is reserved and cannot be a name"), "choose another name");
    }
    match word {
        "null" | "nil" | "undefined" => say(format!("`{word}` does not exist"), "nothing is written `()`"),
        "var" => say("`var` does not exist", "write `let`"),
        "match" if spot.around.before().ends_with('.') => say("a text has no `.match`", PATTERN),
        "match" | "case" => say(format!("`{word}` does not exist"), "write `switch value { \"a\" => …, _ => … }`"),
        "new" => {
            let what = spot.around.after().split(|letter: char| !letter.is_alphanumeric()).nth(1).unwrap_or_default();
            let ours = match what {
                "Error" => Some("write `throw \"text\"`"),
                "Map" | "Set" | "Object" => Some("a map is written `#{ name: value }`, a list `[a, b]`"),
                _ => instead_of(&FOREIGN_OBJECTS, what),
            };
            say("`new` does not exist", ours.unwrap_or("call the function alone"))
        }
        "++" | "--" | "#" => unknown_operator(word, spot),
        "..." => say("`...` does not exist", "lists are joined with `+`: `[a] + rest`"),
        "print" | "debug" => {
            say(format!("`{word}` needs parentheses"), "to write to the decision's log use `log(text)`")
        }
        "eval" => say("`eval` is not available", "what a script does must be readable in its text"),
        "public" | "pub" => say(format!("`{word}` does not exist"), "functions are public unless they are `private`"),
        "use" | "module" | "package" | "include" => {
            say(format!("`{word}` does not exist"), "write `import \"lib/name\" as name;`")
        }
        "async" if declares_function(spot) => say("`async` does not exist", "write `fn` alone: lookups simply wait"),
        "async" | "await" | "spawn" | "go" | "thread" | "sync" | "yield" => {
            say(format!("`{word}` is reserved"), "lookups simply wait; choose another name if you meant a variable")
        }
        "goto" | "exit" => say(format!("`{word}` does not exist"), "leave a function with `return`"),
        _ => say(format!("`{word}` is reserved"), "it has no meaning in scripts; choose another name"),
    }
}

fn declares_function(spot: &Spot) -> bool {
    let rest = spot.around.after().split_whitespace().nth(1).unwrap_or_default();
    matches!(rest, "fn" | "function")
}

/// What editors for prose and web pages put into a text, and letters that no name has.
pub(crate) fn odd_letter(letter: char) -> Option<Said> {
    let code = u32::from(letter);
    match letter {
        _ if letter.is_ascii() => None,
        '\u{2013}' | '\u{2014}' | '\u{2212}' => Some(say(format!("`{letter}` is not a minus"), "write `-`")),
        _ if letter.is_whitespace() || matches!(letter, '\u{200b}' | '\u{feff}' | '\u{2060}') => Some(say(
            format!("this is not a plain space but U+{code:04X}, as web pages and chats have it"),
            "delete it and type a space",
        )),
        _ if letter.is_alphabetic() => {
            Some(say(format!("`{letter}` cannot be part of a name"), "names have the letters a to z, digits and `_`"))
        }
        _ => None,
    }
}
