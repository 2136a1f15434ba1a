//! Parse errors: Rhai stops at the first and names what it expected; this says what was probably meant.

use rhai::{LexError, ParseError, ParseErrorType};

use crate::diagnose::brackets::{Balance, Open, balance};
use crate::diagnose::place::Around;
use crate::diagnose::runtime::{line_and_column, lower_first};
use crate::diagnose::statement::{end_of_code_before, foreign_value, missing_semicolon, symbol_for};
use crate::diagnose::words::{odd_letter, reserved, unknown_operator};
use crate::engine;
use hookgate_model::finding::Finding;

/// What is wrong and what to write instead, perhaps at another place than Rhai gave.
pub(crate) struct Said {
    message: String,
    help: Option<String>,
    at: Option<(usize, usize)>,
}

pub(crate) fn say(message: impl Into<String>, help: impl Into<String>) -> Said {
    Said { message: message.into(), help: Some(help.into()), at: None }
}

pub(crate) fn plain(message: impl Into<String>) -> Said {
    Said { message: message.into(), help: None, at: None }
}

impl Said {
    pub(crate) fn at(self, line: usize, column: usize) -> Self {
        Self { at: Some((line, column)), ..self }
    }
}

/// The place in the text that Rhai complained about.
pub(crate) struct Spot<'s> {
    pub(crate) source: &'s str,
    pub(crate) line: usize,
    column: usize,
    pub(crate) around: Around<'s>,
}

impl<'s> Spot<'s> {
    /// A place `letters` before this one on the same line.
    pub(crate) fn back(&self, letters: usize) -> (usize, usize) {
        (self.line, self.column.saturating_sub(letters).max(1))
    }

    /// The place of the word that ends before this one.
    pub(crate) fn word_before(&self) -> (&'s str, (usize, usize)) {
        let word = self.around.word_before();
        let blanks = self.around.before().chars().rev().take_while(|letter| letter.is_whitespace()).count();
        (word, self.back(blanks + word.chars().count()))
    }
}

/// Says what is wrong with a script that does not parse.
pub fn parse_error(error: &ParseError, file: &str, source: &str) -> Finding {
    let (line, column) = line_and_column(error.position()).unwrap_or((1, 1));
    let spot = Spot { source, line, column, around: Around::new(source, line, column) };
    let said = said(error.err_type(), &spot);
    let code = match error.err_type() {
        ParseErrorType::FnDuplicatedDefinition(..) => "script/duplicate-function",
        ParseErrorType::AssignmentToConstant(name) if !name.is_empty() => "script/constant-assigned",
        ParseErrorType::VariableUndefined(_) => "script/unknown-variable",
        ParseErrorType::ModuleUndefined(_) => "script/unknown-module",
        ParseErrorType::ForbiddenVariable(_) => "script/too-large",
        ParseErrorType::BadInput(LexError::Runtime(why)) if why == engine::RESERVED => "script/reserved-name",
        ParseErrorType::BadInput(LexError::Runtime(_)) => "script/too-large",
        _ if is_eval(error.err_type()) => "script/eval",
        _ => "script/syntax",
    };
    let (line, column) = said.at.unwrap_or((line, column));
    let mut finding = Finding::error(code, file, said.message).at(source, line, column);
    finding.help = said.help;
    finding
}

/// Rhai takes a comment that is never closed for one that ends with the file, so that what it swallows is simply not there.
pub fn unclosed_comment(file: &str, source: &str) -> Option<Finding> {
    // Most scripts have no such comments, and need not be looked through.
    source.find("/*")?;
    let Balance::Unclosed(Open { what: '/', line, column }) = balance(source) else { return None };
    let finding = Finding::error("script/syntax", file, "this comment is never closed").at(source, line, column);
    Some(finding.help("add `*/` at its end"))
}

/// The sandbox has disabled the word; Rhai says so in words of its own.
fn is_eval(kind: &ParseErrorType) -> bool {
    matches!(kind, ParseErrorType::BadInput(LexError::ImproperSymbol(word, _)) if word == "eval")
}

