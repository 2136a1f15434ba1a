//! What went wrong in a run, said so that the author knows what to write instead.

use rhai::{Dynamic, EvalAltResult, Map, ParseError, Position};

use crate::depth::MAX_LEVELS;
use crate::diagnose::parse::parse_error;
use crate::diagnose::place::{self, Around, is_word};
use crate::diagnose::unknown::{self, PARAMS_READ_ONLY, READ_ONLY, Said, not_set};
use crate::diagnose::{ErrorKind, Limit, ScriptError, described, type_word};
use crate::lint::did_you_mean;
use crate::lint::known::Known;
use hookgate_model::finding::{Finding, nearest};

/// The run that failed.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The script that was entered, as the sources call it.
    pub(crate) file: &'a str,
    pub(crate) entry: &'a str,
    /// Why the budget ended the run, if it did.
    pub(crate) stopped: Option<Limit>,
    /// Line and column to use where Rhai gives none, as for limits.
    pub(crate) last_seen: Option<(usize, usize)>,
}

/// Longest text taken over from a thrown value, in characters.
const MAX_THROWN: usize = 300;

/// Turns Rhai's error into ours. `sources` gives the text of a file by the name its AST carries.
#[expect(clippy::boxed_local, reason = "Rhai gives its errors in boxes")]
pub fn runtime<'s>(
    error: Box<EvalAltResult>,
    run: &Run,
    sources: &dyn Fn(&str) -> Option<&'s str>,
    known: &Known,
) -> ScriptError {
    let place::Unwrapped { error, file, called_from } = place::unwrap(*error, run.file, run.entry);
    let source = sources(&file).unwrap_or_default();
    let position = error.position();
    if let EvalAltResult::ErrorParsing(kind, position) = error {
        let mut finding = parse_error(&ParseError(Box::new(kind), position), &file, source);
        finding.called_from = called_from;
        return ScriptError { kind: ErrorKind::Failed, finding };
    }
    let (kind, code, (message, help)) = said(&error, run, source, known);
    let mut finding = Finding::error(code_of(code, &message), file, message);
    let seen = run.last_seen.map(|(line, column)| (line, column.max(1)));
    let place = position.line().map(|line| (line, position.position().unwrap_or(1).max(1))).or(seen);
    if let Some((line, column)) = place {
        finding = finding.at(source, line, column);
    }
    if is_about_a_value(&error) {
        underline_path(&mut finding, source);
    }
    finding.help = help;
    finding.called_from = called_from;
    ScriptError { kind, finding }
}

/// Errors for which Rhai gives the first dot of the value's path.
fn is_about_a_value(error: &EvalAltResult) -> bool {
    match error {
        EvalAltResult::ErrorFor(_) => true,
        EvalAltResult::ErrorMismatchDataType(wanted, ..) => type_word(wanted) == "bool",
        _ => false,
    }
}

fn underline_path(finding: &mut Finding, source: &str) {
    if let Some((path, before)) = Around::new(source, finding.line, finding.column).path() {
        finding.column -= before;
        finding.length = path.chars().count();
    }
}

/// Rhai has one error for unknown names, wrong arguments and absent values; the message tells them apart.
fn code_of(code: &'static str, message: &str) -> &'static str {
    let not_set = message.contains(" is not set");
    match code {
        "script/unknown-function" | "script/unknown-property" | "script/failed" if not_set => "script/not-set",
        "script/unknown-function" if message.contains(" is called with ") => "script/wrong-arity",
        "script/unknown-function" if message.contains(" does not work ") => "script/wrong-operand",
        "script/unknown-function" if !message.contains("unknown function") && !message.contains("has no method") => {
            "script/wrong-argument"
        }
        other => other,
    }
}

fn said(error: &EvalAltResult, run: &Run, source: &str, known: &Known) -> (ErrorKind, &'static str, Said) {
    if let Some(limit) = limit_of(error, run) {
        return (ErrorKind::Limit(limit), "script/limit", limit_reached(limit, error));
    }
    let around = Around::of(source, error.position());
    if let EvalAltResult::ErrorRuntime(value, _) = error {
        return if around.word() == "throw" {
            (ErrorKind::Thrown, "script/thrown", thrown(value))
        } else {
            // What happened nowhere in particular is no function's failure.
            let around = if error.position().is_none() { Around::nowhere() } else { around };
            (ErrorKind::Failed, "script/failed", native(value, &around))
        };
    }
    if let EvalAltResult::ErrorMismatchOutputType(..) = error {
        let message = format!("`{}` returned something that is no command", run.entry);
        let help = "return one command, an array of commands, or nothing".to_owned();
        return (ErrorKind::BadReturn, "script/bad-command", (message, Some(help)));
    }
    (ErrorKind::Failed, code(error), failed(error, &around, source, known))
}

fn code(error: &EvalAltResult) -> &'static str {
    match error {
        EvalAltResult::ErrorFunctionNotFound(..) => "script/unknown-function",
        EvalAltResult::ErrorDotExpr(..) | EvalAltResult::ErrorPropertyNotFound(..) => "script/unknown-property",
        EvalAltResult::ErrorVariableNotFound(..) => "script/unknown-variable",
        EvalAltResult::ErrorModuleNotFound(..) => "script/unknown-module",
        EvalAltResult::ErrorNonPureMethodCallOnConstant(..) => "script/read-only",
        EvalAltResult::ErrorAssignmentToConstant(..) => "script/constant-assigned",
        _ => "script/failed",
    }
}

