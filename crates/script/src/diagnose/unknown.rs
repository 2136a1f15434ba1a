//! "Function not found" and "unknown property": Rhai has one text for a wrong name, wrong arguments and a missing value.

use crate::diagnose::place::Around;
use crate::diagnose::{described, type_word};
use crate::lint::calls::alternatives;
use crate::lint::foreign::{FOREIGN_CALLS, instead_of};
use crate::lint::known::{Known, listed};
use crate::lint::{arguments, did_you_mean};
use hookgate_model::finding::nearest;

/// Message and remedy.
pub(crate) type Said = (String, Option<String>);

/// A value that is `()` was used as if it were there.
pub(crate) fn not_set(path: Option<&str>, what: &str) -> Said {
    let subject = path.map_or("the value before it".to_owned(), |path| format!("`{path}`"));
    let help = path.map_or("test it first, or use `?.`".to_owned(), |path| {
        format!("test it first (`if {path} != () {{ … }}`) or use `?.`, which gives `()`")
    });
    (format!("{subject} is not set, so {what}"), Some(help))
}

/// `signature` is Rhai's `name (type, type)`.
pub(crate) fn function(signature: &str, around: &Around, source: &str, known: &Known) -> Said {
    let (name, types) = signature.split_once(" (").unwrap_or((signature, ")"));
    let types = types.strip_suffix(')').unwrap_or(types);
    let types: Vec<&str> = if types.is_empty() { Vec::new() } else { types.split(", ").map(type_word).collect() };
    if !name.starts_with(|first: char| first.is_alphabetic() || first == '_') {
        return operator(name, &types, around, known);
    }
    if name.starts_with("anon$") {
        let help = "a closure takes as many as it has names between its `|`".to_owned();
        return (format!("this closure is called with {}", arguments(types.len())), Some(help));
    }
    if name == "contains" && matches!(around.word(), "in") {
        return looked_into(types.first().copied().unwrap_or("anything"), around);
    }
    let method = around.before().trim_end().ends_with('.');
    if method && types.first() == Some(&"nothing") {
        return not_set(around.receiver(), &format!("`.{name}(…)` cannot be called on it"));
    }
    let given = &types[usize::from(method && !types.is_empty())..];
    table_function(name, given, &types, method, known)
        .or_else(|| own_function(name, given.len(), source))
        .or_else(|| standard_function(name, given, &types, method, known))
        .unwrap_or_else(|| unknown_function(name, &types, method, source, known))
}

/// `value in right`
fn looked_into(right: &str, around: &Around) -> Said {
    let path = around.path_after().map(|path| format!("`{path}`"));
    match (right, path) {
        ("nothing", Some(path)) => {
            let help = format!("give a default: `{} ?? []`", path.trim_matches('`'));
            (format!("{path} is not set, so `in` cannot look into it"), Some(help))
        }
        _ => (
            format!("`in` cannot look into {}", described(right)),
            Some("put an array, a map, a string or a range on its right".to_owned()),
        ),
    }
}

/// Says which argument is absent, if that is what is wrong.
fn absent_argument(given: &[&str]) -> Option<String> {
    let number = given.iter().position(|word| *word == "nothing")? + 1;
    let which = if given.len() == 1 { "the argument".to_owned() } else { format!("argument {number}") };
    Some(format!("{which} is not set: give a default with `??`"))
}

fn table_function(name: &str, given: &[&str], types: &[&str], method: bool, known: &Known) -> Option<Said> {
    let receiver = types.first().copied().filter(|receiver| method && known.describes(receiver));
    let fits_receiver = |wanted: Option<&str>| receiver.is_none() || wanted.is_none() || wanted == receiver;
    let forms: Vec<_> = known.forms(name).iter().filter(|form| fits_receiver(form.receiver())).collect();
    let signatures: Vec<String> = forms.iter().map(|form| form.signature.call()).collect();
    if forms.is_empty() {
        return None;
    }
    let help = Some(format!("it is {}", alternatives(&signatures)));
    if !forms.iter().any(|form| form.signature.fits(given.len(), method)) {
        return Some((format!("`{name}` is called with {}", arguments(given.len())), help));
    }
    if method && forms.iter().all(|form| form.receiver().is_some_and(|wanted| Some(&wanted) != types.first())) {
        let receiver = described(types.first().copied().unwrap_or("anything"));
        return Some((format!("`{name}` cannot be called on {receiver}"), help));
    }
    if let [form] = forms.as_slice() {
        let message = format!("`{name}` takes {}, you gave ({})", form.signature.brackets(), given.join(", "));
        return Some((message, absent_argument(given)));
    }
    let help = absent_argument(given).or(help);
    Some((format!("`{name}` does not take ({})", given.join(", ")), help))
}

