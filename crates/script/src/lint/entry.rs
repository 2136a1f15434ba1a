//! The entry function: there is exactly one, it has the hook's name, and it takes the request.

use rhai::Position;

use crate::lint::source::Function;
use crate::lint::{Entrypoint, Report};
use hookgate_model::finding::nearest;

/// Whether the script is for another hook: then nothing else in it is worth a word.
pub(crate) fn check(entry: &Entrypoint, functions: &[Function], report: &mut Report) -> bool {
    let own: Vec<&Function> = functions.iter().filter(|function| function.name == entry.name).collect();
    let foreign =
        functions.iter().find(|function| function.name != entry.name && entry.all.contains_key(&function.name));
    match (own.as_slice(), foreign) {
        ([], foreign) => missing(entry, functions, foreign, report),
        (_, Some(foreign)) => report.error(
            "script/two-entry-functions",
            foreign.position,
            format!(
                "`{}` is the entry function of `{}`; this script already has `{}`",
                foreign.name, entry.all[&foreign.name], entry.name
            ),
            "one script serves one hook: move it to a file of its own".to_owned(),
        ),
        ([first], None) => arity(first, report),
        ([_, second, ..], None) => report.error(
            "script/two-entry-functions",
            second.position,
            format!("`{}` is defined twice with different parameters", entry.name),
            "keep the one with one parameter".to_owned(),
        ),
    }
    own.is_empty() && foreign.is_some()
}

fn arity(function: &Function, report: &mut Report) {
    if function.parameters.len() != 1 {
        let message =
            format!("`{}` takes one parameter, the request; here it has {}", function.name, function.parameters.len());
        let help = format!("write `fn {}({})`", function.name, parameter_name(&function.name));
        report.error("script/entry-arity", function.position, message, help);
    }
}

fn missing(entry: &Entrypoint, functions: &[Function], foreign: Option<&Function>, report: &mut Report) {
    let code = "script/missing-entry";
    let message = format!("`{}` calls `{}`, which this script does not define", entry.hook, entry.name);
    if let Some(foreign) = foreign {
        let help = format!(
            "`{}` is the entry function of `{}`: bind this script to a route of that hook",
            foreign.name, entry.all[&foreign.name]
        );
        return report.error(code, foreign.position, message, help);
    }
    let named = functions.iter().filter(|function| !function.is_closure());
    let near = nearest(entry.name, named.clone().map(|function| function.name.as_str()));
    match functions.iter().find(|function| Some(function.name.as_str()) == near) {
        Some(near) => report.error(code, near.position, message, format!("rename `{}` to `{}`", near.name, entry.name)),
        None if named.clone().count() == 1 => {
            let only = named.clone().next().expect("there is one");
            let help = format!(
                "rename `{}` to `{}`, or add `fn {}({}) {{ … }}`",
                only.name,
                entry.name,
                entry.name,
                parameter_name(entry.name)
            );
            report.error(code, only.position, message, help);
        }
        None => {
            let help = format!("add `fn {}({}) {{ … }}`", entry.name, parameter_name(entry.name));
            report.error(code, Position::NONE, message, help);
        }
    }
}

fn parameter_name(entry: &str) -> &'static str {
    if entry.ends_with("event") { "event" } else { "request" }
}