fn limit_of(error: &EvalAltResult, run: &Run) -> Option<Limit> {
    match error {
        EvalAltResult::ErrorTerminated(..) => Some(run.stopped.unwrap_or(Limit::Deadline)),
        EvalAltResult::ErrorTooManyOperations(_) => Some(Limit::Operations),
        EvalAltResult::ErrorStackOverflow(_) => Some(Limit::Depth),
        EvalAltResult::ErrorDataTooLarge(..) | EvalAltResult::ErrorTooManyVariables(_) => Some(Limit::Size),
        _ => None,
    }
}

fn limit_reached(limit: Limit, error: &EvalAltResult) -> Said {
    let (message, help) = match limit {
        Limit::Operations => (
            "the script was stopped: too many operations",
            "is there a loop that never ends? The limit is `limits.operations`",
        ),
        Limit::Deadline => (
            "the script was stopped: its deadline has passed",
            "is there a slow lookup or a long loop? The limit is `limits.deadline_ms`",
        ),
        Limit::Memory => (
            "the script was stopped: too much memory",
            "does it collect too much in a loop? The limit is `limits.memory_bytes`",
        ),
        Limit::Levels => return too_deep(),
        Limit::Depth => (
            "functions call one another too deeply",
            "does a function call itself without end? The limit is `limits.call_depth`",
        ),
        Limit::Size => (
            "a value became too large",
            "the limits are `limits.max_string_bytes`, `.max_array_items` and `.max_map_items`",
        ),
    };
    let message = match error {
        EvalAltResult::ErrorTerminated(token, _) if token.is_string() => format!("{message} in {token}"),
        EvalAltResult::ErrorDataTooLarge(what, _) => return too_large(&what.to_lowercase()),
        _ => message.to_owned(),
    };
    (message, Some(help.to_owned()))
}

fn too_deep() -> Said {
    let message = format!("a value is too deep: it has more than {MAX_LEVELS} levels of arrays, maps and closures");
    (message, Some("functions take less deep values; is a list or map put into a new one again and again?".to_owned()))
}

fn too_large(what: &str) -> Said {
    let (message, limit) = match what {
        _ if what.contains("string") => ("a string became too long", "max_string_bytes"),
        _ if what.contains("array") => ("an array became too long", "max_array_items"),
        _ if what.contains("map") => ("a map became too large", "max_map_items"),
        _ => ("a value became too large", "max_string_bytes"),
    };
    let help = format!("does it grow in a loop? put large lists in a table; the limit is `limits.{limit}`");
    (message.to_owned(), Some(help))
}

fn thrown(value: &Dynamic) -> Said {
    let text = text_of(value);
    if text.is_empty() {
        let help = "say why: `throw \"no such partner\"`".to_owned();
        return ("the script threw an error without a text".to_owned(), Some(help));
    }
    (shortened(&text), None)
}

/// What an error says: itself, or its `message` if it is a map.
fn text_of(value: &Dynamic) -> String {
    let message = value.read_lock::<Map>().and_then(|map| map.get("message").cloned());
    let value = message.as_ref().unwrap_or(value);
    if value.is_unit() { String::new() } else { value.to_string() }
}