/// A function of the same file, called with another number of arguments.
fn own_function(name: &str, arity: usize, source: &str) -> Option<Said> {
    let own: Vec<String> =
        own_functions(source).filter(|(own, _)| *own == name).map(|(own, rest)| format!("{own}({rest})")).collect();
    if own.is_empty() {
        return None;
    }
    Some((format!("`{name}` is called with {}", arguments(arity)), Some(format!("it is {}", alternatives(&own)))))
}

/// The functions that a text defines: name and parameters.
fn own_functions(source: &str) -> impl Iterator<Item = (&str, &str)> {
    let heads = source.lines().filter_map(|line| {
        let line = line.trim_start();
        line.strip_prefix("private ").unwrap_or(line).trim_start().strip_prefix("fn ")
    });
    heads.filter_map(|head| {
        let (name, rest) = head.split_once('(')?;
        Some((name.trim(), rest.split(')').next().unwrap_or_default().trim()))
    })
}

fn standard_function(name: &str, given: &[&str], types: &[&str], method: bool, known: &Known) -> Option<Said> {
    let arities = known.standard().arities(name)?;
    let receiver = usize::from(method);
    if !arities.contains(&types.len()) {
        let counts: Vec<String> =
            arities.iter().filter_map(|arity| arity.checked_sub(receiver)).map(|count| count.to_string()).collect();
        let help = format!("it takes {}{}", counts.join(" or "), if method { " here" } else { "" });
        return Some((format!("`{name}` is called with {}", arguments(given.len())), Some(help)));
    }
    if let Some(receiver) = types.first().filter(|_| method) {
        let text = known.property(receiver, "text").map(|_| format!("for its text write `.text.{name}(…)`"));
        let with = if given.is_empty() { String::new() } else { format!(" with ({})", given.join(", ")) };
        return Some((format!("`.{name}(…)` cannot be called on {}{with}", described(receiver)), text));
    }
    Some((format!("`{name}` does not take ({})", given.join(", ")), None))
}

fn unknown_function(name: &str, types: &[&str], method: bool, source: &str, known: &Known) -> Said {
    if let Some(receiver) = types.first().filter(|receiver| method && known.describes(receiver)) {
        return unknown_method(name, receiver, known);
    }
    if let Some(hook) = known.hook_of(name) {
        return foreign_command(name, hook, known);
    }
    let translated = known.translated(name).map(|ours| format!("did you mean `{ours}`?"));
    let translated = translated.or_else(|| instead_of(&FOREIGN_CALLS, name).map(str::to_owned));
    let help = translated.or_else(|| {
        let own = own_functions(source).map(|(own, _)| own);
        did_you_mean(nearest(name, own.chain(known.callable_names())))
    });
    (format!("unknown function `{name}`"), help)
}

fn unknown_method(name: &str, receiver: &str, known: &Known) -> Said {
    let message = format!("{} has no method `{name}`", described(receiver));
    if known.property(receiver, name).is_some() {
        return (message, Some(format!("it is a property: write `.{name}` without parentheses")));
    }
    if let Some(owner) = known.owner_of_method(name).filter(|_| !known.standard().has_method(name)) {
        return (message, Some(format!("it is {owner}")));
    }
    let methods = known.methods_of(receiver);
    let properties = || known.properties_of(receiver).iter().map(|row| row.name());
    let names = || methods.iter().copied().chain(properties());
    let help = did_you_mean(nearest(name, names())).unwrap_or_else(|| format!("it has {}", listed(names())));
    (message, Some(help))
}