fn said(kind: &ParseErrorType, spot: &Spot) -> Said {
    use ParseErrorType as P;
    match kind {
        _ if is_eval(kind) => plain("`eval` is not available: what a script does must be readable in its text"),
        P::BadInput(error) => bad_input(error, spot),
        P::UnexpectedEOF => unclosed(spot).unwrap_or_else(|| plain("the script ends too early")),
        P::MissingToken(token, why) => missing(token, why, spot),
        P::UnknownOperator(operator) => unknown_operator(operator, spot),
        P::Reserved(word) => reserved(word, spot),
        P::VariableExpected => name_expected(spot),
        P::MismatchedType(wanted, given) if wanted.contains("boolean") => no_condition(given, spot),
        P::MismatchedType(wanted, given) if wanted.contains("iterable") => {
            say(format!("`for` cannot go through {given}"), "numbers are counted with a range: `for i in 0..3 { … }`")
        }
        P::MismatchedType(wanted, given) => plain(format!("this must be {wanted}, it is {given}")),
        P::ExprExpected(what) if what.contains("literal") => no_case(spot),
        P::ExprExpected(what) => plain(format!("{what} is missing here").replace("a boolean is", "a condition is")),
        P::PropertyExpected => plain("the name of a property is missing after `.`"),
        P::DuplicatedProperty(name) => say(format!("the map has `{name}` twice"), "remove one of the two"),
        P::FnDuplicatedDefinition(..)
        | P::FnDuplicatedParam(..)
        | P::FnMissingName
        | P::FnMissingParams(_)
        | P::FnMissingBody(_)
        | P::WrongFnDefinition => definition(kind, spot),
        P::WrongDocComment => say("`///` describes functions only", "write `//` for any other comment"),
        P::WrongExport => plain("`export` may stand outside functions only"),
        P::AssignmentToConstant(name) if name.is_empty() => {
            say("a fixed value cannot be changed", "a comparison is written `==`")
        }
        P::AssignmentToConstant(name) => {
            say(format!("constant `{name}` cannot be changed"), "declare it with `let` to change it")
        }
        P::AssignmentToInvalidLHS(_) => {
            say("only variables and properties can be assigned to", "a comparison is written `==`")
        }
        P::VariableUndefined(name) => plain(format!("unknown variable `{name}`")),
        P::ModuleUndefined(name) => say(
            format!("nothing is imported as `{name}`"),
            format!("write `import \"lib/{name}\" as {name};` at the top"),
        ),
        P::ExprTooDeep => say("this expression is nested too deeply", "split it: give parts of it a name with `let`"),
        P::TooManyFunctions => say("the script has too many functions", "move some to a file under `lib/`"),
        P::LiteralTooLarge(what, most) => {
            say(format!("{} is over the limit of {most}", lower_first(what)), "keep large lists in a table")
        }
        P::ForbiddenVariable(_) => say(
            format!("more than {} variables can be used here", engine::MAX_VARIABLES),
            "split the function, or keep the values in an array or a table",
        ),
        P::LoopBreak => say("`break` and `continue` mean nothing outside a loop", "use `return` to leave a function"),
        P::WrongSwitchDefaultCase => say("`_` must be the last case", "move it to the end of the `switch`"),
        P::WrongSwitchIntegerCase => say("a single number cannot follow a range", "put the ranges last"),
        P::WrongSwitchCaseCondition => plain("this case cannot have a condition"),
        P::MalformedIndexExpr(_) => plain("this cannot stand between `[` and `]`"),
        other => plain(lower_first(&other.to_string())),
    }
}

/// What is wrong with `fn name(parameters) { … }`.
fn definition(kind: &ParseErrorType, spot: &Spot) -> Said {
    use ParseErrorType as P;
    match kind {
        P::FnDuplicatedDefinition(name, count) => say(
            format!("`{name}` with {count} parameter{} is defined twice", if *count == 1 { "" } else { "s" }),
            "remove one of the two, or give it another name",
        ),
        P::FnDuplicatedParam(_, name) => plain(format!("two parameters are called `{name}`")),
        P::FnMissingName => {
            say("the function has no name", "write `fn name(…) { … }`; a function without a name is `|x| x + 1`")
        }
        P::FnMissingParams(_) if spot.around.after().starts_with('-') => dash_in_name(),
        P::FnMissingParams(name) => {
            say(format!("`{name}` has no parameter list"), format!("write `fn {name}(…) {{ … }}`"))
        }
        P::FnMissingBody(name) => no_body(name, spot),
        P::WrongFnDefinition => say(
            "a function cannot be defined inside another",
            "move it to the top level, or write a closure: `let f = |x| x + 1;`",
        ),
        other => plain(lower_first(&other.to_string())),
    }
}