fn shortened(text: &str) -> String {
    let mut letters = text.chars();
    let short: String = letters.by_ref().take(MAX_THROWN).collect();
    if letters.next().is_some() { format!("{short}…") } else { short }
}

/// What one of the gateway's own functions says: the problem, and perhaps after a colon what to write.
fn native(value: &Dynamic, around: &Around) -> Said {
    let text = shortened(&text_of(value));
    let advice = [": did you mean ", ": write ", ": compare "].iter().filter_map(|mark| text.find(mark)).min();
    match advice {
        Some(index) => (named(text[..index].to_owned(), around), Some(text[index + 2..].to_owned())),
        None => (named(text, around), None),
    }
}

fn named(text: String, around: &Around) -> String {
    match around.word() {
        "" => text,
        name if text.contains(&format!("`{name}`")) => text,
        name => format!("`{name}` failed: {text}"),
    }
}

fn failed(error: &EvalAltResult, around: &Around, source: &str, known: &Known) -> Said {
    use EvalAltResult as E;
    match error {
        E::ErrorFunctionNotFound(signature, _) => unknown::function(signature, around, source, known),
        E::ErrorDotExpr(text, _) => unknown::property(text, around, known),
        E::ErrorPropertyNotFound(name, _) => {
            let map = around.receiver().map_or("the map".to_owned(), |path| format!("`{path}`"));
            (
                format!("{map} has no `{name}`"),
                Some("test first with `\"name\" in map`, or read it with `?.`".to_owned()),
            )
        }
        E::ErrorVariableNotFound(name, _) => unknown_variable(name, source, known),
        E::ErrorModuleNotFound(path, _) => module(path, around),
        E::ErrorMismatchDataType(wanted, given, _) => mismatch(type_word(wanted), type_word(given), around),
        E::ErrorIndexingType(text, _) => indexing(text, around),
        E::ErrorArrayBounds(count, index, _) => bounds("the array", "item", *count, *index),
        E::ErrorStringBounds(count, index, _) => bounds("the string", "character", *count, *index),
        E::ErrorArithmetic(text, _) => arithmetic(text),
        E::ErrorNonPureMethodCallOnConstant(name, _) => read_only(name, around),
        E::ErrorAssignmentToConstant(name, _) => {
            (format!("constant `{name}` cannot be changed"), Some("use a variable inside the function".to_owned()))
        }
        E::ErrorIndexNotFound(index, _) => (format!("there is nothing at `{index}`"), None),
        E::ErrorFor(_) => not_iterable(around),
        E::ErrorUnboundThis(_) => {
            ("`this` means nothing here".to_owned(), Some("use the parameter of the function".to_owned()))
        }
        E::ErrorDataRace(name, _) => {
            let what = if name.is_empty() { "a variable".to_owned() } else { format!("`{name}`") };
            (format!("{what} is changed while it is read"), Some("copy it into another variable first".to_owned()))
        }
        other => {
            let mut bare = other.to_string();
            bare.truncate(bare.find(" (line ").unwrap_or(bare.len()));
            (lower_first(&bare), None)
        }
    }
}

fn unknown_variable(name: &str, source: &str, known: &Known) -> Said {
    let words = source.split(|letter| !is_word(letter)).filter(|word| word.len() > 1 && *word != name);
    let near = nearest(name, words.chain(known.constants()));
    let help =
        did_you_mean(near).unwrap_or_else(|| "a function sees its parameters and the constants of its file".to_owned());
    (format!("unknown variable `{name}`"), Some(help))
}

fn module(path: &str, around: &Around) -> Said {
    if around.word() == path && around.after()[path.len()..].starts_with("::") {
        let help = format!("write `import \"lib/{path}\" as {path};` at the top");
        return (format!("nothing is imported as `{path}`"), Some(help));
    }
    let help = "imports name a file below the scripts directory, without `.rhai`: `import \"lib/domains\" as domains;`";
    (format!("there is no script `{path}` to import"), Some(help.to_owned()))
}

fn not_iterable(around: &Around) -> Said {
    match around.path() {
        Some((path, _)) => (
            format!("`for` cannot go through `{path}`"),
            Some(format!(
                "it needs an array: a map has `{path}.keys()`; what may be absent has a default (`{path} ?? []`)"
            )),
        ),
        None => {
            ("`for` cannot go through this value".to_owned(), Some("it needs an array, a range or a string".to_owned()))
        }
    }
}