/// An operator with a side that is `()`: says which, if it has a name.
fn absent_side(name: &str, types: &[&str], around: &Around) -> Option<Said> {
    let path = match types {
        ["nothing"] | [_, "nothing"] => around.path_after(),
        ["nothing", _] => around.path_before(),
        _ => None,
    }?;
    let default = match types {
        ["nothing"] => "false",
        _ if types.contains(&"string") => "\"\"",
        _ => "0",
    };
    let help = format!("give a default: `({path} ?? {default})`");
    Some((format!("`{path}` is not set, so `{name}` does not work on it"), Some(help)))
}

fn operator(name: &str, types: &[&str], around: &Around, known: &Known) -> Said {
    if let Some(said) = absent_side(name, types, around) {
        return said;
    }
    let message = match types {
        [one] => format!("`{name}` does not work on {}", described(one)),
        [left, right] => format!("`{name}` does not work between {} and {}", described(left), described(right)),
        _ => format!("`{name}` does not work on these values"),
    };
    let help = if types.contains(&"nothing") {
        Some("one side is not set: give a default with `??`".to_owned())
    } else if types.contains(&"string") && types.iter().any(|word| matches!(*word, "integer" | "float")) {
        Some("convert first: `parse_int(text)` or `number.to_string()`".to_owned())
    } else if types.contains(&"range") {
        Some("a range stands alone, without brackets: `for i in 0..3 { … }`".to_owned())
    } else if let Some(word) = types.iter().find(|word| known.property(word, "text").is_some()) {
        Some(format!("the text of the {word} is `.text`"))
    } else if name == "!" {
        Some("`!` needs `true` or `false`: compare first".to_owned())
    } else if types == ["string"] && around.before().trim_end().ends_with('=') {
        Some(format!("to append write `{name}=`"))
    } else {
        None
    };
    (message, help)
}

/// `text` is Rhai's sentence about a property that cannot be read or written.
pub(crate) fn property(text: &str, around: &Around, known: &Known) -> Said {
    let mut quoted = text.split('\'').skip(1).step_by(2);
    let (Some(name), Some(receiver)) = (quoted.next(), quoted.next()) else { return (text.to_lowercase(), None) };
    let word = type_word(receiver);
    let path = around.receiver();
    if word == "nothing" {
        return not_set(path, &format!("it has no `{name}`"));
    }
    let owner = path.map_or(described(word), |path| format!("`{path}`"));
    if text.starts_with("No writable") && (known.describes(word) || known.property(word, name).is_some()) {
        return (
            format!("{} cannot be changed", path.map_or(described(word), |path| format!("`{path}.{name}`"))),
            Some(READ_ONLY.to_owned()),
        );
    }
    let names = || known.properties_of(word).iter().map(|row| row.name());
    if names().next().is_none() {
        let callable = known.standard().has_method(name);
        let help = callable.then(|| format!("it is a method: write `.{name}{}`", known.standard().brackets(name)));
        let plain = matches!(word, "string" | "array" | "integer" | "float" | "bool");
        let help =
            help.or_else(|| plain.then(|| format!("{} has methods only, such as `.to_string()`", described(word))));
        let kind = path.map_or(String::new(), |_| format!(" ({})", described(word)));
        return (format!("{owner}{kind} has no property `{name}`"), help);
    }
    let help = match nearest(name, names()) {
        _ if known.methods_of(word).contains(name) => format!("it is a method: write `.{name}(…)`"),
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it has {}", listed(names())),
    };
    (format!("{owner} has no property `{name}`"), Some(help))
}

/// A command that only another hook has.
pub(crate) fn foreign_command(name: &str, hook: &str, known: &Known) -> Said {
    (format!("`{name}` is a command of `{hook}`, not of this hook"), Some(known.commands_listed()))
}

pub(crate) const PARAMS_READ_ONLY: &str =
    "parameters are set in `gateway.toml`; to change one for this call, change a copy (`let copy = …;`)";

pub(crate) const READ_ONLY: &str =
    "a request is read-only: return a command instead, or change a copy (`let copy = …;`)";