fn bad_input(error: &LexError, spot: &Spot) -> Said {
    match error {
        LexError::UnterminatedString => unterminated(spot),
        LexError::MalformedChar(text) if text.is_empty() => {
            say("a character is missing between the quotes", "an empty text is written `\"\"`")
        }
        LexError::MalformedChar(text) => say("text is written in double quotes", format!("write `\"{text}\"`")),
        LexError::ImproperSymbol(symbol, text) => improper(symbol, text, spot),
        LexError::UnexpectedInput(token) => unexpected(token, spot),
        LexError::MalformedEscapeSequence(text) => {
            let help = "a backslash in text is written `\\\\`; a pattern is easier in backticks";
            let (line, column) = spot.back(usize::from(spot.around.before().ends_with('\\')));
            say(format!("`{text}` is no escape sequence"), help).at(line, column)
        }
        LexError::MalformedNumber(text) => plain(format!("`{text}` is not a number")),
        LexError::Runtime(why) if why == engine::TOO_LARGE => say(
            format!("the file has more than {} words and signs (tokens)", engine::MAX_TOKENS),
            "split it into files that it imports, or keep large lists in a table",
        ),
        LexError::Runtime(why) if why == engine::TOO_MANY_NAMES => say(
            "the file uses too many different names",
            "split it into files that it imports, or keep large lists in a table",
        ),
        LexError::Runtime(why) if why == engine::RESERVED => say(
            format!("names that begin with `{}` are reserved for hookgate", engine::RESERVED_PREFIX),
            "give it another name",
        ),
        LexError::MalformedIdentifier(text) => plain(format!("`{text}` is not a name")),
        other => plain(lower_first(&other.to_string())),
    }
}

fn unterminated(spot: &Spot) -> Said {
    let rest = spot.around.after();
    // After a `${…}` Rhai gives the place where the text goes on.
    if !rest.starts_with(['"', '\'', '`'])
        && let Balance::Unclosed(Open { what: '`', line, column }) = balance(spot.source)
    {
        return say("this text has no closing backtick", "add a backtick at its end").at(line, column);
    }
    match rest.chars().next() {
        Some('\'') => say("text is written in double quotes, and this has no end", "write `\"…\"`"),
        Some('`') => {
            let before = spot.around.before();
            match before.rfind("${").filter(|index| !before[*index..].contains('}')) {
                Some(index) => {
                    let column = before[..index].chars().count() + 1;
                    say("`${` is never closed", "add `}` after the value").at(spot.line, column)
                }
                None => say("this text has no closing backtick", "add a backtick at its end"),
            }
        }
        _ => say(
            "this text has no closing quote",
            "add `\"` at its end; a text over several lines is written in backticks",
        ),
    }
}

fn improper(symbol: &str, text: &str, spot: &Spot) -> Said {
    match symbol {
        "=" => say("`=` assigns, it does not compare", "write `==`"),
        "===" => say("`===` does not exist", "write `==`"),
        "!==" => say("`!==` does not exist", "write `!=`"),
        ":=" => say("`:=` does not exist", "write `let name = …`"),
        "->" | "<-" | "=>" => say(
            format!("`{symbol}` means nothing here"),
            "a property is read with `.`; a small function is `|x| x + 1`",
        ),
        "this" => say("`this` means nothing here", "use the parameter of the function"),
        "eval" | "#" | "..." => reserved(symbol, spot),
        _ if text.is_empty() => plain(format!("`{symbol}` means nothing here")),
        _ => unclosed(spot).unwrap_or_else(|| plain(lower_first(text))),
    }
}

