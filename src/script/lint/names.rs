//! Functions whose name is taken by Rhai or by the table.

use crate::script::lint::known::Known;
use crate::script::lint::source::Function;
use crate::script::lint::{Input, Report, arguments};

pub(crate) fn check(input: &Input, functions: &[Function], report: &mut Report) {
    for function in functions.iter().filter(|function| !function.is_closure()) {
        hidden(input.known, function, report);
    }
}

/// A script's function wins over a native one of the same name and arity, everywhere in the file.
fn hidden(known: &Known, function: &Function, report: &mut Report) {
    let (name, arity) = (function.name.as_str(), function.parameters.len());
    let help = || Some(format!("give `{name}` another name"));
    if let Some(form) = known.forms(name).iter().find(|form| form.fits(arity, false) || form.fits(arity, true)) {
        let message = format!("this function hides the built-in `{}`", form.call());
        return report.error("script/hides-builtin", function.position, message, help());
    }
    if known.standard().takes(name, arity) {
        let message = format!("this function hides Rhai's own `{name}` with {}", arguments(arity));
        return report.error("script/hides-builtin", function.position, message, help());
    }
    if known.standard().takes(name, arity + 1) {
        let message = format!(
            "`value.{name}({})` would call this function instead of Rhai's own `{name}`",
            "…".repeat(arity.min(1))
        );
        report.warning("script/hides-builtin", function.position, message, help());
    }
}