/// A value that stands where `true` or `false` is needed.
fn no_condition(given: &str, around: &Around) -> Said {
    let path = around.path().map(|(path, _)| path);
    match (given, path) {
        ("nothing", Some(path)) => {
            (format!("`{path}` is not set, so it is no condition"), Some(format!("give a default: `{path} ?? false`")))
        }
        (_, Some(path)) => (
            format!("a condition must be `true` or `false`, `{path}` is {}", described(given)),
            Some(match given {
                "integer" | "float" => format!("compare it: `{path} > 0`"),
                _ => format!("compare it: `{path} != ()`"),
            }),
        ),
        (_, None) => {
            let help = "compare it: `if value != () { … }` or `if count > 0 { … }`".to_owned();
            (format!("a condition must be `true` or `false`, this is {}", described(given)), Some(help))
        }
    }
}

fn mismatch(wanted: &str, given: &str, around: &Around) -> Said {
    if given == "nothing" && wanted != "bool" {
        return not_set(around.indexed(), &format!("it is not {}", described(wanted)));
    }
    match wanted {
        "bool" => no_condition(given, around),
        "function" => (format!("only a function can be called, this is {}", described(given)), None),
        "" => (format!("{} cannot be used here", described(given)), None),
        "integer" if around.before().ends_with('[') => {
            let list =
                around.list().map_or("the items of this array".to_owned(), |path| format!("the items of `{path}`"));
            let help = "write `[0]` for the first; a value is looked for with `value in list`".to_owned();
            (format!("{list} have numbers, this is {}", described(given)), Some(help))
        }
        _ => (format!("this must be {}, it is {}", described(wanted), described(given)), None),
    }
}

fn indexing(text: &str, around: &Around) -> Said {
    let (owner, key) = text.split_once(" [").unwrap_or((text, ""));
    let (owner, key) = (type_word(owner), type_word(key.split(']').next().unwrap_or_default()));
    if owner == "nothing" {
        return not_set(around.indexed(), "it has no items");
    }
    let inside = around.after().strip_prefix("[\"").and_then(|rest| rest.split_once("\"]")).map(|(name, _)| name);
    let property = match (around.indexed(), inside) {
        (Some(path), Some(name)) => format!("{path}.{name}"),
        _ => "value.name".to_owned(),
    };
    let help = (key == "string").then(|| format!("read a property with a dot: `{property}`"));
    (format!("{} has no `[{key}]`", described(owner)), help)
}

fn bounds(what: &str, unit: &str, count: usize, index: i64) -> Said {
    let has = match count {
        0 => format!("{what} is empty"),
        1 => format!("{what} has 1 {unit}"),
        _ => format!("{what} has {count} {unit}s"),
    };
    (format!("there is no {unit} {index}: {has}"), Some("counting begins at 0; test `.len()` first".to_owned()))
}

fn arithmetic(text: &str) -> Said {
    if text.starts_with("Error parsing ") {
        // Rhai quotes the text, which came with the call as often as not: errors go to the log.
        return (
            "the text is not a number".to_owned(),
            Some("test it first: `matches(text, \"^[0-9]+$\")`".to_owned()),
        );
    }
    let detail = text.split_once(": ").map_or(String::new(), |(_, detail)| format!(": {detail}"));
    if text.contains("by zero") {
        return (format!("division by zero{detail}"), Some("test the divisor first".to_owned()));
    }
    if text.contains("overflow") {
        let help = "whole numbers go up to 9223372036854775807".to_owned();
        return (format!("the number is too large{detail}"), Some(help));
    }
    (lower_first(text), None)
}

fn read_only(name: &str, around: &Around) -> Said {
    let what = around.receiver().map_or("this value".to_owned(), |path| format!("`{path}`"));
    let what = match name.strip_prefix("set$") {
        Some(property) => format!("{what}.{property}").replace("`.", ".") + "`",
        None => what,
    };
    let help = if what.starts_with("`params") { PARAMS_READ_ONLY } else { READ_ONLY };
    (format!("{what} cannot be changed"), Some(help.to_owned()))
}

pub(crate) fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}

/// For findings that begin where Rhai says.
pub(crate) fn line_and_column(position: Position) -> Option<(usize, usize)> {
    Some((position.line()?, position.position().unwrap_or(1).max(1)))
}