fn unexpected(token: &str, spot: &Spot) -> Said {
    let first = token.chars().next().unwrap_or(' ');
    if matches!(first, '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{2018}' | '\u{2019}' | '«' | '»') {
        return say(format!("`{first}` is not a quote that scripts know"), "write the straight quote `\"`");
    }
    if let Some(said) = odd_letter(first) {
        return said;
    }
    let before = spot.around.before().trim_end();
    if token == ">" && before.ends_with('<') {
        return say("`<>` does not exist", "write `!=`");
    }
    if token == "/" && before.ends_with(['(', ',', '=']) {
        return say("a pattern is written as a text", "put it into backticks instead of slashes");
    }
    if spot.around.after().starts_with("<!--") {
        return say("`<!--` begins no comment", "a comment begins with `//`");
    }
    let operator = before.ends_with(['+', '-', '*', '/', '%', '=', '<', '>', '&', '|', '!', ',', '?']);
    match token {
        "try" => say("`try` gives no value", "declare a variable before it and assign to it inside"),
        _ if operator => {
            say(format!("something is missing before `{token}`"), "the operator before it needs a value on its right")
        }
        ")" | "]" | "}" | ";" => {
            unclosed(spot).unwrap_or_else(|| plain(format!("something is missing before `{token}`")))
        }
        "else" => say("this `else` belongs to no `if`", "it follows the `}` of an `if`, without `;`"),
        _ => plain(format!("`{token}` cannot stand here")),
    }
}

/// The bracket or comment that is out of balance, if one is.
pub(crate) fn unclosed(spot: &Spot) -> Option<Said> {
    match balance(spot.source) {
        Balance::Even => None,
        Balance::Unclosed(Open { what: '/', line, column }) => {
            Some(say("this comment is never closed", "add `*/` at its end").at(line, column))
        }
        Balance::Unclosed(Open { what, line, column }) => {
            let closer = match what {
                '(' => ')',
                '[' => ']',
                '{' => '}',
                other => other,
            };
            Some(say(format!("this `{what}` is never closed"), format!("add `{closer}`")).at(line, column))
        }
        Balance::Extra(Open { what, line, column }) => {
            Some(say(format!("this `{what}` closes nothing"), "remove it, or add what should open it").at(line, column))
        }
    }
}

fn missing(token: &str, why: &str, spot: &Spot) -> Said {
    let here = spot.around.word();
    if let Some(symbol) = symbol_for(here) {
        return say(format!("`{here}` does not exist"), format!("write `{symbol}`"));
    }
    let (before, place) = spot.word_before();
    if before == "not" {
        return say("`not` does not exist", "write `!`").at(place.0, place.1);
    }
    if spot.around.after().starts_with("=>") {
        return say("`=>` makes no function", "a small function is written `|x| x + 1`");
    }
    match token {
        ")" if spot.around.after().starts_with(',') => {
            say("`,` cannot stand in these parentheses", "a list is written in brackets: `[a, b]`")
        }
        "]" if spot.around.after().starts_with(':') => say(
            "a part of a text or a list is not written with `:`",
            "write `.sub_string(start, length)` or `.extract(start, length)`",
        ),
        ")" | "]" | "}" => unclosed(spot).unwrap_or_else(|| plain(format!("`{token}` is missing here"))),
        ";" => missing_semicolon(spot),
        "{" => missing_brace(here, spot),
        "," if why.contains("parameters") && spot.around.after().starts_with(':') => {
            say("parameters have no types", "write only the name")
        }
        "," => missing_comma(spot),
        ":" if spot.around.after().starts_with('=') => {
            say("`=` assigns, it makes no entry of a map", "write `name: value`")
        }
        ":" => say("this key has no value", "write `#{ name: value }`"),
        "=>" => say("`=>` is missing after the value of this case", "write `\"a\" => …,`"),
        "catch" if matches!(here, "except" | "rescue" | "finally") => {
            say(format!("`{here}` does not exist"), "write `catch`")
        }
        "in" => say("`in` is missing", "a loop is written `for item in list { … }`"),
        "while" => say("`while` or `until` is missing after the block", "write `do { … } while condition`"),
        "fn" => say("only functions can be `private`", "constants are visible to the files that import this one"),
        "|" => plain("`|` is missing after the parameters of the closure"),
        _ => plain(format!("`{token}` is missing here")),
    }
}

fn missing_comma(spot: &Spot) -> Said {
    if let Some(said) = foreign_value(spot) {
        return said;
    }
    let (before, after) = (spot.around.before(), spot.around.after());
    if after.starts_with('{')
        && let Some(start) = before.rfind("function")
        && before[start + "function".len()..].trim_start().starts_with('(')
    {
        let column = before[..start].chars().count() + 1;
        return say("`function` makes no function here", "a small function is written `|x| x + 1`")
            .at(spot.line, column);
    }
    if spot.around.word() == "for" && before.contains('[') {
        return say("a list is not made by `for`", "write `list.map(|item| …)` or `list.filter(|item| …)`");
    }
    let trimmed = before.trim_end();
    if before.ends_with('"') && after.starts_with(char::is_alphanumeric) {
        let help = "a quote inside a text is written `\\\"`; or write the text in backticks";
        return say("this quote ends the text", help).at(spot.line, spot.back(1).1);
    }
    if spot.around.word() == "in" && before.contains("for (") {
        return say("a loop has no parentheses", "write `for i in 0..3 { … }`");
    }
    let said = say("`,` is missing before this", "the parts of a list, a map or a call are separated by `,`");
    if after.starts_with([';', ')', ']', '}', '{']) {
        return unclosed(spot).unwrap_or(said);
    }
    match end_of_code_before(spot).filter(|_| trimmed.is_empty()) {
        Some((line, column)) => {
            say("`,` is missing at the end of this line", "cases and entries are separated by `,`").at(line, column)
        }
        None => said,
    }
}

fn missing_brace(here: &str, spot: &Spot) -> Said {
    if let Some(said) = foreign_value(spot) {
        return said;
    }
    match here {
        "not" if spot.around.after()[3..].trim_start().starts_with("in") => {
            say("`not in` does not exist", "write `!in`: `if value !in list { … }`")
        }
        "" if spot.around.after().starts_with(':') => say("`:` begins no block", "write `if condition { … }`"),
        "" if spot.around.after().starts_with(';') => {
            say("`;` separates the condition from its block", "remove it: `if condition { … }`")
        }
        "then" | "do" => say(format!("`{here}` does not exist here"), "write `if condition { … }`"),
        "" if spot.around.after().starts_with('=') => say("`=` assigns, it does not compare", "write `==`"),
        _ => say("`{` is missing before this", "the body of `if`, `else`, `for` and `while` always stands in braces"),
    }
}

fn no_body(name: &str, spot: &Spot) -> Said {
    match spot.around.after() {
        rest if rest.starts_with("->") => {
            say("functions declare no result type", format!("write `fn {name}(…) {{ … }}`"))
        }
        _ => say(format!("the body of `{name}` is missing"), "it stands in braces: `{ … }`"),
    }
}

/// What stands where a condition belongs, as Rhai describes it.
fn no_condition(given: &str, spot: &Spot) -> Said {
    let before = spot.around.before().trim_end();
    if before.ends_with("||") {
        let help = "a default for what is not set is written with `??`: `value ?? \"somebody\"`";
        return say(format!("`||` works between `true` and `false`, this is {given}"), help);
    }
    let message = format!("a condition must be `true` or `false`, this is {given}");
    say(message, "compare it with something: `if count > 0 { … }`")
}

/// Something in a `switch` that is no case.
fn no_case(spot: &Spot) -> Said {
    match spot.around.word() {
        "case" => say("`case` does not exist", "a case is written `\"a\" => …,`"),
        "default" | "else" => say(format!("`{}` does not exist here", spot.around.word()), "write `_ => …`"),
        _ => say("a case is a plain text, number or range", "to compare with a variable use `if … else if …`"),
    }
}

pub(crate) fn dash_in_name() -> Said {
    say("`-` cannot be part of a name", "write `_` instead")
}

fn name_expected(spot: &Spot) -> Said {
    let word = spot.around.word();
    let before = spot.around.word_before();
    match (before, word) {
        ("export", "fn") => say("functions need no `export`", "every function that is not `private` can be imported"),
        _ if spot.around.before().ends_with("for (") || (before, word) == ("for", "") => {
            let goes_through = spot.around.after().split_whitespace().any(|word| matches!(word, "of" | "in"));
            match goes_through {
                true => say("a loop has no parentheses", "write `for item in list { … }`"),
                false => say("loops over numbers have another form", "write `for i in 0..3 { … }`"),
            }
        }
        (_, "") if spot.around.after().starts_with(['{', '[']) => {
            say("values cannot be taken apart here", "declare one variable for each part")
        }
        (_, "") if spot.around.after().starts_with('$') => say("`$` cannot be part of a name", "write the name alone"),
        (_, "") => plain(format!("a name is missing after `{before}`")),
        _ if word.starts_with(|first: char| first.is_ascii_digit()) => {
            say("a name cannot begin with a digit", "begin it with a letter or `_`")
        }
        _ => say(format!("`{word}` is a word of the language and cannot be a name"), "choose another name"),
    }
}
